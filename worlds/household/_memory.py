"""What the agent knows of a house: each thing as it was last seen, and the facts that follow.

What is in the agent's room is seen, unless something closed is around it: whenever it walks or looks for something. An
action by itself shows what it did and no more. Opening a cupboard does not tell what is in it, and what another person
did in the meantime is noticed with the next look; so what an action is seen to change is what it brought about, which
is what contracts are learned from. What was seen stays as it was seen until it is seen again, or is seen to be gone.

The rooms, the furniture with its states, and what the household owns are known from the start; where things lie is not.
The tables are shared by clones until one writes.
"""

from __future__ import annotations

from collections.abc import Iterable

from habilis.core import Change, Fact
from habilis.worlds.household._house import House
from habilis.worlds.household._plan import AGENT, CARRIED, EDIBLE, NO_BED, NO_SEAT, Plan, Record

_ALONE = {
    name: Fact(name) for name in ("hand_free", "resting", "sitting", "lying")
}  # facts about the agent that name nothing


class Memory:
    """``full``: everything is seen at all times. ``looked``: the containers whose insides were seen; ``visited``:
    the rooms that were."""

    __slots__ = ("_facts", "_known", "_near", "_owns", "_self", "full", "looked", "room", "visited")

    def __init__(self, house: House, full: bool) -> None:
        plan = house.plan
        self.full, self.room = full, -1
        self.looked: frozenset[int] = frozenset()
        self.visited: frozenset[int] = frozenset()
        self._known: list[Record | None] = [None] * len(plan.things)
        self._facts: dict[Fact, bool] = {}
        self._near: tuple[frozenset[int], ...] = (frozenset(),) * 4
        self._self: frozenset[Fact] = frozenset()
        self._owns = True
        known = range(len(plan.things)) if full else sorted(plan.furniture)
        for thing in known:
            if plan.things[thing].place is not None:
                self._learn(plan, thing, _record(house, thing))
        self.look(house)

    def fork(self) -> Memory:
        twin = Memory.__new__(Memory)
        for name in Memory.__slots__:
            setattr(twin, name, getattr(self, name))
        self._owns = twin._owns = False
        return twin

    def known(self, thing: int) -> Record | None:
        return self._known[thing]

    def facts(self) -> dict[Fact, bool]:
        """All facts, to be read only until the next `look`."""
        self._owns = False
        return self._facts

    def note(self, house: House) -> list[Change]:
        """Take in what an action of the agent's own did to the things that it can see, and no more."""
        changes: list[Change] = []
        touched, house.touched = dict.fromkeys(house.touched), []
        for thing in touched:
            if self.full or (house.room(thing) == self.room and not house.hidden(thing)):
                self._see(house, thing, changes)
        self._about_me(house, changes)
        return changes

    def feel(self, house: House) -> list[Change]:
        """Take in what is at hand, after others have acted."""
        changes: list[Change] = []
        house.touched = []
        self._about_me(house, changes)
        return changes

    def look(self, house: House, around: bool = False) -> list[Change]:
        """Take in what can be seen now (``around``: look at everything); what changed by it, in a fixed order."""
        plan, touched = house.plan, house.touched
        house.touched = []
        me = plan.people[0]
        room = house.room(me)
        changes: list[Change] = []
        moved = room != self.room
        self.room = room
        seen: Iterable[int]
        if self.full:
            seen = dict.fromkeys(touched)
        elif moved or around or (len(plan.people) > 1 and touched):
            seen = _visible(house, room)
            if len(plan.people) > 1:
                self._miss(house, set(seen), changes)
        else:
            found: dict[int, None] = {}
            for thing in touched:
                if thing not in found and house.room(thing) == room and not house.hidden(thing):
                    found[thing] = None
                    found.update(dict.fromkeys(_visible(house, thing)))
            seen = found
        self.visited |= {room}
        for thing in seen:
            if thing in plan.containers and not house.is_closed(thing):
                self.looked |= {thing}
            self._see(house, thing, changes)
        self._about_me(house, changes)
        return changes

    def forget_looking(self) -> None:
        """What was looked through may hold other things by now."""
        self.looked, self.visited = frozenset(), frozenset({self.room})

    # ------------------------------------------------------------------ inside

    def _see(self, house: House, thing: int, changes: list[Change]) -> None:
        if house.plan.things[thing].place is not None:
            record = _record(house, thing)
            if record != self._known[thing]:
                self._learn(house.plan, thing, record, changes)

    def _own(self) -> None:
        if not self._owns:
            self._known, self._facts, self._owns = self._known.copy(), self._facts.copy(), True

    def _learn(self, plan: Plan, thing: int, record: Record | None, changes: list[Change] | None = None) -> None:
        self._own()
        before = self._known[thing]
        old = plan.facts_of(thing, before) if before is not None else ()
        new = plan.facts_of(thing, record) if record is not None else ()
        self._known[thing] = record
        for fact in old:
            if fact not in new:
                del self._facts[fact]
                if changes is not None:
                    changes.append(Change(fact, True, False))
        for fact in new:
            if fact not in old:
                self._facts[fact] = True
                if changes is not None:
                    changes.append(Change(fact, False, True))

    def _miss(self, house: House, seen: set[int], changes: list[Change]) -> None:
        """Things that were remembered to lie here in the open, and do not."""
        for thing, record in enumerate(self._known):
            if record is None or record.room != self.room or thing in seen or thing in house.plan.furniture:
                continue
            around = record.place
            if around.how != "in" or not house.is_closed(around.at):
                self._learn(house.plan, thing, None, changes)

    def _about_me(self, house: House, changes: list[Change]) -> None:
        plan, me = house.plan, house.people[0]
        close = frozenset(x for x in house.close(0) if self._known[x] is not None)
        reach = frozenset(x for x in close if house.in_reach(0, x))
        sight = frozenset(x for x in plan.looked_at if house.room(x) == self.room and not house.hidden(x))
        near = (close, reach, sight, house.faced(0))
        if near != self._near:
            self._own()
            tables = (plan.close_to, plan.in_reach, plan.in_sight, plan.facing_it)
            for table, old, new in zip(tables, self._near, near, strict=True):
                if old is not new:
                    self._swap([table[x] for x in sorted(old - new)], [table[x] for x in sorted(new - old)], changes)
            self._near = near
        facts = {_ALONE["hand_free"]} if len(me.hands) < 2 else set()
        if me.pose:
            seat = "sitting_on" if me.pose == "sitting" else "lying_on"
            facts |= {_ALONE["resting"], _ALONE[me.pose], Fact(seat, (plan.names[me.seat],))}
        facts.update(Fact("done", (deed, plan.names[thing] if thing >= 0 else AGENT)) for deed, thing in me.done)
        facts.update(Fact("poured", (plan.names[a], plan.names[b])) for a, b in house.poured)
        now = frozenset(facts)
        if now != self._self:
            self._own()
            self._swap(sorted(self._self - now), sorted(now - self._self), changes)
            self._self = now

    def _swap(self, gone: list[Fact], come: list[Fact], changes: list[Change]) -> None:
        for fact in gone:
            del self._facts[fact]
            changes.append(Change(fact, True, False))
        for fact in come:
            self._facts[fact] = True
            changes.append(Change(fact, False, True))

    # -- as data -------------------------------------------------------------------------------------------------------

    def records(self) -> list[Record | None]:
        return self._known

    def restore(
        self, house: House, records: list[Record | None], looked: Iterable[int], visited: Iterable[int], room: int
    ) -> None:
        """Put back what was known; the facts follow from it."""
        plan = house.plan
        self.looked, self.visited, self.room = frozenset(looked), frozenset(visited), room
        self._known, self._facts, self._owns = [None] * len(records), {}, True
        self._near, self._self = (frozenset(),) * 4, frozenset()
        for thing, record in enumerate(records):
            if record is not None:
                self._learn(plan, thing, record)
        house.touched = []
        self._about_me(house, [])


def _record(house: House, thing: int) -> Record:
    plan, bits = house.plan, house.bits(thing)
    if thing not in plan.eaten and house.contents(thing) and house.is_edible(thing):
        bits |= EDIBLE
    if thing in plan.sat_on or thing in plan.lain_on:
        load = house.load(thing)
        bits |= (NO_SEAT if load >= plan.seats(thing) else 0) | (NO_BED if load >= plan.beds(thing) else 0)
    if house.people[0].hands and house.is_carried(0, thing):
        bits |= CARRIED
    return Record(house.place(thing), house.room(thing), bits)


def _visible(house: House, around: int) -> list[int]:
    """What lies open in or on a thing or a room, at any depth."""
    found: list[int] = []
    todo = [around]
    while todo:
        at = todo.pop()
        shut = house.is_closed(at)
        for thing in sorted(house.contents(at)):
            if not (shut and house.place(thing).how == "in"):
                found.append(thing)
                todo.append(thing)
    return found
