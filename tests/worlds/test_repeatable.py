"""The same seed gives the same run, in any fork of any worker: hashes, random numbers, clock and ids."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from typing import Any

import pytest

from habilis.core import Program
from habilis.worlds.runner import ConfinedRunner

SOURCE = """
import json, random, time, uuid
class Thing: pass
def main(work=0):
    load = json.codecs.builtins.__import__
    for _ in range(work): world.add('a')
    things = [Thing() for _ in range(5)]
    start = time.time(), time.monotonic(), time.perf_counter_ns()
    time.sleep(1000)
    return [
        hash('x'), hash(b'x'), [id(t) for t in things], repr(object()), list(map(str, {Thing, int, str})),
        random.random(), random.Random().random(), random.SystemRandom is not None, random.sample(range(99), 5),
        start, time.time() - start[0] >= 1000, time.strftime('%Y-%m-%d %H:%M:%S'), time.localtime()[:3],
        time.clock_gettime(time.CLOCK_REALTIME), time.clock_gettime_ns(time.CLOCK_MONOTONIC), uuid.getnode(),
        str(uuid.uuid4()), load('os').urandom(4).hex(), list({'a', 'b', 'c', 'd'}),
    ]
"""


def test_forks_and_workers_agree(world: Any) -> None:
    program = Program("main", SOURCE)
    said = []
    for _ in range(2):
        with ConfinedRunner() as runner:
            for i in range(3):
                t = runner.run(program, world, seed=7)
                assert t.error is None, t.error
                said.append(t.returned)
                runner.run(Program("other", f"def other(): return [{i}] * {10**i}"), world, seed=i)
    assert all(one == said[0] for one in said)
    with ConfinedRunner() as runner:
        other = runner.run(program, world, seed=8).returned
    assert other[:4] == said[0][:4]
    assert other[5] != said[0][5]
    assert other[16:18] != said[0][16:18]


@pytest.mark.parametrize("isolation", ["seccomp", "landlock"])
def test_ids_do_not_depend_on_how_long_the_host_took(isolation: str, world: Any) -> None:
    """Watching for the host's answers leaves no trace in memory."""
    import time

    program = Program("main", SOURCE)
    act, seen = world.act, []
    with ConfinedRunner(isolation=isolation) as runner:
        for pause in (0.0, 0.0, 0.001, 0.0001):

            def slowly(action: Any, pause: float = pause) -> Any:
                time.sleep(pause)
                return act(action)

            world.reset(0)
            world.act = slowly
            seen.append(runner.run(program, world, args={"work": 50}, seed=1).returned)
    assert seen[0][2:4] == seen[1][2:4] == seen[2][2:4] == seen[3][2:4]


def test_a_host_with_another_hash_seed_and_environment_gives_the_same() -> None:
    source = textwrap.dedent("""
        from habilis.core import *
        from habilis.worlds.runner import ConfinedRunner
        class W:
            spec = WorldSpec("w", "", (), (Predicate("p", "", numeric=True),), "1", {"#t": frozenset("abcdef")})
            def observe(self): return Snapshot({Fact("p", (n,)): 1 for n in sorted("abc")})
        body = "def main(): return [world.tags('t'), world.facts('p'), list(set('abcdef')), hash('a'), id(object())]"
        with ConfinedRunner() as runner: print(runner.run(Program("main", body), W()).returned)
    """)
    said = {
        subprocess.run([sys.executable, "-c", source], env={"PYTHONHASHSEED": s, **more}, capture_output=True).stdout
        for s, more in (("1", {}), ("2", {"A_LONG_NAME": "x" * 5000}))
    }
    assert len(said) == 1
    assert b"'a', 'b', 'c'" in said.pop()
