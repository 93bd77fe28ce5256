"""The LoRA layers of a model, and a weighted square of what they add."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

from habilis.core import need

if TYPE_CHECKING:
    from torch import Tensor


def lora_layers(model: Any) -> Iterator[tuple[str, Tensor, Tensor, float]]:
    """(name of the base layer, A (r, in), B (out, r), s = alpha / r) of each adapted layer (Hu et al. 2021)."""
    for name, module in model.named_modules():
        if hasattr(module, "lora_A") and "default" in module.lora_A:
            yield (
                name.removeprefix("base_model.model."),
                module.lora_A["default"].weight,
                module.lora_B["default"].weight,
                float(module.scaling["default"]),
            )


def weighted_square(a: Tensor, b: Tensor, importance: Tensor | float, scale: float) -> Tensor:
    """Σ F (s BA)² with a backward pass in closed form: dQ/dB = 2s (F·sBA) Aᵀ and dQ/dA = 2s Bᵀ (F·sBA).

    Automatic differentiation would keep three tensors of the layer's full size; this keeps one.
    """
    result: Tensor = _function().apply(a, b, importance, scale)
    return result


@cache
def _function() -> Any:
    torch = need("torch")

    class WeightedSquare(torch.autograd.Function):  # type: ignore[misc, name-defined]
        @staticmethod
        def forward(ctx: Any, a: Tensor, b: Tensor, importance: Tensor | float, scale: float) -> Tensor:
            delta = (b @ a) * scale  # (out, in)
            weighted = delta * importance
            ctx.save_for_backward(a, b, weighted)
            ctx.scale = scale
            return (weighted * delta).sum()

        @staticmethod
        def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None, None]:
            a, b, weighted = ctx.saved_tensors
            weighted = weighted * (2 * ctx.scale * gradient)
            return b.t() @ weighted, weighted @ a.t(), None, None

    return WeightedSquare
