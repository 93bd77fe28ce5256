"""An agent's parts, put together: its sessions, its words, its calls."""

from __future__ import annotations

import contextlib
import random
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from habilis._knowledge import learn_from
from habilis._minds import Minds
from habilis._settings import AgentSettings
from habilis.agent.curriculum import Curriculum, CurriculumSettings
from habilis.agent.helping import Helping
from habilis.agent.local.questions import question
from habilis.agent.loop import Loop, LoopSettings, Parts, describe
from habilis.agent.pacing import RunPace
from habilis.agent.planning.calls import needed
from habilis.agent.tape import TaskTape, calls_made, iteration_of, left_over
from habilis.agent.threads import at_work, in_thread
from habilis.agent.words import check_goal, goal_to_words, words_to_goal
from habilis.core import (
    Cost,
    Embedder,
    EventStream,
    Goal,
    GoalSyntaxError,
    InputError,
    Json,
    Kind,
    Ledger,
    NotFoundError,
    RunLimits,
    Skill,
    SkillError,
    Snapshot,
    Verdict,
    World,
    as_budget,
    cut_short,
    dump,
)
from habilis.memory.home import Home
from habilis.memory.journal import RunRecord
from habilis.memory.library import SkillLibrary
from habilis.tools import Added, KnowledgeBase, ToolRegistry
from habilis.worlds.runner import ConfinedRunner, look_at

_PATIENCE = 2.0  # seconds for a program that nobody waits for any more


@dataclass(frozen=True)
class Answer:
    """``said``: by the adopted local model, None where there is none; ``known``: by the learned contracts; ``doubt``:
    why what the model said means nothing in this world, "" where it does."""

    about: str
    said: str | None
    known: str
    doubt: str = ""


