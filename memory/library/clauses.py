"""The contract of a skill, learned from its runs: what they were seen to require, keep, consume, add and delete."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace

from habilis.core import Atom, Clause, ClauseKind, Fact, GoalSyntaxError, Json, Skill, Snapshot, Trajectory, Trial, fill

__all__ = ["learn", "merge"]

_USUAL = 0.5  # share of the runs from which on a change is the skill's own, and not what chance brought along


def learn(
    skill: Skill, runs: Iterable[tuple[Trial, Trajectory]], ignored: frozenset[str] = frozenset()
) -> tuple[Clause, ...]:
    """The clauses that successful runs tell of. ``ignored``: predicates to say nothing of.

    What the skill was said to need is required as long as no run succeeded without it. Facts that follow a parameter
    are told with it: ``count("{kind}")``.
    """
    good = [(t.args, run) for t, run in runs if t.ok]
    required: dict[str, list[bool]] = {need: [] for need in skill.needs}
    kept: dict[str, int] = defaultdict(int)
    changes: dict[tuple[ClauseKind, str], list[float]] = defaultdict(list)
    for args, run in good:
        values = {p.name: p.default for p in skill.program.parameters if not p.required} | dict(args)
        for need in required:
            held = _holds(need, values, run.before)
            required[need].append(held)
            kept[need] += held and _holds(need, values, run.after)
        for fact, kind, amount in _changed(run.before, run.after, ignored):
            changes[kind, _told(fact, skill, values)].append(amount)
    clauses = [Clause(ClauseKind.REQUIRES, need, 0.0, sum(held), 0) for need, held in required.items() if all(held)]
    clauses += [
        Clause(ClauseKind.KEEPS, need, 0.0, kept[need], len(good) - kept[need])
        for need in required
        if all(required[need]) and kept[need] > _USUAL * len(good)
    ]
    clauses += [
        Clause(kind, fact, round(sum(amounts) / len(amounts), 3), len(amounts), len(good) - len(amounts))
        for (kind, fact), amounts in sorted(changes.items(), key=lambda c: (list(ClauseKind).index(c[0][0]), c[0][1]))
        if len(amounts) > _USUAL * len(good)
    ]
    return tuple(clauses)


def follow(contract: Iterable[Clause], choices: Mapping[str, Json]) -> tuple[Clause, ...]:
    """The same clauses, with a choice's name in place of its value: ``count("oak_planks")`` as ``count("{kind}")``."""
    told = []
    for clause in contract:
        fact = clause.fact
        for name, value in choices.items():
            fact = fact.replace(f'"{value}"', f'"{{{name}}}"')
        told.append(replace(clause, fact=fact))
    return tuple(told)


def merge(contracts: Iterable[tuple[Clause, ...]], runs: int) -> tuple[Clause, ...]:
    """What several contracts say together, of so many successful runs in all: the same clauses are added up, and what
    was not so in most runs is left out."""
    found: dict[tuple[ClauseKind, str], Clause] = {}
    for contract in contracts:
        for clause in contract:
            key = (clause.kind, clause.fact)
            known = found.get(key)
            if known is None:
                found[key] = clause
                continue
            seen = known.seen + clause.seen
            amount = (known.amount * known.seen + clause.amount * clause.seen) / seen if seen else 0.0
            found[key] = Clause(*key, round(amount, 3), seen, known.against + clause.against)
    order = list(ClauseKind)
    usual = [replace(c, against=max(0, runs - c.seen)) for c in found.values() if c.seen > _USUAL * runs]
    return tuple(sorted(usual, key=lambda c: order.index(c.kind)))


def _changed(before: Snapshot, after: Snapshot, ignored: frozenset[str]) -> Iterable[tuple[Fact, ClauseKind, float]]:
    for fact in sorted(before.facts.keys() | after.facts.keys(), key=str):
        if fact.predicate in ignored:
            continue
        old, new = before.facts.get(fact, 0), after.facts.get(fact, 0)
        if isinstance(old, bool) or isinstance(new, bool):
            if bool(old) != bool(new):
                yield fact, ClauseKind.ADDS if new else ClauseKind.DELETES, 0.0
        elif old != new:
            yield fact, ClauseKind.ADDS if new > old else ClauseKind.CONSUMES, float(abs(new - old))


def _told(fact: Fact, skill: Skill, values: Mapping[str, Json]) -> str:
    """A fact as text, with a choice's name where it follows one."""
    names = {values[p.name]: f"{{{p.name}}}" for p in skill.program.parameters if p.choices and p.name in values}
    return str(Fact(fact.predicate, tuple(names.get(a, a) for a in fact.args)))


def _holds(need: str, values: Mapping[str, Json], state: Snapshot) -> bool:
    try:
        return state.holds(Atom.parse(fill(need, values)))
    except GoalSyntaxError:
        return False
