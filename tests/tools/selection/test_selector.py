"""Selection under a budget: never over a limit, closed over needs, close to the best, the same every time."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from habilis.core import Augmentation, Budget, Candidate, Choice, Cost, InputError, Kind, Selection, Task
from habilis.testing.selector import TASK, check_pick, check_selector, pools
from habilis.tools import BudgetSelector, exact_pick, value_of


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
    assert why(selection, "poor") == "nothing is expected of it: chance 0 at relevance 0.10"
    assert why(selection, "opposite") == "nothing is expected of it: chance 0 at relevance 0.00"
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
    assert [why(selection, n) for n in ("mid", "base")] == ["needed by skill:top", "needed by skill:mid"]
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


def test_it_conforms() -> None:
    check_selector(BudgetSelector)
    check_selector(lambda: BudgetSelector(max_items=3, max_context=2_000, thrift=0))


@given(pools(), st.integers(1, 5), st.integers(0, 20), st.randoms(use_true_random=False))
@settings(max_examples=150, deadline=None)
def test_every_selection_keeps_every_rule(
    case: tuple[list[Candidate], Budget], items: int, hundreds: int, shuffler: random.Random
) -> None:
    pool, limit = case
    mine = BudgetSelector(max_items=items, max_context=100 * hundreds)
    limits = {"max_items": items, "max_context": 100 * hundreds}
    selection = check_pick(mine, pool, limit, **limits)  # type: ignore[arg-type]
    best = exact_pick(mine, pool, limit)
    assert value_of(selection) <= value_of(best) + 1e-9
    assert (value_of(best) > 1e-9) <= bool(selection.taken)
    check_pick(Fixed(best), pool, limit, **limits)  # type: ignore[arg-type]
    shuffler.shuffle(pool)
    assert mine.pick(TASK, pool, limit) == selection


class Fixed:
    """Picks what it was told to."""

    def __init__(self, selection: Selection) -> None:
        self.selection = selection

    def pick(self, task: Task, pool: Sequence[Candidate], limit: Budget) -> Selection:
        return self.selection


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda c: replace(c, blocked="usd") if c.blocked == "provides" else c, "usd, and with it only"),
        (lambda c: replace(c, blocked="items") if c.blocked == "worth" else c, "items, and with it only"),
        (lambda c: replace(c, blocked="worth") if c.blocked == "provides" else c, "the value rises"),
        (lambda c: replace(c, blocked="chance") if c.blocked == "provides" else c, "its chance is 0.4"),
        (lambda c: replace(c, blocked="requires") if c.blocked == "provides" else c, "all it requires is there"),
        (lambda c: replace(c, taken=True, blocked="") if c.blocked == "provides" else c, "passes provides"),
        (lambda c: replace(c, taken=False, blocked="worth") if c.success == 0 else c, "without .'tool:base'."),
        (lambda c: replace(c, why=""), "no reason"),
        (lambda c: replace(c, taken=True, blocked=""), "passes provides"),
    ],
)
def test_a_selection_that_breaks_a_rule_is_found(change: Callable[[Choice], Choice], told: str) -> None:
    pool = [
        thing("good", 0.9, provides="p", requires=("base",)),
        thing("rival", 0.8, provides="p"),
        thing("base", 0.1),
        thing("dear", 0.21, cost=Cost(usd=0.9), uses=9),
    ]
    selection = check_pick(BudgetSelector(), pool, Budget(usd=1))
    wrong = replace(selection, choices=tuple(map(change, selection.choices)))
    with pytest.raises(AssertionError, match=told):
        check_pick(Fixed(wrong), pool, Budget(usd=1))


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


def test_the_second_example_is_worth_less_than_the_second_tool() -> None:
    def both(kind: Kind) -> list[str]:
        pool = [thing(n, 0.9, kind=kind, cost=Cost(usd=0.5), successes=98, uses=98) for n in "ab"]
        return names(selector(thrift=0.4).pick(TASK, pool, Budget(usd=1)))

    assert both(Kind.TOOL) == ["a", "b"]  # two parts of the task: 0.9 for half of a limit each
    assert both(Kind.SKILL) == ["a", "b"]
    assert both(Kind.DEMONSTRATION) == ["a"]  # the second would add 0.1 * 0.9
    assert both(Kind.DOCUMENT) == ["a"]
    assert both(Kind.MODEL) == ["a"]


def test_the_value_joins_the_chances_of_one_need_and_adds_up_needs() -> None:
    pool = [
        *(Candidate(Augmentation(Kind.DOCUMENT, n, n, Cost(usd=0.1)), 0.5, 0.5) for n in "ab"),
        *(Candidate(Augmentation(Kind.TOOL, n, n, Cost(usd=0.1)), 0.5, 0.5) for n in "cd"),
    ]
    selection = selector().pick(TASK, pool, Budget(usd=1))
    assert len(selection.taken) == 4
    assert value_of(selection) == pytest.approx(0.75 + 0.5 + 0.5 - 0.1 * 0.4)
    certain = [Candidate(Augmentation(Kind.DOCUMENT, n, n, Cost(usd=0.1)), 1, 1) for n in "ab"]
    assert names(selector().pick(TASK, certain, Budget(usd=1))) == ["a"]


def test_the_context_is_a_limit_of_its_own() -> None:
    long, short = thing("long", 0.9, context=900), thing("short", 0.5, context=200)
    selection = selector(max_context=1_000).pick(TASK, [long, short], Budget())
    assert names(selection) == ["long"]
    assert why(selection, "short") == "with what is taken it takes 1100 tokens of the prompt, and max_context=1000"
    assert next(c.price for c in selection.choices if c.taken) == pytest.approx(0.9)
    assert names(selector(max_context=None).pick(TASK, [long, short], Budget())) == ["long", "short"]
    book = thing("book", 0.9, context=20_000)
    none = selector().pick(TASK, [book], Budget())
    assert why(none, "book") == "it takes 20000 tokens of the prompt, and max_context=16000"
    for negative in (-1, math.nan):
        with pytest.raises(InputError, match="max_context"):
            selector(max_context=negative)
    with pytest.raises(InputError, match="tool:x: context is a whole number"):
        thing("x", 0.9, context=-1)


def test_reasons_tell_what_stood_in_the_way() -> None:
    pool = [
        thing("good", 0.9, cost=Cost(usd=0.6)),
        thing("big", 0.8, cost=Cost(usd=0.5)),
        thing("needy", 0.7, requires=("rival",), cost=Cost(usd=0.3)),
        thing("rival", 0.1, provides="p"),
        thing("held", 0.9, provides="p", cost=Cost(usd=0.01)),
    ]
    selection = selector().pick(TASK, pool, Budget(usd=1))
    assert names(selection) == ["good", "held"]
    assert why(selection, "big") == "with what is taken it takes usd=1.11, and 1 is left"
    assert why(selection, "needy") == "it needs tool:rival, and tool:held provides p already"
    crowd = [thing(n, 0.9) for n in "abc"]
    two = selector(max_items=2).pick(TASK, crowd, Budget())
    assert why(two, "c") == "with what is taken there would be 3, and max_items=2"
    near = [thing("a", 0.9, cost=Cost(usd=1 + 1e-9))]
    assert why(selector().pick(TASK, near, Budget(usd=1)), "a") == "it takes usd=1.000000001, and 1 is left"


def test_what_is_taken_for_others_is_told_even_where_it_helps_itself() -> None:
    selection = selector().pick(TASK, [thing("top", 0.9, requires=("base",)), thing("base", 0.5)], Budget())
    assert why(selection, "base").endswith("uses succeeded), and needed by tool:top")


@pytest.mark.parametrize(
    ("relevance", "chance"), [(0.5, math.nan), (0.5, 1.5), (0.5, -0.1), (math.nan, 0.5), (-1, 0.5)]
)
def test_a_chance_that_is_none_is_refused(relevance: float, chance: float) -> None:
    with pytest.raises(InputError, match="tool:odd"):
        selector().pick(TASK, [Candidate(Augmentation(Kind.TOOL, "odd", "odd"), relevance, chance)], Budget())


def test_a_large_pool_is_no_matter() -> None:
    random_ = random.Random(3)
    pool = [
        thing(f"t{i}", random_.random(), cost=Cost(usd=random_.random()), requires=(f"t{i // 2}",) if i else ())
        for i in range(1_000)
    ]
    check_pick(selector(), pool, Budget(usd=4), max_items=12, value=None)


@pytest.mark.filterwarnings("error")
def test_numbers_at_the_ends_of_what_there_is() -> None:
    huge, tiny = Cost(usd=1e308, seconds=1e308), Cost(usd=1e-320)
    pool = [
        thing("huge", 0.9, cost=huge),
        thing("both", 0.9, cost=huge, requires=("huge",)),
        thing("tiny", 0.9, cost=tiny),
        thing("free", 0.5),
    ]
    for limit in (Budget(usd=1e-320), Budget(usd=1e-320, seconds=1e-320), Budget(usd=1e308), Budget()):
        assert "free" in names(check_pick(selector(), pool, limit))
    none = check_pick(selector(), pool[:1], Budget(usd=1e-320))
    assert none.choices[0].blocked == "worth"
