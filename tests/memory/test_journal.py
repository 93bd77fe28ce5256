"""The journal: what was acknowledged stays, whatever happens; what was not, leaves no trace."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from habilis.core import (
    Cost,
    DuplicateNameError,
    Event,
    InputError,
    JournalError,
    NotFoundError,
    SchemaError,
    Snapshot,
    Trial,
)
from habilis.core.program import Program, Trajectory
from habilis.core.task import Attempt
from habilis.memory.journal import SCHEMA_VERSION, Journal, ModelRecord
from habilis.memory.journal._database import Database
from habilis.memory.journal._schema import MIGRATIONS
from habilis.testing.journal import Crash, CrashAfter, example_episode, example_skill


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    ticks = itertools.count(100)
    with Journal(tmp_path / "journal.sqlite", clock=lambda: float(next(ticks))) as opened:
        yield opened


def test_runs(journal: Journal) -> None:
    assert journal.runs() == []
    first = journal.start_run({"world": "craft"})
    second = journal.start_run({"world": "blocks"})
    assert [r.id for r in journal.runs()] == [first, second] == [1, 2]
    journal.update_run(first, status="stopped", spent=Cost(usd=0.5), note="limit")
    record = journal.run(first)
    assert (record.status, record.spent, record.note) == ("stopped", Cost(usd=0.5), "limit")
    assert record.ended is not None
    assert record.ended > record.started
    assert journal.runs() == [record, journal.run(second)]
    assert journal.update_run(first, status="running").ended is None
    with pytest.raises(InputError, match="'over'"):
        journal.update_run(first, status="over")
    with pytest.raises(NotFoundError, match="no run '9'"):
        journal.run(9)


def test_episodes_are_unique_in_their_run_and_found(journal: Journal) -> None:
    run, other = journal.start_run({}), journal.start_run({})
    for i in range(150):
        journal.append_episode(run, example_episode(i, "solved" if i % 3 else "failed"))
    journal.append_episode(other, example_episode(0))
    assert journal.count_episodes(run) == 150
    assert journal.count_episodes() == 151
    assert [e.index for e in journal.episodes(run)] == list(range(150))
    assert [e.index for e in journal.episodes(run, since=140, status="failed")] == [141, 144, 147]
    assert len(list(journal.episodes(with_trajectories=False))) == 151
    with pytest.raises(JournalError, match="already has an episode 3; continue at 150"):
        journal.append_episode(run, example_episode(3))
    with pytest.raises(NotFoundError, match="has no episode 150"):
        journal.episode(run, 150)
    with pytest.raises(NotFoundError, match="no run"):
        journal.append_episode(77, example_episode(0))
    assert journal.check() == []


def test_trajectories_are_compressed_and_lose_their_tags(journal: Journal, tmp_path: Path) -> None:
    import dataclasses

    tags = {"#planks": frozenset(f"planks_{i}" for i in range(1000))}
    snapshot = Snapshot({}, tags, "a forest")
    trajectory = Trajectory(printed="again and again\n" * 20_000, before=snapshot, after=snapshot)
    attempt = Attempt(Program("a", "def a(): pass"), trajectory, True)
    run = journal.start_run({})
    journal.append_episode(run, dataclasses.replace(example_episode(0), attempts=(attempt,)))
    (stored,) = journal.episode(run, 0).attempts
    assert stored.trajectory.printed == trajectory.printed
    assert stored.trajectory.before == Snapshot({}, {}, "a forest")
    journal.close()
    assert (tmp_path / "journal.sqlite").stat().st_size < 200_000


def test_skills_have_immutable_versions_and_recorded_transitions(journal: Journal) -> None:
    journal.put_skill(example_skill("stick"), "solved episode 3")
    journal.put_skill(example_skill("plank"), "solved episode 4")
    journal.put_skill(example_skill("stick", version=2, source="def stick(n=1): pass"), "shorter")
    journal.set_skill_status("stick", 1, "superseded", "version 2 is shorter")
    journal.set_skill_status("stick", 1, "superseded", "said twice")
    assert [(s.name, s.version) for s in journal.skills()] == [("plank", 1), ("stick", 2)]
    assert [(s.name, s.version) for s in journal.skills(None)] == [("stick", 1), ("plank", 1), ("stick", 2)]
    assert [s.version for s in journal.skills("superseded", "stick")] == [1]
    assert journal.skill("stick").version == 2
    journal.set_skill_status("stick", 2, "retired", "broken")
    journal.set_skill_status("stick", 1, "active", "better than nothing")
    assert journal.skill("stick").version == 1
    assert [(t.version, t.before, t.after, t.reason) for t in journal.transitions("stick")] == [
        (1, None, "active", "solved episode 3"),
        (2, None, "active", "shorter"),
        (1, "active", "superseded", "version 2 is shorter"),
        (2, "active", "retired", "broken"),
        (1, "superseded", "active", "better than nothing"),
    ]
    with pytest.raises(DuplicateNameError, match="another program; a version never changes, store it as version 3"):
        journal.put_skill(example_skill("stick", source="def stick(n=1): return 3"), "sneaky")
    with pytest.raises(NotFoundError, match="did you mean 'stick'"):
        journal.skill("stik")
    with pytest.raises(NotFoundError, match="no version 9; its newest is 2"):
        journal.skill("stick", 9)
    with pytest.raises(InputError, match="'gone'"):
        journal.set_skill_status("stick", 1, "gone", "")


def test_evidence_adds_up(journal: Journal) -> None:
    journal.put_skill(example_skill("stick"), "found")
    changed = journal.add_evidence("stick", 1, Trial(2, {"n": 3}, True), Trial(3, {"n": 1}, False))
    assert (changed.evidence.successes, changed.evidence.failures) == (2, 1)
    assert journal.skill("stick") == changed
    assert [t.seed for t in changed.evidence.trials] == [1, 2, 3]


def test_models_one_is_adopted_at_most(journal: Journal) -> None:
    run = journal.start_run({})
    journal.put_model(ModelRecord("m1", "base", "models/m1", True, {"loss": 2.5}, ("better",), run))
    journal.put_model(ModelRecord("m2", "base", "models/m2", False, {"loss": 2.0}, ("forgot",), run, created=7.0))
    adopted = journal.adopted_model()
    assert adopted is not None
    assert adopted.name == "m1"
    assert adopted.created > 0
    journal.adopt_model("m2")
    assert [(m.name, m.adopted) for m in journal.models()] == [("m1", False), ("m2", True)]
    with pytest.raises(NotFoundError, match="did you mean 'm1'"):
        journal.adopt_model("m1x")
    journal.adopt_model(None)
    assert journal.adopted_model() is None


def test_each_world_adopts_a_model_of_its_own(journal: Journal) -> None:
    def adopted(fingerprint: str) -> str | None:
        found = journal.adopted_model(fingerprint)
        return None if found is None else found.name

    for name, world in (("old", ""), ("craft-1", "craft"), ("craft-2", "craft"), ("shop-1", "shop")):
        journal.put_model(ModelRecord(name, "base", name, fingerprint=world))
    journal.adopt_model("craft-1")
    assert (adopted("craft"), adopted("shop"), adopted("")) == ("craft-1", None, None)
    journal.adopt_model("old")  # serves every world that has none of its own
    journal.adopt_model("craft-2")
    assert (adopted("craft"), adopted("shop"), adopted("")) == ("craft-2", "old", "old")
    journal.adopt_model("shop-1")
    assert [m.name for m in journal.models() if m.adopted] == ["old", "craft-2", "shop-1"]
    journal.put_model(ModelRecord("craft-3", "base", "craft-3", adopted=True, fingerprint="craft"))
    assert (adopted("craft"), adopted("shop"), adopted("elsewhere")) == ("craft-3", "shop-1", "old")
    journal.adopt_model(None)
    assert (adopted("craft"), adopted("shop"), adopted("")) == (None, None, None)


def test_the_model_that_an_older_version_adopted_serves_every_world(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    with Database(path, migrations=MIGRATIONS[:1]) as old:
        for name, adopted in (("m1", 0), ("m2", 1)):
            data = json.dumps({"name": name, "base": "base", "path": name})
            old._write("INSERT INTO models (name, adopted, data, at) VALUES (?, ?, ?, 1)", (name, adopted, data))
    with Journal(path) as journal:
        found = journal.adopted_model("craft")
        assert found is not None
        assert (found.name, found.fingerprint) == ("m2", "")
        journal.adopt_model("m1")
        assert [m.name for m in journal.models() if m.adopted] == ["m1"]


def test_skills_are_counted_by_world(journal: Journal) -> None:
    for version in (1, 2):
        journal.put_skill(example_skill("stick", version=version), "found")
    journal.put_skill(example_skill("plank", fingerprint="f2"), "found")
    assert [journal.count_skills(f) for f in ("f1", "f2", "f3")] == [2, 1, 0]


def test_documents_state_events_uses(journal: Journal) -> None:
    journal.put_document("recipe", "b", {"n": 1})
    journal.put_document("recipe", "a", {"n": 2})
    journal.put_document("recipe", "b", {"n": 3})
    assert list(journal.documents("recipe").items()) == [("a", {"n": 2}), ("b", {"n": 3})]
    journal.delete_documents("recipe", ["a", "zzz"])
    assert list(journal.documents("recipe")) == ["b"]
    assert journal.get_state("cursor", 5) == 5
    journal.put_state("cursor", None)
    assert journal.get_state("cursor", 5) is None
    run = journal.start_run({})
    for i in range(4):
        journal.append_event(run, Event("warning", {"message": str(i)}, i))
    assert [e.iteration for e in journal.events(run, since=1)] == [1, 2, 3]
    journal.record_use(run, "skill:a", "get a stick", True)
    journal.record_use(run, "tool:b", "get a stick", False, Cost(usd=0.1))
    assert [u.augmentation for u in journal.uses()] == ["skill:a", "tool:b"]
    assert [(u.ok, u.cost.usd) for u in journal.uses("tool:b")] == [(False, 0.1)]
    with pytest.raises(InputError, match="cannot be stored as JSON"):
        journal.put_state("bad", {"a": object()})
    journal.put_versioned_state("settings", {"a": 1, "b": 2})
    journal.put_versioned_state("settings", {"a": 3})
    assert journal.get_state("settings") == {"a": 3, "b": 2, "schema_version": 1}


def test_only_a_stopped_episode_gives_way_to_a_later_one(journal: Journal) -> None:
    run = journal.start_run({})
    journal.append_episode(run, example_episode(0, "stopped"))
    journal.append_episode(run, example_episode(0, "failed"))
    assert [e.status for e in journal.episodes(run)] == ["failed"]
    with pytest.raises(JournalError, match="already has an episode 0; continue at 1"):
        journal.append_episode(run, example_episode(0, "solved"))
    assert journal.episode(run, 0).status == "failed"


def test_transactions_are_atomic_and_nest(journal: Journal) -> None:
    def fail(key: str) -> None:
        with journal.transaction():
            journal.put_state(key, 1)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail("a")
    assert journal.get_state("a") is None
    with journal.transaction():
        journal.put_state("a", 1)
        with pytest.raises(ZeroDivisionError):
            fail("b")
        journal.put_state("c", 3)
    assert [journal.get_state(k) for k in "abc"] == [1, None, 3]


def test_threads_take_turns(journal: Journal) -> None:
    def count() -> None:
        for _ in range(50):
            with journal.transaction():
                journal.put_state("n", journal.get_state("n", 0) + 1)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert journal.get_state("n") == 200


def _work(journal: Journal) -> None:
    run = journal.start_run({})
    with journal.transaction():
        journal.append_episode(run, example_episode(0))
        journal.put_skill(example_skill("stick"), "solved episode 0")
        journal.put_state("cursor", 1)
    with journal.transaction():
        journal.append_episode(run, example_episode(1))
        journal.set_skill_status("stick", 1, "retired", "broken")
        journal.put_state("cursor", 2)


def _look(journal: Journal) -> tuple[int, int, list[str], int, int]:
    return (
        len(journal.runs()),
        journal.count_episodes(),
        [s.status for s in journal.skills(None)],
        len(journal.transitions("stick")),
        journal.get_state("cursor", 0),
    )


def test_a_crash_at_any_write_leaves_whole_transactions(tmp_path: Path) -> None:
    whole = [
        (0, 0, [], 0, 0),
        (1, 0, [], 0, 0),
        (1, 1, ["active"], 1, 1),
        (1, 2, ["retired"], 2, 2),
    ]
    seen = []
    for n in itertools.count():
        path = tmp_path / f"{n}.sqlite"
        crash = CrashAfter(n)
        try:
            with Journal(path, before_write=crash) as journal:
                _work(journal)
        except Crash:
            finished = False
        else:
            finished = True
        with Journal(path) as journal:
            assert journal.schema_version == SCHEMA_VERSION
            assert journal.check() == []
            seen.append(whole.index(_look(journal)))
        if finished:
            break
    assert seen == sorted(seen)
    assert set(seen) == {0, 1, 2, 3}


KILLED = """
import sys
from habilis.memory.journal import Journal
from habilis.testing.journal import CrashAfter, example_episode
crash = CrashAfter(int(sys.argv[2]), kill=True) if sys.argv[2] != "-" else None
with Journal(sys.argv[1], before_write=crash) as journal:
    run = journal.start_run({})
    for i in range(100_000):
        with journal.transaction():
            journal.append_episode(run, example_episode(i))
            journal.put_state("done", i)
        print(i, flush=True)
