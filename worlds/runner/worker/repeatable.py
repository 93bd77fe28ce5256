"""Random numbers, clock and ids that are the same for the same seed, in every worker.

Programs that look at a clock get one of their own: it begins in the year 2000, goes on by a millisecond each time it is
read, and `time.sleep` moves it without waiting. What time it really is, a program learns from a tool.
"""

from __future__ import annotations

import os
import random
import time
import uuid
from collections.abc import Callable
from typing import Any

EPOCH = 946_684_800  # seconds: the year 2000
_TICK = 1_000_000  # nanoseconds


class _Random(random.Random):
    """Like `random.Random`, but an absent seed comes from the run's seed, so that runs repeat."""

    fresh = 0

    def __init__(self, x: Any = None) -> None:
        super().__init__(0)
        self.seed(x)

    def seed(self, a: Any = None, version: int = 2) -> None:
        if a is None:
            _Random.fresh += 1
            a = _Random.fresh
        super().seed(a, version)


class _Clock:
    """Nanoseconds since the run began, in steps of its own."""

    def __init__(self) -> None:
        self._now = 0
        self._gmtime, self._strftime, self._asctime = time.gmtime, time.strftime, time.asctime

    def monotonic_ns(self) -> int:
        self._now += _TICK
        return self._now

    def time_ns(self) -> int:
        return EPOCH * 1_000_000_000 + self.monotonic_ns()

    def monotonic(self) -> float:
        return self.monotonic_ns() / 1e9

    def now(self) -> float:
        return self.time_ns() / 1e9

    def sleep(self, secs: float) -> None:
        if secs < 0:
            raise ValueError("sleep length must be non-negative")
        self._now += int(secs * 1e9)

    def gmtime(self, secs: float | None = None) -> time.struct_time:
        return self._gmtime(self.now() if secs is None else secs)

    def strftime(self, format: str, t: Any = None) -> str:
        return self._strftime(format, self.gmtime() if t is None else t)

    def asctime(self, t: Any = None) -> str:
        return self._asctime(self.gmtime() if t is None else t)

    def ctime(self, secs: float | None = None) -> str:
        return self._asctime(self.gmtime(secs))


def repeat(seed: int) -> None:
    """Seed everything that a program may use, for good, in this process."""
    random.seed(seed)
    _Random.fresh = random.getrandbits(32)
    of_module = random.seed

    def reseed(a: Any = None, version: int = 2) -> None:
        of_module(_Random().getrandbits(64) if a is None else a, version)

    vars(random).update(Random=_Random, seed=reseed)
    source = _Random()
    vars(os)["urandom"] = vars(random)["_urandom"] = source.randbytes

    def uuid1(node: Any = None, clock_seq: Any = None) -> uuid.UUID:
        raise NotImplementedError("uuid1 tells of machine and time, which programs do not see; use uuid4")

    vars(uuid).update(uuid1=uuid1, getnode=lambda: 0, _generate_time_safe=None)
    _set_clock(_Clock())
    _seed_numpy(source)


def _set_clock(clock: _Clock) -> None:
    given: dict[str, Callable[..., Any]] = {
        "sleep": clock.sleep,
        "gmtime": clock.gmtime,
        "localtime": clock.gmtime,
        "strftime": clock.strftime,
        "asctime": clock.asctime,
        "ctime": clock.ctime,
        "time": clock.now,
        "time_ns": clock.time_ns,
    }
    for name in ("monotonic", "perf_counter", "process_time", "thread_time"):
        given[name], given[f"{name}_ns"] = clock.monotonic, clock.monotonic_ns
    given["clock_gettime"] = lambda clk_id: clock.now() if clk_id == time.CLOCK_REALTIME else clock.monotonic()
    given["clock_gettime_ns"] = lambda clk_id: (
        clock.time_ns() if clk_id == time.CLOCK_REALTIME else clock.monotonic_ns()
    )
    vars(time).update(given)


def _seed_numpy(source: random.Random) -> None:
    import sys

    numpy = sys.modules.get("numpy")
    if numpy is not None:
        vars(numpy.random.bit_generator)["randbits"] = source.getrandbits
        numpy.random.seed(source.getrandbits(32))
