"""Finding tools by text: ``module:function``, ``path/to/file.py:function``, ``path/to/file.py`` or ``module``."""

from __future__ import annotations

import os
from pathlib import Path
from types import ModuleType
from typing import Any

from habilis.core import InputError, NotFoundError, load_user_code, place_of, split_source
from habilis.tools.tool import Tool


def full_source(text: str) -> str:
    """The same text with the file's path made absolute, so that it is found from any folder."""
    place, function = split_source(text)
    if place.endswith(".py"):
        place = str(Path(os.path.expanduser(place)).resolve())
    return f"{place}:{function}" if function else place


def find(text: str) -> list[Any]:
    """What the text names: one object, or all the tools that the module or file itself defines, by name."""
    place, function = split_source(text)
    if not place:
        raise InputError(f"cannot read {text!r}; write module:function or path/to/file.py:function")
    module = load_user_code(place, f"the tool {text!r}")
    if function:
        found: Any = module
        for part in function.split("."):
            if not hasattr(found, part):
                known = [n for n, v in vars(module).items() if isinstance(v, Tool) or _is_own_function(v, module)]
                raise NotFoundError.of(f"function in {place}", function, known)
            found = getattr(found, part)
        return [found]
    tools = {id(v): v for v in vars(module).values() if isinstance(v, Tool)}
    own = [t for t in tools.values() if t.owner.rpartition(":")[0] == place_of(module.__name__)]
    if not own:
        raise NotFoundError(f"{place} defines no tool; mark functions with @tool, or name one: {place}:function")
    return sorted(own, key=lambda t: t.name)


def _is_own_function(value: Any, module: ModuleType) -> bool:
    return callable(value) and getattr(value, "__module__", None) == module.__name__