@dataclass
class Assembly:
    """An agent's parts, and the session that is going on. ``limits``: of every run of a program, proofs included."""

    world: World
    given: World
    home: Home
    library: SkillLibrary
    runner: ConfinedRunner
    account: Ledger
    events: EventStream
    settings: AgentSettings
    registry: ToolRegistry
    helping: Helping
    embedder: Embedder
    loop_parts: Parts
    limits: RunLimits
    minds: Minds
    world_name: str
    world_options: Mapping[str, Any]
    writer_name: str
    chat: Any = None
    chats: Sequence[Any] = ()
    proposer: Any = None
    current: Loop | None = None
    current_kind: str = ""
    current_config: Mapping[str, Json] = field(default_factory=dict)
    ended: bool = False
    last_run: int | None = None
    closed: bool = False
    fresh: Callable[[], World] | None = None
    stop: threading.Event = field(default_factory=threading.Event)
    distillations: list[Mapping[str, Json]] = field(default_factory=list)
    reflexes: tuple[str, ...] = ()

    # ------------------------------------------------------------------ sessions

    def config(self, kind: str) -> dict[str, Json]:
        """What a run is made of; see `_same` for what a continued one must agree in."""
        return {
            "schema_version": 1,
            "kind": kind,
            "world": self.world_name,
            "world_options": dict(self.world_options),
            "fingerprint": self.world.spec.fingerprint,
            "writer": self.writer_name,
            "model": ", ".join(one.name for one in self.chats) or None,
            "tools": list(self.registry.names()),
            "seed": self.settings.seed,
            "curriculum": self.settings.curriculum,
            "search": self.settings.search,
            "keep_skills": self.settings.keep_skills,
            "keep_contracts": self.settings.keep_contracts,
            "transfer": self.settings.transfer,
            "distil_every": self.settings.distil_every,
            "embedder": self.embedder.fingerprint,
            "tier": self.runner.tier,
            "reflexes": list(self.reflexes),
            "learns_reflexes": "learned" in self.settings.reflexes,
        }

    def session(
        self,
        kind: str,
        tasks: int | None = None,
        *,
        goal: Goal | None = None,
        stay: bool = False,
        how: Mapping[str, Json] | None = None,
    ) -> Loop:
        """The loop of the run in hand; else of the latest run that agrees in its configuration; else of a new one.

        The goals that a user gives to one agent make a run of their own, in a world and on an account of its own; it
        goes on only where it was cut short at this ``goal``. ``stay``: in the world as it stands, if this agent has
        lived in it. ``how``: what else a run must agree in to be continued, as the settings of an exploration.
        """
        config = self.config(kind) | dict(how or {})
        if self.current is not None and self.current_kind == kind and _same(self.current_config, config):
            if self.ended:  # it was stopped, and goes on in the same agent
                self.home.journal.update_run(self.current.run_id, status="running")
            if self.loop_parts.pace is not None:
                self.loop_parts.pace.expect(tasks)
            return self.current
        self.leave()
        journal = self.home.journal
        past = journal.runs()
        for run in past:
            if run.status == "running":  # this process owns the home, so whoever ran it is gone
                journal.update_run(run.id, status="stopped", note="its process ended without a word")
        agreeing = (r for r in reversed(past) if _same(r.config, config))
        known = next((r for r in agreeing if kind != "solve" or self._cut_short_at(goal, r)), None)
        run_id = known.id if known is not None else journal.start_run(config)
        if known is not None:
            journal.update_run(run_id, status="running")
        self.registry.begin_run(calls_made(journal.events(run_id)))
        spec, book = self.world.spec, self.loop_parts.book
        selector = self.helping.catalogue.selector
        pace = RunPace(self.account.limit, tasks, selector) if kind == "run" else RunPace.none(selector)
        self.helping.pace = pace
        self.loop_parts = replace(
            self.loop_parts,
            # What the run spent before counts against its limit again; the agent's own account is charged besides.
            ledger=Ledger(
                self.account.limit,
                spent=(known.spent if known is not None else Cost()) + self._before_any_run(),
                parent=self.account,
                keeper=journal.keeper(run_id),
            ),
            curriculum=Curriculum(
                spec, book, CurriculumSettings(strategy=self.settings.curriculum), seed=self.settings.seed
            ),
            pace=pace,
        )
        loop = Loop(self.loop_parts, run_id, self._loop_settings())
        lived = self.last_run is not None
        seed = self.settings.seed if self.fresh_life(run_id) else self.settings.seed + run_id
        resumed = loop.begin(None if stay and lived else seed)
        self.current, self.current_kind, self.current_config, self.ended = loop, kind, config, False
        if not (stay and lived):
            self.last_run = run_id
        limit = dump(self.ledger.limit)
        if resumed:
            told = {"world": self.world_name, "iterations": tasks, "budget": limit}
            self.events.emit("run_resumed", loop.iteration, run=run_id, iteration=loop.iteration, **told)
        else:
            self.events.emit("run_started", None, run=run_id, iterations=tasks, budget=limit, **config)
        for held in self.home.left_open:
            if held.run_id == run_id and (charged := cut_short(held.cost, held.again).nonzero()):
                most = ", ".join(f"{kind}={value:g}" for kind, value in charged.items())
                why = "was under way when the process ended, so the most that it may have cost is charged"
                self.events.emit("warning", loop.iteration, message=f"{held.what} {why}: {most}")
        self.home.left_open = tuple(h for h in self.home.left_open if h.run_id != run_id)
        return loop

    def _before_any_run(self) -> Cost:
        """What this agent has paid before its first run, for words to be read and texts to be embedded: the run's."""
        if self.loop_parts.ledger is not self.account:
            return Cost()
        spent = self.account.spent
        return Cost(usd=spent.usd, tokens=spent.tokens, calls=spent.calls)

    def _cut_short_at(self, goal: Goal | None, run: RunRecord) -> bool:
        """Whether a run of a user's goals was stopped, or killed, while it worked on this one."""
        if goal is None or run.status not in ("running", "stopped"):
            return False
        journal = self.home.journal
        state = journal.get_versioned_state(f"run:{run.id}")
        left = left_over(journal, run.id, iteration_of(state, run.id))
        return left is not None and left.task.origin == "user" and left.task.goal == goal

    def _loop_settings(self) -> LoopSettings:
        mine = self.settings
        settings = LoopSettings(
            limits=self.limits,
            keep_skills=mine.keep_skills,
            keep_contracts=mine.keep_contracts,
            transfer=mine.transfer,
        )
        return settings if mine.task_budget is None else replace(settings, task_budget=as_budget(mine.task_budget))

    @property
    def ledger(self) -> Ledger:
        """The account of the run in hand, or the agent's own before there is one."""
        return self.loop_parts.ledger

    @property
    def run_id(self) -> int:
        """The run in hand. Raises `NotFoundError` where there is none: nothing may be recorded then."""
        if self.current is None:
            raise NotFoundError("no run is open; work on a goal, run, or call a skill first")
        return self.current.run_id

    def leave(self) -> None:
        """Put the run in hand away: a user's goals are done, but for one that was cut short; the autonomous run can be
        continued."""
        if self.current is not None and self.current_kind == "solve" and self.current.cut_short:
            self.end("stopped", "cut short at a goal; it goes on when the goal is asked for again")
        elif self.current is not None and self.current_kind == "solve":
            self.end("finished", f"{self.current.iteration} goals worked on")
        elif self.current is not None and not self.ended:
            self.end("stopped", "closed")
        self.current = None

    def fresh_life(self, run_id: int) -> bool:
        """Whether this is the home's first run; later ones begin elsewhere, so that they see something new."""
        return run_id <= 1

    def end(self, status: str, reason: str) -> None:
        """Close the run in hand: "finished" (all that was asked for), "stopped" (by a limit or the user), "failed"."""
        if self.current is None:
            return
        self.ended = True
        self.home.journal.update_run(self.current.run_id, status=status, spent=self.ledger.spent, note=reason)
        self.events.emit("run_ended", self.current.iteration, run=self.current.run_id, status=status, reason=reason)

    def seed_for(self, iteration: int) -> int:
        return random.Random(f"solve:{self.settings.seed}:{iteration}").getrandbits(31)

    # ------------------------------------------------------------------ words, calls

    def words(self, goal: Goal) -> str:
        return goal_to_words(goal, self.world.spec)

    async def goal(self, text: str) -> Goal:
        """The goal that the text asks for. Where the world tells the names that it knows, others are refused."""
        snapshot = look_at(self.world)
        understand = getattr(self.world, "understand", None)  # a world's orders may name what is not there yet
        order: Goal | None = understand(text) if callable(understand) else None
        if order is not None:
            check_goal(order, self.world.spec, snapshot)
            return order
        if not self._told():
            # What is not there yet may be wanted too, and an expression leaves no doubt about what is meant.
            with contextlib.suppress(GoalSyntaxError):
                wanted = Goal.parse(text)
                check_goal(wanted, self.world.spec, snapshot)
                return wanted
        known = self._names(snapshot)
        return await in_thread(
            "the reading of the goal",
            words_to_goal,
            text,
            self.world.spec,
            snapshot,
            known=known,
            chat=self.chat,
            mind_parse=self._mind_parse(frozenset(known)),
            ledger=self.ledger,
        )

    def names(self, snapshot: Snapshot) -> list[str]:
        """The names that a goal's arguments may have, where the world tells them; else none, and any name will do."""
        return self._names(snapshot) if self._told() else []

    def _told(self) -> set[str]:
        tell = getattr(self.world, "names", None)
        return set(tell()) if callable(tell) else set()

    def _names(self, snapshot: Snapshot) -> list[str]:
        known = {str(a) for f in (*snapshot.facts, *self.loop_parts.book.produced()) for a in f.args}
        return sorted(known | set(self.world.spec.tags) | self._told())

    def _mind_parse(self, known: frozenset[str]) -> Callable[[str], Goal | None] | None:
        """The adopted model as a reader of words, where there is one."""
        mind = self.minds.adopted()
        if mind is None:
            return None
        from habilis.agent.local.mind import words_to_goal as read

        return lambda text: read(mind, text, self.world.spec, known)

    def ask(self, kind: str, about: str) -> Answer:
        """A question to the adopted model, and what the contracts say: see `habilis.agent.local.questions`. Raises
        `HabilisError`."""
        spec = self.world.spec
        self.loop_parts.declare()
        asked = question(kind, about, self.loop_parts.book, spec)
        mind = self.minds.adopted()
        if mind is None:
            return Answer(about, None, asked.known)
        said = mind.complete([asked.prompt])[0]
        return Answer(about, said, asked.known, asked.doubt(said, spec))

    def know(self, path: Path | str, cost: Cost | None = None) -> Added:
        """Take documents into the home, and offer them from now on."""
        base = KnowledgeBase(self.home.journal)
        told = learn_from(base, path, cost)
        if Kind.DOCUMENT in self.helping.uses:
            self.helping.stock(base.augmentations())
        return told

    def call(self, skill: Skill, args: Mapping[str, Json]) -> Json:
        """Run a skill in the world as it stands, within the run in hand, or one of its own."""
        known = {p.name for p in skill.program.parameters}
        for name in args:
            if name not in known:
                raise NotFoundError.of(f"parameter of {skill.name}", name, known)
        values = {p.name: p.default for p in skill.program.parameters if not p.required} | dict(args)
        missing = sorted(known - set(values))
        if missing:
            raise InputError(f"{skill.name} needs {', '.join(missing)}")
        open_run = self.current is not None and not self.ended
        loop = self.current if open_run and self.current is not None else self.session("solve", stay=True)
        ledger, run_id = self.ledger, loop.run_id
        loop.begin_anew()
        tape = TaskTape(self.home.journal, run_id, lambda: ledger.spent)
        try:
            trajectory = self.runner.run(
                skill.program,
                self.world,
                args=values,
                skills=needed(skill.program, self.library.active()),
                tools=self.helping.caller(skill.tools, ledger, tape),
                limits=self.limits,
                ledger=ledger,
            )
            self.loop_parts.book.learn(trajectory)
        finally:
            loop.store()  # what a failed call has done and spent is recorded too
        unmet = skill.goal_for(values).unmet(trajectory.after)
        if trajectory.error is not None or unmet:
            raise SkillError(f"{skill.name} failed: {describe(trajectory, Verdict(False, unmet))}")
        return trajectory.returned

    def close(self) -> None:
        if self.closed:
            return
        self.closed = True
        try:
            self.leave()
        finally:
            self.library.close()
            self._end_workers()
            self.registry.close()
            self.home.close()

    def _end_workers(self) -> None:
        """End the workers. A program that is still under way, because its task was cancelled, may hang in the world:
        then they end when it does, or with this process."""
        ending = threading.Thread(target=self.runner.close, name="habilis-closing", daemon=True)
        ending.start()
        ending.join(_PATIENCE if at_work() else None)


def _same(one: Mapping[str, Json], other: Mapping[str, Json]) -> bool:
    """Whether two configurations are of one run. How often it distils may change on the way, as its limits may; what
    an older version did not write down agrees with anything."""
    return all(one.get(k, v) == v for k, v in other.items() if k != "distil_every")


__all__ = ["Answer", "Assembly"]
