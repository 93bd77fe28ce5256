"""An agent learns in the household world, with its rules told and with its rules hidden."""

from __future__ import annotations

from pathlib import Path

import pytest

from habilis import Agent
from habilis.worlds.household import HouseholdWorld


@pytest.mark.parametrize("contracts", ["told", "hidden"])
def test_skills_are_learned(tmp_path: Path, contracts: str) -> None:
    with Agent(world=HouseholdWorld(contracts=contracts, size=0.2), home=tmp_path) as agent:
        result = agent.run_now(tasks=8)
        assert result.solved >= 4
        assert len(agent.skills) >= 2
