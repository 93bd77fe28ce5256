"""Which of nine models to ask: success against cost, and a hard budget over a stream, beside rivals and bounds.

    python -m benchmarks.routing --data FILE             a quarter of an hour
    python -m benchmarks.routing --data FILE --quick     a third of the questions

``--data``: the outcomes of DCRouter (see `benchmarks._routing_data`, which says how costs are estimated and what that
means); without it no figure can be measured. What is learned from, chosen on and reported are three parts by the hash
of the question. Two things are measured with our own `LearnedSuccess`, `Pacer`, `BudgetSelector` and `Ledger`:

- *curve*: all outcomes of the first two parts are known; the price of a dollar is varied, and for each price the
  selector chooses for every question of the third;
- *stream*: the questions of the third part come in random order with money for a share of what the best model would
  cost. ``online_*`` begins knowing nothing and learns from what it chose; ``paced_*`` has the chances of the curve.

Intervals: over questions (bootstrap) for the curve, over orders for streams.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from benchmarks import _routing_data
from benchmarks._harness import Figure, Options, main
from benchmarks._routing_data import ACCOUNTS, Routed
from benchmarks._routing_policies import (
    Always,
    Frozen,
    LinUcb,
    Make,
    Ours,
    Random,
    Thompson,
    best_fixed,
    by_words,
    curve,
    live,
)
from habilis.core import Embedder
from habilis.memory.embedding import open_embedder
from habilis.tools import LearnedSuccess, LearningSettings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

AIMS = {
    "cost_ratio_at_best": "<= 0.167",
    "gain_at_best_cost": ">= 0.04",
    "online_vs_best_fixed": ">= 0.9",
    "violations": "<= 0",
}
BUDGETS = (0.125, 0.167, 0.25, 0.4, 0.7, 1.0)  # of what always asking the best model costs
PRICES = (0.0, *(10 * 1.2**i for i in range(44)))  # success per USD
_RESAMPLES = 500


def measure(options: Options) -> dict[str, Figure]:
    if options.data is None:
        print(
            "DCRouter's outcomes are not here: get data/dcrouter_preprocessed/train.json of "
            "github.com/ulab-uiuc/LLMRouter, pass --data FILE",
            file=sys.stderr,
        )
        return {}
    import numpy as np

    routed = _routing_data.load(options.data, every=3 if options.quick else 1)
    embedder = open_embedder("minilm")
    vectors = embedder.embed(routed.questions)
    known, asked = np.flatnonzero(routed.part != "report"), np.flatnonzero(routed.part == "report")
    best = int(routed.scores[known].mean(axis=0).argmax())
    figures = {
        "questions": Figure.of([len(asked)]),
        "success_best": Figure.of(routed.scores[asked, best].tolist()),
        "success_oracle": Figure.of(routed.scores[asked].max(axis=1).tolist()),
    }
    chances, plain = learned(embedder, vectors, routed, known.tolist(), asked.tolist())
    scores = routed.scores[asked]
    figures["ece"] = _over_questions(lambda at: _ece(chances[at], scores[at]), len(asked))
    figures["ece_uncalibrated"] = _over_questions(lambda at: _ece(plain[at], scores[at]), len(asked))
    words = by_words(routed, known.tolist(), asked.tolist())
    for account in ACCOUNTS:
        costs = routed.costs(account)[asked]
        end = "" if account == "usual" else f"_{account}"
        methods = {"": chances, "bm25_": words, "oracle_": scores} if account == "usual" else {"": chances}
        figures |= curves(methods, routed, asked, costs, best, end)
    figures |= streams(options, embedder, vectors, routed, asked, best, chances)
    return figures


def learned(
    embedder: Embedder, vectors: NDArray[np.float32], routed: Routed, known: Sequence[int], asked: Sequence[int]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The chances of the asked questions, (asked, models), calibrated and not, with all outcomes of the known ones."""
    import numpy as np

    model, things = LearnedSuccess(embedder), routed.things(None)
    none = np.zeros(len(things), dtype=np.float32)
    for i in np.random.default_rng(0).permutation(known):
        for j, thing in enumerate(things):
            model.learn(vectors[i], thing, 0.0, float(routed.scores[i, j]))
    plain = LearnedSuccess(embedder, replace(LearningSettings(), calibrate=False))
    plain.load(model.save())
    first, second = (
        np.array([m.chances(vectors[i], things, none) for i in asked], dtype=float) for m in (model, plain)
    )
    return first, second


