"""Finding tools by text: ``module:function``, ``path/to/file.py:function``, ``path/to/file.py`` or ``module``."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from habilis.core import InputError, NotFoundError
from habilis.tools.tool import Tool


def split_source(text: str) -> tuple[str, str]:
    """The module or file, and the function ("" for all tools in it). A drive letter's colon is no separator."""
    place, colon, function = text.strip().rpartition(":")
    if not colon or function.startswith(("/", "\\")) or function.endswith(".py"):
        return text.strip(), ""
    return place, function


def full_source(text: str) -> str:
    """The same text with the file's path made absolute, so that it is found from any folder."""
    place, function = split_source(text)
    if place.endswith(".py"):
        place = str(Path(place).expanduser().resolve())
    return f"{place}:{function}" if function else place


def find(text: str) -> list[Any]:
    """What the text names: one object, or all the tools that the module or file itself defines, by name."""
    place, function = split_source(text)
    if not place:
        raise InputError(f"cannot read {text!r}; write module:function or path/to/file.py:function")
    module = _file(Path(place).expanduser()) if place.endswith(".py") else _module(place, text)
    if function:
        found: Any = module
        for part in function.split("."):
            if not hasattr(found, part):
                known = [n for n, v in vars(module).items() if isinstance(v, Tool) or _is_own_function(v, module)]
                raise NotFoundError.of(f"function in {place}", function, known)
            found = getattr(found, part)
        return [found]
    tools = {id(v): v for v in vars(module).values() if isinstance(v, Tool)}
    own = [t for t in tools.values() if t.owner.partition(":")[0] == module.__name__]
    if not own:
        raise NotFoundError(f"{place} defines no tool; mark functions with @tool, or name one: {place}:function")
    return sorted(own, key=lambda t: t.name)


def _is_own_function(value: Any, module: ModuleType) -> bool:
    return callable(value) and getattr(value, "__module__", None) == module.__name__


def _file(path: Path) -> ModuleType:
    path = path.resolve()
    if not path.is_file():
        raise NotFoundError(f"there is no file {path}; check the path, or name an installed module: module:function")
    # The path is part of the name, so that a user's tools.py shadows nothing and is shadowed by nothing.
    name = f"habilis_user_{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise InputError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        del sys.modules[name]
        raise _unloadable(str(path), error) from error
    return module


def _module(name: str, text: str) -> ModuleType:
    # A console script does not look into the folder it is started from; users expect it, as with python -m.
    here = os.getcwd()
    added = here not in sys.path and "" not in sys.path
    if added:
        sys.path.append(here)
        importlib.invalidate_caches()
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(error.name + ".")):
            raise NotFoundError(
                f"there is no module {error.name!r} for the tool {text!r}; install it, "
                "or give the file: path/to/file.py:function"
            ) from error
        raise _unloadable(name, error) from error
    except BaseException as error:
        raise _unloadable(name, error) from error
    finally:
        if added:
            sys.path.remove(here)


def _unloadable(place: str, error: BaseException) -> InputError:
    if isinstance(error, KeyboardInterrupt):
        raise error
    return InputError(f"{place} could not be loaded: {type(error).__name__}: {error}; fix it and add it again")
