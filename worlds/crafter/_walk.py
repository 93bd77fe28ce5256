"""Ways over the land that is known: to a thing, to a station, to where nobody has looked yet.

Only what was seen counts. A way is a list of directions; the last of them may be a turn towards something solid, into
which nobody walks.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import TypeVar

import numpy as np

from habilis.worlds.crafter import _tables as tables
from habilis.worlds.crafter._game import AREA
from habilis.worlds.crafter._seen import Cell, Seen
from habilis.worlds.crafter._tables import DIRECTIONS, MATERIALS

_WALK = np.array([m in tables.WALKABLE for m in MATERIALS])
_SOLID = np.array([m in tables.SOLID for m in MATERIALS])
_ELSEWHERE = 12.0  # steps that another sort of land is worse than the one asked for
_THROUGH = 5.0  # steps that removing something takes, about
_DETOUR = 4  # steps that another station beside is worth
_SIDES = tuple(DIRECTIONS.items())

_T = TypeVar("_T")


class Ground:
    """The known land at one moment, for one walk."""

    def __init__(self, seen: Seen, at: Cell) -> None:
        self._seen, self._at = seen, at
        free = _WALK[seen.land]
        for cell in seen.things:
            free[cell] = False
        self._free = free
        self._parents: dict[Cell, tuple[Cell, str]] | None = None
        self._distance: dict[Cell, float] = {}

    def to(self, thing: str) -> list[str] | None:
        """The shortest way after which the agent faces this; None where nothing of the kind can be reached."""
        if thing in tables.WALKABLE:
            return self._to_ground(thing)
        wanted = self._cells(thing)
        if not wanted:
            return None

        def facing(cell: Cell) -> str | None:
            return next((name for name, (dx, dy) in _SIDES if (cell[0] + dx, cell[1] + dy) in wanted), None)

        found = self._nearest(facing)
        return None if found is None else [*self._way(found[0]), found[1]]

    def beside(self, station: str) -> list[str] | None:
        """A short way to where a station is among the eight cells around; of places nearly as close, one that is beside
        other stations too."""
        self._spread()
        spots = {s: self._around(s) for s in tables.STATIONS}
        found = [c for c in self._distance if c in spots[station] and c != self._at]  # the nearest first
        if not found:
            return None
        most = self._distance[found[0]] + _DETOUR
        near = [cell for cell in found if self._distance[cell] <= most]
        return self._way(max(near, key=lambda cell: sum(cell in spot for spot in spots.values())))

    def to_unknown(self, rock: int | None) -> list[str] | None:
        """The best way to where the known land ends; with ``rock``, rather where the land is like that."""
        self._spread()
        land, best = self._seen.land, None
        for cell, distance in self._distance.items():
            x, y = cell
            if not any(
                0 <= x + dx < AREA[0] and 0 <= y + dy < AREA[1] and not land[x + dx, y + dy] for _, (dx, dy) in _SIDES
            ):
                continue
            cost = distance
            if rock is not None and (best is None or cost < best[0]):
                cost += _ELSEWHERE * abs(self._seen.rocky(cell) - rock)
            if best is None or cost < best[0]:
                best = cost, cell
        return None if best is None else self._way(best[1])

    def through(self, thing: str | None) -> list[str] | None:
        """The cheapest way to face a thing, or (None) to the end of the known land, that leads through what is solid
        now but may be removed."""
        wanted = self._cells(thing) if thing is not None else frozenset()
        land, solid = self._seen.land, _SOLID[self._seen.land]
        costs: dict[Cell, float] = {self._at: 0.0}
        parents: dict[Cell, tuple[Cell, str]] = {}
        heap: list[tuple[float, Cell]] = [(0.0, self._at)]
        done: set[Cell] = set()
        while heap:
            cost, cell = heapq.heappop(heap)
            if cell in done:
                continue
            done.add(cell)
            for name, (dx, dy) in _SIDES:
                x, y = side = cell[0] + dx, cell[1] + dy
                if not (0 <= x < AREA[0] and 0 <= y < AREA[1]):
                    continue
                if side in wanted or (thing is None and not land[side]):
                    return [*_back(parents, cell, self._at), name]
                step = 1.0 if self._free[side] else _THROUGH if solid[side] and side not in self._seen.things else None
                if step is not None and cost + step < costs.get(side, 1e9):
                    costs[side], parents[side] = cost + step, (cell, name)
                    heapq.heappush(heap, (cost + step, side))
        return None

    # ------------------------------------------------------------------ inside

    def _around(self, station: str) -> set[Cell]:
        return {(x + i, y + j) for x, y in self._cells(station) for i in (-1, 0, 1) for j in (-1, 0, 1)}

    def _cells(self, thing: str) -> frozenset[Cell]:
        if thing in MATERIALS:
            xs, ys = np.nonzero(self._seen.land == MATERIALS.index(thing))
            return frozenset(zip(xs.tolist(), ys.tolist(), strict=True)) - self._seen.things.keys()
        return frozenset(c for c, kind in self._seen.things.items() if kind == thing)

    def _to_ground(self, thing: str) -> list[str] | None:
        """To face free ground one has to come from behind it, for a step towards it leads into it."""
        number, land, free = MATERIALS.index(thing), self._seen.land, self._free
        self._spread()
        assert self._parents is not None
        for cell, (_, name) in self._parents.items():  # in the order in which they were reached
            dx, dy = DIRECTIONS[name]
            x, y = cell[0] + dx, cell[1] + dy
            if 0 <= x < AREA[0] and 0 <= y < AREA[1] and land[x, y] == number and free[x, y]:
                return self._way(cell)
        return None

    def _nearest(self, wanted: Callable[[Cell], _T | None]) -> tuple[Cell, _T] | None:
        self._spread()
        for cell in self._distance:
            if (what := wanted(cell)) is not None:
                return cell, what
        return None

    def _spread(self) -> None:
        """All free cells that can be walked to, the nearest first."""
        if self._parents is not None:
            return
        parents: dict[Cell, tuple[Cell, str]] = {}
        distance: dict[Cell, float] = {self._at: 0.0}
        free, queue = self._free.tolist(), [self._at]
        for cell in queue:
            far = distance[cell] + 1
            for name, (dx, dy) in _SIDES:
                x, y = side = cell[0] + dx, cell[1] + dy
                if side not in distance and 0 <= x < AREA[0] and 0 <= y < AREA[1] and free[x][y]:
                    distance[side] = far
                    parents[side] = cell, name
                    queue.append(side)
        self._parents, self._distance = parents, distance

    def _way(self, cell: Cell) -> list[str]:
        assert self._parents is not None
        return _back(self._parents, cell, self._at)


def _back(parents: dict[Cell, tuple[Cell, str]], cell: Cell, start: Cell) -> list[str]:
    way = []
    while cell != start:
        cell, name = parents[cell]
        way.append(name)
    return way[::-1]
