"""A budget over a stream of tasks: never overspent, used up evenly, gone on with after a stop."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from habilis.core import Augmentation, Budget, Candidate, Cost, Goal, InputError, Kind, Ledger, Task
from habilis.tools import BudgetSelector, Pacer, PacingSettings, Prices

TASK = Task(Goal.parse('count("stick") >= 1'), "craft", 0, "any")


def option(name: str, usd: float, chance: float) -> Candidate:
    return Candidate(Augmentation(Kind.MODEL, name, name, cost=Cost(usd=usd), provides="answer"), 0.0, chance)


def lived(pacer: Pacer, ledger: Ledger, tasks: int, seed: int = 0) -> list[str]:
    """Tasks that differ in what the dear one adds; what was taken for each."""
    draw, selector, taken = random.Random(seed), BudgetSelector(max_items=1), []
    for _ in range(tasks):
        allowed = pacer.allow(ledger.remaining)
        child = ledger.child(allowed.limit)
        selector.prices = allowed.prices
        pool = [option("cheap", 0.01, 0.5), option("dear", 0.09, 0.5 + 0.4 * draw.random())]
        picked = selector.pick(TASK, pool, allowed.limit)
        child.spend(picked.cost)
        pacer.ended(child.spent)
        taken += [a.name for a in picked.taken] or ["none"]
    return taken


@pytest.mark.parametrize("usd", [2.0, 6.0, 12.0])
def test_a_total_is_spent_over_the_whole_stream(usd: float) -> None:
    ledger = Ledger(Budget(usd=usd))
    taken = lived(Pacer(ledger.limit, tasks=300), ledger, 300)
    assert 0.9 * usd < ledger.spent.usd <= usd * (1 + 1e-12)
    dear = [i for i, name in enumerate(taken) if name == "dear"]
    assert len(dear) == pytest.approx((usd - 3.0) / 0.08 if usd > 3 else 0, abs=15)
    if usd > 3:
        first, last = sum(i < 150 for i in dear), sum(i >= 150 for i in dear)
        assert 0.6 < first / last < 1.6
    else:
        assert taken.count("none") > 50  # not every task can be paid, and the late ones fare as the early ones
        assert abs(taken[:150].count("cheap") - taken[150:].count("cheap")) < 50


def test_the_dear_one_is_bought_where_it_adds_most() -> None:
    ledger, draw = Ledger(Budget(usd=6)), random.Random(0)
    taken = lived(Pacer(ledger.limit, tasks=300), ledger, 300)
    gains = [draw.random() for _ in taken]
    bought = [g for g, name in zip(gains, taken, strict=True) if name == "dear"]
    left = [g for g, name in zip(gains, taken, strict=True) if name != "dear"]
    assert np.mean(bought) > np.mean(left) + 0.3


def test_with_nothing_to_limit_nothing_has_a_price() -> None:
    allowed = Pacer(Budget.unlimited(), tasks=10).allow(Budget.unlimited())
    assert allowed.prices == Prices()
    assert allowed.limit == Budget.unlimited()
    none = Pacer(Budget(usd=0), tasks=10).allow(Budget(usd=0))
    assert none.prices.cost(Cost(usd=1)) == 0
    assert none.limit.usd == 0


def test_an_unknown_number_of_tasks_never_takes_all() -> None:
    ledger = Ledger(Budget(usd=1))
    lived(Pacer(ledger.limit), ledger, 400)
    assert 0.5 < ledger.spent.usd < 1
    rated = Pacer(Budget(usd=1, calls=100), rate=Budget(usd=0.02))
    allowed = rated.allow(Budget(usd=1, calls=100))
    assert allowed.share == {"usd": 0.02, "calls": 1}
    assert allowed.limit.usd == pytest.approx(0.4)


def test_it_goes_on_where_it_was() -> None:
    whole, cut = Ledger(Budget(usd=6)), Ledger(Budget(usd=6))
    one, other = Pacer(whole.limit, tasks=200), Pacer(cut.limit, tasks=200)
    lived(one, whole, 100)
    lived(other, cut, 100)
    again = Pacer(cut.limit, tasks=200)
    again.load(json.loads(json.dumps(other.save())))
    assert lived(one, whole, 100, seed=1) == lived(again, cut, 100, seed=1)
    assert whole.spent == cut.spent
    assert one.save() == again.save()


@given(
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 30), st.floats(0, 1)), min_size=1, max_size=40),
    st.floats(0, 3),
    st.integers(0, 60),
    st.integers(1, 60) | st.none(),
    st.floats(0.01, 1),
)
@settings(max_examples=150, deadline=None)
def test_no_limit_is_ever_passed(
    offers: list[tuple[float, int, float]], usd: float, calls: int, tasks: int | None, step: float
) -> None:
    """More tasks than were announced, wild steps, dear offers: reservations stand within the limit all the same."""
    ledger = Ledger(Budget(usd=usd, calls=calls))
    pacer = Pacer(ledger.limit, tasks, settings=PacingSettings(step=step, slice=1.0))
    selector = BudgetSelector()
    for money, times, chance in offers:
        allowed = pacer.allow(ledger.remaining)
        assert allowed.limit.usd is not None
        assert allowed.limit.usd <= (ledger.remaining.usd or 0)
        selector.prices = allowed.prices
        pool = [
            Candidate(Augmentation(Kind.TOOL, "a", "a", cost=Cost(usd=money, calls=times)), 0.5, chance),
            Candidate(Augmentation(Kind.TOOL, "b", "b", cost=Cost(usd=money / 3)), 0.5, chance / 2),
        ]
        child = ledger.child(allowed.limit)
        picked = selector.pick(TASK, pool, child.remaining)
        tried = pacer.explore(selector, TASK, pool, np.array([0.1, 0.5], dtype=np.float32), child.remaining, picked)
        child.spend(tried.cost)
        pacer.ended(child.spent)
    assert ledger.spent.usd <= usd * (1 + 1e-9)
    assert ledger.spent.calls <= calls


def test_exploring_is_paid_from_a_slice_of_the_slack() -> None:
    pool = [option("known", 0.01, 0.6), option("new", 0.02, 0.5)]
    doubts = np.array([0.01, 0.3], dtype=np.float32)

    def tried(spent: float, slice: float = 0.2) -> int:
        """How often the new one is tried where every task spends so much otherwise."""
        pacer, selector = Pacer(Budget(usd=10), tasks=100, settings=PacingSettings(slice=slice)), BudgetSelector()
        count, left = 0, 10.0
        for _ in range(100):
            allowed = pacer.allow(Budget(usd=left))
            selector.prices = Prices()
            picked = selector.pick(TASK, pool, allowed.limit)
            assert [a.name for a in picked.taken] == ["known"]
            count += pacer.explore(selector, TASK, pool, doubts, allowed.limit, picked) is not picked
            pacer.ended(Cost(usd=spent))
            left -= spent
        return count

    assert tried(0.1) == 0  # the whole pace is used
    assert 10 <= tried(0.02) <= 20
    assert tried(0.02, slice=0.0) == 0
    assert tried(0.095) < 10


def test_prices_take_the_place_of_thrift() -> None:
    pool = [option("cheap", 0.01, 0.5), option("dear", 0.09, 0.7)]
    selector = BudgetSelector(prices=Prices({"usd": 2.0}))
    assert [a.name for a in selector.pick(TASK, pool, Budget(usd=1)).taken] == ["dear"]
    selector.prices = Prices({"usd": 3.0})
    picked = selector.pick(TASK, pool, Budget(usd=1))
    assert [a.name for a in picked.taken] == ["cheap"]
    assert picked.choices[0].price == pytest.approx(0.03)
    selector.prices = Prices({"usd": 60.0})
    nothing = selector.pick(TASK, pool, Budget(usd=1))
    assert nothing.taken == ()  # abstains
    assert "not worth its price" in nothing.choices[0].why


def test_what_makes_no_sense_is_refused() -> None:
    for prices in ({"usd": -1.0}, {"gold": 1.0}, {"usd": float("inf")}, {"usd": float("nan")}):
        with pytest.raises(InputError, match="price"):
            Prices(prices)
    with pytest.raises(InputError, match="tasks=0"):
        Pacer(Budget(), tasks=0)
    with pytest.raises(InputError, match="not both"):
        Pacer(Budget(), tasks=5, rate=Budget())
    for wrong in ({"step": 0.0}, {"least": 0.5}, {"slice": 2.0}, {"burst": 0.5}, {"ahead": 0}):
        with pytest.raises(InputError):
            PacingSettings(**wrong)  # type: ignore[arg-type]
