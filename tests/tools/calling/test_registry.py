"""The registry: adding from everywhere; calls that are checked, paid for, bounded and never bring the caller down."""

from __future__ import annotations

import asyncio
import enum
import sys
import threading
import time
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from habilis.core import (
    Budget,
    BudgetExceeded,
    Cost,
    DefinitionError,
    DuplicateNameError,
    InputError,
    Json,
    Ledger,
    NotFoundError,
    ToolError,
)
from habilis.tools import (
    MAX_RESULT_BYTES,
    Priced,
    ToolRegistry,
    load_registrations,
    save_registrations,
    tool,
    wire_size,
)
from habilis.tools._json import capped


@tool
def add(a: int, b: int = 1) -> int:
    """Add two numbers."""
    return a + b


def make(body: Callable[[], Any], **options: Any) -> ToolRegistry:
    """A registry with one tool ``t`` without parameters that does this."""

    def t() -> Any:
        """Do it."""
        return body()

    return ToolRegistry([tool(**options)(t)])


# -- adding ----------------------------------------------------------------------------------------------------------


def test_names_are_sorted_and_duplicates_name_both_owners(tmp_path: Path) -> None:
    registry = ToolRegistry([add])
    registry.add(tool(name="aaa")(add.function))
    assert registry.names() == ("aaa", "add")
    assert [t.name for t in registry] == ["aaa", "add"]
    with pytest.raises(DuplicateNameError) as error:
        registry.add(tool(name="add")(stop))
    assert ":add (" in str(error.value)
    assert ":stop (" in str(error.value)
    (one_file := tmp_path / "twice.py").write_text(TOOLS_PY.replace('name="first"', 'name="second"'))
    with pytest.raises(DuplicateNameError, match="'second'"):
        registry.add_all(str(one_file))
    registry.remove("add")
    assert "add" not in registry
    with pytest.raises(NotFoundError, match="did you mean 'aaa'"):
        registry.get("aab")


TOOLS_PY = '''
from __future__ import annotations
from dataclasses import dataclass
from habilis.tools import tool

@dataclass
class Box:
    size: int

@tool
def second(box: Box) -> int:
    """Two."""
    return box.size * 2

@tool(name="first")
def anything(x: int) -> int:
    """One."""
    return x

def plain(x: int) -> int:
    """No decorator is needed when it is named."""
    return -x
'''


def test_tools_from_files_and_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "tools.py"
    path.write_text(TOOLS_PY)
    registry = ToolRegistry()
    assert registry.add(f"{path}:plain").name == "plain"
    assert [t.name for t in registry.add_all(str(path))] == ["first", "second"]
    assert registry.call_sync("second", {"box": {"size": 4}}, Ledger()).value == 8
    with pytest.raises(NotFoundError, match="did you mean 'plain'"):
        registry.add(f"{path}:plian")
    with pytest.raises(NotFoundError, match=r"no file .*gone\.py"):
        registry.add(f"{tmp_path}/gone.py:x")
    (tmp_path / "in_this_folder.py").write_text(TOOLS_PY.replace("plain", "simple"))
    monkeypatch.chdir(tmp_path)
    before = list(sys.path)
    assert registry.add("in_this_folder:simple").owner == "in_this_folder:simple"
    assert sys.path == before
    with pytest.raises(NotFoundError, match="no module 'no_such_module'"):
        registry.add("no_such_module:x")
    (tmp_path / "broken.py").write_text("import no_such_dependency\n")
    with pytest.raises(InputError, match="no_such_dependency"):
        registry.add("broken.py:x")
    (tmp_path / "leaves.py").write_text("raise SystemExit(3)\n")
    with pytest.raises(InputError, match="SystemExit"):
        registry.add("leaves.py")
    with pytest.raises(InputError, match="5 is no tool"):
        registry.add(5)


def test_a_file_with_one_bad_tool_adds_none(tmp_path: Path) -> None:
    (tmp_path / "some.py").write_text(TOOLS_PY)
    registry = ToolRegistry([tool(name="second")(add.function)])
    with pytest.raises(DuplicateNameError):
        registry.add_all(str(tmp_path / "some.py"))
    assert registry.names() == ("second",)


