"""The conformance suite of regularisers.

check_regulariser(MyRegulariser)

It runs on a model of 54,000 random weights, with LoRA layers and with full training. What every method promises: the
same name always, Q >= 0, zero where training begins from what it holds to, the same for the same step, growing as the
weights move, with finite gradients; examples to replay that can be trained on; and that a training goes through.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from habilis.core import need
from habilis.trainer import (
    Example,
    Fisher,
    Regulariser,
    Remembered,
    State,
    TrainSettings,
    diagonal_fisher,
    tiny_random_model,
    train,
)
from habilis.trainer.base import load_model
from habilis.trainer.training.adapting import made_trainable, trained_tensors

__all__ = ["check_regulariser"]


def check_regulariser(make: Callable[[], Regulariser]) -> None:
    """``make``: a new one. Raises `AssertionError` saying what is wrong."""
    with tempfile.TemporaryDirectory(prefix="habilis-regulariser-") as folder:
        base = tiny_random_model(Path(folder) / "model").path
        for method in ("lora", "full"):
            settings = TrainSettings(
                method=method, batch=4, dtype="float32", device="cpu", save_every=100, learning_rate=1e-3
            )
            _check(make(), base, settings)
            _check_training(make(), base, settings, Path(folder) / method)


def _remembered(base: Path, uses_fisher: bool) -> Remembered:
    torch = need("torch")

    def model() -> Any:
        return load_model(base)[0]

    texts = torch.randint(1, 257, (4, 16), generator=torch.Generator().manual_seed(0))

    def fisher() -> Fisher:
        assert uses_fisher, "the Fisher information is asked for, so uses_fisher is True"
        return diagonal_fisher(model, texts, dtype="float32")

    return Remembered(model, texts, fisher, past=[([5, 6], [7, 0])])


def _check(method: Regulariser, base: Path, settings: TrainSettings) -> None:
    torch = need("torch")
    assert isinstance(method.name, str), f"a method has a name, not {method.name!r}"
    assert method.name, "a method has a name, not an empty one"
    assert isinstance(method.uses_fisher, bool), f"uses_fisher is True or False, not {method.uses_fisher!r}"
    model = made_trainable(load_model(base)[0], settings)
    state = method.prepare(model, _remembered(base, method.uses_fisher))
    assert isinstance(state, State), f"prepare gives a State of the trainer or one derived from it, not {state!r}"
    assert math.isfinite(state.rise), f"rise is a finite number >= 0, not {state.rise}"
    assert state.rise >= 0, f"rise is a finite number >= 0, not {state.rise}"
    assert 0 <= state.share < 1, f"share lies from 0 to below 1, not {state.share}: new examples must be learned too"
    assert not state.share or state.replay, "where a share is replayed there are examples for it"
    for prompt, answer in state.replay:
        assert prompt, "an example to replay has a prompt, if only of one token"
        assert answer, "an example to replay has an answer"
    start = method.penalty(model, state, 0)
    assert getattr(start, "shape", None) == (), f"Q is a tensor of one number, not {start!r}"
    assert abs(start.item()) < 1e-5, f"Q is zero before anything moved, not {start.item()}"
    if state.rise == 0:
        return
    generator = torch.Generator().manual_seed(1)
    moves = {n: torch.randn(p.shape, generator=generator) * 0.02 for n, p in trained_tensors(model).items()}
    grown = [0.0]
    for _ in range(2):
        with torch.no_grad():
            for name, parameter in trained_tensors(model).items():
                parameter.add_(moves[name])
        grown.append(method.penalty(model, state, 0).item())
    assert grown[0] < grown[1] < grown[2], f"Q grows as the weights move further: {grown}"
    again = method.penalty(model, state, 0).item()
    assert again == grown[2], f"Q of the same step is the same: {grown[2]} and then {again}"
    model.zero_grad()
    torch.autograd.backward(method.penalty(model, state, 3))
    found = [p.grad for p in trained_tensors(model).values() if p.grad is not None]
    assert found, "Q is differentiable in what is trained"
    assert all(bool(torch.isfinite(g).all()) for g in found), "the gradients of Q are finite"
    assert any(bool(g.abs().sum() > 0) for g in found), "Q moves the weights"


def _check_training(method: Regulariser, base: Path, settings: TrainSettings, folder: Path) -> None:
    model, tokenizer = load_model(base)
    examples = [Example(f"{i} and {i}?\n", f"{2 * i}", "sum", str(i)) for i in range(12)]
    remembered = _remembered(base, method.uses_fisher)
    trained = train(
        model,
        tokenizer,
        examples,
        folder,
        settings=settings,
        remembered=remembered,
        regulariser=method,
        heldout=remembered.texts,
        steps=3,
    )
    assert (trained.steps, trained.stopped) == (3, "done"), f"a training goes through: {trained.figures}"
    assert trained.figures["regulariser"] == method.name, "the method keeps its name"
