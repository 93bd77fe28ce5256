"""The two ways to an MCP server: a process that is started and spoken to over its pipes, and streamable HTTP.

The SDK's own stdio client reads lines of any length, lets the server write to our terminal, and leaves one behind that
does not end with its input when we are killed. So the pipes are held here; what is said over them is the SDK's.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from habilis.core import InputError
from habilis.tools._json import MAX_RESULT_BYTES

# Bytes between two messages of ours. JSON within JSON may take twice what it says; more would be refused as a result.
MOST_UNASKED = 2 * MAX_RESULT_BYTES
_PATIENCE = 1.0  # seconds for a server to end when its input does, and again when it is asked to
_LAST_WORDS = 600  # characters of what a server wrote to its standard error

# The server dies with us, whatever kills us: the kernel sees to it. Linux only; elsewhere its input ends with us.
_WITH_US = """\
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGKILL)
os.getppid() == int(sys.argv[1]) or os._exit(1)
os.execvp(sys.argv[2], sys.argv[2:])
"""


@dataclass
class Line:
    """What is known of the line to a server. ``over`` is called once it has ended."""

    over: Callable[[], None] = lambda: None
    unasked: int = 0
    flooded: bool = False
    closing: bool = False
    status: int | None = None
    words: deque[bytes] = field(default_factory=lambda: deque(maxlen=20))
    noise: str = ""
    broke: str = ""

    def heard(self, size: int) -> None:
        """Count what came. Raises `_Flooded`."""
        self.unasked += size
        if self.unasked > MOST_UNASKED:
            self.flooded = True
            raise _Flooded

    def told(self) -> str:
        """How it ended, as far as can be known."""
        if self.flooded:
            return f"it sent more than {MOST_UNASKED} bytes that nobody asked for"
        told = self.broke
        if self.status is not None:
            told = (
                f"it ended with status {self.status}"
                if self.status >= 0
                else f"it was killed by {_signal(self.status)}"
            )
        last = b"".join(self.words).decode("utf-8", "replace")[-_LAST_WORDS:].strip()
        if last:
            told += f"; its last words: {' / '.join(' '.join(one.split()) for one in last.splitlines()[-3:])}"
        elif self.noise:
            told += f"; it wrote what is no message: {self.noise}"
        return told.removeprefix("; ")


class _Flooded(Exception):
    pass


@contextlib.asynccontextmanager
async def over_pipes(
    command: Sequence[str], env: Mapping[str, str], folder: str, line: Line
) -> AsyncIterator[tuple[Any, Any]]:
    """Start a server and speak to it. It gets ``env`` and what the SDK holds safe (PATH, HOME and the like), no more.

    At the end its input is closed; it is asked to end, and killed, with all it has started, where it does not.
    Raises `InputError` where it cannot be started.
    """
    import anyio
    from mcp.client.stdio import get_default_environment

    process = await _started(command, {**get_default_environment(), **env}, folder)
    to_session, incoming = anyio.create_memory_object_stream[Any](0)
    outgoing, from_session = anyio.create_memory_object_stream[Any](0)
    tasks = [
        asyncio.create_task(_read(process, to_session, line)),
        asyncio.create_task(_write(process, from_session, line)),
        asyncio.create_task(_overhear(process, line)),
    ]
    try:
        yield incoming, outgoing
    finally:
        await asyncio.shield(_end(process, line))
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        process._transport.close()  # type: ignore[attr-defined]  # else pipes that were not read to their end outlive us
        await asyncio.sleep(0)
        for stream in (to_session, incoming, outgoing, from_session):
            stream.close()


async def _started(command: Sequence[str], env: Mapping[str, str], folder: str) -> asyncio.subprocess.Process:
    import shutil

    if folder and not os.path.isdir(folder):
        raise InputError(f"the folder {folder}, in which it is started, is not there")
    place = command[0] if os.path.isabs(command[0]) or os.sep not in command[0] else os.path.join(folder, command[0])
    if shutil.which(place, path=env.get("PATH")) is None:
        raise InputError(f"there is no command {command[0]!r}; install it, or give its path")
    words = list(command)
    if sys.platform == "linux" and sys.executable:
        words = [sys.executable, "-I", "-S", "-c", _WITH_US, str(os.getpid()), *words]
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(
        *words, stdin=pipe, stdout=pipe, stderr=pipe, env=dict(env), cwd=folder or None, start_new_session=True
    )


async def _read(process: asyncio.subprocess.Process, to_session: Any, line: Line) -> None:
    """Messages from the server, one a line, until it ends or floods."""
    from mcp import types
    from mcp.shared.message import SessionMessage

    assert process.stdout is not None
    parts: list[bytes] = []
    try:
        while chunk := await process.stdout.read(65_536):
            line.heard(len(chunk))
            *ended, rest = chunk.split(b"\n")
            for end in ended:
                text = b"".join([*parts, end])
                parts = []
                try:
                    message = types.JSONRPCMessage.model_validate_json(text)
                except ValueError:  # many a server greets its user there
                    line.noise = line.noise or text[:200].decode("utf-8", "replace").strip()
                    continue
                await to_session.send(SessionMessage(message))
            parts.append(rest)
    except _Flooded:
        pass
    finally:
        if not line.flooded and not line.closing:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_PATIENCE):  # its status and last words come a moment later
                    line.status = await process.wait()
                    await asyncio.sleep(0.05)
        to_session.close()
        line.over()


async def _write(process: asyncio.subprocess.Process, from_session: Any, line: Line) -> None:
    assert process.stdin is not None
    async for message in from_session:
        line.unasked = 0
        process.stdin.write(message.message.model_dump_json(by_alias=True, exclude_none=True).encode() + b"\n")
        try:
            await process.stdin.drain()
        except (BrokenPipeError, ConnectionResetError):
            return  # the reader tells of the end


async def _overhear(process: asyncio.subprocess.Process, line: Line) -> None:
    assert process.stderr is not None
    while chunk := await process.stderr.read(4_096):
        line.words.append(chunk)


async def _end(process: asyncio.subprocess.Process, line: Line) -> None:
    assert process.stdin is not None
    line.closing = True
    process.stdin.close()
    for sign in (None, signal.SIGTERM, getattr(signal, "SIGKILL", signal.SIGTERM)):
        if sign is not None:
            _signal_group(process.pid, sign)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0 if line.flooded and sign is None else _PATIENCE):
                await process.wait()
                break
    _signal_group(process.pid, getattr(signal, "SIGKILL", signal.SIGTERM))  # what it has started, and left


def _signal_group(pid: int, sign: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(pid, sign)
        else:
            os.kill(pid, sign)


def _signal(status: int) -> str:
    with contextlib.suppress(ValueError):
        return signal.Signals(-status).name
    return f"signal {-status}"


@contextlib.asynccontextmanager
async def over_http(url: str, headers: Mapping[str, str], line: Line) -> AsyncIterator[tuple[Any, Any]]:
    """Speak to a server at this address. Redirects are followed within its origin only (the SDK's rule)."""
    import httpx
    from mcp.client.streamable_http import streamable_http_client

    async def asked(request: Any) -> None:
        if request.method == "POST":
            line.unasked = 0

    async def answered(response: Any) -> None:
        response.stream = _counted(httpx, response, line)

    client = httpx.AsyncClient(
        headers=dict(headers),
        timeout=httpx.Timeout(30, read=300),  # a stream is quiet while a tool works; a call has a timeout of its own
        event_hooks={"request": [asked], "response": [answered]},
    )
    async with client, streamable_http_client(url, http_client=client) as (incoming, outgoing, _):
        yield incoming, outgoing


def _counted(httpx: Any, response: Any, line: Line) -> Any:
    """The stream of a response, its bytes counted. One that breaks off is the end of the line: the SDK would leave who
    waits for the answer waiting."""
    stream, awaited = response.stream, response.request.method == "POST"

    class Counted(httpx.AsyncByteStream):  # type: ignore[misc]
        async def _chunks(self) -> AsyncIterator[bytes]:
            async for chunk in stream:
                try:
                    line.heard(len(chunk))
                except _Flooded:
                    line.over()
                    raise
                yield chunk

        async def __aiter__(self) -> AsyncIterator[bytes]:
            try:
                async for chunk in self._chunks():
                    yield chunk
            except httpx.TransportError as error:
                if awaited:
                    line.broke = f"the connection broke off: {str(error) or type(error).__name__}"
                    line.over()
                raise

        async def aclose(self) -> None:
            await stream.aclose()

    return Counted()
