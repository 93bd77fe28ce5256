"""Vectors in memory."""

from __future__ import annotations

import threading
from collections.abc import Sequence, Set
from typing import TYPE_CHECKING

from habilis.core.augmentation import Kind
from habilis.core.protocols import Neighbour
from habilis.memory.index._vectors import best, checked

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class MemoryIndex:
    """Vectors in memory, searched one by one: exact, and fast enough for some ten thousand."""

    def __init__(self, dim: int) -> None:
        self.dim = dim
        self._rows: dict[Kind, dict[str, NDArray[np.float32]]] = {}
        self._lock = threading.Lock()

    def upsert(self, kind: Kind, ids: Sequence[str], vectors: NDArray[np.float32]) -> None:
        rows = checked(ids, vectors, self.dim).copy()
        with self._lock:
            self._rows.setdefault(kind, {}).update(zip(ids, rows, strict=True))

    def delete(self, kind: Kind, ids: Sequence[str]) -> None:
        with self._lock:
            for id in ids:
                self._rows.get(kind, {}).pop(id, None)

    def query(self, kinds: Set[Kind], vector: NDArray[np.float32], k: int) -> list[Neighbour]:
        import numpy as np

        found: list[Neighbour] = []
        query = checked(("query",), vector.reshape(1, -1), self.dim)[0]
        with self._lock:
            for kind in sorted(kinds):
                rows = self._rows.get(kind, {})
                if rows:
                    scores = np.stack(list(rows.values())) @ query
                    found += [Neighbour(kind, id, float(s)) for id, s in zip(rows, scores, strict=True)]
        return best(found, k)

    def ids(self, kind: Kind) -> set[str]:
        with self._lock:
            return set(self._rows.get(kind, {}))

    def close(self) -> None:
        """Nothing to give back."""
