"""Ranking documents for requests: our fusion and the rivals that are measured beside it, on the same scores.

``fused``    cosine and BM25, z-scored and weighted, as `habilis.memory.library.recall` does it
``dense``    the cosine alone
``lexical``  BM25 alone (stemmed, common words left out)
``rrf``      reciprocal rank fusion, k = 60 (Cormack et al. 2009)
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from habilis.core import Embedder
from habilis.memory.library._calibration import chance_of, share_of
from habilis.memory.library._lexical import Lexicon
from habilis.memory.library.recall import fused

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

METHODS = ("fused", "dense", "lexical", "rrf")
_RRF = 60


class Asked(NamedTuple):
    """What is asked, and the ids of the documents that answer it; none where nothing does."""

    text: str
    right: frozenset[str]


class Best(NamedTuple):
    """The best document of a request, with what abstention goes by."""

    right: bool
    dense: float
    margin: float
    common: float
    chance: float


@dataclass
class Ranking:
    """All scores of all requests (rows) for all documents (columns, in the order of their ids)."""

    embedder: Embedder
    ids: list[str]
    asked: list[Asked]
    dense: NDArray[np.float32]
    lexical: list[dict[str, float]]
    lexicon: Lexicon

    @classmethod
    def of(cls, embedder: Embedder, documents: Mapping[str, str], asked: Sequence[Asked]) -> Ranking:
        ids, lexicon = sorted(documents), Lexicon()
        for id in ids:
            lexicon.put(id, documents[id])
        rows = embedder.embed([documents[id] for id in ids])
        dense = embedder.embed([a.text for a in asked]) @ rows.T
        return cls(embedder, ids, list(asked), dense, [lexicon.search(a.text) for a in asked], lexicon)

    def ranks(self, method: str) -> list[int]:
        """The rank of the first right document of each request, from 0."""
        return [
            next(i for i, id in enumerate(self._order(row, method)) if id in a.right)
            for row, a in enumerate(self.asked)
        ]

    def bests(self, without: Sequence[Collection[str]] | None = None) -> Iterator[Best]:
        """The best document of each request by our fusion. ``without``: documents that are taken away from each."""
        for row, a in enumerate(self.asked):
            scores = self._scores(row, without[row] if without else ())
            first, second = sorted(scores, key=lambda id: (-scores[id], id))[:2]
            dense = float(self.dense[row, self.ids.index(first)])
            margin, common = scores[first] - scores[second], self.lexicon.share(a.text, first)
            yield Best(first in a.right, dense, margin, common, chance_of(self.embedder, dense, margin, common))

    def _scores(self, row: int, without: Collection[str] = ()) -> dict[str, float]:
        dense = {id: float(s) for id, s in zip(self.ids, self.dense[row], strict=True) if id not in without}
        lexical = {id: self.lexical[row].get(id, 0.0) for id in dense}
        return fused(dense, lexical, share_of(self.embedder))[0]

    def _order(self, row: int, method: str) -> list[str]:
        dense = dict(zip(self.ids, map(float, self.dense[row]), strict=True))
        words = self.lexical[row]
        by_dense = sorted(self.ids, key=lambda id: (-dense[id], id))
        if method == "dense":
            return by_dense
        by_words = sorted(self.ids, key=lambda id: (-words.get(id, 0.0), id))
        if method == "lexical":
            return by_words
        if method == "rrf":
            score = {id: 1 / (_RRF + i) for i, id in enumerate(by_dense, 1)}
            for i, id in enumerate(by_words, 1):
                if id in words:
                    score[id] += 1 / (_RRF + i)
            return sorted(self.ids, key=lambda id: (-score[id], id))
        scores = self._scores(row)
        return sorted(self.ids, key=lambda id: (-scores[id], id))


def found(ranks: Sequence[int], k: int) -> int:
    """How many are among the first ``k``."""
    return sum(rank < k for rank in ranks)
