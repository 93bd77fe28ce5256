"""From episodes to a model that the gate accepts, or to a list of reasons why not."""

from __future__ import annotations

import copy
import hashlib
import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from habilis.core import Contract, Episode, InputError, Json, ModelError, Skill, WorldSpec, need
from habilis.trainer._asking import ask, questions_of
from habilis.trainer._lm import arithmetic, encode
from habilis.trainer.base import BaseModel, get_base, load_model, save_model, weights_of
from habilis.trainer.corpus import Corpus, build_corpus
from habilis.trainer.fisher import Fisher, Progress, diagonal_fisher
from habilis.trainer.forgetting import ForgettingMatrix
from habilis.trainer.gate import Gate
from habilis.trainer.held_out import PlanRunner, ProgramRunner
from habilis.trainer.memory import BaseMemory, remember, text_rows
from habilis.trainer.regularisers import Consolidating, Remembered, Row, open_regulariser
from habilis.trainer.stages import Earlier, read_earlier, stage_of, write_stages
from habilis.trainer.training.adapting import merged, save_update
from habilis.trainer.training.checkpoints import check_room, writing
from habilis.trainer.training.launching import check_launcher, job_folder, launch
from habilis.trainer.training.logs import check_log
from habilis.trainer.training.settings import TrainSettings, choose_device
from habilis.trainer.training.train import Trained, train

_EVALUATION = 0.15  # share of the time for asking the model in use; the new one is asked the same


@dataclass(frozen=True)
class DistilResult:
    """``path``: the folder of the new model if ``adopted``, else of its adapter alone. ``reasons``: of the gate.

    ``figures`` (JSON): what was measured, by part: corpus, base, tuned (validation), test, forgetting, training,
    seconds.
    """

    path: Path
    adopted: bool
    reasons: tuple[str, ...]
    figures: Mapping[str, Json]


@dataclass(frozen=True)
class DistilOptions:
    """What may be said beside corpus and settings.

    ``after``: the folder of an earlier result of the same base model, to go on from (None: begin at the base model).
    ``text``: a text whose knowledge should be kept, for ``TrainSettings.fisher`` "corpus" and "both". ``fisher``: a
    file of Fisher information to use in place of a computed one. ``log``: a folder for TensorBoard. ``launcher``: the
    command that starts the training in processes of its own, such as ("accelerate", "launch", "--num_processes", "2").
    ``cache``: instead of `habilis.memory.wheels.cache_dir`.
    """

    after: Path | None = None
    text: str | None = None
    fisher: Path | None = None
    log: Path | None = None
    launcher: tuple[str, ...] = ()
    cache: Path | None = None


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
    options: DistilOptions | None = None,
    seconds: float | None = 240.0,
    steps: int | None = None,
    runner: PlanRunner | None = None,
    programs: ProgramRunner | None = None,
    progress: Progress | None = None,
    stop: Callable[[], bool] | None = None,
) -> DistilResult:
    """`build_corpus`, then `distil_corpus`. Raises what they raise."""
    corpus = build_corpus(episodes, skills, contracts, spec, (settings or TrainSettings()).seed, run=programs)
    if progress is not None:
        progress("corpus", len(corpus.train), len(corpus.train), 0.0)
    _unless(stop, "corpus")
    return distil_corpus(
        corpus,
        out=out,
        about=spec.fingerprint,
        base=base,
        settings=settings,
        gate=gate,
        options=options,
        seconds=seconds,
        steps=steps,
        runner=runner,
        programs=programs,
        progress=progress,
        stop=stop,
    )


