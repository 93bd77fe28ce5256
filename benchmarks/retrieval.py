"""Finding the right tool of 199 for a request, zero-shot: our fusion beside BM25, the embedder alone and RRF.

    python -m benchmarks.retrieval --data METATOOL             the test half, about 10,000 queries
    python -m benchmarks.retrieval --data METATOOL --quick     2,000 of them

MetaTool (Huang et al. 2024, github.com/HowieHwong/MetaTool, MIT): ``--data`` is its folder ``dataset``; without it no
figure can be measured. Weights and thresholds were fitted on the calibration half of the queries (by the hash of the
text); what is reported is the other half. ``answered_*``: recall may abstain, and every third query has lost its tool.
"""

from __future__ import annotations

import csv
import hashlib
import json
import random
import sys
from pathlib import Path

from benchmarks._harness import Figure, Options, main
from benchmarks._ranking import METHODS, Asked, Best, Ranking, found
from habilis.core import InputError
from habilis.memory.embedding import open_embedder
from habilis.memory.library._calibration import TRUST

# The learned part has aims of its own (metatool_learned_seen_r1, metatool_unseen_gain), which come with it.
AIMS = {"metatool_r1": ">= 0.56", "metatool_r5": ">= 0.78"}
EMBEDDERS = ("minilm", "wordllama", "hash")


def load(data: Path) -> tuple[dict[str, str], list[Asked]]:
    """The tools with what is embedded of each, and the queries. Raises `InputError` where the files are not there."""
    described, queries = data / "plugin_des.json", data / "all_clean_data.csv"
    for path in (described, queries):
        if not path.is_file():
            raise InputError(f"{path} is not there; --data is the folder 'dataset' of github.com/HowieHwong/MetaTool")
    descriptions = json.loads(described.read_text("utf-8"))
    with queries.open(encoding="utf-8", newline="") as file:
        rows = [(row["Query"], row["Tool"]) for row in csv.DictReader(file) if row["Tool"] in descriptions]
    documents = {tool: f"{tool}: {descriptions[tool]}" for _, tool in rows}
    return documents, [Asked(text, frozenset((tool,))) for text, tool in rows]


def is_calibration(asked: Asked) -> bool:
    """Whether a query belongs to the half that weights and thresholds are fitted on."""
    return hashlib.sha256(asked.text.encode()).digest()[0] < 128


def measure(options: Options) -> dict[str, Figure]:
    if options.data is None:
        print("MetaTool is not here: get github.com/HowieHwong/MetaTool, pass --data PATH/dataset", file=sys.stderr)
        return {}
    documents, asked = load(options.data)
    asked = [a for a in asked if not is_calibration(a)]
    if options.quick:
        asked = random.Random(0).sample(asked, min(2_000, len(asked)))
    figures = {"queries": Figure.of([len(asked)]), "tools": Figure.of([len(documents)])}
    for name in EMBEDDERS:
        ranking = Ranking.of(open_embedder(name), documents, asked)
        for method in METHODS:
            if method == "lexical" and name != EMBEDDERS[0]:
                continue  # no embedder has a part in it
            ranks = ranking.ranks(method)
            for k in (1, 5):
                figures[_key(name, method, k)] = Figure.rate(found(ranks, k), len(ranks))
        without = [a.right if i % 3 == 0 else frozenset[str]() for i, a in enumerate(asked)]
        figures |= answered(list(ranking.bests(without)), f"{name}_")
    return figures


def answered(bests: list[Best], prefix: str = "") -> dict[str, Figure]:
    """What abstaining does: how many requests are answered, how often rightly, and how often without it."""
    trusted = [b for b in bests if b.chance >= TRUST]
    figures = {
        f"{prefix}answered": Figure.rate(len(trusted), len(bests)),
        f"{prefix}precision_of_all": Figure.rate(sum(b.right for b in bests), len(bests)),
    }
    if trusted:
        figures[f"{prefix}precision_of_answered"] = Figure.rate(sum(b.right for b in trusted), len(trusted))
    if any(b.right for b in bests):
        kept = sum(b.right for b in trusted)
        figures[f"{prefix}right_ones_answered"] = Figure.rate(kept, sum(b.right for b in bests))
    return figures


def _key(embedder: str, method: str, k: int) -> str:
    if method == "lexical":
        return f"bm25_r{k}"
    if (embedder, method) == (EMBEDDERS[0], "fused"):
        return f"metatool_r{k}"
    return f"{embedder}_{'alone' if method == 'dense' else method}_r{k}"


if __name__ == "__main__":
    main("retrieval", measure, aims=AIMS, seeds=1, quick_seeds=1)
