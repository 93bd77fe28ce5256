"""When to distil, and with what: the trainer is handed episodes and a way to run plans; the journal keeps the outcome.

A rejected model is a correct result: it is recorded with the gate's reasons and not used.
"""

from __future__ import annotations

import importlib.util
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from habilis._corpus import corpus_of, programs_of
from habilis._held_out import PlansInWorld
from habilis._interrupts import interruptible
from habilis.agent.local.mind import LocalMind, open_mind
from habilis.agent.local.timing import Timing, time_mind
from habilis.agent.threads import in_thread
from habilis.core import (
    Affording,
    BudgetExceeded,
    Context,
    Cost,
    HabilisError,
    Imaginable,
    InputError,
    Json,
    MissingExtraError,
    ModelError,
    NotFoundError,
    Task,
    World,
    need,
    span,
)
from habilis.memory.journal import ModelRecord

if TYPE_CHECKING:
    from habilis._assembly import Assembly
    from habilis.agent.loop import Loop
    from habilis.trainer import DistilResult, Gate, TrainSettings

_MOST_SECONDS = 31 * 24 * 3600
_LEAST_SECONDS = 30.0
_TIMED = 3  # tasks


def can_train() -> bool:
    """Whether the extra ``train`` is installed, without loading any of it."""
    return all(importlib.util.find_spec(m) is not None for m in ("torch", "transformers", "peft", "accelerate"))


def check_seconds(seconds: float, option: str) -> None:
    """Raises `InputError` for a limit within which nothing can be distilled. ``option``: what sets it."""
    if not (math.isfinite(seconds) and seconds >= _LEAST_SECONDS):
        least = f"{_LEAST_SECONDS:g} seconds"
        raise InputError(f"distilling takes {least} or more, and an end, not {seconds:g}; change it ({option})")
    if seconds > _MOST_SECONDS:
        raise InputError(
            f"distilling takes a month at most, {_MOST_SECONDS:,} seconds, not {seconds:g}; change it ({option})"
        )


async def distil_if_due(parts: Assembly, loop: Loop) -> None:
    """Distil once enough skills are new. The trainer's absence or a refusal of the budget is a warning, no end."""
    settings = parts.settings
    every = settings.distil_every
    if every is None:
        return
    journal, fingerprint = parts.home.journal, parts.world.spec.fingerprint
    state = journal.get_versioned_state("distil") or {}
    kept = journal.count_skills(fingerprint)
    # An older version counted the skills of all worlds together.
    before = state.get("worlds", {}).get(fingerprint, min(kept, int(state.get("skills", 0))))
    if kept - int(before) < every:
        return
    counted = {"worlds": {**state.get("worlds", {}), fingerprint: kept}}
    if not can_train():
        journal.put_versioned_state("distil", counted)
        parts.events.emit("warning", loop.iteration, message="not distilled: pip install 'habilis[train]'")
        return
    try:
        how = Distilling(seconds=settings.distil_seconds)
        await distil_now(parts, how, run_id=loop.run_id, iteration=loop.iteration)
    except HabilisError as error:
        parts.events.emit("warning", loop.iteration, message=f"not distilled: {error}")
    if not parts.stop.is_set():  # what was interrupted goes on when the run does
        journal.put_versioned_state("distil", counted)


@dataclass(frozen=True)
class Distilling:
    """How to distil. ``seconds``: for everything together; ``steps``: of training, at most. ``base``: see
    `habilis.trainer.get_base`. ``settings``, ``gate``: of the trainer. ``after``: the name of a model to go on from,
    "none", or "auto": the one adopted in this world, where it came from the same base model by the same method.
    ``text``, ``fisher``, ``log``, ``launcher``: see `habilis.trainer.DistilOptions`; ``text`` is a file. ``examples``:
    files of the user's own, in chat format. ``families``: the families of examples to train on and to be judged by;
    none named: all.
    """

    seconds: float = 420.0
    steps: int | None = None
    base: str = "smollm2"
    settings: TrainSettings | None = None
    gate: Gate | None = None
    after: str = "auto"
    text: Path | None = None
    fisher: Path | None = None
    log: Path | None = None
    launcher: tuple[str, ...] = ()
    examples: tuple[Path, ...] = ()
    families: tuple[str, ...] = ()


