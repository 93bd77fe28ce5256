"""What the host makes of a worker that may say anything: a script of what comes, and what must hold after it.

A script is bytes, so that a fuzzer can change it. Its first line says how the run is set up, every later line is one
event on the line to the worker: a letter and its text. Used by ``host.py`` (coverage-guided) and by
``tests/worlds/test_host_protocol.py``.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from unittest import mock

from habilis.core import (
    Action,
    Atom,
    Budget,
    BudgetExceeded,
    Change,
    Fact,
    HabilisError,
    InputError,
    Ledger,
    Outcome,
    Parameter,
    Predicate,
    Primitive,
    Program,
    RunLimits,
    Snapshot,
    ToolError,
    WorldSpec,
)
from habilis.worlds.runner import _session
from habilis.worlds.runner._session import Session
from habilis.worlds.runner._worker import Ended, NotBegun
from habilis.worlds.runner.worker import wire
from habilis.worlds.runner.worker.simulate import digest, seen

# Events: the letter that begins a line.
PACKET, OUTPUT, DUMP = b"p", b"o", b"d"
LARGE = {b"P": PACKET, b"O": OUTPUT, b"D": DUMP}  # the text of the line again and again, up to so many bytes
SILENCE, PASSES, ENDS, BREAKS = b"s", b"t", b"e", b"c"  # nothing comes; milliseconds pass; b""; ConnectionError
AGAIN, FULL, DEAF = b"r", b"f", b"x"  # the last event again; nothing can be sent for a while; nobody reads any more
LETTERS = b"podPODstecrfx"
NEWLINE = b"\x1e"  # stands for a newline within a line
_READ = 65_536  # bytes that a pipe holds, and that a read of it gives at most
_MOST = 5_000  # events of a script, those of AGAIN counted

SOURCE = "def main(n=1):\n    for i in range(n):\n        world.add('oak')\n    return skills.helper()\n"
HELPER = "def helper():\n    world.take('oak')\n    return 1\n"
SOURCES = {"main": SOURCE, "helper": HELPER}
JOB = json.dumps({"name": "main", "skills": SOURCES}).encode()
TEXTS = 4_500  # characters that a text of an error has room for: what a tool says of its failure is cut at 4,000

_NAME = Parameter("name")


class Counts:
    """A world without secrets in which things are counted."""

    spec = WorldSpec(
        name="counts",
        doc="Counts things.",
        primitives=(
            Primitive("add", "Add n of a thing.", (_NAME, Parameter("n", "int", 1, required=False))),
            Primitive("take", "Take one, if there is one.", (_NAME,)),
            Primitive("walk", "Walk five steps.", max_steps=5),
            Primitive("pick", "The first that is there.", (_NAME,), variadic=True),
            Primitive("crash", "Raises."),
            Primitive("odd", "Answers with what has no JSON form."),
            Primitive("wrong", "Answers with no outcome."),
            Primitive("hide", "Looking fails from now on."),
        ),
        predicates=(Predicate("count", "How many.", (_NAME,), numeric=True),),
        fingerprint="counts-1",
        tags={"#wood": frozenset({"oak", "birch"})},
        capabilities=frozenset({"reasons", "checkpoint", "portable"}),
    )

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.acts, self.hidden = 0, False

    def reset(self, seed: int) -> Snapshot:
        self.counts = {}
        return self.observe()

    def observe(self) -> Snapshot:
        if self.hidden:
            raise LookupError("nothing can be seen")
        return Snapshot({Fact("count", (name,)): n for name, n in self.counts.items() if n})

    def save(self) -> Any:
        return self.counts

    def load(self, state: Any) -> None:
        self.counts = dict(state)

    def maker(self) -> tuple[str, Mapping[str, Any]]:
        return "tests.fuzz.harness:Counts", {}

    def act(self, action: Action) -> Outcome:
        if action.name == "crash":
            raise ZeroDivisionError("the world's own bug")
        if action.name == "wrong":
            return "no outcome"  # type: ignore[return-value]
        self.acts += 1
        if action.name == "hide":
            self.hidden = True
            return Outcome(True)
        if action.name == "walk":
            return Outcome(True, steps=5)
        if action.name == "odd":
            return Outcome(True, value={1, 2})
        if action.name == "pick":
            return Outcome(True, value=next((a for a in action.args if self.counts.get(str(a))), None))
        if not action.args or action.args[0] == "forbidden":
            raise InputError("add and take need the name of a thing other than 'forbidden'")
        name, change = str(action.args[0]), action.args[1] if len(action.args) > 1 else 1
        before = self.counts.get(name, 0)
        if action.name == "take" and before <= 0:
            return Outcome(False, unmet=(Atom(Fact("count", (name,)), ">=", 1),), message="nothing there")
        if not isinstance(change, int):
            raise InputError(f"{change!r:.50} is no number")
        self.counts[name] = after = before + (change if action.name == "add" else -1)
        return Outcome(True, (Change(Fact("count", (name,)), before, after),), value=after)


class Tools:
    """A tool for each way that a tool can go."""

    def __init__(self, world: Counts) -> None:
        self._world = world

    def names(self) -> tuple[str, ...]:
        return ("echo", "down", "dear", "odd", "long", "changes")

    def call(self, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        if name == "down":
            raise ToolError("the service is down " * 500)
        if name == "dear":
            raise BudgetExceeded("usd", 1, 1, 0, 0.5)
        if name == "odd":
            return {1, 2}
        if name == "long":
            return "x" * 200_000
        if name == "changes":
            self._world.counts["rain"] = self._world.counts.get("rain", 0) + 1
        return [list(args), dict(kwargs)]


class Clock:
    """Time as the script has it; a look at it takes a microsecond, so that nothing waits for ever."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        self.now += 1e-6
        return self.now


