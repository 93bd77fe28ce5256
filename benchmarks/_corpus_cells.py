"""Household corpora for the distillation benchmarks: made once per seed from explorations, kept, cut to a size.

    python -m benchmarks._corpus_cells --seed 0 --random 300 --goals 1200 --folder /somewhere

explores (random walks, then goals by regression, each in a house of its own, with another person in each), builds the
corpus, writes it to ``household-SEED.jsonl`` in the folder, and prints how long that took, how many examples each
family has, and what the baselines score in the test. What was explored is kept in ``home-SEED``: interrupted, it goes
on. Where the file is there already it is read. Not a benchmark by itself.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

from benchmarks._harness import machine
from habilis import Agent, AgentSettings
from habilis._corpus import corpus_of
from habilis.core import Embedder
from habilis.trainer.baselines import Answer, constant, nearest, scores, symbolic
from habilis.trainer.corpus import Corpus, load_corpus, save_corpus
from habilis.worlds.household import HouseholdWorld

RANDOM, GOALS = 300, 1_200  # episodes; enough for 4,000 training examples
STEPS = 60  # of a random episode: the longer one is about, the more one sees of the other person


def household_corpus(
    seed: int, folder: Path, *, random: int = RANDOM, goals: int = GOALS
) -> tuple[Corpus, dict[str, float]]:
    """The corpus of this seed, and the seconds that its parts took (empty where it was there already)."""
    path = folder / f"household-{seed}.jsonl"
    if path.exists():
        return load_corpus(path), {}
    folder.mkdir(parents=True, exist_ok=True)
    took: dict[str, float] = {}
    settings = AgentSettings(seed=seed, index="exact", embedder="hash")
    with Agent(HouseholdWorld(people="always"), home=folder / f"home-{seed}", settings=settings) as agent:
        for name, episodes, policy in (("random", random, "random"), ("goals", goals, "regression")):
            began = time.monotonic()
            agent.explore_now(episodes, steps=STEPS, policy=policy)
            took[name] = time.monotonic() - began
        began = time.monotonic()
        corpus = corpus_of(agent._parts, seed=seed)
        took["corpus"] = time.monotonic() - began
    save_corpus(corpus, path)
    return corpus, took


def baselines(corpus: Corpus, embedder: Embedder | None = None) -> dict[str, dict[str, float]]:
    """By family: examples in each split, and the share right of each baseline in the test."""
    world = HouseholdWorld(people="always")
    answers: dict[str, Answer] = {
        "constant": constant(corpus.train),
        "nearest": nearest(corpus.train, embedder),
        "symbolic": symbolic(world.contracts(), world.spec),
    }
    table: dict[str, dict[str, float]] = {}
    for split, examples in corpus.splits.items():
        for example in examples:
            row = table.setdefault(example.family, dict.fromkeys(corpus.splits, 0))
            row[split] += 1
    for name, answer in answers.items():
        for family, (right, asked) in scores(answer, corpus.test).items():
            table[family][name] = right / asked
    return dict(sorted(table.items()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--random", type=int, default=RANDOM, help="random episodes")
    parser.add_argument("--goals", type=int, default=GOALS, help="episodes towards goals")
    parser.add_argument("--size", type=int, help="training examples; all by default")
    parser.add_argument("--folder", type=Path, required=True, help="where corpora are kept")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    corpus, took = household_corpus(given.seed, given.folder, random=given.random, goals=given.goals)
    if given.size is not None:
        corpus = corpus.limited(given.size)
    table = baselines(corpus)
    columns = ("train", "validation", "test", "constant", "nearest", "symbolic")
    print(f"| family | {' | '.join(columns)} |\n|---|{'---|' * len(columns)}")
    for family, row in table.items():
        cells = [f"{row[c]:g}" for c in columns[:3]] + [f"{row[c]:.2f}" if c in row else "" for c in columns[3:]]
        print(f"| {family} | {' | '.join(cells)} |")
    print(f"train {len(corpus.train)}, test {len(corpus.test)}, plans {len(corpus.plans)}; seconds {took}")
    if given.json is not None:
        record: dict[str, Any] = {"seed": given.seed, "machine": machine(), "seconds": took, "families": table}
        given.json.write_text(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
