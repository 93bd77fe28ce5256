"""Fits the constants of `habilis.memory.library._calibration` again, and prints them.

    python -m benchmarks._recall_fit --data METATOOL

Logistic regression (Newton's method, a ridge of .01) of "the best hit serves" on its cosine and its lead over the
second, on the calibration halves of the frozen requests and of MetaTool, which weigh the same. From every third query
of MetaTool its tool is taken away, so that nothing serves it.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import _recall_data, retrieval
from benchmarks._ranking import Asked, Best, Ranking
from habilis.core import Embedder
from habilis.memory.embedding import open_embedder
from habilis.memory.library import skill_text

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

QUERIES = 1_500


def frozen(embedder: Embedder, *, calibration: bool) -> list[Best]:
    """The best hits for one half of the frozen requests."""
    texts = {name: skill_text(skill) for name, skill in _recall_data.library().items()}
    asked = [Asked(r.text, frozenset(r.right)) for r in _recall_data.requests() if r.calibration == calibration]
    return list(Ranking.of(embedder, texts, asked).bests())


def tools(embedder: Embedder, data: Path, *, calibration: bool, queries: int = QUERIES) -> list[Best]:
    """The best hits for queries of one half of MetaTool; from every third its tool is taken away."""
    documents, asked = retrieval.load(data)
    half = [a for a in asked if retrieval.is_calibration(a) == calibration]
    half = random.Random(1).sample(half, min(queries, len(half)))
    without = [a.right if i % 3 == 0 else frozenset[str]() for i, a in enumerate(half)]
    return list(Ranking.of(embedder, documents, half).bests(without))


def fit(features: Sequence[Sequence[float]], right: Sequence[bool], weights: Sequence[float]) -> NDArray[np.float64]:
    """The coefficients of a logistic regression, the bias last."""
    import numpy as np

    x = np.c_[np.array(features), np.ones(len(features))]
    y, w = np.array(right, dtype=float), np.array(weights)
    ridge = np.full(x.shape[1], 0.01)
    ridge[-1] = 0.0
    b = np.zeros(x.shape[1])
    for _ in range(50):
        p = 1 / (1 + np.exp(-x @ b))
        hessian = (x * (w * p * (1 - p))[:, None]).T @ x + np.diag(ridge) + 1e-9 * np.eye(len(b))
        b -= np.linalg.solve(hessian, x.T @ (w * (p - y)) + ridge * b)
    return b


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks._recall_fit", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="MetaTool's folder, as for benchmarks.retrieval")
    options = parser.parse_args()
    for name in ("minilm", "wordllama", "hash"):
        embedder = open_embedder(name)
        ours, theirs = frozen(embedder, calibration=True), tools(embedder, options.data, calibration=True)
        every = [*ours, *theirs]
        weights = [1.0] * len(ours) + [len(ours) / len(theirs)] * len(theirs)
        right = [b.right for b in every]
        meaning = fit([(b.dense, b.margin) for b in every], right, weights)
        print(f"{embedder.fingerprint}: dense, margin, bias = {', '.join(f'{c:.2f}' for c in meaning)}")
        if name == "hash":
            words = fit([(b.common, b.margin) for b in every], right, weights)
            print(f"unknown embedders: common, margin, bias = {', '.join(f'{c:.2f}' for c in words)}")


if __name__ == "__main__":
    main()
