from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from habilis.core import InputError, ModelError, NotFoundError
from habilis.trainer import BaseModel, DriftControl, State, TrainSettings, open_regulariser, with_lora

torch = pytest.importorskip("torch")
from habilis.trainer.regularisers._lora import lora_layers, weighted_square  # noqa: E402


@given(st.integers(1, 6), st.integers(1, 6), st.integers(1, 3), st.floats(0.1, 8), st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_value_and_gradients_are_those_of_the_dense_formula(n: int, m: int, r: int, s: float, seed: int) -> None:
    g = torch.Generator().manual_seed(seed)
    a = torch.randn(r, m, generator=g, dtype=torch.float64, requires_grad=True)
    b = torch.randn(n, r, generator=g, dtype=torch.float64, requires_grad=True)
    f = torch.rand(n, m, generator=g, dtype=torch.float64)
    dense = (f * (s * b @ a) ** 2).sum()
    expected = torch.autograd.grad(dense, (a, b))
    ours = weighted_square(a, b, f, s)
    torch.testing.assert_close(ours, dense)
    for found, wanted in zip(torch.autograd.grad(3 * ours, (a, b)), expected, strict=True):
        torch.testing.assert_close(found, 3 * wanted)
    assert torch.autograd.gradcheck(lambda x, y: weighted_square(x, y, f, s), (a, b))


@pytest.fixture(scope="module")
def adapted(tiny: BaseModel) -> Any:
    from habilis.trainer.base import load_model

    model = with_lora(load_model(tiny.path)[0], TrainSettings())
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for _, _, b, _ in lora_layers(model):
            b.copy_(torch.randn(b.shape, generator=generator) * 0.01)
    return model


@pytest.fixture(scope="module")
def state(tiny: BaseModel) -> State:
    from habilis.trainer.base import load_model

    ids = torch.randint(1, 257, (6, 16), generator=torch.Generator().manual_seed(2))
    return open_regulariser("ewc").prepare(load_model(tiny.path)[0], ids)


def test_ewc_weighs_every_change_of_a_weight_by_its_importance(adapted: Any, state: State) -> None:
    dense = 0.0
    merged = {n: s * (b @ a) for n, a, b, s in lora_layers(adapted)}
    assert set(merged) == set(state.weights)
    for name, delta in merged.items():
        dense += (state.weights[name] * delta**2).sum().item()
    assert open_regulariser("ewc").penalty(adapted, state).item() == pytest.approx(dense, rel=1e-4)
    with pytest.raises(ModelError, match="another model"):
        open_regulariser("ewc").penalty(adapted, State({}))


def test_l2_is_ewc_with_the_mean_importance_everywhere(adapted: Any, state: State, tiny: BaseModel) -> None:
    from habilis.trainer.base import load_model

    ids = torch.randint(1, 257, (6, 16), generator=torch.Generator().manual_seed(2))
    l2 = open_regulariser("l2")
    uniform = l2.prepare(load_model(tiny.path)[0], ids)
    mean = torch.cat([f.flatten().double() for f in state.weights.values()]).mean().item()
    assert uniform.uniform == pytest.approx(mean, rel=1e-4)
    dense = sum(mean * float(((s * b @ a) ** 2).sum()) for _, a, b, s in lora_layers(adapted))
    assert float(l2.penalty(adapted, uniform)) == pytest.approx(dense, rel=1e-4)


def test_none_costs_nothing_and_unknown_names_are_refused(adapted: Any) -> None:
    assert float(open_regulariser("none").penalty(adapted, State({}))) == 0.0
    with pytest.raises(NotFoundError, match="did you mean 'ewc'"):
        open_regulariser("ewcc")


def test_the_factor_rises_above_the_target_and_falls_below() -> None:
    control = DriftControl(0.03, 128)
    start = control.strength
    for _ in range(5):
        control.seen(2 * control.q_target)
    assert control.strength > 1.5 * start
    for _ in range(30):
        control.seen(0.0)
    assert control.strength < start


@given(st.floats(0.005, 0.5), st.integers(16, 512), st.floats(0.2, 20))
def test_the_quadratic_model_is_recovered_from_a_probe(target: float, length: int, c: float) -> None:
    control = DriftControl(target, length)
    q = math.log1p(target) / (0.5 * length * c)
    control.seen(q)
    control.probed(3.0, 3.0 + math.log1p(target))
    assert control.c == pytest.approx(c, rel=1e-6)
    assert control.measured == pytest.approx(target, rel=1e-6)
    assert control.q_target == pytest.approx(q, rel=1e-6)
    assert control.predicted == pytest.approx(target, rel=1e-6)


@given(st.floats(0.005, 0.3), st.floats(0.0, 2.0))
def test_shrinking_by_the_factor_reaches_the_target_of_a_quadratic(target: float, measured: float) -> None:
    control = DriftControl(target, 128)
    assert control.shrink == 1.0
    control.probed(3.0, 3.0 + math.log1p(measured))
    after = math.expm1(math.log1p(measured) * control.shrink**2)
    assert after == pytest.approx(min(measured, target), abs=1e-9)


@pytest.mark.parametrize("target", [0.0, -1.0, math.nan, math.inf])
def test_a_target_that_is_none_is_refused(target: float) -> None:
    with pytest.raises(InputError, match="target drift"):
        DriftControl(target, 128)
