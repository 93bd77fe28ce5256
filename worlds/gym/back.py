"""`as_gymnasium`: a world with a task as an environment that passes Gymnasium's checker, for RL libraries."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from habilis.core import Action, Affording, Fact, Goal, InputError, Snapshot, Task, World, need

_MOST = 256  # features, and actions, that are found by walking
_WALK = 200  # steps of the walk that finds them
_LIVES = 4  # seeds that it begins from
_LARGEST = 1e6  # of a feature: beyond it every number looks the same


def as_gymnasium(
    world: World | Callable[[], World],
    task: Task | Goal | str,
    *,
    features: Sequence[Fact | str] | None = None,
    actions: Sequence[Action | str] | None = None,
    max_steps: int = 200,
    render_mode: str | None = None,
) -> Any:
    """A `gymnasium.Env` in which the goal is to be reached.

    Args:
        world: a world that begins anew at a reset, or what makes one. It is the environment's from then on.
        task: the goal, as such, as text, or of a task.
        features: the facts that are observed, in order. None: those of the goal, and what a walk of 200 steps at random
            meets, from four seeds; at most 256.
        actions: what can be done, in order. None: what that walk finds worth trying; at most 256.
        max_steps: actions after which an episode is truncated.
        render_mode: None, or "rgb_array" where the world's observations carry pictures (needs pillow).

    Observations: float32 (features,), truth as 0 and 1, numbers cut at ± 1,000,000. Reward 1 when the goal comes true,
    which terminates, as the world's own end does. ``info``: "action_mask" (int8, what is worth trying now), "ok" and
    "message" of the last action. Attributes ``features``, ``actions``, ``goal``, ``world``.

    Raises `MissingExtraError`, `InputError`; what the world raises passes through.
    """
    gymnasium = need("gymnasium", "a world as a Gymnasium environment", install="'habilis[gym]'")
    import numpy as np

    lived = world if isinstance(world, World) else world()
    goal = task.goal if isinstance(task, Task) else Goal.parse(task) if isinstance(task, str) else task
    if goal.judged is not None or not goal.atoms:
        raise InputError(f"an environment needs a goal that the world can check, not {goal}; write atoms")
    if isinstance(max_steps, bool) or not isinstance(max_steps, int) or max_steps < 1:
        raise InputError(f"max_steps={max_steps!r}: an episode has at least 1 step")
    if render_mode not in (None, "rgb_array") or (render_mode and "images" not in lived.spec.capabilities):
        raise InputError(
            f"render_mode={render_mode!r}: None, or 'rgb_array' in a world whose observations have pictures"
        )
    met_facts, met_actions = _walk(lived) if features is None or actions is None else ([], [])
    if features is None:
        known = [atom.fact for atom in goal.atoms]
        features = list(dict.fromkeys([*known, *met_facts]))[: max(_MOST, len(known))]
    read = tuple(Fact.parse(f) if isinstance(f, str) else f for f in features)
    can = tuple(Action.parse(a) if isinstance(a, str) else a for a in (met_actions if actions is None else actions))
    if not read or not can:
        raise InputError(
            f"the world {lived.spec.name!r} shows no fact, or affords no action; give features= and actions="
        )

    base: Any = gymnasium.Env

    class WorldEnv(base):  # type: ignore[misc]
        """A world with a task."""

        metadata: ClassVar[dict[str, Any]] = {"render_modes": ["rgb_array"], "render_fps": 4}

        def __init__(self) -> None:
            self.world, self.goal, self.features, self.actions = lived, goal, read, can
            self.render_mode = render_mode
            shape = (len(read),)
            self.observation_space = gymnasium.spaces.Box(-_LARGEST, _LARGEST, shape, np.float32)
            self.action_space = gymnasium.spaces.Discrete(len(can))
            self._steps = 0

        def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
            super().reset(seed=seed)
            begin = int(self.np_random.integers(2**31)) if seed is None else int(seed)
            self._steps = 0
            now = self.world.reset(begin)
            return _vector(now, self.features), self._info(True, "")

        def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
            outcome = self.world.act(self.actions[int(action)])
            self._steps += 1
            now = self.world.observe()
            reached = not self.goal.unmet(now)
            ended = reached or outcome.done
            truncated = not ended and self._steps >= max_steps
            info = self._info(outcome.ok, outcome.message)
            return _vector(now, self.features), float(reached), ended, truncated, info

        def render(self) -> Any:
            return _pixels(self.world.observe()) if self.render_mode else None

        def _info(self, ok: bool, message: str) -> dict[str, Any]:
            worth = set(_worth_trying(self.world))
            mask = np.array([a in worth for a in self.actions], dtype=np.int8)
            return {"action_mask": mask, "ok": ok, "message": message}

    def _vector(now: Snapshot, facts: Sequence[Fact]) -> Any:
        values = np.array([float(now.value(f) or 0) for f in facts], dtype=np.float64)
        return np.clip(values, -_LARGEST, _LARGEST).astype(np.float32)

    return WorldEnv()


def _pixels(now: Snapshot) -> Any:
    """The first picture of an observation as an array."""
    import io

    import numpy as np

    pillow = need("PIL.Image", "a picture as an array", install="'habilis[gym]'")
    if not now.images:
        return np.zeros((16, 16, 3), dtype=np.uint8)
    return np.asarray(pillow.open(io.BytesIO(now.images[0].data)).convert("RGB"))


def _worth_trying(world: World) -> Sequence[Action]:
    if isinstance(world, Affording) and "affordances" in world.spec.capabilities:
        return list(world.affordances())
    return [Action(p.name) for p in world.spec.primitives if not any(q.required for q in p.parameters)]


def _walk(world: World) -> tuple[list[Fact], list[Action]]:
    """What a walk at random meets: facts, and actions worth trying, those met first in front."""
    facts: dict[Fact, None] = {}
    actions: dict[Action, None] = {}
    for life in range(_LIVES):
        rng = random.Random(f"walk:{life}")
        now = world.reset(life)
        for _ in range(_WALK // _LIVES):
            facts.update(dict.fromkeys(sorted(now.facts, key=str)))
            options = sorted(_worth_trying(world), key=str)
            actions.update(dict.fromkeys(options))
            if not options:
                break
            name = rng.choice(sorted({a.name for a in options}))
            outcome = world.act(rng.choice([a for a in options if a.name == name]))
            now = world.observe()
            if outcome.done:
                break
    return list(facts)[:_MOST], list(actions)[:_MOST]
