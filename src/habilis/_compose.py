"""How the parts of an agent are put together. Used by `habilis.run` only, and imported when an agent is made."""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from habilis._approval import approving
from habilis._worlds import open_world, world_tools
from habilis.agent.calls import needed
from habilis.agent.curriculum import Curriculum, CurriculumSettings, words
from habilis.agent.helping import Helping
from habilis.agent.loop import Loop, LoopSettings, Parts, describe
from habilis.agent.words import check_goal, words_to_goal
from habilis.agent.writers import Cascade
from habilis.agent.writers.search import SearchWriter
from habilis.core import (
    Action,
    Approve,
    Budget,
    BudgetExceeded,
    Cloneable,
    Embedder,
    EventStream,
    Fact,
    Goal,
    GoalSyntaxError,
    HabilisError,
    InputError,
    Json,
    Ledger,
    Mind,
    NotFoundError,
    RunLimits,
    Skill,
    SkillError,
    Snapshot,
    Verdict,
    World,
    WorldSpec,
    Writer,
    dump,
)
from habilis.memory.contracts import ContractBook
from habilis.memory.embedding import RememberingEmbedder, open_embedder
from habilis.memory.home import Home, default_home
from habilis.memory.library import SkillLibrary
from habilis.tools import Catalogue, ToolRegistry, load_registrations
from habilis.worlds.runner import ConfinedRunner
from habilis.worlds.verify import GoalJudge, WorldVerifier

if TYPE_CHECKING:
    from habilis.run import AgentSettings, Summary


_PROPOSE_EVERY = 5  # tasks between two requests for proposals to a chat model
_PROPOSALS = 5  # asked for in each


@dataclass(frozen=True)
class Answer:
    """``said``: by the adopted local model, None where there is none; ``known``: by the learned contracts."""

    about: str
    said: str | None
    known: str


class Minds:
    """The adopted local model of a home, opened when first asked for."""

    def __init__(self, home: Home, events: EventStream, spec: WorldSpec) -> None:
        self._home, self._events, self._spec = home, events, spec
        self._open: tuple[str, Mind | None] = ("", None)

    def adopted(self) -> Mind | None:
        """The model in use, or None; one that cannot be opened is left aside with a warning."""
        record = self._home.journal.adopted_model()
        if record is None:
            return None
        if self._open[0] != record.name:
            from habilis.agent.mind import open_mind

            try:
                found: Mind | None = open_mind({"name": record.name, "path": str(self._home.path / record.path)})
            except HabilisError as error:
                found = None
                self._events.emit("warning", None, message=f"the local model is left aside: {error}")
            self._open = (record.name, found)
        return self._open[1]

    def prior(self) -> Callable[[Goal, Snapshot, Sequence[Action]], Sequence[Action]] | None:
        """The adopted model as what orders the things to try, where there is one."""
        mind = self.adopted()
        if mind is None:
            return None
        from habilis.agent.mind import rank_actions
        from habilis.memory.prompts import state_text

        return lambda goal, state, actions: rank_actions(mind, goal, state_text(state, self._spec), actions)


