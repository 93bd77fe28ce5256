"""How `find` and `go_near` walk: by what was seen alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from habilis.worlds.craft._spec import FIND_STEPS, NEAR_STEPS
from habilis.worlds.craft.terrain import Key

if TYPE_CHECKING:
    from habilis.worlds.craft._body import Body

# Clockwise; the search turns right wherever that shows as much as going on, which makes a spiral that stays close.
_COMPASS = ((1, 0), (0, 1), (-1, 0), (0, -1))
_FAR = 60  # cells around the agent in which a place not yet seen is looked for


class Search(NamedTuple):
    """What was reached (None: nothing), the steps walked, and whether a missing pickaxe stood in the way."""

    reached: str | None
    steps: int
    blocked: bool = False


def find(world: Body, things: Sequence[str], depth: int | None) -> Search:
    """Go to the closest known cell with one of the things, or explore at ``depth`` until one is seen."""
    here = _first(world, (world._x, world._y, world._depth), things)
    if here is not None:
        return Search(here, 0)
    known = [key for key, cell in world._seen.items() if any(t in cell for t in things)]
    place = _closest(world, known, FIND_STEPS)
    if place is not None:
        steps = _go(world, place)
        return Search(_first(world, place, things), steps)
    if known and depth is None:
        # It is known, but out of reach: too far, or deeper than one can dig yet.
        depth = min(known, key=lambda k: (_steps(world, k), k))[2]
    steps, left = 0, FIND_STEPS
    if depth is not None and depth != world._depth:
        if not world.can_enter(depth):
            return Search(None, 0, blocked=True)
        while world._depth != depth:
            new = world.enter(world._x, world._y, world._depth + (1 if depth > world._depth else -1))
            steps += 1
            place = _closest(world, [k for k in new if _first(world, k, things)], left - steps)
            if place is not None:
                steps += _go(world, place)
                return Search(_first(world, place, things), steps)
    heading = 0
    while steps < left:
        heading, reveals = _turn(world, heading)
        if reveals:
            dx, dy = _COMPASS[heading]
        else:
            away = _unseen(world)
            if away is None:
                break
            dx, dy = away
        new = world.enter(world._x + dx, world._y + dy, world._depth)
        steps += 1
        place = _closest(world, [k for k in new if _first(world, k, things)], left - steps)
        if place is not None:
            steps += _go(world, place)
            return Search(_first(world, place, things), steps)
    return Search(None, steps)


def go_near(world: Body, places: Sequence[Key]) -> int | None:
    """Go to the closest of these cells; the steps walked, or None when none is near enough."""
    place = _closest(world, places, NEAR_STEPS)
    return None if place is None else _go(world, place)


def _first(world: Body, key: Key, things: Sequence[str]) -> str | None:
    cell = world._seen.get(key) or {}
    return next((t for t in things if t in cell), None)


def _steps(world: Body, key: Key) -> int:
    return abs(key[0] - world._x) + abs(key[1] - world._y) + abs(key[2] - world._depth)


def _closest(world: Body, keys: Sequence[Key], limit: int) -> Key | None:
    """The closest cell that can be entered within ``limit`` steps; ties go to the smallest coordinates."""
    near = [(_steps(world, k), k) for k in keys if world.can_enter(k[2])]
    best = min(near, default=None)
    return best[1] if best is not None and best[0] <= limit else None


def _go(world: Body, goal: Key) -> int:
    steps = 0
    while (world._x, world._y, world._depth) != goal:
        x, y, depth = world._x, world._y, world._depth
        if depth > goal[2]:
            depth -= 1
        elif x != goal[0]:
            x += 1 if goal[0] > x else -1
        elif y != goal[1]:
            y += 1 if goal[1] > y else -1
        else:
            depth += 1
        world.enter(x, y, depth)
        steps += 1
    return steps


def _turn(world: Body, heading: int) -> tuple[int, int]:
    """The heading whose next step shows most cells, and how many; right before ahead before left before back."""
    best, most = heading, 0
    for turn in (1, 0, 3, 2):
        dx, dy = _COMPASS[(heading + turn) % 4]
        x, y = world._x + 2 * dx, world._y + 2 * dy
        shown = sum((x + side * dy, y + side * dx, world._depth) not in world._seen for side in (-1, 0, 1))
        if shown > most:
            best, most = (heading + turn) % 4, shown
    return best, most


def _unseen(world: Body) -> tuple[int, int] | None:
    """The first step towards the closest place that was not seen; None when all within `_FAR` cells was."""
    depth, seen = world._depth, world._seen
    found: tuple[int, int, int] | None = None
    for radius in range(2, _FAR):
        if found is not None and found[0] < radius:
            break
        for along in range(-radius, radius + 1):
            for dx, dy in ((along, -radius), (radius, along), (along, radius), (-radius, along)):
                if (world._x + dx, world._y + dy, depth) not in seen:
                    candidate = (abs(dx) + abs(dy), dx, dy)
                    found = candidate if found is None else min(found, candidate)
    if found is None:
        return None
    _, dx, dy = found
    return ((1 if dx > 0 else -1), 0) if abs(dx) >= abs(dy) else (0, (1 if dy > 0 else -1))
