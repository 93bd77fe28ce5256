"""Ways over the cells that are known: to a thing, to where something can be put, to where nobody has looked yet.

Only what was seen counts; cells that were not are walked towards, for they may be free. A way is a list of the
package's actions. It may lead through what can be moved or opened: then the walk ends before it.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable

from habilis.worlds.grid._seen import AHEAD, Cell, Seen

LEFT, RIGHT, FORWARD = 0, 1, 2
Pose = tuple[int, int, int]  # x, y, direction

# What going into a cell takes, in steps, about: a door is opened, a thing carried away, a key fetched.
_STEP, _UNKNOWN, _SHUT, _OBJECT, _LOCKED, _LOCKED_WITH_KEY = 1.0, 2.0, 3.0, 14.0, 40.0, 4.0
_BEYOND = 8  # cells beyond all that is known that are thought of


def way(seen: Seen, pose: Pose, wanted: Callable[[Cell, Cell], bool]) -> list[int] | None:
    """The cheapest way to a pose that is wanted: by the cell that one stands in, and the one that one faces. None
    where there is no way."""
    xs, ys = [c[0] for c in seen.floor], [c[1] for c in seen.floor]
    west, east, north, south = min(xs) - _BEYOND, max(xs) + _BEYOND, min(ys) - _BEYOND, max(ys) + _BEYOND
    costs: dict[Pose, float] = {pose: 0.0}
    before: dict[Pose, tuple[Pose, int]] = {}
    heap: list[tuple[float, int, Pose]] = [(0.0, 0, pose)]
    done: set[Pose] = set()
    count = 0
    while heap:
        cost, _, here = heapq.heappop(heap)
        if here in done:
            continue
        done.add(here)
        x, y, facing = here
        dx, dy = AHEAD[facing]
        front = x + dx, y + dy
        if wanted((x, y), front):
            return _back(before, here, pose)
        nexts: list[tuple[Pose, int, float]] = [
            ((x, y, (facing - 1) % 4), LEFT, _STEP),
            ((x, y, (facing + 1) % 4), RIGHT, _STEP),
        ]
        if west <= front[0] <= east and north <= front[1] <= south and (step := _entering(seen, front)) is not None:
            nexts.append(((front[0], front[1], facing), FORWARD, step))
        for there, action, step in nexts:
            if there not in done and cost + step < costs.get(there, 1e9):
                costs[there] = cost + step
                before[there] = here, action
                count += 1
                heapq.heappush(heap, (cost + step, count, there))
    return None


def _entering(seen: Seen, cell: Cell) -> float | None:
    """What it takes to go into a cell; None: nobody can."""
    floor = seen.floor.get(cell)
    if floor is None:
        return _UNKNOWN
    if not floor:
        return None
    if cell not in seen.things:
        return _STEP
    state = seen.doors.get(cell, "") if seen.things[cell].kind == "door" else "object"
    if state == "locked":
        held, door = seen.held, seen.things[cell]
        return _LOCKED_WITH_KEY if held is not None and (held.kind, held.colour) == ("key", door.colour) else _LOCKED
    return {"open": _STEP, "shut": _SHUT}.get(state, _OBJECT)


def _back(before: dict[Pose, tuple[Pose, int]], here: Pose, start: Pose) -> list[int]:
    found = []
    while here != start:
        here, action = before[here]
        found.append(action)
    return found[::-1]
