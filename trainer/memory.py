"""What a training has to know of a base model, computed once: text that it wrote itself, and its Fisher information.

Kept in the cache under the model's fingerprint (a Fisher is as large as the model), and shared by all homes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from habilis.core import need
from habilis.memory.wheels import cache_dir
from habilis.trainer._lm import Encoded, arithmetic, chunks, self_generated, start_token
from habilis.trainer.base import BaseModel, load_model
from habilis.trainer.fisher import Fisher, Progress, diagonal_fisher
from habilis.trainer.training.settings import TrainSettings, choose_device

if TYPE_CHECKING:
    from torch import Tensor

_HELD_OUT_TEXTS = 16  # kept from the Fisher, to measure the drift on: from text to text it differs threefold


@dataclass(frozen=True)
class BaseMemory:
    """``texts``: (n, length) for the Fisher and for replay; ``held_out``: more of them, for the drift. ``folder``:
    where Fishers of this base are kept."""

    base: BaseModel
    texts: Tensor
    held_out: Tensor
    folder: Path
    settings: TrainSettings

    def model(self) -> Any:
        """The base model, float32."""
        return load_model(self.base.path)[0]

    @property
    def fisher_file(self) -> Path:
        """The Fisher on self-written text."""
        s = self.settings
        return self.folder / f"{_texts_name(s)}-{_dtype(s)}.fisher.safetensors"

    def fisher(
        self, corpus: Sequence[Encoded] = (), given: Path | None = None, progress: Progress | None = None
    ) -> Fisher:
        """Of the base model on what ``TrainSettings.fisher`` says; ``corpus``: the examples or texts that are meant.

        ``given``: a file to take instead. Raises `ModelError` where that is of another model, naming both.
        """
        if given is not None:
            return Fisher.load(given, model=self.base.fingerprint)
        kind = self.settings.fisher
        on_corpus = list(corpus[: self.settings.memory])
        if kind == "self" or not on_corpus:
            return self._of(self.texts, self.fisher_file, progress)
        name = self.fisher_file.name.replace(".fisher.", ".corpus.")
        found = self._of(on_corpus, self.folder / name, progress)
        return found if kind == "corpus" else self._of(self.texts, self.fisher_file, progress).mean_with(found)

    def _of(self, samples: Any, cache: Path, progress: Progress | None) -> Fisher:
        return diagonal_fisher(
            lambda: self.model().to(choose_device(self.settings.device)),
            samples,
            model_fingerprint=self.base.fingerprint,
            dtype=_dtype(self.settings),
            cache=cache,
            progress=progress,
        )


def remember(
    base: BaseModel, settings: TrainSettings, cache: Path | None = None, progress: Progress | None = None
) -> BaseMemory:
    """Self-written text of a base model, from the cache or into it."""
    n, length = settings.memory, settings.memory_length
    folder = (cache or cache_dir()) / "fisher" / base.fingerprint[:16]
    name = _texts_name(settings)
    file = folder / f"{name}.texts"
    texts = _kept(file)
    if texts is None:
        if progress is not None:
            progress("fisher", 0, n, 0.0)
        writer, tokenizer = load_model(base.path, _dtype(settings))
        writer = writer.to(choose_device(settings.device))
        start = start_token(tokenizer)
        texts = self_generated(writer, n + _HELD_OUT_TEXTS, length, settings.seed, start=start, dtype="float32")
        folder.mkdir(parents=True, exist_ok=True)
        scratch = folder / f".{name}.texts"
        need("safetensors.torch").save_file({"ids": texts.to(need("torch").int64)}, str(scratch))
        scratch.replace(file)
    return BaseMemory(base, texts[:n], texts[n:], folder, settings)


def _kept(file: Path) -> Tensor | None:
    """The texts in a file of the cache; None where there is none, or a damaged one that has to be written again."""
    damaged = need("safetensors").SafetensorError
    try:
        ids: Tensor = need("safetensors.torch").load_file(str(file))["ids"]
    except (OSError, KeyError, damaged):
        return None
    return ids


def prepare_base(
    base: BaseModel,
    settings: TrainSettings | None = None,
    *,
    cache: Path | None = None,
    progress: Progress | None = None,
) -> Path:
    """Compute once what training needs to know of a base model: self-written text and its Fisher information.

    Kept in the cache under the model's fingerprint; `distil` then finds it there. Returns the Fisher's file.
    """
    memory = remember(base, settings or TrainSettings(), cache, progress)
    memory._of(memory.texts, memory.fisher_file, progress)
    return memory.fisher_file


def text_rows(tokenizer: Any, text: str, length: int) -> list[Encoded]:
    """A text of the user's as samples for a Fisher: pieces of ``length`` tokens."""
    ids = tokenizer(text, add_special_tokens=False).input_ids
    return [(row[:1], row[1:]) for row in chunks(ids, min(length, len(ids))).tolist()] if len(ids) > 1 else []


def _texts_name(settings: TrainSettings) -> str:
    """All texts of a seed are drawn together, so that how many there are makes them what they are."""
    return f"{settings.memory}+{_HELD_OUT_TEXTS}x{settings.memory_length}-{settings.seed}"


def _dtype(settings: TrainSettings) -> str:
    return arithmetic(settings.dtype, choose_device(settings.device).type)
