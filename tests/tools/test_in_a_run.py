"""Tools in a confined program: reached through the host, paid, taped, replayed; and the same under every hash seed."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator

import pytest

from habilis.core import Budget, BudgetExceeded, Cost, Ledger, Program, ToolCall
from habilis.tools import HostTools, ReplayTools, ToolRegistry, tool
from habilis.worlds.functions import FunctionWorld, from_functions
from habilis.worlds.runner import ConfinedRunner

PROGRAM = Program(
    "buy_cheapest",
    textwrap.dedent(
        """
        def buy_cheapest():
            prices = {}
            for shop in ("north", "south", "nowhere"):
                try:
                    prices[shop] = tools.price(shop, currency="EUR")
                except ToolFailed as error:
                    print(error)
            best = min(prices, key=prices.get)
            world.pay(prices[best])
            return [best, tools.order(shop=best)]
        """
    ),
)


class Market:
    def __init__(self) -> None:
        self.made: list[str] = []
        self.paid = 0

        @tool(cost=Cost(usd=0.01), safe_to_retry=True)
        def price(shop: str, currency: str = "USD") -> int:
            """Price in a shop."""
            self.made.append(shop)
            return {"north": 5, "south": 3}[shop]

        @tool
        async def order(shop: str) -> dict[str, str]:
            """Order in a shop."""
            self.made.append(f"order {shop}")
            return {"ordered": shop}

        self.registry = ToolRegistry([price, order])

    def world(self) -> FunctionWorld:
        def pay(amount: int) -> None:
            """Pay an amount."""
            self.paid += amount

        return from_functions([pay], observe=lambda: {"paid": self.paid}, name="market")


@pytest.fixture(scope="module")
def runner() -> Iterator[ConfinedRunner]:
    made = ConfinedRunner()
    yield made
    made.close()


def replay_host(market: Market) -> HostTools:
    return HostTools(market.registry, Ledger(Budget(usd=0)))


def test_a_program_uses_tools_and_verification_replays_them(runner: ConfinedRunner) -> None:
    market, ledger = Market(), Ledger(Budget(usd=0.05))
    tape: list[ToolCall] = []
    first = runner.run(PROGRAM, market.world(), tools=HostTools(market.registry, ledger, tape_out=tape))
    assert first.error is None
    assert first.returned == ["south", {"ordered": "south"}]
    assert "KeyError: 'nowhere'" in first.printed
    assert market.paid == 3
    assert ledger.spent == Cost(usd=0.03, calls=4)
    assert [c.tool for c in tape] == ["price", "price", "price", "order"]
    made = list(market.made)

    replay = ReplayTools(tape, HostTools(market.registry, ledger))
    second = runner.run(PROGRAM, market.world(), tools=replay)
    assert second.returned == first.returned
    assert replay.inconclusive == ()
    assert market.made == made
    assert ledger.spent == Cost(usd=0.03, calls=4)

    assert runner.run(PROGRAM, market.world(), tools=ReplayTools(first.tape, replay_host(market))).error is None
    assert market.made == made

    unasked = ReplayTools(tape[:3], HostTools(market.registry, ledger))
    third = runner.run(PROGRAM, market.world(), tools=unasked)
    assert third.error is not None
    assert len(unasked.inconclusive) == 1
    assert market.made == made


def test_the_budget_ends_the_run(runner: ConfinedRunner) -> None:
    market, ledger = Market(), Ledger(Budget(usd=0.015))
    with pytest.raises(BudgetExceeded, match=r"usd=0\.015"):
        runner.run(PROGRAM, market.world(), tools=HostTools(market.registry, ledger))
    assert ledger.spent == Cost(usd=0.01, calls=1)
    assert market.paid == 0


SAME = """
from habilis.core import Augmentation, Budget, Cost, Goal, Kind, Ledger, Task
from habilis.memory.embedding import HashEmbedder
from habilis.memory.index import MemoryIndex
from habilis.tools import Catalogue, HostTools, ToolRegistry, of_tool, tool

@tool
def gather(words: set[str], more: frozenset[int] = frozenset({3, 1, 2})) -> set[str]:
    "Gather words."
    return {w.upper() for w in words}

registry = ToolRegistry([gather])
host = HostTools(registry, Ledger())
host.call("gather", (["pear", "apple", "fig", "plum"],), {})
embedder = HashEmbedder()
catalogue = Catalogue(MemoryIndex(embedder.dim), embedder)
catalogue.put(of_tool(gather), *(Augmentation(k, f"n{i}", "gather fruit", Cost(usd=i / 10), provides=f"p{i % 3}")
                                 for i in range(9) for k in Kind))
task = Task(Goal.parse("here('fig')"), "w", 0, "gather words and fruit")
print(host.tape, gather.schema, catalogue.pick(task, Budget(usd=1.0)))
"""


def test_the_same_under_every_hash_seed() -> None:
    said = {
        subprocess.run(
            [sys.executable, "-c", SAME],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout
        for seed in ("1", "2", "77")
    }
    assert len(said) == 1
    assert "APPLE" in said.pop()