def test_entry_points(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shop_plugin.py").write_text(TOOLS_PY)
    info = tmp_path / "shop_plugin-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: shop-plugin\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[habilis.tools]\nfirst = shop_plugin:anything\nsecond = shop_plugin:second\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    registry = ToolRegistry()
    assert [t.name for t in registry.add_entry_points()] == ["first", "second"]
    (info / "entry_points.txt").write_text("[habilis.tools]\nfirst = shop_plugin:absent\n")
    with pytest.raises(DefinitionError, match=r"'first' .*shop-plugin"):
        ToolRegistry().add_entry_points()


class State:
    def __init__(self) -> None:
        self.data: dict[str, Json] = {}

    def get_state(self, key: str, default: Json = None) -> Json:
        return self.data.get(key, default)

    def put_versioned_state(self, key: str, data: Mapping[str, Json]) -> None:
        self.data[key] = {**self.data.get(key, {}), **data, "schema_version": 1}


def test_registrations_survive_with_absolute_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.py").write_text(TOOLS_PY)
    monkeypatch.chdir(tmp_path)
    state = State()
    assert load_registrations(state) == ()
    save_registrations(state, ["mine.py:plain", "json:dumps", "mine.py:plain"])
    monkeypatch.chdir("/")
    sources = load_registrations(state)
    assert [s.source for s in sources] == sorted([f"{tmp_path.resolve()}/mine.py:plain", "json:dumps"])
    assert [t.name for s in sources if "mine" in s.source for t in s.tools()] == ["plain"]
    state.data["tools.registrations"]["from a newer version"] = 1
    save_registrations(state, [])
    assert state.data["tools.registrations"]["from a newer version"] == 1
    assert load_registrations(state) == ()


# -- arguments -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "told"),
    [
        ({"a": "x"}, r"'a' expects int, got 'x' \(str\)"),
        ({}, r"'a' \(int\) is missing"),
        ({"a": 1, "c": 2}, "no parameter 'c'"),
        ({"a": 1, "b": None}, "'b' expects int, got None"),
        ({"a": float("nan")}, "'a' expects int, got nan"),
        ({"a": 10**6000}, "'a' is an integer of 19932 bits; give it as text"),
        ({"a": [10**6000]}, "'a' expects int, got a list that cannot be shown"),
    ],
)
def test_bad_arguments_say_which_and_cost_nothing(args: dict[str, Any], told: str) -> None:
    ledger = Ledger()
    result = ToolRegistry([add]).call_sync("add", args, ledger)
    with pytest.raises(ToolError, match=told):
        result.unwrap()
    assert "a: int, b: int = 1" in str(result.error)
    assert ledger.spent == Cost()


json_data = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@tool
def echo(value: Any) -> Any:
    """Give it back."""
    return value


@given(json_data)
@settings(max_examples=60, deadline=None)
def test_json_goes_through_unchanged(value: Json) -> None:
    assert ToolRegistry([echo]).call_sync("echo", {"value": value}, Ledger()).unwrap() == value


@given(st.dictionaries(st.text(max_size=4), json_data, max_size=3))
@settings(max_examples=60, deadline=None)
def test_arguments_from_a_model_never_raise(args: dict[str, Json]) -> None:
    result = ToolRegistry([add]).call_sync("add", args, Ledger())
    assert (result.error is None) == (result.value is not None)


# -- results ---------------------------------------------------------------------------------------------------------


class Colour(enum.Enum):
    RED = "red"


class Hostile:
    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError("never")


@pytest.mark.parametrize(
    ("value", "seen"),
    [
        ({9000, 1, 300}, [1, 300, 9000]),
        (Colour.RED, "red"),
        (date(2024, 2, 3), "2024-02-03"),
        ((1, (2,)), [1, [2]]),
        ({1: "a"}, {"1": "a"}),
        ("lone \ud800", "lone ?"),
        (None, None),
    ],
)
def test_results_become_json(value: Any, seen: Json) -> None:
    assert make(lambda: value).call_sync("t", {}, Ledger()).unwrap() == seen


