"""Finding the right tool of 199 for a request: zero-shot, and having learned from outcomes what tools are good for.

    python -m benchmarks.retrieval --data METATOOL             the test half, about 10,000 queries; five seeds
    python -m benchmarks.retrieval --data METATOOL --quick     2,000 of them; one seed

MetaTool (Huang et al. 2024, github.com/HowieHwong/MetaTool, MIT): ``--data`` is its folder ``dataset``; without it no
figure can be measured. Weights, thresholds and settings were chosen on the calibration half of the queries (by the hash
of the text); what is reported is the other half. *Zero-shot*: our fusion beside BM25, the embedder alone and RRF.
``answered_*``: recall may abstain, and every third query has lost its tool. *Learned*: see `_retrieval_learned`.
"""

from __future__ import annotations

import csv
import hashlib
import json
import random
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from benchmarks._harness import Figure, Options, main
from benchmarks._ranking import METHODS, Asked, Best, Ranking, found
from benchmarks._retrieval_learned import (
    OURS,
    Tasks,
    measure_cost,
    measure_set,
    measure_stream,
    measure_two,
)
from habilis.core import Embedder, InputError
from habilis.memory.embedding import RememberingEmbedder, open_embedder
from habilis.memory.library._calibration import TRUST

AIMS = {
    "metatool_r1": ">= 0.56",
    "metatool_r5": ">= 0.78",
    "metatool_learned_seen_r1": ">= 0.78",
    "metatool_unseen_gain": ">= 0",
}
EMBEDDERS = ("minilm", "wordllama", "hash")
COUNTS = (1, 5, 40)  # uses of each tool that are learned from
HELD, QUICK_HELD = 20, 8  # queries a tool to measure with
QUICK_LESSONS = 45  # queries a tool that the lessons of a quick run are drawn from; all others otherwise
STREAM = 25  # queries a tool in a stream


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
    documents, all_asked = load(options.data)
    asked = [a for a in all_asked if not is_calibration(a)]
    if options.quick:
        asked = random.Random(0).sample(asked, min(2_000, len(asked)))
    figures = {"queries": Figure.of([len(asked)]), "tools": Figure.of([len(documents)])}
    embedders = {name: RememberingEmbedder(open_embedder(name), size=100_000) for name in EMBEDDERS}
    for name, embedder in embedders.items():
        ranking = Ranking.of(embedder, documents, asked)
        for method in METHODS:
            if method == "lexical" and name != EMBEDDERS[0]:
                continue  # no embedder has a part in it
            ranks = ranking.ranks(method)
            for k in (1, 5):
                figures[_key(name, method, k)] = Figure.rate(found(ranks, k), len(ranks))
        without = [a.right if i % 3 == 0 else frozenset[str]() for i, a in enumerate(asked)]
        figures |= answered(list(ranking.bests(without)), f"{name}_")
    return figures | learned(embedders[EMBEDDERS[0]], documents, all_asked, options)


def learned(embedder: Embedder, documents: dict[str, str], asked: list[Asked], options: Options) -> dict[str, Figure]:
    """What learning from outcomes gains, on queries of the test half that nothing was learned from."""
    assert options.data is not None
    tasks = tasks_of(embedder, documents, asked, lambda a: not is_calibration(a), quick=options.quick)
    figures = measure_set(tasks, COUNTS, options.seeds, "")
    most = COUNTS[-1]
    figures["metatool_learned_seen_r1"] = figures[f"{OURS}_seen_r1_{most}"]
    figures["metatool_unseen_gain"] = figures[f"unseen_gain_{most}"]
    figures["unseen_tools"] = Figure.of([float(tasks.unseen().sum())])
    figures["held_queries"] = Figure.of([float(tasks.held.sum())])
    golden = options.data / "multi_tool_query_golden.json"
    if golden.is_file():
        pairs = [(q["query"], set(q["tool"])) for q in json.loads(golden.read_text("utf-8"))]
        pairs = [(text, tools) for text, tools in pairs if tools <= documents.keys()]
        numbered = [{tasks.names.index(tool) for tool in tools} for _, tools in pairs]
        figures |= measure_two(tasks, embedder.embed([text for text, _ in pairs]), numbered, most)
    return figures | measure_stream(tasks, STREAM, min(options.seeds, 3)) | measure_cost()


def tasks_of(
    embedder: Embedder,
    documents: dict[str, str],
    asked: list[Asked],
    measured_on: Callable[[Asked], bool],
    *,
    quick: bool = False,
) -> Tasks:
    """Queries to learn from and to measure with: of each tool the first, by the hash of the text, of those that may be
    measured on are held back, at most a third of all; the others may be learned from. Queries that occur twice, or have
    several tools, are left out."""
    often = Counter(a.text for a in asked)
    by_tool: dict[str, list[str]] = {}
    for a in sorted(asked, key=lambda a: hashlib.sha256(a.text.encode()).digest()[1:]):
        if often[a.text] == 1:
            by_tool.setdefault(next(iter(a.right)), []).append(a.text)
    chosen: list[tuple[str, str]] = []
    held: list[bool] = []
    for tool, texts in sorted(by_tool.items()):
        test = [text for text in texts if measured_on(Asked(text, frozenset()))]
        measured = set(test[: min(QUICK_HELD if quick else HELD, len(texts) // 3)])
        lessons = [text for text in texts if text not in measured]
        for text in [*sorted(measured), *(lessons[:QUICK_LESSONS] if quick else lessons)]:
            chosen.append((text, tool))
            held.append(text in measured)
    return Tasks.of(embedder, documents, chosen, held)


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
    main("retrieval", measure, aims=AIMS, seeds=5, quick_seeds=1)
