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


def test_different_questions_cannot_be_compared() -> None:
    with pytest.raises(InputError, match="40 and 39"):
        Gate().judge(BASE, Evaluation({"goal": (10, 39), "plan_run": (5, 20)}, 30.0))
    with pytest.raises(InputError, match="margin"):
        Gate(margin=-1)
