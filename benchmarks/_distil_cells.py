"""The cells of the distil benchmark: one training each, and what is measured of its model."""

from __future__ import annotations

import math
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks._distil_corpus import baselines, mean_over_families, stages
from benchmarks._distil_speed import throughput
from benchmarks._harness import commit
from habilis.trainer import (
    BaseModel,
    Corpus,
    Decision,
    DistilOptions,
    Evaluation,
    Gate,
    Remembered,
    TrainSettings,
    distil_corpus,
    evaluate,
    get_base,
    perplexity,
    remember,
    train,
)
from habilis.trainer._lm import arithmetic
from habilis.trainer.base import load_model

ARMS = ("none", "l2", "ewc", "online_ewc", "kl", "replay", "ewc_replay")
TARGETS = (0.005, 0.01, 0.02, 0.05)
CHAINS = ("none", "ewc", "online_ewc", "kl", "replay", "ewc_replay", "kl_replay")
CURVE = (500, 1_000, 2_000, 4_000)  # examples, each once over


@dataclass(frozen=True)
class Scale:
    """How much a cell does. ``steps`` of 8 examples; ``questions`` of the test part; ``chain``: steps of each of three
    successive distillations; ``probe``: steps of the cells that only look at the drift; ``text``: characters of
    WikiText-2 that a perplexity is taken on (about 4 a token). ``segments`` of ``segment`` steps each are timed on
    either side of ``throughput``. ``drift``: the target in all arms with a penalty.
    """

    steps: int = 200
    questions: int = 1_000
    chain: int = 60
    probe: int = 100
    text: int = 64 * 1024
    base: str = "smollm2"
    segments: int = 6
    segment: int = 9
    drift: float = 0.01

    @property
    def key(self) -> list[Any]:
        return [self.steps, self.questions, self.chain, self.probe, self.text, self.base, self.drift]


def run_cell(arm: str, seed: int, scale: Scale, corpora: Sequence[Corpus], data: Path | None) -> dict[str, Any]:
    """``base``, an arm, ``curve-500``, ``target-1%``, ``chain-ARM`` or ``throughput``, with one seed."""
    began, cpu = time.monotonic(), time.process_time()
    base = get_base(scale.base)
    if arm == "base":
        found = _base(base, scale, corpora[0], data)
    elif arm.startswith("target-"):
        settings = _settings("ewc", seed, float(arm.removeprefix("target-").removesuffix("%")) / 100)
        found = _trained(base, settings, scale.probe, corpora[0])[1]
    elif arm.startswith("chain-"):
        found = _chain(base, arm.removeprefix("chain-"), seed, scale, corpora)
    elif arm.startswith("curve-"):
        few = _beginning(corpora[0], int(arm.removeprefix("curve-")))
        settings = _settings("kl", seed, scale.drift)
        model, found = _trained(base, settings, math.ceil(len(few.train) / settings.batch), few)
        found |= _measured(model, base, scale, few, data)
    elif arm == "throughput":
        found = throughput(base, _settings("none", seed, scale.drift), corpora[0].train, scale.segments, scale.segment)
    else:
        model, found = _trained(base, _settings(arm, seed, scale.drift), scale.steps, corpora[0])
        found |= _measured(model, base, scale, corpora[0], data)
    return {
        "schema_version": 1,
        "arm": arm,
        "seed": seed,
        "scale": scale.key,
        "corpus": corpus_key(corpora),
        **found,
        "cpu_seconds": round(time.process_time() - cpu, 1),
        "seconds": round(time.monotonic() - began, 1),
        "commit": commit(),
    }


def _settings(arm: str, seed: int, drift: float) -> TrainSettings:
    return TrainSettings(regulariser=arm, drift=drift, seed=seed, epochs=100, save_every=10_000, device="cpu")


def corpus_key(corpora: Sequence[Corpus]) -> str:
    """What cells are of: the beginnings of the corpora's fingerprints."""
    return " ".join(corpus.fingerprint[:16] for corpus in corpora)


def _beginning(corpus: Corpus, size: int) -> Corpus:
    if len(corpus.train) < size:
        raise SystemExit(f"curve-{size}: the corpus has {len(corpus.train)} examples to train on; give it a larger one")
    return corpus.limited(size)


