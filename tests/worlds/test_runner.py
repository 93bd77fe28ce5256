"""Running programs: the language they see, the record the host keeps, the limits that end them."""

from __future__ import annotations

import ast
import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from habilis.core import (
    Action,
    Budget,
    BudgetExceeded,
    Cost,
    InputError,
    Ledger,
    Program,
    RunLimits,
    ToolError,
    Trajectory,
    WorldError,
)
from habilis.worlds import from_functions
from habilis.worlds import runner as package
from habilis.worlds.runner import ConfinedRunner, _waiting, probe
from habilis.worlds.runner._messages import Malformed, read_message
from habilis.worlds.runner._worker import ENVIRONMENT

Run = Callable[..., Trajectory]


class Tools:
    """Two tools: one adds, one fails; a third takes its budget's end badly."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, tuple[Any, ...], Mapping[str, Any]]] = []

    def names(self) -> tuple[str, ...]:
        return ("plus", "broken", "dear", "slow")

    def call(self, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        self.seen.append((name, args, kwargs))
        if name == "broken":
            raise ToolError("the service is down")
        if name == "dear":
            raise BudgetExceeded("usd", 1, 1, 0, 0.5)
        if name == "slow":
            time.sleep(0.4)
        return {"sum": sum(args) + kwargs.get("more", 0)}


# ---- what a program can do


def test_acts_reads_and_returns(run: Run, world: Any) -> None:
    t = run(
        "r = world.add('oak', n=2)\nworld.add('birch')\nprint('now', world.count('oak'))\nreturn [r.value, r.changes]"
    )
    assert t.error is None
    assert [s.action for s in t.steps] == [Action("add", ("oak", 2)), Action("add", ("birch",))]
    assert t.returned == [2, [["count", ["oak"], 0, 2]]]
    assert t.printed == "now 2\n"
    assert t.world_steps == 2
    assert (t.before.facts, t.after.facts) != ({}, t.before.facts)
    assert world.counts["oak"] == 2


def test_the_mirror_follows_changes_and_sums_tags(run: Run) -> None:
    t = run(
        "out = [world.count('#wood'), world.near('oak'), world.near('#wood'), world.near('lamp'), world.count('x')]\n"
        "world.add('oak', 2); world.add('birch', 3); out.append(world.count('#wood'))\n"
        "world.take('oak'); world.take('oak'); out.append(world.facts('count')[0]); out.append(world.tags('#wood'))\n"
        "return out"
    )
    assert t.returned == [0, True, True, False, 0, 5, [["birch"], 3], ["birch", "oak"]]


def test_what_a_tool_changes_is_seen_at_once(run: Run, world: Any) -> None:
    class Elsewhere(Tools):
        def call(self, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
            world.counts["rain"] = 7

    t = run("a = world.count('rain')\ntools.plus()\nreturn [a, world.count('rain')]", tools=Elsewhere())
    assert t.returned == [0, 7]


def test_observe_looks_again(run: Run, world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    look = world.observe

    def raining() -> Any:
        world.counts["rain"] = world.counts.get("rain", 0) + 1
        return look()

    monkeypatch.setattr(world, "observe", raining)
    a, still, b = run(
        "a = world.count('rain')\nstill = world.count('rain')\nworld.observe()\nreturn [a, still, world.count('rain')]"
    ).returned
    assert (still, b) == (a, a + 1)


def test_a_failed_action_says_what_was_unmet(run: Run) -> None:
    caught = run("try: world.take('stick')\nexcept ActionFailed as e: return [e.action, e.unmet, e.message]")
    assert caught.returned == ['take("stick")', ['count("stick") >= 1'], "nothing there"]
    assert caught.steps[0].outcome.ok is False
    loose = run("x = 1\nworld.take('stick')").error
    assert loose is not None
    assert (loose.kind, loose.line, loose.source_line) == ("ActionFailed", 3, "    world.take('stick')")
    assert 'count("stick") >= 1' in loose.message


def test_an_input_error_of_the_world_is_a_failed_action(run: Run) -> None:
    t = run("try: world.add('forbidden')\nexcept ActionFailed as e: return e.message")
    assert "try 'oak'" in t.returned
    assert t.world_steps == 0


@pytest.mark.parametrize(
    ("call", "says"),
    [
        ("world.add()", "needs 'name'"),
        ("world.add('a', 1, 2)", "at most 2"),
        ("world.add('a', m=2)", "no parameter 'm'"),
        ("world.add('a', name='b')", "given twice"),
        ("world.add(['a'])", "not list"),
        ("world.pick(depth=1)", "needs 'name'"),
        ("world.pick('a', name='b')", "given twice"),
        ("world.fly()", "it has: add"),
        ("tools.nope()", "there are: none"),
        ("skills.nope()", "there are: main"),
    ],
)
def test_a_wrong_call_is_told_how(run: Run, world: Any, call: str, says: str) -> None:
    t = run(call)
    assert t.error is not None
    assert t.error.kind in ("TypeError", "AttributeError")
    assert says in t.error.message
    assert t.error.line == 2
    assert world.acts == 0


def test_defaults_numbers_and_alternatives(run: Run) -> None:
    t = run("world.add(name='a'); world.add('b', 4 / 2); world.add('c', True)\nreturn world.pick('x', 'y', 'b').value")
    assert [s.action.args for s in t.steps] == [("a",), ("b", 2), ("c", 1), ("x", "y", "b")]
    named = "world.pick('a', 'b', depth=2); world.pick('b', depth=None)"
    t = run(named + "\nr = world.pick(depth=1, name='b'); world.pick('b')\nreturn r.value")
    assert [s.action.args for s in t.steps] == [("a", "b", 2), ("b",), ("b", 1), ("b",)]
    assert t.returned == "b"


def test_skills_call_each_other_and_errors_name_both_lines(runner: ConfinedRunner, world: Any) -> None:
    skills = {
        "twice": Program("twice", "def twice(what):\n    skills.once(what)\n    skills.once(what)\n"),
        "once": Program(
            "once", "def once(what):\n    if what == 'bad':\n        world.take('nothing')\n    world.add(what)\n"
        ),
    }
    main = Program("main", "def main(what):\n    skills.twice(what)\n    return world.count(what)\n")
    assert runner.run(main, world, args={"what": "oak"}, skills=skills).returned == 2
    error = runner.run(main, world, args={"what": "bad"}, skills=skills).error
    assert error is not None
    assert (error.kind, error.line, error.source_line) == ("ActionFailed", 2, "    skills.twice(what)")
    assert error.where == "in the skill once, line 3: world.take('nothing')"


def test_recursion_works_and_ends(run: Run, runner: ConfinedRunner, world: Any) -> None:
    down = Program("down", "def down(n):\n    return n if n == 0 else skills.down(n - 1)\n")
    assert runner.run(down, world, args={"n": 100}).returned == 0
    error = runner.run(down, world, args={"n": 10_000}).error
    assert error is not None
    assert (error.kind, error.line) == ("RecursionError", 2)
    ping = {
        "ping": Program("ping", "def ping():\n    skills.pong()\n"),
        "pong": Program("pong", "def pong():\n    skills.ping()\n"),
    }
    mutual = runner.run(ping["ping"], world, skills=ping).error
    assert mutual is not None
    assert mutual.kind == "RecursionError"


def test_tools_go_through_the_host_onto_the_tape(run: Run) -> None:
    tools = Tools()
    t = run(
        "try: tools.broken()\nexcept ToolFailed as e: print(e)\nreturn tools.plus(1, 2, more=3)['sum']", tools=tools
    )
    assert (t.returned, t.printed) == (6, "the service is down\n")
    assert [(c.tool, dict(c.args), c.value, c.error) for c in t.tape] == [
        ("broken", {}, None, "the service is down"),
        ("plus", {"0": 1, "1": 2, "more": 3}, {"sum": 6}, None),
    ]


def test_a_tool_without_budget_ends_the_run_and_leaves_the_worker_usable(run: Run, world: Any) -> None:
    with pytest.raises(BudgetExceeded, match="usd"):
        run("world.add('oak')\ntry: tools.dear()\nexcept BaseException: pass\nworld.add('oak')", tools=Tools())
    assert world.acts == 1
    assert run("return 1").returned == 1


def test_a_tool_result_without_json_form_is_the_tools_error(run: Run) -> None:
    class Odd(Tools):
        def call(self, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
            return object()

    with pytest.raises(ToolError, match="the tool plus has no JSON form"):
        run("tools.plus()", tools=Odd())
    assert run("return 1").returned == 1


def test_long_answers_arrive_whole(run: Run) -> None:
    class Long(Tools):
        def call(self, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
            return "äx" * args[0]

    t = run("return [len(tools.plus(n)) for n in (10, 29_990, 30_000, 400_000)]", tools=Long())
    assert t.returned == [20, 59_980, 60_000, 800_000]


def test_time_in_tools_is_not_the_programs(run: Run) -> None:
    t = run("return tools.slow(1)['sum']", tools=Tools(), limits=RunLimits(seconds=0.3))
    assert (t.error, t.returned) == (None, 1)


def test_imports(run: Run) -> None:
    assert (
        run("import math, collections.abc, heapq\nfrom itertools import islice\nreturn math.floor(2.5)").returned == 2
    )
    for bad in ("import os", "from socket import socket", "import habilis", "from . import x"):
        error = run(bad).error
        assert error is not None
        assert (error.kind, error.line) == ("import", 2)
        assert "may import bisect" in error.message


def test_what_has_no_json_form_is_named_by_its_type(run: Run) -> None:
    assert run("return {1, 2}").returned == [1, 2]
    assert run("return world.add('a')").returned == 1
    assert run("return object()").returned == "<object>"
    assert run("return float('nan')").returned == "<float>"
    assert run("return '\\ud800'").returned == "<str>"
    assert run("return 'äß→🙂'").returned == "äß→🙂"
    assert "bytes>" in run("return 'a' * 10**6").returned
    assert run("a = []\na.append(a)\nreturn a").returned == "<list>"


def test_print_is_cleaned(run: Run) -> None:
    assert run("print('\\x1b[2Jred\\x07', '\\ud800', 'äß→🙂')").printed == "?[2Jred? \\ud800 äß→🙂\n"


# ---- runs repeat, and leave nothing behind


def test_the_same_seed_gives_the_same_run(run: Run) -> None:
    body = (
        "import random\nr = random.Random(); random.seed()\n"
        "return [hash('x'), random.random(), r.random(), random.Random().random(), list({'a', 'b', 'c', 'd'})]"
    )
    first, again, other = (run(body, seed=s).returned for s in (1, 1, 2))
    assert first == again
    assert first[1:4] != other[1:4]
    assert len({first[1], first[2], first[3]}) == 3


def test_a_run_leaves_nothing_to_the_next(run: Run) -> None:
    spoil = "import json\njson.loads = None\nb = json.codecs.builtins\nb.print = b.max = None"
    assert run(spoil + "\nreturn 1").returned == 1
    t = run("import json\nprint('clean')\nreturn json.loads('[1]') + [max(1, 2)]")
    assert (t.returned, t.printed) == ([1, 2], "clean\n")


def test_threads_share_a_runner(runner: ConfinedRunner, world: Any) -> None:
    results: list[Any] = []

    def one(i: int) -> None:
        program = Program("main", "def main(i):\n    world.add(f'thing{i}')\n    return i\n")
        results.append(runner.run(program, world, args={"i": i}).returned)

    threads = [threading.Thread(target=one, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == list(range(8))
    assert all(world.counts[f"thing{i}"] == 1 for i in range(8))


def test_a_worker_started_by_a_thread_outlives_it(world: Any) -> None:
    with ConfinedRunner() as runner:
        thread = threading.Thread(target=lambda: runner.run(Program("main", "def main(): pass"), world))
        thread.start()
        thread.join()
        workers = runner.processes
        assert runner.run(Program("main", "def main(): return 5"), world).returned == 5
        assert runner.processes == workers


def test_a_killed_worker_is_started_again(world: Any) -> None:
    with ConfinedRunner() as runner:
        program = Program("main", "def main(): return 5")
        assert runner.run(program, world).returned == 5
        os.kill(runner.processes[0], signal.SIGKILL)
        assert runner.run(program, world).returned == 5
        runner.close()
        assert runner.run(program, world).returned == 5


def test_a_fork_of_the_host_has_a_worker_of_its_own(runner: ConfinedRunner, world: Any) -> None:
    program = Program("main", "def main(): return 5")
    runner.run(program, world)
    workers = runner.processes
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            code = 0 if runner.run(program, world).returned == 5 and runner.processes != workers else 2
            runner.close()
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert runner.run(program, world).returned == 5
    assert runner.processes == workers


# ---- limits


@pytest.mark.parametrize(
    ("body", "limits", "kind", "line", "says"),
    [
        ("x = 1\nwhile True: pass", RunLimits(seconds=0.2), "time", 3, "seconds=0.2"),
        ("while True: pass", RunLimits(cpu_seconds=1), "time", 2, "cpu_seconds=1"),
        ("x = []\nwhile True: x.append(bytearray(1 << 24))", RunLimits(memory_mb=256), "memory", 3, "memory_mb=256"),
        ("while True: print('x' * 999)", RunLimits(), "output", 2, "output_bytes=64000"),
        ("print('x' * 200)", RunLimits(output_bytes=100), "output", None, "output_bytes=100"),
        ("while True: world.add('a')", RunLimits(world_steps=10), "steps", 2, "world_steps=10"),
        ("world.add('a')\nworld.walk()", RunLimits(world_steps=5), "steps", 3, "walk takes up to 5"),
        ("while True: world.observe()", RunLimits(calls=50), "calls", 2, "calls=50"),
        ("while True: tools.plus(1)", RunLimits(tool_calls=3), "calls", 2, "tool_calls=3"),
    ],
)
def test_limits_name_themselves_and_the_line(
    run: Run, world: Any, body: str, limits: RunLimits, kind: str, line: int | None, says: str
) -> None:
    t = run(body, limits=limits, tools=Tools())
    assert t.error is not None
    assert (t.error.kind, t.error.line) == (kind, line)
    assert says in t.error.message
    assert t.world_steps <= (limits.world_steps or 0)
    assert run("return 1").returned == 1


def test_every_limit_is_finite_by_default() -> None:
    for limit in fields(RunLimits):
        assert 0 < getattr(RunLimits(), limit.name) < float("inf"), limit.name


def test_limits_that_are_off(run: Run) -> None:
    off = RunLimits(**dict.fromkeys(f.name for f in fields(RunLimits)))
    t = run("for _ in range(300): world.add('a')\nprint('x' * 70_000)\nreturn 1", limits=off)
    assert (t.error, t.world_steps, len(t.printed)) == (None, 300, 70_001)


# ---- the ledger


def test_world_steps_are_charged(run: Run, world: Any) -> None:
    ledger = Ledger(Budget(usd=None, world_steps=100))
    run("for _ in range(70): world.add('a')\nworld.walk()", ledger=ledger)
    assert (ledger.spent.world_steps, ledger.reserved) == (75, Cost())


def test_a_ledger_that_runs_out_ends_the_run_before_the_step(run: Run, world: Any) -> None:
    ledger = Ledger(Budget(usd=None, world_steps=10))
    with pytest.raises(BudgetExceeded, match="world_steps=10"):
        run("while True:\n    try: world.add('a')\n    except BaseException: pass", ledger=ledger)
    assert (world.acts, ledger.spent.world_steps, ledger.reserved) == (10, 10, Cost())
    with pytest.raises(BudgetExceeded):
        run("return 1", ledger=ledger)


def test_a_world_that_raises_is_the_hosts_error(run: Run, world: Any) -> None:
    ledger = Ledger()
    with pytest.raises(WorldError, match="counter raised on crash") as caught:
        run("world.add('a')\ntry: world.crash()\nexcept BaseException: pass", ledger=ledger)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert ledger.reserved == Cost()
    assert run("return 1").returned == 1
    world.observe = lambda: 1 / 0
    with pytest.raises(WorldError, match="raised when observed"):
        run("return 1")


# ---- bad sources


@pytest.mark.parametrize(
    ("source", "line", "says"),
    [
        ("def main():\n    x = = 1", 2, "invalid syntax"),
        ("def main():\n  x = 1\n y", 3, "unindent"),
        ("def main():\n    '\0'", 2, "null byte"),
        ("def main():\n\n    '\ud800'", 3, "surrogate"),
        ("#" * 1_000_001, None, "limit is 1000000"),
        ("#" * 10_000_000, None, "limit is 1000000"),
        (b"def main(): pass", None, "not text"),
        ("(" * 500 + ")" * 500, 1, "parentheses"),
    ],
)
def test_bad_sources_fail_with_their_line(
    runner: ConfinedRunner, world: Any, source: Any, line: int | None, says: str
) -> None:
    t = runner.run(Program("main", source), world)
    assert t.error is not None
    assert (t.error.kind, t.error.line) == ("syntax", line)
    assert says in t.error.message


@pytest.mark.parametrize("name", [7, None, b"main", ["main"], "ma\0in", "ma\ud800in", "main()", "", "m" * 10_000 + " "])
def test_a_name_that_is_none_is_told(runner: ConfinedRunner, world: Any, name: Any) -> None:
    error = runner.run(Program(name, "def main(): pass"), world).error
    assert error is not None
    assert (error.kind, len(error.message) < 200) == ("syntax", True)
    assert "not text" in error.message or "is not a function name" in error.message


def test_a_source_without_its_function(runner: ConfinedRunner, world: Any) -> None:
    error = runner.run(Program("main", "def other(): pass"), world).error
    assert error is not None
    assert "'main'" in error.message
    broken = {"b": Program("b", "def b(:")}
    error = runner.run(Program("main", "def main():\n    skills.b()"), world, skills=broken).error
    assert error is not None
    assert (error.kind, error.line, error.where) == ("syntax", 2, "in the skill b, line 1: def b(:")


def test_arguments_must_be_json(runner: ConfinedRunner, world: Any) -> None:
    with pytest.raises(InputError, match="no JSON form"):
        runner.run(Program("main", "def main(x): pass"), world, args={"x": object()})


# ---- the protocol


@settings(max_examples=300)
@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_malformed(raw: bytes) -> None:
    try:
        message = read_message(raw)
    except Malformed:
        return
    assert isinstance(message[0], str)
    json.dumps(message, allow_nan=False, ensure_ascii=False).encode()


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[",
        b"[]",
        b"{}",
        b"[1]",
        b'["act",NaN]',
        b'["act",-Infinity]',
        b'["act",1e999]',
        b'["x","\\ud800"]',
        b"[" * 30_000 + b"]" * 30_000,
        b'["' + b"a" * 70_000 + b'"]',
        b'["x",' + b"9" * 5_000 + b"]",
        b"\xff\xfe[",
    ],
)
def test_malformed_messages(raw: bytes) -> None:
    with pytest.raises(Malformed):
        read_message(raw)


# ---- the system


def test_probe_finds_a_tier_here() -> None:
    found = probe()
    assert found.tier in (0, 1, 2, 3)
    assert (found.tier < 3) == bool(found.missing) == (found.fix is not None)


def test_the_worker_has_a_clean_environment_and_none_of_our_packages(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_API_KEY", "canary-key")
    source = textwrap.dedent("""
        import json
        def main():
            load = json.codecs.builtins.__import__
            os, sys = load("os"), load("sys")
            with open(f"/proc/{os.getppid()}/environ", "rb") as file:
                said = file.read().decode()
            return [said, sorted(os.environ), sorted(m for m in sys.modules if m.startswith("habilis"))]
    """)
    with ConfinedRunner(unsafe_no_isolation=True) as fresh:
        environ, names, modules = fresh.run(Program("main", source), world).returned
    assert "canary" not in environ
    assert set(names) <= {*ENVIRONMENT, "LD_LIBRARY_PATH", "LC_CTYPE"}
    assert "habilis.worlds.runner.worker.language" in modules
    assert not [m for m in modules if not "habilis.worlds.runner.worker".startswith(m.rpartition(".")[0])]


def test_the_worker_imports_the_standard_library_only() -> None:
    # `simulate` has one import of ours, in the constructor that only a worker with our package calls.
    own = ("habilis.worlds.runner.worker", "frames", "habilis.core")
    for path in sorted((Path(package.__file__).parent / "worker").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            modules = (
                [a.name for a in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else []
            )
            for module in modules:
                if module == "habilis.core":
                    assert path.name == "simulate.py"
                assert module.startswith(own) or module.partition(".")[0] in sys.stdlib_module_names, (path, module)


def test_nothing_here_reads_pickles_or_evaluates_what_comes() -> None:
    """What makes objects of bytes, anywhere between host and worker. ``language`` compiles programs: in the worker."""
    forbidden = {"pickle", "_pickle", "marshal", "shelve", "dill", "cloudpickle", "multiprocessing", "copyreg", "yaml"}
    for path in sorted(Path(package.__file__).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                assert not forbidden & {alias.name.partition(".")[0] for alias in node.names}, path
            elif isinstance(node, ast.ImportFrom):
                assert (node.module or "").partition(".")[0] not in forbidden, path
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and path.name != "language.py":
                assert node.func.id not in ("eval", "exec", "compile", "__import__"), path


def _running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def _descendants(pid: int) -> list[int]:
    """All processes beneath this one, by the kernel's own lists."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in map(int, (task / "children").read_text().split()):
            found += [child, *_descendants(child)]
    return found


