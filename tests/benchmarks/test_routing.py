"""The benchmark of routing: honest splits, costs as told, policies under one ledger, figures that are what they say."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest
from benchmarks import _routing_data, routing
from benchmarks._harness import Options
from benchmarks._routing_data import PRICES, Routed, load, part_of
from benchmarks._routing_policies import Always, Frozen, LinUcb, Ours, Random, Thompson, best_fixed, curve, live

from habilis.core import InputError
from habilis.memory.embedding import HashEmbedder

HASH = HashEmbedder(64)
DEAR, CHEAP = "llama-3.1-nemotron-51b-instruct", "gemma-2-9b-it"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sums that the dear model alone can do, and greetings that the others do better."""
    draw, rows = random.Random(0), []
    for i in range(240):
        hard = i % 2 == 0
        question = f"add the numbers {i} and {draw.randint(1, 99)}" if hard else f"say hello to guest {i}"
        scores = {name: 0.0 if hard else float(draw.random() < 0.8) for name in PRICES}
        rows.append({"question": question, "scores": scores | {DEAR: float(draw.random() < (0.9 if hard else 0.6))}})
    path = tmp_path_factory.mktemp("routing") / "train.json"
    path.write_text(json.dumps(rows))
    return path


@pytest.fixture(scope="module")
def routed(data: Path) -> Routed:
    return load(data.parent)


def test_the_parts_are_apart_and_costs_are_as_told(routed: Routed, tmp_path: Path) -> None:
    assert {part_of(q) for q in routed.questions} == {"fit", "choose", "report"}
    assert 0.25 < (routed.part == "report").mean() < 0.55
    dear, cheap = routed.models.index(DEAR), routed.models.index(CHEAP)
    for account in _routing_data.ACCOUNTS:
        costs = routed.costs(account)
        assert np.allclose(costs[:, dear], 9 * costs[:, cheap])
    assert np.ptp(routed.costs("flat")[:, dear]) == 0
    assert (routed.costs() > routed.costs("prompt")).all()
    with pytest.raises(InputError, match="--data is"):
        load(tmp_path / "nowhere")
    other = tmp_path / "train.json"
    other.write_text(json.dumps([{"question": "x", "scores": {"another": 1.0}}]))
    with pytest.raises(InputError, match="another"):
        load(other)


def test_no_policy_passes_the_budget(routed: Routed) -> None:
    vectors, costs = HASH.embed(routed.questions), routed.costs()
    order = list(range(len(routed.questions)))
    dear = routed.models.index(DEAR)
    usd = 0.3 * float(costs[:, dear].sum())
    policies = [
        Ours(HASH, vectors, routed),
        Frozen(routed.scores.astype(np.float32)),
        Random(0),
        Always(dear),
        LinUcb(vectors, len(routed.models)),
        Thompson(0, len(routed.models)),
    ]
    lived = [live(policy, routed, order, costs, usd) for policy in policies]
    assert [one.violations for one in lived] == [0] * len(policies)
    assert all(0 < one.spent <= 1 + 1e-9 for one in lived)
    ours, oracle, *rivals = (one.success for one in lived)
    assert oracle > ours > max(rivals)
    assert live(Ours(HASH, vectors, routed), routed, order, costs, usd) == lived[0]
    fixed = best_fixed(routed.scores.mean(axis=0), costs.sum(axis=0), usd)
    assert oracle > fixed
    assert live(Always(dear), routed, order, costs, usd).success == pytest.approx(0.3 * 0.75, abs=0.06)


def test_the_best_fixed_policy_is_a_lottery_between_two() -> None:
    success, cost = np.array([0.5, 0.9, 0.4]), np.array([1.0, 9.0, 2.0])
    assert best_fixed(success, cost, 9.0) == 0.9
    assert best_fixed(success, cost, 5.0) == pytest.approx(0.7)
    assert best_fixed(success, cost, 0.5) == pytest.approx(0.25)
    assert best_fixed(success, cost, 99.0) == 0.9


def test_the_curve_is_what_the_selector_chooses_at_each_price(routed: Routed) -> None:
    few = slice(0, 12)
    chances = np.random.default_rng(0).uniform(0, 1, (12, len(routed.models)))
    costs, scores = routed.costs()[few], routed.scores[few]
    paid, got = curve(chances, scores, routed, costs, routing.PRICES)
    for p, price in enumerate(routing.PRICES):
        worth = chances - price * costs
        best = worth.argmax(axis=1)
        taken = worth.max(axis=1) > 0
        assert np.allclose(paid[p], np.where(taken, costs[np.arange(12), best], 0))
        assert np.allclose(got[p], np.where(taken, scores[np.arange(12), best], 0))


def test_the_cost_of_a_success_lies_on_the_curve() -> None:
    usd, got = np.array([9.0, 5.0, 1.0]), np.array([0.8, 0.7, 0.5])
    assert routing._cost_of(0.6, usd, got) == pytest.approx(3.0)
    assert routing._cost_of(0.75, usd, got) == pytest.approx(7.0)
    assert routing._cost_of(0.4, usd, got) == 1.0
    assert routing._cost_of(0.9, usd, got) == 9.0  # never reached: no cheaper than the dear end


def test_the_figures_are_measured(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert routing.measure(Options(quick=True, seeds=1)) == {}
    monkeypatch.setattr(routing, "open_embedder", lambda name: HASH)
    monkeypatch.setattr(routing, "_RESAMPLES", 40)
    figures = routing.measure(Options(quick=False, seeds=1, data=data))
    assert set(routing.AIMS) | {"ece", "ece_uncalibrated"} <= set(figures)
    assert figures["violations"].value == 0
    assert figures["cost_ratio_at_best"].value < 0.8  # greetings are sent to the cheap one
    assert figures["oracle_cost_ratio_at_best"].value <= figures["cost_ratio_at_best"].value
    assert figures["area"].value > figures["fixed_area"].value
    assert figures["online_vs_best_fixed"].value > figures["random_vs_best_fixed"].value
    assert figures["paced_vs_best_fixed"].value > 1
