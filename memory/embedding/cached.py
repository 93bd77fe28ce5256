"""An embedder whose vectors outlive the process."""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from habilis.core.protocols import Embedder

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_VERSION = 1
_TABLE = """CREATE TABLE IF NOT EXISTS vectors (
    seq INTEGER PRIMARY KEY, embedder TEXT NOT NULL, text BLOB NOT NULL, vector BLOB NOT NULL, UNIQUE (embedder, text)
)"""
_BATCH = 500  # values in one statement
_WAIT_SECONDS = 1.0
_DAMAGE = frozenset({sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


class CachedEmbedder:
    """An embedder that keeps its vectors in a small SQLite file, by its fingerprint and the sha256 of the text.

    The file is derived and may be deleted at any time. ``read_only``: it is read if it is there, never written.
    ``size``: vectors kept, the latest; 50,000 of 384 numbers take 80 MB. Whatever is wrong with the file (damage, a
    full disk, another process that holds it) only means that texts are embedded again; a damaged one is made anew.
    """

    def __init__(self, embedder: Embedder, path: Path, *, read_only: bool = False, size: int = 50_000) -> None:
        self._embedder, self._path, self._read_only, self._size = embedder, path, read_only, size
        self.fingerprint, self.dim = embedder.fingerprint, embedder.dim
        if hasattr(embedder, "dense_share"):
            self.dense_share = float(embedder.dense_share)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(n, dim) float32, each row of length 1."""
        import numpy as np

        known = self._read(texts)
        missing = [t for t in dict.fromkeys(texts) if t not in known]
        if missing:
            fresh = dict(zip(missing, self._embedder.embed(missing), strict=True))
            if not self._read_only:
                self._write(fresh)
            known |= fresh
        return np.stack([known[t] for t in texts]) if texts else np.zeros((0, self.dim), np.float32)

    def _read(self, texts: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        import numpy as np

        by_digest = {_digest(t): t for t in texts}
        digests, rows = list(by_digest), []
        try:
            if not texts or not self._path.exists():
                return {}
            with self._open() as db:
                for start in range(0, len(digests), _BATCH):
                    part = digests[start : start + _BATCH]
                    marks = ", ".join("?" * len(part))
                    rows += db.execute(
                        f"SELECT text, vector FROM vectors WHERE embedder = ? AND text IN ({marks})",
                        (self.fingerprint, *part),
                    ).fetchall()
        except (sqlite3.Error, OSError) as error:
            self._mend(error)
            return {}
        found = {}
        for digest, data in rows:
            if isinstance(data, bytes) and len(data) == 4 * self.dim:
                row = np.frombuffer(data, dtype="<f4").astype(np.float32)
                if abs(float(np.linalg.norm(row)) - 1.0) < 1e-3:  # damaged otherwise
                    found[by_digest[digest]] = row
        return found

    def _write(self, fresh: Mapping[str, NDArray[np.float32]]) -> None:
        rows = [(self.fingerprint, _digest(t), row.astype("<f4").tobytes()) for t, row in fresh.items()]
        for _ in range(2):  # again where the file was damaged
            try:
                with self._open() as db, db:
                    db.execute(_TABLE)
                    db.execute(f"PRAGMA user_version = {_VERSION}")
                    db.executemany("INSERT OR REPLACE INTO vectors (embedder, text, vector) VALUES (?, ?, ?)", rows)
                    db.execute("DELETE FROM vectors WHERE seq <= (SELECT max(seq) FROM vectors) - ?", (self._size,))
                return
            except (sqlite3.Error, OSError) as error:
                if not self._mend(error):
                    return

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        mode = "ro" if self._read_only else "rwc"
        name = f"file:{quote(str(self._path.absolute()))}?mode={mode}"
        with contextlib.closing(sqlite3.connect(name, uri=True, timeout=_WAIT_SECONDS)) as db:
            version = int(db.execute("PRAGMA user_version").fetchone()[0])
            if version not in (0, _VERSION):
                raise _OtherVersion(f"version {version}")
            db.execute("PRAGMA synchronous = OFF")  # what a power cut damages is made anew
            yield db

    def _mend(self, error: Exception) -> bool:
        """Away with a file that is damaged. Whether it was."""
        damaged = isinstance(error, _OtherVersion) or getattr(error, "sqlite_errorcode", None) in _DAMAGE
        if not damaged or self._read_only:
            return False
        try:
            self._path.unlink(missing_ok=True)
            self._path.with_name(f"{self._path.name}-journal").unlink(missing_ok=True)
        except OSError:
            return False
        return True


class _OtherVersion(sqlite3.Error):
    """The file is of another version of Habilis."""


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
