"""The crafter world: what its actions do, what it shows, and the protocol that every world satisfies."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from habilis.core import (
    Action,
    Change,
    Fact,
    Goal,
    InputError,
    Json,
    Observation,
    Outcome,
    Snapshot,
    Value,
    WorldSpec,
    need,
)
from habilis.worlds.crafter import _tables as tables
from habilis.worlds.crafter._spec import FIND_STEPS, NEAR_STEPS, PRIMITIVES, spec
from habilis.worlds.crafter._tables import DIRECTIONS, EDGE
from habilis.worlds.crafter.achievements import achievement_goals

if TYPE_CHECKING:
    from habilis.worlds.crafter._game import Game
    from habilis.worlds.crafter._seen import Seen
    from habilis.worlds.crafter.simulator import Belief

SCHEMA_VERSION = 1
_RULES = "crafter-1"  # of ours: what is shown and how it is walked; the package's version is added
_DARK = 0.45  # daylight below which it is night
_FULL = 9
_NOT_DONE = ("unknown", EDGE, "lava", "arrow")  # kinds that nothing is proposed for
_NAMES = tuple(sorted({*tables.THINGS, *tables.ITEMS}))


class CrafterWorld:
    """Crafter by its own rules, seen as an agent sees it: the local view and what it remembers of it.

    Args:
        length: steps of one life; 10,000 is the game's own.

    Raises `InputError` for another length, `MissingExtraError` without the extra ``crafter``. The world starts at seed
    0; call `reset` for another. The same seed gives the same game, luck included, on the same version of the package.
    """

    spec: WorldSpec
    _game: Game
    _seen: Seen
    _deeds: Mapping[Fact, int]  # what the agent saw come of its own doing
    _stopped: tuple[int, int] | None  # the cell before which `find` stopped last
    _facts: Mapping[Fact, Value]  # what is observed now
    _watched_by: Callable[[Snapshot], bool] | None

    def __init__(self, *, length: int = tables.LENGTH) -> None:
        if isinstance(length, bool) or not isinstance(length, int) or not 1 <= length <= 1_000_000:
            raise InputError(f"a life in crafter has 1 to 1,000,000 steps, not {length!r}; change length")
        need("crafter", "the world 'crafter'", install="'habilis[crafter]'")
        from importlib.metadata import version

        self._length = length
        self.spec = spec(f"{_RULES}:{version('crafter')}")
        self._watched_by = None
        self.reset(0)

    # -- the protocol ------------------------------------------------------------------------------------------------

    def reset(self, seed: int) -> Observation:
        """Begin the life that ``crafter.Env(seed=seed)`` begins."""
        from habilis.worlds.crafter._game import Game

        if isinstance(seed, bool) or not isinstance(seed, int):
            raise InputError(f"a seed is a whole number, not {seed!r}")
        self._begin(Game.begun(seed))
        return self.observe()

    def observe(self) -> Observation:
        return Snapshot(facts=dict(self._facts), tags=self.spec.tags, text=self._text())

    def act(self, action: Action) -> Outcome:
        """Do one thing. Raises `InputError` for an action that this world does not have."""
        name, args = action
        handler = _HANDLERS.get(name)
        if handler is None:
            raise InputError(
                f"crafter has no action {name!r}; it has {', '.join(p.name for p in self.spec.primitives)}"
            )
        if self.over:
            return Outcome(False, message=f"this life is over: {self.ending}", steps=0, done=True)
        before, steps = self._facts, self._game.steps
        if not _fits(name, args):
            return Outcome(False, message=f"{name} takes {_WANTED[name]}, not {args!r}", steps=0)
        ok, value, message = handler(self, *args)
        taken = self._game.steps - steps
        if taken:
            self._facts = self._now()
        if self.over:
            message = f"{message}; {self.ending}" if message else self.ending
        return Outcome(ok, _changes(before, self._facts), None, message, value, taken, self.over)

    @property
    def over(self) -> bool:
        """Whether this life has ended."""
        return self._game.dead or self._game.steps >= self._length

    @property
    def ending(self) -> str:
        """How it ended."""
        steps = f"{self._game.steps} of {self._length} steps"
        return f"you died after {steps}" if self._game.dead else f"the {steps} are over"

    # -- capabilities ------------------------------------------------------------------------------------------------

    def clone(self) -> CrafterWorld:
        """An independent copy, luck included."""
        twin = self._like()
        twin._game, twin._seen = self._game.clone(), self._seen.clone()
        return twin

    def simulator(self) -> Belief:
        """The belief about this world as it now stands."""
        from habilis.worlds.crafter.simulator import Belief

        return Belief(self)

    def redrawn(self, seed: int) -> CrafterWorld:
        """A world that shows and remembers the same; all else is drawn from ``seed``."""
        twin = self._like()
        seen = self._seen
        things = [(x, y, kind, seen.ways.get((x, y), (0, 0))) for (x, y), kind in sorted(seen.things.items())]
        twin._game, twin._seen = self._game.imagined(seed, seen.land, things), seen.clone()
        return twin

    def save(self) -> Json:
        return {
            "schema_version": SCHEMA_VERSION,
            "fingerprint": self.spec.fingerprint,
            "game": self._game.save(),
            "seen": self._seen.save(),
            "deeds": [[str(fact), n] for fact, n in sorted(self._deeds.items())],
            "stopped": list(self._stopped) if self._stopped is not None else None,
        }

    def load(self, state: Json) -> None:
        """Raises `InputError` for a state of other rules, or one that is damaged; the world is then as it was."""
        from habilis.worlds.crafter._game import Game
        from habilis.worlds.crafter._seen import Seen

        if not isinstance(state, dict) or state.get("schema_version") != SCHEMA_VERSION:
            version = state.get("schema_version") if isinstance(state, dict) else None
            raise InputError(f"crafter reads states of schema_version={SCHEMA_VERSION}, not {version!r}; save it anew")
        if state.get("fingerprint") != self.spec.fingerprint:
            raise InputError(
                f"the state was saved under the rules {state.get('fingerprint')!r}, this world has "
                f"{self.spec.fingerprint!r}; install the version of crafter that it was saved with"
            )
        try:
            game = Game.loaded(state["game"])
            seen = Seen.loaded(state["seen"], game)
            deeds = {Fact.parse(fact): int(n) for fact, n in state["deeds"]}
            stopped = state["stopped"]
            cell = (int(stopped[0]), int(stopped[1])) if stopped is not None else None
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            raise InputError(f"the saved state is damaged ({type(error).__name__}: {error}); load another") from error
        self._game, self._seen, self._deeds, self._stopped = game, seen, deeds, cell
        self._facts = self._now()

    def affordances(self) -> Sequence[Action]:
        """Everything that may be tried: to act on each kind of thing seen so far, to look for it, to place, to make."""
        kinds = sorted(self._seen.kinds - set(_NOT_DONE))
        found = [Action(name, (kind,)) for name in ("do", "find") for kind in kinds]
        found += [Action("go_near", (station,)) for station in tables.STATIONS if station in self._seen.kinds]
        for primitive in self.spec.primitives:
            if primitive.name in ("move", "place", "make"):
                found += [Action(primitive.name, (str(choice),)) for choice in primitive.parameters[0].choices]
        return [*found, Action("sleep"), Action("noop")]

    def goals(self) -> Sequence[Goal]:
        """Which of the 22 achievements are not so now."""
        now = Snapshot(self._facts)
        return [goal for goal in achievement_goals().values() if goal.unmet(now)]

    def chores(self) -> Mapping[str, Goal]:
        """The 22 achievements by their names: "collect wood"."""
        return {name.replace("_", " "): goal for name, goal in achievement_goals().items()}

    def names(self) -> tuple[str, ...]:
        """Every thing and item that a goal may name: for reading users' words; it tells no rule."""
        return _NAMES

    def watch(self, due: Callable[[Snapshot], bool] | None) -> None:
        """From now on break walking off between two steps where ``due`` says so."""
        self._watched_by = due

    # -- for the host and for pictures; programs are handed none of it -------------------------------------------------

    def unlocked(self) -> frozenset[str]:
        """The achievements of this life by the package's own count: for benchmarks. No observation shows it."""
        return frozenset(name for name, n in self._game.achievements.items() if n)

    def picture(self, size: int = 324) -> Any:
        """What the package would draw now: uint8, (size, size, 3). Drawing changes nothing."""
        return self._game.picture(size)

    # -- acting ------------------------------------------------------------------------------------------------------

    def _look_around(self) -> _Done:
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

    def _find(self, thing: str, rock: int | None = None) -> _Done:
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

    def _go_near(self, station: str) -> _Done:
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

    def _move(self, direction: str) -> _Done:
        if direction not in DIRECTIONS:
            return False, None, f"there is no direction {direction!r}; use one of {', '.join(DIRECTIONS)}"
        before = self._game.position, self._game.facing
        self._step(f"move_{direction}")
        ok = (self._game.position, self._game.facing) != before
        return ok, None, "" if ok else _NOTHING

    def _do(self, thing: str) -> _Done:
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

    def _place(self, thing: str) -> _Done:
        if thing not in tables.PLACED:
            return False, None, f"{thing!r} is none of {', '.join(tables.PLACED)}"
        cell, faced = self._faced, self._facing()
        self._step(f"place_{thing}")
        if faced == thing or self._seen.at(cell) != thing:
            return False, None, _NOTHING
        self._count("placed", thing)
        return True, None, ""

    def _make(self, item: str) -> _Done:
        if item not in tables.MADE:
            return False, None, f"{item!r} is none of {', '.join(tables.MADE)}"
        held = self._game.inventory[item]
        self._step(f"make_{item}")
        ok = self._game.inventory[item] > held
        return ok, None, "" if ok else _NOTHING

    def _sleep(self) -> _Done:
        woken = self._deeds.get(_WOKEN, 0)
        self._step("sleep")
        ok = self._game.asleep or self._deeds.get(_WOKEN, 0) > woken
        return ok, None, "" if ok else _NOTHING

    def _noop(self) -> _Done:
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

    def _begin(self, game: Game) -> None:
        from habilis.worlds.crafter._seen import Seen

        self._game, self._seen = game, Seen()
        self._deeds, self._stopped = {}, None
        self._seen.look(game)
        self._facts = self._now()

    def _like(self) -> CrafterWorld:
        twin = CrafterWorld.__new__(CrafterWorld)
        twin.spec, twin._length = self.spec, self._length
        twin._deeds, twin._stopped, twin._facts = self._deeds, self._stopped, self._facts
        twin._watched_by = None
        return twin

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