"""


@pytest.mark.parametrize("after", ["40", "57", "60", "-"])
def test_kill_9_loses_nothing_that_was_acknowledged(tmp_path: Path, after: str) -> None:
    path = tmp_path / "journal.sqlite"
    child = subprocess.Popen([sys.executable, "-c", KILLED, str(path), after], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    acknowledged = -1
    for line in child.stdout:
        acknowledged = int(line)
        if after == "-" and acknowledged == 60:
            os.kill(child.pid, signal.SIGKILL)
    assert child.wait() in (CrashAfter.EXIT_STATUS, -signal.SIGKILL)
    assert acknowledged >= 0
    with Journal(path) as journal:
        assert journal.check() == []
        indices = [e.index for e in journal.episodes()]
        assert indices == list(range(len(indices)))
        assert len(indices) >= acknowledged + 1
        assert journal.get_state("done") == indices[-1]


FULL = """
import resource, signal, sys
from habilis.core import JournalError
from habilis.memory.journal import Journal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
with Journal(sys.argv[1]) as journal:
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))
    try:
        for i in range(100_000):
            with journal.transaction():
                journal.put_state("done", i)
                journal.put_document("recipe", str(i), "x" * 5000)
            print(i, flush=True)
    except JournalError as error:
        print("error", error)
