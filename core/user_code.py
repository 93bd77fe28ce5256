"""A user's own code, loaded by the name of a module or of a file: once, whatever is taken from it."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

from habilis.core.errors import HabilisError, InputError, NotFoundError

_OF_A_FILE = "habilis_user_"
_by_file: dict[Path, ModuleType] = {}


def split_source(text: str) -> tuple[str, str]:
    """``module:name`` or ``path/to/file.py:name`` in two; the name is "" where none is given. A drive letter's colon
    is no separator."""
    place, colon, name = text.strip().rpartition(":")
    if not colon or name.startswith(("/", "\\")) or name.endswith(".py"):
        return text.strip(), ""
    return place, name


def load_user_code(place: str, wanted: str) -> ModuleType:
    """The module of this name, or the file if it ends in ``.py``. ``wanted`` says in errors what it is loaded for.

    A file is loaded once in a process, so that the world and the tools in it share what they hold. Modules are looked
    for in the current folder too. Raises `NotFoundError` where there is none, `InputError` where it cannot be loaded.
    """
    try:
        if place.endswith(".py"):
            return _file(Path(os.path.expanduser(place)).resolve(), wanted)  # of nobody's folder: there is no such file
        return _module(place, wanted)
    except (HabilisError, KeyboardInterrupt):
        raise
    except BaseException as error:  # code that ends the process, or raises what is no Exception, is no better
        raise InputError(
            f"{place} could not be loaded for {wanted}: {type(error).__name__}: {error}; mend it and try again"
        ) from error


def place_of(module: str) -> str:
    """The file of a module that was loaded by its path, or the module's own name: what users wrote."""
    file = getattr(sys.modules.get(module), "__file__", None) if module.startswith(_OF_A_FILE) else None
    return file or module


def _file(path: Path, wanted: str) -> ModuleType:
    if path in _by_file:
        return _by_file[path]
    if not path.is_file():
        raise NotFoundError(f"there is no file {path} for {wanted}; check the path, or name an installed module")
    # The path is part of the name, so that a user's file shadows nothing and is shadowed by nothing.
    name = f"{_OF_A_FILE}{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise InputError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    _by_file[path] = module
    return module


def _module(name: str, wanted: str) -> ModuleType:
    # A console script does not look into the folder it is started from; users expect it, as with python -m.
    here = os.getcwd()
    added = here not in sys.path and "" not in sys.path
    if added:
        sys.path.append(here)
        importlib.invalidate_caches()
    try:
        found = importlib.util.find_spec(name) if name not in sys.modules else None
        known = _by_file.get(Path(found.origin).resolve()) if found is not None and found.origin else None
        module = known or importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(error.name + ".")):
            raise NotFoundError(
                f"there is no module {error.name!r} for {wanted}; install it, or give the file: path/to/file.py:name"
            ) from error
        raise
    finally:
        if added:
            sys.path.remove(here)
    file = getattr(module, "__file__", None)
    if file:
        _by_file.setdefault(Path(file).resolve(), module)
    return module
