"""Worlds that others wrote: what is learned in them, and what the protocol costs beside the bare environment.

Each world's part is a module ``benchmarks/_worlds_NAME.py`` with ``AIMS``, ``SEEDS`` (in full, quick) and
``measure(options)``; they are found by name. ``HABILIS_WORLDS=gym`` measures one part alone, several are separated by
commas. A part whose packages are absent is left out, and its figures are absent. What a seed is differs (a life, a
comparison), so each part has a number of its own; ``--seeds 2`` takes twice as many.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType

from benchmarks._harness import Figure, Options, main


def parts() -> dict[str, ModuleType]:
    """The parts that can be measured here, by name."""
    names = sorted(path.stem for path in Path(__file__).parent.glob("_worlds_*.py"))
    wanted = {name for name in os.environ.get("HABILIS_WORLDS", "").split(",") if name}
    found: dict[str, ModuleType] = {}
    for name in names:
        short = name.removeprefix("_worlds_")
        if wanted and short not in wanted:
            continue
        try:
            part = importlib.import_module(f"benchmarks.{name}")
        except ImportError as error:
            print(f"{short} is left out: {error}", file=sys.stderr)
            continue
        found[short] = part
    return found


def aims() -> Mapping[str, str]:
    return {name: aim for part in parts().values() for name, aim in part.AIMS.items()}


def measure(options: Options) -> dict[str, Figure]:
    found: dict[str, Figure] = {}
    for part in parts().values():
        found |= part.measure(replace(options, seeds=options.seeds * part.SEEDS[options.quick]))
    return found


if __name__ == "__main__":
    main("worlds", measure, aims=aims(), seeds=1, quick_seeds=1)
