"""What a library is like after a life, what it is worth as it grows, and what it does about skills that are bad.

    python -m benchmarks.library                            5 seeds of every arm: about 1.5 hours, one process
    python -m benchmarks.library --quick                    one seed of the arms that the aims need: about 5 minutes
    python -m benchmarks.library --json out.json            resumes from the cells in out.jsonl, and adds to them
    python -m benchmarks.library --cell plain:3 --json out.json    one cell

The world is ``craft``; a life is 160 proposals of the curriculum, from nothing, without a language model. The arms:

``plain``       a life as it is. Its active skills: how many call another one; how many are near-duplicates (the same up
                to names, or sharing 60 % of their shingles of five tokens), with constants blinded beside it; how many
                have an amount fixed in them. Each case of a verified skill on 50 seeds that nobody saw (10 in a quick
                run), amounts varied as in admission; and each program of the life that did what was asked once, by the
                end state, on the same number of seeds: that is what is admitted where one success is enough.
                Then 80 iterations in a shuffled world in the same home, and from nothing.
``held_out``    a life that is never proposed the goals of ``growth_goals.json``; then these from nothing in a fresh
                world with all contracts of the life and the first 10, 25, 50 of its skills (closed over what they
                call; those whose names the life knew first), the largest library of its first skills whose
                near-duplicates are at most 10 %, and that one with generated variants up to 500 and 5,000 (every other
                one promises what a genuine skill does at a higher cost, the others what no world has).
                Then pollution: for each skill a made-up one with the evidence of the genuine one, past admission into
                the journal as active, a tenth cheaper by what it says, so that search prefers it. A third each is
                stale (a guard is missing, as if the rule had asked for less), broken (its action names what no world
                has), a near-duplicate (conditions turned round; also where there is nothing to spoil). Held-out
                success at once (``unhandled``); and after the life went on for 20 tasks as it does by itself,
                verifying, lifting anew and quarantining, against 20 more tasks of the same life without any of that
                (``pollution_drop``).
``no_merge``, ``no_relift``, ``no_retire``    lives as ``held_out`` without that part of the library

Beside them what recall's abstention is worth, on the frozen requests of ``benchmarks.recall`` (embedder: hash, which is
always there).
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks._harness import Figure, Options, main, parse
from benchmarks._kept import keep, kept
from benchmarks._library_cells import ABLATIONS, CROWDS, FAILS_ON, Scale, run_cell
from benchmarks._library_parts import KINDS
from benchmarks._library_recall import recall_figures

AIMS = {
    "composing_share": ">= 0.6",
    "near_duplicate_share": "<= 0.1",
    "baked_counts": "<= 0",
    "success_slope": ">= 0.1",
    "pollution_drop": "<= 0.03",
    "false_admissions": "<= 0.02",
    "shuffled_transfer": ">= 0",
}
QUICK_ARMS = ("plain", "held_out")
ARMS = (*QUICK_ARMS, *ABLATIONS)
QUICK = Scale(unseen=10, crowds=CROWDS[:1])  # five thousand variants take longer than all the rest

Cell = Mapping[str, Any]


class Cells:
    """The results of cells, one JSON object a line; a cell that is there is not run again."""

    def __init__(self, path: Path, scale: Scale) -> None:
        self.path, self.scale = path, scale
        self.done: dict[tuple[str, int], Cell] = {}
        for cell in kept(path):
            if cell["limit"] == scale.iterations and cell["unseen"] == scale.unseen:
                self.done[cell["arm"], cell["seed"]] = cell

    def get(self, arm: str, seed: int) -> Cell:
        """The cell, run now if it is not there yet."""
        if (arm, seed) not in self.done:
            cell = run_cell(arm, seed, self.scale)
            keep(self.path, cell)
            self.done[arm, seed] = cell
            print(f"{arm}:{seed}  {cell['skills']} skills  {cell['seconds']} s", file=sys.stderr, flush=True)
        return self.done[arm, seed]


def figures(cells: Mapping[str, Sequence[Cell]]) -> dict[str, Figure]:
    """All figures from the cells of each arm. What has no cells is left out."""
    found: dict[str, Figure] = {}
    if cells.get("plain"):
        found |= _structure(cells["plain"], "") | _admission(cells["plain"]) | _transfer(cells["plain"])
    if cells.get("held_out"):
        found |= _slope(cells["held_out"]) | _pollution(cells["held_out"])
    for arm in ("held_out", *ABLATIONS):
        if cells.get(arm):
            found |= _ablation(cells[arm], arm)
    return found


def _mean(cells: Sequence[Cell], key: str, unit: str = "") -> Figure:
    return Figure.of([float(c[key]) for c in cells], unit)


def _structure(cells: Sequence[Cell], prefix: str) -> dict[str, Figure]:
    found = {
        f"{prefix}composing_share": _mean(cells, "composing", "of skills"),
        f"{prefix}near_duplicate_share": _mean(cells, "near", "of skills"),
        f"{prefix}near_duplicate_share_blinded": _mean(cells, "near_blind", "of skills"),
        f"{prefix}baked_counts": Figure.of([float(len(c["baked"])) for c in cells], "skills"),
    }
    for key in ("skills", "cases", "superseded", "retired", "quarantined"):
        found[f"{prefix}{key}"] = _mean(cells, key, "per life")
    return found


def _admission(cells: Sequence[Cell]) -> dict[str, Figure]:
    """Shares of all lives' cases together."""
    found = {}
    for key, name, unit in (
        ("proven", "false_admissions", "of cases"),
        ("once", "false_admissions_after_one_success", "of drafts"),
    ):
        tried = sum(c[key]["cases"] for c in cells)
        bad = sum(share >= FAILS_ON for c in cells for share, _ in c[key]["failing"].values())
        if tried:
            found[name] = Figure.rate(bad, tried, unit)
            found[f"{name}_tried"] = Figure.of([float(tried)], unit.removeprefix("of "))
    return found


