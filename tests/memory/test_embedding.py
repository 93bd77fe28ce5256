"""Embedders: unit vectors that depend on the text alone, the same in every process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from habilis.core import ModelError, NotFoundError
from habilis.memory.embedding import HashEmbedder, MiniLmEmbedder, WordLlamaEmbedder, have_embedder, open_embedder
from habilis.testing.embedding import check_embedder, measure_retrieval


def test_hash_passes_the_suite() -> None:
    check_embedder(HashEmbedder())
    check_embedder(HashEmbedder(64))


@pytest.mark.skipif(not have_embedder("minilm"), reason="the weights of minilm were not fetched")
def test_minilm_passes_the_suite_and_knows_meaning() -> None:
    embedder = open_embedder("minilm")
    assert isinstance(embedder, MiniLmEmbedder)
    check_embedder(embedder)
    a, b, c = embedder.embed(["chop down a tree", "gather wood", "pay the invoice"])
    assert a @ b > a @ c + 0.2
    assert open_embedder(embedder.fingerprint).fingerprint == embedder.fingerprint
    assert open_embedder("auto").fingerprint == embedder.fingerprint


@pytest.mark.skipif(not have_embedder("wordllama"), reason="the table of wordllama was not fetched")
def test_wordllama_passes_the_suite() -> None:
    embedder = open_embedder("wordllama")
    assert isinstance(embedder, WordLlamaEmbedder)
    check_embedder(embedder)


def test_auto_falls_back_without_touching_the_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/")
    assert open_embedder("auto", cache=tmp_path).fingerprint == "hash:v1-512"
    names = ("auto", "hash:v1-512", "minilm", "minilm:8199be6f699a395f", "wordllama")
    assert [have_embedder(name, cache=tmp_path) for name in names] == [True, True, False, False, False]
    with pytest.raises(NotFoundError):
        have_embedder("minilmm", cache=tmp_path)
    assert not list(tmp_path.iterdir())


def test_unknown_names_and_weights_are_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="did you mean 'minilm'"):
        open_embedder("minilmm", cache=tmp_path)
    with pytest.raises(ModelError, match=r"hash:v0.*hash:v1-512"):
        open_embedder("hash:v0-512", cache=tmp_path)


def test_damaged_files_are_model_errors(tmp_path: Path) -> None:
    (tmp_path / "table").write_bytes(b"\x08\0\0\0\0\0\0\0{}      ")
    with pytest.raises(ModelError, match="cannot read the table"):
        WordLlamaEmbedder(tmp_path / "table", tmp_path / "none")
    (tmp_path / "model").write_bytes(b"no model")
    with pytest.raises(ModelError, match="cannot load"):
        MiniLmEmbedder(tmp_path / "model", tmp_path / "none")


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.text(max_size=40), max_size=5))
def test_hash_gives_unit_rows_for_any_text(texts: list[str]) -> None:
    rows = HashEmbedder(64).embed(texts)
    assert rows.shape == (len(texts), 64)
    assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)


def test_hash_is_the_same_under_another_hash_seed() -> None:
    code = "from habilis.testing.embedding import *; print(HashEmbedder().embed(['get four sticks']).tobytes().hex())"
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("0", "1")
    }
    assert outputs == {HashEmbedder().embed(["get four sticks"]).tobytes().hex() + "\n"}


def test_retrieval_figures_are_those_of_the_ranks() -> None:
    documents = {name: f"{name} {name}" for name in ("alpha", "bravo", "charlie", "delta", "echo", "foxtrot", "golf")}
    queries = [("alpha please", "alpha"), ("tell me about bravo", "bravo"), ("charlie", "golf")]
    for embedder, share in ((HashEmbedder(), 1.0), (None, 0.0), (HashEmbedder(), 0.7)):
        assert measure_retrieval(embedder, queries, documents, dense_share=share).at_1 == pytest.approx(2 / 3)
