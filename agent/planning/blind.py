"""Blind search, for worlds that give no reasons: novelty on the belief simulator, then what depends on what.

Breadth-first over actions and skills, keeping a state only if some fact takes a value not seen before, or two facts
that skills bring about take values not seen together (iterated width, Lipovetzky & Geffner 2012: 1, and 2 for those).
A plan that reaches the goal is minimised by deleting steps, and each step that is left out in turn shows which later
action fails without it: what it had brought about is then a condition of that action.
"""

from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from itertools import combinations

from habilis.agent.planning._names import skill_name
from habilis.agent.planning.advice import Guesser, Prior
from habilis.agent.planning.calls import called_tools, needed
from habilis.agent.planning.meter import SearchMeter, act_paid
from habilis.agent.planning.regression import skills_by_fact
from habilis.core import (
    Action,
    Affording,
    Change,
    Cloneable,
    Condition,
    Context,
    Contract,
    Draft,
    Fact,
    Json,
    Ledger,
    Program,
    RunLimits,
    Runner,
    Skill,
    Snapshot,
    Task,
    World,
)
from habilis.core.goal import Atom
from habilis.memory.contracts import ContractBook

_AMOUNTS = (8, 3, 1)  # of what a skill makes, tried as one step; plenty first, for the next step may use some up
_MACRO_STEPS = 300  # world steps that one skill may take as a step of a plan
_FEW = 8  # afforded actions of one primitive that are few enough to try them all
_NARROW = 0.5  # share of the steps for actions about the goal or about what is at hand
_MANY = 48  # facts of which all pairs are still looked at: a thousand pairs a state
OTHERS = 2  # beliefs of other seeds on which what is left out of a plan is tested again: one may be like the first
_VALUES = 8  # numbers above this count as no more novel


@dataclass(frozen=True)
class _Move:
    """One step of a plan: an action of the world, or a skill with its arguments."""

    action: Action | None = None
    skill: Skill | None = None
    args: Mapping[str, Json] = field(default_factory=dict)

    def text(self) -> str:
        if self.skill is not None:
            return f"skills.{self.skill.name}({', '.join(f'{name}={v!r}' for name, v in self.args.items())})"
        assert self.action is not None
        return f"world.{self.action}"


