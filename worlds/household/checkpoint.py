"""The state of a household world as JSON. The plan is not in it: the seed gives it again, or the scene's file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from habilis.core import InputError, Json
from habilis.worlds.household._house import House, Person
from habilis.worlds.household._memory import Memory
from habilis.worlds.household._people import Mind
from habilis.worlds.household._plan import Place, Record

if TYPE_CHECKING:
    from habilis.worlds.household.world import HouseholdWorld

SCHEMA_VERSION = 1


def save(world: HouseholdWorld) -> Json:
    house, memory = world.house, world.memory
    places, bits, links = house.tables()
    return {
        "schema_version": SCHEMA_VERSION,
        "fingerprint": world.spec.fingerprint,
        "house": world.seed,
        "places": [_place(p) for p in places],
        "bits": list(bits),
        "links": [[i, sorted(others)] for i, others in sorted(links.items()) if others],
        "moved": sorted(house.moved),
        "poured": sorted(map(list, house.poured)),
        "people": [_person(p) for p in house.people],
        "minds": [[m.aim, [[name, list(things)] for name, things in m.left], m.luck, m.who] for m in world.minds],
        "known": [None if r is None else [_place(r.place), r.room, r.bits] for r in memory.records()],
        "looked": sorted(memory.looked),
        "visited": sorted(memory.visited),
        "room": memory.room,
    }


def load(world: HouseholdWorld, state: Json) -> None:
    """Put the state back. Raises `InputError`; the world is then as it was."""
    if not isinstance(state, dict) or state.get("schema_version") != SCHEMA_VERSION:
        version = state.get("schema_version") if isinstance(state, dict) else None
        raise InputError(f"household reads states of schema_version={SCHEMA_VERSION}, not {version!r}; save it anew")
    if state.get("fingerprint") != world.spec.fingerprint:
        raise InputError(
            f"the state was saved in a house of the kind {state.get('fingerprint')!r}, this world has "
            f"{world.spec.fingerprint!r}; make the world with the same options and scene"
        )
    try:
        seed = int(state["house"])
        plan = world.plan_for(seed)
        size = len(plan.things)
        places, bits = [_read_place(p, size) for p in state["places"]], [int(b) for b in state["bits"]]
        if len(places) != size or len(bits) != size or len(state["known"]) != size:
            raise ValueError(f"{len(places)} things, the house has {size}")
        house = House(plan)
        links = {int(i): frozenset(_thing(o, size) for o in others) for i, others in state["links"]}
        house.restore(places, bits, links, frozenset(_thing(i, size) for i in state["moved"]))
        if any((p is None) != (t.place is None) for p, t in zip(places, plan.things, strict=True)):
            raise ValueError("a thing is nowhere")
        house.poured = frozenset((_thing(a, size), _thing(b, size)) for a, b in state["poured"])
        house.people = tuple(_read_person(p, size) for p in state["people"])
        minds = tuple(
            Mind(
                str(aim),
                tuple((str(name), tuple(int(t) for t in things)) for name, things in left),
                int(luck),
                int(who),
            )
            for aim, left, luck, who in state["minds"]
        )
        if len(house.people) != len(plan.people):
            raise ValueError(f"{len(house.people)} people, the house has {len(plan.people)}")
        records = [
            None if r is None else Record(_certain(r[0], size), _thing(r[1], size), int(r[2])) for r in state["known"]
        ]
        memory = Memory(House(plan), world.memory.full)
        memory.restore(house, records, map(int, state["looked"]), map(int, state["visited"]), int(state["room"]))
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise InputError(f"the saved state is damaged ({type(error).__name__}: {error}); load another one") from error
    world.house, world.memory, world.minds, world.seed = house, memory, minds, seed


def _place(place: Place | None) -> Any:
    return None if place is None else [place.how, place.at]


def _thing(number: Any, size: int) -> int:
    if not 0 <= int(number) < size:
        raise ValueError(f"there is no thing {number}")
    return int(number)


def _certain(data: Any, size: int) -> Place:
    how, at = data
    if how not in ("room", "on", "in", "held", "worn"):
        raise ValueError(f"nothing is {how!r} anything")
    return Place(str(how), _thing(at, size))


def _read_place(data: Any, size: int) -> Place | None:
    return None if data is None else _certain(data, size)


def _person(person: Person) -> Any:
    return {
        "near": sorted(person.near),
        "hands": list(person.hands),
        "facing": sorted(person.facing),
        "pose": person.pose,
        "seat": person.seat,
        "origin": [[thing, _place(place)] for thing, place in person.origin],
        "done": sorted(map(list, person.done)),
    }


def _read_person(data: Any, size: int) -> Person:
    return Person(
        frozenset(_thing(i, size) for i in data["near"]),
        tuple(_thing(i, size) for i in data["hands"]),
        frozenset(_thing(i, size) for i in data["facing"]),
        str(data["pose"]),
        int(data["seat"]),
        tuple((_thing(i, size), _certain(place, size)) for i, place in data["origin"]),
        frozenset((str(deed), int(thing)) for deed, thing in data["done"]),
    )
