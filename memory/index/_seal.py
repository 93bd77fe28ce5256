"""A seal on a folder of files: their sizes and checksums, written when all is closed and broken when it is opened.

What changes a file in between, be it one flipped byte, is noticed. A process that was killed leaves no seal, and then
nothing is said about its files.
"""

from __future__ import annotations

import json
import os
import zlib
from pathlib import Path

NAME = "sealed.json"
_CHUNK = 1 << 22


def seal(folder: Path) -> None:
    files = {str(p.relative_to(folder)): [p.stat().st_size, crc(p)] for p in _files(folder)}
    replace(folder / NAME, json.dumps({"schema_version": 1, "files": files}).encode())


def broken(folder: Path) -> bool:
    """Whether the folder was sealed, and is not now what it was then. The seal is removed."""
    mark = folder / NAME
    try:
        kept = json.loads(mark.read_bytes())["files"]
        here = {str(p.relative_to(folder)): p for p in _files(folder)}
        changed = set(kept) != set(here) or any(
            [here[name].stat().st_size, crc(here[name])] != list(facts) for name, facts in kept.items()
        )
    except FileNotFoundError:
        return False
    except (ValueError, KeyError, TypeError, AttributeError):
        changed = True
    mark.unlink(missing_ok=True)
    return changed


def crc(path: Path) -> int:
    """CRC-32 of a file."""
    value = 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            value = zlib.crc32(chunk, value)
    return value


def replace(path: Path, data: bytes) -> None:
    """Write a file so that it is there whole or not at all, whatever ends the process."""
    scratch = path.with_name(path.name + ".tmp")
    with scratch.open("wb") as out:
        out.write(data)
        out.flush()
        os.fsync(out.fileno())
    scratch.replace(path)


def _files(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.is_file() and p.name != NAME)
