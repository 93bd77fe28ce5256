"""The command that starts the worker in namespaces of its own: it sees Python, its own folder, and nothing else."""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from habilis.core.errors import IsolationError
from habilis.worlds.runner._worker import Setup


def prefix(python: str, folder: Path, setup: Setup) -> list[str]:
    """What to put before the worker's command. Raises `IsolationError` where bubblewrap is not installed."""
    bwrap = shutil.which("bwrap")
    if bwrap is None:
        raise IsolationError("bwrap is not installed")
    command = [bwrap, "--unshare-all", "--cap-drop", "ALL", "--dev", "/dev", "--chdir", "/"]
    seen: set[str] = set()
    for path in _needed(python, folder, setup):
        if path in seen or not os.path.exists(path):
            continue
        seen.add(path)
        if os.path.islink(path) and path.count("/") == 1:  # /lib -> usr/lib
            command += ["--symlink", os.readlink(path), path]
        elif os.path.realpath(path) == "/":
            raise IsolationError(f"Python is installed in {path}, so the worker would see everything")
        else:
            command += ["--ro-bind", os.path.realpath(path), path]
    return command


def _needed(python: str, folder: Path, setup: Setup) -> Iterator[str]:
    """What Python opens before programs arrive: itself, its libraries, our folder, the paths of what it preloads."""
    yield from ("/usr", "/lib", "/lib64", "/lib32", "/libx32", "/etc/ld.so.cache", "/nix/store", "/gnu/store")
    yield sys.base_prefix
    yield sys.base_exec_prefix
    yield str(Path(python).parent)
    yield sysconfig.get_path("stdlib")
    yield from filter(None, os.environ.get("LD_LIBRARY_PATH", "").split(":"))
    yield str(folder)
    home = Path.home()
    for path in setup.path:
        if home.is_relative_to(path):  # a script's folder may be the home itself; what is in it stays outside
            continue
        yield path
        # An editable install leads elsewhere: `habilis/worlds` may be a link to a folder that no path names.
        yield from (
            str(link.resolve()) for link in sorted(Path(path).glob("*/*")) if link.is_symlink() and link.is_dir()
        )
