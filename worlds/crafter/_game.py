"""Crafter's own rules without its pictures, made reproducible and quick to copy.

The package keeps the creatures of each part of the land in sets that are ordered by memory address, so that the same
seed gives another game each time; here they keep the order in which they came. It also draws a picture at every step,
and the darkness in it with the random numbers of the game; here pictures are drawn on a copy, when asked for.
"""

from __future__ import annotations

import collections
import types
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

import numpy as np
from crafter import constants, engine, objects, worldgen
from crafter.env import Env
from opensimplex import internals

from habilis.core import InputError, Json
from habilis.worlds.crafter._tables import MATERIALS

AREA = (64, 64)
_CHUNK = (12, 12)
_REACH = 18  # cells around the player in which things move: twice the width of the view
_KEPT = 64  # worlds as they begin; making one takes a fifth of a second
_KINDS = {"Cow": "cow", "Zombie": "zombie", "Skeleton": "skeleton", "Arrow": "arrow", "Plant": "plant"}
_STATE = ("health", "cooldown", "reload", "grown")  # of creatures and plants, where they have it
_PLAYER = ("sleeping", "_last_health", "_hunger", "_thirst", "_fatigue", "_recover", "action")


class Ordered(dict[Any, None]):
    """A set that keeps the order in which its members came."""

    def add(self, member: Any) -> None:
        self[member] = None

    def remove(self, member: Any) -> None:
        del self[member]


