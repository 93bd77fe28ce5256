"""The diagonal of the Fisher information, exactly per sample.

F_i = mean over samples of (d loss / d w_i)^2, for the weights of all linear layers but the output layer. The square is
of *one* sample's gradient: squaring the gradient of a batch, as is often done, is another quantity. The weight gradient
of one sample in a linear layer is (output gradient)^T (input), so two hooks give it for a whole batch in one backward
pass, and no gradient of the size of the model is ever kept.

Where: Kirkpatrick et al. 2017 (arXiv:1612.00796), section 2; Kunstner et al. 2019 (arXiv:1905.12558) on which Fisher it
is: with text sampled from the model itself, this is the true Fisher, not the empirical one.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from habilis.core import need
from habilis.core.errors import InputError, ModelError
from habilis.trainer._lm import sequence_loss

if TYPE_CHECKING:
    from torch import Tensor

FISHER_VERSION = 1

_SAVE_EVERY = 4  # batches: the running mean is as large as the model in float32

Progress = Callable[[str, int, int, float], None]  # phase, step, steps, loss


@dataclass(frozen=True)
class Fisher:
    """``diagonal``: layer name -> tensor of the layer's weight shape (out, in). Of the *mean* loss over ``length``.

    ``count`` samples of ``length`` tokens; ``loss``: their mean loss per token (nats); ``model``: the fingerprint.
    """

    diagonal: Mapping[str, Tensor]
    count: int
    length: int
    loss: float
    model: str

    def save(self, path: Path, *, dtype: str = "bfloat16") -> None:
        """Write as safetensors, at once or not at all. bfloat16 (3 digits) is finer than the estimate itself."""
        torch, safetensors = need("torch"), need("safetensors.torch")
        path.parent.mkdir(parents=True, exist_ok=True)
        head = {"version": FISHER_VERSION, "count": self.count, "length": self.length, "loss": self.loss}
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        tensors = {name: t.to(getattr(torch, dtype)).contiguous() for name, t in self.diagonal.items()}
        safetensors.save_file(tensors, str(temporary), {"habilis": json.dumps(head | {"model": self.model})})
        os.replace(temporary, path)

    @classmethod
    def load(cls, path: Path) -> Fisher:
        """Read what `save` wrote. Raises `ModelError`."""
        safetensors = need("safetensors")
        try:
            with safetensors.safe_open(str(path), "pt") as file:
                head = json.loads(file.metadata()["habilis"])
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
        except (OSError, KeyError, TypeError, ValueError, safetensors.SafetensorError) as error:
            raise ModelError(f"cannot read the Fisher information in {path}: {error}; delete the file") from error
        if head["version"] != FISHER_VERSION:
            raise ModelError(f"{path} has version {head['version']}, expected {FISHER_VERSION}; delete the file")
        return cls(tensors, head["count"], head["length"], head["loss"], head["model"])


def linear_layers(model: Any) -> dict[str, Any]:
    """The linear layers that are trained: all but the output layer, by name."""
    torch = need("torch")
    head = model.get_output_embeddings() if hasattr(model, "get_output_embeddings") else None
    return {n: m for n, m in model.named_modules() if isinstance(m, torch.nn.Linear) and m is not head}


def diagonal_fisher(
    model: Any,
    ids: Tensor,
    *,
    model_fingerprint: str = "",
    batch: int = 8,
    dtype: str = "bfloat16",
    cache: Path | None = None,
    progress: Progress | None = None,
    stop: Callable[[], bool] | None = None,
) -> Fisher:
    """The diagonal Fisher of the mean loss per token, over sequences ``ids`` (n, length).

    ``cache``: the finished result is kept there and used again if model, count and length agree; on the way the running
    mean is kept beside it, so that an interrupted computation goes on where it was. ``stop`` ends it early, with what
    was seen until then (at least one batch). Raises `InputError` and `ModelError`.
    """
    torch = need("torch")
    count, length = int(ids.shape[0]), int(ids.shape[1])
    if count < 1 or length < 2:
        raise InputError(f"the Fisher information needs sequences of at least 2 tokens, got {count} of {length}")
    if cache is not None and cache.exists():
        known = Fisher.load(cache)
        if (known.model, known.count, known.length) == (model_fingerprint, count, length):
            return known
    partial = None if cache is None else cache.with_name(f"{cache.name}.partial")
    layers = linear_layers(model)
    sums: dict[str, Any] = {n: torch.zeros_like(m.weight, dtype=torch.float32) for n, m in layers.items()}
    done, loss_sum = 0, 0.0
    if partial is not None and partial.exists():
        half = Fisher.load(partial)
        if (half.model, half.length) == (model_fingerprint, length) and half.count < count:
            done, loss_sum = half.count, half.loss * half.count
            sums = {n: half.diagonal[n] * done for n in layers}
    required = {p: p.requires_grad for p in model.parameters()}
    handles = [m.register_forward_hook(_collector(sums[n])) for n, m in layers.items()]
    model.requires_grad_(False)
    try:
        while done < count:
            part = ids[done : done + batch]
            # With frozen weights, a gradient that enters at the embeddings makes the backward pass visit each layer.
            embedded = model.get_input_embeddings()(part).detach().requires_grad_(True)
            losses = sequence_loss(_FromEmbeddings(model, embedded), part, dtype)
            need("torch").autograd.backward(losses.sum())
            done += len(part)
            loss_sum += losses.detach().sum().item()
            if progress is not None:
                progress("fisher", done, count, loss_sum / done)
            if stop is not None and stop():
                break
            if partial is not None and done < count and done % (batch * _SAVE_EVERY) == 0:
                mean = {n: s / done for n, s in sums.items()}
                Fisher(mean, done, length, loss_sum / done, model_fingerprint).save(partial, dtype="float32")
    finally:
        for handle in handles:
            handle.remove()
        for parameter, flag in required.items():
            parameter.requires_grad_(flag)
    result = Fisher({n: s / done for n, s in sums.items()}, done, length, loss_sum / done, model_fingerprint)
    if cache is not None:
        result.save(cache)
    if partial is not None:
        partial.unlink(missing_ok=True)
    return result


class _FromEmbeddings:
    """A model that reads embeddings in place of the ids it is called with."""

    def __init__(self, model: Any, embedded: Tensor) -> None:
        self._model, self._embedded = model, embedded

    def __call__(self, *, input_ids: Tensor, use_cache: bool) -> Any:
        return self._model(inputs_embeds=self._embedded, use_cache=use_cache)


def _collector(total: Tensor) -> Callable[[Any, Any, Any], None]:
    def forward(module: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        seen = inputs[0].detach()  # (batch, length, in)

        def backward(gradient: Tensor) -> None:  # (batch, length, out)
            for g, x in zip(gradient, seen, strict=True):
                one = (g.t() @ x.to(g.dtype)).to(total.dtype)  # (out, in): the weight gradient of one sample
                total.addcmul_(one, one)

        hook: Any = output.register_hook
        hook(backward)

    return forward
