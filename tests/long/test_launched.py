"""Training in processes that a launcher starts, through the trainer's own door. Takes a minute or two:

HABILIS_LONG=1 python -m pytest tests/long/test_launched.py
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from habilis.core import InputError, ModelError
from habilis.trainer import BaseModel, tiny_random_model

pytestmark = pytest.mark.long
torch = pytest.importorskip("torch")

from tests.trainer.test_successive import SETTINGS, go, sums  # noqa: E402

BIN = Path(sys.executable).parent
ACCELERATE = f"{BIN}/accelerate launch --multi_gpu --num_machines 1 --mixed_precision no --dynamo_backend no"
LAUNCHERS = (f"{BIN}/torchrun --nproc_per_node 2", f"{ACCELERATE} --num_processes 2")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> BaseModel:
    return tiny_random_model(tmp_path_factory.mktemp("tiny") / "model")


@pytest.mark.parametrize("launcher", LAUNCHERS, ids=["torchrun", "accelerate"])
@pytest.mark.parametrize("name", ["ewc", "kl", "ewc_replay"])
def test_two_processes_reach_the_loss_of_one(base: BaseModel, tmp_path: Path, launcher: str, name: str) -> None:
    settings = replace(SETTINGS, regulariser=name, strength=10.0)
    alone = go(sums(), tmp_path / "alone", base, settings, steps=3).figures["training"]
    seen: list[tuple[str, int]] = []
    both = go(
        sums(),
        tmp_path / "both",
        base,
        settings,
        steps=3,
        options={"launcher": tuple(launcher.split())},
        progress=lambda phase, step, steps, loss: seen.append((phase, step)),
    ).figures["training"]
    assert both["processes"] == 2
    assert both["loss_last"] == pytest.approx(alone["loss_last"], rel=1e-5)
    assert [s for s in seen if s[0] == "train"] == [("train", i) for i in (1, 2, 3)]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["alone", "both", "cache"]


# accelerate shards on GPUs alone; told that the CPU processes are some, it shards on gloo.
SHARDED = """
import os, sys
import habilis.trainer
from accelerate.state import DistributedType, PartialState

for name, value in {
    "ACCELERATE_USE_FSDP": "true",
    "FSDP_VERSION": "2",
    "FSDP_AUTO_WRAP_POLICY": "TRANSFORMER_BASED_WRAP",
    "FSDP_TRANSFORMER_CLS_TO_WRAP": "LlamaDecoderLayer",
    "FSDP_RESHARD_AFTER_FORWARD": "true",
    "FSDP_STATE_DICT_TYPE": "FULL_STATE_DICT",
}.items():
    os.environ[name] = value
training = sys.modules["habilis.trainer.training.train"]
arguments = training._arguments

def on_gpus(*given):
    made = arguments(*given)
    PartialState._shared_state["distributed_type"] = DistributedType.MULTI_GPU
    return made

training._arguments = on_gpus
from habilis.trainer.training.launching import main
main([sys.argv[-1]])
"""


@pytest.mark.parametrize(("method", "name"), [("lora", "ewc"), ("full", "ewc"), ("lora", "kl")])
def test_sharded_weights_and_fisher_give_the_same_training(
    base: BaseModel, tmp_path: Path, method: str, name: str
) -> None:
    settings = replace(SETTINGS, regulariser=name, method=method, save_every=1, strength=100.0)
    alone = go(sums(), tmp_path / "alone", base, settings, steps=3).figures["training"]
    script = tmp_path / "sharded.py"
    script.write_text(SHARDED)
    launcher = (*LAUNCHERS[0].split(), str(script))
    shared = go(sums(), tmp_path / "shared", base, settings, steps=3, options={"launcher": launcher})
    found = shared.figures["training"]
    assert (found["processes"], found["sharded"]) == (2, True)
    assert found["loss_last"] == pytest.approx(alone["loss_last"], rel=1e-4)
    assert found["drift"]["q"] == pytest.approx(alone["drift"]["q"], rel=1e-2)
    assert found["drift"]["probed"] == pytest.approx(alone["drift"]["probed"], abs=1e-4)


def test_what_goes_wrong_in_a_process_is_told(base: BaseModel, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot start 'no-such-launcher'"):
        go(sums(), tmp_path / "x", base, options={"launcher": ("no-such-launcher",)})
    with pytest.raises(ModelError, match="at least 1 step, got steps=0"):
        go(sums(), tmp_path / "x", base, steps=0, options={"launcher": tuple(LAUNCHERS[0].split())})