class Game:
    """One life: the land, its creatures and the player. ``achievements`` is for the host alone."""

    _update_time = Env._update_time
    _balance_chunk = Env._balance_chunk
    _balance_object = Env._balance_object

    _world: Any
    _player: Any
    _step: int

    @classmethod
    def begun(cls, seed: int) -> Game:
        """The game that ``crafter.Env(seed=seed)`` begins with."""
        return _begun(seed).clone()

    @classmethod
    def _made(cls, seed: int) -> Game:
        if tuple(constants.materials) != MATERIALS[1:]:
            raise InputError(
                f"the crafter package knows other materials than 1.8.3 did: {', '.join(constants.materials)}; "
                "run: pip install 'crafter>=1.8.3,<2'"
            )
        game = cls.__new__(cls)
        game._step = 0
        world = game._world = engine.World(AREA, constants.materials, _CHUNK)
        world.reset(seed=hash((seed, 1)) % (2**31 - 1))
        world._chunks = collections.defaultdict(Ordered)
        game._update_time()
        game._player = objects.Player(world, (AREA[0] // 2, AREA[1] // 2))
        world.add(game._player)
        _generate(world, game._player)
        return game

    # -- what the host may ask ---------------------------------------------------------------------------------------

    @property
    def achievements(self) -> dict[str, int]:
        """How often each was unlocked, by the package's own count."""
        return dict(self._player.achievements)

    @property
    def inventory(self) -> dict[str, int]:
        """Items and vital signs, as the picture shows them."""
        return self._player.inventory  # type: ignore[no-any-return]

    @property
    def steps(self) -> int:
        return self._step

    @property
    def dead(self) -> bool:
        return bool(self._player.health <= 0)

    @property
    def asleep(self) -> bool:
        return bool(self._player.sleeping)

    @property
    def daylight(self) -> float:
        """0 to 1."""
        return float(self._world.daylight)

    @property
    def position(self) -> tuple[int, int]:
        x, y = self._player.pos
        return int(x), int(y)

    @property
    def facing(self) -> tuple[int, int]:
        x, y = self._player.facing
        return int(x), int(y)

    @property
    def land(self) -> Any:
        """The materials as numbers (`MATERIALS`): uint8, (64, 64), by x and y. Not to be written to."""
        return self._world._mat_map

    def things(self, x0: int, x1: int, y0: int, y1: int) -> Iterator[tuple[int, int, str, tuple[int, int]]]:
        """Creatures and plants in a part of the land, but for the player: x, y, kind, the way an arrow flies."""
        world = self._world
        part = world._obj_map[x0:x1, y0:y1]
        for x, y in zip(*part.nonzero(), strict=True):
            thing = world._objects[part[x, y]]
            if thing is self._player:
                continue
            kind = _KINDS[type(thing).__name__]
            way = (int(thing.facing[0]), int(thing.facing[1])) if kind == "arrow" else (0, 0)
            yield int(x) + x0, int(y) + y0, "ripe_plant" if kind == "plant" and thing.ripe else kind, way

    def step(self, action: str) -> None:
        """One step by the package's rules: everything near moves, and every tenth step creatures come and go."""
        self._step += 1
        self._update_time()
        player, world = self._player, self._world
        player.action = action
        for thing in world.objects:
            if player.distance(thing) < _REACH:
                thing.update()
        if self._step % 10 == 0:
            for chunk, members in world.chunks.items():
                self._balance_chunk(chunk, members)

    # -- copies ------------------------------------------------------------------------------------------------------

    def clone(self) -> Game:
        """An independent copy, luck included."""
        twin = Game.__new__(Game)
        twin._step = self._step
        old, new = self._world, engine.World.__new__(engine.World)
        vars(new).update(vars(old))
        new._mat_map, new._obj_map = old._mat_map.copy(), old._obj_map.copy()
        new.random = np.random.RandomState(0)
        new.random.set_state(old.random.get_state(legacy=False))
        copies: dict[int, Any] = {id(thing): _copied(thing, new) for thing in old._objects if thing is not None}
        new._objects = [None if thing is None else copies[id(thing)] for thing in old._objects]
        new._chunks = collections.defaultdict(Ordered)
        for chunk, members in old._chunks.items():
            new._chunks[chunk] = Ordered.fromkeys(copies[id(thing)] for thing in members)
        twin._world, twin._player = new, copies[id(self._player)]
        for thing in copies.values():
            if hasattr(thing, "player"):
                thing.player = twin._player
        return twin

    def imagined(self, seed: int, known: Any, seen: Iterable[tuple[int, int, str, tuple[int, int]]]) -> Game:
        """A game that agrees with what is known of this one: ``known`` are materials (0 where unknown), ``seen`` the
        creatures and plants as remembered: x, y, kind, the way an arrow flies. The rest comes from a land of another
        seed, and so do luck and what does not show, such as a zombie's health."""
        seen = list(seen)
        game = Game.begun(_DREAMS + seed % _LANDS)
        world, player, mine = game._world, game._player, self._player
        world.random.seed(seed % 2**32)
        shown = {(x, y) for x, y, _, _ in seen}
        for thing in list(world.objects):
            x, y = (int(v) for v in thing.pos)
            if thing is not player and (known[x, y] or (x, y) in shown or (x, y) == self.position):
                world.remove(thing)
        mask = known > 0
        world._mat_map[mask] = known[mask]
        if tuple(player.pos) != self.position:
            world.move(player, self.position)
        for name in _PLAYER:
            setattr(player, name, getattr(mine, name))
        player.facing, player.inventory = self.facing, dict(mine.inventory)
        player._hunger = player._thirst = player._fatigue = player._recover = 0
        for x, y, kind, way in seen:
            if not world._obj_map[x, y]:
                thing = _new(kind, world, (x, y), player)
                if kind == "arrow":
                    thing.facing = np.array(way)
                world.add(thing)
        game._step = self._step
        game._update_time()
        return game

    # -- as JSON -----------------------------------------------------------------------------------------------------

    def save(self) -> Json:
        """The whole state. Creatures are kept in the order in which they act, and in which they came to their part."""
        world = self._world
        living = [thing for thing in world._objects if thing is not None]
        number = {id(thing): i for i, thing in enumerate(living)}
        name, keys, at, gauss, cached = world.random.get_state()
        return {
            "step": self._step,
            "land": ["".join(chr(65 + int(m)) for m in row) for row in world._mat_map],
            "things": [_saved(thing) for thing in living],
            "chunks": [[[int(v) for v in c], [number[id(t)] for t in members]] for c, members in world._chunks.items()],
            "luck": [name, [int(k) for k in keys], int(at), int(gauss), float(cached)],
            "player": {
                **{name: _plain(getattr(self._player, name)) for name in _PLAYER},
                "inventory": {k: int(v) for k, v in self._player.inventory.items()},
                "achievements": {k: int(v) for k, v in self._player.achievements.items()},
                "facing": list(self.facing),
            },
        }

    @classmethod
    def loaded(cls, state: Json) -> Game:
        """Raises KeyError, TypeError, ValueError or IndexError where the state is damaged."""
        game = cls.__new__(cls)
        world = game._world = engine.World(AREA, constants.materials, _CHUNK)
        game._step = int(state["step"])
        land = np.array([[ord(c) - 65 for c in row] for row in state["land"]], np.uint8)
        if land.shape != AREA or land.max() >= len(MATERIALS):
            raise ValueError("land")
        world._mat_map = land
        told = state["player"]
        player = game._player = objects.Player(world, (0, 0))
        for name in _PLAYER:
            setattr(player, name, told[name])
        player.inventory = {k: int(told["inventory"][k]) for k in player.inventory}
        player.achievements = {k: int(told["achievements"][k]) for k in player.achievements}
        player.facing = tuple(told["facing"])
        things = []
        for kind, x, y, *rest in state["things"]:
            thing = player if kind == "player" else _new(kind, world, (int(x), int(y)), player)
            thing.pos = np.array((int(x), int(y)))
            if kind != "player":
                _restore(thing, rest)
            things.append(thing)
            world._obj_map[int(x), int(y)] = len(world._objects)
            world._objects.append(thing)
        world._chunks = collections.defaultdict(Ordered)
        for chunk, members in state["chunks"]:
            world._chunks[tuple(chunk)] = Ordered.fromkeys(things[i] for i in members)
        name, keys, at, gauss, cached = state["luck"]
        world.random = np.random.RandomState(0)
        world.random.set_state((name, np.array(keys, np.uint32), at, gauss, cached))
        for thing in things:
            thing.random = world.random
        game._update_time()
        return game

    def picture(self, size: int = 324) -> Any:
        """The picture that the package would show: uint8, (size, size, 3). It takes none of the game's luck."""
        return _painted(self.clone(), size)


_DREAMS, _LANDS = 1_000_000_007, 4  # seeds of the lands that beliefs are made of: far from those that worlds use


@lru_cache(maxsize=_KEPT)
def _begun(seed: int) -> Game:
    return Game._made(seed)


class _Noise:
    """The noise of `opensimplex.OpenSimplex`, to the last bit, at a sixth of the time: with its tables as lists, of
    which one number is read sooner than of arrays."""

    def __init__(self, seed: int) -> None:
        perm, index = internals._init(seed)
        plain, steep = internals._noise3, internals.GRADIENTS3.tolist()
        if isinstance(plain, types.FunctionType):
            fast = {**vars(internals), "_extrapolate3": _extrapolated}
            self._noise: Any = types.FunctionType(plain.__code__, fast)
            self._tables: Any = perm.tolist(), [steep[i : i + 3] for i in index.tolist()]
        else:  # numba has compiled it, and it is quick as it is
            self._noise, self._tables = plain, (perm, index)

    def noise3(self, x: float, y: float, z: float) -> float:
        return self._noise(x, y, z, *self._tables)  # type: ignore[no-any-return]


def _extrapolated(
    perm: list[int], slopes: list[list[int]], xsb: int, ysb: int, zsb: int, dx: float, dy: float, dz: float
) -> float:
    a, b, c = slopes[(perm[(perm[xsb & 0xFF] + ysb) & 0xFF] + zsb) & 0xFF]
    return a * dx + b * dy + c * dz


def _generate(world: Any, player: Any) -> None:
    """As `worldgen.generate_world`, with noise that takes less time."""
    noise = _Noise(seed=world.random.randint(0, 2**31 - 1))
    tunnels = np.zeros(world.area, bool)
    cells = [(x, y) for x in range(world.area[0]) for y in range(world.area[1])]
    for cell in cells:
        worldgen._set_material(world, cell, player, tunnels, noise)
    for cell in cells:
        worldgen._set_object(world, cell, player, tunnels)


def _copied(thing: Any, world: Any) -> Any:
    twin = thing.__class__.__new__(thing.__class__)
    vars(twin).update(vars(thing))
    twin.world, twin.random, twin.inventory = world, world.random, dict(thing.inventory)
    if isinstance(thing, objects.Player):
        twin.achievements = dict(thing.achievements)
    return twin


def _new(kind: str, world: Any, at: tuple[int, int], player: Any) -> Any:
    if kind in ("zombie", "skeleton"):
        return (objects.Zombie if kind == "zombie" else objects.Skeleton)(world, at, player)
    if kind == "arrow":
        return objects.Arrow(world, at, np.array((0, 1)))
    if kind == "cow":
        return objects.Cow(world, at)
    plant = objects.Plant(world, at)
    plant.grown = 301 if kind == "ripe_plant" else 0
    return plant


def _plain(value: Any) -> Json:
    return value if isinstance(value, (bool, str)) else int(value) if float(value).is_integer() else float(value)


def _saved(thing: Any) -> Json:
    x, y = (int(v) for v in thing.pos)
    if isinstance(thing, objects.Player):
        return ["player", x, y]
    way = [int(v) for v in thing.facing] if isinstance(thing, objects.Arrow) else None
    return [_KINDS[type(thing).__name__], x, y, {n: int(getattr(thing, n)) for n in _STATE if hasattr(thing, n)}, way]


def _restore(thing: Any, rest: list[Any]) -> None:
    state, way = rest
    for name, value in state.items():
        if name not in _STATE:
            raise ValueError(name)
        setattr(thing, name, int(value))
    if way is not None:
        thing.facing = np.array(way)


@lru_cache(maxsize=1)
def _painter() -> Any:
    return Env(seed=0)


def _painted(game: Game, size: int) -> Any:
    painter = _painter()
    world = painter._world
    painter._world = painter._local_view._world = game._world
    painter._player = game._player
    try:
        return painter.render((size, size))
    finally:
        painter._world = painter._local_view._world = world
