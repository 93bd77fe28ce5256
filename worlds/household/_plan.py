"""What stays as it is in a house: its things with their names and properties, what is close to what, and all facts.

Things are numbered from 0; a house's state (`habilis.worlds.household._house`) is tables over these numbers. A plan is
made once per house and shared by every state of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from habilis.core import Fact
from habilis.worlds.household._kinds import (
    AGENT_KIND,
    ALSO_GRABBED,
    ALSO_MOVED,
    ALSO_OPENED,
    ALSO_POURED_INTO,
    ALSO_TYPED_ON,
    BEDS,
    SEATS,
    SQUEEZED,
    said,
)

AGENT = "agent"
OPEN, ON, PLUGGED, DIRTY, CLEAN = 1, 2, 4, 8, 16  # the bits of a thing's state
EDIBLE, NO_SEAT, NO_BED, CARRIED = 32, 64, 128, 256  # and what follows from what is on it, or from who holds it


class Place(NamedTuple):
    """Where a thing is. ``how``: "room" (on the floor, or a fixed part of the room), "on", "in", "held" or "worn"."""

    how: str
    at: int


class Record(NamedTuple):
    """A thing as it was seen."""

    place: Place
    room: int
    bits: int


@dataclass(frozen=True, slots=True)
class Thing:
    """One thing of a house as it is at first. ``id`` and ``states`` are VirtualHome's; ``place``: None for rooms."""

    name: str
    kind: str
    category: str
    properties: frozenset[str]
    place: Place | None
    bits: int = 0
    id: int = 0
    close: frozenset[int] = frozenset()
    facing: frozenset[int] = frozenset()
    extra: tuple[str, ...] = ()  # states without the property they belong to, and a person's pose
    seat: int = -1  # what a person sits or lies on


@dataclass(eq=False)
class Plan:
    """The things of one house. Raises `ValueError` where there is no agent or no room."""

    things: tuple[Thing, ...]
    tags: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        things = self.things
        self.index = {t.name: i for i, t in enumerate(things)}
        self.names = tuple(t.name for t in things)
        self.kinds = tuple(t.kind for t in things)
        self.rooms = tuple(i for i, t in enumerate(things) if t.place is None)
        self.people = tuple(i for i, t in enumerate(things) if t.kind == AGENT_KIND)
        if not self.people or not self.rooms:
            raise ValueError("a house needs a character and a room")
        self.close = tuple(t.close for t in things)
        self.facing = tuple(t.facing for t in things)
        self.body = frozenset(self.having("BODY_PART"))
        self.grabbed = frozenset(self.having("GRABBABLE", ALSO_GRABBED))
        self.opened = frozenset(self.having("CAN_OPEN", ALSO_OPENED))
        self.switched = frozenset(self.having("HAS_SWITCH"))
        self.plugs = frozenset(self.having("HAS_PLUG"))
        self.sat_on = frozenset(self.having("SITTABLE"))
        self.lain_on = frozenset(self.having("LIEABLE"))
        self.worn = frozenset(self.having("CLOTHES"))
        self.read = frozenset(self.having("READABLE"))
        self.eaten = frozenset(self.having("EATABLE"))
        self.cut = self.eaten & frozenset(self.having("CUTTABLE"))
        self.drunk = frozenset(self.having("DRINKABLE")) | frozenset(self.having("RECIPIENT"))
        self.poured = frozenset(self.having("POURABLE")) | frozenset(self.having("DRINKABLE"))
        self.poured_into = frozenset(self.having("RECIPIENT", ALSO_POURED_INTO))
        self.typed_on = frozenset(self.having("HAS_SWITCH", ALSO_TYPED_ON))
        self.looked_at = frozenset(self.having("LOOKABLE"))
        self.moved = frozenset(self.having("MOVABLE", ALSO_MOVED))
        self.squeezed = self.worn | {i for i, t in enumerate(things) if t.kind in SQUEEZED}
        self.surfaces = frozenset(self.having("SURFACES"))
        self.containers = frozenset(self.having("CONTAINERS"))
        self.knives = frozenset(i for i, t in enumerate(things) if "knife" in t.kind)
        self.greeted = frozenset(self.having("PERSON"))
        self.furniture = frozenset(
            i for i, t in enumerate(things) if t.place is not None and i not in self.grabbed and i not in self.people
        )
        self.close_to = tuple(Fact("close_to", (n,)) for n in self.names)
        self.in_reach = tuple(Fact("in_reach", (n,)) for n in self.names)
        self.in_sight = tuple(Fact("in_sight", (n,)) for n in self.names)
        self.facing_it = tuple(Fact("facing", (n,)) for n in self.names)
        self._facts: dict[tuple[int, Record], tuple[Fact, ...]] = {}

    def having(self, wanted: str, also: Iterable[str] = ()) -> list[int]:
        kinds = frozenset(also)
        return [i for i, t in enumerate(self.things) if wanted in t.properties or t.kind in kinds]

    def facts_of(self, thing: int, record: Record) -> tuple[Fact, ...]:
        """All that is true of a thing that was seen like this."""
        known = self._facts.get((thing, record))
        if known is None:
            known = self._facts[thing, record] = tuple(self._made(thing, record))
        return known

    def _made(self, thing: int, record: Record) -> Iterable[Fact]:
        name, (how, at), bits = self.names[thing], record.place, record.bits
        yield Fact("in_room", (name, self.names[record.room]))
        if how == "on":
            yield Fact("on_top", (name, self.names[at]))
        elif how == "in":
            yield Fact("inside", (name, self.names[at]))
        elif how == "held":
            mine = at == self.people[0]
            yield Fact("holding", (name,)) if mine else Fact("held_by", (name, self.names[at]))
        elif how == "worn":
            mine = at == self.people[0]
            yield Fact("wearing", (name,)) if mine else Fact("worn_by", (name, self.names[at]))
        if thing in self.opened:
            yield Fact("is_open" if bits & OPEN else "is_closed", (name,))
        if bits & ON:
            yield Fact("is_on", (name,))
        if thing in self.plugs:
            yield Fact("plugged_in" if bits & PLUGGED else "unplugged", (name,))
        if bits & DIRTY:
            yield Fact("dirty", (name,))
        if bits & EDIBLE or thing in self.eaten:
            yield Fact("edible", (name,))
        for bit, predicate in ((NO_SEAT, "no_seat"), (NO_BED, "no_bed"), (CARRIED, "carried")):
            if bits & bit:
                yield Fact(predicate, (name,))

    def seats(self, thing: int) -> int:
        return SEATS.get(self.kinds[thing], 1)

    def beds(self, thing: int) -> int:
        return BEDS.get(self.kinds[thing], 1)


def named(kinds: Sequence[str]) -> list[str]:
    """A name for each of these things, by its class: ``apple_1``, ``apple_2``."""
    counts: Counter[str] = Counter()
    names = []
    for kind in kinds:
        base = said(kind)
        counts[base] += 1
        names.append(f"{base}_{counts[base]}")
    return names
