"""LangChain's vector stores both ways: an index of ours as theirs, and theirs as an index of ours."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding, Embeddings
from langchain_core.vectorstores import InMemoryVectorStore, VectorStore

from habilis.core import HomeError, InputError, Kind
from habilis.memory.embedding import HashEmbedder
from habilis.memory.index import ChromaIndex, FaissIndex, MemoryIndex, Synced, sync_index
from habilis.memory.index.langchain import IndexVectorStore, LangChainEmbeddings, LangChainIndex
from habilis.testing.index import check_index

EMBEDDER = HashEmbedder(64)
TEXTS = ["get four sticks", "light a fire", "the weather in Lyon", "sleep in a bed", "fire the oven"]


def _store(index: Any = None) -> IndexVectorStore:
    store = IndexVectorStore(index or MemoryIndex(64), EMBEDDER)
    store.add_texts(TEXTS, [{"n": n} for n in range(len(TEXTS))], ids=[f"id{n}" for n in range(len(TEXTS))])
    return store


@pytest.mark.parametrize("back_end", ["exact", "chroma", "faiss"])
def test_a_store_finds_replaces_and_deletes(tmp_path: Path, back_end: str) -> None:
    make = {"chroma": ChromaIndex, "faiss": FaissIndex}.get(back_end)
    index = make(tmp_path, EMBEDDER.fingerprint, 64) if make else MemoryIndex(64)
    store = _store(index)
    (found, score), *_ = store.similarity_search_with_score("sticks", k=1)
    assert (found.id, found.page_content, found.metadata) == ("id0", "get four sticks", {"n": 0})
    assert score == pytest.approx(float(EMBEDDER.embed(["sticks"])[0] @ EMBEDDER.embed([TEXTS[0]])[0]), abs=1e-3)
    store.add_documents([Document(id="id0", page_content="get eight planks", metadata={"n": 8})])
    assert store.similarity_search("planks", k=1)[0].page_content == "get eight planks"
    assert index.ids(Kind.DOCUMENT) == {f"id{n}" for n in range(5)}
    assert store.delete(["id0", "never there"])
    assert "id0" not in {d.id for d in store.similarity_search("planks", k=9)}
    assert store.get_by_ids(["id0", "id1"])[0].id == "id1"
    store.delete()
    assert store.similarity_search("planks") == []
    index.close()


def test_the_rest_of_the_interface() -> None:
    store = _store()
    assert store.similarity_search("fire", k=2, filter=lambda d: d.metadata["n"] > 1)[0].id == "id4"
    assert len(store.similarity_search("fire", k=9)) == 5
    vector = EMBEDDER.embed(["sleep in a bed"])[0].tolist()
    assert store.similarity_search_by_vector(vector, k=1)[0].id == "id3"
    plain = [d.id for d in store.similarity_search("fire", k=2)]
    diverse = [d.id for d in store.max_marginal_relevance_search("fire", k=2, lambda_mult=0.0)]
    assert set(plain) == {"id1", "id4"}
    assert diverse[0] == plain[0]
    assert diverse != plain
    (_, relevance), *_ = store.similarity_search_with_relevance_scores("light a fire", k=1)
    assert relevance == pytest.approx(1, abs=1e-4)
    assert store.as_retriever(search_kwargs={"k": 1}).invoke("Lyon")[0].id == "id2"
    assert asyncio.run(store.asimilarity_search("Lyon", k=1))[0].id == "id2"
    with pytest.raises(InputError, match="1 ids were given for 2 documents"):
        store.add_texts(["a", "b"], ids=["x"])
    with pytest.raises(InputError, match="filter="):
        store.similarity_search("a", filter={"n": 1})


def test_what_is_handed_out_and_in_can_be_changed_without_harm() -> None:
    store = _store()
    store.similarity_search("sticks", k=1)[0].metadata["n"] = 99
    assert store.get_by_ids(["id0"])[0].metadata == {"n": 0}


def test_vectors_of_somebody_else_are_passed_over() -> None:
    index = MemoryIndex(64)
    index.upsert(Kind.DOCUMENT, [f"other{i}" for i in range(20)], np.repeat(EMBEDDER.embed(["sticks"]), 20, axis=0))
    assert _store(index).similarity_search("sticks", k=1)[0].id == "id0"


def test_any_embeddings_will_do_and_a_store_can_be_made_of_texts() -> None:
    store = IndexVectorStore.from_texts(TEXTS, DeterministicFakeEmbedding(size=7), ids=list("abcde"))
    assert store.similarity_search("sleep in a bed", k=1)[0].id == "d"
    assert store.embeddings.embed_query("x") == DeterministicFakeEmbedding(size=7).embed_query("x")
    ours = LangChainEmbeddings(EMBEDDER)
    assert InMemoryVectorStore.from_texts(TEXTS, ours).similarity_search("Lyon", k=1)[0].page_content == TEXTS[2]


def _in_memory(kind: Kind, embeddings: Embeddings) -> VectorStore:
    return InMemoryVectorStore(embeddings)


def test_a_store_in_memory_conforms_as_an_index() -> None:
    check_index(lambda: LangChainIndex(_in_memory, 8))


def test_langchain_chroma_conforms_as_an_index(tmp_path: Path) -> None:
    chroma = pytest.importorskip(
        "langchain_chroma", reason="langchain-chroma is not installed (pip install habilis[bench])"
    )

    def make(kind: Kind, embeddings: Embeddings) -> VectorStore:
        store: VectorStore = chroma.Chroma(f"mine-{kind.value}", embeddings, persist_directory=str(tmp_path))
        return store

    check_index(lambda: LangChainIndex(make, 8))


def test_what_an_earlier_process_left_is_put_in_again_and_never_found_by_itself() -> None:
    stores: dict[Kind, VectorStore] = {}

    def make(kind: Kind, embeddings: Embeddings) -> VectorStore:
        return stores.setdefault(kind, InMemoryVectorStore(embeddings))

    wanted = {Kind.SKILL: {f"s{i}": text for i, text in enumerate(TEXTS)}}
    first = LangChainIndex(make, 64)
    assert sync_index(first, {Kind.SKILL: {**wanted[Kind.SKILL], "stale": "get four sticks"}}, EMBEDDER) == Synced(6, 0)
    second = LangChainIndex(make, 64)
    assert second.ids(Kind.SKILL) == set()
    assert second.query({Kind.SKILL}, EMBEDDER.embed([TEXTS[0]])[0], 3) == []
    assert sync_index(second, wanted, EMBEDDER) == Synced(5, 0)
    assert [n.id for n in second.query({Kind.SKILL}, EMBEDDER.embed([TEXTS[0]])[0], 1)] == ["s0"]
    assert len(second.query({Kind.SKILL}, EMBEDDER.embed([TEXTS[0]])[0], 9)) == 5


def test_what_a_store_raises_is_told() -> None:
    class Broken(InMemoryVectorStore):
        def similarity_search(self, query: str, k: int = 4, **kwargs: Any) -> list[Document]:
            raise RuntimeError("gone away")

    index = LangChainIndex(lambda kind, embeddings: Broken(embeddings), 64)
    index.upsert(Kind.TOOL, ["a"], EMBEDDER.embed(["a"]))
    with pytest.raises(HomeError, match=r"store of tools.*RuntimeError: gone away.*journal"):
        index.query({Kind.TOOL}, EMBEDDER.embed(["a"])[0], 1)


def test_langchain_is_not_loaded_before_it_is_asked_for() -> None:
    code = "import habilis.memory.index, sys; print(sorted({'langchain_core', 'faiss', 'chromadb'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
