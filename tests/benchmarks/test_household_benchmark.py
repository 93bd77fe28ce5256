"""The household benchmark counts what agrees, names what does not, and says so where the oracle is missing."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks import household
from benchmarks._harness import Options

from habilis.worlds.household.generator import build


def test_agreement_is_counted_and_divergence_has_a_cause() -> None:
    plan = build(0)
    fridge, agent = (next(t for t in plan.things if t.name == n) for n in ("fridge_1", "agent"))
    walk, pat = f"[WALK] <fridge> ({fridge.id})", f"[TOUCH] <character> ({agent.id})"
    told = {
        "steps": [
            {"line": None, "ok": None, "probes": [[f"[OPEN] <fridge> ({fridge.id})", False], [pat, "KeyError"]]},
            {"line": walk, "ok": True, "probes": [[pat, True]]},
            {"line": f"[GRAB] <fridge> ({fridge.id})", "ok": True, "probes": []},
        ]
    }
    comparison = household.Comparison()
    comparison.program(plan, told)
    assert comparison.rate("step").value == 0.5
    assert comparison.rate("probe").value == 0.5
    assert comparison.errors == {"KeyError": 1}
    assert ("probe", "the character as an object", "TOUCH") in comparison.causes
    assert comparison.balanced() == pytest.approx((1 / 3 + 1) / 2)


def test_without_the_oracle_the_comparison_is_absent(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figures = household.measure(Options(quick=True, seeds=1, data=tmp_path))
    assert "agreement" not in figures
    assert figures["world_actions_per_s"].value > 0
    assert "pip install virtualhome-eval" in capsys.readouterr().err
