"""What the embedded Chroma and the served one have in common: a collection per kind, checked facts, an audit."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Sequence, Set
from typing import TYPE_CHECKING, Any, TypeVar, cast

from habilis.core.augmentation import Kind
from habilis.core.errors import HabilisError, HomeError
from habilis.core.protocols import Neighbour
from habilis.memory.index._vectors import ForeignVectors, best, checked, checked_query, last_of_each

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_BATCH = 1000

_F = TypeVar("_F", bound=Callable[..., Any])


def told(work: _F) -> _F:
    """What Chroma raises (a full disk, say) as an error of ours. Nothing is lost by it: the index is derived."""

    @functools.wraps(work)
    def telling(self: ChromaCollections, *args: Any, **kwargs: Any) -> Any:
        try:
            return work(self, *args, **kwargs)
        except HabilisError:
            raise
        except Exception as error:
            raise HomeError(self._told_as(f"{type(error).__name__}: {str(error)[:200]}")) from error

    return cast(_F, telling)


class ChromaCollections:
    """One collection per kind (a metadata filter would scan everything), cosine. ``_client`` is set by whoever opens;
    ``_facts`` are kept with each collection, and checked."""

    _client: Any

    def __init__(self, dim: int, facts: dict[str, str | int], prefix: str = "habilis") -> None:
        self.dim, self._facts, self._prefix = dim, facts, prefix
        self._lock = threading.RLock()
        self._collections: dict[Kind, Any] = {}

    @told
    def upsert(self, kind: Kind, ids: Sequence[str], vectors: NDArray[np.float32]) -> None:
        """``vectors``: (n, dim) float32 unit rows; an id that is there gets the new vector."""
        rows = checked(ids, vectors, self.dim)
        last = last_of_each(ids)
        unique = list(last)
        with self._lock:
            for start in range(0, len(unique), _BATCH):
                part = unique[start : start + _BATCH]
                self._collection(kind).upsert(ids=part, embeddings=rows[[last[i] for i in part]])

    @told
    def delete(self, kind: Kind, ids: Sequence[str]) -> None:
        """Ids that are not there are ignored."""
        unique = list(dict.fromkeys(ids))
        with self._lock:
            for start in range(0, len(unique), _BATCH):
                there = self._collection(kind).get(ids=unique[start : start + _BATCH], include=[])["ids"]
                if there:
                    self._collection(kind).delete(ids=there)

    @told
    def query(self, kinds: Set[Kind], vector: NDArray[np.float32], k: int) -> list[Neighbour]:
        """The ``k`` nearest of these kinds, best first; ``score`` is the cosine similarity."""
        query = checked_query(vector, self.dim)
        found: list[Neighbour] = []
        with self._lock:
            for kind in sorted(kinds) if k > 0 else ():
                answer = self._collection(kind).query(query_embeddings=query, n_results=k, include=["distances"])
                pairs = zip(answer["ids"][0], answer["distances"][0], strict=True)
                found += [Neighbour(kind, id, 1.0 - float(distance)) for id, distance in pairs]
        return best(found, k)

    @told
    def ids(self, kind: Kind) -> set[str]:
        with self._lock:
            return set(self._collection(kind).get(include=[])["ids"])

    def close(self) -> None:
        """Give the client back. May be called twice."""
        with self._lock:
            self._collections.clear()
            self._client.close()

    def _told_as(self, said: str) -> str:
        """The message of an error that is not ours."""
        raise NotImplementedError

    def _of_another(self, facts: dict[str, Any]) -> str:
        """The message where a collection holds vectors of another embedder."""
        raise NotImplementedError

    def _name(self, kind: Kind) -> str:
        return f"{self._prefix}-{kind.value}"

    def _collection(self, kind: Kind) -> Any:
        if kind not in self._collections:
            self._collections[kind] = self._client.get_or_create_collection(
                self._name(kind),
                embedding_function=None,
                configuration={"hnsw": {"space": "cosine"}},
                metadata=dict(self._facts),
            )
        return self._collections[kind]

    def _stored(self) -> list[Any]:
        """Our collections that are there."""
        there = {c.name for c in self._client.list_collections()}
        names = [self._name(kind) for kind in sorted(Kind)]
        return [self._client.get_collection(n, embedding_function=None) for n in names if n in there]

    def _drop(self) -> None:
        for collection in self._stored():
            self._client.delete_collection(collection.name)
        self._collections.clear()

    def _audit(self) -> None:
        """Check the facts, and that every id that is listed can be found by its vector too: one that cannot is deleted,
        so that `sync_index` adds it again. Raises `HomeError` for another embedder's vectors."""
        import numpy as np

        for collection in self._stored():
            facts = dict(collection.metadata or {})
            if {k: facts.get(k) for k in self._facts} != self._facts:
                raise ForeignVectors(self._of_another(facts))
            ids = set(collection.get(include=[])["ids"])
            if not ids:
                continue
            probe = np.eye(1, self.dim, dtype=np.float32)
            lost = sorted(ids - set(collection.query(query_embeddings=probe, n_results=len(ids), include=[])["ids"][0]))
            if 2 * len(lost) > len(ids):
                self._client.delete_collection(collection.name)
                continue
            for start in range(0, len(lost), _BATCH):
                collection.delete(ids=lost[start : start + _BATCH])
