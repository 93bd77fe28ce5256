"""Gymnasium environments as worlds: actions, facts, goals, copies, and what follows when they go wrong."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any, Literal

import gymnasium
import numpy as np
import pytest
from tests.worlds.gym.envs import Corridor, Faulty, Rich, Shared, Uncopyable, Unseeded

from habilis import World
from habilis.core import Action, DefinitionError, DuplicateNameError, Fact, InputError, MissingExtraError, WorldError
from habilis.testing.worlds import check_world
from habilis.worlds.gym import GymWorld, from_gymnasium

LEFT, RIGHT = Action("left"), Action("right")
NAMES = ["left", "right"]


@pytest.mark.parametrize("practice", [False, True])
@pytest.mark.parametrize(
    "env",
    ["Taxi-v4", "FrozenLake-v1", "Blackjack-v1", "CartPole-v1", "MountainCarContinuous-v0", Corridor, Rich],
    ids=str,
)
def test_bridged_worlds_conform(env: Any, practice: bool) -> None:
    world = from_gymnasium(env, practice=practice)
    check_world(lambda: from_gymnasium(env, practice=practice), seeds=(3,), steps=20)
    assert {"seed", "clone", "checkpoint", "ends", "affordances"} <= world.spec.capabilities
    assert world.spec.name.endswith("_practice") is practice


@pytest.mark.parametrize("make", [Shared, Uncopyable, lambda: Corridor(render_mode="rgb_array")])
def test_a_world_whose_environment_cannot_be_copied_is_cloned_by_replay(make: Callable[[], Any]) -> None:
    clones = "replay" if make not in (Shared, Uncopyable) else "auto"
    check_world(lambda: World.from_gymnasium(make, actions=NAMES, clones=clones), seeds=(0, 1), steps=30)
    if clones == "auto":
        with pytest.raises(DefinitionError, match="cannot be cloned by deepcopy"):
            from_gymnasium(make, clones="deepcopy")


def test_what_the_environment_can_do_is_found_out() -> None:
    given = from_gymnasium(Uncopyable())
    assert "clone" not in given.spec.capabilities
    assert "seed" in given.spec.capabilities
    with pytest.raises(InputError, match="cannot be cloned"):
        given.clone()
    with pytest.raises(DefinitionError, match="give a function"):
        from_gymnasium(Uncopyable(), clones="replay")
    lucky = from_gymnasium(Unseeded)
    assert lucky.spec.capabilities.isdisjoint({"seed", "checkpoint"})
    with pytest.raises(DefinitionError, match="a seed does not repeat itself"):
        from_gymnasium(Unseeded, clones="replay")
    assert "clone" not in from_gymnasium(Corridor, clones="none").spec.capabilities


def test_facts_rewards_and_the_end() -> None:
    world = from_gymnasium(lambda: Corridor(wind=0), actions=NAMES, describe=lambda at: {"place": {at}})
    world.reset(0)
    assert world.spec.predicate("reward") is not None
    failed = [world.act(LEFT) for _ in range(2)][-1]
    assert not failed.ok
    assert failed.unmet is None
    assert "nothing that is observed changed" in failed.message
    for _ in range(5):
        outcome = world.act(RIGHT)
        assert outcome.ok
    assert (outcome.value, outcome.done, world.ended()) == (1.0, True, "terminated")
    facts = world.observe().facts
    assert facts[Fact("reward")] == 1.0
    assert facts[Fact("ended")] is True
    assert facts[Fact("place", (5,))] is True
    assert world.affordances() == []
    after = world.act(RIGHT)
    assert [str(a) for a in after.unmet or ()] == ["not ended()"]
    assert after.steps == 0
    world.reset(1)
    assert world.ended() == ""


def test_describe_may_take_the_info_and_says_what_passes() -> None:
    world = from_gymnasium(
        "Taxi-v4",
        describe=lambda state, info: {"state": state, "free": {i for i, can in enumerate(info["action_mask"]) if can}},
        context=["state"],
    )
    assert world.spec.predicate("state").context  # type: ignore[union-attr]
    assert not world.spec.predicate("free").context  # type: ignore[union-attr]
    assert any(fact.predicate == "free" for fact in world.observe().facts)


def test_spaces_of_all_kinds_become_numbers_and_facts() -> None:
    world = from_gymnasium(Rich, levels=3)
    world.reset(0)
    assert [p.name for p in world.spec.primitives[0].parameters] == ["arm", "legs_0", "legs_1"]
    assert world.act(Action("act", (2, 1, 2))).ok
    taken = world._driver.env.taken[-1]  # type: ignore[union-attr]
    assert taken["arm"] == np.float32(1.0)
    assert taken["legs"].tolist() == [1, 2]
    seen = world.observe()
    facts = {str(fact): value for fact, value in seen.facts.items()}
    assert facts == {
        "bag(0)": 1, "bag(1)": 2, "body_part_0()": 0.1, "body_part_1(0)": 1, "body_part_1(1)": 0, "ended()": False,
        "facing()": 1, "reward()": 0.0, 'told("ab c")': True,
    }  # fmt: skip
    assert [image.media_type for image in seen.images] == ["image/png"]
    for wrong in ((2, 1), (9, 0, 0), (0, 2, 0), ("up", 0, 0)):
        refused = world.act(Action("act", wrong))
        assert (refused.ok, refused.steps) == (False, 0)
        assert "act" in refused.message


def test_actions_are_named_by_the_user() -> None:
    class Push(Rich):
        def __init__(self) -> None:
            super().__init__()
            self.action_space = gymnasium.spaces.Box(-1, 1, (2,), np.float32)  # type: ignore[assignment]

    def turn(way: Literal["left", "right"]) -> list[float]:
        """Turn to a side."""
        return [-1.0 if way == "left" else 1.0, 0.0]

    world = from_gymnasium(Push, actions={"push": [0.0, 1.0], "turn": turn, "pull": lambda: [0.0, -1.0]})
    world.reset(0)
    assert [str(a) for a in world.affordances()] == ["pull()", "push()", 'turn("left")', 'turn("right")']
    assert world.spec.primitive("turn").doc == "Turn to a side."  # type: ignore[union-attr]
    world.act(Action("turn", ("left",)))
    assert world._driver.env.taken[-1].tolist() == [-1.0, 0.0]  # type: ignore[union-attr]
    assert "one of" in world.act(Action("turn", ("up",))).message
    assert not world.act(Action("push", (1,))).ok


@pytest.mark.parametrize(
    ("env", "given", "error", "said"),
    [
        (Corridor, {"actions": ["left"]}, DefinitionError, "1 names for the 2"),
        (Corridor, {"actions": ["left", "left"]}, DuplicateNameError, "rename one"),
        (Corridor, {"actions": ["left", "go right"]}, DefinitionError, "no name as in Python"),
        (Corridor, {"actions": {"jump": 7}}, DefinitionError, "not in the action space"),
        (Corridor, {"actions": "left"}, DefinitionError, "give names"),
        (Corridor, {"actions": ["left", "reward"]}, DefinitionError, "another name"),
        (Corridor, {"goal": lambda: 1 / 0}, WorldError, "ZeroDivisionError"),
        (Rich, {"actions": ["a", "b"]}, DefinitionError, "mapping of names to actions"),
        (Corridor, {"actions": {"go": lambda n: n}}, DefinitionError, "define it with def"),
        (Corridor, {"goal": "at the end"}, DefinitionError, "cannot read the goal"),
        (Corridor, {"goal": 3}, DefinitionError, "give goals as text"),
        (Corridor, {"describe": 3}, DefinitionError, "give a function"),
        (Corridor, {"describe": lambda at: at}, DefinitionError, "not a mapping"),
        (Corridor, {"describe": lambda at: {"reward": 1}}, DefinitionError, "another name"),
        (Corridor, {"describe": lambda at: {"left": True}, "actions": NAMES}, DefinitionError, "another name"),
        (Corridor, {"describe": lambda at: 1 / 0}, WorldError, "describe= cannot read"),
        (Corridor, {"clones": "maybe"}, InputError, "deepcopy"),
        (Corridor, {"levels": 1}, InputError, "levels"),
        (Corridor, {"step_seconds": 0}, InputError, "step_seconds"),
        (Corridor, {"options": {"length": 3}}, InputError, "gymnasium.make"),
        (Corridor, {"context": "at"}, DefinitionError, "context"),
        ("NoSuchThing-v0", {}, InputError, "no environment 'NoSuchThing-v0'"),
        ("CartPole-v1", {"options": {"colour": "red"}}, WorldError, "colour"),
        (lambda: 3, {}, InputError, "made a int"),
        (3, {}, InputError, "of type int"),
        (dict, {}, InputError, "no gymnasium.Env"),
        (Unseeded, {"practice": True, "clones": "none"}, DefinitionError, "needs clones"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_what_to_give(env: Any, given: Any, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        from_gymnasium(env, **given)


def test_spaces_that_nobody_could_guess_ask_for_describe_and_actions() -> None:
    class Odd(Corridor):
        def __init__(self, observed: Any = None, acted: Any = None) -> None:
            super().__init__()
            self.observation_space = observed or self.observation_space
            self.action_space = acted or self.action_space

    many = gymnasium.spaces.Box(0, 1, (300,), np.float32)
    with pytest.raises(DefinitionError, match="300 numbers, and 256 facts are the most; give describe="):
        from_gymnasium(lambda: Odd(observed=many))
    with pytest.raises(DefinitionError, match="give describe="):
        from_gymnasium(lambda: Odd(observed=gymnasium.spaces.Sequence(gymnasium.spaces.Discrete(2))))
    free = gymnasium.spaces.Box(-np.inf, np.inf, (1,), np.float32)
    with pytest.raises(DefinitionError, match="no bounds"):
        from_gymnasium(lambda: Odd(acted=free))
    with pytest.raises(DefinitionError, match="give actions="):
        from_gymnasium(lambda: Odd(acted=gymnasium.spaces.Text(3)))
    with pytest.raises(DefinitionError, match="20 numbers"):
        from_gymnasium(lambda: Odd(acted=gymnasium.spaces.MultiBinary(20)))


def test_a_wanted_threshold_is_a_goal_that_doing_nothing_does_not_reach() -> None:
    assert [str(g) for g in from_gymnasium("FrozenLake-v1").goals()] == ["reward() >= 0.7"]
    acrobot = from_gymnasium("Acrobot-v1")
    assert [str(g) for g in acrobot.goals()] == ["ended() and reward() >= -100.0"]
    assert acrobot.goals()[0].unmet(acrobot.observe())
    wanted = from_gymnasium(Corridor, goal=lambda: ["reward() >= 1", "state(3)"])
    assert [str(g) for g in wanted.goals()] == ["reward() >= 1", "state(3)"]


FAULTS = {
    "raises": "raised RuntimeError: the motor is hot when asked to take the step right()",
    "exits": "raised SystemExit",
    "nan": "shows NaN",
    "reward": "gave the reward nan",
    "shape": "shows the shape (3,), where its space says (2,)",
    "space": "changed its action_space from Discrete(2) to Discrete(3)",
    "four": "gave tuple of 4",
    "hangs": "did not answer within 0.5 s when asked to take the step right()",
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("made", ["anew", "given"])
def test_an_environment_that_does_wrong_ends_the_episode_with_a_reason(fault: str, made: str) -> None:
    limit = 0.5 if fault == "hangs" else None if fault == "nan" else 10.0
    env = Faulty(fault) if made == "given" else lambda: Faulty(fault)
    world = from_gymnasium(env, actions=NAMES, step_seconds=limit)
    world.reset(2)
    world.act(RIGHT)
    world.act(RIGHT)
    with pytest.raises(WorldError) as caught:
        world.act(RIGHT)
    assert FAULTS[fault] in str(caught.value)
    assert "faulty" in str(caught.value)
    assert FAULTS[fault] in world.ended()
    assert not world.act(RIGHT).ok
    assert world.observe().facts[Fact("ended")] is True
    if (fault, made) == ("hangs", "given"):
        with pytest.raises(WorldError, match="give from_gymnasium a function"):
            world.reset(3)
        return
    if (fault, made) == ("space", "given"):  # it is the same one, and still another
        with pytest.raises(WorldError, match="changed its action_space"):
            world.reset(3)
        return
    world.reset(3)
    assert [world.act(RIGHT).ok for _ in range(4)] == [True] * 4


def test_an_environment_that_keeps_hanging_is_given_up() -> None:
    world = from_gymnasium(lambda: Faulty("hangs"), actions=NAMES, step_seconds=0.5)
    for _ in range(4):
        world.reset(2)
        with pytest.raises(WorldError, match="did not answer"):
            [world.act(RIGHT) for _ in range(3)]
    with pytest.raises(WorldError, match="hung 4 times, which is the most"):
        world.reset(1)


def test_threads_end_with_their_worlds() -> None:
    def bridged() -> int:
        return sum("habilis-corridor" in t.name.lower() for t in threading.enumerate())

    world = from_gymnasium(Corridor)
    twins = [world.clone() for _ in range(5)]
    for twin in twins:
        twin.act(Action("action_1"))
    begun = bridged()
    assert begun >= 6
    leaving = [t for t in threading.enumerate() if "habilis-corridor" in t.name.lower()]
    del world, twins, twin
    for thread in leaving:
        thread.join(5)
    assert not any(t.is_alive() for t in leaving)


def test_a_checkpoint_is_a_replay_and_says_when_it_comes_to_something_else() -> None:
    world = from_gymnasium(Corridor, actions=NAMES)
    world.reset(5)
    for _ in range(4):
        world.act(RIGHT)
    state = json.loads(json.dumps(world.save()))
    assert state["actions"] == ["right()"] * 4
    other = from_gymnasium(lambda: Corridor(length=5, wind=0), actions=NAMES)
    with pytest.raises(WorldError, match="cannot be taken up again"):
        other.load(state)


def test_numbers_of_numpys_and_arrays_that_are_written_over_are_read_right() -> None:
    class Buffered(Corridor):
        """Writes every observation into the same array."""

        def __init__(self) -> None:
            super().__init__(length=30, wind=0.3)
            self.observation_space = gymnasium.spaces.Box(0, 255, (16, 30), np.uint8)  # type: ignore[assignment]
            self.buffer = np.zeros((16, 30), np.uint8)

        def reset(self, **given: Any) -> Any:
            super().reset(**given)
            return self._written(), {}

        def step(self, action: Any) -> Any:
            return self._written(), *super().step(action)[1:]

        def _written(self) -> Any:
            self.buffer[:] = 0
            self.buffer[:, self.at] = 255
            return self.buffer

    def describe(seen: Any) -> dict[str, Any]:
        return {"at": {seen.argmax()}, "light": seen.mean(), "lit": seen.any(), "of": {seen.argmax(): seen.max()}}

    check_world(lambda: from_gymnasium(Buffered, describe=describe), seeds=(0,), steps=20)
    world = from_gymnasium(Buffered, describe=describe)
    world.reset(1)
    before = world.observe()
    twin = world.clone()
    for _ in range(5):
        world.act(Action("action_1"))
    assert twin.observe() == before
    assert world.observe().images != before.images


def test_the_fingerprint_follows_the_rules_and_not_the_way_of_learning() -> None:
    def one(**given: Any) -> str:
        return from_gymnasium("CliffWalking-v1", **given).spec.fingerprint

    assert one() == one() == one(practice=True)
    assert len({one(), one(actions=["a", "b", "c", "d"]), one(describe=lambda at: {"at": {at}})}) == 3


def test_the_belief_of_practice_has_other_luck() -> None:
    world = from_gymnasium(lambda: Corridor(length=40, wind=0.5), actions=NAMES, practice=True)
    world.reset(0)
    belief = world.simulator()

    def lived(twin: Any) -> list[Any]:
        return [twin.act(RIGHT).ok for _ in range(12)]

    truth = lived(world)
    imagined = [lived(belief.imagine(seed)) for seed in range(4)]
    assert any(one != truth for one in imagined)
    assert imagined[0] == lived(belief.imagine(0))


def test_without_gymnasium_the_command_is_named() -> None:
    code = (
        "import sys; sys.modules['gymnasium'] = None\n"
        "from habilis import World\n"
        "from habilis.core import MissingExtraError\n"
        "try:\n    World.from_gymnasium('CartPole-v1')\n"
        "except MissingExtraError as error:\n    print(error)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert "pip install 'habilis[gym]'" in said.stdout, said.stderr
    assert issubclass(MissingExtraError, ImportError)
    assert GymWorld.__module__ == "habilis.worlds.gym.world"
