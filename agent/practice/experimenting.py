"""Experiments in practice worlds: what each action needs and does, found out on clones, where no reasons are given.

One experiment begins in a fresh world and keeps an archive of the states that it has come to, each told by what lasts
in it (what is held, what stands near), as copies of the world. Over and over it returns to a state that is rare and was
seldom gone on from (as Go-Explore does, Ecoffet et al. 2021), tries there what is not understood yet, and goes on by
what is known to work. An action about a thing that can be looked for is tried where one stands, and again where the
thing was found, or what its siblings need; one that failed is tried a few times more, for some things work by chance.

Where something was so at each success of an action, but may not matter, the experiment is made: a copy of a state in
which the action works is changed by one other action so that just this is no longer so, and the action is tried again.
What is in doubt is thus what is tried: where contracts that agree with all that was seen would disagree.

Every other turn all that is known to be obtainable is gathered (`habilis.agent.practice.gathering`), one thing after
the other and then more of it, and what has never worked is tried on the way and at the end: an action that takes many
things at once would else seldom come to work.

It runs on true clones, so it is for practice worlds alone, never for one that a result is reported on.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from habilis.agent.planning.meter import SearchMeter, act_paid
from habilis.agent.practice.gathering import Gatherer
from habilis.agent.practice.inducing import Inducer
from habilis.core import Action, Affording, Atom, Cloneable, Fact, Outcome, Value, WorldSpec
from habilis.memory.contracts import ContractBook

__all__ = ["Experiments"]

_ENOUGH = 3  # successes from which an action is tried only where something is in doubt
_TRIES = 4  # of an action in one state: one more each time it fails
_ON = 5  # actions that the life goes on by from a state of the archive
_OBSTACLES = 4  # things removed on the way to another
_LOOKING = 10  # looking for something, without doing anything about it, is chosen as what has worked so often
_VALUES = 5  # numbers above this are no other state
_ARCHIVE = 300  # states
_PREEMPTED = 5  # times that an action is done again after a reflex came before it
_SELDOM = 20  # successes up to which an action is looked into where it worked in an earlier world
_CHANGES = 12  # other actions that are tried to change one fact
_LEVELS = (1, 3, 2, 6)  # how much of each thing is gathered, one time after the other
_EACH = 120  # steps for bringing about one of them
_TRIP = 1_200  # steps of one gathering
_AT_THE_END = 5  # actions that are tried with all that was gathered, each where what it is about was found
_HOPELESS = 30  # failures from which on what never worked is tried in other states less and less

_AFFORDED = Fact("afforded")  # in a mark: how many actions there are to try

_Mark = frozenset[tuple[Fact, Value]]


@dataclass
class _Cell:
    """A state of the archive: a copy, how many steps it took to come to, how often it was gone on from."""

    world: Cloneable
    steps: int
    visits: int = 0
    gathered: int = 0  # times that gathering began here


class Experiments:
    """Experiments within one account. ``book`` learns from every step, and is told what was induced (`tell`).

    ``inducer`` is handed on from one world to the next, so that evidence adds up; so is ``works``: for each action a
    copy of a state in which it worked, of the last world where it did, for what worked once may not do so again.
    """

    def __init__(
        self,
        book: ContractBook,
        inducer: Inducer,
        rng: random.Random,
        works: dict[Action, Cloneable] | None = None,
    ) -> None:
        self._book, self._inducer, self._rng = book, inducer, rng
        self._works: dict[Action, Cloneable] = works if works is not None else {}
        self._stale: set[Action] = set()  # those that worked in an earlier world, and not yet in this one
        self._archive: dict[_Mark, _Cell] = {}
        self._rare: Counter[Fact] = Counter()  # states of the archive in which something is so
        self._vain: Counter[tuple[Action, Atom]] = Counter()  # experiments made, and five for each that could not be
        self._left = 0
        self._turn = 0
        # Where a life has one mission, given in words, there is nothing to be gathered for what comes later.
        self._gathers = "missions" not in book.spec.capabilities

    def run(self, world: Cloneable, meter: SearchMeter, steps: int) -> int:
        """Experiment in this world for about so many steps; how many states were come to."""
        self._left = steps
        self._stale = set(self._works)
        self._archive.clear()
        self._rare.clear()
        self._keep(world, 0)
        while self._left > 0:
            before = self._left
            self._turn += 1
            if self._turn % 2 or not self._gathers or not self._gather(meter):
                mark = max(self._archive, key=self._worth)
                cell = self._archive[mark]
                cell.visits += 1
                if cell.visits == 1:
                    self._probe(cell.world, meter)
                self._go_on(cell, meter)
            self._doubt([a for a in self._works if a not in self._stale], meter)
            self._doubt([a for a in self._stale if self._inducer.successes(a) < _SELDOM], meter)
            self._left -= self._left == before  # nothing to be done here takes a turn all the same
        self.tell()
        return len(self._archive)

    def tell(self) -> None:
        """Put what was induced into the book, unless that was made of more than is known here (an earlier exploration
        of this home)."""
        for contract in list(self._book):
            action = contract.action
            if 0 < self._inducer.successes(action) >= contract.successes / 2:
                self._book.revise(action, self._inducer.needs(action), self._inducer.chance(action))

    # ------------------------------------------------------------------ the archive

    def _keep(self, world: Cloneable, steps: int) -> _Cell:
        """The state as one of the archive, which has room for so many."""
        mark = self._mark(world)
        known = self._archive.get(mark)
        if known is not None:
            if steps < known.steps:
                known.world, known.steps = world.clone(), steps
            return known
        cell = _Cell(world.clone(), steps)
        if len(self._archive) < _ARCHIVE:
            self._archive[mark] = cell
            self._rare.update(fact for fact, _ in mark)
        return cell

    def _mark(self, world: Cloneable) -> _Mark:
        """What lasts in a state: not where one stands, but what one has, what one has put there, and how much there is
        to be done."""
        state, spec = world.observe(), world.spec
        passing = spec.contexts | spec.fleeting | spec.unneeded
        afforded = len(world.affordances()) if isinstance(world, Affording) else 0
        lasting: list[tuple[Fact, Value]] = [(_AFFORDED, afforded)]
        for fact, value in state.facts.items():
            if not value or fact.predicate in passing:
                continue
            if fact.predicate in spec.sought and not self._made(fact, spec):
                continue
            lasting.append((fact, value if isinstance(value, bool) else min(int(value), _VALUES)))
        return frozenset(lasting)

    def _made(self, fact: Fact, spec: WorldSpec) -> bool:
        """Whether something that is looked for is brought about by an action too, such as a table that is placed."""
        makers = self._book.producers(fact)
        return any(c.action.name not in spec.seeking and set(c.action.args) & set(fact.args) for c in makers)

    def _worth(self, mark: _Mark) -> tuple[float, int]:
        """More where much that is rare has come together, less for each time that it was gone on from."""
        cell = self._archive[mark]
        rarity = math.fsum(1 / (1 + self._rare[fact]) for fact, _ in mark if fact != _AFFORDED)
        return (0.01 + rarity) / (1 + cell.visits) ** 1.5, -cell.steps

    # ------------------------------------------------------------------ trying

    def _probe(self, world: Cloneable, meter: SearchMeter) -> None:
        """Try, each on a copy, all that has not worked often enough yet."""
        for action in self._open(world):
            if self._left <= 0:
                return
            if self._inducer.successes(action) < _ENOUGH and not self._hopeless(action):
                self._try(action, world.clone(), meter, _TRIES)

    def _go_on(self, cell: _Cell, meter: SearchMeter) -> None:
        """Live on from a state by what is known to work, and keep what that leads to."""
        world, steps = cell.world.clone(), cell.steps
        for _ in range(_ON):
            known = [a for a in self._open(world) if self._inducer.successes(a)]
            if isinstance(world, Affording):
                known += [a for a in world.affordances() if a.name in world.spec.seeking]
            if not known or self._left <= 0:
                return
            before = self._left
            weights = [
                1 / (self._inducer.successes(a) or _LOOKING) for a in known
            ]  # what worked seldom leads on to what is new
            outcome = self._try(self._rng.choices(known, weights)[0], world, meter, _TRIES)
            steps += before - self._left
            if outcome.done:
                return
            if outcome.ok:
                self._keep(world, steps)

    def _hopeless(self, action: Action) -> bool:
        """Whether to leave it for now: what has failed in so many states will hardly work in the next one."""
        tries = self._inducer.tries(action)
        if not self._gathers or self._inducer.successes(action):
            return False
        return self._rng.random() > _HOPELESS / max(1, tries)

    def _open(self, world: Cloneable) -> list[Action]:
        """What may be tried and is no looking for something: the least tried first, else by chance."""
        afforded = list(world.affordances()) if isinstance(world, Affording) else []
        found = [a for a in afforded if a.name not in world.spec.seeking]
        self._rng.shuffle(found)
        return sorted(found, key=lambda a: self._inducer.tries(a) > 40)

    def _try(self, action: Action, world: Cloneable, meter: SearchMeter, tries: int) -> Outcome:
        """Do it here; where that fails, look for what it is about, and do it there, some times."""
        outcome = self._act(action, world, meter)
        for turn in range(tries):
            if outcome.ok or outcome.done or self._left <= 0:
                break
            for seek in self._seeks(action, world, turn):
                found = self._look(seek, world, meter)
                if found.done:
                    return found
                if not found.ok and not self._inducer.successes(action):
                    return outcome  # what cannot be found from here is not looked for again and again
            outcome = self._act(action, world, meter)
        return outcome

    def _seeks(self, action: Action, world: Cloneable, turn: int) -> list[Action]:
        """How to look for the things that an action is about and for what it is known to need; where it never worked,
        for what its siblings need, and at the last turns for something that was put somewhere."""
        spec, now, inducer = world.spec, world.observe(), self._inducer
        seekers = {p.name: p.seeks for p in spec.primitives if p.seeks}
        by = {predicate: name for name, predicate in seekers.items()}
        afforded = set(world.affordances()) if isinstance(world, Affording) else set()
        wanted = [Fact(predicate, (arg,)) for predicate in by for arg in action.args]
        kin = [action] if inducer.successes(action) else [c.action for c in self._book if c.action.name == action.name]
        wanted += [a.fact for one in kin for a in inducer.needs(one) if not set(a.fact.args) & set(one.args)]
        wanted += [a.fact for a in inducer.needs(action)]
        found: list[Action] = []
        if not inducer.successes(action) and turn % 2:
            looked = {a: Fact(seekers[a.name], a.args) for a in sorted(afforded, key=str) if a.name in seekers}
            placed = [a for a, fact in looked.items() if self._made(fact, spec) and not now.value(fact)]
            found = [self._rng.choice(placed)] if placed else []
        for fact in dict.fromkeys(wanted):
            if fact.predicate not in by or now.value(fact):
                continue
            seek = Action(by[fact.predicate], fact.args)
            if seek in afforded or any(str(a).startswith("#") for a in fact.args):
                found.append(seek)
        return found

    def _look(self, seek: Action, world: Cloneable, meter: SearchMeter) -> Outcome:
        """Look for something; what is in the way is removed, if something is known to work on it."""
        outcome = self._act(seek, world, meter)
        primitive = world.spec.primitive(seek.name)
        for _ in range(_OBSTACLES if primitive is not None and primitive.stops is not None else 0):
            if outcome.ok or outcome.done or self._left <= 0:
                break
            now = world.observe().facts
            ahead = {f.args for f, v in now.items() if v and primitive is not None and f.predicate == primitive.stops}
            remove = [a for a in self._open(world) if a.args in ahead and self._inducer.successes(a)]
            if not remove or not self._act(remove[0], world, meter).ok:
                break
            outcome = self._act(seek, world, meter)
        return outcome

    def _act(self, action: Action, world: Cloneable, meter: SearchMeter) -> Outcome:
        """One step on a copy, learned from; a copy of the state is kept where it works."""
        own = (action not in self._works or action in self._stale) and action.name not in world.spec.seeking
        for _ in range(_PREEMPTED):
            before = world.observe()
            copy = world.clone() if own else None
            outcome = act_paid(world, action, meter)
            self._left -= max(1, outcome.steps)
            if outcome.preempted is None or outcome.done or self._left <= 0:
                break
        if outcome.status in ("done", "failed"):
            self._book.observe(action, outcome, before)
        if action.name not in world.spec.seeking:
            self._inducer.take(action, before, outcome)
        if outcome.ok and copy is not None:
            self._works[action] = copy
            self._stale.discard(action)
        return outcome

    # ------------------------------------------------------------------ all that is to be had

    def _gather(self, meter: SearchMeter) -> bool:
        """Bring together all that is known to be obtainable, and try what never worked; whether there is any of it."""
        self.tell()
        gatherer = Gatherer(
            self._book,
            lambda action, world: self._act(action, world, meter),
            lambda seek, world: self._look(seek, world, meter),
            lambda: self._left,
        )
        cell = self._beginning()
        if not gatherer.goods(cell.world.observe(), _EACH):
            return False
        cell.gathered += 1
        world, began, kept = cell.world.clone(), self._left, [cell]
        todo = self._todo(gatherer, world)
        while todo and self._left > max(0, began - _TRIP):
            atom = todo.pop(0)
            had = world.observe().holds(atom)
            brought = had or gatherer.bring(world, atom, _EACH, here=atom.fact.predicate in self._book.spec.sought)
            if gatherer.ended:
                for one in kept:
                    one.gathered += 1
                return True
            if had or not brought:
                continue
            kept.append(self._keep(world, cell.steps + began - self._left))
            if self._try_all(world, meter):
                self.tell()
                todo = self._todo(gatherer, world)
        for action in self._never(world)[:_AT_THE_END]:
            copy = world.clone()
            if self._left > 0 and self._try(action, copy, meter, _TRIES).ok:
                self._keep(copy, cell.steps + began - self._left)
        return True

    def _beginning(self) -> _Cell:
        """Where gathering begins: by turns where this world did, and where the most has come together."""
        cells = list(self._archive.items())
        if self._turn // 2 % 2:
            return min(cells, key=lambda one: one[1].steps)[1]
        return max(cells, key=lambda one: len(one[0]) / (1 + one[1].gathered))[1]

    def _todo(self, gatherer: Gatherer, world: Cloneable) -> list[Atom]:
        """What to bring together, in order: one of each, more of what nothing else is used up for, and all places. At
        first the cheapest comes first, later it is done in any order, for another one leads through other states."""
        spec, now, trip = self._book.spec, world.observe(), self._turn // 2
        level = _LEVELS[trip % len(_LEVELS)]
        goods = gatherer.goods(now, _EACH)
        if trip > 1:
            self._rng.shuffle(goods)
        places = gatherer.places(now)
        used, one = gatherer.used(places), [spec.present(fact) for fact, _ in goods]
        many = [(fact, max(used[fact] + 1, min(used[fact] + level, most))) for fact, most in goods]
        more = [Atom(fact, ">=", n) for (fact, n), a in zip(many, one, strict=True) if n > 1 and a.is_numeric]
        return [*one, *more, *map(spec.present, places)]

    def _never(self, world: Cloneable) -> list[Action]:
        """What has never worked, the least tried first."""
        never = [a for a in self._open(world) if not self._inducer.successes(a)]
        return sorted(never, key=self._inducer.tries)

    def _try_all(self, world: Cloneable, meter: SearchMeter) -> bool:
        """Try, here and now, all that has never worked; whether something did."""
        found = False
        for action in self._never(world):
            if self._left <= 0:
                break
            outcome = self._act(action, world, meter)
            if outcome.done:
                break
            found = found or outcome.ok
        return found

    # ------------------------------------------------------------------ changing one fact

    def _doubt(self, among: Sequence[Action], meter: SearchMeter) -> None:
        """Of one action that works, change one thing that may not matter, and try again."""
        doubtful = [(a, atoms) for a in sorted(among, key=str) if (atoms := self._inducer.doubts(a))]
        if not doubtful or self._left <= 0:
            return
        action, atoms = self._rng.choice(doubtful)
        if self._inducer.successes(action) < _SELDOM:
            self._as_siblings(action, meter)
        atom = min(atoms, key=lambda a: (self._vain[action, a], self._rng.random()))
        changed = self._without(atom, action, meter)
        self._vain[action, atom] += 1 if changed is not None else 5
        if changed is None:
            return
        for _ in range(1 + round(1 / max(0.1, self._inducer.chance(action)))):
            if self._act(action, changed, meter).ok or changed.observe().holds(atom):
                return

    def _as_siblings(self, action: Action, meter: SearchMeter) -> None:
        """Try an action where those of the same name worked: what both of them need was so there, and little else."""
        for other, world in sorted(self._works.items(), key=lambda one: str(one[0])):
            if other.name == action.name and other != action and self._left > 0:
                self._act(action, world.clone(), meter)

    def _without(self, atom: Atom, action: Action, meter: SearchMeter) -> Cloneable | None:
        """A copy of a state in which the action works, changed so that an atom no longer holds and its needs still
        do."""
        needs = [a for a in self._inducer.needs(action) if a != atom]
        works = self._works[action]
        others = list(works.affordances()) if isinstance(works, Affording) else []
        self._rng.shuffle(others)
        for other in others[:_CHANGES]:
            if other == action or self._left <= 0:
                continue
            world = works.clone()
            if self._act(other, world, meter).done:
                continue
            more = world.observe().holds(atom) and self._left > 0  # one thing more, such as a second step away
            if more and self._act(self._rng.choice(others), world, meter).done:
                continue
            now = world.observe()
            if not now.holds(atom) and all(now.holds(a) for a in needs):
                return world
        return self._brought_there(atom, needs, meter)

    def _brought_there(self, atom: Atom, needs: list[Atom], meter: SearchMeter) -> Cloneable | None:
        """A copy of a state of the archive that never had what an atom asks for, brought to where the needs hold."""
        without = [cell for cell in self._archive.values() if not cell.world.observe().holds(atom)]
        for cell in self._rng.sample(without, min(_CHANGES // 4, len(without))):
            world = cell.world.clone()
            seekers = {p.seeks: p.name for p in world.spec.primitives if p.seeks}
            for need in needs:
                if not world.observe().holds(need) and need.fact.predicate in seekers and self._left > 0:
                    self._look(Action(seekers[need.fact.predicate], need.fact.args), world, meter)
            now = world.observe()
            if not now.holds(atom) and all(now.holds(a) for a in needs):
                return world
        return None
