"""Living by skills: which goal to work on next in a life that is too short for all of them.

What is cheapest now comes first: what a skill took when it was proven, less what the skills took that it calls and
whose goals are met already. A skill may take a few times as much; one that has not brought its goal about by then gives
way to the others, and is then reckoned with at twice its cost: what it needs may be found meanwhile. Of what is cheap
to have, as much is taken as the goals that are left will use up (``contracts`` tell), so that nobody has to come back.
What the agent's own condition is about (``context`` predicates) is the more urgent the less there is.

    living = Living(skills.values(), goals, spec)
    while (turn := living.next(world.observe(), steps)) is not None:
        run = runner.run(turn.skill.program, world, args=turn.args, limits=RunLimits(world_steps=turn.steps), …)
        living.ended(turn, run.after, steps_now)
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from habilis.agent.planning.regression import brings_about, direction, skills_by_fact
from habilis.core import Case, Contract, Fact, Goal, GoalSyntaxError, InputError, Json, Skill, Snapshot, WorldSpec

__all__ = ["Living", "Turn"]

_PATIENCE = 4.0  # times what a skill is expected to take
_MOST_PATIENCE = 2.0**60  # reached only where a skill fails again and again after hardly a step; beyond is no number
_LEAST = 60  # steps that any skill may take
_SURE = 0.4  # share of what a skill takes that is reckoned with, whatever is met already: costs are means of few runs
_STOCK = 40  # steps that may go into having more of something at once than its goal asks for
_BEYOND = 1.5  # times as much as a skill was proven to bring about at once: there may be no room for more
_OWN = 50  # steps that may go into other things first while nothing is lacking of the agent's own condition
_REST = 50  # steps for which a skill that could do nothing is left alone


@dataclass
class Turn:
    """One goal with the skill for it, in the case that is meant. ``cost``: what that took when it was proven; ``more``:
    what each more of it took; ``most``: how much was brought about at once in a trial.

    ``steps``: what it may take in the world, at most; ``patience``: by how much that has grown; ``since``: when it
    began; ``rests``: until when it is left alone.
    """

    goal: Goal
    skill: Skill
    args: Mapping[str, Json]
    cost: float
    more: float = 1.0
    most: int = 1
    patience: float = 1.0
    steps: int = 0
    since: int = 0
    rests: int = 0
    done: bool = field(default=False)


class Living:
    """Chooses among goals of one atom for which there are skills. Deterministic."""

    def __init__(
        self, skills: Iterable[Skill], goals: Iterable[Goal], spec: WorldSpec, contracts: Iterable[Contract] = ()
    ) -> None:
        self._contracts = [c for c in contracts if c.action.name not in spec.seeking]
        self._uses = {
            c: {k.atom.fact: round(k.consumed) for k in c.conditions if k.consumed >= 0.5} for c in self._contracts
        }
        self._sought = spec.sought
        self._skills = {one.name: one for one in skills}
        self._turns: list[Turn] = []
        self._contexts = spec.contexts
        known = skills_by_fact(self._skills.values())
        for goal in goals:
            atom = goal.atoms[0] if len(goal.atoms) == 1 else None
            up = direction(atom) if atom is not None else None
            found = known.get((atom.fact, up)) if atom is not None and up is not None else None
            if atom is None or found is None:
                continue
            counts = any(p.name == "n" for p in found.skill.program.parameters)
            args = dict(found.case.args) | ({"n": atom.value} if counts else {})
            cost, more = _taken(found.skill, found.case, args.get("n", 1))
            proven = [n for t in found.skill.evidence.trials if t.ok and isinstance(n := t.args.get("n", 1), int)]
            self._turns.append(Turn(goal, found.skill, args, cost, more, max(proven, default=1)))
        self._turns.sort(key=lambda one: str(one.goal))

    def next(self, now: Snapshot, steps: int) -> Turn | None:
        """What to do next, ``steps`` after the life began; None where nothing is left, or all rests. A goal about the
        agent's own condition, which may be met from the beginning, is done once it was worked for."""
        for one in self._turns:
            one.done = one.done or not (self._own(one) or one.goal.unmet(now))
        open_ = [one for one in self._turns if not one.done and one.rests <= steps and one.goal.unmet(now)]
        if not open_:
            return None
        turn = min(open_, key=lambda one: self._cost(one, now))  # of equals the first by name
        turn = self._first(turn, open_, now)
        cost = self._cost(turn, now)
        if isinstance(turn.args.get("n"), int):
            least = math.ceil(turn.goal.atoms[0].value)
            much = min(int(_STOCK / max(1.0, turn.more)), math.ceil(_BEYOND * turn.most))
            most = max(least, min(self._demand(turn.goal.atoms[0].fact), much))
            turn.args = {**turn.args, "n": most}
            cost += turn.more * (most - least) * turn.patience
        turn.steps, turn.since = max(_LEAST, round(_PATIENCE * cost)), steps
        return turn

    def ended(self, turn: Turn, now: Snapshot, steps: int) -> None:
        """How a turn went: what the world shows after it, ``steps`` after the life began."""
        turn.done = not turn.goal.unmet(now)
        if not turn.done:
            turn.patience = min(2 * turn.patience, _MOST_PATIENCE)
            turn.rests = steps + _REST if steps == turn.since else 0

    # ------------------------------------------------------------------ inside

    def _cost(self, turn: Turn, now: Snapshot) -> float:
        """Steps that it is expected to take from here, more for each time that it was given up."""
        left = max(_SURE * turn.cost, turn.cost - self._saved(turn.skill, now, frozenset()))
        atom = turn.goal.atoms[0]
        if self._own(turn):
            left += _OWN * float(now.value(atom.fact) or 0) / max(1.0, float(atom.value))
        return max(1.0, left) / max(0.1, turn.skill.posterior) * turn.patience

    def _first(self, turn: Turn, open_: Sequence[Turn], now: Snapshot) -> Turn:
        """What it would do on its way and is to be done anyway comes first, for then there can be enough of it at once:
        of what it calls, the cheapest of which more is used up."""
        below = self._called(turn.skill)
        found = [one for one in open_ if one.skill.name in below and one is not turn]
        found = [one for one in found if self._demand(one.goal.atoms[0].fact) > 1]
        return min(found, key=lambda one: self._cost(one, now)) if found else turn

    def _called(self, skill: Skill) -> set[str]:
        """The names of the skills that it calls, directly or not."""
        found, todo = set[str](), list(skill.program.calls)
        while todo:
            name = todo.pop()
            if name in self._skills and name not in found:
                found.add(name)
                todo += self._skills[name].program.calls
        return found

    def _own(self, turn: Turn) -> bool:
        """Whether a goal is about the agent's own condition."""
        return turn.goal.atoms[0].fact.predicate in self._contexts

    def _demand(self, fact: Fact) -> int:
        """How much of a thing the goals that are left will use up, each by the action that uses most of it; and what it
        takes to put those places anew at several of which one has to be at once."""
        total = sum(uses.get(fact, 0) for uses in self._together())
        for turn in self._turns:
            wanted = turn.goal.atoms[0].fact
            makers = [uses.get(fact, 0) for c, uses in self._uses.items() if c.effect_on(wanted) is not None]
            total += max(makers, default=0) if not turn.done else 0
        return total

    def _together(self) -> list[Mapping[Fact, int]]:
        """What is used up by putting, once each, what goals that are left need to be at, where there are several."""
        found: dict[Fact, Mapping[Fact, int]] = {}
        for turn in self._turns:
            wanted = turn.goal.atoms[0].fact
            for maker in () if turn.done else [c for c in self._contracts if c.effect_on(wanted) is not None]:
                near = [k.atom.fact for k in maker.conditions if k.atom.fact.predicate in self._sought]
                puts = {
                    f: self._uses[c]
                    for f in near
                    for c in self._contracts
                    if self._uses[c] and brings_about(c, f) and c.effect_on(f, True)
                }
                found |= puts if len(puts) > 1 else {}
        return list(found.values())

    def _saved(self, skill: Skill, now: Snapshot, above: frozenset[str]) -> float:
        """What the skills that it calls need not do any more."""
        saved = 0.0
        for name in skill.program.calls:
            called = self._skills.get(name)
            if called is None or name in above:
                continue
            met = _met(called, now)
            here = _taken(called, called.settings[0], 1)[0]
            saved += here if met else self._saved(called, now, above | {skill.name})
        return saved


