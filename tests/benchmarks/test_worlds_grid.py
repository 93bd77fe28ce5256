"""The grid benchmark counts what it says: the package's reward, on held-out seeds, by skills or from contracts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

pytest.importorskip("minigrid")

from benchmarks import _worlds_grid as bench

from habilis.core import Action, Contract, Effect, Evidence, EvidenceLevel, Fact, Parameter, Program, Skill
from habilis.memory.contracts import ContractBook
from habilis.worlds.grid import GridWorld
from habilis.worlds.runner import ConfinedRunner


@pytest.fixture(scope="module")
def runner() -> Iterator[ConfinedRunner]:
    with ConfinedRunner() as runner:
        yield runner


def _skill(body: str) -> dict[str, Skill]:
    parameters = (Parameter("thing", "str", "ball", required=False), Parameter("turn", "int", 1, required=False))
    program = Program("went_to", f"def went_to(thing='ball', turn=1):\n    {body}\n", parameters)
    evidence = Evidence(EvidenceLevel.VERIFIED, (), 4, 0)
    return {"went_to": Skill("went_to", 1, program, "", 'went_to("{thing}", {turn})', "grid", "f", evidence)}


def test_the_share_is_of_missions_that_the_package_rewards(runner: ConfinedRunner) -> None:
    right, idle = _skill("world.go_to(thing)"), _skill("world.turn_left()")
    assert all(bench.done(bench.with_skills(right), "GoToLocal", seed, runner) for seed in range(4))
    assert not any(bench.done(bench.with_skills(idle), "GoToLocal", seed, runner) for seed in range(3))
    assert not bench.done(bench.with_skills(right), "PickupLoc", 0, runner)  # no skill fits


def test_parts_are_done_by_the_skills_that_fit_them(runner: ConfinedRunner) -> None:
    right = _skill("world.go_to(thing)")
    world = GridWorld(level="GoToSeq", split="test")
    for seed in range(20):
        world.reset(seed)
        goal = world.goals()[0]
        made = bench.with_skills(right)(world, goal)
        assert made is not None
        assert (set(made[1]) == {"went_to"}) == (len(goal.atoms) > 1)


def test_without_a_library_programs_are_planned_from_contracts(runner: ConfinedRunner) -> None:
    spec = GridWorld().spec
    book = ContractBook(spec)
    assert not bench.done(bench.without_library(book), "GoToLocal", 1, runner)
    for word in ("ball", "box"):
        effect = Effect(Fact("went_to", (word, 1)), value=True)
        book.declare([Contract(Action("go_to", (word,)), spec.fingerprint, (), (effect,), successes=3)])
    for word in ("ball", "box"):
        world = GridWorld(length=300)
        for seed in range(8):
            world.reset(seed)
            before = world.observe()
            action = Action("go_to", (word,))
            book.observe(action, world.act(action), before)
    assert bench.done(bench.without_library(book), "GoToLocal", 1, runner)


def test_rivals_live_in_the_same_seeds() -> None:
    inner = GridWorld(level="UnlockLocal", split="test")
    inner.reset(2)
    env = GridWorld(level="UnlockLocal", split="test").environment(2)
    assert str(env.mission) == inner.mission
    assert (int(env.agent_pos[0]), int(env.agent_pos[1])) == inner._at
    assert bench.by_bot("UnlockLocal", 2)
    assert bench.at_random("GoToLocal", 3) == bench.at_random("GoToLocal", 3)


def test_what_is_practised_and_what_is_not() -> None:
    assert not set(bench.PRACTISED) & set(bench.UNSEEN)
    assert all(worlds > 0 and missions > 0 for worlds, missions in bench.STAGES)
    assert list(bench.STAGES) == sorted(bench.STAGES)
    assert set(bench.AIMS) == {"babyai_success", "babyai_unseen_levels"}
