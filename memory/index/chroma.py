"""Vectors in Chroma."""

from __future__ import annotations

import functools
import shutil
import sqlite3
import threading
from collections.abc import Callable, Sequence, Set
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from habilis.core.augmentation import Kind
from habilis.core.errors import HabilisError, HomeError, MissingExtraError
from habilis.core.protocols import Neighbour
from habilis.memory.index._vectors import best, checked

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_BATCH = 1000

_P = ParamSpec("_P")
_R = TypeVar("_R")


def _told(work: Callable[_P, _R]) -> Callable[_P, _R]:
    """What Chroma raises (a full disk, say) as an error of ours. Nothing is lost by it: the index is derived."""

    @functools.wraps(work)
    def told(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        try:
            return work(*args, **kwargs)
        except (HabilisError, ValueError):
            raise
        except Exception as error:
            raise HomeError(
                f"the index cannot be used ({type(error).__name__}: {str(error)[:200]}); free some space or fix the "
                "rights, and run again: it is rebuilt from the journal"
            ) from error

    return told


class ChromaIndex:
    """Vectors in a Chroma folder, one collection per kind (a metadata filter would scan everything), cosine.

    One process at a time: two on one folder lose records silently, so the home's lock must be held.
    ``embedder_fingerprint`` and ``dim`` are stored with each collection; `HomeError` is raised when they differ, unless
    ``rebuild``, which empties the folder first. A folder that is damaged is emptied too: ask `sync_index` to fill it.
    """

    def __init__(self, path: Path | str, embedder_fingerprint: str, dim: int, *, rebuild: bool = False) -> None:
        self.path, self.dim = Path(path), dim
        self._facts: dict[str, str | int] = {"embedder": embedder_fingerprint, "dim": dim}
        self._lock = threading.RLock()
        self._collections: dict[Kind, Any] = {}
        # Damaged vector files do not raise, they end the process. So a mark is left while they are first read: who
        # finds it knows that this ended badly, and starts from an empty folder.
        mark = self.path / "opening"
        if rebuild or mark.exists() or not _is_sound(self.path / "chroma.sqlite3"):
            self._empty()
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            mark.touch()
            try:
                self._client = self._open()
                self._audit()
            except (HomeError, MissingExtraError):
                raise
            except Exception:
                self._empty()
                self.path.mkdir(parents=True, exist_ok=True)
                self._client = self._open()
            finally:
                mark.unlink(missing_ok=True)
        except HabilisError:
            raise
        except Exception as error:  # a full disk is an OSError, or one of Chroma's own
            raise HomeError(
                f"cannot write the index {self.path}: {type(error).__name__}: {str(error)[:200]}; free some space or "
                "fix the rights, and run again: it is rebuilt from the journal"
            ) from error

    @_told
    def upsert(self, kind: Kind, ids: Sequence[str], vectors: NDArray[np.float32]) -> None:
        """``vectors``: (n, dim) float32 unit rows; an id that is there gets the new vector."""
        rows = checked(ids, vectors, self.dim)
        if not ids:
            return
        last = {id: i for i, id in enumerate(ids)}  # of one id given twice, the last counts
        unique = list(last)
        with self._lock:
            for start in range(0, len(unique), _BATCH):
                part = unique[start : start + _BATCH]
                self._collection(kind).upsert(ids=part, embeddings=rows[[last[i] for i in part]])

    @_told
    def delete(self, kind: Kind, ids: Sequence[str]) -> None:
        """Ids that are not there are ignored."""
        with self._lock:
            known = self.ids(kind)
            gone = [i for i in dict.fromkeys(ids) if i in known]
            for start in range(0, len(gone), _BATCH):
                self._collection(kind).delete(ids=gone[start : start + _BATCH])

    @_told
    def query(self, kinds: Set[Kind], vector: NDArray[np.float32], k: int) -> list[Neighbour]:
        """The ``k`` nearest of these kinds, best first; ``score`` is the cosine similarity."""
        found: list[Neighbour] = []
        query = checked(("query",), vector.reshape(1, -1), self.dim)
        with self._lock:
            for kind in sorted(kinds):
                collection = self._collection(kind)
                count = collection.count()
                if k > 0 and count:
                    answer = collection.query(query_embeddings=query, n_results=min(k, count), include=["distances"])
                    pairs = zip(answer["ids"][0], answer["distances"][0], strict=True)
                    found += [Neighbour(kind, id, 1.0 - float(distance)) for id, distance in pairs]
        return best(found, k)

    @_told
    def ids(self, kind: Kind) -> set[str]:
        with self._lock:
            return set(self._collection(kind).get(include=[])["ids"])

    def close(self) -> None:
        with self._lock:
            self._collections.clear()
            self._client.close()

    def _open(self) -> Any:
        try:
            import chromadb
            from chromadb.config import Settings
        except ImportError as error:
            raise MissingExtraError("the index needs chromadb: pip install 'chromadb>=1.0,<2'") from error
        return chromadb.PersistentClient(path=str(self.path), settings=Settings(anonymized_telemetry=False))

    def _collection(self, kind: Kind) -> Any:
        if kind not in self._collections:
            self._collections[kind] = self._client.get_or_create_collection(
                f"habilis-{kind.value}",
                embedding_function=None,
                configuration={"hnsw": {"space": "cosine"}},
                metadata=dict(self._facts),
            )
        return self._collections[kind]

    def _audit(self) -> None:
        """Check the facts, and that every id that is listed can be found by its vector too."""
        import numpy as np

        there = {c.name for c in self._client.list_collections()}
        for kind in sorted(Kind):
            name = f"habilis-{kind.value}"
            if name not in there:
                continue
            collection = self._client.get_collection(name, embedding_function=None)
            facts = collection.metadata or {}
            if {k: facts.get(k) for k in self._facts} != self._facts:
                self._client.close()
                raise HomeError(
                    f"the index {self.path} holds vectors of {facts.get('embedder')} (dim {facts.get('dim')}), now it "
                    f"is {self._facts['embedder']} (dim {self.dim}); the two do not mix. Use the first again, or "
                    "rebuild the index: nothing is lost, it is derived from the journal"
                )
            ids = set(collection.get(include=[])["ids"])
            if ids:
                probe = np.eye(1, self.dim, dtype=np.float32)
                found = collection.query(query_embeddings=probe, n_results=len(ids), include=[])["ids"][0]
                if set(found) != ids:
                    self._client.delete_collection(name)

    def _empty(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)
        try:
            from chromadb.api.shared_system_client import SharedSystemClient

            # Chroma keeps one system per path, also one that failed to start.
            SharedSystemClient._identifier_to_system.pop(str(self.path), None)
        except (ImportError, AttributeError):
            pass


def _is_sound(file: Path) -> bool:
    if not file.exists():
        return True
    try:
        connection = sqlite3.connect(f"file:{file.absolute()}?mode=ro", uri=True)
        try:
            return bool(connection.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok")
        finally:
            connection.close()
    except sqlite3.Error:
        return False
