"""Charging many small search steps to a ledger without asking it each time."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from habilis.core import Action, BudgetExceeded, Cost, Ledger, Outcome, Reservation, World

_BLOCK = 256  # steps reserved at once: asking the ledger takes longer than most steps


class SearchMeter:
    """Counts search steps in blocks: a block is reserved before its first step and settled at the end.

    ``BudgetExceeded`` is raised before a step that the ledger cannot pay. Use as a context manager.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._held: Reservation | None = None
        self._free = 0
        self._used = 0

    def __call__(self, steps: int = 1) -> None:
        """Take this many steps."""
        while steps > self._free:
            self._settle()
            left = self._ledger.remaining.search_steps
            size = max(steps, _BLOCK) if left is None else min(max(steps, _BLOCK), max(left, steps))
            try:
                self._held = self._ledger.reserve(Cost(search_steps=size))
            except BudgetExceeded:
                self._free = 0
                raise
            self._free = size
        self._free -= steps
        self._used += steps

    def payable(self, steps: int) -> int:
        """As many of these steps as can be paid."""
        left = self._ledger.remaining.search_steps
        return steps if left is None else min(steps, self._free + left)

    def give_back(self, steps: int) -> None:
        """Of what was just taken, this many steps were not needed."""
        self._free += steps
        self._used -= steps

    def _settle(self) -> None:
        if self._held is not None:
            self._held.commit(Cost(search_steps=self._used))
            self._held = None
        self._used = self._free = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._settle()


def act_paid(world: World, action: Action, meter: SearchMeter) -> Outcome:
    """Act on a copy of a world. The most that the action may take is paid before; what was not needed is given back."""
    primitive = world.spec.primitive(action.name)
    most = primitive.max_steps if primitive is not None else 1
    meter(most)
    outcome = world.act(action)
    meter.give_back(most - max(1, outcome.steps))
    return outcome
