"""Elastic weight consolidation (Kirkpatrick et al. 2017, arXiv:1612.00796, equation 3), for LoRA.

    L(θ) = L_B(θ) + Σ_i λ/2 F_i (θ_i - θ*_i)²

θ* are the base weights W, and θ = W + s BA, so θ - θ* = s BA and no copy of W is kept. F is the diagonal Fisher
information of the base model on text that it wrote itself. The factor 1/2 is in λ here.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from habilis.core import need
from habilis.core.errors import ModelError
from habilis.trainer.fisher import diagonal_fisher
from habilis.trainer.regularisers._lora import lora_layers, weighted_square
from habilis.trainer.regularisers._state import State

if TYPE_CHECKING:
    from torch import Tensor


class EWC:
    """Q = Σ F (s BA)²."""

    name = "ewc"

    def prepare(self, model: Any, ids: Tensor, *, fingerprint: str = "", cache: Path | None = None) -> State:
        fisher = diagonal_fisher(model, ids, model_fingerprint=fingerprint, cache=cache)
        return State(fisher.diagonal, length=fisher.length)

    def penalty(self, model: Any, state: State) -> Tensor:
        total: Tensor = need("torch").zeros(())
        for name, a, b, scale in lora_layers(model):
            if name not in state.weights:
                raise ModelError(f"the Fisher information has no layer {name!r}; it was made from another model")
            total = total + weighted_square(a, b, state.weights[name], scale)
        return total
