"""One run, seen from the host: what the program asks is checked, answered and recorded; limits end it."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from habilis.core.budget import Ledger
from habilis.core.errors import InputError, IsolationError, ToolError, WorldError
from habilis.core.program import Picture, Program, ProgramError, RunLimits, Step, ToolCall, ToolCaller
from habilis.core.world import Action, Json, Outcome, Primitive, World
from habilis.worlds.runner._account import Stop, WorldSteps
from habilis.worlds.runner._film import Film
from habilis.worlds.runner._lines import FRAMES, Lines, frames_in
from habilis.worlds.runner._messages import Malformed, clean, read_message
from habilis.worlds.runner._waiting import WAITING
from habilis.worlds.runner._worker import SIGKILL, SIGNALS, SIGUSR1, SIGXCPU, Line, NotBegun
from habilis.worlds.runner._world import RAISED, facts_of, hash_of, look_at, state_of, tags_of
from habilis.worlds.runner.worker import wire
from habilis.worlds.runner.worker.frames import SETUP_FAILED
from habilis.worlds.runner.worker.simulate import seen

_TICK = 0.02  # seconds between looks at clock and output while the program does not read
_GRACE = 0.1  # seconds a program has to show its line before it is killed
_START = 30.0  # seconds a run's process has to confine itself
_ARGUMENTS = 64
_BATCH = 1_000  # actions in one request
_KNOWN = 1_000
_COUNTED = 0.6  # of its processor time that a process has at least by the one count when it is spent by the other
_PIECES = 16  # of output read before the clock is looked at again
_PREEMPTED = 8  # times that reflexes may come before one action
_OURS = ("time", "output", "steps", "calls", "protocol", "forged", "died", "ended")  # kinds that only the host may give

_encode = json.JSONEncoder(separators=(",", ":")).encode


class _Dumped(Exception):
    """The interpreter wrote down its line unasked. The kernel's SIGXCPU makes it do so, or the program pretends it."""


