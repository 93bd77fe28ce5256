"""The budget of an autonomous run, paced over its tasks: what is limited has a price, by which help is chosen.

With a dollar and a hundred tasks, the first ten must not spend it all on recipe books. So each task has a share of what
is left, and what a thing costs must be worth it in chance of success (`habilis.tools.Pacer`). What the tasks so far
could have spent and did not pays, in part, for trying out what is uncertain. A user's own goals are not paced: all that
is left is theirs.

What is bought early serves later tasks too (a recipe that was told is known from then on), so help is cheap at first: a
whole share is worth one chance in a hundred. A tenth, which is right where tasks have nothing to do with each other,
left half to two thirds of the money unspent in twenty tasks of the craft world (two seeds), and never solved more.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from habilis.core import Budget, Cost, Json, Selector
from habilis.tools import BudgetSelector, Pacer, PacingSettings

__all__ = ["RunPace"]


class RunPace:
    """Paces ``total`` over so many ``tasks`` (None: nobody knows how many), through the prices of a ``selector``; one
    that has none is left as it is."""

    def __init__(
        self, total: Budget, tasks: int | None, selector: Selector, settings: PacingSettings | None = None
    ) -> None:
        self.pacer = Pacer(total, tasks, settings=settings or _settings(tasks))
        self._selector = selector if isinstance(selector, BudgetSelector) else None

    @classmethod
    def none(cls, selector: Selector) -> RunPace:
        """No prices, and nothing is tried out."""
        return cls(Budget.unlimited(), None, selector, PacingSettings(slice=0))

    def expect(self, tasks: int | None) -> None:
        """So many tasks are to come in all, by what is known now."""
        self.pacer.tasks = tasks

    def begin(self, remaining: Budget) -> None:
        """A task begins, with so much left for this one and all that follow."""
        prices = self.pacer.allow(remaining).prices
        if self._selector is not None:
            self._selector.prices = prices if prices.per_unit else None

    def ended(self, spent: Cost) -> None:
        """The task has ended, and cost this much."""
        self.pacer.ended(spent)

    def save(self) -> Mapping[str, Json]:
        """Where it stands, as JSON."""
        return self.pacer.save()

    def load(self, data: Mapping[str, Any]) -> None:
        """Take `save` back."""
        self.pacer.load(data)


def _settings(tasks: int | None) -> PacingSettings:
    """Prices follow at the pace of one over the root of the number of tasks, which the theory of mirror descent asks
    for: in a short run they have to move faster to get anywhere."""
    ahead = PacingSettings().ahead if tasks is None else max(1, tasks)
    return PacingSettings(start=0.01, least=1e-4, step=min(0.5, max(0.05, 1 / math.sqrt(ahead))))
