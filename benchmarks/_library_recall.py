"""What recall's contract filter and its abstention are worth, on the frozen requests."""

from __future__ import annotations

from benchmarks._harness import Figure
from benchmarks._recall_data import library, requests
from habilis.core import Atom, Kind, Snapshot
from habilis.memory.embedding import HashEmbedder
from habilis.memory.index import MemoryIndex, sync_index
from habilis.memory.library import Recall, Search, skill_texts
from habilis.worlds.craft import CraftWorld


def recall_figures() -> dict[str, Figure]:
    """Of the test half: first hits that are right and can be run in a fresh world with an empty inventory, with the
    contract filter and without; and wrong answers, with abstention and without, requests that nothing serves
    included."""
    embedder = HashEmbedder()
    skills = {f"{name}@1": skill for name, skill in library().items()}
    index = MemoryIndex(embedder.dim)
    sync_index(index, {Kind.SKILL: {i: t for s in skills.values() for i, t in skill_texts(s).items()}}, embedder)
    recall = Recall(embedder, index)
    recall.hold(skills)
    world = CraftWorld()
    world.reset(0)
    state = world.observe()
    test = [r for r in requests() if not r.calibration]
    served = [r for r in test if r.right]
    able = {s.name for s in skills.values() if all(_holds(need, state) for need in s.needs)}
    found = {"recall_skills_that_can_run": Figure.rate(len(able), len(skills), "of skills")}
    for name, filtered in (("recall_filter", Search(k=1, state=state)), ("recall_no_filter", Search(k=1))):
        hits = [recall.search(r.text, skills, filtered) for r in served]
        good = sum(bool(h) and h[0].skill.name in able.intersection(r.right) for r, h in zip(served, hits, strict=True))
        found[f"{name}_top1"] = Figure.rate(good, len(served), "of requests")
    for name, abstain in (("recall_abstaining", True), ("recall_no_abstaining", False)):
        hits = [recall.search(r.text, skills, Search(k=1, abstain=abstain)) for r in test]
        wrong = sum(bool(h) and h[0].skill.name not in r.right for r, h in zip(test, hits, strict=True))
        right = sum(bool(h) and h[0].skill.name in r.right for r, h in zip(test, hits, strict=True))
        found[f"{name}_wrong"] = Figure.rate(wrong, len(test), "of requests")
        found[f"{name}_right"] = Figure.rate(right, len(test), "of requests")
    recall.close()
    return found


def _holds(need: str, state: Snapshot) -> bool:
    return state.holds(Atom.parse(need))
