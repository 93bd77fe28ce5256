"""Experience that nobody asked for: episodes in fresh worlds, at random or towards goals found there.

Each begins in a world of its own, whose seed follows from the exploration's seed and the episode's number: the same
seed gives the same experience. They are journaled as any episode is, in one transaction with what was spent and
learned, and marked as exploration (``task.origin``); an episode that a limit or a kill cuts short is made again.

- *random*: an action is drawn from what is worth trying, first its name and then what it is done to, so that what can
  be done to few things is done as often as what can be done to many.
- *mcts*: a goal of the world's, or a chore, drawn by chance, reached by tree search (`habilis.agent.planning.tree`) on
  the belief about the world; on clones of the world itself where ``practice`` allows it, and then labelled so.
- *experiments*: what actions need and do is found out on clones of a practice world, for worlds that give no reasons
  (`habilis.agent.practice.experimenting`). Its steps are search steps.
- *regression*: the same goals, by programs that are lifted from what is known of the rules
  (`habilis.agent.planning.lifting`) and run confined as any program: faster by far, where the rules are told or were
  learned. A world without chores has few goals of its own; there half of them are what skills of the library were
  proven for, from nothing and without calling them.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from habilis.agent.loop import Loop
from habilis.agent.planning.lifting import lift
from habilis.agent.planning.meter import SearchMeter
from habilis.agent.planning.regression import Regression
from habilis.agent.planning.tree import TreeSearch
from habilis.agent.practice.experimenting import Experiments
from habilis.agent.practice.inducing import Inducer
from habilis.agent.words import goal_to_words
from habilis.core import (
    Action,
    Affording,
    Attempt,
    Cloneable,
    Cost,
    Declaring,
    Episode,
    Goal,
    GoalGiving,
    GoalSyntaxError,
    HavingChores,
    Imaginable,
    InputError,
    Ledger,
    Program,
    Snapshot,
    Step,
    Task,
    Trajectory,
    World,
    WorldError,
    dump,
)
from habilis.worlds.reflexive import bare

__all__ = ["POLICIES", "ExploreSettings", "Explorer", "world_seed"]

POLICIES = ("random", "mcts", "regression", "experiments")
_PLANS = 4  # plans towards one goal: the belief may be wrong about where things are
_BARE = 3  # of so many episodes of experiments one is without reflexes
_CHORES = 0.5  # share of goals that are chores, where the world has some
_WORLDS = 20  # looked at for one that has a goal which is not met, at most
_PROVEN = 0.5  # share of goals that are a skill's, in a world without chores


@dataclass(frozen=True)
class ExploreSettings:
    """``steps``: actions in one episode, at most (thirty are enough for things to be moved about; programs have the
    limits of any program; experiments take thousands). ``policy``: "random", "mcts", "regression" or "experiments".
    ``practice``: tree search ("mcts") on true clones; experiments always are. ``seed``: of everything random."""

    steps: int = 30
    policy: str = "random"
    practice: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        """Raises `InputError`."""
        if self.policy not in POLICIES:
            raise InputError(f"there is no policy {self.policy!r}; explore by one of {', '.join(POLICIES)}")
        if self.practice and self.policy not in ("mcts", "experiments"):
            raise InputError(
                f"practice is for tree search, not for {self.policy!r}; add --policy mcts, or leave it out"
            )
        if isinstance(self.steps, bool) or not isinstance(self.steps, int) or not 1 <= self.steps <= 10_000:
            raise InputError(f"an episode takes 1 to 10,000 steps, not {self.steps!r}; change steps (--steps)")


def world_seed(seed: int, index: int, again: int = 0) -> int:
    """The seed of the world that this episode of an exploration begins in; ``again``: how many before had no goal."""
    return random.Random(f"explore:{seed}:{index}" + (f":{again}" if again else "")).getrandbits(31)


class Explorer:
    """Explores within the run of a loop, which gives it the journal, the account and the contracts.

    ``fresh`` makes a world of the same rules. Raises `InputError` where the world lacks what the policy takes.
    """

    def __init__(self, loop: Loop, fresh: Callable[[], World] | None, settings: ExploreSettings) -> None:
        self.loop, self.settings = loop, settings
        spec = loop.parts.world.spec
        if fresh is None:
            raise InputError(
                f"{spec.name!r} cannot be made afresh, so nothing can be explored in it; give the agent fresh="
            )
        self._fresh = fresh
        imagined = "clone" if settings.practice else "simulator"
        wanted = {"random": ("affordances",), "mcts": ("affordances", imagined), "regression": ()}
        wanted["experiments"] = ("affordances", "clone")
        lacking = [c for c in wanted[settings.policy] if c not in spec.capabilities]
        self._inducer = Inducer(spec)
        self._works: dict[Action, Cloneable] = {}
        self._proven = (
            self._of_skills() if settings.policy == "regression" and "chores" not in spec.capabilities else ()
        )
        given = {"goals", "chores"} & spec.capabilities
        if settings.policy in ("mcts", "regression") and not given and not self._proven:
            lacking.append("goals")
        if lacking:
            raise InputError(
                f"the policy {settings.policy!r} needs a world with {', '.join(lacking)}, which {spec.name!r} has not; "
                "announce it in spec.capabilities, or use another policy"
            )

    def episode(self) -> Episode:
        """One more, recorded: as failed, where the world raised on the way. Raises `BudgetExceeded` before a step that
        cannot be paid; nothing is recorded then but what was spent."""
        p, index = self.loop.parts, self.loop.iteration
        world, task, rng = self._begun(index)
        ledger = p.ledger.child()
        p.events.emit(
            "task_proposed",
            index,
            text=task.text,
            goal=str(task.goal),
            kind=task.kind,
            why="exploration of a new world",
        )
        life = _Life(world, ledger, self.settings.steps)
        attempts, wrong = tuple[Attempt, ...](), ""
        try:
            if self.settings.policy == "experiments":
                attempts = self._experiment(world, ledger, rng)
            elif self.settings.policy == "regression":
                attempts = self._programs(task, world, ledger)
            elif task.goal.atoms:
                self._towards(task.goal, life, ledger, rng)
            else:
                self._at_random(life, rng)
            if self.settings.policy not in ("experiments", "regression"):
                attempts = (self._attempt(task, life),)
        except WorldError as error:
            wrong = f"WorldError: {error}"
        episode = self._told(index, task, attempts, ledger.spent)
        if wrong:
            episode = replace(episode, status="failed", reason=wrong)
        self.loop.keep_pictures(episode)
        with p.journal.transaction():
            p.journal.append_episode(self.loop.run_id, episode)
            self.loop.iteration += 1
            self.loop.store()
        p.events.emit(
            "task_ended",
            index,
            text=task.text,
            status=episode.status,
            reason=episode.reason,
            skill=None,
            cost=episode.cost.nonzero(),
        )
        p.events.emit("budget", index, spent=dump(p.ledger.spent), limit=dump(p.ledger.limit))
        return episode

    # ------------------------------------------------------------------ inside

    def _begun(self, index: int) -> tuple[World, Task, random.Random]:
        """A fresh world and what is to be done there; another one where all goals are met in it already. Raises
        `InputError` where so many have none."""
        for again in range(_WORLDS):
            seed = world_seed(self.settings.seed, index, again)
            rng = random.Random(f"exploring:{seed}")
            world = self._fresh()
            world.reset(seed)
            task = self._task(world, seed, rng)
            if task is not None:
                return world, task, rng
        raise InputError(
            f"in {_WORLDS} worlds of {world.spec.name!r} there was no goal that is not met; use --policy random"
        )

    def _task(self, world: World, seed: int, rng: random.Random) -> Task | None:
        spec = world.spec
        told = {"origin": "exploration", "fingerprint": spec.fingerprint}
        if self.settings.policy in ("random", "experiments"):
            what = "at random" if self.settings.policy == "random" else "by experiments"
            return Task(Goal(), spec.name, seed, f"{what} for {self.settings.steps} steps", "explore", **told)
        now = world.observe()
        chores = world.chores() if isinstance(world, HavingChores) and "chores" in spec.capabilities else {}
        named = [(words, goal) for words, goal in sorted(chores.items()) if goal.unmet(now)]
        goals = world.goals() if isinstance(world, GoalGiving) and "goals" in spec.capabilities else ()
        plain = [goal for goal in goals if goal.atoms and goal.unmet(now)]
        proven = [goal for goal in self._proven if goal.unmet(now)]
        if named and (not plain or rng.random() < _CHORES):
            words, goal = rng.choice(named)
        elif proven and (not plain or rng.random() < _PROVEN):
            goal = rng.choice(proven)
            words = goal_to_words(goal, spec)
        elif plain:
            goal = rng.choice(plain)
            words = goal_to_words(goal, spec)
        else:
            return None
        return Task(goal, spec.name, seed, words, **told)

    def _of_skills(self) -> tuple[Goal, ...]:
        """What active skills bring about with their defaults, in each case that was proven; of those that have some."""
        found = set[Goal]()
        for skill in self.loop.parts.library.active().values():
            with suppress(GoalSyntaxError):
                found |= {goal for goal in skill.goals() if goal.atoms}
        return tuple(sorted(found, key=str))

    def _at_random(self, life: _Life, rng: random.Random) -> None:
        assert isinstance(life.world, Affording)
        while life.left:
            by_name: dict[str, list[Action]] = {}
            for action in sorted(life.world.affordances(), key=str):
                by_name.setdefault(action.name, []).append(action)
            if not by_name:
                return
            life.act(rng.choice(by_name[rng.choice(sorted(by_name))]))

    def _experiment(self, world: World, ledger: Ledger, rng: random.Random) -> tuple[Attempt, ...]:
        """Experiments on clones of this practice world; what came of them is in the contracts."""
        if self.loop.iteration % _BARE == _BARE - 1:  # what a reflex always does first would never be tried
            world = bare(world)
        assert isinstance(world, Cloneable)
        with SearchMeter(ledger) as meter:
            Experiments(self.loop.parts.book, self._inducer, rng, self._works).run(world, meter, self.settings.steps)
        return ()

    def _towards(self, goal: Goal, life: _Life, ledger: Ledger, rng: random.Random) -> None:
        """Plan, act, and plan anew from what was seen, where the belief was wrong."""
        search = TreeSearch(book=self.loop.parts.book if not self.settings.practice else None)
        for _ in range(_PLANS):
            if not life.left or not goal.unmet(life.world.observe()):
                return
            with SearchMeter(ledger) as meter:
                plan = search.plan(goal, self._imagined(life.world, rng), meter, rng.getrandbits(31))
            for action in plan or ():
                if not life.left or not life.act(action):
                    break

    def _imagined(self, world: World, rng: random.Random) -> Cloneable:
        if self.settings.practice:
            assert isinstance(world, Cloneable)
            return world.clone()
        assert isinstance(world, Imaginable)
        return world.simulator().imagine(rng.getrandbits(31))

    def _programs(self, task: Task, world: World, ledger: Ledger) -> tuple[Attempt, ...]:
        """Programs lifted from the contracts, each from what the one before has taught."""
        p, attempts = self.loop.parts, list[Attempt]()
        for _ in range(_PLANS):
            if isinstance(world, Declaring) and "contracts" in world.spec.capabilities:
                p.book.declare(world.contracts())
            afforded = sorted(world.affordances(), key=str) if isinstance(world, Affording) else ()
            with SearchMeter(ledger) as meter:
                regression = Regression(p.book, world.spec, {}, afforded, meter, facts=world.observe().facts)
                draft = lift(regression, task.goal, writer=self.settings.policy)
            if draft is None:
                break
            limits, known = self.loop.settings.limits, p.book.version
            trajectory = p.runner.run(
                draft.program, world, args=draft.args, limits=limits, seed=task.seed, ledger=ledger
            )
            p.book.learn(trajectory)
            ok = not task.goal.unmet(trajectory.after)
            attempts.append(Attempt(draft.program, trajectory, ok, "", dict(draft.args)))
            if ok or p.book.version == known:
                break
        return tuple(attempts)

    def _attempt(self, task: Task, life: _Life) -> Attempt:
        trajectory = life.trajectory()
        ok = bool(task.goal.atoms) and not task.goal.unmet(trajectory.after)
        self.loop.parts.book.learn(trajectory)
        return Attempt(Program("explored", _straight(trajectory.steps), writer=self._writer), trajectory, ok)

    @property
    def _writer(self) -> str:
        s = self.settings
        return s.policy + (" (practice: planned on true clones)" if s.practice and s.policy == "mcts" else "")

    def _told(self, index: int, task: Task, attempts: tuple[Attempt, ...], cost: Cost) -> Episode:
        ok = any(a.ok for a in attempts)
        status = "explored" if not task.goal.atoms else "solved" if ok else "failed"
        reason = "" if ok or not task.goal.atoms else f"{self.settings.policy} found no way there"
        return Episode(index, task, status, attempts, cost, None, reason, self._writer)


class _Life:
    """One world, acted on and paid for."""

    def __init__(self, world: World, ledger: Ledger, steps: int) -> None:
        self.world, self.left = world, steps
        self._ledger, self._began = ledger, time.monotonic()
        self._before = world.observe()
        self._steps: list[Step] = []

    def act(self, action: Action) -> bool:
        """Whether it worked. Paid before; raises `BudgetExceeded`."""
        primitive = self.world.spec.primitive(action.name)
        most = primitive.max_steps if primitive is not None else 1
        with self._ledger.reserve(Cost(world_steps=most)) as held:
            outcome = self.world.act(action)
            held.commit(Cost(world_steps=outcome.steps))
        self.left -= 1
        self._steps.append(Step(action, outcome))
        return outcome.ok

    def trajectory(self) -> Trajectory:
        taken = sum(s.outcome.steps for s in self._steps)
        after = self.world.observe()
        before, after = (Snapshot(dict(s.facts), s.tags, s.text, s.images) for s in (self._before, after))
        seconds = time.monotonic() - self._began
        return Trajectory(tuple(self._steps), before=before, after=after, world_steps=taken, seconds=seconds)


def _straight(steps: Sequence[Step]) -> str:
    """What was done and worked, as a program: nobody wrote one."""
    lines = [f"    world.{s.action}" for s in steps if s.outcome.ok] or ["    pass"]
    return "def explored():\n" + "\n".join(lines) + "\n"
