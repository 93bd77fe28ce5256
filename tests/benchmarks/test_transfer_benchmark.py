"""The benchmark of transfer: what its pairs are, and how cells become figures."""

from __future__ import annotations

from typing import Any

from benchmarks.transfer import ARMS, PAIRS, TwinCraft, figures

from habilis.memory.interfaces import interface_of
from habilis.testing.worlds import check_world
from habilis.worlds.craft import CraftWorld


def _cell(seed: int, **solved: int) -> dict[str, Any]:
    arm = {"world_steps": 100 + seed, "search_steps": 7, "taken": ["a"], "refused": [], "goals": [{}] * 4}
    return {"pair": "twin", "seed": seed, **{name: {**arm, "solved": solved.get(name, 1)} for name in ARMS}}


def test_figures_are_means_over_seeds_by_arm() -> None:
    found = figures([_cell(0, lived=4), _cell(2, lived=2)])
    assert found["twin_solved_lived"].value == 0.75
    assert found["twin_solved_nothing"].value == 0.25
    assert found["twin_world_steps_lived"].value == 101
    assert found["twin_taken"].value == 1
    assert not any(name.startswith("shuffled") for name in found)


def test_the_twin_is_another_world_with_the_same_interface() -> None:
    one, twin = CraftWorld().spec, PAIRS["twin"].then(0).spec
    assert (twin.name, twin.fingerprint) != (one.name, one.fingerprint)
    assert interface_of(twin) == interface_of(one)
    check_world(TwinCraft)
