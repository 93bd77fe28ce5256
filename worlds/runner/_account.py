"""What a run may still take of the world: its own limit, and blocks of steps reserved on the ledger."""

from __future__ import annotations

from habilis.core.budget import Cost, Ledger, Reservation
from habilis.core.errors import BudgetExceeded
from habilis.core.world import Primitive

_BLOCK = 64  # world steps reserved at once: the ledger is asked rarely, others are hardly kept waiting


class Stop(Exception):
    """The run has to end now, with this error."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind, self.message = kind, message


class WorldSteps:
    """World steps: the run's limit, and blocks of them reserved on the ledger."""

    def __init__(self, limit: int | None, ledger: Ledger | None) -> None:
        self.used, self._limit, self._ledger = 0, limit, ledger
        self._held: Reservation | None = None
        self._held_steps = self._held_used = 0

    def before(self, primitive: Primitive) -> None:
        """Raises `Stop` (the run's limit) or `BudgetExceeded` (the ledger's) if the action might pass it."""
        most = primitive.max_steps
        if self._limit is not None and self.used + most > self._limit:
            raise Stop(
                "steps",
                f"the limit world_steps={self._limit} is reached: {self.used} taken, {primitive.name} takes up to "
                f"{most}; take fewer steps, or raise the limit",
            )
        if self._ledger is not None and self._held_used + most > self._held_steps:
            self._reserve(self._ledger, most)

    def _reserve(self, ledger: Ledger, most: int) -> None:
        self.settle()
        block = max(most, _BLOCK)
        if self._limit is not None:
            block = max(most, min(block, self._limit - self.used))
        try:
            self._held = ledger.reserve(Cost(world_steps=block))
        except BudgetExceeded:
            block = most
            self._held = ledger.reserve(Cost(world_steps=block))
        self._held_steps, self._held_used = block, 0

    def took(self, steps: int) -> None:
        self.used += steps
        self._held_used += steps

    def settle(self) -> None:
        if self._held is not None:
            self._held.commit(Cost(world_steps=self._held_used))
            self._held, self._held_steps, self._held_used = None, 0, 0
