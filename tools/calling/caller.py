"""How a running program reaches tools: on the host, through the ledger, onto the tape; and how a tape is replayed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence

from habilis.core import Approve, Json, Ledger, NotFoundError, ToolCall, ToolError
from habilis.tools._json import as_given, canonical
from habilis.tools.calling._calls import OnBegin
from habilis.tools.calling.previews import ARGUMENTS, digest
from habilis.tools.calling.registry import ToolRegistry
from habilis.tools.calling.results import ToolResult

OnCall = Callable[[ToolCall, ToolResult], None]


class Inconclusive(ToolError):
    """A verification needs a tool's answer that is not on the tape and must not be asked for again.

    It says nothing about the program: the evidence stays as it was.
    """

    code = "inconclusive"


class HostTools:
    """The tools that one run may call (core's ``ToolCaller``). Called from the runner's thread.

    ``allowed``: names, or None for all in the registry; an unknown one raises `NotFoundError`. Every call that was
    made, or failed, is appended to ``tape_out``; a call that the budget refused is not: nothing happened.
    ``on_call`` is told of each, ``on_begin`` of those that are about to be made.
    """

    def __init__(
        self,
        registry: ToolRegistry,
        ledger: Ledger,
        *,
        allowed: Iterable[str] | None = None,
        tape_out: list[ToolCall] | None = None,
        approve: Approve | None = None,
        on_call: OnCall | None = None,
        on_begin: OnBegin | None = None,
    ) -> None:
        self.registry = registry
        self.ledger = ledger
        self.tape: list[ToolCall] = tape_out if tape_out is not None else []
        self._allowed = tuple(sorted({registry.get(n).name for n in allowed})) if allowed is not None else None
        self._approve = approve
        self._on_call, self._on_begin = on_call, on_begin

    def names(self) -> tuple[str, ...]:
        return self.registry.names() if self._allowed is None else self._allowed

    def call(self, name: str, args: tuple[Json, ...], kwargs: Mapping[str, Json]) -> Json:
        """The tool's value. Raises `ToolError` (shown to the program) or `BudgetExceeded` (ends it)."""
        if name not in self.names():
            error = NotFoundError.of("tool", name, self.names(), "Only these may be called for this task.")
            raise self._failed(name, _unbound(args, kwargs), str(error))
        try:
            bound = self.registry.get(name).signature.bind(args, kwargs)
        except ToolError as error:
            raise self._failed(name, _unbound(args, kwargs), str(error)) from None
        except NotFoundError as error:  # it was removed meanwhile
            raise self._failed(name, _unbound(args, kwargs), str(error)) from None
        result = self.registry.call_sync(name, bound, self.ledger, approve=self._approve, on_begin=self._on_begin)
        return self._record(result).unwrap()

    def _failed(self, name: str, args: Mapping[str, Json], error: str) -> ToolError:
        self._record(ToolResult(name, args, error=error))
        return ToolError(error)

    def _record(self, result: ToolResult) -> ToolResult:
        entry = ToolCall(result.tool, result.args, result.value, result.error)
        self.tape.append(entry)
        if self._on_call is not None:
            self._on_call(entry, result)
        return result


class ReplayTools:
    """Answers a program's tool calls from the tape of an earlier run (core's ``ToolCaller``).

    Calls are matched by tool and arguments; the first such call gets the first recorded answer, and so on. A call that
    the tape does not answer is made through ``fallback``, and charged there, if the tool is ``safe_to_retry``;
    otherwise `Inconclusive` is raised. A program may catch that, so whoever judges the run asks `inconclusive`.

    When a program asks more often than was recorded, it gets the recorded answer again as long as all recorded answers
    to that question were the same; otherwise the call counts as not on the tape. Of arguments that are kept no longer
    an entry has the digest (`habilis.tools.calling.previews`), and that is compared.
    """

    def __init__(self, tape: Sequence[ToolCall], fallback: HostTools | None = None) -> None:
        self._fallback = fallback
        self._answers: dict[tuple[str, str], list[ToolCall]] = {}
        self._asked: dict[tuple[str, str], int] = {}
        self._order: dict[str, list[str]] = {}
        self._missing: list[str] = []
        self._made: list[ToolCall] = []
        self._tape = tuple(tape)
        self._lock = threading.Lock()
        for entry in tape:
            if ARGUMENTS in entry.args:
                self._answers.setdefault((entry.tool, str(entry.args[ARGUMENTS])), []).append(entry)
                continue
            self._order.setdefault(entry.tool, list(entry.args))
            # A runner's own record has positional arguments by number; both records give the same key.
            numbers = [str(i) for i in range(len(entry.args)) if str(i) in entry.args]
            named = {k: v for k, v in entry.args.items() if k not in numbers}
            given, _ = self._arguments(entry.tool, tuple(entry.args[n] for n in numbers), named)
            self._answers.setdefault((entry.tool, digest(given)), []).append(entry)

    @property
    def inconclusive(self) -> tuple[str, ...]:
        """What could not be answered; empty if the run was a fair one."""
        return tuple(self._missing)

    @property
    def tape(self) -> tuple[ToolCall, ...]:
        """The tape replayed, followed by the calls that had to be made: what the next replay can use."""
        return (*self._tape, *self._made)

    def names(self) -> tuple[str, ...]:
        known = {entry.tool for entry in self._tape} | set(self._fallback.names() if self._fallback is not None else ())
        return tuple(sorted(known))

    def call(self, name: str, args: tuple[Json, ...], kwargs: Mapping[str, Json]) -> Json:
        """The recorded value. Raises `ToolError` as recorded, `Inconclusive`, or `BudgetExceeded` from the fallback."""
        given, refused = self._arguments(name, args, kwargs)
        key = (name, digest(given))
        with self._lock:
            known = self._answers.get(key, [])
            asked = self._asked.get(key, 0)
            self._asked[key] = asked + 1
            same = len({canonical([as_given({"value": e.value}), e.error]) for e in known}) == 1
            if asked < len(known) or same:
                return _answer(known[min(asked, len(known) - 1)])
        if refused is not None:  # the tool itself was never reached, then or now
            raise refused
        return self._ask_host(given, name, args, kwargs)

    def _ask_host(
        self, given: Mapping[str, Json], name: str, args: tuple[Json, ...], kwargs: Mapping[str, Json]
    ) -> Json:
        host = self._fallback
        if host is None or name not in host.names() or not host.registry.get(name).safe_to_retry:
            why = "it is not safe_to_retry" if host is not None and name in host.names() else "it is not at hand"
            text = f"the call {name}({canonical(given)[1:-1]:.200}) is not on the tape, and {why}"
            with self._lock:
                self._missing.append(text)
            raise Inconclusive(f"{text}; verification is inconclusive")
        before = len(host.tape)
        try:
            return host.call(name, args, kwargs)
        finally:
            with self._lock:
                new = host.tape[before:]
                self._made += new
                self._answers.setdefault((name, digest(given)), []).extend(new)

    def _arguments(
        self, name: str, args: tuple[Json, ...], kwargs: Mapping[str, Json]
    ) -> tuple[Mapping[str, Json], ToolError | None]:
        """The arguments as the tape has them, by name and with defaults where the tool is still at hand; and why the
        tool would refuse them, if it would."""
        host = self._fallback
        if host is not None and name in host.registry:
            signature = host.registry.get(name).signature
            bound = _unbound(args, kwargs)
            try:
                bound = signature.bind(args, kwargs)
                return signature.check(bound)[1], None
            except ToolError as error:
                return as_given(bound), error
        order = self._order.get(name, [])
        if len(args) <= len(order):
            return as_given(dict(zip(order, args, strict=False)) | dict(kwargs)), None
        return _unbound(args, kwargs), None


class ResumedTools(ReplayTools):
    """The tools of a task that was cut short (core's ``ToolCaller``).

    What the tape of its first part has is answered from there, each entry once and in order; everything else is called.
    """

    def __init__(self, tape: Sequence[ToolCall], host: HostTools) -> None:
        super().__init__(tape, host)
        self._host = host

    def call(self, name: str, args: tuple[Json, ...], kwargs: Mapping[str, Json]) -> Json:
        """The recorded value, or a new one. Raises `ToolError` or `BudgetExceeded`."""
        given, _ = self._arguments(name, args, kwargs)
        key = (name, digest(given))
        with self._lock:
            known, asked = self._answers.get(key, []), self._asked.get(key, 0)
            self._asked[key] = asked + 1
        return _answer(known[asked]) if asked < len(known) else self._host.call(name, args, kwargs)


def _answer(entry: ToolCall) -> Json:
    if entry.error is not None:
        raise ToolError(entry.error)
    return entry.value


def _unbound(args: tuple[Json, ...], kwargs: Mapping[str, Json]) -> dict[str, Json]:
    """Arguments that fit no signature, kept for the record: positional ones by their number."""
    return as_given({str(i): a for i, a in enumerate(args)} | dict(kwargs))
