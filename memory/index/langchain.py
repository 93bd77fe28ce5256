"""LangChain's vector stores, both ways. Imports langchain-core; reach it through its own name.

store = IndexVectorStore(index, embedder)                # an index of ours, for whatever takes a VectorStore
store.add_texts(["get four sticks"])

index = LangChainIndex(lambda kind, embeddings: Chroma(f"mine-{kind}", embeddings), dim=384)   # theirs, for us
"""

from __future__ import annotations

import base64
import binascii
import threading
import uuid
from collections.abc import Callable, Iterable, MutableMapping, Sequence, Set
from typing import TYPE_CHECKING, Any

from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.vectorstores import VectorStore
from langchain_core.vectorstores.utils import maximal_marginal_relevance

from habilis.core.augmentation import Kind
from habilis.core.errors import HabilisError, HomeError, InputError
from habilis.core.protocols import Embedder, Neighbour, VectorIndex
from habilis.memory.embedding._files import unit_rows
from habilis.memory.index._vectors import best, checked, checked_query, last_of_each
from habilis.memory.index.exact import MemoryIndex

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["IndexVectorStore", "LangChainEmbeddings", "LangChainIndex"]


class LangChainEmbeddings(Embeddings):
    """An embedder of ours as LangChain's ``Embeddings``."""

    def __init__(self, embedder: Embedder) -> None:
        self.embedder = embedder

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        rows: list[list[float]] = self.embedder.embed(texts).tolist()
        return rows

    def embed_query(self, text: str) -> list[float]:
        return self.embed_documents([text])[0]


