"""Toy worlds made of rules, a runner, and a loop put together from the real parts."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from habilis.agent.curriculum import Curriculum
from habilis.agent.loop import Loop, LoopSettings, Parts
from habilis.agent.writers.search import SearchSettings, SearchWriter
from habilis.core import (
    Action,
    Atom,
    Budget,
    Change,
    Contract,
    Event,
    EventStream,
    Fact,
    Goal,
    Json,
    Ledger,
    Outcome,
    Parameter,
    Predicate,
    Primitive,
    Snapshot,
    Value,
    World,
    WorldSpec,
    Writer,
)
from habilis.memory.contracts import ContractBook
from habilis.memory.home import Home
from habilis.memory.index import MemoryIndex
from habilis.memory.library import LibrarySettings, SkillLibrary
from habilis.testing.embedding import HashEmbedder
from habilis.worlds.runner import ConfinedRunner
from habilis.worlds.verify import GoalJudge, WorldVerifier


@dataclass(frozen=True)
class Rule:
    """One action: the atoms it needs, what it adds to numbers (or takes), what it makes true or false."""

    action: Action
    needs: tuple[Atom, ...] = ()
    adds: tuple[tuple[Fact, int], ...] = ()
    sets: tuple[tuple[Fact, bool], ...] = ()
    wears: tuple[Fact, ...] = ()  # one of these breaks on every third use

    @classmethod
    def of(cls, action: str, needs: str = "", **effects: Any) -> Rule:
        """``adds={'count("a")': 2}``, ``sets={'open("door")': True}``, ``wears=['count("axe")']``."""
        return cls(
            Action.parse(action),
            Goal.parse(needs).atoms if needs else (),
            tuple((Fact.parse(f), n) for f, n in effects.get("adds", {}).items()),
            tuple((Fact.parse(f), v) for f, v in effects.get("sets", {}).items()),
            tuple(Fact.parse(f) for f in effects.get("wears", ())),
        )


@dataclass
class RuleWorld:
    """A world of rules. ``find(x)`` (where the rules mention ``here``) puts two to five of a thing within reach."""

    rules: Mapping[Action, Rule]
    start: Mapping[Fact, Value]
    spec: WorldSpec
    facts: dict[Fact, Value] = field(default_factory=dict)
    uses: dict[Action, int] = field(default_factory=dict)
    draws: int = 0
    seed: int = 0
    wanted: tuple[Goal, ...] = ()

    def reset(self, seed: int) -> Snapshot:
        self.facts, self.uses, self.draws, self.seed = dict(self.start), {}, 0, seed
        return self.observe()

    def observe(self) -> Snapshot:
        return Snapshot(dict(self.facts), self.spec.tags, ", ".join(f"{f}={v}" for f, v in self.facts.items()))

    def act(self, action: Action) -> Outcome:
        if action.name == "find":
            return self._find(action)
        rule = self.rules.get(action)
        if rule is None:
            return Outcome(False, unmet=() if "reasons" in self.spec.capabilities else None, message="no such thing")
        now = self.observe()
        unmet = tuple(a for a in rule.needs if not now.holds(a))
        if unmet:
            return Outcome(False, unmet=unmet if "reasons" in self.spec.capabilities else None, message="no")
        changes = [self._add(fact, n) for fact, n in rule.adds]
        changes += [c for fact, value in rule.sets for c in self._set(fact, value)]
        self.uses[action] = self.uses.get(action, 0) + 1
        if self.uses[action] % 3 == 0:
            changes += [self._add(fact, -1) for fact in rule.wears]
        return Outcome(True, tuple(changes))

    def _find(self, action: Action) -> Outcome:
        fact = Fact("here", action.args[:1])
        if self.facts.get(fact, 0):
            return Outcome(True, value=str(action.args[0]))
        self.draws += 1
        gone = [c for f in sorted(self.facts) if f.predicate == "here" for c in self._set(f, 0)]
        stock = random.Random(f"{self.seed}:{self.draws}").randint(2, 5)
        return Outcome(True, (*gone, *self._set(fact, stock)), value=str(action.args[0]), steps=3)

    def _add(self, fact: Fact, n: int) -> Change:
        if fact.args and str(fact.args[0]).startswith("#"):
            fact = next(
                f
                for m in sorted(self.spec.tags[str(fact.args[0])])
                if self.facts.get(f := Fact(fact.predicate, (m, *fact.args[1:])), 0)
            )
        before = self.facts.get(fact, 0)
        self._set(fact, before + n)
        return Change(fact, before, before + n)

    def _set(self, fact: Fact, value: Value) -> list[Change]:
        absent: Value = False if isinstance(value, bool) else 0
        before = self.facts.get(fact, absent)
        self.facts[fact] = value
        if not value:
            self.facts.pop(fact)
        return [Change(fact, before, value)] if before != value else []

    def affordances(self) -> Sequence[Action]:
        return sorted(self.rules, key=str)

    def goals(self) -> Sequence[Goal]:
        return self.wanted

    def clone(self) -> RuleWorld:
        return replace(self, facts=dict(self.facts), uses=dict(self.uses))

    def simulator(self) -> RuleWorld:
        return self.clone()

    def imagine(self, seed: int) -> RuleWorld:
        return replace(self.clone(), seed=seed, draws=10_000)

    def save(self) -> Json:
        return {
            "facts": [[str(f), v] for f, v in sorted(self.facts.items())],
            "uses": [[str(a), n] for a, n in sorted(self.uses.items())],
            "draws": [self.draws, self.seed],
        }

    def load(self, state: Json) -> None:
        self.facts = {Fact.parse(f): v for f, v in state["facts"]}
        self.uses = {Action.parse(a): n for a, n in state["uses"]}
        self.draws, self.seed = state["draws"]


_ALL = frozenset({"seed", "clone", "simulator", "affordances", "reasons", "checkpoint", "goals"})


def make_world(
    rules: Iterable[Rule],
    *,
    name: str = "toy",
    start: Mapping[str, Value] | None = None,
    tags: Mapping[str, Iterable[str]] | None = None,
    phrases: Mapping[str, str] | None = None,
    without: Iterable[str] = (),
    wanted: Iterable[str] = (),
) -> RuleWorld:
    """A world of these rules; its predicates and primitives are read off them."""
    rules = list(rules)
    begin = {Fact.parse(f): v for f, v in (start or {}).items()}
    numeric: dict[str, tuple[bool, int]] = {
        f.predicate: (not isinstance(v, bool), len(f.args)) for f, v in begin.items()
    }
    for rule in rules:
        for atom in rule.needs:
            numeric.setdefault(atom.fact.predicate, (atom.is_numeric, len(atom.fact.args)))
        numeric.update({f.predicate: (True, len(f.args)) for f, _ in rule.adds})
        numeric.update({f.predicate: (False, len(f.args)) for f, _ in rule.sets})
    shapes = {r.action.name: len(r.action.args) for r in rules}
    primitives = [
        Primitive(n, f"{n}s", tuple(Parameter(f"a{i}") for i in range(size))) for n, size in sorted(shapes.items())
    ]
    if "here" in numeric:
        target = (Parameter("target"),)
        primitives.append(Primitive("find", "Look for it.", target, seeks="here", variadic=True, max_steps=3))
    said = {"count": "have {value} {0}", "here": "stand at {0}"} | dict(phrases or {})
    spec = WorldSpec(
        name,
        "A toy world of rules.",
        tuple(primitives),
        tuple(
            Predicate(p, p, tuple(Parameter(f"a{i}") for i in range(size)), numeric=n, phrase=said.get(p, ""))
            for p, (n, size) in sorted(numeric.items())
        ),
        f"{name}-1",
        {t: frozenset(m) for t, m in (tags or {}).items()},
        _ALL - set(without),
    )
    world = RuleWorld({r.action: r for r in rules}, begin, spec, wanted=tuple(Goal.parse(g) for g in wanted))
    world.reset(0)
    return world


def craft_rules(rename: Callable[[str], str] = str) -> list[Rule]:
    """Wood to a stone axe: tags, a station, a tool that wears out, things to be found."""

    def fact(predicate: str, name: str) -> str:
        return str(Fact(predicate, ("#" + rename(name[1:]) if name.startswith("#") else rename(name),)))

    def count(name: str, n: int = 1) -> str:
        return f"{fact('count', name)} >= {n}"

    def gather(name: str, *needs: str, wears: Iterable[str] = ()) -> Rule:
        return Rule.of(
            f'gather("{rename(name)}")',
            " and ".join([f"{fact('here', name)} >= 1", *needs]),
            adds={fact("count", name): 1, fact("here", name): -1},
            wears=[fact("count", w) for w in wears],
        )

    def craft(name: str, made: int, used: Mapping[str, int], *needs: str) -> Rule:
        return Rule.of(
            f'craft("{rename(name)}")',
            " and ".join([*(count(i, n) for i, n in used.items()), *needs]),
            adds={**{fact("count", i): -n for i, n in used.items()}, fact("count", name): made},
        )

    bench = fact("near", "bench")
    return [
        gather("ash"),
        gather("oak"),
        gather("stone", count("axe"), wears=["axe"]),
        craft("plank", 4, {"#wood": 1}),
        craft("stick", 4, {"plank": 2}),
        craft("bench", 1, {"plank": 4}),
        Rule.of(f'place("{rename("bench")}")', count("bench"), adds={fact("count", "bench"): -1}, sets={bench: True}),
        craft("axe", 1, {"plank": 3, "stick": 2}, bench),
        craft("stone_axe", 1, {"stone": 3, "stick": 2}, bench),
    ]


def craft_like(rename: Callable[[str], str] = str, **options: Any) -> RuleWorld:
    tags = {"#" + rename("wood"): [rename("ash"), rename("oak")]}
    return make_world(craft_rules(rename), tags=tags, phrases={"near": "be near {0}"}, **options)


def household_rules() -> list[Rule]:
    """One hand, a fridge with a door, a table: everything is true or false."""
    rules = [
        Rule.of('open("fridge")', 'not is_open("fridge")', sets={'is_open("fridge")': True}),
        Rule.of('close("fridge")', 'is_open("fridge")', sets={'is_open("fridge")': False}),
    ]
    for thing in ("apple", "cup"):
        for place in ("fridge", "table"):
            door = f' and is_open("{place}")' if place == "fridge" else ""
            rules += [
                Rule.of(
                    f'take("{thing}", "{place}")',
                    f'at("{thing}", "{place}") and not busy(){door}',
                    sets={f'at("{thing}", "{place}")': False, f'holding("{thing}")': True, "busy()": True},
                ),
                Rule.of(
                    f'put("{thing}", "{place}")',
                    f'holding("{thing}"){door}',
                    sets={f'at("{thing}", "{place}")': True, f'holding("{thing}")': False, "busy()": False},
                ),
            ]
    return rules


def household(**options: Any) -> RuleWorld:
    start = {'at("apple", "fridge")': True, 'at("cup", "table")': True}
    return make_world(household_rules(), name="household", start=start, **options)


@pytest.fixture(scope="session")
def runner() -> Iterator[ConfinedRunner]:
    with ConfinedRunner() as confined:
        yield confined


EMBEDDER = HashEmbedder(64)


class Life:
    """A loop over a home, put together from the real parts; opened again, it goes on."""

    def __init__(
        self,
        path: Path,
        world: World,
        runner: ConfinedRunner,
        *,
        limit: Budget | None = None,
        fresh: Callable[[], World] | None = None,
        writer: Callable[[ContractBook], Writer] | None = None,
        seed: int = 0,
        settings: LoopSettings | None = None,
        search: SearchSettings | None = None,
        library: LibrarySettings | None = None,
    ) -> None:
        self.home = Home.open(path)
        self.world, journal = world, self.home.journal
        self.book = ContractBook(world.spec, journal.contracts(world.spec.fingerprint))
        self.ledger, self.events = Ledger(limit), EventStream()
        self.seen: list[Event] = []
        self.events.subscribe(self.seen.append)
        latest = next(reversed(journal.runs()), None)
        run_id = latest.id if latest is not None else journal.start_run({"kind": "test"})
        if latest is not None:
            self.ledger.restore(latest.spent)
        make = fresh
        if make is None and "clone" in world.spec.capabilities:
            make = world.clone  # type: ignore[attr-defined]
        judge = GoalJudge()
        self.library = SkillLibrary.open(
            self.home,
            embedder=EMBEDDER,
            index=MemoryIndex(EMBEDDER.dim),
            verifier=WorldVerifier(make, runner, judge) if make is not None else None,
            settings=library,
            passing=world.spec.passing,
        )
        parts = Parts(
            world=world,
            book=self.book,
            library=self.library,
            journal=journal,
            runner=runner,
            judge=judge,
            writer=writer(self.book) if writer is not None else SearchWriter(self.book, runner, search),
            curriculum=Curriculum(world.spec, self.book, seed=seed),
            ledger=self.ledger,
            events=self.events,
        )
        self.loop = Loop(parts, run_id, settings)
        self.resumed = self.loop.begin(seed)

    def close(self) -> None:
        self.library.close()
        self.home.close()

    def __enter__(self) -> Life:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def told(contracts: Iterable[Contract]) -> list[str]:
    """Contracts in words, to compare."""
    return [repr(c) for c in contracts]
