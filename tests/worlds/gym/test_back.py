"""Worlds as Gymnasium environments: its own checker, and an RL library that trains for a moment."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from tests.worlds.gym.envs import Corridor

from habilis.core import Goal, InputError, Task, World
from habilis.worlds import from_functions
from habilis.worlds.craft import CraftWorld
from habilis.worlds.gym import as_gymnasium, from_gymnasium
from habilis.worlds.household import HouseholdWorld


def stairs() -> World:
    """Ten steps up, one at a time, and down again."""
    at = {"step": 0}

    def up() -> None:
        """One step up."""
        if at["step"] >= 10:
            raise LookupError("this is the top")
        at["step"] += 1

    def down() -> None:
        """To the foot."""
        at["step"] = 0

    return from_functions(
        [up, down],
        observe=lambda: {"height": at["step"], "top": at["step"] == 10},
        reset=lambda: at.update(step=0),
        picture=lambda: np.full((20, 20), at["step"] * 20, np.uint8),
    )


@pytest.mark.parametrize(
    ("make", "goal"),
    [
        (CraftWorld, 'count("oak_log") >= 1'),
        (HouseholdWorld, 'holding("apple")'),
        (stairs, "top()"),
        (lambda: from_gymnasium(Corridor), "state(5)"),
    ],
)
def test_worlds_pass_gymnasiums_checker(make: Callable[[], World], goal: str) -> None:
    env = as_gymnasium(make, goal, max_steps=20)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=".*(spec|reset_seed|render).*")  # it is registered nowhere
        check_env(env, skip_render_check=True)
    assert env.observation_space.shape == (len(env.features),)
    assert env.action_space.n == len(env.actions)


def test_an_episode_is_rewarded_at_the_goal_and_ends_there() -> None:
    task = Task(Goal.parse("height() >= 3"), "functions", 0, "climb")
    env = as_gymnasium(stairs(), task, max_steps=5, render_mode="rgb_array")
    assert [str(f) for f in env.features] == ["height()", "top()"]
    observation, info = env.reset(seed=1)
    assert observation.tolist() == [0, 0]
    assert info["action_mask"].tolist() == [1] * len(env.actions)
    up = [str(a) for a in env.actions].index("up()")
    seen = [env.step(up) for _ in range(3)]
    assert [(reward, ended) for _, reward, ended, _, _ in seen] == [(0.0, False), (0.0, False), (1.0, True)]
    assert seen[-1][0].tolist() == [3, 0]
    assert env.render().shape == (20, 20, 3)
    assert int(env.render()[0, 0, 0]) == 60
    env.reset()
    long = [env.step(1 - up) for _ in range(5)]
    assert [truncated for *_, truncated, _ in long] == [False] * 4 + [True]


def test_features_and_actions_may_be_given() -> None:
    env = as_gymnasium(CraftWorld(), 'count("stick") >= 1', features=['count("oak_log")'], actions=['move("east")'])
    assert env.reset(seed=0)[0].tolist() == [0]
    assert env.action_space.n == 1
    assert env.step(0)[4]["ok"] in (True, False)


@pytest.mark.parametrize(
    ("goal", "given", "said"),
    [
        ('Judged("it is fine")', {}, "that the world can check"),
        ("True", {}, "that the world can check"),
        ("top()", {"max_steps": 0}, "max_steps=0"),
        ("top()", {"render_mode": "human"}, "render_mode='human'"),
        ("top()", {"actions": []}, "give features= and actions="),
    ],
)
def test_what_cannot_be_an_environment_is_told(goal: str, given: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        as_gymnasium(stairs(), goal, **given)


def test_an_rl_library_trains_for_a_moment() -> None:
    from stable_baselines3 import A2C

    env = as_gymnasium(stairs(), "height() >= 2", max_steps=20)
    model = A2C("MlpPolicy", env, n_steps=16, seed=0, device="cpu")
    before = [p.detach().clone() for p in model.policy.parameters()]
    model.learn(320)
    assert model.num_timesteps == 320
    now = [p.detach() for p in model.policy.parameters()]
    assert any(not np.array_equal(a.numpy(), b.numpy()) for a, b in zip(before, now, strict=True))
    action, _ = model.predict(env.reset(seed=0)[0])
    assert env.action_space.contains(int(action))
