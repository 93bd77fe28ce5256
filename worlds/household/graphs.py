"""Scene graphs in VirtualHome's format (JSON with nodes and edges): read into a house, and written from one.

VirtualHome lets a thing be in and on several others at once; here it is in one place: what it is inside, else what it
is on first, else its room. Whatever else it is on is kept as being close.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from habilis.core import InputError, Json
from habilis.worlds.household._house import House
from habilis.worlds.household._kinds import AGENT_KIND, PROPERTIES
from habilis.worlds.household._plan import AGENT, CLEAN, DIRTY, ON, OPEN, PLUGGED, Place, Plan, Thing, named
from habilis.worlds.household._tags import tags_of

__all__ = ["graph_of", "plan_of", "read_graph"]

_BITS = {"OPEN": OPEN, "ON": ON, "PLUGGED_IN": PLUGGED, "DIRTY": DIRTY, "CLEAN": CLEAN}
_PAIRS = (("CAN_OPEN", OPEN, "OPEN", "CLOSED"), ("HAS_SWITCH", ON, "ON", "OFF"))
_PLUG = ("HAS_PLUG", PLUGGED, "PLUGGED_IN", "PLUGGED_OUT")


def read_graph(path: str | Path) -> Json:
    """The graph in a file: the file itself, or its ``init_graph``. Raises `InputError`."""
    try:
        data = json.loads(Path(path).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read the scene {str(path)!r}: {error}") from error
    return data.get("init_graph", data) if isinstance(data, dict) else data


def plan_of(graph: Json) -> Plan:
    """The house that a scene graph describes. Raises `InputError` naming what is wrong with it."""
    try:
        return _plan(graph)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"this is no scene graph with nodes and edges, a room and a character ({type(error).__name__}: {error})"
        ) from error


def _plan(graph: Json) -> Plan:
    nodes = {int(n["id"]): n for n in graph["nodes"]}
    order = [*(i for i in nodes if nodes[i]["class_name"] != AGENT_KIND)]
    order += sorted(i for i in nodes if nodes[i]["class_name"] == AGENT_KIND)
    index = {number: i for i, number in enumerate(order)}
    edges: dict[str, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
    for edge in graph["edges"]:
        one, other = index[int(edge["from_id"])], index[int(edge["to_id"])]
        known = edges[edge["relation_type"].upper()][one]
        if other not in known:
            known.append(other)
    names = _names([nodes[i]["class_name"] for i in order])
    rooms = [index[i] for i in order if nodes[i].get("category") == "Rooms"]
    things = []
    for number in order:
        i, node = index[number], nodes[number]
        kind = node["class_name"]
        person = kind == AGENT_KIND
        properties = frozenset(str(p).upper() for p in node["properties"])
        states = [str(s).upper() for s in node["states"]]
        close = set(edges["CLOSE"][i]) | (set(edges["ON"][i]) if not person else set())
        place = None if i in rooms else _place(i, edges, rooms)
        seat = -1
        if person and place is not None and place.how != "room":
            place, seat = Place("room", _room_of(i, edges, rooms)), place.at if place.how == "on" else -1
        bits = 0
        for state in states:
            bits |= _BITS.get(state, 0)
        things.append(
            Thing(
                names[i],
                kind,
                str(node.get("category") or ""),
                properties | ({"PERSON"} if person else set()),
                place,
                bits,
                number,
                frozenset(close - {i}),
                frozenset(edges["FACING"][i]),
                tuple(s for s in states if not _owned(s, properties)),
                seat,
            )
        )
    people = {i for i, t in enumerate(things) if t.kind == AGENT_KIND}
    things = [
        replace(t, place=Place("worn", t.place.at)) if t.place and t.place.how == "on" and t.place.at in people else t
        for t in _mutual(things, people)
    ]
    for i in range(len(things)):
        if _in_circle(i, things):
            things[i] = replace(things[i], place=Place("room", _room_of(i, edges, rooms)))
    return Plan(tuple(things), tags_of((t.name, t.kind, t.properties) for t in things))


def _in_circle(thing: int, things: list[Thing]) -> bool:
    """Whether it is, at some depth, in or on itself."""
    place, seen = things[thing].place, {thing}
    while place is not None:
        if place.at in seen:
            return True
        seen.add(place.at)
        place = things[place.at].place
    return False


def _names(kinds: list[str]) -> list[str]:
    names = named([k if k != AGENT_KIND else "person" for k in kinds])
    first = kinds.index(AGENT_KIND)
    people = [i for i, k in enumerate(kinds) if k == AGENT_KIND]
    names[first] = AGENT
    for n, i in enumerate(people[1:], 1):
        names[i] = f"person_{n}"
    return names


def _place(thing: int, edges: Mapping[str, Mapping[int, list[int]]], rooms: Iterable[int]) -> Place:
    for relation in ("HOLDS_RH", "HOLDS_LH"):
        for holder, held in edges[relation].items():
            if thing in held:
                return Place("held", holder)
    known = set(rooms)
    around = [x for x in edges["INSIDE"].get(thing, ()) if x not in known]
    if around:
        return Place("in", around[0])
    on = edges["ON"].get(thing, ())
    if on and on[0] not in known:
        return Place("on", on[0])
    return Place("room", _room_of(thing, edges, rooms))


def _room_of(thing: int, edges: Mapping[str, Mapping[int, list[int]]], rooms: Iterable[int]) -> int:
    known = list(rooms)
    return next((x for x in edges["INSIDE"].get(thing, ()) if x in known), known[0])


def _mutual(things: list[Thing], people: set[int]) -> list[Thing]:
    """Closeness goes both ways; people's own is not a matter of the plan of things."""
    close = [set(t.close) for t in things]
    for i, others in enumerate(list(close)):
        if i not in people:
            for other in set(others) - people:
                close[other].add(i)
    return [
        replace(t, close=frozenset(c if i in people else c - people))
        for i, (t, c) in enumerate(zip(things, close, strict=True))
    ]


