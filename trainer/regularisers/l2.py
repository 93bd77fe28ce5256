"""L2 towards the base weights ("L2-SP", Li et al. 2018, arXiv:1802.01483): EWC with the same weight everywhere.

The one weight is the mean of the Fisher information, so that EWC and L2 differ in *where* they hold, not in how much.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from habilis.core import need
from habilis.trainer.fisher import diagonal_fisher
from habilis.trainer.regularisers._lora import lora_layers, weighted_square
from habilis.trainer.regularisers._state import State

if TYPE_CHECKING:
    from torch import Tensor


class L2:
    """Q = mean(F) Σ (s BA)²."""

    name = "l2"

    def prepare(self, model: Any, ids: Tensor, *, fingerprint: str = "", cache: Path | None = None) -> State:
        fisher = diagonal_fisher(model, ids, model_fingerprint=fingerprint, cache=cache)
        total = sum(float(f.float().sum()) for f in fisher.diagonal.values())
        return State({}, total / sum(f.numel() for f in fisher.diagonal.values()), fisher.length)

    def penalty(self, model: Any, state: State) -> Tensor:
        total: Tensor = need("torch").zeros(())
        for _, a, b, scale in lora_layers(model):
            total = total + weighted_square(a, b, 1.0 if state.uniform is None else state.uniform, scale)
        return total
