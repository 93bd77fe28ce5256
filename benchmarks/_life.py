"""One life of the agent in the craft world, composed directly: the loop with its parts, an index in memory, a temporary
home. Beside it the lives that bound it, and solving one goal in a fresh world with what was learned.

What was ever held is read from the host's record of what the actions changed.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from habilis.agent.curriculum import Curriculum, CurriculumSettings
from habilis.agent.loop import Loop, LoopSettings, Parts, describe
from habilis.agent.planning.calls import needed
from habilis.agent.planning.regression import Regression
from habilis.agent.words import goal_to_words
from habilis.agent.writers.search import SearchSettings, SearchWriter
from habilis.core import (
    Action,
    Atom,
    Budget,
    BudgetExceeded,
    Condition,
    Context,
    Contract,
    Effect,
    Episode,
    EventStream,
    Fact,
    Feedback,
    Goal,
    Ledger,
    Outcome,
    RunLimits,
    Skill,
    Task,
    load,
)
from habilis.memory.contracts import ContractBook
from habilis.memory.embedding import HashEmbedder
from habilis.memory.home import Home
from habilis.memory.index import MemoryIndex
from habilis.memory.library import LibrarySettings, SkillLibrary
from habilis.worlds.craft import CraftWorld, item_class, rules
from habilis.worlds.runner import ConfinedRunner
from habilis.worlds.verify import GoalJudge, WorldVerifier

LADDER = (
    *("oak_log", "#planks", "stick", "crafting_table", "wooden_pickaxe", "cobblestone", "stone_pickaxe", "furnace"),
    *("coal", "raw_iron", "iron_ingot", "iron_pickaxe", "diamond", "diamond_pickaxe"),
)
"""What anyone who knows the game would make first, in order."""

STATIONS = ("crafting_table", "furnace")
_ROUNDS = 24  # drafts a cold goal may take, as many as the loop allows a task


@dataclass
class Life:
    """How a life went. ``curve``: classes of items ever held after each ten iterations."""

    items: set[str] = field(default_factory=set)
    curve: list[int] = field(default_factory=list)
    iterations: int = 0
    solved: int = 0
    world_steps: int = 0
    life_steps: int = 0
    search_steps: int = 0
    skills: dict[str, Skill] = field(default_factory=dict)
    contracts: list[Contract] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)

    @property
    def classes(self) -> int:
        """Kinds of items ever held, wood and colour variants merged."""
        return len({item_class(item) for item in self.items})

    def record(self) -> dict[str, Any]:
        return {
            "classes": self.classes,
            "items": sorted(self.items),
            "curve": self.curve,
            "iterations": self.iterations,
            "solved": self.solved,
            "skills": len(self.skills),
            "calling": sum(bool(s.program.calls) for s in self.skills.values()),
            "world_steps": self.world_steps,
            "life_steps": self.life_steps,
            "search_steps": self.search_steps,
            "failed": self.failed,
        }

    def _take(self, outcome: Outcome) -> None:
        self.life_steps += outcome.steps
        self.items.update(
            str(c.fact.args[0])
            for c in outcome.changes
            if c.fact.predicate == "count" and isinstance(c.after, int) and c.after > 0
        )

    def _episode(self, episode: Episode) -> None:
        for attempt in episode.attempts:
            for step in attempt.trajectory.steps:
                self._take(step.outcome)
        self.iterations += 1
        self.solved += episode.solved
        if not episode.solved or (episode.task.kind == "achieve" and episode.skill is None and episode.reason):
            self.failed[episode.task.text] = episode.reason
        if self.iterations % 10 == 0:
            self.curve.append(self.classes)


@dataclass(frozen=True)
class Setting:
    """What a life differs in from the usual one. ``told``: every contract is known at the start. ``script``: these
    goals are worked on in turn instead of being chosen, the unsolved again after the others. ``until``: the life ends
    when this item is held. ``library``: what the library does by itself."""

    options: Mapping[str, Any] = field(default_factory=dict)
    strategy: str = "demand"
    exclude: frozenset[Fact] = frozenset()
    keep_skills: bool = True
    told: bool = False
    script: tuple[Goal, ...] = ()
    search_steps: int | None = None
    until: str | None = None
    library: LibrarySettings = field(default_factory=LibrarySettings)


@contextlib.contextmanager
def composed(
    setting: Setting, seed: int, folder: Path | None = None, *, resume: bool = False
) -> Iterator[tuple[Loop, Parts]]:
    """A loop at its beginning, in a home that is removed afterwards. ``folder``: of a home that stays, with what was
    learned there before; ``resume``: its last run goes on."""
    options = dict(setting.options)
    with contextlib.ExitStack() as stack:
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="habilis-growth-")))
        home = Home.open(folder)
        stack.callback(home.close)
        embedder = HashEmbedder()
        runner = stack.enter_context(ConfinedRunner())
        world, judge = CraftWorld(**options), GoalJudge()
        library = SkillLibrary.open(
            home,
            embedder=embedder,
            index=MemoryIndex(embedder.dim),
            fingerprint=world.spec.fingerprint,
            verifier=WorldVerifier(lambda: CraftWorld(**options), runner, judge),
            settings=setting.library,
            passing=world.spec.passing,
        )
        stack.callback(library.close)
        known = home.journal.contracts(world.spec.fingerprint)
        book = told(world) if setting.told else ContractBook(world.spec, known)
        chooses = CurriculumSettings(strategy=setting.strategy, exclude=setting.exclude)
        parts = Parts(
            world=world,
            book=book,
            library=library,
            journal=home.journal,
            runner=runner,
            judge=judge,
            writer=SearchWriter(book, runner),
            curriculum=Curriculum(world.spec, book, chooses, seed=seed),
            ledger=Ledger(Budget(usd=None, search_steps=setting.search_steps)),
            events=EventStream(),
        )
        run = home.journal.runs()[-1].id if resume else home.journal.start_run({})
        loop = Loop(parts, run, LoopSettings(keep_skills=setting.keep_skills))
        loop.begin(seed)
        yield loop, parts


Watch = Callable[[Episode, Mapping[str, Skill]], None]


def live(
    setting: Setting,
    seed: int,
    iterations: int,
    *,
    folder: Path | None = None,
    resume: bool = False,
    watch: Watch | None = None,
) -> Life:
    """Live through this many iterations, or until nothing is left to try or to spend. ``folder``, ``resume``: as of
    `composed`. ``watch``: is told of each episode, with the skills that were active before it."""
    return asyncio.run(_live(setting, seed, iterations, folder, resume, watch))


async def _live(
    setting: Setting, seed: int, iterations: int, folder: Path | None, resume: bool, watch: Watch | None
) -> Life:
    life = Life()
    with composed(setting, seed, folder, resume=resume) as (loop, parts):
        queue = list(setting.script)
        with contextlib.suppress(BudgetExceeded):
            while life.iterations < iterations and (setting.until is None or setting.until not in life.items):
                before = parts.library.active()
                if setting.script:
                    if not queue:
                        break
                    goal = queue.pop(0)
                    episode: Episode | None = await loop.work(_task(parts.world.spec, goal, seed + life.iterations))
                    if episode is not None and not episode.solved:
                        queue.append(goal)
                else:
                    episode = await loop.step()
                if episode is None:
                    break
                life._episode(episode)
                if watch is not None:
                    watch(episode, before)
                if episode.status == "stopped":
                    break
        life.world_steps = parts.ledger.spent.world_steps
        life.search_steps = parts.ledger.spent.search_steps
        life.skills = parts.library.active()
        life.contracts = list(parts.book)
    return life


def live_at_random(options: Mapping[str, Any], seed: int, world_steps: int) -> Life:
    """Any affordance at random for this many world steps."""
    world, rng, life = CraftWorld(**dict(options)), random.Random(f"at random {seed}"), Life()
    world.reset(seed)
    while life.life_steps < world_steps:
        affordances = world.affordances()
        if not affordances:
            break
        life._take(world.act(rng.choice(affordances)))
    life.world_steps = life.life_steps
    return life


def told(world: CraftWorld) -> ContractBook:
    """A book that knows every way to get every item, from the world's recipe book, and what placing a station does."""
    book = ContractBook(world.spec)
    for station in STATIONS:
        book.declare([placing(world, station)], source="told")
    (recipe_book,) = (t.function for t in world.tools() if t.name == "recipe_book")
    for item in sorted(rules().items):
        book.declare((load(Contract, c) for c in recipe_book(item)), source="told")
    return book


