"""Running a tool's function beside the caller, so that a hang, an exit or an interrupt never reaches the caller."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from habilis.core import Cost, Json, ToolError
from habilis.core.budget import KINDS
from habilis.tools._json import capped, jsonable
from habilis.tools.tool import Priced, Tool

_BELIEVABLE = 1e12  # of any kind of cost, in one call: more than anybody has


@dataclass(frozen=True, slots=True)
class Ended:
    """How a function ended: its value, or what it raised as text; and how long it took in seconds."""

    value: Any = None
    error: str | None = None
    seconds: float = 0.0


def work_of(found: Tool, values: Mapping[str, Any]) -> Callable[[], Any]:
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
        result, reported = result.value, Cost(*(getattr(result.cost, kind) for kind in KINDS))
        beyond = {kind: amount for kind, amount in reported.nonzero().items() if amount > _BELIEVABLE}
        if beyond:
            shown = ", ".join(f"{kind}={amount:.3g}" for kind, amount in beyond.items())
            return None, f"{name} reported the cost {shown}, which nobody believes; the most is {_BELIEVABLE:g}", None
    try:
        return capped(jsonable(result)), None, reported
    except ToolError as unfit:
        return None, f"{name}: {unfit}", reported
    except BaseException as broken:
        return None, f"{name}: its result could not be read: {told(broken)}", reported


def launch(work: Callable[[], Any], *, is_async: bool) -> Future[Ended]:
    """Start ``work`` in a daemon thread of its own, or (coroutines) on the one loop kept for asynchronous tools.

    The one loop lets asynchronous tools keep clients and connections open between calls.
    """
    return _loop.submit(work) if is_async else _thread(work)


def abandon(running: Future[Ended]) -> None:
    """Stop waiting. A coroutine is cancelled; a thread cannot be stopped and is left to end by itself."""
    running.cancel()
    _loop.suspect()


def told(error: BaseException) -> str:
    """What a program is told of an exception: its kind and message, of bounded length."""
    try:
        message = str(error)
    except BaseException:  # a message is the tool's own code
        message = "(its message cannot be shown)"
    message = message if len(message) <= 600 else message[:600] + "…"
    if isinstance(error, ToolError):  # a sentence about the tool, which its name begins
        return message
    return f"raised {type(error).__name__}: {message}" if message else f"raised {type(error).__name__}"


def _thread(work: Callable[[], Any]) -> Future[Ended]:
    running: Future[Ended] = Future()
    running.set_running_or_notify_cancel()
    context = contextvars.copy_context()

    def run() -> None:
        start = time.perf_counter()
        try:
            ended = Ended(context.run(work), None, time.perf_counter() - start)
        except BaseException as error:  # SystemExit and KeyboardInterrupt of a tool are its failures, not ours
            ended = Ended(None, told(error), time.perf_counter() - start)
        running.set_result(ended)

    threading.Thread(target=run, name="habilis-tool", daemon=True).start()
    return running


class _Loop:
    """An event loop in a daemon thread, replaced when a tool has blocked it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._answered: threading.Event | None = None

    def submit(self, work: Callable[[], Any]) -> Future[Ended]:
        async def run() -> Ended:
            start = time.perf_counter()
            try:
                return Ended(await work(), None, time.perf_counter() - start)
            except BaseException as error:  # an exit that escapes from a task would end the loop
                return Ended(None, told(error), time.perf_counter() - start)

        with self._lock:
            return asyncio.run_coroutine_threadsafe(run(), self._ready())

    def suspect(self) -> None:
        """Ask the loop for a sign of life, which the next call waits for."""
        with self._lock:
            if self._loop is not None and self._answered is None:
                self._answered = threading.Event()
                self._loop.call_soon_threadsafe(self._answered.set)

    def _ready(self) -> asyncio.AbstractEventLoop:
        blocked = self._answered is not None and not self._answered.wait(0.1)
        self._answered = None
        if self._loop is None or blocked:
            self._loop = asyncio.new_event_loop()
            threading.Thread(target=self._loop.run_forever, name="habilis-async-tools", daemon=True).start()
        return self._loop


_loop = _Loop()
