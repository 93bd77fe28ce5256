"""A runner for each tier that this system has, and one that holds nothing."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import pytest
from tests.worlds.attacks import targets as aims

from habilis.worlds.runner import ConfinedRunner

HERE = aims.tiers()


@pytest.fixture(scope="session", params=HERE, ids=lambda tier: f"tier {tier}")
def confined(request: pytest.FixtureRequest) -> Iterator[ConfinedRunner]:
    with ConfinedRunner(isolation=aims.NAMES[request.param]) as runner:
        assert runner.tier == request.param
        yield runner


@pytest.fixture(scope="session")
def unconfined() -> Iterator[ConfinedRunner]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with ConfinedRunner(unsafe_no_isolation=True) as runner:
            assert runner.tier == 0
            yield runner


@pytest.fixture(scope="session")
def targets() -> Iterator[dict[str, Any]]:
    with aims.targets() as given:
        yield given
