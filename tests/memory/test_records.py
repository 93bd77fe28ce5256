"""Whatever a record holds, the journal gives back; what it does not know, it keeps."""

from __future__ import annotations

import dataclasses
import itertools
import json
import keyword
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from habilis.core import (
    Action,
    Atom,
    Attempt,
    Change,
    Condition,
    Contract,
    Cost,
    Effect,
    Episode,
    Event,
    Evidence,
    EvidenceLevel,
    Fact,
    Goal,
    Outcome,
    Parameter,
    Program,
    ProgramError,
    Skill,
    Snapshot,
    Step,
    Task,
    ToolCall,
    Trajectory,
    Trial,
    judged,
)
from habilis.memory.journal import Journal, ModelRecord
from habilis.testing.journal import example_skill

names = st.from_regex(r"[a-z][a-z_]{0,6}", fullmatch=True).filter(lambda n: not keyword.iskeyword(n))
texts = st.text(max_size=12)
values = st.one_of(st.booleans(), st.integers(-(2**40), 2**40), st.floats(allow_nan=False, allow_infinity=False))
json_values = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-(2**60), 2**60), st.floats(allow_nan=False, allow_infinity=False), texts
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=6,
)
json_dicts = st.dictionaries(texts, json_values, max_size=3)
clean = st.text(st.characters(exclude_categories=("C", "Zl", "Zp")), max_size=8)
facts = st.builds(Fact, names, st.lists(st.one_of(clean, st.integers(-99, 99)), max_size=2).map(tuple))
atoms = st.builds(Atom, facts, st.sampled_from([">=", "<=", "==", "!=", ">", "<"]), values)
goals = st.one_of(st.lists(atoms, min_size=1, max_size=3).map(lambda a: Goal(tuple(a))), clean.map(judged))
actions = st.builds(Action, names, st.lists(st.one_of(clean, st.integers(-99, 99)), max_size=2).map(tuple))
counts = st.integers(0, 2**31)
amounts = st.floats(0, 1e9)
costs = st.builds(Cost, amounts, counts, amounts, counts, counts, counts)
outcomes = st.builds(
    Outcome,
    st.booleans(),
    st.lists(st.builds(Change, facts, values, values), max_size=2).map(tuple),
    st.one_of(st.none(), st.lists(atoms, max_size=2).map(tuple)),
    texts,
    json_values,
    counts,
)
snapshots = st.builds(Snapshot, st.dictionaries(facts, values, max_size=3), st.just({}), texts)
errors = st.builds(ProgramError, names, texts, st.one_of(st.none(), counts), texts)
trajectories = st.builds(
    Trajectory,
    st.lists(st.builds(Step, actions, outcomes), max_size=3).map(tuple),
    st.lists(st.builds(ToolCall, names, json_dicts, json_values), max_size=2).map(tuple),
    texts,
    json_values,
    st.one_of(st.none(), errors),
    snapshots,
    snapshots,
    counts,
    amounts,
)
parameters = st.builds(Parameter, names, st.sampled_from(["str", "int"]), json_values, st.booleans(), texts)
programs = st.builds(
    Program, names, texts, st.lists(parameters, max_size=2).map(tuple), st.lists(names, max_size=2).map(tuple)
)
tasks = st.builds(Task, goals, names, st.integers(0, 2**62), texts)
attempts = st.builds(Attempt, programs, trajectories, st.booleans(), texts, json_dicts)
episodes = st.builds(
    Episode,
    st.integers(0, 10**6),
    tasks,
    st.sampled_from(["solved", "failed", "stopped"]),
    st.lists(attempts, max_size=2).map(tuple),
    costs,
    st.one_of(st.none(), names),
    texts,
)
trials = st.builds(Trial, st.integers(0, 2**62), json_dicts, st.booleans(), counts, texts)
evidences = st.builds(
    Evidence, st.sampled_from(list(EvidenceLevel)), st.lists(trials, max_size=2).map(tuple), counts, counts
)
skills = st.builds(
    Skill,
    names,
    st.integers(1, 99),
    programs,
    texts,
    texts,
    names,
    names,
    evidences,
    st.lists(texts, max_size=2).map(tuple),
    amounts,
    meta=json_dicts,
)
contracts = st.builds(
    Contract,
    actions,
    names,
    st.lists(st.builds(Condition, atoms, amounts, st.booleans(), counts), max_size=2).map(tuple),
    st.lists(st.builds(Effect, facts, amounts, st.one_of(st.none(), values), counts), max_size=2).map(tuple),
    counts,
    counts,
    context=st.lists(st.tuples(atoms, counts), max_size=2).map(tuple),
)
events = st.builds(Event, names, json_dicts, st.one_of(st.none(), counts))


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal(tmp_path / "journal.sqlite", clock=lambda: 5.0) as opened:
        yield opened


_numbers = itertools.count()
# One journal serves all examples of a test; each example writes under keys of its own.
many = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