def endless() -> list[Any]:
    inside: list[Any] = []
    inside.append(inside)
    return inside


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (lambda: float("nan"), "nan"),
        (lambda: {"a": [1, float("inf")]}, r"result\['a'\]\[1\] is inf"),
        (endless, "nested deeper"),
        (lambda: [0] * 4_000_001, "limit is 8000000"),
        (object, "a object"),
        (lambda: {(1, 2): 3}, r"the key \(1, 2\)"),
        (lambda: 1 << 5000, "5001 bits"),
        (Hostile, "could not be read"),
        (lambda: Priced(1, 0.5), "not a Cost"),  # type: ignore[arg-type]
        (lambda: Priced(1, Cost(usd=-1)), "usd=-1"),
        (lambda: Priced(1, Cost(usd=float("inf"))), "usd=inf"),
    ],
)
def test_results_that_are_no_json_are_feedback(body: Callable[[], Any], told: str) -> None:
    ledger = Ledger()
    with pytest.raises(ToolError, match=told):
        make(body).call_sync("t", {}, ledger).unwrap()
    assert ledger.spent.calls == 1
    assert ledger.reserved == Cost()


def test_a_long_text_is_cut_and_says_so() -> None:
    whole = "é" * 1_300_000  # six bytes each, as the runner sends them
    assert make(lambda: whole).call_sync("t", {}, Ledger()).unwrap() == whole
    text = make(lambda: whole + whole).call_sync("t", {}, Ledger()).unwrap()
    assert text.endswith("2600000 characters, the limit is 8000000 bytes]")
    assert 7_999_990 < wire_size(text) <= MAX_RESULT_BYTES


@given(st.text(), st.integers(100, 200))
def test_what_is_cut_fits_and_what_fits_is_not_cut(text: str, limit: int) -> None:
    text = text.encode("utf-8", "replace").decode()
    kept = capped(text, limit)
    assert wire_size(kept) <= limit
    assert (kept == text) == (wire_size(text) <= limit)
    if kept != text:
        assert text.startswith(kept.rpartition("… [cut")[0])


# -- failures --------------------------------------------------------------------------------------------------------


def stop() -> None:
    """Leave."""
    raise SystemExit(1)


def interrupt() -> None:
    raise KeyboardInterrupt


def fail() -> None:
    raise ValueError("no such city")


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise SystemExit(9)


def unspeakable() -> None:
    raise Unspeakable


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize(
    ("body", "told"),
    [
        (unspeakable, "Unspeakable: (its message cannot be shown)"),
        (stop, "SystemExit: 1"),
        (interrupt, "KeyboardInterrupt"),
        (fail, "ValueError: no such city"),
    ],
)
def test_what_a_tool_raises_is_feedback(body: Callable[[], None], told: str, is_async: bool) -> None:
    async def t() -> None:
        """Do it."""
        body()

    registry = ToolRegistry([t]) if is_async else make(body)
    ledger = Ledger()
    assert told in str(registry.call_sync("t", {}, ledger).error)
    assert told in str(asyncio.run(registry.call("t", {}, ledger)).error)
    assert ledger.spent == Cost(calls=2)
    assert registry.stats("t").failures == 2


@pytest.mark.parametrize("is_async", [False, True])
def test_a_tool_that_hangs_is_given_up_and_charged(is_async: bool) -> None:
    gate = threading.Event()

    @tool(name="t", timeout=0.1, cost=Cost(usd=0.5))
    def waits() -> bool:
        """Wait."""
        return gate.wait(20)

    @tool(name="t", timeout=0.1, cost=Cost(usd=0.5))
    async def blocks() -> bool:
        """Block the loop, as asynchronous code must not."""
        return gate.wait(20)

    registry = ToolRegistry([blocks if is_async else waits, shout])
    ledger = Ledger()
    start = time.perf_counter()
    assert "within 0.1 seconds (its timeout)" in str(registry.call_sync("t", {}, ledger).error)
    assert "within 0.1 seconds" in str(asyncio.run(registry.call("t", {}, ledger)).error)
    assert registry.call_sync("shout", {"text": "still"}, ledger).value == "STILL"
    assert time.perf_counter() - start < 5
    assert ledger.spent == Cost(usd=1.0, calls=3)
    gate.set()


@tool
async def shout(text: str) -> str:
    """Louder."""
    await asyncio.sleep(0)
    return text.upper()


