"""How to train, and where."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

from habilis.core import InputError, need

METHODS = ("lora", "full")
DTYPES = ("auto", "bfloat16", "float32")
FISHERS = ("self", "corpus", "both")
_MOST = {"rank": 4_096, "memory_length": 32_768}  # more is no adapter, and longer no text that was written at a time
_LARGE = 1_000_000  # of any other number: a slip of the hand


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """How to train. The defaults were measured on SmolLM2-135M; see docs/trainer.md.

    ``method``: "lora" (Hu et al. 2021, arXiv:2106.09685), or "full": all weights of the linear layers (embeddings,
    norms and the output layer stay the base model's: the Fisher does not cover them).
    ``rank``, ``alpha``: of LoRA.
    ``batch``: examples per step, over all processes together. ``micro_batch``: how many of them one process reads at a
    time (None: all of its share); gradients are accumulated over the rest. The result is the same, the memory is not.
    ``checkpointing``: compute activations again in the backward pass: a third more time, far less memory.
    ``learning_rate``: peak, reached after 5 steps, then down to 0. ``epochs``: passes over the examples at most.
    ``regulariser``: a name, see `open_regulariser`. ``drift``: the target (relative rise of perplexity), from which λ
    follows; ``strength``: λ itself, and then nothing is adjusted.
    ``fisher``: what the Fisher information is of: "self" (text that the base model wrote), "corpus" (a text of the
    user's, else the training examples) or "both".
    ``dtype``: of the arithmetic, "bfloat16", "float32" or "auto" (bfloat16 where the device computes in it); the
    trained weights are float32. ``device``: "auto", "cpu", "cuda", "cuda:1", "mps", "xpu".
    ``save_every``: steps between checkpoints. ``memory``, ``memory_length``: sequences of self-written text for the
    Fisher, and their tokens. ``seed``: of everything random.
    """

    rank: int = 8
    alpha: int = 32
    batch: int = 8
    learning_rate: float = 5e-4
    epochs: int = 3
    regulariser: str = "kl_replay"
    drift: float = 0.03
    dtype: str = "auto"
    save_every: int = 50
    memory: int = 32
    memory_length: int = 128
    seed: int = 0
    method: str = "lora"
    strength: float | None = None
    micro_batch: int | None = None
    checkpointing: bool = False
    device: str = "auto"
    fisher: str = "self"

    def __post_init__(self) -> None:
        for name, known in (("method", METHODS), ("dtype", DTYPES), ("fisher", FISHERS)):
            if getattr(self, name) not in known:
                raise InputError(f"{name}={getattr(self, name)!r}: choose one of {', '.join(known)}")
        least = {"memory_length": 2}
        for field in fields(self):
            value = getattr(self, field.name)
            if field.type in ("int", "int | None") and field.name != "seed":
                low = least.get(field.name, 1)
                if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < low):
                    raise InputError(f"{field.name}={value!r}: a whole number >= {low} is needed")
                high = _MOST.get(field.name, _LARGE)
                if value is not None and value > high:
                    raise InputError(f"{field.name}={value!r}: a whole number of at most {high:,} is needed")
        if isinstance(self.seed, bool) or not isinstance(self.seed, int) or not 0 <= self.seed < 2**32:
            raise InputError(f"seed={self.seed!r}: a training takes a whole number from 0 to 2**32 - 1")
        if not 0 < self.learning_rate <= 1:
            raise InputError(
                f"learning_rate={self.learning_rate!r}: a number above 0, 1 at most, such as 5e-4 is needed"
            )
        if not (math.isfinite(self.drift) and self.drift > 0):
            raise InputError(f"the target drift is a number > 0 such as 0.03 (3 % perplexity), got {self.drift!r}")
        if self.strength is not None and not (math.isfinite(self.strength) and self.strength >= 0):
            raise InputError(f"the strength λ is a finite number >= 0, got {self.strength!r}")


def choose_device(name: str = "auto") -> Any:
    """The `torch.device` to work on. "auto": an accelerator where torch sees one, else the CPU.

    Raises `InputError` where the one that is asked for is not there: nothing is trained elsewhere silently.
    """
    torch = need("torch")
    kind, _, number = name.partition(":")
    count = _count(torch, kind) if kind in ("cuda", "mps", "xpu") else 0
    if name == "cpu":
        return torch.device("cpu")
    if name == "auto":
        found = next((k for k in ("cuda", "xpu", "mps") if _count(torch, k)), "cpu")
        return torch.device(found)
    if kind not in ("cuda", "mps", "xpu") or (number and not number.isdecimal()):
        raise InputError(f"there is no device {name!r}; use auto, cpu, cuda, cuda:NUMBER, mps or xpu")
    if not count or (number and int(number) >= count):
        raise InputError(
            f"the device {name!r} is not there: this torch ({torch.__version__}) sees {count} of the kind {kind}; use "
            "--device auto or cpu, or install a torch build for it"
        )
    return torch.device(name)


def _count(torch: Any, kind: str) -> int:
    if kind == "mps":
        return int(torch.backends.mps.is_available())
    module = getattr(torch, kind, None)
    return int(module.device_count()) if module is not None and module.is_available() else 0
