"""Changes kept in memory over an index that belongs to somebody else."""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import TYPE_CHECKING

from habilis.core.augmentation import Kind
from habilis.core.protocols import Neighbour, VectorIndex
from habilis.memory.index._vectors import best
from habilis.memory.index.exact import MemoryIndex

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class OverlayIndex:
    """An index as it is seen by one who only reads: what is written goes to memory, and ``base`` stays as it is.

    For commands that look at a home while a run owns it, and with it the vectors on a server.
    """

    def __init__(self, base: VectorIndex, dim: int) -> None:
        self._base, self._over = base, MemoryIndex(dim)
        self._hidden: dict[Kind, set[str]] = {kind: set() for kind in Kind}

    def upsert(self, kind: Kind, ids: Sequence[str], vectors: NDArray[np.float32]) -> None:
        self._over.upsert(kind, ids, vectors)
        self._hidden[kind].update(ids)

    def delete(self, kind: Kind, ids: Sequence[str]) -> None:
        self._over.delete(kind, ids)
        self._hidden[kind].update(ids)

    def query(self, kinds: Set[Kind], vector: NDArray[np.float32], k: int) -> list[Neighbour]:
        over = self._over.query(kinds, vector, k)
        hidden = sum(len(self._hidden[kind]) for kind in kinds)
        below = self._base.query(kinds, vector, k + hidden) if k > 0 else []
        return best([*over, *(n for n in below if n.id not in self._hidden[n.kind])], k)

    def ids(self, kind: Kind) -> set[str]:
        return (self._base.ids(kind) - self._hidden[kind]) | self._over.ids(kind)

    def close(self) -> None:
        self._base.close()
