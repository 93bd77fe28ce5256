"""The craft world: where the agent stands, what it holds, what it has seen, and what its actions do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from functools import lru_cache
from typing import Any

from habilis.core import (
    Action,
    Atom,
    Change,
    Contract,
    Fact,
    Goal,
    InputError,
    Json,
    Observation,
    Outcome,
    Snapshot,
    Value,
    WorldSpec,
)
from habilis.worlds.craft import _tables as tables
from habilis.worlds.craft import _walk as walk
from habilis.worlds.craft._seen import SeenMap
from habilis.worlds.craft._spec import DIRECTIONS, spec
from habilis.worlds.craft.contracts import at_least, declared
from habilis.worlds.craft.facts import Rules, Source, material, rules
from habilis.worlds.craft.terrain import Cell, Key, Terrain, mix, step

_OPTIONS: dict[str, tuple[str, ...]] = {
    "view": ("partial", "full"),
    "reasons": ("all", "none"),
    "recipes": ("declared", "unlocked", "hidden"),
}
_SIGHT = 1  # cells
_FULL_VIEW = 12  # cells around the start
_MILESTONE = 40  # cells: the step between goals of exploration
_DEPTH, _EXPLORED = Fact("depth"), Fact("explored")
_FAILED = Outcome(ok=False, message="did not work")
_OFFSETS = {
    "north": (0, -1, 0),
    "south": (0, 1, 0),
    "east": (1, 0, 0),
    "west": (-1, 0, 0),
    "up": (0, 0, -1),
    "down": (0, 0, 1),
}


class CraftWorld:
    """Gathering and crafting with the facts of Minecraft 1.19, on a seeded, partly seen land; not Minecraft.

    Args:
        view: "partial" (cells next to where the agent has been) or "full" (all within 12 cells of the start).
        reasons: "all" (a failed action answers its complete list of unmet atoms) or "none".
        recipes: "declared" (`contracts` gives every recipe), "unlocked" (what unlocked recipes make, not what they
            take) or "hidden".
        shuffled: a number exchanges the recipes' ingredients among one another, solvably; None leaves them.

    Raises `InputError` for any other value. The world starts at seed 0; call `reset` for another.
    """

    __slots__ = (
        "__weakref__",
        "_cell",
        "_depth",
        "_depths",
        "_heat",
        "_held",
        "_inventory",
        "_options",
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
        "spec",
    )

    spec: WorldSpec

    def __init__(
        self, *, view: str = "partial", reasons: str = "all", recipes: str = "unlocked", shuffled: int | None = None
    ) -> None:
        for option, value in (("view", view), ("reasons", reasons), ("recipes", recipes)):
            if value not in _OPTIONS[option]:
                raise InputError(
                    f"craft has no {option}={value!r}; use one of {', '.join(map(repr, _OPTIONS[option]))}"
                )
        if shuffled is not None and (isinstance(shuffled, bool) or not isinstance(shuffled, int)):
            raise InputError(f"craft takes shuffled=None or a whole number, not {shuffled!r}")
        self._options = (view, reasons, recipes, shuffled)
        self._rules: Rules = rules(shuffled)
        self.spec = spec(view, reasons, recipes, shuffled)
        self.reset(0)

    # -- the protocol ------------------------------------------------------------------------------------------------

    def reset(self, seed: int) -> Observation:
        """Start anew on the land of this seed, holding nothing."""
        if isinstance(seed, bool) or not isinstance(seed, int):
            raise InputError(f"a seed is a whole number, not {seed!r}")
        self._start(Terrain(mix(seed, 1)), mix(seed, 2))
        return self.observe()

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
        self._cell: Cell = {}
        if self._options[0] == "full":
            for depth in range(tables.DEEPEST + 1):
                self.look(_FULL_VIEW, depth)
        self.look(_SIGHT, 0)
        self._cell = self._seen.get((0, 0, 0)) or {}

    def observe(self) -> Observation:
        return Snapshot(facts=self._facts(), tags=self.spec.tags, text=self._text())

    def act(self, action: Action) -> Outcome:
        """Do one thing. Raises `InputError` for an action that this world does not have."""
        name, args = action
        handler = _HANDLERS.get(name)
        if handler is None:
            raise InputError(f"craft has no action {name!r}; it has {', '.join(p.name for p in self.spec.primitives)}")
        if name == "find":
            return self._find(args)
        if len(args) != (0 if name == "observe" else 1) or not all(isinstance(a, str) for a in args):
            wanted = "no argument" if name == "observe" else "one name in quotes"
            return self._refuse(f"{name} takes {wanted}, not {args!r}")
        return handler(self, *args)

    # -- capabilities ------------------------------------------------------------------------------------------------

    def clone(self) -> CraftWorld:
        """An independent copy in about a microsecond; what is held and seen is copied when it next changes."""
        twin = CraftWorld.__new__(CraftWorld)
        twin.spec, twin._rules, twin._options, twin._terrain = self.spec, self._rules, self._options, self._terrain
        twin._rng, twin._x, twin._y, twin._depth = self._rng, self._x, self._y, self._depth
        twin._inventory, twin._wear, twin._seen = self._inventory, self._wear, self._seen.fork()
        twin._heat, twin._time, twin._unlocked, twin._held = self._heat, self._time, self._unlocked, self._held
        twin._depths, twin._stations, twin._cell = self._depths, self._stations, self._cell
        self._owns_inventory = self._owns_cell = twin._owns_inventory = twin._owns_cell = False
        return twin

    def simulator(self) -> Any:
        """The belief about this world as it now stands: see `habilis.worlds.craft.simulator.Belief`."""
        from habilis.worlds.craft.simulator import Belief

        return Belief.of(self)

    def save(self) -> Json:
        from habilis.worlds.craft.checkpoint import save

        return save(self)

    def load(self, state: Json) -> None:
        """Raises `InputError` for a state of other rules, or one that is damaged."""
        from habilis.worlds.craft.checkpoint import load

        load(self, state)

    def affordances(self) -> Sequence[Action]:
        """Gather or attack whatever is known anywhere, craft what is unlocked, smelt and place what is held, move."""
        found = [Action("craft", (name,)) for name in self._unlocked]
        for thing in {thing for _, cell in self._seen.items() for thing in cell}:
            if thing not in tables.STATIONS:
                found.append(Action("attack" if self._rules.sources[thing].attack else "gather", (thing,)))
        found += [Action("smelt", (item,)) for item in self._inventory if item in tables.SMELTING]
        found += [Action("place", (item,)) for item in self._inventory if item in tables.STATIONS]
        found += [Action("move", (direction,)) for direction in DIRECTIONS if self._blocked(direction) is None]
        return sorted(found)

    def goals(self) -> Sequence[Goal]:
        """What is not true yet and may be wanted: items that known recipes make, stations, depth, more land seen."""
        made = {self._rules.recipes[name].result for name in self._unlocked}
        made |= {tables.SMELTING[item] for item in self._held if item in tables.SMELTING}
        atoms = [at_least(self._rules.count[item]) for item in sorted(made) if not self._inventory.get(item)]
        for station in tables.STATIONS:
            if (station in made or station in self._held) and station not in self._cell:
                atoms.append(Atom(self._rules.near[station]))
        deeper = max(self._depths) + 1
        if deeper <= tables.DEEPEST:
            atoms.append(at_least(_DEPTH, deeper))
        atoms.append(at_least(_EXPLORED, (self._seen.size // _MILESTONE + 1) * _MILESTONE))
        return [Goal((atom,)) for atom in atoms]

    def contracts(self) -> Sequence[Contract]:
        """What the option ``recipes`` lets the world tell of crafting and smelting; gathering is to be found out."""
        level, shuffled = self._options[2], self._options[3]
        if level == "hidden":
            return ()
        known = declared(shuffled, level)
        if level == "declared":
            return tuple(known.values())
        told = [f"craft {name}" for name in self._unlocked]
        told += [f"smelt {item}" for item in self._held if item in tables.SMELTING]
        return tuple(known[key] for key in sorted(told))

    # -- what is observed ----------------------------------------------------------------------------------------------

    def _facts(self) -> dict[Fact, Value]:
        known = self._rules
        facts: dict[Fact, Value] = {known.count[item]: n for item, n in self._inventory.items()}
        for thing, n in self._cell.items():
            if thing in tables.STATIONS:
                facts[known.near[thing]] = True
            else:
                facts[known.here[thing]] = n
        facts[_DEPTH], facts[_EXPLORED] = self._depth, self._seen.size
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
            return at_least(_DEPTH, 1)
        if direction == "down":
            if self._depth == tables.DEEPEST:
                return Atom(_DEPTH, "<=", tables.DEEPEST - 1)
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
        new = self.look(_SIGHT)
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
            changes.append(Change(_DEPTH, depth, self._depth))
        if size != self._seen.size:
            changes.append(Change(_EXPLORED, size, self._seen.size))
        return changes

    def _move(self, direction: str) -> Outcome:
        offset = _OFFSETS.get(direction)
        if offset is None:
            return self._refuse(f"there is no direction {direction!r}; use one of {', '.join(DIRECTIONS)}")
        lacking = self._blocked(direction)
        if lacking is not None:
            return self._lacks([lacking])
        before, depth, size = self._cell, self._depth, self._seen.size
        self.enter(self._x + offset[0], self._y + offset[1], self._depth + offset[2])
        return Outcome(True, tuple(self._moved(before, depth, size)))

    def _find(self, args: tuple[str | int, ...]) -> Outcome:
        depth = args[-1] if args and isinstance(args[-1], int) else None
        names = args if depth is None else args[:-1]
        if not names or not all(isinstance(n, str) for n in names):
            return self._refuse(f"find takes names of things and at most one depth at the end, not {args!r}")
        if isinstance(depth, bool) or (depth is not None and not 0 <= depth <= tables.DEEPEST):
            return self._refuse(f"there is no depth {depth!r}; depths are 0 to {tables.DEEPEST}")
        targets = [t for name in names for t in (sorted(self._rules.members(str(name))))]
        things = [t for t in targets if t in self._rules.sources and t not in tables.STATIONS]
        if not things:
            hint = "; use go_near for stations" if any(t in tables.STATIONS for t in targets) else ""
            return self._refuse(f"there is nothing to find called {self._unknown(str(names[0]))}{hint}")
        before, at, size = self._cell, self._depth, self._seen.size
        search = walk.find(self, things, depth)
        changes = tuple(self._moved(before, at, size))
        if search.reached is not None:
            return Outcome(True, changes, value=search.reached, steps=search.steps)
        if search.blocked:
            unmet = [at_least(self._rules.count["#pickaxe"])]
        else:
            unmet = [at_least(self._rules.here[str(n)]) for n in names if n in self._rules.here]
        failed = self._lacks(unmet)
        return Outcome(False, changes, failed.unmet, failed.message, steps=search.steps)

    def _go_near(self, station: str) -> Outcome:
        if station not in tables.STATIONS:
            return self._refuse(f"there is no station {station!r}; stations are {', '.join(tables.STATIONS)}")
        before, at, size = self._cell, self._depth, self._seen.size
        steps = walk.go_near(self, [key for key, placed in self._stations if placed == station])
        if steps is None:
            return self._lacks([Atom(self._rules.near[station])])
        return Outcome(True, tuple(self._moved(before, at, size)), steps=steps)

    # -- gathering and making ------------------------------------------------------------------------------------------

    def _look_around(self) -> Outcome:
        return Outcome(True, value=self._text(), steps=0)

    def _gather(self, block: str) -> Outcome:
        source = self._rules.sources.get(block)
        if source is None:
            return self._refuse(f"there is no block {self._unknown(block)}")
        if source.attack:
            return self._refuse(f"{block} is a mob: use attack")
        unmet: list[Atom] = []
        if block not in self._cell:
            station = block in tables.STATIONS
            unmet.append(Atom(self._rules.near[block]) if station else at_least(self._rules.here[block]))
        tool = None
        if source.tool is not None:
            tool = self._cheapest(self._rules.tool_members[source.tool])
            if tool is None:
                unmet.append(at_least(self._rules.count[source.tool]))
        elif source.helper is not None:
            tool = self._cheapest(self._rules.helpers[source.helper])
        if unmet:
            return self._lacks(unmet)
        self._time += source.hardness * 1.5 / (tables.SPEED[material(tool)] if tool else 1)
        return self._take(source, tool)

    def _attack(self, mob: str) -> Outcome:
        source = self._rules.sources.get(mob)
        if source is None or not source.attack:
            return self._refuse(f"there is no mob {mob!r}; mobs are {', '.join(tables.MOBS)}")
        if mob not in self._cell:
            return self._lacks([at_least(self._rules.here[mob])])
        sword = self._cheapest(self._rules.helpers["sword"])
        self._time += source.hardness / (4 if sword else 1) * 0.625  # a blow every 0.625 s
        return self._take(source, sword)

    def _take(self, source: Source, tool: str | None) -> Outcome:
        counts: dict[str, int] = {}
        name = source.name
        if tool is not None:
            self._use_tool(tool, counts)
        cell = self._own_cell()
        n = cell[name]
        if n > 1:
            cell[name] = n - 1
        else:
            del cell[name]
        if name in tables.STATIONS:
            changes = [] if n > 1 else [Change(self._rules.near[name], True, False)]
            self._stations = tuple(s for s in self._stations if n > 1 or s != ((self._x, self._y, self._depth), name))
        else:
            changes = [Change(self._rules.here[name], n, n - 1)]
        for item, chance, low, high in source.drops:
            if chance >= 1 or self._draw() < chance:
                amount = low if high == low else low + int(self._draw() * (high - low + 1))
                if amount:
                    self._gain(item, amount, counts)
        return Outcome(True, tuple(changes + self._counted(counts)))

    def _craft(self, name: str) -> Outcome:
        known = self._rules
        recipe = known.recipes.get(name)
        if recipe is None:
            close = get_close_matches(name, sorted(known.recipes), n=1)
            return self._refuse(f"there is no recipe {name!r}" + (f"; did you mean {close[0]!r}?" if close else ""))
        unmet = [at_least(known.count[k], n) for k, n in recipe.needs.items() if self._count(k) < n]
        if recipe.table and "crafting_table" not in self._cell:
            unmet.append(Atom(known.near["crafting_table"]))
        if unmet:
            return self._lacks(unmet)
        counts: dict[str, int] = {}
        for k, n in recipe.needs.items():
            self._spend(k, n, counts)
        self._gain(recipe.result, recipe.makes, counts)
        self._time += 1
        return Outcome(True, tuple(self._counted(counts)))

    def _smelt(self, item: str) -> Outcome:
        if item not in tables.SMELTING:
            return self._refuse(f"{self._unknown(item)} cannot be smelted")
        unmet: list[Atom] = []
        if not self._inventory.get(item):
            unmet.append(at_least(self._rules.count[item]))
        fuel = None
        if self._heat < 1:
            fuel = next((f for f in tables.FUEL if self._inventory.get(f, 0) > (f == item)), None)
            if fuel is None:
                # a log cannot feed the fire that it is smelted in
                unmet.append(at_least(self._rules.count["#fuel"], 2 if item in tables.FUEL else 1))
        if "furnace" not in self._cell:
            unmet.append(Atom(self._rules.near["furnace"]))
        if unmet:
            return self._lacks(unmet)
        counts: dict[str, int] = {}
        if fuel is not None:
            self._spend(fuel, 1, counts)
            self._heat += tables.FUEL[fuel]
        self._heat -= 1
        self._spend(item, 1, counts)
        self._gain(tables.SMELTING[item], 1, counts)
        self._time += tables.SMELT_SECONDS
        return Outcome(True, tuple(self._counted(counts)))

    def _place(self, item: str) -> Outcome:
        if item not in self._rules.items or item not in self._rules.sources or self._rules.sources[item].attack:
            return self._refuse(f"{self._unknown(item)} cannot be placed")
        if not self._inventory.get(item):
            return self._lacks([at_least(self._rules.count[item])])
        counts: dict[str, int] = {}
        self._spend(item, 1, counts)
        cell = self._own_cell()
        n = cell[item] = cell.get(item, 0) + 1
        changes = self._counted(counts)
        if item not in tables.STATIONS:
            changes.append(Change(self._rules.here[item], n - 1, n))
        elif n == 1:
            self._stations = (*self._stations, ((self._x, self._y, self._depth), item))
            changes.append(Change(self._rules.near[item], False, True))
        self._time += 1
        return Outcome(True, tuple(changes))

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

    # -- saying no -----------------------------------------------------------------------------------------------------

    def _lacks(self, unmet: list[Atom]) -> Outcome:
        return _FAILED if self._options[1] == "none" else _needs(tuple(unmet))

    def _refuse(self, message: str) -> Outcome:
        """A request that no state of the world could satisfy."""
        return _FAILED if self._options[1] == "none" else Outcome(False, message=message)

    def _unknown(self, name: str) -> str:
        known = sorted(self._rules.sources.keys() | self._rules.items)
        close = get_close_matches(name, known, n=1) if name not in known else []
        return repr(name) + (f" (did you mean {close[0]!r}?)" if close else "")


@lru_cache(maxsize=1 << 14)
def _needs(unmet: tuple[Atom, ...]) -> Outcome:
    # search fails the same way thousands of times: the words are put together once
    return Outcome(False, unmet=unmet, message="needs " + ", ".join(map(str, unmet)))


_HANDLERS: dict[str, Callable[..., Outcome]] = {
    "observe": CraftWorld._look_around,
    "find": CraftWorld._find,
    "go_near": CraftWorld._go_near,
    "move": CraftWorld._move,
    "gather": CraftWorld._gather,
    "attack": CraftWorld._attack,
    "craft": CraftWorld._craft,
    "smelt": CraftWorld._smelt,
    "place": CraftWorld._place,
}
