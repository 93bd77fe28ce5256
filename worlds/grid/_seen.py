"""What the agent sees, and what it remembers of what it saw: all that walking and programs may know."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from habilis.worlds.grid.things import KINDS, Description

Cell = tuple[int, int]
AHEAD: tuple[Cell, ...] = ((1, 0), (0, 1), (-1, 0), (0, -1))  # by the package's directions: right, down, left, up
SIDE = 7  # of the view, in cells: the agent stands in the middle of its near edge
_HALF = SIDE // 2


@dataclass(frozen=True, slots=True)
class Thing:
    """A thing that was seen. ``origin``: the cell in which it was seen first, which tells where it lay at first."""

    kind: str
    colour: str
    origin: Cell


class Seen:
    """The cells as remembered, and the things in them.

    ``floor``: True where one may walk, False for walls; cells that were never seen are absent. ``doors``: "open",
    "shut" or "locked". ``held``: what is carried. ``lock``: the colour of the locked door that was stood before last.
    ``changes``: how often something new was seen, so that a way that was planned can be told from an old one.
    """

    __slots__ = ("_began", "_room", "changes", "doors", "floor", "held", "lock", "things")

    def __init__(self, at: Cell, facing: int) -> None:
        self.floor: dict[Cell, bool] = {}
        self.things: dict[Cell, Thing] = {}
        self.doors: dict[Cell, str] = {}
        self.held: Thing | None = None
        self.lock = ""
        self.changes = 0
        self._began = at, facing
        self._room: tuple[int, frozenset[Cell]] = (-1, frozenset())

    def clone(self) -> Seen:
        twin = Seen.__new__(Seen)
        twin.floor, twin.things, twin.doors = dict(self.floor), dict(self.things), dict(self.doors)
        twin.held, twin.lock, twin.changes = self.held, self.lock, self.changes
        twin._began, twin._room = self._began, self._room
        return twin

    def look(self, env: Any) -> None:
        """Take in the view: seven by seven cells before the agent, but for what walls and shut doors hide."""
        _, seen = env.gen_obs_grid()
        x, y = (int(v) for v in env.agent_pos)
        (ax, ay) = AHEAD[env.agent_dir]
        rx, ry = -ay, ax
        cells = env.grid
        for i in range(SIDE):
            for j in range(SIDE):
                if not seen[i, j]:
                    continue
                ahead, right = SIDE - 1 - j, i - _HALF
                cell = x + ax * ahead + rx * right, y + ay * ahead + ry * right
                if 0 <= cell[0] < cells.width and 0 <= cell[1] < cells.height:
                    self._note(cell, cells.get(*cell))
        carried = env.carrying
        if carried is None:
            self.held = None
        elif self.held is None:
            self.held = Thing(carried.type, carried.color, (x, y))
        front = x + ax, y + ay
        if self.doors.get(front) == "locked":
            self.lock = self.things[front].colour

    def _note(self, cell: Cell, thing: Any) -> None:
        walkable = thing is None or thing.type not in ("wall", "lava")
        if self.floor.get(cell) is not walkable:
            self.floor[cell] = walkable
            self.changes += 1
        before = self.things.get(cell)
        if thing is None or thing.type not in KINDS:
            if before is not None:
                del self.things[cell]
                self.changes += 1
            return
        if before is None or (before.kind, before.colour) != (thing.type, thing.color):
            self.things[cell] = Thing(thing.type, thing.color, cell)
            self.changes += 1
        if thing.type == "door":
            state = "open" if thing.is_open else "locked" if thing.is_locked else "shut"
            if self.doors.get(cell) != state:
                self.doors[cell] = state
                self.changes += 1

    # -- what is where -----------------------------------------------------------------------------------------------

    def free(self, cell: Cell) -> bool:
        """Whether one can walk into a cell, as far as is known."""
        return bool(self.floor.get(cell)) and (cell not in self.things or self.doors.get(cell) == "open")

    def bare(self, cell: Cell) -> bool:
        """Whether something can be put down in a cell: there is floor, and nothing on it."""
        return bool(self.floor.get(cell)) and cell not in self.things

    def is_one(self, thing: Thing, meant: Description, cell: Cell | None = None) -> bool:
        """Whether a thing is one of those that a description means. ``cell``: where it is now; None: in hand."""
        if meant.kind and thing.kind != meant.kind:
            return False
        if meant.colour and thing.colour != meant.colour:
            return False
        if meant.locked and (cell is None or self.doors.get(cell) != "locked"):
            return False
        if meant.alike and thing.colour != self.lock:
            return False
        return not meant.place or self._lay(thing.origin, meant.place)

    def ones(self, meant: Description) -> list[Cell]:
        """Where the things are that a description means; what is carried is nowhere."""
        return [cell for cell, thing in self.things.items() if self.is_one(thing, meant, cell)]

    def _lay(self, cell: Cell, place: str) -> bool:
        """Whether a thing that lay in this cell at first lay on that side of the agent, in the room where it began."""
        (x, y), facing = self._began
        if cell not in self._first_room():
            return False
        (ax, ay), (dx, dy) = AHEAD[facing], (cell[0] - x, cell[1] - y)
        ahead, right = dx * ax + dy * ay, -dx * ay + dy * ax
        return {"front": ahead > 0, "behind": ahead < 0, "right": right > 0, "left": right < 0}[place]

    def _first_room(self) -> frozenset[Cell]:
        """The cells of the room where the agent began, as far as they are known, with the doors in its walls."""
        if self._room[0] == self.changes:
            return self._room[1]
        begin = self._began[0]
        found, todo = {begin}, [begin]
        for x, y in todo:
            if self.things.get((x, y), _NOTHING).kind == "door":
                continue  # it leads elsewhere
            for dx, dy in AHEAD:
                side = x + dx, y + dy
                if side not in found and self.floor.get(side):
                    found.add(side)
                    todo.append(side)
        self._room = self.changes, frozenset(found)
        return self._room[1]


_NOTHING = Thing("", "", (-1, -1))
