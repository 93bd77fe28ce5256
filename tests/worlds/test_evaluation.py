"""What an evaluation hands out lacks what is for training, and so do the worlds that skills are proven in."""

from __future__ import annotations

from typing import Any

import pytest
from tests.worlds.gym.envs import Corridor
from tests.worlds.test_conformance import Lamp

from habilis.core import (
    Action,
    Asking,
    Checkpointed,
    Cloneable,
    Imaginable,
    InputError,
    Ledger,
    Portable,
    Program,
    Skill,
    World,
)
from habilis.core.skill import Evidence, EvidenceLevel
from habilis.testing.worlds import check_world
from habilis.worlds import for_evaluation
from habilis.worlds.craft import CraftWorld
from habilis.worlds.gym import from_gymnasium
from habilis.worlds.household import HouseholdWorld
from habilis.worlds.runner import ConfinedRunner
from habilis.worlds.verify import GoalJudge, WorldVerifier


@pytest.mark.parametrize("make", [CraftWorld, HouseholdWorld, Lamp, lambda: from_gymnasium(Corridor)])
def test_clones_seeds_and_checkpoints_are_absent(make: Any) -> None:
    world = make()
    handed = for_evaluation(world, 3)
    assert isinstance(handed, World)
    assert handed.spec.capabilities.isdisjoint({"seed", "clone", "checkpoint", "questions"})
    for protocol in (Cloneable, Checkpointed, Asking):
        assert not isinstance(handed, protocol)
    assert isinstance(handed, Imaginable) is ("simulator" in world.spec.capabilities)
    for name in ("clone", "save", "load", "_world", "questions"):
        assert not hasattr(handed, name)
    with pytest.raises(InputError, match="begins but once"):
        handed.reset(3)
    assert handed.observe() == make().reset(3)
    assert handed.spec is handed.spec
    assert handed.spec.fingerprint == world.spec.fingerprint


def test_a_world_without_secrets_keeps_what_the_runner_needs() -> None:
    handed = for_evaluation(CraftWorld(view="full"), 0)
    assert isinstance(handed, Portable)
    assert not isinstance(handed, Cloneable)


def test_true_copies_of_practice_are_no_belief() -> None:
    world = from_gymnasium(Corridor, practice=True)
    assert isinstance(world, Imaginable)
    handed = for_evaluation(world, 0)
    assert not isinstance(handed, Imaginable)
    assert handed.spec.capabilities.isdisjoint({"simulator", "practice"})


def test_skills_are_proven_in_worlds_without_them() -> None:
    seen: list[World] = []

    class Watching(ConfinedRunner):
        def run(self, program: Program, world: World, **given: Any) -> Any:
            seen.append(world)
            return super().run(program, world, **given)

    program = Program("go", "def go():\n    while not world.ended():\n        world.right()\n")
    skill = Skill("go", 0, program, "", "ended()", "corridor", "", Evidence(EvidenceLevel.VERIFIED))
    with Watching() as runner:
        made = lambda: from_gymnasium(lambda: Corridor(wind=0), actions=["left", "right"])  # noqa: E731
        trial, trajectory = WorldVerifier(made, runner, GoalJudge()).trial(skill, {}, 1, {}, Ledger())
    assert (trial.ok, trial.why) == (True, "became true")
    assert trajectory.pictures == ()
    assert [isinstance(w, Cloneable) for w in seen] == [False]


class Leaky(Lamp):
    """Announces pictures it does not have, or ends without a word."""

    def __init__(self, how: str = "") -> None:
        super().__init__()
        self.how = how

    def act(self, action: Action) -> Any:
        from dataclasses import replace

        outcome = super().act(action)
        return replace(outcome, done=True) if self.how == "ends" else outcome

    def observe(self) -> Any:
        from dataclasses import replace

        import numpy as np

        from habilis.core import Image

        seen = super().observe()
        if self.how == "shows":
            return replace(seen, images=(Image.of(np.zeros((3, 3), np.uint8)),))
        return seen

    def clone(self) -> Any:
        twin = super().clone()
        twin.how = self.how
        return twin


@pytest.mark.parametrize(
    ("how", "said"), [("ends", "does not announce 'ends'"), ("shows", "does not announce 'images'"), ("", "")]
)
def test_the_suite_finds_ends_and_pictures_that_are_not_announced(how: str, said: str) -> None:
    if not said:
        check_world(lambda: Leaky(how))
        return
    with pytest.raises(AssertionError, match=said):
        check_world(lambda: Leaky(how))
