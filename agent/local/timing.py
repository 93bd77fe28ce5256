"""How long the local model takes, in imagined steps of blind search: timed once, on this machine, when one is adopted.

Whether a line pays is reckoned in imagined steps, for these are counted, and the same seed makes the same choices
again. But how many of them a line is worth depends on model, machine and world: hundreds to tens of thousands. So what
was timed is written down with the model, as any reading of a clock is, and from then on it is a number like another.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

from habilis.agent.local.hunches import asked
from habilis.agent.local.mind import rank_actions
from habilis.agent.planning.blind import BlindSearch
from habilis.core import Context, Json, Ledger, Mind, Runner, Task
from habilis.memory import prompts
from habilis.memory.contracts import ContractBook

__all__ = ["Timing", "time_mind"]

_ACTIONS, _STEPS = 16, 2_000  # actions read at once, steps of a search


@dataclass(frozen=True)
class Timing:
    """Imagined steps of blind search that take as long as: ``line``, one plan that the model writes; ``action``, one
    action that it reads to put it in order. At least 1. ``step_seconds``: of one imagined step."""

    line: int
    action: int
    step_seconds: float

    def dump(self) -> dict[str, Json]:
        return asdict(self)

    @classmethod
    def load(cls, data: object) -> Timing | None:
        """What `dump` gave; None for anything else."""
        if not isinstance(data, Mapping):
            return None
        line, action, step = (data.get(name) for name in ("line", "action", "step_seconds"))
        if isinstance(line, int) and isinstance(action, int) and isinstance(step, float) and min(line, action) >= 1:
            return cls(line, action, step)
        return None


def time_mind(
    mind: Mind,
    runner: Runner,
    tasks: Sequence[tuple[Task, Context]],
    *,
    tokens: int = 96,
    seconds: float = 20.0,
    clock: Callable[[], float] = time.perf_counter,
) -> Timing | None:
    """Times the mind and blind search on these tasks, each with the world as it stands at its beginning.

    The first line is not counted (the model is loaded for it), of the others the median is taken; ``seconds`` is for
    each of the three, looked at between lines and searches. ``tokens``: of a line, at most. None where no task has a
    simulator and actions to choose from, or where nothing was imagined.
    """
    usable = [(t, c) for t, c in tasks if c.simulator is not None and c.affordances and t.goal.atoms]
    if not usable:
        return None

    def timed(work: Callable[[Task, Context], object]) -> list[float]:
        began, each = clock(), list[float]()
        for task, context in usable:
            start = clock()
            work(task, context)
            each.append(clock() - start)
            if clock() - began > seconds:
                break
        return each

    def line(task: Task, context: Context) -> None:
        mind.complete([asked(task.goal, context.snapshot, context.spec)], max_tokens=tokens)

    def read(task: Task, context: Context) -> None:
        state = prompts.state_text(context.snapshot, context.spec, about=task.goal)
        rank_actions(mind, task.goal, state, (context.affordances * _ACTIONS)[:_ACTIONS])

    line(*usable[0])
    lines, orders = timed(line), timed(read)
    ledger = Ledger()

    def search(task: Task, context: Context) -> None:
        BlindSearch(ContractBook(context.spec), runner, max_steps=_STEPS).draft(task, context, ledger)

    searches = timed(search)
    imagined = ledger.spent.search_steps
    if not imagined:
        return None
    step = max(sum(searches) / imagined, 1e-9)
    return Timing(
        line=max(1, round(statistics.median(lines) / step)),
        action=max(1, round(statistics.median(orders) / _ACTIONS / step)),
        step_seconds=step,
    )
