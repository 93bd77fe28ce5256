"""The search writer: rehearsed on the belief, amended by failures, kept within the ledger."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from tests.agent.conftest import Rule, RuleWorld, craft_like

from habilis.agent.planning.calls import needed
from habilis.agent.writers.search import SearchSettings, SearchWriter
from habilis.core import (
    Augmentation,
    Budget,
    BudgetExceeded,
    Condition,
    Context,
    Contract,
    Cost,
    Draft,
    Effect,
    Fact,
    Feedback,
    Goal,
    Json,
    Kind,
    Ledger,
    Parameter,
    Task,
    ToolError,
    Verdict,
    dump,
)
from habilis.core.world import Action
from habilis.memory.contracts import ContractBook
from habilis.testing.journal import example_skill
from habilis.worlds.craft import CraftWorld
from habilis.worlds.runner import ConfinedRunner


def solved(
    world: Any,
    runner: ConfinedRunner,
    goal: str,
    *,
    ledger: Ledger | None = None,
    settings: SearchSettings | None = None,
    seed: int = 1,
    **context: Any,
) -> tuple[list[Draft], bool, ContractBook]:
    """All drafts for a goal, each run in the world, until one is right."""
    book = ContractBook(world.spec)
    writer = SearchWriter(book, runner, settings)
    ledger = ledger or Ledger()
    task = Task(Goal.parse(goal), world.spec.name, seed, goal, origin="user")
    if isinstance(world, CraftWorld):
        book.declare(world.contracts())
    given = Context(
        world.spec,
        world.observe(),
        simulator=world.simulator(),
        affordances=tuple(world.affordances()),
        **context,
    )

    async def run() -> tuple[list[Draft], bool]:
        drafts = writer.drafts(task, given, ledger)
        found: list[Draft] = []
        feedback: Feedback | None = None
        try:
            while True:
                draft = await (anext(drafts) if feedback is None else drafts.asend(feedback))
                found.append(draft)
                skills = needed(draft.program, given.skills)
                trajectory = runner.run(draft.program, world, args=draft.args, skills=skills, tools=given.tools)
                book.learn(trajectory)
                unmet = task.goal.unmet(trajectory.after)
                if not unmet:
                    return found, True
                feedback = Feedback(trajectory, Verdict(False, unmet), False, draft.args)
        except StopAsyncIteration:
            return found, False
        finally:
            await drafts.aclose()

    found, ok = asyncio.run(run())
    return found, ok, book


def test_from_knowing_nothing_to_a_tool_in_one_real_run(runner: ConfinedRunner) -> None:
    drafts, ok, book = solved(craft_like(), runner, 'count("stick") >= 5', settings=SearchSettings(rounds=30))
    assert ok
    assert len(drafts) == 1  # all that failed, failed in rehearsal
    assert drafts[-1].args == {"n": 5}
    assert {str(c.atom) for c in book.contract(Action("craft", ("stick",))).conditions} == {'count("plank") >= 2'}


class Mistaken(RuleWorld):
    """Sticks take five planks; its simulator believes that two will do."""

    def simulator(self) -> RuleWorld:
        return replace(craft_like(), facts=dict(self.facts))


def mistaken() -> Mistaken:
    made = craft_like()
    stick = Action("craft", ("stick",))
    truth = Rule.of(str(stick), 'count("plank") >= 5', adds={'count("plank")': -5, 'count("stick")': 4})
    return Mistaken({**made.rules, stick: truth}, made.start, made.spec, dict(made.facts))


def test_failures_in_the_world_itself_amend_the_contracts_too(runner: ConfinedRunner) -> None:
    settings = SearchSettings(rounds=30, rehearse=False)
    drafts, ok, book = solved(mistaken(), runner, 'count("stick") >= 5', settings=settings)
    assert ok
    assert len(drafts) > 1  # one that failed, and what its failure taught
    assert len({d.program.source for d in drafts}) == len(drafts)
    assert {str(c.atom) for c in book.contract(Action("craft", ("stick",))).conditions} == {'count("plank") >= 5'}


def test_what_cannot_be_made_is_given_up(runner: ConfinedRunner) -> None:
    drafts, ok, _ = solved(craft_like(), runner, 'count("gold") >= 1')
    assert (drafts, ok) == ([], False)
    assert solved(craft_like(), runner, 'Judged("pretty")')[1] is False


@pytest.mark.parametrize("limit", [0, 1, 40])
def test_the_ledger_is_obeyed(runner: ConfinedRunner, limit: int) -> None:
    ledger = Ledger(Budget(usd=None, search_steps=limit))
    with pytest.raises(BudgetExceeded):
        solved(craft_like(), runner, 'count("stone_axe") >= 1', ledger=ledger)
    assert ledger.spent.search_steps <= limit
    assert ledger.reserved.search_steps == 0


def test_the_limit_that_is_reached_is_named(runner: ConfinedRunner) -> None:
    run = Ledger(Budget(usd=None, search_steps=4))
    with pytest.raises(BudgetExceeded, match="search_steps=4 ") as refused:
        solved(craft_like(), runner, 'count("stone_axe") >= 1', ledger=run.child(Budget(usd=None, search_steps=900)))
    assert refused.value.asked >= 1


class Book:
    """A tool that tells contracts; the first answer may be nonsense."""

    def __init__(self, *answers: Json) -> None:
        self.answers, self.asked = list(answers), []  # type: ignore[var-annotated]

    def names(self) -> tuple[str, ...]:
        return ("recipe_book",)

    def call(self, name: str, args: tuple[Json, ...], kwargs: Any) -> Json:
        self.asked.append((name, args))
        return self.answers.pop(0) if self.answers else []


def recipe(made: str, used: str, n: int) -> Json:
    fact = Fact("count", (used,))
    condition = Condition(Goal.parse(f"{fact} >= {n}").atoms[0], float(n), True)
    action = Action("craft", (made,))
    return dump(Contract(action, "toy-1", (condition,), (Effect(Fact("count", (made,)), 4.0),)))


def test_knowledge_is_bought_where_nothing_leads_to_the_goal(runner: ConfinedRunner) -> None:
    teller = Augmentation(Kind.TOOL, "recipe_book", "tells recipes", provides="contracts")
    world = craft_like()
    shop = Book([recipe("stick", "plank", 2)])
    _, ok, book = solved(
        world, runner, 'count("stick") >= 1', picked=(teller,), tools=shop, settings=SearchSettings(discoveries=0)
    )
    assert shop.asked == [("recipe_book", ("stick",)), ("recipe_book", ("plank",))]  # and what that needs, once each
    assert book.contract(Action("craft", ("stick",))).effect_on(Fact("count", ("stick",))) is not None
    assert ok is False  # nobody knows about planks, and nothing else may be found out
    nonsense = Book({"no": "list of contracts"})
    assert solved(world, runner, 'count("gold") >= 1', picked=(teller,), tools=nonsense)[1] is False


def test_the_cheapest_that_knows_is_asked_and_without_money_search_goes_on(runner: ConfinedRunner) -> None:
    class Shop(Book):
        def names(self) -> tuple[str, ...]:
            return ("cheap", "dear", "recipe_book")

        def call(self, name: str, args: tuple[Json, ...], kwargs: Any) -> Json:
            self.asked.append((name, args))
            if name == "cheap":
                return []
            if args == ("plank",):
                raise BudgetExceeded("usd", 0.01, 0.01, 0, 0.01)
            assert name == "recipe_book"
            return [recipe("stick", "plank", 2)]

    tellers = tuple(
        Augmentation(Kind.TOOL, name, "tells recipes", cost=Cost(usd=usd), provides="contracts")
        for name, usd in (("dear", 0.9), ("recipe_book", 0.01), ("cheap", 0.0))
    )
    shop = Shop()
    _, ok, book = solved(craft_like(), runner, 'count("stick") >= 1', picked=tellers, tools=shop)
    assert shop.asked[:2] == [("cheap", ("stick",)), ("recipe_book", ("stick",))]
    assert book.contract(Action("craft", ("stick",))).effects
    assert ok  # planks were found out about


class Forecast:
    """A tool that is out of order at first."""

    def __init__(self, broken: int = 0) -> None:
        self.broken = broken

    def names(self) -> tuple[str, ...]:
        return ("forecast",)

    def call(self, name: str, args: tuple[Json, ...], kwargs: Any) -> Json:
        self.broken -= 1
        if self.broken >= 0:
            raise ToolError("out of order")
        return "dry"


PLANKS = """def have_plank(n: int = 1):
    tools.forecast()
    while world.count("plank") < n:
        world.find("oak")
        world.gather("oak")
        world.craft("plank")
