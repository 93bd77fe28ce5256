"""The budget benchmark: its auditor finds what it is there to find, and the ledger passes."""

from __future__ import annotations

from typing import Any

import pytest
from benchmarks._budget_audit import Call, audit
from benchmarks._budget_load import by_tools, from_tasks, from_threads
from benchmarks._budget_loop import spell
from benchmarks._harness import Options
from benchmarks.budget import violations

from habilis.core import Budget, Cost, Ledger
from habilis.memory.embedding import HashEmbedder

LIMITS = {"all": Budget(usd=1.0), "run": Budget(usd=0.5, calls=2)}


def call(began: int, ended: int | None, usd: float, actual: float | None = None, **more: Any) -> Call:
    cost = None if ended is None else Cost(usd=usd if actual is None else actual, calls=1)
    given = {"settled": ended, "payee": "t"} | more
    return Call(("run", "all"), Cost(usd=usd, calls=1), began - 1, began, ended, actual=cost, **given)


@pytest.mark.parametrize(
    ("calls", "many"),
    [
        ([call(10, 20, 0.25), call(30, 40, 0.25)], 0),
        ([call(10, 20, 0.25), call(30, 40, 0.375)], 1),
        ([call(10, 20, 0.5, 0.125), call(30, 40, 0.375)], 0),  # the first has cost less than it declared
        ([call(10, 20, 0.5, 0.125), call(15, 40, 0.375)], 1),  # but nobody could know that yet
        ([call(10, None, 0.5), call(30, 40, 0.125)], 1),  # cut short: counts as declared
        ([call(10, 20, 0.0625), call(11, 20, 0.0625), call(12, 20, 0.0625)], 1),  # calls=2
        ([call(10, 20, 0.25, 0.5), call(30, 40, 0.125)], 1),  # after an overrun
        ([call(10, 20, 0.25, 0.5, settled=35), call(30, 40, 0.125)], 0),  # which was not settled yet
    ],
)
def test_the_auditor_counts_what_should_not_have_begun(calls: list[Call], many: int) -> None:
    found = audit(calls, LIMITS)
    assert (found.calls, found.violations) == (len(calls), many)
    assert sum(found.overruns.values()) == sum(c.overran for c in calls)


def test_a_ledger_that_does_not_check_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Ledger, "_check", lambda *_: None)
    assert from_threads(0, 100)[0].violations > 100
    assert from_tasks(0, 100)[0].violations > 10


def test_the_ledger_passes_and_its_limits_are_reached() -> None:
    for found, refused in (from_threads(0, 100), from_tasks(0, 100), by_tools(0, 10, "refuse")):
        assert found.violations == 0
        assert found.calls > 50
        assert refused > 10
        assert max(found.overruns.values(), default=0) <= 1


def test_the_benchmark_counts_over_kills_too() -> None:
    figures = violations(Options(quick=True, seeds=1))
    assert figures["violations"].value == figures["forgotten_usd"].value == 0
    assert figures["rival_violations"].value > 0
    assert figures["kills"].value > 0


def test_the_same_tasks_cost_no_more_than_the_money() -> None:
    embedder = HashEmbedder()
    bought = spell("all", 0.1, 0, embedder, 4)
    assert bought.tried == 4
    assert 0 < bought.usd <= 0.1
    assert sum(bought.calls.values()) > 0
    assert spell("none", 0.1, 0, embedder, 2).usd == 0
