"""One run, seen from the host: what the program asks is checked, answered and recorded; limits end it."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import socket
import struct
import time
from collections.abc import Mapping
from typing import Any

from habilis.core.budget import Cost, Ledger, Reservation
from habilis.core.errors import BudgetExceeded, InputError, IsolationError, ToolError, WorldError
from habilis.core.goal import Snapshot
from habilis.core.program import Program, ProgramError, RunLimits, Step, ToolCall, ToolCaller
from habilis.core.world import Action, Json, Outcome, Primitive, World
from habilis.worlds.runner import _wire
from habilis.worlds.runner._host import Server
from habilis.worlds.runner._messages import Malformed, clean, read_message

_TICK = 0.02  # seconds between looks at clock and output while the program is silent
_GRACE = 0.1  # seconds a program has to show its line before it is killed
_REAP = 5.0  # seconds the kernel has to end a killed process
_ARGUMENTS = 64
_TEXT = 1_000  # characters in one argument of an action
_BLOCK = 64  # world steps reserved at once: the ledger is asked rarely, others are hardly kept waiting
_SETUP_FAILED = 97
_FRAME = re.compile(r'File "<skill (\w+)>", line (\d+) in (\w+|<\w+>)')

_encode = json.JSONEncoder(separators=(",", ":")).encode


class Stop(Exception):
    """The run has to end now, with this error."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind, self.message = kind, message


class _Steps:
    """World steps: the run's limit, and blocks of them reserved on the ledger."""

    def __init__(self, limit: int | None, ledger: Ledger | None) -> None:
        self.used, self._limit, self._ledger = 0, limit, ledger
        self._held: Reservation | None = None
        self._held_steps = self._held_used = 0

    def before(self, primitive: Primitive) -> None:
        """Raises `Stop` (the run's limit) or `BudgetExceeded` (the ledger's) if the action might pass it."""
        most = primitive.max_steps
        if self._limit is not None and self.used + most > self._limit:
            raise Stop(
                "steps",
                f"the limit world_steps={self._limit} is reached: {self.used} taken, {primitive.name} takes up to "
                f"{most}; take fewer steps, or raise the limit",
            )
        if self._ledger is not None and self._held_used + most > self._held_steps:
            self._reserve(self._ledger, most)

    def _reserve(self, ledger: Ledger, most: int) -> None:
        self.settle()
        block = max(most, _BLOCK)
        if self._limit is not None:
            block = max(most, min(block, self._limit - self.used))
        try:
            self._held = ledger.reserve(Cost(world_steps=block))
        except BudgetExceeded:
            block = most
            self._held = ledger.reserve(Cost(world_steps=block))
        self._held_steps, self._held_used = block, 0

    def took(self, steps: int) -> None:
        self.used += steps
        self._held_used += steps

    def settle(self) -> None:
        if self._held is not None:
            self._held.commit(Cost(world_steps=self._held_used))
            self._held, self._held_steps, self._held_used = None, 0, 0