def test_a_cancelled_call_is_paid_and_its_coroutine_cancelled() -> None:
    seen: list[str] = []
    started = threading.Event()

    @tool(cost=Cost(usd=0.5))
    async def slow() -> None:
        """Sleep."""
        started.set()
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    registry, ledger = ToolRegistry([slow]), Ledger()

    async def main() -> None:
        task = asyncio.create_task(registry.call("slow", {}, ledger))
        await asyncio.to_thread(started.wait)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    for _ in range(200):
        if seen:
            break
        time.sleep(0.01)
    assert seen == ["cancelled"]
    assert (ledger.spent, ledger.reserved) == (Cost(usd=0.5, calls=1), Cost())


def test_calls_run_side_by_side() -> None:
    both = threading.Barrier(2, timeout=10)

    @tool
    def t() -> bool:
        """Wait for the other."""
        return both.wait() >= 0

    async def main() -> list[Any]:
        registry = ToolRegistry([t])
        return list(await asyncio.gather(*(registry.call("t", {}, Ledger()) for _ in range(2))))

    assert [r.value for r in asyncio.run(main())] == [True, True]


# -- money -----------------------------------------------------------------------------------------------------------


def test_the_most_is_reserved_before_and_the_price_charged_after() -> None:
    ledger = Ledger(Budget(usd=1.0))
    held: list[Cost] = []

    def body() -> Priced:
        held.append(ledger.reserved)
        return Priced("ok", Cost(usd=0.1))

    registry = make(body, cost=Cost(usd=0.4))
    result = registry.call_sync("t", {}, ledger)
    assert held == [Cost(usd=0.4, calls=1)]
    assert (result.value, result.cost, result.overrun) == ("ok", Cost(usd=0.1, calls=1), None)
    assert ledger.spent == Cost(usd=0.1, calls=1)


def test_a_call_that_could_pass_the_limit_is_not_made() -> None:
    made: list[int] = []
    registry = make(lambda: made.append(1), cost=Cost(usd=0.4), max_calls=3)
    ledger = Ledger(Budget(usd=1.0))
    registry.call_sync("t", {}, ledger)
    registry.call_sync("t", {}, ledger)
    for _ in range(3):
        with pytest.raises(BudgetExceeded) as error:
            registry.call_sync("t", {}, ledger)
    assert (error.value.limit, len(made)) == ("usd", 2)
    assert ledger.spent == Cost(usd=0.8, calls=2)
    ledger.top_up(Budget(usd=2.0))  # refused calls did not count against max_calls
    assert registry.call_sync("t", {}, ledger).error is None


def test_the_call_itself_counts() -> None:
    ledger = Ledger(Budget(usd=0, calls=1))
    registry = ToolRegistry([add])
    registry.call_sync("add", {"a": 1}, ledger)
    with pytest.raises(BudgetExceeded, match="calls=1"):
        registry.call_sync("add", {"a": 1}, ledger)


def test_an_overrun_is_charged_recorded_and_learned() -> None:
    registry = make(lambda: Priced(1, Cost(usd=0.5, tokens=7)), cost=Cost(usd=0.2))
    ledger = Ledger(Budget(usd=1.0))
    result = registry.call_sync("t", {}, ledger)
    assert result.overrun == Cost(usd=0.3, tokens=7)
    assert ledger.spent == Cost(usd=0.5, tokens=7, calls=1)
    stats = registry.stats("t")
    assert (stats.most, stats.overruns) == (Cost(usd=0.8, tokens=14, calls=1), 1)
    assert not registry.call_sync("t", {}, ledger).made
    assert ledger.spent.usd == 0.5


@pytest.mark.parametrize("policy", ["refuse", "reprice"])
def test_a_cost_that_nobody_believes_is_charged_as_declared(policy: Any) -> None:
    registry = ToolRegistry(overruns=policy)

    @registry.add
    @tool(cost=Cost(usd=0.25))
    def t() -> Priced:
        """Do it."""
        return Priced(1, Cost(usd=1.7e308))

    ledger = Ledger(Budget(usd=1))
    for _ in range(2):
        assert "usd=1.7e+308, which nobody believes" in str(registry.call_sync("t", {}, ledger).error)
    assert (ledger.spent.usd, registry.stats("t").overruns) == (0.5, 0)


