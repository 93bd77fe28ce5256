"""Integrity and peeking: what a program claims changes nothing, and what it must not know never reaches its process."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.worlds.attacks.payloads import FIRST, PRELUDE

from habilis.core import Program, RunLimits, Trajectory
from habilis.worlds.craft import CraftWorld
from habilis.worlds.runner import ConfinedRunner, UnconfinedWarning

# Walks every object that the garbage collector knows, all they refer to, every module and frame, and says which of the
# words are held by any. The words are told backwards, so that being told them does not count.
HUNT = """
gc = _load('gc')
def hunt(*told):
    words = [word[::-1] for word in told]
    seen = {id(o) for o in (words, *words, told)}
    todo, found = [*gc.get_objects(), *sys.modules.values(), sys._getframe().f_back], set()
    seen |= {id(todo), id(found), id(seen)}
    while todo:
        o = todo.pop()
        if id(o) in seen: continue
        seen.add(id(o))
        if isinstance(o, (str, bytes, bytearray, memoryview)):
            text = o if isinstance(o, str) else bytes(o).decode('latin-1')
            found.update(word for word in words if word in text)
        elif type(o) is int:
            found.update(word for word in words if word == str(o))
        else:
            todo.extend(gc.get_referents(o))
    return sorted(found)
"""


# Reads all memory of the process that may be read, what was freed too. The words are told backwards; forwards, it has
# them without their last letter only.
DREDGE = """
def dredge(*told):
    found = set()
    for line in open('/proc/self/maps').read().splitlines():
        span, may = line.split()[:2]
        if may[0] != 'r' or '[v' in line: continue
        start, end = (int(x, 16) for x in span.split('-'))
        raw = ctypes.string_at(start, end - start)
        for word in told:
            most, last = word[:0:-1].encode(), word[:1].encode()
            at = raw.find(most)
            while at >= 0:
                if raw[at + len(most):at + len(most) + 1] == last: found.add(word)
                at = raw.find(most, at + 1)
    return sorted(word[::-1] for word in found)