@dataclass
class Assembly:
    """An agent's parts, and the session that is going on."""

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
    minds: Minds
    world_name: str
    world_options: Mapping[str, Any]
    writer_name: str
    chat: Any = None
    proposer: Any = None
    current: Loop | None = None
    current_kind: str = ""
    ended: bool = False
    last_run: int | None = None
    closed: bool = False
    fresh: Callable[[], World] | None = None
    stop: threading.Event = field(default_factory=threading.Event)
    distillations: list[Mapping[str, Json]] = field(default_factory=list)

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
            "seed": self.settings.seed,
            "curriculum": self.settings.curriculum,
            "distil_every": self.settings.distil_every,
            "embedder": self.embedder.fingerprint,
            "tier": self.runner.tier,
        }

    def session(self, kind: str, tasks: int | None = None) -> Loop:
        """The loop of the run in hand; else of the latest run that agrees in its configuration; else of a new one.

        The goals that a user gives to one agent make a run of their own, in a world and on an account of its own.
        """
        if self.current is not None and self.current_kind == kind:
            return self.current
        self.leave()
        journal, config = self.home.journal, self.config(kind)
        past = journal.runs()
        for run in past:
            if run.status == "running":  # this process owns the home, so whoever ran it is gone
                journal.update_run(run.id, status="stopped", note="its process ended without a word")
        known = next((r for r in reversed(past) if kind == "run" and _same(r.config, config)), None)
        run_id = known.id if known is not None else journal.start_run(config)
        if known is not None:
            journal.update_run(run_id, status="running")
        spec, book = self.world.spec, self.loop_parts.book
        self.loop_parts = replace(
            self.loop_parts,
            # What the run spent before counts against its limit again; the agent's own account is charged besides.
            ledger=Ledger(self.account.limit, spent=known.spent if known is not None else None, parent=self.account),
            curriculum=Curriculum(
                spec, book, CurriculumSettings(strategy=self.settings.curriculum), seed=self.settings.seed
            ),
        )
        settings = LoopSettings(keep_skills=self.settings.keep_skills, keep_contracts=self.settings.keep_contracts)
        loop = Loop(self.loop_parts, run_id, settings)
        resumed = loop.begin(self.settings.seed if self.fresh_life(run_id) else self.settings.seed + run_id)
        self.current, self.current_kind, self.last_run = loop, kind, run_id
        limit = dump(self.ledger.limit)
        if resumed:
            told = {"world": self.world_name, "iterations": tasks, "budget": limit}
            self.events.emit("run_resumed", loop.iteration, run=run_id, iteration=loop.iteration, **told)
        else:
            self.events.emit("run_started", None, run=run_id, iterations=tasks, budget=limit, **config)
        return loop

    @property
    def ledger(self) -> Ledger:
        """The account of the run in hand, or the agent's own before there is one."""
        return self.loop_parts.ledger

    def leave(self) -> None:
        """Put the run in hand away: a user's goals are done, the autonomous run can be continued."""
        if self.current is not None and self.current_kind == "solve":
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
        return words(goal, self.world.spec)

    async def goal(self, text: str) -> Goal:
        """The goal that the text asks for. Where the world tells the names that it knows, others are refused."""
        snapshot = self.world.observe()
        tell = getattr(self.world, "names", None)
        names = set(tell()) if callable(tell) else set()
        if not names:
            # What is not there yet may be wanted too, and an expression leaves no doubt about what is meant.
            with contextlib.suppress(GoalSyntaxError):
                wanted = Goal.parse(text)
                check_goal(wanted, self.world.spec, snapshot)
                return wanted
        known = sorted(
            {str(a) for f in (*snapshot.facts, *self.loop_parts.book.produced()) for a in f.args}
            | set(self.world.spec.tags)
            | names
        )
        return await asyncio.to_thread(
            words_to_goal,
            text,
            self.world.spec,
            snapshot,
            known=known,
            chat=self.chat,
            mind_parse=self._mind_parse(frozenset(known)),
            ledger=self.ledger,
        )

    def _mind_parse(self, known: frozenset[str]) -> Callable[[str], Goal | None] | None:
        """The adopted model as a reader of words, where there is one."""
        mind = self.minds.adopted()
        if mind is None:
            return None
        from habilis.agent.mind import words_to_goal as read

        return lambda text: read(mind, text, self.world.spec, known)

    def ask(self, kind: str, about: str) -> Answer:
        """A question about the world to the adopted model, and what the contracts say. Raises `HabilisError`."""
        from habilis.memory import prompts

        known: str
        if kind == "yields":
            fact = Fact.parse(about)
            known = ", ".join(str(c.action) for c in self.loop_parts.book.producers(fact))
            prompt = prompts.yields_prompt(fact)
        elif kind == "needs":
            action = Action.parse(about)
            known = " and ".join(str(c.atom) for c in self.loop_parts.book.contract(action).conditions)
            prompt = prompts.needs_prompt(action)
        else:
            raise NotFoundError.of("question", kind, ("needs", "yields"))
        mind = self.minds.adopted()
        return Answer(about, mind.complete([prompt])[0] if mind is not None else None, known)

    def call(self, skill: Skill, args: Mapping[str, Json]) -> Json:
        known = {p.name for p in skill.program.parameters}
        for name in args:
            if name not in known:
                raise NotFoundError.of(f"parameter of {skill.name}", name, known)
        values = {p.name: p.default for p in skill.program.parameters if not p.required} | dict(args)
        missing = sorted(known - set(values))
        if missing:
            raise InputError(f"{skill.name} needs {', '.join(missing)}")
        trajectory = self.runner.run(
            skill.program,
            self.world,
            args=values,
            skills=needed(skill.program, self.library.active()),
            tools=self.helping.caller(skill.tools, self.ledger, []),
            limits=RunLimits(),
            ledger=self.ledger,
        )
        self.loop_parts.book.learn(trajectory)
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
            self.runner.close()
            self.home.close()


