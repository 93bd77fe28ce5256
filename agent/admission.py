"""Admission: a program that solved its task becomes a skill only if it also works elsewhere.

In a world that can be made afresh it must succeed in several fresh worlds and with other parameter values; a failure
goes back to the writer. A live world cannot be repeated: there the evidence stays `observed`, with the tape.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from habilis.agent.words import goal_to_words
from habilis.core import (
    BudgetExceeded,
    Draft,
    Evidence,
    EvidenceLevel,
    Feedback,
    Goal,
    GoalSyntaxError,
    InputError,
    Json,
    Ledger,
    Parameter,
    Program,
    Skill,
    Snapshot,
    Task,
    ToolCaller,
    Trajectory,
    Trial,
    Verdict,
    Verifier,
    WorldSpec,
    fill,
)
from habilis.tools import ReplayTools

_VARIED = {"int": (3, 2, 5, 1), "float": (0.5, 2.0, 3.0), "bool": (True, False)}


@dataclass(frozen=True)
class AdmissionSettings:
    """``trials``: fresh worlds that must succeed (three rules out most luck at a bearable price). One failure asks for
    ``after_failure`` successes; a second one rejects. ``repeats``: how often a trial that the clock ended is done again
    before the candidate goes back as inconclusive."""

    trials: int = 3
    after_failure: int = 5
    repeats: int = 2


@dataclass(frozen=True)
class Verified:
    """The outcome: a skill with its evidence; or the feedback for the writer; or neither, where the program asked for
    a tool that must not be called again and the tape has no answer, so that nothing can be concluded. ``trajectories``
    are there to learn from."""

    skill: Skill | None
    feedback: Feedback | None
    trials: tuple[Trial, ...]
    trajectories: tuple[Trajectory, ...]


def candidate(draft: Draft, task: Task, spec: WorldSpec, iteration: int, tools: tuple[str, ...]) -> Skill:
    """The skill that a draft would become, without evidence yet. What it does is told by its goal with its defaults."""
    new = Skill(
        name=draft.program.name,
        version=0,
        program=draft.program,
        doc=task.text,
        goal_template=draft.goal_template,
        world=spec.name,
        fingerprint=spec.fingerprint,
        evidence=Evidence(EvidenceLevel.VERIFIED),
        needs=tuple(draft.meta.get("needs", ())),
        sources=draft.sources,
        tools=tools,
        origin=draft.program.writer,
        created=iteration,
        meta=dict(draft.meta),
    )
    try:
        return replace(new, doc=goal_to_words(new.goal_for({}), spec))
    except (GoalSyntaxError, InputError):
        return new


def misstated(draft: Draft, task: Task, spec: WorldSpec, after: Snapshot | None = None) -> str:
    """What is wrong with the goal that a draft says it achieves as a skill, or "".

    With the draft's own arguments it must be a goal, and one that implies the task's: a skill that promises less would
    pass for having done the task. ``after``: what was seen at its end, where nothing else will prove it.
    """
    template, parameters = draft.goal_template, draft.program.parameters
    stated = f"its goal {template[:200]!r} with its own arguments"
    try:
        goal = Goal.parse(fill(template, {p.name: p.default for p in parameters} | dict(draft.args)))
    except (GoalSyntaxError, InputError) as error:
        known = {p.name for p in parameters}
        strange = [name for name in re.findall(r"\{([^{}]*)\}", template) if name not in known]
        if not strange:
            return f"{stated} is none: {error}"
        names = ", ".join(f"{{{p.name}}}" for p in parameters) or "none"
        return f"its goal {template[:200]!r} names {{{strange[0][:40]}}}, which is no parameter; there are: {names}"
    if not goal.implies(task.goal, dict(spec.tags) | dict(after.tags if after is not None else {})):
        return f"{stated}, {str(goal)[:200]}, does not imply the task's, {str(task.goal)[:200]}"
    unmet = goal.unmet(after) if after is not None else ()
    return f"{stated} did not become true: unmet {', '.join(map(str, unmet))[:200]}" if unmet else ""


def verify(
    skill: Skill,
    verifier: Verifier,
    skills: Mapping[str, Program],
    ledger: Ledger,
    *,
    seed: int,
    settings: AdmissionSettings,
    tools: Callable[[], ToolCaller | None],
) -> Verified:
    """Run a candidate in fresh worlds with varied arguments until it has proven itself or failed.

    A trial that the clock ended counts for nothing and is done again.
    """
    trials: list[Trial] = []
    trajectories: list[Trajectory] = []
    good = bad = repeated = 0
    needed = settings.trials
    failed: tuple[Trial, Trajectory] | None = None
    varied = _arguments(skill.program.parameters)
    while good < needed and bad < 2:
        args = varied[len(trials) % len(varied)]
        caller = tools()
        trial, trajectory = verifier.trial(skill, args, _seed(seed, len(trials)), skills, ledger, caller)
        if isinstance(caller, ReplayTools) and caller.inconclusive:
            return Verified(None, None, tuple(trials), tuple(trajectories))
        if trajectory.inconclusive and not trial.ok:
            repeated += 1
            if repeated > settings.repeats:
                doubt = Verdict(False, (), f"inconclusive: {trial.why}")
                return Verified(None, Feedback(trajectory, doubt, True, args), tuple(trials), tuple(trajectories))
            continue
        repeated = 0
        trials.append(trial)
        trajectories.append(trajectory)
        if trial.ok:
            good += 1
        else:
            bad += 1
            needed = settings.after_failure
            failed = trial, trajectory
    evidence = Evidence(EvidenceLevel.VERIFIED, tuple(trials), good, bad)
    if good < needed and failed is not None:
        trial, trajectory = failed
        verdict = Verdict(False, skill.goal_for(trial.args).unmet(trajectory.after), trial.why)
        return Verified(None, Feedback(trajectory, verdict, True, trial.args), tuple(trials), tuple(trajectories))
    proven = replace(skill, evidence=evidence, cost=_cost(trials))
    return Verified(proven, None, tuple(trials), tuple(trajectories))


def observed(skill: Skill, args: Mapping[str, Json], task: Task, trajectory: Trajectory, judge: str) -> Skill:
    """A skill from a live world: seen to work once."""
    trial = Trial(task.seed, dict(args), True, trajectory.world_steps, f"judged by {judge}", trajectory.tier)
    level = EvidenceLevel.OBSERVED if judge == "world" else EvidenceLevel.MODEL_JUDGED
    return replace(skill, evidence=Evidence(level, (trial,), 1, 0), cost=float(max(1, trajectory.world_steps)))


def affordable(error: BudgetExceeded, ledger: Ledger) -> bool:
    """Whether the whole run could still pay what a task's own limit refused."""
    left = getattr(ledger.remaining, error.limit)
    return left is None or left >= error.asked


def _arguments(parameters: tuple[Parameter, ...]) -> list[dict[str, Json]]:
    """The defaults first, then other values of each parameter that has a type with obvious ones."""
    default = {p.name: p.default for p in parameters if p.default is not None or not p.required}
    sets: list[dict[str, Json]] = [default]
    for i in range(4):
        changed = dict(default)
        for p in parameters:
            values = _VARIED.get(p.type)
            if values:
                changed[p.name] = values[i % len(values)]
        if changed not in sets:
            sets.append(changed)
    return sets


def _cost(trials: list[Trial]) -> float:
    """Mean world steps per unit made, over the successes."""
    costs = [t.world_steps / max(1, _units(t.args)) for t in trials if t.ok]
    return round(sum(costs) / len(costs), 3) if costs else 1.0


def _units(args: Mapping[str, Json]) -> int:
    n = args.get("n", 1)
    return n if isinstance(n, int) and not isinstance(n, bool) else 1


def _seed(seed: int, trial: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed}:{trial}".encode()).digest()[:4], "big") >> 1
