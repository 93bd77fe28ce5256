"""Further training of a base model: LoRA (Hu et al. 2021, arXiv:2106.09685) under a regulariser, within a budget.

The loop is transformers' `Trainer`; ours are the loss, a budget in steps and seconds, checkpoints that go on exactly
where they were, and a stop at the first loss that is no number.
"""

from __future__ import annotations

import json
import math
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from habilis.core import InputError, Json, need
from habilis.trainer._lm import answer_logits, autocast, batches, collate, encode, mean_loss
from habilis.trainer.corpus import Example
from habilis.trainer.drift import DriftControl
from habilis.trainer.fisher import Progress
from habilis.trainer.regularisers import Regulariser, State
from habilis.trainer.regularisers._lora import lora_layers

if TYPE_CHECKING:
    from torch import Tensor

_PROBES = 5  # how often the true drift is measured during a training; each costs about three steps


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """How to train. The defaults were measured on SmolLM2-135M; see docs/trainer.md.

    ``rank``, ``alpha``: of LoRA. ``batch``: examples per step. ``learning_rate``: peak, reached after 5 steps, then
    down to 0. ``epochs``: passes over the examples at most. ``regulariser``: a name, see `open_regulariser`.
    ``drift``: the target (relative rise of perplexity). ``dtype``: of the arithmetic; weights are float32.
    ``save_every``: steps between checkpoints. ``memory``, ``memory_length``: sequences of self-written text
    for the Fisher, and their tokens.
    """

    rank: int = 8
    alpha: int = 32
    batch: int = 8
    learning_rate: float = 5e-4
    epochs: int = 3
    regulariser: str = "ewc"
    drift: float = 0.03
    dtype: str = "bfloat16"
    save_every: int = 50
    memory: int = 32
    memory_length: int = 128
    seed: int = 0


@dataclass(frozen=True)
class Trained:
    """``model``: with its LoRA layers. ``stopped``: "done", "time", "asked" or "diverged". ``figures``: JSON."""

    model: Any
    steps: int
    stopped: str
    figures: Mapping[str, Json]


class _Diverged(Exception):
    pass


def with_lora(model: Any, settings: TrainSettings) -> Any:
    """The model with fresh LoRA layers on all linears but the output layer; the same for the same seed."""
    torch, peft = need("torch"), need("peft")
    config = peft.LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=0.0,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        return peft.get_peft_model(model, config)


