"""Word search over short texts: SQLite's FTS5 with bm25, stemmed, in memory. Derived, like the index of vectors."""

from __future__ import annotations

import sqlite3
import threading

from habilis.memory.embedding._words import telling, words


class Lexicon:
    """Texts by id. ``search`` gives each matching id a score, higher is better (Robertson's BM25)."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rows: dict[str, int] = {}
        self._next = 1
        self._db = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        self._db.execute("CREATE VIRTUAL TABLE texts USING fts5(id UNINDEXED, body, tokenize = 'porter unicode61')")

    def put(self, id: str, text: str) -> None:
        self.delete(id)
        with self._lock:
            self._db.execute(
                "INSERT INTO texts (rowid, id, body) VALUES (?, ?, ?)", (self._next, _sound(id), _sound(_body(text)))
            )
            self._rows[id] = self._next
            self._next += 1

    def delete(self, id: str) -> None:
        with self._lock:
            row = self._rows.pop(id, None)
            if row is not None:
                self._db.execute("DELETE FROM texts WHERE rowid = ?", (row,))

    def search(self, text: str, limit: int = -1) -> dict[str, float]:
        """The score of each text that shares a telling word; of the best ``limit`` (-1: of all)."""
        query = " OR ".join(f'"{w}"' for w in _wanted(text))
        if not query:
            return {}
        with self._lock:
            rows = self._db.execute(
                "SELECT id, -rank FROM texts WHERE texts MATCH ? ORDER BY rank LIMIT ?",
                (_sound(query), limit),
            ).fetchall()
        return {str(id): float(score) for id, score in sorted(rows)}

    def share(self, text: str, id: str) -> float:
        """The share of the telling words of a request that the text with this id has (0 to 1)."""
        wanted, row = _wanted(text), self._rows.get(id)
        if not wanted or row is None:
            return 0.0
        query = "SELECT count(*) FROM texts WHERE texts MATCH ? AND rowid = ?"
        with self._lock:
            found = [int(self._db.execute(query, (_sound(f'"{w}"'), row)).fetchone()[0]) for w in wanted]
        return sum(found) / len(wanted)

    def close(self) -> None:
        with self._lock:
            self._db.close()


def _wanted(text: str) -> list[str]:
    return sorted(set(telling(words(text))))[:64]


def _body(text: str) -> str:
    return " ".join(words(text))


def _sound(text: str) -> str:
    """Half a surrogate pair cannot be stored as UTF-8."""
    return text.encode("utf-8", "replace").decode()
