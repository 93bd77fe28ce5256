"""The ledger: no limit is ever passed by what was reserved, whoever reserves, however it ends."""

from __future__ import annotations

import asyncio
import math
import pickle
import threading
import time
from dataclasses import astuple, fields
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from habilis.core import Budget, BudgetExceeded, Cost, InputError, JournalError, Ledger, Reservation, as_budget

KINDS = [f.name for f in fields(Cost)]

money = st.integers(0, 500).map(lambda cents: cents / 100) | st.floats(0, 5, allow_subnormal=False)
costs = st.builds(
    Cost,
    usd=money,
    tokens=st.integers(0, 500),
    seconds=money,
    world_steps=st.integers(0, 50),
    search_steps=st.integers(0, 50),
    calls=st.integers(0, 3),
)
budgets = st.builds(
    Budget,
    usd=st.none() | money,
    tokens=st.none() | st.integers(0, 2000),
    seconds=st.none() | money,
    world_steps=st.none() | st.integers(0, 200),
    search_steps=st.none() | st.integers(0, 200),
    calls=st.none() | st.integers(0, 10),
)


def within(ledger: Ledger, over: Cost) -> None:
    """No limit is passed by more than what calls have cost above what they had reserved."""
    spent, reserved = ledger.spent, ledger.reserved
    for kind in KINDS:
        assert getattr(spent, kind) >= 0
        assert getattr(reserved, kind) >= 0
        limit = getattr(ledger.limit, kind)
        if limit is not None:
            total = getattr(spent, kind) + getattr(reserved, kind)
            assert total <= (limit + getattr(over, kind)) * (1 + 1e-12) + 1e-10, kind
            if kind not in ("usd", "seconds"):
                assert total <= limit + getattr(over, kind)


class Notes:
    """A keeper that writes down what it is told; it may be told to refuse."""

    def __init__(self) -> None:
        self.held: dict[str, Cost] = {}
        self.spent = Cost()
        self.full = False
        self._next = 0

    def reserved(self, cost: Cost, what: str, again: bool) -> str:
        if self.full:
            raise JournalError("the disk is full")
        self._next += 1
        self.held[str(self._next)] = cost
        return str(self._next)

    def settled(self, name: str, spent: Cost) -> None:
        del self.held[name]
        self.spent = spent
        if self.full:
            raise JournalError("the disk is full")


def lasting(cost: Cost) -> bool:
    return bool({"usd", "tokens", "seconds", "calls"} & set(cost.nonzero()))