@many
@given(episodes)
def test_episodes_round_trip(journal: Journal, episode: Episode) -> None:
    run = journal.start_run({})
    journal.append_episode(run, episode)
    assert journal.episode(run, episode.index) == episode
    assert list(journal.episodes(run)) == [episode]
    (light,) = journal.episodes(run, with_trajectories=False)
    assert [a.program for a in light.attempts] == [a.program for a in episode.attempts]
    assert all(a.trajectory == Trajectory() for a in light.attempts)


@many
@given(skills)
def test_skills_round_trip(journal: Journal, skill: Skill) -> None:
    version = len(journal.skills(None, skill.name)) + 1
    skill = dataclasses.replace(skill, version=version)
    journal.put_skill(skill, "found")
    assert journal.skill(skill.name, version) == skill


@many
@given(st.lists(contracts, max_size=4, unique_by=lambda c: c.action), names)
def test_contracts_round_trip(journal: Journal, several: list[Contract], world: str) -> None:
    world = f"{world} {next(_numbers)}"
    several = [dataclasses.replace(c, fingerprint=world) for c in several]
    journal.put_contracts(several)
    assert journal.contracts(world) == sorted(several, key=lambda c: str(c.action))


@many
@given(events, json_values, costs)
def test_events_state_and_costs_round_trip(journal: Journal, event: Event, data: object, cost: Cost) -> None:
    run = journal.start_run(data)
    journal.append_event(run, event)
    assert journal.events(run) == [event]
    assert journal.run(run).config == data
    journal.put_state("key", data)
    assert journal.get_state("key") == data
    journal.update_run(run, spent=cost)
    assert journal.run(run).spent == cost
    journal.record_use(run, "skill:a", "get a stick", True, cost)
    assert journal.uses("skill:a")[-1].cost == cost


def test_whatever_a_program_returns_can_be_stored(journal: Journal) -> None:
    program = Program("a", "def a(): ...")
    run = journal.start_run({})
    odd = "half a \ud83d pair"
    trajectory = Trajectory(printed=odd, returned={odd: [odd, "whole \U0001f600"]}, world_steps=3)
    task = Task(judged("be glad"), "w", 0, odd)
    journal.append_episode(run, Episode(0, task, "failed", (Attempt(program, trajectory, False),)))
    (attempt,) = journal.episode(run, 0).attempts
    assert attempt.trajectory.returned == {"half a \ufffd pair": ["half a \ufffd pair", "whole \U0001f600"]}
    assert attempt.trajectory.world_steps == 3
    journal.append_episode(run, Episode(1, task, "failed", (Attempt(program, Trajectory(returned=1e999), False),)))
    assert journal.count_episodes(run) == 2


def test_keys_of_a_newer_version_survive_a_rewrite(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    contract = Contract(Action("craft", ("stick",)), "f1", (Condition(Atom.parse('near("table")')),))
    with Journal(path) as journal:
        run = journal.start_run({"seed": 1})
        journal.put_skill(example_skill("stick"), "found")
        journal.put_contracts([contract])
        journal.put_model(ModelRecord("m1", "base", "models/m1"))

    def change(table: str, *keys: str | int) -> None:
        with sqlite3.connect(path) as db:
            data = json.loads(db.execute(f"SELECT data FROM {table}").fetchone()[0])
            inner = data
            for key in keys:
                inner = inner[key]
            inner["from_the_future"] = {"deep": [1, 2]}
            db.execute(f"UPDATE {table} SET data = ?", (json.dumps(data),))
        db.close()

    places: list[tuple[str, tuple[str | int, ...]]] = [
        ("runs", ()),
        ("runs", ("spent",)),
        ("skills", ()),
        ("skills", ("evidence",)),
        ("skills", ("evidence", "trials", 0)),
        ("skills", ("program", "parameters", 0)),
        ("contracts", ("conditions", 0)),
        ("models", ()),
    ]
    for table, keys in places:
        change(table, *keys)
    with Journal(path) as journal:
        journal.update_run(run, status="finished", spent=Cost(tokens=3))
        journal.set_skill_status("stick", 1, "retired", "broken")
        journal.add_evidence("stick", 1, Trial(2, {}, False))
        journal.put_contracts([dataclasses.replace(contract, successes=4)])
        journal.put_model(ModelRecord("m1", "base", "models/m1", adopted=True, reasons=("better",)))
        assert journal.run(run).spent == Cost(tokens=3)
        assert journal.skill("stick").evidence.failures == 1
        assert journal.contracts("f1")[0].successes == 4
    with sqlite3.connect(path) as db:
        for table, keys in places:
            inner = json.loads(db.execute(f"SELECT data FROM {table}").fetchone()[0])
            for key in keys:
                inner = inner[key]
            assert inner["from_the_future"] == {"deep": [1, 2]}, (table, keys)
    db.close()
