"""Where the distil benchmark's examples come from, and what can be said of them without any model."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from habilis._corpus import corpus_of
from habilis.core import Contract, WorldSpec
from habilis.run import Agent, AgentSettings
from habilis.trainer import Corpus, Example
from habilis.trainer.baselines import Answer, constant, nearest, scores, symbolic
from habilis.worlds.craft import CraftWorld
from habilis.worlds.household import HouseholdWorld

SPLITS = ("train", "validation", "test")


def lived(iterations: int, seed: int = 0) -> Corpus:
    """The corpus of a life in the craft world, from nothing, without a language model."""
    with (
        tempfile.TemporaryDirectory(prefix="habilis-distil-") as folder,
        Agent("craft", home=Path(folder) / "home", settings=AgentSettings(seed=seed, embedder="hash")) as agent,
    ):
        agent.run_now(iterations)
        return corpus_of(agent._parts, seed=seed)


def stages(corpora: Sequence[Corpus], count: int = 3) -> list[Corpus]:
    """What is taught one after the other: the corpora, or of a single one its families in ``count`` groups."""
    if len(corpora) > 1:
        return list(corpora)
    (corpus,) = corpora
    families = sorted({e.family for e in corpus.train})
    parts = []
    for i in range(min(count, len(families))):
        own = set(families[i::count])
        train, validation, test = (tuple(e for e in corpus.splits[s] if e.family in own) for s in SPLITS)
        parts.append(Corpus(train, validation, test))
    return parts


def baselines(corpus: Corpus, questions: Sequence[Example]) -> dict[str, dict[str, float]]:
    """Share right by family of "constant", "nearest" and, where the corpus is of a world of ours, "symbolic". A family
    that a baseline has no answer for is left out of it."""
    answers: dict[str, Answer] = {"constant": constant(corpus.train), "nearest": nearest(corpus.train)}
    known = _rules(corpus)
    if known is not None:
        answers["symbolic"] = symbolic(*known)
    return {
        name: {family: right / asked for family, (right, asked) in scores(answer, questions).items()}
        for name, answer in answers.items()
    }


def _rules(corpus: Corpus) -> tuple[Sequence[Contract], WorldSpec] | None:
    """All contracts of the world that a corpus is of, and its spec; None where it is of none of ours."""
    names = {e.house.split()[0] for e in corpus.train if e.house} | {p.task.world for p in corpus.plans}
    worlds: Mapping[str, Callable[[], CraftWorld | HouseholdWorld]] = {
        "craft": lambda: CraftWorld(recipes="declared"),
        "household": lambda: HouseholdWorld(people="always"),
    }
    if len(names) != 1 or not names <= set(worlds):
        return None
    world = worlds[names.pop()]()
    return world.contracts(), world.spec


def mean_over_families(shares: Mapping[str, float]) -> float:
    return sum(shares.values()) / len(shares) if shares else 0.0
