"""The loop: a task comes from the curriculum, a writer drafts programs, they run in the world, the judge decides, and
what solved the task is proven elsewhere and kept.

Everything that happens in an episode is written to the journal in one transaction at its end, together with the state
that the next episode needs; what was spent and what tools answered (`habilis.agent.tape`) is written at once. A kill at
any moment loses at most the attempts of the task in hand, and a resumed run goes on as an uninterrupted one would.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import Protocol

from habilis.agent.admission import AdmissionSettings, Verified, affordable, candidate, observed, verify
from habilis.agent.calls import called_tools, needed
from habilis.agent.curriculum import Curriculum
from habilis.agent.regression import skills_by_fact
from habilis.agent.tape import LeftOver, TaskTape, left_over
from habilis.agent.words import goal_to_words
from habilis.core import (
    Action,
    Affording,
    Atom,
    Attempt,
    Augmentation,
    Budget,
    BudgetExceeded,
    Checkpointed,
    Context,
    Cost,
    Declaring,
    DefinitionError,
    Draft,
    Episode,
    EventStream,
    Feedback,
    Goal,
    GoalGiving,
    Imaginable,
    InputError,
    Json,
    Judge,
    Kind,
    Ledger,
    ModelError,
    NotFoundError,
    Program,
    RunLimits,
    Runner,
    Skill,
    Task,
    ToolCall,
    ToolCaller,
    ToolError,
    Trajectory,
    Verdict,
    Verifier,
    World,
    WorldError,
    Writer,
    dump,
)
from habilis.memory.contracts import ContractBook
from habilis.memory.journal import Journal
from habilis.memory.library import SkillLibrary

_EFFECTS = 4  # how many effects of a tried action are lifted to skills at once


@dataclass(frozen=True)
class LoopSettings:
    """``task_budget``: the most one task may cost, verification included (search and world steps are counts, so that
    runs repeat). ``limits``: of one run of a program. ``rounds``: drafts run or verified per task."""

    task_budget: Budget = field(
        default_factory=lambda: Budget(usd=None, search_steps=12_000, world_steps=60_000, calls=None)
    )
    limits: RunLimits = field(default_factory=lambda: RunLimits(world_steps=2_500))
    rounds: int = 24
    admission: AdmissionSettings = field(default_factory=AdmissionSettings)
    keep_skills: bool = True
    keep_contracts: bool = True


class Help(Protocol):
    """What can help with a task: picks augmentations, and lets programs call the picked tools."""

    def learned(self, skills: Iterable[Skill]) -> None: ...
    def pick(self, task: Task, ledger: Ledger) -> tuple[Augmentation, ...]: ...
    def caller(self, names: Sequence[str], ledger: Ledger, tape: TaskTape) -> ToolCaller | None: ...
    def replay(self, names: Sequence[str], tape: TaskTape, ledger: Ledger) -> ToolCaller | None: ...
    def record(
        self, task: Task, picked: Sequence[Augmentation], tape: Sequence[ToolCall], skills: Set[str], ok: bool
    ) -> None: ...


@dataclass
class Parts:
    """What the roof hands to the loop. ``verifier`` is None where the world cannot be made afresh."""

    world: World
    book: ContractBook
    library: SkillLibrary
    journal: Journal
    runner: Runner
    judge: Judge
    verifier: Verifier | None
    writer: Writer
    curriculum: Curriculum
    ledger: Ledger
    events: EventStream
    help: Help | None = None


@dataclass(frozen=True)
class _Worked:
    episode: Episode
    skills: Sequence[Skill]
    picked: tuple[Augmentation, ...]
    raised: ModelError | None = None  # ends the run, once the episode is recorded


class Loop:
    """Works on one task after another."""

    def __init__(self, parts: Parts, run_id: int, settings: LoopSettings | None = None) -> None:
        self.parts = parts
        self.run_id = run_id
        self.settings = settings or LoopSettings()
        self.iteration = 0
        self._left: LeftOver | None = None
        self._known: dict[str, Json] = {}  # the curriculum's state as it was read, with what a newer version put there

    # ------------------------------------------------------------------ state that outlives a kill

    def begin(self, seed: int | None) -> bool:
        """Set the world up, from the journal where the run was interrupted; whether it was. ``seed``: None leaves the
        world as it stands."""
        p = self.parts
        if seed is not None:
            p.world.reset(seed)
        state = p.journal.get_state(f"run:{self.run_id}")
        self.iteration = 0 if state is None else int(state["iteration"])
        self._left = left_over(p.journal, self.run_id, self.iteration)
        if state is None:
            return False
        self._known = state["curriculum"]
        p.curriculum.load(self._known)
        if isinstance(p.world, Checkpointed) and state.get("world") is not None:
            p.world.load(state["world"])
        self._declare()  # the uninterrupted run had heard this already, so it makes nothing new
        p.book.version = int(state["book_version"])
        return True

    def store(self) -> None:
        """Write down what was learned and spent, and the state that the next episode needs."""
        p = self.parts
        with p.journal.transaction():
            p.journal.put_contracts(p.book.take_dirty())
            p.journal.put_versioned_state(f"run:{self.run_id}", self._state())
            p.journal.update_run(self.run_id, spent=p.ledger.spent)

    def _state(self) -> dict[str, Json]:
        p = self.parts
        can_save = isinstance(p.world, Checkpointed) and "checkpoint" in p.world.spec.capabilities
        return {
            "iteration": self.iteration,
            "book_version": p.book.version,
            "curriculum": {**self._known, **p.curriculum.save()},
            "world": p.world.save() if can_save else None,  # type: ignore[attr-defined]
        }

    # ------------------------------------------------------------------ the curriculum's tasks

    async def step(self) -> Episode | None:
        """One iteration: propose, or take up what was cut short; work, record. None when nothing is left to try."""
        p = self.parts
        if self._left is not None and self._left.task.origin != "user":
            task = self._left.task
            self._propose(task, "it was cut short before")
            return await self.work(task)
        choosing = p.ledger.child()  # bounded by the run alone: a large library must not use up the task's own limit
        if not self.settings.keep_contracts:
            p.book.forget()
        context = self._context((), None)
        await asyncio.to_thread(self._probe, context, choosing)
        goals = p.world.goals() if isinstance(p.world, GoalGiving) else ()
        proposal = await asyncio.to_thread(
            p.curriculum.propose,
            self.iteration,
            context,
            goals,
            list(self._skills().values()),
            choosing,
        )
        if proposal is None:
            return None
        self._propose(proposal.task, proposal.why)
        return await self.work(proposal.task, choosing.spent)

    async def work(self, task: Task, chosen: Cost | None = None) -> Episode:
        """Work on one task to its verdict, and record the episode. ``chosen``: what choosing it has cost."""
        p = self.parts
        ledger = p.ledger.child(self.settings.task_budget)
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
        try:
            worked = await self._episode(task, ledger, tape)
        finally:
            self._left = replace(self._left, calls=tuple(tape.calls))
        episode = replace(worked.episode, cost=ledger.spent + (chosen or Cost()))
        if before.episode is not None and before.episode.index == self.iteration:
            episode = _continued(before.episode, episode)
        kept: list[Skill] = []
        with p.journal.transaction():
            if self.settings.keep_skills:
                for skill in worked.skills:
                    try:
                        kept.append(p.library.admit(skill, f"solved {task.text!r}"))
                    except (InputError, NotFoundError) as error:  # a circle of calls, or a callee retired since
                        episode = replace(episode, reason=f"{skill.name} cannot be kept: {error}")
            if p.help is not None:
                used = {name for a in episode.attempts[-1:] for name in needed(a.program, self._skills())}
                p.help.record(task, worked.picked, tape.calls, used, episode.solved)
            if kept:
                episode = replace(episode, skill=kept[0].name, skills=tuple(s.name for s in kept))
            p.journal.append_episode(self.run_id, episode)
            # What a limit of the run cut short is taken up again when the run goes on.
            if episode.status == "stopped":
                self._left = replace(self._left, episode=episode)
            else:
                self._left = None
            if episode.status != "stopped" or task.origin == "user":
                p.curriculum.record(episode)
                self.iteration += 1
            self.store()
        for skill in kept:
            self._announce(skill, episode.index)
        if p.help is not None:
            p.help.learned(kept)
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
        if worked.raised is not None:
            raise worked.raised
        return episode

    # ------------------------------------------------------------------ inside

    def _propose(self, task: Task, why: str) -> None:
        self.parts.events.emit(
            "task_proposed", self.iteration, text=task.text, goal=str(task.goal), kind=task.kind, why=why
        )

    async def _episode(self, task: Task, ledger: Ledger, tape: TaskTape) -> _Worked:
        p = self.parts
        attempts: list[Attempt] = []
        if task.origin == "user" and task.goal.atoms and not task.goal.unmet(p.world.observe()):
            done = Episode(self.iteration, task, "solved", reason="it was already true; nothing was done")
            return _Worked(done, (), ())
        picked = p.help.pick(task, ledger) if p.help is not None else ()
        if picked:
            p.events.emit("augmentations_picked", self.iteration, names=[a.id for a in picked], cost={})
        names = [a.name for a in picked if a.kind is Kind.TOOL]
        caller = p.help.caller(names, ledger, tape) if p.help is not None else None
        context = self._context(picked, caller)
        drafts = p.writer.drafts(task, context, ledger)
        skills: list[Skill] = []
        raised: ModelError | None = None
        solved, reason, writer = False, "", ""
        status = "failed"
        try:
            solved, reason, writer, skill = await self._rounds(drafts, task, context, ledger, attempts, tape)
            status = "solved" if solved else "failed"
            skills = [skill] if skill is not None else []
            if solved and task.kind == "try":
                await self._lift_effects(task, ledger, attempts, tape, skills)
        except BudgetExceeded as error:
            solved = any(a.ok for a in attempts)
            status = "solved" if solved else "failed" if affordable(error, p.ledger) else "stopped"
            reason = str(error)
            writer = attempts[-1].program.writer if attempts else ""
        except (DefinitionError, InputError, ModelError, ToolError, WorldError) as error:
            # What was spent and done until here is recorded all the same; the next task may fare better.
            solved = any(a.ok for a in attempts)
            status, reason = "solved" if solved else "failed", f"{type(error).__name__}: {error}"
            raised = error if isinstance(error, ModelError) else None
            writer = attempts[-1].program.writer if attempts else ""
        finally:
            await drafts.aclose()
        episode = Episode(
            self.iteration,
            task,
            status,
            tuple(attempts),
            Cost(),
            None,
            reason,
            writer,
            tuple(a.id for a in picked),
        )
        if solved and not skills and attempts and self._already(attempts[-1].program):
            episode = replace(episode, skill=attempts[-1].program.name)
        return _Worked(episode, skills, picked, raised)

    async def _lift_effects(
        self, task: Task, ledger: Ledger, attempts: list[Attempt], tape: TaskTape, skills: list[Skill]
    ) -> None:
        """What a newly understood action brings about becomes skills at once."""
        p = self.parts
        sought = {s.seeks for s in p.world.spec.primitives if s.seeks}
        contract = p.book.contract(Action.parse(task.action or ""))
        for effect in contract.effects[:_EFFECTS]:
            predicate = p.world.spec.predicate(effect.fact.predicate)
            if predicate is None or predicate.context or effect.fact.predicate in sought:
                continue
            if effect.amount <= 0 and effect.value is not True:
                continue
            if p.verifier is None or (effect.fact, True) in skills_by_fact(self._skills().values()):
                continue
            goal = Goal((Atom(effect.fact, ">=", 1) if predicate.numeric else Atom(effect.fact),))
            wanted = replace(task, goal=goal, kind="achieve", action=None, text=goal_to_words(goal, p.world.spec))
            context = self._context((), None)
            drafts = p.writer.drafts(wanted, context, ledger)
            try:
                _, _, _, skill = await self._rounds(drafts, wanted, context, ledger, attempts, tape, solved=True)
            finally:
                await drafts.aclose()
            if skill is not None:
                skills.append(skill)

    async def _rounds(
        self,
        drafts: AsyncGenerator[Draft, Feedback],
        task: Task,
        context: Context,
        ledger: Ledger,
        attempts: list[Attempt],
        tape: TaskTape,
        solved: bool = False,
    ) -> tuple[bool, str, str, Skill | None]:
        """Run and verify drafts until one is kept; (solved, why no skill was kept, writer, skill)."""
        reason, writer = "no program was found", ""
        feedback: Feedback | None = None
        verdict = Verdict(solved)
        for number in range(self.settings.rounds):
            try:
                draft = await (anext(drafts) if feedback is None else drafts.asend(feedback))
            except StopAsyncIteration:
                if not solved and not attempts:
                    reason = getattr(self.parts.writer, "why", "") or reason
                return solved, reason, writer, None
            writer = draft.program.writer
            if not solved:
                attempt, verdict = await self._attempt(draft, task, context, ledger, number)
                attempts.append(attempt)
                if not verdict.ok:
                    reason = attempt.feedback
                    feedback = Feedback(attempt.trajectory, verdict, False, draft.args)
                    continue
                solved, reason = True, ""
                if task.kind == "try" or self._already(draft.program):
                    return True, "", writer, None
                if self.parts.verifier is None and draft.program.name.startswith("try_"):
                    return True, "it came true while finding out; no program was proven", writer, None
                if self.parts.verifier is None:
                    return True, "", writer, self._seen(draft, task, attempt, verdict)
            if not draft.goal_template:
                reason = "the program is not general: it has no goal of its own"
                feedback = Feedback(attempts[-1].trajectory, Verdict(False, (), reason), True, draft.args)
                continue
            new = candidate(draft, task, context.spec, self.iteration, called_tools(draft.program, self._skills()))
            result = await asyncio.to_thread(self._verify, new, ledger, task, tape)
            for trajectory in result.trajectories:
                self.parts.book.learn(trajectory)
            if result.skill is not None:
                return True, "", writer, result.skill
            if result.feedback is None:
                return True, "", writer, self._seen(draft, task, attempts[-1], verdict)
            feedback = result.feedback
            reason = f"works here, but not in every fresh world: {describe(feedback.trajectory, feedback.verdict)}"
            self.parts.events.emit("skill_rejected", self.iteration, name=new.name, reason=reason)
        return solved, reason, writer, None

    async def _attempt(
        self, draft: Draft, task: Task, context: Context, ledger: Ledger, number: int
    ) -> tuple[Attempt, Verdict]:
        p = self.parts
        trajectory = await asyncio.to_thread(
            p.runner.run,
            draft.program,
            p.world,
            args=draft.args,
            skills=needed(draft.program, context.skills),
            tools=context.tools,
            limits=self.settings.limits,
            seed=task.seed,
            ledger=ledger,
        )
        p.journal.update_run(self.run_id, spent=p.ledger.spent)  # a kill from here on forgets no spending
        p.book.learn(trajectory)
        self._declare()
        verdict = await asyncio.to_thread(self._judge, task, trajectory, ledger)
        feedback = "" if verdict.ok else describe(trajectory, verdict)
        p.events.emit(
            "attempt_ended",
            self.iteration,
            writer=draft.program.writer,
            ok=verdict.ok,
            feedback=feedback,
            world_steps=trajectory.world_steps,
            round=number,
        )
        return Attempt(draft.program, trajectory, verdict.ok, feedback, dict(draft.args)), verdict

    def _judge(self, task: Task, trajectory: Trajectory, ledger: Ledger) -> Verdict:
        if task.kind == "try":
            done = any(str(s.action) == task.action and s.outcome.ok for s in trajectory.steps)
            return Verdict(done, (), "" if done else "the action did not succeed")
        return self.parts.judge.judge(task.goal, trajectory, ledger)

    def _verify(self, skill: Skill, ledger: Ledger, task: Task, tape: TaskTape) -> Verified:
        p = self.parts
        assert p.verifier is not None
        return verify(
            skill,
            p.verifier,
            needed(skill.program, self._skills()),
            ledger,
            seed=task.seed,
            settings=self.settings.admission,
            tools=lambda: p.help.replay(skill.tools, tape, ledger) if p.help is not None else None,
        )

    def _seen(self, draft: Draft, task: Task, attempt: Attempt, verdict: Verdict) -> Skill:
        template = draft.goal_template or str(task.goal)
        spec = self.parts.world.spec
        tools = called_tools(draft.program, self._skills())
        new = candidate(replace(draft, goal_template=template), task, spec, self.iteration, tools)
        return observed(new, attempt.args, task, attempt.trajectory, verdict.judge)

    def _already(self, program: Program) -> bool:
        """The program is a known skill, called as it is."""
        known = self._skills().get(program.name)
        return known is not None and known.program == program

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

    def _skills(self) -> Mapping[str, Skill]:
        return self.parts.library.active() if self.settings.keep_skills else {}

    def _declare(self) -> None:
        world = self.parts.world
        if isinstance(world, Declaring) and "contracts" in world.spec.capabilities:
            self.parts.book.declare(world.contracts())

    def _context(self, picked: tuple[Augmentation, ...], caller: ToolCaller | None) -> Context:
        world = self.parts.world
        self.parts.book.spec = world.spec  # a world of functions learns its predicates as it goes
        self._declare()
        capabilities = world.spec.capabilities
        affordances: tuple[Action, ...] = ()
        if isinstance(world, Affording) and "affordances" in capabilities:
            affordances = tuple(world.affordances())
        simulator = world.simulator() if isinstance(world, Imaginable) and "simulator" in capabilities else None
        return Context(world.spec, world.observe(), self._skills(), picked, simulator, affordances, caller)

    def _probe(self, context: Context, ledger: Ledger) -> None:
        """Where failures give reasons, ask the simulator once what each newly afforded action lacks."""
        if context.simulator is None or "reasons" not in context.spec.capabilities:
            return
        book = self.parts.book
        seeking = {p.name for p in context.spec.primitives if p.seeks}
        unknown = [
            a
            for a in context.affordances
            if a.name not in seeking and not book.tried(a) and not book.contract(a).conditions
        ]
        if not unknown:
            return
        world = context.simulator.imagine(self.iteration)
        before = world.observe()
        for action in unknown:
            primitive = context.spec.primitive(action.name)
            most = Cost(search_steps=primitive.max_steps if primitive is not None else 1)
            if not ledger.affords(most):
                return
            with ledger.reserve(most) as held:
                outcome = world.act(action)
                held.commit(Cost(search_steps=max(1, outcome.steps)))
            if outcome.ok:
                world = context.simulator.imagine(self.iteration)
            else:
                book.observe(action, outcome, before)


def _continued(before: Episode, after: Episode) -> Episode:
    """One episode of a task that a limit cut in two."""
    return replace(
        after,
        attempts=before.attempts + after.attempts,
        cost=before.cost + after.cost,
        picked=tuple(dict.fromkeys(before.picked + after.picked)),
    )


def describe(trajectory: Trajectory, verdict: Verdict) -> str:
    """One line on why a program did not do it: the error with its line, or what is still unmet."""
    error = trajectory.error
    if error is not None:
        doubt = "inconclusive, " if trajectory.inconclusive else ""
        at = f" (line {error.line}: {error.source_line.strip()})" if error.line else ""
        return f"{doubt}{error.kind}: {error.message}{at}"[:500]
    if verdict.unmet:
        return "not yet: " + " and ".join(map(str, verdict.unmet))[:480]
    return (verdict.reason or "the goal is not met")[:500]