def _transfer(cells: Sequence[Cell]) -> dict[str, Figure]:
    pairs = [(c["transfer"]["old"]["classes"], c["transfer"]["new"]["classes"]) for c in cells]
    found = {
        "classes_shuffled_old_home": Figure.of([float(a) for a, _ in pairs], "classes"),
        "classes_shuffled_from_nothing": Figure.of([float(b) for _, b in pairs], "classes"),
        "carried_over": Figure.of([float(c["transfer"]["carried"]) for c in cells], "skills"),
    }
    ratios = [a / b - 1 for a, b in pairs if b]
    return found | ({"shuffled_transfer": Figure.of(ratios, "relative")} if ratios else {})


def _slope(cells: Sequence[Cell]) -> dict[str, Figure]:
    def row(cell: Cell, label: str, budget: int) -> Cell:
        return next(r for r in cell["slope"] if r["label"] == label and r["budget"] == budget)

    found = {"largest_library": Figure.of([float(row(c, "largest", 50)["skills"]) for c in cells], "skills")}
    for budget, name in ((50, "success_slope"), (20, "success_slope_20")):
        gains = [row(c, "largest", budget)["success"] - row(c, "10", budget)["success"] for c in cells]
        found[name] = Figure.of(gains, "of goals")
        for label in dict.fromkeys(r["label"] for r in cells[0]["slope"]):
            rows = [row(c, label, budget) for c in cells]
            found[f"success_{budget}_{label}"] = Figure.of([r["success"] for r in rows], "of goals")
            if budget == 50:
                found[f"skills_{label}"] = Figure.of([float(r["skills"]) for r in rows], "skills")
                found[f"seconds_{label}"] = Figure.of([r["seconds"] for r in rows], "s for all goals")
    return found


def _pollution(cells: Sequence[Cell]) -> dict[str, Figure]:
    all_of = [c["pollution"] for c in cells]
    found = {
        "pollution_drop": Figure.of([p["clean"] - p["handled"] for p in all_of], "of goals"),
        "pollution_drop_unhandled": Figure.of([p["before"] - p["unhandled"] for p in all_of], "of goals"),
        "pollution_made_up": Figure.of([float(p["made_up"]) for p in all_of], "skills"),
    }
    for name in ("unhandled", "handled"):
        ratios = [p[f"{name}_steps"] for p in all_of if p[f"{name}_steps"] is not None]
        if ratios:
            found[f"pollution_world_step_ratio_{name}"] = Figure.of(ratios)
    for kind in KINDS:
        left = [p["statuses"].get(f"{kind} active", 0) for p in all_of]
        whole = [sum(n for s, n in p["statuses"].items() if s.startswith(f"{kind} ")) for p in all_of]
        if all(whole):
            shares = [a / b for a, b in zip(left, whole, strict=True)]
            found[f"pollution_{kind}_still_active"] = Figure.of(shares, "of them")
    return found


def _ablation(cells: Sequence[Cell], arm: str) -> dict[str, Figure]:
    found = {
        f"{arm}_skills": _mean(cells, "skills", "per life"),
        f"{arm}_composing_share": _mean(cells, "composing", "of skills"),
        f"{arm}_near_duplicate_share": _mean(cells, "near", "of skills"),
        f"{arm}_cold_success": _mean(cells, "cold", "of goals"),
    }
    ratios = [c["ratio"] for c in cells if c["ratio"] is not None]
    return found | ({f"{arm}_world_step_ratio": Figure.of(ratios)} if ratios else {})


def scale(options: Options) -> Scale:
    return QUICK if options.quick else Scale()


def measure(options: Options) -> dict[str, Figure]:
    with tempfile.TemporaryDirectory(prefix="habilis-library-cells-") as folder:
        cells = Cells(_results(options, Path(folder)), scale(options))
        found: dict[str, list[Cell]] = {arm: [] for arm in (QUICK_ARMS if options.quick else ARMS)}
        for seed in range(options.seeds):  # seed by seed, so that what an interrupted run leaves can be compared
            for arm, done in found.items():
                done.append(cells.get(arm, seed))
    return figures(found) | recall_figures()


def _results(options: Options, folder: Path) -> Path:
    return options.json.with_suffix(".jsonl") if options.json is not None else folder / "library.jsonl"


def _one_cell(options: Options) -> None:
    arm, _, seed = (options.cell or "").partition(":")
    if arm not in ARMS or not seed.isdecimal():
        raise SystemExit(f"--cell {options.cell}: write ARM:SEED with ARM one of {', '.join(ARMS)}")
    with tempfile.TemporaryDirectory(prefix="habilis-library-cells-") as folder:
        print(json.dumps(Cells(_results(options, Path(folder)), scale(options)).get(arm, int(seed))))


if __name__ == "__main__":
    given = parse("library", 5, 1)
    if given.cell is not None:
        _one_cell(given)
    else:
        main("library", measure, aims=AIMS, seeds=5, quick_seeds=1)
