"""The SQLite file under the journal: opening, migrating, transactions, errors in plain words."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote

from habilis.core.errors import InputError, JournalError, NotFoundError, SchemaError
from habilis.memory.journal._records import DamagedRecordWarning
from habilis.memory.journal._schema import MIGRATIONS, Migration

_MAGIC = b"SQLite format 3\x00"
_VERSION_AT = 60  # where the file header keeps user_version, 4 bytes, big-endian
_WAIT_SECONDS = 10.0

Hook = Callable[[str], None]
Row = tuple[Any, ...]
T = TypeVar("T")


class Database:
    """One SQLite file in WAL mode. Safe under threads: one transaction at a time.

    ``clock``: seconds since the epoch, for time stamps only; nothing is decided by them. ``before_write`` is called
    with the statement before each write, with "COMMIT" before and "COMMITTED" after each commit: where tests inject
    faults. With synchronous=NORMAL a kill -9 loses nothing that was acknowledged; a power cut may lose the last
    transactions but leaves the file whole.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        read_only: bool = False,
        clock: Callable[[], float] = time.time,
        before_write: Hook | None = None,
        migrations: Sequence[Migration] = MIGRATIONS,
    ) -> None:
        self.path, self.read_only, self.clock = Path(path), read_only, clock
        self._hook = before_write
        self._lock = threading.RLock()
        self._depth = 0
        self._committed: list[Callable[[], None]] = []
        self._undone: list[Callable[[], None]] = []
        self._migrations = tuple(migrations)
        self._warned: set[str] = set()
        if read_only and not self.path.exists():
            raise NotFoundError(f"there is no journal at {self.path}; a first run with this home makes it")
        # Checked without SQLite first: merely opening a journal in WAL mode may touch its files.
        self._refuse_newer(_version_in_header(self.path))
        with self._plain_errors():
            if not read_only and self.path.exists():
                with _closing(self._connect("ro")) as check:
                    self._refuse_newer(int(check.execute("PRAGMA user_version").fetchone()[0]))
            self._connection = self._connect(self._reading() if read_only else "rwc")
            try:
                self._prepare()
            except BaseException:
                self._connection.close()
                raise

    @property
    def schema_version(self) -> int:
        return int(self._one("PRAGMA user_version")[0])

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All writes inside become durable together, or none does. May be nested: an inner one that fails takes back
        its own writes only. Other threads wait; do not await inside, another task of this thread would join."""
        with self._lock:
            depth = self._depth
            with self._plain_errors():
                self._connection.execute("BEGIN IMMEDIATE" if depth == 0 else f"SAVEPOINT s{depth}")
            self._depth = depth + 1
            try:
                yield
                if depth == 0:
                    self._announce("COMMIT")
                with self._plain_errors():
                    self._connection.execute("COMMIT" if depth == 0 else f"RELEASE s{depth}")
            except BaseException:
                self._undo(depth)
                if depth == 0:
                    self._committed.clear()
                    self._call(self._undone)
                else:  # the outer one goes on: what it did before stands, and may be taken back yet
                    for undone in list(self._undone):
                        undone()
                raise
            finally:
                self._depth = depth
            if depth == 0:
                self._undone.clear()
                self._announce("COMMITTED")
                self._call(self._committed)

    def afterwards(self, committed: Callable[[], None], undone: Callable[[], None]) -> None:
        """What is to be done once the transaction in hand is durable, or after it was taken back, all or in part:
        for whoever keeps a view of the journal. Each is called once for each of these, however often it was asked
        for."""
        with self._lock:
            for known, wanted in ((self._committed, committed), (self._undone, undone)):
                if wanted not in known:
                    known.append(wanted)
            if self._depth == 0:
                self._undone.clear()
                self._call(self._committed)

    def _call(self, waiting: list[Callable[[], None]]) -> None:
        while waiting:
            waiting.pop(0)()

    def hold(self, seconds: float) -> bool:
        """Before the process is ended: wait until no other thread is in a transaction, and let none begin. False where
        that took too long. What this thread has begun itself is taken back as the process ends."""
        return self._lock.acquire(timeout=seconds)

    def check(self) -> list[str]:
        """What is wrong with the file; empty if nothing is."""
        with self._lock:
            try:
                rows = self._connection.execute("PRAGMA integrity_check").fetchall()
                problems = [str(row[0]) for row in rows if row[0] != "ok"]
                for table, row, parent, _ in self._connection.execute("PRAGMA foreign_key_check").fetchall():
                    problems.append(f"row {row} of {table} refers to a missing row of {parent}")
            except sqlite3.DatabaseError as error:
                problems = [str(error)]
        return problems

    def warn(self, message: str) -> None:
        """A `DamagedRecordWarning`, once for each message."""
        if message not in self._warned:
            self._warned.add(message)
            warnings.warn(message, DamagedRecordWarning, stacklevel=3)

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def _connect(self, mode: str) -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"file:{quote(str(self.path.absolute()))}?mode={mode}",
            uri=True,
            timeout=_WAIT_SECONDS,
            isolation_level=None,
            check_same_thread=False,
        )
        connection.text_factory = _text
        return connection

    def _reading(self) -> str:
        """How to open for reading: on a file system that takes no writes SQLite cannot make the index that readers in
        WAL mode share, and need not, where nothing waits in the log. A folder that only this user may not write is no
        such place: its owner may be writing."""
        log = Path(f"{self.path}-wal")
        mounted = os.statvfs(self.path.parent).f_flag if hasattr(os, "statvfs") else 0
        still = mounted & getattr(os, "ST_RDONLY", 0) and not (log.exists() and log.stat().st_size)
        return "ro&immutable=1" if still else "ro"

    def _prepare(self) -> None:
        self._connection.execute("PRAGMA foreign_keys = ON")
        if self.read_only:
            version = self.schema_version
            if version < len(self._migrations):
                raise SchemaError(
                    f"{self.path} has schema {version}, this version reads {len(self._migrations)}; open it once for "
                    "writing (any run does) to bring it up to date"
                )
            return
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = NORMAL")
        for number in range(self.schema_version + 1, len(self._migrations) + 1):
            with self.transaction():
                for statement in self._migrations[number - 1]:
                    self._write(statement)
                self._write(f"PRAGMA user_version = {number}")

    def _refuse_newer(self, version: int) -> None:
        known = len(self._migrations)
        if version > known:
            raise SchemaError(
                f"{self.path} has schema {version}, this version of Habilis knows up to {known}; it was left "
                "untouched. Upgrade habilis, or use another home"
            )

    def _undo(self, depth: int) -> None:
        try:
            if depth == 0:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
            else:
                self._connection.execute(f"ROLLBACK TO s{depth}")
                self._connection.execute(f"RELEASE s{depth}")
        except sqlite3.Error:
            pass  # the error that led here is the one to show; SQLite rolls back on close

    def _announce(self, what: str) -> None:
        if self._hook is not None:
            self._hook(what)

    def _write(self, sql: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        if self.read_only:
            raise JournalError(f"{self.path} is open for reading only; open the home without read_only to write")
        if self._depth == 0:
            with self.transaction():
                return self._write(sql, values)
        self._announce(sql)
        if not self._connection.in_transaction:
            # A full disk makes SQLite roll back on its own; going on would write outside any transaction.
            raise JournalError(f"the transaction on {self.path} was rolled back; free some space and run again")
        with self._plain_errors():
            return self._connection.execute(sql, values)

    def _rows(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        with self._lock, self._plain_errors():
            return self._connection.execute(sql, values).fetchall()

    def _each(self, rows: Iterable[Row], one: Callable[[Row], T]) -> Iterator[T]:
        """What the rows hold. A damaged one is left aside with a warning that names it."""
        for row in rows:
            try:
                yield one(row)
            except JournalError as error:
                self._leave_aside(error)

    def _leave_aside(self, error: JournalError) -> None:
        self.warn(f"left aside: {error}")

    def _one(self, sql: str, values: Sequence[Any] = ()) -> Any:
        rows = self._rows(sql, values)
        return rows[0] if rows else None

    @contextmanager
    def _plain_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.IntegrityError:
            raise  # the caller knows which rule was broken and says so
        except sqlite3.ProgrammingError as error:
            if "closed" not in str(error):
                raise InputError(f"the journal {self.path} cannot take this: {error}") from error
            raise InputError(f"the journal {self.path} is closed; open its home again: Home.open(path)") from error
        except (OverflowError, UnicodeEncodeError, sqlite3.InterfaceError) as error:
            raise InputError(f"the journal {self.path} cannot take this: {error}") from error
        except sqlite3.Error as error:
            # SQLite may quote a whole row.
            raise JournalError(
                f"the journal {self.path} failed: {str(error)[:200]}; {_advice(error, self.path)}"
            ) from error


def _text(raw: bytes) -> str | bytes:
    """Text as it is stored. What is no UTF-8 stays as bytes, so that one damaged row does not hide all others."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw


