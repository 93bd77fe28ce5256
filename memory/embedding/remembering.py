"""An embedder that remembers what it was asked."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from habilis.core.protocols import Embedder

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class RememberingEmbedder:
    """An embedder that keeps the vectors of the last ``size`` texts: library, catalogue and selector ask for the same.

    Safe under threads. 20,000 vectors of 384 numbers take 30 MB.
    """

    def __init__(self, embedder: Embedder, size: int = 20_000) -> None:
        self._embedder, self._size = embedder, size
        self.fingerprint, self.dim = embedder.fingerprint, embedder.dim
        if hasattr(embedder, "dense_share"):
            self.dense_share = float(embedder.dense_share)
        self._known: OrderedDict[str, NDArray[np.float32]] = OrderedDict()
        self._lock = threading.Lock()

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(n, dim) float32, each row of length 1."""
        import numpy as np

        with self._lock:
            missing = list(dict.fromkeys(t for t in texts if t not in self._known))
            if missing:
                self._known.update(zip(missing, self._embedder.embed(missing), strict=True))
            rows = [self._known[t] for t in texts]
            for text in texts:
                self._known.move_to_end(text)
            while len(self._known) > self._size:
                self._known.popitem(last=False)
        return np.stack(rows) if rows else np.zeros((0, self.dim), np.float32)
