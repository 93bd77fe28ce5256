"""A life: one episode as questions are made of it."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from habilis.core import Change, Episode, Fact, Goal, Snapshot, Step, Task, Value, WorldSpec
from habilis.memory import prompts
from habilis.memory.wordings import worded
from habilis.trainer._example import Example


@dataclass(frozen=True)
class Life:
    """One episode as questions are made of it: ``steps`` are those that worked, in the attempt that counts.
    ``between``: what changed in steps that failed, before each of those that worked, and after the last."""

    episode: Episode
    spec: WorldSpec
    before: Snapshot
    steps: tuple[Step, ...]
    between: tuple[tuple[Change, ...], ...]
    group: str
    house: str

    def example(
        self, family: str, told: Mapping[str, str], answer: str, rng: random.Random, group: str | None = None
    ) -> Example:
        """A question in one of the wordings of its family."""
        prompt = worded(family, told, rng)
        about = self.group if group is None else group
        return Example(prompt, answer, family, about, self.episode.index, self.house, told)

    @property
    def goal(self) -> Goal:
        return self.episode.task.goal

    @property
    def solved(self) -> bool:
        """Whether it brought its goal about. What only came in sight was true already, and teaches nothing."""
        if not self.episode.solved or not self.goal.atoms:
            return False
        looked = all(s.action.name in self.spec.seeking for s in self.steps)
        return not looked or any(a.fact.predicate in self.spec.passing for a in self.goal.atoms)

    def state_at(self, step: int) -> dict[Fact, Value]:
        """The facts before this step, counted from 0."""
        now = dict(self.before.facts)
        for changes in self._changes[: step + 1]:
            now.update({c.fact: c.after for c in changes})
        return now

    @cached_property
    def whereabouts(self) -> Sequence[Mapping[str, Fact]]:
        """By thing the fact that tells best where it is: before each step, and at the end."""
        first, *later = self._changes
        begun = {**self.before.facts, **{c.fact: c.after for c in first}}
        return followed(begun, later, self.spec)

    @cached_property
    def _changes(self) -> Sequence[Sequence[Change]]:
        """Before the first step, and from each until the next."""
        first, *after = self.between
        return [first, *([*s.outcome.changes, *b] for s, b in zip(self.steps, after, strict=True))]

    @cached_property
    def told_state(self) -> str:
        return prompts.state_text(self.before, self.spec, about=self.goal)

    @cached_property
    def things(self) -> tuple[str, ...]:
        """What was known to lie somewhere at first, by name."""
        places = self.spec.places
        return tuple(sorted({str(f.args[0]) for f, v in self.before.facts.items() if v and f.predicate in places}))

    @cached_property
    def used(self) -> frozenset[str]:
        """The things that something was done to, or that the goal names and the agent went for or knew."""
        done = {str(a) for s in self.steps if s.action.name not in self.spec.seeking for a in s.action.args}
        met = {str(a) for s in self.steps for a in s.action.args} | set(self.things)
        return frozenset(done | {str(a) for atom in self.goal.atoms for a in atom.fact.args} & met)


def own_house(task: Task) -> str:
    """The world of its own that a task was worked on in; "" where it was none, but a life that goes on."""
    return f"{task.world} {task.seed}" if task.origin == "exploration" else ""


def followed(
    before: Mapping[Fact, Value], changes: Sequence[Sequence[Change]], spec: WorldSpec
) -> list[Mapping[str, Fact]]:
    """Where everything is, at first and after each of these changes."""
    facts = {f: v for f, v in before.items() if f.predicate in spec.places}
    found: list[Mapping[str, Fact]] = [whereabouts(facts, spec)]
    for some in changes:
        moved = {c.fact: c.after for c in some if c.fact.predicate in spec.places}
        if moved:
            facts |= moved
            things = {str(f.args[0]) for f in moved}
            near = {f: v for f, v in facts.items() if str(f.args[0]) in things}
            rest = {t: f for t, f in found[-1].items() if t not in things}
            found.append(rest | whereabouts(near, spec))
        else:
            found.append(found[-1])
    return found


def whereabouts(facts: Mapping[Fact, Value], spec: WorldSpec) -> dict[str, Fact]:
    """The fact that tells best where each thing is."""
    order = {predicate: i for i, predicate in enumerate(spec.places)}
    found: dict[str, Fact] = {}
    for fact, value in facts.items():
        if value and fact.predicate in order:
            thing = str(fact.args[0])
            known = found.get(thing)
            if known is None or (order[fact.predicate], fact) < (order[known.predicate], known):
                found[thing] = fact
    return found
