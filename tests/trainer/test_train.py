from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from habilis.core import InputError
from habilis.trainer import (
    BaseModel,
    Remembered,
    Trained,
    TrainSettings,
    build_corpus,
    diagonal_fisher,
    train,
)

torch = pytest.importorskip("torch")

SETTINGS = TrainSettings(batch=4, save_every=2, dtype="float32", regulariser="none", device="cpu")


def texts() -> Any:
    return torch.randint(1, 257, (4, 16), generator=torch.Generator().manual_seed(0))


def remembered(tiny: BaseModel, **more: Any) -> Remembered:
    from habilis.trainer.base import load_model

    def base() -> Any:
        return load_model(tiny.path)[0]

    return Remembered(base, texts(), lambda: diagonal_fisher(base, texts()), **more)


def run(
    tiny: BaseModel,
    workshop: SimpleNamespace,
    folder: Path,
    *,
    reg: str = "none",
    settings: TrainSettings = SETTINGS,
    breaker: Any = None,
    past: Any = (),
    **options: Any,
) -> Trained:
    from habilis.trainer.base import load_model

    corpus = build_corpus(workshop.make_episodes(60), [], workshop.contracts, workshop.spec)
    model, tokenizer = load_model(tiny.path)
    if breaker is not None:
        model.model.register_forward_hook(breaker)
    return train(
        model,
        tokenizer,
        corpus.train,
        folder,
        settings=replace(settings, regulariser=reg),
        remembered=remembered(tiny, past=past),
        heldout=options.pop("heldout", texts()),
        **options,
    )


def adapter(trained: Trained) -> dict[str, Any]:
    return {n: p.detach().clone() for n, p in trained.model.named_parameters() if p.requires_grad}


def test_a_training_that_was_stopped_ends_where_an_uninterrupted_one_does(
    tiny: BaseModel, workshop: SimpleNamespace, tmp_path: Path
) -> None:
    whole = run(tiny, workshop, tmp_path / "whole", reg="ewc", steps=6)
    seen: list[int] = []
    half = run(
        tiny,
        workshop,
        tmp_path / "half",
        reg="ewc",
        steps=6,
        progress=lambda phase, step, steps, loss: seen.append(step),
        stop=lambda: seen[-1:] == [3],
    )
    assert (half.steps, half.stopped) == (3, "asked")
    rest = run(tiny, workshop, tmp_path / "half", reg="ewc", steps=6, progress=lambda p, s, n, x: seen.append(s))
    assert seen == [1, 2, 3, 4, 5, 6]
    assert (rest.steps, rest.stopped) == (6, "done")
    left, right = adapter(whole), adapter(rest)
    assert any(float(t.abs().sum()) > 0 for n, t in left.items() if "lora_B" in n)
    for name, tensor in left.items():
        torch.testing.assert_close(right[name], tensor, rtol=0, atol=0)
    assert rest.figures["drift"] == whole.figures["drift"]


def test_the_loss_falls_and_the_penalty_holds_the_weights_back(
    tiny: BaseModel, workshop: SimpleNamespace, tmp_path: Path
) -> None:
    free = run(tiny, workshop, tmp_path / "free", steps=12)
    assert free.figures["loss_last"] < free.figures["loss_first"] - 0.05

    held = run(tiny, workshop, tmp_path / "held", reg="ewc", steps=12)
    size = {
        k: sum(float(p.pow(2).sum()) for n, p in adapter(t).items() if "lora_B" in n)
        for k, t in (("free", free), ("held", held))
    }
    assert math.isfinite(held.figures["drift"]["lambda"])
    assert size["held"] <= size["free"]


def test_a_loss_that_is_no_number_stops_it_and_the_last_good_weights_stay(
    tiny: BaseModel, workshop: SimpleNamespace, tmp_path: Path
) -> None:
    calls = []

    def breaker(module: Any, inputs: Any, output: Any) -> Any:
        calls.append(1)
        if len(calls) >= 4:
            output.last_hidden_state = output.last_hidden_state * math.nan
        return output

    broken = run(tiny, workshop, tmp_path / "broken", steps=8, breaker=breaker, heldout=None)
    assert (broken.steps, broken.stopped) == (3, "diverged")
    assert all(bool(torch.isfinite(t).all()) for t in adapter(broken).values())
    assert math.isfinite(broken.figures["loss_last"])


def test_time_is_a_limit(tiny: BaseModel, workshop: SimpleNamespace, tmp_path: Path) -> None:
    timed = run(tiny, workshop, tmp_path / "timed", seconds=2.5)
    assert 1 <= timed.steps <= timed.figures["steps_planned"] < 3 * timed.figures["examples_offered"] / 4
    assert timed.figures["seconds"] < 16
    with pytest.raises(InputError, match=r"one training step takes .* so no step fits"):
        run(tiny, workshop, tmp_path / "short", seconds=1e-4)
    with pytest.raises(InputError, match="steps=0"):
        run(tiny, workshop, tmp_path / "none", steps=0)


def test_what_drifted_too_far_is_taken_back(tiny: BaseModel, workshop: SimpleNamespace, tmp_path: Path) -> None:
    from habilis.trainer._lm import mean_loss, self_generated
    from habilis.trainer.base import load_model

    base, _ = load_model(tiny.path)
    ids = self_generated(base, 4, 16, 0, start=0, dtype="float32")
    before = mean_loss(base, ids, "float32")
    wild = replace(SETTINGS, learning_rate=5e-2, drift=5e-4)
    trained = run(tiny, workshop, tmp_path / "wild", reg="ewc", steps=8, settings=wild, heldout=ids)
    drift = math.exp(mean_loss(trained.model.eval(), ids, "float32") - before) - 1
    assert trained.figures["drift"]["update_kept"] < 1
    assert drift == pytest.approx(trained.figures["drift"]["probed"], abs=1e-5)
    assert drift < 2e-3
