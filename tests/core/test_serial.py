"""Every record of the core becomes JSON and comes back as it was."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from habilis.core import (
    Action,
    Atom,
    Attempt,
    Budget,
    Change,
    Condition,
    Contract,
    Cost,
    Effect,
    Episode,
    Evidence,
    EvidenceLevel,
    Fact,
    Goal,
    Image,
    Outcome,
    Parameter,
    Picture,
    Program,
    ProgramError,
    Skill,
    Snapshot,
    Step,
    Task,
    ToolCall,
    Trajectory,
    Trial,
    dump,
    load,
)

SEEN = Image("ab" * 32, "image/gif")
STICK = Fact("count", ("stick",))
PROGRAM = Program(
    "make_stick",
    'def make_stick(n: int = 4) -> None:\n    while world.count("stick") < n:\n        world.craft("stick")\n',
    (Parameter("n", "int", 4, False, "how many"),),
    ("make_planks",),
    "search",
)
TRAJECTORY = Trajectory(
    steps=(
        Step(
            Action("craft", ("stick",)),
            Outcome(True, (Change(STICK, 0, 4), Change(Fact("near", ("table",)), False, True)), (), "made", [1, "two"]),
        ),
        Step(Action("look", (3, -4)), Outcome(False, unmet=(Atom.parse('count("#planks") >= 2'),))),
    ),
    tape=(
        ToolCall("weather", {"city": "Graz", "days": 2}, {"rain": 0.5}),
        ToolCall("price", {}, error="no such thing"),
    ),
    printed="hello",
    returned={"made": 4},
    error=ProgramError("ActionFailed", "craft failed", 3, "world.craft('stick')", "make_stick"),
    before=Snapshot({STICK: 0}, {"#planks": frozenset({"oak_planks", "birch_planks"})}, "a wood", (SEEN,)),
    after=Snapshot({STICK: 4, Fact("near", ("table",)): True, Fact("heat", ()): 0.5}),
    world_steps=2,
    pictures=(Picture(1, SEEN),),
    seconds=0.25,
    tier=1,
)
TASK = Task(Goal.of('count("stick") >= 4', 'near("table")'), "craft", 7, "get four sticks")
SKILL = Skill(
    "make_stick",
    2,
    PROGRAM,
    "Makes sticks.",
    'count("stick") >= {n}',
    "craft",
    "f00d",
    Evidence(EvidenceLevel.VERIFIED, (Trial(3, {"n": 4}, True, 12), Trial(4, {"n": 9}, False, 40, "too slow")), 1, 1),
    needs=('near("table")',),
    sources=("oak_log",),
    meta={"seen": [1, None, True]},
)
EPISODE = Episode(
    4,
    TASK,
    "solved",
    (Attempt(PROGRAM, TRAJECTORY, True, "fine", {"n": 4}),),
    Cost(usd=0.01, tokens=12, world_steps=2),
    "make_stick",
    writer="search",
    picked=("skill:make_planks",),
)
CONTRACT = Contract(
    Action("craft", ("stick",)),
    "f00d",
    (Condition(Atom.parse('count("#planks") >= 2'), 2.0, True, 5),),
    (Effect(STICK, 4.0, seen=5), Effect(Fact("lit", ()), value=True, seen=2)),
    5,
    1,
    context=((Atom.parse("depth() <= 12"), 3),),
)


@pytest.mark.parametrize(
    "record",
    [PROGRAM, TRAJECTORY, TASK, SKILL, EPISODE, CONTRACT, Cost(usd=0.5, calls=2), Budget(usd=None, tokens=9)],
    ids=lambda r: type(r).__name__,
)
def test_a_record_comes_back_as_it_was(record: object) -> None:
    text = json.dumps(dump(record), allow_nan=False)
    assert load(type(record), json.loads(text)) == record


def test_the_values_keep_their_types() -> None:
    again = load(Trajectory, json.loads(json.dumps(dump(TRAJECTORY))))
    assert [type(v) for v in again.after.facts.values()] == [int, bool, float]
    assert type(again.steps[0].outcome.changes[1].after) is bool
    assert again.before.tags["#planks"] == frozenset({"birch_planks", "oak_planks"})


def test_goals_facts_and_actions_are_written_as_the_text_that_people_read() -> None:
    data = dump(EPISODE)
    assert data["task"]["goal"] == 'count("stick") >= 4 and near("table")'
    assert data["attempts"][0]["trajectory"]["steps"][0]["action"] == 'craft("stick")'
    assert data["attempts"][0]["trajectory"]["before"]["facts"] == {'count("stick")': 0}


def test_unknown_keys_are_ignored_and_bad_data_is_a_value_error() -> None:
    assert load(Cost, {"usd": 1.5, "invented_later": 3}) == Cost(usd=1.5)
    old = dump(CONTRACT)
    old["conditions"][0]["refuted"] = 0  # an early build wrote it
    assert load(Contract, old) == CONTRACT
    with pytest.raises(ValueError):
        load(Task, {"goal": "four sticks please", "world": "craft", "seed": 1, "text": ""})
    with pytest.raises(ValueError):
        load(Skill, {"name": "x"})


@given(
    st.dictionaries(
        st.builds(
            Fact,
            st.sampled_from(["count", "near", "at"]),
            st.lists(st.one_of(st.text(max_size=8), st.integers(-9, 9)), max_size=2).map(tuple),
        ).filter(lambda f: "\0" not in str(f)),
        st.one_of(st.booleans(), st.integers(-(2**50), 2**50), st.floats(allow_nan=False, allow_infinity=False)),
        max_size=8,
    ),
    st.text(max_size=30),
)
def test_any_snapshot_comes_back(facts: dict[Fact, bool | int | float], text: str) -> None:
    snapshot = Snapshot(facts=facts, text=text)
    again = load(Snapshot, json.loads(json.dumps(dump(snapshot))))
    assert again == snapshot
    assert [type(v) for v in again.facts.values()] == [type(v) for v in facts.values()]
