"""The local model's hunches: tried first where search is blind, never trusted, and asked for only while that pays."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.agent.conftest import Life, household

from habilis.agent.local.hunches import Hunches, HunchSettings, asked, read_plan
from habilis.agent.planning.blind import BlindSearch
from habilis.agent.writers.search import SearchWriter
from habilis.core import Context, Cost, Episode, Goal, Json, Ledger, Task
from habilis.memory import Home
from habilis.memory.contracts import ContractBook
from habilis.worlds.runner import ConfinedRunner

GOAL = 'at("apple", "table")'
RIGHT = 'open("fridge"); take("apple", "fridge"); put("apple", "table")'
SPEC = household(without=["reasons"]).spec
KNOWN = {"apple", "cup", "fridge", "table"}


class Scripted:
    """A mind that always writes this line."""

    name = "scripted"

    def __init__(self, line: str) -> None:
        self.line = line
        self.asked: list[str] = []

    def complete(self, prompts: Sequence[str], *, max_tokens: int = 48) -> list[str]:
        self.asked += prompts
        return [self.line] * len(prompts)

    def rank(self, prompt: str, options: Sequence[str]) -> list[float]:
        return [0.0] * len(options)


def searched(hunches: Hunches, runner: ConfinedRunner, goal: str = GOAL) -> tuple[str, int]:
    world = household(without=["reasons"])
    book, ledger = ContractBook(world.spec), Ledger()
    context = Context(world.spec, world.observe(), simulator=world, affordances=tuple(world.affordances()))
    task = Task(Goal.parse(goal), world.spec.name, 1, "")
    draft = BlindSearch(book, runner, max_steps=3_000, guesser=hunches).draft(task, context, ledger)
    hunches.credit(ended(task, ledger.spent.search_steps))
    return ("" if draft is None else draft.program.source), ledger.spent.search_steps


def ended(task: Task, search_steps: int) -> Episode:
    return Episode(0, task, "solved", "", cost=Cost(search_steps=search_steps))


def test_a_hunch_that_comes_true_saves_the_search(runner: ConfinedRunner) -> None:
    told: list[Mapping[str, Json]] = []
    mind = Scripted(RIGHT)
    with_it, few = searched(Hunches(lambda: mind, SPEC, tell=told.append), runner)
    without, many = searched(Hunches(lambda: None, SPEC), runner)
    assert with_it == without  # cut to what is needed, as any plan is
    assert few < many / 3
    assert mind.asked == [asked(Goal.parse(GOAL), household().observe(), SPEC)]
    assert [(t["goal"], t["plan"], t["came_true"]) for t in told] == [(GOAL, RIGHT, True)]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("", "no plan"),
        ("I would open the fridge first.", "no plan"),
        ('fly("apple")', "no action 'fly'"),
        ('take("apple")', "take takes (a0, a1)"),
        ('open("fridge"); take("apple", "cellar")', "nobody knows 'cellar'"),
        ('open("fridge"); take("apple", "fridge")', ""),
    ],
)
def test_a_wrong_hunch_costs_no_more_than_its_steps(runner: ConfinedRunner, line: str, why: str) -> None:
    told: list[Mapping[str, Json]] = []
    source, steps = searched(Hunches(lambda: Scripted(line), SPEC, tell=told.append), runner)
    plain, without = searched(Hunches(lambda: None, SPEC), runner)
    assert source == plain
    assert without <= steps <= without + 2
    assert told[0]["came_true"] is False
    assert why in str(told[0]["why"])


@given(st.text(max_size=60) | st.lists(st.sampled_from([*RIGHT, *'x9 then; ("'])).map("".join))
def test_whatever_a_model_writes_is_a_plan_of_this_world_or_none(line: str) -> None:
    plan, why = read_plan(line, SPEC, KNOWN)
    assert (plan is None) == bool(why)
    for action in plan or ():
        assert SPEC.primitive(action.name) is not None
        assert set(action.args) <= KNOWN


def test_a_model_whose_lines_do_not_come_true_is_left_alone(tmp_path: Path, runner: ConfinedRunner) -> None:
    mind = Scripted('open("fridge")')
    with Home.open(tmp_path) as home:

        def one_more() -> int:
            hunches = Hunches(lambda: mind, SPEC, settings=HunchSettings(line_steps=20), store=home.journal)
            searched(hunches, runner)
            return len(mind.asked)

        counts = [one_more() for _ in range(40)]
    assert counts[:3] == [1, 2, 3]
    assert counts[-1] == counts[-10] < 30
    better = Scripted(RIGHT)
    better.name = "distilled anew"  # whose record is its own
    searched(Hunches(lambda: better, SPEC, settings=HunchSettings(line_steps=20)), runner)
    assert len(better.asked) == 1


def test_a_task_in_which_an_earlier_hunch_came_true_is_none_without(tmp_path: Path) -> None:
    with Home.open(tmp_path) as home:
        hunches = Hunches(lambda: Scripted(RIGHT), SPEC, store=home.journal)
        for came_true in (True, False):
            plan = hunches.plan(Goal.parse(GOAL), household().observe(), KNOWN)
            assert plan is not None
            hunches.tried(plan, came_true)
        hunches.credit(ended(Task(Goal.parse(GOAL), SPEC.name, 1, ""), 5_000))
        record = home.journal.get_state("hunches:scripted")
    assert (record["asked"], record["came_true"], record["tasks"], record["steps"]) == (2, 1, 0, 0)


def test_where_contracts_are_known_the_model_is_left_alone(tmp_path: Path, runner: ConfinedRunner) -> None:
    mind = Scripted(RIGHT)
    for world, times in ((household(), 0), (household(without=["reasons"]), 1)):
        hunches = Hunches(lambda: mind, world.spec)
        mind.asked.clear()

        def writer(book: ContractBook, guesser: Hunches = hunches) -> SearchWriter:
            return SearchWriter(book, runner, guesser=guesser)

        with Life(tmp_path / str(times), world, runner, writer=writer) as life:
            for seed in (3, 4):  # the second time it is known how
                task = Task(Goal.parse(GOAL), "household", seed, "apple on the table", origin="user")
                assert asyncio.run(life.loop.work(task)).solved
            assert len(mind.asked) == times
