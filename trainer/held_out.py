"""Held-out tasks that are *done*: by the plan or the program that a model writes, in a fresh world.

What a model writes need not be what was written once, so it is not compared with that but carried out. A task is put
only where the known answer does it under the same conditions: in a fresh world, reset with the task's seed. An agent's
life goes on from task to task, and what it did for one may have begun with all that it had by then. So where a task was
no exploration, the program that was written for it is run in the fresh world, and what it does there is the answer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from habilis.core import Action, GoalSyntaxError, InputError, Json, Skill, Task, Trajectory, WorldSpec
from habilis.memory import prompts
from habilis.memory.wordings import worded
from habilis.trainer._example import MAX_ANSWER, Example
from habilis.trainer._life import Life
from habilis.trainer.families import group_of

PLAN_RUN, PROGRAM_RUN = "plan_run", "program_run"  # the families of what is carried out
_TRIED = 64  # tasks whose known answers are tried


class PlanRunner(Protocol):
    """Runs plans in fresh worlds: for each (task, actions) whether the task's goal became true. Handed in by the roof.

    The world is reset with ``task.seed``, the actions are taken in order (one that fails is passed over), and the
    world's own judge decides.
    """

    def __call__(self, plans: Sequence[tuple[Task, tuple[Action, ...]]]) -> Sequence[bool]: ...


class ProgramRunner(Protocol):
    """Runs programs in fresh worlds: for each (task, source, arguments) what it did, None where the source is no
    program or cannot be run. Handed in by the roof. The world is reset with ``task.seed``; the library's skills may be
    called."""

    def __call__(self, programs: Sequence[tuple[Task, str, Mapping[str, Json]]]) -> Sequence[Trajectory | None]: ...


@dataclass(frozen=True)
class PlanTask:
    """A held-out task, done by running the model's plan. ``prompt`` asks for it; ``answer``: one that worked;
    ``split``: "validation" (for the gate) or "test"; ``family``: as what it is counted."""

    prompt: str
    task: Task
    answer: str = ""
    split: str = "test"
    family: str = PLAN_RUN


@dataclass(frozen=True)
class ProgramTask:
    """A held-out task, done by running the model's program with ``args``. ``answer``: the source of a skill's program
    that did it."""

    prompt: str
    task: Task
    answer: str
    args: Mapping[str, Json] = field(default_factory=dict, hash=False)
    split: str = "test"
    family: str = PROGRAM_RUN


@dataclass(frozen=True)
class HeldOut:
    """What is to be done in the world, and who carries out what the model writes for it. Without a runner nothing of
    its kind is asked for."""

    plans: Sequence[PlanTask] = ()
    programs: Sequence[ProgramTask] = ()
    run_plans: PlanRunner | None = None
    run_programs: ProgramRunner | None = None

    def doable(self) -> HeldOut:
        """Those of the tasks whose known answer does them here and now: another world may be at hand than when they
        were put together, or other skills."""
        plans, programs = tuple[PlanTask, ...](), tuple[ProgramTask, ...]()
        if self.run_plans is not None:
            known = [(p, actions) for p in self.plans if (actions := prompts.parse_plan(p.answer))]
            solved = self.run_plans([(p.task, actions) for p, actions in known])
            plans = tuple(p for (p, _), ok in zip(known, solved, strict=True) if ok)
        if self.run_programs is not None:
            lived = self.run_programs([(p.task, p.answer, p.args) for p in self.programs])
            programs = tuple(p for p, one in zip(self.programs, lived, strict=True) if achieved(p.task, one))
        return replace(self, plans=plans, programs=programs)


def achieved(task: Task, trajectory: Trajectory | None) -> bool:
    """Whether a run brought the task's goal about: it was not so before, and is so after a run without an error."""
    if trajectory is None or trajectory.error is not None:
        return False
    return bool(task.goal.unmet(trajectory.before)) and not task.goal.unmet(trajectory.after)


def plan_tasks(
    lives: Sequence[Life], spec: WorldSpec, run: ProgramRunner | None, lived: Sequence[tuple[Task, Trajectory]] = ()
) -> tuple[PlanTask, ...]:
    """One task per goal of these lives, in the goals' order. Without ``run`` each is told from the state in which it
    was once solved; with it, lives that were no explorations are tried again in a fresh world (`_TRIED` goals at
    most). ``lived``: other tasks that were done in fresh worlds, for goals that no life did there."""
    found: dict[str, PlanTask] = {}
    tried: set[str] = set()

    def put(task: Task, answer: Sequence[Action], state: str, most: float) -> None:
        line = prompts.plan_line(answer, limit=10_000)
        if answer and len(line) <= most:
            prompt = worded("plan", {"goal": str(task.goal), "state": state})
            found.setdefault(str(task.goal), PlanTask(prompt, task, line))

    def put_lived(task: Task, trajectory: Trajectory) -> None:
        answer = [s.action for s in trajectory.steps if s.outcome.ok]
        put(task, answer, prompts.state_text(trajectory.before, spec, about=task.goal), MAX_ANSWER)

    for life in lives:
        goal, task = str(life.goal), life.episode.task
        if goal in found:
            continue
        if run is None or life.house:
            put(task, [s.action for s in life.steps], life.told_state, math.inf)
        elif goal in tried or len(tried) < _TRIED:
            tried.add(goal)
            attempt = [a for a in life.episode.attempts if a.ok][-1]
            (again,) = run([(task, attempt.program.source, attempt.args)])
            if again is not None and achieved(task, again):
                put_lived(task, again)
    for task, trajectory in lived:
        put_lived(task, trajectory)
    return tuple(found[goal] for goal in sorted(found))


def program_tasks(
    examples: Sequence[Example], skills: Sequence[Skill], run: ProgramRunner
) -> list[tuple[ProgramTask, Trajectory]]:
    """Of held-out questions for programs those whose known program does it again in the first fresh world in which it
    was proven for what the question is about, with the arguments that it had there; and what it did. What its other
    cases bring about may have been trained on."""
    by_source = {skill.program.source.strip(): skill for skill in skills}
    found: list[tuple[ProgramTask, Trajectory]] = []
    for example in examples:
        skill = by_source.get(example.answer)
        if skill is None or len(found) >= _TRIED:
            continue
        try:
            about = group_of(skill.goals()[0])
            proven = ((t, skill.goal_for(t.args)) for t in skill.evidence.trials if t.ok)
            trial, goal = next(((t, g) for t, g in proven if group_of(g) == about), (None, None))
        except (GoalSyntaxError, InputError):
            continue
        if trial is None or goal is None:
            continue
        task = Task(goal, skill.world, trial.seed, skill.doc, fingerprint=skill.fingerprint)
        (lived,) = run([(task, example.answer, trial.args)])
        if lived is not None and achieved(task, lived):
            found.append((ProgramTask(example.prompt, task, example.answer, trial.args), lived))
    return found