class IndexVectorStore(VectorStore):
    """An index of ours as a LangChain ``VectorStore``. Scores are cosine similarities.

    ``embedder``: ours, or any LangChain ``Embeddings`` (its vectors are brought to length 1). ``kind``: under which the
    vectors lie in the index. ``documents``: where texts and metadata are kept by id, since an index holds vectors only;
    by default in memory. Ids of the index that are not in it are somebody else's, and are passed over. ``filter`` of
    the searches is a function of a ``Document``.
    """

    def __init__(
        self,
        index: VectorIndex,
        embedder: Embedder | Embeddings,
        *,
        kind: Kind = Kind.DOCUMENT,
        documents: MutableMapping[str, Document] | None = None,
    ) -> None:
        self.index, self.kind = index, kind
        self._embeddings = embedder if isinstance(embedder, Embeddings) else LangChainEmbeddings(embedder)
        self._documents = documents if documents is not None else {}

    @property
    def embeddings(self) -> Embeddings:
        return self._embeddings

    def add_texts(
        self,
        texts: Iterable[str],
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: list[str] | None = None,
        **kwargs: Any,
    ) -> list[str]:
        """Add or replace texts; returns their ids."""
        contents = list(texts)
        if metadatas is not None and len(metadatas) != len(contents):
            raise InputError(f"{len(metadatas)} metadatas were given for {len(contents)} texts; give one for each")
        every = metadatas if metadatas is not None else [{} for _ in contents]
        documents = [Document(page_content=text, metadata=data) for text, data in zip(contents, every, strict=True)]
        return self.add_documents(documents, ids=ids, **kwargs)

    def add_documents(self, documents: list[Document], **kwargs: Any) -> list[str]:
        """Add or replace documents; returns their ids: from ``ids=``, their own, or new ones."""
        given = kwargs.get("ids") or [d.id for d in documents]
        if len(given) != len(documents):
            raise InputError(f"{len(given)} ids were given for {len(documents)} documents; give one for each")
        ids = [str(id) if id else str(uuid.uuid4()) for id in given]
        self.index.upsert(self.kind, ids, self._rows([d.page_content for d in documents]))
        for id, document in zip(ids, documents, strict=True):
            self._documents[id] = Document(id=id, page_content=document.page_content, metadata=dict(document.metadata))
        return ids

    def delete(self, ids: list[str] | None = None, **kwargs: Any) -> bool:
        """Delete these documents, or all where ``ids`` is None; ids that are not there are ignored."""
        gone = [id for id in (list(self._documents) if ids is None else ids) if id in self._documents]
        self.index.delete(self.kind, gone)
        for id in dict.fromkeys(gone):
            del self._documents[id]
        return True

    def get_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        return [_copy(self._documents[id]) for id in ids if id in self._documents]

    def similarity_search(self, query: str, k: int = 4, **kwargs: Any) -> list[Document]:
        return [document for document, _ in self.similarity_search_with_score(query, k, **kwargs)]

    def similarity_search_with_score(self, query: str, k: int = 4, **kwargs: Any) -> list[tuple[Document, float]]:
        return self._near(self._asked(query), k, kwargs.get("filter"))

    def similarity_search_by_vector(self, embedding: list[float], k: int = 4, **kwargs: Any) -> list[Document]:
        return [document for document, _ in self._near(_unit([embedding])[0], k, kwargs.get("filter"))]

    def max_marginal_relevance_search(
        self, query: str, k: int = 4, fetch_k: int = 20, lambda_mult: float = 0.5, **kwargs: Any
    ) -> list[Document]:
        """Near the query and far from each other (Carbonell and Goldstein 1998)."""
        return self._diverse(self._asked(query), k, fetch_k, lambda_mult, kwargs.get("filter"))

    def max_marginal_relevance_search_by_vector(
        self, embedding: list[float], k: int = 4, fetch_k: int = 20, lambda_mult: float = 0.5, **kwargs: Any
    ) -> list[Document]:
        return self._diverse(_unit([embedding])[0], k, fetch_k, lambda_mult, kwargs.get("filter"))

    @classmethod
    def from_texts(
        cls,
        texts: list[str],
        embedding: Embeddings,
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: list[str] | None = None,
        **kwargs: Any,
    ) -> IndexVectorStore:
        """A store with these texts; ``index=`` to say where, by default in memory."""
        index = kwargs.pop("index", None)
        if index is None:
            index = MemoryIndex(len(embedding.embed_query("how long is a vector?")))
        store = cls(index, embedding, **kwargs)
        store.add_texts(texts, metadatas, ids=ids)
        return store

    def _select_relevance_score_fn(self) -> Callable[[float], float]:
        return lambda similarity: min(1.0, max(0.0, similarity))

    def _asked(self, query: str) -> NDArray[np.float32]:
        row: NDArray[np.float32] = _unit([self._embeddings.embed_query(query)])[0]
        return row

    def _rows(self, texts: list[str]) -> NDArray[np.float32]:
        return _unit(self._embeddings.embed_documents(texts)) if texts else _unit([[]])[:0]

    def _near(
        self, vector: NDArray[np.float32], k: int, wanted: Callable[[Document], bool] | None
    ) -> list[tuple[Document, float]]:
        if wanted is not None and not callable(wanted):
            raise InputError(f"filter= is a function of a Document, not {wanted!r}")
        reach = k
        while True:
            near = self.index.query({self.kind}, vector, reach)
            known = [(self._documents[n.id], n.score) for n in near if n.id in self._documents]
            found = [(_copy(d), score) for d, score in known if wanted is None or wanted(d)]
            if len(found) >= k or len(near) < reach:
                return found[: max(k, 0)]
            reach = 4 * max(reach, 1)

    def _diverse(
        self,
        vector: NDArray[np.float32],
        k: int,
        fetch_k: int,
        lambda_mult: float,
        wanted: Callable[[Document], bool] | None,
    ) -> list[Document]:
        near = [document for document, _ in self._near(vector, fetch_k, wanted)]
        rows = list(self._rows([document.page_content for document in near]))
        return [near[i] for i in maximal_marginal_relevance(vector, rows, lambda_mult=lambda_mult, k=k)] if near else []