class Accounts(RuleBasedStateMachine):
    """A tree of ledgers under random reservations, commits, overruns, releases, top-ups and children; some of them are
    kept by someone who may refuse."""

    ledgers: Bundle[Ledger] = Bundle("ledgers")
    held: Bundle[tuple[Ledger, Reservation, Cost]] = Bundle("held")

    def __init__(self) -> None:
        super().__init__()
        self.all: list[Ledger] = []
        self.parent: dict[int, Ledger | None] = {}
        self.charged: dict[int, list[Cost]] = {}
        self.open: list[tuple[Ledger, Cost]] = []
        self.over: dict[int, Cost] = {}
        self.direct: dict[int, list[Cost]] = {}
        self.notes: list[tuple[Ledger, Notes]] = []

    def _new(self, ledger: Ledger, parent: Ledger | None) -> Ledger:
        self.all.append(ledger)
        self.over[id(ledger)] = Cost()
        self.direct[id(ledger)] = []
        self.parent[id(ledger)] = parent
        self.charged[id(ledger)] = []
        return ledger

    def _up(self, ledger: Ledger | None) -> list[Ledger]:
        found = []
        while ledger is not None:
            found.append(ledger)
            ledger = self.parent[id(ledger)]
        return found

    @rule(target=ledgers, limit=budgets)
    def root(self, limit: Budget) -> Ledger:
        return self._new(Ledger(limit), None)

    @rule(target=ledgers, parent=ledgers, limit=st.none() | budgets)
    def child(self, parent: Ledger, limit: Budget | None) -> Ledger:
        return self._new(parent.child(limit), parent)

    @rule(target=ledgers, parent=ledgers, limit=st.none() | budgets)
    def kept(self, parent: Ledger, limit: Budget | None) -> Ledger:
        notes = Notes()
        ledger = self._new(Ledger(limit, parent=parent, keeper=notes), parent)
        self.notes.append((ledger, notes))
        return ledger

    def _notes(self, ledger: Ledger) -> Notes | None:
        """Those of the nearest ledger above that are kept."""
        return next((n for node in self._up(ledger) for one, n in self.notes if one is node), None)

    @rule(ledger=ledgers, limit=budgets)
    def top_up(self, ledger: Ledger, limit: Budget) -> None:
        wider = {}
        for kind in KINDS:
            both = (getattr(limit, kind), getattr(ledger.limit, kind))
            wider[kind] = None if None in both else max(both)
        ledger.top_up(Budget(**wider))

    @rule(ledger=ledgers, cost=costs)
    def refused_by_the_keeper(self, ledger: Ledger, cost: Cost) -> None:
        notes = self._notes(ledger)
        if notes is None or not lasting(cost) or not ledger.affords(cost):
            return
        before = [(n.spent, n.reserved) for n in self.all]
        notes.full = True
        with pytest.raises(JournalError):
            ledger.reserve(cost)
        notes.full = False
        assert [(n.spent, n.reserved) for n in self.all] == before

    @rule(target=held, ledger=ledgers, cost=costs)
    def reserve(self, ledger: Ledger, cost: Cost) -> Any:
        affordable = ledger.affords(cost)
        before = [(n.spent, n.reserved) for n in self.all]
        if affordable:
            self.open.append((ledger, cost))
            return (ledger, ledger.reserve(cost), cost)
        with pytest.raises(BudgetExceeded) as error:
            ledger.reserve(cost)
        assert error.value.asked == getattr(cost, error.value.limit) > 0
        assert [(n.spent, n.reserved) for n in self.all] == before
        return (ledger, ledger.reserve(Cost()), Cost())

    @rule(one=consumes(held), share=st.sampled_from([0, 0.5, 1, 1, 1.5]), twice=st.booleans(), full=st.booleans())
    def commit(self, one: tuple[Ledger, Reservation, Cost], share: float, twice: bool, full: bool) -> None:
        ledger, reservation, cost = one
        actual = Cost(
            cost.usd * share,
            int(cost.tokens * share),
            cost.seconds * share,
            int(cost.world_steps * share),
            int(cost.search_steps * share),
            int(cost.calls * share),
        )
        notes = self._notes(ledger)
        if notes is not None and full and lasting(cost):
            notes.full = True
            with pytest.raises(JournalError):
                reservation.commit(actual)
            notes.full = False  # what was not written down is settled all the same
        else:
            reservation.commit(actual)
        if twice:
            reservation.commit()
            reservation.release()
        self._closed(ledger, cost)
        self.direct[id(ledger)].append(actual)
        for node in self._up(ledger):
            self.charged[id(node)].append(actual)
            self.over[id(node)] += actual.less(cost)

    @rule(one=consumes(held), how=st.sampled_from(["release", "exit", "error", "async", "cancelled"]))
    def release(self, one: tuple[Ledger, Reservation, Cost], how: str) -> None:
        ledger, reservation, cost = one
        if how == "release":
            reservation.release()
        elif how == "exit":
            with reservation:
                pass
        elif how == "error":
            with pytest.raises(KeyError), reservation:
                raise KeyError
        else:
            asyncio.run(self._left_open(reservation, how == "cancelled"))
        self._closed(ledger, cost)

    async def _left_open(self, reservation: Reservation, cancelled: bool) -> None:
        async def work() -> None:
            async with reservation:
                await asyncio.sleep(60 if cancelled else 0)

        task = asyncio.create_task(work())
        await asyncio.sleep(0)
        if cancelled:
            task.cancel()
        await asyncio.wait({task})
        assert task.cancelled() == cancelled

    def _closed(self, ledger: Ledger, cost: Cost) -> None:
        if (ledger, cost) in self.open:
            self.open.remove((ledger, cost))

    @rule(ledger=ledgers)
    def what_remains_can_be_reserved(self, ledger: Ledger) -> None:
        left = ledger.remaining
        # A float may lie a rounding above what the sum allows; the slack of the check covers it.
        ledger.reserve(Cost(**{k: getattr(left, k) or 0 for k in KINDS})).release()

    @invariant()
    def books_agree(self) -> None:
        for node in self.all:
            within(node, self.over[id(node)])
            charged = self.charged[id(node)]
            own = [*self.direct[id(node)], *(n.spent for n in self.all if self.parent[id(n)] is node)]
            for kind in KINDS:
                spent = getattr(node.spent, kind)
                assert spent == pytest.approx(math.fsum(getattr(c, kind) for c in charged), abs=1e-9)
                assert spent == pytest.approx(math.fsum(getattr(c, kind) for c in own), abs=1e-9)
                below = [c for ledger, c in self.open if node in self._up(ledger)]
                held = math.fsum(getattr(c, kind) for c in below)
                assert getattr(node.reserved, kind) == pytest.approx(held, abs=1e-9)
                if not below:
                    assert getattr(node.reserved, kind) == 0

    @invariant()
    def what_is_kept_is_what_is_held(self) -> None:
        for ledger, notes in self.notes:
            mine = [cost for one, cost in self.open if lasting(cost) and self._notes(one) is notes]
            assert sorted(map(astuple, notes.held.values())) == sorted(map(astuple, mine))
            for kind in ("usd", "tokens", "seconds", "calls"):
                # Those kept by another ledger below are written down there, and here at the next call of its own.
                assert getattr(notes.spent, kind) <= getattr(ledger.spent, kind)


