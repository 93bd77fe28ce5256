"""The benchmarks' common form: the list, the table, the JSON record."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60)


def test_every_benchmark_is_listed_with_what_it_measures() -> None:
    said = python("-m", "benchmarks").stdout
    names = {p.stem for p in (ROOT / "benchmarks").glob("*.py") if not p.name.startswith("_")}
    listed = {line.partition(" ")[0]: line.partition(" ")[2].strip() for line in said.split("\n\n")[0].splitlines()}
    assert set(listed) == names >= {"growth", "overhead"}
    assert all(len(text) > 20 for text in listed.values())


def test_overhead_measures_and_writes_its_figures(tmp_path: Path) -> None:
    done = python("-m", "benchmarks.overhead", "--quick", "--seeds", "1", "--json", str(tmp_path / "out.json"))
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "out.json").read_text())
    assert set(result) == {"benchmark", "quick", "seeds", "machine", "commit", "figures"}
    assert (result["benchmark"], result["quick"], result["seeds"]) == ("overhead", True, 1)
    assert set(result["figures"]) >= {
        "live_steps_per_s",
        "fast_ratio",
        "warm_p50_ms",
        "warm_p95_ms",
        "batch_steps_per_s",
    }
    for figure in result["figures"].values():
        assert set(figure) == {"value", "low", "high", "unit"}
        assert 0 < figure["low"] <= figure["value"] <= figure["high"]
    assert result["figures"]["raw_steps_per_s"]["value"] > result["figures"]["live_steps_per_s"]["value"]


def test_seeds_must_be_positive() -> None:
    done = python("-m", "benchmarks.overhead", "--seeds", "0")
    assert done.returncode == 2
    assert "at least 1 seed" in done.stderr


def test_intervals_and_aims() -> None:
    code = (
        "from benchmarks._harness import Figure, met, table\n"
        "f = Figure.of([1.0, 2.0, 3.0, 4.0], 'ms'); r = Figure.rate(0, 20)\n"
        "assert f == Figure.of([1.0, 2.0, 3.0, 4.0], 'ms') and f.value == 2.5 and 1 <= f.low < 2.5 < f.high <= 4\n"
        "assert r.value == r.low == 0 and 0.1 < r.high < 0.2\n"
        "assert met(f, '>= 2.5') and met(f, '<= 2.5') and not met(f, '>= 2.6')\n"
        "said = table({'a': f}, {'a': '>= 3', 'b': '<= 1'})\n"
        "assert 'MISSED' in said and 'absent' in said\n"
        "try: Figure.of([])\n"
        "except ValueError: print('refused')\n"
    )
    done = python("-c", code)
    assert done.stdout == "refused\n", done.stderr


def test_the_record_does_not_depend_on_the_hash_seed() -> None:
    code = (
        "import sys; from habilis.core import Cost; from benchmarks._harness import Figure, table\n"
        "figures = {n: Figure.of([0.1, 0.5, 0.7, len(n) / 10], n) for n in ('ms', 'steps', 'skills', 'usd')}\n"
        "print(figures, table(figures, {n: '>= 0.2' for n in figures}), hash('ms'))"
    )
    said = [
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout.rpartition(" ")
        for seed in ("0", "1", "4242")
    ]
    assert len({hashed for _, _, hashed in said}) == 3  # the seeds did differ
    assert len({told for told, _, _ in said}) == 1
    assert "low=" in said[0][0]
