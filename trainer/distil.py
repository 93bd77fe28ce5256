"""From episodes to an adopted model, or to a list of reasons why not."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from habilis.core import Contract, Episode, InputError, Json, ModelError, Skill, WorldSpec, need
from habilis.memory.wheels import cache_dir
from habilis.trainer._lm import self_generated, start_token
from habilis.trainer.base import BaseModel, get_base, load_model, save_model
from habilis.trainer.corpus import Corpus, build_corpus
from habilis.trainer.evaluate import Evaluation, PlanRunner, evaluate
from habilis.trainer.fisher import Progress, diagonal_fisher
from habilis.trainer.gate import Gate
from habilis.trainer.regularisers import open_regulariser
from habilis.trainer.train import TrainSettings, train, with_lora

if TYPE_CHECKING:
    from torch import Tensor

_HELD_OUT_TEXTS = 4  # sequences of self-written text kept from the Fisher, to measure the drift on
_MOST_QUESTIONS = 160  # held-out questions asked of a model: 160 tell .05 from .15, and are asked in seconds
_MOST_PLANS = 24
_EVALUATION = 0.15  # share of the time for asking the base model; the new one is asked the same


@dataclass(frozen=True)
class DistilResult:
    """``path``: the folder of the new model if ``adopted``, else of its adapter alone. ``reasons``: of the gate.

    ``figures`` (JSON): what was measured, by part: corpus, base, tuned, training, seconds.
    """

    path: Path
    adopted: bool
    reasons: tuple[str, ...]
    figures: Mapping[str, Json]


@dataclass(frozen=True)
class _Memory:
    texts: Tensor  # (n, length), for the Fisher
    held_out: Tensor  # (_HELD_OUT_TEXTS, length), for the drift
    fisher: Path


def prepare_base(
    base: BaseModel,
    settings: TrainSettings | None = None,
    *,
    cache: Path | None = None,
    progress: Progress | None = None,
) -> Path:
    """Compute once what training needs to know of a base model: self-written text and its Fisher information.

    Kept in the cache under the model's fingerprint (as large as the model); `distil` then finds it there. Returns the
    Fisher's file.
    """
    settings = settings or TrainSettings()
    return _memory(base, settings, cache, progress).fisher


def distil(
    episodes: Sequence[Episode],
    skills: Sequence[Skill],
    contracts: Sequence[Contract],
    spec: WorldSpec,
    *,
    out: Path,
    base: BaseModel | str | Path = "smollm2",
    settings: TrainSettings | None = None,
    gate: Gate | None = None,
    seconds: float | None = 240.0,
    steps: int | None = None,
    runner: PlanRunner | None = None,
    progress: Progress | None = None,
    stop: Callable[[], bool] | None = None,
    cache: Path | None = None,
    corpus: Corpus | Callable[[], Corpus] | None = None,
) -> DistilResult:
    """Corpus, Fisher, training, evaluation, gate. What is judged is the model as written to disk.

    ``out``: the folder that the result appears in; interrupted work lies beside it (``<out>.….work``) and goes on when
    called again for the same world. ``stop`` is asked at every step; where it says True the work ends there, with a
    `ModelError`.
    ``seconds``: for everything together (None: no limit); what evaluation and writing will take is measured on the
    base model and kept aside. ``runner`` executes plans for held-out goals; without one, plans are compared with the
    known ones. ``corpus``: trained on instead of one that is built here of what the others give; or what makes it.
    ``progress`` is called with (phase, step, steps, loss); phases: corpus, fisher, evaluate, train, gate.

    Raises `InputError` (too few episodes, too little time), `ModelError`, `MissingExtraError`.
    """
    began = time.monotonic()
    settings, gate = settings or TrainSettings(), gate or Gate()
    clock = _Clock(began)

    def tell(phase: str, step: int, steps: int, loss: float) -> None:
        if progress is not None:
            progress(phase, step, steps, loss)
        _unless(stop, phase)

    if corpus is None:
        corpus = build_corpus(episodes, skills, contracts, spec, settings.seed)
    elif not isinstance(corpus, Corpus):
        corpus = corpus()
    tell("corpus", len(corpus.train), len(corpus.train), 0.0)
    clock.lap("corpus")

    base = base if isinstance(base, BaseModel) else get_base(base, cache)
    memory = _memory(base, settings, cache, tell)
    clock.lap("fisher")

    tell("evaluate", 0, 2, 0.0)
    before = _evaluate(base.path, corpus, runner, None if seconds is None else _EVALUATION * seconds, stop=stop)
    tell("evaluate", 1, 2, 0.0)
    reserve = clock.lap("evaluate_base") * 1.25 + 5.0

    model, tokenizer = load_model(base.path)
    regulariser = open_regulariser(settings.regulariser)
    state = regulariser.prepare(model, memory.texts, fingerprint=base.fingerprint, cache=memory.fisher)
    adapted = with_lora(model, settings)
    left = None if seconds is None else seconds - reserve - (time.monotonic() - began)
    if left is not None and left <= 0:
        raise InputError(
            f"of {seconds:.0f} s, {time.monotonic() - began:.0f} s went into corpus, Fisher and evaluating the base "
            f"model and {reserve:.0f} s are kept for judging the new one: nothing is left for training. Give it more "
            "time (--seconds, or --distil-seconds of a run), or prepare the base model beforehand: habilis models get"
        )
    # Tied to the world: what was interrupted in one must not go on in another that shares the home.
    work = out.with_name(f"{out.name}.{hashlib.sha256(spec.fingerprint.encode()).hexdigest()[:8]}.work")
    trained = train(
        adapted,
        tokenizer,
        corpus.train,
        work,
        settings=settings,
        regulariser=regulariser,
        state=state,
        heldout=memory.held_out,
        steps=steps,
        seconds=left,
        progress=progress,
        stop=stop,
    )
    clock.lap("train")
    if trained.stopped == "asked":
        raise ModelError(f"stopped after step {trained.steps}; the work is kept and goes on when it is called again")

    _save(trained.model, tokenizer, out)
    clock.lap("save")
    after = _evaluate(out, corpus, runner, None, like=before, stop=stop)
    if progress is not None:
        progress("evaluate", 2, 2, 0.0)
    clock.lap("evaluate_tuned")
    decision = gate.judge(before, after)
    reasons = decision.reasons
    if trained.stopped == "diverged":
        note = f"the loss was no number after step {trained.steps}; the last good weights were judged"
        reasons = (note, *reasons)
    if not decision.adopted:
        for file in sorted(out.glob("*.safetensors")):
            file.unlink()
    figures: dict[str, Json] = {
        "model": {"base": base.name, "base_fingerprint": base.fingerprint},
        "corpus": {**corpus.figures, "fingerprint": corpus.fingerprint},
        "training": dict(trained.figures),
        "base": before.figures(),
        "tuned": after.figures(),
        "drift": round(after.perplexity / before.perplexity - 1, 5),
        "plans": [{"goal": g, "plan": p, "solved": s} for g, p, s in after.answers],
        "settings": asdict(settings),
        "gate": asdict(gate),
        "seconds": {**clock.laps, "total": round(time.monotonic() - began, 2)},
    }
    note_file = {"adopted": decision.adopted, "reasons": list(reasons), "figures": figures}
    (out / "distil.json").write_text(json.dumps(note_file, indent=1))
    shutil.rmtree(work, ignore_errors=True)
    if progress is not None:
        progress("gate", 1, 1, 0.0)
    return DistilResult(out, decision.adopted, reasons, figures)


class _Clock:
    def __init__(self, began: float) -> None:
        self._last, self.laps = began, dict[str, float]()

    def lap(self, name: str) -> float:
        now = time.monotonic()
        spent, self._last = now - self._last, now
        self.laps[name] = round(spent, 2)
        return spent


def _memory(base: BaseModel, settings: TrainSettings, cache: Path | None, progress: Progress | None) -> _Memory:
    """Self-written text and Fisher of a base model, from the cache or into it."""
    torch, safetensors = need("torch"), need("safetensors.torch")
    n, length = settings.memory, settings.memory_length
    folder = (cache or cache_dir()) / "fisher" / base.fingerprint[:16]
    name = f"{n}x{length}-{settings.seed}"
    texts_file, fisher_file = folder / f"{name}.texts", folder / f"{name}.safetensors"
    if texts_file.exists():
        texts = safetensors.load_file(str(texts_file))["ids"]
    else:
        if progress is not None:
            progress("fisher", 0, n, 0.0)
        writer, tokenizer = load_model(base.path, settings.dtype)
        start = start_token(tokenizer)
        texts = self_generated(writer, n + _HELD_OUT_TEXTS, length, settings.seed, start=start, dtype="float32")
        folder.mkdir(parents=True, exist_ok=True)
        scratch = folder / f".{name}.texts"
        safetensors.save_file({"ids": texts.to(torch.int64)}, str(scratch))
        scratch.replace(texts_file)
    if not fisher_file.exists():
        model, _ = load_model(base.path)
        diagonal_fisher(
            model,
            texts[:n],
            model_fingerprint=base.fingerprint,
            dtype=settings.dtype,
            cache=fisher_file,
            progress=progress,
        )
    return _Memory(texts[:n], texts[n:], fisher_file)


def _unless(stop: Callable[[], bool] | None, phase: str) -> None:
    if stop is not None and stop():
        raise ModelError(f"stopped in the phase {phase}; the work is kept and goes on when it is called again")


def _evaluate(
    folder: Path,
    corpus: Corpus,
    runner: PlanRunner | None,
    seconds: float | None,
    like: Evaluation | None = None,
    stop: Callable[[], bool] | None = None,
) -> Evaluation:
    """Ask the model in a folder; ``like``: just what another was asked."""
    model, tokenizer = load_model(folder, "bfloat16")
    plans = corpus.plans[: _MOST_PLANS if like is None else like.plans] if runner is not None else ()
    # With a runner, plans are judged by what they do; that another plan was found once says nothing against them.
    questions = [e for e in corpus.test if runner is None or e.family != "plan"]
    questions = questions[: _MOST_QUESTIONS if like is None else like.examples]
    # The weights are bfloat16 already, as they are when the model is used.
    return evaluate(
        model,
        tokenizer,
        questions,
        plans,
        runner,
        dtype="float32",
        seconds=seconds,
        before_each=lambda: _unless(stop, "evaluate"),
    )


def _save(model: Any, tokenizer: Any, out: Path) -> None:
    """Adapter (in ``adapter/``) and merged weights (bfloat16)."""
    torch = need("torch")
    adapter = out.with_name(f".{out.name}.adapter")
    shutil.rmtree(adapter, ignore_errors=True)
    model.save_pretrained(str(adapter))
    save_model(model.merge_and_unload().to(torch.bfloat16), tokenizer, out)
    adapter.replace(out / "adapter")
