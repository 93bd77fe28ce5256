"""An autonomous run paces its budget over its tasks, and goes on pacing where it was stopped."""

from __future__ import annotations

from pathlib import Path

import pytest

from habilis import Agent
from habilis.agent.pacing import RunPace
from habilis.core import Augmentation, Budget, Candidate, Cost, Goal, Kind, Task
from habilis.memory import Home
from habilis.tools import BudgetSelector

TASK = Task(Goal.parse('count("stick") >= 1'), "craft", 0, "any")
BOOK = Candidate(Augmentation(Kind.TOOL, "book", "a book", cost=Cost(usd=0.01)), 0.6, 0.5)


def takes_the_book(pace: RunPace, selector: BudgetSelector, left: float) -> bool:
    pace.begin(Budget(usd=left))
    return bool(selector.pick(TASK, [BOOK], Budget(usd=left)).taken)


def test_what_is_scarce_becomes_dear_and_cheap_again() -> None:
    selector = BudgetSelector()
    pace = RunPace(Budget(usd=0.4), 40, selector)
    assert takes_the_book(pace, selector, 0.4)
    for spent in range(1, 36):  # as much again as there is for a task, each time
        pace.ended(Cost(usd=0.02))
        if not takes_the_book(pace, selector, 0.4 - 0.01 * spent):
            break
    else:
        pytest.fail("the book was worth its price whatever was spent")
    for _ in range(40):
        pace.ended(Cost())
    assert takes_the_book(pace, selector, 0.04)


def test_a_users_own_goal_may_use_all_that_is_left() -> None:
    selector = BudgetSelector()
    pace = RunPace(Budget(usd=0.01), 1_000, selector)
    assert not takes_the_book(pace, selector, 0.01)  # a thousand tasks are to share a cent
    assert takes_the_book(RunPace.none(selector), selector, 0.01)


@pytest.mark.parametrize("budget", ["usd=1,search_steps=1000000", None])
def test_pacing_goes_on_where_a_run_was_stopped(tmp_path: Path, budget: str | None) -> None:
    def run(home: str, *counts: int) -> object:
        for tasks in counts:
            with Agent("craft", home=tmp_path / home, budget=budget) as agent:
                agent.run_now(tasks)
        with Home.open(tmp_path / home) as opened:
            return opened.journal.get_state("run:1")["pace"]

    whole = run("whole", 6)
    assert isinstance(whole, dict)
    assert whole["done"] == 6
    with Agent("craft", home=tmp_path / "cut", budget=budget) as agent:
        events = agent.events
        events.subscribe(lambda event: agent.stop() if event.kind == "task_ended" and event.iteration == 2 else None)
        agent.run_now(6)
    assert run("cut", 6) == whole
