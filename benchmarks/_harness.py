"""What all benchmarks share: options, 95 % intervals, the table and the JSON record.

A benchmark is a function from `Options` to its figures, and the aims it is held to:

    def measure(options: Options) -> dict[str, Figure]: ...

    if __name__ == "__main__":
        main("overhead", measure, aims={"warm_p50_ms": "<= 5"}, seeds=5, quick_seeds=3)

A figure that could not be measured is left out of the result; the table then says that it is absent.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import random
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
_RESAMPLES = 2_000


@dataclass(frozen=True, slots=True)
class Figure:
    """A value with its 95 % interval. Of a single measurement all three are the same."""

    value: float
    low: float
    high: float
    unit: str = ""

    @classmethod
    def of(
        cls,
        samples: Sequence[float],
        unit: str = "",
        statistic: Callable[[Sequence[float]], float] = statistics.fmean,
    ) -> Figure:
        """The statistic over samples (one per seed or item) with a percentile bootstrap interval (Efron 1979)."""
        if not samples:
            raise ValueError("no samples; leave a figure out that could not be measured")
        value = float(statistic(samples))
        if len(samples) == 1:
            return cls(value, value, value, unit)
        draw = random.Random(0)
        again = sorted(statistic(draw.choices(samples, k=len(samples))) for _ in range(_RESAMPLES))
        return cls(value, float(again[int(0.025 * _RESAMPLES)]), float(again[int(0.975 * _RESAMPLES) - 1]), unit)

    @classmethod
    def rate(cls, successes: int, trials: int, unit: str = "") -> Figure:
        """A share of trials with its Wilson interval (Wilson 1927), which holds near 0 and 1 too."""
        if trials <= 0:
            raise ValueError("no trials; leave a figure out that could not be measured")
        z, share = 1.959964, successes / trials
        middle = (share + z * z / (2 * trials)) / (1 + z * z / trials)
        half = z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials)) / (1 + z * z / trials)
        return cls(share, max(0.0, middle - half), min(1.0, middle + half), unit)


@dataclass(frozen=True, slots=True)
class Options:
    """What the user asked for. ``data``: a folder of public data; ``cell``: one arm and seed, such as ``full:3``."""

    quick: bool
    seeds: int
    json: Path | None = None
    data: Path | None = None
    cell: str | None = None


def machine() -> dict[str, Any]:
    """The machine that the figures come from."""
    memory = 0
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        memory = round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30)
    return {
        "system": f"{platform.system()} {platform.release()}",
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        "memory_gib": memory,
        "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())


def commit() -> str:
    """The commit that was measured, with ``+`` if the working tree differs from it; empty outside a checkout."""
    git = ["git", "-C", str(ROOT)]
    try:
        name = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
        changed = subprocess.run([*git, "status", "--porcelain", "-uno"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return name + ("+" if changed.stdout.strip() else "")


def met(figure: Figure, aim: str) -> bool:
    """Whether a value meets an aim such as ``>= 0.9``."""
    relation, _, number = aim.partition(" ")
    if relation == ">=":
        return figure.value >= float(number)
    if relation == "<=":
        return figure.value <= float(number)
    raise ValueError(f"an aim is '>= NUMBER' or '<= NUMBER', not {aim!r}")


def record(name: str, options: Options, figures: Mapping[str, Figure]) -> dict[str, Any]:
    """The result as JSON data."""
    return {
        "benchmark": name,
        "quick": options.quick,
        "seeds": options.seeds,
        "machine": machine(),
        "commit": commit(),
        "figures": {key: asdict(figures[key]) for key in sorted(figures)},
    }


def table(figures: Mapping[str, Figure], aims: Mapping[str, str]) -> str:
    """The figures with their aims first, then what stands beside them."""
    rows = [("figure", "value", "95 % interval", "unit", "aim", "")]
    for key in [*aims, *(k for k in figures if k not in aims)]:
        aim = aims.get(key, "")
        if key not in figures:
            rows.append((key, "absent", "", "", aim, "not measured"))
            continue
        f = figures[key]
        verdict = "" if not aim else "met" if met(f, aim) else "MISSED"
        rows.append((key, _number(f.value), f"{_number(f.low)} to {_number(f.high)}", f.unit, aim, verdict))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows)


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.4g}"


def parse(name: str, seeds: int, quick_seeds: int, argv: Sequence[str] | None = None) -> Options:
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}")
    parser.add_argument("--quick", action="store_true", help="fewer seeds, for looking: under 5 minutes on two cores")
    parser.add_argument("--seeds", type=int, help=f"how many seeds (default {seeds}, quick {quick_seeds})")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")
    parser.add_argument("--data", type=Path, metavar="PATH", help="the folder of public data, where one is needed")
    parser.add_argument("--cell", metavar="ARM:SEED", help="run one cell and append its result")
    given = parser.parse_args(argv)
    count = given.seeds if given.seeds is not None else quick_seeds if given.quick else seeds
    if count < 1:
        parser.error(f"--seeds {count}: at least 1 seed is needed")
    return Options(given.quick, count, given.json, given.data, given.cell)


def main(
    name: str,
    measure: Callable[[Options], Mapping[str, Figure]],
    *,
    aims: Mapping[str, str],
    seeds: int = 5,
    quick_seeds: int = 2,
    argv: Sequence[str] | None = None,
) -> None:
    """Parse the options, measure, print the table, write the JSON."""
    options = parse(name, seeds, quick_seeds, argv)
    figures = measure(options)
    result = record(name, options, figures)
    about = result["machine"]
    seeds_said = f"{options.seeds} seeds{', quick' if options.quick else ''}"
    print(f"{name}: {seeds_said}, commit {result['commit'][:12] or 'unknown'}")
    print(f"{about['processor']}, {about['cores']} cores, load {about['load']}, Python {about['python']}")
    print(table(figures, aims))
    if options.json is not None:
        options.json.write_text(json.dumps(result, indent=1, allow_nan=False) + "\n", "utf-8")
        print(f"written to {options.json}", file=sys.stderr)
