"""The corpora of the distillation benchmarks: made once, read again, cut to a size."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks._corpus_cells import baselines, household_corpus


def test_a_corpus_is_made_once_and_cut_to_a_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HABILIS_CACHE", str(tmp_path / "cache"))
    made, took = household_corpus(1, tmp_path, random=25, goals=10)
    assert set(took) == {"random", "goals", "corpus"}
    again, nothing = household_corpus(1, tmp_path)
    assert nothing == {}
    assert again.fingerprint == made.fingerprint
    few = again.limited(40, 30)
    assert (len(few.train), len(few.test)) == (40, 30)
    assert few.fingerprint != made.fingerprint
    assert len({e.family for e in few.train}) >= 8  # each has its share
    table = baselines(again)
    assert sum(row["train"] for row in table.values()) == len(again.train)
    for row in table.values():
        assert all(0 <= row[name] <= 1 for name in ("constant", "nearest", "symbolic") if name in row)
        assert ("constant" in row) == (row["test"] > 0 and row["train"] > 0)