class LangChainIndex:
    """Any LangChain ``VectorStore`` as an index of ours, one store per kind.

    ``make(kind, embeddings)`` opens the store of a kind. LangChain's interface takes texts, and embeds them itself; so
    the texts that we give are our vectors, written out, and ``embeddings`` reads them back: hand it to the store.
    Scores are computed from what comes back, whatever the store's own mean. The interface lists no ids: what an earlier
    process put into a store counts as not there, and `sync_index` puts it in again. The store says nothing of
    embedders; use another store for another one.
    """

    def __init__(self, make: Callable[[Kind, Embeddings], VectorStore], dim: int) -> None:
        self.dim = dim
        self._make = make
        self._stores: dict[Kind, VectorStore] = {}
        self._known: dict[Kind, set[str]] = {kind: set() for kind in Kind}
        self._lock = threading.RLock()

    def upsert(self, kind: Kind, ids: Sequence[str], vectors: NDArray[np.float32]) -> None:
        """``vectors``: (n, dim) float32 unit rows; an id that is there gets the new vector."""
        rows = checked(ids, vectors, self.dim)
        last = last_of_each(ids)
        if not last:
            return
        with self._lock:
            self.delete(kind, list(last))  # some stores refuse an id that they have
            documents = [Document(id=id, page_content=_written(rows[i]), metadata={"id": id}) for id, i in last.items()]
            self._ask(kind, lambda store: store.add_documents(documents, ids=list(last)))
            self._known[kind].update(last)

    def delete(self, kind: Kind, ids: Sequence[str]) -> None:
        """Ids that are not there are ignored."""
        with self._lock:
            gone = [id for id in dict.fromkeys(ids) if id in self._known[kind]]
            if gone:
                self._ask(kind, lambda store: store.delete(gone))
                self._known[kind].difference_update(gone)

    def query(self, kinds: Set[Kind], vector: NDArray[np.float32], k: int) -> list[Neighbour]:
        """The ``k`` nearest of these kinds, best first; ``score`` is the cosine similarity."""
        query = checked_query(vector, self.dim)[0]
        with self._lock:
            return best([n for kind in sorted(kinds) if self._known[kind] for n in self._near(kind, query, k)], k)

    def ids(self, kind: Kind) -> set[str]:
        with self._lock:
            return set(self._known[kind])

    def close(self) -> None:
        """The stores are the user's; LangChain's interface has no way to close them."""

    def _near(self, kind: Kind, query: NDArray[np.float32], k: int) -> list[Neighbour]:
        known, asked, reach = self._known[kind], _written(query), k
        while k > 0:
            documents = self._ask(kind, lambda store, reach=reach: store.similarity_search(asked, k=reach))  # type: ignore[misc]
            found: dict[str, float] = {}
            for document in documents:
                id, row = document.id or document.metadata.get("id", ""), _read(document.page_content, self.dim)
                if id in known and row is not None:
                    found[id] = float(row @ query)
            if len(found) >= min(k, len(known)) or len(documents) < reach:
                return [Neighbour(kind, id, score) for id, score in found.items()]
            reach *= 2
        return []

    def _ask(self, kind: Kind, work: Callable[[VectorStore], Any]) -> Any:
        try:
            if kind not in self._stores:
                self._stores[kind] = self._make(kind, _Reading(self.dim))
            return work(self._stores[kind])
        except HabilisError:
            raise
        except Exception as error:
            raise HomeError(
                f"the vector store of {kind.value}s cannot be used ({type(error).__name__}: {str(error)[:200]}); see "
                "what it says. Nothing is lost: the index is derived from the journal"
            ) from error


class _Reading(Embeddings):
    """Vectors written out as texts, read back."""

    def __init__(self, dim: int) -> None:
        self._dim = dim

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [self.embed_query(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        row = _read(text, self._dim)
        if row is None:
            raise InputError(
                f"{text[:40]!r} is no vector of {self._dim} numbers; this store holds an index's vectors only"
            )
        numbers: list[float] = row.tolist()
        return numbers


def _written(row: NDArray[np.float32]) -> str:
    return base64.b64encode(row.astype("<f4").tobytes()).decode()


def _read(text: str, dim: int) -> NDArray[np.float32] | None:
    import numpy as np

    try:
        row = np.frombuffer(base64.b64decode(text, validate=True), dtype="<f4")
    except (binascii.Error, ValueError):
        return None
    return row if len(row) == dim else None


def _unit(rows: Iterable[Iterable[float]]) -> NDArray[np.float32]:
    import numpy as np

    return unit_rows(np.asarray(rows, dtype=np.float32))


def _copy(document: Document) -> Document:
    return Document(id=document.id, page_content=document.page_content, metadata=dict(document.metadata))