TestAccounts = Accounts.TestCase
TestAccounts.settings = settings(max_examples=50, stateful_step_count=25, deadline=None)


def test_thirty_two_threads_share_one_limit() -> None:
    root = Ledger(Budget(usd=1.0, calls=100))
    children = [root.child(Budget(usd=0.2)) for _ in range(8)]
    made = []
    start = threading.Barrier(32)
    over = []

    def work(number: int) -> None:
        ledger = children[number % 8]
        start.wait()
        for step in range(60):
            try:
                with ledger.reserve(Cost(usd=0.01, calls=1)) as held:
                    now = root.spent.usd + root.reserved.usd
                    if now > 1.02:  # two readings are not one, so at most a call in flight may count twice
                        over.append(now)
                    if step % 3 == 0:
                        raise ValueError
                    held.commit(Cost(usd=0.005 if step % 2 else 0.01, calls=1))
                    made.append(1)
            except ValueError:
                pass
            except BudgetExceeded:
                time.sleep(0)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert root.reserved == Cost()
    assert root.spent.calls == len(made) == 100
    assert root.spent.usd <= 1.0 + 1e-9
    assert root.spent.usd == pytest.approx(sum(c.spent.usd for c in children))
    assert all(c.spent.usd <= 0.2 + 1e-9 for c in children)


