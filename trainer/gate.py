"""The gate: a model is adopted only if it got better and nothing else got worse. A rejection is a correct result."""

from __future__ import annotations

import math
from dataclasses import dataclass

from habilis.core import InputError
from habilis.trainer.evaluate import Evaluation


@dataclass(frozen=True, slots=True)
class Decision:
    """``reasons``: why, in words with the numbers; the ones against where it was rejected."""

    adopted: bool
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Gate:
    """When is a model adopted? Decided on validation questions; what is reported are others, of the test.

    ``margin``: how much the held-out success must rise (0.05: five points). ``max_drift``: how much the perplexity on
    the held-out text may rise above the base model's (0.05: 5 %). ``max_fall``: how much a single family may fall; 0
    because a rise elsewhere is no excuse. ``max_forgetting``: how much a family of an earlier distillation may fall;
    more than 0, for there are few questions of each. ``min_asked``: held-out questions below which nothing is
    concluded.
    """

    margin: float = 0.05
    max_drift: float = 0.05
    max_fall: float = 0.0
    max_forgetting: float = 0.05
    min_asked: int = 20

    def __post_init__(self) -> None:
        for name in ("margin", "max_drift", "max_fall", "max_forgetting"):
            value = getattr(self, name)
            if not math.isfinite(value) or value < 0:
                raise InputError(f"{name} of the gate is a finite number >= 0, got {value!r}")

    def judge(
        self,
        present: Evaluation,
        tuned: Evaluation,
        *,
        base_perplexity: float | None = None,
        earlier: tuple[Evaluation, Evaluation] | None = None,
    ) -> Decision:
        """Compare two models that were asked the same questions. ``present``: the one in use, or the base model.

        ``base_perplexity``: of the base model, where ``present`` is another: the drift of successive distillations adds
        up. ``earlier``: both models on questions of earlier distillations.
        """
        against: list[str] = []
        known = present.perplexity if base_perplexity is None else base_perplexity
        rise = tuned.success - present.success
        drift = tuned.perplexity / known - 1
        if present.asked < self.min_asked:
            against.append(f"only {present.asked} held-out questions, at least {self.min_asked} are needed to tell")
        if not rise > self.margin:
            against.append(
                f"held-out success went from {present.success:.3f} to {tuned.success:.3f} ({rise:+.3f}); "
                f"it must rise by more than {self.margin:.3f}"
            )
        if not drift <= self.max_drift:
            against.append(
                f"perplexity on held-out text went from {known:.2f} to {tuned.perplexity:.2f} "
                f"({drift:+.1%}); at most {self.max_drift:+.1%} is allowed"
            )
        against += _fallen(present, tuned, self.max_fall, "no family may fall by more than")
        if earlier is not None:
            against += _fallen(
                *earlier, self.max_forgetting, "of an earlier distillation no family may fall by more than"
            )
        if against:
            return Decision(False, tuple(against))
        return Decision(
            True,
            (
                f"held-out success rose from {present.success:.3f} to {tuned.success:.3f} on {present.asked} questions",
                f"perplexity on held-out text: {known:.2f} to {tuned.perplexity:.2f} ({drift:+.1%})",
                "no family fell" if earlier is None else "no family fell, nor one of an earlier distillation",
            ),
        )


def _fallen(before: Evaluation, after: Evaluation, most: float, rule: str) -> list[str]:
    """The families that fell by more than ``most``, each in words. Raises `InputError` where others were asked."""
    found = []
    for name in sorted({*before.families, *after.families}):
        (b, bn), (t, tn) = before.families.get(name, (0, 0)), after.families.get(name, (0, 0))
        if bn != tn:
            raise InputError(f"the models were asked {bn} and {tn} questions of {name!r}; ask both the same")
        if bn and t / tn < b / bn - most - 1e-12:
            found.append(f"{name} fell from {b}/{bn} to {t}/{tn}; {rule} {most:g}")
    return found
