"""The household world: the protocol that every world satisfies, over a house and what the agent knows of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Any

from habilis.core import (
    Action,
    Atom,
    Contract,
    Goal,
    InputError,
    Json,
    Observation,
    Outcome,
    Question,
    Snapshot,
    WorldSpec,
)
from habilis.core.world import Change
from habilis.worlds.household import _people as people_
from habilis.worlds.household._house import House
from habilis.worlds.household._memory import Memory
from habilis.worlds.household._people import Deed, Mind
from habilis.worlds.household._plan import Plan
from habilis.worlds.household._rules import BY_NAME, Lack, Rule
from habilis.worlds.household._search import Seeking
from habilis.worlds.household._spec import spec
from habilis.worlds.household.chores import chores
from habilis.worlds.household.contracts import atom_of, declared, put_back_contracts, watch_contracts
from habilis.worlds.household.generator import all_tags, build
from habilis.worlds.household.graphs import graph_of, plan_of, read_graph
from habilis.worlds.household.wishes import afforded, wanted

_OPTIONS: dict[str, tuple[str, ...]] = {
    "view": ("partial", "full"),
    "contracts": ("told", "hidden"),
    "reasons": ("all", "none"),
    "people": ("none", "some", "always"),
}
_SEEKERS = {"walk": "close_to", "find": "in_reach"}
_CLOSENESS = frozenset({"close_to", "in_reach"})
_FAILED = Outcome(False, message="it did not work")


class HouseholdWorld:
    """Rooms, things and their states, after VirtualHome; houses from a seed, or one from a scene graph.

    Args:
        view: "partial" (where things lie is known once they were seen) or "full".
        contracts: "told" (`contracts` gives the rules of every action) or "hidden" (they are to be found out).
        reasons: "all" (a failed action answers its complete list of unmet atoms) or "none".
        people: who else lives there, who acts on aims of their own: "none", "some" (in every third house) or "always".
        size: 0 (only what every house has, about 95 things) to 1 (up to 250).
        scene: a file with a scene graph of VirtualHome's; every seed then begins in that house.

    Raises `InputError` for any other value. The world starts at seed 0; call `reset` for another.
    """

    spec: WorldSpec
    witness: Callable[[Mind, Deed | None], None] | None = None  # told of each step of another person

    def __init__(
        self,
        *,
        view: str = "partial",
        contracts: str = "told",
        reasons: str = "all",
        people: str = "none",
        size: float = 1.0,
        scene: str | Path | None = None,
    ) -> None:
        given = {"view": view, "contracts": contracts, "reasons": reasons, "people": people}
        for option, value in given.items():
            if value not in _OPTIONS[option]:
                raise InputError(
                    f"household has no {option}={value!r}; use one of {', '.join(map(repr, _OPTIONS[option]))}"
                )
        if isinstance(size, bool) or not isinstance(size, (int, float)) or not 0 <= size <= 1:
            raise InputError(f"household takes size=0 to 1, not {size!r}")
        self._view, self._told, self._people, self._size = view, contracts == "told", people, float(size)
        self._reasons = reasons == "all"
        self._scene: Plan | None = None
        source, tags = f"generated:{people}:{self._size}:{view}", all_tags()
        if scene is not None:
            graph = read_graph(scene)
            self._scene = plan_of(graph)
            digest = hashlib.sha256(json.dumps(graph, sort_keys=True).encode()).hexdigest()
            source, tags = f"scene:{digest}:{view}", self._scene.tags  # type: ignore[assignment]
        self.spec = spec(view, self._told, self._reasons, people, source, tags)
        self.reset(0)

    # -- the protocol ------------------------------------------------------------------------------------------------

    def reset(self, seed: int) -> Observation:
        """Begin in the house of this seed."""
        if isinstance(seed, bool) or not isinstance(seed, int):
            raise InputError(f"a seed is a whole number, not {seed!r}")
        self.seed = seed
        self.house = House(self.plan_for(seed))
        self.memory = Memory(self.house, self._view == "full")
        luck = int.from_bytes(hashlib.sha256(f"luck:{seed}".encode()).digest()[:7])
        self.minds: tuple[Mind, ...] = tuple(Mind("", (), luck, who) for who in range(1, len(self.house.people)))
        self._changes: list[Change] = []
        return self.observe()

    def observe(self) -> Observation:
        return Snapshot(facts=self.memory.facts(), tags=self.spec.tags, text=self._text())

    def act(self, action: Action) -> Outcome:
        """Do one thing. Raises `InputError` for an action that this world does not have."""
        outcome = self._act(action)
        if outcome.ok or self._reasons:
            return outcome
        return replace(_FAILED, changes=outcome.changes, steps=outcome.steps)

    def _act(self, action: Action) -> Outcome:
        name, args = action
        if name in _SEEKERS:
            return self._seek(name, args)
        rule = BY_NAME.get(name)
        if rule is None:
            known = ", ".join(p.name for p in self.spec.primitives)
            raise InputError(f"household has no action {name!r}; it has {known}")
        if len(args) != len(rule.parameters):
            said = ", ".join(rule.parameters) or "nothing"
            return Outcome(False, message=f"{name} takes ({said}), not {args!r}")
        things = self._things(args)
        if isinstance(things, str):
            return Outcome(False, message=things)
        refusal = rule.refusal(self.house, things)
        if refusal:
            return Outcome(False, message=refusal)
        lacks = rule.lacks(self.house, 0, things)
        if not self.memory.full:
            lacks = self._seen(rule, things, lacks)
        if lacks:
            return _lacking(tuple(atom_of(self.house.plan, n) for n in lacks))
        self._changes = []
        rule.run(self.house, 0, things)
        self.passes(looking=False)
        return Outcome(True, _net(self._changes))

    # -- capabilities ------------------------------------------------------------------------------------------------

    def clone(self) -> HouseholdWorld:
        """An independent copy in a few microseconds; the tables are shared until one of the two changes them."""
        twin = HouseholdWorld.__new__(HouseholdWorld)
        twin.__dict__.update(self.__dict__)
        twin.house, twin.memory, twin._changes = self.house.clone(), self.memory.fork(), []
        twin.witness = None
        return twin

    def simulator(self) -> Any:
        """The belief about this house as it now stands: see `habilis.worlds.household.simulator.Belief`."""
        from habilis.worlds.household.simulator import Belief

        return Belief(self)

    def save(self) -> Json:
        from habilis.worlds.household.checkpoint import save

        return save(self)

    def load(self, state: Json) -> None:
        """Raises `InputError` for a state of another kind of house, or one that is damaged."""
        from habilis.worlds.household.checkpoint import load

        load(self, state)

    def affordances(self) -> Sequence[Action]:
        """What suits the things close by and held (where the rules are hidden, all things here), and going to what is
        in this room and to other rooms."""
        return afforded(self.house, self.memory, self._told)

    def goals(self) -> Sequence[Goal]:
        """What is not so and may be wanted: opened, switched on, put where it is usually kept, sat on, read, …"""
        return [Goal((atom,)) for atom in wanted(self.house, self.memory, self._scene is None)]

    def chores(self) -> Mapping[str, Goal]:
        """What people have a name for; none in a scene graph of one's own, which need not hold the things."""
        return chores() if self._scene is None else {}

    def contracts(self) -> Sequence[Contract]:
        """One per action, for all things; and what putting back takes for each thing held."""
        if not self._told:
            return ()
        mark = self.spec.fingerprint
        plan = self.house.plan
        return (*declared(mark), *watch_contracts(plan, mark), *put_back_contracts(self.house, mark))

    def names(self) -> tuple[str, ...]:
        """Every thing, room, set and deed that a goal may name."""
        deeds = (rule.name for rule in BY_NAME.values() if rule.deed)
        return tuple(sorted({*self.house.plan.names, *self.spec.tags, *deeds}))

    # -- for whoever holds the world ---------------------------------------------------------------------------------

    def questions(self, seed: int, actions: Sequence[Action]) -> Sequence[Question]:
        """What another person was about, and whether they needed help, from what was seen of them."""
        from habilis.worlds.household._asking import questions

        return questions(self, seed, actions)

    def graph(self) -> Json:
        """The house as a scene graph of VirtualHome's: the truth, not what the agent knows."""
        return graph_of(self.house)

    def aim_of(self, person: str) -> str:
        """What a person is truly about: for putting questions about them. Programs never see it.

        Raises `InputError` where nobody is called so.
        """
        for mind in self.minds:
            if self.house.plan.names[self.house.plan.people[mind.who]] == person:
                return mind.aim
        others = [self.house.plan.names[i] for i in self.house.plan.people[1:]]
        raise InputError(f"nobody with aims of their own is called {person!r} here; there is {others or 'nobody else'}")

    def plan_for(self, seed: int) -> Plan:
        """The plan of the house of this seed."""
        if self._scene is not None:
            return self._scene
        second = self._people == "always" or (self._people == "some" and seed % 3 == 0)
        return _plan(seed, self._size, second)

    def passes(self, looking: bool = True) -> None:
        """One world step goes by: the agent sees what it did, others act, and, where it is looking, it looks."""
        if not looking:
            self._changes += self.memory.note(self.house)
        if self.minds:
            done = [people_.step(self.house, mind) for mind in self.minds]
            self.minds = tuple(mind for mind, _ in done)
            if self.witness is not None:
                for mind, deed in done:
                    self.witness(mind, deed)
        if looking:
            self._changes += self.memory.look(self.house)
        elif self.minds:
            full = self.memory.full
            self._changes += self.memory.note(self.house) if full else self.memory.feel(self.house)

    # -- inside ------------------------------------------------------------------------------------------------------

    def _things(self, args: Sequence[str | int]) -> tuple[int, ...] | str:
        """The things that are named, or what is wrong with the names."""
        index = self.house.plan.index
        try:
            return tuple([index[a] for a in args])  # type: ignore[index]  # a number is no name
        except KeyError as error:
            return self._unknown(error.args[0])

    def _unknown(self, name: object) -> str:
        index = self.house.plan.index
        if isinstance(name, str) and name.startswith("#"):
            return f"{name} is a set; only walk and find take one"
        close = get_close_matches(str(name), sorted(index), n=1)
        return f"there is no {name!r} in this house" + (f"; did you mean {close[0]!r}?" if close else "")

    def _seen(self, rule: Rule, things: tuple[int, ...], lacks: list[Lack]) -> list[Lack]:
        """What was never seen is not at hand, even where it happens to be close by."""
        known = self.memory.known
        if all(known(t) is not None for t in things):
            return lacks
        more = [
            Lack(n.predicate, (things[n.args[0]],))
            for n in rule.needs
            if n.predicate in _CLOSENESS and known(things[n.args[0]]) is None
        ]
        return lacks + [n for n in more if n not in lacks]

    def _seek(self, name: str, args: Sequence[str | int]) -> Outcome:
        plan = self.house.plan
        targets: list[int] = []
        for arg in args:
            members = sorted(self.spec.tags.get(str(arg), ()), key=_number) if str(arg).startswith("#") else [str(arg)]
            targets += [plan.index[m] for m in members if m in plan.index]
        if not targets:
            said = self._unknown(args[0]) if args and not str(args[0]).startswith("#") else f"nothing here is {args!r}"
            atoms = tuple(Atom(f) for a in args if isinstance(a, str) for f in [_fact(name, a)])
            known = [
                a for a in atoms if a.fact.args[0] in self.spec.tags or a.fact.args[0] in _all_names(self.spec.tags)
            ]
            return Outcome(False, unmet=tuple(known) or None, message=said)
        self._changes = self.memory.look(self.house, around=True)
        search = Seeking(self, targets, name == "find")
        search.go()
        changes = _net(self._changes)
        if search.reached is not None:
            return Outcome(True, changes, value=plan.names[search.reached], steps=search.steps)
        wanted_ = [Atom(_fact(name, str(a))) for a in args]
        failed = _lacking((*search.unmet, *wanted_))
        return Outcome(False, changes, failed.unmet, failed.message, steps=search.steps)

    def _text(self) -> str:
        plan, me = self.house.plan, self.house.people[0]
        pose = f", {me.pose} on {plan.names[me.seat]}" if me.pose else ""
        held = ", ".join(plan.names[x] for x in me.hands) or "nothing"
        return f"You are in {plan.names[self.memory.room]}{pose}, holding {held}."


