from __future__ import annotations

import math
from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from habilis.core import InputError, ModelError, NotFoundError
from habilis.testing.regularisers import check_regulariser
from habilis.trainer import (
    REGULARISERS,
    BaseModel,
    DriftControl,
    Fisher,
    Remembered,
    State,
    TrainSettings,
    diagonal_fisher,
    open_regulariser,
    with_lora,
)

torch = pytest.importorskip("torch")
from habilis.trainer.regularisers._distance import Importance, lora_layers, weighted_square  # noqa: E402
from habilis.trainer.training.adapting import made_trainable  # noqa: E402


@pytest.mark.parametrize("name", REGULARISERS)
def test_every_method_passes_the_conformance_suite(name: str) -> None:
    check_regulariser(lambda: open_regulariser(name))


def test_the_suite_finds_what_is_wrong() -> None:
    class Signed:
        name = "signed"
        uses_fisher = False

        def prepare(self, model: Any, remembered: Remembered) -> State:
            return State(rise=1.0)

        def penalty(self, model: Any, state: State, step: int) -> Any:
            return sum((b**2).sum() for _, _, b, _ in lora_layers(model)) * -1.0

    with pytest.raises(AssertionError, match="grows as the weights move"):
        check_regulariser(Signed)


def test_a_package_can_bring_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    found = EntryPoint("mine", "habilis.trainer.regularisers.none:NoRegulariser", "habilis.regularisers")
    monkeypatch.setattr(
        "importlib.metadata.entry_points", lambda group: [found] if group.startswith("habilis.r") else []
    )
    assert open_regulariser("mine").name == "none"
    with pytest.raises(NotFoundError, match="did you mean 'ewc'"):
        open_regulariser("ewcc")


@given(st.integers(1, 6), st.integers(1, 6), st.integers(1, 3), st.floats(0.1, 8), st.integers(0, 99), st.booleans())
@settings(max_examples=25, deadline=None)
def test_value_and_gradients_are_those_of_the_dense_formula(
    n: int, m: int, r: int, s: float, seed: int, moved: bool
) -> None:
    g = torch.Generator().manual_seed(seed)
    a = torch.randn(r, m, generator=g, dtype=torch.float64, requires_grad=True)
    b = torch.randn(n, r, generator=g, dtype=torch.float64, requires_grad=True)
    f = torch.rand(n, m, generator=g, dtype=torch.float64)
    offset = torch.randn(n, m, generator=g, dtype=torch.float64) if moved else None
    dense = (f * (s * b @ a - (0 if offset is None else offset)) ** 2).sum()
    expected = torch.autograd.grad(dense, (a, b))
    ours = weighted_square(a, b, f, s, offset)
    torch.testing.assert_close(ours, dense)
    for found, wanted in zip(torch.autograd.grad(3 * ours, (a, b)), expected, strict=True):
        torch.testing.assert_close(found, 3 * wanted)
    assert torch.autograd.gradcheck(lambda x, y: weighted_square(x, y, f, s, offset), (a, b))


def test_in_bfloat16_it_is_the_same_to_a_few_thousandths() -> None:
    g = torch.Generator().manual_seed(0)
    a = torch.randn(8, 96, generator=g, requires_grad=True)
    b = (torch.randn(64, 8, generator=g) * 1e-3).requires_grad_()
    f = torch.rand(64, 96, generator=g) * 1e-6
    exact, rough = weighted_square(a, b, f, 4.0), weighted_square(a, b, f.bfloat16(), 4.0)
    assert rough.item() == pytest.approx(exact.item(), rel=5e-3)
    for one, other in zip(torch.autograd.grad(exact, (a, b)), torch.autograd.grad(rough, (a, b)), strict=True):
        assert float((one - other).norm() / one.norm()) < 5e-3