class BlindSearch:
    """One blind search. ``max_steps``: simulator steps it may take. ``guesser``: has a plan that is tried before
    anything is searched for. ``prior``: says what to try first."""

    def __init__(
        self,
        book: ContractBook,
        runner: Runner,
        *,
        max_steps: int,
        prior: Prior | None = None,
        guesser: Guesser | None = None,
    ) -> None:
        self._book, self._runner, self._max, self._prior, self._guesser = book, runner, max_steps, prior, guesser

    def draft(self, task: Task, context: Context, ledger: Ledger) -> Draft | None:
        """A straight program for the goal, or None. The contracts learned on the way stay in the book."""
        if context.simulator is None:
            return None
        root = context.simulator.imagine(task.seed)
        self._left = self._max
        with SearchMeter(ledger) as meter:
            plan = self._guessed(task, root, context, meter) or self._search(task, root, context, meter)
            if plan is None:
                return None
            others = [context.simulator.imagine(task.seed + k) for k in range(1, OTHERS + 1)]
            plan = self._minimise(task, root, others, plan, context, meter)
            self._dependencies(root, plan, context, meter)
        name = skill_name(context.spec, task.goal.atoms[0].fact) if len(task.goal.atoms) == 1 else f"plan_{task.seed}"
        body = "\n".join(f"    {move.text()}" for move in plan)
        calls = tuple(sorted({m.skill.name for m in plan if m.skill is not None}))
        return Draft(Program(f"{name}_once", f"def {name}_once():\n{body}\n", (), calls, "search"), {}, "")

    def _guessed(self, task: Task, root: Cloneable, context: Context, meter: SearchMeter) -> list[_Move] | None:
        """The guesser's plan, where the goal comes true on the belief."""
        if self._guesser is None:
            return None
        state = root.observe()
        actions = root.affordances() if isinstance(root, Affording) else context.affordances
        said = [*(f.args for f in state.facts), *(a.args for a in actions), *(a.fact.args for a in task.goal.atoms)]
        known = {str(name) for args in said for name in args} | set(context.spec.tags)
        plan = self._guesser.plan(task.goal, state, known)
        if not plan:
            return None
        moves = [_Move(action=action) for action in plan]
        came_true = self._reaches(task, root, moves, context, meter)
        self._guesser.tried(plan, came_true)
        return moves if came_true else None

    def _search(self, task: Task, root: Cloneable, context: Context, meter: SearchMeter) -> list[_Move] | None:
        """First among what is close at hand, with a share of the steps; then among all that is afforded."""
        whole = self._left
        for share, narrow in ((_NARROW, True), (1.0, False)):
            self._left = int(whole * share) - (whole - self._left)
            plan = self._novelty(task, root, context, meter, narrow)
            self._left += whole - int(whole * share)
            if plan is not None:
                return plan
        return None

    def _novelty(
        self, task: Task, root: Cloneable, context: Context, meter: SearchMeter, narrow: bool
    ) -> list[_Move] | None:
        rng = random.Random(task.seed)
        paired = {fact for fact, _ in skills_by_fact(context.skills.values())}
        start = root.observe()
        seen = _atoms(start, paired, start)
        first: dict[Action, int] = {}
        wanted = {a for atom in task.goal.atoms for a in atom.fact.args}
        if self._prior is not None:  # about the goal's things, which are tried first anyway: in which order
            about = [a for a in context.affordances if set(a.args) & wanted]
            first = {action: i for i, action in enumerate(self._prior(task.goal, start, about))}
        queue: deque[tuple[Cloneable, tuple[_Move, ...]]] = deque([(root, ())])
        imaginable = [s for s in context.skills.values() if not called_tools(s.program, context.skills)]
        macros = [m for s in sorted(imaginable, key=lambda s: s.name) for m in _macros(s)]
        while queue:
            world, path = queue.popleft()
            actions = world.affordances() if isinstance(world, Affording) else context.affordances
            if narrow:
                at_hand = wanted | {a for f, v in world.observe().facts.items() if v for a in f.args}
                sizes = Counter(a.name for a in actions)
                actions = [a for a in actions if sizes[a.name] <= _FEW or set(a.args) & at_hand]
            moves = [_Move(action=a) for a in actions]
            rng.shuffle(moves)
            if first:
                moves.sort(key=lambda m: first.get(m.action, len(first)) if m.action is not None else -1)
            # What is about the same thing as the goal comes first, then what is already known to do something.
            moves.sort(key=lambda m: not (m.action is not None and set(m.action.args) & wanted))
            direct = [m for m in moves if m.action is not None and set(m.action.args) & wanted]
            moves = [*direct, *(m for m in macros if _useful(m, world)), *moves[len(direct) :]]
            for move in moves:
                child = world.clone()
                if self._left <= 0:
                    return None
                if not self._take(move, child, context, meter):
                    continue
                after = child.observe()
                if not task.goal.unmet(after):
                    return [*path, move]
                atoms = _atoms(after, paired, start)
                if not atoms <= seen:
                    seen |= atoms
                    queue.append((child, (*path, move)))
        return None

    def _take(self, move: _Move, world: World, context: Context, meter: SearchMeter) -> bool:
        """Do one step on a clone; whether it worked. The most that it may take is paid before, the rest given back."""
        if move.skill is not None:
            program = move.skill.program
            most = max(1, meter.payable(min(_MACRO_STEPS, max(1, self._left))))
            meter(most)
            skills = needed(program, context.skills)
            limits = RunLimits(world_steps=most, images=0)
            trajectory = self._runner.run(program, world, args=move.args, skills=skills, limits=limits)
            taken = max(1, trajectory.world_steps)
            meter.give_back(most - taken)
            self._left -= taken
            self._book.learn(trajectory)
            return trajectory.error is None
        assert move.action is not None
        before = world.observe()
        outcome = act_paid(world, move.action, meter)
        self._left -= max(1, outcome.steps)
        self._book.observe(move.action, outcome, before)
        return outcome.ok

    def _reaches(
        self, task: Task, root: Cloneable, plan: Sequence[_Move], context: Context, meter: SearchMeter
    ) -> bool:
        world = root.clone()
        for move in plan:
            if self._left <= 0:
                return False
            self._take(move, world, context, meter)
        return not task.goal.unmet(world.observe())

    def _minimise(
        self,
        task: Task,
        root: Cloneable,
        others: Sequence[Cloneable],
        plan: list[_Move],
        context: Context,
        meter: SearchMeter,
    ) -> list[_Move]:
        """The plan without the steps that are needed neither here nor in those beliefs of other seeds in which it works
        as well."""
        kept = list(plan)
        elsewhere: list[Cloneable] | None = None  # looked for once something can be left out here

        def superfluous(shorter: list[_Move]) -> bool:
            nonlocal elsewhere
            if not shorter or not self._reaches(task, root, shorter, context, meter):
                return False
            if elsewhere is None:
                elsewhere = [other for other in others if self._reaches(task, other, plan, context, meter)]
            return all(self._reaches(task, other, shorter, context, meter) for other in elsewhere)

        i = 0
        while i < len(kept):
            shorter = kept[:i] + kept[i + 1 :]
            if superfluous(shorter):
                kept = shorter
            else:
                i += 1
        return kept

    def _dependencies(self, root: Cloneable, plan: Sequence[_Move], context: Context, meter: SearchMeter) -> None:
        """Leave out each step in turn; the first action that then fails depends on what the step brought about."""
        for i, left_out in enumerate(plan):
            world = root.clone()
            gained: Mapping[Fact, Change] = {}
            for j, move in enumerate(plan):
                if self._left <= 0:
                    return
                if j == i:
                    twin = world.clone()
                    before = twin.observe()
                    if not self._take(left_out, twin, context, meter):
                        break
                    gained = _gained(before, twin.observe())
                    continue
                if not self._take(move, world, context, meter):
                    if j > i and move.action is not None:
                        self._require(move.action, gained, context)
                    break

    def _require(self, action: Action, gained: Mapping[Fact, Change], context: Context) -> None:
        passing = context.spec.contexts | context.spec.fleeting
        facts = [f for f in sorted(gained, key=str) if f.predicate not in passing]
        own = [f for f in facts if set(f.args) & set(action.args)]
        known = {c.atom.fact for c in self._book.contract(action).conditions}
        conditions = []
        for fact in own or facts:
            if fact in known:
                continue
            after = gained[fact].after
            conditions.append(Condition(Atom(fact) if isinstance(after, bool) else Atom(fact, ">=", 1)))
        if conditions:
            self._book.declare([Contract(action, context.spec.fingerprint, tuple(conditions))], source="induced")


