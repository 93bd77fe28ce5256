"""What the agent sees, and what it remembers of what it saw: all that walking and programs may know."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from habilis.worlds.crafter import _tables as tables
from habilis.worlds.crafter._game import AREA, Game
from habilis.worlds.crafter._tables import EDGE, MATERIALS

Cell = tuple[int, int]
_ACROSS, _DOWN = tables.WIDE // 2, tables.HIGH // 2
_ROCK = np.array([m in tables.ROCK for m in MATERIALS])


class Seen:
    """The land as remembered, creatures and plants where they were last seen, and which kinds of things there are.

    ``land``: materials as numbers (0: never seen), uint8, (64, 64). ``things``: by cell. ``now``: those in view.
    """

    __slots__ = ("kinds", "land", "now", "things", "ways")

    def __init__(self) -> None:
        self.land = np.zeros(AREA, np.uint8)
        self.things: Mapping[Cell, str] = {}
        self.now: Mapping[Cell, str] = {}
        self.ways: Mapping[Cell, Cell] = {}  # where the arrows in view fly
        self.kinds: frozenset[str] = frozenset()

    def clone(self) -> Seen:
        twin = Seen.__new__(Seen)
        twin.land, twin.things, twin.now, twin.ways = self.land.copy(), self.things, self.now, self.ways
        twin.kinds = self.kinds
        return twin

    def look(self, game: Game) -> None:
        """Take in the local view: 9 by 7 cells around the player."""
        x0, x1, y0, y1 = view(game.position)
        part = game.land[x0:x1, y0:y1]
        self.land[x0:x1, y0:y1] = part
        now, ways = {}, {}
        for x, y, kind, way in game.things(x0, x1, y0, y1):
            now[x, y] = kind
            if kind == "arrow":
                ways[x, y] = way
        kept = {c: k for c, k in self.things.items() if k != "arrow" and not (x0 <= c[0] < x1 and y0 <= c[1] < y1)}
        kept.update(now)
        self.things, self.now, self.ways = kept, now, ways
        there = {MATERIALS[m] for m in np.unique(part).tolist()} | set(now.values())
        if not there <= self.kinds:
            self.kinds |= there

    def at(self, cell: Cell) -> str:
        """What is in a cell, as far as is known: a creature or a plant before the ground."""
        return self.things.get(cell) or self.ground(cell)

    def ground(self, cell: Cell) -> str:
        """The material of a cell, whoever stands there."""
        if not (0 <= cell[0] < AREA[0] and 0 <= cell[1] < AREA[1]):
            return EDGE
        return MATERIALS[self.land[cell]]

    def near(self, cell: Cell) -> set[str]:
        """What is in a cell and the eight around it."""
        x, y = cell
        return {self.at((i, j)) for i in (x - 1, x, x + 1) for j in (y - 1, y, y + 1) if (i, j) != cell}

    def rocky(self, cell: Cell) -> int:
        """How rocky the land in view of a cell is, as far as it is known: 0 hardly, 1 in part, 2 mostly."""
        x0, x1, y0, y1 = view(cell)
        part = self.land[x0:x1, y0:y1]
        known = np.count_nonzero(part)
        share = np.count_nonzero(_ROCK[part]) / known if known else 0.0
        return 0 if share < 0.15 else 1 if share < 0.6 else 2

    def rows(self, game: Game) -> list[list[str]]:
        """The local view: rows from the top, names from the left."""
        x, y = game.position
        return [
            [self.at((x + dx, y + dy)) if (dx, dy) != (0, 0) else MATERIALS[self.land[x, y]] for dx in _span(_ACROSS)]
            for dy in _span(_DOWN)
        ]

    def counts(self) -> dict[str, int]:
        """How many creatures and plants of each kind are in view."""
        found: dict[str, int] = {}
        for kind in self.now.values():
            found[kind] = found.get(kind, 0) + 1
        return found

    def save(self) -> Any:
        return {
            "land": ["".join(chr(65 + int(m)) for m in row) for row in self.land],
            "things": [[x, y, kind] for (x, y), kind in self.things.items()],
            "kinds": sorted(self.kinds),
        }

    @classmethod
    def loaded(cls, state: Any, game: Game) -> Seen:
        """Raises KeyError, TypeError or ValueError where the state is damaged."""
        seen = cls()
        seen.land = np.array([[ord(c) - 65 for c in row] for row in state["land"]], np.uint8)
        if seen.land.shape != AREA or seen.land.max() >= len(MATERIALS):
            raise ValueError("land")
        seen.things = {(int(x), int(y)): str(kind) for x, y, kind in state["things"]}
        seen.kinds = frozenset(map(str, state["kinds"]))
        seen.look(game)
        return seen


def view(cell: Cell) -> tuple[int, int, int, int]:
    """The part of the land that is in view of a cell: from x, to x, from y, to y."""
    x, y = cell
    return max(0, x - _ACROSS), min(AREA[0], x + _ACROSS + 1), max(0, y - _DOWN), min(AREA[1], y + _DOWN + 1)


def _span(half: int) -> range:
    return range(-half, half + 1)
