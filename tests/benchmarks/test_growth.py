"""The growth benchmark: lives repeat, bounds hold, held-out goals stay out, cells are resumed, figures add up."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from benchmarks import growth
from benchmarks._life import LADDER, Setting, composed, have, live, live_at_random, policy, solve_cold, told

from habilis.core import Fact, InputError
from habilis.worlds.craft import CraftWorld, item_class, rules
from habilis.worlds.runner import ConfinedRunner

ROOT = Path(__file__).parent.parent.parent
_LIFE = """
import json
from benchmarks.growth import run_cell
cell = run_cell("full", 1, iterations=8)
print(json.dumps({k: v for k, v in cell.items() if k not in ("seconds", "commit")}))
"""


def python(*arguments: str, hash_seed: str = "0") -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def cell(arm: str, seed: int, *items: str, **more: Any) -> growth.Cell:
    classes = len({item_class(i) for i in items})
    numbers = {"world_steps": 10, "search_steps": 10, "seconds": 1.0}
    return {"arm": arm, "seed": seed, "limit": 160, "items": list(items), "classes": classes, **numbers, **more}


def test_the_same_seed_is_the_same_life_whatever_the_hash_seed() -> None:
    first, second = (json.loads(python("-c", _LIFE, hash_seed=s)) for s in ("1", "2"))
    assert first == second
    assert first["iterations"] == 8
    assert first["items"]


def test_what_was_held_is_what_the_world_remembers(monkeypatch: pytest.MonkeyPatch) -> None:
    worlds: list[CraftWorld] = []

    class Watched(CraftWorld):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            worlds.append(self)

    monkeypatch.setattr("benchmarks._life.CraftWorld", Watched)
    life = live(Setting(), 0, 14)
    assert life.items == set(worlds[0].save()["held"])
    assert life.classes == len({item_class(i) for i in life.items}) > 2
    walk = live_at_random({}, 0, 400)
    assert walk.items == set(worlds[-1].save()["held"])
    assert 400 <= walk.world_steps < 500


def test_variants_count_once() -> None:
    life = live_at_random({}, 0, 0)
    life.items = {"oak_planks", "birch_planks", "red_wool", "lime_wool", "stick"}
    assert life.classes == 3


def test_held_out_goals_are_frozen_and_nothing_is_made_of_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    goals = growth.held_out()
    assert len(goals) == 12
    facts = growth.excluded()
    ingredients = {m for r in rules().recipes.values() for k in r.needs for m in rules().members(k)}
    for goal, _ in goals:
        (atom,) = goal.atoms
        assert atom.fact in facts
        assert atom.fact.args[0] not in ingredients
    changed = tmp_path / "growth_goals.json"
    changed.write_bytes(growth.GOALS.read_bytes().replace(b"ladder", b"stick"))
    monkeypatch.setattr(growth, "GOALS", changed)
    with pytest.raises(InputError, match="restore it"):
        growth.held_out()


def test_excluded_goals_are_not_proposed() -> None:
    def proposed(exclude: frozenset[Fact]) -> set[Fact]:
        found: set[Fact] = set()
        with composed(Setting(exclude=exclude), 0) as (loop, _):
            for _ in range(14):
                episode = asyncio.run(loop.step())
                assert episode is not None
                found |= {a.fact for a in episode.task.goal.atoms}
        return found

    wanted = frozenset(proposed(frozenset()))
    assert wanted
    assert not wanted & proposed(wanted)


def test_a_cold_goal_is_solved_with_knowledge_and_not_beyond_the_budget() -> None:
    contracts = list(told(CraftWorld(recipes="declared")))
    with ConfinedRunner() as runner:

        def solve(goal: str, steps: int, known: bool = True) -> Any:
            return solve_cold(
                have(goal), 3, contracts=contracts if known else (), skills={}, search_steps=steps, runner=runner
            )

        good = solve("wooden_pickaxe", 2_000)
        assert good.ok
        assert 0 < good.search_steps <= 2_000
        assert good.world_steps > 3
        starved = solve("wooden_pickaxe", 3)
        assert not starved.ok
        assert "search_steps" in starved.reason
        assert not solve("diamond_pickaxe", 50, known=False).ok


def test_the_policy_makes_each_class_once_and_its_tools_first() -> None:
    goals = [str(g.atoms[0].fact.args[0]) for g in policy()]
    assert goals[:5] == ["oak_log", "#planks", "stick", "crafting_table", "wooden_pickaxe"]
    rest = goals[len(LADDER) :]
    assert len({item_class(i) for i in rest}) == len(rest) > 250
    cheap, dear = rest.index("bowl"), rest.index("diamond_boots")
    assert cheap < dear


def test_figures_and_what_cannot_be_measured() -> None:
    assert growth.figures({}) == {}
    cells = {
        "full": [cell("full", 0, "stick", "iron_axe", "diamond"), cell("full", 1, "stick", "apple", "oak_log", "coal")],
        "random_unlocked": [cell("random_unlocked", 0, "stick"), cell("random_unlocked", 1, "stick", "coal")],
        "blind": [cell("blind", 0, "stick"), cell("blind", 1, "stone_pickaxe")],
    }
    found = growth.figures(cells)
    assert found["item_classes"].value == 3.5
    assert found["over_random_unlocked"].value == 2.5
    assert found["iron_rate"].value == found["diamond_rate"].value == found["blind_ladder"].value == 0.5
    assert "cold_success" not in found
    assert "shuffled_classes" not in found


def test_cold_figures() -> None:
    def row(goal: str, knowing: str, budget: int, ok: bool, steps: int) -> growth.Cell:
        return {"goal": goal, "knowing": knowing, "budget": budget, "ok": ok, "world_steps": steps}

    rows = []
    for budget in growth.BUDGETS:
        for knowing in growth.KNOWING:
            rows.append(row("a", knowing, budget, knowing == "both", 90))
            rows.append(
                row("b", knowing, budget, budget > 50 and knowing != "neither", 30 if knowing == "both" else 20)
            )
    found = growth.figures({"held_out": [cell("held_out", 0, "stick", cold=rows)]})
    assert found["cold_success"].value == 0.5
    assert found["cold_gain"].value == 0.5
    assert found["world_step_ratio"].value == 1.5  # only "b" is reached by both
    assert found["cold_contracts_300"].value == 0.5


def test_cells_are_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "cells.jsonl"
    first = growth.Cells(path, iterations=3)
    done = first.get("random", 5)
    assert {("full", 5), ("random", 5)} == set(first.done)
    assert done["world_steps"] >= first.done["full", 5]["world_steps"]
    with path.open("a") as file:
        file.write('{"arm": "full", "se')  # killed while writing
    again = growth.Cells(path, iterations=3)
    again.get("random", 6)
    monkeypatch.setattr(growth, "run_cell", None)  # a second run would fail
    resumed = growth.Cells(path, iterations=3)
    assert resumed.get("random", 5) == done
    assert set(resumed.done) == {("full", 5), ("random", 5), ("full", 6), ("random", 6)}
    assert growth.Cells(path, iterations=4).done == {}


def test_an_unknown_cell_is_refused() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.growth", "--cell", "best:1"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode != 0
    assert "write ARM:SEED" in done.stderr


def test_random_needs_to_know_how_long() -> None:
    with pytest.raises(InputError, match="run that cell first"):
        growth.run_cell("random", 0)


def test_a_life_ends_at_its_search_budget() -> None:
    life = live(Setting(search_steps=300), 0, 50)
    assert life.search_steps <= 300
    assert life.iterations < 50


def test_excluded_facts_hold_all_variants() -> None:
    facts = growth.excluded()
    assert Fact("count", ("ladder",)) in facts
    assert Fact("count", ("#planks",)) not in facts
