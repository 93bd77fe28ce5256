"""The loop is transformers' `Trainer`; ours are what is counted in it, what is saved, and when it stops."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from habilis.core import need
from habilis.trainer.drift import DriftControl
from habilis.trainer.fisher import Progress
from habilis.trainer.training.adapting import put_trained, shrink, trained_tensors
from habilis.trainer.training.checkpoints import prune, seal, writing
from habilis.trainer.training.logs import Log
from habilis.trainer.training.objective import every_process
from habilis.trainer.training.planning import EARLY, PROBES, Steps

if TYPE_CHECKING:
    from torch import Tensor

_WEIGHTS = "trained.safetensors"
_GLANCE = 4  # held-out texts that are looked at on the way; what is said of the drift at the end is of all
_TAKEN_BACK = 6  # times: where it is large, the drift falls with less than the square of the factor, or with more


class Diverged(Exception):
    """The loss is no number."""


class Course:
    """A training under way: what the loss, the callback and the end share."""

    def __init__(self, model: Any, control: DriftControl, heldout: Tensor | None, seed: int) -> None:
        self.model, self.control, self.heldout, self.seed = model, control, heldout, seed
        self.good: dict[str, Any] = {}
        self.wrapped: Any = None  # the objective, as DDP or FSDP wrapped it
        self.base_losses: list[float] = []  # of the held-out texts, before
        self.first_loss: float | None = None
        self.last_loss: float | None = None
        self.stopped = "done"
        self.planned = 1
        self._sum = 0.0

    def seen(self, out: Mapping[str, Tensor], last: bool) -> None:
        """Tell a part of a step. Raises `Diverged` in every process where the loss of one is no number."""
        torch = need("torch")
        device = out["loss"].device
        odd = float(not bool(torch.isfinite(out["loss"])))
        broken, entropy = every_process([odd, 0.0 if odd else out["entropy"].item()], device)
        if broken:
            raise Diverged
        self._sum += entropy
        if not last:
            return
        with torch.no_grad():
            for name, parameter in trained_tensors(self.model).items():
                if name in self.good:
                    self.good[name].copy_(parameter)
                else:
                    self.good[name] = parameter.detach().clone()
        self.last_loss, self._sum = self._sum, 0.0
        self.first_loss = self.last_loss if self.first_loss is None else self.first_loss
        self.control.seen(out["penalty"].item())

    def back_to_good(self) -> None:
        if self.good:
            put_trained(self.model, self.good)

    def probe(self, whole: bool = False) -> None:
        """Measure the true drift on the held-out self-written texts: on some of them, or on the ``whole``."""
        if self.heldout is None or not self.base_losses:
            return
        texts = self.heldout if whole else self.heldout[:_GLANCE]
        before = self.base_losses[: len(texts)]
        self.wrapped.eval()
        self.control.probed(math.fsum(before) / len(before), self.wrapped(text=texts))
        self.wrapped.train()

    def take_back(self, base: Callable[[], Mapping[str, Tensor]]) -> float:
        """Shrink the update until the measured drift is near the target; the share of it that was kept. What was taken
        back without need is given again."""
        control = self.control
        if control.measured is None:
            return 1.0
        tried = [(1.0, control.measured)]
        if control.held(tried):
            return 1.0
        weights, kept = base(), 1.0

        def keep(share: float) -> None:
            nonlocal kept
            shrink(self.model, share / kept, weights)
            control.q *= (share / kept) ** 2
            kept = share

        while len(tried) <= _TAKEN_BACK and not control.held(tried):
            keep(control.share(tried))
            self.probe(whole=True)
            tried.append((kept, control.measured))
        within = [one for one in tried if one[1] <= control.target]
        if within and kept > max(within)[0] and not control.held(tried):
            keep(max(within)[0])
            control.measured = max(within)[1]
        return kept

    def note(self) -> dict[str, Any]:
        return {
            "control": self.control.dump(),
            "base_losses": self.base_losses,
            "first_loss": self.first_loss,
            "last_loss": self.last_loss,
        }

    def take_up(self, note: Mapping[str, Any]) -> None:
        for name, value in note["control"].items():
            setattr(self.control, name, value)
        self.base_losses, self.first_loss = note["base_losses"], note["first_loss"]
        self.last_loss = note.get("last_loss")  # older versions did not keep it


def make_loop(objective: Any, arguments: Any, steps: Steps, course: Course, callback: Any) -> Any:
    transformers = need("transformers")
    loop = _trainer()(
        model=objective,
        args=arguments,
        train_dataset=steps,
        data_collator=lambda items: items[0],
        callbacks=[callback],
    )
    loop.course = course
    loop.remove_callback(transformers.PrinterCallback)
    return loop


@cache
def _trainer() -> Any:
    torch, transformers, safetensors = need("torch"), need("transformers"), need("safetensors.torch")

    class Loop(transformers.Trainer):  # type: ignore[misc, name-defined]
        course: Course

        def get_train_dataloader(self) -> Any:
            # Each process makes its own parts: nothing is to be distributed, and no order is drawn.
            return torch.utils.data.DataLoader(self.train_dataset, batch_size=1, collate_fn=self.data_collator)

        def compute_loss(
            self, model: Any, inputs: Mapping[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
        ) -> Any:
            self.course.wrapped = model
            out = model(**inputs)
            self.course.seen(out, bool(inputs["last"]))
            return (out["loss"], {}) if return_outputs else out["loss"]

        def _save_checkpoint(self, model: Any, trial: Any) -> None:
            with writing(Path(self.args.output_dir)):
                super()._save_checkpoint(model, trial)
                if self.args.should_save:
                    seal(Path(self.args.output_dir) / f"checkpoint-{self.state.global_step}", self.course.note())
                    prune(Path(self.args.output_dir))

        def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
            if not self.args.should_save:
                return
            folder = str(output_dir or self.args.output_dir)
            os.makedirs(folder, exist_ok=True)
            own = trained_tensors(self.course.model)
            # Of sharded weights the whole is handed in, gathered by all processes.
            whole = own if state_dict is None else {n: state_dict[f"model.{n}"] for n in own}
            tensors = {n: p.detach().to("cpu").contiguous() for n, p in whole.items()}
            safetensors.save_file(tensors, os.path.join(folder, _WEIGHTS))

        def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
            put_trained(
                self.course.model, safetensors.load_file(os.path.join(resume_from_checkpoint, _WEIGHTS), device="cpu")
            )

        # What is drawn in a step depends on seed and step alone (see `Watch`): no state of generators is kept.
        def _save_rng_state(self, output_dir: str) -> None:
            return

        def _load_rng_state(self, checkpoint: str | None) -> None:
            return

    return Loop


def make_callback(
    course: Course,
    progress: Progress | None,
    stop: Callable[[], bool] | None,
    deadline: float | None,
    log: Log | None,
) -> Any:
    return _callback()(course, progress, stop, deadline, log)


@cache
def _callback() -> Any:
    torch, transformers = need("torch"), need("transformers")

    class Watch(transformers.TrainerCallback):  # type: ignore[misc, name-defined]
        def __init__(
            self,
            course: Course,
            progress: Progress | None,
            stop: Callable[[], bool] | None,
            deadline: float | None,
            log: Log | None,
        ) -> None:
            self.course, self.progress, self.stop = course, progress, stop
            self.deadline, self.log = deadline, log

        def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
            torch.manual_seed(self.course.seed * 1_000_003 + int(state.global_step))
            return control

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
            course, step = self.course, int(state.global_step)
            if self.progress is not None:
                self.progress("train", step, course.planned, course.last_loss or 0.0)
            every = max(1, course.planned // PROBES)
            probed = step % every == 0 or step == course.planned or step in EARLY
            if probed:
                course.probe(whole=step == course.planned)
            if self.log is not None:
                known = course.control
                self.log.step(step, {
                    "train/loss": course.last_loss,
                    "train/penalty": known.q,
                    "train/lambda": known.strength,
                    "train/drift": known.measured if probed else None,
                })  # fmt: skip
            late = self.deadline is not None and time.monotonic() > self.deadline
            asked = self.stop is not None and self.stop()
            late_any, asked_any = every_process([float(late), float(asked)], args.device)
            if (late_any or asked_any) and step < course.planned:
                course.stopped = "asked" if asked_any else "time"
                control.should_training_stop = control.should_save = True
            return control

    return Watch