def compose(
    world: World | str,
    *,
    home: Path | str | None,
    writer: str | Writer,
    model: Any,
    base_url: str | None,
    prices: tuple[float, float] | None,
    tools: list[Any],
    limit: Budget,
    approve: Approve | None,
    fresh: Callable[[], World] | None,
    settings: AgentSettings,
    events: EventStream,
    world_options: Mapping[str, Any],
) -> Assembly:
    """Put an agent together. Whatever was opened is closed again when a part cannot be made."""
    known = ("search", "chat", "cascade")
    if isinstance(writer, str) and writer not in known:
        raise NotFoundError.of("writer", writer, known)
    if writer in ("chat", "cascade") and model is None:
        raise InputError(f"the writer {writer!r} needs a model: model='openai:gpt-…' (--model), with base_url if local")
    if isinstance(world, str):
        name = world
        make = open_world(world, world_options)
        world = make()
        fresh = fresh or make
    else:
        name = world.spec.name
    fresh, given = _fresh(world, fresh, approve), world
    world = approving(given, approve)
    with contextlib.ExitStack() as stack:
        opened = Home.open(Path(home) if home is not None else default_home())
        stack.callback(opened.close)
        embedder = home_embedder(opened, settings.embedder)
        library = SkillLibrary.open(opened, embedder=embedder)
        stack.callback(library.close)
        runner = ConfinedRunner(unsafe_no_isolation=settings.unsafe_no_isolation)
        stack.callback(runner.close)
        assert runner.tier >= 0  # refuses here, before anything is spent, where programs cannot be confined
        journal = opened.journal
        ledger = Ledger(limit)
        book = ContractBook(world.spec, journal.contracts(world.spec.fingerprint))
        chat = _chat(model, base_url, prices) if model is not None else None
        judge = GoalJudge(_chat_judge(chat) if chat is not None else None)
        registry = ToolRegistry(approve=approve)
        for one in [*world_tools(given), *tools, *load_registrations(journal)]:
            if not (isinstance(one, str) and one in registry):
                registry.add_all(one)
        registry.add_entry_points()
        holder: list[Assembly] = []
        helping = Helping(
            registry,
            Catalogue(library.index, embedder),
            journal,
            events,
            lambda: holder[0].current.run_id if holder and holder[0].current else 0,
            approve,
        )
        helping.learned(library.active().values())
        minds = Minds(opened, events, world.spec)
        parts = Parts(
            world=world,
            book=book,
            library=library,
            journal=journal,
            runner=runner,
            judge=judge,
            verifier=WorldVerifier(fresh, runner, judge) if fresh is not None else None,
            writer=_writer(writer, book, runner, chat, minds),
            curriculum=Curriculum(
                world.spec, book, CurriculumSettings(strategy=settings.curriculum), seed=settings.seed
            ),
            ledger=ledger,
            events=events,
            help=helping,
        )
        assembly = Assembly(
            world=world,
            given=given,
            home=opened,
            library=library,
            runner=runner,
            account=ledger,
            events=events,
            settings=settings,
            registry=registry,
            helping=helping,
            embedder=embedder,
            loop_parts=parts,
            minds=minds,
            world_name=name,
            world_options=world_options,
            writer_name=writer if isinstance(writer, str) else writer.name,
            chat=chat,
            proposer=_proposer(chat) if writer == "chat" else None,
            fresh=fresh,
        )
        holder.append(assembly)
        stack.pop_all()
    return assembly


def _same(one: Mapping[str, Json], other: Mapping[str, Json]) -> bool:
    """Whether two configurations are of one run. How often it distils may change on the way, as its limits may."""
    return {**one, "distil_every": None} == {**other, "distil_every": None}


def home_embedder(home: Home, wanted: str) -> Embedder:
    """The embedder that the home was made with; a new home takes ``wanted`` and keeps it."""
    fixed = home.embedder
    name = wanted if fixed is None else fixed.split(":")[0] if wanted == "auto" else wanted
    embedder = RememberingEmbedder(open_embedder(name))
    if fixed is None:
        home.set_embedder(embedder.fingerprint)
    elif embedder.fingerprint != fixed:
        raise InputError(
            f"this home was made with the embedder {fixed}, not {embedder.fingerprint}; use that one, or a new home"
        )
    return embedder


