"""What an environment can do, found out by trying: does a seed repeat itself, is a copy independent."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from habilis.core import Action, InputError, WorldError
from habilis.worlds.gym._actions import Deeds
from habilis.worlds.gym._driver import Driver, Moment, Origin
from habilis.worlds.gym._seeing import same

_STEPS = 16  # in each trial; half of them before the copy is made
_SEEDS = (7, 11)


def seeded(origin: Origin, driver: Driver, deeds: Deeds) -> bool:
    """Whether the same seed and the same actions give the same, in one environment twice, and in a second one where
    that can be made. Raises `WorldError` for an environment that cannot even be reset."""
    for seed in _SEEDS:
        actions = _drawn(deeds, seed)
        first = _lived(driver, seed, actions)
        if not _alike(first, _lived(driver, seed, actions)):
            return False
        if origin.make is not None and seed == _SEEDS[0]:
            other = origin.driver()
            try:
                if not _alike(first, _lived(other, seed, actions)):
                    return False
            finally:
                other.close()
    return True


def copied(driver: Driver, deeds: Deeds) -> bool:
    """Whether a deepcopy, acted upon, leaves the environment as it is, and both go on alike."""
    try:
        for seed in _SEEDS:
            actions = _drawn(deeds, seed)
            driver.reset(seed)
            if getattr(driver.env, "render_mode", None) is not None:
                driver.render()  # what is drawn on can often not be copied
            if _go_on(driver, actions[: _STEPS // 2])[-1:] and driver.why:
                return False
            twin = driver.copied()
            try:
                one = _go_on(twin, actions[_STEPS // 2 :])
                other = _go_on(driver, actions[_STEPS // 2 :])
                if not _alike(one, other):
                    return False
            finally:
                twin.end()  # not closed: what it closes might be shared
    except WorldError:
        if driver.hung:
            raise
        driver.why = ""
        return False
    return True


def _drawn(deeds: Deeds, seed: int) -> list[Any]:
    rng = random.Random(seed)
    options = deeds.worth_trying()
    made: list[Any] = []
    for _ in range(_STEPS):
        try:
            made.append(deeds.action(rng.choice(options)))
        except InputError:  # of a function of the user's: what it refuses is not tried
            continue
    return made


def _lived(driver: Driver, seed: int, actions: Sequence[Any]) -> list[Moment]:
    return [driver.reset(seed), *_go_on(driver, actions)]


def _go_on(driver: Driver, actions: Sequence[Any]) -> list[Moment]:
    """What comes of the actions, up to the end of the episode."""
    lived: list[Moment] = []
    for action in actions:
        lived.append(driver.step(action, str(Action("action"))))
        if lived[-1].terminated or lived[-1].truncated:
            break
    return lived


def _alike(one: Sequence[Moment], other: Sequence[Moment]) -> bool:
    return len(one) == len(other) and all(
        (a.reward, a.terminated, a.truncated) == (b.reward, b.terminated, b.truncated)
        and same(a.observation, b.observation)
        for a, b in zip(one, other, strict=True)
    )