"""


def attack(runner: ConfinedRunner, world: Any, body: str, limits: RunLimits | None = None, **given: Any) -> Trajectory:
    source = PRELUDE + "".join(f"    {line}\n" for line in body.strip("\n").split("\n"))
    return runner.run(Program("main", source), world, args=given, limits=limits or RunLimits(seconds=10))


# ---- what is claimed


def test_a_forged_ending_changes_nothing_but_the_claim(confined: ConfinedRunner, world: Any) -> None:
    before = dict(world.counts)
    body = 'os.write(3, b\'["done",{"success":true,"reward":999}]\')\nwhile True: world.add("oak")'
    t = attack(confined, world, body)
    assert t.returned == {"success": True, "reward": 999}
    assert t.after.facts == t.before.facts
    assert (t.steps, world.counts) == ((), before)
    assert attack(confined, world, "return world.count('oak')").returned == 0


@pytest.mark.parametrize(
    "frames",
    [
        '[["main",99999,"f"],["../../etc",1,"f"],["main",-5,"\\\\u001b[2J"],["main","x",1],7]',
        '[["main",' + "9" * 4_000 + ',"f"]]',
        '[["main",1.5,"f"],["main",null,"f"],["main",true,"f"]]',
        "[[[]],{},[1,2,3]]",
    ],
)
def test_a_forged_error_names_only_real_lines(confined: ConfinedRunner, world: Any, frames: str) -> None:
    t = attack(confined, world, f'os.write(3, b\'["error","K","m",{frames}]\')\nos._exit(0)')
    assert t.error is not None
    assert t.error.source_line == "" or t.error.kind == "K"
    assert t.error.line is None or 0 < t.error.line <= FIRST + 3
    assert t.error.where.isprintable()


@pytest.mark.parametrize(
    "said", ["b'9' * 60_000", "b'File \"<skill main>\", line ' + b'9' * 5000 + b' in main\\n'", "b'\\xff\\x1b[2J\\0'"]
)
def test_a_forged_dump_is_not_the_limit(confined: ConfinedRunner, world: Any, said: str) -> None:
    t = attack(confined, world, f"os.write(4, {said})\nwhile True: pass", RunLimits(seconds=3))
    assert t.error is not None
    assert "cpu_seconds" not in t.error.message
    assert t.error.line is None or 0 < t.error.line <= FIRST + 2
    assert t.error.message.isprintable()


def test_forged_steps_count(confined: ConfinedRunner, world: Any) -> None:
    flood = 'while True:\n    os.write(3, b\'["act","add",["oak"]]\')\n    os.read(3, 65536)'
    t = attack(confined, world, flood, RunLimits(seconds=5, world_steps=20))
    assert t.error is not None
    assert (t.error.kind, t.world_steps, world.counts["oak"]) == ("steps", 20, 20)


def test_requests_without_reading_replies_end(confined: ConfinedRunner, world: Any) -> None:
    t = attack(confined, world, "while True: os.write(3, b'[\"observe\"]')", RunLimits(seconds=1, calls=50_000))
    assert t.error is not None
    assert t.error.kind in ("time", "calls")


def test_changing_its_mirror_fools_only_itself(confined: ConfinedRunner, world: Any) -> None:
    body = "vars(world)['_tables']['count'][('oak',)] = 99\nreturn world.count('oak')"
    t = attack(confined, world, body)
    assert t.returned == 99
    assert t.after.facts == t.before.facts


# ---- the fast path's traces


def full() -> CraftWorld:
    world = CraftWorld(view="full")
    world.reset(3)
    return world


@pytest.fixture(scope="module")
def fast() -> Any:
    with ConfinedRunner(fast=True) as runner:
        yield runner


@pytest.mark.parametrize(
    ("body", "step"),
    [
        ("world._ways.simulation._world._inventory['diamond'] = 64\nworld.craft('diamond_block')", 1),
        (
            "world.find('dirt'); world.gather('dirt')\nworld._ways.simulation._told[1][2][-1] = 64\n"
            "world.find('dirt')\nworld.gather('dirt')",
            2,
        ),
        ("world.find('dirt')\nworld._ways.simulation._world._rng = 1\nworld.gather('dirt')", 2),
        ('world.find(\'dirt\')\nos.write(3, b\'["trace",[["gather",["diamond"],[true,1,64]]]]\')', 1),
    ],
)
def test_a_forged_trace_names_its_step(fast: ConfinedRunner, body: str, step: int) -> None:
    world = full()
    t = attack(fast, world, body)
    assert t.error is not None
    assert t.error.kind == "forged"
    assert f"step {step}" in t.error.message
    assert world.observe().facts == t.after.facts
    assert all(s.outcome.ok or s is t.steps[-1] for s in t.steps)
    assert not [f for f in t.after.facts if "diamond" in str(f)]


@pytest.mark.parametrize(
    "raw",
    [
        '["trace",7]',
        '["trace",[[1]]]',
        '["trace",[["gather",["dirt"],1]]]',
        '["trace",[["win",[],[true,1]]]]',
        '["trace",[["gather",[[1]],[true,1]]]]',
        '["trace",[' + ",".join(['["observe",[],[true,0]]'] * 1_001) + "]]",
    ],
)
def test_a_trace_out_of_form_breaks_the_protocol(fast: ConfinedRunner, raw: str) -> None:
    t = attack(fast, full(), f"os.write(3, {raw.encode()!r})\nos.read(3, 10)")
    assert t.error is not None
    assert t.error.kind == "protocol"
    assert t.steps == ()


# ---- what is known


def test_the_hidden_state_is_nowhere_in_the_programs_process(confined: ConfinedRunner) -> None:
    """The seed of the land and the state of luck: who knows them, knows all that is hidden."""
    world = CraftWorld()
    world.reset(123_456_789)
    hidden = [str(world._terrain.seed), str(world._rng)]
    body = HUNT + "return hunt(*told)"
    # What was observed is found: the hunt works.
    told = [word[::-1] for word in (*hidden, "explored", "987654321123")]
    t = attack(confined, world, body, told=told, shown=987654321123)
    assert (t.error, t.returned) == (None, ["987654321123", "explored"])
    # And in a world without secrets, simulated beside the program, the same hunt finds the same words.
    world = full()
    hidden = [str(world._terrain.seed), str(world._rng)]
    with ConfinedRunner(isolation="seccomp", fast=True) as runner:
        t = attack(runner, world, body, told=[word[::-1] for word in hidden])
    assert (t.error, t.returned) == (None, sorted(hidden))


def test_hidden_texts_are_nowhere_in_the_programs_process(confined: ConfinedRunner, world: Any) -> None:
    assert world.hidden == "canary-hidden-state"
    world.counts["canary-seen"] = 1
    told = [word[::-1] for word in ("canary-hidden", "canary-seen")]
    t = attack(confined, world, HUNT + "return hunt(*told)", told=told)
    assert (t.error, t.returned) == (None, ["canary-seen"])


def test_what_an_earlier_run_was_told_is_gone(confined: ConfinedRunner, world: Any) -> None:
    attack(
        confined, world, "keep = sys.modules['keep'] = given\njson.keep = 'canary-of-run-one'", word="canary-argument"
    )
    told = [word[::-1] for word in ("canary-of-run-one", "canary-argument")]
    t = attack(confined, world, HUNT + "return [hasattr(json, 'keep'), hunt(*told)]", told=told)
    assert (t.error, t.returned) == (None, [False, []])


def test_no_byte_of_memory_holds_what_must_not_be_known(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same worker, unconfined, for what is mapped can only be listed by who may open a file: what is hidden in the
    world, what the host knows besides, what earlier runs were told. What was observed is found."""
    monkeypatch.setenv("SOME_API_KEY", "canary-of-the-host")
    assert world.hidden == "canary-hidden-state"
    words = ["canary-hidden-state", "canary-of-the-host", "canary-of-run-one", "canary-seen"]
    with ConfinedRunner(unsafe_no_isolation=True) as fresh:
        with pytest.warns(UnconfinedWarning):
            assert fresh.tier == 0
        attack(fresh, world, "keep = sys.modules['keep'] = given", given="canary-of-run-one")
        world.counts["canary-seen"] = 1
        t = attack(fresh, world, DREDGE + "return dredge(*told)", told=[word[::-1] for word in words])
    assert (t.error, t.returned) == (None, ["canary-seen"])


