"""What a model can do, on questions and text that it was not trained on."""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Protocol

from habilis.core import Action, InputError, Json, Task, need
from habilis.memory.prompts import parse_plan
from habilis.trainer._lm import answer_logits, autocast, batches, chunks, collate, device_of, encode, mean_loss
from habilis.trainer.corpus import Example, PlanTask

RUN_PLANS = "plan_run"  # the family of plans that were executed


class PlanRunner(Protocol):
    """Runs plans in fresh worlds: for each (task, actions) whether the task's goal became true. Handed in by the roof.

    The world is reset with ``task.seed``, the actions are taken in order (one that fails is passed over), and the
    world's own judge decides.
    """

    def __call__(self, plans: Sequence[tuple[Task, tuple[Action, ...]]]) -> Sequence[bool]: ...


@dataclass(frozen=True)
class Evaluation:
    """``families``: family -> (right, asked). ``perplexity``: on the held-out English text (nan: not asked for).
    ``calibration_error``: how far the confidence in answers is from being right, 0 to 1 (see `calibration_error`).

    ``answers``: (goal, plan line, solved) of the plans that were run. ``examples``, ``plans``: how many were asked.
    """

    families: Mapping[str, tuple[int, int]]
    perplexity: float
    answers: tuple[tuple[str, str, bool], ...] = ()
    examples: int = 0
    plans: int = 0
    calibration_error: float | None = None

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
    plans: Sequence[PlanTask] = (),
    runner: PlanRunner | None = None,
    *,
    text: str | None = None,
    dtype: str = "auto",
    batch: int = 16,
    seconds: float | None = None,
    before_each: Callable[[], object] | None = None,
) -> Evaluation:
    """Exact match per family; plans by running them, where there is a ``runner``; perplexity on ``text``.

    An answer is right if all its tokens, the end mark too, are the likeliest ones: the same as being written greedily,
    at the price of one pass. ``text`` defaults to `heldout_text`; of "" no perplexity is taken. After about ``seconds``
    no further question is asked (one batch always is); ``Evaluation.examples`` and ``.plans`` say how many were, so
    that another model can be asked the same. ``before_each`` is called before each batch, and may raise. The examples'
    order should mix the families, as that of `build_corpus` does.
    """
    torch = need("torch")
    began = time.monotonic()
    right: dict[str, int] = defaultdict(int)
    asked: dict[str, int] = defaultdict(int)
    surprise = perplexity(model, tokenizer, text, dtype=dtype) if text != "" else math.nan
    certain: list[tuple[float, bool]] = []
    done = planned = 0
    shown: list[tuple[str, str, bool]] = []
    if plans and runner is not None:
        for start in range(0, len(plans), batch):
            if start and _late(began, seconds, 0.6):
                break
            if before_each is not None:
                before_each()
            part = plans[start : start + batch]
            lines = write(model, tokenizer, [p.prompt for p in part], batch=batch, dtype=dtype)
            parsed = [parse_plan(line) for line in lines]
            # A line that is no plan takes no action, and solves nothing even where the goal holds from the start.
            verdicts = runner([(p.task, actions or ()) for p, actions in zip(part, parsed, strict=True)])
            solved = [bool(v) and actions is not None for v, actions in zip(verdicts, parsed, strict=True)]
            right[RUN_PLANS] += sum(solved)
            asked[RUN_PLANS] += len(part)
            shown += [(str(p.task.goal), line, ok) for p, line, ok in zip(part, lines, solved, strict=True)]
        planned = asked[RUN_PLANS]
    for start in range(0, len(examples), batch * 2):
        if start and _late(began, seconds, 1.0):
            break
        if before_each is not None:
            before_each()
        window = examples[start : start + batch * 2]
        rows = [encode(tokenizer, e) for e in window]
        for indices in batches(rows, batch):
            made = collate([rows[i] for i in indices], tokenizer.pad_token_id)
            with torch.no_grad(), autocast(dtype, device_of(model).type):
                logits, targets, where = answer_logits(model, made)
            best = logits.log_softmax(-1).max(-1)
            hit = best.indices == targets
            row_of = where.nonzero()[:, 0]
            for j, i in enumerate(indices):
                hits = hit[row_of == j]
                ok = bool(hits.all())
                asked[window[i].family] += 1
                right[window[i].family] += ok
                # Up to the first word that the model would write otherwise; what it would write after that is not
                # known.
                told = len(hits) if ok else int(hits.int().argmin()) + 1
                certain.append((best.values[row_of == j][:told].sum().exp().item(), ok))
        done += len(window)
    families = {name: (right[name], asked[name]) for name in sorted(asked)}
    error = calibration_error(certain) if certain else None
    return Evaluation(families, surprise, tuple(shown), done, planned, error)


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
    model: Any, tokenizer: Any, prompts: Sequence[str], *, tokens: int = 96, batch: int = 16, dtype: str = "auto"
) -> list[str]:
    """The greedy answer to each prompt: its first line, at most ``tokens`` tokens."""
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
        answers += [t.strip().split("\n")[0] for t in texts]
    return answers


def perplexity(model: Any, tokenizer: Any, text: str | None = None, *, length: int = 256, dtype: str = "auto") -> float:
    """exp of the mean loss per token, over chunks of ``length`` tokens (shorter where the text is)."""
    ids = tokenizer(heldout_text() if text is None else text, add_special_tokens=False).input_ids
    return math.exp(mean_loss(model, chunks(ids, min(length, len(ids))), dtype))


def heldout_text() -> str:
    """English prose that ships with Habilis and is used for nothing but measuring."""
    return (files("habilis.trainer") / "data" / "heldout.txt").read_text(encoding="utf-8")
