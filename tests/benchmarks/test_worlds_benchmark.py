"""Every world that stands in the benchmark of worlds is measured by it, in numbers of its own."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
from benchmarks import worlds
from benchmarks._harness import Figure, Options


def test_each_part_has_aims_seeds_and_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = worlds.parts()
    assert parts.keys() >= {"crafter", "grid", "gym", "shell"}
    assert {"babyai_success", "crafter_score", "gym_ratio_at_1000_per_s", "shell_success"} <= worlds.aims().keys()
    asked: dict[str, int] = {}

    def told(name: str) -> Any:
        def measure(options: Options) -> dict[str, Figure]:
            asked[name] = options.seeds
            return {f"{name}_figure": Figure.of([1.0])}

        return measure

    for name, part in parts.items():
        monkeypatch.setattr(part, "measure", told(name))
    assert worlds.measure(Options(quick=False, seeds=2)).keys() == {f"{name}_figure" for name in parts}
    assert asked == {name: 2 * part.SEEDS[0] for name, part in parts.items()}
    worlds.measure(Options(quick=True, seeds=1))
    assert asked == {name: part.SEEDS[1] for name, part in parts.items()}


def test_one_part_can_be_measured_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HABILIS_WORLDS", "gym")
    assert [type(part) for part in worlds.parts().values()] == [ModuleType]
    assert list(worlds.parts()) == ["gym"]