@pytest.mark.parametrize("isolation", ["auto", "landlock"])
@pytest.mark.parametrize("when", ["idle", "running"])
def test_a_killed_host_leaves_no_process(when: str, isolation: str) -> None:
    source = textwrap.dedent(f"""
        import time
        from habilis.core import *
        from habilis.worlds.runner import ConfinedRunner
        class W:
            spec = WorldSpec("w", "", (Primitive("say", ""),), (), "1")
            def observe(self): return Snapshot()
            def act(self, action):
                print("acting", flush=True)
                return Outcome(True)
        runner = ConfinedRunner(isolation={isolation!r})
        loop = "while True: pass" if {when!r} == "running" else "return"
        runner.run(Program("main", "def main():\\n    world.say()\\n    " + loop), W())
        time.sleep(60)
    """)
    host = subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE, text=True)
    assert host.stdout is not None
    assert host.stdout.readline() == "acting\n"
    time.sleep(0.2)
    pids = _descendants(host.pid)
    assert len(pids) >= 3  # the worker, the run or the next one, and the one after that
    assert all(map(_running, pids))
    os.kill(host.pid, signal.SIGKILL)
    host.wait()
    host.stdout.close()
    until = time.monotonic() + 5
    while any(map(_running, pids)) and time.monotonic() < until:
        time.sleep(0.01)
    assert not [pid for pid in pids if _running(pid)]


