"""Judging whether a goal became true, and verifying a skill in fresh worlds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeAlias

from habilis.core.budget import Ledger
from habilis.core.errors import ModelError
from habilis.core.goal import Goal, Snapshot
from habilis.core.program import Program, RunLimits, Runner, ToolCaller, Trajectory
from habilis.core.protocols import Judge, Verdict
from habilis.core.skill import Skill, Trial, fitted
from habilis.core.world import Json, Posing, World
from habilis.worlds.evaluation import for_evaluation
from habilis.worlds.runner import asked, reset

ModelJudge: TypeAlias = Callable[[str, Trajectory, Ledger], Verdict]


def ended_with(goal: Goal, trajectory: Trajectory) -> bool:
    """Whether the world ended with the very step that made the goal true, so that the program could do no more: that it
    tried to says nothing against it."""
    if trajectory.error is None or trajectory.error.kind != "ended" or not trajectory.steps or goal.judged is not None:
        return False
    last = trajectory.steps[-1].outcome
    facts = {**trajectory.after.facts, **{change.fact: change.before for change in last.changes}}
    before = Snapshot(facts, trajectory.after.tags)
    return last.done and bool(goal.unmet(before)) and not goal.unmet(trajectory.after)


class GoalJudge:
    """Compares the goal's atoms with the host's last snapshot; a `judged` goal is put to ``model``.

    ``model`` takes the goal's text, the trajectory and the ledger to charge, and answers with a `Verdict` that names
    it as ``judge``. The program's error does not matter: a goal that became true is true.
    """

    def __init__(self, model: ModelJudge | None = None) -> None:
        self._model = model

    def judge(self, goal: Goal, trajectory: Trajectory, ledger: Ledger) -> Verdict:
        """Raises `ModelError` if only a model can judge and there is none."""
        if goal.judged is not None:
            if self._model is None:
                raise ModelError(
                    f"only a model can judge {goal.judged[:200]!r}, and none was given; "
                    "hand a model to GoalJudge(model=...), or write the goal as atoms"
                )
            return self._model(goal.judged, trajectory, ledger)
        unmet = goal.unmet(trajectory.after)
        if unmet:
            return Verdict(False, unmet, "unmet: " + ", ".join(map(str, unmet)))
        if not goal.unmet(trajectory.before):
            return Verdict(True, reason="was already true" if not trajectory.steps else "was true before and still is")
        return Verdict(True, reason="became true")


class WorldVerifier:
    """Runs a candidate in a fresh world from ``make_world`` for each trial, and asks the judge.

    The world that the runner gets has no clones and no seeds (`habilis.worlds.evaluation`).
    """

    def __init__(
        self,
        make_world: Callable[[], World],
        runner: Runner,
        judge: Judge,
        *,
        limits: RunLimits | None = None,
    ) -> None:
        self._make_world, self._runner, self._judge = make_world, runner, judge
        self._limits = replace(limits if limits is not None else RunLimits(), images=0)

    def trial(
        self,
        candidate: Skill,
        args: Mapping[str, Json],
        seed: int,
        skills: Mapping[str, Program],
        ledger: Ledger,
        tools: ToolCaller | None = None,
    ) -> tuple[Trial, Trajectory]:
        """One run in a world reset to ``seed``, and the verdict on ``candidate.goal_for(args)``. Where the world poses
        orders, with the arguments that such an order has there.

        It succeeded if the goal became true and the program ended without an error: whoever calls a skill whose program
        raises gets the error, whatever it has brought about.

        ``tools``: how the program reaches tools, such as the replay of a tape.

        Parameters that ``args`` leaves out take their declared defaults, in the program as in the goal. Raises
        what runner and judge raise.
        """
        program = candidate.program
        default = {p.name: p.default for p in program.parameters if not p.required}
        world = self._make_world()
        posed = self._posed(world, candidate, default | dict(args), seed)
        given = default | dict(args) | posed
        world = for_evaluation(world)
        trajectory = self._runner.run(
            program,
            world,
            args=given,
            skills=skills,
            tools=tools,
            limits=self._limits,
            seed=seed,
            ledger=ledger,
        )
        verdict = self._judge.judge(candidate.goal_for(given), trajectory, ledger)
        goal = candidate.goal_for(given)
        why, ok = verdict.reason, verdict.ok and (trajectory.error is None or ended_with(goal, trajectory))
        if trajectory.error is not None and not ok:
            why = f"{why}; {trajectory.error.kind}: {trajectory.error.message}" if why else trajectory.error.message
        trial = Trial(seed, dict(args) | posed, ok, trajectory.world_steps, why, self._runner.tier)
        return trial, trajectory

    def _posed(self, world: World, candidate: Skill, given: Mapping[str, Json], seed: int) -> dict[str, Json]:
        """Begin with this seed; the arguments there, where the world poses goals like the candidate's."""
        like = candidate.goal_for(given)
        if isinstance(world, Posing) and "orders" in world.spec.capabilities and like.judged is None:
            posed = asked(world, f"when asked to pose {like}", lambda: world.pose(like, seed))
            args = fitted(candidate.goal_template, posed, candidate.program.parameters) if posed is not None else None
            if args is not None:
                return args
        reset(world, seed)
        return {}
