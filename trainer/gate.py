"""The gate: a model is adopted only if it got better and nothing else got worse. A rejection is a correct result."""

from __future__ import annotations

import math
from collections.abc import Sequence
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
    because a rise elsewhere is no excuse. ``max_forgetting``: how much a family of an earlier distillation may fall,
    and the mean over all of them. ``min_asked``: held-out questions below which nothing is concluded.

    ``chance``: a family's fall counts if a model that is neither better nor worse at it would show one so clear at most
    this often: by the sign test over the questions that the two models answered differently (exact McNemar test,
    one-sided). One of eight lost is no sign (0.5), four lost and none won is one (0.06). Each family is tested by
    itself: of ten with 43 questions that stayed as good one counts as fallen in a third of all cases; where every fall
    counts (``chance=1``), nearly always. Where single answers are not known, every fall counts.
    """

    margin: float = 0.05
    max_drift: float = 0.05
    max_fall: float = 0.0
    max_forgetting: float = 0.05
    min_asked: int = 20
    chance: float = 0.1

    def __post_init__(self) -> None:
        for name in ("margin", "max_drift", "max_fall", "max_forgetting"):
            value = getattr(self, name)
            if not math.isfinite(value) or value < 0:
                raise InputError(f"{name} of the gate is a finite number >= 0, got {value!r}")
        if not 0 < self.chance <= 1:
            raise InputError(f"chance of the gate is a share above 0, 1 at most, got {self.chance!r}")

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
        fallen, doubtful = self._fallen(present, tuned, self.max_fall, "no family may fall by more than")
        against += fallen
        if earlier is not None:
            rule = "of an earlier distillation no family may fall by more than"
            fallen, more = self._fallen(*earlier, self.max_forgetting, rule)
            against += fallen or self._fallen_together(*earlier)
            doubtful += more
        if against:
            return Decision(False, tuple(against))
        none = "no family fell" if earlier is None else "no family fell, nor one of an earlier distillation"
        return Decision(
            True,
            (
                f"held-out success rose from {present.success:.3f} to {tuned.success:.3f} on {present.asked} questions",
                f"perplexity on held-out text: {known:.2f} to {tuned.perplexity:.2f} ({drift:+.1%})",
                none + (f" by more than chance ({', '.join(doubtful)})" if doubtful else ""),
            ),
        )

    def _fallen(self, before: Evaluation, after: Evaluation, most: float, rule: str) -> tuple[list[str], list[str]]:
        """The families that fell by more than ``most``, each in words, and those of which that may be chance. Raises
        `InputError` where others were asked."""
        found, doubtful = list[str](), list[str]()
        for name in sorted({*before.families, *after.families}):
            (b, bn), (t, tn) = before.families.get(name, (0, 0)), after.families.get(name, (0, 0))
            if bn != tn:
                raise InputError(f"the models were asked {bn} and {tn} questions of {name!r}; ask both the same")
            if bn and t / tn < b / bn - most - 1e-12:
                by_chance = falls_by_chance(before.each.get(name, ()), after.each.get(name, ()))
                if by_chance > self.chance:
                    doubtful.append(f"{name} {b}/{bn} to {t}/{tn}")
                else:
                    found.append(f"{name} fell from {b}/{bn} to {t}/{tn}; {rule} {most:g}")
        return found, doubtful

    def _fallen_together(self, before: Evaluation, after: Evaluation) -> list[str]:
        """Whether the earlier families fell as a whole, none of them by enough to tell."""
        was, became = ([right for _, one in sorted(e.each.items()) for right in one] for e in (before, after))
        if before.success - after.success <= self.max_forgetting + 1e-12 or falls_by_chance(was, became) > self.chance:
            return []
        return [
            f"the mean of all earlier families fell from {before.success:.3f} to {after.success:.3f}; "
            f"it may not by more than {self.max_forgetting:g}"
        ]


def falls_by_chance(before: Sequence[bool], after: Sequence[bool]) -> float:
    """How often so many of the same questions would be lost, and so few won, if either were as likely: the one-sided
    exact sign test over what changed (McNemar 1947). 0 where the answers are not known, or not of the same questions.
    """
    if not before or len(before) != len(after):
        return 0.0
    lost = sum(b and not a for b, a in zip(before, after, strict=True))
    changed = sum(b != a for b, a in zip(before, after, strict=True))
    return sum(math.comb(changed, k) for k in range(lost, changed + 1)) / int(2**changed)
