"""Tree search: it reaches goals without knowing a rule, pays for every step, and leaves the world as it is."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.agent.conftest import craft_like, household

from habilis.agent.planning.meter import SearchMeter
from habilis.agent.planning.tree import TreeSearch, TreeSettings
from habilis.core import Action, Budget, BudgetExceeded, Fact, Goal, Ledger
from habilis.memory.contracts import ContractBook
from habilis.worlds.household import HouseholdWorld


def planned(goal: str, seed: int = 1, ledger: Ledger | None = None, **settings: int) -> list[Action] | None:
    world = household(without=["reasons"])
    before = dict(world.facts)
    with SearchMeter(ledger or Ledger()) as meter:
        plan = TreeSearch(TreeSettings(**settings)).plan(Goal.parse(goal), world, meter, seed)
    assert world.facts == before
    return plan


@pytest.mark.parametrize("seed", range(4))
def test_a_plan_holds_nothing_superfluous(seed: int) -> None:
    plan = planned('at("apple", "table") and at("cup", "fridge")', seed)
    assert plan is not None
    assert len(plan) == 5  # opening, and two for each of the two things
    assert str(plan[0]) == 'open("fridge")' or Action.parse('take("cup", "table")') in plan[:2]


@pytest.mark.parametrize("elsewhere", [False, True])
def test_what_is_needed_in_another_belief_is_not_left_out(elsewhere: bool) -> None:
    """Where the plan is found one stands at an ash already; in another belief it has to be looked for."""
    far = craft_like(without=["reasons"])
    near = replace(far, facts={**far.facts, Fact("here", ("ash",)): 3})
    plan = [Action.parse(a) for a in ('find("ash")', 'gather("ash")')]
    with SearchMeter(Ledger()) as meter:
        kept = TreeSearch().shortened(Goal.parse('count("ash") >= 1'), near, plan, meter, [far] if elsewhere else [])
    assert kept == (plan if elsewhere else plan[1:])


def test_what_cannot_be_reached_is_given_up_and_what_holds_takes_nothing() -> None:
    assert planned('at("apple", "roof")', rollouts=40) is None
    assert planned('at("cup", "table")') is None


def test_steps_are_paid_before_they_are_taken() -> None:
    ledger = Ledger(Budget(search_steps=30))
    with pytest.raises(BudgetExceeded, match="search_steps"):
        planned('at("apple", "roof")', ledger=ledger)
    assert ledger.spent.search_steps <= 30


def test_contracts_are_learned_on_the_way() -> None:
    world = household()
    book = ContractBook(world.spec)
    with SearchMeter(Ledger()) as meter:
        TreeSearch(book=book).plan(Goal.parse('at("apple", "table")'), world, meter, 0)
    assert 'is_open("fridge")' in {
        str(c.atom) for c in book.contract(Action.parse('take("apple", "fridge")')).conditions
    }


def test_it_does_chores_on_a_belief() -> None:
    world = HouseholdWorld(size=0.2)
    chores = world.chores()
    done = 0
    for seed, words in enumerate(("make toast", "set the table", "brush your teeth", "do the laundry")):
        world.reset(seed)
        with SearchMeter(Ledger()) as meter:
            plan = TreeSearch().plan(chores[words], world.simulator().imagine(0), meter, seed)
        for action in plan or ():
            world.act(action)
        done += not chores[words].unmet(world.observe())
    assert done >= 2  # of what is true; in what was imagined more