def distil_corpus(
    corpus: Corpus,
    *,
    out: Path,
    about: str = "",
    base: BaseModel | str | Path = "smollm2",
    settings: TrainSettings | None = None,
    gate: Gate | None = None,
    options: DistilOptions | None = None,
    seconds: float | None = 240.0,
    steps: int | None = None,
    runner: PlanRunner | None = None,
    programs: ProgramRunner | None = None,
    progress: Progress | None = None,
    stop: Callable[[], bool] | None = None,
) -> DistilResult:
    """Fisher, training, evaluation, gate. What is judged is the model as written to disk.

    ``out``: the folder that the result appears in; interrupted work lies beside it (``<out>.….work``) and goes on when
    called again for the same world (``about``: its fingerprint). ``stop`` is asked at every step; where it says True
    the work ends there, with a `ModelError`.
    ``seconds``: for everything together (None: no limit); what evaluation and writing will take is measured on the
    model in use and kept aside. ``steps``: of training, at most. ``runner`` carries out plans for held-out goals,
    ``programs`` programs; without one, they are compared with the known ones. ``progress`` is called with (phase, step,
    steps, loss); phases: fisher, evaluate, train, gate.

    Raises `InputError` (no examples, too little time, no such device), `ModelError` (full disk, another base model's
    Fisher or adapter), `MissingExtraError`.
    """
    began = time.monotonic()
    settings, gate, options = settings or TrainSettings(), gate or Gate(), options or DistilOptions()
    clock = _Clock(began)

    def tell(phase: str, step: int, steps: int, loss: float) -> None:
        if progress is not None:
            progress(phase, step, steps, loss)
        _unless(stop, phase)

    check_begin(settings, options)
    regulariser = open_regulariser(settings.regulariser)
    base = base if isinstance(base, BaseModel) else get_base(base, options.cache)
    earlier = None if options.after is None else _earlier(options.after, base)
    if earlier is not None:
        corpus = _apart(corpus, earlier)
    _check_room(out, base)
    memory = remember(base, settings, options.cache, tell)
    model, tokenizer = load_model(base.path)
    known = _remembered(memory, corpus, tokenizer, earlier, options, tell)
    if regulariser.uses_fisher:
        known.fisher()
    clock.lap("fisher")

    def go_on(reserve: float = 0.0) -> float | None:
        """The seconds that are left, None for no limit; raises where there are none, or on being asked to stop."""
        _unless(stop, "evaluate")
        left = None if seconds is None else seconds - reserve - (time.monotonic() - began)
        if seconds is not None and left is not None and left <= 0:
            kept = f" and {reserve:.0f} s are kept for judging the new one" if reserve else " until now"
            raise InputError(
                f"of {seconds:.0f} s for distilling, {time.monotonic() - began:.0f} s went into corpus, Fisher and "
                f"evaluating the base model{kept}: nothing is left for training. Give it more time (--seconds, or "
                "--distil-seconds of a run), or prepare the base model beforehand: habilis models get"
            )
        return left

    go_on()
    tell("evaluate", 0, 2, 0.0)
    questions = questions_of(corpus, earlier, settings, runner, programs)
    in_use = base.path if earlier is None else earlier.model
    limit = None if seconds is None else _EVALUATION * seconds
    before = ask(in_use, questions, limit, base=base.path, check=go_on)
    tell("evaluate", 1, 2, 0.0)
    left = go_on(clock.lap("evaluate_base") * 1.25 + 5.0)
    # Tied to the world: what was interrupted in one must not go on in another that shares the home.
    work = out.with_name(f"{out.name}.{hashlib.sha256(about.encode()).hexdigest()[:8]}.work")
    start = None if earlier is None else earlier.adapter
    if options.launcher:
        trained = launch(
            options.launcher, model, base, corpus.train, work, settings, known, memory.held_out, start=start,
            steps=steps, seconds=left, log=options.log, progress=progress, stop=stop,
        )  # fmt: skip
    else:
        trained = train(
            model, tokenizer, corpus.train, work, settings=settings, remembered=known, regulariser=regulariser,
            start=start, heldout=memory.held_out, steps=steps, seconds=left, log=options.log, progress=progress,
            stop=stop,
        )  # fmt: skip
    clock.lap("train")
    if trained.stopped == "asked":
        raise ModelError(f"stopped after step {trained.steps}; the work is kept and goes on when it is called again")

    running = _consolidated(regulariser, trained, known, base, corpus, tokenizer, settings)
    with writing(out):
        _save(trained.model, tokenizer, out)
    clock.lap("save")
    after = ask(out, questions, None, base=None, like=before, check=lambda: _unless(stop, "evaluate"))
    if progress is not None:
        progress("evaluate", 2, 2, 0.0)
    clock.lap("evaluate_tuned")
    decision = gate.judge(
        before.validation,
        after.validation,
        base_perplexity=before.base_perplexity,
        earlier=None if earlier is None else (before.earlier_validation, after.earlier_validation),
    )
    reasons = decision.reasons
    if trained.stopped == "diverged":
        note = f"the loss was no number after step {trained.steps}; the last good weights were judged"
        reasons = (note, *reasons)
    matrix = (ForgettingMatrix() if earlier is None else earlier.matrix).after(out.name, after.accuracy(out.name))
    figures: dict[str, Json] = {
        "model": {
            "base": base.name,
            "base_fingerprint": base.fingerprint,
            "after": None if earlier is None else earlier.model.name,
        },
        "corpus": {**corpus.figures, "fingerprint": corpus.fingerprint},
        "training": dict(trained.figures),
        "base": before.validation.figures(),
        "tuned": after.validation.figures(),
        "test": {"base": before.test.figures(), "tuned": after.test.figures()},
        "forgetting": matrix.dump(),
        "drift": round(after.validation.perplexity / before.base_perplexity - 1, 5),
        "plans": [{"goal": g, "plan": p, "solved": s} for g, p, s in after.test.answers],
        "settings": asdict(settings),
        "gate": asdict(gate),
        "seconds": {**clock.laps, "total": round(time.monotonic() - began, 2)},
    }
    with writing(out):
        # Others than were asked could not be compared with what it was when it was taught.
        asked = questions.test[: before.test.examples]
        tasks = [
            replace(put, plans=put.plans[: told.plans], programs=put.programs[: told.programs])
            for put, told in ((questions.validation_tasks, before.validation), (questions.test_tasks, before.test))
        ]
        stage = stage_of(out.name, corpus, questions.validation, asked, tasks)
        before_it = () if earlier is None else earlier.stages
        splits = [*(() if earlier is None else (earlier.splits,)), corpus.splits_of()]
        write_stages(out, (*before_it, stage), running, splits)
        if not decision.adopted:
            for file in sorted(out.glob("*.safetensors")):
                file.unlink()
        note_file = {"adopted": decision.adopted, "reasons": list(reasons), "figures": figures}
        (out / "distil.json").write_text(json.dumps(note_file, indent=1))
    for folder in (work, job_folder(work)):
        shutil.rmtree(folder, ignore_errors=True)
    if progress is not None:
        progress("gate", 1, 1, 0.0)
    return DistilResult(out, decision.adopted, reasons, figures)