def placing(world: CraftWorld, station: str) -> Contract:
    needs = Condition(Atom(Fact("count", (station,)), ">=", 1), consumed=1, known=True)
    does = Effect(Fact("near", (station,)), value=True)
    return Contract(Action("place", (station,)), world.spec.fingerprint, (needs,), (does,), source="told")


def policy() -> tuple[Goal, ...]:
    """The fixed list of a hand-written policy: the ladder of tools, then one item of each further class, the cheapest
    first by the true recipes."""
    world = CraftWorld()
    book = told(world)
    regression = Regression(book, world.spec, max_nodes=1_000_000)
    cheapest: dict[str, tuple[float, str]] = {}
    for item in sorted(rules().items):
        way = regression.solve(Fact("count", (item,)))
        if way is not None:
            cost = (way.cost, item)
            cheapest[item_class(item)] = min(cost, cheapest.get(item_class(item), cost))
    rest = [item for _, item in sorted(cheapest.values()) if item not in LADDER and item_class(item) != "planks"]
    return tuple(have(item) for item in (*LADDER, *rest))


@dataclass(frozen=True)
class Solved:
    """How one cold goal went."""

    ok: bool
    world_steps: int
    search_steps: int
    reason: str


def solve_cold(
    goal: Goal,
    seed: int,
    *,
    contracts: Iterable[Contract],
    skills: Mapping[str, Skill],
    search_steps: int,
    runner: ConfinedRunner,
) -> Solved:
    """Solve one goal in a fresh world from an empty inventory. Nothing learned on the way outlives it.

    Programs run at once, without rehearsal: a rehearsed step would be a search step, and there are few.
    """
    return asyncio.run(_solve_cold(goal, seed, contracts, skills, search_steps, runner))