def _base(base: BaseModel, scale: Scale, corpus: Corpus, data: Path | None) -> dict[str, Any]:
    questions = corpus.test[: scale.questions]
    return {
        **_measured(load_model(base.path)[0], base, scale, corpus, data),
        **baselines(corpus, questions),
        "questions": len(questions),
        "examples": len(corpus.train),
        "asked_of": dict(sorted(Counter(e.family for e in questions).items())),
        "taught_of": dict(sorted(Counter(e.family for e in corpus.train).items())),
    }


def _trained(base: BaseModel, settings: TrainSettings, steps: int, corpus: Corpus) -> tuple[Any, dict[str, Any]]:
    # Text and Fisher are the base model's and the same for every seed; what differs is order and initial LoRA weights.
    memory = remember(base, replace(settings, seed=0))
    model, tokenizer = load_model(base.path)
    known = Remembered(memory.model, memory.texts, memory.fisher, dtype=arithmetic("auto", "cpu"))
    ends: list[float] = []
    with tempfile.TemporaryDirectory(prefix="habilis-distil-") as folder:
        trained = train(
            model,
            tokenizer,
            corpus.train,
            Path(folder) / "work",
            settings=settings,
            remembered=known,
            heldout=memory.held_out,
            steps=steps,
            progress=lambda phase, step, of, loss: ends.append(time.process_time()),
        )
    each = [round(b - a, 4) for a, b in pairwise(ends)]
    return trained.model, {"training": dict(trained.figures), "cpu_each_step": each}


def _measured(model: Any, base: BaseModel, scale: Scale, corpus: Corpus, data: Path | None) -> dict[str, Any]:
    _, tokenizer = load_model(base.path)
    model = model.eval()
    asked = evaluate(model, tokenizer, corpus.test[: scale.questions])
    found: dict[str, Any] = {
        "families": {name: right / n for name, (right, n) in asked.families.items()},
        "accuracy": asked.success,
        "calibration_error": asked.calibration_error,
        "perplexity": asked.perplexity,
    }
    wiki = None if data is None else data / "wikitext2" / "valid.txt"
    if wiki is not None and wiki.exists():
        found["wikitext"] = perplexity(model, tokenizer, wiki.read_text("utf-8")[: scale.text])
    return found


class _AdoptAll(Gate):
    """The chain goes on whatever the gate would say: what it loses is to be seen."""

    def judge(self, present: Evaluation, tuned: Evaluation, **more: Any) -> Decision:
        return Decision(True, super().judge(present, tuned, **more).reasons)


def _chain(base: BaseModel, arm: str, seed: int, scale: Scale, corpora: Sequence[Corpus]) -> dict[str, Any]:
    """Successive distillations, each from where the last one ended."""
    after: Path | None = None
    with tempfile.TemporaryDirectory(prefix="habilis-distil-") as folder:
        for number, corpus in enumerate(stages(corpora)):
            result = distil_corpus(
                _asking(corpus, scale.questions // 2),
                out=Path(folder) / f"stage{number}",
                base=base,
                settings=_settings(arm, seed, scale.drift),
                gate=_AdoptAll(),
                options=DistilOptions(after=after),
                seconds=None,
                steps=scale.chain,
            )
            after = result.path
    return {"forgetting": result.figures["forgetting"], "drift": result.figures["drift"]}


def _asking(corpus: Corpus, questions: int) -> Corpus:
    """The corpus with so many questions in its test, families in turn, and a third of that in validation: all of an
    earlier stage are asked again after each later one."""
    return replace(corpus, validation=corpus.validation[: questions // 3], test=corpus.test[:questions])


def paired_overhead(with_penalty: Mapping[str, Any], without: Mapping[str, Any]) -> float:
    """How much more CPU time a step takes, over the same steps of the same batches; the median, for what else runs on
    the machine moves single steps."""
    pairs = zip(with_penalty["cpu_each_step"], without["cpu_each_step"], strict=False)
    ratios = sorted(a / b for a, b in pairs if b > 0)
    return ratios[len(ratios) // 2] - 1 if ratios else math.nan


def family_gain(cell: Mapping[str, Any], other: Mapping[str, float]) -> float:
    """Mean over families of what the cell's model answers better."""
    return mean_over_families({f: share - other.get(f, 0.0) for f, share in cell["families"].items()})
