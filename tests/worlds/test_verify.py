"""Judging goals, and verifying skills in fresh worlds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.worlds.counter import CounterWorld

from habilis.core import (
    Action,
    Budget,
    BudgetExceeded,
    Cost,
    Evidence,
    EvidenceLevel,
    Fact,
    Goal,
    Ledger,
    ModelError,
    Outcome,
    Parameter,
    Program,
    RunLimits,
    Skill,
    ToolError,
    Trajectory,
    Verdict,
    judged,
)
from habilis.worlds.runner import ConfinedRunner
from habilis.worlds.verify import GoalJudge, WorldVerifier, ended_with


def skill(source: str, goal: str = 'count("{what}") >= {n}') -> Skill:
    parameters = (Parameter("what"), Parameter("n", "int", 2, required=False))
    return Skill(
        "gather",
        1,
        Program("gather", source, parameters),
        "Gather n of a thing.",
        goal,
        "counter",
        "counter-1",
        Evidence(EvidenceLevel.VERIFIED),
    )


GATHER = skill("def gather(what, n):\n    while world.count(what) < n:\n        world.add(what)\n")


@pytest.fixture
def verifier(runner: ConfinedRunner, world: Any) -> WorldVerifier:
    return WorldVerifier(type(world), runner, GoalJudge(), limits=RunLimits(seconds=5, world_steps=50))


def test_a_skill_that_works_is_ok_in_a_fresh_world(verifier: WorldVerifier, runner: ConfinedRunner) -> None:
    ledger = Ledger(Budget(usd=None, world_steps=100))
    for n in (3, 3):  # the second trial would need no step if the world were not fresh
        trial, trajectory = verifier.trial(GATHER, {"what": "oak", "n": n}, 7, {}, ledger)
        assert (trial.ok, trial.world_steps, trial.seed, trial.why) == (True, 3, 7, "became true")
        assert trial.tier == trajectory.tier == runner.tier
    assert ledger.spent.world_steps == 6


def test_defaults_hold_for_program_and_goal(verifier: WorldVerifier) -> None:
    trial, trajectory = verifier.trial(GATHER, {"what": "oak"}, 0, {}, Ledger())
    assert (trial.ok, len(trajectory.steps)) == (True, 2)


def test_the_seed_reaches_the_world_and_the_program(verifier: WorldVerifier) -> None:
    lucky = skill("import random\ndef gather(what, n):\n    print(random.random(), world.count('seeded'))\n")
    said = [verifier.trial(lucky, {"what": "oak"}, seed, {}, Ledger())[1].printed for seed in (1, 1, 2)]
    assert said[0] == said[1] != said[2]


def test_a_skill_that_stops_short_is_not_ok(verifier: WorldVerifier) -> None:
    short = skill("def gather(what, n):\n    world.add(what)\n    world.take('nothing')\n")
    trial, _ = verifier.trial(short, {"what": "oak"}, 0, {}, Ledger())
    assert not trial.ok
    assert 'unmet: count("oak") >= 2' in trial.why
    assert "ActionFailed: take" in trial.why


def test_saying_so_does_not_make_it_so(verifier: WorldVerifier) -> None:
    liar = skill("def gather(what, n):\n    print('done')\n    return {'ok': True, 'success': True}\n")
    assert not verifier.trial(liar, {"what": "oak"}, 0, {}, Ledger())[0].ok


def test_a_program_that_ends_in_an_error_has_not_succeeded_although_the_goal_became_true(
    verifier: WorldVerifier,
) -> None:
    late = skill("def gather(what, n):\n    world.add(what, n)\n    1 / 0\n")
    trial, trajectory = verifier.trial(late, {"what": "oak"}, 0, {}, Ledger())
    assert not trial.ok
    assert trial.why.startswith("became true; ZeroDivisionError")
    assert GoalJudge().judge(late.goal_for({"what": "oak"}), trajectory, Ledger()).ok  # what is true is true


def test_a_goal_that_was_already_true_is_said_to_be(verifier: WorldVerifier) -> None:
    idle = skill("def gather(what, n): pass", 'near("oak")')
    trial, _ = verifier.trial(idle, {"what": "oak"}, 0, {}, Ledger())
    assert (trial.ok, trial.why) == (True, "was already true")


def test_skills_and_tools_are_handed_on(runner: ConfinedRunner, world: Any) -> None:
    class Tape:
        def names(self) -> tuple[str, ...]:
            return ("how_many", "lost")

        def call(self, name: str, args: tuple[Any, ...], kwargs: Any) -> Any:
            if name == "lost":
                raise ToolError("not on the tape")
            return 2

    verifier = WorldVerifier(type(world), runner, GoalJudge())
    helper = {"put": Program("put", "def put(what, n):\n    world.add(what, n)\n")}
    outer = skill(
        "def gather(what, n):\n    try: tools.lost()\n    except ToolFailed: skills.put(what, tools.how_many())\n"
    )
    trial, trajectory = verifier.trial(outer, {"what": "oak"}, 0, helper, Ledger(), Tape())
    assert trial.ok
    assert [c.tool for c in trajectory.tape] == ["lost", "how_many"]


def test_verification_stops_at_the_ledger(verifier: WorldVerifier) -> None:
    with pytest.raises(BudgetExceeded, match="world_steps=4"):
        verifier.trial(GATHER, {"what": "oak", "n": 9}, 0, {}, Ledger(Budget(usd=None, world_steps=4)))


def test_only_a_model_judges_words() -> None:
    goal = judged("the house looks cosy")
    with pytest.raises(ModelError, match="cosy"):
        GoalJudge().judge(goal, Trajectory(), Ledger())
    seen: list[Any] = []

    def model(text: str, trajectory: Trajectory, ledger: Ledger) -> Verdict:
        ledger.spend(Cost(calls=1))
        seen.append(text)
        return Verdict(True, judge="a model")

    ledger = Ledger()
    assert GoalJudge(model).judge(goal, Trajectory(), ledger).judge == "a model"
    assert ledger.spent.calls == 1
    assert seen == ["the house looks cosy"]
    assert not GoalJudge(model).judge(Goal.parse("near('x')"), Trajectory(), Ledger()).ok


class Short(CounterWorld):
    """A counter that ends with the second thing."""

    spec = replace(CounterWorld.spec, capabilities=CounterWorld.spec.capabilities | {"ends"})

    def act(self, action: Action) -> Outcome:
        return replace(super().act(action), done=bool(self.ended()))

    def ended(self) -> str:
        return "two are enough" if (self.observe().value(Fact("count", ("oak",))) or 0) >= 2 else ""


@pytest.mark.parametrize(
    ("n", "what", "ok"),
    [
        (2, "oak", True),  # the world ended with the step that made it true
        (1, "oak", False),  # it was true before, and the program went on until the end
        (3, "oak", False),  # the world ended before
    ],
)
def test_a_program_that_goes_on_in_a_world_that_its_goal_has_ended(
    n: int, what: str, ok: bool, runner: ConfinedRunner
) -> None:
    on_and_on = skill("def gather(what, n):\n    while True:\n        world.add(what)\n")
    verifier = WorldVerifier(Short, runner, GoalJudge(), limits=RunLimits(seconds=5, world_steps=50))
    trial, trajectory = verifier.trial(on_and_on, {"what": what, "n": n}, 0, {}, Ledger())
    assert trajectory.error is not None
    assert trajectory.error.kind == "ended"
    assert trial.ok is ok
    assert ended_with(on_and_on.goal_for({"what": what, "n": n}), trajectory) is ok