def _owned(state: str, properties: frozenset[str]) -> bool:
    """Whether a state follows from the bits and the properties, so that writing it out again needs no record."""
    for prop, _, on, off in (*_PAIRS, _PLUG):
        if state in (on, off):
            return prop in properties
    return state in _BITS


def graph_of(house: House) -> dict[str, Any]:
    """The scene graph of a house as it now stands; `plan_of` reads it back."""
    plan = house.plan
    nodes, edges = [], set()
    ids = [t.id or i + 1 for i, t in enumerate(plan.things)]
    for i, thing in enumerate(plan.things):
        bits = house.bits(i)
        states = [s for s in thing.extra if s not in ("SITTING", "LYING")]
        for prop, bit, on, off in (*_PAIRS, _PLUG):
            if prop in thing.properties:
                states.append(on if bits & bit else off)
        states += [s for s, b in (("DIRTY", DIRTY), ("CLEAN", CLEAN)) if bits & b]
        if i in plan.people:
            pose = house.people[plan.people.index(i)].pose
            states += [pose.upper()] if pose else []
        nodes.append(
            {
                "id": ids[i],
                "class_name": thing.kind,
                "category": thing.category,
                "properties": sorted(p for p in thing.properties if p in PROPERTIES),
                "states": sorted(set(states)),
                "prefab_name": None,
                "bounding_box": None,
            }
        )
        if thing.place is None:
            continue
        place, room = house.place(i), house.room(i)
        edges.add((i, "INSIDE", room))
        if place.how in ("in", "on"):
            edges.add((i, "INSIDE" if place.how == "in" else "ON", place.at))
        if place.how == "worn":
            edges.add((i, "ON", place.at))
        if i not in house.moved and i not in plan.people:
            edges |= {(i, "CLOSE", other) for other in thing.close - house.moved}
            edges |= {(i, "FACING", other) for other in thing.facing}
    _, _, links = house.tables()
    edges |= {(i, "CLOSE", other) for i, others in links.items() for other in others}
    for who, i in enumerate(plan.people):
        person = house.people[who]
        edges |= {e for x in person.near for e in ((i, "CLOSE", x), (x, "CLOSE", i))}
        edges |= {(i, "FACING", x) for x in person.facing}
        edges |= {(i, relation, x) for relation, x in zip(("HOLDS_RH", "HOLDS_LH"), person.hands, strict=False)}
        if person.pose:
            edges.add((i, "ON", person.seat))
    told = [{"from_id": ids[a], "relation_type": r, "to_id": ids[b]} for a, r, b in sorted(edges)]
    return {"nodes": nodes, "edges": told}
