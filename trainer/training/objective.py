"""What a step minimises: cross entropy of the answers' tokens + λ Q.

A step of `TrainSettings.batch` examples may be read in several parts, and by several processes. Each part is weighted
with the answer tokens of the whole step, so that the sum of the parts, averaged over processes, is the mean over the
step: one process or many, one part or many, it is the same loss.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from habilis.core import need
from habilis.trainer._lm import answer_logits, autocast, device_of, mean_loss
from habilis.trainer.drift import DriftControl
from habilis.trainer.regularisers import Regulariser, State

if TYPE_CHECKING:
    from torch import Tensor


def objective(model: Any, regulariser: Regulariser, state: State, control: DriftControl, dtype: str) -> Any:
    """A module whose forward pass is the loss of a part, so that DDP and FSDP wrap all that is differentiated."""
    return _module()(model, regulariser, state, control, dtype)


@cache
def _module() -> Any:
    torch = need("torch")

    class Objective(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(
            self, model: Any, regulariser: Regulariser, state: State, control: DriftControl, dtype: str
        ) -> None:
            super().__init__()
            self.model, self.regulariser, self.state = model, regulariser, state
            self.control, self.dtype = control, dtype

        def forward(self, text: Tensor | None = None, **part: Any) -> Any:
            """A part of a step (see `step`); or the mean loss per token of ``text`` (n, length), a number.

            In float32: in bfloat16 the mean of some hundred tokens is off by as much as a drift of 1 %.
            """
            return self.step(**part) if text is None else mean_loss(self.model, text, "float32")

        def step(
            self,
            input_ids: Tensor,
            attention_mask: Tensor,
            labels: Tensor,
            tokens: int,
            parts: int,
            processes: int,
            step: int,
            last: bool,
        ) -> dict[str, Tensor]:
            """``tokens``: answer tokens of the whole step; ``parts``: of one process; ``last``: of these parts.

            Answers (scalars): ``loss`` to differentiate, ``entropy`` (this part's share of the step's mean) and
            ``penalty``, Q, which is taken once a step.
            """
            batch = {"input_ids": input_ids, "attention_mask": attention_mask, "labels": labels}
            with autocast(self.dtype, device_of(self.model).type):
                logits, targets, _ = answer_logits(self.model, batch)
            entropy = torch.nn.functional.cross_entropy(logits, targets, reduction="sum") / tokens
            loss = entropy * (parts * processes)  # the trainer divides by the parts, DDP by the processes
            penalty = entropy.new_zeros(())
            if last and self.state.rise > 0:
                penalty = self.regulariser.penalty(self.model, self.state, step)
                loss = loss + penalty * (self.control.strength * parts)
            return {"loss": loss, "entropy": entropy.detach(), "penalty": penalty.detach()}

    return Objective


def every_process(values: list[float], device: Any) -> list[float]:
    """Sums over all processes."""
    torch = need("torch")
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return values
    tensor = torch.tensor(values, dtype=torch.float64 if device.type == "cpu" else torch.float32, device=device)
    torch.distributed.all_reduce(tensor)
    found: list[float] = tensor.tolist()
    return found
