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
from habilis.trainer._sharding import placed_like, sharded_like, whole
from habilis.trainer.regularisers._protocol import State

if TYPE_CHECKING:
    from torch import Tensor

    Anchor = Tensor | tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Importance(State):
    """``weights``: layer name -> importance (out, in), or one number for all. ``anchor``: layer name -> where it is
    held; a LoRA layer without one is held at the base weights."""

    weights: dict[str, Tensor] | float = 0.0
    anchor: dict[str, Any] | None = None


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


def importances(weights: Mapping[str, Tensor], model: Any, dtype: str) -> dict[str, Tensor]:
    """On the model's device, and in the arithmetic that Q is to be taken in."""
    kind = getattr(need("torch"), dtype)
    device = next(model.parameters()).device
    return {name: tensor.to(device, kind) for name, tensor in weights.items()}


def distance(model: Any, state: Importance) -> Tensor:
    """Σ F (θ - θ*)² over all layers (scalar tensor)."""
    anchor = state.anchor or {}
    total: Any = 0.0
    if has_lora(model):
        for name, a, b, scale in lora_layers(model):
            held = anchor.get(name)
            offset = None if held is None else (held[1] @ held[0]) * scale
            total = total + whole(weighted_square(a, b, _importance(state, name, b), scale, offset))
    else:
        for name, layer in linear_layers(model).items():
            held = anchor[name] = sharded_like(anchor[name], layer.weight)
            total = total + whole(_dense().apply(layer.weight, held, _importance(state, name, layer.weight)))
    result: Tensor = total
    return result


def _importance(state: Importance, name: str, like: Any) -> Tensor | float:
    """Of a layer; where its weights are sharded (by rows, as B is), from the first use on sharded like them."""
    if isinstance(state.weights, float):
        return state.weights
    if name not in state.weights:
        raise ModelError(f"the Fisher information has no layer {name!r}; it was made from another model")
    state.weights[name] = sharded_like(state.weights[name], like)
    return state.weights[name]


def weighted_square(
    a: Tensor, b: Tensor, importance: Tensor | float, scale: float, offset: Tensor | None = None
) -> Tensor:
    """Σ F (s BA - D)², D being ``offset`` (out, in) or 0.

    With W = F·(s BA - D) and G = W Aᵀ (out, r): dQ/dB = 2s G, dQ/dA = 2s Bᵀ W, and without D Q = Σ G·(s B). Two
    products of W give value and gradients, and nothing of the layer's size is kept for the backward pass. Without D in
    bfloat16 where F is: three times as fast on a CPU that has it, and the rounding is far below F's own error.
    """
    if offset is None and isinstance(importance, float):
        gram = (b.t() @ b) * (a @ a.t())  # |BA|² = tr(BᵀB AAᵀ): nothing of the layer's size at all
        square: Tensor = gram.sum() * (importance * scale**2)
        return square
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
            # Two updates that are nearly the same leave nothing of a difference in bfloat16.
            kind = a.dtype if offset is not None or isinstance(importance, float) else importance.dtype
            left, right = (b * scale).to(kind), a.to(kind)  # (out, r), (r, in)
            delta = left @ right  # (out, in)
            if offset is not None:
                delta = delta - sharded_like(offset, delta)
            weighted = delta * importance
            product = (weighted @ right.t()).to(b.dtype)  # (out, r)
            value = (product * left.to(b.dtype)).sum() if offset is None else (weighted * delta).sum()
            ctx.save_for_backward(placed_like((left.t() @ weighted).to(a.dtype) * 2, a), placed_like(product, b))
            ctx.scale = scale
            return value

        @staticmethod
        def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None, None, None]:
            of_a, product = ctx.saved_tensors
            return of_a * gradient, product * (2 * ctx.scale * gradient), None, None, None

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
