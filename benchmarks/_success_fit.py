"""Fits the prior of `habilis.tools.selection._chances` again, and prints its constants.

    python -m benchmarks._success_fit --data METATOOL
    python -m benchmarks._success_fit --routing FILE     which settings of the success model predict best

The first: logistic regression of "this is the right tool" on its cosine with the query, among the sixteen nearest above
the embedder's threshold, on 1,500 queries of the calibration half of MetaTool. The second: the Brier score of
`LearnedSuccess` under other settings, one at a time, with 30, 300 and all outcomes a model; learned on one part of the
routing data, asked of the part that is for choosing (see benchmarks.routing).
"""

from __future__ import annotations

import argparse
import random
from dataclasses import replace
from pathlib import Path

from benchmarks import _routing_data, retrieval
from benchmarks._recall_fit import fit
from habilis.memory.embedding import open_embedder
from habilis.tools import LearnedSuccess, LearningSettings, TrackRecord

QUERIES = 1_500
NEAREST = 16


def priors(data: Path) -> None:
    import numpy as np

    documents, asked = retrieval.load(data)
    half = [a for a in asked if retrieval.is_calibration(a)]
    half = random.Random(1).sample(half, min(QUERIES, len(half)))
    names = sorted(documents)
    for name in ("minilm", "wordllama", "hash"):
        embedder = open_embedder(name)
        threshold = TrackRecord(embedder).threshold
        cosines = embedder.embed([a.text for a in half]) @ embedder.embed([documents[n] for n in names]).T
        features, right = [], []
        for row, one in zip(cosines, half, strict=True):
            for j in np.argsort(-row)[:NEAREST]:
                if row[j] >= threshold:
                    features.append((float(row[j]),))
                    right.append(names[j] in one.right)
        slope, bias = fit(features, right, [1.0] * len(right))
        print(f"{embedder.fingerprint}: slope, bias = {slope:.2f}, {bias:.2f}")


def chosen(data: Path) -> None:
    import numpy as np

    routed = _routing_data.load(data)
    embedder = open_embedder("minilm")
    vectors = embedder.embed(routed.questions)
    learn, ask = np.flatnonzero(routed.part == "fit"), np.flatnonzero(routed.part == "choose")
    none = np.zeros(len(routed.models), dtype=np.float32)
    things = routed.things(None)
    usual = LearningSettings()
    variants = [usual]
    for field, values in (
        ("penalty", (0.5, 5.0, 20.0)),
        ("pull", (0.3, 3.0, 8.0)),
        ("neighbours", (10, 20, 80)),
        ("even_at", (30.0, 20_000.0)),
        ("strength", (1.0, 10.0)),
    ):
        variants += [replace(usual, **{field: value}) for value in values]  # type: ignore[arg-type]
    for settings in variants:
        scores = []
        for count in (30, 300, len(learn)):
            model, draw = LearnedSuccess(embedder, settings), np.random.default_rng(0)
            for j, thing in enumerate(things):
                for i in draw.permutation(learn)[:count]:
                    model.learn(vectors[i], thing, 0.0, float(routed.scores[i, j]))
            chances = np.array([model.chances(vectors[i], things, none) for i in ask])
            scores.append(float(((chances - routed.scores[ask]) ** 2).mean()))
        print(*(f"{s:.4f}" for s in scores), settings)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks._success_fit", description=__doc__)
    parser.add_argument("--data", type=Path, help="MetaTool's folder, as for benchmarks.retrieval")
    parser.add_argument("--routing", type=Path, help="the routing outcomes, as for benchmarks.routing")
    options = parser.parse_args()
    if options.data is None and options.routing is None:
        parser.error("give --data, --routing or both")
    if options.data is not None:
        priors(options.data)
    if options.routing is not None:
        chosen(options.routing)


if __name__ == "__main__":
    main()
