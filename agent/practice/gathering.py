"""Bringing facts about on a copy of a world, by what is known of its actions so far, one action after the other.

Where no reasons are given, an action that has never worked may lack several things at once, and luck brings together
what takes many things very seldom. So everything that is known to be obtainable is gathered, in rising amounts, and
what never worked is tried there: optimism in the face of uncertainty (as R-max, Brafman & Tennenholtz 2002), by
regression over contracts instead of over a table of states.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from habilis.agent.planning.regression import Regression, Way, brings_about, direction
from habilis.core import Action, Atom, Cloneable, Condition, Fact, Outcome, Snapshot
from habilis.memory.contracts import ContractBook

__all__ = ["Gatherer"]

_VAIN = 6  # failures of one action on the way to a fact, beyond which it is given up; more where it works by chance
_LOOKS = 3  # times that something is looked for in vain, where there is no other way
_UNLUCKY = 4  # times the tries that an action takes on average

_Acting = Callable[[Action, Cloneable], Outcome]


class Gatherer:
    """Carries plans out, one fact at a time. ``act``: does one action on a copy; ``look``: looks for something on it,
    and removes what is in the way; ``left``: how many steps may still be taken in all."""

    def __init__(self, book: ContractBook, act: _Acting, look: _Acting, left: Callable[[], int]) -> None:
        self._book, self._act, self._look, self._left = book, act, look, left
        self.ended = False  # whether the world that was acted in last has come to its end

    def goods(self, now: Snapshot, steps: int) -> list[tuple[Fact, int]]:
        """What may be gathered, the cheapest first, and how much of it in about so many steps: one, where something
        else is used up for it."""
        spec = self._book.spec
        passing = spec.contexts | spec.fleeting | spec.unneeded | spec.sought
        regression = Regression(self._book, spec, facts=now.facts)
        found: list[tuple[float, str, Fact, int]] = []
        for fact in self._book.produced():
            if fact.predicate in passing:
                continue
            way = regression.solve(fact)
            if way is not None:
                raw = not any(c.consumed >= 0.5 for c, _ in way.needs)
                cost = way.cost / max(0.05, way.contract.chance if way.contract is not None else 1.0)
                found.append((cost, str(fact), fact, max(1, int(steps / cost)) if raw else 1))
        return [(fact, most) for _, _, fact, most in sorted(found)]

    def places(self, now: Snapshot) -> list[Fact]:
        """Where something is that is put there, such as a table: the easiest to make first. What is only returned to
        tells that; where everything is looked for alike, all that is put somewhere."""
        spec = self._book.spec
        returned = {p.seeks for p in spec.primitives if p.seeks and p.stops is None} or spec.sought
        regression = Regression(self._book, spec, facts=now.facts)
        found: list[tuple[int, str, Fact]] = []
        for fact in self._book.produced():
            makers = [c for c in self._book.producers(fact) if c.action.name not in spec.seeking]
            if fact.predicate in returned and any(brings_about(c, fact) for c in makers):
                way = regression.solve(fact)
                if way is not None:
                    found.append((way.height, str(fact), fact))
        return [fact for _, _, fact in sorted(found)]

    def used(self, facts: Iterable[Fact]) -> Counter[Fact]:
        """How much of each thing it takes to make all of these, once each."""
        found: Counter[Fact] = Counter()
        for fact in facts:
            for contract in self._book.producers(fact)[:1]:
                found.update({c.atom.fact: round(c.consumed) for c in contract.conditions if c.consumed >= 0.5})
        return found

    def bring(self, world: Cloneable, atom: Atom, steps: int, *, here: bool = False) -> bool:
        """Whether an atom holds after acting on this copy for about so many steps at most. ``here``: rather where one
        stands, if all that this uses up is at hand."""
        until = self._left() - steps
        if here and self._made_here(world, atom):
            return True
        vain: Counter[Action] = Counter()
        while not (now := world.observe()).holds(atom):
            if self._left() <= max(0, until):
                return False
            up = direction(atom)
            way = Regression(self._book, world.spec, facts=now.facts).solve(atom.fact, up) if up is not None else None
            action = self._next(way, now, vain) if way is not None else None
            if action is None:
                return False
            seeks = action.name in world.spec.seeking
            outcome = (self._look if seeks else self._act)(action, world)
            if outcome.done:
                self.ended = True
                return False
            if not outcome.ok:
                vain[action] += 1
                if vain[action] > self._patience(action) and not seeks:
                    return False
            elif not seeks:
                vain[action] = 0
        return True

    # ------------------------------------------------------------------ inside

    def _made_here(self, world: Cloneable, atom: Atom) -> bool:
        """Whether something was put where one stands, so that it is beside what is there already."""
        spec = self._book.spec
        seekers = {p.seeks: p.name for p in spec.primitives if p.seeks}
        for contract in self._book.producers(atom.fact):
            if contract.action.name in spec.seeking or not brings_about(contract, atom.fact):
                continue
            lacking = [c.atom for c in contract.conditions if not world.observe().holds(c.atom)]
            if any(a.fact.predicate not in seekers for a in lacking):
                continue
            for one in lacking:
                self._look(Action(seekers[one.fact.predicate], one.fact.args), world)
            outcome = self._act(contract.action, world)
            self.ended = outcome.done
            if outcome.done or world.observe().holds(atom):
                return not outcome.done
        return False

    def _next(self, way: Way, now: Snapshot, vain: Counter[Action]) -> Action | None:
        """What is to be done first; None where nothing known leads on."""
        if way.kind == "any" and way.options:
            return self._next(way.options[0], now, vain)
        if way.kind == "seek" and way.seek is not None:
            if way.fallback is not None and vain[way.seek]:
                return self._next(way.fallback, now, vain)
            return way.seek if vain[way.seek] < _LOOKS else None
        if way.kind != "act" or way.contract is None:
            return None
        for condition, child in sorted(way.needs, key=lambda need: self._order(*need)):
            if not now.holds(condition.atom):
                return self._next(child, now, vain)
        for _, child in way.needs:  # what was looked for in vain may be elsewhere by the next time
            if child.seek is not None:
                vain.pop(child.seek, None)
        return way.contract.action

    def _order(self, condition: Condition, way: Way) -> tuple[int, int, str]:
        """What is kept, then what is used up, then the place to be in."""
        sought = condition.atom.fact.predicate in self._book.spec.sought
        return 2 if sought else int(condition.consumed >= 0.5), -way.height, str(condition.atom)

    def _patience(self, action: Action) -> int:
        return max(_VAIN, round(_UNLUCKY / max(0.05, self._book.contract(action).chance)))
