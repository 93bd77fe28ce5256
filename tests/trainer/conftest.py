from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from habilis.core import (
    Action,
    Attempt,
    Change,
    Condition,
    Contract,
    Effect,
    Episode,
    Fact,
    Goal,
    Outcome,
    Parameter,
    Predicate,
    Primitive,
    Program,
    Snapshot,
    Step,
    Task,
    Trajectory,
    WorldSpec,
)

MATERIALS = ("oak", "birch", "iron", "gold", "stone", "clay", "tin", "ash", "bone", "glass")
THINGS = ("plate", "rod", "wheel", "cup")


def count(name: str) -> Fact:
    return Fact("count", (name,))


SPEC = WorldSpec(
    name="forge",
    doc="A small workshop.",
    primitives=(
        Primitive("find", "look for a thing", (Parameter("thing"),), seeks="near"),
        Primitive("mine", "take it", (Parameter("thing"),)),
        Primitive("craft", "make it", (Parameter("thing"),)),
    ),
    predicates=(
        Predicate("count", "how many", (Parameter("thing"),), numeric=True, phrase="have {value} {0}"),
        Predicate("near", "is it near", (Parameter("thing"),), phrase="be near a {0}"),
    ),
    fingerprint="forge-1",
)


def contract(material: str, thing: str) -> Contract:
    """Two ores make a plate; a rod, wheel or cup takes one plate more each."""
    k = THINGS.index(thing)
    made = count(f"{material}_{thing}")
    used = count(f"{material}_ore") if k == 0 else count(f"{material}_plate")
    return Contract(
        Action("craft", (f"{material}_{thing}",)),
        SPEC.fingerprint,
        (Condition(Goal.parse(f"{used} >= {k + 2}").atoms[0], consumed=k + 2, known=True),),
        (Effect(made, k + 1, seen=3), Effect(used, -(k + 2), seen=3)),
        successes=3,
    )


def mining(material: str) -> Contract:
    ore = count(f"{material}_ore")
    return Contract(
        Action("mine", (f"{material}_rock",)),
        SPEC.fingerprint,
        (Condition(Goal.parse(f'near("{material}_rock")').atoms[0]),),
        (Effect(ore, 1, seen=9),),
        successes=9,
    )


class Bench:
    """Records what a run of the workshop does to the facts."""

    def __init__(self) -> None:
        self.facts: dict[Fact, Any] = {}
        self.steps: list[Step] = []

    def do(self, action: Action, changes: dict[Fact, Any]) -> None:
        made = []
        for fact, change in changes.items():
            old = self.facts.get(fact, False if change is True else 0)
            new = True if change is True else old + change
            if new != old:
                made.append(Change(fact, old, new))
                self.facts[fact] = new
        self.steps.append(Step(action, Outcome(True, tuple(made))))

    def ore(self, material: str, n: int) -> None:
        rock = f"{material}_rock"
        for _ in range(n):
            self.do(Action("find", (rock,)), {Fact("near", (rock,)): True})
            self.do(Action("mine", (rock,)), {count(f"{material}_ore"): 1})

    def craft(self, material: str, thing: str) -> None:
        k = THINGS.index(thing)
        used = count(f"{material}_ore") if k == 0 else count(f"{material}_plate")
        self.do(Action("craft", (f"{material}_{thing}",)), {count(f"{material}_{thing}"): k + 1, used: -(k + 2)})


def episode(index: int, material: str, thing: str, spare: int) -> Episode:
    before = Snapshot({count(f"{material}_ore"): spare} if spare else {})
    bench = Bench()
    bench.facts.update(before.facts)
    plates = 1 if thing == "plate" else THINGS.index(thing) + 2
    bench.ore(material, max(0, 2 * plates - spare))
    for _ in range(plates):
        bench.craft(material, "plate")
    if thing != "plate":
        bench.craft(material, thing)
    goal = Goal.parse(f'count("{material}_{thing}") >= {1 if thing == "plate" else THINGS.index(thing) + 1}')
    trajectory = Trajectory(tuple(bench.steps), before=before, after=Snapshot(dict(bench.facts)))
    task = Task(goal, SPEC.name, index, f"make {goal.atoms[0].value} {material} {thing}")
    return Episode(index, task, "solved", (Attempt(Program("run", "def run(): ..."), trajectory, True),))


def make_episodes(n: int = 60, seed: int = 0) -> list[Episode]:
    rng = random.Random(seed)
    pairs = [(m, t) for m in MATERIALS for t in THINGS]
    return [episode(i, *pairs[i % len(pairs)], spare=rng.randrange(3)) for i in range(n)]


CONTRACTS = [contract(m, t) for m in MATERIALS for t in THINGS] + [mining(m) for m in MATERIALS]


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Any:
    from habilis.trainer import tiny_random_model

    return tiny_random_model(tmp_path_factory.mktemp("tiny") / "model")


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HABILIS_CACHE", str(tmp_path / "cache"))


def run_plans(plans: Sequence[tuple[Task, tuple[Action, ...]]]) -> list[bool]:
    """The workshop's rules, for plans of any origin: an action whose needs are not met does nothing."""
    rules = {c.action: c for c in CONTRACTS}
    verdicts = []
    for task, actions in plans:
        spare = next(e for e in _ALL if e.task.text == task.text and e.index == task.seed).attempts[0].trajectory.before
        facts: dict[Fact, Any] = dict(spare.facts)
        for action in actions:
            if action.name == "find":
                facts[Fact("near", action.args)] = True
            rule = rules.get(action)
            if rule is not None and all(Snapshot(facts).holds(c.atom) for c in rule.conditions):
                for effect in rule.effects:
                    facts[effect.fact] = facts.get(effect.fact, 0) + int(effect.amount)
        verdicts.append(not task.goal.unmet(Snapshot(facts)))
    return verdicts


_ALL = make_episodes(400)


@pytest.fixture(scope="session")
def workshop() -> SimpleNamespace:
    """A small world of facts with known rules: what the trainer's tests learn from."""
    return SimpleNamespace(spec=SPEC, contracts=CONTRACTS, make_episodes=make_episodes, run_plans=run_plans)
