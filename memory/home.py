"""The home: the folder a run lives in, owned by one process at a time.

    home.json               facts fixed at its making: schema version, embedder fingerprint
    home.lock               held by the owner; names it
    journal.sqlite          the journal
    journal-account.sqlite  what calls in flight may cost, folded into the journal when the home is opened
    index/                  vectors, derived
    vectors.sqlite          what was embedded, derived; listing commands, which may not open the index, read it
    models/                 distilled models
    reports/
    images/                 pictures that were seen, by hash

Others may read the journal meanwhile: `Home.open(path, read_only=True)` takes no lock.
"""

from __future__ import annotations

import errno
import json
import os
import shlex
import sys
import time
import weakref
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from habilis.core.errors import HabilisError, HomeError, HomeLockedError, InputError, NotFoundError, SchemaError
from habilis.memory.images import ImageStore
from habilis.memory.journal import SCHEMA_VERSION, Held, Hook, Journal

__all__ = ["Home", "default_home", "is_owned", "rebuild_command"]

_PATIENCE = 0.2  # seconds that a lock is waited for: who asks `is_owned` holds it for a moment
_LONGEST = 480  # bytes of a home's path: SQLite takes 512 for a file, its own endings included
_LONGEST_NAME = 255  # bytes of one name, on the usual file systems


def default_home() -> Path:
    """``HABILIS_HOME``, else ``~/.habilis``. Raises `InputError` where that is no path."""
    return _folder(os.environ.get("HABILIS_HOME") or "~/.habilis", "HABILIS_HOME")


def rebuild_command(home: Path, embedder: str = "") -> str:
    """The command that makes a home's index anew; ``embedder``: its name or fingerprint, by default the home's own."""
    name = embedder if embedder.startswith("endpoint:") else embedder.partition(":")[0]
    chosen = f" --embedder {shlex.quote(name)}" if name else ""
    return f"habilis index rebuild --home {shlex.quote(str(home))}{chosen}"


def is_owned(path: Path | str) -> bool:
    """Whether a process owns this home now."""
    try:
        import fcntl

        fd = os.open(_folder(path) / "home.lock", os.O_RDONLY | os.O_CLOEXEC)
    except (ImportError, OSError):
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)  # given back at once by closing
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


