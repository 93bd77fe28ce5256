"""Vectors that are kept: in halves, as text, and in blocks of memory that grow."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from habilis.core import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def halved(vectors: NDArray[Any]) -> NDArray[np.float32]:
    """The same numbers as sixteen bits hold them. What is learned from is rounded at once, so that what was saved and
    taken back goes on exactly as what was not."""
    import numpy as np

    return vectors.astype(np.float16).astype(np.float32)


def unit(rows: NDArray[Any]) -> NDArray[np.float32]:
    """Each row, (…, dim), at length 1; a row of length 0 stays as it is."""
    import numpy as np

    length = np.sqrt(np.einsum("...i,...i->...", rows, rows))[..., None]
    made: NDArray[np.float32] = (rows / np.where(length > 0, length, 1)).astype(np.float32)
    return made


def packed(vectors: NDArray[Any]) -> str:
    """As base64 of little-endian float16."""
    return base64.b64encode(vectors.astype("<f2").tobytes()).decode()


def unpacked(text: str, dim: int) -> NDArray[np.float32]:
    """`packed` back, (n, dim). Raises `InputError` for what is no such vectors."""
    import numpy as np

    try:
        flat = np.frombuffer(base64.b64decode(text, validate=True), dtype="<f2")
    except (ValueError, TypeError) as error:
        raise InputError(f"learned vectors cannot be read ({error}); rebuild them from the journal") from error
    if dim < 1 or flat.size % dim or not np.isfinite(flat).all():
        raise InputError(f"{flat.size} learned numbers are no vectors of {dim}; rebuild them from the journal")
    return flat.reshape(-1, dim).astype(np.float32)


class Block:
    """Rows of numbers by id: several columns of the same length, each (n, width) or (n,), which double when full."""

    def __init__(self, columns: Mapping[str, tuple[int, str]]) -> None:
        """``columns``: of each the width (0: a number a row) and the dtype."""
        import numpy as np

        self.uses: dict[str, int] = {}
        self._at: dict[str, int] = {}
        self._columns = {
            name: np.zeros((64, width) if width else 64, dtype=dtype) for name, (width, dtype) in columns.items()
        }

    def __len__(self) -> int:
        return len(self._at)

    def ids(self) -> list[str]:
        """In the order of the rows."""
        return list(self._at)

    def at(self, id: str) -> int | None:
        """The row of an id, None where it is not there."""
        return self._at.get(id)

    def add(self, id: str) -> int:
        """The row of an id, a new one of zeros where it is not there."""
        import numpy as np

        if id not in self._at:
            row = self._at[id] = len(self._at)
            self.uses[id] = 0
            for name, column in self._columns.items():
                if row == len(column):
                    self._columns[name] = np.concatenate([column, np.zeros_like(column)])
        return self._at[id]

    def __getitem__(self, column: str) -> NDArray[Any]:
        """A column's rows, (n, width) or (n,); good until the next `add`."""
        return self._columns[column][: len(self._at)]
