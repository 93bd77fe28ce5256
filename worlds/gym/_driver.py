"""One environment, driven with care: in a thread of its own that nothing waits for longer than it may take.

Whatever it does wrong is a `WorldError` that says what, and the environment is not used again: it is made anew.
"""

from __future__ import annotations

import copy
import math
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from habilis.core import InputError, WorldError
from habilis.worlds._observed import said

_MOST_LEFT = 4  # threads in which an environment hangs: each may keep a processor busy
_RAISED = (Exception, SystemExit)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Moment:
    """What an environment gave: at a reset (``reward`` 0), or a step."""

    observation: Any
    info: dict[str, Any]
    reward: float = 0.0
    terminated: bool = False
    truncated: bool = False


class Origin:
    """Where environments of one world come from. ``make``: makes one, None where there is only the ``given`` one.

    ``left``: how many hang in threads that were left behind, over all copies of the world.
    """

    def __init__(self, name: str, make: Callable[[], Any] | None, given: Any, step_seconds: float | None) -> None:
        self.name, self.make, self.step_seconds = name, make, step_seconds
        self.left = 0
        self._given = given

    def driver(self) -> Driver:
        """A driver of an environment that nobody else drives. Raises `WorldError`."""
        if self.left >= _MOST_LEFT:
            raise WorldError(
                f"the environment of the world {self.name!r} hung {self.left} times, which is the most: mend it, or "
                f"allow more than step_seconds={self.step_seconds:g}"
            )
        if self.make is None:
            if self._given is None:
                raise WorldError(
                    f"the environment of the world {self.name!r} cannot be made again; give from_gymnasium a function "
                    "that makes one, or its name, in place of the environment itself"
                )
            given, self._given = self._given, None
            return Driver(self, given)
        driver = Driver(self, None)
        driver.env = driver.run("be made", self.make)
        if not hasattr(driver.env, "reset") or not hasattr(driver.env, "step"):
            raise InputError(
                f"what should make the environment of the world {self.name!r} made a {type(driver.env).__name__}; "
                "return a gymnasium.Env"
            )
        return driver

    def take_back(self, env: Any) -> None:
        """The given environment is free again: it was only looked at, or raised and may be reset."""
        if self.make is None:
            self._given = env


class Driver:
    """Drives one environment. ``why``: what it did wrong, after which it is not to be used again; else ""."""

    def __init__(self, origin: Origin, env: Any) -> None:
        self.origin, self.env, self.why, self.hung = origin, env, "", False
        self._work: queue.SimpleQueue[Any] | None = None
        self._done: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def reset(self, seed: int) -> Moment:
        """Begin anew. Raises `WorldError`."""
        given = self.run(f"be reset to seed {seed}", lambda: self.env.reset(seed=seed))
        if not isinstance(given, tuple) or len(given) != 2:
            raise self.wrong(f"gave {type(given).__name__} when reset; reset gives (observation, info)")
        return Moment(given[0], given[1] if isinstance(given[1], dict) else {})

    def step(self, action: Any, what: str) -> Moment:
        """One step. ``what``: the action, for errors. Raises `WorldError`."""
        given = self.run(f"take the step {what}", self.env.step, action)
        if not isinstance(given, tuple) or len(given) != 5:
            raise self.wrong(
                f"gave {type(given).__name__} of {len(given) if isinstance(given, tuple) else 1} for {what}; a step "
                "gives (observation, reward, terminated, truncated, info)"
            )
        observation, reward, terminated, truncated, info = given
        try:
            number = float(reward)
        except (TypeError, ValueError):
            raise self.wrong(f"gave the reward {reward!r:.80} for {what}, which is no number") from None
        if not math.isfinite(number):
            raise self.wrong(f"gave the reward {number} for {what}; a reward is a finite number")
        return Moment(observation, info if isinstance(info, dict) else {}, number, bool(terminated), bool(truncated))

    def render(self) -> Any:
        """What it shows. Raises `WorldError`."""
        return self.run("be rendered", lambda: self.env.render())

    def copied(self) -> Driver:
        """A copy, by deepcopy. Raises `WorldError` where that does not work; the environment itself goes on."""
        try:
            made = self.run("be copied", copy.deepcopy, self.env)
        except WorldError:
            if not self.hung:
                self.why = ""
            raise
        return Driver(self.origin, made)

    def wrong(self, what: str) -> WorldError:
        """The environment did something wrong: the error to raise."""
        self.why = f"the environment of the world {self.origin.name!r} {what}"
        return WorldError(self.why)

    def run(self, what: str, function: Callable[..., T], *given: Any) -> T:
        """Call it in the environment's thread. ``what``: in words. Raises `WorldError` for what it raises, and where it
        takes longer than it may."""
        if self.hung:
            raise WorldError(self.why)
        limit = self.origin.step_seconds
        if limit is None:
            try:
                return function(*given)
            except _RAISED as error:
                raise self.wrong(f"raised {said(error)} when asked to {what}") from error
        if self._work is None:
            self._work = queue.SimpleQueue()
            threading.Thread(
                target=_serve, args=(self._work, self._done), name=f"habilis-{self.origin.name}", daemon=True
            ).start()
        self._work.put((function, given))
        try:
            value, raised = self._done.get(timeout=limit)
        except queue.Empty:
            self.hung = True
            self.origin.left += 1
            self._work.put(None)  # should it ever come back, its thread ends
            raise self.wrong(
                f"did not answer within step_seconds={limit:g} when asked to {what}; it is left behind"
            ) from None
        if raised is not None:
            if not isinstance(raised, _RAISED):
                raise raised
            raise self.wrong(f"raised {said(raised)} when asked to {what}") from raised
        result: T = value
        return result

    def close(self) -> None:
        """Close the environment, unless it hangs, and end its thread."""
        if self.hung:
            return
        try:
            self.run("be closed", lambda: self.env.close())
        except WorldError:  # it is not used again in any case
            pass
        self.end()

    def end(self) -> None:
        """End its thread; the environment stays as it is."""
        if self._work is not None:
            self._work.put(None)
            self._work = None

    def __del__(self) -> None:
        if getattr(self, "_work", None) is not None:
            self.end()


def _serve(work: queue.SimpleQueue[Any], done: queue.SimpleQueue[Any]) -> None:
    """What the environment's thread does: one call after the other, until there is None to do."""
    while (todo := work.get()) is not None:
        function, given = todo
        try:
            done.put((function(*given), None))
        except BaseException as error:
            done.put((None, error))
        del todo, function, given  # or the environment lives as long as its thread
