"""The host's own time, memory and records, under programs and moments that are out to spoil them."""

from __future__ import annotations

import contextlib
import os
import random
import resource
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.worlds.attacks.payloads import PRELUDE
from tests.worlds.attacks.test_integrity import attack
from tests.worlds.counter import CounterWorld

from habilis.core import Action, InputError, Ledger, Program, RunLimits
from habilis.tools import HostTools, ToolRegistry, tool
from habilis.worlds.craft import CraftWorld
from habilis.worlds.runner import ConfinedRunner, probe

ONE = Program("main", "def main(): return 1")


def peak() -> int:
    """MiB that this process has held at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


# ---- the host's time and memory


@pytest.mark.parametrize(
    "body",
    [
        'os.write(3, b\'["error","K","m",[\' + b\',\'.join([b\'["main",1,""]\'] * 4000) + b\']]\')\nos._exit(0)',
        "os.write(4, b'File \"<skill main>\", line 1 in f\\n' * 1700)\nwhile True: pass",
    ],
)
def test_many_frames_of_a_long_source_cost_the_host_nothing(runner: ConfinedRunner, world: Any, body: str) -> None:
    source = PRELUDE + "".join(f"    {line}\n" for line in body.split("\n")) + "\n" * 900_000
    began = time.monotonic()
    t = runner.run(Program("main", source), world, limits=RunLimits(seconds=1))
    assert t.error is not None
    assert time.monotonic() - began < 4


@pytest.mark.parametrize("fd", [1, 4])
def test_a_flood_takes_no_memory_and_no_time_beyond_the_limit(runner: ConfinedRunner, world: Any, fd: int) -> None:
    before = peak()
    body = f"b = b'File \"<skill main>\", line 1 in f\\n' * 1985\nos.write({fd}, b)\nwhile True: os.write({fd}, b)"
    t = attack(runner, world, body, RunLimits(seconds=1, output_bytes=1_000_000))
    assert t.error is not None
    assert t.seconds < 3
    assert peak() - before < 60


def test_long_actions_do_not_fill_the_record(runner: ConfinedRunner, world: Any) -> None:
    t = runner.run(Program("main", "def main(): world.pick(*['x' * 900] * 60)"), world)
    assert t.error is not None
    assert "at most 4000 characters in all" in t.error.message
    raw = "os.write(3, json.dumps(['act', 'pick', ['x' * 900] * 60]).encode())\nos.read(3, 9)"
    t = attack(runner, world, raw)
    assert t.error is not None
    assert (t.error.kind, t.steps) == ("protocol", ())


def test_control_characters_in_an_action_are_written_out(runner: ConfinedRunner, world: Any) -> None:
    body = "world.add('\\x1b[2J\\u202e\\x00'); world.add('two\\nlines'); world.add('äß→🙂 שלום')"
    t = runner.run(Program("main", f"def main(): {body}"), world)
    assert (t.error, len(t.steps)) == (None, 3)
    for step in t.steps:
        said = str(step.action)
        assert said.isprintable()
        assert Action.parse(said) == step.action


# ---- what is recorded


@pytest.mark.parametrize("kind", ["time", "died", "forged", "protocol", "steps", "calls", "output"])
def test_only_the_host_gives_its_own_kinds(runner: ConfinedRunner, world: Any, kind: str) -> None:
    error = runner.run(Program("main", f"def main(): raise type({kind!r}, (Exception,), {{}})('x')"), world).error
    assert error is not None
    assert error.kind == f"{kind} (raised)"


def test_a_closed_line_is_no_spent_limit(runner: ConfinedRunner, world: Any) -> None:
    body = "t = __import__('json').codecs.builtins.__import__('time')\nn = 0\nwhile n < 3 * 10**7: n += 1\n"
    t = attack(runner, world, body + "os.close(3)\nwhile True: n += 1", RunLimits(cpu_seconds=2, seconds=10))
    assert t.error is not None
    assert "cpu_seconds" not in t.error.message


def test_a_tool_call_shows_its_arguments_as_they_were(runner: ConfinedRunner, world: Any) -> None:
    class Tools:
        def names(self) -> tuple[str, ...]:
            return ("plus",)

        def call(self, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
            return [args, dict(kwargs)]

    t = runner.run(Program("main", "def main(): return tools.plus('real', **{'0': 'shown'})"), world, tools=Tools())
    assert t.error is not None
    assert (t.error.kind, t.tape) == ("TypeError", ())
    raw = 'os.write(3, b\'["tool","plus",["real"],{"0":"shown"}]\')\nos.read(3, 9)'
    source = PRELUDE + "".join(f"    {line}\n" for line in raw.split("\n"))
    t = runner.run(Program("main", source), world, tools=Tools())
    assert t.error is not None
    assert (t.error.kind, t.tape) == ("protocol", ())


def test_lines_are_counted_as_python_counts_them(runner: ConfinedRunner, world: Any) -> None:
    source = "def main():\n    x = 'a\u2028b\x0cc'\n    raise ValueError(x)\n"
    error = runner.run(Program("main", source), world).error
    assert error is not None
    assert (error.line, error.source_line) == (3, "    raise ValueError(x)")


# ---- moments


def test_interrupts_at_any_moment_leave_endings_where_they_belong(world: Any) -> None:
    """Ctrl-C in the middle of whatever the host does: the next runs are told of their own endings, and at once."""
    draw = random.Random(7)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    descriptors = len(os.listdir("/proc/self/fd"))
    try:
        with ConfinedRunner(isolation="landlock" if probe().tier > 1 else "seccomp") as runner:
            for _ in range(60):
                with contextlib.suppress(KeyboardInterrupt):
                    signal.setitimer(signal.ITIMER_REAL, draw.uniform(5e-5, 4e-3))
                    try:
                        runner.run(Program("main", "def main(): world.add('a')"), world)
                    finally:
                        signal.setitimer(signal.ITIMER_REAL, 0)
            for _ in range(3):
                assert "exited with 3" in str(attack(runner, world, "os._exit(3)").error)
                assert "SIGSEGV" in str(attack(runner, world, "ctypes.string_at(0)").error)
                assert runner.run(ONE, world).returned == 1
    finally:
        signal.signal(signal.SIGALRM, before)
    # An interrupt between two instructions may lose the ends of the fork that was just being received.
    assert len(os.listdir("/proc/self/fd")) <= descriptors + 10


@pytest.mark.parametrize("generation", [0, 1, 2])
def test_a_worker_killed_between_runs_is_replaced(confined: ConfinedRunner, world: Any, generation: int) -> None:
    assert confined.run(ONE, world).returned == 1
    victims = list(confined.processes[:1])
    for _ in range(generation):
        victims = [
            int(child) for pid in victims for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        ] or victims
    with contextlib.suppress(ProcessLookupError):  # a fork that was done with, and is gone
        os.kill(victims[0], signal.SIGKILL)
    assert confined.run(ONE, world).returned == 1


def test_a_program_within_a_real_tool_runs_at_once(runner: ConfinedRunner) -> None:
    @tool
    def nested(x: int) -> int:
        """Run a program and add."""
        inner = runner.run(Program("main", "def main(): world.add('a')\n"), CounterWorld())
        assert inner.error is None
        return x + len(inner.steps)

    registry = ToolRegistry()
    registry.add(nested)
    began = time.monotonic()
    t = runner.run(
        Program("main", "def main(): return tools.nested(41)"), CounterWorld(), tools=HostTools(registry, Ledger())
    )
    assert (t.error, t.returned) == (None, 42)
    assert time.monotonic() - began < 10


def test_a_tool_that_raises_oddly_is_not_called_again(runner: ConfinedRunner, world: Any) -> None:
    class Broken:
        calls = 0

        def names(self) -> tuple[str, ...]:
            return ("broken",)

        def call(self, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
            self.calls += 1
            raise ConnectionResetError("as a worker's end would be")

    tools = Broken()
    with pytest.raises(ConnectionResetError):
        runner.run(Program("main", "def main(): tools.broken()"), world, tools=tools)
    assert tools.calls == 1
    assert runner.run(ONE, world).returned == 1


def test_a_fork_of_the_host_does_not_end_its_run(runner: ConfinedRunner, world: Any) -> None:
    class Forking:
        def names(self) -> tuple[str, ...]:
            return ("fork",)

        def call(self, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
            pid = os.fork()
            if pid == 0:
                try:
                    raise SystemExit  # leaves through everything that is open
                except SystemExit:
                    import gc

                    gc.collect()
                    os._exit(0)
            os.waitpid(pid, 0)
            return 7

    for _ in range(2):
        t = runner.run(Program("main", "def main(): return tools.fork() + 1"), world, tools=Forking())
        assert (t.error, t.returned) == (None, 8)


def test_workers_do_not_pile_up() -> None:
    with ConfinedRunner(fast=True, isolation="seccomp") as runner:
        for shuffled in range(6):
            world = CraftWorld(view="full", shuffled=shuffled)
            assert runner.run(ONE, world).returned == 1
        assert len(runner.processes) <= 4


def test_arguments_nested_without_end_are_a_clear_error(runner: ConfinedRunner, world: Any) -> None:
    deep: list[Any] = []
    for _ in range(5_000):
        deep = [deep]
    with pytest.raises(InputError, match="no JSON form"):
        runner.run(Program("main", "def main(x): pass"), world, args={"x": deep})


def test_a_fork_of_the_host_does_not_wait_for_a_run_that_is_not_there(world: Any) -> None:
    """Another thread's run holds its turn when the host forks; in the fork nobody would give it back."""
    with ConfinedRunner(isolation="seccomp") as runner:
        loop = Program("main", "def main():\n    while True: pass")
        thread = threading.Thread(target=lambda: runner.run(loop, CounterWorld(), limits=RunLimits(seconds=3)))
        thread.start()
        time.sleep(0.5)
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                signal.alarm(20)
                code = 0 if runner.run(ONE, CounterWorld()).returned == 1 else 2
                runner.close()
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        thread.join()
        assert runner.run(ONE, world).returned == 1