class Script:
    """A `Line` on which what was written comes, and after it the end."""

    def __init__(self, events: Iterator[tuple[bytes, bytes]], clock: Clock, ended: Ended | None) -> None:
        self._events, self._clock, self._ended = events, clock, ended
        self._output = self._dump = b""
        self._full = 0
        self._deaf = self._over = self._closed = False
        self.sent = self.given = 0  # bytes to the worker, and from it
        self.began = False  # whether it said that it is ready

    def receive(self, size: int) -> bytes:
        while not self._over:
            kind, text = next(self._events, (ENDS, b""))
            self.given += len(text)
            if kind == PACKET and text:
                return text[:size]  # as a packet that does not fit: the rest is lost
            if kind == OUTPUT and text:
                self._output = (self._output + text)[:_READ]
                raise BlockingIOError
            if kind == DUMP:
                self._dump = (self._dump + text)[:_READ]
            elif kind == PASSES:
                self._clock.now += _number(text, 1_000_000) / 1e3
            elif kind == SILENCE:
                self._clock.now += 0.02
                raise BlockingIOError
            elif kind == FULL:
                self._full = _number(text, 1_000)
            elif kind == DEAF:
                self._deaf = True
            elif kind == BREAKS:
                self._over = True
                raise ConnectionResetError("the line is cut")
            else:
                self._over = kind == ENDS
        return b""

    def send(self, packet: bytes) -> None:
        assert len(packet) <= wire.PACKET + 1
        if self._closed or self._deaf:
            raise BrokenPipeError
        if self._full > 0:
            self._full -= 1
            raise BlockingIOError
        self.began = True
        self.sent += len(packet)

    def wait_to_send(self, seconds: float) -> None:
        self._clock.now += seconds

    def output(self) -> bytes:
        if self._output:
            said, self._output = self._output, b""
            return said
        if self._over or self._closed:
            return b""
        raise BlockingIOError

    def dump(self, seconds: float) -> bytes:
        if not self._dump:
            self._clock.now += seconds
        said, self._dump = self._dump, b""
        return said

    def signal(self, number: int) -> None:
        pass

    def ended(self) -> Ended | None:
        self.close()
        return self._ended

    def close(self) -> None:
        self._closed = True


def _number(text: bytes, most: int) -> int:
    digits = text.strip()[:9]
    return min(int(digits), most) if digits.isdigit() else 1


