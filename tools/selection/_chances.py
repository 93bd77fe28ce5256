"""Chances that mean what they say: the prior from relevance, fitted per embedder, and calibration as outcomes come in.

The constants were fitted by ``python -m benchmarks._success_fit --data METATOOL`` on the calibration half of MetaTool
(Huang et al. 2024): whether a tool is the right one, given the cosine of query and description, among the sixteen
nearest that lie above the embedder's threshold.
"""

from __future__ import annotations

import math
from typing import Any

from habilis.core import Embedder, Json

_SLOPES: dict[str, tuple[float, float]] = {
    "minilm:8199be6f699a395f": (14.88, -7.59),
    "wordllama:64b47a2dc493cb8e": (12.97, -6.63),
    "hash:v1-512": (20.01, -6.72),
}
_BINS = 20
_FORGET = 1024  # outcomes after which half the weight of the old ones is gone
_TRUST = 50.0  # outcomes' worth of belief that the chances are right as they are


def logit(chance: float) -> float:
    chance = min(max(chance, 1e-9), 1 - 1e-9)
    return math.log(chance / (1 - chance))


def logistic(x: float) -> float:
    return 1 / (1 + math.exp(-max(-50.0, min(50.0, x))))


def chance_of(embedder: Embedder, relevance: float) -> float:
    """The chance that a thing of this relevance helps, before it was ever used. For an embedder that was not fitted:
    half the relevance, which is what a record of nothing makes of it."""
    known = _SLOPES.get(embedder.fingerprint)
    return logistic(known[0] * relevance + known[1]) if known else relevance / 2


class Calibrator:
    """Learns how far expectations were off, from what had been expected before each outcome (Platt 1999).

    The logit of the chance is stretched and shifted, which keeps the order of chances. Two numbers are fitted to twenty
    bins by penalised maximum likelihood; with no outcome nothing is changed.
    """

    def __init__(self) -> None:
        self._bins = [[0.0, 0.0, 0.0] for _ in range(_BINS)]  # weight, sum of chances, sum of outcomes
        self._line: tuple[float, float] | None = (1.0, 0.0)

    def add(self, chance: float, good: float) -> None:
        """What had been expected, and how it went; both 0 to 1."""
        one = self._bins[min(int(chance * _BINS), _BINS - 1)]
        one[0] += 1
        one[1] += chance
        one[2] += good
        if sum(b[0] for b in self._bins) > _FORGET:
            self._bins = [[part / 2 for part in b] for b in self._bins]
        self._line = None

    def __call__(self, chance: float) -> float:
        slope, shift = self._fitted()
        if (slope, shift) == (1.0, 0.0) or not 0 < chance < 1:
            return chance
        return logistic(slope * logit(min(max(chance, 1e-3), 1 - 1e-3)) + shift)

    def _fitted(self) -> tuple[float, float]:
        if self._line is None:
            points = [(logit(min(max(p / w, 1e-3), 1 - 1e-3)), w, y / w) for w, p, y in self._bins if w]
            slope, shift = 1.0, 0.0
            for _ in range(25):
                g0, g1 = _TRUST * (slope - 1), _TRUST * shift
                h00, h01, h11 = _TRUST, 0.0, _TRUST
                for x, w, y in points:
                    q = logistic(slope * x + shift)
                    g0, g1 = g0 + w * (q - y) * x, g1 + w * (q - y)
                    v = w * q * (1 - q)
                    h00, h01, h11 = h00 + v * x * x, h01 + v * x, h11 + v
                det = h00 * h11 - h01 * h01
                d0, d1 = (h11 * g0 - h01 * g1) / det, (h00 * g1 - h01 * g0) / det
                slope, shift = slope - d0, shift - d1
                if abs(d0) + abs(d1) < 1e-9:
                    break
            # Whatever happened, a better chance stays a better chance.
            self._line = (max(slope, 0.1), shift)
        return self._line

    def error(self) -> tuple[float, float]:
        """The expected calibration error (Naeini et al. 2015) over the bins: as expected, and as calibrated now."""
        total = sum(b[0] for b in self._bins)
        if not total:
            return 0.0, 0.0
        before = sum(abs(p - y) for _, p, y in self._bins) / total
        after = sum(abs(w * self(p / w) - y) for w, p, y in self._bins if w) / total
        return before, after

    def save(self) -> Json:
        return [list(b) for b in self._bins]

    def load(self, data: Any) -> None:
        self._bins = [[float(part) for part in b] for b in data] if data else [[0.0] * 3 for _ in range(_BINS)]
        self._line = None if data else (1.0, 0.0)


__all__ = ["Calibrator", "chance_of", "logistic", "logit"]
