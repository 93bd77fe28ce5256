from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from habilis.core import InputError, ModelError
from habilis.trainer import BaseModel, Fisher, TrainSettings, diagonal_fisher, remember

torch = pytest.importorskip("torch")


@pytest.fixture(scope="module")
def model(tiny: BaseModel) -> Any:
    from habilis.trainer.base import load_model

    return load_model(tiny.path)[0]


@pytest.fixture(scope="module")
def ids() -> Any:
    return torch.randint(1, 257, (10, 24), generator=torch.Generator().manual_seed(1))


def naive(model: Any, ids: Any) -> dict[str, Any]:
    """One backward pass per sample, gradients squared: the definition."""
    layers = {n: m.weight for n, m in model.named_modules() if isinstance(m, torch.nn.Linear) and "lm_head" not in n}
    total = {n: torch.zeros_like(w) for n, w in layers.items()}
    for row in ids:
        model.zero_grad()
        model(input_ids=row[None], labels=row[None]).loss.backward()
        for n, w in layers.items():
            total[n] += w.grad**2
    model.zero_grad()
    return {n: t / len(ids) for n, t in total.items()}


def test_it_equals_one_backward_pass_per_sample(model: Any, ids: Any) -> None:
    exact = naive(model, ids)
    found = diagonal_fisher(model, ids, batch=4, dtype="float32")
    assert set(found.diagonal) == set(exact)
    assert len(exact) == 14
    for name, tensor in exact.items():
        torch.testing.assert_close(found.diagonal[name], tensor, rtol=1e-3, atol=1e-10)
    assert all(p.requires_grad for p in model.parameters())


def test_squaring_the_gradient_of_a_batch_is_something_else(model: Any, ids: Any) -> None:
    model.zero_grad()
    model(input_ids=ids, labels=ids).loss.backward()
    layer = model.model.layers[0].mlp.down_proj
    wrong = layer.weight.grad**2
    right = diagonal_fisher(model, ids, dtype="float32").diagonal["model.layers.0.mlp.down_proj"]
    assert abs(wrong.sum() / right.sum() - 1) > 0.2


def test_bfloat16_is_close(model: Any, ids: Any) -> None:
    exact, half = diagonal_fisher(model, ids, dtype="float32"), diagonal_fisher(model, ids)
    a = torch.cat([t.flatten() for t in exact.diagonal.values()])
    b = torch.cat([t.flatten() for t in half.diagonal.values()])
    assert torch.corrcoef(torch.stack([a, b]))[0, 1] > 0.99


def test_an_interrupted_computation_goes_on(model: Any, ids: Any, tmp_path: Path, monkeypatch: Any) -> None:
    whole = diagonal_fisher(model, ids, batch=1, dtype="float32", cache=tmp_path / "whole" / "f.safetensors")
    cache, seen = tmp_path / "f.safetensors", []

    def crash(phase: str, step: int, steps: int, loss: float) -> None:
        seen.append(step)
        if step == 6 and len(seen) == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        diagonal_fisher(model, ids, batch=1, dtype="float32", cache=cache, progress=crash, model_fingerprint="m")
    assert not cache.exists()
    half = Fisher.load(tmp_path / "f.safetensors.partial")
    assert (half.count, half.reduction) == (4, "sum")
    again = diagonal_fisher(model, ids, batch=1, dtype="float32", cache=cache, progress=crash, model_fingerprint="m")
    assert seen[6:] == [5, 6, 7, 8, 9, 10]  # four were on disk
    for name, tensor in whole.diagonal.items():
        torch.testing.assert_close(again.diagonal[name], tensor, rtol=0, atol=0)
    assert again.loss == whole.loss
    assert sorted(p.name for p in tmp_path.iterdir()) == ["f.safetensors", "whole"]


def test_the_cache_is_used_for_the_same_model_alone(model: Any, ids: Any, tmp_path: Path) -> None:
    cache, calls = tmp_path / "f.safetensors", []

    def count(*args: Any) -> None:
        calls.append(args)

    for fingerprint in ("a", "a", "b"):
        kept = diagonal_fisher(model, ids, cache=cache, progress=count, model_fingerprint=fingerprint)
        assert (kept.model, kept.count, kept.length) == (fingerprint, 10, 24)
    assert len(calls) == 4  # two batches for "a", none for "a" again, two for "b"


def test_who_computes_it_has_the_numbers_that_the_cache_gives_later(model: Any, ids: Any, tmp_path: Path) -> None:
    """Else a training under EWC ends otherwise where it is the first of its base model, or was killed after this."""
    first, later = (diagonal_fisher(model, ids, cache=tmp_path / "f.safetensors") for _ in range(2))
    for name, tensor in first.diagonal.items():
        torch.testing.assert_close(later.diagonal[name], tensor, rtol=0, atol=0)


def test_bad_input_and_broken_files_are_named(model: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="0 of 24"):
        diagonal_fisher(model, torch.zeros((0, 24), dtype=torch.long))
    broken = tmp_path / "x.safetensors"
    broken.write_bytes(b"nothing")
    with pytest.raises(ModelError, match=r"x\.safetensors is no file of Fisher information.*; name another, or none"):
        Fisher.load(broken)
    with pytest.raises(ModelError, match=r"there is no file .*nothing\.safetensors"):
        Fisher.load(tmp_path / "nothing.safetensors")


def test_damaged_text_in_the_cache_is_written_again(tiny: BaseModel, tmp_path: Path) -> None:
    settings = TrainSettings(memory=2, memory_length=8)
    texts = remember(tiny, settings, tmp_path).texts
    (file,) = tmp_path.glob("fisher/*/*.texts")
    whole = file.read_bytes()
    file.write_bytes(whole[:50])
    assert torch.equal(remember(tiny, settings, tmp_path).texts, texts)
    assert file.read_bytes() == whole
