"""The work on one task: drafts are run and judged, what solved the task is verified, and what became of it is told.

Nothing is recorded here but what was spent; the loop does that once the work is done.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from habilis.agent.admission import affordable, candidate, lives_to_lose, misstated, observed
from habilis.agent.drafting import Drafting
from habilis.agent.parts import LoopSettings, Parts
from habilis.agent.planning.calls import called_tools, needed
from habilis.agent.planning.regression import skills_by_fact
from habilis.agent.tape import TaskTape
from habilis.agent.threads import in_thread
from habilis.agent.words import goal_to_words
from habilis.core import (
    Action,
    Attempt,
    Augmentation,
    BudgetExceeded,
    Context,
    Cost,
    DefinitionError,
    Draft,
    Episode,
    Feedback,
    Goal,
    InputError,
    Json,
    Kind,
    Ledger,
    ModelError,
    Program,
    Skill,
    Task,
    ToolError,
    Trajectory,
    Verdict,
    WorldError,
    WriterError,
)
from habilis.memory.library import Offer, Proof, narrowed, prove
from habilis.worlds.runner import look_at
from habilis.worlds.verify import ended_with

_ASKED = "asked to stop; run again to continue"
_EFFECTS = 4  # how many effects of a tried action are lifted to skills at once


@dataclass(frozen=True)
class Worked:
    """What became of a task. ``episode``: still without its cost; ``skills``: proven, to be kept."""

    episode: Episode
    skills: Sequence[Skill]
    picked: tuple[Augmentation, ...]
    offer: Offer = field(default_factory=Offer)  # of skills: what may have been held back
    raised: ModelError | WriterError | None = None  # may end the run, once the episode is recorded
    timed_out: bool = False  # the clock ended it, which says nothing about anyone


class Work:
    """One task, worked on once. ``index``: of its episode; ``tape``: its tool calls; ``ledger``: its own;
    ``came_true``: it did already, before the task was cut short, and no program was proven yet."""

    def __init__(
        self,
        parts: Parts,
        settings: LoopSettings,
        run_id: int,
        index: int,
        task: Task,
        ledger: Ledger,
        tape: TaskTape,
        came_true: bool = False,
    ) -> None:
        self.parts, self.settings, self.run_id, self.index = parts, settings, run_id, index
        self.task, self.ledger, self.tape, self.came_true = task, ledger, tape, came_true
        self.attempts: list[Attempt] = []
        self._refuted: dict[str, Proof] = {}  # by program and arguments

    async def done(self) -> Worked:
        """The task brought to its verdict."""
        try:
            return await self._worked()
        except WorldError as error:  # it could not be looked at before the first draft; at the next task it may be
            failed = Episode(self.index, self.task, "failed", tuple(self.attempts), reason=f"WorldError: {error}")
            return Worked(failed, (), ())

    async def _worked(self) -> Worked:
        p, task, ledger, attempts = self.parts, self.task, self.ledger, self.attempts
        unproven = self.came_true and p.verifier is not None
        if task.origin == "user" and not unproven and task.goal.atoms and not task.goal.unmet(look_at(p.world)):
            done = Episode(self.index, task, "solved", reason="it was already true; nothing was done")
            return Worked(done, (), ())
        picked = p.help.pick(task, ledger) if p.help is not None else ()
        if picked:
            p.events.emit("augmentations_picked", self.index, names=[a.id for a in picked], cost={})
        names = [a.name for a in picked if a.kind is Kind.TOOL]
        caller = p.help.caller(names, ledger, self.tape) if p.help is not None else None
        context = p.context(self.settings, picked, caller)
        offer = self._offer()
        if offer.withheld:
            p.events.emit("skill_withheld", self.index, name=offer.withheld)
            context = replace(context, skills={n: s for n, s in context.skills.items() if n != offer.withheld})
            # Nor is its program shown.
            picked = tuple(a for a in picked if a.meta.get("skill") != offer.withheld)
        if p.help is not None:
            reading = p.help.reading(picked, ledger, self.tape)
            context = replace(context, read=reading, tools_in_all=p.help.tools_in_all())
        drafts: Drafting | None = None
        skills: list[Skill] = []
        raised: ModelError | WriterError | None = None
        solved, timed_out, reason, writer = False, False, "", ""
        status = "failed"
        try:
            drafts = Drafting(p.writer, task, context, ledger)
            solved, reason, writer, skill = await self._rounds(drafts, task, context)
            status = "solved" if solved else "stopped" if self._stopped() else "failed"
            skills = [skill] if skill is not None else []
            if solved and task.kind == "try":
                await self._lift_effects(skills)
        except BudgetExceeded as error:
            solved, timed_out = any(a.ok for a in attempts), error.limit == "seconds"
            reason, goes_on = str(error), affordable(error, p.ledger)
            status = "solved" if solved else "failed" if goes_on else "stopped"
            if not goes_on and (solved or self.came_true) and p.verifier is not None and not skills:
                status, reason = "stopped", f"it came true, and no program is proven yet: {error}"
            writer = attempts[-1].program.writer if attempts else ""
        except (DefinitionError, InputError, ModelError, ToolError, WorldError, WriterError) as error:
            # What was spent and done until here is recorded all the same; the next task may fare better.
            solved = any(a.ok for a in attempts)
            status, reason = "solved" if solved else "failed", f"{type(error).__name__}: {error}"
            raised = error if isinstance(error, (ModelError, WriterError)) else None
            writer = attempts[-1].program.writer if attempts else ""
        finally:
            await self._close(drafts)
        if status == "failed" and self.came_true:
            status = "solved"
        episode = Episode(
            self.index,
            task,
            status,
            tuple(attempts),
            Cost(),
            None,
            reason,
            writer,
            tuple(a.id for a in picked),
        )
        last = attempts[-1] if attempts else None
        timed_out = timed_out or (last is not None and last.trajectory.inconclusive)
        ran = last is not None and (last.trajectory.error is None or ended_with(task.goal, last.trajectory))
        if solved and not skills and last is not None and ran and self._already(last.program):
            episode = replace(episode, skill=last.program.name)
        return Worked(episode, skills, picked, offer, raised, timed_out)

    def _offer(self) -> Offer:
        """The skills that the task calls up. A user's task gets all there is; of the curriculum's, one may be held back
        to learn what it is worth."""
        library, task = self.parts.library, self.task
        if task.origin != "curriculum" or not self.settings.keep_skills or not library.settings.withhold:
            return Offer()
        return library.offer([hit.skill.name for hit in library.search(task.text)], f"{task.seed}:{self.index}")

    async def _close(self, drafts: Drafting | None) -> None:
        trouble = await drafts.close() if drafts is not None else ""
        if trouble:  # what became of the task stands all the same
            self.parts.events.emit("warning", self.index, message=trouble)

    async def _lift_effects(self, skills: list[Skill]) -> None:
        """What a newly understood action brings about becomes skills at once."""
        p, task = self.parts, self.task
        contract = p.book.contract(Action.parse(task.action or ""))
        for effect in contract.effects[:_EFFECTS]:
            predicate = p.world.spec.predicate(effect.fact.predicate)
            if predicate is None or predicate.context or effect.fact.predicate in p.world.spec.sought:
                continue
            if effect.amount <= 0 and effect.value is not True:
                continue
            if p.verifier is None or (effect.fact, True) in skills_by_fact(p.skills(self.settings).values()):
                continue
            goal = Goal((p.world.spec.present(effect.fact),))
            wanted = replace(task, goal=goal, kind="achieve", action=None, text=goal_to_words(goal, p.world.spec))
            context = p.context(self.settings)
            drafts = Drafting(p.writer, wanted, context, self.ledger)
            try:
                _, _, _, skill = await self._rounds(drafts, wanted, context, solved=True)
            finally:
                await self._close(drafts)
            if skill is not None:
                skills.append(skill)

    async def _rounds(
        self,
        drafts: Drafting,
        task: Task,
        context: Context,
        solved: bool = False,
    ) -> tuple[bool, str, str, Skill | None]:
        """Run and verify drafts until one is kept; (solved, why no skill was kept, writer, skill)."""
        p, attempts = self.parts, self.attempts
        reason, writer = "no program was found", ""
        feedback: Feedback | None = None
        verdict = Verdict(solved)
        for number in range(self.settings.rounds):
            if self._stopped():
                return solved, _ASKED, writer, None
            draft = await drafts.next(feedback)
            if draft is None:
                if not solved and not attempts:
                    reason = getattr(p.writer, "why", "") or reason
                return solved, reason, writer, None
            writer = draft.program.writer
            if self._stopped():
                return solved, _ASKED, writer, None
            if not solved:
                attempt, verdict = await self._attempt(draft, task, context, number)
                attempts.append(attempt)
                if not verdict.ok and not self._cut_off(attempt, draft):
                    reason = attempt.feedback
                    feedback = Feedback(attempt.trajectory, verdict, False, draft.args)
                    continue
                solved, reason = verdict.ok, "" if verdict.ok else attempt.feedback
                if task.kind == "try":
                    return True, "", writer, None
                # What the clock ended proves nothing either way: where there are fresh worlds, they tell.
                ended_badly = attempt.trajectory.error is not None and not ended_with(task.goal, attempt.trajectory)
                if solved and ended_badly and (p.verifier is None or not attempt.trajectory.inconclusive):
                    reason = f"it came true, but the program is not kept, for it ended in an error: {attempt.feedback}"
                    if p.verifier is None:  # to do more in a live world than was asked for would prove nothing
                        return True, reason, writer, None
                    told = Verdict(False, (), "the goal became true, but the program ended in an error")
                    feedback = Feedback(attempt.trajectory, told, True, draft.args)
                    p.events.emit("skill_rejected", self.index, name=draft.program.name, reason=reason)
                    continue
                if solved and self._already(draft.program):
                    return True, "", writer, None
                if p.verifier is None and draft.program.name.startswith("try_"):
                    return True, "it came true while finding out; no program was proven", writer, None
                if p.verifier is None:
                    return True, *self._seen(draft, task, attempt, verdict)
            if not draft.goal_template:
                reason = "the program is not general: it has no goal of its own"
                feedback = Feedback(attempts[-1].trajectory, Verdict(False, (), reason), True, draft.args)
                continue
            wrong = misstated(draft, task, context.spec)
            if wrong:
                reason = f"the program is not kept: {wrong}"
                feedback = Feedback(attempts[-1].trajectory, Verdict(False, (), wrong), True, draft.args)
                p.events.emit("skill_rejected", self.index, name=draft.program.name, reason=reason)
                continue
            new = candidate(draft, task, context.spec, self.index, called_tools(draft.program, p.skills(self.settings)))
            result = await in_thread("the proof of a program in fresh worlds", self._prove, new, draft.args)
            for trajectory in result.trajectories:
                p.book.learn(trajectory)
            if result.skill is not None:
                return True, "", writer, result.skill
            if result.feedback is None:
                ran = attempts[-1]
                if not solved:
                    return False, reason, writer, None
                if ran.trajectory.error is not None or (ran.program, ran.args) != (draft.program, dict(draft.args)):
                    return True, "no program was proven: its tools must not be called again", writer, None
                return True, *self._seen(draft, task, ran, verdict)
            feedback = result.feedback
            here = "works here" if solved else "a life was too short for it"
            reason = f"{here}, but not in every fresh world: {describe(feedback.trajectory, feedback.verdict)}"
            p.events.emit("skill_rejected", self.index, name=new.name, reason=reason)
        return solved, reason, writer, None

    def _cut_off(self, attempt: Attempt, draft: Draft) -> bool:
        """Whether the life of the world came to its end before the program did, which says little about it: fresh
        worlds tell more."""
        error, p = attempt.trajectory.error, self.parts
        if p.verifier is None or not self._lives or error is None or not attempt.trajectory.cut_off:
            return False
        wanted = self.task.origin == "curriculum" and self.task.kind == "achieve"
        return wanted and bool(draft.goal_template) and not self._already(draft.program)

    @property
    def _lives(self) -> int:
        """How many lives of the world may be lost in a proof for each that was none: where they end by themselves, and
        not with a mission."""
        return lives_to_lose(self.parts.world.spec)

    async def _attempt(self, draft: Draft, task: Task, context: Context, number: int) -> tuple[Attempt, Verdict]:
        p, ledger = self.parts, self.ledger
        trajectory = await in_thread(
            "a program in the world",
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
        p.declare()
        verdict = await in_thread("the judge", self._judge, task, trajectory)
        feedback = "" if verdict.ok and trajectory.error is None else describe(trajectory, verdict)
        p.events.emit(
            "attempt_ended",
            self.index,
            writer=draft.program.writer,
            ok=verdict.ok,
            feedback=feedback,
            world_steps=trajectory.world_steps,
            round=number,
        )
        return Attempt(draft.program, trajectory, verdict.ok, feedback, dict(draft.args)), verdict

    def _judge(self, task: Task, trajectory: Trajectory) -> Verdict:
        if task.kind == "try":
            done = any(str(s.action) == task.action and s.outcome.ok for s in trajectory.steps)
            return Verdict(done, (), "" if done else "the action did not succeed")
        return self.parts.judge.judge(task.goal, trajectory, self.ledger)

    def _prove(self, skill: Skill, args: Mapping[str, Json]) -> Proof:
        """The proof; of a program that was refuted already, within a smaller range, where that is what it needs."""
        key = f"{skill.program.source}\0{sorted(args.items())!r}"
        known = self._refuted.get(key)
        smaller = narrowed(skill, known) if known is not None else None
        if known is not None and smaller is None:
            return replace(known, trajectories=())  # as before, for the worlds are the same
        proof = self._run_proof(smaller or skill, args)
        if proof.skill is None and proof.feedback is not None and not proof.feedback.trajectory.inconclusive:
            self._refuted[key] = proof
        return proof

    def _run_proof(self, skill: Skill, args: Mapping[str, Json]) -> Proof:
        p = self.parts
        assert p.verifier is not None
        return prove(
            skill,
            p.verifier,
            needed(skill.program, p.skills(self.settings)),
            self.ledger,
            seed=self.task.seed,
            settings=p.library.settings.admission,
            args=args,
            tools=lambda: p.help.replay(skill.tools, self.tape, self.ledger) if p.help is not None else None,
            ignored=p.library.passing,
            lives=self._lives,
        )

    def _seen(self, draft: Draft, task: Task, attempt: Attempt, verdict: Verdict) -> tuple[str, str, Skill | None]:
        """What was seen to work once as a skill, if it says rightly what it does: (why not, writer, skill)."""
        draft = replace(draft, goal_template=draft.goal_template or str(task.goal))
        spec, writer = self.parts.world.spec, draft.program.writer
        wrong = misstated(draft, task, spec, attempt.trajectory.after)
        if wrong:
            reason = f"the program is not kept: {wrong}"
            self.parts.events.emit("skill_rejected", self.index, name=draft.program.name, reason=reason)
            return reason, writer, None
        tools = called_tools(draft.program, self.parts.skills(self.settings))
        new = candidate(draft, task, spec, self.index, tools)
        return "", writer, observed(new, attempt.args, task, attempt.trajectory, verdict.judge, spec)

    def _stopped(self) -> bool:
        """Whether a user's task is to end here: it has no other end to wait for, and goes on when it is asked again."""
        return self.task.origin == "user" and self.parts.stop()

    def _already(self, program: Program) -> bool:
        """The program is a known skill, called as it is."""
        known = self.parts.skills(self.settings).get(program.name)
        return known is not None and known.program == program


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
