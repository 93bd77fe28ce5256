"""What all indexes do with vectors and with what they found, and rows of vectors that grow and shrink."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from habilis.core.augmentation import Kind
from habilis.core.errors import HomeError, InputError
from habilis.core.protocols import Neighbour

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Rows up to which one thread is as quick: a product of more wakes BLAS's threads, which then spin for milliseconds, and
# take the processor from whoever comes next.
_ONE_THREAD = 10_000


class ForeignVectors(HomeError):
    """An index holds vectors of another embedder."""


def checked(ids: Sequence[str], vectors: NDArray[np.float32], dim: int) -> NDArray[np.float32]:
    import numpy as np

    rows = np.ascontiguousarray(vectors, dtype=np.float32)
    if rows.shape != (len(ids), dim):
        raise InputError(f"expected vectors of shape ({len(ids)}, {dim}), got {rows.shape}; use the index's embedder")
    if not np.isfinite(rows).all():
        raise InputError("a vector holds a number that is not finite; see what the embedder returned")
    return rows


def checked_query(vector: NDArray[np.float32], dim: int) -> NDArray[np.float32]:
    """(1, dim), for the back ends that take several."""
    return checked(("query",), vector.reshape(1, -1), dim)


def last_of_each(ids: Sequence[str]) -> dict[str, int]:
    """Of one id given twice, the last counts."""
    return {id: i for i, id in enumerate(ids)}


def best(found: Iterable[Neighbour], k: int) -> list[Neighbour]:
    # Ties are broken by name, so that equal runs see equal lists.
    return heapq.nsmallest(max(k, 0), found, key=lambda n: (-n.score, n.kind, n.id))


class Rows:
    """Vectors of ``dim`` numbers by id, in one block of memory that doubles when it is full."""

    def __init__(self, dim: int) -> None:
        import numpy as np

        self.dim = dim
        self._block: NDArray[np.float32] = np.empty((0, dim), dtype=np.float32)
        self._names: list[str] = []
        self._place: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._names)

    def __contains__(self, id: object) -> bool:
        return id in self._place

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    @property
    def block(self) -> NDArray[np.float32]:
        """(n, dim), in the order of the ids; good until the next change."""
        return self._block[: len(self._names)]

    def put(self, ids: Sequence[str], rows: NDArray[np.float32]) -> None:
        """``rows``: (n, dim)."""
        import numpy as np

        new = dict.fromkeys(id for id in ids if id not in self._place)
        needed = len(self._names) + len(new)
        if needed > len(self._block):
            grown = np.empty((max(needed, 2 * len(self._block), 64), self.dim), dtype=np.float32)
            grown[: len(self._names)] = self.block
            self._block = grown
        for id in new:
            self._place[id] = len(self._names)
            self._names.append(id)
        last = last_of_each(ids)
        self._block[[self._place[id] for id in last]] = rows[list(last.values())]

    def drop(self, ids: Iterable[str]) -> None:
        """Ids that are not there are ignored. The last row takes the place of one that goes."""
        for id in ids:
            place = self._place.pop(id, None)
            if place is None:
                continue
            last = self._names.pop()
            if last != id:
                self._names[place] = last
                self._place[last] = place
                self._block[place] = self._block[len(self._names)]

    def nearest(self, kind: Kind, query: NDArray[np.float32], k: int) -> list[Neighbour]:
        """The ``k`` rows with the largest inner product, and all that tie with the last of them; in no order."""
        import numpy as np

        if k <= 0 or not self._names:
            return []
        if len(self) <= _ONE_THREAD:
            scores = np.einsum("ij,j->i", self.block, query)
        else:
            scores = self.block @ query
        where: NDArray[np.intp] = np.arange(len(scores))
        if k < len(scores):
            where = np.flatnonzero(scores >= np.partition(scores, -k)[-k])
        return [Neighbour(kind, self._names[i], float(scores[i])) for i in where]
