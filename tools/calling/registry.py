"""The tools at hand: adding, finding and calling them, with every call checked, paid for and bounded in time."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any, Self

from habilis.core import (
    Approve,
    BudgetExceeded,
    Cost,
    DefinitionError,
    DuplicateNameError,
    InputError,
    Json,
    Ledger,
    NotFoundError,
    Overrun,
    Overruns,
    Reservation,
    Span,
    Standings,
    ToolError,
    check_policy,
    span,
)
from habilis.tools._json import as_given
from habilis.tools.calling._approval import ask
from habilis.tools.calling._execution import Ended, abandon, launch, work_of
from habilis.tools.calling.paying import Paying
from habilis.tools.calling.results import ToolResult, ToolStats
from habilis.tools.sources.options import SourceOptions
from habilis.tools.sources.text import as_tool, tools_of
from habilis.tools.tool import Tool, ToolSource, at_least_one_call

ENTRY_POINTS = "habilis.tools"

_MOMENT = 1.0  # seconds that a call asks for that declares none

_RENAME = 'write @tool(name="…")'
_REPREFIX = 'give its source a prefix (prefix="…", --prefix)'

Source = Tool | ToolSource | Callable[..., Any] | str | Any  # Any: a LangChain tool
OnBegin = Callable[[Tool, Mapping[str, Json], Cost], None]  # the tool, its arguments, the most that the call costs


@dataclass(slots=True)
class _Pending:
    """A call that was checked and paid for and now runs."""

    paying: Paying
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

    A call that costs more than its tool declares is charged. From then on the tool is taken to cost that much, until it
    costs still more and is refused; with ``overruns="refuse"`` it is refused at once (`habilis.tools.calling.paying`).
    ``standings``: the home's journal, where this is kept; ``on_overrun`` is told of each.
    """

    def __init__(
        self,
        sources: Sequence[Source] = (),
        *,
        approve: Approve | None = None,
        allow_side_effects: bool = False,
        overruns: Overruns = "reprice",
        standings: Standings | None = None,
        on_overrun: Callable[[Overrun], None] | None = None,
    ) -> None:
        check_policy(overruns)
        self.approve = approve
        self.allow_side_effects = allow_side_effects
        self._overruns: Overruns = overruns
        self._standings, self._on_overrun = standings, on_overrun
        self._tools: dict[str, Tool] = {}
        self._paying: dict[str, Paying] = {}
        self._stats: dict[str, ToolStats] = {}
        self._counts: dict[str, int] = {}
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
                paying = Paying(one)
                paying.standing.keep(self._standings, self._overruns, self._on_overrun)
                self._tools[one.name], self._paying[one.name] = one, paying
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
            del self._tools[name], self._paying[name], self._stats[name]
            self._counts.pop(name, None)
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
                self._tools[name] = self._paying[name].tool = known = known.source.latest(known)
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
        """What is known of a tool's price and of its calls; raises `NotFoundError`."""
        with self._lock:
            self.get(name)
            paying = self._paying[name]
            standing = paying.standing
            return replace(self._stats[name], most=paying.most, overruns=standing.overruns, refused=standing.refused)

    def forgive(self, name: str) -> None:
        """Take a tool at its word again that has cost more than it declares. Raises `NotFoundError`."""
        with self._lock:
            self.get(name)
            self._paying[name].standing.forgive()

    def begin_run(self, made: Mapping[str, int] | None = None) -> None:
        """Count ``max_calls`` from zero again, or, as a run goes on, from the calls that it has ``made``."""
        with self._lock:
            self._counts = dict(made or {})

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
        seconds left on the ledger, or that its tool declares. Calls of a tool that reports its own cost wait for each
        other. ``on_begin`` is told of a call that was checked and paid for, before it is made.

        Raises `NotFoundError` and `BudgetExceeded`.
        """
        paying = self._pays(name)
        with _span(name) as here:
            try:
                async with paying.turn():
                    result = await self._made(self._start(paying, args, ledger, approve, on_begin))
            except RecursionError as error:
                result = ToolResult(name, as_given(args), error=f"{name}: {error}")
            return _told(here, result)

    async def _made(self, pending: _Pending | ToolResult) -> ToolResult:
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
        paying = self._pays(name)
        with _span(name) as here:
            try:
                with paying.turn():
                    result = self._made_sync(self._start(paying, args, ledger, approve, on_begin))
            except RecursionError as error:
                result = ToolResult(name, as_given(args), error=f"{name}: {error}")
            return _told(here, result)

    def _made_sync(self, pending: _Pending | ToolResult) -> ToolResult:
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
        paying: Paying,
        args: Mapping[str, Json],
        ledger: Ledger,
        approve: Approve | None,
        on_begin: OnBegin | None,
    ) -> _Pending | ToolResult:
        found, name = paying.tool, paying.tool.name
        try:
            values, recorded = found.signature.check(args)
        except ToolError as error:
            return ToolResult(name, as_given(args), error=str(error))
        try:
            paying.check()
            self._count(found)
        except ToolError as error:
            return ToolResult(name, recorded, error=str(error))
        most = paying.most
        try:
            ask(found, recorded, approve or self.approve, self.allow_side_effects)
            held = ledger.reserve(most, what=f"the tool {name}", again=found.safe_to_retry)
        except ToolError as error:
            self._uncount(name)
            return ToolResult(name, recorded, error=str(error))
        except BaseException:
            self._uncount(name)
            raise
        timeout, limited_by = found.timeout, "its timeout"
        if most.seconds and (timeout is None or most.seconds < timeout):
            timeout, limited_by = most.seconds, "the seconds that it declares to cost"
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
        running = launch(work_of(found, values), is_async=found.is_async)
        return _Pending(paying, recorded, most, held, timeout, limited_by, running, time.perf_counter())

    def _finish(self, pending: _Pending, ended: Ended | None) -> ToolResult:
        name = pending.paying.tool.name
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
            pending.paying.answered(reported is not None)
        try:
            cost, wrong, overrun = pending.paying.settle(pending.most, reported, seconds)
            if wrong is not None:
                value, error = None, wrong
        except BaseException:  # what was learned could not be kept
            cost = pending.most if reported is None else at_least_one_call(reported)
            raise
        finally:
            pending.held.commit(cost)
        with self._lock:
            stats = self._stats.get(name)
            if stats is not None:
                failures = stats.failures + (error is not None)
                self._stats[name] = replace(stats, calls=stats.calls + 1, failures=failures, cost=stats.cost + cost)
        over = None if overrun is None else cost.less(pending.most)
        return ToolResult(name, pending.args, value, error, cost, seconds, over)

    def _pays(self, name: str) -> Paying:
        with self._lock:
            found = self.get(name)
            paying = self._paying[name]
            paying.tool = found  # its source may have changed what it takes
            return paying

    def _count(self, found: Tool) -> None:
        with self._lock:
            made = self._counts.get(found.name, 0)
            if found.max_calls is not None and made >= found.max_calls:
                raise ToolError(
                    f"{found.name} may be called max_calls={found.max_calls} times in a run, and was called {made} "
                    "times; use what it gave, or another tool"
                )
            self._counts[found.name] = made + 1

    def _uncount(self, name: str) -> None:
        with self._lock:
            self._counts[name] = max(0, self._counts.get(name, 1) - 1)


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


def _span(name: str) -> AbstractContextManager[Span]:
    told = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": name, "gen_ai.tool.type": "function"}
    return span(f"execute_tool {name}", told)


def _told(here: Span, result: ToolResult) -> ToolResult:
    here.cost(result.cost)
    if result.error is not None:
        here.failed("ToolError")
    return result


def _owner(one: Tool) -> str:
    return f"{one.owner} ({one.where})" if one.where else one.owner
