"""The bridge to Gymnasium: steps per second through the world protocol, beside the bare environment."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np

from benchmarks._harness import Figure, Options
from habilis.core import Action, Program, RunLimits
from habilis.worlds.gym import from_gymnasium
from habilis.worlds.runner import ConfinedRunner

AIMS = {"gym_ratio_at_1000_per_s": ">= 0.8"}
SEEDS = (5, 2)  # comparisons, and in the quick form
_PER_SECOND = (1_000, 10_000)  # steps that the bare environment makes, about
_BLOCK = 100  # steps; bare and bridged take turns, so that what else runs on the machine blurs both alike
_ACTIONS = (Action("action_1"), Action("action_0"))
_PROGRAM = Program(
    "pace", "def pace(n: int = 1):\n    for _ in range(n):\n        world.action_1()\n        world.action_0()\n"
)
_NO_LIMIT = RunLimits(seconds=600, cpu_seconds=600, idle_seconds=None, world_steps=None, calls=None)


class Working(gymnasium.Env[Any, Any]):  # type: ignore[misc]  # gymnasium is not read by mypy here
    """Walks along a line, and adds up so many numbers at each step: what a simulator's physics take."""

    def __init__(self, work: int) -> None:
        self.observation_space = gymnasium.spaces.Box(-100, 100, (4,), np.float32)
        self.action_space = gymnasium.spaces.Discrete(2)
        self.work, self.at = work, 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.at = 0
        return self._seen(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        sum(range(self.work))
        self.at += 1 if action else -1
        return self._seen(), 0.0, False, False, {}

    def _seen(self) -> Any:
        return np.array([self.at, 0.5, self.at % 3, 1], np.float32)


def measure(options: Options) -> dict[str, Figure]:
    """The ratio of steps per second is the median over blocks, each held beside the bare block before it; the same of
    processor time (``cpu_ratio``) is blurred less by what else runs."""
    samples: dict[str, list[float]] = {}
    blocks = 6 if options.quick else 20
    unit = _numbers_per_second()
    for _ in range(options.seeds):
        for rate in _PER_SECOND:
            for name, value in _compared(round(unit / rate), blocks).items():
                samples.setdefault(f"gym_{name}_at_{rate}_per_s", []).append(value)
    units = {name: "steps/s" if "bare" in name else "of bare" for name in samples}
    return {name: Figure.of(values, units[name]) for name, values in samples.items()}


def _numbers_per_second() -> float:
    """How many numbers this machine adds up in a second of processor time."""
    began = time.process_time()
    sum(range(5_000_000))
    return 5_000_000 / (time.process_time() - began)


def _compared(work: int, blocks: int) -> dict[str, float]:
    env: Any = Working(work)
    world = from_gymnasium(lambda: Working(work))
    env.reset(seed=0)
    bare, acting, running = list[float](), list[float](), list[float]()
    working, bridging = list[float](), list[float]()  # seconds of processor time
    with ConfinedRunner() as runner:

        def pace(n: int) -> None:
            runner.run(_PROGRAM, world, args={"n": n // 2}, limits=_NO_LIMIT)

        pace(10)  # starts its worker
        for _ in range(blocks):
            began = time.process_time()
            bare.append(_seconds(lambda: [env.step(i % 2) for i in range(_BLOCK)]))
            between = time.process_time()
            acting.append(_seconds(lambda: [world.act(_ACTIONS[i % 2]) for i in range(_BLOCK)]) / bare[-1])
            working.append(between - began)
            bridging.append(time.process_time() - between)
            running.append(_seconds(lambda: pace(_BLOCK)) / bare[-1])
    return {
        "bare": _BLOCK / statistics.median(bare),
        "ratio": 1 / statistics.median(acting),
        "program_ratio": 1 / statistics.median(running),
        "cpu_ratio": statistics.median(working) / statistics.median(bridging),
    }


def _seconds(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