async def distil_now(
    parts: Assembly, how: Distilling | None = None, *, run_id: int | None = None, iteration: int | None = None
) -> Mapping[str, Json]:
    """Turn the world's episodes, and a user's ``examples``, into a model, judge it and record it. Raises
    `HabilisError`.

    Seconds are reserved on the ledger before it begins. The result says whether the model was adopted, and why. Ctrl-C
    stops it at the next step, and it goes on when called again.
    """
    from habilis.trainer.base import check_base

    how = how or Distilling()
    how = replace(how, base=_settled(how.base))
    seconds, base, seed = how.seconds, how.base, 0 if how.settings is None else how.settings.seed
    check_base(base)
    check_seconds(seconds, "--seconds")
    if not can_train():
        raise MissingExtraError("distilling needs torch and friends: pip install 'habilis[train]'")
    from habilis.trainer import DistilOptions, TrainSettings, distil_corpus
    from habilis.trainer.base import digests_of
    from habilis.trainer.distil import check_begin

    journal = parts.home.journal
    options = DistilOptions(
        after=_after(parts, how),
        text=None if how.text is None else _read(how.text),
        fisher=how.fisher,
        log=how.log,
        launcher=how.launcher,
    )
    check_begin(how.settings or TrainSettings(), options)  # before the corpus, which takes minutes
    # A name of its own for every result: nothing is ever written over a model that is in use. Until a result is
    # recorded the name stays, so that interrupted work is found again.
    name = f"{base.rsplit('/', 1)[-1]}-{journal.count_models() + 1}"
    out = parts.home.models_path / name
    spec = parts.world.spec
    lived = (e.task for e in journal.episodes(with_trajectories=False) if e.task.world == spec.name)
    count = sum(task.fingerprint in ("", spec.fingerprint) for task in lived)
    parts.events.emit("distil_started", iteration, episodes=count, model=name)
    last = [0.0]

    def progress(phase: str, step: int, steps: int, loss: float) -> None:
        now = time.monotonic()
        if step in (0, steps) or now - last[0] > 0.5:
            last[0] = now
            parts.events.emit("distil_progress", iteration, phase=phase, step=step, steps=steps, loss=loss)

    began = time.monotonic()
    left = parts.ledger.remaining.seconds
    seconds = seconds if left is None else min(seconds, left)
    if seconds < _LEAST_SECONDS:
        raise BudgetExceeded("seconds", parts.ledger.limit.seconds or 0, parts.ledger.spent.seconds, 0, _LEAST_SECONDS)
    about = {"habilis.model": name, "habilis.world": parts.world_name}
    with (
        interruptible(parts.stop, journal),
        span("habilis.distil", about) as here,
        parts.ledger.reserve(Cost(seconds=seconds), what="a distillation") as held,
    ):
        try:
            corpus = await in_thread(
                "the corpus",
                lambda: corpus_of(parts, seed=seed, examples=how.examples, families=how.families),
            )
            progress("corpus", len(corpus.train), len(corpus.train), 0.0)
            result = await in_thread(
                "the training",
                distil_corpus,
                corpus,
                out=out,
                about=parts.world.spec.fingerprint,
                base=base,
                settings=how.settings,
                gate=how.gate,
                options=options,
                seconds=seconds - (time.monotonic() - began),
                steps=how.steps,
                runner=PlansInWorld(parts.fresh) if parts.fresh is not None else None,
                programs=programs_of(parts),
                progress=progress,
                stop=parts.stop.is_set,
            )
            here.set({"habilis.model.adopted": result.adopted})
            timing = await in_thread("the model's timing", _timing, parts, result, name) if result.adopted else None
        finally:  # the time is gone, whatever came of it
            took = Cost(seconds=round(time.monotonic() - began, 1))
            held.commit(took)
            here.cost(took)
    figures = {**result.figures, **({} if timing is None else {"timing": timing.dump()})}
    record = ModelRecord(
        name=name,
        base=base,
        path=str(Path(result.path).relative_to(parts.home.path)),
        adopted=False,
        figures={**figures, "weights": digests_of(Path(result.path))},
        reasons=tuple(result.reasons),
        run_id=run_id,
        fingerprint=parts.world.spec.fingerprint,
    )
    with journal.transaction():
        journal.put_model(record)
        if result.adopted:
            journal.adopt_model(name)
    told: dict[str, Json] = {
        "model": name,
        "adopted": result.adopted,
        "reasons": list(result.reasons),
        "figures": figures,
        "iteration": iteration,
    }
    parts.distillations.append(told)
    parts.events.emit("distil_ended", iteration, **{k: v for k, v in told.items() if k != "iteration"})
    return told


