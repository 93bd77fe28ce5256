"""Elastic weight consolidation (Kirkpatrick et al. 2017, arXiv:1612.00796, equation 3).

    L(θ) = L_B(θ) + Σ_i λ/2 F_i (θ_i - θ*_i)²

θ* are the base weights, F is the diagonal Fisher information of the base model: on text that it wrote itself, on a
corpus, or on both (`TrainSettings.fisher`). The factor 1/2 is in λ here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from habilis.trainer.regularisers._distance import Importance, at_base, distance, importances
from habilis.trainer.regularisers._protocol import Remembered

if TYPE_CHECKING:
    from torch import Tensor


class EWC:
    """Q = Σ F (θ - θ*)²."""

    name = "ewc"
    uses_fisher = True

    def prepare(self, model: Any, remembered: Remembered) -> Importance:
        fisher = remembered.fisher()
        return Importance(
            rise=fisher.length / 2,
            weights=importances(fisher.diagonal, model, remembered.dtype),
            anchor=at_base(model, remembered.base),
        )

    def penalty(self, model: Any, state: Importance, step: int) -> Tensor:
        return distance(model, state)