def test_a_tool_may_run_a_program_of_its_own(runner: ConfinedRunner, world: Any) -> None:
    class Nesting(Tools):
        def names(self) -> tuple[str, ...]:
            return ("inner",)

        def call(self, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
            depth = args[0]
            body = f"return tools.inner({depth - 1}) + 1" if depth else "return 10"
            t = runner.run(Program("main", f"def main():\n    {body}"), world, tools=self)
            assert t.error is None, t.error
            return t.returned

    source = (
        "def main():\n    world.add('a')\n    n = tools.inner(2)\n    world.add('a')\n    return [n, world.count('a')]"
    )
    assert runner.run(Program("main", source), world, tools=Nesting()).returned == [12, 2]
    assert runner.run(Program("main", "def main(): return 1"), world).returned == 1


def test_what_a_program_returns_is_fit_to_be_shown(run: Run) -> None:
    assert run("return {'a\\x1b[2J': ['\\x07', {'b': '\\u202e'}], 'n': 1}").returned == {
        "a?[2J": ["?", {"b": "?"}],
        "n": 1,
    }


def test_a_world_that_does_not_answer_is_named(runner: ConfinedRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_waiting, "AFTER", 0.2)
    monkeypatch.setattr("habilis.worlds.runner._session.WAITING", _waiting.Waiting())

    def nap() -> None:
        time.sleep(0.9)

    def blink() -> None:
        time.sleep(0.01)

    world = from_functions([nap, blink], observe=dict, name="bed")
    program = Program("rest", "def rest():\n    world.blink()\n    world.nap()\n    world.blink()\n")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        done = runner.run(program, world)
        time.sleep(0.3)
    assert done.error is None
    said = [str(w.message) for w in told if issubclass(w.category, RuntimeWarning)]
    assert len(said) == 1
    assert said[0].startswith("the world 'bed' has not answered nap() for 0 s")
