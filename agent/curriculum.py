"""The automatic curriculum: what to try next.

Each candidate is weighed by novelty (not mastered, not yet held), reach (how cheaply its conditions can be met, by
regression), demand (how many other contracts need it) and learning progress (back-off after failures, renewed when the
contracts have changed since). Any world that affords actions and offers goals gets it for free. Its own regression is
charged to the ledger as search. The idea of a curriculum proposed from the agent's own state is Voyager's (Wang et al.
2023); demand and reach replace the language model's judgement.
"""

from __future__ import annotations

import math
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from habilis.agent.planning.meter import SearchMeter
from habilis.agent.planning.regression import Known, Regression, Wanted, brings_about, direction, skills_by_fact
from habilis.agent.posing import Missions
from habilis.agent.words import goal_to_words
from habilis.core import (
    Action,
    Atom,
    Context,
    Episode,
    Fact,
    Goal,
    Json,
    Ledger,
    Skill,
    Snapshot,
    Task,
    Term,
    WorldSpec,
)
from habilis.memory.contracts import ContractBook

_TRY = "try "  # begins the key of a task that finds out what an action does
_MANY = 12  # failures from which on a task comes up in turn with others that failed as often
_DULL = 10  # failures without a reason that halve the worth of finding out what an action does
_STALE = 4  # versions of the contracts: what was learned in fewer since a failure will hardly change its outcome


@dataclass(frozen=True)
class CurriculumSettings:
    """``strategy``: "demand" (all weights), "reach" (without demand), "random" (any candidate), for comparison.
    ``backoff``: a failure multiplies the weight by this; ``backoff_stale``: while nothing new was learned since.
    ``jitter``: random share of a weight, so that ties do not always fall the same way.
    ``exclude``: facts that are never proposed: goals held out to be measured on.
    """

    strategy: str = "demand"
    backoff: float = 0.5
    backoff_stale: float = 0.3
    jitter: float = 0.1
    exclude: frozenset[Fact] = frozenset()


@dataclass(frozen=True)
class Proposal:
    """A task with the numbers that chose it."""

    task: Task
    weight: float
    why: str


