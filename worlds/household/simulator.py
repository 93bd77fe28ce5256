"""The belief about a house: what was seen stays, the rest is drawn anew.

The agent knows the rooms, the furniture and what the household owns. Where a thing was never seen, it is put where such
things are usually kept, into places that were not looked into; another person is somewhere else, with another aim and
other luck. Nothing of the true house that was not seen is left in what is imagined.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from habilis.worlds.household._house import House, Person
from habilis.worlds.household._people import Mind
from habilis.worlds.household._plan import CARRIED, EDIBLE, NO_BED, NO_SEAT, Place
from habilis.worlds.household.generator import places_for

if TYPE_CHECKING:
    from habilis.worlds.household.world import HouseholdWorld

_DERIVED = EDIBLE | NO_SEAT | NO_BED | CARRIED


class Belief:
    """What is known at one moment; `imagine` makes worlds that agree with it."""

    __slots__ = ("_world",)

    def __init__(self, world: HouseholdWorld) -> None:
        self._world = world.clone()

    def imagine(self, seed: int) -> HouseholdWorld:
        """A world that agrees with all that was seen; where the rest is, and luck, are drawn from ``seed``."""
        world = self._world.clone()
        rng = random.Random(f"belief:{seed}")
        world.minds = tuple(Mind("", (), rng.getrandbits(60), m.who) for m in world.minds)
        if not world.memory.full:
            world.house = _redrawn(world, rng)
        return world


def _redrawn(world: HouseholdWorld, rng: random.Random) -> House:
    """The house as it is remembered, with what was never seen at usual places."""
    true, memory = world.house, world.memory
    plan = true.plan
    places: list[Place | None] = [None] * len(plan.things)
    bits = [0] * len(plan.things)
    unseen = []
    for thing, first in enumerate(plan.things):
        if first.place is None:
            continue
        record = memory.known(thing)
        if record is not None:
            places[thing], bits[thing] = record.place, record.bits & ~_DERIVED
        else:
            unseen.append(thing)
    fixed = [k if i in plan.furniture else "" for i, k in enumerate(plan.kinds)]
    elsewhere = [r for r in plan.rooms if r != memory.room] or list(plan.rooms)
    for thing in unseen:
        if thing in plan.people:
            places[thing] = Place("room", rng.choice(elsewhere))
            continue
        closed = {i for i in plan.opened if not bits[i] & 1}
        options = [
            (w, p)
            for w, p in places_for(plan.kinds[thing], fixed)
            if _unseen(p, places, closed, memory.looked, memory.visited)
        ]
        if options:
            places[thing] = rng.choices([p for _, p in options], [w for w, _ in options])[0]
        else:
            shut = sorted(i for i in plan.containers & plan.furniture & closed if i not in memory.looked)
            hidden = [Place("in", i) for i in shut] or [Place("room", r) for r in elsewhere]
            places[thing] = rng.choice(hidden)
    house = true.clone()
    links = {
        i: frozenset(o for o in others if o not in unseen) for i, others in true.tables()[2].items() if i not in unseen
    }
    moved = frozenset(plan.grabbed - plan.furniture)
    for thing in sorted(moved):  # closeness is to what it now is in or on
        place = places[thing]
        if place is not None and place.how in ("in", "on"):
            links[thing] = links.get(thing, frozenset()) | {place.at}
            links[place.at] = links.get(place.at, frozenset()) | {thing}
    house.restore(places, bits, links, moved)
    house.people = (
        true.people[0].but(near=frozenset(x for x in true.people[0].near if x not in unseen)),
        *(Person() for _ in true.people[1:]),
    )
    house.touched = []
    return house


def _unseen(
    place: Place, places: list[Place | None], closed: set[int], looked: frozenset[int], visited: frozenset[int]
) -> bool:
    """Whether something may be there without having been seen."""
    if place.how == "in" and place.at in closed:
        return place.at not in looked
    at = places[place.at]
    return at is not None and at.how == "room" and at.at not in visited
