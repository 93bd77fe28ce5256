"""What selection under a budget is worth: how near it comes to the optimum, and how fast it is among a million.

*Quality*: made-up pools of 10 to 200 (`_selection_pools`), each also solved exactly by CBC through PuLP (``pip install
habilis[bench]``). The share of the optimum's value that the selector reaches, beside rivals that keep the same rules:
the nearest first as long as they fit, any order, and greedy by chance per price without improving it. *Scale*:
`_selection_scale`. With ``--data`` of MetaTool (its folder ``dataset``) also what one noisy-or over everything does to
the queries that need two tools.

    python -m benchmarks.selection --quick
"""

from __future__ import annotations

import json
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from benchmarks._harness import Figure, Options, main
from benchmarks._selection_pools import Case, draw, optimum
from benchmarks._selection_scale import measure_scale
from habilis.core import Augmentation, Budget, Candidate, Cost, Kind, Selection
from habilis.core.budget import KINDS
from habilis.testing.selector import TASK, check_pick
from habilis.tools import BudgetSelector, TrackRecord, value_of

AIMS = {"value_vs_optimum": ">= 0.99", "pick_p50_ms_1m": "<= 15"}
SIZES = (10, 20, 50, 100, 200)
THRIFT = 0.1


def selector(case: Case) -> BudgetSelector:
    return BudgetSelector(max_items=case.max_items, max_context=case.max_context, thrift=THRIFT)


def ours(case: Case) -> Selection:
    """The selector's choice, held against every rule."""
    return check_pick(selector(case), case.pool, case.limit, max_items=case.max_items, max_context=case.max_context)


def nearest(case: Case) -> Selection:
    return _filled(case, lambda c, price: -c.relevance)


def any_order(case: Case) -> Selection:
    random_ = random.Random(len(case.pool))
    return _filled(case, lambda c, price: random_.random())


def greedy(case: Case) -> Selection:
    return _filled(case, lambda c, price: -c.success / (price + 1e-3), worth_it=True)


def _filled(case: Case, order: Callable[[Candidate, float], float], *, worth_it: bool = False) -> Selection:
    """What may help, in this order, each with what it requires, as long as it fits; ``worth_it``: and gains."""
    told = selector(case).pick(TASK, case.pool, case.limit)  # for its prices
    choices = {c.augmentation.id: c for c in told.choices}
    by_id = {c.augmentation.id: c for c in case.pool}
    taken: set[str] = set()
    for id in sorted(by_id, key=lambda i: (order(by_id[i], choices[i].price), i)):
        more = taken | set(_needed(by_id, id))
        if by_id[id].success > 0 and _keeps(case, [by_id[i].augmentation for i in more]):
            gain = _value(told, more) - _value(told, taken)
            if gain > 0 or not worth_it:
                taken = more
    return _only(told, taken)


def _needed(by_id: Mapping[str, Candidate], id: str) -> Iterator[str]:
    yield id
    for required in by_id[id].augmentation.requires:
        yield from _needed(by_id, required)  # pools are drawn without circles


def _keeps(case: Case, things: Sequence[Augmentation]) -> bool:
    total = Cost()
    for one in things:
        total = total + one.cost
    provided = [one.provides for one in things if one.provides]
    return (
        all(
            getattr(case.limit, kind) is None or getattr(total, kind) <= getattr(case.limit, kind) * (1 + 1e-12)
            for kind in KINDS
        )
        and sum(one.context for one in things) <= case.max_context
        and len(things) <= case.max_items
        and len(provided) == len(set(provided))
    )


def _only(told: Selection, taken: Set[str]) -> Selection:
    return replace(told, choices=tuple(replace(c, taken=c.augmentation.id in taken) for c in told.choices))


def _value(told: Selection, taken: Set[str]) -> float:
    return value_of(_only(told, taken), THRIFT)


SYSTEMS: dict[str, Callable[[Case], Selection]] = {
    "value": ours,
    "greedy": greedy,
    "nearest": nearest,
    "any_order": any_order,
}


