"""Tools that cost more than they declare: at most once, whoever calls them and from how many threads."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from habilis.core import Budget, BudgetExceeded, Cost, InputError, Ledger, Overrun
from habilis.memory.journal import Journal
from habilis.tools import Priced, Tool, ToolRegistry, ToolResult, tool

DECLARED = Cost(usd=0.25)


def liar(costs: Callable[[int], float], seconds: float = 0.002) -> Tool:
    """A tool that declares 0.25 USD; its n-th call costs ``costs(n)``."""
    made: list[int] = []

    @tool(cost=DECLARED)
    def t() -> Priced:
        """Do it, and say what it has cost."""
        made.append(1)
        here = len(made)
        time.sleep(seconds)
        return Priced(here, Cost(usd=costs(here)))

    return t


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal(tmp_path / "journal.sqlite") as opened:
        yield opened


def from_threads(registry: ToolRegistry, calls: int, ledger: Ledger) -> list[ToolResult]:
    start = threading.Barrier(calls)

    def one(_: int) -> ToolResult:
        start.wait()
        return registry.call_sync("t", {}, ledger)

    with ThreadPoolExecutor(calls) as pool:
        return list(pool.map(one, range(calls)))


def from_tasks(registry: ToolRegistry, calls: int, ledger: Ledger) -> list[ToolResult]:
    async def all_of_them() -> list[ToolResult]:
        return list(await asyncio.gather(*(registry.call("t", {}, ledger) for _ in range(calls))))

    return asyncio.run(all_of_them())


@pytest.mark.parametrize("call", [from_threads, from_tasks])
@pytest.mark.parametrize("growth", [1.0, 2.0, 100.0])
def test_no_tool_overruns_twice_also_one_that_lies_ever_more(call: Any, growth: float) -> None:
    told: list[Overrun] = []
    registry = ToolRegistry([liar(lambda n: 0.5 * growth**n)], on_overrun=told.append)
    ledger = Ledger(Budget(usd=1000))
    results = call(registry, 32, ledger) + call(registry, 4, ledger)
    assert [r.overrun for r in results if r.overrun] == [Cost(usd=0.5 * growth - 0.25)]
    assert [(o.number, o.refused) for o in told] == [(1, True)]
    assert ledger.spent == Cost(usd=0.5 * growth, calls=1)
    assert sum("is not called any more" in str(r.error) for r in results) == 35


@pytest.mark.parametrize("call", [from_threads, from_tasks])
def test_where_it_is_to_be_priced_anew_it_is_called_on_with_as_much_again_held(call: Any) -> None:
    told: list[Overrun] = []
    registry = ToolRegistry([liar(lambda n: 0.5 + n % 2 / 4)], overruns="reprice", on_overrun=told.append)
    ledger = Ledger(Budget(usd=100))
    results = call(registry, 32, ledger)
    assert [r.overrun for r in results if r.overrun] == [Cost(usd=0.5)]
    assert [(o.number, o.refused, o.most.usd, o.cost.usd) for o in told] == [(1, False, 0.25, 0.75)]
    assert ledger.spent == Cost(usd=20.0, calls=32)
    stats = registry.stats("t")
    assert (stats.most.usd, stats.overruns, stats.refused, stats.calls) == (1.25, 1, False, 32)


@pytest.mark.parametrize("call", [from_threads, from_tasks])
@pytest.mark.parametrize(("policy", "made"), [("reprice", 2), ("refuse", 1)])
def test_one_that_overruns_again_and_again_is_refused(call: Any, policy: Any, made: int) -> None:
    told: list[Overrun] = []
    registry = ToolRegistry([liar(lambda n: 0.25 * 4**n)], overruns=policy, on_overrun=told.append)
    ledger = Ledger(Budget(usd=100))
    results = call(registry, 32, ledger)
    assert sum(r.made for r in results) == made
    assert [o.refused for o in told] == [False, True][-made:]
    assert registry.stats("t").overruns == made
    assert registry.stats("t").refused
    refusal = next(r.error for r in results if not r.made)
    assert refusal is not None
    assert f"@tool(cost=Cost(usd={0.25 * 4**made:g}, calls=1))" in refusal
    assert "forgive('t')" in refusal
    assert ledger.spent.calls == made
    registry.forgive("t")
    assert registry.stats("t").most.usd == 0.25
    assert registry.call_sync("t", {}, ledger).made


def test_a_home_remembers_until_the_tool_declares_something_else(journal: Journal) -> None:
    def opened(source: Tool) -> ToolRegistry:
        return ToolRegistry([source], standings=journal, overruns="reprice")

    first = liar(lambda n: 0.5)
    assert opened(first).call_sync("t", {}, Ledger()).overrun
    again = opened(first)
    assert (again.stats("t").most.usd, again.stats("t").overruns) == (0.75, 1)
    assert again.call_sync("t", {}, Ledger()).overrun is None
    with pytest.raises(BudgetExceeded):
        again.call_sync("t", {}, Ledger(Budget(usd=0.7)))
    ((payee, data),) = journal.standings().items()
    assert payee.startswith("tool:")
    assert (data["overruns"], data["refused"]) == (1, False)
    worse = liar(lambda n: 4.0)
    assert opened(worse).call_sync("t", {}, Ledger()).overrun
    assert "is not called any more" in str(opened(worse).call_sync("t", {}, Ledger()).error)
    honest = tool(cost=Cost(usd=4.0), name="t")(worse.function)
    assert opened(honest).call_sync("t", {}, Ledger()).overrun is None


def test_a_home_holds_to_the_policy_of_today(journal: Journal) -> None:
    one = liar(lambda n: 0.5)
    ToolRegistry([one], standings=journal, overruns="reprice").call_sync("t", {}, Ledger())
    strict = ToolRegistry([one], standings=journal)
    assert not strict.call_sync("t", {}, Ledger()).made
    lenient = ToolRegistry([one], standings=journal, overruns="reprice")
    assert lenient.call_sync("t", {}, Ledger()).made


def test_what_was_not_believed_is_refused_under_every_policy(journal: Journal) -> None:
    def t() -> float:
        """Do it."""
        return Priced(1.0, Cost(usd=5.0))  # type: ignore[return-value]

    for made in (True, False):
        registry = ToolRegistry([tool(cost=DECLARED)(t)], standings=journal, overruns="reprice")
        assert registry.call_sync("t", {}, Ledger()).made == made


def test_what_is_learned_survives_a_transaction_that_is_taken_back(journal: Journal) -> None:
    one = liar(lambda n: 0.5)

    def upkeep() -> None:
        with journal.transaction():
            ToolRegistry([one], standings=journal).call_sync("t", {}, Ledger())
            raise KeyError

    with pytest.raises(KeyError):
        upkeep()
    assert ToolRegistry([one], standings=journal).stats("t").overruns == 1


def test_where_the_return_type_says_anything_the_first_answer_tells() -> None:
    def t() -> Any:
        """Do it."""
        time.sleep(0.002)
        return Priced(1, Cost(usd=0.5))

    registry = ToolRegistry([tool(cost=DECLARED)(t)])
    results = from_threads(registry, 32, Ledger())
    assert sum(r.overrun is not None for r in results) == 1


def test_who_does_not_say_that_it_reports_is_not_believed_and_refused() -> None:
    def t() -> float:
        """Do it."""
        time.sleep(0.02)
        return Priced(1.0, Cost(usd=5.0))  # type: ignore[return-value]

    ledger = Ledger()
    registry = ToolRegistry([tool(cost=DECLARED)(t)])
    results = from_threads(registry, 32, ledger)
    made = [r for r in results if r.made]
    assert ledger.spent == Cost(usd=0.25 * len(made), calls=len(made))
    assert not any(r.overrun for r in results)
    assert all("write -> Priced" in str(r.error) for r in made)
    assert not registry.call_sync("t", {}, ledger).made


def test_those_that_do_not_report_go_side_by_side() -> None:
    both = threading.Barrier(2, timeout=10)

    @tool(cost=DECLARED)
    def t() -> bool:
        """Wait for the other."""
        return both.wait() >= 0

    assert [r.value for r in from_threads(ToolRegistry([t]), 2, Ledger())] == [True, True]


def test_a_call_that_is_cancelled_while_it_waits_costs_nothing_and_keeps_nobody_waiting() -> None:
    gate = threading.Event()

    @tool(cost=DECLARED)
    def t() -> Priced:
        """Wait."""
        gate.wait(10)
        return Priced(1, DECLARED)

    registry, ledger = ToolRegistry([t]), Ledger()

    async def main() -> list[ToolResult]:
        tasks = [asyncio.create_task(registry.call("t", {}, ledger)) for _ in range(4)]
        await asyncio.sleep(0.05)
        assert ledger.reserved == DECLARED + Cost(calls=1)
        tasks[1].cancel()
        tasks[2].cancel()
        await asyncio.wait({tasks[1], tasks[2]})
        gate.set()
        return [await tasks[0], await tasks[3]]

    assert [r.value for r in asyncio.run(main())] == [1, 1]
    assert (ledger.spent, ledger.reserved) == (Cost(usd=0.5, calls=2), Cost())


def test_a_tool_that_calls_itself_through_the_registry_does_not_wait_for_itself() -> None:
    registry = ToolRegistry()

    @tool(cost=DECLARED)
    def t() -> Priced:
        """Call itself."""
        return Priced(registry.call_sync("t", {}, Ledger()).error, DECLARED)

    registry.add(t)
    assert "from inside a call of itself" in registry.call_sync("t", {}, Ledger()).value


def test_seconds_do_not_overrun_for_the_call_is_given_up() -> None:
    gate = threading.Event()

    @tool(cost=Cost(seconds=0.1))
    def t() -> bool:
        """Wait."""
        return gate.wait(20)

    registry, ledger = ToolRegistry([t]), Ledger(Budget(usd=0, seconds=0.15))
    result = registry.call_sync("t", {}, ledger)
    gate.set()
    assert "within 0.1 seconds (the seconds that it declares to cost)" in str(result.error)
    assert (result.overrun, ledger.spent.seconds) == (None, 0.1)


def test_only_known_policies() -> None:
    with pytest.raises(InputError, match="reprice, refuse"):
        ToolRegistry(overruns="ignore")  # type: ignore[arg-type]
