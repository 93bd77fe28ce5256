"""A library that dies at any write, or whose index fails: what was told to be kept is kept, and nothing by half."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.memory.lives import SMALL
from tests.memory.toys import EMBEDDER, WALK, WOODS, Table, Toy, names, opened, plank, sound, stick, view

from habilis.core import HomeError, Json, Kind, dump
from habilis.memory.home import Home
from habilis.memory.index import MemoryIndex
from habilis.memory.library import Offer, SkillLibrary
from habilis.testing.journal import Crash, CrashAfter

Work = Callable[[SkillLibrary, Toy], object]


def _one_stick(wood: str) -> object:
    return stick(wood, f"skills.have_plank(1, kind='{wood}_plank')", calls=("have_plank",))


def _base(library: SkillLibrary, toy: Toy) -> None:
    """A general skill with a caller, one of its own with a caller, and an older version."""
    for skill in (plank("ash"), plank("oak"), plank("pine", extra=WALK), stick("pine"), plank("pine", "saw")):
        library.admit(skill, "found")
    library.admit(stick("ash", "skills.have_plank(1, kind='ash_plank')", calls=("have_plank",)), "found")


def _fails(library: SkillLibrary, toy: Toy) -> object:
    toy.broken = {'craft("ash_plank")', 'craft("oak_plank")'}
    return library.verify("have_plank").ok


def _lifted(library: SkillLibrary, toy: Toy) -> object:
    drafts = [plank(wood, "saw", name=f"saw_{wood}") for wood in ("ash", "oak")]
    drafts.append(plank("pine", name="slow", extra=WALK))
    return library.relift(Table(*drafts)).promoted


def _carried(library: SkillLibrary, toy: Toy) -> object:
    there = library.fingerprint
    assert there is None
    library.fingerprint = toy.fingerprint = "toy-2"
    library.refresh()
    return library.carry_over("toy").skills


def _failed_often(library: SkillLibrary, toy: Toy) -> object:
    with library.home.journal.transaction():
        for _ in range(30):
            library.used("have_plank", False)
    return None


def _pruned(library: SkillLibrary, toy: Toy) -> object:
    with library.home.journal.transaction():
        for _ in range(12):
            library.settle(Offer(("have_pine_stick",), ""), False)
            library.settle(Offer(("have_pine_stick",), "have_pine_stick"), True)
    return library.prune()


ONCE: dict[str, Work] = {  # what is one transaction: all of it, or nothing
    "a case that is taken in, with its callers": lambda library, toy: library.admit(plank("birch"), "found"),
    "two that become one": lambda library, toy: library.admit(plank("ash", "saw"), "found"),
    "a better one": lambda library, toy: library.admit(plank("pine", "saw", extra="        0\n", name="get"), "found"),
    "two callers that become one": lambda library, toy: library.admit(
        stick("oak", "skills.have_plank(1, kind='oak_plank')", calls=("have_plank",)), "found"
    ),
    "one that passes": lambda library, toy: library.verify("have_pine_stick"),
    "one that fails": _fails,
    "retired": lambda library, toy: library.retire("have_plank", "why not"),
    "restored": lambda library, toy: library.restore("have_pine_plank", "why not", version=1),
    "used": lambda library, toy: library.used("have_plank", True),
    "failed in use": _failed_often,
    "settled": lambda library, toy: library.settle(Offer(("have_plank", "have_pine_stick"), "have_plank"), True),
}
STEPWISE: dict[str, Work] = {"lifted": _lifted, "carried over": _carried, "pruned": _pruned}


def _state(home: Home) -> Json:
    """Everything that the journal holds of skills."""
    journal = home.journal
    skills = journal.skills(None)
    history = {s.name: [dump(t) for t in journal.transitions(s.name)] for s in skills}
    return [dump(s) for s in skills], history, journal.get_state("withheld:"), journal.get_state("withheld:toy-2")


@pytest.mark.parametrize("name", [*ONCE, *STEPWISE])
def test_a_death_at_any_write_leaves_what_was_or_what_is(tmp_path: Path, name: str) -> None:
    work = {**ONCE, **STEPWISE}[name]
    first = tmp_path / "first"
    with opened(first, Toy(), settings=SMALL) as library:
        _base(library, Toy())
        states = [_state(library.home)]
    shutil.copytree(first, tmp_path / "whole")
    with opened(tmp_path / "whole", toy := Toy(), settings=SMALL, hook=lambda point: note(point)) as library:
        home = library.home

        def note(point: str) -> None:
            if point == "COMMITTED":
                states.append(_state(home))

        work(library, toy)
        states = [s for s, _ in itertools.groupby(states)]
        assert len(states) == 2 if name in ONCE else len(states) > 2
    found: list[Json] = []
    for writes in itertools.count():
        path = tmp_path / str(writes)
        shutil.copytree(first, path)
        index, toy = MemoryIndex(EMBEDDER.dim), Toy()  # which lives on as the process would have left it
        try:
            with opened(path, toy, settings=SMALL, index=index, hook=CrashAfter(writes)) as library:
                work(library, toy)
        except Crash:
            finished = False
        else:
            finished = True
        with opened(path, settings=SMALL, index=index) as library:
            sound(library)
            found.append(_state(library.home))
            fresh = _opened_anew(library)
            assert view(library) == view(fresh)
        if finished:
            break
    assert [s for s, _ in itertools.groupby(found)] == states


def _opened_anew(library: SkillLibrary) -> SkillLibrary:
    return SkillLibrary.open(
        library.home, embedder=EMBEDDER, index=MemoryIndex(EMBEDDER.dim), settings=SMALL, warn=lambda text: None
    )


class Faulty(MemoryIndex):
    """An index that fails as long as it is told to, at one of its methods."""

    failing = ""

    def upsert(self, kind: Kind, ids: Sequence[str], vectors: NDArray[np.float32]) -> None:
        if self.failing == "upsert" and len(ids):
            raise HomeError("the disk is full")
        super().upsert(kind, ids, vectors)

    def delete(self, kind: Kind, ids: Sequence[str]) -> None:
        if self.failing == "delete":
            raise HomeError("the disk is full")
        super().delete(kind, ids)

    def ids(self, kind: Kind) -> set[str]:
        if self.failing == "ids":
            raise HomeError("the server is gone")
        return super().ids(kind)


@pytest.mark.parametrize("failing", ["upsert", "delete", "ids"])
def test_an_index_that_fails_loses_nothing_that_was_learned(tmp_path: Path, failing: str) -> None:
    index, told, toy = Faulty(EMBEDDER.dim), list[str](), Toy()
    with opened(tmp_path / "faulty", toy, settings=SMALL, index=index, warn=told.append) as library:
        library.admit(plank("ash"), "found")
        assert told == []
        index.failing = failing
        for wood in WOODS[1:]:
            library.admit(plank(wood), "found")
        library.admit(stick("ash", "skills.have_plank(1, kind='ash_plank')", calls=("have_plank",)), "found")
        library.relift(Table(plank("oak", "saw", name="saw_oak")))
        library.used("have_plank", False)
        library.retire("have_ash_stick", "why not")
        assert told
        assert all(
            t.startswith("the index is behind, and is made good when the home is opened next: the ") for t in told
        )
        assert names(library.active()) == ["have_plank", "saw_oak"]
        assert len(library.get("have_plank").cases) == 4
        index.failing = ""
        count = len(told)
        library.used("have_plank", True)  # whatever is written next makes it good
        assert len(told) == count
        sound(library)
        assert view(library) == view(_opened_anew(library))
        index.failing = failing
        library.admit(plank("birch", "saw", extra=WALK * 2, name="get_it"), "found")
    index.failing = ""
    with opened(tmp_path / "faulty", toy, settings=SMALL, index=index) as library:
        sound(library)
