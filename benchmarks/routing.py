"""Which of nine models to ask: success against cost, and a hard budget over a stream, beside rivals and bounds.

    python -m benchmarks.routing --data FILE --json out.json                    every cell, about half an hour
    python -m benchmarks.routing --data FILE --json out.json --cell stream:3    one cell: curve:0 or stream:SEED
    python -m benchmarks.routing --data FILE --quick                            a third of the questions

Cells are kept in ``out.jsonl``, and the vectors of the questions in ``out.vectors``; what is there is not done again.

``--data``: the outcomes of DCRouter (see `benchmarks._routing_data`, which says how costs are estimated and what that
means); without it no figure can be measured. What is learned from, chosen on and reported are three parts by the hash
of the question. Two things are measured with our own `LearnedSuccess`, `Pacer`, `BudgetSelector` and `Ledger`:

- *curve*: all outcomes of the first two parts are known; the price of a dollar is varied, and for each price the
  selector chooses for every question of the third;
- *stream*: the questions of the third part come in an order of its seed, with money for a share of what the best model
  would cost. ``online_*`` begins knowing nothing and learns from what it chose; ``paced_*`` has the chances of the
  curve.

Intervals: over questions (bootstrap) for the curve, over orders for streams.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from benchmarks import _routing_data
from benchmarks._harness import Figure, Options, commit, main
from benchmarks._kept import keep, kept
from benchmarks._routing_data import ACCOUNTS, Routed
from benchmarks._routing_policies import (
    Always,
    Frozen,
    LinUcb,
    Ours,
    Policy,
    Random,
    Thompson,
    best_fixed,
    by_words,
    curve,
    live,
)
from habilis.core import Embedder, InputError
from habilis.memory.embedding import open_embedder
from habilis.memory.embedding.cached import CachedEmbedder
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
    wanted = [options.cell] if options.cell else ["curve:0", *(f"stream:{seed}" for seed in range(options.seeds))]
    path = options.json.with_suffix(".jsonl") if options.json is not None else None
    done = {c["cell"]: c["result"] for c in ([] if path is None else kept(path)) if c["quick"] == options.quick}
    bench: _Bench | None = None
    for cell in wanted:
        if cell in done:
            continue
        bench = bench or _Bench(options)
        done[cell] = bench.run(cell)
        print(f"{cell} is done", file=sys.stderr, flush=True)
        if path is not None:
            keep(path, {"cell": cell, "quick": options.quick, "commit": commit(), "result": done[cell]})
    figures = {name: Figure(*row) for name, row in done["curve:0"].items()} if "curve:0" in wanted else {}
    return figures | _of_streams([done[cell] for cell in wanted if cell.startswith("stream:")])


class _Bench:
    """The data, its vectors, and what the success model makes of it when it knows the first two parts."""

    def __init__(self, options: Options) -> None:
        import numpy as np

        assert options.data is not None
        self.routed = _routing_data.load(options.data, every=3 if options.quick else 1)
        self.embedder = open_embedder("minilm")
        if options.json is not None:
            self.embedder = CachedEmbedder(self.embedder, options.json.with_suffix(".vectors"))
        texts = self.routed.questions
        parts = [self.embedder.embed(texts[i : i + 256]) for i in range(0, len(texts), 256)]
        self.vectors = np.concatenate(parts)
        self.known = np.flatnonzero(self.routed.part != "report")
        self.asked = np.flatnonzero(self.routed.part == "report")
        self.best = int(self.routed.scores[self.known].mean(axis=0).argmax())
        self.chances, self.plain, self.learning = learned(
            self.embedder, self.vectors, self.routed, self.known.tolist(), self.asked.tolist()
        )

    def run(self, cell: str) -> Any:
        arm, _, seed = cell.partition(":")
        if arm == "curve":
            return {name: (f.value, f.low, f.high, f.unit) for name, f in self._curve().items()}
        if arm == "stream" and seed.isdigit():
            return stream(int(seed), self.embedder, self.vectors, self.routed, self.asked, self.best, self.chances)
        raise InputError(f"there is no cell {cell!r}; write curve:0 or stream:SEED")

    def _curve(self) -> dict[str, Figure]:
        routed, asked, best = self.routed, self.asked, self.best
        scores, chances, plain = routed.scores[asked], self.chances, self.plain
        figures = {
            "questions": Figure.of([len(asked)]),
            "success_best": Figure.of(scores[:, best].tolist()),
            "success_oracle": Figure.of(scores.max(axis=1).tolist()),
            "learn_ms": Figure.of(self.learning, "ms", statistics.median),
            "learn_p95_ms": Figure.of(self.learning, "ms", lambda took: sorted(took)[int(0.95 * len(took))]),
            "ece": _over_questions(lambda at: _ece(chances[at], scores[at]), len(asked)),
            "ece_uncalibrated": _over_questions(lambda at: _ece(plain[at], scores[at]), len(asked)),
        }
        words = by_words(routed, self.known.tolist(), asked.tolist())
        for account in ACCOUNTS:
            costs = routed.costs(account)[asked]
            end = "" if account == "usual" else f"_{account}"
            methods = {"": chances, "bm25_": words, "oracle_": scores} if account == "usual" else {"": chances}
            figures |= curves(methods, routed, asked, costs, best, end)
        return figures


def learned(
    embedder: Embedder, vectors: NDArray[np.float32], routed: Routed, known: Sequence[int], asked: Sequence[int]
) -> tuple[NDArray[np.float64], NDArray[np.float64], list[float]]:
    """The chances of the asked questions, (asked, models), calibrated and not, with all outcomes of the known ones; and
    what learning each of the last thousand outcomes took, in ms."""
    import numpy as np

    model, things = LearnedSuccess(embedder), routed.things(None)
    none, took = np.zeros(len(things), dtype=np.float32), list[float]()
    for i in np.random.default_rng(0).permutation(known):
        for j, thing in enumerate(things):
            start = time.perf_counter()
            model.learn(vectors[i], thing, 0.0, float(routed.scores[i, j]))
            took.append(1e3 * (time.perf_counter() - start))
    plain = LearnedSuccess(embedder, replace(LearningSettings(), calibrate=False))
    plain.load(model.save())
    first, second = (
        np.array([m.chances(vectors[i], things, none) for i in asked], dtype=float) for m in (model, plain)
    )
    return first, second, took[-1000:]


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


def stream(
    seed: int,
    embedder: Embedder,
    vectors: NDArray[np.float32],
    routed: Routed,
    asked: NDArray[np.int64],
    best: int,
    chances: NDArray[np.float64],
) -> dict[str, Any]:
    """A hard budget over the whole stream in one order: by budget and policy, success, share spent and violations."""
    import numpy as np

    costs = routed.costs()
    whole = np.zeros((len(routed.questions), len(routed.models)), dtype=np.float32)
    whole[asked] = chances
    cheapest = int(costs[asked].sum(axis=0).argmin())
    order = np.random.default_rng(seed).permutation(asked).tolist()
    makers: dict[str, Callable[[], Policy]] = {
        "online": lambda: Ours(embedder, vectors, routed),
        "paced": lambda: Frozen(whole),
        "random": lambda: Random(seed),
        "cheapest": lambda: Always(cheapest),
        "always_best": lambda: Always(best),
        "linucb": lambda: LinUcb(vectors, len(routed.models)),
        "thompson": lambda: Thompson(seed, len(routed.models)),
    }
    result: dict[str, Any] = {}
    for budget in BUDGETS:
        usd = budget * float(costs[asked, best].sum())
        fixed = best_fixed(routed.scores[asked].mean(axis=0), costs[asked].sum(axis=0), usd)
        lived = {name: live(make(), routed, order, costs, usd) for name, make in makers.items()}
        result[f"{budget:g}"] = {
            "best_fixed": fixed,
            **{name: (one.success, one.spent, one.violations) for name, one in lived.items()},
        }
    return result


def _of_streams(streams: Sequence[Mapping[str, Any]]) -> dict[str, Figure]:
    """Means over orders; ``*_vs_best_fixed`` also over budgets."""
    if not streams:
        return {}
    figures: dict[str, Figure] = {}
    names = [name for name in streams[0][f"{BUDGETS[0]:g}"] if name != "best_fixed"]
    for key in (f"{budget:g}" for budget in BUDGETS):
        figures[f"best_fixed_at_{key}"] = Figure.of([streams[0][key]["best_fixed"]])
        for name in names:
            figures[f"{name}_at_{key}"] = Figure.of([one[key][name][0] for one in streams])
        for name in ("online", "paced"):
            figures[f"{name}_spent_at_{key}"] = Figure.of([one[key][name][1] for one in streams])
    for name in names:
        shares = [statistics.fmean(at[name][0] / at["best_fixed"] for at in one.values()) for one in streams]
        figures[f"{name}_vs_best_fixed"] = Figure.of(shares)
    ours = [at[name][2] for one in streams for at in one.values() for name in ("online", "paced")]
    figures["violations"] = Figure.of([float(sum(ours))], f"in {len(ours)} streams")
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