def _fact(seeker: str, name: str) -> Any:
    from habilis.core import Fact

    return Fact(_SEEKERS[seeker], (name,))


def _number(name: str) -> tuple[str, int]:
    base, _, number = name.rpartition("_")
    return (base, int(number)) if number.isdigit() else (name, 0)


@lru_cache(maxsize=8)
def _names_of(key: int, tags: tuple[frozenset[str], ...]) -> frozenset[str]:
    return frozenset().union(*tags)


def _all_names(tags: Any) -> frozenset[str]:
    return _names_of(len(tags), tuple(tags.values()))


@lru_cache(maxsize=64)
def _plan(seed: int, size: float, second: bool) -> Plan:
    return build(seed, size=size, second=second)


def _net(changes: list[Change]) -> tuple[Change, ...]:
    """What is different in the end: a fact that came and went again did not change."""
    first: dict[Any, Change] = {}
    for change in changes:
        known = first.get(change.fact)
        first[change.fact] = change if known is None else Change(change.fact, known.before, change.after)
    if len(first) == len(changes):
        return tuple(changes)
    return tuple(c for c in first.values() if c.before != c.after)


@lru_cache(maxsize=1 << 14)
def _lacking(unmet: tuple[Atom, ...]) -> Outcome:
    return Outcome(False, unmet=unmet, message="needs " + ", ".join(map(str, unmet)))
