"""Advice that search takes where it is blind: a plan to try before anything else, and an order to try actions in."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from typing import Protocol

from habilis.core import Action, Episode, Goal, Snapshot

__all__ = ["Guesser", "Orders", "Prior"]

Prior = Callable[[Goal, Snapshot, Sequence[Action]], Sequence[Action]]
"""The actions, likeliest first."""


class Guesser(Protocol):
    """Who has hunches: the local model, or a rival that it is measured beside."""

    def plan(self, goal: Goal, state: Snapshot, known: Set[str]) -> Sequence[Action] | None:
        """What to do for the goal, of actions of this world on ``known`` names; None for no idea, or not asked."""
        ...

    def tried(self, plan: Sequence[Action], came_true: bool) -> None:
        """What became of the plan on the belief: whether the goal came true."""
        ...

    def credit(self, episode: Episode) -> None:
        """A task has ended, with a hunch or without."""
        ...


class Orders(Protocol):
    """Who puts actions in order, in the tasks in which that is worth while."""

    def prior(self) -> Prior | None:
        """For the task in hand; None where its actions are to stay as they are."""
        ...

    def credit(self, episode: Episode) -> None:
        """A task has ended, whether something was put in order or not."""
        ...
