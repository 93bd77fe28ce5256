"""Says what is waited for where a world does not come back from an action: nobody else would.

A world's own code runs in this process, and cannot be stopped from outside. One thread of the background looks now and
then whether an action has been running for long, and tells it once by a warning.
"""

from __future__ import annotations

import threading
import time
import warnings

from habilis.core.world import Action

AFTER = 30.0  # seconds until it is told
_EVERY = 5.0


class Waiting:
    """Actions that are being done now, by thread."""

    def __init__(self) -> None:
        self._doing: dict[int, tuple[float, str, Action]] = {}
        self._thread: threading.Thread | None = None

    def begin(self, world: str, action: Action) -> None:
        self._doing[threading.get_ident()] = time.monotonic(), world, action
        if self._thread is None:
            self._thread = threading.Thread(target=self._look, name="habilis-waiting", daemon=True)
            self._thread.start()

    def end(self) -> None:
        self._doing.pop(threading.get_ident(), None)

    def _look(self) -> None:
        told: set[tuple[float, str, Action]] = set()
        while True:
            time.sleep(min(_EVERY, AFTER))
            now, doing = time.monotonic(), set(self._doing.copy().values())
            told &= doing
            for one in doing - told:
                since, world, action = one
                if now - since >= AFTER:
                    told.add(one)
                    warnings.warn(
                        f"the world {world!r} has not answered {action} for {now - since:.0f} s; it is waited for "
                        "until it does (Ctrl-C ends the run, which can be continued). Give what may hang a limit of "
                        "its own, such as timeout= of a request",
                        RuntimeWarning,
                        stacklevel=1,
                    )


WAITING = Waiting()
