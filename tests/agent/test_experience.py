"""What was learned from outcomes lasts from agent to agent, and can be made again from the journal's uses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from habilis.agent.experience import Experience
from habilis.core import Augmentation, Cost, EventStream, Kind, ModelError
from habilis.memory import Home
from habilis.memory.embedding import HashEmbedder
from habilis.memory.index import MemoryIndex
from habilis.memory.journal import Journal
from habilis.tools import Catalogue

THINGS = ("tool:mail", "tool:map", "document:letters", "skill:have_fig")
KEY = "learned:f1"
USES = [(f"do {i % 9} things", THINGS[i % 4], i % 3 > 0) for i in range(40)]


def stocked(embedder: Any = None) -> Catalogue:
    embedder = embedder or HashEmbedder()
    catalogue = Catalogue(MemoryIndex(embedder.dim), embedder)
    for id in THINGS:
        kind, _, name = id.partition(":")
        catalogue.put(Augmentation(Kind(kind), name, f"{name} and what it does"))
    return catalogue


class Life:
    """An agent's catalogue with its experience, in the run of a world."""

    def __init__(self, journal: Journal, fingerprint: str = "f1", embedder: Any = None) -> None:
        self.catalogue, self.events, self.told = stocked(embedder), EventStream(), []
        self.events.subscribe(lambda event: self.told.append(str(event.data.get("message"))))
        self.experience = Experience(self.catalogue, journal, self.events, fingerprint)
        self.run = journal.start_run({"fingerprint": fingerprint})

    def use(self, uses: Sequence[tuple[str, str, bool]]) -> Life:
        for text, id, ok in uses:
            self.experience.record(self.run, text, {id: Cost(calls=1)}, ok)
        return self

    def knows(self) -> Any:
        self.experience.recall()
        return self.catalogue.save()


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Home.open(tmp_path / "home") as home:
        yield home.journal


def test_it_lasts_and_can_be_learned_anew(journal: Journal) -> None:
    learned = Life(journal).use(USES).knows()
    assert learned["credit"]["tool:mail"] == [sum(ok for _, id, ok in USES if id == "tool:mail"), 10]
    assert len(learned["space"]["things"]) == 4
    assert Life(journal).knows() == learned
    journal.put_state(KEY, {})
    assert Life(journal).knows() == learned
    journal.put_state(KEY, "nonsense")
    assert Life(journal).knows() == learned


@settings(max_examples=15, deadline=None)
@given(parts=st.lists(st.integers(0, 15), min_size=1, max_size=5), wiped=st.booleans())
def test_lives_add_up(tmp_path_factory: pytest.TempPathFactory, parts: list[int], wiped: bool) -> None:
    """Several agents, one after the other, know what one that did it all would know."""
    with Home.open(tmp_path_factory.mktemp("lives") / "home") as home:
        done = 0
        for count in parts:
            Life(home.journal).use(USES[done : done + count])
            done += count
            if wiped:
                home.journal.put_state(KEY, {})
        all_at_once = stocked()
        for text, id, ok in USES[:done]:
            all_at_once.learn(text, [id], ok)
        assert Life(home.journal).knows() == all_at_once.save()


def test_what_is_kept_may_lag_behind_the_uses(journal: Journal) -> None:
    life = Life(journal).use(USES[:20])
    kept = journal.get_state(KEY)
    learned = life.use(USES[20:]).knows()
    journal.put_state(KEY, kept)  # as a kill between two writings leaves it
    assert kept["catalogue"] != learned
    assert Life(journal).knows() == learned


def test_skills_are_each_world_s_own(journal: Journal) -> None:
    Life(journal).use(USES[:20])
    other = Life(journal, "f2").use([(text, id, False) for text, id, _ in USES[20:]])
    ours, theirs = Life(journal).knows()["credit"], other.knows()["credit"]
    assert ours["skill:have_fig"] == [3, 5]
    assert theirs["skill:have_fig"] == [0, 5]
    assert ours["tool:mail"] == theirs["tool:mail"]
    assert ours["tool:mail"][1] == 10


class Failing(HashEmbedder):
    """An embedder whose server is down."""

    down = False

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        if self.down:
            raise ModelError("the server is down")
        return super().embed(texts)


def test_an_embedder_that_fails_takes_down_nothing(journal: Journal) -> None:
    embedder = Failing()
    life = Life(journal, embedder=embedder).use(USES[:5])
    embedder.down = True
    life.use(USES[5:10])
    embedder.down = False
    life.use(USES[10:])
    assert len(journal.uses()) == 40
    assert any("nothing was learned from 1 uses: the server is down" in told for told in life.told)
    anew = stocked()
    for text, id, ok in USES:
        anew.learn(text, [id], ok)
    assert Life(journal).knows() == anew.save()  # the next one learns what this one could not


def test_a_damaged_state_is_left_aside(journal: Journal) -> None:
    learned = Life(journal).use(USES).knows()
    with journal.transaction():
        journal._write("UPDATE state SET data = '{' WHERE key = ?", (KEY,))
    life = Life(journal)
    assert life.knows() == learned
    assert any("left aside, and learned anew" in told for told in life.told)
    life.use(USES[:1])
    assert len(journal.uses()) == 41
