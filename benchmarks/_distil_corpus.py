"""Where the distil benchmark's examples come from, and what can be said of them without any model."""

from __future__ import annotations

import json
import tempfile
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from habilis.memory.embedding import HashEmbedder
from habilis.memory.home import Home
from habilis.run import Agent, AgentSettings
from habilis.trainer import Corpus, Example, build_corpus
from habilis.worlds.craft import CraftWorld

SPLITS = ("train", "validation", "test")


def lived(iterations: int, seed: int = 0) -> Corpus:
    """The corpus of a life in the craft world, from nothing, without a language model."""
    with tempfile.TemporaryDirectory(prefix="habilis-distil-") as folder:
        home = Path(folder) / "home"
        with Agent("craft", home=home, settings=AgentSettings(seed=seed, embedder="hash")) as agent:
            agent.run_now(iterations)
        return of_home(home)


def of_home(path: Path) -> Corpus:
    """The corpus of what a home knows of the craft world."""
    spec = CraftWorld().spec
    with Home.open(path, read_only=True) as home:
        journal = home.journal
        skills = [s for s in journal.skills() if s.fingerprint == spec.fingerprint]
        return build_corpus(list(journal.episodes()), skills, list(journal.contracts(spec.fingerprint)), spec)


def read(path: Path) -> Corpus:
    """From JSON lines with split, prompt, answer, family and group."""
    found: dict[str, list[Example]] = {name: [] for name in SPLITS}
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        try:
            row = json.loads(line)
            example = Example(row["prompt"], row["answer"], row["family"], row.get("group", row["prompt"]))
            found[row["split"]].append(example)
        except (ValueError, KeyError, TypeError) as error:
            raise SystemExit(f"{path}:{number}: {error!r}; a line has split, prompt, answer, family, group") from error
    return Corpus(*(tuple(found[name]) for name in SPLITS))


def write(corpus: Corpus, path: Path) -> None:
    with path.open("w", encoding="utf-8") as file:
        for split in SPLITS:
            for e in getattr(corpus, split):
                row = {"split": split, "prompt": e.prompt, "answer": e.answer, "family": e.family, "group": e.group}
                file.write(json.dumps(row, ensure_ascii=False) + "\n")


def stages(corpora: Sequence[Corpus], count: int = 3) -> list[Corpus]:
    """What is taught one after the other: the corpora, or of a single one its families in ``count`` groups."""
    if len(corpora) > 1:
        return list(corpora)
    (corpus,) = corpora
    families = sorted({e.family for e in corpus.train})
    parts = []
    for i in range(min(count, len(families))):
        own = set(families[i::count])
        parts.append(Corpus(*(tuple(e for e in getattr(corpus, s) if e.family in own) for s in SPLITS)))
    return parts


def constant_accuracy(corpus: Corpus, questions: Sequence[Example]) -> dict[str, float]:
    """Of always giving the commonest training answer of a family, by family."""
    answers: dict[str, Counter[str]] = defaultdict(Counter)
    for e in corpus.train:
        answers[e.family][e.answer] += 1
    said = {family: min(counts, key=lambda a: (-counts[a], a)) for family, counts in sorted(answers.items())}
    return _shares(questions, [said.get(e.family, "") for e in questions])


def nearest_accuracy(corpus: Corpus, questions: Sequence[Example]) -> dict[str, float]:
    """Of giving the answer of the most similar training question of the family (words and spelling, hashed)."""
    embedder = HashEmbedder()
    pools: dict[str, list[Example]] = defaultdict(list)
    for e in corpus.train:
        pools[e.family].append(e)
    vectors = {family: embedder.embed([e.prompt for e in pool]) for family, pool in sorted(pools.items())}
    said = []
    for question, vector in zip(questions, embedder.embed([q.prompt for q in questions]), strict=True):
        pool = pools.get(question.family)
        said.append(pool[int(np.argmax(vectors[question.family] @ vector))].answer if pool else "")
    return _shares(questions, said)


def _shares(questions: Sequence[Example], said: Sequence[str]) -> dict[str, float]:
    right: dict[str, list[bool]] = defaultdict(list)
    for question, answer in zip(questions, said, strict=True):
        right[question.family].append(question.answer == answer)
    return {family: sum(hits) / len(hits) for family, hits in sorted(right.items())}


def mean_over_families(shares: Mapping[str, float]) -> float:
    return sum(shares.values()) / len(shares) if shares else 0.0
