"""Work beside the event loop, in threads that nothing waits for when the process ends.

Those of `asyncio.to_thread` are joined at the end of the loop and of the process, so that a world's function that hangs
would hold both for ever. What is under way is noted, to say what is waited for.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import PurePath
from types import FrameType
from typing import ParamSpec, TypeVar

__all__ = ["at_work", "in_thread", "waiting", "waiting_for"]

P = ParamSpec("P")
T = TypeVar("T")

_under_way: dict[object, tuple[str, int | None]] = {}  # what, and in which thread
_OURS, _LOOP = "habilis.", ("asyncio.", "selectors")


async def in_thread(what: str, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a function in a daemon thread and return what it returns. ``what``: in words, for who waits for it.

    A caller that is cancelled waits no longer; the function runs to its end unseen.
    """
    loop = asyncio.get_running_loop()
    context = contextvars.copy_context()
    ended: asyncio.Future[T] = loop.create_future()

    def tell(value: T | None, error: BaseException | None) -> None:
        if ended.done():
            return
        if error is None:
            ended.set_result(value)  # type: ignore[arg-type]
        else:
            ended.set_exception(RuntimeError(repr(error)) if isinstance(error, StopIteration) else error)

    def run() -> None:
        value: T | None = None
        error: BaseException | None = None
        with waiting(what, threading.get_ident()):
            try:
                value = context.run(function, *args, **kwargs)
            except BaseException as raised:
                error = raised
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(tell, value, error)

    threading.Thread(target=run, name="habilis-work", daemon=True).start()
    return await ended


@contextlib.contextmanager
def waiting(what: str, thread: int | None = None) -> Iterator[None]:
    """Note what is under way meanwhile, in a thread or awaited in the loop."""
    key = object()
    _under_way[key] = what, thread
    try:
        yield
    finally:
        del _under_way[key]


def at_work() -> bool:
    """Whether a function is running in one of the threads."""
    return any(thread is not None for _, thread in list(_under_way.values()))


def waiting_for(here: FrameType | None = None) -> str:
    """What holds things up, in words. ``here``: where the main thread stands."""
    frames = sys._current_frames()
    under_way = list(_under_way.values())
    for what, thread in reversed(under_way):
        if thread is not None and thread in frames:
            place = _place(frames[thread])
            return f"{what}, now in {place}" if place else what
    if here is not None and not _module(here).startswith(_LOOP) and (place := _place(here)):
        return place
    return under_way[-1][0] if under_way else "the task in hand"


def _place(innermost: FrameType) -> str:
    """The tool that is being called, or where someone else's code stands; "" where that says nothing."""
    frame: FrameType | None = innermost
    while frame is not None:
        if _module(frame) == "habilis.tools.calling.registry" and frame.f_code.co_name == "call_sync":
            return f"the tool {frame.f_locals.get('name', '')}"
        frame = frame.f_back
    if _module(innermost).startswith(_OURS):
        return ""
    code = innermost.f_code
    return f"{code.co_name} ({PurePath(code.co_filename).name}, line {innermost.f_lineno})"


def _module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", ""))
