"""The crafter benchmark counts what it says: the official score, what a reflex unlocked, skills by goal and cost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from benchmarks._worlds_crafter import Lives, Watched, at_random, by_contracts, by_skills, scored

from habilis.core import (
    Action,
    Atom,
    Condition,
    Contract,
    Effect,
    Evidence,
    EvidenceLevel,
    Fact,
    Goal,
    Parameter,
    Program,
    Reflex,
    Runner,
    Skill,
)
from habilis.worlds.crafter import ACHIEVEMENTS, CrafterWorld, score
from habilis.worlds.reflexive import reflexive
from habilis.worlds.runner import ConfinedRunner


@pytest.fixture(scope="module")
def runner() -> Iterator[ConfinedRunner]:
    with ConfinedRunner() as runner:
        yield runner


def _skill(name: str, template: str, body: str, cost: float = 1.0, counts: bool = True) -> Skill:
    parameters = (Parameter("n", "int", 1, required=False),) if counts else ()
    head = "n=1" if counts else ""
    source = f"def {name}({head}):\n" + "\n".join(f"    {line}" for line in body.splitlines()) + "\n"
    evidence = Evidence(EvidenceLevel.VERIFIED, (), 4, 0)
    world = CrafterWorld()
    program = Program(name, source, parameters)
    return Skill(name, 1, program, name, template, "crafter", world.spec.fingerprint, evidence, cost=cost)


WOOD = _skill(
    "have_wood",
    'count("wood") >= {n}',
    'while world.count("wood") < n:\n    world.find("tree")\n    world.do("tree")',
)


def test_skills_are_called_for_the_goals_that_they_reach(runner: ConfinedRunner) -> None:
    idle = _skill("have_coal", 'count("coal") >= {n}', "pass", cost=0.5)
    other = _skill("have_seven", 'count("stone") >= {n} and near("table")', "world.noop()")
    inner = CrafterWorld(length=40)
    life = Watched(inner, inner)
    life.reset(0)
    by_skills({s.name: s for s in (WOOD, idle, other)})(life, runner, 0)
    assert life.over
    assert life.steps == 40
    assert life.unlocked == {"collect_wood"}
    assert life.by_reflex == set()


def test_what_a_reflex_unlocks_is_told_apart(runner: ConfinedRunner) -> None:
    program = Program("greedy", 'def greedy():\n    world.find("tree")\n    world.do("tree")\n')
    greedy = Reflex("greedy", program, (Goal.parse('count("wood") <= 0'),), steps=200)
    inner = CrafterWorld()
    life = Watched(inner, reflexive(inner, [greedy], runner))
    life.reset(0)
    outcome = life.act(Action("noop"))
    assert outcome.status == "preempted"
    assert life.by_reflex == life.unlocked == {"collect_wood"}


def test_random_lives_take_every_step_and_repeat(runner: ConfinedRunner) -> None:
    def once() -> Watched:
        inner = CrafterWorld(length=120)
        life = Watched(inner, inner)
        life.reset(0)
        at_random(life, runner, 3)
        return life

    one, other = once(), once()
    assert one.over
    assert one.unlocked == other.unlocked
    assert one.observe() == other.observe()


def test_the_score_and_its_interval(runner: ConfinedRunner) -> None:
    class Done:
        def __init__(self, *unlocked: str) -> None:
            self.unlocked = frozenset(unlocked)

    same = scored([Done(*ACHIEVEMENTS)] * 3)  # type: ignore[list-item]
    assert (same.low, same.value, same.high) == pytest.approx((100.0, 100.0, 100.0))
    mixed = scored([Done("collect_wood"), Done(), Done("collect_wood"), Done()])  # type: ignore[list-item]
    assert mixed.value == pytest.approx(score({"collect_wood": 0.5}))
    assert mixed.low <= mixed.value <= mixed.high
    assert mixed.low < mixed.high


def test_without_a_library_what_is_known_of_actions_is_planned_from(runner: ConfinedRunner) -> None:
    wood, tree = Fact("count", ("wood",)), Fact("facing", ("tree",))
    facing = Condition(Atom(tree, "==", True), known=True, confirmed=9)
    made = CrafterWorld().spec.fingerprint
    chop = Contract(Action("do", ("tree",)), made, (facing,), (Effect(wood, 1.0, None, 9),), successes=9)
    inner = CrafterWorld(length=60)
    life = Watched(inner, inner)
    life.reset(0)
    by_contracts([chop])(life, runner, 0)
    assert life.over
    assert life.unlocked == {"collect_wood"}


def test_a_life_that_is_kept_is_not_lived_again(runner: ConfinedRunner, tmp_path: Path) -> None:
    lived: list[int] = []

    def die(life: Watched, runner: Runner, seed: int) -> None:
        lived.append(seed)

    for _ in range(2):
        found = Lives(tmp_path / "lives.jsonl", runner, [3, 4]).of("idle", die, reflexes=False)
        assert [one.unlocked for one in found] == [frozenset(), frozenset()]
    assert lived == [3, 4]
    assert len(Lives(tmp_path / "lives.jsonl", runner, [3, 4, 5]).of("idle", die, reflexes=False)) == 3
    assert lived == [3, 4, 5]
