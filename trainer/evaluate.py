"""What a model can do, on questions and text that it was not trained on."""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

from habilis.core import InputError, Json, need
from habilis.memory.prompts import parse_plan
from habilis.trainer._example import Example
from habilis.trainer._lm import answer_logits, autocast, batches, chunks, collate, device_of, encode, mean_loss
from habilis.trainer.held_out import HeldOut, PlanTask, ProgramRunner, ProgramTask, achieved

_PROGRAM_TOKENS = 256  # of a program that is written to be run


@dataclass(frozen=True)
class Evaluation:
    """``families``: family -> (right, asked). ``perplexity``: on the held-out English text (nan: not asked for).
    ``calibration_error``: how far the confidence in answers is from being right, 0 to 1 (see `calibration_error`).

    ``answers``: (goal, plan line or program, solved) of what was carried out. ``examples``, ``plans``, ``programs``:
    how many were asked. ``each``: which of a family's questions were right, in the order in which they were asked, so
    that two models can be compared question by question; empty where that is not known.
    """

    families: Mapping[str, tuple[int, int]]
    perplexity: float
    answers: tuple[tuple[str, str, bool], ...] = ()
    examples: int = 0
    plans: int = 0
    programs: int = 0
    calibration_error: float | None = None
    each: Mapping[str, Sequence[bool]] = field(default_factory=dict)

    @property
    def asked(self) -> int:
        return sum(n for _, n in self.families.values())

    @property
    def success(self) -> float:
        """The mean over families of the share that is right; a family of many questions counts no more than another."""
        shares = [right / asked for right, asked in self.families.values() if asked]
        return math.fsum(shares) / len(shares) if shares else 0.0

    def figures(self) -> dict[str, Json]:
        return {
            "success": round(self.success, 4),
            "asked": self.asked,
            "perplexity": round(self.perplexity, 4) if math.isfinite(self.perplexity) else None,
            "calibration_error": None if self.calibration_error is None else round(self.calibration_error, 4),
            "families": {k: {"right": r, "asked": n} for k, (r, n) in sorted(self.families.items())},
        }


def evaluate(
    model: Any,
    tokenizer: Any,
    examples: Sequence[Example],
    held_out: HeldOut | None = None,
    *,
    text: str | None = None,
    dtype: str = "auto",
    batch: int = 16,
    seconds: float | None = None,
    before_each: Callable[[], object] | None = None,
) -> Evaluation:
    """Exact match per family; plans and programs by carrying them out (``held_out``); perplexity on ``text``.

    An answer is right if all its tokens, the end mark too, are the likeliest ones: the same as being written greedily,
    at the price of one pass. ``text`` defaults to `heldout_text`; of "" no perplexity is taken. After about ``seconds``
    no further question is asked (one batch always is); ``Evaluation.examples``, ``.plans`` and ``.programs`` say how
    many were, so that another model can be asked the same. ``before_each`` is called before each batch, and may raise.
    The examples' order should mix the families, as that of `build_corpus` does.
    """
    began = time.monotonic()
    each: dict[str, list[bool]] = defaultdict(list)
    surprise = perplexity(model, tokenizer, text, dtype=dtype) if text != "" else math.nan
    certain: list[tuple[float, bool]] = []
    held_out = held_out or HeldOut()
    shown: list[tuple[str, str, bool]] = []
    done = planned = written = 0

    def go_on(start: int, share: float) -> bool:
        if start and _late(began, seconds, share):
            return False
        if before_each is not None:
            before_each()
        return True

    def carried_out(put: Sequence[PlanTask | ProgramTask], texts: Sequence[str], solved: Sequence[bool]) -> None:
        for one, text, ok in zip(put, texts, solved, strict=True):
            each[one.family].append(ok)
            shown.append((str(one.task.goal), text, ok))

    for start in range(0, len(held_out.plans) if held_out.run_plans is not None else 0, batch):
        if not go_on(start, 0.4):
            break
        plans = held_out.plans[start : start + batch]
        lines = write(model, tokenizer, [p.prompt for p in plans], batch=batch, dtype=dtype)
        parsed = [parse_plan(line) for line in lines]
        # A line that is no plan takes no action, and solves nothing even where the goal holds from the start.
        assert held_out.run_plans is not None
        verdicts = held_out.run_plans([(p.task, actions or ()) for p, actions in zip(plans, parsed, strict=True)])
        solved = [bool(v) and actions is not None for v, actions in zip(verdicts, parsed, strict=True)]
        carried_out(plans, lines, solved)
        planned += len(plans)
    for start in range(0, len(held_out.programs) if held_out.run_programs is not None else 0, batch):
        if not go_on(start, 0.6):
            break
        programs = held_out.programs[start : start + batch]
        assert held_out.run_programs is not None
        sources, solved = _programs(model, tokenizer, programs, held_out.run_programs, batch, dtype)
        carried_out(programs, sources, solved)
        written += len(programs)
    for start in range(0, len(examples), batch * 2):
        if not go_on(start, 1.0):
            break
        window = examples[start : start + batch * 2]
        for example, answer in zip(window, _answers(model, tokenizer, window, batch, dtype), strict=True):
            each[example.family].append(answer.right)
            certain.append((answer.confidence, answer.right))
        done += len(window)
    families = {name: (sum(found), len(found)) for name, found in sorted(each.items())}
    error = calibration_error(certain) if certain else None
    kept = {name: tuple(found) for name, found in sorted(each.items())}
    return Evaluation(families, surprise, tuple(shown), done, planned, written, error, kept)


