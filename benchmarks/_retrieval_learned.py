"""What learning from outcomes gains: spaces and rivals on tools that were used, and on tools that never were.

A *set* has things with descriptions and tasks that each name the thing that solves them. A fifth of the things, by the
hash of the name, is *unseen*: none of their tasks is ever learned from. Of each other thing some tasks are learned
from, one use each, in random order; what is measured is how often the right thing comes first, among all things, on
tasks that nobody has seen. Seeds draw which tasks are learned from, and their order.

    python -m benchmarks._retrieval_learned --data METATOOL    what the settings were chosen by (their calibration sets)
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks._harness import Figure
from habilis.core import Embedder
from habilis.testing.space import check_cost
from habilis.tools import Described, Projection, Rocchio, Space, Toolken

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

UNSEEN = 0.2  # of all things
OURS = "rocchio"
SPACES: dict[str, Callable[[], Space]] = {
    "zero_shot": Described,
    OURS: Rocchio,
    "rocchio_no_examples": lambda: Rocchio(examples=0),
    "toolken_described": Toolken,
    "toolken_random": lambda: Toolken(start="random"),
    "projection": Projection,
}
_FOLDS = 5


@dataclass(frozen=True)
class Tasks:
    """Things and tasks, embedded: ``described`` (things, dim), ``asked`` (tasks, dim), ``right`` (tasks,) the number of
    the thing. ``held``: tasks that are for measuring alone; all others may be learned from."""

    names: list[str]
    described: NDArray[np.float32]
    asked: NDArray[np.float32]
    right: NDArray[np.intp]
    held: NDArray[np.bool_]

    @classmethod
    def of(
        cls, embedder: Embedder, things: Mapping[str, str], tasks: Sequence[tuple[str, str]], held: Sequence[bool]
    ) -> Tasks:
        """``things``: name -> text; ``tasks``: (text, name of the thing)."""
        import numpy as np

        names = sorted(things)
        number = {name: i for i, name in enumerate(names)}
        return cls(
            names,
            embedder.embed([things[name] for name in names]),
            embedder.embed([text for text, _ in tasks]),
            np.array([number[name] for _, name in tasks]),
            np.array(held),
        )

    def unseen(self, seed: int | None = None) -> NDArray[np.bool_]:
        """(things,): a fifth by the hash of the name; ``seed``: by another hash."""
        import numpy as np

        salt = "unseen" if seed is None else f"unseen {seed} "
        order = sorted(range(len(self.names)), key=lambda i: hashlib.sha256((salt + self.names[i]).encode()).digest())
        chosen = np.zeros(len(self.names), dtype=np.bool_)
        chosen[order[: round(UNSEEN * len(order))]] = True
        return chosen

    def lessons(self, unseen: NDArray[np.bool_], count: int, seed: int) -> NDArray[np.intp]:
        """So many tasks of each seen thing (fewer where there are no more), in random order."""
        import numpy as np

        draw = np.random.default_rng(seed)
        chosen = [
            draw.permutation(np.flatnonzero(~self.held & (self.right == i)))[:count]
            for i in range(len(self.names))
            if not unseen[i]
        ]
        return draw.permutation(np.concatenate(chosen))


class Ranks:
    """The ranks of the right things of some tasks, from 0, and which of these things were never used."""

    def __init__(self, scores: NDArray[np.float32], right: NDArray[np.intp], unseen: NDArray[np.bool_]) -> None:
        import numpy as np

        own = scores[np.arange(len(right)), right]
        # Of equal scores the right one comes last: a space that cannot tell finds nothing.
        self.ranks = (scores >= own[:, None]).sum(axis=1) - 1
        self.right, self.unseen = right, unseen[right]

    def rate(self, unseen: bool, k: int) -> float:
        """The share that is among the first ``k``."""
        return float((self.ranks[self.unseen == unseen] < k).mean())

    def by_thing(self, unseen: bool) -> dict[int, float]:
        """The share that comes first, of each thing."""
        mine = self.unseen == unseen
        return {int(i): float((self.ranks[mine & (self.right == i)] < 1).mean()) for i in sorted(set(self.right[mine]))}


def taught(space: Space, tasks: Tasks, lessons: Sequence[int] | NDArray[np.intp]) -> Space:
    """The space, after one use for each of these tasks, all of which were solved."""
    for i in lessons:
        thing = int(tasks.right[i])
        space.learn(tasks.names[thing], tasks.described[thing], tasks.asked[i], True)
    return space


def scored(space: Space, tasks: Tasks, asked: NDArray[np.float32]) -> NDArray[np.float32]:
    """The relevance of all things for some tasks, (tasks, things), as a catalogue would find it."""
    import numpy as np

    number = {name: i for i, name in enumerate(tasks.names)}
    scores = np.stack([(tasks.described @ space.ask(row)).clip(0, 1) for row in asked])
    for row, task in enumerate(asked):
        for id, score in space.near(task):
            scores[row, number[id]] = score
    return scores


def plain_rocchio(tasks: Tasks, lessons: NDArray[np.intp]) -> NDArray[np.float32]:
    """Description plus the mean of the tasks, and no penalty: (things, dim)."""
    return _moved(tasks, lessons, centred=False)


def _moved(tasks: Tasks, lessons: NDArray[np.intp], *, centred: bool, pull: float = 1.0) -> NDArray[np.float32]:
    import numpy as np

    rows = tasks.asked[lessons] - (tasks.asked[lessons].mean(axis=0) if centred else 0)
    total, count = np.zeros_like(tasks.described), np.bincount(tasks.right[lessons], minlength=len(tasks.names))
    np.add.at(total, tasks.right[lessons], rows)
    places = tasks.described + pull * total / np.maximum(count, 1)[:, None]
    unit: NDArray[np.float32] = (places / np.linalg.norm(places, axis=1, keepdims=True)).astype(np.float32)
    return unit


def centred_rocchio(
    tasks: Tasks, lessons: NDArray[np.intp], seen: NDArray[np.bool_], asked: NDArray[np.float32]
) -> NDArray[np.float32]:
    """The scores, (tasks, things), of description plus the mean of the tasks less the mean of all, and a penalty on
    what was used: the least at which things left out, a fifth at a time, come first as often as they do among
    descriptions alone."""
    import numpy as np

    learned, losses = tasks.right[lessons], []
    penalties = np.arange(0, 0.31, 0.01, dtype=np.float32)
    zero_shot = 0
    for fold in range(_FOLDS):
        out = lessons[learned % _FOLDS == fold]
        rest = lessons[learned % _FOLDS != fold]
        used = np.bincount(tasks.right[rest], minlength=len(tasks.names)) > 0
        plain, moved = tasks.asked[out] @ tasks.described.T, tasks.asked[out] @ _moved(tasks, rest, centred=True).T
        zero_shot += int((plain.argmax(axis=1) == tasks.right[out]).sum())
        losses.append([int(((moved - p * used).argmax(axis=1) == tasks.right[out]).sum()) for p in penalties])
    enough = np.flatnonzero(np.sum(losses, axis=0) >= zero_shot)
    penalty = penalties[enough[0] if len(enough) else -1]
    scores: NDArray[np.float32] = asked @ _moved(tasks, lessons, centred=True).T - penalty * seen
    return scores


def systems(
    tasks: Tasks, lessons: NDArray[np.intp], unseen: NDArray[np.bool_], asked: NDArray[np.float32]
) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Each system's name and scores, (tasks, things), after these lessons."""
    for name, make in SPACES.items():
        yield name, scored(taught(make(), tasks, lessons), tasks, asked)
    yield "plain_rocchio", asked @ plain_rocchio(tasks, lessons).T
    yield "centred_rocchio", centred_rocchio(tasks, lessons, ~unseen, asked)


