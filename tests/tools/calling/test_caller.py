"""The tape: what a run's calls leave behind, and how verification replays it."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from habilis.core import Budget, BudgetExceeded, Cost, Ledger, NotFoundError, ToolCall, ToolCaller, ToolError
from habilis.tools import HostTools, Inconclusive, ReplayTools, ToolRegistry, ToolResult, tool


class Shop:
    """Two tools that show how often they were really called."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        counter = itertools.count(10)

        @tool(safe_to_retry=True, cost=Cost(usd=0.01))
        def price(thing: str, currency: str = "EUR") -> str:
            """Price of a thing."""
            self.calls.append(thing)
            if thing == "nothing":
                raise KeyError(thing)
            return f"{next(counter)} {currency}"

        @tool
        def order(thing: str, n: int = 1) -> str:
            """Order."""
            self.calls.append(f"order {thing}")
            return f"{n} {thing}"

        self.registry = ToolRegistry([price, order])


@pytest.fixture
def shop() -> Shop:
    return Shop()


def test_every_call_is_on_the_tape_with_named_arguments(shop: Shop) -> None:
    tape: list[ToolCall] = []
    heard: list[tuple[ToolCall, ToolResult]] = []
    host: ToolCaller = HostTools(shop.registry, Ledger(), tape_out=tape, on_call=lambda c, r: heard.append((c, r)))
    assert host.names() == ("order", "price")
    assert host.call("price", ("tea",), {}) == "10 EUR"
    assert host.call("price", ("tea",), {"currency": "USD"}) == "11 USD"
    for bad in [(("nothing",), {}), (("a", "b", "c"), {}), (("a",), {"thing": "b"}), ((3,), {})]:
        with pytest.raises(ToolError):
            host.call("price", *bad)
    with pytest.raises(ToolError, match="did you mean 'price'"):
        host.call("prize", ("tea",), {})
    assert tape[:2] == [
        ToolCall("price", {"thing": "tea", "currency": "EUR"}, "10 EUR"),
        ToolCall("price", {"thing": "tea", "currency": "USD"}, "11 USD"),
    ]
    assert len(tape) == 7
    assert all(c.error for c in tape[2:])
    assert [c for c, _ in heard] == tape
    assert heard[0][1].cost == Cost(usd=0.01, calls=1)


def test_only_allowed_tools_are_reached(shop: Shop) -> None:
    host = HostTools(shop.registry, Ledger(), allowed={"price"})
    assert host.names() == ("price",)
    with pytest.raises(ToolError, match="Only these"):
        host.call("order", ("tea",), {})
    assert shop.calls == []
    with pytest.raises(NotFoundError, match="prize"):
        HostTools(shop.registry, Ledger(), allowed={"prize"})


def test_a_refused_budget_leaves_no_mark(shop: Shop) -> None:
    host = HostTools(shop.registry, Ledger(Budget(usd=0.0)))
    with pytest.raises(BudgetExceeded):
        host.call("price", ("tea",), {})
    assert host.tape == []


def record(shop: Shop, *calls: tuple[str, tuple[Any, ...]]) -> list[ToolCall]:
    host = HostTools(shop.registry, Ledger())
    for name, args in calls:
        try:
            host.call(name, args, {})
        except ToolError:
            pass
    shop.calls.clear()
    return host.tape


def test_replay_answers_in_order_without_calling(shop: Shop) -> None:
    tape = record(
        shop, ("price", ("tea",)), ("price", ("tea",)), ("order", ("tea",)), ("price", ("nothing",)), ("price", (3,))
    )
    ledger = Ledger()
    replay: ToolCaller = ReplayTools(tape, HostTools(shop.registry, ledger))
    assert replay.call("price", (), {"thing": "tea", "currency": "EUR"}) == "10 EUR"
    assert replay.call("price", ("tea", "EUR"), {}) == "11 EUR"
    assert replay.call("order", ("tea", 1), {}) == "1 tea"
    assert replay.call("order", ("tea",), {"n": 1}) == "1 tea"
    with pytest.raises(ToolError, match="KeyError"):
        replay.call("price", ("nothing",), {})
    with pytest.raises(ToolError, match="expects str, got 3"):
        replay.call("price", (3,), {})
    assert shop.calls == []
    assert ledger.spent == Cost()


def test_what_is_not_on_the_tape(shop: Shop) -> None:
    tape = record(shop, ("price", ("tea",)), ("price", ("tea",)))
    ledger = Ledger()
    replay = ReplayTools(tape, HostTools(shop.registry, ledger))
    assert replay.call("price", ("milk",), {}) == "12 EUR"
    assert replay.call("price", ("milk",), {}) == "12 EUR"
    assert ledger.spent == Cost(usd=0.01, calls=1)
    assert replay.inconclusive == ()
    assert replay.tape[2:] == (ToolCall("price", {"thing": "milk", "currency": "EUR"}, "12 EUR"),)
    again = ReplayTools(replay.tape)
    assert again.call("price", ("milk", "EUR"), {}) == "12 EUR"

    with pytest.raises(ToolError, match="expects int") as bad:
        replay.call("order", ("tea", "many"), {})
    assert not isinstance(bad.value, Inconclusive)
    with pytest.raises(Inconclusive, match=r"order\(.*not safe_to_retry"):
        replay.call("order", ("tea",), {})
    with pytest.raises(Inconclusive, match="not at hand"):
        replay.call("fly", ("tea",), {})
    assert len(replay.inconclusive) == 2
    assert "order tea" not in shop.calls
    assert Inconclusive.code != ToolError.code


def test_a_question_with_changing_answers_is_not_guessed(shop: Shop) -> None:
    tape = record(shop, ("price", ("tea",)), ("price", ("tea",)))
    replay = ReplayTools(tape)
    assert [replay.call("price", ("tea", "EUR"), {}) for _ in range(2)] == ["10 EUR", "11 EUR"]
    with pytest.raises(Inconclusive):
        replay.call("price", ("tea", "EUR"), {})
    assert replay.inconclusive


def test_replay_without_the_tools(shop: Shop) -> None:
    replay = ReplayTools(record(shop, ("order", ("tea", 2))))
    assert replay.names() == ("order",)
    assert replay.call("order", (), {"n": 2, "thing": "tea"}) == "2 tea"
    assert replay.call("order", ("tea", 2), {}) == "2 tea"
    with pytest.raises(Inconclusive):
        replay.call("order", ("tea", 2, 3, 4), {})
