"""How long a mind takes, in imagined steps: timed with a clock that only the mind and the imagined steps move."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.agent.conftest import RuleWorld, household

from habilis.agent.local.hunches import Hunches, HunchSettings
from habilis.agent.local.timing import Timing, time_mind
from habilis.core import Action, Context, Goal, Outcome, Task
from habilis.worlds.runner import ConfinedRunner

SPEC = household(without=["reasons"]).spec
TASK = Task(Goal.parse('at("apple", "table")'), SPEC.name, 1, "")
STEP = 0.01  # seconds


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Slow:
    """A mind whose first line takes a minute, the others one second, and an action that it reads a tenth of one."""

    name = "slow"

    def __init__(self, clock: Clock) -> None:
        self._clock, self.lines = clock, 0

    def complete(self, prompts: Sequence[str], *, max_tokens: int = 48) -> list[str]:
        self.lines += len(prompts)
        self._clock.now += 1.0 if self.lines > 1 else 60.0
        return ["" for _ in prompts]

    def rank(self, prompt: str, options: Sequence[str]) -> list[float]:
        self._clock.now += 0.1 * len(options)
        return [0.0] * len(options)


class Ticking:
    """A world in which an imagined step takes `STEP` seconds."""

    def __init__(self, inner: Any, clock: Clock) -> None:
        self._inner, self._clock = inner, clock

    def imagine(self, seed: int) -> Ticking:
        return Ticking(self._inner.imagine(seed), self._clock)

    def clone(self) -> Ticking:
        return Ticking(self._inner.clone(), self._clock)

    def act(self, action: Action) -> Outcome:
        self._clock.now += STEP
        outcome: Outcome = self._inner.act(action)
        return outcome

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def beginning(clock: Clock, world: RuleWorld | None = None) -> Context:
    world = world or household(without=["reasons"])
    return Context(world.spec, world.observe(), simulator=Ticking(world, clock), affordances=tuple(world.affordances()))


def test_a_line_is_worth_the_imagined_steps_that_take_as_long(runner: ConfinedRunner) -> None:
    clock = Clock()
    mind = Slow(clock)
    timing = time_mind(mind, runner, [(TASK, beginning(clock))] * 3, clock=clock)
    assert timing is not None
    # Steps that are carried out again to cut a plan are not all counted as search steps.
    assert timing.step_seconds == pytest.approx(STEP, rel=0.5)
    assert timing.line == pytest.approx(1.0 / timing.step_seconds, abs=1)
    assert timing.action == pytest.approx(0.1 / timing.step_seconds, abs=1)
    assert mind.lines == 4  # the first, in which a model is loaded, does not count


def test_a_slow_mind_is_timed_by_what_there_is_time_for(runner: ConfinedRunner) -> None:
    clock = Clock()
    mind = Slow(clock)
    assert time_mind(mind, runner, [(TASK, beginning(clock))] * 9, seconds=1.5, clock=clock) is not None
    assert mind.lines == 3


def test_without_anything_to_time_it_by_nothing_is_said(runner: ConfinedRunner) -> None:
    clock = Clock()
    blind = Context(SPEC, household().observe())
    for tasks in ([], [(TASK, blind)]):
        mind = Slow(clock)
        assert time_mind(mind, runner, tasks, clock=clock) is None
        assert mind.lines == 0  # nor is the model loaded for it


def test_the_timing_decides_whether_a_line_pays() -> None:
    def asked(line_steps: int | None) -> bool:
        hunches = Hunches(lambda: None, SPEC, settings=HunchSettings(line_steps=800), line_steps=lambda: line_steps)
        return hunches.worth_asking()

    assert asked(None)
    assert asked(1_500)
    assert not asked(3_930)  # half of 4,000 steps is less


@given(st.integers(1, 10**9), st.integers(1, 10**6), st.floats(1e-9, 10))
def test_it_is_read_as_it_was_written(line: int, action: int, step: float) -> None:
    timing = Timing(line, action, step)
    assert Timing.load(timing.dump()) == timing


@pytest.mark.parametrize("damaged", [None, 3, {}, {"line": 0, "action": 1, "step_seconds": 0.1}, {"line": "many"}])
def test_what_is_no_timing_is_passed_over(damaged: object) -> None:
    assert Timing.load(damaged) is None
