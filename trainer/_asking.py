"""What a model is asked before and after a distillation: validation for the gate, test for the report, both of earlier
distillations too. Both models are asked the same."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from habilis.trainer.base import load_model
from habilis.trainer.corpus import Corpus, Example
from habilis.trainer.evaluate import Evaluation, evaluate, perplexity
from habilis.trainer.held_out import HeldOut, PlanRunner, ProgramRunner
from habilis.trainer.stages import Earlier
from habilis.trainer.training.settings import TrainSettings, choose_device

_MOST_QUESTIONS = 160  # held-out questions of one kind: 160 tell .05 from .15, and are asked in seconds
_MOST_PLANS = 12  # of validation, and of the test
_MOST_PROGRAMS = 12  # of validation, and of the test


@dataclass(frozen=True)
class Questions:
    """Held-out questions by purpose, and what is to be done in the world: of validation for the gate, of the test for
    the report."""

    validation: tuple[Example, ...]
    test: tuple[Example, ...]
    validation_tasks: HeldOut
    test_tasks: HeldOut
    earlier_validation: tuple[Example, ...]
    earlier_test: tuple[Example, ...]
    earlier_validation_tasks: HeldOut
    earlier_test_tasks: HeldOut
    device: str


@dataclass(frozen=True)
class Asked:
    """The answers. ``base_perplexity``: of the base model on the held-out text."""

    validation: Evaluation
    test: Evaluation
    earlier_validation: Evaluation
    earlier_test: Evaluation
    base_perplexity: float

    def accuracy(self, stage: str) -> dict[str, float]:
        """Share right by ``distillation/family``, on the test questions of this distillation and all earlier ones."""
        found = {f"{stage}/{k}": r / n for k, (r, n) in self.test.families.items() if n}
        return found | {k: r / n for k, (r, n) in self.earlier_test.families.items() if n}


def questions_of(
    corpus: Corpus,
    earlier: Earlier | None,
    settings: TrainSettings,
    run_plans: PlanRunner | None = None,
    run_programs: ProgramRunner | None = None,
) -> Questions:
    # What is carried out is judged by what it does; that another plan was found once says nothing against it.
    instead = {"plan": run_plans, "program": run_programs}

    def some(examples: tuple[Example, ...]) -> tuple[Example, ...]:
        return tuple(e for e in examples if instead.get(e.family) is None)[:_MOST_QUESTIONS]

    def held_out(split: str, examples: tuple[Example, ...]) -> HeldOut:
        mine, plans = {e.prompt for e in examples}, tuple(p for p in corpus.plans if p.split == split)[:_MOST_PLANS]
        programs = tuple(replace(p, split=split) for p in corpus.programs if p.prompt in mine)[:_MOST_PROGRAMS]
        return HeldOut(plans, programs, run_plans, run_programs)

    def of_before(split: str) -> tuple[tuple[Example, ...], HeldOut]:
        """All that each was asked when it was taught: a part of them would move by chance alone."""
        if earlier is None:
            return (), HeldOut()
        asked, tasks = earlier.ask(split, run_plans, run_programs)
        return tuple(asked), tasks

    earlier_validation, earlier_validation_tasks = of_before("validation")
    earlier_test, earlier_test_tasks = of_before("test")
    return Questions(
        some(tuple(corpus.validation)),
        some(tuple(corpus.test)),
        held_out("validation", corpus.validation),
        held_out("test", corpus.test),
        earlier_validation,
        earlier_test,
        earlier_validation_tasks,
        earlier_test_tasks,
        settings.device,
    )


def ask(
    folder: Path,
    questions: Questions,
    seconds: float | None,
    *,
    base: Path | None,
    like: Asked | None = None,
    check: Callable[[], object] | None = None,
) -> Asked:
    """Ask the model in a folder. ``like``: just what another was asked. ``base``: the base model's folder, whose
    perplexity is wanted too (``like`` has it already)."""
    device = choose_device(questions.device)
    # Distilled weights are float32, and used as they are; the base model is asked in the same arithmetic.
    model, tokenizer = load_model(folder)
    model = model.to(device)
    parts = {
        "validation": (questions.validation, questions.validation_tasks),
        "test": (questions.test, questions.test_tasks),
        "earlier_validation": (questions.earlier_validation, questions.earlier_validation_tasks),
        "earlier_test": (questions.earlier_test, questions.earlier_test_tasks),
    }
    shares = sum(bool(some or held_out.plans or held_out.programs) for some, held_out in parts.values()) or 1
    found: dict[str, Evaluation] = {}
    for name, (examples, held_out) in parts.items():
        known: Evaluation | None = None if like is None else getattr(like, name)
        if known is not None:
            examples = examples[: known.examples]
            held_out = replace(
                held_out, plans=held_out.plans[: known.plans], programs=held_out.programs[: known.programs]
            )
        found[name] = evaluate(
            model,
            tokenizer,
            examples,
            held_out,
            text=None if name == "validation" else "",
            dtype="float32",
            seconds=None if seconds is None else seconds / shares,
            before_each=check,
        )
    if like is not None:
        surprise = like.base_perplexity
    elif base is None or base == folder:
        surprise = found["validation"].perplexity
    else:
        reference, tokenizer = load_model(base)
        surprise = perplexity(reference.to(device), tokenizer, dtype="float32")
    assert not math.isnan(surprise)
    return Asked(**found, base_perplexity=surprise)
