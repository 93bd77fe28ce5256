"""What is told of a call that has cost more than was declared: as an event, as a warning, and in the journal."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from habilis.core import Event, EventStream, HabilisError, Json, Overrun
from habilis.memory.journal import Journal

__all__ = ["OverrunNotes"]

_BETWEEN = ("budget", "run_ended")  # events that come when no transaction is open


class OverrunNotes:
    """Tells of overruns. They may come from a thread that somebody waits for in a transaction of the journal, so they
    are written there as an event once the task is over; what was learned of the payee is kept at once."""

    def __init__(self, journal: Journal, events: EventStream, run_id: Callable[[], int | None]) -> None:
        self._journal, self._events, self._run_id = journal, events, run_id
        self._waiting: list[dict[str, Json]] = []
        events.subscribe(self._write)

    def tell(self, overrun: Overrun) -> None:
        more = overrun.cost.less(overrun.most).nonzero()
        following = "refused" if overrun.refused else "priced anew"
        kind, _, name = overrun.payee.partition(":")
        who = f"the tool {name.rpartition(':')[2]}" if kind == "tool" else overrun.payee
        told: dict[str, Json] = {
            "payee": overrun.payee,
            "most": overrun.most.nonzero(),
            "cost": overrun.cost.nonzero(),
            "number": overrun.number,
            "next": following,
        }
        self._waiting.append(told)
        self._events.emit("overrun", None, **told)
        shown = ", ".join(f"{kind}={amount:g}" for kind, amount in more.items())
        message = f"{who} has cost {shown} more than was declared; from now on it is {following}"
        self._events.emit("warning", None, message=message)

    def _write(self, event: Event) -> None:
        run_id = self._run_id()
        if event.kind not in _BETWEEN or run_id is None:
            return
        with contextlib.suppress(HabilisError):
            while self._waiting:
                self._journal.append_event(run_id, Event("overrun", self._waiting[0], event.iteration))
                del self._waiting[0]
