"""Selection under a budget: never over a limit, closed over needs, close to the best, the same every time."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from habilis.core import Augmentation, Budget, Candidate, Cost, Goal, InputError, Kind, Selection, Task
from habilis.tools import BudgetSelector, exact_pick, value_of

TASK = Task(Goal.parse('count("stick") >= 1'), "craft", 0, "1.0")


def thing(
    name: str, relevance: float, *, kind: Kind = Kind.TOOL, cost: Cost | None = None, **rest: object
) -> Candidate:
    """What is nearer than 0.2 helps, the more so the better its record."""
    made = Augmentation(kind, name, name, cost=cost or Cost(), **rest)  # type: ignore[arg-type]
    record = (1 + made.successes) / (2 + made.uses)
    return Candidate(made, relevance, relevance * record if relevance >= 0.2 else 0.0)


def selector(**options: float) -> BudgetSelector:
    return BudgetSelector(**options)  # type: ignore[arg-type]


def names(selection: Selection) -> list[str]:
    return [a.name for a in selection.taken]


def why(selection: Selection, name: str) -> str:
    return next(c.why for c in selection.choices if c.augmentation.name == name)


def test_what_is_irrelevant_is_left_out_with_a_reason() -> None:
    pool = [thing("good", 0.9), thing("poor", 0.1), thing("opposite", 0.0)]
    selection = selector().pick(TASK, pool, Budget())
    assert names(selection) == ["good"]
    assert "relevance 0.90, 0 of 0 uses" in why(selection, "good")
    assert why(selection, "poor") == "too far from the task: relevance 0.10"
    assert why(selection, "opposite") == "too far from the task: relevance 0.00"
    assert selector().pick(TASK, pool[1:], Budget()).taken == ()
    assert selector().pick(TASK, [], Budget()).choices == ()


def test_relevance_times_track_record() -> None:
    pool = [thing("new", 0.8), thing("proven", 0.7, successes=8, uses=8), thing("failing", 0.9, successes=0, uses=8)]
    selection = selector().pick(TASK, pool, Budget())
    assert [round(c.success, 3) for c in selection.choices] == [0.63, 0.4, 0.09]
    assert names(selection) == ["proven", "new", "failing"]
    assert names(selector(max_items=1).pick(TASK, pool, Budget())) == ["proven"]


def test_one_provider_is_enough_and_the_cheap_one_wins_when_nearly_as_good() -> None:
    dear = thing("dear", 0.9, cost=Cost(usd=0.9), provides="search")
    cheap = thing("cheap", 0.88, cost=Cost(usd=0.01), provides="search")
    selection = selector().pick(TASK, [dear, cheap], Budget(usd=1))
    assert names(selection) == ["cheap"]
    assert why(selection, "dear") == "tool:cheap provides search already"
    assert names(selector(thrift=0).pick(TASK, [dear, cheap], Budget(usd=1))) == ["dear"]
    assert names(selector().pick(TASK, [dear, cheap], Budget(usd=None))) == ["dear"]


def test_a_dear_thing_that_hardly_helps_is_not_worth_it() -> None:
    selection = selector().pick(TASK, [thing("dear", 0.21, cost=Cost(usd=1), uses=9)], Budget(usd=1))
    assert selection.taken == ()
    assert "not worth its price 1.00" in why(selection, "dear")


def test_money_that_is_not_there_is_not_spent() -> None:
    pool = [thing("paid", 0.9, cost=Cost(usd=0.02)), thing("free", 0.5)]
    selection = selector().pick(TASK, pool, Budget(usd=0))
    assert names(selection) == ["free"]
    assert "usd=0.02, and 0 is left" in why(selection, "paid")


def test_needs_come_along_and_are_paid() -> None:
    base = thing("base", 0.0, kind=Kind.SKILL, cost=Cost(world_steps=6))
    mid = thing("mid", 0.1, kind=Kind.SKILL, cost=Cost(world_steps=3), requires=("base",))
    top = thing("top", 0.9, kind=Kind.SKILL, cost=Cost(world_steps=1), requires=("skill:mid",))
    selection = selector().pick(TASK, [top, mid, base], Budget(world_steps=10))
    assert sorted(names(selection)) == ["base", "mid", "top"]
    assert selection.cost == Cost(world_steps=10)
    assert why(selection, "base") == "needed by skill:top"
    short = selector().pick(TASK, [top, mid, base], Budget(world_steps=9))
    assert short.taken == ()
    assert "with all it needs it takes world_steps=10, and 9 is left" in why(short, "top")
    lacking = selector().pick(TASK, [top, mid], Budget())
    assert why(lacking, "top") == "it needs base, which is not at hand"


def test_a_cycle_of_needs_ends() -> None:
    pool = [thing("a", 0.9, requires=("b",)), thing("b", 0.0, requires=("a",))]
    assert sorted(names(selector().pick(TASK, pool, Budget()))) == ["a", "b"]


def test_the_vector_of_limits() -> None:
    pool = [
        thing("money", 0.8, cost=Cost(usd=0.9)),
        thing("time", 0.8, cost=Cost(seconds=9)),
        thing("both", 0.9, cost=Cost(usd=0.9, seconds=9)),
    ]
    assert names(selector().pick(TASK, pool, Budget(usd=1, seconds=10))) == ["money", "time"]


def test_two_of_one_id_are_refused_and_the_same_twice_is_one() -> None:
    with pytest.raises(InputError, match="tool:a"):
        selector().pick(TASK, [thing("a", 0.9), thing("a", 0.8)], Budget())
    assert names(selector().pick(TASK, [thing("a", 0.9), thing("a", 0.9)], Budget())) == ["a"]


def test_ties_go_to_the_first_id() -> None:
    pool = [thing(n, 0.5, provides="p") for n in "cab"]
    assert names(selector().pick(TASK, pool, Budget())) == ["a"]
    assert names(selector().pick(TASK, pool[::-1], Budget())) == ["a"]


@st.composite
def pools(draw: st.DrawFn) -> tuple[list[Candidate], Budget]:
    size = draw(st.integers(0, 9))
    tens = st.integers(0, 10)
    pool = [
        thing(
            f"t{i}",
            draw(tens) / 10,
            cost=Cost(usd=draw(tens) / 10, world_steps=draw(tens)),
            provides=draw(st.sampled_from(["", "", "x", "y"])),
            requires=tuple(draw(st.lists(st.integers(0, size).map(lambda n: f"t{n}"), max_size=2))),
            successes=(wins := draw(st.integers(0, 5))),
            uses=wins + draw(st.integers(0, 5)),
        )
        for i in range(size)
    ]
    steps = draw(st.none() | st.integers(0, 30))
    return pool, Budget(usd=draw(tens) / 5, world_steps=steps)


@given(pools(), st.randoms(use_true_random=False))
@settings(max_examples=150, deadline=None)
def test_every_selection_keeps_every_rule(case: tuple[list[Candidate], Budget], shuffler: random.Random) -> None:
    pool, limit = case
    selection = selector(max_items=5).pick(TASK, pool, limit)
    taken = {a.name: a for a in selection.taken}
    assert len(taken) <= 5
    assert {c.augmentation.name for c in selection.choices} == {c.augmentation.name for c in pool}
    assert all(c.why for c in selection.choices)
    total = Cost()
    for one in selection.taken:
        total = total + one.cost
        assert set(one.requires) <= set(taken)
    assert selection.cost == total
    assert limit.usd is not None
    assert total.usd <= limit.usd + 1e-9
    assert limit.world_steps is None or total.world_steps <= limit.world_steps
    provided = [a.provides for a in selection.taken if a.provides]
    assert len(provided) == len(set(provided))
    best = exact_pick(selector(max_items=5), pool, limit)
    assert value_of(selection) <= value_of(best) + 1e-9
    assert (value_of(best) > 1e-9) <= bool(selection.taken)
    shuffler.shuffle(pool)
    assert selector(max_items=5).pick(TASK, pool, limit) == selection


def test_close_to_the_best_on_average() -> None:
    random_ = random.Random(7)
    shares = []
    for _ in range(120):
        pool = [
            thing(
                f"t{i}",
                round(random_.uniform(0.2, 1), 3),
                cost=Cost(usd=random_.randint(1, 60) / 100, seconds=random_.randint(0, 8)),
                provides=random_.choice(["", "", "", "a", "b"]),
                requires=tuple(f"t{n}" for n in random_.sample(range(11), random_.choice([0, 0, 0, 1, 2]))),
            )
            for i in range(11)
        ]
        limit = Budget(usd=1.0, seconds=12)
        best = value_of(exact_pick(selector(), pool, limit))
        if best > 0:
            shares.append(value_of(selector().pick(TASK, pool, limit)) / best)
    assert len(shares) > 100
    assert sum(shares) / len(shares) > 0.98
    assert min(shares) > 0.75


def test_exact_refuses_what_it_cannot_finish() -> None:
    with pytest.raises(InputError, match="the limit is 20"):
        exact_pick(selector(), [thing(f"t{i}", 0.9) for i in range(21)], Budget())