def measure_set(tasks: Tasks, counts: Sequence[int], seeds: int, prefix: str) -> dict[str, Figure]:
    """R@1 and R@5 of every system on seen and unseen things, after so many lessons a thing, and our gain on unseen."""
    unseen, asked, right = tasks.unseen(), tasks.asked[tasks.held], tasks.right[tasks.held]
    figures: dict[str, Figure] = {}
    for count in counts:
        rates: dict[str, list[float]] = {}
        gains, by_thing = [], []
        for seed in range(seeds):
            lessons = tasks.lessons(unseen, count, seed)
            ranks = {name: Ranks(s, right, unseen) for name, s in systems(tasks, lessons, unseen, asked)}
            for name, found in ranks.items():
                for k in (1, 5):
                    for which in (False, True):
                        key = f"{prefix}{name}_{'unseen' if which else 'seen'}_r{k}_{count}"
                        rates.setdefault(key, []).append(found.rate(which, k))
            gains.append(ranks[OURS].rate(True, 1) - ranks["zero_shot"].rate(True, 1))
            before, after = (ranks[name].by_thing(True) for name in ("zero_shot", OURS))
            by_thing.append([after[i] - before[i] for i in sorted(after)])
        figures |= {key: Figure.of(some, f"{count} uses a tool") for key, some in rates.items()}
        figures[f"{prefix}unseen_gain_{count}"] = Figure.of(gains, "over zero-shot; interval over seeds")
        means = [sum(column) / seeds for column in zip(*by_thing, strict=True)]
        figures[f"{prefix}unseen_gain_{count}_by_tool"] = Figure.of(means, "the same; interval over tools")
    return figures


