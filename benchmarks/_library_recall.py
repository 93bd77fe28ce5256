"""What recall's abstention is worth, on the frozen requests.

Its contract filter cannot be measured on them: what the frozen skills need holds in every fresh world.
"""

from __future__ import annotations

from benchmarks._harness import Figure
from benchmarks._recall_data import library, requests
from habilis.core import Kind
from habilis.memory.embedding import HashEmbedder
from habilis.memory.index import MemoryIndex, sync_index
from habilis.memory.library import Recall, Search, skill_texts


def recall_figures() -> dict[str, Figure]:
    """Of the test half, requests that nothing serves included: wrong and right first hits, with abstention and
    without."""
    embedder = HashEmbedder()
    skills = {f"{name}@1": skill for name, skill in library().items()}
    index = MemoryIndex(embedder.dim)
    sync_index(index, {Kind.SKILL: {i: t for s in skills.values() for i, t in skill_texts(s).items()}}, embedder)
    recall = Recall(embedder, index)
    recall.hold(skills)
    test = [r for r in requests() if not r.calibration]
    found: dict[str, Figure] = {}
    for name, abstain in (("recall_abstaining", True), ("recall_no_abstaining", False)):
        hits = [recall.search(r.text, skills, Search(k=1, abstain=abstain)) for r in test]
        wrong = sum(bool(h) and h[0].skill.name not in r.right for r, h in zip(test, hits, strict=True))
        right = sum(bool(h) and h[0].skill.name in r.right for r, h in zip(test, hits, strict=True))
        found[f"{name}_wrong"] = Figure.rate(wrong, len(test), "of requests")
        found[f"{name}_right"] = Figure.rate(right, len(test), "of requests")
    recall.close()
    return found
