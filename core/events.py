"""The one stream of events that feeds the live view, the report and anyone who listens."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from habilis.core.world import Json


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened. ``kind`` is one of `EVENTS`; ``data`` is JSON; ``iteration`` counts the curriculum's
    proposals from 0, or is None outside one."""

    kind: str
    data: Mapping[str, Json] = field(default_factory=dict)
    iteration: int | None = None


EVENTS: Mapping[str, str] = {
    "run_started": "run, world, writer, seed, iterations, budget",
    "run_resumed": "run, iteration, world, iterations, budget",
    "world_began_anew": "seed, reason",
    "task_proposed": "text, goal, kind, why",
    "augmentations_picked": "names, cost",
    "writer_chosen": "writer, why, options",
    "hunch": "goal, plan, why, came_true, seconds",
    "attempt_ended": "writer, ok, feedback, world_steps, round",
    "task_taken": "task",
    "tool_began": "tool, args, safe_to_retry",
    "tool_called": "tool, args, ok, cost",
    "document_bought": "document, cost",
    "overrun": "payee, most, cost, number, next",
    "left_open": "held, what, reserved, charged, why",
    "task_ended": "text, status, reason, skill, cost",
    "skill_admitted": "name, version, goal, calls, evidence",
    "skill_rejected": "name, reason",
    "skill_promoted": "name, version, goal",
    "skills_transferred": "skills, refused, tried",
    "reflex_learned": "name, trigger, status, why",
    "skills_left": "names, status",
    "skill_withheld": "name",
    "budget": "spent, limit",
    "distil_started": "episodes, model",
    "distil_progress": "phase, step, steps, loss",
    "distil_ended": "model, adopted, reasons, figures",
    "run_ended": "run, status, reason",
    "warning": "message",
}

Listener = Callable[[Event], None]


class EventStream:
    """Hands each event to every listener, in order. A listener that raises is dropped; the run goes on."""

    def __init__(self) -> None:
        self._listeners: list[Listener] = []
        self._lock = threading.Lock()

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Add a listener; the result removes it."""
        with self._lock:
            self._listeners.append(listener)

        def unsubscribe() -> None:
            with self._lock:
                if listener in self._listeners:
                    self._listeners.remove(listener)

        return unsubscribe

    def emit(self, kind: str, iteration: int | None = None, /, **data: Json) -> None:
        event = Event(kind, data, iteration)
        with self._lock:
            listeners = list(self._listeners)
        for listener in listeners:
            try:
                listener(event)
            except Exception:
                with self._lock:
                    if listener in self._listeners:
                        self._listeners.remove(listener)
