"""Worlds by name: an entry point, ``module:callable``, or ``path/to/file.py:callable``."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from habilis.core import HabilisError, InputError, NotFoundError, World
from habilis.tools import Tool, tool

_GROUP = "habilis.worlds"
_OWN = "A world of your own: module:callable, or path/to/file.py:callable."


def world_origins() -> dict[str, str]:
    """The worlds that can be named, and where each comes from."""
    return {name: point.value for name, point in sorted(_points().items())}


def open_world(name: str, options: Mapping[str, Any]) -> Callable[[], World]:
    """A maker of worlds of this name. Raises `NotFoundError` for an unknown one.

    The maker raises `InputError` where the world does not take the options, or what was named makes no world.
    """
    kind = _find(name)

    def make() -> World:
        try:
            made = kind(**options)
        except HabilisError:
            raise
        except TypeError as error:
            raise InputError(f"the world {name!r} does not take these options: {error}") from error
        except (Exception, SystemExit) as error:
            raise InputError(f"the world {name!r} could not be made: {type(error).__name__}: {error}") from error
        if not isinstance(made, World):
            raise InputError(
                f"{name!r} made a {type(made).__name__}, which is no world: a world has spec, reset, observe and act"
            )
        return made

    return make


def world_tools(world: World) -> list[Tool]:
    """The priced aids that a world brings."""
    offered = getattr(world, "tools", None)
    return [
        tool(name=aid.name, cost=aid.cost, safe_to_retry=aid.safe_to_retry, provides=aid.provides)(aid.function)
        for aid in (offered() if callable(offered) else ())
    ]


def _points() -> dict[str, Any]:
    from importlib.metadata import entry_points

    return {p.name: p for p in entry_points(group=_GROUP)}


def _find(name: str) -> Callable[..., Any]:
    points = _points()
    if name in points:
        try:
            kind = points[name].load()
        except Exception as error:
            raise _unloadable(name, error) from error
    else:
        place, colon, attribute = name.strip().rpartition(":")
        if not (colon and place and attribute):
            raise NotFoundError.of("world", name, points, _OWN)
        module = _file(Path(place).expanduser(), name) if place.endswith(".py") else _module(place, name)
        if not hasattr(module, attribute):
            own = [n for n, v in vars(module).items() if getattr(v, "__module__", None) == module.__name__]
            raise NotFoundError.of(f"callable in {place}", attribute, [n for n in own if not n.startswith("_")])
        kind = getattr(module, attribute)
    if not callable(kind):
        raise InputError(f"{name!r} is a {type(kind).__name__}; name a class or function that makes a world")
    made: Callable[..., Any] = kind
    return made


def _file(path: Path, name: str) -> ModuleType:
    path = path.resolve()
    if not path.is_file():
        raise NotFoundError(f"there is no file {path} for the world {name!r}; check the path")
    # The path is part of the name, so that a user's file shadows nothing and is shadowed by nothing.
    known = f"habilis_world_{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    if known in sys.modules:
        return sys.modules[known]
    spec = importlib.util.spec_from_file_location(known, path)
    if spec is None or spec.loader is None:
        raise InputError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[known] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[known]
        raise _unloadable(name, error) from error
    return module


def _module(place: str, name: str) -> ModuleType:
    # A console script does not look into the folder it is started from; users expect it, as with python -m.
    here = os.getcwd()
    if here not in sys.path and "" not in sys.path:
        sys.path.append(here)
        importlib.invalidate_caches()
    try:
        return importlib.import_module(place)
    except ModuleNotFoundError as error:
        if error.name is not None and (place == error.name or place.startswith(error.name + ".")):
            raise NotFoundError(f"cannot load the world {name!r}: no module named {error.name!r}. {_OWN}") from error
        raise _unloadable(name, error) from error
    except (Exception, SystemExit) as error:
        raise _unloadable(name, error) from error


def _unloadable(name: str, error: BaseException) -> InputError:
    return InputError(f"cannot load the world {name!r}: {type(error).__name__}: {error}")


__all__ = ["open_world", "world_origins", "world_tools"]
