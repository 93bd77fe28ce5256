"""What a distilled model hands on to the next distillation: its update, its questions, its Fisher information.

A model folder is all that is needed; the models before it may be gone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from habilis.core import ModelError, dump, load
from habilis.trainer.corpus import CORPUS_VERSION, Corpus, Example
from habilis.trainer.fisher import Fisher
from habilis.trainer.forgetting import ForgettingMatrix
from habilis.trainer.held_out import HeldOut, PlanRunner, PlanTask, ProgramRunner, ProgramTask
from habilis.trainer.training.settings import TrainSettings

_EXAMPLES, _TASKS, _RUNNING, _SPLITS = "examples.jsonl", "tasks.jsonl", "running.fisher", "splits.json"
HANDED_ON = ("distil.json", _EXAMPLES, _TASKS, _RUNNING, _SPLITS)  # what lies in a model folder beside the model
_KINDS = ("group", "house")
_MOST_KEPT = 1_000  # examples of one distillation kept for replay: they come in order of importance
_MOST_INSTEAD = 24  # questions kept for later whose answers were carried out, of validation and of test each


@dataclass(frozen=True)
class Stage:
    """One distillation's examples, and the held-out tasks that were carried out. In ``validation``, ``test`` and the
    tasks the family is ``name/family``."""

    name: str
    train: tuple[Example, ...] = ()
    validation: tuple[Example, ...] = ()
    test: tuple[Example, ...] = ()
    plans: tuple[PlanTask, ...] = ()
    programs: tuple[ProgramTask, ...] = ()


@dataclass(frozen=True)
class Earlier:
    """All that was before. ``adapter``: the update to go on from; ``model``: the folder with the merged weights;
    ``splits``: in which split each group and each house was (`Corpus.splits_of`)."""

    model: Path
    base_fingerprint: str
    stages: tuple[Stage, ...]
    matrix: ForgettingMatrix
    running: Fisher | None
    splits: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def adapter(self) -> Path:
        return self.model / "adapter"

    def ask(
        self, split: str, run_plans: PlanRunner | None = None, run_programs: ProgramRunner | None = None
    ) -> tuple[list[Example], HeldOut]:
        """The questions of all earlier distillations in one split, in turn, and what can still be carried out of their
        tasks. Where that is so the same is not asked to the letter too."""
        plans = [p for stage in self.stages for p in stage.plans if p.split == split]
        programs = [p for stage in self.stages for p in stage.programs if p.split == split]
        done = HeldOut(plans, programs, run_plans, run_programs).doable()
        instead = {p.family.removesuffix("_run") for p in done.plans}
        instead |= {p.family.removesuffix("_run") for p in done.programs}
        asked = _in_turn([getattr(stage, split) for stage in self.stages])
        return [e for e in asked if e.family not in instead], done

    def train(self) -> list[Example]:
        return list(_in_turn([stage.train for stage in self.stages]))


def stage_of(
    name: str, corpus: Corpus, validation: Sequence[Example], test: Sequence[Example], tasks: Sequence[HeldOut] = ()
) -> Stage:
    """What of a corpus is kept for later distillations. ``validation``, ``test``: what was asked of it now. ``tasks``:
    what was carried out in the world instead, and is again later on; where the world is another then, to the letter."""

    def kept(asked: Sequence[Example], examples: Sequence[Example]) -> tuple[Example, ...]:
        there = {e.family for e in asked}
        instead = [e for e in examples if e.family not in there][:_MOST_INSTEAD]
        return tuple(replace(e, family=f"{name}/{e.family}") for e in (*asked, *instead))

    train = tuple(corpus.train[:_MOST_KEPT])
    plans = tuple(replace(p, family=f"{name}/{p.family}") for one in tasks for p in one.plans)
    programs = tuple(replace(p, family=f"{name}/{p.family}") for one in tasks for p in one.programs)
    return Stage(name, train, kept(validation, corpus.validation), kept(test, corpus.test), plans, programs)


def write_stages(
    folder: Path,
    stages: Sequence[Stage],
    running: Fisher | None,
    splits: Sequence[Mapping[str, Mapping[str, str]]],
) -> None:
    """``splits``: of each distillation, the earliest first, whose word holds."""
    told = {kind: {n: s for one in reversed(splits) for n, s in one.get(kind, {}).items()} for kind in _KINDS}
    (folder / _SPLITS).write_text(json.dumps(told, ensure_ascii=False, sort_keys=True), "utf-8")
    with (folder / _EXAMPLES).open("w", encoding="utf-8") as file:
        for stage in stages:
            for split in ("train", "validation", "test"):
                for e in getattr(stage, split):
                    row = [stage.name, split, e.prompt, e.answer, e.family, e.group]
                    file.write(json.dumps(row, ensure_ascii=False) + "\n")
    with (folder / _TASKS).open("w", encoding="utf-8") as file:
        for stage in stages:
            for kind, tasks in (("plan", stage.plans), ("program", stage.programs)):
                for one in tasks:
                    file.write(json.dumps([stage.name, kind, dump(one)], ensure_ascii=False) + "\n")
    if running is not None:
        running.save(folder / _RUNNING, dtype="float32")


def read_earlier(folder: Path) -> Earlier:
    """What the model in a folder hands on. Raises `ModelError` where it does not."""
    try:
        note = json.loads((folder / "distil.json").read_text())
        figures = note["figures"]
        lines = (folder / _EXAMPLES).read_text("utf-8").split("\n")  # a text may hold other ends of lines
        rows = [json.loads(line) for line in lines if line]
        found: dict[str, dict[str, list[Example]]] = {}
        for name, split, prompt, answer, family, group in rows:
            found.setdefault(name, {}).setdefault(split, []).append(Example(prompt, answer, family, group))
        kept = folder / _TASKS
        tasks = [json.loads(line) for line in kept.read_text("utf-8").splitlines()] if kept.exists() else []
        stages = tuple(
            Stage(
                name,
                tuple(s.get("train", ())),
                tuple(s.get("validation", ())),
                tuple(s.get("test", ())),
                tuple(load(PlanTask, one) for of, kind, one in tasks if (of, kind) == (name, "plan")),
                tuple(load(ProgramTask, one) for of, kind, one in tasks if (of, kind) == (name, "program")),
            )
            for name, s in found.items()
        )
        fingerprint = str(figures["model"]["base_fingerprint"])
        known = folder / _SPLITS
        told = json.loads(known.read_text("utf-8")) if known.exists() else {}  # none of older versions
        splits = {kind: dict(told.get(kind, {})) for kind in _KINDS}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"cannot go on from the model {folder.name}: {error!r}; start from the base model (--after none)"
        ) from error
    running = folder / _RUNNING
    return Earlier(
        folder,
        fingerprint,
        stages,
        ForgettingMatrix.load(figures.get("forgetting")),
        Fisher.load(running, model=fingerprint) if running.exists() else None,
        splits,
    )


def goes_on_from(folder: Path, base: str, its_base: str, settings: TrainSettings | None = None) -> str | None:
    """Why a distillation cannot go on from the model in a folder; None where it can. By looking at files alone."""
    settings = settings or TrainSettings()
    if base != its_base:
        return f"that came from the base model {its_base}, this is {base}"
    if not (folder / _EXAMPLES).is_file() or not (folder / "adapter").is_dir():
        return "it was made by an older version, or its adapter was removed"
    try:
        figures = json.loads((folder / "distil.json").read_text())["figures"]
        note = figures["settings"]
        was = (note["method"], note["rank"], note["alpha"])
        corpus = dict(figures["corpus"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"its distil.json cannot be read ({error!r})"
    if was[0] != settings.method:
        return f"that was trained with --method {was[0]}"
    if settings.method == "lora" and was[1:] != (settings.rank, settings.alpha):
        return f"that has rank {was[1]} and alpha {was[2]}, this {settings.rank} and {settings.alpha}"
    return _split_otherwise(corpus, settings)


def split_otherwise(folder: Path, settings: TrainSettings | None = None) -> str | None:
    """Whether the model in a folder was distilled from a corpus that held out other questions, in words."""
    try:
        corpus = dict(json.loads((folder / "distil.json").read_text())["figures"]["corpus"])
    except (OSError, ValueError, KeyError, TypeError):
        return None  # told where it is read in full
    return _split_otherwise(corpus, settings or TrainSettings())


def _split_otherwise(corpus: Mapping[str, Any], settings: TrainSettings) -> str | None:
    split = (corpus.get("version", CORPUS_VERSION), corpus.get("seed", settings.seed))
    if split == (CORPUS_VERSION, settings.seed):
        return None
    return (
        f"its corpus (version {split[0]}, --seed {split[1]}) held out other questions than this one (version "
        f"{CORPUS_VERSION}, --seed {settings.seed}), which would be trained on now"
    )


def _in_turn(parts: Sequence[Sequence[Example]]) -> Iterator[Example]:
    for i in range(max(map(len, parts), default=0)):
        for part in parts:
            if i < len(part):
                yield part[i]