def events(lines: Sequence[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """The events that lines stand for."""
    last, left = (SILENCE, b""), _MOST
    for line in lines:
        kind, text = line[:1], line[1:].replace(NEWLINE, b"\n")
        if kind in LARGE:
            size, _, unit = text.partition(b" ")
            last = (LARGE[kind], (unit or b"x") * (_number(size, 200_000) // len(unit or b"x") + 1))
        elif kind and kind in LETTERS and kind != AGAIN:
            last = (kind, text)
        for _ in range(_number(text, _MOST) if kind == AGAIN else 1):
            if not left:
                return
            left -= 1
            yield last


@dataclass(frozen=True, slots=True)
class Kind:
    """How a run is set up, as the first line of a script says it: a number for each."""

    simulated: bool
    tools: bool
    ledger: int | None
    limits: RunLimits
    ended: Ended | None

    @classmethod
    def of(cls, line: bytes) -> Kind:
        numbers = [*line[:8], *bytes(8)][:8]
        flags, limits = numbers[0] & 15, numbers[1]

        def either(bit: int, few: Any, usual: Any) -> Any:
            return few if limits >> bit & 1 else usual

        return cls(
            simulated=bool(flags & 1),
            tools=not flags & 2,
            ledger=70 if flags & 4 else None,
            limits=RunLimits(
                seconds=either(0, 1, 20.0),
                idle_seconds=either(1, 0.5, 10.0),
                cpu_seconds=either(2, 1, None),
                memory_mb=either(3, 64, 512),
                output_bytes=either(4, 100, 64_000),
                world_steps=either(5, 8, 2_500),
                calls=either(6, 10, 3_000),
                tool_calls=either(7, 2, 50),
            ),
            ended=None if flags & 8 else Ended.of(numbers[2] << 8 | numbers[3], numbers[4] / 10),
        )


def check(script: bytes) -> Session:
    """Let a session meet the script; `AssertionError` where what must hold does not. Returns the session."""
    first, *lines = script.split(b"\n")
    kind, world, clock = Kind.of(first), Counts(), Clock()
    ledger = None if kind.ledger is None else Ledger(Budget(usd=None, world_steps=kind.ledger))
    session = Session(
        Program("main", SOURCE),
        world,
        SOURCES,
        Tools(world) if kind.tools else None,
        kind.limits,
        ledger,
        simulated=kind.simulated,
    )
    line = Script(events(lines), clock, kind.ended)
    with mock.patch.object(_session, "time", clock):
        try:
            session.run(line, JOB)
        except HabilisError as error:
            _text(str(error))
        except NotBegun:
            assert not session.steps, "something came of the run, and it would be repeated"
            assert not session.tape, "something came of the run, and it would be repeated"
    _hold(session, world, line, kind)
    if ledger is not None:
        assert ledger.spent.world_steps == session.world_steps <= (kind.ledger or 0)
        assert not ledger.reserved.world_steps
    return session


def _hold(session: Session, world: Counts, line: Script, kind: Kind) -> None:
    limits = kind.limits
    assert line._closed
    assert session.world_steps == sum(s.outcome.steps for s in session.steps) <= (limits.world_steps or 0)
    assert len(session.steps) <= (limits.calls or 0)
    assert world.acts == sum(bool(s.outcome.steps) or s.outcome.ok for s in session.steps) + _refused(session)
    assert len(session.tape) <= (limits.tool_calls or 0)
    assert all(isinstance(call.tool, str) and call.tool in Tools(world).names() for call in session.tape)
    assert len(session.printed) <= (limits.output_bytes or 0)
    _shown(session.printed)
    json.dumps(session.returned, ensure_ascii=False, allow_nan=False).encode()
    if session.error is not None:
        _readable(session.error, session)
    # What is kept is no more than what came, and what comes unread is bounded.
    assert len(session._output) <= (limits.output_bytes or 0) + _READ
    assert len(session._said) <= wire.MESSAGE + _READ, "the interpreter's words grow without bound"
    kept = sum(len(a) if isinstance(a, str) else 8 for s in session.steps for a in s.action.args)
    kept += sum(len(json.dumps(call.args)) // 12 for call in session.tape)  # a byte of JSON, written with escapes
    assert kept <= 8 * line.given


def _refused(session: Session) -> int:
    """Actions that the world refused with an `InputError`: they took no step, and the world counted them."""
    return sum(not s.outcome.steps and not s.outcome.ok for s in session.steps)


def _readable(error: Any, session: Session) -> None:
    assert len(error.kind) <= 100
    assert len(error.source_line) <= 400
    assert len(error.where) <= 1_000
    for text in (error.kind, error.message, error.source_line, error.where):
        _text(text)
    if error.line is not None:
        assert 0 < error.line <= SOURCE.count("\n") + 2


def _text(text: str) -> None:
    """A text of an error: of a length that somebody reads, and nothing in it leads astray."""
    assert len(text) <= TEXTS, "a text of an error is too long"
    _shown(text)


# Unicode's bidirectional controls and what breaks lines, beside all control characters but tab and newline.
_ASTRAY = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u2028\u2029\x85")


def _shown(text: str) -> None:
    """Nothing in a text leads a terminal or a page astray."""
    if text.isascii() and text.isprintable():
        return
    for c in set(text):
        if c not in "\t\n" and (c in _ASTRAY or unicodedata.category(c) in ("Cc", "Cs")):
            raise AssertionError(f"{unicodedata.name(c, 'a control character')} (U+{ord(c):04X}) is shown")


# ---- honest scripts, which a fuzzer begins from


def _packet(*message: Any) -> bytes:
    return PACKET + json.dumps(list(message), separators=(",", ":")).encode()


def trace(*actions: tuple[Any, ...]) -> list[bytes]:
    """What an honest worker tells of these actions on the fast path."""
    world = Counts()
    told = []
    for name, *args in actions:
        try:
            outcome = world.act(Action(name, tuple(args)))
        except InputError as error:
            outcome = Outcome(False, message=str(error), steps=0)
        told.append([name, args, seen(outcome)])
    return [_packet("trace", told), _packet("state", digest(world))]


READY = PACKET + b'["ready"]'
_OK = bytes([0x30, 0x40, 0, 0, 1])  # as `Kind.of` reads it: the run's process exits with 0 after 0.1 s
_DUMPED = (
    DUMP + b'Current thread 0x1 (most recent call first):\x1e  File "<skill helper>", line 2 in helper\x1e'
    b'  File "<skill main>", line 4 in main\x1e  File "/usr/lib/server.py", line 104 in _run\x1e'
)


def _setup(flags: int = 0, limits: int = 0, status: int = 0, cpu: int = 1) -> bytes:
    return bytes([0x30 | flags, limits, status >> 8, status & 255, cpu])


def honest() -> list[bytes]:
    """Scripts of runs as honest workers and ordinary programs make them, and some that go a little astray: all that
    the protocol has, once at least."""
    add, done = _packet("act", "add", ["oak", 2]), _packet("done", [1, {"a": "b"}, None])
    runs = [
        [_setup(), READY, add, _packet("act", "take", ["oak"]), _packet("observe"), done],
        [_setup(), READY, OUTPUT + b"now 2\x1e", add, SILENCE, OUTPUT + "Grüße\x1e".encode(), done],
        [_setup(), READY, _packet("act", "take", ["none"]), _packet("act", "pick", ["a", "b", 3]), done],
        [_setup(), READY, _packet("steps", [["add", ["oak"]], ["walk", []], ["take", ["x"]], ["add", ["y"]]]), done],
        [_setup(), READY, _packet("tool", "echo", [1, "a"], {"more": [2.5, None]}), _packet("tool", "down", [], {})],
        [_setup(), READY, _packet("tool", "long", [], {}), _packet("tool", "odd", [], {})],
        [_setup(), READY, _packet("tool", "dear", [], {}), done],
        [_setup(), READY, _packet("act", "crash", [])],
        [_setup(), READY, _packet("act", "odd", [])],
        [_setup(), READY, _packet("act", "wrong", [])],
        [_setup(), READY, _packet("act", "hide", []), _packet("observe")],
        [_setup(), READY, PACKET + b'["done",NaN]'],
        [_setup(), READY, add, _packet("error", "KeyError", "'x'", [["main", 3, "main"], ["helper", 2, "helper"]])],
        [_setup(), READY, _packet("error", "memory", "", []), OUTPUT + b"late"],
        [_setup(0, 1), READY, add, PASSES + b"1500", SILENCE, _DUMPED],
        [_setup(0, 1), READY, add, PASSES + b"1500", add, done],
        [_setup(0, 2), READY, add, _DUMPED, PASSES + b"600", SILENCE],
        [_setup(0, 4, 24, 12), READY, _DUMPED, ENDS],
        [_setup(0, 4, 9, 12), READY, add, ENDS],
        [_setup(0, 0, 11), READY, add, BREAKS],
        [_setup(8), READY, ENDS],
        [_setup(0, 0, 3 << 8), READY, ENDS],
        [_setup(0, 16), READY, OUTPUT + b"x" * 120, add, done],
        [_setup(0, 32), READY, add, AGAIN + b"9", done],
        [_setup(0, 64), READY, _packet("observe"), AGAIN + b"12", done],
        [_setup(0, 128), READY, _packet("tool", "echo", [], {}), AGAIN + b"3", done],
        [_setup(4), READY, add, AGAIN + b"75", done],
        [_setup(2), READY, add, done],
        [_setup(), READY, FULL + b"5", add, SILENCE, add, done],
        [_setup(), READY, FULL + b"1000", add, DEAF, add, add, done],
        [_setup(), READY, b"O9000 spam \x1e", AGAIN + b"8", done],
        [_setup(), READY, add, AGAIN + b"600", done],
        [_setup(), READY, b"P70000 x", done],
        [_setup(), READY, b"P70000 [", done],
        [_setup(), READY, b"D70000 9", SILENCE, done],
        [_setup(), READY, _packet("act", "pick", [1] * 65), done],
        [_setup(), READY, _packet("act", "add", ["oak", 1.5]), done],
        [_setup(), READY, _packet("steps", [["take", ["x"]]] * 1_001), done],
        [_setup(), ENDS],
        [_setup(), DUMP + b"OSError: landlock", ENDS],
        [_setup(), DUMP + b"OSError", PACKET + b"x"],
        [_setup(), BREAKS],
        [_setup(), PASSES + b"31000", SILENCE],
    ]
    actions = [("add", "oak", 2), ("take", "oak"), ("take", "none"), ("walk",), ("pick", "x", "oak"), ("add",)]
    runs += [
        [_setup(1), READY, *trace(*actions), done],
        [_setup(1), READY, *trace(*actions), add, _packet("observe"), done],
        [_setup(1), READY, *trace(*actions)[:1], _packet("tool", "changes", [], {}), done],
        [_setup(1), READY, _packet("tool", "echo", [1], {}), *trace(("add", "oak")), done],
        [_setup(1), READY, *trace(*actions).__reversed__(), done],
        [_setup(1), READY, *trace(*[("add", "oak")] * 300)[:1], AGAIN + b"2", done],
        [_setup(1, 32), READY, *trace(*actions), done],
        [_setup(1, 64), READY, *trace(*actions, *actions), done],
        [_setup(5), READY, *trace(*[("walk",)] * 20), done],
        [_setup(1), READY, _packet("trace", [["add", ["oak"], [True, 1, 5]]]), done],
        [_setup(1), READY, _packet("trace", [["crash", [], [True, 1]]]), done],
        [_setup(1), READY, _packet("trace", [["take", ["x"], [False, 1]]] * 1_001), done],
        [_setup(1), READY, _packet("trace", [["take", ["x"]]]), done],
    ]
    return [b"\n".join(lines) for lines in runs]


WORDS = (
    *(f'["{kind}",' for kind in ("act", "steps", "tool", "trace", "state", "done", "error")),
    *(f'"{name}"' for name in ("add", "take", "walk", "pick", "crash", "odd", "hide", "oak", "observe", "ready")),
    *(f'"{name}"' for name in ("echo", "down", "dear", "long", "changes", "main", "helper", "memory")),
    *("[[", "]]", "[]", "{}", "[true,1", "null", "-0", "1e999", "NaN", "9007199254740992", "\\ud800", "\\u202e"),
    *('["main",3,"f"]', 'File "<skill main>", line 3 in main', "server.py"),
)


def dictionary() -> str:
    """Words of the protocol, as libFuzzer reads them."""
    lines = [*WORDS, *("\n" + chr(letter) for letter in LETTERS)]
    return "".join('"' + "".join(f"\\x{byte:02x}" for byte in line.encode()) + '"\n' for line in lines)