def measure_two(tasks: Tasks, asked: NDArray[np.float32], pairs: Sequence[set[int]], count: int) -> dict[str, Figure]:
    """Tasks that need two things, though every lesson named one: how often both are among the first five."""
    import numpy as np

    figures = {}
    lessons = tasks.lessons(tasks.unseen(), count, 0)
    for name in ("zero_shot", OURS):
        first = np.argsort(-scored(taught(SPACES[name](), tasks, lessons), tasks, asked), axis=1, kind="stable")[:, :5]
        both = sum(pair <= set(row.tolist()) for pair, row in zip(pairs, first, strict=True))
        figures[f"two_tools_{name}_top5"] = Figure.rate(both, len(pairs), f"both; {count} uses a tool")
    return figures


def measure_stream(tasks: Tasks, most: int, seeds: int, parts: int = 5) -> dict[str, Figure]:
    """Tasks in random order, at most so many of each thing; one hears only whether what came first was right."""
    import numpy as np

    hits: dict[str, list[NDArray[np.bool_]]] = {}
    lost: dict[str, list[float]] = {}
    for seed in range(seeds):
        draw = np.random.default_rng(seed)
        mine = (draw.permutation(np.flatnonzero(tasks.right == i))[:most] for i in range(len(tasks.names)))
        order = draw.permutation(np.concatenate(list(mine)))
        for name in ("zero_shot", OURS):
            space, found = SPACES[name](), []
            for i in order:
                first = int(scored(space, tasks, tasks.asked[i : i + 1])[0].argmax())
                found.append(first == tasks.right[i])
                space.learn(tasks.names[first], tasks.described[first], tasks.asked[i], bool(found[-1]))
            hits.setdefault(name, []).append(np.array(found))
            later = slice(len(order) // 2, None)
            ever = set(tasks.right[order[later]][np.array(found)[later]])
            lost.setdefault(name, []).append(1 - len(ever) / len(set(tasks.right[order[later]])))
    figures = {}
    for name, runs in hits.items():
        for part in range(parts):
            some = [float(np.array_split(run, parts)[part].mean()) for run in runs]
            figures[f"stream_{name}_r1_{part + 1}of{parts}"] = Figure.of(some, "R@1, told only whether it was right")
        figures[f"stream_{name}_lost"] = Figure.of(lost[name], "tools never found in the second half")
    return figures


def measure_cost() -> dict[str, Figure]:
    outcome, question = check_cost(SPACES[OURS], things=10_000)
    return {
        "outcome_ms_10k": Figure(outcome, outcome, outcome, "ms, 10,000 things have moved"),
        "question_ms_10k": Figure(question, question, question, "ms, 10,000 things have moved"),
    }


def choose(sets: Mapping[str, Tasks], counts: Sequence[int], seeds: int) -> Iterator[str]:
    """A line for each setting that was tried: R@1 on seen and unseen things, less zero-shot, with other things unseen
    in each seed."""
    import numpy as np

    tried: list[dict[str, Any]] = [
        {},
        *({"pull": pull} for pull in (1.0, 2.0, 6.0)),
        *({"doubt": doubt} for doubt in (2.0, 8.0)),
        *({"nearest": nearest} for nearest in (0.3, 0.8)),
        *({"examples": examples} for examples in (0, 4, 8, 32)),
        *({"margin": margin} for margin in (0.0, 1.0, 2.0, 3.0)),
    ]
    for setting in tried:
        told = []
        for name, tasks in sets.items():
            asked, right = tasks.asked[tasks.held], tasks.right[tasks.held]
            for count in counts:
                gains = []
                for seed in range(seeds):
                    unseen = tasks.unseen(seed)
                    space = taught(Rocchio(**setting), tasks, tasks.lessons(unseen, count, seed))
                    found = Ranks(scored(space, tasks, asked), right, unseen)
                    plain = Ranks(asked @ tasks.described.T, right, unseen)
                    gains.append([found.rate(which, 1) - plain.rate(which, 1) for which in (False, True)])
                seen, new = np.mean(gains, axis=0)
                told.append(f"{name} {count}: {seen:+.3f} {new:+.3f}")
        yield f"{setting or 'as it is'!s:20} " + "   ".join(told)


def main() -> None:
    from benchmarks._docstrings import modules
    from benchmarks.retrieval import is_calibration, load, tasks_of
    from habilis.memory.embedding import open_embedder

    parser = argparse.ArgumentParser(prog="python -m benchmarks._retrieval_learned")
    parser.add_argument("--data", type=Path, required=True, metavar="PATH", help="MetaTool's folder dataset")
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    embedder = open_embedder("minilm")
    documents, asked = load(given.data)
    told, says = modules()
    third = [int(hashlib.sha256(text.encode()).hexdigest(), 16) % 3 == 0 for text, _ in says]
    sets = {
        "MetaTool": tasks_of(embedder, documents, [a for a in asked if is_calibration(a)], lambda a: True),
        "modules": Tasks.of(embedder, told, says, third),
    }
    for line in choose(sets, (1, 5, 20), given.seeds):
        print(line, flush=True)


if __name__ == "__main__":
    main()
