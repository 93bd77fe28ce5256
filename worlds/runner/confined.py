"""`ConfinedRunner`: runs programs in a warm worker, confined by the kernel. `probe`: what this system can do."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from habilis.core.budget import Cost, Ledger
from habilis.core.errors import InputError, IsolationError
from habilis.core.program import Program, ProgramError, RunLimits, ToolCaller, Trajectory
from habilis.core.world import Json, World, WorldSpec
from habilis.worlds.runner import _session
from habilis.worlds.runner._host import Server

_SOURCE = 1_000_000  # bytes


@dataclass(frozen=True, slots=True)
class Isolation:
    """What this system can do. ``tier``: 2 seccomp and Landlock, 1 seccomp alone, 0 nothing that confines.
    ``missing``: what did not work, and why."""

    tier: int
    missing: tuple[str, ...] = ()


def probe() -> Isolation:
    """Try each kernel feature in a throw-away process and say what holds. Raises `IsolationError` if none can start."""
    server = Server()
    try:
        return _isolation(server)
    finally:
        server.close()


def _isolation(server: Server) -> Isolation:
    missing = tuple(problem for _, problem in sorted(server.problems.items()) if problem)
    tier = 0 if server.problems["seccomp"] else 1 if server.problems["landlock"] else 2
    return Isolation(tier, missing)


class ConfinedRunner:
    """Runs programs one at a time, each in a fork of one warm worker, confined before the source arrives.

    The worker starts with the first run and again if it dies. Safe under threads (runs queue) and after a fork of the
    host. Where the kernel cannot confine, running raises `IsolationError`; ``unsafe_no_isolation=True`` runs programs
    unconfined instead, with tier 0 on every trajectory. A context manager; `close` ends the worker.
    """

    def __init__(self, *, unsafe_no_isolation: bool = False) -> None:
        self._unsafe = unsafe_no_isolation
        self._server: Server | None = None
        self._tier: int | None = None
        self._lock = threading.RLock()
        self._spec: tuple[WorldSpec, dict[str, Any]] | None = None

    @property
    def tier(self) -> int:
        """What confines the runs: 2, 1, or 0 for nothing. Starts the worker if need be. Raises `IsolationError`."""
        with self._lock:
            self._ready()
            return self._tier or 0

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
        "1", … Raises `WorldError` (the world raised), `BudgetExceeded` (the ledger ran out; the world stays where it
        stood), `IsolationError`, `InputError` (``args`` have no JSON form), `ToolError` (a result has none).
        """
        limits = limits if limits is not None else RunLimits()
        programs = {**(skills or {}), program.name: program}
        with self._lock:
            before = _session.observed(world)
            wrong = next((e for e in map(_unreadable, programs.values()) if e is not None), None)
            if wrong is not None:
                return Trajectory(error=wrong, before=before, after=before, tier=self.tier)
            if ledger is not None:
                ledger.reserve(Cost(world_steps=1)).release()
            session = _session.Session(
                program, world, {n: p.source for n, p in programs.items()}, tools, limits, ledger
            )
            job = self._job(program, world, before, args or {}, programs, tools, seed)
            began = time.perf_counter()
            server = self._ready()
            try:
                session.run(server, self._tier or 0, job)
            except ConnectionError:  # the worker died between two runs
                self._drop()
                try:
                    session.run(self._ready(), self._tier or 0, job)
                except ConnectionError as error:
                    raise IsolationError("the worker ended twice before a run began; is memory short?") from error
            return Trajectory(
                steps=tuple(session.steps),
                tape=tuple(session.tape),
                printed=session.printed,
                returned=session.returned,
                error=session.error,
                before=before,
                after=_session.observed(world),
                world_steps=session.world_steps,
                seconds=time.perf_counter() - began,
                tier=self._tier or 0,
            )

    def close(self) -> None:
        """End the worker. A later run starts a new one."""
        with self._lock:
            self._drop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def _ready(self) -> Server:
        if self._server is not None and not self._server.alive:
            self._drop()
        if self._server is None:
            server = Server()
            found = _isolation(server)
            if not self._unsafe and found.tier == 0:
                server.close()
                raise IsolationError(
                    f"this system cannot confine programs ({'; '.join(found.missing)}); run in a container or machine "
                    "that allows seccomp, or accept that programs may do anything you may: --unsafe-no-isolation"
                )
            self._server, self._tier = server, 0 if self._unsafe else found.tier
        return self._server

    def _drop(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    def _job(
        self,
        program: Program,
        world: World,
        before: Any,
        args: Mapping[str, Json],
        programs: Mapping[str, Program],
        tools: ToolCaller | None,
        seed: int,
    ) -> bytes:
        spec = world.spec
        if self._spec is None or self._spec[0] is not spec:
            self._spec = (spec, _described(spec))
        job = {
            **self._spec[1],
            "name": program.name,
            "args": dict(args),
            "seed": seed,
            "skills": {name: programs[name].source for name in sorted(programs)},
            "tools": sorted(tools.names()) if tools is not None else [],
            "facts": _session.facts_of(before),
            "tags": _session.tags_of(world, before),
        }
        try:
            return json.dumps(job).encode()
        except (TypeError, ValueError) as error:
            raise InputError(f"the arguments {dict(args)!r:.200} have no JSON form: {error}") from error


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
            ]
            for p in spec.primitives
        ],
        "predicates": {p.name: p.numeric for p in spec.predicates},
    }


def _unreadable(program: Program) -> ProgramError | None:
    """Why a source can never run, found before a process is spent on it; None if it may."""
    source: Any = program.source
    if not isinstance(source, str):
        return ProgramError("syntax", f"the source of {program.name!r} is {type(source).__name__}, not text")
    if not program.name.isidentifier() or not program.name.isascii():
        return ProgramError("syntax", f"{program.name!r} is not a function name; use letters, digits and _")
    lines = source.split("\n")
    for number, line in enumerate(lines, 1):
        if "\0" in line:
            return ProgramError("syntax", "the source contains a null byte; remove it", number)
    try:
        size = len(source.encode())
    except UnicodeEncodeError as error:
        number = source.count("\n", 0, error.start) + 1
        return ProgramError("syntax", "the source contains half of a surrogate pair; remove it", number)
    if size > _SOURCE:
        return ProgramError("syntax", f"the source has {size} bytes; the limit is {_SOURCE}; write a shorter program")
    return None
