"""From what the agent lived through to questions with short answers: the corpus, split so that nothing leaks.

The families are in `habilis.trainer.families`. An example belongs to the *group* of what it is about (the facts of its
goal without their amounts, or a class of things) and, where it was lived in a world of its own, to that *house*. A
whole group is in training, in validation or in the test, and so is a whole house: an example whose group and house are
in different ones is left out. So a held-out question is never about something that was trained on, nor in such a house.
Groups are drawn by hash; a house goes where one of its examples is, which is drawn by hash too, so that few are lost.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from habilis.core import Asking, Change, Contract, Episode, InputError, Json, Skill, Step, Task, World, WorldSpec
from habilis.memory import prompts
from habilis.trainer._example import MAX_ANSWER, Example
from habilis.trainer._life import Life, own_house
from habilis.trainer._splitting import split_examples, split_groups
from habilis.trainer.examples import SPLITS, split_rows, write_rows
from habilis.trainer.families import FAMILIES, Known, asked, group_of
from habilis.trainer.held_out import PlanTask, ProgramRunner, ProgramTask, plan_tasks, program_tasks

__all__ = [
    "CORPUS_VERSION",
    "Corpus",
    "Example",
    "build_corpus",
    "check_corpus",
    "load_corpus",
    "save_corpus",
    "split_groups",
]

CORPUS_VERSION = 3

_COMMONEST = 0.2  # no answer may be more frequent than this within a family of one split
_SHOWN = 3  # leaks or duplicates that an error names
_PROGRAM = 600  # characters of a program, which may take several lines


@dataclass(frozen=True)
class Corpus:
    """Examples by split, tasks to execute, and what was counted while building. ``fingerprint``: sha256 of it all."""

    train: tuple[Example, ...]
    validation: tuple[Example, ...]
    test: tuple[Example, ...]
    plans: tuple[PlanTask, ...] = ()
    programs: tuple[ProgramTask, ...] = ()
    figures: Mapping[str, Json] = field(default_factory=dict)
    fingerprint: str = ""

    @property
    def splits(self) -> dict[str, tuple[Example, ...]]:
        return {"train": self.train, "validation": self.validation, "test": self.test}

    def limited(self, train: int, test: int | None = None) -> Corpus:
        """The first examples of training and test: families come in turn, so each has its share."""
        kept = {**self.splits, "train": self.train[:train], "test": self.test[:test]}
        figures = dict(self.figures)
        figures |= {n: {"examples": len(some), **_family_figures(some)} for n, some in kept.items()}
        return replace(self, train=kept["train"], test=kept["test"], figures=figures, fingerprint=_fingerprint(kept))

    def splits_of(self) -> dict[str, dict[str, str]]:
        """In which split each group and each house is: ``{"group": {name: split}, "house": {name: split}}``."""
        found: dict[str, dict[str, str]] = {"group": {}, "house": {}}
        for split, some in self.splits.items():
            for example in some:
                for kind, name in (("group", example.group), ("house", example.house)):
                    if name:
                        found[kind][name] = split
        return found

    def apart_from(self, earlier: Mapping[str, Mapping[str, str]]) -> Corpus:
        """Without what an earlier corpus (its `splits_of`) had in another split: a journal that grows moves a group or
        a house now and then, and what was held out must not be trained on later, nor the other way round."""

        def same(split: str, group: str, house: str = "") -> bool:
            groups, houses = earlier.get("group", {}), earlier.get("house", {})
            return groups.get(group, split) == split and houses.get(house, split) == split

        kept = {s: tuple(e for e in some if same(s, e.group, e.house)) for s, some in self.splits.items()}
        plans = tuple(p for p in self.plans if same(p.split, group_of(p.task.goal), own_house(p.task)))
        aside = sum(map(len, self.splits.values())) - sum(map(len, kept.values()))
        if not aside and len(plans) == len(self.plans):
            return self
        figures = {**self.figures, "set_aside": aside, "plans": len(plans)}
        figures |= {n: {"examples": len(some), **_family_figures(some)} for n, some in kept.items()}
        return Corpus(
            kept["train"], kept["validation"], kept["test"], plans, self.programs, figures, _fingerprint(kept)
        )

    @property
    def missing(self) -> dict[str, str]:
        """The families without an example to train on, and where examples would come from."""
        there = {e.family for e in self.train}
        return {name: family.source for name, family in FAMILIES.items() if name not in there}


def build_corpus(
    episodes: Sequence[Episode],
    skills: Sequence[Skill],
    contracts: Sequence[Contract],
    spec: WorldSpec,
    seed: int = 0,
    *,
    ask: Callable[[], World] | None = None,
    run: ProgramRunner | None = None,
    own: Sequence[Example] = (),
    families: Sequence[str] | None = None,
    limit: int | None = None,
    min_episodes: int = 8,
    min_groups: int = 6,
) -> Corpus:
    """The corpus of a world, the same for the same input.

    Of its episodes, those count that were solved and those of explorations, in worlds of its fingerprint (old ones that
    tell none: by its name). ``ask`` makes a world that is thrown away, for the questions that only a world can put.
    ``run`` tries the known answers of held-out tasks (`habilis.trainer.held_out`).
    ``own``: a user's examples (`habilis.trainer.examples`), mixed in as they are. ``families``: only these.
    ``limit``: training examples, at most; all families are among the first ones.

    Raises `InputError` where there are fewer than ``min_episodes`` episodes or, without explorations, ``min_groups``
    different goals: below that nothing can be held out; where one of ``families`` has no example to train on, or
    ``limit`` has no room for each; and where one of ``own`` is a duplicate or would leak.
    """
    for name in families or ():
        if name not in FAMILIES and name not in {e.family for e in own}:
            raise InputError(f"there is no family {name!r}; there are {', '.join(FAMILIES)}")
    lives = [life for e in episodes if _of(e.task, spec) and (life := _life(e, spec)) is not None]
    solved = [life for life in lives if life.solved]
    groups = {life.group for life in solved}
    explored = sum(life.house != "" for life in lives)
    if len(lives) < min_episodes or (not explored and len(groups) < min_groups):
        raise InputError(
            f"the journal holds {len(solved)} solved episodes on {len(groups)} different goals (first tries of single "
            f"actions have none) and {explored} of explorations in {spec.name!r}; distilling needs at least "
            f"{min_episodes} on {min_groups}. Let it learn longer: habilis run, or habilis explore"
        )
    wanted = set(families or FAMILIES)
    made = _made(lives, Known(lives, skills, contracts, spec), seed, ask)
    split_of, house_of = split_examples([*made, *own], seed)  # of all, so that it is the same whatever is wanted
    found = [e for e in made if e.family in wanted]
    by_split = _split(found, split_of, house_of)
    rng = random.Random(f"corpus {CORPUS_VERSION} {seed}")
    mixed = _split(own, split_of, house_of)
    figures: dict[str, Json] = {
        "version": CORPUS_VERSION,
        "seed": seed,
        "prompts": prompts.PROMPT_VERSION,
        "episodes": len(lives),
        "own": len(own),
    }
    kept: dict[str, tuple[Example, ...]] = {}
    for name in SPLITS:
        balanced = _interleaved([*_balanced(by_split[name], rng), *_by_family(mixed[name]).values()])
        if limit is not None and name == "train":
            several = len({e.family for e in balanced})
            if limit < several:
                raise InputError(
                    f"a limit of {limit} leaves out some of the {several} families with examples; raise it (--limit), "
                    "or name fewer (--family)"
                )
            balanced = balanced[:limit]
        kept[name] = tuple(balanced)
        figures[name] = {"examples": len(kept[name]), **_family_figures(kept[name])}
    asked_for = [e for name in ("validation", "test") for e in kept[name] if e.family == "program"]
    written = [] if run is None else program_tasks(asked_for, skills, run)
    programs = tuple(one for one, _ in written)
    plans: tuple[PlanTask, ...] = ()
    for name in ("validation", "test") if "plan" in wanted else ():
        held, mine = [one for one in solved if _is_of(one, name, split_of, house_of)], {e.prompt for e in kept[name]}
        tasks = plan_tasks(held, spec, run, [(one.task, done) for one, done in written if one.prompt in mine])
        plans += tuple(replace(one, split=name) for one in tasks)
    figures |= {"plans": len(plans), "programs": len(programs)}
    corpus = Corpus(kept["train"], kept["validation"], kept["test"], plans, programs, figures, _fingerprint(kept))
    figures["missing"] = sorted(corpus.missing)
    lacking = {name: corpus.missing[name] for name in families or () if name in corpus.missing}
    if lacking:
        told = "; ".join(f"{name} needs {source}" for name, source in lacking.items())
        raise InputError(f"no example to train on is left in {', '.join(lacking)}: {told}")
    for name in ("train", "test"):
        if not kept[name]:
            raise InputError(
                f"after balancing, the {name} part has 0 of {len(found)} examples: the journal is too uniform; "
                "let the agent learn more different things (habilis explore, habilis run)"
            )
    check_corpus(corpus)
    return corpus


def check_corpus(corpus: Corpus) -> None:
    """Raises `InputError` naming what is asked twice, and what is in more than one split: questions, groups, houses."""
    where: dict[str, list[str]] = defaultdict(list)
    groups: dict[tuple[str, str], set[str]] = defaultdict(set)
    for split, examples in corpus.splits.items():
        for example in examples:
            where[example.prompt].append(split)
            groups["group", example.group].add(split)
            groups["house", example.house].add(split)
    twice = {prompt: splits for prompt, splits in where.items() if len(splits) > 1}
    if twice:
        told = "; ".join(f"{p[:100]!r} in {' and '.join(s)}" for p, s in sorted(twice.items())[:_SHOWN])
        raise InputError(f"{len(twice)} questions are asked more than once: {told}. Take one of each out")
    shared = {key: splits for key, splits in groups.items() if key[1] and len(splits) > 1}
    if shared:
        told = "; ".join(
            f"the {k} {n[:100]!r} in {' and '.join(sorted(s))}" for (k, n), s in sorted(shared.items())[:3]
        )
        raise InputError(
            f"{len(shared)} groups or houses leak: {told}. Give their examples one split, or another group"
        )


def save_corpus(corpus: Corpus, path: Path) -> int:
    """Write a corpus as JSON lines in chat format; returns how many. Raises `InputError`."""
    return write_rows(path, corpus.splits, corpus.plans, corpus.programs)


def load_corpus(path: Path) -> Corpus:
    """A corpus that was written. Raises `InputError` for a damaged line, a duplicate, a leak, or no example."""
    splits, plans, programs = split_rows(path)
    if not any(splits.values()):
        raise InputError(f"{path} holds no example; write it anew: habilis corpus build --out")
    kept = {name: tuple(splits[name]) for name in SPLITS}
    figures: dict[str, Json] = {"version": CORPUS_VERSION, "prompts": prompts.PROMPT_VERSION}
    figures |= {n: {"examples": len(kept[n]), **_family_figures(kept[n])} for n in SPLITS}
    figures |= {"plans": len(plans), "programs": len(programs)}
    corpus = Corpus(
        kept["train"], kept["validation"], kept["test"], tuple(plans), tuple(programs), figures, _fingerprint(kept)
    )
    check_corpus(corpus)
    return corpus


# -- making ----------------------------------------------------------------------------------------------------------


def _of(task: Task, spec: WorldSpec) -> bool:
    """Whether a task was in this world; another of its name may have other rules."""
    return task.world == spec.name and task.fingerprint in ("", spec.fingerprint)


def _life(episode: Episode, spec: WorldSpec) -> Life | None:
    """An episode as it is asked about: one that was solved, or of an exploration; None for any other."""
    explored = episode.task.origin == "exploration"
    if explored:
        attempts = list(episode.attempts)
    elif episode.solved and episode.task.goal.atoms:
        attempts = [a for a in episode.attempts if a.ok][-1:]
    else:
        attempts = []
    steps, between = list[Step](), [list[Change]()]
    for step in (s for a in attempts for s in a.trajectory.steps):
        if step.outcome.ok:
            steps.append(step)
            between.append([])
        else:
            between[-1] += step.outcome.changes
    if not steps:
        return None
    before = attempts[0].trajectory.before
    group, house = group_of(episode.task.goal), own_house(episode.task)
    return Life(episode, spec, before, tuple(steps), tuple(map(tuple, between)), group, house)


def _made(lives: Sequence[Life], known: Known, seed: int, ask: Callable[[], World] | None) -> list[Example]:
    found: list[Example] = []
    world = ask() if ask is not None else None
    asking = isinstance(world, Asking) and "questions" in world.spec.capabilities
    if asking and world is not None and world.spec.fingerprint != known.spec.fingerprint:
        raise InputError(
            f"the world that is to put questions has the fingerprint {world.spec.fingerprint!r}, the journal's "
            f"{known.spec.fingerprint!r}; make it with the same options"
        )
    for life in lives:
        # Each life draws by itself, so that one more episode changes no other's questions.
        drawn = f"{CORPUS_VERSION} {seed} {life.episode.task.seed} {life.episode.index}"
        for family in FAMILIES.values():
            if family.lives is not None:
                found += family.lives(life, random.Random(f"{family.name} {drawn}"))
        if asking and life.house:
            assert isinstance(world, Asking)
            actions = [s.action for a in life.episode.attempts for s in a.trajectory.steps]
            rng = random.Random(f"asked {drawn}")
            found += [asked(q, life.house, rng) for q in world.questions(life.episode.task.seed, actions)]
    for family in FAMILIES.values():
        if family.known is not None:
            found += family.known(known, random.Random(f"{family.name} {CORPUS_VERSION} {seed}"))
    return [e for e in found if len(e.answer) <= (_PROGRAM if e.family == "program" else MAX_ANSWER)]


def _placed(example: Example, split_of: Mapping[str, str], house_of: Mapping[str, str]) -> str | None:
    """The split of an example; None where its group and its house are in different ones."""
    if example.split:
        return example.split
    group, house = split_of.get(example.group), house_of.get(example.house)
    return (group or house) if group is None or house is None or group == house else None


def _split(
    found: Sequence[Example], split_of: Mapping[str, str], house_of: Mapping[str, str]
) -> dict[str, list[Example]]:
    """Examples by split, each question once. A question that two splits would share is in neither, nor one that has
    different answers in different places; a user's own are left as they are."""
    placed = [(e, s) for e in found if (s := _placed(e, split_of, house_of)) is not None]
    splits: dict[str, set[str]] = defaultdict(set)
    answers: dict[str, set[str]] = defaultdict(set)
    for example, split in placed:
        splits[example.prompt].add(split)
        answers[example.prompt].add(example.answer)
    by_split: dict[str, list[Example]] = {name: [] for name in SPLITS}
    seen: set[str] = set()
    for example, split in placed:
        one = len(splits[example.prompt]) == 1 and (example.family in _OPEN or len(answers[example.prompt]) == 1)
        if example.family not in FAMILIES or (one and example.prompt not in seen):
            seen.add(example.prompt)
            by_split[split].append(example)
    return by_split


