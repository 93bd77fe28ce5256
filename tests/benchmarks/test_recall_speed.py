"""The speed half of `recall`: every system finds what is nearest, and the figures are those that were measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from benchmarks import _recall_speed as speed
from benchmarks._harness import Options
from benchmarks._recall_systems import SYSTEMS, installed


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HABILIS_CACHE", str(folder / "cache"))  # hashed words: nothing is fetched
        speed.prepare(folder, (300, 600), 100, 12)
    return folder


def test_the_true_neighbours_are_true(data: Path) -> None:
    rows, queries = np.load(data / "rows.npy"), np.load(data / "queries.npy")
    assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-4)
    for size in (300, 600):
        exact = np.argsort(-(queries @ rows[:size].T), axis=1)[:, :10]
        found = np.load(data / f"nearest-{size}.npy")
        assert [set(a) for a in exact.tolist()] == [set(b) for b in found.tolist()]


@pytest.mark.parametrize("name", SYSTEMS)
def test_every_system_is_filled_and_asked(
    name: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not installed(name):
        pytest.skip(f"{name} is not installed here (pip install habilis[bench])")
    monkeypatch.setenv("HABILIS_CACHE", str(tmp_path / "cache"))
    place = tmp_path / "place"
    place.mkdir()
    filled = speed.fill(name, 300, data, place)
    asked = speed.ask(name, 300, data, place)
    assert filled["adds_per_s"] > 0
    assert (filled["disk_bytes"] > 0) == SYSTEMS[name].keeps
    assert asked["recall10"] >= 0.95
    assert 0 < asked["p50_ms"] <= asked["p99_ms"]
    assert ("embedding_p50_ms" in asked) == (name in speed.OURS)
    assert set(filled | asked) <= set(speed.UNITS)


def test_the_library_is_searched(data: Path, tmp_path: Path) -> None:
    found = speed.library(60, data, tmp_path)
    assert 0 < found["p50_ms"] <= found["p99_ms"]
    assert set(found) <= set(speed.UNITS)


def test_the_fastest_that_finds_enough_is_the_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    took = {"exact": 0.1, "faiss": 1.0, "chroma": 2.0, "server": 3.0}

    def apart(step: str, name: str, size: int, data: Path, place: Path) -> dict[str, float]:
        recall = 0.9 if name == "faiss" and size == 1_000_000 else 0.99
        return {} if step == "fill" else {"p50_ms": took.get(name, 0.01), "recall10": recall}

    monkeypatch.setattr(speed, "_apart", apart)
    monkeypatch.setattr(speed, "prepare", lambda *told: "hash")
    monkeypatch.setattr(speed, "installed", lambda name: True)
    figures = speed.measure_speed(Options(quick=False, seeds=1))
    assert (figures["p50_ms_100k"].value, "faiss" in figures["p50_ms_100k"].unit) == (1.0, True)
    assert "p50_ms_1m" not in figures  # what finds too little is no answer
    assert figures["numpy_1m_recall10"].value == 0.99