class Session:
    """Drives one run to its end. ``steps``, ``tape``, ``returned`` and ``error`` are its record."""

    def __init__(
        self,
        program: Program,
        world: World,
        skills: Mapping[str, str],
        tools: ToolCaller | None,
        limits: RunLimits,
        ledger: Ledger | None,
    ) -> None:
        self.steps: list[Step] = []
        self.tape: list[ToolCall] = []
        self.returned: Json = None
        self.error: ProgramError | None = None
        self._program, self._world, self._sources = program, world, skills
        self._tools, self._tool_names = tools, frozenset(tools.names() if tools is not None else ())
        self._limits, self._account = limits, _Steps(limits.world_steps, ledger)
        self._primitives = {p.name: p for p in world.spec.primitives}
        self._calls = self._seen = self._tool_calls = 0
        self._output = bytearray()
        self._said = b""
        self._ready = False

    @property
    def world_steps(self) -> int:
        return self._account.used

    @property
    def printed(self) -> str:
        limit = self._limits.output_bytes
        return clean(self._output[:limit].decode("utf-8", "replace"))

    def run(self, server: Server, tier: int, job: bytes) -> None:
        """Start the worker's run, serve it, and see it end. Raises `WorldError`, `BudgetExceeded`, `IsolationError`."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._out, out = os.pipe()
        self._dump, dump = os.pipe()
        self._socket, self._server = ours, server
        try:
            for fd in (self._out, self._dump):
                os.set_blocking(fd, False)
            # A receive that gives up after a tick costs one system call; Python's own timeouts cost two.
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("@ll", 0, int(_TICK * 1e6)))
            try:
                fds = (theirs.fileno(), out, dump)
                self._number = server.start(tier, self._limits.memory_mb, self._limits.cpu_seconds, fds)
            finally:
                theirs.close()
                os.close(out)
                os.close(dump)
            self._started = time.monotonic()
            seconds = self._limits.seconds
            self._deadline = self._started + seconds if seconds is not None else float("inf")
            try:
                self._drive(job)
            finally:
                server.signal(self._number, signal.SIGKILL)
        finally:
            ours.close()
            os.close(self._out)
            os.close(self._dump)
            self._account.settle()

    def _drive(self, job: bytes) -> None:
        try:
            self._send(job)
            if not self._serve():
                self._died()
            self._drain()
        except Stop as stop:
            self.error = self._with_line(stop.kind, stop.message)
        except Malformed as error:
            self.error = self._with_line(
                "protocol", f"the program's process broke the protocol: {error}; the run is void"
            )

    def _serve(self) -> bool:
        """Answer until the program ends; False if its process ended without a word."""
        receive, deadline, most = self._socket.recv, self._deadline, self._limits.calls
        act = self._act
        while True:
            try:
                raw = receive(_wire.MESSAGE + 1)
            except BlockingIOError:
                self._drain()
                self._check_time()
                if not self._server.alive:  # without confinement, a child of the program can hold the socket open
                    return False
                continue
            except ConnectionError:
                return False
            if not raw:
                return False
            message = read_message(raw)
            kind = message[0]
            if not self._ready:
                if message != ["ready"]:
                    raise Malformed("the first message is not 'ready'")
                self._ready = True
                continue
            if kind in ("done", "error"):
                self._finish(message)
                return True
            if time.monotonic() > deadline:
                self._check_time()
                deadline = self._deadline
            self._calls += 1
            if most is not None and self._calls > most:
                raise Stop("calls", f"the limit calls={most} of requests to the host is reached; ask less often")
            if not self._calls & 255:
                self._drain()
            if kind == "act":
                act(message)
            elif kind == "tool":
                self._tool(message)
                deadline = self._deadline
            elif message == ["observe"]:
                snapshot = observed(self._world)
                self._send(_encode([facts_of(snapshot), tags_of(self._world, snapshot)]).encode())
            else:
                raise Malformed(f"unknown request {clean(str(kind))[:40]!r}")

    def _act(self, message: list[Any]) -> None:
        if len(message) != 3 or type(message[1]) is not str or type(message[2]) is not list:
            raise Malformed("an action is not a name with a list of arguments")
        _, name, args = message
        primitive = self._primitives.get(name)
        if primitive is None:
            raise Malformed(f"the world has no action {clean(name)[:40]!r}")
        if len(args) > _ARGUMENTS:
            raise Malformed(f"an action has more than {_ARGUMENTS} arguments")
        for value in args:
            if not (type(value) is str and len(value) <= _TEXT) and not (
                type(value) is int and -(2**53) < value < 2**53
            ):
                raise Malformed(f"an argument of {name} is no text of at most {_TEXT} characters or whole number")
        self._account.before(primitive)
        action = Action(name, tuple(args))
        try:
            outcome = self._world.act(action)
        except InputError as error:
            outcome = Outcome(False, message=str(error), steps=0)
        except Exception as error:
            raise WorldError(f"the world {self._world.spec.name} raised on {action}: {error!r}") from error
        if not isinstance(outcome, Outcome):
            raise WorldError(
                f"the world {self._world.spec.name} answered {action} with {type(outcome).__name__}, not Outcome"
            )
        self.steps.append(Step(action, outcome))
        self._account.took(outcome.steps)
        if outcome.ok:
            reply: tuple[Any, ...] = (1, outcome.value, outcome.changes, outcome.message)
        else:
            unmet = None if outcome.unmet is None else [str(a) for a in outcome.unmet]
            reply = (0, unmet, outcome.changes, outcome.message)
        try:
            data = _encode(reply).encode()
        except (TypeError, ValueError) as error:
            raise WorldError(f"the outcome of {action} has no JSON form: {error}") from error
        self._send(data)

    def _tool(self, message: list[Any]) -> None:
        if len(message) != 4 or type(message[2]) is not list or type(message[3]) is not dict:
            raise Malformed("a tool call is not a name with arguments")
        _, name, args, kwargs = message
        if self._tools is None or type(name) is not str or name not in self._tool_names:
            raise Malformed(f"there is no tool {clean(str(name))[:40]!r}")
        most = self._limits.tool_calls
        if most is not None and self._tool_calls >= most:
            raise Stop("calls", f"the limit tool_calls={most} is reached; call fewer tools, or raise the limit")
        self._tool_calls += 1
        shown = {**{str(i): value for i, value in enumerate(args)}, **kwargs}
        began = time.monotonic()
        try:
            value = self._tools.call(name, tuple(args), kwargs)
        except ToolError as error:
            self.tape.append(ToolCall(name, shown, error=str(error)))
            data = _encode([0, str(error)[:4_000]])
        else:
            self.tape.append(ToolCall(name, shown, value))
            try:
                data = _encode([1, value])
            except (TypeError, ValueError) as error:
                raise ToolError(f"the result of the tool {name} has no JSON form: {error}") from error
        self._deadline += time.monotonic() - began  # a slow tool is not a hanging program
        self._send(data.encode())

    def _finish(self, message: list[Any]) -> None:
        if message[0] == "done" and len(message) == 2:
            self.returned = message[1]
            return
        if (
            len(message) != 4
            or type(message[1]) is not str
            or type(message[2]) is not str
            or type(message[3]) is not list
        ):
            raise Malformed("the program's ending is not in its form")
        frames = [f for f in message[3] if type(f) is list and len(f) == 3 and type(f[0]) is str and type(f[1]) is int]
        kind, text = clean(message[1])[:100], clean(message[2])[:2_000]
        if kind == "memory":
            text = f"the limit memory_mb={self._limits.memory_mb} is reached; keep less at once"
        self.error = self._located(kind, text, [(f[0], f[1], str(f[2])) for f in frames])

    def _located(self, kind: str, message: str, frames: list[tuple[str, int, str]]) -> ProgramError:
        """An error at the innermost line of the program's own source; ``where`` tells a skill's line beneath it."""
        known = [f for f in frames if f[0] in self._sources]
        own = next((f for f in reversed(known) if f[0] == self._program.name), None)
        where = ""
        if known and known[-1][0] != self._program.name:
            name, line, _ = known[-1]
            where = f"in the skill {name}, line {line}: {self._line(name, line).strip()}"
        elif own is not None:
            where = clean(own[2])[:100]
        if own is None:
            return ProgramError(kind, message, where=where)
        return ProgramError(kind, message, own[1], self._line(*own[:2]), where)

    def _line(self, name: str, number: int) -> str:
        lines = self._sources[name].splitlines()
        return clean(lines[number - 1])[:400] if 0 < number <= len(lines) else ""

    def _with_line(self, kind: str, message: str) -> ProgramError:
        """The error with the line the program is at now, asked of the interpreter by a signal."""
        self._server.signal(self._number, signal.SIGUSR1)
        return self._located(kind, message, self._read_dump(_GRACE))

    def _read_dump(self, wait: float) -> list[tuple[str, int, str]]:
        until = time.monotonic() + wait
        while b"_server.py" not in self._said:  # the outermost frame: all that matters has been written
            left = max(0.0, until - time.monotonic())
            if not select.select([self._dump], [], [], left)[0] or not self._heard_dump():
                break
        return [(n, int(line), f) for n, line, f in reversed(_FRAME.findall(self._said.decode("utf-8", "replace")))]

    def _heard_dump(self) -> bool:
        """Read what faulthandler has written; False if that is nothing, or more than it ever writes."""
        try:
            piece = os.read(self._dump, 65_536)
        except BlockingIOError:
            return False
        self._said += piece
        return bool(piece) and len(self._said) < _wire.MESSAGE

    def _died(self) -> None:
        ended = self._server.ended(self._number, _REAP)
        self._drain()
        frames = self._read_dump(0)
        if ended is None and not self._ready:
            raise ConnectionResetError("the worker ended before the run began")  # nothing happened: it can be repeated
        if ended is None:
            self.error = self._located("died", "the worker that ran the program was ended from outside", frames)
            return
        limit = self._limits.cpu_seconds
        if os.WIFSIGNALED(ended.status):
            number = os.WTERMSIG(ended.status)
            if limit is not None and number in (signal.SIGKILL, signal.SIGXCPU) and ended.cpu >= limit:
                self.error = self._located(
                    "time", f"the limit cpu_seconds={limit} is reached: {ended.cpu:.1f} s used", frames
                )
                return
            name = signal.Signals(number).name if number in signal.Signals.__members__.values() else str(number)
            self.error = self._located("died", f"the program's process was ended by {name}", frames)
            return
        code = os.WEXITSTATUS(ended.status)
        if not self._ready:
            why = clean(self._said.decode("utf-8", "replace")) or f"its process exited with {code}"
            raise IsolationError(f"a run could not be confined: {why}; see what probe() finds on this system")
        self.error = self._located(
            "died", f"the program's process exited with {code} before its function returned", frames
        )

    def _check_time(self) -> None:
        if time.monotonic() > self._deadline:
            raise Stop("time", f"the limit seconds={self._limits.seconds:g} is reached; the program was still running")
        if self._heard_dump():  # SIGXCPU, from the kernel
            raise Stop("time", f"the limit cpu_seconds={self._limits.cpu_seconds} is reached; compute less")

    def _drain(self) -> None:
        limit = self._limits.output_bytes
        while True:
            try:
                piece = os.read(self._out, 65_536)
            except BlockingIOError:
                return
            if not piece:
                return
            self._seen += len(piece)
            if limit is None or len(self._output) < limit:
                self._output += piece
            if limit is not None and self._seen > limit:
                raise Stop("output", f"the limit output_bytes={limit} is reached; print less")

    def _send(self, message: bytes) -> None:
        """Send without ever waiting on the program beyond its time."""
        for packet in _wire.packets(message):
            while True:
                try:
                    self._socket.send(packet, socket.MSG_DONTWAIT)
                    break
                except BlockingIOError:
                    self._check_time()
                    self._drain()
                    select.select([], [self._socket], [], _TICK)
                except (BrokenPipeError, ConnectionError):
                    return  # the process ended; what it was told no longer matters, and its end is read next


def observed(world: World) -> Snapshot:
    """What the world shows now. Raises `WorldError` if it raises."""
    try:
        return world.observe()
    except Exception as error:
        raise WorldError(f"the world {world.spec.name} raised when observed: {error!r}") from error


def facts_of(snapshot: Snapshot) -> list[tuple[str, tuple[Any, ...], Any]]:
    return [(fact.predicate, fact.args, value) for fact, value in snapshot.facts.items()]


def tags_of(world: World, snapshot: Snapshot) -> dict[str, list[str]]:
    tags = {**world.spec.tags, **snapshot.tags}
    return {name if name.startswith("#") else "#" + name: sorted(tags[name]) for name in sorted(tags)}
