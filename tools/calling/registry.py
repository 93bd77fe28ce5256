"""The tools at hand: adding, finding and calling them, with every call checked, paid for and bounded in time."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass, field, fields, replace
from typing import Any, Self

from habilis.core import (
    Approve,
    BudgetExceeded,
    Cost,
    DefinitionError,
    DuplicateNameError,
    HabilisError,
    InputError,
    Json,
    Ledger,
    NotFoundError,
    Reservation,
    ToolError,
)
from habilis.tools._json import as_given, capped, jsonable
from habilis.tools.calling._execution import Ended, abandon, launch, told
from habilis.tools.sources.options import SourceOptions
from habilis.tools.sources.text import as_tool, tools_of
from habilis.tools.tool import Priced, Tool, ToolSource, at_least_one_call

ENTRY_POINTS = "habilis.tools"

_MOMENT = 1.0  # seconds that a call asks for that declares none

_RENAME = 'write @tool(name="…")'
_REPREFIX = 'give its source a prefix (prefix="…", --prefix)'

Source = Tool | ToolSource | Callable[..., Any] | str | Any  # Any: a LangChain tool
OnBegin = Callable[[Tool, Mapping[str, Json], Cost], None]  # the tool, its arguments, the most that the call costs


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a call gave. ``error`` is None, or why the tool failed, in words for the writer.

    ``args``: the arguments by name, defaults filled in, as JSON. ``cost``: what was charged. ``seconds``: wall clock.
    ``overrun``: how far the cost went above what the tool had declared as the most.
    """

    tool: str
    args: Mapping[str, Json]
    value: Json = None
    error: str | None = None
    cost: Cost = field(default_factory=Cost)
    seconds: float = 0.0
    overrun: Cost | None = None

    @property
    def made(self) -> bool:
        """Whether the tool was reached: a call that was refused before that cost nothing."""
        return self.cost.calls > 0

    def unwrap(self) -> Json:
        """The value; raises `ToolError` where the tool failed."""
        if self.error is not None:
            raise ToolError(self.error)
        return self.value


@dataclass(frozen=True, slots=True)
class ToolStats:
    """What is known of a tool from its calls. ``most``: the most that one call costs, declared, then raised."""

    most: Cost
    calls: int = 0
    failures: int = 0
    overruns: int = 0
    cost: Cost = field(default_factory=Cost)


@dataclass(slots=True)
class _Pending:
    """A call that was checked and paid for and now runs."""

    tool: Tool
    args: Mapping[str, Json]
    most: Cost
    held: Reservation
    timeout: float | None
    limited_by: str
    running: Future[Ended]
    started: float


