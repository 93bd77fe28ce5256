"""Vectors in memory."""

from __future__ import annotations

import threading
from collections.abc import Sequence, Set
from typing import TYPE_CHECKING

from habilis.core.augmentation import Kind
from habilis.core.protocols import Neighbour
from habilis.memory.index._vectors import Rows, best, checked, checked_query

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class MemoryIndex:
    """Vectors in memory, compared one by one: exact, and fast enough for some ten thousand. Nothing is kept on disk, so
    it is filled anew, and every text embedded again, whenever it is opened."""

    def __init__(self, dim: int) -> None:
        self.dim = dim
        self._rows: dict[Kind, Rows] = {}
        self._lock = threading.Lock()

    def upsert(self, kind: Kind, ids: Sequence[str], vectors: NDArray[np.float32]) -> None:
        """``vectors``: (n, dim) float32 unit rows; an id that is there gets the new vector."""
        rows = checked(ids, vectors, self.dim)
        with self._lock:
            if kind not in self._rows:
                self._rows[kind] = Rows(self.dim)
            self._rows[kind].put(ids, rows)

    def delete(self, kind: Kind, ids: Sequence[str]) -> None:
        """Ids that are not there are ignored."""
        with self._lock:
            if kind in self._rows:
                self._rows[kind].drop(ids)

    def query(self, kinds: Set[Kind], vector: NDArray[np.float32], k: int) -> list[Neighbour]:
        """The ``k`` nearest of these kinds, best first; ``score`` is the cosine similarity."""
        query = checked_query(vector, self.dim)[0]
        with self._lock:
            found = [
                n for kind in sorted(kinds) if kind in self._rows for n in self._rows[kind].nearest(kind, query, k)
            ]
        return best(found, k)

    def ids(self, kind: Kind) -> set[str]:
        with self._lock:
            return set(self._rows.get(kind, ()))

    def close(self) -> None:
        """Nothing to give back."""
