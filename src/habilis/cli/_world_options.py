"""``--option NAME=VALUE``: what a world is made with."""

from __future__ import annotations

import json
from typing import Any


def world_options(pairs: list[str] | None) -> dict[str, Any]:
    """Values are JSON where they can be, else text. Raises `InputError`."""
    from habilis.core import InputError

    found: dict[str, Any] = {}
    for pair in pairs or []:
        name, sep, value = pair.partition("=")
        if not sep or not name.isidentifier():
            raise InputError(f"cannot read --option {pair!r}; write NAME=VALUE")
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    return found