class Session:
    """Drives one run to its end. ``steps``, ``tape``, ``returned`` and ``error`` are its record.

    ``simulated``: the worker does the actions in a world of its own and tells of them in traces, which are repeated in
    ``world``; the record is of ``world`` all the same.
    """

    def __init__(
        self,
        program: Program,
        world: World,
        skills: Mapping[str, str],
        tools: ToolCaller | None,
        limits: RunLimits,
        ledger: Ledger | None,
        *,
        simulated: bool = False,
    ) -> None:
        self.steps: list[Step] = []
        self.tape: list[ToolCall] = []
        self.returned: Json = None
        self.error: ProgramError | None = None
        self._world, self._lines = world, Lines(program.name, skills)
        self._tools, self._tool_names = tools, frozenset(tools.names() if tools is not None else ())
        self._limits, self._account = limits, WorldSteps(limits.world_steps, ledger)
        self._primitives = {p.name: p for p in world.spec.primitives}
        self._known: dict[tuple[str, ...], tuple[Action, Primitive]] = {}  # actions that were found to be in order
        self._calls = self._printed = self._tool_calls = 0
        self._output = bytearray()
        self._said = b""
        self._again = False
        self._simulated = simulated
        shown = "images" in world.spec.capabilities
        most = limits.images if limits.images is not None else limits.world_steps or _BATCH
        self._film = Film(world, most) if shown and most else None

    @property
    def world_steps(self) -> int:
        return self._account.used

    @property
    def pictures(self) -> tuple[Picture, ...]:
        return tuple(self._film.pictures) if self._film is not None else ()

    @property
    def printed(self) -> str:
        limit = self._limits.output_bytes
        return clean(self._output[:limit].decode("utf-8", "replace"))

    def run(self, line: Line, job: bytes) -> None:
        """Serve the run on this line, and see it end.

        Raises `WorldError`, `BudgetExceeded`, `IsolationError`; `NotBegun` if it ended before anything came of it.
        """
        self._peer = line
        try:
            self._begin()
            self._drive(job)
        finally:
            try:
                line.close()
            finally:
                self._account.settle()

    def _begin(self) -> None:
        """Wait until the run's process says that it is confined. Only then is the program sent."""
        until = time.monotonic() + _START
        while True:
            try:
                raw = self._peer.receive(wire.MESSAGE + 1)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    raise NotBegun(f"the run's process said nothing for {_START:g} s") from None
            except ConnectionError as error:
                raise NotBegun(f"the run's process ended before the run began ({error})") from None
        if raw == b'["ready"]':
            return
        why = clean(self._peer.dump(0).decode("utf-8", "replace"))[:2_000]
        if why:
            raise IsolationError(f"a run could not be confined: {why}; see `habilis doctor`")
        raise NotBegun("the run's process ended before the run began")

    def _drive(self, job: bytes) -> None:
        now = time.monotonic()
        seconds, idle = self._limits.seconds, self._limits.idle_seconds
        self._deadline = now + seconds if seconds is not None else float("inf")
        self._idle = idle if idle is not None else float("inf")
        self._heard = now
        try:
            self._send(job)
            ended = self._serve()
            self._drain()
            if not ended:
                self._died()
        except _Dumped:
            self._died(dumped=True)
        except Stop as stop:
            self.error = self._with_line(stop.kind, stop.message)
        except (Malformed, RecursionError) as error:
            self.error = self._with_line(
                "protocol", f"the program's process broke the protocol: {error}; the run is void"
            )

    def _serve(self) -> bool:
        """Answer until the program ends; False if its process ended without a word."""
        receive, monotonic = self._peer.receive, time.monotonic
        while True:
            try:
                raw = receive(wire.MESSAGE + 1)
            except BlockingIOError:
                self._drain()
                self._check_time()
                continue
            except ConnectionError:
                return False
            if not raw:
                return False
            message = read_message(raw)
            kind = message[0]
            if kind in ("done", "error"):
                self._finish(message)
                return True
            self._heard = now = monotonic()
            if now > self._deadline:
                self._check_time()
            self._count()
            if not self._calls & 255:
                self._drain()
            if kind == "act":
                self._one(message)
                self._heard = monotonic()  # a world that takes its time, or a reflex's program, is not an idle program
            elif kind == "steps":
                self._several(message)
                self._heard = monotonic()
            elif kind == "tool":
                self._tool(message)
            elif message == ["observe"]:
                self._reply(self._shown())
            elif self._simulated and message == ["sync"]:
                self._reply(state_of(self._world))
            elif self._simulated and kind == "trace":
                self._repeat(message)
            elif self._simulated and kind == "state":
                self._compare(message)
            else:
                raise Malformed(f"unknown request {clean(str(kind))[:40]!r}")

    def _shown(self) -> list[Any]:
        """What the world shows now, as the program's mirror takes it."""
        snapshot = look_at(self._world)
        return [facts_of(snapshot), tags_of(self._world, snapshot)]

    def _count(self) -> None:
        self._calls += 1
        most = self._limits.calls
        if most is not None and self._calls > most:
            raise Stop("calls", f"the limit calls={most} of requests to the host is reached; ask less often")

    # -- actions -------------------------------------------------------------------------------------------------------

    def _one(self, message: list[Any]) -> None:
        if len(message) != 3:
            raise Malformed("an action is not a name with a list of arguments")
        action, outcome = self._act(message[1], message[2])
        # What only the host could do, the worker's own world has not done.
        state = [state_of(self._world)] if self._simulated else []
        self._reply([*_told(outcome), *state], action)

    def _several(self, message: list[Any]) -> None:
        """Actions one after the other, up to the first that fails; one reply."""
        asked = message[1] if len(message) == 2 else None
        if type(asked) is not list or not 0 < len(asked) <= _BATCH:
            raise Malformed(f"a batch is not a list of 1 to {_BATCH} actions")
        replies: list[Any] = []
        for i, one in enumerate(asked):
            if type(one) is not list or len(one) != 2:
                raise Malformed("an action is not a name with a list of arguments")
            if i:
                self._count()
                self._check_time()
            action, outcome = self._act(*one)
            replies.append(_told(outcome))
            if not outcome.ok:
                break
        self._reply(replies, action)

    def _act(self, name: Any, args: Any) -> tuple[Action, Outcome]:
        """Check an action and do it. Where a reflex came before it, it is done afterwards: if that fails, it was still
        the reflex that came between, and the outcome (with the changes of all) is `preempted`."""
        try:
            action, primitive = self._known[(name, *args) if type(args) is list else ()]
        except (KeyError, TypeError):
            action, primitive = self._checked(name, args)
        outcome = self._once(action, primitive)
        if outcome.preempted is None:
            return action, outcome
        first, changes, times = outcome.preempted, list(outcome.changes), 1
        while outcome.preempted is not None and times < _PREEMPTED and not outcome.done:
            self._check_time()
            outcome = self._once(action, primitive)
            changes += outcome.changes
            times += 1
        preempted = None if outcome.ok else outcome.preempted or first
        return action, replace(outcome, changes=tuple(changes), preempted=preempted)

    def _once(self, action: Action, primitive: Primitive) -> Outcome:
        """Pay for an action, do it, record it."""
        if self.steps and self.steps[-1].outcome.done:
            why = self.steps[-1].outcome.message
            raise Stop("ended", f"the world {self._world.spec.name} has ended: {why or 'nothing can be done in it'}")
        self._account.before(primitive)
        WAITING.begin(self._world.spec.name, action)
        try:
            outcome = self._world.act(action)
        except InputError as error:
            outcome = Outcome(False, message=str(error), steps=0)
        except WorldError:  # which says what is wrong
            raise
        except RAISED as error:
            raise WorldError(f"the world {self._world.spec.name} raised on {_named(action)}: {error!r}") from error
        finally:
            WAITING.end()
        if not isinstance(outcome, Outcome):
            raise WorldError(
                f"the world {self._world.spec.name} answered {_named(action)} with {type(outcome).__name__}, "
                "not Outcome"
            )
        self.steps.append(Step(action, outcome))
        self._account.took(outcome.steps)
        if self._film is not None:
            self._film.took(len(self.steps))
        return outcome

    def _checked(self, name: Any, args: Any) -> tuple[Action, Primitive]:
        if type(name) is not str or type(args) is not list:
            raise Malformed("an action is not a name with a list of arguments")
        primitive = self._primitives.get(name)
        if primitive is None:
            raise Malformed(f"the world has no action {clean(name)[:40]!r}")
        if len(args) > _ARGUMENTS:
            raise Malformed(f"an action has more than {_ARGUMENTS} arguments")
        for value in args:
            if not (type(value) is str and len(value) <= wire.TEXT) and not (
                type(value) is int and -wire.WHOLE < value < wire.WHOLE
            ):
                raise Malformed(f"an argument of {name} is no text of at most {wire.TEXT} characters or whole number")
        if sum(len(value) for value in args if type(value) is str) > wire.TEXTS:
            raise Malformed(f"the texts of {name} are longer than {wire.TEXTS} characters")
        action = Action(name, tuple(args))
        # Texts only: true and 1.0 would pass for a 1 that is known.
        if len(self._known) < _KNOWN and all(type(value) is str for value in args):
            self._known[(name, *args)] = action, primitive
        return action, primitive

    def _reply(self, reply: Any, action: Action | None = None) -> None:
        try:
            data = _encode(reply).encode()
        except (TypeError, ValueError) as error:
            what = f"the outcome of {_named(action)}" if action is not None else f"what {self._world.spec.name} shows"
            raise WorldError(f"{what} has no JSON form: {error}") from error
        self._send(data)

    # -- the fast path -------------------------------------------------------------------------------------------------

    def _repeat(self, message: list[Any]) -> None:
        """Do in the world what the worker did in its own, and hold what came of it against what it told."""
        told = message[1] if len(message) == 2 else None
        if type(told) is not list or not 0 < len(told) <= _BATCH:
            raise Malformed(f"a trace is not a list of 1 to {_BATCH} actions")
        self._calls -= 1  # not the message counts, but each action in it
        for i, one in enumerate(told):
            if type(one) is not list or len(one) != 3 or type(one[2]) is not list:
                raise Malformed("a trace is not a list of names with arguments and what was seen")
            self._count()
            if not i & 31:
                self._check_time()
            action, outcome = self._act(one[0], one[1])
            if seen(outcome) != one[2]:
                raise Stop(
                    "forged",
                    f"forged trace: step {len(self.steps)}, {_named(action)}, is told to have come to "
                    f"{_short(one[2])}, and repeating it came to {_short(seen(outcome))}",
                )

    def _compare(self, message: list[Any]) -> None:
        told = message[1] if len(message) == 2 else None
        if told != hash_of(self._world):
            raise Stop(
                "forged",
                f"forged trace: after step {len(self.steps)}, the last, the worker's world is in another state than "
                "this one",
            )

    # -- tools ---------------------------------------------------------------------------------------------------------

    def _tool(self, message: list[Any]) -> None:
        if len(message) != 4 or type(message[2]) is not list or type(message[3]) is not dict:
            raise Malformed("a tool call is not a name with arguments")
        _, name, args, kwargs = message
        if self._tools is None or type(name) is not str or name not in self._tool_names:
            raise Malformed(f"there is no tool {clean(str(name))[:40]!r}")
        if not all(map(str.isidentifier, kwargs)):  # else they could pass for positions
            raise Malformed("a tool is called with what is no name")
        most = self._limits.tool_calls
        if most is not None and self._tool_calls >= most:
            raise Stop("calls", f"the limit tool_calls={most} is reached; call fewer tools, or raise the limit")
        self._tool_calls += 1
        shown = {**{str(i): value for i, value in enumerate(args)}, **kwargs}
        before = hash_of(self._world) if self._simulated else self._shown()
        began = time.monotonic()
        try:
            value = self._tools.call(name, tuple(args), kwargs)
        except ToolError as error:
            self.tape.append(ToolCall(name, shown, error=str(error)))
            reply: list[Any] = [0, str(error)[:4_000]]
        else:
            self.tape.append(ToolCall(name, shown, value))
            reply = [1, value]
        self._heard = time.monotonic()
        self._deadline += self._heard - began  # a slow tool is not a hanging program
        # A tool may have changed the world; the program's mirror of it is to show that.
        if self._simulated:
            reply.append(state_of(self._world) if hash_of(self._world) != before else None)
        else:
            after = self._shown()
            reply.append(after if after != before else None)
        try:
            data = _encode(reply)
        except (TypeError, ValueError) as error:
            raise ToolError(f"the result of the tool {name} has no JSON form: {error}") from error
        self._send(data.encode())

    # -- endings -------------------------------------------------------------------------------------------------------

    def _finish(self, message: list[Any]) -> None:
        if message[0] == "done" and len(message) == 2:
            self.returned = _cleaned(message[1])
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
        if kind in _OURS:  # an exception may be called like an ending that only the host can tell
            kind += " (raised)"
        if kind == "memory":
            text = f"it ran out of memory; the limit is memory_mb={self._limits.memory_mb}; keep less at once"
        self.error = self._lines.located(kind, text, [(f[0], f[1], str(f[2])) for f in frames[-FRAMES:]])

    def _with_line(self, kind: str, message: str) -> ProgramError:
        """The error with the line the program is at now, asked of the interpreter by a signal."""
        self._peer.signal(SIGUSR1)
        return self._lines.located(kind, message, self._read_dump(_GRACE))

    def _read_dump(self, wait: float) -> list[tuple[str, int, str]]:
        until = time.monotonic() + wait
        # Up to the outermost frame, which is the last to be written.
        while b"server.py" not in self._said and len(self._said) < wire.MESSAGE:
            if not self._heard_dump(max(0.0, until - time.monotonic())):
                break
        return frames_in(self._said.decode("utf-8", "replace"))

    def _heard_dump(self, wait: float = 0.0) -> bool:
        """Read what faulthandler has written, up to more than it ever writes; False if that is nothing."""
        piece = self._peer.dump(wait)
        self._said += piece[: wire.MESSAGE - len(self._said)]
        return bool(piece)

    def _died(self, dumped: bool = False) -> None:
        """Its process ended without a word, or (``dumped``) its interpreter wrote down its line unasked."""
        frames = self._read_dump(_GRACE if dumped else 0)
        ended = self._peer.ended()
        if ended is None and not (self.steps or self.tape or self._again):
            # Nothing came of it, so it can be done again: once, for an unconfined program may be what ended it.
            self._again, self._calls, self._printed, self._said = True, 0, 0, b""
            self._output.clear()
            raise NotBegun("the worker was ended from outside")
        if ended is None:
            self.error = self._lines.located("died", "the worker that ran the program was ended from outside", frames)
            return
        limit = self._limits.cpu_seconds
        spent = limit is not None and ended.cpu >= limit * _COUNTED
        if spent and (dumped or (not ended.ours and ended.signal in (SIGKILL, SIGXCPU))):
            text = f"the limit cpu_seconds={limit} is reached: {ended.cpu:.1f} s used; compute less"
            self.error = self._lines.located("time", text, frames)
            return
        if dumped:
            how = "wrote where only its interpreter writes"
        elif ended.ours:
            how = "closed its line to the host and went on"
        elif ended.signal is not None:
            how = f"was ended by {SIGNALS.get(ended.signal, f'signal {ended.signal}')}"
        else:
            how = f"exited with {ended.code} before its function returned"
            if ended.code == SETUP_FAILED and self._said:
                how += f": {clean(self._said.decode('utf-8', 'replace'))[:500]}"
        self.error = self._lines.located("died", f"the program's process {how}", frames)

    def _check_time(self) -> None:
        now = time.monotonic()
        if now > self._deadline:
            raise Stop("time", f"the limit seconds={self._limits.seconds:g} is reached; the program was still running")
        if now - self._heard > self._idle:
            raise Stop(
                "time",
                f"the limit idle_seconds={self._limits.idle_seconds:g} is reached: the program neither acted nor ended "
                "for so long",
            )
        if self._heard_dump():
            raise _Dumped

    def _drain(self) -> None:
        limit = self._limits.output_bytes
        for _ in range(_PIECES):
            try:
                piece = self._peer.output()
            except BlockingIOError:
                return
            if not piece:
                return
            self._printed += len(piece)
            if limit is None or len(self._output) < limit:
                self._output += piece
            if limit is not None and self._printed > limit:
                raise Stop("output", f"the limit output_bytes={limit} is reached; print less")

    def _send(self, message: bytes) -> None:
        """Send without ever waiting on the program beyond its time."""
        for packet in wire.packets(message):
            while True:
                try:
                    self._peer.send(packet)
                    break
                except BlockingIOError:
                    self._check_time()
                    self._drain()
                    self._peer.wait_to_send(_TICK)
                except (BrokenPipeError, ConnectionError):
                    return  # the process ended; what it was told no longer matters, and its end is read next


def _told(outcome: Outcome) -> tuple[Any, ...]:
    """An outcome, as a program is told of it: it worked (1), it did not (0), a reflex came between (2)."""
    if outcome.preempted is not None:
        return 2, outcome.preempted.by, outcome.changes, outcome.message
    if outcome.ok:
        return 1, outcome.value, outcome.changes, outcome.message
    return 0, None if outcome.unmet is None else [str(a) for a in outcome.unmet], outcome.changes, outcome.message


def _cleaned(value: Json) -> Json:
    """A value from a program with the texts in it made fit to be shown."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, list):
        return [_cleaned(one) for one in value]
    if isinstance(value, dict):
        return {clean(key): _cleaned(one) for key, one in value.items()}
    return value


def _named(action: Action) -> str:
    """An action in a message: what a program put into it can be long, and odd."""
    return clean(str(action))[:200]


def _short(seen: Any) -> str:
    return clean(repr(seen))[:200]
