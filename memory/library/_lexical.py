"""Word search over short texts: SQLite's FTS5 with bm25, stemmed, in memory. Derived, like the index of vectors."""

from __future__ import annotations

import sqlite3
import threading

from habilis.memory.embedding._words import telling, words


class Lexicon:
    """Texts by id. ``search`` gives each matching id a score, higher is better (Robertson's BM25)."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._db = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        self._db.execute("CREATE VIRTUAL TABLE texts USING fts5(id UNINDEXED, body, tokenize = 'porter unicode61')")

    def put(self, id: str, text: str) -> None:
        with self._lock:
            self._db.execute("DELETE FROM texts WHERE id = ?", (id,))
            # Half a surrogate pair cannot be stored as UTF-8.
            self._db.execute(
                "INSERT INTO texts VALUES (?, ?)", (id, " ".join(words(text)).encode("utf-8", "replace").decode())
            )

    def delete(self, id: str) -> None:
        with self._lock:
            self._db.execute("DELETE FROM texts WHERE id = ?", (id,))

    def search(self, text: str) -> dict[str, float]:
        wanted = sorted(set(telling(words(text))))[:64]
        if not wanted:
            return {}
        query = " OR ".join(f'"{w}"' for w in wanted).encode("utf-8", "replace").decode()
        with self._lock:
            rows = self._db.execute("SELECT id, -bm25(texts) FROM texts WHERE texts MATCH ?", (query,)).fetchall()
        return {str(id): float(score) for id, score in sorted(rows)}

    def close(self) -> None:
        with self._lock:
            self._db.close()