def _fresh(world: World, given: Callable[[], World] | None, approve: Approve | None) -> Callable[[], World] | None:
    """How to make a world of the same rules, or None where that cannot be done."""
    capabilities = world.spec.capabilities
    if "live" in capabilities or "seed" not in capabilities:
        return None
    if given is None and isinstance(world, Cloneable) and "clone" in capabilities:
        given = world.clone
    made = given
    return None if made is None else lambda: approving(made(), approve)


def _writer(writer: str | Writer, book: ContractBook, runner: ConfinedRunner, chat: Any, minds: Minds) -> Writer:
    if not isinstance(writer, str):
        return writer
    search = SearchWriter(book, runner, prior=minds.prior)
    if writer == "search":
        return search
    from habilis.agent.writers.chat import ChatWriter

    if writer == "chat":
        return ChatWriter(chat)
    return Cascade((search, ChatWriter(chat)))


def _chat(model: Any, base_url: str | None, prices: tuple[float, float] | None) -> Any:
    from habilis.agent.chat_model import Prices, as_priced, open_chat_model

    if not isinstance(model, str):
        return as_priced(model)
    return open_chat_model(model, base_url=base_url, prices=Prices(*prices) if prices is not None else None)


def _chat_judge(chat: Any) -> Any:
    from habilis.agent.chat_judge import ChatJudge

    return ChatJudge(chat)


def _proposer(chat: Any) -> Any:
    from habilis.agent.proposer import ChatProposer

    return ChatProposer(chat)


async def autonomous(parts: Assembly, tasks: int | None, settings: AgentSettings) -> Summary:
    """The autonomous run: iterations, proposals of a chat model, distillation, and a clean end."""
    if tasks is not None and tasks < 1:
        raise InputError(f"{tasks} iterations were asked for; ask for at least 1")
    stop = parts.stop
    loop = parts.session("run", tasks)
    parts.ended, first = False, loop.iteration
    status, reason = "stopped", "asked to stop; run again to continue"
    try:
        with _signals(stop):
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
                    status, reason = "finished", "nothing is left to try"
                    break
                if episode.status == "stopped":
                    status, reason = "stopped", episode.reason
                    break
                await _distil_if_due(parts, loop, settings)
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


def _written(parts: Assembly) -> Path | None:
    """The report of the run that ended; a full disk costs the report, not the run."""
    try:
        return report(parts, None)
    except HabilisError as error:
        parts.events.emit("warning", None, message=str(error))
        return None


@contextlib.contextmanager
def _signals(stop: threading.Event) -> Iterator[None]:
    """Ctrl-C ends the run after the task in hand; a second one ends it at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def first(number: int, frame: Any) -> None:
        stop.set()
        signal.signal(signal.SIGINT, old)

    old = signal.signal(signal.SIGINT, first)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, old)


async def _wishes(parts: Assembly, loop: Loop) -> HabilisError | None:
    """A chat model proposes too; what the world cannot check is dropped. What went wrong, if anything."""
    if parts.proposer is None:
        return None
    curriculum = parts.loop_parts.curriculum
    snapshot = parts.world.observe()
    try:
        found = await parts.proposer.propose(
            parts.world.spec,
            snapshot.text,
            sorted(curriculum.solved),
            sorted(curriculum.failures),
            _PROPOSALS,
            parts.ledger,
        )
    except BudgetExceeded:
        raise
    except HabilisError as error:
        parts.events.emit("warning", loop.iteration, message=f"no proposals from the model: {error}")
        return error
    curriculum.wish(found.goals)
    return None


async def _distil_if_due(parts: Assembly, loop: Loop, settings: AgentSettings) -> None:
    from habilis._distil import distil_if_due

    await distil_if_due(parts, loop, settings)


def summary(parts: Assembly, loop: Loop, status: str, reason: str) -> Summary:
    from habilis.run import Summary

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
    )


def report(parts: Assembly, path: Path | None) -> Path:
    """The HTML report of this agent's latest run, else of the home's."""
    from habilis._reporting import write

    if parts.last_run is None:
        return write(parts.home, path)
    return write(parts.home, path, run_id=parts.last_run, spent=parts.ledger.spent, limit=parts.ledger.limit)


__all__ = ["Assembly", "autonomous", "compose", "home_embedder", "report", "summary"]