def _taken(skill: Skill, case: Case, n: Json) -> tuple[float, float]:
    """Steps that it took to bring about so much at once, and for each more: what its successful runs say, by a straight
    line over how much they brought about. Most is mostly spent on the first, which the mean of each does not tell."""
    ran = [t for t in skill.evidence.trials if t.ok and case.args.items() <= t.args.items()]
    points = [(k, t.world_steps) for t in ran if isinstance(k := t.args.get("n", 1), int)]
    wanted = n if isinstance(n, (int, float)) else 1
    if not points:
        return case.cost * max(1, wanted), case.cost
    mean_n, mean = (math.fsum(values) / len(points) for values in zip(*points, strict=True))
    spread, most = math.fsum((k - mean_n) ** 2 for k, _ in points), mean / max(1.0, mean_n)
    slope = math.fsum((k - mean_n) * (steps - mean) for k, steps in points) / spread if spread else most
    slope = min(max(0.0, slope), most)
    return max(0.0, mean + slope * (wanted - mean_n)), slope


def _met(skill: Skill, now: Snapshot) -> bool:
    """Whether what a skill is for is so, once at least; where it has several cases, one of them."""
    for case in skill.settings:
        given: dict[str, Json] = {"n": 1, **case.args}
        if any(p.name not in given for p in skill.program.parameters):
            continue
        try:
            if not skill.goal_for(given).unmet(now):
                return True
        except (GoalSyntaxError, InputError):
            continue
    return False
