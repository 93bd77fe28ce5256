"""The agent's body in the craft world: where it stands, what it has seen, what it holds and how its tools wear."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from habilis.core import Atom, Change, Fact, Value
from habilis.worlds.craft import _tables as tables
from habilis.worlds.craft._seen import SeenMap
from habilis.worlds.craft.contracts import at_least
from habilis.worlds.craft.facts import Rules, material
from habilis.worlds.craft.terrain import Cell, Key, Terrain, step

SIGHT = 1  # cells
DEPTH, EXPLORED = Fact("depth"), Fact("explored")


class Body:
    """The state behind `CraftWorld`. Bag and cell are shared with clones until they change (copy on write)."""

    __slots__ = (
        "__weakref__",
        "_cell",
        "_depth",
        "_depths",
        "_heat",
        "_held",
        "_inventory",
        "_owns_cell",
        "_owns_inventory",
        "_rng",
        "_rules",
        "_seen",
        "_stations",
        "_terrain",
        "_time",
        "_unlocked",
        "_wear",
        "_x",
        "_y",
    )

    _rules: Rules

    def _start(self, terrain: Terrain, rng: int) -> None:
        self._terrain, self._rng = terrain, rng
        self._x = self._y = self._depth = 0
        self._inventory: dict[str, int] = {}
        self._wear: dict[str, int] = {}
        self._seen = SeenMap()
        self._heat = self._time = 0.0
        self._unlocked: frozenset[str] = frozenset()
        self._held: frozenset[str] = frozenset()
        self._depths = frozenset((0,))
        self._stations: tuple[tuple[Key, str], ...] = ()
        self._owns_inventory = True
        self._owns_cell = False
        self.look(SIGHT, 0)
        self._cell: Cell = self._seen.get((0, 0, 0)) or {}

    def _fork_into(self, twin: Body) -> None:
        twin._rules, twin._terrain, twin._rng = self._rules, self._terrain, self._rng
        twin._x, twin._y, twin._depth = self._x, self._y, self._depth
        twin._inventory, twin._wear, twin._seen = self._inventory, self._wear, self._seen.fork()
        twin._heat, twin._time, twin._unlocked, twin._held = self._heat, self._time, self._unlocked, self._held
        twin._depths, twin._stations, twin._cell = self._depths, self._stations, self._cell
        self._owns_inventory = self._owns_cell = twin._owns_inventory = twin._owns_cell = False

    # -- what is observed ----------------------------------------------------------------------------------------------

    def _facts(self) -> dict[Fact, Value]:
        known = self._rules
        facts: dict[Fact, Value] = {known.count[item]: n for item, n in self._inventory.items()}
        for thing, n in self._cell.items():
            if thing in tables.STATIONS:
                facts[known.near[thing]] = True
            else:
                facts[known.here[thing]] = n
        facts[DEPTH], facts[EXPLORED] = self._depth, self._seen.size
        return facts

    def _text(self) -> str:
        place = f"in the {self.biome()}" if self._depth == 0 else f"below ground at depth {self._depth}"
        reach = ", ".join(f"{n} {thing}" for thing, n in sorted(self._cell.items())) or "nothing"
        held = ", ".join(f"{n} {item}" for item, n in sorted(self._inventory.items())) or "nothing"
        burning = f" The furnace burns for {int(self._heat)} more." if self._heat >= 1 else ""
        return (
            f"You are at x={self._x} y={self._y}, {place}. In reach: {reach}. You hold: {held}.{burning} "
            f"{self._seen.size} cells seen, {len(self._unlocked)} recipes known, {self._time:.0f} seconds passed."
        )

    def biome(self) -> str:
        """The biome of the present column."""
        return self._terrain.biome(self._x, self._y)

    def look(self, radius: int, depth: int | None = None) -> list[Key]:
        """Make all cells within ``radius`` of the agent known, at its own depth or another; returns the new ones."""
        seen, cell_of = self._seen, self._terrain.cell
        z = self._depth if depth is None else depth
        new = []
        for x in range(self._x - radius, self._x + radius + 1):
            for y in range(self._y - radius, self._y + radius + 1):
                key = (x, y, z)
                if key not in seen:
                    seen.add(key, cell_of(key))
                    new.append(key)
        return new

    # -- moving --------------------------------------------------------------------------------------------------------

    def _blocked(self, direction: str) -> Atom | None:
        """The atom that a step in this direction lacks, if any."""
        if direction == "up" and self._depth == 0:
            return at_least(DEPTH, 1)
        if direction == "down":
            if self._depth == tables.DEEPEST:
                return Atom(DEPTH, "<=", tables.DEEPEST - 1)
            if not self.can_enter(self._depth + 1):
                return at_least(self._rules.count["#pickaxe"])
        return None

    def can_enter(self, depth: int) -> bool:
        """Whether the agent can get to this depth: upwards and into caves always, deeper with a pickaxe."""
        return depth <= max(self._depth, tables.FREE_DEPTH) or any(p in self._inventory for p in self._rules.pickaxes)

    def enter(self, x: int, y: int, depth: int) -> list[Key]:
        """One step into a cell beside, above or below; returns the cells that came into sight."""
        seconds = tables.CELL_METRES / tables.WALK_SPEED
        if depth > self._depth:
            pick = next((p for p in self._rules.pickaxes if p in self._inventory), None)
            if pick is not None and depth > tables.FREE_DEPTH:
                rock = self._rules.sources["deepslate"].hardness
                seconds += tables.CELL_METRES * rock * 1.5 / tables.SPEED[material(pick)]
        if depth != self._depth and depth not in self._depths:
            self._depths |= {depth}
        self._time += seconds
        self._x, self._y, self._depth = x, y, depth
        new = self.look(SIGHT)
        self._cell = self._seen.get((x, y, depth)) or {}
        self._owns_cell = False
        return new

    def _moved(self, before: Cell, depth: int, size: int) -> list[Change]:
        """The changes of a walk that began in another cell."""
        changes: list[Change] = []
        after = self._cell
        for thing, n in before.items():
            now = after.get(thing, 0)
            if thing in tables.STATIONS:
                if not now:
                    changes.append(Change(self._rules.near[thing], True, False))
            elif now != n:
                changes.append(Change(self._rules.here[thing], n, now))
        for thing, n in after.items():
            if thing not in before:
                if thing in tables.STATIONS:
                    changes.append(Change(self._rules.near[thing], False, True))
                else:
                    changes.append(Change(self._rules.here[thing], 0, n))
        if depth != self._depth:
            changes.append(Change(DEPTH, depth, self._depth))
        if size != self._seen.size:
            changes.append(Change(EXPLORED, size, self._seen.size))
        return changes

    # -- the bag and its tools -----------------------------------------------------------------------------------------

    def _count(self, item_or_tag: str) -> int:
        if item_or_tag[0] != "#":
            return self._inventory.get(item_or_tag, 0)
        members = self._rules.tags[item_or_tag]
        return sum(n for item, n in self._inventory.items() if item in members)

    def _gain(self, item: str, n: int, counts: dict[str, int]) -> None:
        self._own_inventory()
        had = self._inventory.get(item, 0)
        counts.setdefault(item, had)
        self._inventory[item] = had + n
        if item not in self._held:
            self._held |= {item}
            self._unlocked |= self._rules.unlocks.get(item, frozenset())

    def _spend(self, item_or_tag: str, n: int, counts: dict[str, int]) -> None:
        self._own_inventory()
        members: Sequence[str] = (item_or_tag,)
        if item_or_tag[0] == "#":
            held = [m for m in self._rules.tags[item_or_tag] if m in self._inventory]
            members = sorted(held, key=lambda m: (-self._inventory[m], m))
        for member in members:
            had = self._inventory[member]
            used = min(n, had)
            counts.setdefault(member, had)
            if used == had:
                del self._inventory[member]
            else:
                self._inventory[member] = had - used
            n -= used
            if not n:
                return

    def _cheapest(self, tools: Sequence[str]) -> str | None:
        for tool in tools:
            if tool in self._inventory:
                return tool
        return None

    def _use_tool(self, tool: str, counts: dict[str, int]) -> None:
        self._own_inventory()
        used = self._wear.get(tool, 0) + 1
        if used >= tables.DURABILITY[material(tool)]:
            self._wear.pop(tool, None)
            self._spend(tool, 1, counts)
        else:
            self._wear[tool] = used

    def _counted(self, counts: Mapping[str, int]) -> list[Change]:
        now = self._inventory
        return [Change(self._rules.count[i], was, now.get(i, 0)) for i, was in counts.items() if now.get(i, 0) != was]

    def _own_inventory(self) -> None:
        if not self._owns_inventory:
            self._inventory, self._wear, self._owns_inventory = self._inventory.copy(), self._wear.copy(), True

    def _own_cell(self) -> dict[str, int]:
        if not self._owns_cell:
            self._cell, self._owns_cell = dict(self._cell), True
            self._seen.replace((self._x, self._y, self._depth), self._cell)
        return self._cell  # type: ignore[return-value]

    def _draw(self) -> float:
        self._rng = step(self._rng)
        return (self._rng >> 11) * 2.0**-53
