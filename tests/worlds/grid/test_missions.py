"""The baby language is read by rules: whatever can be said in it means one goal, and what cannot is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from habilis.agent.words import goal_to_words, words_to_goal
from habilis.core import Goal, Ledger
from habilis.testing.chat import ScriptedChatModel
from habilis.worlds.grid import GridWorld, read_mission
from habilis.worlds.grid.missions import goal_of, read_turns, said
from habilis.worlds.grid.things import ALIKE, ANYTHING, COLOURS, KINDS, LOCKED, PLACES, all_words, described, named

COLOUR = st.sampled_from(("", *COLOURS))
PLACE = st.sampled_from(("", *PLACES))


def thing(*kinds: str) -> st.SearchStrategy[str]:
    return st.builds(named, st.sampled_from(kinds), COLOUR, PLACE)


ANY = thing(*KINDS, "")
LOOSE = thing("ball", "key", "box", "")
DOOR = thing("door")
PARTS = st.one_of(
    st.tuples(st.just("went_to"), ANY),
    st.tuples(st.just("took"), LOOSE),
    st.tuples(st.just("opened"), DOOR),
    st.tuples(st.just("put_next"), LOOSE, ANY),
)
WORDS = ("go", "to", "the", "red", "ball", "pick", "up", "and", ",", "then", "after", "you", "put", "next", "key")
TURNS = st.lists(st.lists(PARTS, min_size=1, max_size=2), min_size=1, max_size=2)


def _goal(turns: list[list[tuple[str, ...]]]) -> Goal:
    atoms = [
        f"{verb}({', '.join(repr(word) for word in words)}, {number})"
        for number, turn in enumerate(turns, 1)
        for verb, *words in turn
    ]
    return Goal.parse(" and ".join(dict.fromkeys(atoms)))


@given(TURNS)
def test_what_is_said_is_read_back(turns: list[list[tuple[str, ...]]]) -> None:
    goal = _goal(turns)
    first = read_mission(" ".join(str(a) for a in goal.atoms))
    assert first is None  # a goal is no mission
    parts = tuple(tuple(a.fact for a in goal.atoms if a.fact.args[-1] == n) for n in (1, 2))
    text = said([turn for turn in parts if turn])
    assert read_mission(text) == goal
    assert read_turns(text) == tuple(turn for turn in parts if turn)


@given(TURNS.filter(lambda turns: len(turns) == 2))
def test_after_you_turns_the_order_round(turns: list[list[tuple[str, ...]]]) -> None:
    goal = _goal(turns)
    parts = [tuple(a.fact for a in goal.atoms if a.fact.args[-1] == n) for n in (1, 2)]
    first, second = said([parts[0]]), said([parts[1]])
    assert read_mission(f"{second} after you {first}") == read_mission(f"{first}, then {second}") == goal


@settings(max_examples=200)
@given(st.text(max_size=60) | st.lists(st.sampled_from(WORDS)).map(" ".join))
def test_anything_else_is_refused_or_read(text: str) -> None:
    turns = read_turns(text)
    if turns is not None:
        assert read_turns(said(turns)) == turns
        assert goal_of(turns).atoms


@pytest.mark.parametrize(
    ("text", "goal"),
    [
        ("go to the red ball", 'went_to("red ball", 1)'),
        ("Go to a door  behind you", 'went_to("door behind", 1)'),
        ("pick up an object on your left", 'took("object left", 1)'),
        ("put the grey key next to a box in front of you", 'put_next("grey key", "box front", 1)'),
        (
            "open a red door and pick up a ball after you go to the key",
            'went_to("key", 1) and opened("red door", 2) and took("ball", 2)',
        ),
        ("go to the door, then open the door", 'went_to("door", 1) and opened("door", 2)'),
    ],
)
def test_missions_of_the_levels(text: str, goal: str) -> None:
    assert read_mission(text) == Goal.parse(goal)


@pytest.mark.parametrize("text", ["", "go", "go to red ball", "pick up the sofa", "go to the pink ball", "dance"])
def test_no_mission(text: str) -> None:
    assert read_mission(text) is None


def test_every_word_is_understood_and_told_apart() -> None:
    words = all_words()
    assert len(set(words)) == len(words) == 7 * 5 * 5 + 2
    assert {described(word) for word in words}.isdisjoint({None})
    assert {LOCKED, ALIKE, ANYTHING, "red ball left"} <= set(words)
    assert described("ball red") is None


def test_a_user_s_words_and_a_chat_model_s_reach_the_same_goal() -> None:
    world = GridWorld(level="GoToLocal")
    snapshot, names = world.observe(), world.names()
    goal = Goal.parse('took("red ball", 1)')
    assert world.understand("pick up the red ball") == goal
    assert words_to_goal(goal_to_words(goal, world.spec), world.spec, snapshot, known=names) == goal
    chat = ScriptedChatModel(['took("red ball", 1)'])
    asked = "I would be glad to see the ball, the red one, in your hands"
    assert words_to_goal(asked, world.spec, snapshot, known=names, chat=chat, ledger=Ledger()) == goal


def test_the_page_names_what_there_is() -> None:
    page = (Path(__file__).parents[3] / "docs" / "grid.md").read_text("utf-8")
    world = GridWorld()
    for name in [*(p.name for p in world.spec.primitives), *(p.name for p in world.spec.predicates)]:
        assert f"`{name}" in page, name
