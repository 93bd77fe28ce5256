"""The only place that composes everything: an `Agent` from a world, a home, a writer, tools and a budget."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from habilis._prices import UserPrices
from habilis._settings import AgentSettings, Summary
from habilis.core import (
    Approve,
    Budget,
    Cost,
    Episode,
    Event,
    EventStream,
    Goal,
    HabilisError,
    InputError,
    Json,
    Ledger,
    NotFoundError,
    Reflex,
    Skill,
    Task,
    World,
    Writer,
    as_budget,
)

if TYPE_CHECKING:
    from habilis._assembly import Answer, Assembly
    from habilis.tools import Added


class Agent:
    """An agent in a world.

    Args:
        world: a `World`, or the name of one ("craft", or an entry point of the group ``habilis.worlds``).
        home: the folder it lives in; default ``HABILIS_HOME`` or ``~/.habilis``.
        writer: "search" (no language model), "chat", "cascade" (search and chat, whichever is likely to be worth its
            price first; search as long as nothing is known), or any `Writer`.
        model: for the chat writer: "provider:name", or a LangChain chat model. A list of them for the cascade to choose
            from, cheapest first; what else needs a model uses the first.
        prices: what it costs where no list knows, or to count otherwise: (read, written) in USD per million tokens; a
            `PriceList` or the path of one (docs/budget.md); "assume", to count dearly what no list knows.
        tools: functions marked `@tool`, LangChain tools, "module:function".
        know: files and folders of documents, for writers that read; they are kept in the home (see `know`).
        budget: `Budget`, mapping, or text such as "usd=1,seconds=600"; default: no money, the rest only counted.
        approve: asked before a tool or an action of the world with side effects, by name and arguments. Without it such
            tools are refused, and such actions are done.
        reflexes: programs that run beside others, made by `@reflex`, or files and modules of them; at most four, of 20
            lines each. They are at work wherever a program runs, in the fresh worlds of verification too.
        fresh: makes a new world of the same rules for verification; found by itself for worlds that clone.

    Raises `HomeLockedError` when another process owns the home, `NotFoundError` for an unknown world or writer. Close
    it, or use it as a context manager. `InputError` names an argument of a wrong type.
    """

    def __init__(
        self,
        world: World | str = "craft",
        *,
        home: Path | str | None = None,
        writer: str | Writer = "search",
        model: Any = None,
        base_url: str | None = None,
        prices: UserPrices = None,
        tools: Iterable[Any] = (),
        know: Iterable[Path | str] = (),
        budget: Budget | Mapping[str, float | None] | str | None = None,
        approve: Approve | None = None,
        reflexes: Iterable[Reflex | str] = (),
        fresh: Callable[[], World] | None = None,
        settings: AgentSettings | None = None,
        world_options: Mapping[str, Any] | None = None,
    ) -> None:
        from habilis._compose import compose

        if settings is not None and not isinstance(settings, AgentSettings):
            raise InputError(f"settings= is of type {type(settings).__name__}; give AgentSettings(…)")
        if isinstance(tools, (str, Mapping)) or not isinstance(tools, Iterable):
            raise InputError(f"tools= is of type {type(tools).__name__}; give a list of tools")
        if isinstance(know, (str, Path, Mapping)) or not isinstance(know, Iterable):
            raise InputError(f"know= is of type {type(know).__name__}; give a list of paths")
        if isinstance(reflexes, (str, Reflex)) or not isinstance(reflexes, Iterable):
            raise InputError(
                f"reflexes= is of type {type(reflexes).__name__}; give a list of reflexes or of their files"
            )
        if world_options is not None and not isinstance(world_options, Mapping):
            raise InputError(f"world_options= is of type {type(world_options).__name__}; give a mapping")
        self.settings = settings or AgentSettings()
        if self.settings.task_budget is not None:
            self.settings = replace(self.settings, task_budget=as_budget(self.settings.task_budget))
        self.events = EventStream()
        limit = Budget() if budget is None else as_budget(budget)
        self._parts = compose(
            world,
            home=home,
            writer=writer,
            model=model,
            base_url=base_url,
            prices=prices,
            tools=list(tools),
            know=list(know),
            limit=limit,
            approve=approve,
            reflexes=list(reflexes),
            fresh=fresh,
            settings=self.settings,
            events=self.events,
            world_options=dict(world_options or {}),
        )

    # ------------------------------------------------------------------ work

    async def solve(self, goal: Goal | str) -> Episode:
        """Work on one goal, given as a goal, as its text, or in plain words; returns the episode.

        If an earlier agent of this home, made alike, was stopped or killed at the same goal, its work goes on: what its
        tools answered is not asked for again, and what it spent counts.

        Words become a goal by the world's own phrases, by the adopted local model, or by the chat model; raises
        `InputError` when none of them understands. In the main thread Ctrl-C stops it before the next program is
        written or run; a second one says what is waited for, a third one raises `KeyboardInterrupt`.
        """
        from habilis._interrupts import interruptible

        parts = self._open()
        parts.stop.clear()
        with interruptible(parts.stop, parts.home.journal):
            wanted = await self._goal(goal)
            loop = parts.session("solve", goal=wanted)
            text = goal if isinstance(goal, str) else parts.words(wanted)
            spec, seed = parts.world.spec, parts.seed_for(loop.iteration)
            task = Task(wanted, spec.name, seed, text, origin="user", fingerprint=spec.fingerprint)
            told = {"text": text, "goal": str(wanted), "kind": "achieve", "why": "asked for"}
            self.events.emit("task_proposed", loop.iteration, **told)
            return await loop.work(task)

    def solve_now(self, goal: Goal | str) -> Episode:
        """`solve`, for code that is not async."""
        return asyncio.run(self.solve(goal))

    async def run(self, tasks: int | None = None) -> Summary:
        """Let the curriculum propose and work, up to this many tasks in all (None: until a limit).

        The latest run of this home with the same world, writer and settings goes on where it stopped or finished;
        where it has that many tasks already, nothing is done. In the main thread Ctrl-C ends it after the task in
        hand; a second one says what is waited for, a third one raises `KeyboardInterrupt`. Raises `InputError` for
        less than one task, `ModelError` when a chat model fails.
        """
        from habilis._autonomous import autonomous

        parts = self._open()
        parts.stop.clear()
        return await autonomous(parts, tasks)

    async def explore(
        self, episodes: int = 100, *, steps: int = 30, policy: str = "random", practice: bool = False
    ) -> Summary:
        """Gather experience in fresh worlds, up to this many episodes of at most ``steps`` actions in all.

        ``policy``: "random" (draw from what is worth trying); "mcts" (tree search towards goals found there, on the
        belief about the world; on clones of it where ``practice`` is true, which the episodes are labelled with); or
        "regression" (towards the same goals and, in a world without chores, those of skills, by programs lifted from
        what is known of the rules). The same seed and knowledge give the same experience; the latest exploration with
        the same settings goes on where it stopped.
        Raises `InputError` where the world cannot be explored so, or for settings out of range.
        """
        from habilis._exploring import explore
        from habilis.agent.practice.exploring import ExploreSettings

        parts = self._open()
        parts.stop.clear()
        return await explore(parts, episodes, ExploreSettings(steps, policy, practice, self.settings.seed))

    def explore_now(
        self, episodes: int = 100, *, steps: int = 30, policy: str = "random", practice: bool = False
    ) -> Summary:
        """`explore`, for code that is not async."""
        return asyncio.run(self.explore(episodes, steps=steps, policy=policy, practice=practice))

    def run_now(self, tasks: int | None = None) -> Summary:
        """`run`, for code that is not async."""
        return asyncio.run(self.run(tasks))

    async def stream(self, tasks: int | None = None) -> AsyncIterator[Event]:
        """`run`, as a stream of its events."""
        queue: asyncio.Queue[Event | None] = asyncio.Queue()
        here = asyncio.get_running_loop()

        def put(event: Event | None) -> None:
            here.call_soon_threadsafe(queue.put_nowait, event)

        unsubscribe = self.events.subscribe(put)
        work = asyncio.create_task(self.run(tasks))
        work.add_done_callback(lambda _: put(None))
        try:
            while (event := await queue.get()) is not None:
                yield event
            await work
        finally:
            unsubscribe()
            if not work.done():
                self.stop()
                await work

    def stop(self) -> None:
        """End the run after the task in hand, or `solve` before its next program; both can be continued."""
        self._parts.stop.set()

    # ------------------------------------------------------------------ what it knows

    @property
    def skills(self) -> Mapping[str, BoundSkill]:
        """The active skills by name, each callable in this agent's world."""
        return {name: BoundSkill(skill, self) for name, skill in sorted(self._parts.library.active().items())}

    def skill(self, name: str | None) -> BoundSkill:
        """One active skill. Raises `NotFoundError`."""
        known = self.skills
        if name is not None and not isinstance(name, str):
            raise InputError(f"a skill is asked for by its name, a text, not by {name!r}")
        if not name:
            raise InputError("no skill is named: an episode keeps none where no program was proven; see Episode.reason")
        if name not in known:
            raise NotFoundError.of("skill", name, known)
        return known[name]

    @property
    def world(self) -> World:
        return self._parts.given

    @property
    def spent(self) -> Cost:
        """What was spent since this agent was made. A continued run's earlier spending is in its `Summary`."""
        return self._parts.account.spent

    def ask(self, kind: str, about: str) -> Answer:
        """A question about the world: ``ask("needs", 'craft("stick")')`` or ``ask("yields", 'count("stick")')``; of
        actions, ``ask("activity", 'open("fridge"); grab("milk")')``; of somebody else, ``ask("person", 'anna:
        open("fridge")')`` what they are about, and ``ask("help", …)`` what could be done for them.

        The answer holds what the adopted local model says and what the contracts say, learned ones and declared ones.
        """
        if not isinstance(kind, str) or not isinstance(about, str):
            raise InputError(f"ask takes two texts, not {kind!r} and {about!r}: ask('needs', 'craft(\"stick\")')")
        return self._open().ask(kind, about)

    def know(self, path: Path | str, *, cost: Cost | None = None) -> Added:
        """Take a file, or a folder of text, Markdown and PDF, into the home's documents; writers that read are shown
        what fits a task. ``cost``: what each costs beyond its tokens, paid when it is first shown in a run.

        Raises `NotFoundError`, `InputError` where nothing of it can be read, `MissingExtraError` for a PDF without
        pypdf; where only some cannot be read it warns.
        """
        return self._open().know(path, cost)

    def report(self, path: Path | None = None) -> Path:
        """Write the HTML report of this agent's latest run, else of the home's; returns its path."""
        from habilis._autonomous import report

        if path is not None and not isinstance(path, (str, Path)):
            raise InputError(f"a report is written to the path of a file, not to {path!r}")
        return report(self._open(), Path(path) if path is not None else None)

    def call(self, skill: Skill, args: Mapping[str, Json]) -> Json:
        """Run a skill in this agent's world, confined, and return what it returned. Raises `HabilisError`."""
        return self._open().call(skill, args)

    def close(self) -> None:
        """Stop the worker and give the home back. What acts or needs the home raises `InputError` from then on."""
        self._parts.close()

    def _open(self) -> Assembly:
        if self._parts.closed:
            raise InputError("the agent is closed; make a new one: Agent(..., home=...)")
        return self._parts

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    async def _goal(self, goal: Goal | str) -> Goal:
        if isinstance(goal, Goal):
            return goal
        if not isinstance(goal, str):
            raise InputError(f"a goal is a Goal or a text, not {goal!r}; say what should be true")
        if not goal.strip():
            raise InputError("the goal is empty; say what should be true, in words or as a goal expression")
        return await self._parts.goal(goal)


