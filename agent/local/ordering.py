"""Which actions search tries first, by the adopted local model: asked only while tasks are seen to get cheaper by it.

The model reads every action that it puts in order, which takes as long as many imagined steps; whether a better order
saves more can only be seen. So tasks in which something was to be put in order are worked on with the model and without
it by turns, and from then on the way that took less; the other is tried again now and then, for both change.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from habilis.agent.local.hunches import Store
from habilis.agent.local.mind import rank_actions
from habilis.agent.planning.advice import Prior
from habilis.core import Action, Episode, Goal, Mind, Snapshot, WorldSpec
from habilis.memory.prompts import state_text

__all__ = ["Ordering", "OrderingSettings"]


@dataclass(frozen=True)
class OrderingSettings:
    """``most``: actions that the model reads for one order; the others keep their places behind them.
    ``action_steps``: imagined steps that take as long as reading one, where that was not timed
    (`habilis.agent.local.timing`). ``tries``: tasks each way before they are compared. ``again``: every so many tasks
    the other way is tried."""

    most: int = 48
    action_steps: int = 30
    tries: int = 3
    again: int = 16


class Ordering:
    """The order that one mind would try things in, with its record. Satisfies `habilis.agent.planning.advice.Orders`.

    ``mind``: asked for when it is needed, None where no model was adopted. A record belongs to one model (its name).
    ``action_steps``: of that model, as timed on this machine; None: as in the settings.
    """

    def __init__(
        self,
        mind: Callable[[], Mind | None],
        spec: WorldSpec,
        *,
        settings: OrderingSettings | None = None,
        store: Store | None = None,
        action_steps: Callable[[], int | None] = lambda: None,
    ) -> None:
        self._mind, self._spec, self._store, self._action_steps = mind, spec, store, action_steps
        self.settings = settings or OrderingSettings()
        self._name = ""
        self._tasks, self._steps = [0, 0], [0, 0]  # without the model, and with it
        self._way: bool | None = None  # of the task in hand, once something was to be put in order
        self._read = 0  # actions, in the task in hand

    def worth_asking(self) -> bool:
        """Whether the next task is worked on with the model."""
        tasks, steps = self._tasks, self._steps
        if min(tasks) < self.settings.tries:
            return tasks[1] <= tasks[0]
        with_it = steps[1] / tasks[1] < steps[0] / tasks[0]
        return with_it != ((sum(tasks) + 1) % self.settings.again == 0)

    def prior(self) -> Prior | None:
        """See `habilis.agent.planning.advice.Orders`."""
        mind = self._mind()
        if mind is None:
            return None
        self._recall(mind.name)
        if self._way is None:
            self._way = self.worth_asking()
        if not self._way:
            return None

        def ordered(goal: Goal, state: Snapshot, actions: Sequence[Action]) -> Sequence[Action]:
            read, rest = actions[: self.settings.most], actions[self.settings.most :]
            self._read += len(read)
            return [*rank_actions(mind, goal, state_text(state, self._spec, about=goal), read), *rest]

        return ordered

    def credit(self, episode: Episode) -> None:
        """See `habilis.agent.planning.advice.Orders`."""
        way, read, self._way, self._read = self._way, self._read, None, 0
        if way is None:
            return
        self._tasks[way] += 1
        each = self._action_steps() or self.settings.action_steps
        self._steps[way] += episode.cost.search_steps + read * each
        if self._store is not None:
            self._store.put_versioned_state(self._key, {"tasks": list(self._tasks), "steps": list(self._steps)})

    @property
    def _key(self) -> str:
        return f"ordering:{self._name}"

    def _recall(self, name: str) -> None:
        """The record of the model in use."""
        if name == self._name:
            return
        self._name = name
        known = (self._store.get_state(self._key) if self._store is not None else None) or {}
        self._tasks, self._steps = list(known.get("tasks", (0, 0))), list(known.get("steps", (0, 0)))