def curves(
    methods: Mapping[str, NDArray[np.float64]],
    routed: Routed,
    asked: NDArray[np.int64],
    costs: NDArray[np.float64],
    best: int,
    end: str,
) -> dict[str, Figure]:
    """What can be had for how much. ``end``: of the figures' names, the account."""
    import numpy as np

    scores, figures = routed.scores[asked], dict[str, Figure]()
    for name, chances in methods.items():
        paid, got = curve(chances, scores, routed, costs, PRICES)

        def ratio(at: NDArray[np.int64], paid: NDArray[np.float64] = paid, got: NDArray[np.float64] = got) -> float:
            usd, success = paid[:, at].mean(axis=1), got[:, at].mean(axis=1)
            return _cost_of(scores[at, best].mean(), usd, success) / float(costs[at, best].mean())

        def gain(at: NDArray[np.int64], got: NDArray[np.float64] = got) -> float:
            return float(got[0, at].mean() - scores[at, best].mean())  # nobody is dearer than the best

        def area(at: NDArray[np.int64], paid: NDArray[np.float64] = paid, got: NDArray[np.float64] = got) -> float:
            least, most = float(costs[at].min(axis=1).mean()), float(costs[at, best].mean())
            grid = np.linspace(least, most, 200)
            return float(np.interp(grid, paid[::-1, at].mean(axis=1), got[::-1, at].mean(axis=1)).mean())

        figures[f"{name}cost_ratio_at_best{end}"] = _over_questions(ratio, len(asked))
        figures[f"{name}gain_at_best_cost{end}"] = _over_questions(gain, len(asked))
        figures[f"{name}area{end}"] = _over_questions(area, len(asked))
    # A lottery between fixed models is what can be had without looking at the question.
    grid = np.linspace(float(costs.min(axis=1).mean()), float(costs[:, best].mean()), 200)
    fixed = [best_fixed(scores.mean(axis=0), costs.mean(axis=0), usd) for usd in grid]
    figures[f"fixed_area{end}"] = Figure.of([float(np.mean(fixed))])
    return figures


def streams(
    options: Options,
    embedder: Embedder,
    vectors: NDArray[np.float32],
    routed: Routed,
    asked: NDArray[np.int64],
    best: int,
    chances: NDArray[np.float64],
) -> dict[str, Figure]:
    """A hard budget over the whole stream, in as many orders as there are seeds."""
    import numpy as np

    costs = routed.costs()
    whole = np.zeros((len(routed.questions), len(routed.models)), dtype=np.float32)
    whole[asked] = chances
    cheapest = int(costs[asked].sum(axis=0).argmin())
    policies: dict[str, Make] = {
        "online": lambda seed: Ours(embedder, vectors, routed),
        "paced": lambda seed: Frozen(whole),
        "random": Random,
        "cheapest": lambda seed: Always(cheapest),
        "always_best": lambda seed: Always(best),
        "linucb": lambda seed: LinUcb(vectors, len(routed.models)),
        "thompson": lambda seed: Thompson(seed, len(routed.models)),
    }
    figures, violations, runs = dict[str, Figure](), 0, 0
    shares: dict[str, list[list[float]]] = {name: [] for name in policies}  # by budget, then by seed
    for budget in BUDGETS:
        usd = budget * float(costs[asked, best].sum())
        fixed = best_fixed(routed.scores[asked].mean(axis=0), costs[asked].sum(axis=0), usd)
        figures[f"best_fixed_at_{budget:g}"] = Figure.of([fixed])
        for name, make in policies.items():
            lived = [
                live(make(seed), routed, np.random.default_rng(seed).permutation(asked).tolist(), costs, usd)
                for seed in range(options.seeds)
            ]
            figures[f"{name}_at_{budget:g}"] = Figure.of([one.success for one in lived])
            shares[name].append([one.success / fixed for one in lived])
            if name in ("online", "paced"):
                figures[f"{name}_spent_at_{budget:g}"] = Figure.of([one.spent for one in lived])
                violations += sum(one.violations for one in lived)
                runs += len(lived)
    for name, rows in shares.items():
        figures[f"{name}_vs_best_fixed"] = Figure.of([float(np.mean(seed)) for seed in zip(*rows, strict=True)])
    figures["violations"] = Figure.of([violations], f"in {runs} streams")
    return figures


def _cost_of(success: float, usd: NDArray[np.float64], got: NDArray[np.float64]) -> float:
    """The least cost at which this success is reached, along a curve that begins at its dear end; the dear end's cost
    where it never is."""
    reached = [i for i in range(len(got)) if got[i] >= success]
    if not reached:
        return float(usd[0])
    last = max(reached)
    if last + 1 == len(got):
        return float(usd[last])
    part = (got[last] - success) / (got[last] - got[last + 1])
    return float(usd[last] + part * (usd[last + 1] - usd[last]))


def _ece(chances: NDArray[np.float64], scores: NDArray[np.float64]) -> float:
    """The expected calibration error over fifteen bins of equal width (Naeini et al. 2015)."""
    import numpy as np

    bins = np.minimum((chances * 15).astype(int), 14).ravel()
    missed = np.bincount(bins, weights=(chances - scores).ravel(), minlength=15)
    return float(np.abs(missed).sum() / chances.size)


def _over_questions(statistic: Callable[[NDArray[np.int64]], float], count: int) -> Figure:
    """A figure over questions, with a percentile bootstrap interval."""
    import numpy as np

    draw = np.random.default_rng(0)
    again = sorted(statistic(draw.integers(0, count, count)) for _ in range(_RESAMPLES))
    return Figure(
        float(statistic(np.arange(count))),
        float(again[int(0.025 * _RESAMPLES)]),
        float(again[int(0.975 * _RESAMPLES) - 1]),
    )


if __name__ == "__main__":
    main("routing", measure, aims=AIMS, seeds=5, quick_seeds=2)
