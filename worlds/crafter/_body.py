"""The agent's body in a crafter world: what its actions do, step by step, and what it is shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from habilis.core import Fact, Json, Snapshot, Value, WorldSpec
from habilis.worlds.crafter import _tables as tables
from habilis.worlds.crafter._spec import FIND_STEPS, NEAR_STEPS
from habilis.worlds.crafter._tables import DIRECTIONS, EDGE

if TYPE_CHECKING:
    from habilis.worlds.crafter._game import Game
    from habilis.worlds.crafter._seen import Seen

_DARK = 0.45  # daylight below which it is night
_FULL = 9
_NOTHING = "nothing came of it"
_COUNT = {item: Fact("count", (item,)) for item in tables.ITEMS}
_VITAL = {name: Fact(name) for name in tables.VITALS}
_FACING = {thing: Fact("facing", (thing,)) for thing in ("unknown", EDGE, *tables.THINGS)}
_NEAR = {station: Fact("near", (station,)) for station in tables.STATIONS}
_VISIBLE = {kind: Fact("visible", (kind,)) for kind in (*tables.CREATURES, *tables.PLANTS)}
_BESIDE = {kind: Fact("beside", (kind,)) for kind in (*tables.CREATURES, *tables.PLANTS)}
_AWAKE, _DAYLIGHT, _ROCK, _IS_DARK, _WOKEN = (Fact(n) for n in ("awake", "daylight", "rock", "dark", "woken"))

Done = tuple[bool, Json, str]  # whether it did what it is for, its value, a message


class _Walked:
    """How a walk ended. ``left``: steps; ``obstacle``: the solid thing that is faced and was in the way."""

    __slots__ = ("left", "obstacle")

    def __init__(self, left: int, obstacle: str = "") -> None:
        self.left, self.obstacle = left, obstacle


class Body:
    """The state behind `CrafterWorld`, and the actions on it: each takes the game's steps that it takes."""

    spec: WorldSpec
    _game: Game
    _seen: Seen
    _length: int
    _deeds: Mapping[Fact, int]  # what the agent saw come of its own doing
    _stopped: tuple[int, int] | None  # the cell before which `find` stopped last
    _facts: Mapping[Fact, Value]  # what is observed now
    _watched_by: Callable[[Snapshot], bool] | None

    @property
    def over(self) -> bool:
        """Whether this life has ended."""
        return self._game.dead or self._game.steps >= self._length

    def _look_around(self) -> Done:
        game, seen = self._game, self._seen
        x, y = game.position
        here = sorted(seen.now.items())
        value = {
            "rows": seen.rows(game),
            "things": [[kind, i - x, j - y] for (i, j), kind in here],
            "arrows": [[i - x, j - y, *seen.ways[i, j]] for (i, j), kind in here if kind == "arrow"],
            "facing": list(game.facing),
            "at": [x - 32, y - 32],
        }
        return True, value, ""

    def _find(self, thing: str, rock: int | None = None) -> Done:
        from habilis.worlds.crafter._walk import Ground

        if thing in self.spec.tags:
            thing = self._nearest(sorted(self.spec.tags[thing]))
        if thing not in tables.THINGS or thing == "lava":
            why = "is deadly to walk up to" if thing == "lava" else "is no thing of this world"
            return False, None, f"{thing!r} {why}"
        if rock is not None and rock not in (0, 1, 2):
            return False, None, f"there is no land of rock={rock!r}; it is 0, 1 or 2"
        # it stopped here before, and what was in the way still is
        blocked = self._stopped == self._faced and self._facing() in tables.SOLID
        left = FIND_STEPS
        self._stopped = None
        while self._facing() != thing:
            if self._game.asleep:
                return False, None, "you are asleep"
            ground = Ground(self._seen, self._game.position)
            way = ground.to(thing)
            explores = way is None
            if way is None and not blocked and (way := ground.through(thing)) is not None:
                explores = False
            if way is None:
                way = ground.to_unknown(rock)
            if way is None and not blocked:
                way = ground.through(None)
            if not way:
                return False, None, f"no {thing} is known, and there is nowhere left to look"
            ended = self._follow(way, thing, explores, left)
            left = ended.left
            if self.over or left <= 0:
                break
            if ended.obstacle:
                self._stopped = self._faced
                return False, None, f"{ended.obstacle} is in the way"
        ok = self._facing() == thing
        return ok, thing if ok else None, "" if ok else f"no {thing} was reached"

    def _nearest(self, things: Sequence[str]) -> str:
        """Which of these is to be found first: what is faced, else what is nearest, as far as is known."""
        from habilis.worlds.crafter._walk import Ground

        if self._facing() in things:
            return self._facing()
        ground = Ground(self._seen, self._game.position)
        ways = {thing: way for thing in things if (way := ground.to(thing)) is not None}
        return min(ways, key=lambda thing: len(ways[thing]), default=things[0])

    def _follow(self, way: Sequence[str], thing: str, explores: bool, left: int) -> _Walked:
        """Walk along a way while nothing comes between. ``thing``: what is looked for."""
        moving = thing in tables.CREATURES
        known = thing in self._seen.kinds and explores
        for i, direction in enumerate(way):
            dx, dy = DIRECTIONS[direction]
            x, y = self._game.position
            ahead = self._seen.at((x + dx, y + dy))
            at = self._game.position
            if left <= 0 or ahead == "lava":
                return _Walked(left, "lava" if ahead == "lava" else "")
            self._step(f"move_{direction}")
            left -= 1
            if self.over or self._facing() == thing or self._game.asleep:
                break
            if self._watched_by is not None and self._watched_by(Snapshot(self._now())):
                return _Walked(0)
            if self._game.position == at:  # something solid, or a creature that has come into the way
                ahead = self._facing()
                last = i == len(way) - 1
                return _Walked(left, ahead if ahead in tables.SOLID and not (last and ahead == thing) else "")
            if moving or (explores and self._sighted(thing, known)):
                break
        return _Walked(left)

    def _sighted(self, thing: str, known: bool) -> bool:
        """Whether what is looked for has come into view."""
        if thing in tables.CREATURES or thing in tables.PLANTS:
            return thing in self._seen.now.values()
        return any(thing in row for row in self._seen.rows(self._game)) if known else thing in self._seen.kinds

    def _go_near(self, station: str) -> Done:
        from habilis.worlds.crafter._walk import Ground

        if station not in tables.STATIONS:
            return False, None, f"{station!r} is none of {', '.join(tables.STATIONS)}"
        left = NEAR_STEPS
        while station not in self._seen.near(self._game.position):
            way = Ground(self._seen, self._game.position).beside(station)
            if self._game.asleep or not way or len(way) > left:
                why = "you are asleep" if self._game.asleep else f"no {station} is known within {NEAR_STEPS} steps"
                return False, None, why
            left = self._follow(way, station, False, left).left
            if self.over:
                break
        return station in self._seen.near(self._game.position), None, ""

    def _move(self, direction: str) -> Done:
        if direction not in DIRECTIONS:
            return False, None, f"there is no direction {direction!r}; use one of {', '.join(DIRECTIONS)}"
        before = self._game.position, self._game.facing
        self._step(f"move_{direction}")
        ok = (self._game.position, self._game.facing) != before
        return ok, None, "" if ok else _NOTHING

    def _do(self, thing: str) -> Done:
        faced = self._facing()
        if thing != faced:
            return False, None, f"you face {faced}"
        cell, held = self._faced, dict(self._game.inventory)
        self._step("do")
        now = self._game.inventory
        gained = any(now[k] > held[k] for k in (*tables.ITEMS, "food", "drink"))
        gone = False
        if thing in ("cow", "zombie", "skeleton"):
            x, y = cell
            there = [self._seen.now.get((x + dx, y + dy)) for dx, dy in ((0, 0), *DIRECTIONS.values())]
            gone = thing not in there  # it goes one cell in a step, so it would be seen
            if gone:
                self._count("eaten" if thing == "cow" else "defeated", thing)
        elif thing == "ripe_plant":
            gone = self._seen.now.get(cell) == "plant"
            if gone:
                self._count("eaten", thing)
        elif thing not in tables.PLANTS:
            gone = self._seen.ground(cell) != thing
        return (True, None, "") if gained or gone else (False, None, _NOTHING)

    def _place(self, thing: str) -> Done:
        if thing not in tables.PLACED:
            return False, None, f"{thing!r} is none of {', '.join(tables.PLACED)}"
        cell, faced = self._faced, self._facing()
        self._step(f"place_{thing}")
        if faced == thing or self._seen.at(cell) != thing:
            return False, None, _NOTHING
        self._count("placed", thing)
        return True, None, ""

    def _make(self, item: str) -> Done:
        if item not in tables.MADE:
            return False, None, f"{item!r} is none of {', '.join(tables.MADE)}"
        held = self._game.inventory[item]
        self._step(f"make_{item}")
        ok = self._game.inventory[item] > held
        return ok, None, "" if ok else _NOTHING

    def _sleep(self) -> Done:
        woken = self._deeds.get(_WOKEN, 0)
        self._step("sleep")
        ok = self._game.asleep or self._deeds.get(_WOKEN, 0) > woken
        return ok, None, "" if ok else _NOTHING

    def _noop(self) -> Done:
        self._step("noop")
        return True, None, ""

    def _step(self, action: str) -> None:
        asleep, health = self._game.asleep, self._game.inventory["health"]
        self._game.step(action)
        self._seen.look(self._game)
        now = self._game.inventory
        if asleep and not self._game.asleep and now["energy"] == _FULL and now["health"] >= health:
            self._deeds = {**self._deeds, _WOKEN: self._deeds.get(_WOKEN, 0) + 1}

    def _count(self, deed: str, thing: str) -> None:
        fact = Fact(deed, (thing,))
        self._deeds = {**self._deeds, fact: self._deeds.get(fact, 0) + 1}

    # -- showing -----------------------------------------------------------------------------------------------------

    @property
    def _faced(self) -> tuple[int, int]:
        (x, y), (dx, dy) = self._game.position, self._game.facing
        return x + dx, y + dy

    def _facing(self) -> str:
        return self._seen.at(self._faced)

    def _now(self) -> dict[Fact, Value]:
        game, seen = self._game, self._seen
        held = game.inventory
        facts: dict[Fact, Value] = {_COUNT[item]: held[item] for item in tables.ITEMS if held[item]}
        facts.update({_VITAL[name]: held[name] for name in tables.VITALS})
        facts[_FACING[self._facing()]] = True
        around = seen.near(game.position)
        facts.update({_NEAR[station]: True for station in tables.STATIONS if station in around})
        if not game.asleep:
            facts[_AWAKE] = True
        facts.update(self._deeds)
        facts[_DAYLIGHT], facts[_ROCK] = round(10 * game.daylight), seen.rocky(game.position)
        if game.daylight < _DARK:
            facts[_IS_DARK] = True
        facts.update({_VISIBLE[kind]: n for kind, n in sorted(seen.counts().items())})
        x, y = game.position
        sides = [seen.now.get((x + dx, y + dy)) for dx, dy in DIRECTIONS.values()]
        facts.update({_BESIDE[kind]: True for kind in sides if kind is not None})
        return facts

    def _text(self) -> str:
        game = self._game
        held = ", ".join(f"{n} {item}" for item in tables.ITEMS if (n := game.inventory[item])) or "nothing"
        vital = ", ".join(f"{name} {game.inventory[name]}" for name in tables.VITALS)
        seen = ", ".join(f"{n} {kind}" for kind, n in sorted(self._seen.counts().items())) or "nobody"
        state = "awake" if not game.asleep else "asleep"
        light = "night" if game.daylight < _DARK else "day"
        return (
            f"It is {light}; you are {state}, with {vital}. You face {self._facing()}; in view: {seen}. You hold: "
            f"{held}. {game.steps} of {self._length} steps have passed."
        )


HANDLERS: dict[str, Callable[..., Done]] = {
    "look": Body._look_around,
    "find": Body._find,
    "go_near": Body._go_near,
    "move": Body._move,
    "do": Body._do,
    "place": Body._place,
    "make": Body._make,
    "sleep": Body._sleep,
    "noop": Body._noop,
}
