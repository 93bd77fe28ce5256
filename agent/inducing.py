"""What an action needs, from when it worked and when it did not: for worlds that give no reasons.

Whatever was so at every success may be needed. It is taken for needed where the action was tried without it so often,
in states that had all else, that failing each time would be odd if it did not matter (one chance in twenty, shared
among all that may be needed, and given how often the action works with it): an action that works one time in ten has to
be tried some fifty times. What stays in doubt is what experiments are made about (`habilis.agent.experimenting`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from habilis.core import Action, Atom, Fact, Outcome, Snapshot, Value, WorldSpec

_ODD = 0.05  # a chance below which failing is no accident, shared among all that may be needed
_MOST = 60  # successes kept of an action; failures five times as many


@dataclass
class _Cases:
    """When an action worked and when it did not: the states before, and what it used up."""

    good: list[Snapshot] = field(default_factory=list)
    bad: list[Snapshot] = field(default_factory=list)
    used: dict[Fact, float] = field(default_factory=dict)


class Inducer:
    """Learns the needs of actions from pairs. ``spec`` tells what is fleeting, a context, or sought."""

    def __init__(self, spec: WorldSpec) -> None:
        self._spec = spec
        self._cases: dict[Action, _Cases] = {}

    def take(self, action: Action, before: Snapshot, outcome: Outcome) -> None:
        """One try, with the state before it. What was pre-empted says nothing."""
        if outcome.status not in ("done", "failed"):
            return
        cases = self._cases.setdefault(action, _Cases())
        kept = Snapshot(self._lasting(before.facts), self._spec.tags)
        if not outcome.ok:
            cases.bad = [*cases.bad[-5 * _MOST :], kept]
            return
        cases.good = [*cases.good[-_MOST:], kept]
        for change in outcome.changes:
            if change.fact in kept.facts and not isinstance(change.before, bool) and change.after < change.before:
                least = cases.used.get(change.fact, float(change.before - change.after))
                cases.used[change.fact] = min(least, float(change.before - change.after))

    def successes(self, action: Action) -> int:
        cases = self._cases.get(action)
        return len(cases.good) if cases is not None else 0

    def tries(self, action: Action) -> int:
        cases = self._cases.get(action)
        return len(cases.good) + len(cases.bad) if cases is not None else 0

    def needs(self, action: Action) -> tuple[Atom, ...]:
        """What it is taken to need, beside what it uses up."""
        cases = self._cases.get(action)
        if cases is None or not cases.good:
            return ()
        open_ = self._candidates(action, cases)
        odd = _ODD / max(1, len(open_))
        bad = [s for s in cases.bad if self._has(s, cases.used)]
        needed: list[Atom] = []
        while open_:
            lacking = {atom: sum(not s.holds(atom) for s in bad) for atom in open_}
            atom = max(open_, key=lambda a: lacking[a])  # of equals the one that comes first
            works = (len(cases.good) + 1) / (len(cases.good) + len(bad) - lacking[atom] + 2)
            if not lacking[atom] or (1 - works) ** lacking[atom] >= odd:
                break
            needed.append(atom)
            open_.remove(atom)
            bad = [s for s in bad if s.holds(atom)]
        return tuple(needed)

    def doubts(self, action: Action) -> tuple[Atom, ...]:
        """What was so at every success, and of which no experiment has told yet whether it matters: failures in states
        that had all else are too few. Among them is what is taken to be needed on weaker grounds."""
        cases = self._cases.get(action)
        if cases is None or not cases.good:
            return ()
        common = self._candidates(action, cases)
        bad = [s for s in cases.bad if self._has(s, cases.used)]
        works = self.chance(action)
        alone: dict[Atom, int] = dict.fromkeys(common, 0)
        for state in bad:
            lacking = [atom for atom in common if not state.holds(atom)]
            if len(lacking) == 1:
                alone[lacking[0]] += 1
        return tuple(atom for atom in common if (1 - works) ** alone[atom] >= _ODD)

    def chance(self, action: Action) -> float:
        """How often it works with all that it is taken to need."""
        cases = self._cases.get(action)
        if cases is None:
            return 0.5
        needs = self.needs(action)
        missed = [s for s in cases.bad if self._has(s, cases.used) and all(s.holds(a) for a in needs)]
        return (len(cases.good) + 1) / (len(cases.good) + len(missed) + 2)

    # ------------------------------------------------------------------ inside

    def _lasting(self, facts: Mapping[Fact, Value]) -> dict[Fact, Value]:
        passing = self._spec.contexts | self._spec.fleeting
        return {fact: value for fact, value in facts.items() if value and fact.predicate not in passing}

    @staticmethod
    def _has(state: Snapshot, used: Mapping[Fact, float]) -> bool:
        return all((state.value(fact) or 0) >= amount for fact, amount in used.items())

    def _candidates(self, action: Action, cases: _Cases) -> list[Atom]:
        """What was so at every success, the likeliest needs first: about the same things, to be looked for, the rest;
        sets of things where no single one will do."""
        common = set(cases.good[0].facts)
        for state in cases.good[1:]:
            common &= state.facts.keys()
        common -= cases.used.keys()
        for tag, members in self._spec.tags.items():
            for predicate in {f.predicate for s in cases.good for f in s.facts if set(f.args) & members}:
                wide = Fact(predicate, (tag,))
                if all(s.value(wide) for s in cases.good) and not any(
                    f.predicate == predicate and set(f.args) & members for f in common
                ):
                    common.add(wide)
        own = set(action.args)
        ranked = sorted(
            common, key=lambda f: (not set(f.args) & own, f.predicate not in self._spec.sought, not f.args, str(f))
        )
        return [self._spec.present(fact) for fact in ranked]