def test_one_reservation_is_settled_once_whoever_settles_it() -> None:
    for _ in range(50):
        ledger = Ledger()
        held = ledger.reserve(Cost(calls=1))
        start = threading.Barrier(4)

        def settle(start: threading.Barrier = start, held: Reservation = held) -> None:
            start.wait()
            held.commit()

        threads = [threading.Thread(target=settle) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (ledger.spent.calls, ledger.reserved.calls) == (1, 0)


def test_asking_what_is_affordable_disturbs_nobody() -> None:
    ledger = Ledger(Budget(calls=1))
    stop = threading.Event()
    answers = {True: 0, False: 0}

    def ask() -> None:
        while not stop.is_set():
            answers[ledger.affords(Cost(calls=1))] += 1

    thread = threading.Thread(target=ask)
    thread.start()
    granted = 0
    try:
        while granted < 2000 or not answers[True]:
            with ledger.reserve(Cost(calls=1)):  # refused, if asking held anything
                granted += 1
                assert not ledger.affords(Cost(calls=1))
    finally:
        stop.set()
        thread.join()
    assert (ledger.spent, ledger.reserved) == (Cost(), Cost())
    assert ledger.affords(Cost(calls=1))


def test_asyncio_tasks_and_cancellation() -> None:
    ledger = Ledger(Budget(calls=5))

    async def one(seconds: float) -> str:
        try:
            with ledger.reserve(Cost(calls=1)) as held:
                await asyncio.sleep(seconds)
                held.commit()
                return "made"
        except BudgetExceeded:
            return "refused"

    async def main() -> list[Any]:
        tasks = [asyncio.create_task(one(30 if i < 2 else 0)) for i in range(8)]
        await asyncio.sleep(0.02)
        assert ledger.reserved == Cost(calls=2)
        for task in tasks[:2]:
            task.cancel()
        return await asyncio.gather(*tasks, return_exceptions=True)

    results = asyncio.run(main())
    assert [r for r in results if isinstance(r, str)].count("made") == 3
    assert [r for r in results if isinstance(r, str)].count("refused") == 3
    assert (ledger.spent, ledger.reserved) == (Cost(calls=3), Cost())


def test_an_overrun_is_charged_and_stops_what_follows() -> None:
    root = Ledger(Budget(usd=1))
    child = root.child(Budget(usd=0.5))
    child.reserve(Cost(usd=0.4)).commit(Cost(usd=0.9))
    assert (root.spent.usd, child.remaining.usd) == (0.9, 0)
    with pytest.raises(BudgetExceeded) as error:
        child.reserve(Cost(usd=0.01))
    assert (error.value.limit, error.value.allowed, error.value.spent, error.value.asked) == ("usd", 0.5, 0.9, 0.01)
    assert "--max-usd" in str(error.value)
    child.reserve(Cost(tokens=5)).release()
    assert pickle.loads(pickle.dumps(error.value)).args == error.value.args


def test_a_limit_of_one_task_is_told_as_that() -> None:
    run = Ledger(Budget(usd=None, search_steps=100))
    task = run.child(Budget(usd=None, search_steps=10), of="task")
    with pytest.raises(BudgetExceeded) as error:
        task.child().spend(Cost(search_steps=11))
    assert error.value.of == "task"
    assert str(error.value).startswith("the limit of one task, search_steps=10 is reached: ")
    assert "--max" not in str(error.value)
    assert "AgentSettings(task_budget=" in str(error.value)
    assert str(pickle.loads(pickle.dumps(error.value))) == str(error.value)
    with pytest.raises(BudgetExceeded, match="--max-search-steps"):  # both are reached: the run's is the one to raise
        task.spend(Cost(search_steps=101))


def test_a_child_gets_what_remains_and_a_top_up_continues() -> None:
    root = Ledger(Budget(usd=None, world_steps=10))
    root.spend(Cost(world_steps=4))
    child = root.child(Budget(usd=None, world_steps=100))
    assert child.remaining.world_steps == 6
    with pytest.raises(BudgetExceeded):
        child.spend(Cost(world_steps=7))
    root.top_up(Budget(usd=None, world_steps=20))
    child.spend(Cost(world_steps=7))
    assert root.spent == Cost(world_steps=11)


def test_many_small_sums_reach_the_limit_exactly() -> None:
    ledger = Ledger(Budget(usd=1.0))
    for _ in range(1000):
        ledger.spend(Cost(usd=0.001))
    with pytest.raises(BudgetExceeded):
        ledger.spend(Cost(usd=0.0001))


def test_whole_numbers_have_no_slack() -> None:
    ledger = Ledger(Budget(tokens=10**13))
    with pytest.raises(BudgetExceeded):
        ledger.reserve(Cost(tokens=10**13 + 1))


def test_sums_that_overflow_leave_the_books_as_they_were() -> None:
    root = Ledger()
    root.child().reserve(Cost(usd=1e308))
    child = root.child()
    with pytest.raises(InputError):
        child.reserve(Cost(usd=1e308))
    assert (root.reserved, child.reserved) == (Cost(usd=1e308), Cost())


def test_nothing_held_is_nothing_reserved() -> None:
    ledger = Ledger()
    both = [ledger.reserve(Cost(usd=0.1)), ledger.reserve(Cost(usd=0.2))]
    for one in both:
        one.release()
    assert ledger.reserved == Cost()  # though 0.1 + 0.2 - 0.1 - 0.2 is not 0


@pytest.mark.parametrize("value", [-1, math.nan, math.inf, True, "1", None, 10**400])
def test_what_is_no_amount_is_refused(value: Any) -> None:
    with pytest.raises(InputError, match="usd="):
        Cost(usd=value)
    with pytest.raises(InputError, match="tokens="):
        Cost(tokens=value)
    if value is not None:
        with pytest.raises(InputError, match="calls="):
            Budget(calls=value)


@given(budgets)
def test_budgets_read_back(budget: Budget) -> None:
    shown = {k: v for k, v in zip(KINDS, astuple(budget), strict=True) if v is not None}
    assert as_budget(shown) == budget
    assert Budget.parse(",".join(f"{k}={v!r}" for k, v in shown.items())) == budget
    assert as_budget(budget) is budget
    assert Cost.parse(",".join(f"{k}={v!r}" for k, v in shown.items())) == Cost(**shown)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text", ["usd", "usd=", "usd=x", "dollars=3", "usd=1;tokens=2", "usd=-1", "usd=nan", "tokens=inf", "usd=1,usd=2"]
)
def test_bad_budgets_say_what_is_wrong(text: str) -> None:
    with pytest.raises(InputError, match="budget"):
        as_budget(text)


