"""Tasks, and the record of working on one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from habilis.core.budget import Cost
from habilis.core.goal import Goal
from habilis.core.program import Program, Trajectory
from habilis.core.world import Json


@dataclass(frozen=True, slots=True)
class Task:
    """A goal in a world, with a seed and a text in plain language.

    ``kind``: "achieve" (make the goal true), "try" (find out what an action does; ``action`` names it), "explore" (act
    at random; the goal is empty). ``origin``: "curriculum" (what a chat model proposes is handed on by it), "user", or
    "exploration" (which begins in a fresh world of ``seed``). ``fingerprint``: of the world's
    rules, "" where it is not known, as in old journals; worlds of one name may have different rules.
    """

    goal: Goal
    world: str
    seed: int
    text: str
    kind: str = "achieve"
    action: str | None = None
    origin: str = "curriculum"
    fingerprint: str = ""


@dataclass(frozen=True)
class Attempt:
    """One program, run once, and the judge's verdict on it."""

    program: Program
    trajectory: Trajectory
    ok: bool
    feedback: str = ""
    args: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True)
class Episode:
    """One task from proposal to verdict, with every attempt and every cost.

    ``status``: "solved", "failed", "stopped" (a limit or the user ended it), or "explored" (there was no goal).
    ``skill`` names the skill that was kept, if any, ``skills`` all of them (finding out what an action does may yield
    several); ``reason`` says why the task failed or why no skill was kept.
    """

    index: int
    task: Task
    status: str
    attempts: tuple[Attempt, ...] = ()
    cost: Cost = field(default_factory=Cost)
    skill: str | None = None
    reason: str = ""
    writer: str = ""
    picked: tuple[str, ...] = ()
    skills: tuple[str, ...] = ()

    @property
    def solved(self) -> bool:
        return self.status == "solved"