"""


@pytest.mark.parametrize("broken", [0, 1])
def test_a_skill_that_uses_tools_is_neither_rehearsed_nor_blamed(runner: ConfinedRunner, broken: int) -> None:
    world, n = craft_like(), Parameter("n", "int", 1, required=False)
    goal = 'count("plank") >= {n}'
    made = example_skill("have_plank", source=PLANKS, goal=goal, parameters=(n,))
    tools = Forecast(broken)
    drafts, ok, _ = solved(world, runner, 'count("stick") >= 1', skills={made.name: made}, tools=tools)
    assert ok
    assert tools.broken < 0
    assert [d.program.calls for d in drafts] == [("have_plank",)] * (1 + broken)


def test_a_real_craft_goal(runner: ConfinedRunner) -> None:
    world = CraftWorld(recipes="declared")
    world.reset(3)
    drafts, ok, _ = solved(world, runner, 'count("stick") >= 4', settings=SearchSettings(rounds=30))
    assert ok
    assert drafts[-1].goal_template == 'count("stick") >= {n}'


def test_needed_closes_over_calls() -> None:
    def skill(name: str, *calls: str) -> Any:
        made = example_skill(name)
        program = type(made.program)(name, made.program.source, (), calls)
        return type(made)(**{**{f: getattr(made, f) for f in made.__dataclass_fields__}, "program": program})

    skills = {s.name: s for s in (skill("a", "b", "c"), skill("b", "c"), skill("c", "a"), skill("d"))}
    assert set(needed(skills["a"].program, skills)) == {"a", "b", "c"}
    assert set(needed(skill("x", "gone", "d").program, skills)) == {"d"}
