from __future__ import annotations

import math
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from habilis.core import InputError, MissingExtraError
from habilis.trainer import (
    BaseModel,
    Remembered,
    Trained,
    TrainSettings,
    build_corpus,
    choose_device,
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


@pytest.mark.parametrize("method", ["lora", "full"])
def test_in_parts_it_is_the_same_training(
    tiny: BaseModel, workshop: SimpleNamespace, tmp_path: Path, method: str
) -> None:
    # With λ from a drift, the last digit of a probe decides much; given, it is a matter of the sums alone.
    settings = replace(SETTINGS, method=method, strength=100.0, seed=2)
    whole = run(tiny, workshop, tmp_path / "whole", reg="ewc", steps=3, settings=settings)
    parts = replace(settings, micro_batch=3, checkpointing=True)
    found = run(tiny, workshop, tmp_path / "parts", reg="ewc", steps=3, settings=parts)
    assert found.figures["loss_first"] == pytest.approx(whole.figures["loss_first"], rel=1e-6)
    assert found.figures["loss_last"] == pytest.approx(whole.figures["loss_last"], rel=1e-5)
    for name, tensor in adapter(whole).items():
        # Three steps move a weight by up to 1.5e-3; Adam magnifies the last digits of the smallest gradients.
        torch.testing.assert_close(adapter(found)[name], tensor, rtol=0, atol=1e-4)


def test_full_training_changes_what_the_fisher_covers_and_nothing_else(
    tiny: BaseModel, workshop: SimpleNamespace, tmp_path: Path
) -> None:
    from habilis.trainer.base import load_model

    trained = run(tiny, workshop, tmp_path / "full", steps=3, settings=replace(SETTINGS, method="full"))
    before = dict(load_model(tiny.path)[0].named_parameters())
    changed = {n for n, p in trained.model.named_parameters() if not torch.equal(p, before[n])}
    assert changed == {f"{n}.weight" for n in diagonal_fisher(load_model(tiny.path)[0], texts()).diagonal}
    assert trained.figures["trained_parameters"] == sum(before[n].numel() for n in changed)


def test_replayed_examples_are_a_part_of_every_batch(
    tiny: BaseModel, workshop: SimpleNamespace, tmp_path: Path
) -> None:
    """What is only replayed is learned: a sentence that is in no example."""
    past = [(list(b"Q:"), [*b"zz", 0])]
    fast = replace(SETTINGS, learning_rate=5e-3)
    from habilis.trainer._lm import answer_logits, collate

    def surprise(trained: Trained) -> float:
        with torch.no_grad():
            logits, targets, _ = answer_logits(trained.model.eval(), collate(past, 0))
        return float(torch.nn.functional.cross_entropy(logits, targets))

    found = {
        reg: surprise(run(tiny, workshop, tmp_path / reg, reg=reg, past=past, steps=12, settings=fast))
        for reg in ("none", "replay")
    }
    assert found["replay"] < found["none"] - 0.1


def test_a_given_strength_is_kept_and_nothing_is_taken_back(
    tiny: BaseModel, workshop: SimpleNamespace, tmp_path: Path
) -> None:
    wild = replace(SETTINGS, learning_rate=5e-2, drift=5e-4, strength=1e-9)
    trained = run(tiny, workshop, tmp_path / "wild", reg="ewc", steps=8, settings=wild)
    drift = trained.figures["drift"]
    assert (drift["lambda"], drift["update_kept"], drift["target"]) == (1e-9, 1.0, None)
    assert drift["probed"] != 0


def test_what_cannot_be_is_said_with_the_way_out(
    tiny: BaseModel, workshop: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match=r"'cuda' is not there: this torch .* sees 0 .* --device auto or cpu"):
        run(tiny, workshop, tmp_path / "x", steps=1, settings=replace(SETTINGS, device="cuda"))
    for wrong, said in (
        ({"device": "gpu"}, "no device 'gpu'"),
        ({"method": "qlora"}, "choose one of lora, full"),
        ({"dtype": "float16"}, "auto, bfloat16, float32"),
        ({"batch": 0}, "batch=0: a whole number >= 1"),
        ({"seed": -1}, "seed=-1: a training takes a whole number from 0"),
        ({"seed": 2**32}, "seed=4294967296: a training takes"),
        ({"micro_batch": -1}, "micro_batch=-1"),
        ({"learning_rate": math.nan}, "learning_rate=nan"),
        ({"learning_rate": 1e99}, "learning_rate=1e\\+99: a number above 0, 1 at most"),
        ({"batch": 10**23}, "batch=1000.*: a whole number of at most 1,000,000"),
        ({"rank": 10_000}, "rank=10000: a whole number of at most 4,096"),
        ({"strength": -1.0}, "strength λ"),
        ({"drift": 0.0}, "target drift"),
    ):
        with pytest.raises(InputError, match=said):
            choose_device(replace(SETTINGS, **wrong).device)
    assert not (tmp_path / "x").exists()


def test_a_log_for_tensorboard_needs_tensorboard_and_tells_every_step(
    tiny: BaseModel, workshop: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(MissingExtraError, match="pip install tensorboard"):
        run(tiny, workshop, tmp_path / "x", steps=1, log=tmp_path / "log")
    told: list[tuple[str, int]] = []

    class Writer:
        def __init__(self, folder: str) -> None:
            assert folder == str(tmp_path / "log")

        def add_scalar(self, name: str, value: float, step: int) -> None:
            assert math.isfinite(value)
            told.append((name, step))

        def close(self) -> None:
            told.append(("closed", 0))

    monkeypatch.setitem(sys.modules, "tensorboard", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", SimpleNamespace(SummaryWriter=Writer))
    run(tiny, workshop, tmp_path / "y", steps=2, log=tmp_path / "log", reg="ewc")
    names = ("train/loss", "train/penalty", "train/lambda", "train/drift")
    assert told == [(n, step) for step in (1, 2) for n in names] + [("closed", 0)]
