"""What confinement costs: steps per second on each path, and the time an empty program takes.

In the ``craft`` world, a program places and gathers one block in turns. *Live*: a request for each step, one at a time.
*Batch*: the same steps in `world.steps`. *Fast*: simulated beside the program and repeated by the host, in a world
without secrets (``view="full"``); ``fast_ratio`` is its speed over that of the same actions on the bare world (*raw*).
Host CPU time per step is there because other load on the machine does not blur it.

Rivals, in the same run where they are installed (``pip install habilis[bench]``): smolagents' LocalPythonExecutor, an
interpreter in the host's own process, and pydantic-monty, an interpreter of its own in a warm process, both with the
same actions on the same world as functions; and a new ``python -I`` per program, what one would do without a worker.
"""

from __future__ import annotations

import importlib.util
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

from benchmarks._harness import Figure, Options, main
from habilis.core import Action, Program, RunLimits, Trajectory
from habilis.worlds.craft import CraftWorld
from habilis.worlds.runner import ConfinedRunner

AIMS = {"live_steps_per_s": ">= 15000", "fast_ratio": ">= 0.35", "warm_p50_ms": "<= 5"}
BLOCK = "dirt"
TURNS = Program(
    "turns",
    f"""
def turns(n):
    for _ in range(n // 2):
        world.gather({BLOCK!r})
        world.place({BLOCK!r})
""",
)
BATCH = Program(
    "batch",
    f"""
def batch(n):
    world.steps([("gather", {BLOCK!r}), ("place", {BLOCK!r})] * (n // 2))
""",
)
PLAIN = f"""
for _ in range({{turns}}):
    act("gather", {BLOCK!r})
    act("place", {BLOCK!r})
"""
EMPTY = Program("empty", "def empty():\n    pass\n")
CALL_EMPTY = f"{EMPTY.source}\nempty()"
NO_LIMIT = RunLimits(seconds=300, cpu_seconds=300, idle_seconds=None, world_steps=None, calls=None)


def seconds_of(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def beside_a_block(view: str, seed: int) -> CraftWorld:
    world = CraftWorld(view=view)
    world.reset(seed)
    if not world.act(Action("find", (BLOCK,))).ok:
        raise RuntimeError(f"there is no {BLOCK} with seed {seed}; nothing was measured")
    return world


def confined(runner: ConfinedRunner, program: Program, view: str, seed: int, steps: int) -> float:
    """Steps per second through the worker."""
    trajectory: Trajectory = runner.run(program, beside_a_block(view, seed), args={"n": steps}, limits=NO_LIMIT)
    if trajectory.error is not None or len(trajectory.steps) != steps:
        raise RuntimeError(f"the measured program failed: {trajectory.error}")
    return steps / trajectory.seconds


def raw(view: str, seed: int, steps: int) -> float:
    """Steps per second of the same actions on the world itself."""
    world = beside_a_block(view, seed)
    pair = (Action("gather", (BLOCK,)), Action("place", (BLOCK,)))

    def work() -> None:
        for _ in range(steps // 2):
            for action in pair:
                if not world.act(action).ok:
                    raise RuntimeError(f"{action} failed; nothing was measured")

    return steps / seconds_of(work)


def _act_in(world: CraftWorld) -> Callable[[str, str], bool]:
    return lambda name, block: world.act(Action(name, (block,))).ok


def smolagents(seed: int, steps: int, empties: int) -> tuple[float, list[float]]:
    """Steps per second, and milliseconds of each empty program."""
    from smolagents.local_python_executor import LocalPythonExecutor

    executor = LocalPythonExecutor([])
    executor.send_tools({"act": _act_in(beside_a_block("partial", seed))})
    rate = steps / seconds_of(lambda: executor(PLAIN.format(turns=steps // 2)))
    return rate, [1e3 * seconds_of(lambda: executor(CALL_EMPTY)) for _ in range(empties)]


def monty(seed: int, steps: int, empties: int) -> tuple[float, list[float]]:
    """Steps per second, and milliseconds of each empty program, in a warm process of its pool."""
    from pydantic_monty import Monty

    act = _act_in(beside_a_block("partial", seed))
    with Monty() as pool:

        def empty() -> None:
            with pool.checkout() as session:
                session.feed_run(CALL_EMPTY)

        with pool.checkout(limits={"max_suspensions": 10 * steps}) as session:
            code = PLAIN.format(turns=steps // 2)
            rate = steps / seconds_of(lambda: session.feed_run(code, external_lookup={"act": act}))
        return rate, [1e3 * seconds_of(empty) for _ in range(empties)]


RIVALS = {
    name: measure
    for name, module, measure in (("smolagents", "smolagents", smolagents), ("monty", "pydantic_monty", monty))
    if importlib.util.find_spec(module) is not None
}


def measure(options: Options) -> dict[str, Figure]:
    steps, empties, fresh = (10_000, 60, 3) if options.quick else (40_000, 300, 10)
    bare = [sys.executable, "-I", "-c", CALL_EMPTY]
    found: dict[str, list[float]] = {}
    units: dict[str, str] = {}

    def note(name: str, value: float, unit: str) -> None:
        found.setdefault(name, []).append(value)
        units[name] = unit

    for seed in range(options.seeds):
        world = beside_a_block("partial", seed)
        with ConfinedRunner() as runner:
            note("cold_start_ms", 1e3 * seconds_of(lambda r=runner, w=world: r.run(EMPTY, w)), "ms")  # type: ignore[misc]
            used = time.process_time()
            note("live_steps_per_s", confined(runner, TURNS, "partial", seed, steps), "steps/s")
            note("host_us_per_step", (time.process_time() - used) / steps * 1e6, "us of CPU")
            note("batch_steps_per_s", confined(runner, BATCH, "partial", seed, steps), "steps/s")
            times = sorted(1e3 * seconds_of(lambda r=runner, w=world: r.run(EMPTY, w)) for _ in range(empties))  # type: ignore[misc]
            note("warm_p50_ms", statistics.median(times), "ms")
            note("warm_p95_ms", times[int(0.95 * empties)], "ms")
        with ConfinedRunner(fast=True) as runner:
            confined(runner, TURNS, "full", seed, 100)  # starts its worker
            # Bare before and after, and the fast path between: what else runs on the machine then blurs both alike.
            before = raw("full", seed, steps)
            fast = confined(runner, TURNS, "full", seed, steps)
            after = raw("full", seed, steps)
        note("raw_steps_per_s", (before + after) / 2, "steps/s")
        note("fast_steps_per_s", fast, "steps/s")
        note("fast_ratio", 2 * fast / (before + after), "of raw")
        for name, rival in RIVALS.items():
            rate, times = rival(seed, steps // 4, empties)
            note(f"{name}_steps_per_s", rate, "steps/s")
            note(f"{name}_empty_ms", statistics.median(times), "ms")
        new = (1e3 * seconds_of(lambda: subprocess.run(bare, check=True)) for _ in range(fresh))
        note("new_python_ms", statistics.median(new), "ms")
    return {name: Figure.of(values, units[name]) for name, values in found.items()}


if __name__ == "__main__":
    main("overhead", measure, aims=AIMS, seeds=5, quick_seeds=3)
