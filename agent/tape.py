"""The tape of a task, written to the journal as it grows: no answer of a tool is lost by a kill, or asked for twice.

Before a tool is called the journal gets an event ``tool_began``, and after it ``tool_called`` with what it gave; before
them ``task_taken`` with the task. When a
task that was cut short is taken up again, `left_over` reads them back, and the programs written for it are answered
from there. A call that began and has no end may have been carried out or not: it is answered with an error that says
so, unless the tool is safe to retry.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from habilis.core import Cost, Episode, Event, JournalError, Json, NotFoundError, Task, ToolCall, dump, load
from habilis.memory.journal import Journal, damaged
from habilis.tools import ARGUMENTS, LARGE_BYTES, ToolResult, preview, short_arguments, wire_size


class TaskTape:
    """The calls of one task. ``calls``: all of them, ``earlier``: those from before it was cut short.

    ``index``: of the task's episode, or None for calls that belong to no task and are not to be answered from here.
    ``spent``: what the run has spent; it is stored with each call.
    """

    def __init__(
        self,
        journal: Journal,
        run_id: int,
        spent: Callable[[], Cost],
        *,
        task: Task | None = None,
        index: int | None = None,
        earlier: Sequence[ToolCall] = (),
    ) -> None:
        self._journal, self._run_id, self._spent = journal, run_id, spent
        self._task, self._index = task, index
        self._beside = index  # the task whose large answers are to stay
        self._told = bool(earlier)
        self.earlier = tuple(earlier)
        self.calls: list[ToolCall] = list(earlier)

    def aside(self) -> TaskTape:
        """Where calls go that only verify: they count, and are no part of the task's tape."""
        tape = TaskTape(self._journal, self._run_id, self._spent)
        tape._beside = self._beside
        return tape

    def taken(self) -> None:
        """Work on the task begins: note which it is."""
        if self._task is not None:
            self._append("task_taken", {"task": dump(self._task)})
            self._told = True

    def began(self, call: ToolCall, safe_to_retry: bool) -> None:
        """A call is about to be made."""
        with self._journal.transaction():
            if not self._told:
                self.taken()
            self._append("tool_began", {"tool": call.tool, **self._given(call), "safe_to_retry": safe_to_retry})

    def ended(self, call: ToolCall, result: ToolResult) -> None:
        """What a call gave, or why it was refused. A large value is kept beside, and the event refers to it."""
        with self._journal.transaction():
            data = {
                "tool": call.tool,
                **self._given(call),
                "ok": call.error is None,
                "value": call.value,
                "error": call.error,
                "made": result.made,
            }
            if wire_size(call.value) > LARGE_BYTES:
                data["value"] = preview(call.value)
                data["result"] = self._journal.put_result(self._run_id, self._beside, call.value)
            self._append("tool_called", data)
            self._journal.update_run(self._run_id, spent=self._spent())

    def _given(self, call: ToolCall) -> dict[str, Json]:
        """The arguments of a call for its events; large ones are kept beside, and referred to."""
        args = dict(call.args)
        if wire_size(args) <= LARGE_BYTES:
            return {"args": args}
        kept = self._journal.put_result(self._run_id, self._beside, args)
        return {"args": short_arguments(args), "arguments": kept}

    def bought(self, document: str, price: Cost) -> None:
        """A document is about to be paid for, and its price held: in this run it is not paid for again, for a kill from
        here on charges what is held."""
        self._append("document_bought", {"document": document, "cost": price.nonzero()})

    def _append(self, kind: str, data: Mapping[str, object]) -> None:
        self._journal.append_event(self._run_id, Event(kind, data, self._index))


@dataclass(frozen=True)
class LeftOver:
    """A task that was cut short: its calls, and its episode so far, if a limit stopped it (a kill leaves none).

    ``came_true``: an attempt brought the goal about, and the limit came before a program was proven.
    """

    task: Task
    calls: tuple[ToolCall, ...] = ()
    episode: Episode | None = None
    came_true: bool = False

    def same(self, task: Task) -> bool:
        """Whether this task is that one, asked for or proposed again."""
        mine = self.task
        return (mine.goal, mine.kind, mine.action) == (task.goal, task.kind, task.action)


def iteration_of(state: Mapping[str, Json] | None, run_id: int) -> int:
    """The episode that a run has come to, from the state that it left; 0 where it left none.

    Raises `JournalError` where the state is damaged.
    """
    if state is None:
        return 0
    found = state.get("iteration")
    if isinstance(found, bool) or not isinstance(found, int) or found < 0:
        raise damaged(f"the state of run {run_id}", TypeError(f"iteration {found!r} is no whole number"))
    return found


