"""Online EWC (Schwarz et al. 2018, "Progress & Compress", arXiv:1805.06370, section 4), over successive distillations.

    L(θ) = L_i(θ) + λ/2 Σ F*_{i-1} (θ - θ*_{i-1})²          F*_i = γ F*_{i-1} + F_i

θ*_{i-1} are the weights that were adopted last, F*_0 is the Fisher information of the base model, and F_i that of the
model adopted in distillation i on the first ``memory`` (32) examples of its corpus. One anchor and one Fisher, however
many distillations; γ < 1 lets the old ones fade. In the first distillation it is plain EWC.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from habilis.trainer.regularisers._distance import Importance, distance, here, importances
from habilis.trainer.regularisers._protocol import Remembered

if TYPE_CHECKING:
    from torch import Tensor

    from habilis.trainer.fisher import Fisher


class OnlineEWC:
    """Q = Σ F* (θ - θ*)² from the last adopted weights. ``decay``: γ, from 0 to 1."""

    name = "online_ewc"
    uses_fisher = True

    def __init__(self, decay: float = 0.9) -> None:
        self.decay = decay

    def prepare(self, model: Any, remembered: Remembered) -> Importance:
        fisher = remembered.running or remembered.fisher()
        return Importance(
            rise=fisher.length / 2,
            from_start=True,
            weights=importances(fisher.diagonal, model, remembered.dtype),
            anchor=here(model),
        )

    def penalty(self, model: Any, state: Importance, step: int) -> Tensor:
        return distance(model, state)

    def consolidate(self, running: Fisher, new: Fisher) -> Fisher:
        return new.added_to(running, self.decay)
