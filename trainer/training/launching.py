"""Training in processes of its own: ``accelerate launch … -m habilis.trainer.training.launching JOB``.

A home has one owner, so the process that holds it starts the others, which see a folder with the job alone: what to
train, from what, with which settings. They tell their progress in lines of JSON on standard output, and the first of
them leaves the update in the folder. A file ``stop`` there ends them at the next step. They are a session of their own:
Ctrl-C is for their host, which asks them to stop.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from habilis.core import HabilisError, InputError, ModelError, need
from habilis.trainer.base import BaseModel, load_model
from habilis.trainer.corpus import Example
from habilis.trainer.fisher import Fisher, Progress
from habilis.trainer.regularisers import Remembered, open_regulariser
from habilis.trainer.training.adapting import made_trainable, save_update
from habilis.trainer.training.checkpoints import writing
from habilis.trainer.training.settings import TrainSettings
from habilis.trainer.training.train import Trained, train

if TYPE_CHECKING:
    from torch import Tensor

_SAID = "habilis-progress "
_PATIENCE = 10.0  # seconds for a launcher to end what it has launched
_KILL = getattr(signal, "SIGKILL", signal.SIGTERM)


def check_launcher(launcher: Sequence[str]) -> None:
    """Raises `InputError` where the command is not there."""
    _found(launcher[0])


def _found(name: str) -> str:
    beside = str(Path(sys.executable).parent)  # where pip puts commands, also if that is not on the PATH
    found = shutil.which(name) or shutil.which(name, path=beside)
    if found is None:
        raise _no_launcher(name, "there is no such command")
    return found


def _no_launcher(name: str, why: str | None) -> InputError:
    return InputError(f"cannot start {name!r}: {why}; pip install accelerate, or name its path")


def launch(
    launcher: Sequence[str],
    model: Any,
    base: BaseModel,
    examples: Sequence[Example],
    work: Path,
    settings: TrainSettings,
    remembered: Remembered,
    heldout: Tensor,
    *,
    start: Path | None,
    steps: int | None,
    seconds: float | None,
    log: Path | None,
    progress: Progress | None,
    stop: Callable[[], bool] | None,
) -> Trained:
    """`train`, by the processes that ``launcher`` starts. ``model``: the base model, which the update is put into.

    Raises `InputError` where the command is not there, `ModelError` where it ends without a result.
    """
    job = job_folder(work)
    with writing(job):
        _write(job, base, examples, work, settings, remembered, heldout, start, steps, seconds, log)
    command = [_found(launcher[0]), *launcher[1:], "-m", "habilis.trainer.training.launching", str(job)]
    log_file = job / "log"  # what the processes say beside their progress; a pipe could fill up
    try:
        with log_file.open("w", encoding="utf-8") as said:
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said, text=True, start_new_session=True)
    except OSError as error:
        raise _no_launcher(launcher[0], error.strerror) from error
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if progress is not None and line.startswith(_SAID):
                phase, step, planned, loss = json.loads(line.removeprefix(_SAID))
                progress(phase, step, planned, loss)
            if stop is not None and stop():
                (job / "stop").touch()
        process.wait()
    finally:
        if process.poll() is None:
            _end(process, job)
    result, failed = job / "result.json", job / "failed"
    if failed.exists():
        raise ModelError(f"{failed.read_text('utf-8')[:1000]} (what the processes said: {log_file})")
    if process.returncode != 0 or not result.exists():
        last = log_file.read_text("utf-8", "replace").strip()[-600:] or "they said nothing"
        raise ModelError(f"{' '.join(launcher)} ended with {process.returncode}: {last} ({log_file})")
    note = json.loads(result.read_text())
    model = made_trainable(model, settings, job / "adapter")
    return Trained(model, note["steps"], note["stopped"], note["figures"])


def _end(process: subprocess.Popen[str], job: Path) -> None:
    """End a launcher with all that it has launched: torchrun's processes are sessions of their own, which it ends when
    it is asked to, and which stop by themselves at the next step."""
    (job / "stop").touch()
    for number in (signal.SIGTERM, _KILL):
        _signalled(process, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_PATIENCE)


def _signalled(process: subprocess.Popen[str], number: int) -> None:
    if os.name != "posix":
        process.terminate()
        return
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def job_folder(work: Path) -> Path:
    """Where the job lies that the processes are given, beside their checkpoints."""
    return work.with_name(f"{work.name}.job")


def _write(
    job: Path,
    base: BaseModel,
    examples: Sequence[Example],
    work: Path,
    settings: TrainSettings,
    remembered: Remembered,
    heldout: Tensor,
    start: Path | None,
    steps: int | None,
    seconds: float | None,
    log: Path | None,
) -> None:
    safetensors = need("safetensors.torch")
    job.mkdir(parents=True, exist_ok=True)
    for name in ("stop", "failed", "result.json", "running.safetensors"):  # of a job that was cut short
        (job / name).unlink(missing_ok=True)
    safetensors.save_file(
        {"texts": remembered.texts.contiguous(), "heldout": heldout.contiguous()}, str(job / "texts.safetensors")
    )
    if open_regulariser(settings.regulariser).uses_fisher:
        remembered.fisher().save(job / "fisher.safetensors", dtype="float32")
    if remembered.running is not None:
        remembered.running.save(job / "running.safetensors", dtype="float32")
    about = {
        "base": str(base.path),
        "work": str(work),
        "settings": asdict(settings),
        "start": None if start is None else str(start),
        "steps": steps,
        "seconds": seconds,
        "log": None if log is None else str(log),
        "dtype": remembered.dtype,
        "past": [list(row) for row in remembered.past],
        "examples": [asdict(e) for e in examples],
    }
    (job / "job.json").write_text(json.dumps(about))


def main(argv: Sequence[str] | None = None) -> None:
    """One of the processes."""
    (folder,) = sys.argv[1:] if argv is None else argv
    job = Path(folder)
    about = json.loads((job / "job.json").read_text())
    texts = need("safetensors.torch").load_file(str(job / "texts.safetensors"))
    model, tokenizer = load_model(Path(about["base"]))
    running = job / "running.safetensors"
    settings = TrainSettings(**about["settings"])
    first = int(os.environ.get("RANK", "0")) == 0
    try:
        trained = train(
            model,
            tokenizer,
            [Example(**e) for e in about["examples"]],
            Path(about["work"]),
            settings=settings,
            remembered=Remembered(
                base=lambda: load_model(Path(about["base"]))[0],
                texts=texts["texts"],
                fisher=lambda: Fisher.load(job / "fisher.safetensors"),
                running=Fisher.load(running) if running.exists() else None,
                past=[(p, a) for p, a in about["past"]],
                dtype=about["dtype"],
            ),
            start=None if about["start"] is None else Path(about["start"]),
            heldout=texts["heldout"],
            steps=about["steps"],
            seconds=about["seconds"],
            log=None if about["log"] is None else Path(about["log"]),
            progress=_say if first else None,
            stop=(job / "stop").exists,
        )
    except Exception as error:
        ours = isinstance(error, HabilisError)
        _tell(job / "failed", str(error) if ours else f"{type(error).__name__}: {error}")
        if ours:
            raise SystemExit(1) from error
        raise
    save_update(trained.model, job / "adapter", write=first)
    if first:
        note = {"steps": trained.steps, "stopped": trained.stopped, "figures": dict(trained.figures)}
        scratch = job / ".result.json"
        scratch.write_text(json.dumps(note))
        scratch.replace(job / "result.json")


def _tell(file: Path, text: str) -> None:
    """What ended the first process that ended so; the others only follow it."""
    try:
        with file.open("x", encoding="utf-8") as out:
            out.write(text)
    except OSError:
        return


def _say(phase: str, step: int, steps: int, loss: float) -> None:
    print(_SAID + json.dumps([phase, step, steps, loss]), flush=True)


if __name__ == "__main__":
    main()