_OPEN = frozenset(
    {"goal", "next", "plan", "plan_among", "activity", "program", "yields"}
)  # several answers may be right


# -- balancing -------------------------------------------------------------------------------------------------------


def _by_family(examples: Iterable[Example]) -> dict[str, list[Example]]:
    families: dict[str, list[Example]] = defaultdict(list)
    for example in examples:
        families[example.family].append(example)
    return {name: families[name] for name in sorted(families)}


def _balanced(examples: Sequence[Example], rng: random.Random) -> list[list[Example]]:
    """The families, in each no answer more frequent than `_COMMONEST`, so that no constant scores.

    A family in which that cannot be had (fewer than 1 / `_COMMONEST` different answers) is left out.
    """
    queues = []
    for pool in _by_family(sorted(examples, key=_row)).values():
        rng.shuffle(pool)
        capped = _capped(pool)
        if capped:
            queues.append(capped)
    return queues


def _interleaved(queues: Sequence[Sequence[Example]]) -> list[Example]:
    """The families in turn, so that any beginning of the list (a short budget) holds all of them."""
    order: list[Example] = []
    for turn in range(max(map(len, queues), default=0)):
        order += [queue[turn] for queue in queues if turn < len(queue)]
    return order


def _capped(pool: Sequence[Example]) -> list[Example]:
    counts = Counter(e.answer for e in pool)
    # The largest cap at which the commonest answer stays within its share of what is left.
    for cap in range(max(counts.values()), 0, -1):
        left = sum(min(n, cap) for n in counts.values())
        if min(cap, max(counts.values())) <= _COMMONEST * left:
            taken: Counter[str] = Counter()
            kept = []
            for example in pool:
                if taken[example.answer] < cap:
                    taken[example.answer] += 1
                    kept.append(example)
            return kept
    return []


def _row(example: Example) -> tuple[str, ...]:
    return (example.prompt, example.answer, example.family, example.group, example.house)


def _fingerprint(kept: Mapping[str, Sequence[Example]]) -> str:
    text = json.dumps(
        [CORPUS_VERSION, prompts.PROMPT_VERSION, [[name, *_row(e)] for name in SPLITS for e in kept[name]]]
    )
    return hashlib.sha256(text.encode()).hexdigest()


def _family_figures(examples: Sequence[Example]) -> dict[str, Json]:
    """Per family: how many, and what always giving the commonest answer would score."""
    figures: dict[str, Json] = {}
    for name, some in _by_family(examples).items():
        answers = Counter(e.answer for e in some)
        total = answers.total()
        figures[name] = {"examples": total, "constant_answer": round(max(answers.values()) / total, 4)}
    return figures


def _is_of(life: Life, split: str, split_of: Mapping[str, str], house_of: Mapping[str, str]) -> bool:
    """Whether the task of a life, and its house, are of this split."""
    return split_of.get(life.group) == split and (not life.house or house_of.get(life.house) == split)
