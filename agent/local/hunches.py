"""Hunches: plans that the adopted local model writes for goals to which nothing known leads.

A hunch is one short line, and nothing on it is trusted: its actions and names must be known, and it is tried on the
belief about the world, before blind search begins (`habilis.agent.planning.blind`). What costs twenty thousand imagined
steps to find blindly may cost five when the model has seen goals of its kind, and a second of the processor's time. So
it is asked only while its record says that this is likely to pay.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, Protocol

from habilis.core import Action, Episode, Goal, Json, Mind, Snapshot, WorldSpec
from habilis.memory import prompts
from habilis.memory.wordings import worded

__all__ = ["HunchSettings", "Hunches", "asked", "read_plan"]


class Store(Protocol):
    """Where the record is kept: the journal."""

    def get_state(self, key: str, default: Any = None) -> Any: ...
    def put_versioned_state(self, key: str, data: Mapping[str, Json]) -> None: ...


@dataclass(frozen=True)
class HunchSettings:
    """``line_steps``: imagined steps that take as long as one line of the model, where that was not timed
    (`habilis.agent.local.timing`). ``search_steps``: what finding out is taken to cost before any task has shown it.
    ``tokens``: of a line, at most."""

    line_steps: int = 800
    search_steps: int = 4_000
    tokens: int = 96


class Hunches:
    """The hunches of one mind, with their record. Satisfies `habilis.agent.planning.advice.Guesser`.

    ``mind``: asked for when it is needed, None where no model was adopted. A record belongs to one model (its name).
    ``line_steps``: of that model, as timed on this machine; None: as in the settings.
    ``tell``: told of every line that was asked for: the goal, the plan or why there is none, whether it came true, and
    the seconds.
    """

    def __init__(
        self,
        mind: Callable[[], Mind | None],
        spec: WorldSpec,
        *,
        settings: HunchSettings | None = None,
        store: Store | None = None,
        line_steps: Callable[[], int | None] = lambda: None,
        tell: Callable[[Mapping[str, Json]], None] = lambda told: None,
    ) -> None:
        self._mind, self._spec, self._store, self._tell = mind, spec, store, tell
        self._line_steps = line_steps
        self.settings = settings or HunchSettings()
        self._name = ""
        self._asked = self._true = 0
        self._tasks = self._steps = 0  # in which no hunch came true although something was to be found out, and cost
        self._told: dict[str, Json] | None = None  # of the line in hand
        self._searching = self._came_true = False  # in the task in hand

    def worth_asking(self) -> bool:
        """Whether a line is likely to save more than it takes: the mean of Beta(1 + came true, 1 + did not) times what
        finding out has cost without, against the imagined steps that take as long as a line."""
        chance = (1 + self._true) / (2 + self._asked)
        without = (self._steps + self.settings.search_steps) / (self._tasks + 1)
        return chance * without >= (self._line_steps() or self.settings.line_steps)

    def plan(self, goal: Goal, state: Snapshot, known: Set[str]) -> Sequence[Action] | None:
        """See `habilis.agent.planning.advice.Guesser`."""
        self._searching, self._told = True, None
        mind = self._mind()
        if mind is None:
            return None
        self._recall(mind.name)
        if not self.worth_asking():
            return None
        began = time.monotonic()
        line = mind.complete([asked(goal, state, self._spec)], max_tokens=self.settings.tokens)[0]
        plan, why = read_plan(line, self._spec, known)
        self._told = {
            "goal": str(goal),
            "plan": prompts.plan_line(plan) if plan else None,
            "why": why,
            "seconds": round(time.monotonic() - began, 3),
        }
        if plan is None:
            self._count(False)
        return plan

    def tried(self, plan: Sequence[Action], came_true: bool) -> None:
        """See `habilis.agent.planning.advice.Guesser`."""
        self._count(came_true)

    def credit(self, episode: Episode) -> None:
        """What finding out has cost in a task where no hunch came true is what the next one may save."""
        searching, came_true = self._searching, self._came_true
        self._told, self._searching, self._came_true = None, False, False
        if not self._name or not searching:
            return
        if not came_true:
            self._tasks += 1
            self._steps += episode.cost.search_steps
        if self._store is not None:
            record = {"asked": self._asked, "came_true": self._true, "tasks": self._tasks, "steps": self._steps}
            self._store.put_versioned_state(self._key, record)

    @property
    def _key(self) -> str:
        return f"hunches:{self._name}"

    def _count(self, came_true: bool) -> None:
        self._asked, self._true = self._asked + 1, self._true + came_true
        self._came_true = self._came_true or came_true
        if self._told is not None:
            self._told["came_true"] = came_true
            self._tell(self._told)

    def _recall(self, name: str) -> None:
        """The record of the model in use."""
        if name == self._name:
            return
        self._name = name
        known = (self._store.get_state(self._key) if self._store is not None else None) or {}
        self._asked, self._true = int(known.get("asked", 0)), int(known.get("came_true", 0))
        self._tasks, self._steps = int(known.get("tasks", 0)), int(known.get("steps", 0))


def asked(goal: Goal, state: Snapshot, spec: WorldSpec) -> str:
    """How a model is asked for a plan."""
    return worded("plan", {"goal": str(goal), "state": prompts.state_text(state, spec, about=goal)})


def read_plan(line: str, spec: WorldSpec, known: Set[str]) -> tuple[tuple[Action, ...] | None, str]:
    """The actions of a plan line, and "" ; or None and why it is none: an action that the world does not have, a wrong
    number of arguments, a name that nobody knows."""
    plan = prompts.parse_plan(line)
    if not plan:
        return None, f"no plan: {line!r}"
    for action in plan:
        primitive = spec.primitive(action.name)
        if primitive is None:
            return None, f"there is no action {action.name!r}"
        least = sum(p.required for p in primitive.parameters)
        if len(action.args) < least or (len(action.args) > len(primitive.parameters) and not primitive.variadic):
            takes = ", ".join(p.name for p in primitive.parameters) or "nothing"
            return None, f"{action.name} takes ({takes}), not {action.args!r}"
        for arg in action.args:
            if isinstance(arg, str) and arg not in known:
                return None, f"nobody knows {arg!r}"
    return plan, ""
