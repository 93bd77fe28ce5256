"""Who has hunches in the loop benchmark: the distilled model, what it has to beat, and its negative control.

All of them are asked alike (`habilis.agent.planning.advice.Guesser`) and their lines are read alike: a line with an
unknown action or name is no plan. The rivals know the plans of the corpus' training part, and take no time worth
counting.
"""

from __future__ import annotations

import random
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from habilis.agent.local.hunches import asked, read_plan
from habilis.agent.planning.advice import Guesser
from habilis.core import Action, Atom, Episode, Fact, Goal, Json, Mind, Snapshot, WorldSpec
from habilis.memory import prompts
from habilis.memory.wordings import worded
from habilis.trainer import Corpus, Example
from habilis.trainer.baselines import nearest

Line = Callable[[Goal, Snapshot], str | None]


@dataclass(frozen=True)
class Lived:
    """A plan that once worked. ``question``: the goal and the state it began in, as a model is asked."""

    goal: Goal
    question: str
    line: str


def lived(corpus: Corpus) -> list[Lived]:
    """The plans of the training part, each once."""
    found: dict[tuple[str, str], Lived] = {}
    for e in corpus.train:
        if e.family in ("plan", "plan_among"):
            goal = Goal.parse(e.told["goal"])
            question = worded("plan", {"goal": str(goal), "state": e.told["state"]})
            found.setdefault((question, e.answer), Lived(goal, question, e.answer))
    return list(found.values())


class Rival:
    """A guesser that gives the lines of a function; nothing is learned from what became of them."""

    def __init__(self, spec: WorldSpec, line: Line) -> None:
        self._spec, self._line = spec, line

    def plan(self, goal: Goal, state: Snapshot, known: Set[str]) -> Sequence[Action] | None:
        line = self._line(goal, state)
        return None if line is None else read_plan(line, self._spec, known)[0]

    def tried(self, plan: Sequence[Action], came_true: bool) -> None:
        """Nothing to learn."""

    def credit(self, episode: Episode) -> None:
        """Nothing to learn."""


def lookup(known: Sequence[Lived], spec: WorldSpec) -> Rival:
    """The plan of the very same goal, if there is one."""
    table: dict[str, str] = {}
    for one in known:
        table.setdefault(str(one.goal), one.line)
    return Rival(spec, lambda goal, state: table.get(str(goal)))


def nearest_plan(known: Sequence[Lived], spec: WorldSpec, *, substituted: bool) -> Rival:
    """The plan of the most similar training question (TF-IDF over words and names of goal and state).

    ``substituted``: among training goals of the same predicates, where there are any, and in its plan the new goal's
    names take the place of the old one's, by position. This is the strong baseline: it has the form of every plan and
    the right names in it.
    """
    pools: dict[object, list[Lived]] = defaultdict(list)
    for one in known:
        pools[_shape(one.goal)].append(one)
    finders: dict[object, Callable[[str], int]] = {}

    def line(goal: Goal, state: Snapshot) -> str | None:
        shape = _shape(goal) if substituted and _shape(goal) in pools else None
        pool = known if shape is None else pools[shape]
        if not pool:
            return None
        if shape not in finders:
            finders[shape] = _finder([one.question for one in pool])
        old = pool[finders[shape](asked(goal, state, spec))]
        return _renamed(old.line, old.goal, goal) if substituted else old.line

    return Rival(spec, line)


def model_line(mind: Mind, spec: WorldSpec, tokens: int = 96) -> Rival:
    """What a model writes, whether or not asking it pays: for its first proposal."""
    return Rival(spec, lambda goal, state: mind.complete([asked(goal, state, spec)], max_tokens=tokens)[0])