def _settled(base: str) -> str:
    """A base model as it is written down: one on disk by its whole path, however it was named."""
    path = Path(base).expanduser()
    return str(path.resolve()) if base.strip() and base != "smollm2" and path.exists() else base


def _timing(parts: Assembly, result: DistilResult, name: str) -> Timing | None:
    """How long the model takes in this world, of tasks that were solved in it. None where search is never blind (the
    world says why an action fails, or cannot be made afresh), or there is nothing to time it by."""
    spec = parts.world.spec
    if parts.fresh is None or "reasons" in spec.capabilities:
        return None
    solved = parts.home.journal.episodes(status="solved", with_trajectories=False)
    here = ("", spec.fingerprint)  # old journals do not tell
    lived = [e.task for e in solved if e.task.world == spec.name and e.task.fingerprint in here]
    tasks = [task for task in lived if task.goal.atoms][-_TIMED:]
    mind = LocalMind(Path(result.path), name=name)
    try:
        return time_mind(mind, parts.runner, [(task, _beginning(parts.fresh(), task)) for task in tasks])
    except Exception as error:  # nothing that goes wrong here may lose a model that was distilled and adopted
        parts.events.emit("warning", None, message=f"what a line of {name} takes is assumed, not timed: {error}")
        return None


def _beginning(world: World, task: Task) -> Context:
    world.reset(task.seed)
    return Context(
        world.spec,
        world.observe(),
        simulator=world.simulator() if isinstance(world, Imaginable) else None,
        affordances=tuple(world.affordances()) if isinstance(world, Affording) else (),
    )


def _after(parts: Assembly, how: Distilling) -> Path | None:
    """The folder of the model to go on from. Raises `NotFoundError`, or `ModelError` where it was not adopted."""
    journal, home = parts.home.journal, parts.home.path
    if how.after == "none":
        return None
    if how.after != "auto":
        found = {m.name: m for m in journal.models()}
        if how.after not in found:
            raise NotFoundError.of("model", how.after, [*found, "auto", "none"])
        named = home / found[how.after].path
        from habilis.trainer.stages import split_otherwise

        otherwise = split_otherwise(named, how.settings)
        if otherwise is not None:
            parts.events.emit("warning", None, message=f"going on from {how.after}, though {otherwise}")
        return named
    adopted = journal.adopted_model(parts.world.spec.fingerprint)
    if adopted is None:
        return None
    from habilis.trainer import goes_on_from

    folder = home / adopted.path
    why = goes_on_from(folder, how.base, adopted.base, how.settings) or _damage(folder, adopted)
    if why is None:
        return folder
    parts.events.emit("warning", None, message=f"distilling begins at the base model, not at {adopted.name}: {why}")
    return None


def _damage(folder: Path, record: ModelRecord) -> str | None:
    """What is not as it was recorded, or cannot be read, of an adopted model; None where nothing is."""
    recorded = record.figures.get("weights") if isinstance(record.figures, Mapping) else None
    safetensors = need("safetensors")
    try:
        open_mind({"path": str(folder), "name": record.name, "weights": recorded})
        for file in sorted((folder / "adapter").glob("*.safetensors")):
            with safetensors.safe_open(str(file), "np"):
                pass  # head and size agree
    except ModelError as error:
        return str(error)
    except (OSError, safetensors.SafetensorError) as error:
        return f"its adapter is damaged ({error})"
    return None


def _read(file: Path) -> str:
    try:
        return file.expanduser().read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read the text {file}: {error}; name a file of plain text (--text)") from error


__all__ = ["Distilling", "can_train", "distil_if_due", "distil_now"]
