"""Proofs in the course of lives: where lives are short, what takes long begins where other skills have come to.

A program that needs what a dozen others bring about can hardly be proven from nothing in a life that ends before. In
each trial the skills that it calls are lived by first (`habilis.agent.living`), each for its own goal, and only then it
runs; a life that ended before is no trial. What was proven so says it: its evidence is of that context, beside what
came of it from nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from habilis.agent.calls import needed
from habilis.agent.living import Living
from habilis.core import (
    Contract,
    Goal,
    GoalSyntaxError,
    InputError,
    Ledger,
    Program,
    Record,
    RunLimits,
    Runner,
    Skill,
    World,
    WorldSpec,
)
from habilis.memory.library import COURSE, FRESH, Proof
from habilis.worlds.runner import ended, look_at

__all__ = ["both", "lived_by"]

_STEPS = 600  # of a life before a trial begins
_LONGEST = 100  # steps of one action, which a skill needs to begin it


def lived_by(
    program: Program, skills: Mapping[str, Skill], spec: WorldSpec, contracts: Iterable[Contract], runner: Runner
) -> Callable[[World, int, Ledger], None]:
    """What is done before a trial of this program: living by the skills that it calls, directly or not, until what each
    is for was so. Places are left out: the program returns to them itself."""
    called = {name: skills[name] for name in needed(program, skills)}
    goals = [g for s in called.values() for g in _goals(s) if not {a.fact.predicate for a in g.atoms} & spec.sought]
    known = tuple(contracts)

    def live(world: World, seed: int, ledger: Ledger) -> None:
        living, steps = Living(called.values(), goals, spec, known), 0
        while steps < _STEPS and not ended(world):
            turn = living.next(look_at(world), steps)
            if turn is None:
                return
            limits = RunLimits(world_steps=turn.steps + _LONGEST, images=0)
            mine = turn.skill.program
            run = runner.run(
                mine, world, args=turn.args, skills=needed(mine, skills), limits=limits, seed=seed, ledger=ledger
            )
            steps += max(1, run.world_steps)
            living.ended(turn, run.after, steps)

    return live


def both(fresh: Proof, course: Proof) -> Proof:
    """One proof of what came of a program from nothing, and then in the course of lives."""
    trials, trajectories = (*fresh.trials, *course.trials), (*fresh.trajectories, *course.trajectories)
    if course.skill is None:
        return replace(course, trials=trials, trajectories=trajectories)
    good = sum(t.ok for t in fresh.trials)
    mine, before = course.skill.evidence, Record(good, len(fresh.trials) - good)
    evidence = replace(
        mine,
        trials=trials,
        successes=mine.successes + before.successes,
        failures=mine.failures + before.failures,
        contexts={FRESH: before, COURSE: mine.contexts[COURSE]},
    )
    return replace(course, skill=replace(course.skill, evidence=evidence), trials=trials, trajectories=trajectories)


def _goals(skill: Skill) -> list[Goal]:
    try:
        return [goal for goal in skill.goals() if len(goal.atoms) == 1]
    except (GoalSyntaxError, InputError):
        return []