class ShuffledNames:
    """The negative control: the guesser is told of the same world with all names exchanged, and its plan is told back.

    What it knows of the things that the names stand for is of no use then; the form of a plan still is.
    """

    def __init__(self, guesser: Guesser, spec: WorldSpec, seed: int) -> None:
        self._guesser, self._spec, self._seed = guesser, spec, seed

    def plan(self, goal: Goal, state: Snapshot, known: Set[str]) -> Sequence[Action] | None:
        names = sorted(n for n in known if n not in self._spec.tags and not n.startswith("#"))
        told = random.Random(f"names {self._seed}").sample(names, len(names))
        there = dict(zip(names, told, strict=True))
        back = {new: old for old, new in there.items()}
        atoms = tuple(Atom(_fact(a.fact, there), a.op, a.value) for a in goal.atoms)
        facts = {_fact(fact, there): value for fact, value in state.facts.items()}
        plan = self._guesser.plan(Goal(atoms), Snapshot(facts, state.tags), known)
        return None if plan is None else [Action(a.name, _args(a.args, back)) for a in plan]

    def tried(self, plan: Sequence[Action], came_true: bool) -> None:
        self._guesser.tried(plan, came_true)

    def credit(self, episode: Episode) -> None:
        self._guesser.credit(episode)


class Metered:
    """A mind with its account. ``count``: tokens of a text.

    A line that was written before is not written again, for it would be the same: it is charged as it was measured, and
    ``unspent`` is the time that this saved.
    """

    def __init__(self, mind: Mind, count: Callable[[str], int]) -> None:
        self._mind, self._count, self.name = mind, count, mind.name
        self.seconds, self.unspent, self.tokens, self.lines, self.last = 0.0, 0.0, 0, 0, ""
        self._written: dict[tuple[str, int], tuple[str, float]] = {}

    def complete(self, prompts: Sequence[str], *, max_tokens: int = 48) -> list[str]:
        lines = []
        for prompt in prompts:
            known = (prompt, max_tokens) in self._written
            if not known:
                began = time.monotonic()
                line = self._mind.complete([prompt], max_tokens=max_tokens)[0]
                self._written[prompt, max_tokens] = line, time.monotonic() - began
            line, seconds = self._written[prompt, max_tokens]
            self.seconds += seconds
            self.unspent += seconds if known else 0.0
            self.tokens += self._count(prompt) + self._count(line)
            self.lines, self.last = self.lines + 1, line
            lines.append(line)
        return lines

    def rank(self, prompt: str, options: Sequence[str]) -> list[float]:
        began = time.monotonic()
        scores = self._mind.rank(prompt, options)
        self.seconds += time.monotonic() - began
        self.tokens += sum(self._count(prompt + option) for option in options)
        return scores


class Record:
    """Where `habilis.agent.local.hunches.Hunches` keeps its record from task to task, as a home's journal would."""

    def __init__(self, state: Mapping[str, Any] | None = None) -> None:
        self.state: dict[str, Any] = dict(state or {})

    def get_state(self, key: str, default: Any = None) -> Any:
        return self.state.get(key, default)

    def put_versioned_state(self, key: str, data: Mapping[str, Json]) -> None:
        self.state[key] = dict(data)


def _shape(goal: Goal) -> tuple[object, ...]:
    return tuple((a.fact.predicate, len(a.fact.args), a.op, a.is_numeric or a.value) for a in goal.atoms)


def _finder(texts: Sequence[str]) -> Callable[[str], int]:
    answer = nearest([Example(text, str(i), "plan", "") for i, text in enumerate(texts)])
    return lambda text: int(answer(Example(text, "", "plan", "")) or 0)


def _renamed(line: str, old: Goal, new: Goal) -> str | None:
    """A plan line for the old goal with the new goal's names, by position; the first of a name that has several."""
    actions = prompts.parse_plan(line)
    if actions is None:
        return None
    into: dict[Any, Any] = {}
    for was, now in zip(old.atoms, new.atoms, strict=False):
        for a, b in zip(was.fact.args, now.fact.args, strict=False):
            into.setdefault(a, b)
    return prompts.plan_line([Action(a.name, _args(a.args, into)) for a in actions])


def _fact(fact: Fact, into: Mapping[Any, Any]) -> Fact:
    return Fact(fact.predicate, _args(fact.args, into))


def _args(args: Sequence[Any], into: Mapping[Any, Any]) -> tuple[Any, ...]:
    return tuple(into.get(a, a) for a in args)
