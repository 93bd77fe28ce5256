"""L2 towards the base weights ("L2-SP", Li et al. 2018, arXiv:1802.01483): EWC with the same weight everywhere.

The one weight is the mean of the Fisher information, so that EWC and L2 differ in *where* they hold, not in how much.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from habilis.trainer.regularisers._distance import Importance, at_base, distance
from habilis.trainer.regularisers._protocol import Remembered

if TYPE_CHECKING:
    from torch import Tensor


class L2:
    """Q = mean(F) Σ (θ - θ*)²."""

    name = "l2"
    uses_fisher = True

    def prepare(self, model: Any, remembered: Remembered) -> Importance:
        fisher = remembered.fisher()
        total = sum(float(f.float().sum()) for f in fisher.diagonal.values())
        mean = total / sum(f.numel() for f in fisher.diagonal.values())
        return Importance(rise=fisher.length / 2, weights=mean, anchor=at_base(model, remembered.base))

    def penalty(self, model: Any, state: Importance, step: int) -> Tensor:
        return distance(model, state)
