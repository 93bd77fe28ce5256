"""Goal regression: from what is wanted back to what must be done, over contracts (AND-OR, cheapest first).

A fact is brought about by an action whose contract adds it (OR: any of several), all of whose conditions are brought
about in turn (AND); by looking for it, where a primitive seeks it; or by a known skill, which is a leaf. Source of the
idea: Fikes & Nilsson 1971 (STRIPS), regression as in Waldinger 1977.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from habilis.core import (
    Action,
    Atom,
    Condition,
    Contract,
    Fact,
    Facts,
    Goal,
    GoalSyntaxError,
    Primitive,
    Skill,
    Snapshot,
    WorldSpec,
)
from habilis.memory.contracts import ContractBook

Wanted = tuple[Fact, bool]  # a fact, and whether it is to rise (or become true) or to fall (or become false)

_SEEK_COST = 15.0  # world steps that finding something takes until it has been measured
_NEAR_COST = 3.0
_RARE = 1e-3
_ALTERNATIVES = 6  # how many members of a tag a program offers to choose from
_SPREAD = 1.3  # members that cost up to this factor more than the cheapest are offered too


@dataclass(frozen=True)
class Source:
    """Something to be found in the world, and where (the arguments of the seeking primitive after the target)."""

    target: str
    where: tuple[int, ...] = ()

    def __str__(self) -> str:
        return "@".join([self.target, *map(str, self.where)])

    @classmethod
    def parse(cls, text: str) -> Source:
        target, *where = text.split("@")
        return cls(target, tuple(int(w) for w in where))


@dataclass(frozen=True)
class Choice:
    """How to bring one fact about. ``kind``: "skill", "act", "seek", "any" (a tag: one of ``options``), or "given"
    (nothing known brings it about, but it holds now).

    ``cost`` is in expected world steps per unit; ``height`` the depth of the tree below; ``source`` what has to be
    found first; ``material`` the one thing it uses up, if it uses up just one.
    """

    wanted: Wanted
    kind: str
    cost: float
    height: int = 0
    skill: Skill | None = None
    contract: Contract | None = None
    seek: Action | None = None
    needs: tuple[tuple[Condition, Choice], ...] = ()
    options: tuple[Choice, ...] = ()
    fallback: Choice | None = None
    source: Source | None = None
    material: str | None = None


@dataclass
class Regression:
    """One search. ``nodes`` counts what it expanded; ``charge`` is told of each and may raise `BudgetExceeded`."""

    book: ContractBook
    spec: WorldSpec
    skills: Mapping[Wanted, Skill] = field(default_factory=dict)
    affordances: Iterable[Action] = ()
    charge: Callable[[int], None] | None = None
    max_nodes: int = 30_000
    facts: Facts = field(default_factory=dict)
    nodes: int = 0
    _memo: dict[Wanted, Choice | None] = field(default_factory=dict)
    _seekers: dict[str, Primitive] = field(default_factory=dict)
    _cut: bool = False
    _assumed: bool = False
    _snapshot: Snapshot = field(default_factory=Snapshot)

    def __post_init__(self) -> None:
        self._seekers = {p.seeks: p for p in self.spec.primitives if p.seeks}
        self.affordances = tuple(self.affordances)
        self._snapshot = Snapshot(self.facts, self.spec.tags)

    def solve(self, fact: Fact, up: bool = True) -> Choice | None:
        """The cheapest way known, or None where nothing known leads there."""
        return self._solve((fact, up), frozenset())

    def conditions(self, contract: Contract) -> tuple[tuple[Condition, Choice], ...] | None:
        """How to bring about all conditions of a contract, or None if one is out of reach."""
        return self._needs(contract, frozenset())

    def blockers(self, fact: Fact, up: bool = True, limit: int = 3) -> list[Fact]:
        """Facts that stand in the way: nothing known brings them about, and all that leads to ``fact`` needs one."""
        found: list[Fact] = []
        seen: set[Wanted] = set()
        todo: list[Wanted] = [(fact, up)]
        while todo and len(found) < limit:
            wanted = todo.pop(0)
            if wanted in seen or self._solve(wanted, frozenset()) is not None:
                continue
            seen.add(wanted)
            contracts = self._contracts(wanted)
            if not contracts:
                found.append(wanted[0])
            for contract in contracts:
                for condition in contract.conditions:
                    way = direction(condition.atom)
                    if way is not None:
                        todo.append((condition.atom.fact, way))
        return found

    def is_sought(self, fact: Fact) -> Primitive | None:
        return self._seekers.get(fact.predicate)

    # ------------------------------------------------------------------ inside

    def _solve(self, wanted: Wanted, path: frozenset[Wanted]) -> Choice | None:
        self.nodes += 1
        if self.charge is not None:
            self.charge(1)
        skill = self.skills.get(wanted)
        if skill is not None:
            sources = skill.sources
            return Choice(
                wanted,
                "skill",
                skill.cost,
                height=1,
                skill=skill,
                source=Source.parse(sources[0]) if sources else None,
                material=skill.meta.get("material"),
            )
        if wanted in self._memo:
            return self._memo[wanted]
        if wanted in path or self.nodes > self.max_nodes:
            self._cut = True
            return None
        outer, assumed, self._cut, self._assumed = self._cut, self._assumed, False, False
        best = self._expand(wanted, path | {wanted})
        # A failure under a cut path says nothing about other paths, nor does a success that took for given what was
        # cut; other successes and clean failures do.
        if not path or not (self._cut if best is None else self._assumed):
            self._memo[wanted] = best
        self._cut = outer or (self._cut and best is None)
        self._assumed |= assumed
        return best

    def _expand(self, wanted: Wanted, path: frozenset[Wanted]) -> Choice | None:
        fact, up = wanted
        if up and fact.args and isinstance(fact.args[0], str) and fact.args[0].startswith("#"):
            return self._any(wanted, path)
        best: Choice | None = None
        for contract in self._contracts(wanted):
            choice = self._act(wanted, contract, path)
            if choice is not None and (best is None or choice.cost < best.cost):
                best = choice
        seeker = self._seekers.get(fact.predicate)
        if up and seeker is not None:
            return self._seek(wanted, seeker, best)
        return best

    def _contracts(self, wanted: Wanted) -> list[Contract]:
        known = self.book.producers(*wanted, self.affordances)
        return known or self.book.instances(*wanted, self.facts)

    def _any(self, wanted: Wanted, path: frozenset[Wanted]) -> Choice | None:
        fact, _ = wanted
        found: list[Choice] = []
        for member in sorted(self.spec.tags.get(str(fact.args[0]), ())):
            one = Fact(fact.predicate, (member, *fact.args[1:]))
            if (one, True) in self.skills or self.book.producers(one, True, self.affordances):
                choice = self._solve((one, True), path)
                if choice is not None:
                    found.append(choice)
        if not found:
            return None
        # What was done before comes before what is only said to work: half of a contract may still be unknown.
        found = [c for c in found if c.contract is None or c.contract.successes] or found
        found.sort(key=lambda c: (c.cost, c.wanted[0]))
        members = self.spec.tags.get(str(fact.args[0]), frozenset())
        # What is made of another member would only turn one into the other.
        found = [c for c in found if c.material not in members] or found
        near = tuple(c for c in found if c.cost <= found[0].cost * _SPREAD + 1)[:_ALTERNATIVES]
        return Choice(
            wanted, "any", found[0].cost, 1 + max(c.height for c in near), options=near, source=near[0].source
        )

    def _act(self, wanted: Wanted, contract: Contract, path: frozenset[Wanted]) -> Choice | None:
        fact, up = wanted
        effect = contract.effect_on(fact, up)
        if effect is None:
            return None
        if fact.predicate in self._seekers and not brings_about(contract, fact):
            return None
        needs = self._needs(contract, path)
        if needs is None:
            return None
        gain = max(_RARE, abs(effect.amount)) if effect.value is None else 1.0
        cost, height, source, material = max(1.0, contract.cost), 0, None, None
        used = [c for c, _ in needs if c.consumed >= 0.5]
        for condition, choice in needs:
            share = max(1.0, condition.consumed) if condition.consumed >= 0.5 else 1.0
            if condition.consumed < 0.5 and choice.kind != "seek":
                share = 0.3  # a kept thing serves many times
            cost += choice.cost * share
            height = max(height, choice.height)
            source = source or choice.source
        if len(used) == 1 and used[0].atom.fact.args and not str(used[0].atom.fact.args[0]).startswith("#"):
            material = str(used[0].atom.fact.args[0])
        return Choice(
            wanted,
            "act",
            cost / min(gain, 64.0),
            height + 1,
            contract=contract,
            needs=needs,
            source=source,
            material=material,
        )

    def _needs(self, contract: Contract, path: frozenset[Wanted]) -> tuple[tuple[Condition, Choice], ...] | None:
        needs: list[tuple[Condition, Choice]] = []
        for condition in contract.conditions:
            atom = condition.atom
            seeker = self._seekers.get(atom.fact.predicate)
            if seeker is not None and direction(atom) is True:
                where = self._where(seeker, contract)
                seek = Action(seeker.name, (*atom.fact.args, *where))
                looking = (Fact(seek.name, seek.args), True)
                if looking in path:
                    self._cut = True
                    return None
                below = self._needs(self.book.contract(seek), path | {looking})
                if below is None:
                    return None
                needs.extend(n for n in below if n[0].atom not in {c.atom for c, _ in needs})
                choice = self._solve((atom.fact, True), path)
                if choice is None:
                    return None
                target = str(atom.fact.args[0]) if atom.fact.args else ""
                found = Source(target, where) if choice.fallback is None else choice.source
                if choice.kind == "seek":
                    cost = (
                        choice.cost if choice.fallback is not None else _looking(self.book.contract(seek), _SEEK_COST)
                    )
                    choice = replace(choice, seek=seek, source=found, cost=cost)
                needs.append((Condition(atom), choice))
                continue
            up = direction(atom)
            if up is None:
                return None
            below_choice = self._solve((atom.fact, up), path)
            if below_choice is None and self._snapshot.holds(atom):
                below_choice = Choice((atom.fact, up), "given", 0.0)
                self._assumed |= self._cut
            if below_choice is None:
                return None
            needs.append((condition, below_choice))
        return tuple(needs)

    def _seek(self, wanted: Wanted, seeker: Primitive, other: Choice | None) -> Choice:
        fact, _ = wanted
        seek = Action(seeker.name, fact.args)
        cost = _looking(self.book.contract(seek), _NEAR_COST if other is not None else _SEEK_COST)
        if other is not None:
            cost = min(cost, _NEAR_COST) + 0.3 * other.cost
        height = other.height + 1 if other is not None else 0
        target = str(fact.args[0]) if fact.args else ""
        source = other.source if other is not None else Source(target)
        return Choice(wanted, "seek", cost, height, seek=seek, fallback=other, source=source)

    def _where(self, seeker: Primitive, contract: Contract) -> tuple[int, ...]:
        """Where this action has worked before: the values of the context that the seeking primitive takes."""
        named = {p.name for p in seeker.parameters}
        counts: dict[Fact, dict[int, int]] = {}
        for atom, times in contract.context:
            if atom.fact.predicate in named and not atom.fact.args and isinstance(atom.value, int):
                counts.setdefault(atom.fact, {})[atom.value] = times
        where = []
        for fact in sorted(counts):
            where.append(min(counts[fact], key=lambda v: (-counts[fact][v], abs(v))))
        return tuple(where)


def direction(atom: Atom) -> bool | None:
    """Whether a fact must rise (True) or fall (False) to satisfy the atom; None where neither is enough."""
    if isinstance(atom.value, bool):
        return atom.value if atom.op == "==" else (not atom.value if atom.op == "!=" else None)
    if atom.op in (">=", ">"):
        return True
    if atom.op in ("<=", "<"):
        return False
    return None


def _looking(contract: Contract, usual: float) -> float:
    """World steps until something is found: what was walked in all, over how often it was found."""
    tries = contract.successes + contract.failures
    return (contract.cost * tries + usual) / (contract.successes + 1) if tries else usual


def brings_about(contract: Contract, fact: Fact) -> bool:
    """Whether an action makes something come into reach by its own doing; moving about does so by chance."""
    effect = contract.effect_on(fact)
    return effect is not None and bool(set(contract.action.args) & set(fact.args))


def skills_by_fact(skills: Iterable[Skill]) -> dict[Wanted, Skill]:
    """Skills whose goal is a single atom, by the fact they bring about; the cheapest where several do."""
    found: dict[Wanted, Skill] = {}
    for skill in sorted(skills, key=lambda s: (s.cost, s.name)):
        if any(p.name != "n" for p in skill.program.parameters):
            continue
        try:
            goal: Goal = skill.goal_for({p.name: 1 for p in skill.program.parameters})
        except GoalSyntaxError:
            continue
        if len(goal.atoms) != 1:
            continue
        up = direction(goal.atoms[0])
        if up is not None:
            found.setdefault((goal.atoms[0].fact, up), skill)
    return found
