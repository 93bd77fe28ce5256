"""The local model's order of what to try: asked only while tasks are seen to get cheaper by it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from tests.agent.conftest import household

from habilis.agent.local.ordering import Ordering, OrderingSettings
from habilis.agent.planning.blind import BlindSearch
from habilis.core import Action, Context, Cost, Episode, Goal, Ledger, Task
from habilis.memory import Home
from habilis.memory.contracts import ContractBook
from habilis.worlds.runner import ConfinedRunner

SPEC = household(without=["reasons"]).spec
GOAL = Goal.parse('at("apple", "table")')
TASK = Task(GOAL, SPEC.name, 1, "")
ACTIONS = [Action("open", (f"box_{i}",)) for i in range(60)]


class Reader:
    """A mind that likes what comes last."""

    name = "reader"

    def __init__(self) -> None:
        self.read = 0

    def complete(self, prompts: Sequence[str], *, max_tokens: int = 48) -> list[str]:
        return ["" for _ in prompts]

    def rank(self, prompt: str, options: Sequence[str]) -> list[float]:
        self.read += len(options)
        return [float(i) for i in range(len(options))]


def worked(ordering: Ordering, with_it: int, without: int) -> bool:
    """One task of this many search steps each way; whether the model was asked in it."""
    prior = ordering.prior()
    if prior is not None:
        prior(GOAL, household().observe(), ACTIONS)
    steps = without if prior is None else with_it
    ordering.credit(Episode(0, TASK, "solved", "", cost=Cost(search_steps=steps)))
    return prior is not None


def test_only_the_first_of_many_are_read_and_nothing_is_lost() -> None:
    mind = Reader()
    prior = Ordering(lambda: mind, SPEC).prior()
    assert prior is not None
    assert prior(GOAL, household().observe(), ACTIONS) == [*reversed(ACTIONS[:48]), *ACTIONS[48:]]
    assert mind.read == 48
    assert Ordering(lambda: None, SPEC).prior() is None


def test_both_ways_are_tried_by_turns_and_then_the_cheaper_one() -> None:
    good, bad = Ordering(Reader, SPEC), Ordering(Reader, SPEC)
    first = [worked(good, 1_000, 9_000) for _ in range(6)]
    assert first == [worked(bad, 9_000, 8_000) for _ in range(6)] == [True, False] * 3
    later = [(worked(good, 1_000, 9_000), worked(bad, 9_000, 8_000)) for _ in range(26)]
    assert sum(a for a, _ in later) == 24  # two were for looking again
    assert sum(b for _, b in later) == 2


def test_what_reading_takes_is_counted() -> None:
    ordering = Ordering(Reader, SPEC, settings=OrderingSettings(action_steps=100))
    assert not any([worked(ordering, 1_000, 5_000) for _ in range(12)][6:])  # 4,800 for reading is more than it saves


def test_the_record_outlives_the_agent_and_is_one_models_own(tmp_path: Path) -> None:
    with Home.open(tmp_path) as home:
        _outlives(home)


def _outlives(home: Home) -> None:
    for _ in range(3):  # each time another agent
        first = Ordering(Reader, SPEC, store=home.journal)
        assert worked(first, 10, 9_000)
        assert not worked(Ordering(Reader, SPEC, store=home.journal), 10, 9_000)
    known = Ordering(Reader, SPEC, store=home.journal)
    assert [worked(known, 10, 9_000) for _ in range(3)] == [True] * 3
    other = Reader()
    other.name = "other"
    fresh = Ordering(lambda: other, SPEC, store=home.journal)
    assert [worked(fresh, 10, 9_000) for _ in range(2)] == [True, False]


def test_a_task_in_which_nothing_was_put_in_order_does_not_count() -> None:
    ordering = Ordering(Reader, SPEC)
    for _ in range(9):
        ordering.credit(Episode(0, TASK, "solved", "", cost=Cost(search_steps=5)))
    assert [worked(ordering, 1, 1) for _ in range(4)] == [True, False] * 2


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)), max_size=40))
def test_no_way_is_given_up_for_good(costs: list[tuple[int, int]]) -> None:
    ordering = Ordering(Reader, SPEC)
    asked = [worked(ordering, a, b) for a, b in [*costs, *[(5, 5)] * 40]]
    assert len(set(asked[-20:])) == 2


def test_blind_search_tries_first_what_the_model_puts_first(runner: ConfinedRunner) -> None:
    def searched(ordering: Ordering) -> int:
        world = household(without=["reasons"])
        ledger = Ledger()
        context = Context(world.spec, world.observe(), simulator=world, affordances=tuple(world.affordances()))
        search = BlindSearch(ContractBook(world.spec), runner, max_steps=3_000, prior=ordering.prior())
        assert search.draft(TASK, context, ledger) is not None
        return ledger.spent.search_steps

    mind = Reader()
    assert searched(Ordering(lambda: mind, SPEC)) != searched(Ordering(lambda: None, SPEC))
    assert 0 < mind.read <= 48
