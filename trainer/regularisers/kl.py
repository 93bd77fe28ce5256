"""KL: distillation towards the base model on text that it wrote itself (Li & Hoiem 2016, "Learning without
Forgetting", arXiv:1606.09282; Hinton et al. 2015, arXiv:1503.02531, at temperature 1).

    Q = mean over positions of KL(p_base ‖ p_θ)

On text from the base model the expectation of Q is the rise of the mean loss itself, log(1 + drift). A step looks at
few positions of few texts, others each time. The output layer is never trained, so of the base model nothing has to be
kept but its last hidden states, and its logits cost no forward pass.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from habilis.core import need
from habilis.trainer._lm import autocast, device_of, hidden_states, output_layer
from habilis.trainer.regularisers._protocol import Remembered, State

if TYPE_CHECKING:
    from torch import Tensor

_LENGTH = 64  # tokens of a text that are read
_SEQUENCES = 2  # texts of one step
_POSITIONS = 16  # of each text, whose distributions are compared: over 49,152 words they cost more than the layers


@dataclass(frozen=True)
class Texts(State):
    """``ids``: (n, length); ``hidden``: (n, length, width), the base model's last hidden states."""

    ids: Tensor | None = None
    hidden: Tensor | None = None
    dtype: str = "float32"


class KL:
    """Q = KL(base ‖ model) per token on self-written text."""

    name = "kl"
    uses_fisher = False

    def prepare(self, model: Any, remembered: Remembered) -> Texts:
        torch = need("torch")
        device = device_of(model)
        ids = remembered.texts[:, :_LENGTH].to(device)
        base = remembered.base().to(device)
        with torch.no_grad(), autocast(remembered.dtype, device.type):
            hidden = torch.cat([hidden_states(base, part) for part in torch.split(ids, 8)])
        return Texts(rise=1.0, ids=ids, hidden=hidden, dtype=remembered.dtype)

    def penalty(self, model: Any, state: Texts, step: int) -> Tensor:
        torch = need("torch")
        assert state.ids is not None
        assert state.hidden is not None
        n, length = state.ids.shape
        draw = random.Random(f"kl {step}")
        rows = draw.sample(range(n), min(_SEQUENCES, n))
        at = sorted(draw.sample(range(length), min(_POSITIONS, length)))
        head = output_layer(model)
        with autocast(state.dtype, state.ids.device.type):
            now = hidden_states(model, state.ids[rows, : at[-1] + 1])[:, at]  # (texts, positions, width)
            with torch.no_grad():
                before = head(state.hidden[rows][:, at]).float().log_softmax(-1)
            after = head(now).float().log_softmax(-1)
        divergence: Tensor = (before.exp() * (before - after)).sum(-1).mean()
        return divergence
