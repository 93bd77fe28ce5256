"""What training, Fisher and evaluation share: encoding, batches, logits where they are needed, sampling."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from habilis.core import ModelError, has_bfloat16, need
from habilis.trainer.corpus import Example

if TYPE_CHECKING:
    from torch import Tensor

MAX_TOKENS = 384  # longer questions are cut at their beginning: the end of a prompt says what is asked
IGNORED = -100  # the label that cross entropy skips

Batch = dict[str, "Tensor"]
Encoded = tuple[list[int], list[int]]  # prompt tokens, answer tokens (end mark included)


def arithmetic(dtype: str, device: str) -> str:
    """What "auto" is on a kind of device ("cpu", "cuda" …): "bfloat16" where it computes in it, else "float32"."""
    return ("bfloat16" if has_bfloat16(device) else "float32") if dtype == "auto" else dtype


def autocast(dtype: str = "auto", device: str = "cpu") -> AbstractContextManager[Any]:
    """bfloat16 arithmetic on float32 weights; ``"float32"`` switches it off. ``device``: its kind ("cpu", "cuda")."""
    torch, dtype = need("torch"), arithmetic(dtype, device)
    context: AbstractContextManager[Any] = torch.autocast(device, torch.bfloat16, enabled=dtype == "bfloat16")
    return context


def device_of(model: Any) -> Any:
    """The `torch.device` that a model's weights are on."""
    return next(model.parameters()).device


def inner_model(model: Any) -> Any:
    """The transformers model inside of what LoRA wraps around it."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def output_layer(model: Any) -> Any:
    """From hidden states to logits. It is never trained."""
    return inner_model(model).get_output_embeddings()


def linear_layers(model: Any) -> dict[str, Any]:
    """The linear layers that are trained: all but the output layer, by name. Raises `ModelError` where there are none
    (GPT-2 has layers of its own kind)."""
    torch = need("torch")
    head = model.get_output_embeddings() if hasattr(model, "get_output_embeddings") else None
    found = {n: m for n, m in model.named_modules() if isinstance(m, torch.nn.Linear) and m is not head}
    if not found:
        raise ModelError(
            f"{type(inner_model(model)).__name__} has no torch.nn.Linear besides its output layer, which is what is "
            "trained and held; choose a base model of another architecture, such as Llama's or Qwen's (--base)"
        )
    return found


def hidden_states(model: Any, ids: Tensor) -> Tensor:
    """(batch, length, width): what the output layer is given, for sequences without padding (batch, length)."""
    found: Tensor = inner_model(model).base_model(input_ids=ids, use_cache=False).last_hidden_state
    return found


def encode(tokenizer: Any, example: Example) -> Encoded:
    """Prompt and answer are encoded apart, just as they are when the model is asked."""
    prompt = tokenizer(example.prompt, add_special_tokens=False).input_ids
    answer = [*tokenizer(example.answer, add_special_tokens=False).input_ids, tokenizer.eos_token_id]
    return prompt[-max(1, MAX_TOKENS - len(answer)) :], answer


def collate(rows: Sequence[Encoded], pad: int) -> Batch:
    """input_ids, attention_mask and labels, each (batch, longest) int64; labels hold the answer's tokens alone."""
    torch = need("torch")
    longest = max(len(p) + len(a) for p, a in rows)
    return {
        "input_ids": torch.tensor([[*p, *a, *[pad] * (longest - len(p) - len(a))] for p, a in rows]),
        "attention_mask": torch.tensor([[1] * (len(p) + len(a)) + [0] * (longest - len(p) - len(a)) for p, a in rows]),
        "labels": torch.tensor([[*[IGNORED] * len(p), *a, *[IGNORED] * (longest - len(p) - len(a))] for p, a in rows]),
    }


