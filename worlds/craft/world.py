"""The craft world: what its actions do, what it tells of itself, and the protocol that every world satisfies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from difflib import get_close_matches
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from habilis.core import (
    Action,
    Atom,
    Change,
    Contract,
    Goal,
    InputError,
    Json,
    Observation,
    Outcome,
    Snapshot,
    WorldSpec,
)
from habilis.worlds.craft import _tables as tables
from habilis.worlds.craft import _walk as walk
from habilis.worlds.craft._body import DEPTH, EXPLORED, Body
from habilis.worlds.craft._records import Source
from habilis.worlds.craft._spec import DIRECTIONS, spec
from habilis.worlds.craft.contracts import at_least, declared
from habilis.worlds.craft.facts import Rules, material, rules
from habilis.worlds.craft.terrain import Terrain, mix

if TYPE_CHECKING:
    from habilis.worlds.craft.tools import PricedFunction

_OPTIONS: dict[str, tuple[str, ...]] = {
    "view": ("partial", "full"),
    "reasons": ("all", "none"),
    "recipes": ("declared", "unlocked", "hidden"),
}
_FULL_VIEW = 12  # cells around the start
_MILESTONE = 40  # cells: the step between goals of exploration
_FAILED = Outcome(ok=False, message="did not work")
_OFFSETS = {
    "north": (0, -1, 0),
    "south": (0, 1, 0),
    "east": (1, 0, 0),
    "west": (-1, 0, 0),
    "up": (0, 0, -1),
    "down": (0, 0, 1),
}


class CraftWorld(Body):
    """Gathering and crafting with the facts of Minecraft 1.19, on a seeded, partly seen land; not Minecraft.

    Args:
        view: "partial" (cells next to where the agent has been) or "full" (all within 12 cells of the start, and
            nothing kept secret: ``portable``).
        reasons: "all" (a failed action answers its complete list of unmet atoms) or "none".
        recipes: "declared" (`contracts` gives every recipe), "unlocked" (what unlocked recipes make, not what they
            take) or "hidden".
        shuffled: a number exchanges the recipes' ingredients among one another, solvably; None leaves them.

    Raises `InputError` for any other value. The world starts at seed 0; call `reset` for another.
    """

    __slots__ = ("_options", "spec")

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

    def tools(self) -> tuple[PricedFunction, ...]:
        """The priced aids of this world: a recipe book and a telescope."""
        from habilis.worlds.craft.tools import tools

        return tools(self)

    def names(self) -> tuple[str, ...]:
        """Every item, block, creature and set that a goal may name: for reading users' words; it tells no rule."""
        return tuple(sorted({*self._rules.count, *self._rules.here, *self._rules.near}))

    # -- the protocol ------------------------------------------------------------------------------------------------

    def reset(self, seed: int) -> Observation:
        """Start anew on the land of this seed, holding nothing."""
        if isinstance(seed, bool) or not isinstance(seed, int):
            raise InputError(f"a seed is a whole number, not {seed!r}")
        self._start(Terrain(mix(seed, 1)), mix(seed, 2))
        if self._options[0] == "full":
            for depth in range(tables.DEEPEST + 1):
                self.look(_FULL_VIEW, depth)
        return self.observe()

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
        twin.spec, twin._options = self.spec, self._options
        self._fork_into(twin)
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

    def maker(self) -> tuple[str, dict[str, Json]]:
        view, reasons, recipes, shuffled = self._options
        options = {"view": view, "reasons": reasons, "recipes": recipes, "shuffled": shuffled}
        return "habilis.worlds.craft:CraftWorld", options

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
            atoms.append(at_least(DEPTH, deeper))
        atoms.append(at_least(EXPLORED, (self._seen.size // _MILESTONE + 1) * _MILESTONE))
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

    # -- moving --------------------------------------------------------------------------------------------------------

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