class Home:
    """An open home. Use `Home.open`; close it, or use it as a context manager."""

    def __init__(self, path: Path, journal: Journal, facts: dict[str, Any], lock: _Lock | None) -> None:
        self.path, self.journal = path, journal
        self._facts, self._lock = facts, lock
        self.left_open: tuple[Held, ...] = ()  # calls that were under way when the last owner was killed

    @classmethod
    def open(
        cls,
        path: Path | str,
        *,
        create: bool = True,
        embedder: str | None = None,
        read_only: bool = False,
        clock: Callable[[], float] = time.time,
        before_write: Hook | None = None,
    ) -> Self:
        """Open a home, or make it.

        ``create=False``: only if it exists. ``embedder``: the fingerprint of the embedder in use; a home that has none
        keeps it for good (`set_embedder` changes it). ``read_only``: for listing while a run goes on; takes no lock.
        ``clock``: seconds since the epoch. ``before_write``: see `Journal`.

        Raises `HomeLockedError` (names the process that owns it), `NotFoundError`, `SchemaError` (written by a newer
        version: untouched), `HomeError` (another embedder, no permission, no space, damaged facts, a journal that is
        gone), `JournalError`.
        """
        folder = _folder(path).absolute()
        facts_file = folder / "home.json"
        _refuse_impossible(folder)
        lock: _Lock | None = None
        journal: Journal | None = None
        try:
            if not (folder / "journal.sqlite").exists() and (read_only or not create):
                raise NotFoundError(
                    f"there is no home at {folder}; a first run makes one (habilis run --home {folder})"
                )
            if not read_only:
                folder.mkdir(parents=True, exist_ok=True)
                lock = _Lock(folder / "home.lock", clock)
            facts = _read_facts(facts_file)
            known = facts.get("embedder")
            if embedder is not None:
                _check_embedder(folder, known, embedder)
            if "schema_version" in facts:
                _check_not_lost(folder / "journal.sqlite")
            journal = Journal(folder / "journal.sqlite", read_only=read_only, clock=clock, before_write=before_write)
            home = cls(folder, journal, facts, lock)
            if not read_only:
                home.left_open = tuple(journal.settle_left_open())
                home._write_facts(schema_version=SCHEMA_VERSION, embedder=known or embedder)
        except BaseException as error:
            if journal is not None:
                journal.close()
            if lock is not None:
                lock.release()
            if isinstance(error, OSError) and not isinstance(error, HabilisError):
                raise HomeError(_plain(error, folder, "read" if read_only else "write")) from error
            raise
        return home

    @property
    def embedder(self) -> str | None:
        """The fingerprint of the embedder whose vectors the index holds."""
        known = self._facts.get("embedder")
        return None if known is None else str(known)

    @property
    def read_only(self) -> bool:
        return self._lock is None

    @property
    def index_path(self) -> Path:
        return self.path / "index"

    @property
    def vectors_path(self) -> Path:
        return self.path / "vectors.sqlite"

    @property
    def models_path(self) -> Path:
        return self.path / "models"

    @property
    def reports_path(self) -> Path:
        return self.path / "reports"

    @cached_property
    def images(self) -> ImageStore:
        """Pictures that were seen."""
        return ImageStore(self.path / "images")

    def check_embedder(self, fingerprint: str) -> None:
        """Raises `HomeError` where the home was made with another embedder than this."""
        _check_embedder(self.path, self.embedder, fingerprint)

    def set_embedder(self, fingerprint: str) -> None:
        """From now on use another embedder. The index holds vectors of the one before: see `SkillLibrary.rebuild`."""
        if self.read_only:
            raise HomeError(f"{self.path} is open for reading only; open it without read_only to change its embedder")
        try:
            self._write_facts(embedder=fingerprint)
        except OSError as error:
            raise HomeError(_plain(error, self.path, "write")) from error

    def close(self) -> None:
        """Close the journal and give the lock back. May be called twice."""
        self.journal.close()
        if self._lock is not None:
            self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def _write_facts(self, **changes: Any) -> None:
        facts = {**self._facts, **{k: v for k, v in changes.items() if v is not None}}
        file = self.path / "home.json"
        if facts != self._facts or not file.exists():
            scratch = file.with_suffix(".tmp")
            with scratch.open("w", encoding="utf-8") as out:
                json.dump(facts, out, indent=2, sort_keys=True)
                out.flush()
                os.fsync(out.fileno())
            scratch.replace(file)
        self._facts = facts


def _folder(path: Path | str, whose: str = "") -> Path:
    """The path of a home. Raises `InputError` where it cannot be one; ``whose``: who named it."""
    said, by = f"{str(path)!r}", f" ({whose})" if whose else ""
    if not str(path).strip() or "\0" in str(path):
        raise InputError(f"{said}{by} names no folder for a home; give its path, or leave it out")
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise InputError(f"{said}{by} is no UTF-8 text, and so no path of a home; give another") from None
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise InputError(
            f"{said}{by}: there is no such user, or no home folder of theirs; write the whole path"
        ) from None


def _refuse_impossible(folder: Path) -> None:
    """Raises `HomeError` where the path is too long, or a file stands where the folder would be."""
    size, longest = len(os.fsencode(folder)), max(len(os.fsencode(part)) for part in folder.parts)
    if size > _LONGEST or longest > _LONGEST_NAME:
        raise HomeError(
            f"the path of the home is too long: {size} bytes with a name of {longest}, the most are {_LONGEST} and "
            f"{_LONGEST_NAME}: {str(folder)[:60]}…; choose a shorter one with --home or HABILIS_HOME"
        )
    there = next(p for p in (folder, *folder.parents) if os.path.exists(p) or p == p.parent)
    if not os.path.isdir(there):
        raise HomeError(
            f"cannot open the home {folder}: {there} is a file, not a folder; choose another with --home or "
            "HABILIS_HOME"
        )


def _check_not_lost(journal: Path) -> None:
    """A home that was in use has a journal: a new one in its place would make light of what is lost."""
    there = [f for f in (journal, journal.with_name(f"{journal.name}-wal")) if f.exists() and f.stat().st_size]
    if not there:
        how = "is empty" if journal.exists() else "is gone"
        raise HomeError(
            f"{journal} {how}, though this home was in use: its runs, skills and spending were in it. Put that file "
            f"back from a copy; or begin anew: in another folder (--home), or remove {journal.parent / 'home.json'}"
        )


