"""The autonomous run: one task after another, proposals, distillation, and a clean end with a report."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from habilis._assembly import Assembly
from habilis._distil import distil_if_due
from habilis._interrupts import interruptible
from habilis._settings import Summary
from habilis.agent.loop import Loop
from habilis.core import (
    Affording,
    BudgetExceeded,
    HabilisError,
    InputError,
    span,
)
from habilis.worlds.runner import look_at

_PROPOSE_EVERY = 5  # tasks between two requests for proposals to a chat model
_PROPOSALS = 5  # asked for in each


async def autonomous(parts: Assembly, tasks: int | None) -> Summary:
    """The autonomous run: iterations, proposals of a chat model, distillation, and a clean end."""
    with span("habilis.run", {"habilis.world": parts.world_name, "habilis.writer": parts.writer_name}) as here:
        summary = await _autonomous(parts, tasks)
        here.cost(summary.spent)
        here.set({"habilis.run": summary.run_id, "habilis.run.status": summary.status})
        return summary


async def _autonomous(parts: Assembly, tasks: int | None) -> Summary:
    if tasks is not None and (isinstance(tasks, bool) or not isinstance(tasks, int)):
        raise InputError(f"run takes a number of tasks, not {tasks!r}; leave it out to go on until a limit")
    if tasks is not None and tasks < 1:
        raise InputError(f"{tasks} iterations were asked for; ask for at least 1")
    stop = parts.stop
    loop = parts.session("run", tasks)
    if "learned" in parts.settings.reflexes and parts.loop_parts.practice is None:
        told = "its lives do not end, or it cannot be made afresh, or it does not say what is worth trying"
        parts.events.emit("warning", None, message=f"no reflex is learned in {parts.world_name}: {told}")
    parts.ended, first = False, loop.iteration
    status, reason = "stopped", "asked to stop; run again to continue"
    try:
        with interruptible(stop, parts.home.journal):
            while not stop.is_set():
                if tasks is not None and loop.iteration >= tasks:
                    status, reason = "finished", f"all {tasks} iterations done"
                    if loop.iteration == first:
                        reason = f"this run already has {first} iterations; ask for more to continue it"
                    break
                trouble = None if loop.iteration % _PROPOSE_EVERY else await _wishes(parts, loop)
                episode = await loop.step()
                if episode is None and parts.proposer is not None and loop.iteration % _PROPOSE_EVERY:
                    trouble = await _wishes(parts, loop)
                    episode = await loop.step()
                if episode is None and trouble is not None:
                    raise trouble
                if episode is None:
                    status, reason = "finished", "nothing is left to try" + _never_tried(parts)
                    break
                if episode.status == "stopped":
                    status, reason = "stopped", episode.reason
                    break
                await distil_if_due(parts, loop)
    except BudgetExceeded as error:
        reason = str(error)
    except BaseException as error:
        interrupted = not isinstance(error, Exception)  # Ctrl-C, a cancelled task, a reader of the output that left
        status = "stopped" if interrupted else "failed"
        reason = "interrupted; run again to continue" if interrupted else str(error) or type(error).__name__
        raise
    finally:
        parts.end(status, reason)
        if status == "finished":
            parts.current = None
    return replace(summary(parts, loop, status, reason), report=_written(parts))


def _never_tried(parts: Assembly) -> str:
    """Actions of which nobody could say what to do them to, in words."""
    world = parts.world
    if not isinstance(world, Affording) or "affordances" not in world.spec.capabilities:
        return ""
    known = {a.name for a in world.affordances()} | {c.action.name for c in parts.loop_parts.book}
    lost = [p for p in world.spec.primitives if p.name not in known and any(q.required for q in p.parameters)]
    if not lost:
        return ""
    told = ", ".join(f"{p.name}({', '.join(q.name for q in p.parameters if q.required)})" for p in lost[:3])
    return (
        f"; nothing that was observed gives values for {told}{' …' if len(lost) > 3 else ''}: let observe show facts "
        "with such arguments, or list them as Literal[…]"
    )


def _written(parts: Assembly) -> Path | None:
    """The report of the run that ended; a full disk costs the report, not the run."""
    try:
        return report(parts, None)
    except HabilisError as error:
        parts.events.emit("warning", None, message=str(error))
        return None


async def _wishes(parts: Assembly, loop: Loop) -> HabilisError | None:
    """A chat model proposes too; what the world cannot check is dropped. What went wrong, if anything."""
    if parts.proposer is None:
        return None
    curriculum = parts.loop_parts.curriculum
    snapshot = look_at(parts.world)
    try:
        found = await parts.proposer.propose(
            parts.world.spec,
            snapshot.text,
            curriculum.goals(solved=True),
            curriculum.goals(solved=False),
            _PROPOSALS,
            parts.ledger,
            known=parts.names(snapshot),
        )
    except BudgetExceeded:
        raise
    except HabilisError as error:
        parts.events.emit("warning", loop.iteration, message=f"no proposals from the model: {error}")
        return error
    curriculum.wish(found.goals)
    return None


def summary(parts: Assembly, loop: Loop, status: str, reason: str) -> Summary:
    episodes = list(parts.home.journal.episodes(loop.run_id, with_trajectories=False))
    skills = parts.library.active()
    return Summary(
        run_id=loop.run_id,
        status=status,
        reason=reason,
        tried=len(episodes),
        solved=sum(e.solved for e in episodes),
        skills=len(skills),
        calling=sum(bool(s.program.calls) for s in skills.values()),
        spent=parts.ledger.spent,
        distillations=tuple(parts.distillations),
        explored=sum(e.status == "explored" for e in episodes),
    )


def report(parts: Assembly, path: Path | None) -> Path:
    """The HTML report of this agent's latest run, else of the home's."""
    from habilis._reporting import write

    if parts.last_run is None:
        return write(parts.home, path)
    other = parts.current is not None and parts.current.run_id != parts.last_run
    spent = None if other else parts.ledger.spent
    return write(parts.home, path, run_id=parts.last_run, spent=spent, limit=parts.ledger.limit)


__all__ = ["autonomous", "report", "summary"]
