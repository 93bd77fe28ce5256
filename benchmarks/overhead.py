"""What confinement costs: steps per second through the worker, and the time an empty program takes.

In the ``craft`` world, a program places and gathers one block in turns, a request for each step, without batching.
Beside it, in the same run: the same actions on the world directly (raw), a host CPU time per step that other load on
the machine does not blur, and a new ``python -I`` per program, what one would do without a warm worker. ``fast_ratio``
is of a path that simulates in the worker and replays on the host; there is none yet, so it is absent.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable

from benchmarks._harness import Figure, Options, main
from habilis.core import Action, Program, RunLimits
from habilis.worlds.craft import CraftWorld
from habilis.worlds.runner import ConfinedRunner

AIMS = {"live_steps_per_s": ">= 15000", "fast_ratio": ">= 0.35", "warm_p50_ms": "<= 5"}
BLOCK = "dirt"
SOURCE = f"""
def turns(n):
    world.find({BLOCK!r})
    for _ in range(n // 2):
        world.gather({BLOCK!r})
        world.place({BLOCK!r})
"""
TURNS = Program("turns", SOURCE)
EMPTY = Program("empty", "def empty():\n    pass\n")
NO_LIMIT = RunLimits(seconds=120, cpu_seconds=120, world_steps=None, calls=None)


def seconds_of(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def live(runner: ConfinedRunner, seed: int, steps: int) -> tuple[float, float]:
    """Steps per second through the worker, and microseconds of host processor time per step."""
    world = CraftWorld()
    world.reset(seed)
    used = time.process_time()
    trajectory = runner.run(TURNS, world, args={"n": steps}, limits=NO_LIMIT)
    used = time.process_time() - used
    if trajectory.error is not None:
        raise RuntimeError(f"the measured program failed: {trajectory.error}")
    return len(trajectory.steps) / trajectory.seconds, used / len(trajectory.steps) * 1e6


def raw(seed: int, steps: int) -> float:
    """Steps per second of the same actions on the world itself."""
    world = CraftWorld()
    world.reset(seed)
    world.act(Action("find", (BLOCK,)))
    pair = (Action("gather", (BLOCK,)), Action("place", (BLOCK,)))

    def work() -> None:
        for _ in range(steps // 2):
            for action in pair:
                if not world.act(action).ok:
                    raise RuntimeError(f"{action} failed; nothing was measured")

    return steps / seconds_of(work)


def measure(options: Options) -> dict[str, Figure]:
    steps, empties, fresh = (4_000, 40, 3) if options.quick else (20_000, 200, 10)
    bare = [sys.executable, "-I", "-c", f"{EMPTY.source}\nempty()"]
    rates, host, raws, warm, new, cold = [], [], [], [], [], []
    for seed in range(options.seeds):
        world = CraftWorld()
        world.reset(seed)
        with ConfinedRunner() as runner:
            cold.append(1e3 * seconds_of(lambda r=runner, w=world: r.run(EMPTY, w)))  # type: ignore[misc]
            rate, used = live(runner, seed, steps)
            rates.append(rate)
            host.append(used)
            times = [seconds_of(lambda r=runner, w=world: r.run(EMPTY, w)) for _ in range(empties)]  # type: ignore[misc]
            warm.append(1e3 * statistics.median(times))
        raws.append(raw(seed, steps))
        new.append(1e3 * statistics.median(seconds_of(lambda: subprocess.run(bare, check=True)) for _ in range(fresh)))
    return {
        "live_steps_per_s": Figure.of(rates, "steps/s"),
        "warm_p50_ms": Figure.of(warm, "ms"),
        "raw_steps_per_s": Figure.of(raws, "steps/s"),
        "host_us_per_step": Figure.of(host, "us of CPU"),
        "cold_start_ms": Figure.of(cold, "ms"),
        "new_python_ms": Figure.of(new, "ms"),
    }


if __name__ == "__main__":
    main("overhead", measure, aims=AIMS, seeds=5, quick_seeds=3)
