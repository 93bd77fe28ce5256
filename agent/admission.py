"""From a draft to the skill that it would become: what it promises, and what was seen where nothing can be proven.

In a world that can be made afresh a candidate is proven there (`habilis.memory.library.proving`), and a failure goes
back to the writer. A live world cannot be repeated: there the evidence stays `observed`, with the tape.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from habilis.agent.words import goal_to_words
from habilis.core import (
    BudgetExceeded,
    Draft,
    Evidence,
    EvidenceLevel,
    Goal,
    GoalSyntaxError,
    InputError,
    Json,
    Ledger,
    Record,
    Skill,
    Snapshot,
    Task,
    Trajectory,
    Trial,
    WorldSpec,
    fill,
)
from habilis.memory.library import IN_USE, learn_contract

_LIVES = 4  # that may be lost in a proof for each success: a skill that works in one life of five is worth having


def lives_to_lose(spec: WorldSpec) -> int:
    """How many lives of the world may be lost in a proof for each that was none: where they end by themselves, and
    not with a mission."""
    return _LIVES if "ends" in spec.capabilities and "missions" not in spec.capabilities else 0


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
        needs=draft.needs,
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


def observed(
    skill: Skill, args: Mapping[str, Json], task: Task, trajectory: Trajectory, judge: str, spec: WorldSpec
) -> Skill:
    """A skill from a live world: seen to work once."""
    trial = Trial(task.seed, dict(args), True, trajectory.world_steps, f"judged by {judge}", trajectory.tier)
    level = EvidenceLevel.OBSERVED if judge == "world" else EvidenceLevel.MODEL_JUDGED
    return replace(
        skill,
        evidence=Evidence(level, (trial,), 1, 0, {IN_USE: Record(1, 0)}),
        cost=float(max(1, trajectory.world_steps)),
        contract=learn_contract(skill, [(trial, trajectory)], spec.passing),
    )


def affordable(error: BudgetExceeded, ledger: Ledger) -> bool:
    """Whether the whole run could still pay what a task's own limit refused."""
    left = getattr(ledger.remaining, error.limit)
    return left is None or left >= error.asked
