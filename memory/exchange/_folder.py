"""Reading a folder that a stranger made: regular files in it, by paths that stay in it, no larger than a limit.

No link is followed, not even one that stays inside: each part of a path is opened by itself and must be what it looks
like, so that nothing can be put in its place meanwhile.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from habilis.core.errors import InputError, NotFoundError

__all__ = ["Entry", "Folder", "shown"]

_PARTS, _PART = 16, 255  # how deep a path may go, and the bytes of one name
_FILES = 1_000  # in one folder, with all below it
_LINK = "is a link; links are not followed: put the file itself there"


class Entry(NamedTuple):
    """What stands in a folder. ``kind``: "file", "folder", "link" or "other"; ``size``: in bytes."""

    path: str
    kind: str
    size: int


class Folder:
    """An open folder; ``path`` has no link in it (resolve what a user names). Close it, or use it as a context manager.
    Raises `NotFoundError`, `InputError`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = shown(path.name)
        try:
            self._fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            raise NotFoundError(f"there is no folder {path}; check the path") from None
        except OSError as error:
            if path.is_symlink():
                raise InputError(f"{self.name} {_LINK}") from None
            raise InputError(f"the folder {path} cannot be read: {error.strerror}") from error

    def entries(self) -> list[Entry]:
        """What stands right in the folder, sorted by name."""
        return _entries(self._fd, "", self.name)

    def files(self) -> list[Entry]:
        """All files, links and other things in the folder and below, sorted. Raises `InputError` for too many."""
        found: list[Entry] = []

        def walk(fd: int, path: str, depth: int) -> None:
            for entry in _entries(fd, path, self.name):
                if len(found) >= _FILES:
                    raise InputError(f"{self.name} holds more than {_FILES} files; take out what no skill needs")
                if entry.kind != "folder":
                    found.append(entry)
                elif depth >= _PARTS:
                    raise InputError(f"{self.name} is more than {_PARTS} folders deep, at {entry.path!r}; make it flat")
                else:
                    with _opened(entry.path.rpartition("/")[2], os.O_RDONLY | os.O_DIRECTORY, fd) as inner:
                        walk(inner, f"{entry.path}/", depth + 1)

        try:
            walk(self._fd, "", 1)
        except OSError as error:
            raise InputError(f"{self.name} cannot be read: {error.strerror}; see to its permissions") from error
        return found

    def has(self, path: str) -> bool:
        """Whether something of that name, a link included, stands right in the folder."""
        try:
            os.lstat(path, dir_fd=self._fd)
        except OSError:
            return False
        return True

    def read(self, path: str, limit: int) -> bytes:
        """A file's bytes. Raises `InputError` for a path that leaves the folder, a link, no file, or too many bytes,
        `NotFoundError` where there is none."""
        parts = self._parts(path)
        try:
            return self._read(parts, limit, path)
        except FileNotFoundError:
            raise NotFoundError(f"{self.name} has no file {path!r}") from None
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENOTDIR):
                raise InputError(f"{path!r} in {self.name} {_LINK}") from None
            raise InputError(f"{path!r} in {self.name} cannot be read: {error.strerror}") from error

    def text(self, path: str, limit: int) -> str:
        """A file's text, line ends as they are. Raises `InputError` also where it is not UTF-8."""
        data = self.read(path, limit)
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise InputError(f"{path!r} in {self.name} is not UTF-8 (byte {error.start}); save it as UTF-8") from None

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def _parts(self, path: str) -> list[str]:
        parts = path.split("/")
        if path.startswith("/") or "\\" in path or "\0" in path or ".." in parts:
            raise InputError(
                f"the path {shown(path)!r} leaves the folder {self.name}; name a file in it, such as 'scripts/name.py'"
            )
        try:
            longest = max(len(os.fsencode(part)) for part in parts)
        except UnicodeEncodeError:  # half of a surrogate pair
            longest = _PART + 1
        if not all(parts) or "." in parts or len(parts) > _PARTS or longest > _PART:
            raise InputError(f"{shown(path)!r} is no path of a file in {self.name}; write it as 'scripts/name.py'")
        return parts

    def _read(self, parts: list[str], limit: int, path: str) -> bytes:
        fd = os.dup(self._fd)
        try:
            for part in parts[:-1]:
                inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fd)
                os.close(fd)
                fd = inner
            # Not waiting: a pipe that nobody writes to would be waited for without end.
            with _opened(parts[-1], os.O_RDONLY | os.O_NONBLOCK, fd) as file:
                found = os.fstat(file)
                if not stat.S_ISREG(found.st_mode):
                    raise InputError(f"{path!r} in {self.name} is no file")
                with open(file, "rb", closefd=False) as reader:
                    data = reader.read(limit + 1)
        finally:
            os.close(fd)
        if len(data) > limit:
            size = max(found.st_size, len(data))
            raise InputError(f"{path!r} in {self.name} has {size} bytes; the limit is {limit}; make it shorter")
        return data


def shown(name: str) -> str:
    """A file's name as text that can be stored and shown: bytes that are no UTF-8 are written out."""
    return name.encode("utf-8", "backslashreplace").decode()[:200]


def _entries(fd: int, path: str, folder: str) -> list[Entry]:
    found: list[Entry] = []
    with os.scandir(fd) as entries:
        for entry in entries:
            if len(found) > 10 * _FILES:
                raise InputError(f"{folder} holds more than {10 * _FILES} things; import it in parts")
            status = entry.stat(follow_symlinks=False)
            kind = next((k for k, is_it in _KINDS.items() if is_it(status.st_mode)), "other")
            found.append(Entry(path + entry.name, kind, status.st_size if kind == "file" else 0))
    return sorted(found)


_KINDS = {"file": stat.S_ISREG, "folder": stat.S_ISDIR, "link": stat.S_ISLNK}


@contextmanager
def _opened(name: str, flags: int, folder: int) -> Iterator[int]:
    fd = os.open(name, flags | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        yield fd
    finally:
        os.close(fd)
