"""No regulariser: the baseline that shows what is forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from habilis.core import need
from habilis.trainer.regularisers._protocol import Remembered, State

if TYPE_CHECKING:
    from torch import Tensor


class NoRegulariser:
    """Q = 0."""

    name = "none"
    uses_fisher = False

    def prepare(self, model: Any, remembered: Remembered) -> State:
        return State()

    def penalty(self, model: Any, state: State, step: int) -> Tensor:
        zero: Tensor = need("torch").zeros(())
        return zero