class ToolRegistry:
    """Tools by name. Safe under threads.

    A tool with side effects runs only if ``approve(name, args)`` says True, or, without ``approve``, if
    ``allow_side_effects`` is set. The default is to refuse, with an error that says so: an agent that writes its own
    programs must not be able to mail or pay because nobody thought of a switch.

    ``max_calls`` of a tool counts per run: a registry counts from its creation, or from `begin_run`.
    """

    def __init__(
        self,
        sources: Sequence[Source] = (),
        *,
        approve: Approve | None = None,
        allow_side_effects: bool = False,
    ) -> None:
        self.approve = approve
        self.allow_side_effects = allow_side_effects
        self._tools: dict[str, Tool] = {}
        self._stats: dict[str, ToolStats] = {}
        self._made: dict[str, int] = {}
        self._lock = threading.RLock()
        try:
            for source in sources:
                self.add(source)
        except BaseException:
            self.close()
            raise

    # -- what is there ------------------------------------------------------------------------------------------------

    def add(self, source: Source, options: SourceOptions | None = None) -> Tool:
        """Add a tool and return it.

        ``source``: a `Tool`; a typed function; a LangChain ``BaseTool``; a `ToolSource`, such as `mcp_server` and
        `openapi` give; or text: ``module:function``, ``path/to/file.py:function``, ``path/to/file.py``,
        ``mcp:COMMAND ARGS…``, ``mcp:http://HOST:PORT/mcp``, ``openapi:PATH_OR_URL``. What names several tools adds them
        all, and the first by name is returned (`add_all` returns them all). ``options``: what you say about the tools
        of a text, over what it says itself.

        Raises `DuplicateNameError` naming both owners, `NotFoundError`, `DefinitionError`, `InputError` (also for a
        server that cannot be reached: names its address), `MissingExtraError`.
        """
        added = self.add_all(source, options)
        if not added:
            raise NotFoundError(
                f"{getattr(source, 'text', source)!s:.200} has no tool; add_all takes that, add does not"
            )
        return added[0]

    def add_all(self, source: Source, options: SourceOptions | None = None) -> tuple[Tool, ...]:
        """Add all that ``source`` names, or nothing if one of them cannot be added."""
        if isinstance(source, str):
            made = tools_of(source, options)
        elif options is not None:
            raise InputError(
                "options are for sources that are given as text; give others their own, as in tool(cost=…)"
            )
        else:
            made = source.tools() if isinstance(source, ToolSource) else (as_tool(source),)
        try:
            self._take(made)
        except DuplicateNameError:
            _close(t.source for t in made if t.source not in self._sources())
            raise
        return made

    def _take(self, made: Sequence[Tool]) -> None:
        with self._lock:
            new: dict[str, Tool] = {}
            for one in made:
                other = self._tools.get(one.name) or new.setdefault(one.name, one)
                if other is not one:
                    raise DuplicateNameError(
                        f"the tool name {one.name!r} is taken by {_owner(other)}; {_owner(one)} needs another: "
                        f"{_RENAME if one.source is None else _REPREFIX}, or remove the first"
                    )
            for one in made:
                self._tools[one.name] = one
                self._stats[one.name] = ToolStats(one.most)

    def add_entry_points(self) -> tuple[Tool, ...]:
        """Add the tools that installed packages offer in the entry-point group ``habilis.tools``."""
        from importlib.metadata import entry_points

        added: list[Tool] = []
        for point in sorted(entry_points(group=ENTRY_POINTS), key=lambda p: (p.name, p.value)):
            package = point.dist.name if point.dist is not None else "an installed package"
            try:
                added += self.add_all(point.load())
            except DuplicateNameError:
                raise
            except Exception as error:
                raise DefinitionError(
                    f"the tool {point.name!r} ({point.value}) of {package} could not be loaded: "
                    f"{type(error).__name__}: {error}; update or uninstall {package}"
                ) from error
        return tuple(added)

    def remove(self, name: str) -> Tool:
        """Take a tool out, and close its source with its last tool; raises `NotFoundError`."""
        with self._lock:
            found = self.get(name)
            del self._tools[name], self._stats[name]
            self._made.pop(name, None)
            last = found.source not in self._sources()
        if last:
            _close([found.source])
        return found

    def get(self, name: str) -> Tool:
        """The tool of this name; raises `NotFoundError` saying what exists."""
        with self._lock:
            if name not in self._tools:
                raise NotFoundError.of("tool", name, self._tools)
            known = self._tools[name]
            if known.source is not None:
                self._tools[name] = known = known.source.latest(known)
            return known

    def names(self) -> tuple[str, ...]:
        with self._lock:
            return tuple(sorted(self._tools))

    def __iter__(self) -> Iterator[Tool]:
        with self._lock:
            return iter([self.get(n) for n in sorted(self._tools)])

    def __len__(self) -> int:
        return len(self._tools)

    def __contains__(self, name: object) -> bool:
        return name in self._tools

    def stats(self, name: str) -> ToolStats:
        """Calls, failures and costs of a tool since it was added; raises `NotFoundError`."""
        with self._lock:
            self.get(name)
            return self._stats[name]

    def begin_run(self, made: Mapping[str, int] | None = None) -> None:
        """Count ``max_calls`` from zero again, or, as a run goes on, from the calls that it has ``made``."""
        with self._lock:
            self._made = dict(made or {})

    def close(self) -> None:
        """End the servers and clients of its tools' sources. A later call opens them again."""
        _close(self._sources())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *why: object) -> None:
        self.close()

    def _sources(self) -> list[ToolSource]:
        """What its tools hold open, each once."""
        with self._lock:
            return list({id(t.source): t.source for t in self._tools.values() if t.source is not None}.values())

    # -- calling ------------------------------------------------------------------------------------------------------

    async def call(
        self,
        name: str,
        args: Mapping[str, Json],
        ledger: Ledger,
        *,
        approve: Approve | None = None,
        on_begin: OnBegin | None = None,
    ) -> ToolResult:
        """Call a tool. What goes wrong in the tool is in ``ToolResult.error``; limits and unknown names are raised.

        The tool's declared cost is reserved before, so a call that could pass a limit is not made. Charged is what the
        tool reports with `Priced`, else what it declares, also when it fails or is timed out: what a failed call has
        spent cannot be known. Seconds are measured, and charged if the tool declares any; no call outlasts the
        seconds left on the ledger. ``on_begin`` is told of a call that was checked and paid for, before it is made.

        Raises `NotFoundError` and `BudgetExceeded`.
        """
        pending = self._start(name, args, ledger, approve, on_begin)
        if isinstance(pending, ToolResult):
            return pending
        waiting = asyncio.wrap_future(pending.running)
        try:
            await asyncio.wait({waiting}, timeout=pending.timeout)
        except asyncio.CancelledError:
            waiting.cancel()
            self._finish(pending, None)
            raise
        if waiting.done():
            return self._finish(pending, waiting.result())
        waiting.cancel()  # an answer that comes late must find nobody waiting on a closed loop
        return self._finish(pending, None)

    def call_sync(
        self,
        name: str,
        args: Mapping[str, Json],
        ledger: Ledger,
        *,
        approve: Approve | None = None,
        on_begin: OnBegin | None = None,
    ) -> ToolResult:
        """`call` for threads that run no event loop."""
        pending = self._start(name, args, ledger, approve, on_begin)
        if isinstance(pending, ToolResult):
            return pending
        try:
            ended = pending.running.result(pending.timeout)
        except FutureTimeout:
            ended = None
        except BaseException:  # an interrupt of the caller: the call was made all the same
            self._finish(pending, None)
            raise
        return self._finish(pending, ended)

    def _start(
        self,
        name: str,
        args: Mapping[str, Json],
        ledger: Ledger,
        approve: Approve | None,
        on_begin: OnBegin | None,
    ) -> _Pending | ToolResult:
        found = self.get(name)
        try:
            values, recorded = found.signature.check(args)
        except ToolError as error:
            return ToolResult(name, as_given(args), error=str(error))
        try:
            self._count(found)
        except ToolError as error:
            return ToolResult(name, recorded, error=str(error))
        most = self.stats(name).most
        try:
            self._ask(found, recorded, approve or self.approve)
            held = ledger.reserve(most)
        except ToolError as error:
            self._uncount(name)
            return ToolResult(name, recorded, error=str(error))
        except BaseException:
            self._uncount(name)
            raise
        timeout, limited_by = found.timeout, "its timeout"
        left = ledger.remaining.seconds
        if left is not None:
            left += most.seconds
            if left <= 0:
                held.release()
                self._uncount(name)
                ledger.reserve(Cost(seconds=_MOMENT)).release()  # raises, and names the limit: of this ledger or above
                raise BudgetExceeded("seconds", ledger.limit.seconds or 0.0, ledger.spent.seconds, 0.0, _MOMENT)
            if timeout is None or left < timeout:
                timeout, limited_by = left, "the seconds left in the budget"
        if on_begin is not None:
            try:
                on_begin(found, recorded, most)
            except BaseException:
                held.release()
                self._uncount(name)
                raise
        running = launch(_work(found, values), is_async=found.is_async)
        return _Pending(found, recorded, most, held, timeout, limited_by, running, time.perf_counter())

    def _finish(self, pending: _Pending, ended: Ended | None) -> ToolResult:
        name, cost = pending.tool.name, pending.most
        seconds = time.perf_counter() - pending.started if ended is None else ended.seconds
        value, error, reported = None, None, None
        if ended is None:
            abandon(pending.running)
            error = (
                f"{name} did not answer within {pending.timeout:g} seconds ({pending.limited_by}) and was given up; "
                "ask for less, or raise the limit"
            )
        elif ended.error is not None:
            error = f"{name} {ended.error}"
        else:
            value, error, reported = ended.value
        cost = cost if reported is None else at_least_one_call(reported)
        if cost.seconds and reported is None:
            cost = replace(cost, seconds=seconds)
        pending.held.commit(cost)
        over = cost.less(pending.most)
        overrun = over if over.nonzero() else None
        with self._lock:
            stats = self._stats.get(name)
            if stats is not None:
                self._stats[name] = ToolStats(
                    _larger(stats.most, cost) if overrun else stats.most,
                    stats.calls + 1,
                    stats.failures + (error is not None),
                    stats.overruns + (overrun is not None),
                    stats.cost + cost,
                )
        return ToolResult(name, pending.args, value, error, cost, seconds, overrun)

    def _count(self, found: Tool) -> None:
        with self._lock:
            made = self._made.get(found.name, 0)
            if found.max_calls is not None and made >= found.max_calls:
                raise ToolError(
                    f"{found.name} may be called max_calls={found.max_calls} times in a run, and was called {made} "
                    "times; use what it gave, or another tool"
                )
            self._made[found.name] = made + 1

    def _uncount(self, name: str) -> None:
        with self._lock:
            self._made[name] = max(0, self._made.get(name, 1) - 1)

    def _ask(self, found: Tool, args: Mapping[str, Json], approve: Approve | None) -> None:
        if not found.side_effects:
            return
        if approve is None:
            if not self.allow_side_effects:
                raise ToolError(
                    f"{found.name} has side effects and nobody can approve them; pass approve=, "
                    "or allow_side_effects=True to allow all"
                )
            return
        try:
            answer: object = approve(found.name, args)
        except HabilisError:
            raise
        except Exception as error:
            raise ToolError(f"{found.name} was not approved: approve= {told(error)}") from error
        if not isinstance(answer, bool):  # a coroutine, say, would count as true
            if hasattr(answer, "close"):
                answer.close()
            raise ToolError(f"{found.name} was not approved: approve= returned {answer!r:.80}, not True or False")
        if not answer:
            raise ToolError(f"{found.name} was not approved")


