"""What Ctrl-C does while the agent works.

The first one asks for a stop at the next safe point, the second says what is still waited for, the third ends the work
at once: in the command line the process with it, for a thread that hangs in a user's code cannot be stopped.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from habilis.memory.journal import Journal

__all__ = ["command_line", "interruptible"]

_PATIENCE = 2.0  # seconds for another thread to end its transaction
_ends_process = _pressed = False


@contextlib.contextmanager
def command_line() -> Iterator[None]:
    """Meanwhile the process is ours, and a third Ctrl-C ends it. Once it was pressed and all is stored and closed, one
    more must not cut the end of the process short, which would look as if it had been killed."""
    global _ends_process, _pressed
    _ends_process, _pressed = True, False
    try:
        yield
    finally:
        _ends_process = False
        if _pressed:
            signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextlib.contextmanager
def interruptible(stop: threading.Event, journal: Journal) -> Iterator[None]:
    """Count each Ctrl-C meanwhile; the first sets ``stop``. Only in the main thread, and once where nested."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    old = signal.getsignal(signal.SIGINT)
    if old is None:  # not ours to put back
        yield
        return
    if isinstance(getattr(old, "__self__", None), _Counter):
        yield
        return
    signal.signal(signal.SIGINT, _Counter(stop, journal).pressed)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, old)


class _Counter:
    def __init__(self, stop: threading.Event, journal: Journal) -> None:
        self._stop, self._journal = stop, journal
        self._times = 0

    def pressed(self, number: int, frame: FrameType | None) -> None:
        global _pressed
        from habilis.agent.threads import waiting_for

        _pressed = True
        self._times += 1
        if self._times == 1:
            self._stop.set()
            _tell("stopping at the next safe point; Ctrl-C again says what is waited for")
        elif self._times == 2:
            how = "ends the process at once" if _ends_process else "leaves at once"
            _tell(f"still waiting for {waiting_for(frame)}; Ctrl-C again {how}, and what is in the journal is kept")
        elif _ends_process:
            _end(self._journal if self._times == 3 else None)
        else:
            raise KeyboardInterrupt


def _end(journal: Journal | None) -> None:
    if journal is not None:
        with contextlib.suppress(Exception):
            journal.hold(_PATIENCE)
    with contextlib.suppress(Exception):
        if sys.__stdout__ is not None and sys.__stdout__.isatty():
            os.write(1, b"\x1b[?25h\n")  # the live view hides the cursor
    os._exit(130)


def _tell(text: str) -> None:
    try:
        print(text, file=sys.stderr, flush=True)
    except Exception:  # such as a print that was interrupted in the middle
        with contextlib.suppress(OSError):
            os.write(2, f"{text}\n".encode())
