"""Whether a limit is ever passed, as somebody sees it who counts from outside, and what the ledger takes for it.

Calls are made from 32 threads and from the tasks of an event loop, through random trees of accounts with limits on
money, tokens, seconds, steps and calls; by tools of which some cost more than they declare; and in processes that are
killed with SIGKILL, on one home. An auditor (`_budget_audit`) that knows nothing of ledgers counts the calls that began
when they should not have. The rival is an account that looks at what is spent before each call and holds nothing.
*Overruns* are calls that have cost more than they declared, in each policy; the most of any tool is told.

And what a budget is for: the tasks of the craft world that are solved for the same money (`_budget_loop`), with tools
that are selected, all tools always on, the three most similar, and none.

    python -m benchmarks.budget --quick
"""

from __future__ import annotations

import statistics
import tempfile
import threading
import time
from pathlib import Path
from typing import get_args

from benchmarks._budget_audit import Findings
from benchmarks._budget_load import THREADS, after_spending, by_tools, from_tasks, from_threads, killed
from benchmarks._budget_loop import ARMS, MONEY, TASKS, spell
from benchmarks._harness import Figure, Options, main
from habilis.core import Budget, Cost, Ledger, Overruns
from habilis.memory.journal import Journal

AIMS = {"violations": "<= 0", "solved_per_budget_ratio": ">= 1.2"}
ONE = Cost(usd=0.01, tokens=100, calls=1)


def violations(options: Options) -> dict[str, Figure]:
    """Every seed's calls, audited."""
    each, tasks, calls, rounds = (150, 150, 20, 8) if options.quick else (600, 600, 60, 40)
    found: list[Findings] = []
    rival: list[float] = []
    refusals = kills = 0
    forgotten = 0.0
    worst = {"reprice": 0, "refuse": 0}
    overruns = {"reprice": 0, "refuse": 0}
    for seed in range(options.seeds):
        for one, refused in (from_threads(seed, each), from_tasks(seed, tasks)):
            found.append(one)
            refusals += refused
        for policy in get_args(Overruns):
            one, refused = by_tools(seed, calls, policy)
            found.append(one)
            refusals += refused
            overruns[policy] += sum(one.overruns.values())
            worst[policy] = max(worst[policy], *one.overruns.values(), 0)
        one, lost, ended = killed(seed, rounds)
        found.append(one)
        forgotten, kills = forgotten + lost, kills + ended
        rival.append(float(after_spending(seed, each).violations))

    def number(value: float, unit: str) -> Figure:
        return Figure(value, value, value, unit)

    return {
        "violations": number(sum(f.violations for f in found), "calls"),
        "calls": number(sum(f.calls for f in found), "audited"),
        "refusals": number(refusals, "calls not made"),
        "kills": number(kills, "processes"),
        "forgotten_usd": number(forgotten, "USD after kills"),
        "overruns_reprice": number(overruns["reprice"], "calls"),
        "overruns_reprice_most": number(worst["reprice"], "of one tool"),
        "overruns_refuse": number(overruns["refuse"], "calls"),
        "overruns_refuse_most": number(worst["refuse"], "of one tool"),
        "rival_violations": Figure.of(rival, "calls"),
    }


def speed(options: Options) -> dict[str, Figure]:
    """Microseconds of a reservation and its commit: in memory, three accounts deep, with all threads at it, and written
    down before and after."""
    turns = 5_000 if options.quick else 50_000
    found: dict[str, list[float]] = {"reserve_us": [], "reserve_deep_us": [], "reserve_threads_us": []}
    durable: list[float] = []
    for _ in range(max(3, options.seeds)):
        found["reserve_us"].append(_microseconds(Ledger(Budget(usd=1e9)), turns))
        deep = Ledger(Budget(usd=1e9)).child(Budget(usd=1e9)).child()
        found["reserve_deep_us"].append(_microseconds(deep, turns))
        found["reserve_threads_us"].append(_from_all_threads(deep, turns // THREADS))
        with tempfile.TemporaryDirectory() as folder, Journal(Path(folder) / "journal.sqlite") as journal:
            kept = Ledger(Budget(usd=1e9), keeper=journal.keeper(journal.start_run({})))
            durable.append(_microseconds(kept.child().child(), turns // 10))
    return {name: Figure.of(times, "us") for name, times in {**found, "reserve_durable_us": durable}.items()}


def in_the_loop(options: Options) -> dict[str, Figure]:
    """Tasks of the craft world solved for the same money, by how tools are picked (`_budget_loop`). The ratio: selected
    over all tools always on, the mean over the amounts of money, of each seed."""
    from habilis.memory.embedding import open_embedder

    embedder = open_embedder("minilm")
    amounts, tasks = (MONEY[1:2], 20) if options.quick else (MONEY, TASKS)
    found: dict[str, Figure] = {}
    solved: dict[tuple[str, float], list[float]] = {}
    for seed in range(options.seeds):
        for usd in amounts:
            for arm in ARMS if usd == amounts[0] else (a for a in ARMS if a != "none"):
                went = spell(arm, usd, seed, embedder, tasks)
                solved.setdefault((arm, usd), []).append(float(went.solved))
                if went.usd > usd * (1 + 1e-12):
                    raise AssertionError(f"{went.usd} of {usd} USD were spent")
    ratios = [
        statistics.fmean(solved["selected", usd][seed] / max(1.0, solved["all", usd][seed]) for usd in amounts)
        for seed in range(options.seeds)
    ]
    found["solved_per_budget_ratio"] = Figure.of(ratios)
    for (arm, usd), counts in solved.items():
        name = "solved_none" if arm == "none" else f"solved_{arm}_usd_{usd:g}"
        found[name] = Figure.of(counts, f"of {tasks}")
    return found


def _microseconds(ledger: Ledger, turns: int) -> float:
    began = time.perf_counter()
    for _ in range(turns):
        ledger.reserve(ONE).commit()
    return (time.perf_counter() - began) / turns * 1e6


def _from_all_threads(ledger: Ledger, turns: int) -> float:
    threads = [threading.Thread(target=_microseconds, args=(ledger.child(), turns)) for _ in range(THREADS)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return (time.perf_counter() - began) / (turns * THREADS) * 1e6


def measure(options: Options) -> dict[str, Figure]:
    return violations(options) | speed(options) | in_the_loop(options)


if __name__ == "__main__":
    main("budget", measure, aims=AIMS, seeds=5, quick_seeds=1)
