"""Ten thousand programs of all sorts in one runner per tier: nothing grows, and after each bad one the next is clean.

    make soak        or        python -m tests.soak.programs --runs 10000

Good ones, with tools and on the fast path too, and such as loop, crash, flood, forge, take all memory, and leave things
behind. After a warm-up open descriptors and processes may not become more, host and workers may take `HOST_MB` and
`WORKER_MB` more at most, and no worker may have to be started again. After every bad program a probe runs, which must
find what the first one found: modules, descriptors, random numbers, clock, ids, world. What a run did to its world must
be what repeating its steps does.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest import mock

from tests.soak import _processes as processes
from tests.worlds.attacks.payloads import PRELUDE, PROTOCOL

from habilis.core import IsolationError, Program, RunLimits, ToolError, Trajectory
from habilis.worlds.craft import CraftWorld
from habilis.worlds.runner import ConfinedRunner, probe

NAMES = {1: "seccomp", 2: "landlock", 3: "bubblewrap"}
HOST_MB, WORKER_MB = 8.0, 2.0  # that may be taken after the warm-up: the allocator's own to and fro
PROCESSES = 2  # that there may be more of at a look: a fork that each worker is just making
LIMITS = RunLimits(seconds=0.2, memory_mb=160, cpu_seconds=5)
EASY = replace(LIMITS, seconds=20.0)  # of programs that end by themselves, however busy the machine is
TABLE = 1_000
_SAMPLE = 50  # programs between two looks at what is held
_WARM = 500  # programs of the warm-up, at most


class Tools:
    def names(self) -> tuple[str, ...]:
        return ("double", "down")

    def call(self, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        if name == "down":
            raise ToolError("out of order")
        return args[0] * 2


@dataclass(frozen=True)
class Sort:
    """A sort of program. ``share``: how many of them beside the shares of the others. ``ends``: the kinds of error that
    it may end with, none at all if it is good; then it also returns the same each time."""

    name: str
    share: int
    bodies: Sequence[str]
    ends: tuple[str, ...] = ()
    limits: RunLimits = LIMITS
    fast: bool = False

    def program(self, draw: random.Random) -> Program:
        body = draw.choice(self.bodies)
        return Program("main", PRELUDE + "".join(f"    {line}\n" for line in body.strip("\n").split("\n")))


_STEPS = "for i in range({}):\n    world.move('east'); world.move('west')\n"
_FORGED_TRACES = (
    "world._ways.simulation._world._inventory['diamond'] = 64\nworld.craft('diamond_block')",
    'os.write(3, b\'["trace",[["gather",["diamond"],[true,1,64]]]]\')\nos.read(3, 10)',
    "world.move('east')\nos.write(3, b'[\"state\",\"0\"]')\nos.read(3, 10)",
)
_LEFT = """
keep = sys.modules['keep'] = list(range(1000))
json.keep = json.loads = None
sys.modules['math'].pi = 3
_load('builtins').keep = 1
_load('random').seed(1); os.environ['KEEP'] = '1'
_load('gc').disable(); sys.setrecursionlimit(77); signal.signal(signal.SIGTERM, signal.SIG_IGN)
sys.stdout.write('left')
"""
_DEAF = (
    "for n in range(1, 65):\n    try: signal.signal(n, signal.SIG_IGN)\n    except Exception: pass\nwhile True: pass"
)
_NEVER_TOLD = "class E(Exception):\n    def __str__(self):\n        while True: pass\nraise E()"
_FORGED_END = 'os.write(3, b\'["error","Forged","",[["main",3,"f"],7]]\')\nwhile True: pass'
_BROKEN = "ctypes.memset(id(None), 255, 4096)\nreturn [None] * 99"
_THERE_AND_BACK = "while True: world.move('east'); world.move('west')"
_GOOD = (
    Sort("acts", 40, (_STEPS.format(3) + "print('at', world.depth())\nreturn world.explored()",), limits=EASY),
    Sort("batch", 6, ("return len(world.steps([('move', 'east'), ('move', 'west')] * 20))",), limits=EASY),
    Sort("computes", 20, ("return sum(i * i for i in range(5000))", "return sorted('habilis')"), limits=EASY),
    Sort("uses many tools", 8, ("return sum(tools.double(i) for i in range(40))",), limits=EASY),
    Sort("simulated", 5, (_STEPS.format(40) + "return world.explored()",), limits=EASY, fast=True),
    Sort("simulated, long", 1, (_STEPS.format(400) + "return tools.double(4)",), limits=EASY, fast=True),
)
_BAD = (
    Sort("fails at a tool", 2, ("for _ in range(9): tools.down()",), ("ToolFailed",), EASY),
    Sort("uses too many tools", 2, ("while True: tools.double(1)",), ("calls",), EASY),
    Sort("takes too many steps", 1, (_THERE_AND_BACK,), ("steps",), replace(EASY, world_steps=99)),
    Sort("loops", 2, ("while True: pass", _DEAF, _NEVER_TOLD, "os.read(3, 10)"), ("time",)),
    Sort("raises a long error", 2, ("raise ValueError('x' * 9999)",), ("ValueError",), EASY),
    Sort("raises", 3, ("return 1 / 0", "return skills.nothing"), ("ZeroDivisionError", "AttributeError"), EASY),
    Sort("crashes", 5, ("os._exit(3)", "ctypes.string_at(0)", _BROKEN, "os.abort()"), ("died",), EASY),
    Sort("recurses", 1, ("def f(): f()\nf()",), ("RecursionError",), EASY),
    Sort("prints for ever", 2, ("while True: print('x' * 999)",), ("output",), EASY),
    Sort("writes for ever", 1, ("while True: os.write(2, b'\\xff' * 9999)",), ("output",), EASY),
    Sort("asks for ever", 1, ("while True: os.write(3, b'[\"observe\"]')",), ("time", "calls")),
    Sort("last words for ever", 1, ("while True: os.write(4, b'9' * 65536)",), ("time", "died")),
    Sort("forges messages", 6, [p.body.replace("oak", "dirt") for p in PROTOCOL], ("protocol",), EASY),
    Sort("forges its end", 2, (_FORGED_END,), ("Forged",), EASY),
    Sort("takes a large block", 1, ("bytearray(1 << 30)",), ("memory",), EASY),
    Sort("takes all memory", 2, ("x = []\nwhile True: x.append(bytearray(1 << 22))",), ("memory",), EASY),
    Sort("leaves things behind", 4, (_LEFT + "raise KeyError",), ("KeyError",), EASY),
    Sort("simulated, forged", 2, _FORGED_TRACES, ("forged",), EASY, fast=True),
    Sort("simulated, crashes", 1, (_STEPS.format(5) + "os._exit(1)",), ("died",), EASY, fast=True),
    Sort("simulated, raises", 1, (_STEPS.format(5) + "raise ValueError",), ("ValueError",), EASY, fast=True),
    Sort("simulated, loops", 1, (_STEPS.format(5) + "while True: pass",), ("time",), fast=True),
)
SORTS = (*_GOOD, *_BAD)
PROBE = Program(
    "main",
    PRELUDE
    + """
    gc, random, uuid, time, builtins, math = map(_load, ("gc", "random", "uuid", "time", "builtins", "math"))
    def there(fd):
        try: os.fstat(fd)
        except OSError: return False
        return True
    return [sorted(sys.modules), sorted(vars(json)), sorted(vars(builtins)), math.pi, [there(fd) for fd in range(16)],
        random.random(), str(uuid.uuid4()), time.time(), id(object()), sorted(os.environ), sys.getrecursionlimit(),
        gc.isenabled(), len(gc.get_objects()), str(signal.getsignal(signal.SIGTERM)), world.facts("here")]
