from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from habilis.agent.local.mind import open_mind
from habilis.core import InputError, ModelError
from habilis.trainer import (
    BaseModel,
    Decision,
    DistilOptions,
    Evaluation,
    Gate,
    TrainSettings,
    distil,
    fingerprint,
    get_base,
    update_kept,
)
from habilis.trainer.base import check_base

pytest.importorskip("torch")

SETTINGS = TrainSettings(batch=8, memory=4, memory_length=32, dtype="float32", learning_rate=3e-3)


class AlwaysGate(Gate):
    """Lets every model pass, to see what becomes of an adopted one."""

    def judge(self, present: Evaluation, tuned: Evaluation, **more: Any) -> Decision:
        return Decision(True, ("for the test",))


def test_from_episodes_to_a_verdict(tiny: BaseModel, workshop: SimpleNamespace, tmp_path: Path) -> None:
    phases: list[str] = []
    episodes = workshop.make_episodes(60)
    result = distil(
        episodes,
        [],
        workshop.contracts,
        workshop.spec,
        out=tmp_path / "model",
        base=tiny,
        settings=SETTINGS,
        seconds=None,
        steps=4,
        runner=workshop.run_plans,
        progress=lambda phase, step, steps, loss: phases.append(phase),
    )
    figures = result.figures
    assert list(dict.fromkeys(phases)) == ["corpus", "fisher", "evaluate", "train", "gate"]
    assert figures["training"]["steps"] == 4
    assert figures["base"]["families"].keys() == figures["tuned"]["families"].keys()
    assert "plan_run" in figures["tuned"]["families"]
    assert "plan" not in figures["tuned"]["families"]
    assert figures["base"]["perplexity"] != figures["tuned"]["perplexity"]
    assert sum(v for k, v in figures["seconds"].items() if k != "total") <= figures["seconds"]["total"] + 1
    # Random weights learn nothing in four steps, and the gate says so.
    assert not result.adopted
    assert "must rise by more than" in " ".join(result.reasons)
    assert (result.path / "adapter" / "adapter_model.safetensors").is_file()
    with pytest.raises(ModelError):
        open_mind(result.path)
    assert json.loads((result.path / "distil.json").read_text())["figures"]["training"]["steps"] == 4
    assert list(result.path.parent.glob("*.work")) == []

    adopted = distil(
        episodes,
        [],
        workshop.contracts,
        workshop.spec,
        out=tmp_path / "model2",
        base=tiny,
        settings=SETTINGS,
        gate=AlwaysGate(),
        seconds=None,
        steps=2,
    )
    assert adopted.adopted
    assert adopted.figures["seconds"]["fisher"] < figures["seconds"]["fisher"] + 1
    mind = open_mind({"path": str(adopted.path), "name": "m1"})
    assert mind.name == "m1"
    assert len(mind.complete(["Words: get 4 sticks\nGoal:\n"] * 3, max_tokens=4)) == 3
    assert fingerprint(adopted.path) != tiny.fingerprint
    assert update_kept(adopted.path, "float32") == pytest.approx(1, abs=1e-3)


def test_asked_to_stop_it_stops_at_the_next_step_and_goes_on_later(
    tiny: BaseModel, workshop: SimpleNamespace, tmp_path: Path
) -> None:
    told: list[tuple[str, int]] = []

    def work(where: str) -> None:
        told.clear()
        distil(
            workshop.make_episodes(60),
            [],
            workshop.contracts,
            workshop.spec,
            out=tmp_path / "model",
            base=tiny,
            settings=SETTINGS,
            seconds=None,
            steps=4,
            options=DistilOptions(cache=tmp_path / "cache"),
            progress=lambda phase, step, steps, loss: told.append((phase, step)),
            stop=lambda: bool(told) and told[-1][0] == where,
        )

    for phase in ("corpus", "fisher", "evaluate", "train"):
        with pytest.raises(ModelError, match=r"stopped .* goes on when it is called again"):
            work(phase)
        assert told[-1][0] == phase
        assert not (tmp_path / "model").exists()
    assert told[-1] == ("train", 1)
    work("nowhere")
    assert next(t for t in told if t[0] == "train") == ("train", 2)  # not from the beginning
    assert (tmp_path / "model" / "distil.json").is_file()


def test_too_little_is_said_before_anything_is_loaded(workshop: SimpleNamespace, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at least 8 on 6"):
        distil([], [], [], workshop.spec, out=tmp_path / "m", base="smollm2", options=DistilOptions(cache=tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_no_time_for_training_is_an_error_with_the_numbers(
    tiny: BaseModel, workshop: SimpleNamespace, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="nothing is left for training"):
        distil(
            workshop.make_episodes(60),
            [],
            workshop.contracts,
            workshop.spec,
            out=tmp_path / "m",
            base=tiny,
            settings=SETTINGS,
            seconds=1.0,
        )


def test_base_models_by_path_and_by_no_path(tiny: BaseModel, tmp_path: Path) -> None:
    assert get_base(tiny.path) == BaseModel(tiny.path, tiny.fingerprint, "model")
    with pytest.raises(InputError, match="use 'smollm2'"):
        get_base("nothing such")
    for take in (get_base, check_base):
        with pytest.raises(InputError, match="there is no base model ''"):
            take("")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no model folder"):
        get_base(tmp_path / "empty")


def test_importing_the_trainer_loads_no_heavy_library() -> None:
    code = (
        "import sys, habilis.trainer, habilis.agent.local.mind; "
        "print(sorted({'torch', 'transformers', 'peft', 'chromadb', 'openai', 'langchain'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
