"""Finding a skill by what someone says: quality on frozen requests, docstring to code, abstention, and speed.

    python -m benchmarks.recall            all of it
    python -m benchmarks.recall --quick    the same; speed at the smaller size alone

494 requests for 140 skills that a life in the craft world learned (`benchmarks/_recall_data.py`): none shares more than
half of its content words with the text of a skill that serves it, which is checked here. Weights and thresholds saw
the calibration half alone; figures are of the other half, ``all_*`` of both. ``named_*``: requests that share some
content word with a skill that serves them; ``described_*``: those that share none. ``stdlib_*``: functions of the
running Python's standard library by the first paragraph of their docstrings, the half that was not tuned on, among all.

``answered``: of the test half and 32 requests that nothing in the library serves, how many get an answer when recall
may abstain. ``cases_*``: the same library with its variants (woods, colours, …) merged into skills with choices, where
skill and choice must be right. ``diverse_*``: with ``diversity=0.3``; ``likeness``: mean cosine among five hits.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from benchmarks._docstrings import documented
from benchmarks._harness import Figure, Options, main
from benchmarks._ranking import METHODS, Asked, Ranking, found
from benchmarks._recall_data import Request, library, requests, shared, too_alike
from benchmarks.retrieval import EMBEDDERS, answered
from habilis.core import Case, Embedder, InputError, Kind, Parameter, Skill
from habilis.memory.embedding import RememberingEmbedder, open_embedder
from habilis.memory.index import MemoryIndex, sync_index
from habilis.memory.library import Hit, Recall, Search, skill_text, skill_texts

AIMS = {
    "top1": ">= 0.80",
    "top5": ">= 0.965",
    "stdlib_r1": ">= 0.58",
    "p50_ms_100k": "<= 5",
    "p50_ms_1m": "<= 10",
}
FAMILIES = ("log", "planks", "wool", "dye", "slab", "boat", "mushroom", "nugget", "ingot")
DIVERSITY = 0.3


def measure(options: Options) -> dict[str, Figure]:
    skills, asked = library(), requests()
    texts = {name: skill_text(skill) for name, skill in skills.items()}
    alike = too_alike(asked, texts)
    if alike:
        raise InputError(f"{len(alike)} requests share over half their words with a skill's text: {alike[0].text!r}")
    served = [r for r in asked if r.right]
    test = [r for r in served if not r.calibration]
    figures = {
        "skills": Figure.of([len(skills)]),
        "requests": Figure.of([len(served)]),
        "test_requests": Figure.of([len(test)]),
        "test_requests_not_served": Figure.of([sum(not r.right and not r.calibration for r in asked)]),
    }
    for name in EMBEDDERS:
        embedder = RememberingEmbedder(open_embedder(name))
        figures |= quality(name, embedder, texts, served)
        mixed = [Asked(r.text, frozenset(r.right)) for r in asked if not r.calibration]
        figures |= answered(list(Ranking.of(embedder, texts, mixed).bests()), _prefix(name))
        figures |= code(name, embedder)
    best = RememberingEmbedder(open_embedder(EMBEDDERS[0]))
    return figures | with_cases(best, skills, test) | diverse(best, skills, test) | speed(options)


def quality(name: str, embedder: Embedder, texts: Mapping[str, str], served: Sequence[Request]) -> dict[str, Figure]:
    """Top 1 and top 5 of every method; of ours by part and by kind of request too."""
    ranking = Ranking.of(embedder, texts, [Asked(r.text, frozenset(r.right)) for r in served])
    figures = {}
    for method in _methods(name):
        ranks = dict(zip(served, ranking.ranks(method), strict=True))
        test = [r for r in served if not r.calibration]
        parts = {_prefix(name, method): test}
        if method == "fused":
            parts[f"{_prefix(name)}all_"] = list(served)
        if _prefix(name, method) == "":
            parts["named_"] = [r for r in test if shared(r, texts) > 0]
            parts["described_"] = [r for r in test if shared(r, texts) == 0]
        for prefix, part in parts.items():
            for k in (1, 5):
                figures[f"{prefix}top{k}"] = Figure.rate(found([ranks[r] for r in part], k), len(part))
    return figures


def code(name: str, embedder: Embedder) -> dict[str, Figure]:
    """Docstring to code, over the standard library."""
    functions = documented()
    documents = {f.name: f"{f.name.rsplit('.', 1)[1].replace('_', ' ')}\n{f.source}" for f in functions}
    test = [Asked(f.says, frozenset((f.name,))) for f in functions if not f.calibration]
    ranking = Ranking.of(embedder, documents, test)
    figures = {"stdlib_functions": Figure.of([len(functions)]), "stdlib_test": Figure.of([len(test)])}
    for method in _methods(name):
        ranks = ranking.ranks(method)
        for k in (1, 5):
            figures[f"{_prefix(name, method)}stdlib_r{k}"] = Figure.rate(found(ranks, k), len(ranks))
    return figures


def with_cases(embedder: Embedder, skills: Mapping[str, Skill], test: Sequence[Request]) -> dict[str, Figure]:
    """The library with its families merged: a hit counts if the skill with its arguments is a right one."""
    some, of = merged(skills.values())
    hits = [_searched(embedder, some, r.text, Search(k=5)) for r in test]
    named = [[_name(h, of) in r.right for h in five] for r, five in zip(test, hits, strict=True)]
    return {
        "cases_skills": Figure.of([len(some)]),
        "cases_top1": Figure.rate(sum(any(n[:1]) for n in named), len(named)),
        "cases_top5": Figure.rate(sum(any(n) for n in named), len(named)),
    }


def merged(skills: Iterable[Skill]) -> tuple[dict[str, Skill], dict[tuple[str, str], str]]:
    """Skills by id, with each family of variants merged into one skill with a choice; and the name of the skill that
    each (merged skill, kind) stands for."""
    families: dict[str, list[Skill]] = {}
    some: dict[str, Skill] = {}
    for skill in skills:
        family = skill.name.rsplit("_", 1)[-1]
        tagged = '"#' in skill.goal_template
        if family in FAMILIES and not tagged and skill.name.count("_") > 1:
            families.setdefault(family, []).append(skill)
        else:
            some[f"{skill.name}@1"] = skill
    of: dict[tuple[str, str], str] = {}
    for family, members in sorted(families.items()):
        kinds = [m.name.removeprefix("have_") for m in members]
        kind = Parameter("kind", "str", kinds[0], choices=tuple(kinds))
        name = f"have_{family}"
        of |= {(name, k): m.name for k, m in zip(kinds, members, strict=True)}
        some[f"{name}@1"] = replace(
            members[0],
            name=name,
            doc="have 1 {kind}",
            program=replace(members[0].program, name=name, parameters=(kind, *members[0].program.parameters)),
            goal_template='count("{kind}") >= {n}',
            cases=tuple(Case({"kind": k}, needs=m.needs) for k, m in zip(kinds, members, strict=True)),
        )
    return some, of


def diverse(embedder: Embedder, skills: Mapping[str, Skill], test: Sequence[Request]) -> dict[str, Figure]:
    """What diversity costs in right hits, and how much less alike the hits are."""
    some = {f"{name}@1": skill for name, skill in skills.items()}
    figures = {}
    for prefix, diversity in (("", 0.0), ("diverse_", DIVERSITY)):
        hits = [_searched(embedder, some, r.text, Search(k=5, diversity=diversity)) for r in test]
        right = [[h.skill.name in r.right for h in five] for r, five in zip(test, hits, strict=True)]
        if diversity:
            figures["diverse_top1"] = Figure.rate(sum(any(n[:1]) for n in right), len(right))
            figures["diverse_top5"] = Figure.rate(sum(any(n) for n in right), len(right))
        figures[f"{prefix}likeness"] = Figure.of([_likeness(embedder, five) for five in hits if len(five) > 1])
    return figures


def speed(options: Options) -> dict[str, Figure]:
    """The speed half, where it is there."""
    try:
        module: Any = importlib.import_module("benchmarks._recall_speed")
    except ModuleNotFoundError:
        return {}
    measured: dict[str, Figure] = module.measure_speed(options)
    return measured


_held: dict[tuple[str, tuple[str, ...]], Recall] = {}


def _searched(embedder: Embedder, skills: Mapping[str, Skill], text: str, wanted: Search) -> list[Hit]:
    key = (embedder.fingerprint, tuple(skills))
    if key not in _held:
        index = MemoryIndex(embedder.dim)
        sync_index(index, {Kind.SKILL: {i: t for s in skills.values() for i, t in skill_texts(s).items()}}, embedder)
        _held[key] = Recall(embedder, index)
        _held[key].hold(skills)
    return _held[key].search(text, skills, wanted)


def _name(hit: Hit, of: Mapping[tuple[str, str], str]) -> str:
    return of[hit.skill.name, str(hit.args["kind"])] if hit.args else hit.skill.name


def _likeness(embedder: Embedder, hits: Sequence[Hit]) -> float:
    rows = embedder.embed([skill_text(h.skill, h.args) for h in hits])
    n = len(rows)
    return float(((rows @ rows.T).sum() - n) / (n * (n - 1)))


def _methods(embedder: str) -> list[str]:
    return [m for m in METHODS if m != "lexical" or embedder == EMBEDDERS[0]]  # no embedder has a part in BM25


def _prefix(embedder: str, method: str = "fused") -> str:
    if method == "lexical":
        return "bm25_"
    if method == "fused":
        return "" if embedder == EMBEDDERS[0] else f"{embedder}_"
    return f"{embedder}_{'alone' if method == 'dense' else method}_"


if __name__ == "__main__":
    main("recall", measure, aims=AIMS, seeds=1, quick_seeds=1)
