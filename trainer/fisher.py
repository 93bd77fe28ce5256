"""The diagonal of the Fisher information, exactly per sample.

F_i = mean over samples of (d loss / d w_i)^2, for the weights of all linear layers but the output layer; the loss is
the mean over a sample's tokens, over its answer's tokens where the samples are examples. The square is of *one*
sample's gradient: squaring the gradient of a batch, as is often done, is another quantity. The weight gradient
of one sample in a linear layer is (output gradient)^T (input), so two hooks give it for a whole batch in one backward
pass, and no gradient of the size of the model is ever kept.

Where: Kirkpatrick et al. 2017 (arXiv:1612.00796), section 2; Kunstner et al. 2019 (arXiv:1905.12558) on which Fisher it
is: with text sampled from the model itself, this is the true Fisher, not the empirical one.

What was made of `length` tokens a sample is comparable with other lengths only after scaling: gradients at different
tokens of one sample are nearly uncorrelated, so the Fisher of a mean over n tokens falls with 1 / n (`at_length`).
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from habilis.core import need
from habilis.core.errors import InputError, ModelError
from habilis.trainer._lm import IGNORED, Batch, Encoded, autocast, collate, device_of, linear_layers, output_layer

if TYPE_CHECKING:
    from torch import Tensor

FISHER_VERSION = 2

_SAVE_EVERY = 4  # batches: the running sum is as large as the model in float32

Progress = Callable[[str, int, int, float], None]  # phase, step, steps, loss


@dataclass(frozen=True)
class Fisher:
    """``diagonal``: layer name -> tensor of the layer's weight shape (out, in). Of the *mean* loss over ``length``.

    ``count`` samples of ``length`` tokens (of examples: the mean of their answers); ``loss``: their mean loss per token
    (nats); ``model``: the fingerprint of the model; ``samples``: sha256 of what it was computed on. ``reduction``:
    "mean" over the samples, or "sum" while it is being computed (``loss`` too).
    """

    diagonal: Mapping[str, Tensor]
    count: int
    length: int
    loss: float
    model: str
    samples: str = ""
    reduction: str = "mean"

    def at_length(self, length: int) -> Fisher:
        """As it would be over samples of ``length`` tokens."""
        factor = self.length / length
        return replace(self, diagonal={n: t.float() * factor for n, t in self.diagonal.items()}, length=length)

    def added_to(self, other: Fisher, decay: float = 1.0) -> Fisher:
        """``decay`` times the other plus this, at the other's length. Raises `ModelError` where the layers differ."""
        if set(self.diagonal) != set(other.diagonal):
            missing = sorted(set(self.diagonal) ^ set(other.diagonal))[0]
            raise ModelError(f"two Fisher informations of different models: only one has the layer {missing!r}")
        mine = self.at_length(other.length).diagonal
        total = {n: t.float() * decay + mine[n] for n, t in other.diagonal.items()}
        both = hashlib.sha256(f"{other.samples}+{self.samples}".encode()).hexdigest()
        return replace(other, diagonal=total, count=other.count + self.count, samples=both)

    def mean_with(self, other: Fisher) -> Fisher:
        """Half of each, at this one's length: what two kinds of text need, one as much as the other."""
        total = other.added_to(self)
        return replace(total, diagonal={n: t / 2 for n, t in total.diagonal.items()})

    def save(self, path: Path, *, dtype: str = "bfloat16") -> None:
        """Write as safetensors, at once or not at all. bfloat16 (3 digits) is finer than the estimate itself."""
        torch, safetensors = need("torch"), need("safetensors.torch")
        path.parent.mkdir(parents=True, exist_ok=True)
        names = ("count", "length", "loss", "model", "samples", "reduction")
        head = {"version": FISHER_VERSION, **{name: getattr(self, name) for name in names}}
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        tensors = {name: t.to("cpu", getattr(torch, dtype)).contiguous() for name, t in self.diagonal.items()}
        safetensors.save_file(tensors, str(temporary), {"habilis": json.dumps(head)})
        os.replace(temporary, path)

    @classmethod
    def load(cls, path: Path, *, model: str | None = None) -> Fisher:
        """Read what `save` wrote; ``model``: the fingerprint it has to be of. Raises `ModelError`."""
        return cls._read(path, model, whole=True)

    @classmethod
    def check(cls, path: Path) -> None:
        """Whether `load` can read a file, by its head and its size alone. Raises `ModelError`."""
        cls._read(path, None, whole=False)

    @classmethod
    def _read(cls, path: Path, model: str | None, *, whole: bool) -> Fisher:
        safetensors = need("safetensors")
        try:
            with safetensors.safe_open(str(path), "pt") as file:
                head = json.loads(file.metadata()["habilis"])
                names = file.keys() if whole else ()
                tensors = {name: file.get_tensor(name) for name in names}
            version = head.pop("version")
            found = cls(tensors, **head) if version == FISHER_VERSION else None
        except FileNotFoundError as error:
            raise ModelError(f"there is no file {path} of Fisher information; name another, or none") from error
        except (OSError, KeyError, TypeError, ValueError, safetensors.SafetensorError) as error:
            raise ModelError(
                f"{path} is no file of Fisher information, or a damaged one ({error!r}); name another, or none: then "
                "it is computed"
            ) from error
        if found is None:
            raise ModelError(
                f"the Fisher information in {path} has version {version}, expected {FISHER_VERSION}; name another, or "
                "none: then it is computed"
            )
        if model is not None and found.model != model:
            raise ModelError(
                f"the Fisher information in {path} was made from the model {found.model[:12] or 'without a name'}…, "
                f"the base model is {model[:12]}…; take the one of this base model, or have it computed"
            )
        return found


