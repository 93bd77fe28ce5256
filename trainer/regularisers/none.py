"""No regulariser: the baseline that shows what is forgotten."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from habilis.core import need
from habilis.trainer.regularisers._state import State

if TYPE_CHECKING:
    from torch import Tensor


class NoRegulariser:
    """Q = 0."""

    name = "none"

    def prepare(self, model: Any, ids: Tensor, *, fingerprint: str = "", cache: Path | None = None) -> State:
        return State({}, length=int(ids.shape[1]))

    def penalty(self, model: Any, state: State) -> Tensor:
        zero: Tensor = need("torch").zeros(())
        return zero