@dataclass(frozen=True)
class BoundSkill:
    """A skill with the agent that runs it: call it as a function, or hand it on as a LangChain tool."""

    skill: Skill
    agent: Agent = field(repr=False)

    @property
    def name(self) -> str:
        return self.skill.name

    @property
    def source(self) -> str:
        return self.skill.program.source

    def __call__(self, **args: Json) -> Json:
        """Run it in the agent's world, confined. Raises `HabilisError` with the program's line when it fails."""
        return self.agent.call(self.skill, args)

    def as_tool(self) -> Any:
        """A LangChain ``StructuredTool`` with the skill's parameters."""
        from langchain_core.tools import StructuredTool
        from pydantic import create_model

        kinds: dict[str, Any] = {"int": int, "float": float, "bool": bool, "str": str}
        fields: dict[str, Any] = {
            p.name: (kinds.get(p.type, Any), p.default if not p.required else ...)
            for p in self.skill.program.parameters
        }
        schema = create_model(f"{self.name}_args", **fields)

        def run(**args: Any) -> Any:
            answer = self(**args)
            return f"done: {self.skill.goal_for(args)}" if answer is None else answer

        doc = self.skill.doc or self.skill.goal_template
        return StructuredTool.from_function(run, name=self.name, description=doc, args_schema=schema)


__all__ = ["Agent", "AgentSettings", "BoundSkill", "Episode", "HabilisError", "Ledger", "Summary"]
