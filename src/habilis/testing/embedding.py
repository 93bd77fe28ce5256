"""The fast embedder for tests, the conformance suite of embedders, and figures of retrieval.

    python -m habilis.testing.embedding --data METATOOL --names hash,wordllama,minilm

measures embedders on MetaTool (Huang et al. 2024, github.com/HowieHwong/MetaTool, folder ``dataset``): for each query,
the one right tool among 199 descriptions.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from habilis.core import Embedder
from habilis.memory.embedding import HashEmbedder, open_embedder
from habilis.memory.library._lexical import Lexicon

__all__ = ["HashEmbedder", "Retrieval", "check_embedder", "measure_retrieval"]


def check_embedder(embedder: Embedder, *, meaning: bool = True) -> None:
    """The conformance suite of an embedder. ``meaning=False``: it need not know that a paraphrase is nearer than
    something else. Raises `AssertionError` saying what is wrong."""
    import numpy as np

    texts = [
        "get four sticks",
        "",
        "get four sticks",
        "a" * 20_000,
        "räuber \N{GRINNING FACE}",
        "\n",
        "half a character: \ud800",
        "\udc00",
        "\0",
        "<|endoftext|> [CLS]",
    ]
    rows = embedder.embed(texts)
    assert rows.shape == (len(texts), embedder.dim), f"shape {rows.shape}, expected {(len(texts), embedder.dim)}"
    assert rows.dtype == np.float32, f"dtype {rows.dtype}, expected float32"
    assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-4), "rows must have length 1, also for an empty text"
    assert embedder.embed([]).shape == (0, embedder.dim), "no text must give no row"
    assert np.array_equal(embedder.embed(tuple(texts[:2])), rows[:2]), "any sequence of texts will do"
    for text, row in zip(texts, rows, strict=True):
        assert np.array_equal(embedder.embed([text])[0], row), f"the vector of {text[:20]!r} depends on its batch"
    kept = rows[0].copy()
    rows[0] = 0
    assert np.array_equal(embedder.embed(texts[:1])[0], kept), "what is handed out may be changed without harm"
    many = [f"thing number {i}" for i in range(300)]
    alone = embedder.embed(many)
    assert np.array_equal(embedder.embed(many[::-1])[::-1], alone), "rows come in the order of the texts"
    with ThreadPoolExecutor(4) as threads:
        parts = list(threads.map(embedder.embed, [many[i : i + 30] for i in range(0, 300, 30)]))
    assert np.array_equal(np.concatenate(parts), alone), "several threads may use it at once"
    assert embedder.fingerprint, "a fingerprint names model and weights"
    if meaning:
        near, far = "collect wood from a tree", "the invoice was paid in march"
        query = embedder.embed(["gather wood from trees"])[0]
        assert embedder.embed([near])[0] @ query > embedder.embed([far])[0] @ query, "a paraphrase must be nearer"


class Retrieval(NamedTuple):
    """Share of queries whose document is first, and among the first five."""

    at_1: float
    at_5: float


def measure_retrieval(
    embedder: Embedder | None,
    queries: Sequence[tuple[str, str]],
    documents: dict[str, str],
    *,
    dense_share: float = 1.0,
) -> Retrieval:
    """How often the right document of a query is found. ``queries``: (text, id of the document); ``dense_share``: the
    weight of the cosine against BM25, both z-scored over all documents (0: words alone)."""
    import numpy as np

    ids = sorted(documents)
    lexicon = Lexicon()
    for id in ids:
        lexicon.put(id, documents[id])

    def z(
        scores: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
    ) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        spread = float(scores.std())
        return (scores - scores.mean()) / spread if spread > 0 else scores * 0

    total = np.zeros((len(queries), len(ids)))
    if embedder is not None:
        rows = embedder.embed([documents[i] for i in ids])
        asked = embedder.embed([text for text, _ in queries])
        for i, row in enumerate(asked):
            total[i] += dense_share * z((rows @ row).astype(np.float64))
    if dense_share < 1:
        for i, (text, _) in enumerate(queries):
            words = lexicon.search(text)
            total[i] += (1 - dense_share) * z(np.array([words.get(id, 0.0) for id in ids]))
    lexicon.close()
    order = np.argsort(-total, axis=1, kind="stable")
    ranks = [int(np.flatnonzero(order[i] == ids.index(right))[0]) for i, (_, right) in enumerate(queries)]
    return Retrieval(sum(r < 1 for r in ranks) / len(ranks), sum(r < 5 for r in ranks) / len(ranks))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m habilis.testing.embedding", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with plugin_des.json and all_clean_data.csv")
    parser.add_argument("--names", default="hash,wordllama,minilm")
    parser.add_argument("--queries", type=int, default=2000, help="how many, drawn with a fixed seed")
    options = parser.parse_args(arguments)
    descriptions = json.loads((options.data / "plugin_des.json").read_text(encoding="utf-8"))
    with (options.data / "all_clean_data.csv").open(encoding="utf-8", newline="") as file:
        rows = [(row["Query"], row["Tool"]) for row in csv.DictReader(file) if row["Tool"] in descriptions]
    documents = {name: f"{name}: {descriptions[name]}" for name in {tool for _, tool in rows}}
    queries = random.Random(0).sample(rows, min(options.queries, len(rows)))
    print(f"{len(queries)} queries, {len(documents)} tools; R@1 and R@5 in %")
    words = measure_retrieval(None, queries, documents, dense_share=0.0)
    print(f"{'words (BM25) alone':28}{100 * words.at_1:6.1f}{100 * words.at_5:6.1f}")
    for name in options.names.split(","):
        embedder = open_embedder(name)
        start = time.process_time()
        alone = measure_retrieval(embedder, queries, documents)
        speed = (len(queries) + len(documents)) / (time.process_time() - start)
        share = float(getattr(embedder, "dense_share", 0.7))
        fused = measure_retrieval(embedder, queries, documents, dense_share=share)
        print(
            f"{name + ' alone':28}{100 * alone.at_1:6.1f}{100 * alone.at_5:6.1f}   {speed:.0f} texts per CPU second\n"
            f"{f'{name} {share:.1f} + words {1 - share:.1f}':28}{100 * fused.at_1:6.1f}{100 * fused.at_5:6.1f}"
        )


if __name__ == "__main__":
    main()
