"""The loop: a task comes from the curriculum, a writer drafts programs, they run in the world, the judge decides, and
what solved the task is proven elsewhere and kept.

Everything that happens in an episode is written to the journal in one transaction at its end, together with the state
that the next episode needs; what was spent and what tools answered (`habilis.agent.tape`) is written at once. A kill at
any moment loses at most the attempts of the task in hand, and a resumed run goes on as an uninterrupted one would.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from habilis.agent.admission import lives_to_lose
from habilis.agent.curriculum import Proposal
from habilis.agent.parts import Credited, Help, LoopSettings, Parts
from habilis.agent.planning.calls import blamed_skill, needed
from habilis.agent.planning.probing import probe
from habilis.agent.tape import LeftOver, TaskTape, iteration_of, left_over, slim
from habilis.agent.threads import in_thread
from habilis.agent.upkeep import Kept, keep_up
from habilis.agent.working import Work, Worked, describe
from habilis.core import (
    Budget,
    Checkpointed,
    Context,
    Cost,
    Episode,
    GoalGiving,
    HabilisError,
    InputError,
    Json,
    Ledger,
    ModelError,
    NotFoundError,
    Skill,
    SkillError,
    Task,
    WorldError,
    WriterError,
    dump,
    load,
    span,
)
from habilis.memory.images import images_of
from habilis.memory.interfaces import remember_interface
from habilis.memory.journal import damaged
from habilis.memory.library import Carried
from habilis.memory.reflexes import ready_reflexes
from habilis.worlds.runner import asked, ended, look_at, reset

__all__ = ["Help", "Loop", "LoopSettings", "Parts", "describe"]

_RESETS = 3  # of a world that has ended, before it is given up
_STUCK = 4  # tasks failed in a row after which a life is given up, where lives end by themselves
_HALVINGS = 3  # of what a task may be searched for, at most
_WRITER_FAILURES = 3  # tasks in a row that a writer may fail in the same way: one may be odd, three show a mistake


class Loop:
    """Works on one task after another."""

    def __init__(self, parts: Parts, run_id: int, settings: LoopSettings | None = None) -> None:
        self.parts = parts
        self.run_id = run_id
        self.settings = settings or LoopSettings()
        self.iteration = 0
        self._kept_up = -1  # the iteration before which the library was kept up, and what that has cost
        self._upkeep = Cost()
        self._vain = 0  # tasks that failed in a row in this life of the world
        self._left: LeftOver | None = None
        self._failing: tuple[type | None, int] = (None, 0)  # how the writer fails, in so many tasks in a row
        self._told_of_pictures = False
        self._known: dict[str, Json] = {}  # the curriculum's state as it was read, with what a newer version put there

    # ------------------------------------------------------------------ state that outlives a kill

    def begin(self, seed: int | None) -> bool:
        """Set the world up, from the journal where the run was interrupted; whether it was. ``seed``: None leaves the
        world as it stands."""
        p = self.parts
        if seed is not None:
            reset(p.world, seed)
        state = p.journal.get_versioned_state(f"run:{self.run_id}")
        self.iteration = iteration_of(state, self.run_id)
        self._left = left_over(p.journal, self.run_id, self.iteration)
        if state is None:
            return False
        try:
            self._restore(state)
        except HabilisError:
            raise
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise damaged(f"the state of run {self.run_id}", error) from error
        return True

    def _restore(self, state: Mapping[str, Any]) -> None:
        p = self.parts
        self._known = state["curriculum"]
        self._kept_up = int(state.get("kept_up", -1))
        self._upkeep = load(Cost, state.get("upkeep", {}))
        self._vain = int(state.get("vain", 0))
        p.curriculum.load(self._known)
        if p.pace is not None:
            p.pace.load(state.get("pace") or {})
        if isinstance(p.world, Checkpointed) and state.get("world") is not None:
            p.world.load(state["world"])
        p.declare()  # the uninterrupted run had heard this already, so it makes nothing new
        p.book.version = int(state["book_version"])

    def store(self) -> None:
        """Write down what was learned and spent, and the state that the next episode needs."""
        p = self.parts
        with p.journal.transaction():
            p.journal.put_contracts(p.book.take_dirty())
            remember_interface(p.journal, p.world.spec)
            if p.book.endings.changed:
                p.journal.put_versioned_state(f"endings:{p.world.spec.fingerprint}", p.book.endings.save())
            if p.book.priors.changed:
                p.journal.put_versioned_state(f"priors:{p.world.spec.fingerprint}", p.book.priors.save())
            p.journal.put_versioned_state(f"run:{self.run_id}", self._state())
            p.journal.update_run(self.run_id, spent=p.ledger.spent)

    def _state(self) -> dict[str, Json]:
        p = self.parts
        can_save = isinstance(p.world, Checkpointed) and "checkpoint" in p.world.spec.capabilities
        return {
            "iteration": self.iteration,
            "kept_up": self._kept_up,
            "upkeep": dump(self._upkeep),
            "vain": self._vain,
            "book_version": p.book.version,
            "curriculum": {**self._known, **p.curriculum.save()},
            "pace": dict(p.pace.save()) if p.pace is not None else None,
            "world": p.world.save() if can_save else None,  # type: ignore[attr-defined]
        }

    # ------------------------------------------------------------------ the curriculum's tasks

    async def step(self) -> Episode | None:
        """One iteration: propose, or take up what was cut short; work, record. None when nothing is left to try."""
        p = self.parts
        await in_thread("a new beginning of the world", self.begin_anew, True)
        mission = await in_thread("a new beginning of the world", self._begin_mission)
        await self._keep_up()
        if not self.settings.keep_contracts:
            p.book.forget()
        choosing = p.ledger.child()  # bounded by the run alone: a large library must not use up the task's own limit
        context = p.context(self.settings)
        await in_thread("the choice of a task", probe, p.book, context, self.iteration, choosing)
        proposal = mission or await in_thread("the choice of a task", self._chosen, context, choosing)
        if self._left is not None and self._left.task.origin != "user":
            # Nearly always what is proposed now too, unless the world has moved on meanwhile.
            task, why = self._left.task, "it was cut short before"
        elif proposal is None:
            return None
        else:
            task, why = proposal.task, proposal.why
        self._propose(task, why)
        return await self.work(task, choosing.spent + (self._upkeep if self._kept_up == self.iteration else Cost()))

    async def work(self, task: Task, chosen: Cost | None = None) -> Episode:
        """Work on one task to its verdict, and record the episode. ``chosen``: what choosing it has
        cost, and keeping up the library before."""
        told: dict[str, str | int] = {"habilis.run": self.run_id, "habilis.iteration": self.iteration}
        told |= {"habilis.world": task.world, "habilis.task.origin": task.origin}
        with span("habilis.task", told) as here:
            await in_thread("a new beginning of the world", self.begin_anew)
            episode, raised = await self._worked(task, chosen)
            here.cost(episode.cost)
            here.set({"habilis.task.status": episode.status, "habilis.skill": episode.skill or ""})
            self._count_failure(raised, task)
            if isinstance(raised, ModelError):
                raise raised
            return episode

    async def _worked(self, task: Task, chosen: Cost | None) -> tuple[Episode, ModelError | WriterError | None]:
        """The episode as it is recorded, and what its writer raised."""
        p = self.parts
        if p.pace is not None:
            p.pace.begin(p.ledger.remaining)
        ledger = p.ledger.child(self._budget(task), of="task")
        before = self._left if self._left is not None and self._left.same(task) else LeftOver(task)
        tape = TaskTape(
            p.journal,
            self.run_id,
            lambda: p.ledger.spent,
            task=task,
            index=self.iteration,
            earlier=before.calls,
        )
        self._left = replace(before, task=task)
        if task.origin == "user":  # nobody else could tell what it was, should it be cut short
            tape.taken()
        await self._bring(task, ledger)
        if p.beside is not None:
            p.beside(ready_reflexes(p.journal, p.world.spec.fingerprint, p.library.active()))
        try:
            work = Work(p, self.settings, self.run_id, self.iteration, task, ledger, tape, before.came_true)
            worked = await work.done()
        finally:
            self._left = replace(self._left, calls=tuple(tape.calls))
        episode = replace(worked.episode, cost=ledger.spent + (chosen or Cost()))
        if before.episode is not None and before.episode.index == self.iteration:
            episode = _continued(before.episode, episode)
        kept: list[Skill] = []
        self.keep_pictures(episode)
        with p.journal.transaction():
            if self.settings.keep_skills:
                for skill in worked.skills:
                    try:
                        kept.append(p.library.admit(skill, f"solved {task.text!r}", ledger=ledger))
                    except (InputError, NotFoundError) as error:  # a circle of calls, or a callee retired since
                        episode = replace(episode, reason=f"{skill.name} cannot be kept: {error}")
            if episode.status != "stopped":  # which is credited once, at its real end
                self._credit(worked, episode, tape)
            if kept:
                episode = replace(episode, skill=kept[0].name, skills=tuple(s.name for s in kept))
            p.journal.append_episode(self.run_id, slim(episode))
            # What a limit of the run cut short is taken up again when the run goes on.
            if episode.status == "stopped":
                came_true = before.came_true or any(a.ok for a in episode.attempts)
                self._left = replace(self._left, episode=episode, came_true=came_true)
            else:
                self._left = None
            if episode.status != "stopped" or task.origin == "user":
                if p.pace is not None:
                    p.pace.ended(episode.cost)
                self._vain = self._vain + 1 if episode.status == "failed" else 0
                p.curriculum.record(episode)
                self.iteration += 1
            self.store()
        for skill in kept:
            self._announce(skill, episode.index)
        if p.help is not None:
            p.help.know(p.library.active().values())
            p.help.remember([episode])
        p.events.emit(
            "task_ended",
            episode.index,
            text=task.text,
            status=episode.status,
            reason=episode.reason,
            skill=episode.skill,
            cost=episode.cost.nonzero(),
        )
        p.events.emit("budget", episode.index, spent=dump(p.ledger.spent), limit=dump(p.ledger.limit))
        return episode, worked.raised

    def keep_pictures(self, episode: Episode) -> None:
        """Keep what was seen in an episode, before its hashes are written down. What cannot be kept is told once."""
        store = self.parts.images
        why = store.keep_all(images_of(episode)) if store is not None else ""
        if why and not self._told_of_pictures:
            self._told_of_pictures = True
            self.parts.events.emit("warning", episode.index, message=f"{why}; all else goes on")

    @property
    def cut_short(self) -> bool:
        """Whether the task in hand was left before its end."""
        return self._left is not None

    def _chosen(self, context: Context, ledger: Ledger) -> Proposal | None:
        """The next task of the curriculum's."""
        p = self.parts
        goals = asked(p.world, "when asked for its goals", p.world.goals) if isinstance(p.world, GoalGiving) else ()
        skills = list(p.skills(self.settings).values())
        return p.curriculum.propose(self.iteration, context, goals, skills, ledger)

    # ------------------------------------------------------------------ between two tasks

    def _begin_mission(self) -> Proposal | None:
        """Where each life has a mission: begin another life, and take its mission for the task."""
        world, curriculum = self.parts.world, self.parts.curriculum
        if "missions" not in world.spec.capabilities or not isinstance(world, GoalGiving):
            return None
        rng = random.Random(f"mission:{curriculum.seed}:{self.run_id}:{self.iteration}")
        begun = curriculum.missions.begin(world, rng)
        if begun is None:
            return None
        seed, goal, worth = begun
        self.parts.events.emit("world_began_anew", self.iteration, seed=seed, reason="another mission")
        return curriculum.mission(goal, worth, self.iteration)

    def begin_anew(self, leave: bool = False) -> None:
        """A world that has come to its end begins again, from another seed. One that cannot be reset is tried again,
        for what went wrong may have to do with the seed; raises `WorldError` at last. ``leave``: so does one whose
        lives end by themselves, where task after task failed in this one: it may be shut in, and there are others."""
        world = self.parts.world
        why = ended(world)
        if not why and leave and self._vain >= _STUCK and self._left is None and self._short_lives:
            why = f"{self._vain} tasks failed in a row"
        if not why:
            return
        self._vain = 0
        rng = random.Random(f"life:{self.parts.curriculum.seed}:{self.run_id}:{self.iteration}")
        for left in reversed(range(_RESETS)):
            try:
                reset(world, seed := rng.getrandbits(31))
            except WorldError:
                if not left:
                    raise
            else:
                self.parts.events.emit("world_began_anew", self.iteration, seed=seed, reason=why)
                return

    async def _keep_up(self) -> None:
        """Every so many iterations the library is kept up, in one transaction with what is learned on the way."""
        p, mine = self.parts, self.settings
        wanted = mine.upkeep_every and mine.keep_skills and mine.keep_contracts
        if not wanted or self.iteration % mine.upkeep_every or self._kept_up == self.iteration:
            return
        kept = await in_thread("the upkeep of the library", self._kept)
        if p.help is not None:
            p.help.know(p.library.active().values())
        for skill in (*kept.carried, *kept.promoted):
            p.events.emit(
                "skill_promoted", self.iteration, name=skill.name, version=skill.version, goal=skill.goal_template
            )
        for learned in kept.reflexes:
            told = {"name": learned.name, "trigger": learned.trigger, "status": learned.status, "why": learned.why}
            p.events.emit("reflex_learned", self.iteration, **told)
        for status, names in (("quarantined", kept.quarantined), ("retired", kept.retired)):
            if names:
                p.events.emit("skills_left", self.iteration, names=list(names), status=status)

    def _kept(self) -> Kept:
        p = self.parts
        ledger = p.ledger.child(self.settings.task_budget, of="upkeep")
        with p.journal.transaction():
            kept = keep_up(p, ledger, self.iteration, transfer=self.settings.transfer)
            self._kept_up, self._upkeep = self.iteration, ledger.spent
            self.store()
        return kept

    async def _bring(self, task: Task, ledger: Ledger) -> None:
        """Skills of the home's other worlds that may do the task are proven in this one first, in one transaction with
        what is learned on the way. Where nothing can be proven, nothing is offered."""
        p = self.parts
        wanted = self.settings.keep_skills and self.settings.transfer and task.kind == "achieve"
        if not wanted or p.verifier is None or p.library.fingerprint is None:
            return
        brought = await in_thread("the proof of skills of other worlds", self._brought, task, ledger)
        if brought is None or not brought.tried:
            return
        if p.help is not None:
            p.help.know(p.library.active().values())
        come = [{"name": s.name, "version": s.version, "from": dict(s.meta["lineage"])} for s in brought.skills]
        told = {"skills": come, "refused": dict(brought.refused), "tried": brought.tried}
        p.events.emit("skills_transferred", self.iteration, **told)

    def _brought(self, task: Task, ledger: Ledger) -> Carried | None:
        p = self.parts
        share = Budget(**{kind: _half(left) for kind, left in asdict(ledger.remaining).items()})  # type: ignore[arg-type]
        try:
            if task.goal.atoms and not task.goal.unmet(look_at(p.world)):
                return None
            with p.journal.transaction():
                paid = ledger.child(share, of="transfer")
                brought = p.library.bring(task.goal, p.world.spec, text=task.text, ledger=paid, seed=task.seed)
                for trajectory in brought.trajectories:
                    p.book.learn(trajectory)
                if brought.tried:
                    self.store()
            return brought
        except (WorldError, SkillError) as error:  # the task can still be worked on
            p.events.emit("warning", self.iteration, message=f"no skill of another world could be proven: {error}")
            return None

    # ------------------------------------------------------------------ inside

    @property
    def _short_lives(self) -> bool:
        """Whether lives of the world end by themselves, and others can be had."""
        capabilities = self.parts.world.spec.capabilities
        return {"ends", "seed"} <= capabilities and not {"missions", "orders", "live"} & capabilities

    def _budget(self, task: Task) -> Budget:
        """What a task may cost. Where lives are short and failures have no reasons, what was worked on in vain is
        searched for with half as much each time: it would mostly be searched for blindly, in the same way."""
        limit, times = self.settings.task_budget, self.parts.curriculum.failed(task)
        reasons = "reasons" in self.parts.world.spec.capabilities
        if task.origin == "user" or reasons or not self._short_lives or limit.search_steps is None:
            return limit
        return replace(limit, search_steps=limit.search_steps >> min(times, _HALVINGS))

    def _credit(self, worked: Worked, episode: Episode, tape: TaskTape) -> None:
        """Count what was used and offered, and how that went."""
        p, skills = self.parts, self.parts.skills(self.settings)
        last = episode.attempts[-1] if episode.attempts else None
        used = set(needed(last.program, skills)) if last is not None else set()
        if p.help is not None:
            p.help.record(episode.task, worked.picked, tape.calls, used, episode.solved)
        if isinstance(p.writer, Credited):
            p.writer.credit(episode, worked.raised is None and not worked.timed_out)
        p.library.settle(worked.offer, episode.solved)
        if last is not None and last.ok:
            for name in sorted(used):
                p.library.used(name, True)
        runs = [a.trajectory for a in episode.attempts]
        if lives_to_lose(p.world.spec):  # that a life was too short is no skill's fault
            runs = [run for run in runs if not run.cut_off]
        blamed = {one for run in runs if (one := blamed_skill(run)) is not None}
        for name in sorted(blamed & skills.keys()):
            p.library.used(name, False)

    def _count_failure(self, raised: ModelError | WriterError | None, task: Task) -> None:
        """A writer's mistake costs the task; raises it once it keeps coming back. Whoever asked for a task has the
        mistake in its episode. Counted anew when a run goes on, for by then the writer may be mended."""
        way, times = self._failing
        new = type(raised.__cause__) if isinstance(raised, WriterError) and task.origin != "user" else None
        self._failing = (new, times + 1 if new is way else 1)
        if raised is not None and new is not None and self._failing[1] >= _WRITER_FAILURES:
            told = f"{raised}; so it did in {self._failing[1]} tasks in a row. Mend it, and run again to continue"
            raise WriterError(told) from raised.__cause__

    def _propose(self, task: Task, why: str) -> None:
        self.parts.events.emit(
            "task_proposed", self.iteration, text=task.text, goal=str(task.goal), kind=task.kind, why=why
        )

    def _announce(self, skill: Skill, iteration: int) -> None:
        self.parts.events.emit(
            "skill_admitted",
            iteration,
            name=skill.name,
            version=skill.version,
            goal=skill.goal_template,
            calls=list(skill.program.calls),
            evidence=f"{skill.evidence.level.value}: {skill.evidence.successes} of "
            f"{skill.evidence.successes + skill.evidence.failures}",
        )


def _half(left: float | None) -> float | None:
    """Of what a task may spend, for the proof of other worlds' skills: the rest is for finding its own way."""
    return None if left is None else left // 2 if isinstance(left, int) else left / 2


def _continued(before: Episode, after: Episode) -> Episode:
    """One episode of a task that a limit cut in two."""
    return replace(
        after,
        attempts=before.attempts + after.attempts,
        cost=before.cost + after.cost,
        picked=tuple(dict.fromkeys(before.picked + after.picked)),
    )
