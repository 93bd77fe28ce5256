"""Checkpoints that can be trusted: what a kill cut short, or a disk damaged, is passed over.

A checkpoint is complete when its ``habilis.json``, written last, names every file with its size and sha256, and they
agree. Two are kept, so that a kill while one is written leaves the one before.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from habilis.core import HabilisError, ModelError
from habilis.trainer.base import file_digest

NOTE = "habilis.json"
KEPT = 2


def seal(folder: Path, note: Mapping[str, Any]) -> None:
    """Write the note with the digests of all that is in the folder, which is complete from now on."""
    files = {p.name: [p.stat().st_size, file_digest(p)] for p in sorted(folder.iterdir()) if p.name != NOTE}
    scratch = folder / f".{NOTE}"
    scratch.write_text(json.dumps({**note, "files": files}))
    os.replace(scratch, folder / NOTE)


def last_good(folder: Path) -> tuple[Path, dict[str, Any]] | None:
    """The latest complete checkpoint with its note."""
    for path in sorted(folder.glob("checkpoint-*"), key=_step, reverse=True):
        note = _sealed(path)
        if note is not None:
            return path, note
    return None


def prune(folder: Path) -> None:
    """Keep the latest `KEPT` complete checkpoints; remove older ones, and what was left half-written."""
    complete = 0
    for path in sorted(folder.glob("checkpoint-*"), key=_step, reverse=True):
        if (path / NOTE).is_file():
            complete += 1
            if complete <= KEPT:
                continue
        shutil.rmtree(path, ignore_errors=True)


def _step(path: Path) -> int:
    number = path.name.rpartition("-")[2]
    return int(number) if number.isdecimal() else -1


def _sealed(folder: Path) -> dict[str, Any] | None:
    try:
        note: dict[str, Any] = json.loads((folder / NOTE).read_text())
        for name, (size, digest) in note["files"].items():
            file = folder / name
            if file.stat().st_size != size or file_digest(file) != digest:
                return None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return note


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns the ways in which libraries say that a disk is full into one `ModelError` that says what to do."""
    try:
        yield
    except HabilisError:
        raise
    except Exception as error:  # torch raises RuntimeError, safetensors its own, both without an errno
        known = isinstance(error, OSError) or any(
            word in f"{type(error).__name__} {error}" for word in ("Writer", "SafetensorError", "write", "No space")
        )
        if not known:
            raise
        raise _unwritten(path, error) from error


def _unwritten(path: Path, error: Exception) -> ModelError:
    there = path
    while not there.exists() and there != there.parent:
        there = there.parent
    free = shutil.disk_usage(there).free / 2**20
    why = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)[:200]
    if isinstance(error, OSError) and error.errno == errno.EACCES:
        return ModelError(f"cannot write {path}: {why}; make it writable, or use another --home")
    return ModelError(
        f"cannot write {path}: {why}; {free:,.0f} MiB are free there. Nothing was adopted and what was there before is "
        "untouched; free some space, or use another --home, and call it again: it goes on"
    )


def check_room(folder: Path, needed: int, what: str = "checkpoints, the adapter, the merged model") -> None:
    """Raises `ModelError` where a disk has fewer than ``needed`` bytes free, before anything is begun. ``what``: is to
    be written, in words."""
    there = folder
    while not there.exists() and there != there.parent:
        there = there.parent
    free = shutil.disk_usage(there).free
    if free < needed:
        raise ModelError(
            f"up to {needed / 2**20:,.1f} MiB are to be written in {folder} ({what}) and {free / 2**20:,.1f} MiB are "
            "free; free some space, or choose another place"
        )