def _gained(before: Snapshot, after: Snapshot) -> dict[Fact, Change]:
    found = {}
    for fact, value in after.facts.items():
        old = before.facts.get(fact, 0)
        if value and (isinstance(value, bool) or value > old):
            found[fact] = Change(fact, old, value)
    return found


def _atoms(snapshot: Snapshot, paired: Set[Fact], start: Snapshot) -> set[object]:
    """What can be new about a state: the value of a fact, and the values of two facts that skills bring about; where
    these are many, of two that are not so at the start."""
    single = {(fact, min(int(value), _VALUES)) for fact, value in snapshot.facts.items() if value}
    made = [a for a in single if a[0] in paired or snapshot.facts[a[0]] is True]
    if len(made) > _MANY:
        made = [a for a in made if start.facts.get(a[0]) != snapshot.facts[a[0]]]
    return {*single, *combinations(sorted(made, key=str), 2)}


def _useful(move: _Move, world: World) -> bool:
    """A skill whose goal already holds does nothing."""
    skill = move.skill
    if skill is None:
        return True
    return bool(skill.goal_for(move.args).unmet(world.observe()))


def _macros(skill: Skill) -> list[_Move]:
    """A skill as steps of a plan: in each of its cases, for each of some amounts where it takes one."""
    names = {p.name for p in skill.program.parameters}
    found = []
    for case in skill.settings:
        open_ = names - case.args.keys()
        if not open_:
            found.append(_Move(skill=skill, args=case.args))
        elif open_ == {"n"}:
            found += [_Move(skill=skill, args={"n": n, **case.args}) for n in _AMOUNTS]
    return found