def diagonal_fisher(
    model: Any | Callable[[], Any],
    samples: Tensor | Sequence[Encoded],
    *,
    model_fingerprint: str = "",
    batch: int = 8,
    dtype: str = "auto",
    cache: Path | None = None,
    progress: Progress | None = None,
    stop: Callable[[], bool] | None = None,
) -> Fisher:
    """The diagonal Fisher of the mean loss per token, over texts (n, length) or examples (prompt and answer tokens).

    ``model``: a transformers model, or a function that loads it, called only if something is to be computed.

    ``cache``: the finished result is kept there and used again if model and samples agree; on the way the running sum
    is kept beside it, so that an interrupted computation, by kill -9 too, goes on where it was and ends with the same
    numbers. ``stop`` ends it early, with what was seen until then (at least one batch). Raises `InputError` and
    `ModelError`.
    """
    torch = need("torch")
    rows, length = _rows(samples)
    count = len(rows)
    key = hashlib.sha256(json.dumps([rows, batch, dtype]).encode()).hexdigest()
    if cache is not None:
        known = _kept(cache)
        if known is not None and (known.model, known.samples, known.count) == (model_fingerprint, key, count):
            return known
    partial = None if cache is None else cache.with_name(f"{cache.name}.partial")
    model = model if isinstance(model, torch.nn.Module) else model()
    layers, device = linear_layers(model), device_of(model)
    sums: dict[str, Any] = {n: torch.zeros_like(m.weight, dtype=torch.float32) for n, m in layers.items()}
    done, loss_sum = 0, 0.0
    half = None if partial is None else _kept(partial)
    if half is not None and (half.model, half.samples, half.reduction) == (model_fingerprint, key, "sum"):
        done, loss_sum = half.count, half.loss
        sums = {n: half.diagonal[n].to(device) for n in layers}
    required = {p: p.requires_grad for p in model.parameters()}
    handles = [m.register_forward_hook(_collector(sums[n])) for n, m in layers.items()]
    model.requires_grad_(False)
    try:
        while done < count:
            part = collate(rows[done : done + batch], 0)
            losses = _losses(model, {k: t.to(device) for k, t in part.items()}, dtype)
            torch.autograd.backward(losses.sum())
            done += len(losses)
            loss_sum += losses.detach().sum().item()
            if progress is not None:
                progress("fisher", done, count, loss_sum / done)
            if stop is not None and stop():
                break
            if partial is not None and done < count and done % (batch * _SAVE_EVERY) == 0:
                Fisher(sums, done, length, loss_sum, model_fingerprint, key, "sum").save(partial, dtype="float32")
    finally:
        for handle in handles:
            handle.remove()
        for parameter, flag in required.items():
            parameter.requires_grad_(flag)
    mean = {n: (s / done).cpu() for n, s in sums.items()}
    result = Fisher(mean, done, length, loss_sum / done, model_fingerprint, key)
    if cache is not None:
        result.save(cache)
        result = Fisher.load(cache)  # rounded as whoever takes it from there finds it
    if partial is not None:
        partial.unlink(missing_ok=True)
    return result


def _rows(samples: Tensor | Sequence[Encoded]) -> tuple[list[Encoded], int]:
    """Texts as examples whose prompt is their first token; and the tokens of a sample."""
    if isinstance(samples, need("torch").Tensor):
        count, length = int(samples.shape[0]), int(samples.shape[1])
        if count < 1 or length < 2:
            raise InputError(f"the Fisher information needs sequences of at least 2 tokens, got {count} of {length}")
        return [(row[:1], row[1:]) for row in samples.tolist()], length
    rows = [(list(prompt), list(answer)) for prompt, answer in samples]
    if not rows or any(not p or not a for p, a in rows):
        raise InputError(f"the Fisher information needs examples with a prompt and an answer, got {len(rows)}")
    return rows, max(1, round(sum(len(a) for _, a in rows) / len(rows)))


def _kept(path: Path) -> Fisher | None:
    """What is in the file; None where there is none, or a broken or older one that has to be computed again."""
    if not path.exists():
        return None
    try:
        return Fisher.load(path)
    except ModelError:
        path.unlink(missing_ok=True)
        return None


def _losses(model: Any, batch: Batch, dtype: str) -> Tensor:
    """(batch,): the mean loss of each sample's answer tokens (nats)."""
    torch = need("torch")
    # With frozen weights, a gradient that enters at the embeddings makes the backward pass visit each layer.
    embedded = model.get_input_embeddings()(batch["input_ids"]).detach().requires_grad_(True)
    labels = batch["labels"][:, 1:]
    where = labels != IGNORED
    with autocast(dtype, labels.device.type):
        hidden = model.base_model(
            inputs_embeds=embedded, attention_mask=batch["attention_mask"], use_cache=False
        ).last_hidden_state[:, :-1]
        logits = output_layer(model)(hidden[where]).float()
    each = torch.nn.functional.cross_entropy(logits, labels[where], reduction="none")
    total = torch.zeros(len(labels), device=labels.device).index_add(0, where.nonzero()[:, 0], each)
    losses: Tensor = total / where.sum(1)
    return losses


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
