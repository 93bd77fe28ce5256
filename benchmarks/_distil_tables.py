"""The cells of the distil benchmark as tables in Markdown: families as rows, what answered as columns."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks._distil_cells import ARMS, CHAINS
from benchmarks._distil_corpus import mean_over_families
from benchmarks._kept import kept

Cell = Mapping[str, Any]
BASELINES = ("constant", "nearest", "symbolic")
_WHOLE: dict[str, Callable[[Cell], float | None]] = {
    "perplexity, held-out English": lambda c: c.get("perplexity"),
    "perplexity, WikiText-2": lambda c: c.get("wikitext"),
    "calibration error": lambda c: c.get("calibration_error"),
    "drift, self-written text": lambda c: c.get("training", {}).get("drift", {}).get("probed"),
    "loss at the end": lambda c: c.get("training", {}).get("loss_last"),
    "CPU s a step": lambda c: mean(c.get("cpu_each_step", ())),
}


def tables(path: Path) -> str:
    """All tables that a file of cells gives, apart for each scale and corpus in it.

    Raises `SystemExit` where it holds no cell.
    """
    named = "name the .jsonl that lies beside the --json of a run"
    if not path.exists():
        raise SystemExit(f"there is no {path}; {named}")
    groups: dict[tuple[str, str], dict[str, list[Cell]]] = defaultdict(lambda: defaultdict(list))
    try:
        for cell in kept(path):
            if "scale" not in cell or "arm" not in cell:
                continue  # of another benchmark
            groups[json.dumps(cell["scale"]), cell.get("corpus", "")][cell["arm"]].append(cell)
    except OSError as error:
        raise SystemExit(f"cannot read {path}: {error}; {named}") from error
    if not groups:
        raise SystemExit(f"{path} holds no cell; {named}")
    parts = []
    for (scale, corpus), cells in groups.items():
        if len(groups) > 1:
            parts.append(f"**Scale {scale}, corpus {corpus}**")
        parts += [
            part for part in (_arms(cells), _curve(cells), _targets(cells), _chains(cells), _speed(cells)) if part
        ]
    return "\n\n".join(parts)


def _arms(cells: Mapping[str, Sequence[Cell]]) -> str:
    base = cells["base"][0] if cells.get("base") else {}
    columns: dict[str, list[Mapping[str, float]]] = {}
    for name in ("base", *BASELINES, *ARMS):
        if name in BASELINES and name in base:
            columns[name] = [base[name]]
        elif cells.get(name):
            columns[name] = [c["families"] for c in cells[name]]
    if not columns:
        return ""
    families = sorted({f for shares in columns.values() for one in shares for f in one})
    head = ["family", *(["train", "test"] if "taught_of" in base else []), *(_title(n, cells) for n in columns)]
    rows = []
    for family in families:
        counts = [f"{base[k].get(family, 0)}" for k in ("taught_of", "asked_of") if k in base]
        rows.append([family, *counts, *(_share([one.get(family) for one in some]) for some in columns.values())])
    totals = [str(base[k]) for k in ("examples", "questions") if "taught_of" in base]
    means = [
        _share([sum(one.values()) / (len(one) if name == "symbolic" else len(families)) for one in some if one])
        for name, some in columns.items()
    ]
    rows.append(["*mean*", *totals, *means])
    for title, of in _WHOLE.items():
        values = {n: mean([v for c in cells.get(n, ()) if (v := of(c)) is not None]) for n in columns}
        if any(v is not None for v in values.values()):
            row = ["" if v is None else f"{v:.4g}" for v in values.values()]
            rows.append([title, *([""] * len(totals)), *row])
    return _table(head, rows)


def _curve(cells: Mapping[str, Sequence[Cell]]) -> str:
    """KL by the number of examples that it was trained on, each once; nothing of it is the base model."""
    sizes = sorted(int(arm.removeprefix("curve-")) for arm in cells if arm.startswith("curve-") and cells[arm])
    if not sizes:
        return ""
    columns = {"0": list(cells.get("base", ())), **{f"{n:,}": list(cells[f"curve-{n}"]) for n in sizes}}
    columns = {name: some for name, some in columns.items() if some}
    families = sorted({f for some in columns.values() for c in some for f in c["families"]})
    rows = [[f, *(_share([c["families"].get(f) for c in some]) for some in columns.values())] for f in families]
    rows.append(["*mean*", *(_share([c["accuracy"] for c in some]) for some in columns.values())])
    return _table(["examples", *columns], rows)


def _targets(cells: Mapping[str, Sequence[Cell]]) -> str:
    rows = []
    for arm in sorted(a for a in cells if a.startswith("target-")):
        found = mean([c["training"]["drift"]["probed"] for c in cells[arm]])
        if found is not None:
            rows.append([arm.removeprefix("target-"), f"{100 * found:.2f}%"])
    return _table(["target drift", "drift"], rows) if rows else ""


def _chains(cells: Mapping[str, Sequence[Cell]]) -> str:
    rows = []
    for arm in CHAINS:
        chains = [c["forgetting"] for c in cells.get(f"chain-{arm}", ())]
        if chains:
            each = [_share([mean_over_families(c["rows"][i]["accuracy"]) for c in chains]) for i in range(3)
                    if all(i < len(c["rows"]) for c in chains)]  # fmt: skip
            rows.append([arm, *each, *([""] * (3 - len(each))), _share([c["average_forgetting"] for c in chains])])
    head = ["chain", "after the first", "after the second", "after the third", "average forgetting"]
    return _table(head, rows) if rows else ""


def _speed(cells: Mapping[str, Sequence[Cell]]) -> str:
    rows = []
    for cell in cells.get("throughput", ()):
        steps = cell["steps_timed"] * len(cell["cpu_segments"]["plain"])
        rows += [[side, f"{sum(spent) / steps:.3f}"] for side, spent in cell["cpu_segments"].items()]
    return _table(["loop", "CPU s a step"], rows) if rows else ""


def _title(name: str, cells: Mapping[str, Sequence[Cell]]) -> str:
    seeds = len(cells.get(name, ()))
    return f"{name} ({seeds} seeds)" if seeds > 1 else name


def _share(values: Sequence[float | None]) -> str:
    found = mean([v for v in values if v is not None])
    return "" if found is None else f"{found:.2f}"


def mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows))