@dataclass
class Curriculum:
    """Proposes tasks. Its memory is the journal's episodes, taken in by `record`."""

    spec: WorldSpec
    book: ContractBook
    settings: CurriculumSettings = field(default_factory=CurriculumSettings)
    seed: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    failed_at: dict[str, int] = field(default_factory=dict)
    solved: set[str] = field(default_factory=set)
    wishes: list[Goal] = field(default_factory=list)
    ended: dict[str, None] = field(default_factory=dict)  # what was worked on, the latest last
    missions: Missions = field(default_factory=Missions)  # that the world itself has set

    def record(self, episode: Episode) -> None:
        """Take in how a task ended. What the clock ended counts against nothing."""
        key = _key(episode.task)
        self.ended.pop(key, None)
        self.ended[key] = None
        if episode.solved:
            self.solved.add(key)
        inconclusive = any(a.trajectory.inconclusive for a in episode.attempts[-1:])
        failed = not episode.solved or (episode.task.kind == "achieve" and episode.skill is None)
        if "missions" in self.spec.capabilities and episode.task.goal.atoms and not inconclusive:
            self.missions.record(episode.task.goal, not failed)
        if failed and not inconclusive:
            self.failures[key] += 1
            self.failed_at[key] = self.book.version

    def failed(self, task: Task) -> int:
        """How often a task was worked on in vain."""
        return self.failures[_key(task)]

    def save(self) -> dict[str, Json]:
        return {
            "failures": dict(sorted(self.failures.items())),
            "failed_at": dict(sorted(self.failed_at.items())),
            "solved": sorted(self.solved),
            "wishes": [str(g) for g in self.wishes],
            "ended": list(self.ended),
            **({"missions": self.missions.save()} if self.missions.forms else {}),
        }

    def load(self, state: Json) -> None:
        self.failures = Counter(state["failures"])
        self.failed_at = dict(state["failed_at"])
        self.solved = set(state["solved"])
        self.wishes = [Goal.parse(g) for g in state.get("wishes", [])]
        self.ended = dict.fromkeys(state.get("ended", []))
        self.missions.load(state.get("missions"))

    def goals(self, *, solved: bool) -> list[str]:
        """The goals that were solved, or tried in vain, as text, the latest last; without what only found out."""
        told = sorted(k for k in (self.solved if solved else self.failures.keys() - self.solved) if k not in self.ended)
        told += [k for k in self.ended if (k in self.solved) == solved]
        return [k for k in told if not k.startswith(_TRY)]

    def wish(self, goals: Iterable[Goal]) -> None:
        """Goals that someone else (a chat model) proposes; they compete under the same weights."""
        for goal in goals:
            if goal not in self.wishes:
                self.wishes.append(goal)

    def propose(
        self, iteration: int, context: Context, goals: Sequence[Goal], skills: Sequence[Skill], ledger: Ledger
    ) -> Proposal | None:
        """The next task, or None where nothing is left to try."""
        self.spec = context.spec  # a world of plain functions learns its predicates as it goes
        rng = random.Random(f"{self.seed}:{iteration}")
        mastered = skills_by_fact(skills)
        with SearchMeter(ledger) as meter:
            regression = Regression(self.book, self.spec, mastered, context.affordances, meter, max_nodes=200_000)
            candidates = list(self._tries(context.affordances, regression))
            candidates += self._wants(context.snapshot, goals, mastered, regression)
        candidates = [c for c in candidates if not self._excluded(c[0])]
        if not candidates:
            return None
        demand = self._demand(context.snapshot)
        kin = Counter(_kin(fact) for fact, _ in mastered)
        weighed: list[tuple[float, str, Task, str]] = []
        for task, weight, why in candidates:
            if self.settings.strategy == "random":
                weight = 1.0
            elif self.settings.strategy == "demand":
                weight, why = self._weighed(task, weight, why, demand, kin)
            weight *= self._progress(task)
            weight *= 1 + self.settings.jitter * rng.random() if self.settings.strategy != "random" else rng.random()
            weighed.append((weight, _key(task), task, why))
        weight, _, task, why = max(weighed, key=lambda one: one[:2])
        return Proposal(_seeded(task, self.seed, iteration), weight, why)

    def mission(self, goal: Goal, worth: float, iteration: int) -> Proposal:
        """The task that a world's mission poses."""
        text = goal_to_words(goal, self.spec)
        task = Task(goal, self.spec.name, 0, text, fingerprint=self.spec.fingerprint)
        return Proposal(_seeded(task, self.seed, iteration), worth, f"the mission of this life, interest {worth:.2f}")

    # ------------------------------------------------------------------ inside

    def _excluded(self, task: Task) -> bool:
        if not self.settings.exclude:
            return False
        facts = [a.fact for a in task.goal.atoms]
        if task.action is not None:
            facts += [e.fact for e in self.book.contract(Action.parse(task.action)).effects]
        return not self.settings.exclude.isdisjoint(facts)

    def _tries(self, affordances: Sequence[Action], regression: Regression) -> Iterable[tuple[Task, float, str]]:
        """Actions of unknown effect."""
        for action in affordances:
            if action.name in self.spec.seeking or self.book.tried(action):
                continue
            contract = self.book.contract(action)
            known = action in self.book or self.book.declares(action)
            if contract.effects and known and contract.source != "supposed":
                continue
            text = f"find out what {action} does"
            task = Task(Goal(), self.spec.name, 0, text, "try", str(action), fingerprint=self.spec.fingerprint)
            needs = regression.conditions(contract)
            reach = 0.05 if needs is None else _reach(sum(way.cost for _, way in needs))
            why = f"its effect is unknown, reach {reach:.2f}"
            if "reasons" not in self.spec.capabilities and contract.failures:
                reach *= _DULL / (_DULL + contract.failures)  # a failure that has no reason teaches next to nothing
                why += f", {contract.failures} times in vain"
            yield task, reach, why

    def _wants(
        self, snapshot: Snapshot, goals: Sequence[Goal], mastered: dict[Wanted, Known], regression: Regression
    ) -> list[tuple[Task, float, str]]:
        offered = list(dict.fromkeys([*self.wishes, *goals]))
        known = {(g.atoms[0].fact, direction(g.atoms[0])) for g in offered if len(g.atoms) == 1}
        for fact in self.book.produced():
            if (fact, True) not in known and self._plain(fact):
                offered.append(Goal((self.spec.present(fact),)))
        for fact in self._tagged():
            if (fact, True) not in known:
                offered.append(Goal((self.spec.present(fact),)))
        found: list[tuple[Task, float, str]] = []
        for goal in dict.fromkeys(offered):
            task = Task(goal, self.spec.name, 0, goal_to_words(goal, self.spec), fingerprint=self.spec.fingerprint)
            solved = _key(task) in self.solved
            if goal.judged is not None:
                if not solved:
                    found.append((task, 0.3, "proposed"))
                continue
            if not goal.atoms:
                continue
            able = all((a.fact, direction(a)) in mastered for a in goal.atoms)
            if able and not solved and any(_taken_along(a, mastered) for a in goal.atoms):
                able = False  # under other rules: what was never done here has unlocked nothing here
            one = goal.atoms[0].value
            simple = len(goal.atoms) == 1 and (isinstance(one, bool) or one <= 1)  # the skill's own goal
            if (able and (simple or solved or not goal.unmet(snapshot))) or (
                solved and (not simple or isinstance(one, bool))
            ):
                continue
            novelty = 1.0 if goal.unmet(snapshot) else 0.5
            reach = min((self._reach(a, regression) for a in goal.atoms), default=0.0)
            if any(isinstance(t, str) and t.startswith("#") for a in goal.atoms for t in a.fact.args):
                novelty = 0.9
            found.append((task, novelty * reach, f"novelty {novelty:.1f}, reach {reach:.2f}"))
        return found

    def _reach(self, atom: Atom, regression: Regression) -> float:
        """1 where the conditions are at hand, falling with the logarithm of the steps they take; little where one is
        unknown."""
        up = direction(atom)
        if up is None:
            return 0.01
        way = regression.solve(atom.fact, up)
        return 0.05 if way is None else _reach(way.cost)

    def _demand(self, snapshot: Snapshot) -> Mapping[Fact, float]:
        """How many contracts, not yet made use of, need each fact."""
        concerning: defaultdict[Term, list[Fact]] = defaultdict(list)
        for fact in self.book.produced():
            if fact.args:
                concerning[fact.args[0]].append(fact)
        demand: defaultdict[Fact, float] = defaultdict(float)
        for contract in self.book:
            if contract.effects and all(snapshot.value(e.fact) for e in contract.effects):
                continue
            for condition in contract.conditions:
                fact = condition.atom.fact
                demand[fact] += 0.5
                members = self.spec.tags.get(str(fact.args[0]), frozenset()) if fact.args else frozenset()
                for member in sorted(members):
                    demand[Fact(fact.predicate, (member, *fact.args[1:]))] += 1.0 / len(members)
                if not members:
                    demand[fact] += 1
        for fact in sorted(demand, key=str):
            if fact.args and not self.book.producers(fact):
                # Nothing known brings it about, so whatever else concerns the same thing is wanted instead.
                for other in concerning.get(fact.args[0], ()):
                    if other != fact:
                        demand[other] += demand[fact]
        return demand

    def _weighed(
        self, task: Task, weight: float, why: str, demand: Mapping[Fact, float], kin: Counter[str]
    ) -> tuple[float, str]:
        if task.kind == "try":
            return weight * 0.8, why
        if not task.goal.atoms:
            return weight, why
        fact = task.goal.atoms[0].fact
        predicate = self.spec.predicate(fact.predicate)
        if predicate is not None and predicate.context:
            return weight * 1.1, f"{why}, a new place"
        wanted = max(demand.get(a.fact, 0.0) for a in task.goal.atoms)
        family = kin[_kin(fact)]
        factor = (0.3 + 0.4 * math.log1p(wanted)) / (1 + 0.7 * family)
        return weight * factor, f"{why}, wanted by {wanted:.1f} others, {family} of its kind mastered"

    def _progress(self, task: Task) -> float:
        key = _key(task)
        failed = self.failures[key]
        if not failed:
            return 1.0
        stale = self.book.version - self.failed_at.get(key, 0) < _STALE
        backoff = self.settings.backoff_stale if stale else self.settings.backoff
        return backoff ** min(failed, _MANY) * min(1.0, _MANY / failed)  # of those that failed often each has its turn

    def _plain(self, fact: Fact) -> bool:
        predicate = self.spec.predicate(fact.predicate)
        if predicate is None or predicate.context:
            return False
        if fact.predicate not in self.spec.sought:
            return True
        return any(brings_about(c, fact) for c in self.book.producers(fact))

    def _tagged(self) -> list[Fact]:
        tags = {
            c.atom.fact
            for contract in self.book
            for c in contract.conditions
            if c.atom.fact.args and str(c.atom.fact.args[0]).startswith("#")
        }
        return sorted(
            f
            for f in tags
            if any(
                self.book.producers(Fact(f.predicate, (m, *f.args[1:]))) for m in self.spec.tags.get(str(f.args[0]), ())
            )
        )


def _taken_along(atom: Atom, mastered: Mapping[Wanted, Known]) -> bool:
    """Whether it is mastered by a skill that was learned under other rules."""
    up = direction(atom)
    known = mastered.get((atom.fact, up)) if up is not None else None
    return known is not None and "carried" in known.skill.meta


def _reach(cost: float) -> float:
    return 1.0 / (1.0 + 0.15 * math.log1p(cost))


def _key(task: Task) -> str:
    return f"{_TRY}{task.action}" if task.kind == "try" else str(task.goal)


def _kin(fact: Fact) -> str:
    """The family of a thing, by the last word of its name: both kinds of wool are wool."""
    return f"{fact.predicate}:{str(fact.args[0]).rsplit('_', 1)[-1]}" if fact.args else fact.predicate


def _seeded(task: Task, seed: int, iteration: int) -> Task:
    number = random.Random(f"task:{seed}:{iteration}").getrandbits(31)
    return replace(task, seed=number)
