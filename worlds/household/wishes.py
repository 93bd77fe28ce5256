"""What may be wanted in a house, and what is worth trying: from what is known of it alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from habilis.core import Action, Atom, Fact
from habilis.worlds.household._house import House
from habilis.worlds.household._memory import Memory
from habilis.worlds.household._plan import DIRTY, ON, PLUGGED
from habilis.worlds.household.generator import item, usual

__all__ = ["afforded", "wanted"]

_MOST = 160  # goals at once
_PUT = 6  # places close by that are tried for a held thing


def wanted(house: House, memory: Memory, generated: bool) -> list[Atom]:
    """What is not so and may be wanted; of generated houses only what every house has, so that skills carry over."""
    plan = house.plan
    pool = set(usual()) if generated else set(plan.names)
    facts = memory.facts()
    atoms: list[Atom] = []
    for thing, name in enumerate(plan.names):
        if name in pool and plan.things[thing].place is not None:
            atoms += [a for a in _about(house, memory, thing, name) if not a.holds_for(facts.get(a.fact))]
    return list(dict.fromkeys(atoms))[:_MOST]


def _about(house: House, memory: Memory, thing: int, name: str) -> Iterator[Atom]:
    plan = house.plan
    first = name.endswith("_1")
    if not first:
        return
    fixed = thing in plan.furniture
    if fixed and thing in plan.opened:
        yield Atom(Fact("is_open", (name,)))
        yield Atom(Fact("is_closed", (name,)))
    if fixed and thing in plan.switched:
        yield Atom(Fact("is_on", (name,)))
        yield Atom(Fact("is_on", (name,)), "==", False)
    if fixed and thing in plan.plugs:
        yield Atom(Fact("plugged_in", (name,)))
        yield Atom(Fact("unplugged", (name,)))
    if thing in plan.sat_on:
        yield Atom(Fact("sitting_on", (name,)))
    if thing in plan.lain_on:
        yield Atom(Fact("lying_on", (name,)))
    if thing in plan.looked_at and fixed:
        yield Atom(Fact("done", ("watch", name)))
    if thing in plan.grabbed:
        yield from _about_movable(house, memory, thing, name)


def _about_movable(house: House, memory: Memory, thing: int, name: str) -> Iterator[Atom]:
    plan = house.plan
    yield Atom(Fact("holding", (name,)))
    row = item(plan.kinds[thing])
    for _, how, kind in (row.at if row is not None else ())[:3]:
        goal = f"{kind}_1"
        if goal in plan.index:
            yield Atom(Fact("on_top" if how == "on" else "inside", (name, goal)))
    record = memory.known(thing)
    if record is not None and record.bits & DIRTY:
        yield Atom(Fact("dirty", (name,)), "==", False)
    if thing in plan.worn:
        yield Atom(Fact("wearing", (name,)))
    for deed, able in (("read", plan.read), ("eat", plan.eaten), ("cut", plan.cut)):
        if thing in able:
            yield Atom(Fact("done", (deed, name)))
    if "DRINKABLE" in plan.things[thing].properties:
        yield Atom(Fact("done", ("drink", name)))


def afforded(house: House, memory: Memory, told: bool) -> list[Action]:
    """What suits the things close by and held, and going to what is in this room and to rooms. Where the rules are not
    ``told``, also what suits the rest of the room: that one has to go there is found out by trying."""
    found = set(_going(house, memory)) | set(_doing(house, memory))
    if not told:
        for thing in _in_the_room(house, memory):
            found.update(Action(name, (house.plan.names[thing],)) for name in _suiting(house, thing))
    return sorted(found)


def _in_the_room(house: House, memory: Memory) -> Iterator[int]:
    """The things that are known to lie or stand here, people apart."""
    for thing in range(len(house.plan.things)):
        record = memory.known(thing)
        here = record is not None and record.room == memory.room and record.place.how not in ("held", "worn")
        if here and thing not in house.plan.people:
            yield thing


def _going(house: House, memory: Memory) -> Iterator[Action]:
    plan = house.plan
    for room in plan.rooms:
        yield Action("walk", (plan.names[room],))
    for person in plan.people[1:]:
        if memory.known(person) is not None:
            yield Action("walk", (plan.names[person],))
    for thing in _in_the_room(house, memory):
        yield Action("find" if thing in plan.grabbed else "walk", (plan.names[thing],))


def _doing(house: House, memory: Memory) -> Iterator[Action]:
    plan, me = house.plan, house.people[0]
    close = [x for x in sorted(house.close(0)) if memory.known(x) is not None]
    for thing in close:
        for name in _suiting(house, thing):
            yield Action(name, (plan.names[thing],))
    for held in me.hands:
        name = plan.names[held]
        uses = ["drop", "put_back"]
        sets = (("read", plan.read), ("drink", plan.drunk), ("wear", plan.worn))
        uses += [use for use, able in sets if held in able]
        yield from (Action(use, (name,)) for use in uses)
        spots = [x for x in close if x not in me.hands]
        for x in [s for s in spots if s in plan.surfaces][:_PUT]:
            yield Action("put_on", (name, plan.names[x]))
        for x in [s for s in spots if s in plan.containers][:_PUT]:
            yield Action("put_in", (name, plan.names[x]))
        if held in plan.poured:
            for x in [s for s in spots if s in plan.poured_into][:_PUT]:
                yield Action("pour", (name, plan.names[x]))
    for thing in sorted(house.contents(plan.people[0]) & plan.worn):
        if house.place(thing).how == "worn":
            yield Action("take_off", (plan.names[thing],))
    for person in plan.people[1:]:
        record = memory.known(person)
        if record is not None and record.room == memory.room:
            yield from (Action(name, (plan.names[person],)) for name in ("turn_to", "greet", "look_at"))
    if me.pose:
        yield from (Action(name) for name in ("stand_up", "sleep", "wake_up"))
    if len(me.hands) == 2:
        yield Action("free_hand")


def _suiting(house: House, thing: int) -> Iterable[str]:
    plan, bits = house.plan, house.bits(thing)
    if thing in plan.grabbed:
        yield "grab"
    if thing in plan.opened:
        yield "close" if not house.is_closed(thing) else "open"
    if thing in plan.switched:
        yield "switch_off" if bits & ON else "switch_on"
    if thing in plan.plugs:
        yield "plug_out" if bits & PLUGGED else "plug_in"
    if bits & DIRTY:
        yield from ("wash", "rinse", "scrub", "wipe")
    if thing in plan.sat_on:
        yield "sit"
    if thing in plan.lain_on:
        yield "lie"
    if thing in plan.eaten:
        yield "eat"
    if thing in plan.cut:
        yield "cut"
    if thing in plan.typed_on and thing in plan.furniture:
        yield "type"
    if thing in plan.looked_at:
        yield from ("turn_to", "watch")