def batches(rows: Sequence[Encoded], size: int, seed: int | None = None) -> list[list[int]]:
    """Indices in batches of similar length (less padding). With a seed, shuffled; else in order of length."""
    order = list(range(len(rows)))
    window = size * 8
    if seed is None:
        window = len(order) or 1
    else:
        random.Random(seed).shuffle(order)
    found = []
    for start in range(0, len(order), window):
        part = sorted(order[start : start + window], key=lambda i: len(rows[i][0]) + len(rows[i][1]))
        found += [part[i : i + size] for i in range(0, len(part), size)]
    if seed is not None:
        random.Random(seed + 1).shuffle(found)
    return found


def answer_logits(model: Any, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    """(n, vocabulary) float32 logits and (n,) targets of all answer tokens, and which (batch, length - 1) they are.

    The output layer runs on answer positions alone: over 49,152 words it would else take most of memory and time.
    """
    device = device_of(model)
    batch = {key: tensor.to(device) for key, tensor in batch.items()}
    hidden = (
        inner_model(model)
        .base_model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], use_cache=False)
        .last_hidden_state[:, :-1]
    )
    labels = batch["labels"][:, 1:]
    where = labels != IGNORED
    logits: Tensor = output_layer(model)(hidden[where]).float()
    return logits, labels[where], where


def sequence_loss(model: Any, ids: Tensor, dtype: str = "auto") -> Tensor:
    """Mean loss per token (nats) of each sequence: (batch, length) -> (batch,)."""
    torch = need("torch")
    ids = ids.to(device_of(model))
    with autocast(dtype, ids.device.type):
        logits = model(input_ids=ids, use_cache=False).logits[:, :-1].float()
    loss: Tensor = torch.nn.functional.cross_entropy(logits.transpose(1, 2), ids[:, 1:], reduction="none").mean(1)
    return loss


def sequence_losses(model: Any, ids: Tensor, dtype: str = "auto", size: int = 8) -> list[float]:
    """Mean loss per token (nats) of each of the sequences (n, length)."""
    torch = need("torch")
    with torch.no_grad():
        return [x for i in range(0, len(ids), size) for x in sequence_loss(model, ids[i : i + size], dtype).tolist()]


def mean_loss(model: Any, ids: Tensor, dtype: str = "auto", size: int = 8) -> float:
    """Mean loss per token (nats) over all sequences (n, length); its exponential is the perplexity."""
    losses = sequence_losses(model, ids, dtype, size)
    return math.fsum(losses) / len(losses)


def chunks(tokens: Sequence[int], length: int) -> Tensor:
    """A text cut into sequences: (n, length) token ids; what is left over at the end is dropped."""
    torch = need("torch")
    count = len(tokens) // length
    found: Tensor = torch.tensor(tokens[: count * length]).view(count, length)
    return found


def self_generated(model: Any, n: int, length: int, seed: int, *, start: int, dtype: str = "auto") -> Tensor:
    """Text that the model itself writes: (n, length) token ids, sampled at temperature 1 from the token ``start``.

    On its own text the mean gradient of a model is zero and its Fisher information is the curvature of its loss; no
    foreign text is needed to say what it knows. The same seed gives the same text on the same build.
    """
    torch = need("torch")
    generator = torch.Generator().manual_seed(seed)
    device = device_of(model)
    ids: Tensor = torch.full((n, 1), start, dtype=torch.long)
    cache, last = None, ids
    with torch.no_grad(), autocast(dtype, device.type):
        for _ in range(length - 1):
            out = model(input_ids=last.to(device), past_key_values=cache, use_cache=True)
            cache = out.past_key_values
            odds = out.logits[:, -1].float().softmax(-1).cpu()
            last = torch.multinomial(odds, 1, generator=generator)
            ids = torch.cat([ids, last], 1)
    return ids


def start_token(tokenizer: Any) -> int:
    """The token before a document in pre-training (SmolLM2 keeps it as its unknown token), else the begin mark."""
    for token in (tokenizer.unk_token_id, tokenizer.bos_token_id, tokenizer.eos_token_id):
        if token is not None:
            return int(token)
    return 0
