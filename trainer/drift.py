"""λ from the drift that the user allows.

*Drift* is the relative rise of perplexity on text that the base model wrote itself and that the Fisher information was
not computed from. On such text the base model is at a minimum, so to second order

    log(1 + drift)  ≈  rise · c · Q

For Q = Σ F (θ - θ*)², with F of the mean loss over ``length`` tokens, rise = 1/2 · length: the factor ``length`` turns
the Fisher of a mean over tokens into that of one token, for on its own text a model's gradients at different tokens are
uncorrelated. For Q = KL(base ‖ model) per token, rise = 1. ``c`` (1 if the Fisher were diagonal and the curvature
constant) is measured: the true drift is probed a few times while training runs. λ is the multiplier of the constraint
drift <= target, found by dual ascent (Boyd & Vandenberghe 2004, section 5.4): it rises by e^`_REACH` at most in a whole
training while the drift is above the target, and falls while it is below. It begins low and rises slowly, because what
is drifted at first can be taken back while what is never learned cannot: where λ jumped to hold the first steps,
SmolLM2-135M learned nothing at all. A fixed λ carries over neither between models nor between lengths of text; who
wants one all the same gives it (`TrainSettings.strength`), and nothing is adjusted.

Without a penalty c is near 1 on SmolLM2-135M. Under EWC it is 30 to 900: training finds the directions that a diagonal
Fisher takes for free, in which many layers move together. So it has to be measured, and what is still above the target
at the end is taken back by shrinking the whole update (`DriftControl.share`), which by the same model lowers the drift
with the square of the factor (interpolation towards the base: Wortsman et al. 2022, arXiv:2109.01903). Where more was
taken back than needed, a part of that is given again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from habilis.core import InputError, Json

_FIRST = 0.2  # nats that the penalty weighs at the target, to begin with
_REACH = 6.0  # λ changes by a factor e^6 at most in a whole training
_FASTEST = 0.15  # of that, in one step
_ABOVE, _BELOW = 0.1, 0.2  # of the target: what is left where it is at the end
_SMOOTH = 0.3  # of a step's Q in the running mean that is compared: some methods only sample Q


@dataclass
class DriftControl:
    """Keeps the drift near ``target`` (0.03: perplexity 3 % up). ``rise``: see above. ``steps``: that are planned.
    ``fixed``: λ, where it is given."""

    target: float
    rise: float
    fixed: float | None = None
    steps: int = 100
    moved: float = 0.0
    c: float = 1.0
    q: float = 0.0
    q_mean: float | None = None
    measured: float | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.target) and self.target > 0):
            raise InputError(f"the target drift is a number > 0 such as 0.03 (3 % perplexity), got {self.target!r}")
        if self.fixed is not None and not (math.isfinite(self.fixed) and self.fixed >= 0):
            raise InputError(f"the strength λ is a finite number >= 0, got {self.fixed!r}")

    @property
    def q_target(self) -> float:
        """The Q at which the quadratic model predicts the target drift."""
        return math.log1p(self.target) / (self.rise * self.c)

    @property
    def strength(self) -> float:
        """λ, the factor of Q in the loss (nats)."""
        if self.fixed is not None:
            return self.fixed
        return math.exp(self.moved) * _FIRST * self.rise / math.log1p(self.target)

    @property
    def predicted(self) -> float:
        """The drift that the quadratic model predicts for the last Q."""
        return math.expm1(min(50.0, self.rise * self.c * self.q))

    def seen(self, q: float) -> None:
        """Tell the Q of a training step; moves λ."""
        self.q = q
        self.q_mean = q if self.q_mean is None else (1 - _SMOOTH) * self.q_mean + _SMOOTH * q
        if self.rise > 0:
            excess = self.q_mean / self.q_target - 1.0
            self.moved += min(_FASTEST, _REACH / self.steps) * max(-1.0, min(1.0, excess))

    def probed(self, base_loss: float, loss: float) -> None:
        """Tell the mean loss per token (nats) of base and present model on the held-out self-written text."""
        self.measured = math.expm1(min(50.0, loss - base_loss))
        # Near the base model the rise drowns in rounding; there the theoretical c is the better guess.
        if self.rise > 0 and self.q_mean and loss - base_loss > 0.1 * math.log1p(self.target):
            self.c = max(1e-3, min(1e3, (loss - base_loss) / (self.rise * self.q_mean)))

    def share(self, tried: Sequence[tuple[float, float]]) -> float:
        """The share of the update at which the drift is expected to be the target.

        ``tried``: (share, drift measured there), the whole update (1.0) first. Where all of them are above the target
        the quadratic model says it; between one above and one below the power of the share that runs through both does,
        or half-way, where nothing of a drift is left below. 1 where the whole update is not above the target.
        """
        over = [one for one in tried if one[1] > self.target]
        under = [one for one in tried if one[1] <= self.target]
        if not over:
            return 1.0
        (more, high), wanted = min(over), math.log1p(self.target)
        if not under:
            return more * math.sqrt(wanted / math.log1p(high))
        less, low = max(under)
        bottom, top = math.log1p(low), math.log1p(high)
        if bottom < wanted / 1000:
            return math.sqrt(less * more)
        power = math.log(top / bottom) / math.log(more / less)
        return less * math.pow(wanted / bottom, 1 / power)

    def held(self, tried: Sequence[tuple[float, float]]) -> bool:
        """Whether the last share tried will do: within a tenth above the target, and where something was taken back no
        more than a fifth below it."""
        last = tried[-1][1]
        return last <= (1 + _ABOVE) * self.target and (len(tried) == 1 or last >= (1 - _BELOW) * self.target)

    def dump(self) -> dict[str, Json]:
        return asdict(self)