async def _solve_cold(
    goal: Goal,
    seed: int,
    contracts: Iterable[Contract],
    skills: Mapping[str, Skill],
    search_steps: int,
    runner: ConfinedRunner,
) -> Solved:
    world, judge = CraftWorld(), GoalJudge()
    world.reset(seed)
    book = ContractBook(world.spec, contracts)
    book.declare(world.contracts())
    writer = SearchWriter(book, runner, SearchSettings(rehearse=False))
    ledger = Ledger(Budget(usd=None, search_steps=search_steps))
    task = _task(world.spec, goal, seed)
    context = Context(
        world.spec,
        world.observe(),
        skills,
        simulator=world.simulator(),
        affordances=tuple(world.affordances()),
    )
    ok, reason = False, "no program was found"
    drafts = writer.drafts(task, context, ledger)
    feedback: Feedback | None = None
    try:
        for _ in range(_ROUNDS):
            draft = await (anext(drafts) if feedback is None else drafts.asend(feedback))
            trajectory = runner.run(
                draft.program,
                world,
                args=draft.args,
                skills=needed(draft.program, skills),
                limits=RunLimits(),
                seed=seed,
                ledger=ledger,
            )
            book.learn(trajectory)
            book.declare(world.contracts())
            verdict = judge.judge(goal, trajectory, ledger)
            if verdict.ok:
                ok, reason = True, ""
                break
            reason = describe(trajectory, verdict)
            feedback = Feedback(trajectory, verdict, False, draft.args)
    except StopAsyncIteration:
        pass
    except BudgetExceeded as error:
        reason = f"{error} (before: {reason})"
    finally:
        await drafts.aclose()
    spent = ledger.spent
    return Solved(ok, spent.world_steps, spent.search_steps, reason)


def have(item: str) -> Goal:
    """The goal of holding one of an item, or of any member of a tag."""
    return Goal((Atom(Fact("count", (item,)), ">=", 1),))


def _task(spec: Any, goal: Goal, seed: int) -> Task:
    return Task(goal, spec.name, seed, goal_to_words(goal, spec), origin="user", fingerprint=spec.fingerprint)