def measure_quality(seeds: int) -> dict[str, Figure]:
    """The shares of the optimum, and the times. ``seeds``: pools of each size."""
    shares: dict[str, list[float]] = {name: [] for name in SYSTEMS}
    figures: dict[str, Figure] = {}
    unproven = 0
    for size in SIZES:
        here: dict[str, list[float]] = {name: [] for name in SYSTEMS}
        took: dict[str, list[float]] = {"pick": [], "solver": []}
        for seed in range(seeds):
            case = draw(seed, size)
            began = time.perf_counter()
            best, proven = optimum(case, THRIFT)
            took["solver"].append(1e3 * (time.perf_counter() - began))
            began = time.perf_counter()
            selector(case).pick(TASK, case.pool, case.limit)
            took["pick"].append(1e3 * (time.perf_counter() - began))
            unproven += not proven
            if proven and best > 1e-6:
                for name, system in SYSTEMS.items():
                    here[name].append(value_of(system(case), THRIFT) / best)
        for name, some in here.items():
            shares[name] += some
        figures[f"value_vs_optimum_{size}"] = Figure.of(here["value"], f"pools of {size}")
        figures[f"lowest_{size}"] = _one(min(here["value"]), "the worst pool")
        for what, times in took.items():
            figures[f"{what}_p50_ms_{size}"] = Figure.of(times, "ms", statistics.median)
    ours_ = sorted(shares["value"])
    figures |= {f"{name}_vs_optimum": Figure.of(some, "mean share") for name, some in shares.items()}
    figures["lowest_vs_optimum"] = _one(ours_[0], "the worst pool")
    figures["p05_vs_optimum"] = _one(ours_[len(ours_) // 20], "the worst in twenty")
    figures["is_the_optimum"] = Figure.rate(sum(share > 1 - 1e-6 for share in ours_), len(ours_), "of all pools")
    if unproven:
        print(f"{unproven} pools were left out: the solver did not prove its answer in time", file=sys.stderr)
    return figures


def measure_two_tools(folder: Path) -> dict[str, Figure]:
    """On the queries of MetaTool that need two tools: how often both are among what is taken, of the sixteen nearest,
    where chances are added up and where they are joined as if one tool were enough."""
    from habilis.memory.embedding import open_embedder

    tools: dict[str, str] = json.loads((folder / "plugin_des.json").read_text("utf-8"))
    asked = json.loads((folder / "multi_tool_query_golden.json").read_text("utf-8"))
    embedder, names = open_embedder("auto"), sorted(tools)
    cosines = embedder.embed([q["query"] for q in asked]) @ embedder.embed([tools[n] for n in names]).T
    least = TrackRecord(embedder).threshold
    figures = {}
    for told, sharpness in (("new", 0.5), ("proven", 1.9)):  # chance: at most .95, by the cosine times this
        for way, kind in (("sum", Kind.TOOL), ("noisy_or", Kind.MODEL)):
            both = 0
            for n, (query, row) in enumerate(zip(asked, cosines.tolist(), strict=True)):
                draw_ = random.Random(n)
                costs = {name: round(draw_.uniform(0.05, 1), 2) for name in names}
                near = sorted(range(len(names)), key=lambda i: -row[i])[:16]
                pool = [
                    Candidate(
                        Augmentation(kind, names[i], "", Cost(usd=costs[names[i]])),
                        max(0.0, row[i]),
                        min(0.95, sharpness * row[i]) if row[i] >= least else 0.0,
                    )
                    for i in near
                ]
                taken = {a.name for a in BudgetSelector().pick(TASK, pool, Budget(usd=3)).taken}
                both += set(query["tool"]) <= taken
            unit = f"of {len(asked)} queries both tools are taken ({embedder.fingerprint.partition(':')[0]})"
            figures[f"two_tools_{told}_{way}"] = Figure.rate(both, len(asked), unit)
    return figures


def _one(value: float, unit: str) -> Figure:
    return Figure(value, value, value, unit)


def measure(options: Options) -> dict[str, Figure]:
    figures: dict[str, Figure] = {}
    if find_spec("pulp") is not None:
        figures |= measure_quality(options.seeds)
    else:
        print("how near to the optimum was not measured: pip install habilis[bench]", file=sys.stderr)
    if options.data is not None:
        figures |= measure_two_tools(options.data)
    figures |= measure_scale((1_000, 100_000) if options.quick else (1_000, 100_000, 1_000_000))
    return figures


if __name__ == "__main__":
    main("selection", measure, aims=AIMS, seeds=100, quick_seeds=20)
