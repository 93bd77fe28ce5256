"""The evidence on one action, as sums; and how a step of the world is taken into it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace

from habilis.core import (
    Action,
    Atom,
    Fact,
    Outcome,
    Snapshot,
    Value,
    WorldSpec,
)

_SUSPECTS = 4  # how many facts at once are taken to be what a failure lacked
_KEPT_BELOW = 0.5  # mean consumption under which a thing counts as kept (tools wear out now and then)


@dataclass
class TalliedCondition:
    atom: Atom
    consumed: float = 0.0  # sum over ``weighed`` successes, or the assumed amount while ``weighed`` is 0
    weighed: int = 0
    confirmed: int = 0


@dataclass
class Tally:
    """The evidence on one action, as sums."""

    conditions: dict[tuple[Fact, str], TalliedCondition] = field(default_factory=dict)
    amounts: dict[Fact, float] = field(default_factory=dict)
    values: dict[Fact, bool] = field(default_factory=dict)
    seen: Counter[Fact] = field(default_factory=Counter)
    context: Counter[Atom] = field(default_factory=Counter)
    told: dict[Fact, float] = field(default_factory=dict)
    successes: int = 0
    failures: int = 0
    steps: int = 0
    source: str = "induced"
    held: frozenset[Fact] = frozenset()
    chance: float = 1.0
    changes: int = 0  # since the book last looked: each may change a plan
    produced: list[tuple[Fact, bool]] = field(default_factory=list)  # since then: raised or made true, or the reverse

    def produce(self, fact: Fact, up: bool) -> None:
        self.produced.append((fact, up))


class Reader:
    """Takes steps into tallies. What it goes by is what the world's spec said when the book was opened."""

    def __init__(self, spec: WorldSpec) -> None:
        self._contexts = spec.contexts
        self._sought = spec.sought
        self._fleeting = spec.fleeting
        self._unneeded = spec.unneeded
        self._past = spec.past
        self._stops = {p.stops for p in spec.primitives if p.stops}
        self._reasons = "reasons" in spec.capabilities
        self._seeking = {p.name: p.seeks for p in spec.primitives if p.seeks}

    def success(self, spec: WorldSpec, action: Action, entry: Tally, outcome: Outcome, before: Snapshot) -> None:
        entry.successes += 1
        if entry.successes == 1:
            entry.changes += 1
        for key, condition in list(entry.conditions.items()):
            if before.holds(condition.atom):
                continue
            if entry.chance < 1 and condition.confirmed > 1:  # many tries told of it: once without it may be luck
                condition.confirmed -= 1
                continue
            del entry.conditions[key]
            entry.changes += 1
            wide = self._wider(spec, condition.atom, before)
            if wide is not None:
                known = entry.conditions.get((wide.fact, wide.op))
                if known is None:
                    entry.conditions[wide.fact, wide.op] = replace(condition, atom=wide, confirmed=1)
        if action.name in self._seeking:
            self._come_of_looking(action, entry, outcome)
            return
        used: dict[Fact, float] = {}
        for change in outcome.changes:
            if change.fact.predicate in self._fleeting:
                continue
            self._effect(entry, change.fact, change.before, change.after, used)
        self._weigh(spec, entry, used)
        if not self._reasons:
            passing = self._contexts | self._fleeting | self._unneeded
            true = frozenset(f for f, v in before.facts.items() if v and f.predicate not in passing)
            entry.held = true if entry.successes == 1 else entry.held & true
        for fact, value in before.facts.items():
            if fact.predicate in self._contexts and not isinstance(value, bool):
                entry.context[Atom(fact, "==", value)] += 1

    def _wider(self, spec: WorldSpec, atom: Atom, before: Snapshot) -> Atom | None:
        """What is looked for was taken for needed, and it works at another of its kind: the smallest tag that holds
        both, where no reason is ever given. Were the need only dropped it would never come back, for what is lacking
        is not told."""
        if self._reasons or atom.fact.predicate not in self._sought or len(atom.fact.args) != 1 or atom.is_numeric:
            return None
        old = {m.args[0] for m in _members(spec, atom.fact)}
        tags = [tag for tag, members in spec.tags.items() if old < set(members)]
        for tag in sorted(tags, key=lambda t: (len(spec.tags[t]), t)):
            wide = replace(atom, fact=Fact(atom.fact.predicate, (tag,)))
            if before.holds(wide):
                return wide
        return None

    def _come_of_looking(self, action: Action, entry: Tally, outcome: Outcome) -> None:
        """What lasts of having looked for something: what tells that it was found. Anything else that became true of it
        was so before, and only came in sight."""
        for change in outcome.changes:
            about = change.after is True and set(change.fact.args) & set(action.args)
            if about and change.fact.predicate in self._past:
                self._effect(entry, change.fact, change.before, change.after, {})

    def _effect(self, entry: Tally, fact: Fact, before: Value, after: Value, used: dict[Fact, float]) -> None:
        if isinstance(after, bool) or isinstance(before, bool):
            value = bool(after)
            if entry.values.get(fact) != value or fact not in entry.seen:
                entry.changes += 1
            entry.values[fact] = value
            entry.seen[fact] += 1
            entry.produce(fact, value)
            return
        delta = after - before
        if delta < 0 and fact.predicate not in self._contexts:
            used[fact] = used.get(fact, 0.0) - delta
        if delta != 0 and (delta > 0 or fact.predicate in self._contexts):
            if fact not in entry.seen:
                entry.changes += 1
            entry.amounts[fact] = entry.amounts.get(fact, 0.0) + delta
            entry.seen[fact] += 1
            entry.produce(fact, delta > 0)

    def _weigh(self, spec: WorldSpec, entry: Tally, used: dict[Fact, float]) -> None:
        """Attribute what was used up to the conditions; what no condition explains becomes one."""
        left = dict(used)
        for condition in entry.conditions.values():
            fact, amount = condition.atom.fact, 0.0
            for member in _members(spec, fact) if is_stock(condition.atom) else ():
                amount += left.pop(member, 0.0)
            before = rate(condition)
            if condition.weighed == 0:
                condition.consumed = 0.0
            condition.consumed += amount
            condition.weighed += 1
            if (before < _KEPT_BELOW) != (rate(condition) < _KEPT_BELOW):
                entry.changes += 1
        for fact, amount in sorted(left.items(), key=str):
            if fact.predicate in self._sought or self._widen(spec, entry, fact, amount):
                continue
            whole = int(amount) if float(amount).is_integer() else amount
            entry.conditions[fact, ">="] = TalliedCondition(Atom(fact, ">=", whole), amount, 1, 1)
            entry.changes += 1

    def _widen(self, spec: WorldSpec, entry: Tally, fact: Fact, amount: float) -> bool:
        """Two alternatives for the same amount become the smallest tag that holds both."""
        for key, condition in list(entry.conditions.items()):
            old = condition.atom
            if old.op != ">=" or old.value != amount or old.fact.predicate != fact.predicate:
                continue
            if old.fact.args[1:] != fact.args[1:] or not old.fact.args or condition.weighed < 2:
                continue
            both = {m.args[0] for m in _members(spec, old.fact)} | {fact.args[0]}
            tags = [t for t, members in spec.tags.items() if both <= set(members)]
            if not tags:
                continue
            tag = min(tags, key=lambda t: (len(spec.tags[t]), t))
            del entry.conditions[key]
            wide = Fact(fact.predicate, (tag, *fact.args[1:]))
            entry.conditions[wide, ">="] = TalliedCondition(
                Atom(wide, ">=", old.value), condition.consumed + amount, condition.weighed, condition.confirmed
            )
            entry.changes += 1
            return True
        return False

    def failure(self, spec: WorldSpec, action: Action, entry: Tally, outcome: Outcome, before: Snapshot) -> None:
        entry.failures += 1
        if outcome.unmet is None:
            self._suspect(spec, action, entry, before)
        if not outcome.unmet:
            return
        unmet = [a for a in outcome.unmet if a.fact.predicate != self._seeking.get(action.name)]
        for atom in unmet:
            key = (atom.fact, atom.op)
            known = entry.conditions.get(key)
            if known is None or known.atom != atom:
                assumed = float(atom.value) if is_stock(atom) and atom.fact.predicate not in self._sought else 0.0
                measured = known if known is not None and known.weighed else TalliedCondition(atom, assumed, 0, 1)
                entry.conditions[key] = replace(measured, atom=atom)
                entry.changes += 1
            else:
                known.confirmed += 1
        listed = {(a.fact, a.op) for a in outcome.unmet}
        for key, condition in list(entry.conditions.items()):
            if key not in listed and not before.holds(condition.atom):
                del entry.conditions[key]
                entry.changes += 1

    def _suspect(self, spec: WorldSpec, action: Action, entry: Tally, before: Snapshot) -> None:
        """A failure without reasons, of an action that has worked: what held at every success but does not now.

        Facts about the same things as the action are suspected first; a success without a suspect clears it. An action
        that is known to fail by chance is under no suspicion.
        """
        if entry.chance < 1 or not entry.held or any(not before.holds(c.atom) for c in entry.conditions.values()):
            return
        missing = [f for f in sorted(entry.held, key=str) if not before.value(f)]
        own = [f for f in missing if set(f.args) & set(action.args)]
        for fact in (own or missing)[:_SUSPECTS]:
            atom = spec.present(fact)
            entry.conditions[fact, atom.op] = TalliedCondition(atom, 0.0, 0, 1)
            entry.changes += 1


def _members(spec: WorldSpec, fact: Fact) -> list[Fact]:
    if fact.args and isinstance(fact.args[0], str) and fact.args[0].startswith("#"):
        return [Fact(fact.predicate, (m, *fact.args[1:])) for m in sorted(spec.tags.get(fact.args[0], ()))]
    return [fact]


def rate(condition: TalliedCondition) -> float:
    return condition.consumed / condition.weighed if condition.weighed else condition.consumed


def is_stock(atom: Atom) -> bool:
    """Whether the atom asks for an amount to be there, which may then be used up."""
    return atom.is_numeric and atom.op in (">=", ">", "==")
