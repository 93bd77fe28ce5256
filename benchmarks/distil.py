r"""What distilling teaches a small model and what it forgets: seven ways to hold it, at the same number of steps.

    python -m benchmarks.distil --data DATA                 every cell: hours, see docs/benchmarks.md
    python -m benchmarks.distil --quick --data DATA         a few minutes: none and ewc, a dozen steps
    python -m benchmarks.distil --json out.json             resumes from the cells in out.jsonl, and adds to them
    python -m benchmarks.distil --cell ewc:1 --json out.json           one cell
    python -m benchmarks.distil --corpus a.jsonl [--corpus b.jsonl]    corpora: habilis corpus build --out a.jsonl
    python -m benchmarks.distil --steps 100 --chain 100 --questions 500 --drift 0.03   other sizes
    python -m benchmarks.distil --table out.jsonl           the cells there are, as tables in Markdown
    python -m benchmarks.distil --table out.jsonl [--table more.jsonl] --plot out.svg           as a picture

The cells that stand in docs/trainer.md are kept in ``benchmarks/measured``, with the corpus that they are of:

    python -m benchmarks.distil --corpus benchmarks/measured/distil-craft-corpus.jsonl.gz --steps 100 --questions 300 \
        --drift 0.03 --data DATA --json benchmarks/measured/distil-craft.json [--cell ewc:0]

Without --corpus the examples come from a life of 160 iterations in the craft world, once, kept beside the cells.
SmolLM2-135M, LoRA r = 8, steps of 8 examples, target drift 1 % in every arm that has a penalty. The cells:

``base``          the base model on the test questions; beside it a constant answer, the nearest training question and,
                in a world of ours, the solver that knows the rules (its mean is over the families it has an answer for)
``none`` … ``ewc_replay``   an arm: accuracy by family, calibration, perplexity on held-out English and on WikiText-2
                (``DATA/wikitext2``; λ was calibrated on neither), CPU seconds of every step
``curve-500`` … ``curve-4000``   KL on the first so many examples, each once: what more teach
``target-1%``   EWC at a target drift: what drift was obtained
``chain-ARM``   successive distillations (the corpora in turn; of one corpus its families in three groups), each from
                where the last ended, all of them adopted: the forgetting matrix, of half as many questions a stage
``throughput``  the training loop beside transformers' own Trainer on the same batches: steps per CPU second, the probes
                of the drift left out; ``throughput_ratio`` without a penalty, ``throughput_ratio_ewc`` with EWC's

none and ewc run with all seeds, the other cells with the first; a point of the curve that the corpus is too small for
is left out. In a first distillation online_ewc *is* ewc, and has no cell of its own there; it differs in the chain.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks._distil_cells import (
    ARMS,
    CHAINS,
    CURVE,
    TARGETS,
    Scale,
    corpus_key,
    family_gain,
    paired_overhead,
    run_cell,
)
from benchmarks._distil_corpus import lived, mean_over_families
from benchmarks._distil_plot import plot
from benchmarks._distil_tables import tables
from benchmarks._harness import Figure, Options, main, parse
from benchmarks._kept import keep, kept
from habilis.core import InputError
from habilis.trainer import Corpus, load_corpus, save_corpus

AIMS = {
    "gain_over_base": ">= 0.2",
    "accuracy_gap": "<= 0.01",
    "perplexity_rise": "<= 0.01",
    "step_overhead": "<= 0.1",
    "throughput_ratio": ">= 0.9",
}
_SINGLE = ("l2", "ewc", "kl", "replay")
_ALL_SEEDS = ("none", "ewc")
_TARGET_CELLS = tuple(f"target-{100 * t:g}%" for t in TARGETS)
_CURVE_CELLS = {f"curve-{n}": n for n in CURVE}
CELLS = (
    "base",
    *(a for a in ARMS if a != "online_ewc"),
    *_CURVE_CELLS,
    *_TARGET_CELLS,
    *(f"chain-{a}" for a in CHAINS),
    "throughput",
)
QUICK_CELLS = ("base", "none", "ewc")
QUICK = Scale(steps=12, questions=48, chain=6, probe=12, text=16 * 1024)
_ITERATIONS, _QUICK_ITERATIONS = 160, 60

Cell = Mapping[str, Any]


class Cells:
    """The results of cells, one JSON object a line; a cell that is there, of the same scale and corpora, is not run
    again."""

    def __init__(self, path: Path, scale: Scale, corpora: Sequence[Corpus], data: Path | None) -> None:
        self.path, self.scale, self.corpora, self.data = path, scale, corpora, data
        self.corpus = corpus_key(corpora)
        self.done: dict[tuple[str, int], Cell] = {}
        for cell in kept(path):
            if cell["scale"] == scale.key and cell.get("corpus") == self.corpus:
                self.done[cell["arm"], cell["seed"]] = cell

    def get(self, arm: str, seed: int) -> Cell:
        """The cell, run now if it is not there yet."""
        if (arm, seed) not in self.done:
            cell = run_cell(arm, seed, self.scale, self.corpora, self.data)
            keep(self.path, cell)
            self.done[arm, seed] = cell
            told = f"accuracy {cell['accuracy']:.3f}" if "accuracy" in cell else ""
            print(f"{arm}:{seed}  {told}  {cell['seconds']} s", file=sys.stderr, flush=True)
        return self.done[arm, seed]


def figures(cells: Mapping[str, Sequence[Cell]]) -> dict[str, Figure]:
    """All figures from the cells of each arm. What has no cells is left out."""
    found: dict[str, Figure] = {}
    base = cells["base"][0] if cells.get("base") else None
    for arm in ("base", *ARMS):
        if cells.get(arm):
            found |= _arm(arm, cells[arm], base)
    if base is not None:
        for name in ("constant", "nearest"):
            found[f"accuracy_{name}"] = Figure.of([sum(base[name].values()) / len(base["families"])])
        if "symbolic" in base:
            found["accuracy_symbolic"] = Figure.of([mean_over_families(base["symbolic"])])
            found["families_symbolic"] = Figure.of([float(len(base["symbolic"]))])
        found["questions"] = Figure.of([float(base["questions"])])
        found["examples"] = Figure.of([float(base["examples"])])
    if cells.get("ewc") and base is not None:
        for name, other in (("base", base["families"]), ("constant", base["constant"]), ("nearest", base["nearest"])):
            found[f"gain_over_{name}"] = Figure.of([family_gain(c, other) for c in cells["ewc"]])
        rises = [c["wikitext"] / base["wikitext"] - 1 for c in cells["ewc"] if "wikitext" in c and "wikitext" in base]
        if rises:
            found["perplexity_rise"] = Figure.of(rises, "relative")
    rivals = [a for a in _SINGLE if cells.get(a)]
    if cells.get("ewc") and len(rivals) > 1:
        # The first seed, which every arm has.
        best = max(cells[a][0]["accuracy"] for a in rivals)
        found["accuracy_gap"] = Figure.of([best - cells["ewc"][0]["accuracy"]])
    if cells.get("none"):
        for arm in ARMS:
            pairs = [paired_overhead(a, b) for a, b in zip(cells.get(arm, ()), cells["none"], strict=False)]
            if pairs and arm != "none":
                name = "step_overhead" if arm == "ewc" else f"step_overhead_{arm}"
                found[name] = Figure.of(pairs, "relative")
    for name in _TARGET_CELLS:
        if cells.get(name):
            drifts = [c["training"]["drift"]["probed"] for c in cells[name]]
            target = float(name.removeprefix("target-").removesuffix("%")) / 100
            found[f"drift_over_target_{100 * target:g}%"] = Figure.of([d / target for d in drifts], "of the target")
    for name, size in _CURVE_CELLS.items():
        if cells.get(name):
            found[f"curve_{size}"] = Figure.of([c["accuracy"] for c in cells[name]])
            for family in cells[name][0]["families"]:
                found[f"curve_{size}_{family}"] = Figure.of([c["families"][family] for c in cells[name]])
    spent = [c["cpu_segments"] for c in cells.get("throughput", ())]
    for name, side in (("throughput_ratio", "none"), ("throughput_ratio_ewc", "ewc")):
        ratios = [plain / ours for one in spent for plain, ours in zip(one["plain"], one[side], strict=True)]
        if ratios:
            found[name] = Figure.of(ratios, "of transformers' loop")
    for arm in CHAINS:
        if cells.get(f"chain-{arm}"):
            chain = [c["forgetting"] for c in cells[f"chain-{arm}"]]
            found[f"average_forgetting_{arm}"] = Figure.of([c["average_forgetting"] for c in chain])
            last = [mean_over_families(c["rows"][-1]["accuracy"]) for c in chain]
            found[f"accuracy_after_chain_{arm}"] = Figure.of(last)
    return found


def _arm(arm: str, cells: Sequence[Cell], base: Cell | None) -> dict[str, Figure]:
    found = {f"accuracy_{arm}": Figure.of([c["accuracy"] for c in cells])}
    if all(c["calibration_error"] is not None for c in cells):
        found[f"calibration_error_{arm}"] = Figure.of([c["calibration_error"] for c in cells])
    for key in ("perplexity", "wikitext"):
        if all(key in c for c in cells):
            found[f"{key}_{arm}"] = Figure.of([c[key] for c in cells])
    if arm != "base":
        each = [sum(c["cpu_each_step"]) / len(c["cpu_each_step"]) for c in cells if c["cpu_each_step"]]
        found[f"cpu_per_step_{arm}"] = Figure.of(each, "CPU s")
    elif base is not None:
        found |= {f"base_{family}": Figure.of([share]) for family, share in base["families"].items()}
    if arm == "ewc":
        for family in cells[0]["families"]:
            found[f"ewc_{family}"] = Figure.of([c["families"][family] for c in cells])
    return found


def _corpora(given: argparse.Namespace, options: Options, folder: Path) -> list[Corpus]:
    if given.corpus:
        return [_corpus(path, folder) for path in given.corpus]
    beside = folder if options.json is None else options.json.parent
    kept = beside / f"distil-life-{'quick' if options.quick else 'full'}.jsonl"
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        save_corpus(lived(_QUICK_ITERATIONS if options.quick else _ITERATIONS), kept)
    return [load_corpus(kept)]


def _corpus(path: Path, folder: Path) -> Corpus:
    if path.suffix != ".gz":
        return load_corpus(path)
    plain = folder / path.stem
    try:
        plain.write_bytes(gzip.decompress(path.read_bytes()))
    except (OSError, EOFError) as error:
        raise InputError(f"cannot read {path}: {error}; name a corpus, plain or packed by gzip (--corpus)") from error
    return load_corpus(plain)


def measure(options: Options, given: argparse.Namespace) -> dict[str, Figure]:
    with tempfile.TemporaryDirectory(prefix="habilis-distil-cells-") as folder:
        cells = _cells(options, given, Path(folder))
        most = len(cells.corpora[0].train)
        asked = [a for a in (QUICK_CELLS if options.quick else CELLS) if _CURVE_CELLS.get(a, 0) <= most]
        found: dict[str, list[Cell]] = {arm: [] for arm in asked}
        for seed in range(options.seeds):  # seed by seed, so that what an interrupted run leaves can be compared
            for arm, done in found.items():
                if seed == 0 or arm in _ALL_SEEDS:
                    done.append(cells.get(arm, seed))
    return figures(found)


def _cells(options: Options, given: argparse.Namespace, folder: Path) -> Cells:
    path = options.json.with_suffix(".jsonl") if options.json is not None else folder / "distil.jsonl"
    return Cells(path, _scale(options, given), _corpora(given, options, folder), options.data)


def _scale(options: Options, given: argparse.Namespace) -> Scale:
    asked = {name: getattr(given, name) for name in ("steps", "chain", "questions", "drift")}
    return replace(QUICK if options.quick else Scale(), **{name: n for name, n in asked.items() if n is not None})


def _one_cell(options: Options, given: argparse.Namespace) -> None:
    arm, _, seed = (options.cell or "").partition(":")
    if arm not in CELLS or not seed.isdecimal():
        raise SystemExit(f"--cell {options.cell}: write ARM:SEED with ARM one of {', '.join(CELLS)}")
    with tempfile.TemporaryDirectory(prefix="habilis-distil-cells-") as folder:
        print(json.dumps(_cells(options, given, Path(folder)).get(arm, int(seed))))


def _own(argv: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """The options that only this benchmark has, and the rest."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--corpus", type=Path, action="append")
    parser.add_argument("--table", type=Path, action="append")
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--chain", type=int)
    parser.add_argument("--questions", type=int)
    parser.add_argument("--drift", type=float)
    return parser.parse_known_args(argv)


if __name__ == "__main__":
    own, rest = _own(sys.argv[1:])
    asked = parse("distil", 3, 1, rest)
    try:
        if own.plot is not None:
            plot(own.table or [], own.plot)
        elif own.table:
            print("\n\n".join(tables(path) for path in own.table))
        elif asked.cell is not None:
            _one_cell(asked, own)
        else:
            main("distil", lambda options: measure(options, own), aims=AIMS, seeds=3, quick_seeds=1, argv=rest)
    except InputError as error:  # a corpus that cannot be read
        raise SystemExit(str(error)) from error
