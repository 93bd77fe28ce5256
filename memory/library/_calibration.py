"""How much meaning counts beside words, and how likely a hit serves: constants fitted per embedder.

Fitted by ``python -m benchmarks._recall_fit --data METATOOL`` on the calibration halves of two sets, weighted alike:
the frozen requests of ``benchmarks/recall_requests.json`` (294, of which nothing in the library serves 34), and 1,500
queries of MetaTool (Huang et al. 2024), from every third of which the right tool was taken away. The figures on the
other halves are in docs/benchmarks.md.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from habilis.core.protocols import Embedder

TRUST = 0.5
"""A hit below this chance is more likely wrong than right, so recall that may abstain does."""


class Calibration(NamedTuple):
    """``share``: the weight of the cosine beside BM25, both z-scored. The chance is the logistic function of
    ``dense`` × cosine + ``margin`` × (score - the best other skill's) + ``bias``."""

    share: float
    dense: float
    margin: float
    bias: float


_KNOWN: dict[str, Calibration] = {
    "minilm:8199be6f699a395f": Calibration(0.85, 7.86, 0.57, -4.14),
    "wordllama:64b47a2dc493cb8e": Calibration(0.7, 6.96, 0.41, -3.82),
    "hash:v1-512": Calibration(0.3, 10.40, 0.26, -3.85),
}
_SHARE = 0.7
# For an embedder that was never calibrated: nobody knows how to read its cosines, so words and margin alone decide.
# Fitted with the hash embedder: share of the telling words of the request that the text has, margin, bias.
_WORDS, _WORDS_MARGIN, _WORDS_BIAS = 5.59, 0.31, -2.63


def share_of(embedder: Embedder) -> float:
    """The weight of the cosine; an embedder that was not calibrated may ask for one (``dense_share``)."""
    known = _KNOWN.get(embedder.fingerprint)
    return known.share if known else float(getattr(embedder, "dense_share", _SHARE))


def chance_of(embedder: Embedder, dense: float, margin: float, common: float) -> float:
    """The chance that a hit serves. ``margin``: its score minus the best other skill's (negative for all but the
    first); ``common``: the share of the request's telling words that its text has."""
    known = _KNOWN.get(embedder.fingerprint)
    if known is not None:
        x = known.dense * dense + known.margin * margin + known.bias
    else:
        x = _WORDS * common + _WORDS_MARGIN * margin + _WORDS_BIAS
    return 1 / (1 + math.exp(-max(-50.0, min(50.0, x))))
