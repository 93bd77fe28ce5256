"""Fault injection: a journal that dies at its n-th write, so that a test can visit every point between two writes.

for n in count():
    crash = CrashAfter(n)
    try:
        with Home.open(path, before_write=crash) as home:
            work(home)
    except Crash:
        check_what_is_left(path)
    else:
        break
"""

from __future__ import annotations

import os

from habilis.core import Episode, Evidence, EvidenceLevel, Goal, Parameter, Program, Skill, Task, Trial

__all__ = ["Crash", "CrashAfter", "example_episode", "example_skill"]


class Crash(BaseException):
    """The injected death. No ``Exception``, so that no handler of the code under test takes it for a failure."""


class CrashAfter:
    """Give it to `Journal` or `Home.open` as ``before_write``: it lets ``writes`` points pass and dies at the next.

    A point is every statement that writes, the moment before each commit and the moment after it. ``kill=True`` ends
    the process at once, like kill -9 (use it in a subprocess); else `Crash` is raised. ``passed`` lists the points.
    """

    EXIT_STATUS = 137

    def __init__(self, writes: int, *, kill: bool = False) -> None:
        self.writes, self.kill = writes, kill
        self.passed: list[str] = []

    def __call__(self, point: str) -> None:
        if len(self.passed) >= self.writes:
            if self.kill:
                os._exit(self.EXIT_STATUS)
            raise Crash(f"at point {len(self.passed)}: {point.split(maxsplit=1)[0]}")
        self.passed.append(point)


def example_episode(index: int, status: str = "solved") -> Episode:
    """A small episode without attempts."""
    task = Task(Goal.parse('count("stick") >= 4'), "craft", 7, "get 4 sticks")
    return Episode(index, task, status)


def example_skill(
    name: str,
    *,
    source: str | None = None,
    goal: str | None = None,
    doc: str | None = None,
    calls: tuple[str, ...] = (),
    needs: tuple[str, ...] = (),
    parameters: tuple[Parameter, ...] = (Parameter("n", "int", 1),),
    fingerprint: str = "f1",
    version: int = 1,
) -> Skill:
    """A small skill whose program gets ``n`` of the thing it is named after."""
    body = source or f"def {name}(n=1):\n    while world.count({name!r}) < n:\n        world.craft({name!r})\n"
    return Skill(
        name,
        version,
        Program(name, body, parameters, calls),
        doc or f"get {name.replace('_', ' ')}",
        goal or f'count("{name}") >= {{n}}',
        "craft",
        fingerprint,
        Evidence(EvidenceLevel.VERIFIED, (Trial(1, {"n": 1}, True),), 1, 0),
        needs,
    )
