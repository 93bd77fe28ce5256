"""The connection to an MCP server: one session held open between calls, opened again where it has ended."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import logging
import threading
import time
import weakref
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager
from typing import Any

from habilis.core import HabilisError, Json, ToolError
from habilis.tools.sources._mcp_transport import Line

OPENING = 60.0  # seconds for a server to come up and list its tools: `npx` and `uvx` may have to fetch it first
MOST_TOOLS, _MOST_PAGES = 1_000, 100
_SIGN_OF_LIFE = 1.0  # seconds for a server that has let a call run into its timeout to answer a ping
_CLOSING = 8.0  # seconds; what does not end by then is killed with this process
_FREE_RETRIES, _LONGEST_PAUSE = 2, 60.0  # after this many failures in a row, the pause doubles from a second to this

Transport = Callable[[Line], AbstractAsyncContextManager[tuple[Any, Any]]]


class Session:
    """One life of a connection, in a daemon thread with a loop of its own: the SDK wants a session to be opened and
    closed by one task. ``ready`` is done once ``tools``, by name, are known, or fails with `ToolError`. It is over for
    good when ``over`` is set."""

    def __init__(self, address: str, transport: Transport, changed: Callable[[Mapping[str, Any]], None]) -> None:
        self.ready: Future[None] = Future()
        self.tools: Mapping[str, Any] = {}
        self.over = threading.Event()
        self.suspect = False
        self.reason = ""
        self._address, self._transport, self._changed = address, transport, changed
        self._line = Line(self._stop_soon)
        self._stale = False
        self._session: Any = None
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._gone: asyncio.Future[None] = self._loop.create_future()
        self._thread = threading.Thread(target=self._run, name=f"habilis-mcp {address}"[:60], daemon=True)
        self._thread.start()

    async def ask(self, work: Callable[[Any], Awaitable[Any]]) -> Any:
        """What ``work`` gives with the SDK's session; to be awaited on any loop. Raises `ToolError` where it ended."""
        try:
            asked = asyncio.run_coroutine_threadsafe(self._race(work), self._loop)
        except RuntimeError:  # the loop is closed
            raise self._ended() from None
        return await asyncio.wrap_future(asked)

    async def fresh(self) -> Mapping[str, Any]:
        """Its tools, listed again where it has said that they changed."""
        if self._stale:
            self._stale = False
            try:
                self.tools = await self.ask(_list)
                self._changed(self.tools)
            except BaseException:
                self._stale = True
                raise
        return self.tools

    def close(self, wait: float = _CLOSING) -> None:
        self.reason = self.reason or "it was closed"
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._stop.set)
        if threading.current_thread() is not self._thread:
            self._thread.join(wait)

    def _stop_soon(self) -> None:
        self._stop.set()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._live())
        finally:
            self.over.set()
            with contextlib.suppress(RuntimeError):
                self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.close()

    async def _live(self) -> None:
        from importlib.metadata import version

        from mcp import ClientSession, types

        _quiet()
        opened = False
        try:
            who = types.Implementation(name="habilis", version=version("habilis"))
            async with (
                self._transport(self._line) as (incoming, outgoing),
                ClientSession(incoming, outgoing, message_handler=self._hear, client_info=who) as session,
            ):
                async with asyncio.timeout(OPENING):
                    await session.initialize()
                    self.tools = await _list(session)
                self._changed(self.tools)
                self._session, opened = session, True
                self.ready.set_result(None)
                await self._stop.wait()
        except BaseException as error:  # whatever ends a session is told to who waits for it, and to nobody else
            self.reason = self.reason or _why(error, self._line.told())
        self.reason = self.reason or self._line.told() or "it hung up"
        self.over.set()
        if not opened:
            self.ready.set_exception(ToolError(f"cannot be reached at {self._address}: {self.reason}"))
        self._gone.set_result(None)
        await asyncio.sleep(0)
        left = [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
        if left:  # calls that wait: they are told that it has ended
            await asyncio.wait(left, timeout=1)

    async def _race(self, work: Callable[[Any], Awaitable[Any]]) -> Any:
        if self._session is None or self._gone.done():
            raise self._ended()
        asked = asyncio.ensure_future(work(self._session))
        try:
            await asyncio.wait({asked, self._gone}, return_when=asyncio.FIRST_COMPLETED)
            if not asked.done():
                raise self._ended()
            return asked.result()
        except (HabilisError, asyncio.CancelledError):
            raise
        except Exception as error:
            if await self._lost(error):
                raise self._ended() from None
            raise ToolError(f"got no answer from {self._address}: {_cause(error)}") from None
        finally:
            asked.cancel()

    async def _lost(self, error: Exception) -> bool:
        """Whether the session is over with this error; then waits for what ended it to be known."""
        import anyio
        from mcp import McpError, types

        if isinstance(error, McpError):
            lost = error.error.code == types.CONNECTION_CLOSED or error.error.message == "Session terminated"
        else:
            lost = isinstance(error, (anyio.ClosedResourceError, anyio.BrokenResourceError, anyio.EndOfStream))
        if not lost:
            return False
        self._stop.set()
        await asyncio.wait({self._gone}, timeout=_CLOSING)
        return True

    async def _hear(self, message: Any) -> None:
        from mcp import types

        if isinstance(getattr(message, "root", None), types.ToolListChangedNotification):
            self._stale = True

    def _ended(self) -> ToolError:
        reason = self.reason or self._line.told() or "it hung up"
        return ToolError(
            f"lost its server at {self._address}: {reason}; what came of the call is not known. "
            "The next call opens it again"
        )


class Connection:
    """Sessions with one server, one after the other. Safe under threads. ``changed`` is told what tools it has."""

    def __init__(self, address: str, transport: Transport, changed: Callable[[Mapping[str, Any]], None]) -> None:
        self.address = address
        self._transport, self._changed = transport, changed
        self._session: Session | None = None
        self._failures = 0
        self._not_before = 0.0
        self._last = ""
        self._lock = threading.Lock()
        _connections.add(self)

    def open(self) -> Mapping[str, Any]:
        """Its tools by name, at once if it is open. Raises `ToolError`."""
        session = self._current()
        try:
            session.ready.result(OPENING + _CLOSING)
            return session.tools
        except TimeoutError:
            raise ToolError(f"cannot be reached at {self.address}: no answer within {OPENING:g} seconds") from None

    async def call(self, name: str, arguments: Mapping[str, Json], fits: Callable[[Mapping[str, Any]], None]) -> Any:
        """The server's answer. ``fits`` looks at its tools as they now are, and raises. Raises `ToolError`."""
        from mcp import types

        session = self._current()
        if session.suspect:
            session = await self._alive(session)
        await asyncio.shield(asyncio.wrap_future(session.ready))
        fits(await session.fresh())
        params = types.CallToolRequestParams(name=name, arguments=dict(arguments))
        request = types.ClientRequest(types.CallToolRequest(params=params))
        try:
            # Not `call_tool`, which checks the answer against a schema of the server's, regular expressions and all.
            answer = await session.ask(lambda s: s.send_request(request, types.CallToolResult))
        except asyncio.CancelledError:
            session.suspect = True
            raise
        with self._lock:
            self._failures = 0
        return answer

    def close(self) -> None:
        """End the session. A later call begins another."""
        with self._lock:
            session, self._session = self._session, None
            self._failures, self._not_before = 0, 0.0
        if session is not None:
            session.close()

    def _current(self) -> Session:
        """The session that is open or opening, or a new one, where it is not too soon for that."""
        with self._lock:
            if self._session is not None and self._session.over.is_set():
                self._failures += 1
                pause = 2.0 ** (self._failures - _FREE_RETRIES) if self._failures > _FREE_RETRIES else 0.0
                self._not_before = time.monotonic() + min(pause, _LONGEST_PAUSE)
                self._last, self._session = self._session.reason, None
            if self._session is None:
                wait = self._not_before - time.monotonic()
                if wait > 0:
                    raise ToolError(
                        f"cannot be reached at {self.address}: it has failed {self._failures} times in a row "
                        f"({self._last}); it is tried again in {wait:.0f} seconds"
                    )
                self._session = Session(self.address, self._transport, self._changed)
            return self._session

    async def _alive(self, session: Session) -> Session:
        """The session, if it answers within a moment; else another, while that one is ended in its own time."""
        try:
            async with asyncio.timeout(_SIGN_OF_LIFE):
                await session.ask(lambda s: s.send_ping())
            session.suspect = False
            return session
        except (TimeoutError, ToolError):
            session.reason = session.reason or "it did not answer"
            session.close(0)
            session.over.set()
            return self._current()


async def _list(session: Any) -> dict[str, Any]:
    """All tools of a server, page by page."""
    from mcp import types

    tools: dict[str, Any] = {}
    cursor: str | None = None
    for _ in range(_MOST_PAGES):
        params = types.PaginatedRequestParams(cursor=cursor) if cursor is not None else None
        page = await session.send_request(
            types.ClientRequest(types.ListToolsRequest(params=params)), types.ListToolsResult
        )
        tools.update((tool.name, tool) for tool in page.tools)
        if len(tools) > MOST_TOOLS:
            raise ToolError(f"it has more than {MOST_TOOLS} tools")
        if not page.nextCursor or page.nextCursor == cursor:
            return tools
        cursor = page.nextCursor
    raise ToolError(f"its list of tools has more than {_MOST_PAGES} pages")


def _why(error: BaseException, told: str) -> str:
    """Why a session ended: by what the line tells of it, else by the error."""
    if isinstance(error, TimeoutError):
        return f"no answer within {OPENING:g} seconds" + (f"; {told}" if told else "")
    return told or _cause(error)


def _cause(error: BaseException) -> str:
    """What went wrong at the bottom of it, in bounded words."""
    while isinstance(error, BaseExceptionGroup) and error.exceptions:
        error = error.exceptions[0]
    text = str(error).strip() or type(error).__name__
    return text if len(text) <= 400 else text[:400] + "…"


def _quiet() -> None:
    """The SDK tells of every server that misbehaves as of an error of its own; we tell it ourselves."""
    logger = logging.getLogger("mcp")
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.CRITICAL)


_connections: weakref.WeakSet[Connection] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    open_ones = [c._session for c in list(_connections) if c._session is not None]
    for session in open_ones:
        session.close(0)
    for session in open_ones:
        session.close()