def train(
    model: Any,
    tokenizer: Any,
    examples: Sequence[Example],
    folder: Path,
    *,
    settings: TrainSettings,
    regulariser: Regulariser,
    state: State,
    heldout: Tensor | None = None,
    steps: int | None = None,
    seconds: float | None = None,
    progress: Progress | None = None,
    stop: Callable[[], bool] | None = None,
) -> Trained:
    """Train ``model`` (with LoRA layers, see `with_lora`) on examples, in order of importance, and return it.

    ``folder`` keeps checkpoints; if it holds an interrupted training of the same examples and settings, that one goes
    on. ``heldout``: (n, length) self-written text for the drift; without it c stays 1. ``steps`` and ``seconds`` limit
    it: the speed is measured first, and the number of steps (and with it the learning-rate schedule) is chosen to fit.
    Raises `InputError` if the time is too short for a single step.
    """
    torch, transformers = need("torch"), need("transformers")
    if not examples:
        raise InputError("there are 0 examples to train on; build a corpus first (habilis.trainer.build_corpus)")
    began = time.monotonic()
    rows = [encode(tokenizer, e) for e in examples]
    job = _Job(model, regulariser, state, DriftControl(settings.drift, state.length), settings.dtype, heldout)
    plan = _plan(folder, job, rows, tokenizer, settings, steps, None if seconds is None else began + seconds)
    rows = rows[: plan["examples"]]
    order = batches(rows, settings.batch, settings.seed)
    data = [collate([rows[i] for i in indices], tokenizer.pad_token_id) for indices in order]
    job.planned = plan["steps"]
    arguments = transformers.TrainingArguments(
        output_dir=str(folder),
        per_device_train_batch_size=1,  # an item is a whole batch already, of similar lengths
        max_steps=plan["steps"],
        learning_rate=settings.learning_rate,
        lr_scheduler_type="linear",
        warmup_steps=min(5, plan["steps"] // 4),
        weight_decay=0.0,
        max_grad_norm=1.0,
        save_strategy="steps",
        save_steps=settings.save_every,
        save_total_limit=1,
        logging_strategy="no",
        report_to=[],
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_pin_memory=False,
        use_cpu=True,
        seed=settings.seed,
        data_seed=settings.seed,
    )
    callback = _callback()(job, progress, stop, None if seconds is None else began + seconds)
    loop = _trainer()(
        model=model, args=arguments, train_dataset=data, data_collator=lambda items: items[0], callbacks=[callback]
    )
    loop.job = job
    loop.remove_callback(transformers.PrinterCallback)
    checkpoint = _last_checkpoint(folder)
    if checkpoint is not None:
        saved = json.loads((checkpoint / "habilis.json").read_text())
        job.control, job.base_loss = DriftControl(**saved["control"]), saved["base_loss"]
    started = time.monotonic()
    stopped = "done"
    try:
        loop.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
        stopped = job.stopped
    except _Diverged:
        stopped = "diverged"
        with torch.no_grad():
            for parameter, good in zip(job.trained, job.good, strict=True):
                parameter.copy_(good)
    done = int(loop.state.global_step)
    taken_back = 1.0 if regulariser.name == "none" or stopped == "diverged" else job.take_back()
    spent = time.monotonic() - started
    figures: dict[str, Json] = {
        "steps": done,
        "steps_planned": plan["steps"],
        "examples": len(rows),
        "examples_offered": len(examples),
        "answer_tokens": sum(len(a) for _, a in rows),
        "tokens": sum(len(p) + len(a) for p, a in rows),
        "trained_parameters": sum(p.numel() for p in job.trained),
        "seconds": round(spent, 2),
        "loss_first": job.first_loss,
        "loss_last": job.last_loss,
        "regulariser": regulariser.name,
        "stopped": stopped,
    }
    if regulariser.name != "none":
        figures["drift"] = {
            "target": settings.drift,
            "probed": job.control.measured,
            "predicted": job.control.predicted,
            "c": job.control.c,
            "lambda": job.control.strength,
            "q": job.control.q,
            "update_kept": taken_back,
        }
    return Trained(model, done, stopped, figures)


class _Job:
    """What loss and callback share."""

    def __init__(
        self,
        model: Any,
        regulariser: Regulariser,
        state: State,
        control: DriftControl,
        dtype: str,
        heldout: Tensor | None,
    ) -> None:
        self.model, self.regulariser, self.state, self.control = model, regulariser, state, control
        self.dtype, self.heldout = dtype, heldout
        self.trained = [p for p in model.parameters() if p.requires_grad]
        self.good: list[Tensor] = [p.detach().clone() for p in self.trained]
        self.base_loss: float | None = None
        self.first_loss: float | None = None
        self.last_loss: float | None = None
        self.stopped = "done"
        self.planned = 1

    def loss(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Cross entropy of the answers' tokens + λ Q. Raises `_Diverged` where it is no number."""
        torch = need("torch")
        with autocast(self.dtype):
            logits, targets, _ = answer_logits(self.model, dict(batch))
            entropy = torch.nn.functional.cross_entropy(logits, targets)
        penalty = self.regulariser.penalty(self.model, self.state)
        loss: Tensor = entropy + self.control.strength * penalty
        if not math.isfinite(loss.item()):
            raise _Diverged
        self.good = [p.detach().clone() for p in self.trained]
        self.last_loss = entropy.item()
        self.first_loss = self.last_loss if self.first_loss is None else self.first_loss
        self.control.seen(penalty.item())
        return loss

    def probe(self) -> None:
        """Measure the true drift on the held-out self-written text."""
        if self.heldout is None:
            return
        self.model.eval()
        if self.base_loss is None:
            with self.model.disable_adapter():
                self.base_loss = mean_loss(self.model, self.heldout, self.dtype)
        self.control.probed(self.base_loss, mean_loss(self.model, self.heldout, self.dtype))
        self.model.train()

    def take_back(self) -> float:
        """Shrink the update until the measured drift is within a tenth of the target; the factor that was kept."""
        kept = 1.0
        for _ in range(3):
            factor = self.control.shrink
            if self.control.measured is None or self.control.measured <= 1.1 * self.control.target:
                break
            torch = need("torch")
            with torch.no_grad():
                for _name, _a, b, _scale in lora_layers(self.model):
                    b.mul_(factor)
            kept *= factor
            self.control.q *= factor**2
            self.probe()
        return kept


def _plan(
    folder: Path,
    job: _Job,
    rows: Sequence[tuple[list[int], list[int]]],
    tokenizer: Any,
    settings: TrainSettings,
    steps: int | None,
    deadline: float | None,
) -> dict[str, Any]:
    """How many steps on how many examples. Kept in the folder, since a training that goes on must not change it."""
    key = json.dumps([asdict(settings), _digest(rows), steps])
    file = folder / "plan.json"
    if file.exists():
        known: dict[str, Any] = json.loads(file.read_text())
        if known["key"] == key and _last_checkpoint(folder) is not None:
            return known
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    most = settings.epochs * math.ceil(len(rows) / settings.batch)
    planned = most if steps is None else min(most, steps) if deadline is not None else steps
    if deadline is not None:
        step = _seconds_per_step(job, rows, tokenizer, settings)
        left = deadline - time.monotonic()
        # A tenth is kept for other load on the machine, and the probes of the drift cost about three steps each.
        fitting = int(0.9 * left / step) - 3 * (_PROBES + 2)
        fitting = max(fitting, int(0.5 * left / step)) if fitting < 2 * _PROBES else fitting
        if fitting < 1:
            raise InputError(
                f"one training step takes {step:.1f} s and {max(0.0, left):.1f} s are left, so no step fits; "
                "give the distillation more time (--seconds, --distil-seconds of a run) or use a smaller batch "
                f"(now {settings.batch})"
            )
        planned = min(planned, fitting)
    if planned < 1:
        raise InputError(f"a training needs at least 1 step, got steps={steps}")
    plan = {"key": key, "steps": planned, "examples": min(len(rows), planned * settings.batch)}
    file.write_text(json.dumps(plan))
    return plan


def _seconds_per_step(
    job: _Job, rows: Sequence[tuple[list[int], list[int]]], tokenizer: Any, settings: TrainSettings
) -> float:
    """Forward and backward on a batch of typical length; the first of the two warms up."""
    torch = need("torch")
    order = batches(rows, settings.batch)
    batch = collate([rows[i] for i in order[(len(order) * 2) // 3]], tokenizer.pad_token_id)
    seconds = 0.0
    for _ in range(2):
        began = time.perf_counter()
        with autocast(settings.dtype):
            logits, targets, _where = answer_logits(job.model, batch)
            entropy = torch.nn.functional.cross_entropy(logits, targets)
        torch.autograd.backward(entropy + job.regulariser.penalty(job.model, job.state))
        seconds = time.perf_counter() - began
    job.model.zero_grad()
    return seconds


def _digest(rows: Sequence[tuple[list[int], list[int]]]) -> str:
    import hashlib

    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def _last_checkpoint(folder: Path) -> Path | None:
    found = [p for p in folder.glob("checkpoint-*") if (p / "habilis.json").is_file()]
    return max(found, key=lambda p: int(p.name.rpartition("-")[2]), default=None)


@cache
def _trainer() -> Any:
    transformers = need("transformers")

    class Loop(transformers.Trainer):  # type: ignore[misc, name-defined]
        job: _Job

        def compute_loss(
            self, model: Any, inputs: Mapping[str, Tensor], return_outputs: bool = False, num_items_in_batch: Any = None
        ) -> Any:
            loss = self.job.loss(inputs)
            return (loss, {}) if return_outputs else loss

    return Loop


@cache
def _callback() -> Any:
    transformers = need("transformers")

    class Watch(transformers.TrainerCallback):  # type: ignore[misc, name-defined]
        def __init__(
            self, job: _Job, progress: Progress | None, stop: Callable[[], bool] | None, deadline: float | None
        ) -> None:
            self.job, self.progress, self.stop, self.deadline = job, progress, stop, deadline

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
            job, step = self.job, int(state.global_step)
            if self.progress is not None:
                self.progress("train", step, job.planned, job.last_loss or 0.0)
            every = max(1, job.planned // _PROBES)
            if step % every == 0 or step == job.planned:
                job.probe()
            late = self.deadline is not None and time.monotonic() > self.deadline
            asked = self.stop is not None and self.stop()
            if (late or asked) and step < job.planned:
                job.stopped = "asked" if asked else "time"
                control.should_training_stop = control.should_save = True
            return control

        def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
            folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
            note = {"control": self.job.control.dump(), "base_loss": self.job.base_loss}
            (folder / "habilis.json").write_text(json.dumps(note))
            return control

    return Watch
