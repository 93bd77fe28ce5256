"""`ConfinedRunner`: runs programs in a warm worker, confined by the kernel before their source arrives."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import warnings
import weakref
from collections.abc import Mapping
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Self, TypeAlias

from habilis.core.budget import Cost, Ledger
from habilis.core.errors import HabilisError, InputError, IsolationError, WorldError
from habilis.core.program import Program, ProgramError, RunLimits, ToolCaller, Trajectory
from habilis.core.world import Json, World, WorldSpec
from habilis.worlds.runner import isolation as isolations
from habilis.worlds.runner._local import LocalWorker
from habilis.worlds.runner._session import Session
from habilis.worlds.runner._worker import NotBegun, Order, Setup, Worker
from habilis.worlds.runner._world import facts_of, look_at, maker_of, state_of, tags_of
from habilis.worlds.runner.isolation import Isolation, UnconfinedWarning, WeakerWarning

_SOURCE = 1_000_000  # bytes
_TRIES = 3
_LONG = 1_000  # steps of a program that is worth a copy of the world: about 30 ms, with the one that is made
_NAMES = 10_000
_KEPT = 4  # workers

_Key: TypeAlias = tuple[str, int]


class ConfinedRunner:
    """Runs programs one at a time, each in a fork of one warm worker, confined before the source arrives.

    The worker starts with the first run and again if it dies. Safe under threads (runs queue) and after a fork of the
    host. A context manager; `close` ends the worker.

    Args:
        isolation: "auto" (the highest tier that holds here), "bubblewrap", "landlock", "seccomp", "docker:IMAGE",
            "gvisor:IMAGE" (just this, or an error).
        unsafe_no_isolation: run programs unconfined, with tier 0 on every trajectory. The only way around a refusal.
        modules: what programs may import beyond the standard list, such as "numpy"; imported before confinement. Not in
            containers.
        fast: whether programs in worlds that are ``portable`` run beside a copy, the host repeating their actions.
            What comes of a run is the same either way. None: when the program's last run was long enough for a copy to
            be worth its making. Never in containers.

    Raises `InputError` for an isolation that does not exist, or one that cannot have the modules; running raises
    `IsolationError` where the kernel cannot confine.
    """

    def __init__(
        self,
        *,
        isolation: str = "auto",
        unsafe_no_isolation: bool = False,
        modules: tuple[str, ...] = (),
        fast: bool | None = None,
    ) -> None:
        self._wanted = isolations.check(isolation)
        self._contained = isolation.partition(":")[0] in isolations.CONTAINERS and not unsafe_no_isolation
        if self._contained and modules:
            raise InputError(
                f"programs in a container import the standard list only, and {', '.join(modules)} was asked for with "
                f"--isolation {isolation}; leave it out (--numpy), or confine without a container"
            )
        self._unsafe, self._modules, self._fast = unsafe_no_isolation, modules, fast
        # By what is simulated in them ("" on the live path), and how deep: a tool may run a program of its own.
        # The last used comes last.
        self._workers: dict[_Key, tuple[Worker, Isolation]] = {}
        self._busy: set[_Key] = set()
        # How many programs the caller is in: a tool of one may run another, in a thread that its context is copied to.
        self._depth: ContextVar[int] = ContextVar("depth", default=0)
        self._last_tier: int | None = None  # tier of the worker started last
        self._unlock()
        _RUNNERS.add(self)
        self._spec: tuple[WorldSpec, dict[str, Any]] | None = None
        self._lengths: dict[str, int] = {}  # steps of each program's last run

    def _unlock(self) -> None:
        """Locks that nobody holds: at first, and in a fork of the host, where whoever held them is not."""
        self._busy.clear()
        self._runs: dict[int, threading.Lock] = {}  # one run at a time at each depth
        self._lock = threading.RLock()  # of workers, busy and runs, for a moment

    @property
    def isolation(self) -> Isolation:
        """What confines the runs. Starts the worker if need be. Raises `IsolationError`."""
        with self._lock:
            return self._ready(("", 0))[1]

    @property
    def tier(self) -> int:
        """What confines the runs: 3, 2, 1, or 0 for nothing. Starts the worker if need be. Raises `IsolationError`."""
        return self.isolation.tier

    @property
    def processes(self) -> tuple[int, ...]:
        """The process ids of the warm workers that were started, sorted, to watch them by."""
        with self._lock:
            return tuple(sorted(worker.pid for worker, _ in self._workers.values()))

    def run(
        self,
        program: Program,
        world: World,
        *,
        args: Mapping[str, Json] | None = None,
        skills: Mapping[str, Program] | None = None,
        tools: ToolCaller | None = None,
        limits: RunLimits | None = None,
        seed: int = 0,
        ledger: Ledger | None = None,
    ) -> Trajectory:
        """Run to the end, or to a limit; what the program did wrong is in ``Trajectory.error``.

        ``args`` are passed as keywords. ``seed`` seeds ``random`` in the program. Time in the world counts towards
        ``limits.seconds``, time in tools does not. On the tape, positional arguments of a tool are named "0",
        "1", … Raises `WorldError` (the world raised, or what it gives has no JSON form), `BudgetExceeded` (the ledger
        ran out; the world stays where it stood), `IsolationError`, `InputError` (``args`` have no JSON form),
        `ToolError` (a result has none).
        """
        limits = limits if limits is not None else RunLimits()
        wrong = _unreadable(program)
        programs = {**(skills or {}), program.name: program} if wrong is None else {}
        depth = self._depth.get()
        with self._lock:
            turn = self._runs.setdefault(depth, threading.Lock())
        with turn:
            before = look_at(world)
            wrong = wrong or next((e for e in map(_unreadable, programs.values()) if e is not None), None)
            if wrong is not None:
                return Trajectory(error=wrong, before=before, after=before, tier=self.tier)
            if ledger is not None:
                ledger.reserve(Cost(world_steps=1)).release()
            portable = maker_of(world) if self._worth_a_copy(program) else None
            job = self._job(program, world, before, args or {}, programs, tools, seed, limits, portable)
            session = Session(
                program,
                world,
                {n: p.source for n, p in programs.items()},
                tools,
                limits,
                ledger,
                simulated=portable is not None,
            )
            began = time.perf_counter()
            try:
                self._depth.set(depth + 1)
                tier = self._start(session, depth, portable, limits, job)
            finally:
                self._depth.set(depth)
            self._lengths[program.name] = len(session.steps)
            return Trajectory(
                steps=tuple(session.steps),
                tape=tuple(session.tape),
                printed=session.printed,
                returned=session.returned,
                error=session.error,
                before=before,
                after=look_at(world),
                world_steps=session.world_steps,
                seconds=time.perf_counter() - began,
                tier=tier,
                pictures=session.pictures,
            )

    def close(self) -> None:
        """End the workers, after the run that is going on. A later run starts new ones.

        Raises `InputError` within a run, such as from a tool: it would wait for itself.
        """
        if self._depth.get():
            raise InputError("close() was called by what a program runs; close the runner after the run")
        with self._lock:
            turn = self._runs.setdefault(0, threading.Lock())
        with turn, self._lock:
            for worker, _ in self._workers.values():
                worker.close()
            self._workers.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def _worth_a_copy(self, program: Program) -> bool:
        if self._contained:  # which has the worker's own files, and no world's
            return False
        if len(self._lengths) > _NAMES:
            self._lengths.clear()
        return self._lengths.get(program.name, 0) >= _LONG if self._fast is None else self._fast

    def _start(
        self,
        session: Session,
        depth: int,
        portable: tuple[str, Mapping[str, Json]] | None,
        limits: RunLimits,
        job: bytes,
    ) -> int:
        """Run the session in a worker, a new one if the worker has ended between two runs. Returns the tier."""
        key = ("" if portable is None else json.dumps(portable, sort_keys=True), depth)
        for left in reversed(range(_TRIES)):
            with self._lock:
                worker, found = self._ready(key, portable)
                self._busy.add(key)
            order = Order(found.tier, limits.memory_mb, limits.cpu_seconds)
            sound = False
            try:
                session.run(worker.start(order), job)
                sound = True
                return found.tier
            except NotBegun as error:
                if not left:
                    raise IsolationError(
                        f"the worker ended {_TRIES} times before a run began; is memory short? ({error})"
                    ) from error
            except HabilisError:
                sound = True
                raise
            finally:
                with self._lock:
                    self._busy.discard(key)
                    if not sound:  # ended, or interrupted in the middle of something: who knows where it stands
                        worker.close()
                        self._workers.pop(key, None)
        raise AssertionError("unreachable")

    def _ready(self, key: _Key, portable: tuple[str, Mapping[str, Json]] | None = None) -> tuple[Worker, Isolation]:
        held = self._workers.pop(key, None)
        if held is not None and held[0].alive:
            self._workers[key] = held
            return held
        if held is not None:
            held[0].close()
        for old in [k for k in self._workers if k not in self._busy][: max(0, len(self._workers) + 1 - _KEPT)]:
            self._workers.pop(old)[0].close()
        setup = Setup(self._modules, portable, _path() if portable is not None or self._modules else ())
        if self._unsafe:
            worker: Worker = LocalWorker(setup, bubblewrap=False)
            found = Isolation(0, "", ("confinement was switched off: --unsafe-no-isolation",))
            warnings.warn(
                "programs run unconfined and may do anything that you may (unsafe_no_isolation)",
                UnconfinedWarning,
                stacklevel=4,
            )
        else:
            worker, found = isolations.open_worker(self._wanted, setup)
            if found.tier == 0:
                worker.close()
                raise IsolationError(
                    f"this system cannot confine programs ({'; '.join(found.missing)}). {found.fix}; or accept that "
                    "programs may do anything you may: --unsafe-no-isolation"
                )
        if self._last_tier is not None and found.tier < self._last_tier:
            warnings.warn(
                f"programs are confined at tier {found.tier} now, and were at tier {self._last_tier} before "
                f"({'; '.join(found.missing)}); see `habilis doctor`",
                WeakerWarning,
                stacklevel=4,
            )
        self._last_tier = found.tier
        self._workers[key] = worker, found
        return worker, found

    def _job(
        self,
        program: Program,
        world: World,
        before: Any,
        args: Mapping[str, Json],
        programs: Mapping[str, Program],
        tools: ToolCaller | None,
        seed: int,
        limits: RunLimits,
        portable: tuple[str, Mapping[str, Json]] | None,
    ) -> bytes:
        spec = world.spec
        try:
            json.dumps(dict(args))
        except (TypeError, ValueError, RecursionError) as error:
            raise InputError(f"the arguments {_shown(args)} have no JSON form: {error}") from error
        if self._spec is None or self._spec[0] is not spec:
            self._spec = (spec, _described(spec))
        job = {
            **self._spec[1],
            "name": program.name,
            "args": dict(args),
            "seed": seed,
            "skills": {name: programs[name].source for name in sorted(programs)},
            "tools": sorted(tools.names()) if tools is not None else [],
            "facts": facts_of(before),
            "tags": tags_of(world, before),
        }
        if portable is not None:
            job |= {"state": state_of(world), "left": (limits.world_steps, limits.calls)}
        try:
            return json.dumps(job).encode()
        except (TypeError, ValueError, RecursionError) as error:
            what = "shows" if portable is None else "shows or saves"
            raise WorldError(f"what the world {spec.name} {what} has no JSON form: {error}") from error


def _shown(args: Mapping[str, Json]) -> str:
    try:
        return repr(dict(args))[:200]
    except RecursionError:
        return f"named {', '.join(args)}"[:200]


_RUNNERS: weakref.WeakSet[ConfinedRunner] = weakref.WeakSet()


def _unlock_all() -> None:
    for runner in list(_RUNNERS):
        runner._unlock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_unlock_all)


def _path() -> tuple[str, ...]:
    """Where this Python finds its modules, as the worker is to find them."""
    return tuple(path for path in sys.path if path and os.path.isabs(path) and os.path.isdir(path))


def _described(spec: WorldSpec) -> dict[str, Any]:
    """What a program needs to know of the world: its actions with their parameters, its predicates."""
    return {
        "primitives": [
            [
                p.name,
                [q.name for q in p.parameters],
                [q.required for q in p.parameters],
                [q.default for q in p.parameters],
                p.variadic,
                p.max_steps,
            ]
            for p in spec.primitives
        ],
        "predicates": {p.name: p.numeric for p in spec.predicates},
    }


def _unreadable(program: Program) -> ProgramError | None:
    """Why a source can never run, found before a process is spent on it; None if it may."""
    source: Any = program.source
    name: Any = program.name
    if not isinstance(name, str):
        return ProgramError("syntax", f"the name of a program is {type(name).__name__}, not text: {name!r:.80}")
    if not isinstance(source, str):
        return ProgramError("syntax", f"the source of {program.name!r} is {type(source).__name__}, not text")
    if not name.isidentifier() or not name.isascii():
        return ProgramError("syntax", f"{name!r:.80} is not a function name; use letters, digits and _")
    if len(source) > _SOURCE:
        return ProgramError(
            "syntax", f"the source has {len(source)} characters; the limit is {_SOURCE} bytes; {_SHORTER}"
        )
    if "\0" in source:
        number = source.count("\n", 0, source.index("\0")) + 1
        return ProgramError("syntax", "the source contains a null byte; remove it", number)
    try:
        size = len(source.encode())
    except UnicodeEncodeError as error:
        number = source.count("\n", 0, error.start) + 1
        return ProgramError("syntax", "the source contains half of a surrogate pair; remove it", number)
    if size > _SOURCE:
        return ProgramError("syntax", f"the source has {size} bytes; the limit is {_SOURCE}; {_SHORTER}")
    return None


_SHORTER = "write a shorter program"
