"""The state of a craft world as JSON: what the seed gives again is left out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from habilis.core import InputError, Json
from habilis.worlds.craft import _tables as tables
from habilis.worlds.craft._seen import SeenMap
from habilis.worlds.craft.terrain import Key, Terrain

if TYPE_CHECKING:
    from habilis.worlds.craft.world import CraftWorld

SCHEMA_VERSION = 1


def save(world: CraftWorld) -> Json:
    """Seen cells as runs along each row; of their contents only those that differ from the untouched land.

    What has an order that may show, in an outcome's changes say, is saved as pairs: JSON is stored with sorted keys.
    """
    cells = sorted(world._seen.items(), key=lambda entry: (entry[0][2], entry[0][1], entry[0][0]))
    runs: list[list[int]] = []  # [depth, y, first x, last x]
    changed: list[Any] = []
    for (x, y, depth), cell in cells:
        if runs and runs[-1][0] == depth and runs[-1][1] == y and runs[-1][3] == x - 1:
            runs[-1][3] = x
        else:
            runs.append([depth, y, x, x])
        if cell != world._terrain.cell((x, y, depth)):
            changed.append([x, y, depth, [[k, n] for k, n in cell.items()]])
    return {
        "schema_version": SCHEMA_VERSION,
        "fingerprint": world.spec.fingerprint,
        "land": world._terrain.seed,
        "biomes": [[i, j, name] for (i, j), name in sorted(world._terrain.known_biomes.items())],
        "luck": world._rng,
        "at": [world._x, world._y, world._depth],
        "depths": sorted(world._depths),
        "seconds": world._time,
        "heat": world._heat,
        "bag": [[k, n] for k, n in world._inventory.items()],
        "wear": dict(world._wear),
        "held": sorted(world._held),
        "seen": runs,
        "changed": changed,
        "stations": [[*key, name] for key, name in world._stations],
    }


def load(world: CraftWorld, state: Json) -> None:
    """Put the state back. Raises `InputError`; the world is then as it was."""
    if not isinstance(state, dict) or state.get("schema_version") != SCHEMA_VERSION:
        version = state.get("schema_version") if isinstance(state, dict) else None
        raise InputError(f"craft reads states of schema_version={SCHEMA_VERSION}, not {version!r}; save it anew")
    if state.get("fingerprint") != world.spec.fingerprint:
        raise InputError(
            f"the state was saved under the rules {state.get('fingerprint')!r}, this world has "
            f"{world.spec.fingerprint!r}; make the world with the same shuffled= and edition"
        )
    try:
        terrain = Terrain(int(state["land"]), {(int(i), int(j)): str(name) for i, j, name in state["biomes"]})
        changed = {
            (int(x), int(y), int(z)): {str(k): int(n) for k, n in dict(c).items()} for x, y, z, c in state["changed"]
        }
        seen, stations = SeenMap(), []
        for depth, y, first, last in state["seen"]:
            for x in range(int(first), int(last) + 1):
                key: Key = (x, int(y), int(depth))
                seen.add(key, changed[key] if key in changed else terrain.cell(key))
        for key, cell in changed.items():
            stations += [(key, name) for name in tables.STATIONS if name in cell]
        placed = {((x, y, z), name): i for i, (x, y, z, name) in enumerate(state.get("stations", ()))}
        stations.sort(key=lambda entry: placed.get(entry, len(placed)))
        x, y, depth = (int(v) for v in state["at"])
        here = seen.get((x, y, depth))
        if here is None:
            raise KeyError("at")
        bag = {str(k): int(n) for k, n in dict(state["bag"]).items()}
        wear = {str(k): int(n) for k, n in state["wear"].items()}
        held = frozenset(str(item) for item in state["held"])
        luck, seconds, heat = int(state["luck"]), float(state["seconds"]), float(state["heat"])
        depths = frozenset(int(d) for d in state["depths"])
        unknown = sorted((held | bag.keys() | wear.keys()) - world._rules.items)
        if unknown:
            raise KeyError(unknown[0])
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise InputError(f"the saved state is damaged ({type(error).__name__}: {error}); load another one") from error
    world._terrain, world._rng, world._seen, world._stations = terrain, luck, seen, tuple(stations)
    world._x, world._y, world._depth, world._depths = x, y, depth, depths
    world._time, world._heat, world._inventory, world._wear = seconds, heat, bag, wear
    world._held = held
    world._unlocked = frozenset().union(*(world._rules.unlocks.get(i, frozenset()) for i in held))
    world._cell, world._owns_cell, world._owns_inventory = here, False, True
