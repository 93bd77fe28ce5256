"""The cells of the distil benchmark as a picture: what was learned beside what was lost, the learning curve, and what
successive distillations leave of the first. A part that has no cells is left out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks._distil_cells import ARMS, CHAINS
from benchmarks._distil_corpus import mean_over_families
from benchmarks._kept import kept

Cell = Mapping[str, Any]
Cells = Mapping[str, Sequence[Cell]]
_COLOURS = {arm: f"C{i}" for i, arm in enumerate(dict.fromkeys((*ARMS, *CHAINS)))}


def plot(paths: Sequence[Path], out: Path) -> None:
    """Draws the cells of all files into ``out`` (SVG, PNG or PDF by its ending).

    Raises `SystemExit` where matplotlib is not there, or there is nothing to draw.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise SystemExit("drawing takes matplotlib: pip install 'habilis[bench]'") from error
    cells: dict[str, list[Cell]] = defaultdict(list)
    for path in paths:
        for cell in kept(path) if path.exists() else ():
            if "arm" in cell:
                cells[cell["arm"]].append(cell)
    parts = [draw for draw, there in _PARTS if there(cells)]
    if not parts:
        raise SystemExit(
            f"nothing to draw in {', '.join(map(str, paths))}; name cells that were kept (--table out.jsonl)"
        )
    figure = Figure(figsize=(4.6 * len(parts), 3.9), layout="constrained")
    for axes, draw in zip(figure.subplots(1, len(parts), squeeze=False)[0], parts, strict=True):
        draw(axes, cells)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(out, metadata={"Date": None} if out.suffix == ".svg" else None)


def _learned_and_lost(axes: Any, cells: Cells) -> None:
    (base,) = cells["base"][:1]
    for arm in ARMS:
        found = cells.get(arm, ())
        lost = [100 * (cell["perplexity"] / base["perplexity"] - 1) for cell in found]
        axes.plot(lost, [cell["accuracy"] for cell in found], "o", color=_COLOURS[arm], label=arm if found else None)
    axes.plot([0], [base["accuracy"]], "kx", label="base model")
    axes.set(xlabel="rise of perplexity on held-out English, %", ylabel="accuracy, mean of the families")
    axes.set_xscale("symlog", linthresh=1)
    axes.set_xticks([-1, 0, 1, 10], ["-1", "0", "1", "10"])
    axes.legend(frameon=False, fontsize="small")
    axes.set_title("Learned, and lost", fontsize="medium")


def _curve(axes: Any, cells: Cells) -> None:
    found = sorted((int(arm.removeprefix("curve-")), some[0]) for arm, some in cells.items() if _is_point(arm))
    sizes = [size for size, _ in found]
    for family in sorted({f for _, cell in found for f in cell["families"]}):
        axes.plot(sizes, [cell["families"].get(family) for _, cell in found], "-", lw=1, label=family)
    axes.plot(sizes, [cell["accuracy"] for _, cell in found], "k-o", lw=2, label="mean")
    axes.set(xlabel="training examples, each once", ylabel="accuracy", xticks=sizes)
    axes.legend(frameon=False, fontsize="x-small", ncols=2)
    axes.set_title("By the number of examples", fontsize="medium")


def _forgetting(axes: Any, cells: Cells) -> None:
    most = 0
    for arm in CHAINS:
        for cell in cells.get(f"chain-{arm}", ())[:1]:
            rows = cell["forgetting"]["rows"]
            first = rows[0]["after"]
            kept_of_it = [_of_stage(row["accuracy"], first) for row in rows]
            most = max(most, len(rows))
            axes.plot(range(1, len(rows) + 1), kept_of_it, "-o", color=_COLOURS[arm], label=arm)
    axes.set(xlabel="after so many distillations", ylabel="accuracy on the first one's questions")
    axes.set(xticks=range(1, most + 1), ylim=(0, None))
    axes.legend(frameon=False, fontsize="small")
    axes.set_title("What is left of the first", fontsize="medium")


def _of_stage(accuracy: Mapping[str, float], stage: str) -> float:
    """``accuracy``: by "stage/family"."""
    return mean_over_families({name: share for name, share in accuracy.items() if name.split("/")[0] == stage})


def _is_point(arm: str) -> bool:
    return arm.startswith("curve-")


_PARTS: tuple[tuple[Callable[[Any, Cells], None], Callable[[Cells], bool]], ...] = (
    (_learned_and_lost, lambda cells: bool(cells.get("base")) and any(cells.get(arm) for arm in ARMS)),
    (_curve, lambda cells: any(map(_is_point, cells))),
    (_forgetting, lambda cells: any(arm.startswith("chain-") for arm in cells)),
)