def test_the_kernel_says_the_same_of_a_program_that_runs(confined: ConfinedRunner, world: Any) -> None:
    """What was given up, told by the kernel while a program runs, and not by who gave it up."""
    told: dict[str, str] = {}
    limits: dict[str, list[str]] = {}

    class Looking:
        def names(self) -> tuple[str, ...]:
            return ("look",)

        def call(self, name: str, args: tuple[Any, ...], kwargs: Any) -> Any:
            of = Path(f"/proc/{_of_this_run(confined.processes)}")
            told.update(line.split(":\t", 1) for line in (of / "status").read_text().splitlines() if ":\t" in line)
            rows = (of / "limits").read_text().splitlines()[1:]
            limits.update({row[:26].strip(): row[26:].split()[:2] for row in rows})

    program = Program("main", "def main(): tools.look()")
    t = confined.run(program, world, tools=Looking(), limits=RunLimits(memory_mb=300, cpu_seconds=7))
    assert t.error is None, t.error
    assert (told["Seccomp"], told["NoNewPrivs"], told["Threads"]) == ("2", "1", "1")
    for kind in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        assert int(told[kind], 16) == 0, kind
    for name in ("Max core file size", "Max file size", "Max processes", "Max locked memory"):
        assert limits[name] == ["0", "0"], name
    assert limits["Max open files"] == ["16", "16"]
    assert limits["Max cpu time"] == ["7", "8"]
    assert limits["Max address space"] == [str(300 << 20)] * 2


def _of_this_run(workers: tuple[int, ...]) -> int:
    """The youngest beneath the workers that is confined: the next run's is not yet, an earlier one's may just be
    ending."""
    todo, found = list(workers), []
    while todo:
        pid = todo.pop()
        todo += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
        if "\nSeccomp:\t2\n" in Path(f"/proc/{pid}/status").read_text():
            found.append(pid)
    return max(found)


def test_the_worker_holds_no_descriptor_of_the_host(world: Any, targets: dict[str, Any]) -> None:
    fd = os.open(targets["secret"], os.O_RDONLY)
    os.set_inheritable(fd, True)
    try:
        with pytest.warns(RuntimeWarning), ConfinedRunner(unsafe_no_isolation=True) as fresh:
            t = attack(fresh, world, "return sorted(int(f) for f in os.listdir('/proc/self/fd'))")
    finally:
        os.close(fd)
    assert t.returned is not None
    assert t.returned[:5] == [0, 1, 2, 3, 4]
    assert len(t.returned) == 6  # and the folder being listed


def test_bubblewrap_shows_no_file_of_the_users(world: Any, targets: dict[str, Any], confined: ConfinedRunner) -> None:
    if confined.tier < 3:
        assert confined.isolation.backend == ""
        return
    # Not the program, which can open nothing anyway, but the worker: by the kernel's list of what it has mounted.
    worker = confined.processes[0]
    inside = int(Path(f"/proc/{worker}/task/{worker}/children").read_text().split()[0])
    mounts = [line.split() for line in Path(f"/proc/{inside}/mountinfo").read_text().splitlines()]
    shown = [mount for mount in mounts if mount[4] != "/" and not mount[4].startswith("/dev")]
    assert shown
    for mount in shown:
        assert "ro" in mount[5].split(","), mount
        assert not Path(targets["secret"]).is_relative_to(mount[4]), mount
        assert not Path.home().is_relative_to(mount[4]), mount


# ---- what breaks


@pytest.mark.parametrize(
    ("body", "kinds"),
    [
        ("x = []\nwhile True: x.append(bytearray(1 << 26))", {"memory"}),
        ("sys.setrecursionlimit(10**9)\ndef f(): f()\nf()", {"died", "memory", "time", "RecursionError"}),
        ("ctypes.string_at(0)", {"died"}),
        ("os.abort()", {"died"}),
        ("os._exit(0)", {"died"}),
        ("os._exit(97)", {"died"}),
        ("sys.exit(0)", {"SystemExit"}),
        ("raise KeyboardInterrupt", {"KeyboardInterrupt"}),
        ("os.close(3)", {"died", "OSError", "time"}),
        ("raise type('\\x1b[2J' * 99, (Exception,), {})('\\ud800\\x1b' + 'z' * 10**6)", {"?[2J" * 25}),
        ("raise type('E', (Exception,), {'__str__': lambda self: 7})()", {"E"}),
        ("raise SyntaxError('x', ('<skill main>', 10**9, 1, 'y'))", {"syntax"}),
    ],
)
def test_what_breaks_is_a_failed_run(confined: ConfinedRunner, world: Any, body: str, kinds: set[str]) -> None:
    t = attack(confined, world, body, replace(RunLimits(), seconds=3, memory_mb=256))
    assert t.error is not None
    assert t.error.kind in kinds
    assert len(t.error.message) < 2_100
    assert t.error.message.isprintable()
    assert attack(confined, world, "return 'next'").returned == "next"
