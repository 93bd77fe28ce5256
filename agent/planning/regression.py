"""Goal regression: from what is wanted back to what must be done, over contracts (AND-OR, cheapest first).

A fact is brought about by an action whose contract adds it (OR: any of several), all of whose conditions are brought
about in turn (AND); by looking for it, where a primitive seeks it; or by a known skill, which is a leaf. Source of the
idea: Fikes & Nilsson 1971 (STRIPS), regression as in Waldinger 1977.

Each fact is expanded once. Facts that need each other (to move a file here it must be there, and the other way round)
form a circle, which is settled as a whole: first what is in reach without counting on what holds now, then the rest,
each by the cheapest way that does not need itself. Where that would be too many facts (a folder of a thousand files),
what holds now is taken for given and not looked into.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from habilis.agent.planning.tool_actions import ToolActions
from habilis.core import (
    Action,
    Atom,
    Case,
    Condition,
    Contract,
    Fact,
    Facts,
    Goal,
    GoalSyntaxError,
    InputError,
    Json,
    Primitive,
    Skill,
    Snapshot,
    WorldSpec,
)
from habilis.memory.contracts import ContractBook

Wanted = tuple[Fact, bool]  # a fact, and whether it is to rise (or become true) or to fall (or become false)
Node = Wanted | Action  # what the search expands: a fact, or the conditions of looking for something

_SEEK_COST = 15.0  # world steps that finding something takes until it has been measured
_NEAR_COST = 3.0
_RARE = 1e-3
_ALTERNATIVES = 6  # how many members of a tag a program offers to choose from
_SPREAD = 1.3  # members that cost up to this factor more than the cheapest are offered too
_WIDE = 1_000  # facts expanded for one question before what holds now is taken for given
_REFINED = 16  # times that a way found within a circle gives way to a cheaper one


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
class Known:
    """A skill that brings a fact about, in one of its cases."""

    skill: Skill
    case: Case


@dataclass(frozen=True)
class Way:
    """How to bring one fact about. ``kind``: "skill", "act", "seek", "any" (a tag: one of ``options``), or "given"
    (nothing known brings it about, but it holds now).

    ``cost`` is in expected world steps per unit; ``height`` the depth of the tree below; ``source`` what has to be
    found first; ``material`` the one thing it uses up, if it uses up just one.
    """

    wanted: Wanted
    kind: str
    cost: float
    height: int = 0
    known: Known | None = None
    contract: Contract | None = None
    seek: Action | None = None
    needs: tuple[tuple[Condition, Way], ...] = ()
    options: tuple[Way, ...] = ()
    fallback: Way | None = None
    source: Source | None = None
    material: str | None = None


Needs = tuple[tuple[Condition, Way], ...]
_Step = tuple[Condition, Action | None, Wanted]  # a condition, the looking that comes before, what is to be so


@dataclass(frozen=True)
class _Found:
    """What is best for a node: the way for a fact, or (looking) what it needs. ``inside``: the nodes of its
    circle that it makes use of, at any depth."""

    cost: float
    way: Way | None = None
    needs: Needs = ()
    inside: frozenset[Node] = frozenset()


class _TooWide(Exception):
    """More was expanded for one question than is worth it."""


@dataclass
class Regression:
    """One search. ``nodes`` counts what it expanded; ``charge`` is told of each and may raise `BudgetExceeded`.
    ``tools``: contracts of tools, which cost what is not counted in steps; called where nothing else leads on."""

    book: ContractBook
    spec: WorldSpec
    skills: Mapping[Wanted, Known] = field(default_factory=dict)
    affordances: Iterable[Action] = ()
    charge: Callable[[int], None] | None = None
    max_nodes: int = 30_000
    facts: Facts = field(default_factory=dict)
    tools: ToolActions | None = None
    nodes: int = 0
    _found: dict[Node, _Found] = field(default_factory=dict)
    _done: set[Node] = field(default_factory=set)
    _steps_of: dict[Node, list[tuple[Contract, list[_Step]]]] = field(default_factory=dict)
    _members: dict[Node, list[Wanted]] = field(default_factory=dict)
    _above: dict[Node, dict[Node, None]] = field(default_factory=dict)
    _narrow: bool = False
    _widest: int = 0
    _circle: frozenset[Node] = frozenset()
    _hopeless: frozenset[Node] = frozenset()
    _seekers: dict[str, Primitive] = field(default_factory=dict)
    _rank: dict[str, int] = field(default_factory=dict)
    _afforded: dict[Wanted, list[Contract]] | None = None
    _snapshot: Snapshot = field(default_factory=Snapshot)

    def __post_init__(self) -> None:
        self._seekers = {p.seeks: p for p in self.spec.primitives if p.seeks}
        self._rank = {p.name: i for i, p in enumerate(self.spec.primitives)}
        self.affordances = tuple(self.affordances)
        self._snapshot = Snapshot(self.facts, self.spec.tags)

    def solve(self, fact: Fact, up: bool = True) -> Way | None:
        """The cheapest way known, or None where nothing known leads there."""
        wanted = (fact, up)
        if wanted in self._done:
            self._count()
        self._settle([wanted])
        found = self._found.get(wanted)
        return found.way if found is not None else None

    def conditions(self, contract: Contract) -> Needs | None:
        """How to bring about all conditions of a contract, or None if one is out of reach."""
        steps = self._steps(contract)
        if steps is None:
            return None
        self._settle(self._below(steps))
        found = self._needs(None, steps)
        return found.needs if found is not None else None

    def blockers(self, fact: Fact, up: bool = True, limit: int = 3) -> list[Fact]:
        """Facts that stand in the way: nothing known brings them about, and all that leads to ``fact`` needs one."""
        found: list[Fact] = []
        seen: set[Wanted] = set()
        todo: list[Wanted] = [(fact, up)]
        while todo and len(found) < limit:
            wanted = todo.pop(0)
            if wanted in seen or self.solve(*wanted) is not None:
                continue
            seen.add(wanted)
            contracts = self._contracts(wanted)
            if not contracts:
                found.append(wanted[0])
            for contract in contracts:
                for condition in contract.conditions:
                    rise = direction(condition.atom)
                    if rise is not None:
                        todo.append((condition.atom.fact, rise))
        return found

    def is_sought(self, fact: Fact) -> Primitive | None:
        return self._seekers.get(fact.predicate)

    # ------------------------------------------------------------------ what is below what

    def _count(self) -> None:
        self.nodes += 1
        if self.charge is not None:
            self.charge(1)

    def _settle(self, roots: Sequence[Node]) -> None:
        self._widest = self.nodes + _WIDE
        try:
            self._explore(roots)
        except _TooWide:
            self._narrow = True
            self._explore(roots)

    def _explore(self, roots: Iterable[Node]) -> None:
        """Find the best way to each root and to all below it, one circle after the other, the lowest first.

        Circles are the strongly connected components, found as in Tarjan 1972.
        """
        index: dict[Node, int] = {}
        low: dict[Node, int] = {}
        stack: dict[Node, None] = {}
        for root in roots:
            if root in self._done or root in index:
                continue
            work: list[tuple[Node, Iterator[Node]]] = []
            entering: Node | None = root
            while entering is not None or work:
                if entering is not None:
                    index[entering] = low[entering] = len(index)
                    stack[entering] = None
                    work.append((entering, iter(self._open(entering))))
                    entering = None
                node, below = work[-1]
                for child in below:
                    if child in self._done:
                        continue
                    if child not in index:
                        entering = child
                        break
                    low[node] = min(low[node], index[child])
                if entering is not None:
                    continue
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == index[node]:
                    circle: list[Node] = []
                    while not circle or circle[-1] != node:
                        circle.append(stack.popitem()[0])
                    self._close(circle)

    def _open(self, node: Node) -> Sequence[Node]:
        """Expand a node: what it may need."""
        if isinstance(node, Action):
            contracts = [self.book.contract(node)]
        else:
            if self.facts and not self._narrow and self.nodes > self._widest:
                raise _TooWide
            self._count()
            fact, up = node
            if node in self.skills or self.nodes > self.max_nodes:
                contracts = []
            elif up and fact.args and isinstance(fact.args[0], str) and fact.args[0].startswith("#"):
                members = sorted(self.spec.tags.get(fact.args[0], ()))
                one = [(Fact(fact.predicate, (member, *fact.args[1:])), True) for member in members]
                self._members[node] = [w for w in one if w in self.skills or self._producers(w)]
                contracts = []
            else:
                contracts = [c for c in self._contracts(node) if self._leads(c, fact, up)]
        self._steps_of[node] = [(c, steps) for c in contracts if (steps := self._steps(c)) is not None]
        children: dict[Node, None] = dict.fromkeys(self._members.get(node, ()))
        for _, steps in self._steps_of[node]:
            children.update(dict.fromkeys(self._below(steps)))
        for child in children:
            self._above.setdefault(child, {})[node] = None
        return list(children)

    def _leads(self, contract: Contract, fact: Fact, up: bool) -> bool:
        if contract.effect_on(fact, up) is None:
            return False
        return fact.predicate not in self._seekers or brings_about(contract, fact)

    def _steps(self, contract: Contract) -> list[_Step] | None:
        """The conditions in order; None where one is of a kind that nothing brings about."""
        steps: list[_Step] = []
        for condition in contract.conditions:
            fact, up = condition.atom.fact, direction(condition.atom)
            if up is None:
                return None
            seeker = self._seekers.get(fact.predicate) if up else None
            seek = None if seeker is None else Action(seeker.name, (*fact.args, *self._where(seeker, contract)))
            steps.append((condition, seek, (fact, up)))
        return steps

    def _below(self, steps: Iterable[_Step]) -> list[Node]:
        nodes: list[Node] = []
        for condition, seek, wanted in steps:
            if seek is not None:
                nodes += [seek, wanted]
            elif not (self._narrow and self._is_so(condition.atom)):
                nodes.append(wanted)
        return nodes

    def _is_so(self, atom: Atom) -> bool:
        """Whether it is true or false as it should be, now: numbers are used up, so that more may be needed."""
        return isinstance(atom.value, bool) and self._snapshot.holds(atom)

    def _contracts(self, wanted: Wanted) -> list[Contract]:
        """What brings a fact about; of equal cost is preferred what the world names first."""
        known = self._producers(wanted) or self.book.instances(*wanted, self.facts)
        if not known and self.tools is not None:
            known = self.tools.instances(*wanted, self.facts)
        return sorted(_meant(known, wanted[0]), key=lambda c: self._rank.get(c.action.name, len(self._rank)))

    def _producers(self, wanted: Wanted) -> list[Contract]:
        """The actions known to bring a fact about, and what is afforded and predicted to, looked through only once.
        Where there is none: what did so in another world."""
        if self._afforded is None:
            self._afforded = {}
            for action in sorted(set(self.affordances), key=str):
                if self.book.understands(action):
                    continue
                predicted = self.book.predicted(action)
                for fact in dict.fromkeys(e.fact for e in predicted.effects):
                    for up in (True, False):
                        if predicted.effect_on(fact, up):
                            self._afforded.setdefault((fact, up), []).append(predicted)
        known = self.book.producers(*wanted) + self._afforded.get(wanted, [])
        return known or self.book.supposed(*wanted)

    # ------------------------------------------------------------------ the best way

    def _close(self, circle: list[Node]) -> None:
        """Find the best way to each node of a circle, all below which is settled."""
        node = circle[0]
        if len(circle) == 1 and node not in self._above.get(node, ()):
            found = self._value(node)
            if found is not None:
                self._found[node] = found
        else:
            self._circle = frozenset(circle)
            self._spread(circle)
            # What holds now is counted on only where nothing else leads there.
            self._hopeless = frozenset(n for n in circle if n not in self._found)
            if self._hopeless:
                self._spread(circle)
            self._circle = self._hopeless = frozenset()
        self._done.update(circle)

    def _spread(self, circle: list[Node]) -> None:
        """Value each node, and again whenever a node that it may need has come into reach or become cheaper."""
        queue = deque(dict.fromkeys(circle))
        waiting = set(circle)
        refined: Counter[Node] = Counter()
        while queue:
            node = queue.popleft()
            waiting.discard(node)
            found, before = self._value(node), self._found.get(node)
            if found is None or (before is not None and not _better(found, before)):
                continue
            if refined[node] > _REFINED:
                continue
            refined[node] += 1
            self._found[node] = found
            for above in self._above.get(node, ()):
                if above in self._circle and above not in waiting:
                    waiting.add(above)
                    queue.append(above)

    def _value(self, node: Node) -> _Found | None:
        """The best way to a node, as its circle now stands."""
        if isinstance(node, Action):
            return next((self._needs(node, steps) for _, steps in self._steps_of[node]), None)
        known = self.skills.get(node)
        if known is not None:
            case = known.case
            source = Source.parse(case.sources[0]) if case.sources else None
            way = Way(node, "skill", case.cost, height=1, known=known, source=source, material=case.material)
            return _Found(way.cost, way)
        if node in self._members:
            return self._any(node)
        best: _Found | None = None
        for contract, steps in self._steps_of[node]:
            found = self._act(node, contract, steps)
            if found is not None and (best is None or found.cost < best.cost):
                best = found
        fact, up = node
        seeker = self._seekers.get(fact.predicate)
        if up and seeker is not None:
            way = self._seek(node, seeker, best.way if best is not None else None)
            return _Found(way.cost, way, inside=best.inside if best is not None else frozenset())
        return best

    def _usable(self, child: Node, node: Node | None) -> _Found | None:
        """The way to a child, unless it needs the node itself."""
        found = self._found.get(child)
        if found is None or child not in self._circle:
            return found
        return None if child == node or node in found.inside else found

    def _within(self, used: Iterable[Node]) -> frozenset[Node]:
        """The nodes of this circle that are made use of."""
        inside: set[Node] = set()
        for child in used:
            if child in self._circle:
                inside.add(child)
                inside |= self._found[child].inside
        return frozenset(inside)

    def _any(self, wanted: Wanted) -> _Found | None:
        usable = [self._usable(one, wanted) for one in self._members[wanted]]
        found = [f.way for f in usable if f is not None and f.way is not None]
        if not found:
            return None
        # What was done before comes before what is only said to work: half of a contract may still be unknown.
        found = [c for c in found if c.contract is None or c.contract.successes] or found
        found.sort(key=lambda c: (c.cost, c.wanted[0]))
        members = self.spec.tags.get(str(wanted[0].args[0]), frozenset())
        # What is made of another member would only turn one into the other.
        found = [c for c in found if c.material not in members] or found
        near = tuple(c for c in found if c.cost <= found[0].cost * _SPREAD + 1)[:_ALTERNATIVES]
        way = Way(wanted, "any", found[0].cost, 1 + max(c.height for c in near), options=near, source=near[0].source)
        return _Found(way.cost, way, inside=self._within(c.wanted for c in near))

    def _act(self, wanted: Wanted, contract: Contract, steps: list[_Step]) -> _Found | None:
        effect = contract.effect_on(*wanted)
        below = self._needs(wanted, steps)
        if effect is None or below is None:
            return None
        gain = max(_RARE, abs(effect.amount)) if effect.value is None else 1.0
        cost, height, source, material = max(1.0, contract.cost), 0, None, None
        used = [c for c, _ in below.needs if c.consumed >= 0.5]
        for condition, way in below.needs:
            share = max(1.0, condition.consumed) if condition.consumed >= 0.5 else 1.0
            if condition.consumed < 0.5 and way.kind != "seek":
                share = 0.3  # a kept thing serves many times
                if self._is_so(condition.atom):
                    share = 0.0  # and what is so already takes nothing
            cost += way.cost * share
            height = max(height, way.height)
            source = source or way.source
        if len(used) == 1 and used[0].atom.fact.args and not str(used[0].atom.fact.args[0]).startswith("#"):
            material = str(used[0].atom.fact.args[0])
        way = Way(
            wanted,
            "act",
            cost / min(gain, 64.0),
            height + 1,
            contract=contract,
            needs=below.needs,
            source=source,
            material=material,
        )
        return _Found(way.cost, way, inside=below.inside)

    def _needs(self, node: Node | None, steps: list[_Step]) -> _Found | None:
        needs: list[tuple[Condition, Way]] = []
        used: list[Node] = []
        for condition, seek, wanted in steps:
            atom = condition.atom
            if seek is None and self._is_given(wanted, atom):
                needs.append((condition, Way(wanted, "given", 0.0)))
                continue
            found = self._usable(wanted, node)
            if found is None or found.way is None:
                return None
            used.append(wanted)
            way = found.way
            if seek is None:
                needs.append((condition, way))
                continue
            looking = self._usable(seek, node)
            if looking is None:
                return None
            used.append(seek)
            needs.extend(n for n in looking.needs if n[0].atom not in {c.atom for c, _ in needs})
            if way.kind == "seek":
                target = str(atom.fact.args[0]) if atom.fact.args else ""
                where = tuple(w for w in seek.args[len(atom.fact.args) :] if isinstance(w, int))
                cost = way.cost
                if way.fallback is None:
                    cost = _looking(self.book.contract(seek), _SEEK_COST)
                source = Source(target, where) if way.fallback is None else way.source
                way = replace(way, seek=seek, source=source, cost=cost)
            needs.append((Condition(atom), way))
        return _Found(sum(way.cost for _, way in needs), needs=tuple(needs), inside=self._within(used))

    def _is_given(self, wanted: Wanted, atom: Atom) -> bool:
        """Whether an atom holds now and there is nothing else to count on."""
        if self._narrow and self._is_so(atom):
            return True
        known = wanted not in self._hopeless if wanted in self._circle else wanted in self._found
        return not known and self._snapshot.holds(atom)

    def _seek(self, wanted: Wanted, seeker: Primitive, other: Way | None) -> Way:
        fact, _ = wanted
        seek = Action(seeker.name, fact.args)
        cost = _looking(self.book.contract(seek), _NEAR_COST if other is not None else _SEEK_COST)
        if other is not None:
            cost = min(cost, _NEAR_COST) + 0.3 * other.cost
        height = other.height + 1 if other is not None else 0
        target = str(fact.args[0]) if fact.args else ""
        source = other.source if other is not None else Source(target)
        return Way(wanted, "seek", cost, height, seek=seek, fallback=other, source=source)

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


def _better(found: _Found, before: _Found) -> bool:
    """Whether a way within a circle replaces the one before: it is cheaper, or offers other members of a tag."""
    if found.way is not None and before.way is not None and found.way.kind == "any":
        return [c.wanted for c in found.way.options] != [c.wanted for c in before.way.options]
    return found.cost < before.cost - 1e-9


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
    if effect is None or not set(contract.action.args) & set(fact.args):
        return False
    return not isinstance(effect.value, bool) or effect.seen * 2 >= contract.successes


def _meant(contracts: list[Contract], fact: Fact) -> list[Contract]:
    """Of one primitive only the actions that name what a truth is about, where there are some: to pick up a ball may
    happen to pick up the red one."""
    naming = {c.action.name for c in contracts if _names(c, fact)}
    return [c for c in contracts if c.action.name not in naming or _names(c, fact)]


def _names(contract: Contract, fact: Fact) -> bool:
    effect = contract.effect_on(fact)
    return effect is not None and effect.value is True and bool(set(contract.action.args) & set(fact.args))


def skills_by_fact(skills: Iterable[Skill]) -> dict[Wanted, Known]:
    """Skills whose goal is a single atom, case by case, by the fact they bring about; the cheapest where several do."""
    found: dict[Wanted, Known] = {}
    known = [Known(s, case) for s in skills for case in s.settings if not case.successor]
    for one in sorted(known, key=lambda k: (k.case.cost, k.skill.name)):
        given: dict[str, Json] = {"n": 1, **one.case.args}
        if any(p.name not in given for p in one.skill.program.parameters):
            continue
        try:
            goal: Goal = one.skill.goal_for(given)
        except (GoalSyntaxError, InputError):
            continue
        if len(goal.atoms) != 1:
            continue
        up = direction(goal.atoms[0])
        if up is not None:
            found.setdefault((goal.atoms[0].fact, up), one)
    return found