def check_begin(settings: TrainSettings, options: DistilOptions) -> None:
    """What is not there is said before anything is fetched or made: device, regulariser, TensorBoard, launcher, the
    Fisher's file, the model to go on from. Raises `InputError`, `NotFoundError`, `MissingExtraError`, `ModelError`.
    """
    choose_device(settings.device)
    regulariser = open_regulariser(settings.regulariser)
    if options.log is not None:
        check_log()
    if options.launcher:
        check_launcher(options.launcher)
    if options.fisher is not None:
        Fisher.check(options.fisher)
    if options.fisher is not None and not regulariser.uses_fisher:
        raise InputError(
            f"{regulariser.name} reads no Fisher information: leave --fisher out, or choose ewc (--regulariser)"
        )
    if options.text is not None and not (regulariser.uses_fisher and settings.fisher in ("corpus", "both")):
        raise InputError(
            f"the text would not be read by {regulariser.name} with the Fisher information of {settings.fisher!r}; it "
            "takes --regulariser ewc and --fisher-on corpus or both"
        )
    if options.after is not None:
        _check_after(options.after)


def _check_after(folder: Path) -> None:
    if not folder.is_dir():
        raise ModelError(
            f"cannot go on from the model {folder.name}: its folder {folder} is gone; name another, or begin anew "
            "(--after none)"
        )
    if not any(folder.glob("*.safetensors")):
        raise ModelError(
            f"the model {folder.name} was not adopted, and the weights of such a model are not kept; name another, or "
            "begin anew (--after none)"
        )