""",
)


@dataclass(frozen=True)
class Held:
    """What host and workers hold at one moment."""

    descriptors: int
    processes: int
    host: float  # MB
    workers: float
    pids: tuple[int, ...]

    @classmethod
    def now(cls, runner: ConfinedRunner) -> Held:
        below = processes.descendants(os.getpid())
        workers = sum(processes.resident(one.pid) for one in processes.workers(below))
        host = processes.resident(os.getpid())
        return cls(processes.descriptors(), len(below), host / 2**20, workers / 2**20, runner.processes)


class Soak:
    """One runner and its two worlds. ``wrong`` fills with what should not be."""

    def __init__(self, tier: int, seed: int) -> None:
        self.wrong: list[str] = []
        self.sorts: Counter[str] = Counter()
        self.kinds: Counter[str] = Counter()
        self.programs = self.probes = 0
        self._tier, self._draw = tier, random.Random(seed)
        self._worlds = {fast: CraftWorld(view="full" if fast else "partial") for fast in (False, True)}
        self._twins = {fast: CraftWorld(view="full" if fast else "partial") for fast in (False, True)}
        for world in (*self._worlds.values(), *self._twins.values()):
            world.reset(3)
        self._states = {fast: world.save() for fast, world in self._worlds.items()}
        self._returned: dict[str, Any] = {}
        self._found: dict[bool, Any] = {}
        self._tools = Tools()

    def begin(self, runner: ConfinedRunner) -> None:
        """Both workers, and what the probe finds when nothing bad has run yet."""
        for fast in (False, True):
            self._probe(runner, fast, PROBE)

    def one(self, runner: ConfinedRunner) -> None:
        """A program, and the probe if it was a bad one."""
        sort = self._draw.choices(SORTS, [s.share for s in SORTS])[0]
        program = sort.program(self._draw)
        self.sorts[sort.name] += 1
        self.programs += 1
        t = self._run(runner, program, sort.fast, sort.limits)
        kind = t.error.kind if t.error is not None else ""
        self.kinds[kind or "good"] += 1
        if kind not in (sort.ends or ("",)):
            self._say(f"{sort.name} ended with {t.error} and not with {sort.ends or 'its value'}", program)
        elif not kind and self._returned.setdefault(program.source, t.returned) != t.returned:
            self._say(
                f"{sort.name} returned {t.returned!r:.99} and before {self._returned[program.source]!r:.99}", program
            )
        self._repeat(t, sort.fast, program)
        if kind:
            self._probe(runner, sort.fast, program)

    def _run(self, runner: ConfinedRunner, program: Program, fast: bool, limits: RunLimits) -> Trajectory:
        t = runner.run(program, self._worlds[fast], tools=self._tools, limits=limits)
        if t.tier != self._tier:
            self._say(f"it ran at tier {t.tier}", program)
        return t

    def _repeat(self, t: Trajectory, fast: bool, program: Program) -> None:
        """The world is where the recorded steps lead, and nowhere else; after that it is as before the run again."""
        world, twin, state = self._worlds[fast], self._twins[fast], self._states[fast]
        if t.steps:
            twin.load(state)
            if any(twin.act(step.action) != step.outcome for step in t.steps):
                self._say("its steps cannot be repeated", program)
        if world.save() != (twin.save() if t.steps else state):
            self._say("the world is elsewhere than its steps lead", program)
        if t.steps:
            world.load(state)

    def _probe(self, runner: ConfinedRunner, fast: bool, after: Program) -> None:
        self.probes += 1
        t = self._run(runner, PROBE, fast, EASY)
        if t.error is not None or t.steps or t.printed:
            self._say(
                f"the probe after it ended with {t.error}, {len(t.steps)} steps, printing {t.printed!r:.99}", after
            )
        elif self._found.setdefault(fast, t.returned) != t.returned:
            before = self._found[fast]
            other = [f"{one!r:.99} was {was!r:.99}" for one, was in zip(t.returned, before, strict=True) if one != was]
            self._say(f"the probe after it found {'; '.join(other)}", after)
        if self._worlds[fast].save() != self._states[fast]:
            self._say("the world of the probe after it has changed", after)

    def _say(self, what: str, program: Program) -> None:
        self.wrong.append(f"program {self.programs}: {what}\n{program.source[len(PRELUDE) :].rstrip()[:300]}")


def soak(tier: int, runs: int, seed: int) -> Soak:
    """Run so many programs at this tier and print a table; what was wrong is in the answer."""
    with tempfile.TemporaryDirectory() as folder, mock.patch.object(tempfile, "tempdir", folder):
        made = _soak(tier, runs, seed)
        made.wrong += [f"a file is left: {path.name}" for path in Path(folder).iterdir()]
    return made


def _soak(tier: int, runs: int, seed: int) -> Soak:
    made = Soak(tier, seed)
    before = processes.descriptors()
    warm, began = min(_WARM, max(runs // 5, 1)), time.perf_counter()
    seen: list[Held] = []
    with ConfinedRunner(isolation=NAMES[tier], fast=True) as runner:
        print(f"\ntier {tier} ({NAMES[tier]}); the most that was held in the warm-up of {warm}, then in each {TABLE:,}")
        print("programs  probes  per s  descriptors  processes  host MB  workers MB")
        made.begin(runner)
        first: Held | None = None
        rated, then = 0, began
        for n in range(1, runs + 1):
            made.one(runner)
            if not n % _SAMPLE or n in (warm, runs):
                seen.append(Held.now(runner))
            if n != warm and n % TABLE and n != runs:
                continue
            most, now = _most(seen), time.perf_counter()
            print(
                f"{n:8,} {made.probes:7,} {(n + made.probes - rated) / (now - then):6.0f} {most.descriptors:12} "
                f"{most.processes:10} {most.host:8.1f} {most.workers:11.1f}",
                flush=True,
            )
            rated, then, seen = n + made.probes, now, []
            if first is None:
                first = most
            made.wrong += [f"after {n} programs: {what}" for what in _grown(first, most)]
    left = processes.descendants(os.getpid())
    if left:
        made.wrong.append(f"processes left at the end: {left}")
    if processes.descriptors() != before:
        made.wrong.append(f"{processes.descriptors()} descriptors at the end, {before} before")
    print("ended as", ", ".join(f"{kind} {count:,}" for kind, count in sorted(made.kinds.items())))
    return made


def _most(seen: Sequence[Held]) -> Held:
    def most(of: Callable[[Held], Any]) -> Any:
        return max(map(of, seen))

    return Held(
        most(lambda h: h.descriptors), most(lambda h: h.processes), most(lambda h: h.host), most(lambda h: h.workers),
        seen[-1].pids,
    )  # fmt: skip


def _grown(first: Held, now: Held) -> list[str]:
    found = [
        f"{getattr(now, name)} {name}, {getattr(first, name)} after the warm-up"
        for name, more in (("descriptors", 0), ("processes", PROCESSES))
        if getattr(now, name) > getattr(first, name) + more
    ]
    for name, limit in (("host", HOST_MB), ("workers", WORKER_MB)):
        if getattr(now, name) - getattr(first, name) > limit:
            found.append(f"{name}: {getattr(now, name):.1f} MB, {getattr(first, name):.1f} after the warm-up")
    if now.pids != first.pids:
        found.append("a worker was started again")
    return found


def tiers() -> list[int]:
    """Those that this system has."""
    found = []
    for tier, name in NAMES.items():
        try:
            if probe(name).tier == tier:
                found.append(tier)
        except IsolationError as error:
            print(f"tier {tier} NOT COVERED: {error}")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.soak.programs", description="Many programs in one runner.")
    parser.add_argument("--runs", type=int, default=10_000, help="programs at each tier")
    parser.add_argument("--tier", type=int, action="append", choices=sorted(NAMES), help="only this one; repeatable")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    began, here = time.perf_counter(), tiers()
    wanted = options.tier or here
    done = {tier: soak(tier, options.runs, options.seed + tier) for tier in wanted if tier in here}
    wrong = [f"tier {tier}: {what}" for tier, one in done.items() for what in one.wrong]
    wrong += [f"tier {tier} does not hold here" for tier in wanted if tier not in here]
    if not done:
        wrong.append("no tier holds here")
    for what in wrong[:20]:
        print(what)
    programs, probes = (sum(getattr(one, name) for one in done.values()) for name in ("programs", "probes"))
    print(
        f"{'FAILED' if wrong else 'ok'}: {programs:,} programs and {probes:,} probes at the tiers {sorted(done)} in "
        f"{time.perf_counter() - began:.0f} s; {len(wrong)} wrong"
    )
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
