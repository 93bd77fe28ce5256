"""The search writer: no language model. It plans by regression over contracts and lifts the plan to a program.

Each draft is first rehearsed on the belief simulator, where the world has one. A rehearsal or a run that fails amends
the contracts, and the next draft is generated from them. Where nothing is known, it finds out: it tries what the world
affords on the simulator, and searches blindly (`habilis.agent.planning.blind`) where the world gives no reasons. By
choice (``method="mcts"``) it plans by tree search on the belief alone (`habilis.agent.planning.tree`).
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import AsyncGenerator, Generator, Mapping
from dataclasses import dataclass, field

from habilis.agent.planning._names import marked, skill_name
from habilis.agent.planning.advice import Guesser, Orders, Prior
from habilis.agent.planning.blind import OTHERS, BlindSearch
from habilis.agent.planning.calls import blamed_skill, called_tools, needed
from habilis.agent.planning.fitting import composed, fits
from habilis.agent.planning.forms import FormSearch, FormSettings
from habilis.agent.planning.lifting import lift, lift_action
from habilis.agent.planning.meter import SearchMeter
from habilis.agent.planning.regression import Regression, direction, skills_by_fact
from habilis.agent.planning.tool_actions import ToolActions
from habilis.agent.planning.tree import TreeSearch
from habilis.agent.threads import in_thread
from habilis.core import (
    Action,
    Affording,
    BudgetExceeded,
    Context,
    Contract,
    Cost,
    Declaring,
    Draft,
    Episode,
    Fact,
    Feedback,
    Goal,
    Kind,
    Ledger,
    Program,
    RunLimits,
    Runner,
    Task,
    ToolError,
    Trajectory,
    load,
)
from habilis.memory.contracts import ContractBook

_SEARCH = "the writer search"
SEARCHES = ("regression", "mcts")
_BLOCKERS = 4  # facts in the way that are asked about before the next plan


@dataclass(frozen=True)
class SearchSettings:
    """``rounds``: drafts per task, each from better contracts (an iron tool from nothing takes about ten).
    ``rehearsal_steps``: simulator steps one rehearsal may take (an episode's usual length, times three).
    ``repeats``: how often a draft that failed by chance, teaching nothing, is tried again.
    ``tries``: how often an action of unknown effect is tried in a world without a simulator, while others are learned.
    ``questions``: things that tools which tell contracts are asked about in a task.
    ``method``: "regression" over contracts, or "mcts", tree search on the belief that needs to know no rules.
    ``discoveries``: how many unknown actions are tried on the simulator when no plan is found.
    ``forms``: of search over forms of commands, in worlds that have them.
    """

    rounds: int = 16
    rehearsal_steps: int = 1_500
    repeats: int = 2
    discoveries: int = 24
    tries: int = 3
    questions: int = 24
    rehearse: bool = True
    blind_steps: int = 20_000
    method: str = "regression"
    forms: FormSettings = field(default_factory=FormSettings)


class SearchWriter:
    """Writes by search. Satisfies `habilis.core.Writer`.

    ``orders`` puts the actions of unknown effect in order (the adopted local model); it is asked only when no contract
    leads to the goal. ``guesser`` has a plan, which is tried where search would be blind.
    """

    name = "search"
    uses = frozenset({Kind.TOOL, Kind.SKILL})

    def __init__(
        self,
        book: ContractBook,
        runner: Runner,
        settings: SearchSettings | None = None,
        *,
        orders: Orders | None = None,
        guesser: Guesser | None = None,
    ) -> None:
        self._book, self._runner = book, runner
        self._settings = settings or SearchSettings()
        self._orders = orders
        self._guesser = guesser
        self.why = ""
        self._afforded: set[Action] = set()
        self._avoided: set[str] = set()
        self._tools: ToolActions | None = None
        self._lost: dict[str, None] = {}  # what was looked for in rehearsals and not found

    async def drafts(self, task: Task, context: Context, ledger: Ledger) -> AsyncGenerator[Draft, Feedback]:
        """Yield programs until the task is solved and its skill verified, or no idea is left."""
        rehearse = self._settings.rehearse and context.simulator is not None
        repeats, discovered, searched_at = 0, False, -1
        asked: set[str] = set()
        explored: Counter[Action] = Counter()
        self.why = ""
        self._afforded, self._avoided = set(context.affordances), set()
        self._tools = ToolActions(context) if context.tools is not None else None
        self._lost = {}
        for skill, args in fits(context.skills.values(), task.goal)[: self._settings.repeats]:
            feedback = yield Draft(skill.program, args, skill.goal_template, meta=skill.meta)
            self._blame(feedback.trajectory, context)
        whole = composed(context.skills.values(), task.goal, context.spec, self.name)
        if whole is not None:
            feedback = yield whole
            self._blame(feedback.trajectory, context)
        commands = "orders" in context.spec.capabilities and context.spec.primitive("run") is not None
        if commands and task.kind == "achieve" and self._is_order(task, context):
            if context.simulator is None:
                self.why = "no skill does this, and it is found out in worlds for practice only"
                return
            found = self._formed(task, context, ledger)
            try:
                while (draft := await in_thread(_SEARCH, next, found, None)) is not None:
                    yield draft
            finally:
                found.close()  # what it holds on the account is given back
            return
        if self._settings.method == "mcts" and task.kind == "achieve" and task.goal.atoms:
            for attempt in range(self._settings.repeats + 1):
                draft = await in_thread(_SEARCH, self._tree, task, context, ledger, attempt)
                if draft is not None:
                    yield draft
            return
        for attempt in range(self._settings.rounds):
            version = self._book.version
            draft = await in_thread(_SEARCH, self._plan, task, context, ledger)
            while draft is None and await in_thread(_SEARCH, self._buy, task, context, ledger, asked):
                draft = await in_thread(_SEARCH, self._plan, task, context, ledger)
            if draft is None:
                if context.simulator is None:
                    trial = self._explore(task, context, ledger, explored)
                    if trial is None:
                        return
                    yield trial
                    continue
                if discovered or not await in_thread(_SEARCH, self._discover, task, context, ledger, explored):
                    if searched_at == version:  # nothing was learned from the last plan: it would be found again
                        return
                    draft = await in_thread(_SEARCH, self._blind, task, context, ledger)
                    if draft is None:
                        return
                    searched_at = self._book.version
                    yield draft
                    rehearse = False
                    continue
                discovered = task.origin == "curriculum"  # which has other tasks; someone else's is worth more effort
                continue
            imaginable = rehearse and not called_tools(draft.program, context.skills)
            if imaginable and not await in_thread(_SEARCH, self._rehearsed, draft, task, context, ledger, attempt):
                if self._book.version != version:
                    continue
                repeats += 1
                if repeats > self._settings.repeats:
                    # Rehearsed in vain: what was looked for and not found may be had in a way that is not known yet.
                    if not await in_thread(_SEARCH, self._buy, task, context, ledger, asked):
                        if task.origin == "curriculum" or discovered:
                            return
                        discovered = True
                        if not await in_thread(_SEARCH, self._discover, task, context, ledger, explored):
                            return
                    repeats = 0
                continue
            feedback = yield draft
            self._blame(feedback.trajectory, context)
            if feedback.verifying:
                rehearse = False
            if self._tools is not None and self._tools.hear(feedback.trajectory):
                continue
            if self._book.version == version:
                repeats += 1
                if repeats > self._settings.repeats:
                    return

    def credit(self, episode: Episode, conclusive: bool) -> None:
        """A task has ended: who guessed or put in order hears of it."""
        if self._orders is not None:
            self._orders.credit(episode)
        if self._guesser is not None:
            self._guesser.credit(episode)

    def _prior(self) -> Prior | None:
        return None if self._orders is None else self._orders.prior()

    def _plan(self, task: Task, context: Context, ledger: Ledger) -> Draft | None:
        with SearchMeter(ledger) as meter:
            regression = self._regression(context, meter)
            if task.kind == "try" and task.action is not None:
                action = Action.parse(task.action)
                draft = lift_action(regression, action, writer=self.name)
                if draft is None:
                    needs = Goal(tuple(c.atom for c in self._book.contract(action).conditions))
                    self.why = _blocked(regression, needs)
                return draft
            if task.goal.judged is not None:
                self.why = "a goal that only a model can judge needs the chat writer"
                return None
            draft = lift(regression, task.goal, writer=self.name)
            if draft is None:
                self.why = _blocked(regression, task.goal)
            return draft

    def _regression(self, context: Context, meter: SearchMeter, *, imagined: bool = False) -> Regression:
        """``imagined``: for a program that runs on the belief, where there are no tools."""
        known = [s for s in context.skills.values() if s.name not in self._avoided]
        return Regression(
            self._book,
            context.spec,
            skills_by_fact(s for s in known if not (imagined and called_tools(s.program, context.skills))),
            sorted(self._afforded, key=str),
            meter,
            facts=context.snapshot.facts,
            tools=None if imagined else self._tools,
        )

    def _rehearsed(self, draft: Draft, task: Task, context: Context, ledger: Ledger, attempt: int) -> bool:
        trajectory = self._simulate(draft.program, draft.args, context, ledger, task.seed * 1009 + attempt)
        if trajectory is None:
            return False
        error = trajectory.error
        self._blame(trajectory, context)
        last = trajectory.steps[-1] if trajectory.steps else None
        if last is not None and not last.outcome.ok and last.action.name in context.spec.seeking:
            self._lost.update(dict.fromkeys(map(str, last.action.args[:1])))  # the others tell where it was looked for
        if error is None and _achieved(task, draft, trajectory):
            return True
        if error is not None and trajectory.cut_off:
            return True  # bad luck in an imagined life says nothing of the program
        self.why = (
            f"rehearsed in vain: {error.message}" if error is not None else "rehearsed in vain: the goal stays unmet"
        )
        return False

    def _blame(self, trajectory: Trajectory, context: Context) -> None:
        """A skill that failed inside a program is left aside for this task: today's contracts may do better. Not one
        that uses tools, which contracts know nothing of: they may have been out of reach."""
        skill = context.skills.get(blamed_skill(trajectory) or "")
        if skill is not None and not called_tools(skill.program, context.skills):
            self._avoided.add(skill.name)

    def _simulate(
        self, program: Program, args: Mapping[str, object], context: Context, ledger: Ledger, seed: int
    ) -> Trajectory | None:
        """Run a program on the belief; its steps are search steps, paid before they are taken."""
        if context.simulator is None:
            return None
        left = ledger.remaining.search_steps
        limit = self._settings.rehearsal_steps if left is None else min(self._settings.rehearsal_steps, left)
        limit = max(1, limit)  # where not even one can be paid, the ledger says whose limit it is
        with ledger.reserve(Cost(search_steps=limit)) as held:
            world = context.simulator.imagine(seed)
            trajectory = self._runner.run(
                program,
                world,
                args=args,
                skills=needed(program, context.skills),
                tools=None,
                limits=RunLimits(world_steps=limit, images=0),
                seed=seed,
            )
            held.commit(Cost(search_steps=min(limit, trajectory.world_steps)))
        self._book.learn(trajectory)
        if isinstance(world, Declaring) and "contracts" in context.spec.capabilities:
            self._book.declare(world.contracts())  # what the imagined success has unlocked
        if isinstance(world, Affording) and "affordances" in context.spec.capabilities:
            self._afforded |= set(world.affordances())
        return trajectory

    def _discover(self, task: Task, context: Context, ledger: Ledger, explored: Counter[Action]) -> bool:
        """Try actions of unknown effect on the simulator, the never-tried first; whether anything was learned.

        What failed before is tried again, for a task that is not the curriculum's, once its conditions are in reach.
        """
        if context.simulator is None:
            return False
        version = self._book.version
        seeking = context.spec.seeking
        unknown = [a for a in sorted(self._afforded, key=str) if a not in self._book and a.name not in seeking]
        random.Random(task.seed).shuffle(unknown)
        prior = self._prior() if len(unknown) > 1 else None
        if prior is not None:
            unknown = list(prior(task.goal, context.snapshot, unknown))
        if task.origin != "curriculum":
            with SearchMeter(ledger) as meter:
                unknown += self._failed(task, self._regression(context, meter, imagined=True), explored)
        for i, action in enumerate(unknown[: self._settings.discoveries]):
            with SearchMeter(ledger) as meter:
                regression = self._regression(context, meter, imagined=True)
                draft = lift_action(regression, action, writer=self.name)
            if draft is not None:
                explored[action] += 1
                self._simulate(draft.program, draft.args, context, ledger, task.seed * 1013 + i)
        return self._book.version != version

    def _failed(self, task: Task, regression: Regression, explored: Counter[Action]) -> list[Action]:
        """Actions that never succeeded but are in reach now; first those that bring about what stands in the way."""
        blocked: set[Fact] = set()
        for atom in task.goal.atoms:
            for fact in regression.blockers(atom.fact, direction(atom) is not False, limit=8):
                members = regression.spec.tags.get(str(fact.args[0]), frozenset()) if fact.args else frozenset()
                blocked |= {fact} | {Fact(fact.predicate, (m, *fact.args[1:])) for m in members}
        found: list[tuple[int, bool, str, Action]] = []
        for action in self._afforded:
            if action.name in regression.spec.seeking or action not in self._book or self._book.tried(action):
                continue
            contract = self._book.contract(action)
            if explored[action] < self._settings.tries and regression.conditions(contract) is not None:
                useless = not any(e.fact in blocked for e in contract.effects)
                found.append((explored[action], useless, str(action), action))
        return [action for *_, action in sorted(found, key=lambda f: f[:3])]

    def _explore(self, task: Task, context: Context, ledger: Ledger, explored: Counter[Action]) -> Draft | None:
        """Without a simulator the only way to find out is to do: the action of unknown effect that was tried least.

        It runs in the world itself, under the same approval and limits as any program.
        """
        named = {arg for atom in task.goal.atoms for arg in atom.fact.args}
        unknown = [a for a in context.affordances if not self._book.tried(a) and explored[a] < self._settings.tries]
        # To look for something is worth a try where nobody knows what comes of it, and it is named.
        unknown = [a for a in unknown if a.name not in context.spec.seeking or not named.isdisjoint(a.args)]
        while unknown:
            action = min(unknown, key=lambda a: (explored[a], named.isdisjoint(a.args), str(a)))
            found = self._found_first(action, context, explored[action])
            explored[action] += 1
            unknown.remove(action)
            if found is not None:
                return found
            with SearchMeter(ledger) as meter:
                draft = lift_action(self._regression(context, meter), action, writer=self.name)
            if draft is not None:
                return draft
        return None

    def _found_first(self, action: Action, context: Context, times: int) -> Draft | None:
        """An action about something that can be looked for, of which no need is known yet: tried where that was found,
        every other time."""
        if times % 2 or action.name in context.spec.seeking or self._book.contract(action).conditions:
            return None
        seekers = [
            p for p in context.spec.primitives if p.seeks and [q.type for q in p.parameters if q.required] == ["str"]
        ]
        if not seekers or not action.args or not isinstance(action.args[0], str):
            return None
        seek = Action(seekers[times // 2 % len(seekers)].name, action.args[:1])
        name = marked("try_found", str(action))
        return Draft(
            Program(name, f"def {name}():\n    world.{seek}\n    world.{action}\n", (), (), self.name), {}, "", ()
        )

    def _buy(self, task: Task, context: Context, ledger: Ledger, asked: set[str]) -> bool:
        """Ask the picked tools that tell contracts about the next thing that stands in the way and was not ``asked``
        about, the cheapest first until one knows it; whether anything was learned. No money is no end: finding out
        is left."""
        if context.tools is None:
            return False
        at_hand = set(context.tools.names())
        tellers = [a for a in context.picked if a.kind is Kind.TOOL and a.provides == "contracts" and a.name in at_hand]
        tellers.sort(key=lambda a: (a.cost.usd, a.cost.tokens, a.cost.seconds, a.name))
        version = self._book.version
        for thing in self._missing(task, context, ledger) if tellers else ():
            if thing in asked or len(asked) >= self._settings.questions:
                continue
            asked.add(thing)
            for teller in tellers:
                try:
                    told = context.tools.call(teller.name, (thing,), {})
                    self._book.declare((load(Contract, c) for c in told), source="told")
                except (BudgetExceeded, ToolError, ValueError, TypeError):
                    continue
                if self._book.version != version:
                    return True
        return False

    def _missing(self, task: Task, context: Context, ledger: Ledger) -> list[str]:
        """The things that the goal needs and nothing known brings about, and those looked for in vain; of a set its
        members."""
        facts: dict[Fact, None] = {}
        with SearchMeter(ledger) as meter:
            regression = self._regression(context, meter)
            for atom in task.goal.atoms:
                way = direction(atom)
                if way is not None:
                    facts.update(dict.fromkeys(regression.blockers(atom.fact, way, limit=_BLOCKERS)))
        tags = dict(context.spec.tags) | dict(context.snapshot.tags)
        names = [*(str(f.args[0]) for f in facts if f.args), *self._lost]
        return list(dict.fromkeys(m for n in names for m in (sorted(tags.get(n, ())) if n.startswith("#") else (n,))))

    def _is_order(self, task: Task, context: Context) -> bool:
        """Whether this is for commands to carry out: no contract is known to lead to it."""
        return all(not self._book.producers(atom.fact) for atom in task.goal.atoms) and len(task.goal.atoms) == 1

    def _formed(self, task: Task, context: Context, ledger: Ledger) -> Generator[Draft, None, None]:
        """Programs of commands, put together in practice."""
        if context.simulator is None or "forms" not in context.spec.capabilities:
            return
        search = FormSearch(context.spec, self._settings.forms)
        with SearchMeter(ledger) as meter:
            yield from search.drafts(task.goal, context.simulator, meter, task.seed)
        self.why = search.why

    def _tree(self, task: Task, context: Context, ledger: Ledger, attempt: int) -> Draft | None:
        """A straight program by tree search on the belief, another one at each attempt."""
        if context.simulator is None:
            self.why = "tree search needs a world with a simulator; plan by regression instead (--search regression)"
            return None
        seed = task.seed * 1019 + attempt
        with SearchMeter(ledger) as meter:
            others = [context.simulator.imagine(seed + k) for k in range(1, OTHERS + 1)]
            root = context.simulator.imagine(seed)
            plan = TreeSearch(book=self._book).plan(task.goal, root, meter, seed, others)
        if plan is None:
            self.why = "tree search found no way there"
            return None
        fact = task.goal.atoms[0].fact
        name = skill_name(context.spec, fact) if len(task.goal.atoms) == 1 else marked("reach_goal", str(task.goal))
        source = f"def {name}():\n" + "".join(f"    world.{action}\n" for action in plan)
        return Draft(Program(name, source, (), (), self.name), {}, str(task.goal))

    def _blind(self, task: Task, context: Context, ledger: Ledger) -> Draft | None:
        gives_reasons = "reasons" in context.spec.capabilities
        if context.simulator is None or not task.goal.atoms or gives_reasons:
            return None
        search = BlindSearch(
            self._book,
            self._runner,
            max_steps=self._settings.blind_steps,
            prior=self._prior(),
            guesser=self._guesser,
        )
        return search.draft(task, context, ledger)


def _blocked(regression: Regression, goal: Goal) -> str:
    """Which facts stand in the way of a goal."""
    facts: list[str] = []
    for atom in goal.atoms:
        way = direction(atom)
        if way is not None:
            facts += [str(f) for f in regression.blockers(atom.fact, way) if str(f) not in facts]
    return f"nothing known brings about {', '.join(facts[:3])}" if facts else "no plan leads there"


def _achieved(task: Task, draft: Draft, trajectory: Trajectory) -> bool:
    if task.kind == "try":
        return any(str(s.action) == task.action and s.outcome.ok for s in trajectory.steps)
    goal: Goal = task.goal
    return not goal.unmet(trajectory.after)