def _read_facts(file: Path) -> dict[str, Any]:
    anew = "put back a copy, or delete it: it is made anew, and so is the index where it needs to be"
    try:
        facts = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (ValueError, RecursionError) as error:
        raise HomeError(f"{file} is damaged ({error}); {anew}") from error
    version = facts.get("schema_version", 0) if isinstance(facts, dict) else None
    if not isinstance(version, int) or isinstance(version, bool) or version < 0:
        raise HomeError(f"{file} is damaged (schema_version: {_shown(version)}); {anew}")
    embedder = facts.get("embedder")
    if embedder is not None and not (isinstance(embedder, str) and embedder.strip()):
        raise HomeError(f"{file} is damaged (embedder: {_shown(embedder)}); {anew}")
    if version > SCHEMA_VERSION:
        raise SchemaError(
            f"{file} has schema {version}, this version of Habilis knows up to {SCHEMA_VERSION}; the home was left "
            "untouched. Upgrade habilis, or use another home"
        )
    return dict(facts)


def _check_embedder(folder: Path, known: str | None, now: str) -> None:
    if known not in (None, now):
        raise HomeError(
            f"the home {folder} was made with the embedder {known}, now it is {now}; vectors of the two do not mix. "
            f"Use the first one again, or make the index anew: {rebuild_command(folder, now)}"
        )


def _shown(value: Any) -> str:
    return "none" if value is None else repr(value)[:60]


def _plain(error: OSError, folder: Path, to: str) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"no space left for the home {folder}; free some and run again, what was acknowledged is kept"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"no permission to {to} the home {folder} ({error.strerror}); choose another with --home or HABILIS_HOME"
    return f"cannot open the home {folder}: {error}; choose another with --home or HABILIS_HOME"


class _Lock:
    """An exclusive lock on a file that tells who holds it; gone when its process is, however that ended.

    ``release`` gives it back; calling it again does nothing.
    """

    def __init__(self, path: Path, clock: Callable[[], float]) -> None:
        try:
            import fcntl  # noqa: F401
        except ImportError as error:
            raise HomeError(
                "this system has no flock, so a home cannot be guarded against a second process; run in WSL or Docker"
            ) from error
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        # Given back with the object, so that a home that was dropped without `close` is not locked for good.
        self.release = weakref.finalize(self, os.close, fd)
        try:
            if not _taken(fd):
                raise HomeLockedError(_owned(path, os.pread(fd, 4096, 0)))
            facts = {"pid": os.getpid(), "command": " ".join(sys.argv)[:300], "since": clock()}
            os.ftruncate(fd, 0)
            os.pwrite(fd, json.dumps(facts).encode(), 0)
        except BaseException:
            self.release()
            raise
        _held.add(self)


_held: weakref.WeakSet[_Lock] = weakref.WeakSet()


def _leave_to_parent() -> None:
    """A fork shares the lock, and would keep a home locked that its owner has closed: a tool's child, say."""
    for lock in list(_held):
        lock.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_to_parent)


def _taken(fd: int) -> bool:
    """Whether the lock could be had, now or in a moment."""
    import fcntl

    until = time.monotonic() + _PATIENCE
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                return False
            time.sleep(0.01)
        else:
            return True


def _ended(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        pass
    return False


def _owned(path: Path, owner: bytes) -> str:
    try:
        facts = json.loads(owner)
        since = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(float(facts["since"])))
        if facts["pid"] == os.getpid():
            return (
                f"the home {path.parent} is in use by process {os.getpid()}, which is this one, since {since}; close "
                "it first (Agent.close(), Home.close(), or with …:), or open it with read_only=True"
            )
        who = f"process {facts['pid']} ({facts['command']}) since {since}"
        if _ended(facts["pid"]):
            who = f"what {who} has started, though it has ended itself"
    except (ValueError, KeyError, TypeError, OverflowError):
        who = "another process"
    return (
        f"the home {path.parent} is in use by {who}; wait for it, end it, or use another home (--home). Listing "
        "commands read it meanwhile"
    )
