"""What an action needs, from when it worked and when it did not: for worlds that give no reasons.

Whatever was so at every success may be needed. It is taken for needed where the action was tried without it so often,
in states that had all else, that failing each time would be odd if it did not matter (one chance in twenty, shared
among all that may be needed, and given how often the action works with it): an action that works one time in ten has to
be tried some fifty times. What stays in doubt is what experiments are made about
(`habilis.agent.practice.experimenting`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from habilis.core import Action, Atom, Fact, Outcome, Snapshot, Value, WorldSpec

_ODD = 0.05  # a chance below which failing is no accident, shared among all that may be needed
_FEW = 0.15  # share of the successes that may have come about elsewhere than where an action usually works
_VAIN = 10  # failures elsewhere that tell such a place
_KNOWN, _LIKELIER = 10, 2  # successes of a sibling from which on its needs count, and how much more likely they are
_MOST = 1_000  # different states kept of an action, of either kind; of each, how often it was tried in it

_State = frozenset[tuple[Fact, Value]]


@dataclass
class _Cases:
    """When an action worked and when it did not: the states before, with how often; and what it used up."""

    good: Counter[_State] = field(default_factory=Counter)
    bad: Counter[_State] = field(default_factory=Counter)
    used: dict[Fact, float] = field(default_factory=dict)
    alone: tuple[Atom, ...] | None = None  # its needs by its own cases, as worked out last; None: there is new evidence
    needs: tuple[Atom, ...] | None = None  # the same, by what its siblings need too
    doubts: tuple[Atom, ...] | None = None


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
        cases.alone = cases.needs = cases.doubts = None
        lasting = self._lasting(before.facts)
        state, kind = frozenset(lasting.items()), cases.good if outcome.ok else cases.bad
        if state in kind or len(kind) < _MOST:
            kind[state] += 1
        for change in outcome.changes if outcome.ok else ():
            if change.fact in lasting and not isinstance(change.before, bool) and change.after < change.before:
                least = cases.used.get(change.fact, float(change.before - change.after))
                cases.used[change.fact] = min(least, float(change.before - change.after))

    def successes(self, action: Action) -> int:
        cases = self._cases.get(action)
        return cases.good.total() if cases is not None else 0

    def tries(self, action: Action) -> int:
        cases = self._cases.get(action)
        return cases.good.total() + cases.bad.total() if cases is not None else 0

    def needs(self, action: Action) -> tuple[Atom, ...]:
        """What it is taken to need, beside what it uses up."""
        cases = self._cases.get(action)
        if cases is None or not cases.good:
            return ()
        if cases.needs is None:
            cases.needs = self._needed(action, cases, self._kin(action))
        return cases.needs

    def doubts(self, action: Action) -> tuple[Atom, ...]:
        """What was so at every success, and of which no experiment has told yet whether it matters: failures in states
        that had all else are too few. Among them is what is taken to be needed on weaker grounds."""
        cases = self._cases.get(action)
        if cases is None or not cases.good:
            return ()
        if cases.doubts is None:
            common = self._candidates(action, cases)
            works = self.chance(action)
            alone: Counter[Atom] = Counter()
            for state, times in self._failed(cases):
                lacking = [atom for atom in common if not state.holds(atom)]
                if len(lacking) == 1:
                    alone[lacking[0]] += times
            cases.doubts = tuple(atom for atom in common if (1 - works) ** alone[atom] >= _ODD)
        return cases.doubts

    def chance(self, action: Action) -> float:
        """How often it works with all that it is taken to need."""
        cases = self._cases.get(action)
        if cases is None:
            return 0.5
        needs, good = self.needs(action), cases.good.total()
        missed = sum(times for state, times in self._failed(cases) if all(state.holds(a) for a in needs))
        return (good + 1) / (good + missed + 2)

    # ------------------------------------------------------------------ inside

    def _kin(self, action: Action) -> frozenset[Atom]:
        """What most other actions of the same name need, as far as their own cases tell: of things that always came
        together it is the likelier need."""
        found: Counter[Atom] = Counter()
        siblings = 0
        for other, cases in self._cases.items():
            if other.name != action.name or other == action or cases.good.total() < _KNOWN:
                continue
            if cases.alone is None:
                cases.alone = self._needed(other, cases, frozenset())
            siblings += 1
            found.update(atom for atom in cases.alone if not set(atom.fact.args) & set(other.args))
        return frozenset(atom for atom, times in found.items() if siblings > 1 and 2 * times > siblings)

    def _lasting(self, facts: Mapping[Fact, Value]) -> dict[Fact, Value]:
        passing = self._spec.contexts | self._spec.fleeting | self._spec.unneeded
        return {fact: value for fact, value in facts.items() if value and fact.predicate not in passing}

    def _failed(self, cases: _Cases) -> list[tuple[Snapshot, int]]:
        """The states in which it failed although there was enough of what it uses up."""
        found = []
        for facts, times in cases.bad.items():
            state = Snapshot(dict(facts), self._spec.tags)
            if all((state.value(fact) or 0) >= amount for fact, amount in cases.used.items()):
                found.append((state, times))
        return found

    def _needed(self, action: Action, cases: _Cases, kin: frozenset[Atom]) -> tuple[Atom, ...]:
        open_, bad, good = self._candidates(action, cases), self._failed(cases), cases.good.total()
        odd = _ODD / max(1, len(open_))
        needed: list[Atom] = []
        while open_:
            total = sum(times for _, times in bad)
            lacking = {atom: sum(times for state, times in bad if not state.holds(atom)) for atom in open_}
            # of equals the one that comes first
            atom = max(open_, key=lambda a: lacking[a] * (_LIKELIER if a in kin else 1))
            works = (good + 1) / (good + total - lacking[atom] + 2)
            if not lacking[atom] or (1 - works) ** lacking[atom] >= odd:
                break
            needed.append(atom)
            open_.remove(atom)
            bad = [(state, times) for state, times in bad if state.holds(atom)]
        return (*needed, *self._usual(cases, needed, bad))

    def _usual(self, cases: _Cases, needed: list[Atom], bad: list[tuple[Snapshot, int]]) -> list[Atom]:
        """A set of things that can be looked for, if it nearly always works at one of them, and seldom elsewhere.
        ``bad``: the failures in states that had what is ``needed``."""
        settled = {a.fact.predicate for a in needed}
        wide = {Fact(predicate, (tag,)) for predicate in self._spec.sought - settled for tag in self._spec.tags}
        good = [(Snapshot(dict(facts), self._spec.tags), times) for facts, times in cases.good.items()]
        places = {fact: sum(times for state, times in good if state.value(fact)) for fact in wide}
        total = sum(times for _, times in good)
        for fact in sorted(places, key=lambda f: (-places[f], str(f))):
            without, vain = total - places[fact], sum(times for state, times in bad if not state.value(fact))
            met = sum(times for state, times in bad if state.value(fact))
            if not 0 < without <= _FEW * total or vain < _VAIN:
                continue
            rate, other = places[fact] / (places[fact] + met), without / (without + vain)
            if other < rate / 4:
                return [self._spec.present(fact)]
        return []

    def _candidates(self, action: Action, cases: _Cases) -> list[Atom]:
        """What was so at every success, the likeliest needs first: about the same things, to be looked for, the rest;
        sets of things where no single one will do."""
        states = [Snapshot(dict(facts), self._spec.tags) for facts in cases.good]
        common = set(states[0].facts).intersection(*(state.facts.keys() for state in states)) - cases.used.keys()
        for tag, members in self._spec.tags.items():
            for predicate in {f.predicate for s in states for f in s.facts if set(f.args) & members}:
                wide = Fact(predicate, (tag,))
                single = any(f.predicate == predicate and set(f.args) & members for f in common)
                if not single and all(state.value(wide) for state in states):
                    common.add(wide)
        own = set(action.args)
        ranked = sorted(
            common, key=lambda f: (not set(f.args) & own, f.predicate not in self._spec.sought, not f.args, str(f))
        )
        return [self._spec.present(fact) for fact in ranked]
