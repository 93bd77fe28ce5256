"""Small environments that do one thing well, or wrong."""

from __future__ import annotations

import time
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces


class Corridor(gymnasium.Env[Any, Any]):
    """Walk right to the end, where the reward is. The wind, which is luck, blows one back at times."""

    metadata = {"render_modes": ["rgb_array"]}  # noqa: RUF012

    def __init__(self, length: int = 6, wind: float = 0.2, render_mode: str | None = None) -> None:
        self.length, self.wind, self.render_mode = length, wind, render_mode
        self.observation_space = spaces.Discrete(length)
        self.action_space = spaces.Discrete(2)
        self.at = 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.at = int(self.np_random.integers(2))
        return self.at, {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        step = 1 if action else -1
        if self.np_random.random() < self.wind:
            step = -1
        self.at = min(max(self.at + step, 0), self.length - 1)
        there = self.at == self.length - 1
        return self.at, float(there), there, False, {}

    def render(self) -> Any:
        picture = np.zeros((16, 16 * self.length, 3), dtype=np.uint8)
        picture[:, 16 * self.at : 16 * self.at + 16] = 255
        return picture


class Faulty(Corridor):
    """Does something wrong at the third step of every life whose seed is even; ``fault`` says what."""

    def __init__(self, fault: str) -> None:
        super().__init__(wind=0.0)
        self.fault, self.steps, self.wrong = fault, 0, True
        self.observation_space = spaces.Box(-9, 9, (2,), np.float32)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        _, info = super().reset(seed=seed)
        self.at, self.steps = 0, 0
        self.wrong = seed is not None and seed % 2 == 0
        return self._seen(), info

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        _, reward, there, _, info = super().step(action)
        self.steps += 1
        seen, wrong = self._seen(), self.wrong and self.steps == 3
        if wrong and self.fault == "raises":
            raise RuntimeError("the motor is hot")
        if wrong and self.fault == "exits":
            raise SystemExit(3)
        if wrong and self.fault == "hangs":
            time.sleep(60)
        if wrong and self.fault == "nan":
            seen[1] = np.nan
        if wrong and self.fault == "reward":
            reward = float("nan")
        if wrong and self.fault == "shape":
            seen = np.zeros(3, np.float32)
        if wrong and self.fault == "space":
            self.action_space = spaces.Discrete(3)
        if wrong and self.fault == "four":
            return seen, reward, there, info  # type: ignore[return-value]
        return seen, reward, there, False, info

    def _seen(self) -> Any:
        return np.array([self.at, 0.5], np.float32)


class Unseeded(Corridor):
    """Luck that no seed governs."""

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self._np_random = np.random.default_rng()
        self.at = int(self.np_random.integers(self.length - 1))
        return self.at, {}


class Shared(Corridor):
    """A deepcopy that is none: where it stands is kept outside of it, one place for all copies."""

    def __init__(self) -> None:
        super().__init__(length=40, wind=0.3)
        self.places = _Places()

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.at = self.places.at
        seen = super().step(action)
        self.places.at = self.at
        return seen

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        seen = super().reset(seed=seed)
        self.places.at = self.at
        return seen


class _Places:
    at = 0

    def __deepcopy__(self, memo: Any) -> _Places:
        return self


class Uncopyable(Corridor):
    def __deepcopy__(self, memo: Any) -> Any:
        raise TypeError("cannot pickle a window")


class Rich(gymnasium.Env[Any, Any]):
    """Everything at once: spaces of all kinds, and a picture."""

    def __init__(self) -> None:
        self.observation_space = spaces.Dict(
            {
                "screen": spaces.Box(0, 255, (20, 24, 3), np.uint8),
                "bag": spaces.MultiDiscrete([5, 5]),
                "facing": spaces.Discrete(4),
                "told": spaces.Text(20, charset="abc "),
                "body": spaces.Tuple((spaces.Box(-1, 1, (), np.float64), spaces.MultiBinary(2))),
            }
        )
        self.action_space = spaces.Dict(
            {"arm": spaces.Box(-1, 1, (1,), np.float32), "legs": spaces.MultiDiscrete([2, 3])}
        )
        self.taken: list[Any] = []

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.taken = []
        return self._seen(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        assert self.action_space.contains(action)
        self.taken.append(action)
        return self._seen(), 0.0, False, len(self.taken) >= 8, {}

    def _seen(self) -> Any:
        n = len(self.taken)
        return {
            "screen": np.full((20, 24, 3), n * 9, np.uint8),
            "bag": np.array([n % 5, 2]),
            "facing": n % 4,
            "told": "ab " * (n % 3) + "c",
            "body": (np.float64(n / 10), np.array([1, 0], np.int8)),
        }