def _close(sources: Iterable[ToolSource | None]) -> None:
    """Close each once, side by side: one may take its seconds."""
    closing = [
        threading.Thread(target=one.close, name="habilis-closing", daemon=True)
        for one in {id(s): s for s in sources if s is not None}.values()
    ]
    for thread in closing:
        thread.start()
    for thread in closing:
        thread.join()


def _owner(one: Tool) -> str:
    return f"{one.owner} ({one.where})" if one.where else one.owner


def _work(found: Tool, values: Mapping[str, Any]) -> Callable[[], Any]:
    """The call as it runs beside us: its result is read there too, because reading it runs the tool's own code."""

    def work() -> tuple[Json, str | None, Cost | None]:
        return _read(found.name, found.signature.call(found.function, values))

    async def awork() -> tuple[Json, str | None, Cost | None]:
        return _read(found.name, await found.signature.call(found.function, values))

    return awork if found.is_async else work


def _read(name: str, result: Any) -> tuple[Json, str | None, Cost | None]:
    """A result as JSON data, or what is wrong with it; and the cost that it reports."""
    reported = None
    if type(result) is Priced:
        if not isinstance(result.cost, Cost):
            return None, f"{name} reported the cost {result.cost!r:.80}, which is not a Cost", None
        result, reported = result.value, result.cost
    try:
        return capped(jsonable(result)), None, reported
    except ToolError as unfit:
        return None, f"{name}: {unfit}", reported
    except BaseException as broken:
        return None, f"{name}: its result could not be read: {told(broken)}", reported


def _larger(one: Cost, other: Cost) -> Cost:
    return Cost(**{f.name: max(getattr(one, f.name), getattr(other, f.name)) for f in fields(Cost)})
