"""The package's levels by name: made, begun from a seed, and copied."""

from __future__ import annotations

import contextlib
import copy
import difflib
import io
import os
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from habilis.core import InputError, need

_PREFIX = "BabyAI-"
_SHARED = ("observation_space", "action_space", "np_random", "_np_random", "actions", "spec")  # no part of the state


@lru_cache(maxsize=1)
def levels() -> Mapping[str, str]:
    """The environments of the package's BabyAI levels by the names used here: "GoToLocal" is "BabyAI-GoToLocal-v0"."""
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    need("minigrid", "the world 'grid'", install="'habilis[grid]'")
    import gymnasium

    found = sorted(name for name in gymnasium.registry if name.startswith(_PREFIX))
    return {name.removeprefix(_PREFIX).rpartition("-v")[0]: name for name in found}


def checked(level: str) -> tuple[str, ...]:
    """The levels that are named, separated by commas. Raises `InputError` for one that there is not."""
    known = levels()
    names = [name.strip() for name in level.split(",")] if isinstance(level, str) else []
    names = [name for name in names if name]
    if not names:
        raise InputError(f"level names one level or several, separated by commas, not {level!r}; such as GoToLocal")
    for name in names:
        if name not in known:
            close = difflib.get_close_matches(name, known, 3) or ["GoToLocal", "PickupLoc", "Open"]
            raise InputError(
                f"the world grid has no level {name!r}; close to it: {', '.join(close)}. There are {len(known)}: "
                f"{', '.join(known)}"
            )
    return tuple(names)


def begun(level: str, seed: int, length: int | None, *, whole: bool = False) -> Any:
    """The environment of a level as it begins from this seed. ``length``: its steps; None: the level's own number.
    ``whole``: its steps give the package's observations too."""
    name = levels()[level]
    import gymnasium
    from gymnasium.envs.registration import load_env_creator

    spec = gymnasium.registry[name]
    make: Any = load_env_creator(spec.entry_point) if isinstance(spec.entry_point, str) else spec.entry_point
    with contextlib.redirect_stdout(io.StringIO()):  # the package prints what it throws away while it draws a mission
        env = make(**spec.kwargs)
        env.reset(seed=seed)
    if length is not None:
        env.max_steps = length
    if not whole:
        env.gen_obs = dict  # the view is taken in by `Seen`; encoding it again at each step would only cost time
    return env


def copied(env: Any) -> Any:
    """An independent copy. Walls and floors never change, and are shared; so are spaces, which are no state."""
    memo: dict[int, Any] = {}
    for name in _SHARED:
        part = getattr(env, "__dict__", {}).get(name)
        if part is not None:
            memo[id(part)] = part
    for thing in env.grid.grid:
        if thing is not None and thing.type == "wall":
            memo[id(thing)] = thing
    return copy.deepcopy(env, memo)