_Done = tuple[bool, Json, str]  # whether it did what it is for, its value, a message


class _Walked:
    """How a walk ended. ``left``: steps; ``obstacle``: the solid thing that is faced and was in the way."""

    __slots__ = ("left", "obstacle")

    def __init__(self, left: int, obstacle: str = "") -> None:
        self.left, self.obstacle = left, obstacle


def _fits(name: str, args: tuple[Any, ...]) -> bool:
    if name == "find" and len(args) == 2:
        return isinstance(args[0], str) and isinstance(args[1], int)
    return len(args) == (name not in _BARE) and all(isinstance(a, str) for a in args)


def _changes(before: Mapping[Fact, Value], after: Mapping[Fact, Value]) -> tuple[Change, ...]:
    changes = [
        Change(fact, before.get(fact, _absent(value)), value)
        for fact, value in after.items()
        if before.get(fact) != value
    ]
    changes += [Change(fact, value, _absent(value)) for fact, value in before.items() if fact not in after]
    return tuple(changes)


def _absent(value: Value) -> Value:
    return False if isinstance(value, bool) else 0


_NOTHING = "nothing came of it"
_BARE = ("look", "sleep", "noop")
_WANTED = {p.name: " and ".join(q.name for q in p.parameters) or "nothing" for p in PRIMITIVES}
_COUNT = {item: Fact("count", (item,)) for item in tables.ITEMS}
_VITAL = {name: Fact(name) for name in tables.VITALS}
_FACING = {thing: Fact("facing", (thing,)) for thing in ("unknown", EDGE, *tables.THINGS)}
_NEAR = {station: Fact("near", (station,)) for station in tables.STATIONS}
_VISIBLE = {kind: Fact("visible", (kind,)) for kind in (*tables.CREATURES, *tables.PLANTS)}
_BESIDE = {kind: Fact("beside", (kind,)) for kind in (*tables.CREATURES, *tables.PLANTS)}
_AWAKE, _DAYLIGHT, _ROCK, _IS_DARK, _WOKEN = (Fact(n) for n in ("awake", "daylight", "rock", "dark", "woken"))

_HANDLERS: dict[str, Callable[..., _Done]] = {
    "look": CrafterWorld._look_around,
    "find": CrafterWorld._find,
    "go_near": CrafterWorld._go_near,
    "move": CrafterWorld._move,
    "do": CrafterWorld._do,
    "place": CrafterWorld._place,
    "make": CrafterWorld._make,
    "sleep": CrafterWorld._sleep,
    "noop": CrafterWorld._noop,
}