@given(st.integers(1, 6), st.integers(1, 6), st.integers(1, 3), st.floats(0.1, 8), st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_one_importance_for_all_needs_no_layer(n: int, m: int, r: int, s: float, seed: int) -> None:
    g = torch.Generator().manual_seed(seed)
    a = torch.randn(r, m, generator=g, dtype=torch.float64, requires_grad=True)
    b = torch.randn(n, r, generator=g, dtype=torch.float64, requires_grad=True)
    dense = (0.25 * (s * b @ a) ** 2).sum()
    torch.testing.assert_close(weighted_square(a, b, 0.25, s), dense)
    expected = torch.autograd.grad(dense, (a, b))
    for found, wanted in zip(torch.autograd.grad(weighted_square(a, b, 0.25, s), (a, b)), expected, strict=True):
        torch.testing.assert_close(found, wanted)


def load(tiny: BaseModel) -> Any:
    from habilis.trainer.base import load_model

    return load_model(tiny.path)[0]


@pytest.fixture(scope="module")
def remembered(tiny: BaseModel) -> Remembered:
    ids = torch.randint(1, 257, (6, 16), generator=torch.Generator().manual_seed(2))
    fisher = diagonal_fisher(load(tiny), ids, dtype="float32")
    return Remembered(lambda: load(tiny), ids, lambda: fisher)


def nudged(model: Any) -> Any:
    """A step of random size in every trained weight."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.01)
    return model


def weights(model: Any) -> dict[str, Any]:
    """The effective weight of each linear layer, by the base model's names."""
    merged = model.merge_and_unload() if hasattr(model, "merge_and_unload") else model
    return {
        n: m.weight.detach() for n, m in merged.named_modules() if isinstance(m, torch.nn.Linear) and n != "lm_head"
    }


@pytest.mark.parametrize("method", ["lora", "full"])
@pytest.mark.parametrize("name", ["ewc", "l2"])
def test_the_penalty_is_the_papers_sum_over_all_weights(
    tiny: BaseModel, remembered: Remembered, name: str, method: str
) -> None:
    model = made_trainable(load(tiny), TrainSettings(method=method))
    regulariser = open_regulariser(name)
    state = regulariser.prepare(model, remembered)
    found = regulariser.penalty(nudged(model), state, 0).item()
    before, after = weights(load(tiny)), weights(model)
    fisher = remembered.fisher().diagonal
    mean = torch.cat([f.flatten().double() for f in fisher.values()]).mean()
    dense = sum(float(((fisher[n] if name == "ewc" else mean) * (w - before[n]) ** 2).sum()) for n, w in after.items())
    assert len(after) == 14
    assert found == pytest.approx(dense, rel=1e-3)
    assert state.rise == 16 / 2


@pytest.mark.parametrize("method", ["lora", "full"])
def test_online_ewc_holds_to_the_last_adopted_weights_with_the_running_fisher(
    tiny: BaseModel, remembered: Remembered, method: str
) -> None:
    adopted = nudged(made_trainable(load(tiny), TrainSettings(method=method)))
    running = replace(remembered.fisher(), diagonal={n: 3 * f for n, f in remembered.fisher().diagonal.items()})
    online = open_regulariser("online_ewc")
    state = online.prepare(adopted, replace(remembered, running=running))
    assert state.from_start
    assert online.penalty(adopted, state, 0).item() == pytest.approx(0.0, abs=1e-7)
    import copy

    before = weights(copy.deepcopy(adopted))
    found = online.penalty(nudged(adopted), state, 0).item()
    dense = sum(float((running.diagonal[n] * (w - before[n]) ** 2).sum()) for n, w in weights(adopted).items())
    assert found == pytest.approx(dense, rel=1e-3)


def test_the_running_fisher_lets_the_old_fade_and_is_of_one_length(remembered: Remembered) -> None:
    old = remembered.fisher()
    new = replace(old, length=8, count=2)
    found = open_regulariser("online_ewc").consolidate(old, new)  # type: ignore[attr-defined]
    assert (found.length, found.count) == (16, 8)
    for name, f in old.diagonal.items():
        torch.testing.assert_close(found.diagonal[name], 0.9 * f + 0.5 * f)


def test_kl_is_that_of_the_whole_distributions(tiny: BaseModel, remembered: Remembered) -> None:
    model = made_trainable(load(tiny), TrainSettings())
    kl = open_regulariser("kl")
    state = kl.prepare(model, replace(remembered, texts=remembered.texts[:2]))
    found = kl.penalty(nudged(model), state, 5).item()  # two texts of 16 tokens: all of them are read
    with torch.no_grad():
        p, q = (m(input_ids=remembered.texts[:2]).logits.double().log_softmax(-1) for m in (load(tiny), model))
    assert found == pytest.approx(float((p.exp() * (p - q)).sum(-1).mean()), rel=1e-3)
    assert found > 0


def test_what_is_replayed_is_from_before_and_self_written(tiny: BaseModel, remembered: Remembered) -> None:
    model = with_lora(load(tiny), TrainSettings())
    past = [([1, 2], [3, 0]), ([4], [5, 0])]
    for name in ("replay", "ewc_replay"):
        state = open_regulariser(name).prepare(model, replace(remembered, past=past))
        assert [row for row in state.replay if row in past] == past
        texts = [p + a for p, a in state.replay if (p, a) not in past]
        assert texts == remembered.texts[:2].tolist()
        alone = open_regulariser(name).prepare(model, remembered)
        assert [p + a for p, a in alone.replay] == remembered.texts.tolist()


def test_kl_with_replay_replays_what_was_taught_and_no_text(tiny: BaseModel, remembered: Remembered) -> None:
    model = with_lora(load(tiny), TrainSettings())
    past = [([1, 2], [3, 0]), ([4], [5, 0])]
    method, kl = open_regulariser("kl_replay"), open_regulariser("kl")
    state = method.prepare(model, replace(remembered, past=past))
    assert list(state.replay) == past
    assert state.share == 0.5
    first = method.prepare(model, remembered)
    assert not first.replay  # a first distillation is kl's
    moved = nudged(model)
    assert method.penalty(moved, first, 3).item() == kl.penalty(moved, kl.prepare(model, remembered), 3).item()


def test_another_models_fisher_is_no_importance(tiny: BaseModel, remembered: Remembered) -> None:
    model = with_lora(load(tiny), TrainSettings())
    with pytest.raises(ModelError, match="another model"):
        open_regulariser("ewc").penalty(model, Importance(weights={}), 0)
    other = replace(remembered.fisher(), diagonal={"x": torch.zeros(2, 2)})
    with pytest.raises(ModelError, match="different models"):
        other.added_to(remembered.fisher())


def test_the_factor_rises_above_the_target_and_falls_below() -> None:
    control = DriftControl(0.03, 64, steps=100)
    start = control.strength
    for _ in range(20):
        control.seen(2 * control.q_target)
    assert 1.5 * start < control.strength < 4 * start  # slowly: a fifth of the training
    for _ in range(60):
        control.seen(0.0)
    assert control.strength < start


@given(st.integers(1, 500), st.floats(1.5, 1e9))
def test_however_far_above_the_target_the_factor_has_a_reach(steps: int, times: float) -> None:
    control = DriftControl(0.03, 64, steps=steps)
    start = control.strength
    for _ in range(steps):
        before = control.strength
        control.seen(times * control.q_target)
        assert control.strength <= before * 1.17
    assert control.strength <= start * 404


def test_a_given_factor_stays() -> None:
    control = DriftControl(0.03, 64, fixed=1e4)
    for _ in range(5):
        control.seen(2 * control.q_target)
    assert control.strength == 1e4
    with pytest.raises(InputError, match="strength"):
        DriftControl(0.03, 64, fixed=-1)


@given(st.floats(0.005, 0.5), st.integers(16, 512), st.floats(0.2, 20))
def test_the_quadratic_model_is_recovered_from_a_probe(target: float, length: int, c: float) -> None:
    control = DriftControl(target, length / 2)
    q = math.log1p(target) / (0.5 * length * c)
    control.seen(q)
    control.probed(3.0, 3.0 + math.log1p(target))
    assert control.c == pytest.approx(c, rel=1e-6)
    assert control.measured == pytest.approx(target, rel=1e-6)
    assert control.q_target == pytest.approx(q, rel=1e-6)
    assert control.predicted == pytest.approx(target, rel=1e-6)


@given(st.floats(0.005, 0.3), st.floats(0.0, 2.0))
def test_shrinking_by_the_share_reaches_the_target_of_a_quadratic(target: float, measured: float) -> None:
    control = DriftControl(target, 64)
    share = control.share([(1.0, measured)])
    after = math.expm1(math.log1p(measured) * share**2)
    assert after == pytest.approx(min(measured, target), abs=1e-9)


@given(st.floats(0.003, 0.3), st.floats(0.0, 2.0), st.floats(1.0, 4.0), st.floats(0.0, 0.002))
def test_what_was_taken_back_without_need_is_given_again(
    target: float, whole: float, power: float, better: float
) -> None:
    """Curves other than the quadratic, some of which lie below the base model's loss near it."""
    control = DriftControl(target, 64)

    def drift(share: float) -> float:
        return math.expm1(math.log1p(whole) * share**power - better * share * (1 - share))

    tried = [(1.0, drift(1.0))]
    while not control.held(tried) and len(tried) < 8:
        share = control.share(tried)
        assert 0 < share < 1
        tried.append((share, drift(share)))
    assert control.held(tried)
    assert len(tried) == 1 or 0.8 * target <= tried[-1][1] <= 1.1 * target


@pytest.mark.parametrize("target", [0.0, -1.0, math.nan, math.inf])
def test_a_target_that_is_none_is_refused(target: float) -> None:
    with pytest.raises(InputError, match="target drift"):
        DriftControl(target, 64)


def test_a_fisher_of_another_base_model_is_refused_by_name(remembered: Remembered, tmp_path: Path) -> None:
    file = tmp_path / "mine.safetensors"
    replace(remembered.fisher(), model="a" * 64).save(file)
    assert Fisher.load(file, model="a" * 64).count == 6
    with pytest.raises(ModelError, match=r"mine\.safetensors was made from the model aaaaaaaaaaaa…, .* bbbbbbbbbbbb…"):
        Fisher.load(file, model="b" * 64)
