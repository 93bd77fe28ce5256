"""Worlds that give no reasons: a plan is found blindly, cut to what is needed, and explained."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from tests.agent.conftest import Life, RuleWorld, household

from habilis.agent.planning.blind import BlindSearch
from habilis.core import Action, Budget, BudgetExceeded, Context, Goal, Ledger, Outcome, Task
from habilis.memory.contracts import ContractBook
from habilis.testing.journal import example_skill
from habilis.worlds.runner import ConfinedRunner


def searched(
    world: RuleWorld,
    runner: ConfinedRunner,
    goal: str,
    *,
    steps: int = 3_000,
    seed: int = 1,
    ledger: Ledger | None = None,
) -> tuple[list[str], ContractBook]:
    book = ContractBook(world.spec)
    context = Context(world.spec, world.observe(), simulator=world, affordances=tuple(world.affordances()))
    task = Task(Goal.parse(goal), world.spec.name, seed, "")
    draft = BlindSearch(book, runner, max_steps=steps).draft(task, context, ledger or Ledger())
    lines = draft.program.source.strip().split("\n")[1:] if draft is not None else []
    return [line.strip().removeprefix("world.") for line in lines], book


@pytest.mark.parametrize("seed", range(4))
def test_a_plan_is_found_and_holds_nothing_superfluous(runner: ConfinedRunner, seed: int) -> None:
    world = household(without=["reasons"])
    before = dict(world.facts)
    plan, _ = searched(world, runner, 'at("apple", "table")', seed=seed)
    assert plan == ['open("fridge")', 'take("apple", "fridge")', 'put("apple", "table")']
    assert world.facts == before  # it was all imagined


def test_each_step_is_explained_by_what_fails_without_it(runner: ConfinedRunner) -> None:
    _, book = searched(household(without=["reasons"]), runner, 'at("apple", "table")')
    take = {str(c.atom) for c in book.contract(Action.parse('take("apple", "fridge")')).conditions}
    put = {str(c.atom) for c in book.contract(Action.parse('put("apple", "table")')).conditions}
    assert 'is_open("fridge")' in take
    assert 'holding("apple")' in put
    assert 'is_open("fridge")' not in put


def test_what_cannot_be_reached_is_given_up(runner: ConfinedRunner) -> None:
    world = household(without=["reasons"])
    assert searched(world, runner, 'at("apple", "roof")')[0] == []
    assert searched(world, runner, 'at("apple", "table")', steps=3)[0] == []


def test_the_ledger_is_obeyed_and_charged(runner: ConfinedRunner) -> None:
    world = household(without=["reasons"])
    ledger = Ledger(Budget(search_steps=10))
    with pytest.raises(BudgetExceeded):
        searched(world, runner, 'at("apple", "table")', ledger=ledger)
    assert ledger.spent.search_steps <= 10
    ledger = Ledger(Budget(search_steps=3_000))
    searched(world, runner, 'at("apple", "table")', ledger=ledger)
    assert 10 < ledger.spent.search_steps < 3_000


class Counted(RuleWorld):
    """Counts the steps that are taken in it and its clones; closing the fridge takes up to three."""

    taken = 0

    def act(self, action: Action) -> Outcome:
        outcome = super().act(action)
        if action.name == "close" and outcome.ok:
            outcome = replace(outcome, steps=3)
        Counted.taken += outcome.steps
        return outcome


def counted() -> Counted:
    made = household(without=["reasons"])
    primitives = tuple(replace(p, max_steps=3 if p.name == "close" else 1) for p in made.spec.primitives)
    Counted.taken = 0
    return Counted(made.rules, made.start, replace(made.spec, primitives=primitives), dict(made.facts))


LOOPY = """def loopy():
    while True:
        world.open("fridge")
        world.close("fridge")
"""


@pytest.mark.parametrize("limit", [0, 1, 2, 3, 10, 40])
@pytest.mark.parametrize("skilled", [False, True])
def test_no_step_is_taken_that_is_not_paid_before(runner: ConfinedRunner, limit: int, skilled: bool) -> None:
    world, ledger = counted(), Ledger(Budget(usd=None, search_steps=limit))
    skill = replace(example_skill("loopy", source=LOOPY, goal='at("cup", "fridge")', parameters=()), world="household")
    skills = {"loopy": skill} if skilled else {}
    context = Context(world.spec, world.observe(), skills, simulator=world, affordances=())
    task = Task(Goal.parse('at("apple", "roof")'), "household", 1, "")
    with pytest.raises(BudgetExceeded):
        BlindSearch(ContractBook(world.spec), runner, max_steps=3_000).draft(task, context, ledger)
    assert Counted.taken <= limit
    assert Counted.taken <= ledger.spent.search_steps <= limit
    assert ledger.reserved.search_steps == 0
    assert limit < 10 or Counted.taken > limit // 2


def test_all_that_a_step_takes_is_charged(runner: ConfinedRunner) -> None:
    world, ledger = counted(), Ledger()
    plan, _ = searched(world, runner, 'at("apple", "table")', ledger=ledger)
    assert plan
    assert ledger.spent.search_steps == Counted.taken


def test_what_was_found_blindly_becomes_a_general_skill(tmp_path: Path, runner: ConfinedRunner) -> None:
    world = household(without=["reasons"])
    with Life(tmp_path / "home", world, runner) as life:
        task = Task(Goal.parse('at("apple", "table")'), "household", 3, "apple on the table", origin="user")
        episode = asyncio.run(life.loop.work(task))
        assert (episode.status, episode.skill) == ("solved", "make_at_apple_table")
        skill = life.library.get("make_at_apple_table")
        assert "while not" in skill.program.source  # guarded, not replayed
        for opened in (False, True):
            world.reset(9)
            if opened:
                world.act(Action.parse('open("fridge")'))
            run = runner.run(skill.program, world)
            assert run.error is None
            assert not skill.goals()[0].unmet(run.after)