@dataclass(frozen=True)
class _Answer:
    """How a model would answer, written greedily. ``agrees``: with how many tokens of the known answer it begins, the
    end mark counted; ``confidence``: the product of the likeliest tokens' probabilities, up to the first that is not
    the known one, for what it would write after that is not known."""

    right: bool
    agrees: int
    confidence: float


def _answers(model: Any, tokenizer: Any, examples: Sequence[Example], batch: int, dtype: str) -> list[_Answer]:
    """In one pass over the known answers."""
    torch = need("torch")
    rows = [encode(tokenizer, e) for e in examples]
    found: dict[int, _Answer] = {}
    for indices in batches(rows, batch):
        made = collate([rows[i] for i in indices], tokenizer.pad_token_id)
        with torch.no_grad(), autocast(dtype, device_of(model).type):
            logits, targets, where = answer_logits(model, made)
        best = logits.log_softmax(-1).max(-1)
        hit = best.indices == targets
        row_of = where.nonzero()[:, 0]
        for j, i in enumerate(indices):
            hits = hit[row_of == j]
            right = bool(hits.all())
            agrees = len(hits) if right else int(hits.int().argmin())
            confidence = best.values[row_of == j][: agrees + (not right)].sum().exp().item()
            found[i] = _Answer(right, agrees, confidence)
    return [found[i] for i in range(len(examples))]


def _programs(
    model: Any, tokenizer: Any, tasks: Sequence[ProgramTask], run: ProgramRunner, batch: int, dtype: str
) -> tuple[list[str], list[bool]]:
    """The programs that the model writes for these tasks ("" where none was asked for), and whether they do them.

    The known program does (it was tried), so one that is written to the letter is not run. One whose first line would
    not be the head that was asked for is wrong, and is not written out.
    """
    answers = _answers(model, tokenizer, [Example(t.prompt, t.answer, "program", "") for t in tasks], batch, dtype)
    heads = [len(tokenizer(t.answer.split("\n")[0], add_special_tokens=False).input_ids) for t in tasks]
    sources = [t.answer if a.right else "" for t, a in zip(tasks, answers, strict=True)]
    solved = [a.right for a in answers]
    open_ = [i for i, (a, head) in enumerate(zip(answers, heads, strict=True)) if not a.right and a.agrees >= head]
    texts = write(
        model, tokenizer, [tasks[i].prompt for i in open_], tokens=_PROGRAM_TOKENS, batch=batch, dtype=dtype, lines=None
    )
    trajectories = run([(tasks[i].task, text, tasks[i].args) for i, text in zip(open_, texts, strict=True)])
    for i, text, trajectory in zip(open_, texts, trajectories, strict=True):
        sources[i], solved[i] = text, achieved(tasks[i].task, trajectory)
    return sources, solved


def calibration_error(answers: Sequence[tuple[float, bool]], bins: int = 10) -> float:
    """Expected calibration error (Guo et al. 2017, arXiv:1706.04599, section 2): mean of |confidence - share right|.

    ``answers``: (confidence 0 to 1, right). Over bins of equal width, weighted by how many answers fall into each. The
    confidence that `evaluate` takes is the product of the likeliest words' probabilities; of a wrong answer up to its
    first wrong word, which is an upper bound.
    """
    if not answers:
        raise InputError("a calibration error needs at least 1 answer, got 0")
    held: dict[int, list[tuple[float, bool]]] = defaultdict(list)
    for confidence, ok in answers:
        held[min(bins - 1, int(confidence * bins))].append((confidence, ok))
    gaps = [abs(math.fsum(c for c, _ in part) - sum(ok for _, ok in part)) for _, part in sorted(held.items())]
    return math.fsum(gaps) / len(answers)


def _late(began: float, seconds: float | None, share: float) -> bool:
    return seconds is not None and time.monotonic() - began > share * seconds


def write(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[str],
    *,
    tokens: int = 96,
    batch: int = 16,
    dtype: str = "auto",
    lines: int | None = 1,
) -> list[str]:
    """The greedy answer to each prompt: its first ``lines`` lines (None: all), at most ``tokens`` tokens."""
    torch = need("torch")
    answers: list[str] = []
    ids = [tokenizer(p, add_special_tokens=False).input_ids for p in prompts]
    for start in range(0, len(ids), batch):
        part = ids[start : start + batch]
        device = device_of(model)
        longest = max(map(len, part))
        padded = torch.tensor([[tokenizer.pad_token_id] * (longest - len(p)) + p for p in part])
        mask = torch.tensor([[0] * (longest - len(p)) + [1] * len(p) for p in part])
        with torch.no_grad(), autocast(dtype, device.type):
            out = model.generate(
                input_ids=padded.to(device),
                attention_mask=mask.to(device),
                do_sample=False,
                max_new_tokens=tokens,
                pad_token_id=tokenizer.pad_token_id,
                eos_token_id=tokenizer.eos_token_id,
            )
        texts = tokenizer.batch_decode(out[:, longest:], skip_special_tokens=True)
        answers += ["\n".join(t.strip().split("\n")[:lines]) for t in texts]
    return answers


def perplexity(model: Any, tokenizer: Any, text: str | None = None, *, length: int = 256, dtype: str = "auto") -> float:
    """exp of the mean loss per token, over chunks of ``length`` tokens (shorter where the text is)."""
    ids = tokenizer(heldout_text() if text is None else text, add_special_tokens=False).input_ids
    return math.exp(mean_loss(model, chunks(ids, min(length, len(ids))), dtype))


def heldout_text() -> str:
    """English prose that ships with Habilis and is used for nothing but measuring."""
    return (files("habilis.trainer") / "data" / "heldout.txt").read_text(encoding="utf-8")