"""


def test_a_full_disk_is_an_error_that_keeps_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    done = subprocess.run([sys.executable, "-c", FULL, str(path)], capture_output=True, text=True, check=True)
    *acknowledged, last = done.stdout.splitlines()
    assert last.startswith("error the journal")
    assert "acknowledged" in last
    with Journal(path) as journal:
        assert journal.check() == []
        assert journal.get_state("done") == int(acknowledged[-1])
        assert len(journal.documents("recipe")) == len(acknowledged)


def test_a_reader_sees_what_the_writer_committed(journal: Journal, tmp_path: Path) -> None:
    journal.put_state("a", 1)
    with Journal(tmp_path / "journal.sqlite", read_only=True) as reader, journal.transaction():
        journal.put_state("a", 2)
        assert reader.get_state("a") == 1
    with pytest.raises(NotFoundError, match="no journal"):
        Journal(tmp_path / "none.sqlite", read_only=True)


def test_migrations_run_in_order_once_and_whole(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    with Journal(path) as journal:
        journal.put_state("kept", 1)
    more = (*MIGRATIONS, ("CREATE TABLE extra (a)", "INSERT INTO extra VALUES (1)"))
    points = CrashAfter(3)  # the table, its row, the version: the crash comes at the commit
    with pytest.raises(Crash, match="COMMIT"):
        Database(path, migrations=more, before_write=points)
    with Journal(path) as journal:
        assert journal.schema_version == SCHEMA_VERSION
    for _ in range(2):
        with Database(path, migrations=more) as newer:
            assert newer.schema_version == SCHEMA_VERSION + 1
            assert newer._rows("SELECT a FROM extra") == [(1,)]
            assert newer._one("SELECT data FROM state WHERE key = 'kept'") == (json.dumps(1),)
    with pytest.raises(SchemaError, match="untouched"):
        Journal(path)


def test_an_old_journal_cannot_be_read_without_migrating(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    Database(path, migrations=()).close()
    with Database(path, migrations=MIGRATIONS[:0]) as db:
        db._write("PRAGMA user_version = 0")
        db._write("CREATE TABLE before_the_first_version (a)")
    with pytest.raises(SchemaError, match=r"open it once for writing"):
        Journal(path, read_only=True)


def test_a_skill_that_an_older_version_wrote_is_the_same_skill(journal: Journal) -> None:
    skill = example_skill("stick")
    journal.put_skill(skill, "found")
    (text,) = journal._one("SELECT data FROM skills")
    old = json.loads(text)
    del old["program"]["writer"], old["cases"], old["due"]  # fields that came later
    journal._write("UPDATE skills SET data = ?", (json.dumps(old),))
    journal.rewrite_skill(replace(journal.skill("stick"), due="to be verified"))
    assert journal.skill("stick").due == "to be verified"
    with pytest.raises(DuplicateNameError, match="another program"):
        journal.put_skill(example_skill("stick", source="def stick(n=1): pass"), "another")
