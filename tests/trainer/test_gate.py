from __future__ import annotations

import math

import pytest

from habilis.core import InputError
from habilis.trainer import Evaluation, Gate

BASE = Evaluation({"goal": (10, 40), "plan_run": (5, 20)}, 30.0)


@pytest.mark.parametrize(
    ("tuned", "reasons"),
    [
        (Evaluation({"goal": (30, 40), "plan_run": (9, 20)}, 30.3), []),
        (Evaluation({"goal": (30, 40), "plan_run": (5, 20)}, 31.49), []),
        (Evaluation({"goal": (30, 40), "plan_run": (9, 20)}, 31.6), ["perplexity"]),
        (Evaluation({"goal": (10, 40), "plan_run": (5, 20)}, 30.0), ["must rise"]),
        (Evaluation({"goal": (14, 40), "plan_run": (5, 20)}, 30.0), ["must rise"]),  # exactly the margin
        (Evaluation({"goal": (40, 40), "plan_run": (4, 20)}, 30.0), ["plan_run fell from 5/20 to 4/20"]),
        (Evaluation({"goal": (40, 40), "plan_run": (9, 20)}, math.nan), ["perplexity"]),
        (
            Evaluation({"goal": (0, 40), "plan_run": (0, 20)}, 60.0),
            ["must rise", "perplexity", "goal fell", "plan_run"],
        ),
    ],
)
def test_the_gate(tuned: Evaluation, reasons: list[str]) -> None:
    decision = Gate().judge(BASE, tuned)
    assert decision.adopted == (not reasons)
    if reasons:
        assert len(decision.reasons) == len(reasons)
        for said, wanted in zip(decision.reasons, reasons, strict=True):
            assert wanted in said
            assert any(c.isdigit() for c in said)


def test_too_few_questions_prove_nothing() -> None:
    base, tuned = Evaluation({"goal": (0, 4)}, 30.0), Evaluation({"goal": (4, 4)}, 30.0)
    decision = Gate().judge(base, tuned)
    assert not decision.adopted
    assert "only 4 held-out questions" in decision.reasons[0]
    assert Gate(min_asked=4).judge(base, tuned).adopted


def test_limits_are_the_users() -> None:
    tuned = Evaluation({"goal": (30, 40), "plan_run": (4, 20)}, 33.0)
    assert not Gate().judge(BASE, tuned).adopted
    assert Gate(max_drift=0.2, max_fall=0.1).judge(BASE, tuned).adopted


def answered(**families: str) -> Evaluation:
    """With "x" for each question that was right and "-" for each that was not."""
    each = {name: tuple(mark == "x" for mark in marks) for name, marks in families.items()}
    return Evaluation({name: (sum(right), len(right)) for name, right in each.items()}, 30.0, each=each)


@pytest.mark.parametrize(
    ("was", "became", "fallen"),
    [
        ("xxx-----", "xx------", False),  # one lost
        ("xxx-----", "-x-xx---", False),  # two lost, two won
        ("xxxx----", "--------", True),  # four lost, none won: one in sixteen
        ("xxx-----", "--------", False),  # three: one in eight
        ("x" * 40, "x" * 36 + "-" * 4, True),
        ("x" * 20 + "-" * 20, "-" * 7 + "x" * 13 + "x" * 6 + "-" * 14, False),  # 7 lost, 6 won
    ],
)
def test_a_fall_that_chance_would_show_is_not_held_against_a_model(was: str, became: str, fallen: bool) -> None:
    before = answered(goal="-" * 40, next=was)
    after = answered(goal="x" * 40, next=became)
    decision = Gate().judge(before, after)
    assert decision.adopted != fallen
    assert "next" in decision.reasons[0 if fallen else -1] or became.count("x") >= was.count("x")
    assert not Gate(chance=1.0).judge(before, after).adopted or became.count("x") >= was.count("x")
    taught = Gate(max_forgetting=0.01).judge(
        answered(goal="-" * 40), answered(goal="x" * 40), earlier=(answered(next=was), answered(next=became))
    )
    assert any("next fell" in reason for reason in taught.reasons) == fallen


def test_small_falls_of_all_earlier_families_add_up() -> None:
    before, after = answered(goal="-" * 40), answered(goal="x" * 40)
    was = answered(**{f"f{i}": "xxxx----" for i in range(9)})
    became = answered(**{f"f{i}": "xxx-----" for i in range(9)})
    decision = Gate().judge(before, after, earlier=(was, became))
    assert not decision.adopted
    assert decision.reasons == (
        "the mean of all earlier families fell from 0.500 to 0.375; it may not by more than 0.05",
    )
    assert Gate(max_forgetting=0.2).judge(before, after, earlier=(was, became)).adopted


def test_chance_is_a_share() -> None:
    for wrong in (0.0, -0.1, 1.5, math.nan):
        with pytest.raises(InputError, match="chance of the gate is a share"):
            Gate(chance=wrong)


def test_different_questions_cannot_be_compared() -> None:
    with pytest.raises(InputError, match="40 and 39"):
        Gate().judge(BASE, Evaluation({"goal": (10, 39), "plan_run": (5, 20)}, 30.0))
    with pytest.raises(InputError, match="margin"):
        Gate(margin=-1)