def _version_in_header(path: Path) -> int:
    try:
        with path.open("rb") as file:
            head = file.read(_VERSION_AT + 4)
    except FileNotFoundError:
        return 0
    except OSError as error:
        raise JournalError(f"cannot read the journal {path}: {error.strerror}; {_permissions(path)}") from error
    if not head:
        return 0
    if not head.startswith(_MAGIC) or len(head) < _VERSION_AT + 4:
        raise JournalError(f"{path} is not a journal (no SQLite header); it was left untouched. {_restore(path)}")
    return int.from_bytes(head[_VERSION_AT:], "big")


def _advice(error: sqlite3.Error, path: Path) -> str:
    text = str(error)
    if "full" in text:
        return f"free some space on the disk of {path.parent} and run again; what was acknowledged is kept"
    if "malformed" in text or "not a database" in text:
        return f"the file is damaged and was left as it is. {_restore(path)}"
    if "readonly" in text or "unable to open" in text:
        return _permissions(path)
    if "locked" in text:
        return f"another process held it for more than {_WAIT_SECONDS:g} s; end that process and run again"
    return "what was acknowledged before is kept; run again"


def _permissions(path: Path) -> str:
    return f"see that {path.parent} and the files in it can be written by this user, or choose another home"


def _restore(path: Path) -> str:
    return f"Put back a copy of it, or rescue what can be read: sqlite3 {path} .recover | sqlite3 new.sqlite"


@contextmanager
def _closing(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    try:
        yield connection
    finally:
        connection.close()
