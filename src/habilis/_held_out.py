"""What a model writes is carried out in fresh worlds: plans action by action, programs confined like any other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from habilis.agent.planning.calls import needed
from habilis.agent.writers.reply import Problem, read_program
from habilis.core import Action, HabilisError, InputError, Json, RunLimits, Runner, Skill, Task, Trajectory, World

__all__ = ["PlansInWorld", "ProgramsInWorld"]


@dataclass(frozen=True)
class PlansInWorld:
    """Runs plans in fresh worlds (satisfies the trainer's ``PlanRunner``): an action that fails is passed over."""

    fresh: Callable[[], World]

    def __call__(self, plans: Sequence[tuple[Task, tuple[Action, ...]]]) -> list[bool]:
        return [self._run(task, actions) for task, actions in plans]

    def _run(self, task: Task, actions: Sequence[Action]) -> bool:
        world = self.fresh()
        try:
            if not task.goal.unmet(world.reset(task.seed)):
                return False  # it was so before
            for action in actions:
                try:
                    if world.act(action).done:
                        break
                except InputError:
                    continue
            return not task.goal.unmet(world.observe())
        except HabilisError:
            return False  # the world gave up


@dataclass(frozen=True)
class ProgramsInWorld:
    """Runs programs in fresh worlds (satisfies the trainer's ``ProgramRunner``), with the library's ``skills``."""

    fresh: Callable[[], World]
    runner: Runner
    skills: Mapping[str, Skill]

    def __call__(self, programs: Sequence[tuple[Task, str, Mapping[str, Json]]]) -> list[Trajectory | None]:
        return [self._run(task, source, args) for task, source, args in programs]

    def _run(self, task: Task, source: str, args: Mapping[str, Json]) -> Trajectory | None:
        program = read_program(source, writer="local", skills=self.skills)
        if isinstance(program, Problem):
            return None
        world = self.fresh()
        world.reset(task.seed)
        try:
            called = needed(program[0], self.skills)
            return self.runner.run(program[0], world, args=args, skills=called, limits=RunLimits(), seed=task.seed)
        except HabilisError:
            return None  # arguments that it does not take, a skill that is gone
