"""The calls of one tool: each checked, counted, paid for, bounded in time, and settled when it is over."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

from habilis.core import BudgetExceeded, Cost, Json, Ledger, Reservation, Span, ToolError, span
from habilis.tools._json import as_given
from habilis.tools.calling._execution import Ended, abandon, launch, work_of
from habilis.tools.calling.paying import Paying
from habilis.tools.calling.results import ToolResult, ToolStats
from habilis.tools.tool import Tool, at_least_one_call

_MOMENT = 1.0  # seconds that a call asks for that declares none

Approval = Callable[[Tool, Mapping[str, Json]], None]  # raises `ToolError` where the call may not be made
OnBegin = Callable[[Tool, Mapping[str, Json], Cost], None]  # the tool, its arguments, the most that the call costs


@dataclass(slots=True)
class _Pending:
    """A call that was checked and paid for and now runs."""

    args: Mapping[str, Json]
    most: Cost
    held: Reservation
    timeout: float | None
    limited_by: str
    running: Future[Ended]
    started: float


class Calls:
    """The calls of one tool, as `ToolRegistry.call` tells. Safe under threads. ``made``: those of the run so far, which
    ``max_calls`` limits."""

    def __init__(self, tool: Tool, made: int = 0) -> None:
        self.paying = Paying(tool)
        self.made = made
        self._stats = ToolStats(tool.most)
        self._lock = threading.Lock()

    @property
    def tool(self) -> Tool:
        return self.paying.tool

    def stats(self) -> ToolStats:
        standing = self.paying.standing
        with self._lock:
            now = self._stats
        return replace(now, most=self.paying.most, overruns=standing.overruns, refused=standing.refused)

    async def call(
        self, args: Mapping[str, Json], ledger: Ledger, approval: Approval, on_begin: OnBegin | None
    ) -> ToolResult:
        with _span(self.tool.name) as here:
            try:
                async with self.paying.turn():
                    result = await self._wait(self._start(args, ledger, approval, on_begin))
            except RecursionError as error:
                result = self._not_made(as_given(args), f"{self.tool.name}: {error}")
            return _told(here, result)

    def call_sync(
        self, args: Mapping[str, Json], ledger: Ledger, approval: Approval, on_begin: OnBegin | None
    ) -> ToolResult:
        with _span(self.tool.name) as here:
            try:
                with self.paying.turn():
                    result = self._wait_sync(self._start(args, ledger, approval, on_begin))
            except RecursionError as error:
                result = self._not_made(as_given(args), f"{self.tool.name}: {error}")
            return _told(here, result)

    async def _wait(self, pending: _Pending | ToolResult) -> ToolResult:
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

    def _wait_sync(self, pending: _Pending | ToolResult) -> ToolResult:
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
        self, args: Mapping[str, Json], ledger: Ledger, approval: Approval, on_begin: OnBegin | None
    ) -> _Pending | ToolResult:
        found = self.tool
        try:
            values, recorded = found.signature.check(args)
        except ToolError as error:
            return self._not_made(as_given(args), str(error))
        try:
            self.paying.check()
            self._count(found)
        except ToolError as error:
            return self._not_made(recorded, str(error))
        most = self.paying.most
        try:
            approval(found, recorded)
            held = ledger.reserve(most, what=f"the tool {found.name}", again=found.safe_to_retry)
        except ToolError as error:
            self._uncount()
            return self._not_made(recorded, str(error))
        except BaseException:
            self._uncount()
            raise
        try:
            timeout, limited_by = _time_for(found, most, ledger)
            if on_begin is not None:
                on_begin(found, recorded, most)
        except BaseException:
            held.release()
            self._uncount()
            raise
        running = launch(work_of(found, values), is_async=found.is_async)
        return _Pending(recorded, most, held, timeout, limited_by, running, time.perf_counter())

    def _finish(self, pending: _Pending, ended: Ended | None) -> ToolResult:
        name = self.tool.name
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
            self.paying.answered(reported is not None)
        try:
            cost, wrong, overrun = self.paying.settle(pending.most, reported, seconds)
            if wrong is not None:
                value, error = None, wrong
        except BaseException:  # what was learned could not be kept
            cost = pending.most if reported is None else at_least_one_call(reported)
            raise
        finally:
            pending.held.commit(cost)
        with self._lock:
            now = self._stats
            failures = now.failures + (error is not None)
            self._stats = replace(now, calls=now.calls + 1, failures=failures, cost=now.cost + cost)
        over = None if overrun is None else cost.less(pending.most)
        return ToolResult(name, pending.args, value, error, cost, seconds, over)

    def _not_made(self, args: Mapping[str, Json], why: str) -> ToolResult:
        return ToolResult(self.tool.name, args, error=why)

    def _count(self, found: Tool) -> None:
        with self._lock:
            if found.max_calls is not None and self.made >= found.max_calls:
                raise ToolError(
                    f"{found.name} may be called max_calls={found.max_calls} times in a run, and was called "
                    f"{self.made} times; use what it gave, or another tool"
                )
            self.made += 1

    def _uncount(self) -> None:
        with self._lock:
            self.made = max(0, self.made - 1)


def _time_for(found: Tool, most: Cost, ledger: Ledger) -> tuple[float | None, str]:
    """The seconds after which a call is given up that holds ``most``, and what limits them. Raises `BudgetExceeded`
    where none are left."""
    timeout, limited_by = found.timeout, "its timeout"
    if most.seconds and (timeout is None or most.seconds < timeout):
        timeout, limited_by = most.seconds, "the seconds that it declares to cost"
    left = ledger.remaining.seconds
    if left is None:
        return timeout, limited_by
    left += most.seconds
    if left <= 0:
        ledger.reserve(Cost(seconds=_MOMENT)).release()  # raises, and names the limit: of this ledger or above
        raise BudgetExceeded("seconds", ledger.limit.seconds or 0.0, ledger.spent.seconds, 0.0, _MOMENT)
    if timeout is None or left < timeout:
        return left, "the seconds left in the budget"
    return timeout, limited_by


def _span(name: str) -> AbstractContextManager[Span]:
    told = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": name, "gen_ai.tool.type": "function"}
    return span(f"execute_tool {name}", told)


def _told(here: Span, result: ToolResult) -> ToolResult:
    here.cost(result.cost)
    if result.error is not None:
        here.failed("ToolError")
    return result
