"""Houses from a seed: rooms, furniture and things by the tables in `_furnishing`, and where each lies, by chance.

What is *usual* is in every house under the same name; the rest differs from house to house. Names run from 1 in the
order of rooms, so that ``fridge_1`` is a fridge in any house.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from habilis.worlds.household._furnishing import (
    FURNITURE,
    ITEMS,
    LEFT_ON,
    LEFT_OPEN,
    LEFT_UNPLUGGED,
    ROOMS,
    TOGETHER,
    WASHED,
    WORN_DIRTY,
    Item,
)
from habilis.worlds.household._kinds import AGENT_KIND, ALSO_OPENED, kinds, said
from habilis.worlds.household._plan import AGENT, DIRTY, ON, OPEN, PLUGGED, Place, Plan, Thing
from habilis.worlds.household._tags import tags_of

__all__ = ["all_tags", "build", "places_for", "usual"]

_ITEM = {item.kind: item for item in ITEMS}
_MOST = 12  # things that one piece of furniture holds
_LEFT_FREE = {"bed": 2, "sofa": 1, "love_seat": 1, "chair": 0}  # and one on which somebody is to lie or sit


class _Draft(NamedTuple):
    name: str
    kind: str
    place: Place | None
    close: frozenset[int]


def build(seed: int, *, size: float = 1.0, second: bool = False) -> Plan:
    """The house of this seed. ``size``: how far counts go towards their most (0: only what is usual; 1: any number);
    ``second``: a second person lives there."""
    rng = random.Random(f"house:{seed}")
    drafts: list[_Draft] = []
    counts: dict[str, int] = {}
    rooms = [kind for kind, (low, high) in ROOMS.items() for _ in range(_count(rng, low, high, size))]
    for kind in rooms:
        drafts.append(_Draft(_next(counts, kind), kind, None, frozenset()))
    for room in range(len(rooms)):
        here: list[int] = []
        for piece in FURNITURE[rooms[room]]:
            for _ in range(_count(rng, piece.low, piece.high, size)):
                beside = [i for i in here if drafts[i].kind in TOGETHER.get(piece.kind, ())]
                beside += [i for i in here if piece.kind in TOGETHER.get(drafts[i].kind, ())]
                drafts.append(_Draft(_next(counts, piece.kind), piece.kind, Place("room", room), frozenset(beside)))
                here.append(len(drafts) - 1)
    load = dict.fromkeys(range(len(drafts)), 0)
    furniture = list(drafts)
    for item in ITEMS:
        for _ in range(_count(rng, item.low, item.high, size)):
            options = places_for(item.kind, [d.kind for d in furniture])
            free = [(w, p) for w, p in options if load[p.at] < _LEFT_FREE.get(furniture[p.at].kind, _MOST)]
            free = free or [(1.0, Place("room", r)) for r in range(len(rooms))]
            place = rng.choices([p for _, p in free], [w for w, _ in free])[0]
            load[place.at] += 1
            close = frozenset({place.at}) if place.how != "room" else frozenset()
            drafts.append(_Draft(_next(counts, item.kind), item.kind, place, close))
    start = rng.randrange(len(rooms))
    people = [(AGENT, start)] + ([("person_1", rng.randrange(len(rooms)))] if second else [])
    for name, room in people:
        drafts.append(_Draft(name, AGENT_KIND, Place("room", room), frozenset()))
    return Plan(tuple(_thing(rng, i, d) for i, d in enumerate(_mutual(drafts))), all_tags())


def places_for(kind: str, furniture: Sequence[str]) -> list[tuple[float, Place]]:
    """Where a thing of this class may lie, with weights: a class of furniture shares its weight among its pieces."""
    found: list[tuple[float, Place]] = []
    item = _ITEM.get(kind)
    for weight, how, at in item.at if item is not None else ():
        pieces = [i for i, other in enumerate(furniture) if other == at]
        found += [(weight / len(pieces), Place(how, i)) for i in pieces]
    return found


@lru_cache(maxsize=1)
def usual() -> dict[str, str]:
    """The things that are in every house, by name with their class."""
    counts: dict[str, int] = {}
    found = {}
    for kind, low, _ in _all():
        for _ in range(low):
            found[_next(counts, kind)] = kind
    return found


@lru_cache(maxsize=1)
def all_tags() -> dict[str, frozenset[str]]:
    """The tags over every name that a thing of some house may have: the same in each."""
    known = kinds()
    counts: dict[str, int] = {}
    names = [(_next(counts, kind), kind) for kind, _, high in _all() for _ in range(high)]
    tags = tags_of((name, kind, known.get(kind, frozenset())) for name, kind in names)
    return {**tags, "#person": frozenset({"person_1"})}


def _all() -> Iterator[tuple[str, int, int]]:
    """Each class with the least and the most that a house has."""
    totals: dict[str, list[int]] = {}
    for room, (low, high) in ROOMS.items():
        yield room, low, high
        for piece in FURNITURE[room]:
            total = totals.setdefault(piece.kind, [0, 0])
            total[0] += low * piece.low
            total[1] += high * piece.high
    for kind, (least, most) in totals.items():
        yield kind, least, most
    for item in ITEMS:
        yield item.kind, item.low, item.high


def _count(rng: random.Random, low: int, high: int, size: float) -> int:
    return low + round(rng.random() * (high - low) * min(1.0, max(0.0, size)))


def _next(counts: dict[str, int], kind: str) -> str:
    base = said(kind)
    counts[base] = counts.get(base, 0) + 1
    return f"{base}_{counts[base]}"


def _mutual(drafts: list[_Draft]) -> list[_Draft]:
    close = [set(d.close) for d in drafts]
    for i, d in enumerate(drafts):
        for other in d.close:
            close[other].add(i)
    return [d._replace(close=frozenset(c)) for d, c in zip(drafts, close, strict=True)]


def _thing(rng: random.Random, number: int, draft: _Draft) -> Thing:
    known = kinds()
    properties = known.get(draft.kind, frozenset())
    movable = draft.kind in _ITEM
    bits = 0
    if draft.kind == AGENT_KIND:
        properties = frozenset({"PERSON"})
    elif not movable:
        opens = "CAN_OPEN" in properties or draft.kind in ALSO_OPENED
        bits |= OPEN if opens and rng.random() < LEFT_OPEN else 0
        plugged = "HAS_PLUG" in properties and rng.random() >= LEFT_UNPLUGGED
        bits |= PLUGGED if plugged else 0
        works = "HAS_SWITCH" in properties and (plugged or "HAS_PLUG" not in properties)
        runs = works and "CONTAINERS" not in properties  # what runs cannot be opened, and hides what is in it
        bits |= ON if runs and rng.random() < LEFT_ON else 0
    else:
        bits |= PLUGGED if "HAS_PLUG" in properties else 0
        soiled = draft.kind in WASHED or "CLOTHES" in properties
        bits |= DIRTY if soiled and rng.random() < WORN_DIRTY else 0
    category = (
        "Rooms"
        if draft.place is None
        else "Characters"
        if draft.kind == AGENT_KIND
        else ("placable_objects" if movable else "Furniture")
    )
    return Thing(draft.name, draft.kind, category, properties, draft.place, bits, number + 1, draft.close)


def item(kind: str) -> Item | None:
    """The row of a class of things in the table."""
    return _ITEM.get(kind)
