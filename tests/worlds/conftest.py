"""A small world to run programs in, and the runners."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.worlds.counter import CounterWorld

from habilis.core import Program, Trajectory
from habilis.worlds.runner import ConfinedRunner


@pytest.fixture
def world() -> CounterWorld:
    return CounterWorld()


@pytest.fixture(scope="session")
def runner() -> Iterator[ConfinedRunner]:
    with ConfinedRunner() as confined:
        yield confined


@pytest.fixture(scope="session")
def unsafe_runner() -> Iterator[ConfinedRunner]:
    with ConfinedRunner(unsafe_no_isolation=True) as free:
        yield free


@pytest.fixture
def run(runner: ConfinedRunner, world: CounterWorld) -> Callable[..., Trajectory]:
    """Run the body of a function ``main`` in the counter world."""

    def of(body: str, **options: Any) -> Trajectory:
        source = "def main(**given):\n" + "".join(f"    {line}\n" for line in body.strip("\n").split("\n"))
        return runner.run(Program("main", source), world, **options)

    return of
