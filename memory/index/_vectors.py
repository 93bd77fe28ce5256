"""What all indexes do with vectors and with what they found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from habilis.core.errors import InputError
from habilis.core.protocols import Neighbour

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def checked(ids: Sequence[str], vectors: NDArray[np.float32], dim: int) -> NDArray[np.float32]:
    import numpy as np

    rows = np.ascontiguousarray(vectors, dtype=np.float32)
    if rows.shape != (len(ids), dim):
        raise InputError(f"expected vectors of shape ({len(ids)}, {dim}), got {rows.shape}; use the index's embedder")
    if not np.isfinite(rows).all():
        raise InputError("a vector holds a number that is not finite; see what the embedder returned")
    return rows


def best(found: list[Neighbour], k: int) -> list[Neighbour]:
    # Ties are broken by name, so that equal runs see equal lists. The last digits of a score follow from where in the
    # matrix its row stands, which depends on when it was stored.
    rounded = [Neighbour(n.kind, n.id, round(n.score, 6)) for n in found]
    return sorted(rounded, key=lambda n: (-n.score, n.kind, n.id))[: max(k, 0)]
