"""Workers with parts that do something else, to see what is made of it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from habilis.worlds.runner import _local as local
from habilis.worlds.runner import isolation as isolations


def sabotaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **replaced: str) -> Path:
    """Start workers from a copy of the worker's folder in which the given functions do something else.

    ``seccomp__install="return None"`` is the function ``install`` in ``seccomp.py``. Returns the server's file.
    """
    folder = tmp_path / "worker"
    shutil.copytree(local.SERVER.parent, folder)
    for name, body in replaced.items():
        file, _, function = name.partition("__")
        path = folder / f"{file}.py"
        path.write_text(path.read_text() + f"\n\ndef {function}(*args, **kwargs):\n    {body}\n")
    monkeypatch.setattr(local, "SERVER", folder / "server.py")
    monkeypatch.setattr(isolations, "_NO_BUBBLEWRAP", {})
    return folder / "server.py"
