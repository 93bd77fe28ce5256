"""A base model made ready for training: LoRA layers or all linear layers, from the base or from an earlier result.

Whatever training begins with, what it ends with is an update of the *base* model: a LoRA adapter goes on where the
earlier one was, so that after any number of distillations there is one adapter of one rank.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from habilis.core import ModelError, need
from habilis.trainer._lm import inner_model, linear_layers
from habilis.trainer._sharding import sharded_like, whole
from habilis.trainer.regularisers._distance import has_lora, lora_layers
from habilis.trainer.training.settings import TrainSettings

if TYPE_CHECKING:
    from torch import Tensor

ADAPTER, WEIGHTS = "adapter_model.safetensors", "update.safetensors"


def with_lora(model: Any, settings: TrainSettings) -> Any:
    """The model with fresh LoRA layers on all linears but the output layer; the same for the same seed."""
    torch, peft = need("torch"), need("peft")
    config = peft.LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=0.0,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        return peft.get_peft_model(model, config)


def made_trainable(model: Any, settings: TrainSettings, start: Path | None = None) -> Any:
    """``start``: the ``adapter`` folder of an earlier result, which training goes on from.

    Raises `ModelError` where it is none, or was trained by another method or rank.
    """
    if settings.method == "full":
        model.requires_grad_(False)
        for layer in linear_layers(model).values():
            layer.weight.requires_grad_(True)
    else:
        model = with_lora(model, settings)
    if start is not None:
        put_trained(model, _read(start, settings))
    return model


def _read(start: Path, settings: TrainSettings) -> Mapping[str, Tensor]:
    name = WEIGHTS if settings.method == "full" else ADAPTER
    file = start / name
    if not file.is_file():
        other = ADAPTER if settings.method == "full" else WEIGHTS
        what = "it was trained by the other method (lora, full)" if (start / other).is_file() else f"{name} is missing"
        raise ModelError(f"cannot go on from {start.parent.name}: {what}; start from the base model (--after none)")
    safetensors, damaged = need("safetensors.torch"), need("safetensors").SafetensorError
    try:
        found: dict[str, Tensor] = safetensors.load_file(str(file))
    except (OSError, ValueError, damaged) as error:
        raise ModelError(
            f"cannot go on from {start.parent.name}: {file} is damaged ({error}); start from the base model (--after "
            "none)"
        ) from error
    # peft leaves the adapter's name out of a file and wants it in a model.
    return {n.replace(".lora_A.weight", ".lora_A.default.weight").replace(".lora_B.weight", ".lora_B.default.weight"): t
            for n, t in found.items()}  # fmt: skip


def checkpoint_activations(model: Any) -> None:
    """Compute activations again in the backward pass instead of keeping them."""
    inner = inner_model(model)
    if hasattr(inner, "activation_checkpointing_enable"):
        inner.activation_checkpointing_enable(activation_checkpointing_kwargs={"use_reentrant": False})
    else:  # the older name of it
        inner.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})


def trained_tensors(model: Any) -> dict[str, Any]:
    """The parameters that training changes, by name."""
    return {name: p for name, p in model.named_parameters() if p.requires_grad}


def put_trained(model: Any, tensors: Mapping[str, Tensor]) -> None:
    """Copy tensors into the parameters of that name. Raises `ModelError` where names or shapes differ."""
    torch = need("torch")
    own = trained_tensors(model)
    if set(own) != set(tensors):
        odd = sorted(set(own) ^ set(tensors))[0]
        raise ModelError(f"weights of another training: {odd!r} is in one of them alone; begin anew (--after none)")
    with torch.no_grad():
        for name, parameter in own.items():
            if parameter.shape != tensors[name].shape:
                raise ModelError(
                    f"weights of another training: {name!r} is {tuple(tensors[name].shape)} there and "
                    f"{tuple(parameter.shape)} here; use the same rank, or start from the base (--after none)"
                )
            parameter.copy_(sharded_like(tensors[name], parameter))


def shrink(model: Any, factor: float, base: Mapping[str, Tensor]) -> None:
    """Take back a part of the update: W + factor ΔW. ``base``: the base weights, which LoRA has no need of."""
    torch = need("torch")
    with torch.no_grad():
        if has_lora(model):
            for _name, _a, b, _scale in lora_layers(model):
                b.mul_(factor)
            return
        for name, layer in linear_layers(model).items():
            before = sharded_like(base[name].to(layer.weight.device), layer.weight)
            layer.weight.copy_(before + factor * (layer.weight - before))


def save_update(model: Any, folder: Path, *, write: bool = True) -> None:
    """What was trained: a peft adapter, or the weights of the linear layers. Where weights are sharded all processes
    call it, and one of them with ``write``."""
    tensors = {n: whole(p.detach()).to("cpu").contiguous() for n, p in trained_tensors(model).items()}
    if not write:
        return
    if has_lora(model):
        model.save_pretrained(str(folder), state_dict=tensors)
        return
    safetensors = need("safetensors.torch")
    folder.mkdir(parents=True, exist_ok=True)
    safetensors.save_file(tensors, str(folder / WEIGHTS))


def merged(model: Any) -> Any:
    """The transformers model with the update in its weights."""
    return model.merge_and_unload() if has_lora(model) else model
