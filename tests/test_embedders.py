"""A home's vectors are kept, so that only what is new is embedded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from habilis._embedders import home_embedder, keep_vectors
from habilis.memory import Home, SkillLibrary
from habilis.memory.embedding import HashEmbedder
from habilis.memory.library import LibrarySettings
from habilis.testing.journal import example_skill


class Slow(HashEmbedder):
    """Stands for an embedder that is worth keeping the vectors of; notes what it was asked."""

    asked: list[str]

    def __init__(self) -> None:
        super().__init__(64)
        self.fingerprint, self.asked = "minilm:slow", []

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.asked += texts
        return super().embed(texts)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    slow = Slow()
    # The hash embedder alone is not kept, so that this must be none.
    monkeypatch.setattr("habilis._embedders.HashEmbedder", type("Nobody", (), {}))
    monkeypatch.setattr("habilis._embedders.open_embedder", lambda name, ledger=None, prices=None: slow)
    return slow.asked


def _search(path: Path) -> str:
    with Home.open(path, read_only=True) as home, SkillLibrary.open(home, embedder=home_embedder(home)) as library:
        return library.search("get a stick")[0].skill.name


def _learn(path: Path, *names: str) -> None:
    with Home.open(path) as home:
        embedder = home_embedder(home)
        with SkillLibrary.open(home, embedder=embedder, settings=LibrarySettings(merge=False)) as library:
            keep_vectors(home, embedder)
            for name in names:
                library.admit(example_skill(name), "found")


def test_a_search_embeds_the_query_alone(tmp_path: Path, asked: list[str]) -> None:
    _learn(tmp_path, "stick", "plank")
    asked.clear()
    assert [_search(tmp_path), _search(tmp_path)] == ["stick", "stick"]
    assert asked == ["get a stick"] * 2
    (tmp_path / "vectors.sqlite").unlink()
    assert _search(tmp_path) == "stick"
    assert len(asked) == 2 + 3
    asked.clear()
    _learn(tmp_path)  # what the index has already is kept again too
    assert len(asked) == 2
    asked.clear()
    assert _search(tmp_path) == "stick"
    assert asked == ["get a stick"]


def test_what_an_embedder_says_of_its_share_is_handed_on(tmp_path: Path) -> None:
    with Home.open(tmp_path) as home:
        assert home_embedder(home, "hash").dense_share == 0.3  # type: ignore[attr-defined]