def test_a_cost_that_was_tampered_with_is_no_cost() -> None:
    cost = Cost(usd=0.5)
    object.__setattr__(cost, "usd", -5.0)
    ledger = Ledger(Budget(usd=1))
    result = make(lambda: Priced(1, cost), cost=Cost(usd=0.5)).call_sync("t", {}, ledger)
    assert "a cost is a finite number >= 0, but usd=-5.0" in str(result.error)
    assert ledger.spent.usd == 0.5


def test_no_call_outlasts_the_seconds_left() -> None:
    gate = threading.Event()
    registry = make(lambda: gate.wait(20))
    start = time.perf_counter()
    result = registry.call_sync("t", {}, Ledger(Budget(seconds=0.1)))
    assert "seconds left in the budget" in str(result.error)
    assert time.perf_counter() - start < 5
    gate.set()
    spent = Ledger(Budget(usd=None, seconds=1.0), spent=Cost(seconds=1.0))
    with pytest.raises(BudgetExceeded, match="seconds=1"):
        registry.call_sync("t", {}, spent)


def test_declared_seconds_are_measured() -> None:
    ledger = Ledger()
    make(lambda: time.sleep(0.02), cost=Cost(seconds=5)).call_sync("t", {}, ledger)
    assert 0.02 <= ledger.spent.seconds < 5


def test_max_calls_counts_per_run_and_under_threads() -> None:
    registry = make(lambda: 1, max_calls=3)
    ledger, results = Ledger(), []

    def work() -> None:
        results.append(registry.call_sync("t", {}, ledger))

    threads = [threading.Thread(target=work) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(r.error is None for r in results) == 3
    assert ledger.spent == Cost(calls=3)
    assert "max_calls=3" in str(registry.call_sync("t", {}, ledger).error)
    registry.begin_run()
    assert registry.call_sync("t", {}, ledger).error is None


# -- approval --------------------------------------------------------------------------------------------------------


def test_side_effects_need_approval() -> None:
    sent: list[str] = []

    @tool(side_effects=True, max_calls=1)
    def mail(to: str) -> bool:
        """Send a mail."""
        sent.append(to)
        return True

    def run(registry: ToolRegistry) -> str | None:
        return registry.call_sync("mail", {"to": "a"}, Ledger()).error

    assert "nobody can approve" in str(run(ToolRegistry([mail])))
    asked: list[Any] = []

    def refuse(name: str, args: Any) -> bool:
        asked.append((name, args))
        return False

    assert run(ToolRegistry([mail], approve=refuse, allow_side_effects=True)) == "mail was not approved"
    assert asked == [("mail", {"to": "a"})]

    async def forgot_to_await(name: str, args: Any) -> bool:
        return True

    assert "not True or False" in str(run(ToolRegistry([mail], approve=forgot_to_await)))  # type: ignore[arg-type]
    assert "ZeroDivisionError" in str(run(ToolRegistry([mail], approve=lambda n, a: 1 / 0 > 0)))
    assert sent == []
    answers = iter([False, True])
    registry = ToolRegistry([mail], approve=lambda n, a: next(answers))
    assert run(registry) is not None
    assert run(registry) is None  # the refused call did not use up max_calls
    assert run(ToolRegistry([mail], allow_side_effects=True)) is None
    assert sent == ["a", "a"]


def test_without_time_left_the_refusal_names_the_limit_and_asks_for_something() -> None:
    registry, account = ToolRegistry([plain_echo]), Ledger(Budget(usd=None, seconds=2))
    account.spend(Cost(seconds=2))
    with pytest.raises(BudgetExceeded) as refused:
        registry.call_sync("plain_echo", {"text": "x"}, account.child())
    assert (refused.value.limit, refused.value.allowed, refused.value.spent) == ("seconds", 2, 2)
    assert refused.value.asked > 0
    assert registry.stats("plain_echo").calls == 0
    task = Ledger().child(Budget(usd=None, seconds=1))
    task.spend(Cost(seconds=1))
    with pytest.raises(BudgetExceeded, match="seconds=1 "):
        registry.call_sync("plain_echo", {"text": "x"}, task)


@tool
def plain_echo(text: str) -> str:
    """Say it again."""
    return text
