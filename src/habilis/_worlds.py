"""Worlds by name: an entry point, ``module:callable``, or ``path/to/file.py:callable``."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from habilis.core import HabilisError, InputError, NotFoundError, World, load_user_code, split_source
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
        _check_names(name, kind, options)
        try:
            made = kind(**options)
        except HabilisError:
            raise
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


def _check_names(name: str, kind: Callable[..., Any], options: Mapping[str, Any]) -> None:
    """Raises `InputError` for an option that the world does not have, and where one that it needs is not given."""
    try:
        taken = inspect.signature(kind).parameters.values()
    except (TypeError, ValueError):  # written in C: what it takes shows when it is called
        return
    by_name = {p.name: p for p in taken if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    unknown = [option for option in options if option not in by_name]
    if unknown and not any(p.kind is p.VAR_KEYWORD for p in taken):
        takes = f"it takes {', '.join(by_name)}" if by_name else "it takes none"
        raise InputError(f"the world {name!r} has no option {unknown[0]!r}; {takes}")
    missing = [n for n, p in by_name.items() if p.default is p.empty and n not in options]
    if missing:
        raise InputError(f"the world {name!r} needs the option {missing[0]}; give it: -o {missing[0]}=VALUE")


def _points() -> dict[str, Any]:
    from importlib.metadata import entry_points

    return {p.name: p for p in entry_points(group=_GROUP)}


def _find(name: str) -> Callable[..., Any]:
    points = _points()
    if name in points:
        try:
            kind = points[name].load()
        except Exception as error:
            raise InputError(f"cannot load the world {name!r}: {type(error).__name__}: {error}") from error
    else:
        place, attribute = split_source(name)
        if not (place and attribute):
            raise NotFoundError.of("world", name, points, _OWN)
        module = load_user_code(place, f"the world {name!r}")
        if not hasattr(module, attribute):
            own = [n for n, v in vars(module).items() if getattr(v, "__module__", None) == module.__name__]
            raise NotFoundError.of(f"callable in {place}", attribute, [n for n in own if not n.startswith("_")])
        kind = getattr(module, attribute)
    if not callable(kind):
        raise InputError(f"{name!r} is a {type(kind).__name__}; name a class or function that makes a world")
    made: Callable[..., Any] = kind
    return made


__all__ = ["open_world", "world_origins", "world_tools"]