def test_nothing_given_is_no_limit_but_a_plain_budget_has_no_money() -> None:
    assert as_budget(None) == as_budget("") == as_budget({}) == Budget.unlimited()
    assert Budget().usd == 0
    with pytest.raises(InputError, match="dollars"):
        as_budget({"dollars": 1})


def test_a_reservation_costs_microseconds() -> None:
    ledger = Ledger(Budget(usd=None, world_steps=10**9)).child().child()
    one = Cost(world_steps=1)
    start = time.process_time()
    for _ in range(3000):
        ledger.spend(one)
    assert (time.process_time() - start) / 3000 < 500e-6  # ten times what is usual, for slow machines


def test_sums_are_exact_however_long_they_are_held() -> None:
    ledger = Ledger(Budget(usd=0.3))
    kept = ledger.reserve(Cost(usd=0.1))  # something is always held, so that no crumb is ever swept up
    for _ in range(10_000):
        ledger.reserve(Cost(usd=0.2)).release()
        ledger.reserve(Cost(usd=1e-7)).release()
    assert ledger.reserved == Cost(usd=0.1)
    assert ledger.remaining.usd == 0.2
    kept.commit(Cost(usd=0.1))
    ledger.spend(Cost(usd=0.2))
    assert (ledger.spent.usd, ledger.remaining.usd) == (0.3, 0)


@pytest.mark.parametrize("limit", [0.29, 0.1 + 0.2, 1 / 3, 1e-12, 0.0])
def test_a_limit_is_never_more_than_it_says(limit: float) -> None:
    ledger = Ledger(Budget(usd=limit))
    ledger.spend(Cost(usd=ledger.remaining.usd or 0.0))
    assert limit - 1e-12 <= ledger.spent.usd <= limit
    with pytest.raises(BudgetExceeded):
        ledger.spend(Cost(usd=1e-11))


def test_with_a_budget_of_zero_nothing_that_costs_is_begun() -> None:
    ledger = Ledger(Budget(usd=0, tokens=0, seconds=0, world_steps=0, search_steps=0, calls=0))
    for kind in KINDS:
        with pytest.raises(BudgetExceeded, match=f"^the limit {kind}=0 is reached: 0 spent, 0 reserved, 1 more asked"):
            ledger.reserve(Cost(**{kind: 1}))
    ledger.reserve(Cost()).commit()


def test_a_part_of_a_token_counts_as_one() -> None:
    ledger = Ledger(Budget(usd=None, tokens=2))
    ledger.spend(Cost(tokens=1.5))  # type: ignore[arg-type]
    assert ledger.spent == Cost(tokens=2)