def left_over(journal: Journal, run_id: int, index: int) -> LeftOver | None:
    """What was cut short in a run that has come to the episode ``index``, or None."""
    events = journal.events(run_id)
    task, calls = _calls(journal, events, index)
    stopped = _stopped(journal, run_id, index)
    if stopped is not None:
        return LeftOver(stopped.task, calls, stopped, any(a.ok for a in stopped.attempts))
    before = _stopped(journal, run_id, index - 1)  # a user's goal, which got its episode when a limit stopped it
    if before is not None and (task is None or LeftOver(task).same(before.task)):
        earlier = _chain(journal, events, run_id, before)
        return earlier if task is None else replace(earlier, task=task, calls=(*earlier.calls, *calls))
    return None if task is None else LeftOver(task, calls)


def calls_made(events: Iterable[Event]) -> Counter[str]:
    """How often each tool was called in a run, from its events."""
    return Counter(str(e.data["tool"]) for e in events if e.kind == "tool_began")


def _chain(journal: Journal, events: Sequence[Event], run_id: int, last: Episode) -> LeftOver:
    """What is left of an episode that was stopped, and of those before it that were stopped at the same goal."""
    left, before = LeftOver(last.task), [last]
    while (one := _stopped(journal, run_id, before[0].index - 1)) is not None and left.same(one.task):
        before.insert(0, one)
    calls = tuple(call for one in before for call in _calls(journal, events, one.index)[1])
    return replace(left, calls=calls, came_true=any(a.ok for one in before for a in one.attempts))


def _stopped(journal: Journal, run_id: int, index: int) -> Episode | None:
    try:
        episode = journal.episode(run_id, index)
    except NotFoundError:
        return None
    return episode if episode.status == "stopped" else None


def slim(episode: Episode) -> Episode:
    """The episode as it is written down: what tools were given and answered in short where it is large, for its tape is
    not replayed."""
    attempts = []
    for attempt in episode.attempts:
        ran = attempt.trajectory
        attempts.append(replace(attempt, trajectory=replace(ran, tape=tuple(map(_short, ran.tape)))))
    return replace(episode, attempts=tuple(attempts))


def _short(call: ToolCall) -> ToolCall:
    value = preview(call.value) if wire_size(call.value) > LARGE_BYTES else call.value
    return replace(call, args=short_arguments(call.args), value=value)


def _calls(journal: Journal, events: Iterable[Event], index: int) -> tuple[Task | None, tuple[ToolCall, ...]]:
    """The task taken at this index and its tape."""
    task: Task | None = None
    calls: list[ToolCall] = []
    begun: Event | None = None
    for event in events:
        if event.iteration != index:
            continue
        if event.kind == "task_taken":
            again = load(Task, event.data["task"])
            if task is not None and not LeftOver(task).same(again):
                calls.clear()
            task = again
        elif event.kind == "tool_began":
            calls += _unknown(journal, begun)
            begun = event
        elif event.kind == "tool_called" and event.data.get("made"):
            call = load(ToolCall, {k: event.data[k] for k in ("tool", "args", "value", "error")})
            calls += _whole(journal, replace(call, args=_arguments(journal, event)), event, begun)
            begun = None
    return task, (*calls, *_unknown(journal, begun))


def _arguments(journal: Journal, event: Event) -> Mapping[str, Json]:
    """The arguments of a call, whole; where large ones are kept no longer, the digest by which it is known again."""
    kept = event.data.get("arguments")
    if kept is None:
        return dict(event.data["args"])
    try:
        found = journal.result(kept)
    except (JournalError, NotFoundError):
        found = None
    return found if isinstance(found, dict) else {ARGUMENTS: kept}


def _whole(journal: Journal, call: ToolCall, event: Event, begun: Event | None) -> list[ToolCall]:
    """The call with its value; where a large one is kept no longer, the call is made again, if that is safe."""
    if "result" not in event.data:
        return [call]
    try:
        return [replace(call, value=journal.result(event.data["result"]))]
    except (JournalError, NotFoundError) as error:
        if begun is not None and begun.data["safe_to_retry"]:
            return []
        lost = f"{call.tool} was called before, and its answer is kept no longer ({error}); it is not safe to retry"
        return [replace(call, value=None, error=lost)]


def _unknown(journal: Journal, begun: Event | None) -> list[ToolCall]:
    if begun is None or begun.data["safe_to_retry"]:
        return []
    tool = begun.data["tool"]
    error = (
        f"{tool} was called before, and the process ended before it answered: whether it was carried out is not known, "
        "and it is not safe to retry"
    )
    return [ToolCall(tool, _arguments(journal, begun), error=error)]
