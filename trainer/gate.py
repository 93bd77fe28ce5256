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
    """When is a model adopted?

    ``margin``: how much the held-out success must rise (0.05: five points). ``max_drift``: how much the perplexity on
    the held-out text may rise (0.05: 5 %). ``max_fall``: how much a single family may fall; 0 because a rise elsewhere
    is no excuse. ``min_asked``: held-out questions below which nothing is concluded.
    """

    margin: float = 0.05
    max_drift: float = 0.05
    max_fall: float = 0.0
    min_asked: int = 20

    def __post_init__(self) -> None:
        for name in ("margin", "max_drift", "max_fall"):
            value = getattr(self, name)
            if not math.isfinite(value) or value < 0:
                raise InputError(f"{name} of the gate is a finite number >= 0, got {value!r}")

    def judge(self, base: Evaluation, tuned: Evaluation) -> Decision:
        """Compare two models that were asked the same questions."""
        against: list[str] = []
        rise = tuned.success - base.success
        drift = tuned.perplexity / base.perplexity - 1
        if base.asked < self.min_asked:
            against.append(f"only {base.asked} held-out questions, at least {self.min_asked} are needed to tell")
        if not rise > self.margin:
            against.append(
                f"held-out success went from {base.success:.3f} to {tuned.success:.3f} ({rise:+.3f}); "
                f"it must rise by more than {self.margin:.3f}"
            )
        if not drift <= self.max_drift:
            against.append(
                f"perplexity on held-out text went from {base.perplexity:.2f} to {tuned.perplexity:.2f} "
                f"({drift:+.1%}); at most {self.max_drift:+.1%} is allowed"
            )
        for name in sorted({*base.families, *tuned.families}):
            (b, bn), (t, tn) = base.families.get(name, (0, 0)), tuned.families.get(name, (0, 0))
            if bn != tn:
                raise InputError(f"the models were asked {bn} and {tn} questions of {name!r}; ask both the same")
            if bn and t / tn < b / bn - self.max_fall - 1e-12:
                against.append(
                    f"{name} fell from {b}/{bn} to {t}/{tn}; no family may fall by more than {self.max_fall:g}"
                )
        if against:
            return Decision(False, tuple(against))
        return Decision(
            True,
            (
                f"held-out success rose from {base.success:.3f} to {tuned.success:.3f} on {base.asked} questions",
                f"perplexity on held-out text: {base.perplexity:.2f} to {tuned.perplexity:.2f} ({drift:+.1%})",
                "no family fell",
            ),
        )