def test_closing_within_a_run_is_refused(world: Any) -> None:
    class Closing:
        def names(self) -> tuple[str, ...]:
            return ("close",)

        def call(self, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
            runner.close()

    with ConfinedRunner(isolation="seccomp") as runner:
        with pytest.raises(InputError, match="close the runner after the run"):
            runner.run(Program("main", "def main(): tools.close()"), world, tools=Closing())
        assert runner.run(ONE, world).returned == 1


@pytest.mark.parametrize("depth", [28, 29, 30, 31, 32, 33, 40])
def test_nesting_near_the_limit_is_a_value_or_named(runner: ConfinedRunner, world: Any, depth: int) -> None:
    class Tools:
        def names(self) -> tuple[str, ...]:
            return ("same",)

        def call(self, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
            return args[0]

    source = (
        f"def main():\n    v = 1\n    for _ in range({depth}): v = [v]\n"
        "    try: print(tools.same(v) == v)\n    except ValueError: print('deep')\n    return v"
    )
    t = runner.run(Program("main", source), world, tools=Tools())
    assert t.error is None, t.error
    assert t.printed in ("True\n", "deep\n")
    assert t.returned == "<list nested deeper than 32>" or isinstance(t.returned, list)


def test_hosts_with_odd_settings(tmp_path: Path) -> None:
    """Blocked signals, SIGCHLD ignored, few descriptors, a long path: the same runs, limits and lines."""
    source = textwrap.dedent("""
        import resource, signal, sys
        from habilis.core import *
        from habilis.worlds.runner import ConfinedRunner
        class W:
            spec = WorldSpec("w", "", (), (), "1")
            def observe(self): return Snapshot()
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1, signal.SIGXCPU, signal.SIGALRM, signal.SIGCHLD])
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
        sys.path += [FOLDER + "/" + "x" * 200 + str(i) for i in range(2)] * 1000
        with ConfinedRunner(isolation="seccomp", modules=("bisect",)) as runner:
            loop = Program("main", "def main():\\n    x = 1\\n    while True: pass")
            error = runner.run(loop, W(), limits=RunLimits(seconds=0.3)).error
            print(error.kind, error.line, runner.run(Program("main", "def main(): return 5"), W()).returned)
    """)
    for i in range(2):
        (tmp_path / ("x" * 200 + str(i))).mkdir()
    source = source.replace("FOLDER", repr(str(tmp_path)))
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["time", "3", "5"], done.stderr
