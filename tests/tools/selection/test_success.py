"""The chance that something helps: none for what is unrelated, more with a good record."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from habilis.core import Augmentation, Budget, Goal, InputError, Kind, Task
from habilis.memory.embedding import HashEmbedder
from habilis.memory.index import MemoryIndex
from habilis.tools import Catalogue, TrackRecord

TASK = Task(Goal.parse('count("stick") >= 1'), "craft", 0, "craft two sticks")


def test_what_is_no_nearer_than_unrelated_things_is_no_help() -> None:
    embedder = HashEmbedder()
    model = TrackRecord(embedder)
    assert 0.02 < model.threshold < 0.3
    catalogue = Catalogue(MemoryIndex(embedder.dim), embedder, model=model)
    catalogue.put(
        Augmentation(Kind.SKILL, "sticks", "craft sticks out of planks"),
        Augmentation(Kind.TOOL, "mail", "send an e-mail to somebody"),
    )
    assert [a.name for a in catalogue.pick(TASK, Budget()).taken] == ["sticks"]


def test_a_better_record_gives_a_better_chance() -> None:
    model = TrackRecord(HashEmbedder(), threshold=0.2)
    things = [
        Augmentation(Kind.TOOL, "new", "new"),
        Augmentation(Kind.TOOL, "proven", "proven", successes=8, uses=8),
        Augmentation(Kind.TOOL, "failing", "failing", uses=8),
        Augmentation(Kind.TOOL, "far", "far", successes=8, uses=8),
    ]
    relevance = np.array([0.8, 0.7, 0.9, 0.1], dtype=np.float32)
    chances = model.chances(np.zeros(512, dtype=np.float32), things, relevance)
    assert [round(float(c), 3) for c in chances] == [0.4, 0.63, 0.09, 0.0]


class Odd(TrackRecord):
    """A model of a user's that gives what it was told to."""

    name = "odd"

    def __init__(self, given: list[float]) -> None:
        super().__init__(HashEmbedder())
        self._given = given

    def chances(
        self, task: NDArray[np.float32], things: Sequence[Augmentation], relevance: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        return np.array(self._given, dtype=np.float32)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ([float("nan")], "'odd' gave tool:mail the chance nan"),
        ([1.5], "a chance is from 0 to 1"),
        ([-0.1], "gave tool:mail the chance -0.1"),
        ([], r"'odd' gave chances of shape \(0,\) for 1 things"),
        ([0.5, 0.5], r"shape \(2,\) for 1 things"),
    ],
)
def test_a_model_that_gives_no_chance_is_named(given: list[float], told: str) -> None:
    embedder = HashEmbedder()
    catalogue = Catalogue(MemoryIndex(embedder.dim), embedder, model=Odd(given))
    catalogue.put(Augmentation(Kind.TOOL, "mail", "send an e-mail to somebody"))
    with pytest.raises(InputError, match=told):
        catalogue.pick(TASK, Budget())
