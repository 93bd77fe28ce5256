"""Looking for things: going up to what is known, and through rooms and cupboards for what is not.

``walk`` makes a thing close, ``find`` lays it in reach besides (it opens what the thing is shut in). On the way closed
furniture is opened, looked into and closed again. Where to look first is common sense: the table of where things are
usually kept. Nothing is used that was not seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from habilis.core import Atom, Fact
from habilis.worlds.household._rules import BY_NAME, WALK
from habilis.worlds.household.generator import item

if TYPE_CHECKING:
    from habilis.worlds.household.world import HouseholdWorld

MAX_STEPS = 200
_ROUNDS = 12  # attempts to come up to something that is carried about


class Seeking:
    """One search by one agent. ``reached``: the thing found; ``unmet``: what stood in the way."""

    def __init__(self, world: HouseholdWorld, targets: Sequence[int], opening: bool) -> None:
        self._world, self._targets, self._opening = world, targets, opening
        self.steps = 0
        self.reached: int | None = None
        self.unmet: list[Atom] = []

    def go(self) -> None:
        world = self._world
        house, memory = world.house, world.memory
        if self._arrived():
            return
        if house.people[0].pose:
            self.unmet = [Atom(Fact("resting"), "==", False)]
            return
        again = len(house.people) > 1
        for _ in range(_ROUNDS):
            known = self._known()
            if known is not None:
                if not self._approach(known) or self.reached is not None:
                    return
                continue
            if self._explore():
                continue
            if again and self.steps < MAX_STEPS // 2:
                again = False  # somebody may have moved it: look once more
                memory.forget_looking()
                continue
            return

    # ------------------------------------------------------------------ inside

    def _arrived(self) -> bool:
        house, memory = self._world.house, self._world.memory
        for thing in self._targets:
            if thing in house.plan.rooms:
                if house.room(house.plan.people[0]) == thing:
                    self.reached = thing
            elif memory.known(thing) is not None:
                close = house.in_reach(0, thing) if self._opening else house.is_close(0, thing)
                if close:
                    self.reached = thing
            if self.reached is not None:
                return True
        return False

    def _known(self) -> int | None:
        """The target to go for: one in this room before others."""
        memory = self._world.memory
        rooms = self._world.house.plan.rooms
        known = [t for t in self._targets if t in rooms or memory.known(t) is not None]
        here = [t for t in known if (record := memory.known(t)) is not None and record.room == memory.room]
        return next(iter([*here, *known]), None)

    def _act(self, name: str, *things: int) -> bool:
        """One action on the way; whether it worked."""
        if self.steps >= MAX_STEPS:
            return False
        rule = WALK if name == "walk" else BY_NAME[name]
        house = self._world.house
        if rule.lacks(house, 0, things):
            return False
        rule.run(house, 0, things)
        self.steps += 1
        self._world.passes()
        return True

    def _approach(self, thing: int) -> bool:
        """Go up to something that is known; False where that is not to be."""
        house, memory = self._world.house, self._world.memory
        record = memory.known(thing)
        if record is None or record.place.how in ("on", "room", "in"):
            spot = thing if record is None or record.place.how == "room" else record.place.at
            if record is not None and (house.room(thing) != record.room or house.place(thing) != record.place):
                # it is remembered where it no longer is: go there and see
                if not self._act("walk", spot if spot != thing else record.room):
                    return False
                if memory.known(thing) == record and house.is_closed(spot) and not self._look_into(spot):
                    return False
                return memory.known(thing) != record
        if not self._act("walk", thing):
            return False
        if self._arrived() or memory.known(thing) is None:
            return True
        if not self._opening:
            return False
        around = [x for x in house.above(thing) if house.is_closed(x)]
        for shut in reversed(around):
            if not self._act("walk", shut) or not self._open(shut):
                return False
        if around:
            self._act("walk", thing)
        return self._arrived() or house.in_reach(0, thing)

    def _open(self, container: int) -> bool:
        house = self._world.house
        if self._act("open", container):
            return True
        for lack in BY_NAME["open"].lacks(house, 0, (container,)):
            if lack.predicate in ("hand_free", "is_on"):
                names = tuple(house.plan.names[t] for t in lack.things)
                self._lacking(Atom(Fact(lack.predicate, names), "==", lack.so))
        return False

    def _look_into(self, container: int) -> bool:
        """Open it, look, and close it again unless the search ends here; False where it cannot be opened."""
        if not self._act("walk", container) or not self._open(container):
            return False
        if not self._found_one():
            self._act("close", container)
        return True

    def _found_one(self) -> bool:
        return any(self._world.memory.known(t) is not None for t in self._targets)

    def _explore(self) -> bool:
        """Look into the likeliest place not yet seen; False where none is left."""
        world = self._world
        house, memory = world.house, world.memory
        plan = house.plan
        weights = _weights(plan.kinds[t] for t in self._targets)
        rooms = [r for r in plan.rooms if r not in memory.visited]
        shut = [
            c
            for c in sorted(plan.opened & plan.containers & plan.furniture)
            if c not in memory.looked and house.room(c) in memory.visited
        ]

        def likely(x: int) -> float:
            if x in plan.rooms:
                return sum(weights.get(plan.kinds[f], 0.0) for f in sorted(house.contents(x) & plan.furniture))
            return weights.get(plan.kinds[x], 0.0)

        options = sorted([*rooms, *shut], key=lambda x: (-likely(x), house.room(x) != memory.room, x))
        for place in options:
            if self.steps >= MAX_STEPS:
                return False
            if place in plan.rooms:
                return self._act("walk", place)
            if self._look_into(place):
                return True
            memory.looked |= {place}
        return False

    def _lacking(self, atom: Atom) -> None:
        if atom not in self.unmet:
            self.unmet.append(atom)


def _weights(kinds: Iterable[str]) -> dict[str, float]:
    """By class of furniture: how likely one of these things is in or on it."""
    found: dict[str, float] = {}
    for kind in kinds:
        row = item(kind)
        for weight, _, at in row.at if row is not None else ():
            found[at] = found.get(at, 0.0) + weight
    return found
