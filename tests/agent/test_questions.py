"""Questions in one line: how they are put, what the contracts say, and what is said of an answer without meaning."""

from __future__ import annotations

import pytest

from habilis.agent.local.questions import KINDS, question
from habilis.core import InputError, NotFoundError
from habilis.memory.contracts import ContractBook
from habilis.memory.wordings import worded
from habilis.worlds.craft import CraftWorld
from habilis.worlds.household import HouseholdWorld

SPEC = HouseholdWorld().spec
BOOK = ContractBook(SPEC)


def test_what_was_seen_of_somebody_is_asked_as_the_model_was_taught() -> None:
    told = {"who": "anna", "seen": 'open("fridge_1"); grab("milk_1")'}
    for kind in ("person", "help"):
        put = question(kind, 'anna: open("fridge_1") ; grab("milk_1");', BOOK, SPEC)
        assert put.prompt == worded(kind, told)
        assert put.known == ""
        assert put.doubt("drink something", SPEC) == ""
        assert put.doubt("  ", SPEC) == "nothing was said"


def test_what_actions_were_for_is_a_goal_of_this_world() -> None:
    put = question("activity", 'walk("kitchen_1"); open("a;b")', BOOK, SPEC)
    assert put.prompt == worded("activity", {"done": 'walk("kitchen_1"); open("a;b")'})
    assert put.doubt('inside("milk_1", "fridge_1")', SPEC) == ""
    assert "there is no predicate 'owns'" in put.doubt('owns("anna", "milk_1")', SPEC)
    assert put.doubt("1. ", SPEC) != ""


def test_an_answer_that_is_no_action_of_this_world_is_doubted() -> None:
    put = question("yields", 'inside("milk_1", "fridge_1")', BOOK, SPEC)
    assert put.doubt('put_in("milk_1", "fridge_1")', SPEC) == ""
    assert "there is no action 'fly'" in put.doubt("fly()", SPEC)


@pytest.mark.parametrize(
    ("kind", "about", "said"),
    [
        ("wants", "anna", "activity, help, needs, person, yields"),
        ("person", 'open("fridge_1")', "anna: open"),
        ("person", 'f(x): open("fridge_1")', "anna: open"),
        ("help", "anna:", "with semicolons between them"),
        ("activity", "", "with semicolons between them"),
        ("activity", "fly()", "there is no action 'fly'"),
        ("needs", "", "needs is asked of an action, as in"),
        ("needs", "grab(", "needs is asked of an action, as in"),
        ("needs", 'fly("home")', "there is no action 'fly'"),
        ("yields", "", "yields is asked of a fact, as in"),
        ("yields", 'owns("anna")', "there is no predicate 'owns'"),
        ("yields", "holding()", "holding"),
        ("activity", "x" * 2_001, "1 to 2000 characters"),
    ],
)
def test_a_question_that_cannot_be_put_is_refused(kind: str, about: str, said: str) -> None:
    with pytest.raises((InputError, NotFoundError), match=said):
        question(kind, about, BOOK, SPEC)


def test_needs_and_yields_are_told_by_what_the_world_declares() -> None:
    world = CraftWorld(recipes="declared")
    book = ContractBook(world.spec, world.contracts())
    assert question("needs", 'craft("stick")', book, world.spec).known == 'count("#planks") >= 2'
    assert 'craft("stick")' in question("yields", 'count("stick")', book, world.spec).known
    assert set(KINDS) == {"needs", "yields", "activity", "person", "help"}
