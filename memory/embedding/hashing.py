"""Words and letter n-grams, hashed."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from habilis.memory.embedding._files import unit_rows
from habilis.memory.embedding._words import COMMON, telling, words

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class HashEmbedder:
    """Signed feature hashing of words, word pairs and letter n-grams; deterministic, no file, no dependency but numpy.

    ``dim``: length of the vectors; more means fewer collisions. ``dense_share``: its weight beside BM25, which sees the
    same spelling and knows besides how rare a word is.
    """

    dense_share = 0.3

    def __init__(self, dim: int = 512) -> None:
        self.dim = dim
        self.fingerprint = f"hash:v1-{dim}"

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(n, dim) float32 unit rows; a text without a letter or digit gets a fixed direction of its own."""
        import numpy as np

        result = np.zeros((len(texts), self.dim), dtype=np.float32)
        for row, text in zip(result, texts, strict=True):
            counts: dict[str, float] = {}
            for feature, weight in _features(text):
                counts[feature] = counts.get(feature, 0.0) + weight
            for feature, weight in counts.items():
                code = zlib.crc32(feature.encode("utf-8", "replace"))
                row[code % self.dim] += weight**0.5 * (1 if code >> 31 else -1)
            if not row.any():
                row[zlib.crc32(text.encode("utf-8", "replace")) % self.dim] = 1.0
        return unit_rows(result)


def _features(text: str) -> list[tuple[str, float]]:
    found = words(text)
    features: list[tuple[str, float]] = []
    for word in found:
        if word in COMMON:
            features.append((word, 0.1))
            continue
        padded = f"<{word}>"
        features.append((word, 1.0))
        features += [(padded[i : i + n], 0.12) for n in (3, 4, 5) for i in range(len(padded) - n + 1)]
    features += [(f"{a} {b}", 0.5) for a, b in pairwise(telling(found))]
    return features
