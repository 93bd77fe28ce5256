"""A tool that says what it does in the world is an action that search plans with, at its price."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from habilis import Agent, World, tool
from habilis.core import Cost, DefinitionError


class Kitchen:
    """Dough is bought, bread is baked of it. Nothing in the kitchen itself brings dough about."""

    def __init__(self) -> None:
        self.shelf = {"dough": 0, "bread": 0, "coin": 5}

        def bake() -> None:
            "Bake one bread of one dough."
            if not self.shelf["dough"]:
                raise LookupError("there is no dough")
            self.shelf["dough"] -= 1
            self.shelf["bread"] += 1

        @tool(
            cost=Cost(usd=0.02),
            requires='count("coin") >= 1',
            adds="count({item}) >= 1",
        )
        def order(item: str, note: str = "") -> str:
            """Order an item: have it brought to the shelf.

            Args:
                item: what to bring
            """
            if item != "dough":
                raise LookupError(f"the shop has no {item}")
            self.shelf["dough"] += 1
            return "brought"

        self.world = World.from_functions([bake], observe=lambda: {"count": self.shelf})
        self.order = order


def test_search_orders_what_nothing_else_brings_about(tmp_path: Path) -> None:
    kitchen = Kitchen()
    with Agent(kitchen.world, home=tmp_path, tools=[kitchen.order], budget="usd=1") as agent:
        episode = asyncio.run(agent.solve("have 2 dough"))
        assert episode.solved, episode.reason
        assert 'tools.order("dough")' in episode.attempts[-1].program.source
        assert kitchen.shelf["dough"] == 2
        assert episode.cost.usd == pytest.approx(0.04)
        kitchen.shelf["dough"] = 1
        baked = asyncio.run(agent.solve("have 3 bread"))
        assert baked.solved, baked.reason
        assert kitchen.shelf["bread"] == 3
        assert baked.skill is not None
        assert agent.skill(baked.skill).skill.tools == ("order",)


def test_what_cannot_be_paid_is_not_ordered(tmp_path: Path) -> None:
    kitchen = Kitchen()
    with Agent(kitchen.world, home=tmp_path, tools=[kitchen.order], budget="usd=0.01") as agent:
        episode = asyncio.run(agent.solve("have 1 dough"))
    assert not episode.solved
    assert kitchen.shelf["dough"] == 0
    assert episode.cost.usd == 0


def test_a_tool_that_does_not_do_what_it_says_is_called_once(tmp_path: Path) -> None:
    shelf, calls = {"dough": 0}, []

    def knead() -> None:
        "Knead."

    @tool(cost=Cost(usd=0.01), adds="count({item}) >= 1")
    def order(item: str) -> str:
        "Order an item: have it brought to the shelf."
        calls.append(item)
        return "it is on its way"

    world = World.from_functions([knead], observe=lambda: {"count": shelf})
    with Agent(world, home=tmp_path, tools=[order], budget="usd=1") as agent:
        episode = asyncio.run(agent.solve("have 3 dough"))
    assert not episode.solved
    assert 'order("dough") did not change count("dough")' in episode.reason
    assert 1 <= len(calls) <= 3  # once, and again as one that may have failed by chance


def test_a_declared_text_names_parameters_without_a_default() -> None:
    with pytest.raises(DefinitionError, match=r"order.*names \{note\}, but the parameters are \{item\}"):

        @tool(adds="count({note}) >= 1")
        def order(item: str, note: str = "") -> None:
            "Order."