class _Clock:
    def __init__(self, began: float) -> None:
        self._last, self.laps = began, dict[str, float]()

    def lap(self, name: str) -> float:
        now = time.monotonic()
        spent, self._last = now - self._last, now
        self.laps[name] = round(spent, 2)
        return spent


def _unless(stop: Callable[[], bool] | None, phase: str) -> None:
    if stop is not None and stop():
        raise ModelError(f"stopped in the phase {phase}; the work is kept and goes on when it is called again")


def _earlier(folder: Path, base: BaseModel) -> Earlier:
    found = read_earlier(folder)
    if found.base_fingerprint != base.fingerprint:
        raise ModelError(
            f"the model {folder.name} was distilled from the base model {found.base_fingerprint[:12]}…, this one is "
            f"{base.name}, {base.fingerprint[:12]}…; name the same base model (--base), or begin anew (--after none)"
        )
    _check_after(folder)
    return found


def _apart(corpus: Corpus, earlier: Earlier) -> Corpus:
    """The corpus without what was in another split before. Raises `InputError` where that leaves a split empty."""
    left = corpus.apart_from(earlier.splits)
    for name, some in left.splits.items():
        if not some and corpus.splits[name]:
            raise InputError(
                f"of {len(corpus.splits[name])} examples of {name} none is left: {earlier.model.name} had all of them "
                "in another split; begin anew (--after none)"
            )
    return left


def _check_room(out: Path, base: BaseModel) -> None:
    """Merged weights are float32, whatever the base model's are; as much again is for what else is written."""
    check_room(out, 2 * 4 * weights_of(base.path))


def _remembered(
    memory: BaseMemory,
    corpus: Corpus,
    tokenizer: Any,
    earlier: Earlier | None,
    options: DistilOptions,
    progress: Progress,
) -> Remembered:
    settings, made = memory.settings, list[Fisher]()

    def fisher() -> Fisher:
        if not made:
            on: Sequence[Row] = ()
            if settings.fisher != "self":
                on = (
                    [encode(tokenizer, e) for e in corpus.train]
                    if options.text is None
                    else text_rows(tokenizer, options.text, settings.memory_length)
                )
                if not on:
                    raise InputError(f"fisher={settings.fisher!r} needs a text of at least 2 tokens, or examples")
            made.append(memory.fisher(on, options.fisher, progress))
        return made[0]

    return Remembered(
        base=memory.model,
        texts=memory.texts,
        fisher=fisher,
        running=None if earlier is None else earlier.running,
        past=() if earlier is None else [encode(tokenizer, e) for e in earlier.train()],
        dtype=arithmetic(settings.dtype, choose_device(settings.device).type),
    )


def _consolidated(
    regulariser: Any,
    trained: Trained,
    known: Remembered,
    base: BaseModel,
    corpus: Corpus,
    tokenizer: Any,
    settings: TrainSettings,
) -> Fisher | None:
    """The running Fisher for the next distillation: of methods that keep one a newer one, of others the same."""
    if not isinstance(regulariser, Consolidating):
        return known.running
    rows = [encode(tokenizer, e) for e in corpus.train[: settings.memory]]
    new = diagonal_fisher(
        merged(copy.deepcopy(trained.model)).eval(), rows, model_fingerprint=base.fingerprint, dtype=known.dtype
    )
    return regulariser.consolidate(known.running or known.fisher(), new)


def _save(model: Any, tokenizer: Any, out: Path) -> None:
    """Update (in ``adapter/``) and merged weights, in float32: bfloat16 is too coarse for a small update."""
    torch = need("torch")
    adapter = out.with_name(f".{out.name}.adapter")
    shutil.rmtree(adapter, ignore_errors=True)
    try:
        save_update(model, adapter)
        save_model(merged(model).to(torch.float32), tokenizer, out)
        adapter.replace(out / "adapter")
    finally:
        shutil.rmtree(adapter, ignore_errors=True)
