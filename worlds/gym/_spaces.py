"""What kind of space a space is, and what it is made of. Gymnasium is not imported for it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def kind_of(space: Any) -> str:
    """The name of Gymnasium's class of spaces that this is one of, "" where it is none: a Box derived is a Box."""
    for one in type(space).__mro__:
        if one.__module__.startswith("gymnasium.spaces") and one.__name__ != "Space":
            return str(one.__name__)
    return ""


def parts_of(space: Any) -> Iterable[tuple[Any, str, Any]]:
    """The parts of a Dict or a Tuple: the key in an observation, the key as part of a Python name, the space."""
    if kind_of(space) == "Dict":
        return [(key, _word(key), part) for key, part in space.spaces.items()]
    return [(i, f"part_{i}", part) for i, part in enumerate(space.spaces)]


def _word(key: Any) -> str:
    word = "".join(c if c.isalnum() and c.isascii() else "_" for c in str(key)).strip("_") or "part"
    return f"part_{word}" if word[0].isdigit() else word
