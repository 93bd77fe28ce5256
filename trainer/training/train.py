"""Further training of a base model under a regulariser, within a budget of steps and seconds.

The same call is one process on a CPU, one GPU, or one of many processes under ``accelerate launch`` (DDP; FSDP:
docs/trainer.md). Only the first process writes.
"""

from __future__ import annotations

import hashlib
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from habilis.core import InputError, Json, need
from habilis.trainer._lm import arithmetic, encode, linear_layers, sequence_losses
from habilis.trainer._sharding import is_sharded
from habilis.trainer.corpus import Example
from habilis.trainer.drift import DriftControl
from habilis.trainer.fisher import Progress
from habilis.trainer.regularisers import Regulariser, Remembered, State, open_regulariser
from habilis.trainer.regularisers._distance import has_lora
from habilis.trainer.training.adapting import checkpoint_activations, made_trainable, trained_tensors
from habilis.trainer.training.checkpoints import check_room, last_good, writing
from habilis.trainer.training.logs import Log
from habilis.trainer.training.loop import Course, Diverged, make_callback, make_loop
from habilis.trainer.training.objective import objective
from habilis.trainer.training.planning import Plan, Steps, make_plan, measure_step
from habilis.trainer.training.settings import TrainSettings, choose_device

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Trained:
    """``model``: with what was trained in it. ``stopped``: "done", "time", "asked" or "diverged". ``figures``: JSON."""

    model: Any
    steps: int
    stopped: str
    figures: Mapping[str, Json]


def train(
    model: Any,
    tokenizer: Any,
    examples: Sequence[Example],
    folder: Path,
    *,
    settings: TrainSettings,
    remembered: Remembered,
    regulariser: Regulariser | None = None,
    start: Path | None = None,
    heldout: Tensor | None = None,
    steps: int | None = None,
    seconds: float | None = None,
    log: Path | None = None,
    progress: Progress | None = None,
    stop: Callable[[], bool] | None = None,
) -> Trained:
    """Train a base ``model`` (float32) on examples, in order of importance, and return it.

    ``remembered``: what the regulariser (``settings.regulariser``, or one that is handed in) may look at. ``start``:
    the ``adapter`` folder of an earlier result, to go on from. ``folder`` keeps checkpoints; if it holds an interrupted
    training of the same examples and settings, that one goes on. ``heldout``: (n, length) self-written text for the
    drift; without it c stays 1. ``steps`` and ``seconds`` limit it: the speed is measured first, and the number of
    steps (and with it the learning-rate schedule) is chosen to fit. ``log``: a folder for TensorBoard.

    Raises `InputError` if the time is too short for a single step or the device is not there, `ModelError` if the disk
    is full.
    """
    if not examples:
        raise InputError("there are 0 examples to train on; build a corpus first (habilis.trainer.build_corpus)")
    began = time.monotonic()
    deadline = None if seconds is None else began + seconds
    arguments = _arguments(folder, settings)
    device, first = arguments.device, arguments.process_index == 0
    dtype = arithmetic(settings.dtype, device.type)
    regulariser = regulariser or open_regulariser(settings.regulariser)

    model = made_trainable(model, settings, start).to(device)
    if settings.checkpointing:
        checkpoint_activations(model)
    if first:
        check_room(folder, _bytes_written(model))
    state = regulariser.prepare(model, remembered)
    control = DriftControl(settings.drift, state.rise, settings.strength)
    course = Course(model, control, heldout, settings.seed)
    course.base_losses = _losses_before(model, state, remembered, heldout)
    loss = objective(model, regulariser, state, control, dtype)

    rows = [encode(tokenizer, e) for e in examples]
    pad = int(tokenizer.pad_token_id)

    def parts(plan: Plan) -> Steps:
        return Steps(
            rows[: plan.examples],
            settings,
            plan.steps,
            pad,
            replay=state.replay,
            share=state.share,
            process=arguments.process_index,
            processes=arguments.world_size,
        )

    wrote = remembered.texts.tolist()  # tells one base model from another
    about = hashlib.sha256(repr([regulariser.name, list(state.replay), _identity(start), wrote]).encode()).hexdigest()
    share = state.share if state.replay else 0.0
    with writing(folder):
        plan = _agreed(
            lambda: make_plan(
                folder,
                rows,
                settings,
                about,
                share,
                steps,
                deadline,
                lambda: measure_step(loss, parts(Plan(math.ceil(len(rows) / settings.batch), len(rows)))),
            ),
            arguments,
        )
    course.planned = control.steps = plan.steps
    own = parts(plan)
    arguments.max_steps, arguments.warmup_steps = plan.steps, min(5, plan.steps // 4)
    arguments.gradient_accumulation_steps = own.parts
    writer = Log(log) if log is not None and first else None
    loop = make_loop(loss, arguments, own, course, make_callback(course, progress, stop, deadline, writer))
    checkpoint = last_good(folder)
    if checkpoint is not None:
        course.take_up(checkpoint[1])
    started = time.monotonic()
    try:
        loop.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint[0]))
    except Diverged:
        course.stopped = "diverged"
        course.back_to_good()
    finally:
        if writer is not None:
            writer.close()
    if course.wrapped is None:  # what was taken up was at its end already
        course.wrapped = loop.model_wrapped
    if course.stopped != "asked" and int(loop.state.global_step) < plan.steps:
        course.probe(whole=True)  # it ended before the step at which all texts are looked at
    held = state.rise > 0 and settings.strength is None and course.stopped != "diverged"
    kept = course.take_back(lambda: _weights(remembered.base())) if held else 1.0
    done = int(loop.state.global_step)
    figures: dict[str, Json] = {
        "steps": done,
        "steps_planned": plan.steps,
        "examples": plan.examples,
        "examples_offered": len(examples),
        "replayed_per_step": own.replayed,
        "answer_tokens": sum(len(a) for _, a in rows[: plan.examples]),
        "tokens": sum(len(p) + len(a) for p, a in rows[: plan.examples]),
        "trained_parameters": sum(p.numel() for p in trained_tensors(model).values()),
        "seconds": round(time.monotonic() - started, 2),
        "loss_first": course.first_loss,
        "loss_last": course.last_loss,
        "regulariser": regulariser.name,
        "method": settings.method,
        "device": str(device),
        "dtype": dtype,
        "processes": arguments.world_size,
        "sharded": any(is_sharded(p) for p in model.parameters()),
        "stopped": course.stopped,
        "drift": _drift(course, state, kept),
    }
    return Trained(model, done, course.stopped, figures)


