"""How far trained layers stand from an anchor, squared and weighted: Σ F (θ - θ*)², for LoRA and for full training.

With LoRA θ = W + s BA. The anchor is W itself, of which no copy is kept, or W + s B₀A₀, kept as the pair (A₀, B₀).
In full training the anchor is a tensor of the layer's shape.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from habilis.core import need
from habilis.core.errors import ModelError
from habilis.trainer._lm import linear_layers
from habilis.trainer.regularisers._protocol import State

if TYPE_CHECKING:
    from torch import Tensor

    Anchor = Tensor | tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Importance(State):
    """``weights``: layer name -> importance (out, in), or one number for all. ``anchor``: layer name -> where it is
    held; a LoRA layer without one is held at the base weights."""

    weights: Mapping[str, Tensor] | float = 0.0
    anchor: Mapping[str, Anchor] | None = None


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


def has_lora(model: Any) -> bool:
    return next(lora_layers(model), None) is not None


def here(model: Any) -> dict[str, Anchor]:
    """Where the layers stand now, as an anchor."""
    if has_lora(model):
        return {n: (a.detach().clone(), b.detach().clone()) for n, a, b, _ in lora_layers(model)}
    return {n: m.weight.detach().clone() for n, m in linear_layers(model).items()}


def at_base(model: Any, base: Any) -> dict[str, Anchor]:
    """The base weights as an anchor; nothing has to be kept for LoRA. ``base``: a function that loads the model."""
    if has_lora(model):
        return {}
    device = next(model.parameters()).device
    return {n: m.weight.detach().to(device) for n, m in linear_layers(base()).items()}


def on_device(weights: Mapping[str, Tensor], model: Any) -> dict[str, Tensor]:
    device = next(model.parameters()).device
    return {name: tensor.to(device) for name, tensor in weights.items()}


def distance(model: Any, state: Importance) -> Tensor:
    """Σ F (θ - θ*)² over all layers (scalar tensor)."""
    anchor = state.anchor or {}
    total: Any = 0.0
    if has_lora(model):
        for name, a, b, scale in lora_layers(model):
            held = anchor.get(name)
            offset = None if held is None else (held[1] @ held[0]) * scale
            total = total + weighted_square(a, b, _importance(state, name), scale, offset)
    else:
        for name, layer in linear_layers(model).items():
            total = total + _dense().apply(layer.weight, anchor[name], _importance(state, name))
    result: Tensor = total
    return result


def _importance(state: Importance, name: str) -> Tensor | float:
    if isinstance(state.weights, float):
        return state.weights
    if name not in state.weights:
        raise ModelError(f"the Fisher information has no layer {name!r}; it was made from another model")
    return state.weights[name]


def weighted_square(
    a: Tensor, b: Tensor, importance: Tensor | float, scale: float, offset: Tensor | None = None
) -> Tensor:
    """Σ F (s BA - D)², D being ``offset`` (out, in) or 0, with a backward pass in closed form.

    dQ/dB = 2s (F·Δ) Aᵀ and dQ/dA = 2s Bᵀ (F·Δ) with Δ = s BA - D. Automatic differentiation would keep three tensors
    of the layer's full size; this keeps one.
    """
    result: Tensor = _low_rank().apply(a, b, importance, scale, offset)
    return result


@cache
def _low_rank() -> Any:
    torch = need("torch")

    class WeightedSquare(torch.autograd.Function):  # type: ignore[misc, name-defined]
        @staticmethod
        def forward(
            ctx: Any, a: Tensor, b: Tensor, importance: Tensor | float, scale: float, offset: Tensor | None
        ) -> Tensor:
            delta = (b @ a) * scale  # (out, in)
            if offset is not None:
                delta = delta - offset
            weighted = delta * importance
            ctx.save_for_backward(a, b, weighted)
            ctx.scale = scale
            return (weighted * delta).sum()

        @staticmethod
        def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None, None, None]:
            a, b, weighted = ctx.saved_tensors
            weighted = weighted * (2 * ctx.scale * gradient)
            return b.t() @ weighted, weighted @ a.t(), None, None, None

    return WeightedSquare


@cache
def _dense() -> Any:
    torch = need("torch")

    class WeightedSquare(torch.autograd.Function):  # type: ignore[misc, name-defined]
        @staticmethod
        def forward(ctx: Any, weight: Tensor, anchor: Tensor, importance: Tensor | float) -> Tensor:
            delta = weight - anchor  # (out, in)
            weighted = delta * importance
            ctx.save_for_backward(weighted)
            return (weighted * delta).sum()

        @staticmethod
        def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
            (weighted,) = ctx.saved_tensors
            return weighted * (2 * gradient), None, None

    return WeightedSquare
