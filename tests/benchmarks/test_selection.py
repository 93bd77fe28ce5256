"""The benchmark of selection: the solver's optimum is the optimum, the rivals keep the rules, picks are measured."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from benchmarks import _selection_scale as scale
from benchmarks import selection
from benchmarks._selection_pools import draw, optimum

from habilis.testing.selector import check_pick
from habilis.tools import exact_pick, value_of


@pytest.mark.parametrize("seed", range(6))
def test_the_solver_and_every_subset_agree(seed: int) -> None:
    pytest.importorskip("pulp", reason="pip install habilis[bench]")
    case = draw(seed, 12)
    best, proven = optimum(case, selection.THRIFT)
    assert proven
    assert value_of(exact_pick(selection.selector(case), case.pool, case.limit)) == pytest.approx(best, abs=1e-6)


@pytest.mark.parametrize("name", selection.SYSTEMS)
def test_every_system_keeps_the_rules(name: str) -> None:
    class Told:
        def pick(self, *_: object) -> selection.Selection:
            chosen = selection.SYSTEMS[name](case)
            cost = selection.Cost()
            for one in chosen.taken:
                cost = cost + one.cost
            choices = (selection.replace(c, blocked="") for c in chosen.choices)
            return selection.replace(chosen, choices=tuple(choices), cost=cost)

    for seed in range(5):
        case = draw(seed, 30)
        check_pick(Told(), case.pool, case.limit, max_items=case.max_items, max_context=case.max_context)


def test_pools_are_the_same_every_time_and_differ() -> None:
    assert draw(3, 20) == draw(3, 20)
    assert draw(3, 20) != draw(4, 20)
    limits = [sum(v is not None for v in vars_of(draw(seed, 10).limit)) for seed in range(30)]
    assert set(limits) == {1, 2, 3, 4, 5}


def vars_of(limit: selection.Budget) -> list[float | None]:
    return [getattr(limit, kind) for kind in selection.KINDS]


def test_picks_are_timed_out_of_what_was_put_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("faiss", reason="pip install habilis[faiss]")
    monkeypatch.setenv("HABILIS_CACHE", str(tmp_path / "cache"))  # hashed words: nothing is fetched
    scale.prepare(tmp_path, 300 + scale.MORE)
    found = scale.at_size(300, tmp_path, tmp_path / "index")
    assert found.pop("encoder") == "hash"
    assert set(found) == set(scale.UNITS)
    assert 0 < found["pick_p50_ms"] <= found["pick_p99_ms"]
    assert found["taken"] > 0
    json.dumps(found)
