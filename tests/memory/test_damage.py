"""One damaged record hides nothing else: it is left aside, with one warning that names it."""

from __future__ import annotations

import sqlite3
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from habilis.core import Action, Contract, Cost, Event, JournalError
from habilis.memory.exchange import documents
from habilis.memory.home import Home
from habilis.memory.index import MemoryIndex
from habilis.memory.interfaces import interface_of, interfaces, remember_interface
from habilis.memory.journal import DamagedRecordWarning, Journal, ModelRecord
from habilis.memory.library import SkillLibrary
from habilis.memory.reflexes import LearnedReflex, keep_reflex, learned_reflexes
from habilis.testing.embedding import HashEmbedder
from habilis.testing.journal import example_episode, example_skill
from habilis.worlds.craft import CraftWorld

DAMAGE = {
    "cut short": "'{'",
    "of another kind": "'{}'",
    "a list": "'[[]]'",
    "no UTF-8": "cast(x'7bff7d' as text)",
    "nested too deep": f"'{'[' * 100_000}'",
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "home" / "journal.sqlite"
    with Home.open(file.parent) as home:
        journal = home.journal
        journal.start_run({"world": "craft"})
        for i in range(3):
            journal.append_episode(1, example_episode(i))
            journal.append_event(1, Event("tool_began", {"tool": f"t{i}"}, i))
            journal.record_use(1, f"skill:s{i}", "get it", True, Cost())
            journal.put_model(ModelRecord(f"m{i}", "base", f"models/m{i}", adopted=i == 1))
        journal.put_contracts(Contract(Action("craft", (name,)), "f1") for name in "abc")
        for name, calls in (("log", ()), ("plank", ()), ("stick", ("plank",)), ("door", ("stick", "log"))):
            journal.put_skill(example_skill(name, calls=calls), "found")
    return file


def _damage(file: Path, table: str, where: str, data: str, column: str = "data") -> None:
    with closing(sqlite3.connect(file)) as db, db:
        assert db.execute(f"UPDATE {table} SET {column} = {data} WHERE {where}").rowcount == 1


@contextmanager
def _warned(*names: str) -> Iterator[None]:
    """Just these warnings of ours, in this order."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        yield
    told = [str(w.message) for w in seen if w.category is DamagedRecordWarning]
    assert len(told) == len(names), told
    assert all(name in text and len(text) < 500 for name, text in zip(names, told, strict=True)), told


@pytest.mark.parametrize("data", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_record_among_many_is_left_aside_and_named(file: Path, data: str) -> None:
    _damage(file, "skills", "name = 'log'", data)
    _damage(file, "contracts", "action LIKE '%b%'", data)
    _damage(file, "episodes", "idx = 1", data)
    _damage(file, "events", "seq = 2", data)
    _damage(file, "uses", "seq = 2", data)
    _damage(file, "models", "name = 'm1'", data)
    with Journal(file) as journal:
        with _warned("skill log version 1"):
            assert [s.name for s in journal.skills()] == ["plank", "stick", "door"]
            assert len(journal.skills(None)) == 3  # told once
            assert journal.count_skills("f1") == 3
        with _warned('the contract of craft("b")'):
            assert [c.action.args for c in journal.contracts("f1")] == [("a",), ("c",)]
        with _warned("episode 1 of run 1"):
            assert [e.index for e in journal.episodes()] == [0, 2]
            assert [e.index for e in journal.episodes(1, with_trajectories=False)] == [0, 2]
        with _warned("event 2, of run 1"):
            assert [e.iteration for e in journal.events(1)] == [0, 2]
        with _warned("use 2"):
            assert [u.augmentation for u in journal.uses()] == ["skill:s0", "skill:s2"]
        with _warned("the model m1"):
            assert [m.name for m in journal.models()] == ["m0", "m2"]
            assert journal.adopted_model() is None
        assert journal.count_models() == 3


def test_damaged_trajectories_hide_their_episode_alone(file: Path) -> None:
    _damage(file, "episodes", "idx = 1", "x'00'", column="trajectories")
    with Journal(file) as journal, _warned("episode 1 of run 1"):
        assert [e.index for e in journal.episodes()] == [0, 2]
        assert [e.index for e in journal.episodes(with_trajectories=False)] == [0, 1, 2]


def test_a_damaged_run_is_left_aside(file: Path) -> None:
    with Journal(file) as journal:
        journal.start_run({"world": "craft"})
    _damage(file, "runs", "id = 1", "'{'")
    with Journal(file) as journal, _warned("run 1"):
        assert [r.id for r in journal.runs()] == [2]


@pytest.mark.parametrize("data", DAMAGE.values(), ids=DAMAGE)
def test_damaged_reflexes_and_interfaces_are_left_aside(file: Path, data: str) -> None:
    spec = CraftWorld().spec
    reflex = LearnedReflex("thirst", "drink() <= 3", "drink", {}, "active", "", 8, 0, 8, 90.0, 60.0, 40, 20, "")
    with Journal(file) as journal:
        for name in ("hunger", "thirst"):
            keep_reflex(journal, "f1", replace(reflex, name=name))
        for fingerprint in ("f1", "f2"):
            remember_interface(journal, replace(spec, fingerprint=fingerprint))
    _damage(file, "documents", "id = 'f1 hunger'", data)
    _damage(file, "documents", "kind = 'interface' AND id = 'f1'", data)
    with Journal(file) as journal:
        with _warned("the reflex f1 hunger"):
            assert learned_reflexes(journal, "f1") == learned_reflexes(journal, status=None) == [reflex]
            assert learned_reflexes(journal, "f2") == learned_reflexes(journal, status="dropped") == []
        with _warned("the interface f1"):
            assert interfaces(journal) == {"f2": interface_of(spec)}
            remember_interface(journal, replace(spec, fingerprint="f1"))
            assert set(interfaces(journal)) == {"f1", "f2"}  # written anew


def test_an_imported_document_that_is_no_mapping_is_left_aside(file: Path) -> None:
    with Journal(file) as journal:
        journal.put_document("voyager", "a", [1])
        journal.put_document("voyager", "b", {"text": "x"})
        with _warned("the voyager a"):
            assert list(documents(journal)) == [("voyager", "b")]


@pytest.mark.parametrize("data", DAMAGE.values(), ids=DAMAGE)
def test_asked_for_by_itself_it_is_told_as_damaged(file: Path, data: str) -> None:
    _damage(file, "skills", "name = 'log'", data)
    _damage(file, "episodes", "idx = 1", data)
    with Journal(file) as journal:
        with pytest.raises(JournalError, match=r"skill log version 1 .* is damaged.*put back a copy"):
            journal.skill("log")
        with pytest.raises(JournalError, match=r"episode 1 of run 1 .* is damaged"):
            journal.episode(1, 1)
        (damaged,) = journal.damaged_skills()
        assert (damaged.name, damaged.version, damaged.status) == ("log", 1, "active")
        assert journal.damaged_skills("plank") == []


def test_what_is_learned_again_takes_the_place_of_what_was_damaged(file: Path) -> None:
    _damage(file, "contracts", "action LIKE '%b%'", "'{'")
    _damage(file, "models", "name = 'm1'", "'{'")
    with Journal(file) as journal, _warned():
        journal.put_contracts([Contract(Action("craft", ("b",)), "f1")])
        journal.put_model(ModelRecord("m1", "base", "models/m1"))
        assert len(journal.contracts("f1")) == len(journal.models()) == 3


def test_what_calls_a_damaged_skill_is_left_aside_with_it(file: Path) -> None:
    _damage(file, "skills", "name = 'plank'", "'{'")
    embedder = HashEmbedder(64)
    with (
        Home.open(file.parent) as home,
        _warned("skill plank version 1", "door, stick"),
        SkillLibrary.open(home, embedder=embedder, index=MemoryIndex(64)) as library,
    ):
        assert list(library.active()) == ["log"]
        assert {h.skill.name for h in library.search("get log")} == {"log"}
        with pytest.raises(JournalError, match=r"skill plank version 1 .* is damaged"):
            library.retire("plank", "broken")
        saw = "def plank(n: int = 1):\n    while world.count('plank') < n:\n        world.saw('log', n)\n"
        again = library.admit(example_skill("plank", source=saw), "learned again")
        assert (again.name, again.version) == ("plank", 2)
        library.refresh()
        assert list(library.active()) == ["log", "stick", "door", "plank"]
        assert library.retire("log", "a test") == ("log", "door")


def test_damage_to_one_text_is_told_in_few_words(file: Path) -> None:
    with Journal(file) as journal:
        journal.put_state("distil", "x" * 10_000)
        assert journal.set_skill_status("log", 1, "retired", "broken").status == "retired"
    _damage(file, "state", "key = 'distil'", f"cast(x'22ff{'78' * 10_000}22' as text)")
    _damage(file, "transitions", "after = 'retired'", "cast(x'ff' as text)", column="reason")
    with Journal(file) as journal:
        with pytest.raises(
            JournalError, match=r"the state 'distil' in the journal is damaged.*put back a copy"
        ) as told:
            journal.get_state("distil")
        assert len(str(told.value)) < 300
        assert "run again" not in str(told.value)
        assert [t.after for t in journal.transitions("log")] == ["active", "retired"]
