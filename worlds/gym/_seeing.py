"""From an observation space to facts, and to pictures; and the check that what comes is what the space says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from habilis.core import DefinitionError
from habilis.worlds.gym._spaces import kind_of, parts_of

_MOST_FACTS = 256
_SMALLEST_PICTURE = 16  # pixels: anything smaller in uint8 is taken for numbers


class Seeing:
    """How one observation space is read. ``facts``: whether it has any without ``describe=``."""

    def __init__(self, space: Any, world: str, described: bool) -> None:
        self.space = space
        self._leaves = list(_leaves(space, ()))
        self.pictures = tuple(path for path, leaf, _ in self._leaves if is_picture(leaf))
        self._world = world
        if not described:
            self._check()

    def _check(self) -> None:
        numbers = 0
        for _, leaf, name in self._leaves:
            kind = kind_of(leaf)
            if kind in ("Discrete", "Text"):
                numbers += 1
            elif kind in ("MultiDiscrete", "MultiBinary", "Box"):
                numbers += 0 if is_picture(leaf) else int(np.prod(leaf.shape))
            else:
                raise DefinitionError(
                    f"observations of the space {leaf} are not known to {self._world!r}; give describe= of the "
                    f"observation ({name or 'all of it'}): a function that says what is the case, as a mapping"
                )
        if numbers > _MOST_FACTS:
            raise DefinitionError(
                f"an observation of {self._world!r} has {numbers} numbers, and {_MOST_FACTS} facts are the most; give "
                "describe=: a function of the observation that says what of it matters, as a mapping"
            )

    def odd(self, observation: Any) -> str:
        """What is wrong with an observation, in words; "" where it fits its space."""
        for path, leaf, name in self._leaves:
            where = f" in {name!r}" if name else ""
            try:
                value = _at(observation, path)
            except (KeyError, IndexError, TypeError):
                return f"shows {type(observation).__name__} without {name!r}, which its space has"
            kind = kind_of(leaf)
            if kind == "Discrete":
                if not isinstance(value, (int, np.integer)) and np.shape(value) != ():
                    return f"shows {type(value).__name__}{where}, where its space says a number"
                if not leaf.start <= value < leaf.start + leaf.n:
                    return f"shows {value!r:.40}{where}, outside its space {leaf}"
            elif kind in ("MultiDiscrete", "MultiBinary", "Box"):
                array = value if isinstance(value, np.ndarray) else np.asarray(value)
                if array.shape != leaf.shape:
                    return f"shows the shape {array.shape}{where}, where its space says {leaf.shape}"
                if array.dtype.kind == "f" and np.isnan(array).any():
                    return f"shows NaN{where}: {np.array2string(array, threshold=8)[:80]}"
        return ""

    def facts(self, observation: Any) -> dict[str, Any]:
        """The facts of an observation, as ``describe`` would give them."""
        found: dict[str, Any] = {}
        for path, leaf, name in self._leaves:
            if is_picture(leaf):
                continue
            value, kind = _at(observation, path), kind_of(leaf)
            if kind == "Discrete":
                if path:
                    found[name] = int(value)
                else:
                    found["state"] = {(int(value),)}
            elif kind == "Text":
                found[name or "text"] = {(str(value),)}
            else:
                array = np.asarray(value)
                if array.shape == ():
                    found[name or "value"] = _plain(array.item())
                else:
                    found[name or "value"] = {at: _plain(one.item()) for at, one in np.ndenumerate(array)}
        return found

    def images(self, observation: Any) -> list[Any]:
        """The arrays of an observation that are pictures."""
        return [_at(observation, path) for path in self.pictures]


def is_picture(space: Any) -> bool:
    """Whether a space is of pictures: height × width (× 1, 3 or 4 channels) of bytes."""
    if kind_of(space) != "Box" or space.dtype != np.uint8 or len(space.shape) not in (2, 3):
        return False
    return min(space.shape[:2]) >= _SMALLEST_PICTURE and (len(space.shape) == 2 or space.shape[2] in (1, 3, 4))


def same(one: Any, other: Any) -> bool:
    """Whether two observations are the same."""
    if isinstance(one, Mapping):
        return isinstance(other, Mapping) and one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    if isinstance(one, tuple):
        return isinstance(other, tuple) and len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, (np.ndarray, list)):
        left, right = np.asarray(one), np.asarray(other)
        return left.shape == right.shape and bool(np.all((left == right) | ((left != left) & (right != right))))
    try:
        return bool(one == other)
    except (TypeError, ValueError):
        return False


def _plain(value: Any) -> Any:
    """A number as a fact has it: floats to nine digits, as many as a float32 has."""
    if isinstance(value, float):
        return float(f"{value:.9g}")
    return int(value)


def _leaves(space: Any, path: tuple[Any, ...], name: str = "") -> Iterator[tuple[tuple[Any, ...], Any, str]]:
    if kind_of(space) not in ("Dict", "Tuple"):
        yield path, space, name
        return
    for key, word, part in parts_of(space):
        yield from _leaves(part, (*path, key), f"{name}_{word}" if name else word)


def _at(observation: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        observation = observation[key]
    return observation