def _drift(course: Course, state: State, kept: float) -> Json:
    control = course.control
    found: dict[str, Json] = {"probed": control.measured}
    if state.rise > 0:
        found |= {
            "target": control.target if control.fixed is None else None,
            "predicted": control.predicted,
            "c": control.c,
            "lambda": control.strength,
            "q": control.q,
            "update_kept": kept,
        }
    return found


def _arguments(folder: Path, settings: TrainSettings) -> Any:
    torch, transformers = need("torch"), need("transformers")
    device = choose_device(settings.device)
    if device.type == "cuda" and device.index is not None:
        torch.cuda.set_device(device)
    cpu = device.type == "cpu"
    arguments = transformers.TrainingArguments(
        output_dir=str(folder),
        per_device_train_batch_size=1,  # an item is a whole part of a step, of similar lengths
        max_steps=1,  # set when the plan is made
        learning_rate=settings.learning_rate,
        lr_scheduler_type="linear",
        weight_decay=0.0,
        max_grad_norm=1.0,
        save_strategy="steps",
        save_steps=settings.save_every,
        logging_strategy="no",
        report_to=[],
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_pin_memory=False,
        use_cpu=cpu,
        ddp_backend="gloo" if cpu and int(os.environ.get("WORLD_SIZE", "1")) > 1 else None,
        seed=settings.seed,
        data_seed=settings.seed,
    )
    # Several GPUs in one process would be torch's DataParallel, which is no way to train; `accelerate launch` is.
    arguments._n_gpu = min(1, arguments.n_gpu)
    return arguments


def _agreed(make: Callable[[], Plan], arguments: Any) -> Plan:
    """The first process plans (it measures the speed), the others follow."""
    if arguments.world_size == 1:
        return make()
    torch = need("torch")
    told: list[Any] = [None]
    if arguments.process_index == 0:
        try:
            told = [make()]
        except Exception as error:
            told = [error]
    torch.distributed.broadcast_object_list(told, src=0)
    if isinstance(told[0], Exception):
        raise told[0]
    plan: Plan = told[0]
    return plan


def _losses_before(model: Any, state: State, remembered: Remembered, heldout: Tensor | None) -> list[float]:
    """The losses on the held-out texts that the drift is counted from."""
    if heldout is None:
        return []
    model.eval()
    try:
        if state.from_start:
            return sequence_losses(model, heldout, "float32")
        if has_lora(model):
            with model.disable_adapter():
                return sequence_losses(model, heldout, "float32")
        return sequence_losses(remembered.base().to(next(model.parameters()).device), heldout, "float32")
    finally:
        model.train()


def _weights(base: Any) -> dict[str, Tensor]:
    return {n: layer.weight.detach() for n, layer in linear_layers(base).items()}


def _bytes_written(model: Any) -> int:
    """Three checkpoints of weights and Adam's two moments, the update, and the merged model in float32."""
    trained = sum(int(p.numel()) for p in trained_tensors(model).values())
    return (3 * 3 + 1) * 4 * trained + 4 * sum(int(p.numel()) for p in model.parameters()) + 2**20


def _identity(start: Path | None) -> str:
    """Which weights training begins with."""
    if start is None:
        return ""
    files = sorted(start.glob("*.safetensors"))
    return " ".join(hashlib.sha256(f.read_bytes()).hexdigest() for f in files)
