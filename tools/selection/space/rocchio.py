"""A thing moves towards the tasks that it solved, and is near to a task that is like one of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from habilis.core import InputError, Json
from habilis.tools.selection.space._moving import Moving
from habilis.tools.selection.space._vectors import halved, packed, unit, unpacked

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_WINDOW = 64  # tasks over which their mean is taken, in effect: what a thing is good for may change
_MERGED = 8  # tasks over which an example is taken that others were merged into


class Rocchio(Moving):
    """Relevance feedback (Rocchio 1971), with examples, and fair to what was never used. Satisfies `Space`.

    With *trust* t = n / (n + ``doubt``) after n solved tasks, a thing lies at its description plus ``pull`` × t × the
    mean of these tasks. Its relevance is the cosine with that vector, mixed with the cosine of the most similar of at
    most ``examples`` solved tasks (weight ``nearest`` × t), less t × penalty. A task beyond that number is merged into
    the nearest example (an online k-means). An outcome costs O(moved × dim), and so does a question.

    The tasks are not centred before they are added: that is worth nothing once the penalty is calibrated. The defaults
    were chosen on the calibration half of MetaTool and on the standard library's modules (docs/benchmarks.md).
    Raises `InputError`.
    """

    name = "rocchio"

    def __init__(
        self,
        *,
        pull: float = 3.0,
        doubt: float = 4.0,
        nearest: float = 0.6,
        examples: int = 16,
        margin: float = 1.5,
    ) -> None:
        if pull < 0 or doubt <= 0 or not 0 <= nearest <= 1 or examples < 0:
            raise InputError(
                f"pull is >= 0, doubt > 0, nearest from 0 to 1, examples >= 0; got pull={pull}, doubt={doubt}, "
                f"nearest={nearest}, examples={examples}"
            )
        super().__init__(doubt, margin)
        self.pull, self.nearest, self.examples = pull, nearest, examples
        self._shown: list[NDArray[np.float16]] = []  # of each row the examples, (m, dim)
        self._merged: list[list[int]] = []  # and of how many tasks each is made

    def _columns(self, dim: int) -> dict[str, tuple[int, str]]:
        self._shown, self._merged = [], []
        return {**super()._columns(dim), "mean": (dim, "f2")}

    def _learned(self, id: str, row: int, task: NDArray[np.float32], new: bool) -> None:
        import numpy as np

        n, mean = self._block.uses[id], self._block["mean"]
        mean[row] += (task - mean[row]) / min(n, _WINDOW)
        if new:
            self._shown.append(np.zeros((0, len(task)), np.float16))
            self._merged.append([])
        self._show(row, task)
        self._described(row)

    def _show(self, row: int, task: NDArray[np.float32]) -> None:
        import numpy as np

        shown, merged = self._shown[row], self._merged[row]
        if len(shown) < self.examples:
            self._shown[row] = np.concatenate([shown, task[None].astype(np.float16)])
            merged.append(1)
        elif self.examples:
            like = int((shown.astype(np.float32) @ task).argmax())
            merged[like] = min(merged[like] + 1, _MERGED)
            old = shown[like].astype(np.float32)
            shown[like] = unit(old + (task - old) / merged[like]).astype(np.float16)

    def _described(self, row: int) -> None:
        block = self._block
        reach = self.pull * float(block["trust"][row])
        block["place"][row] = unit(block["described"][row] + reach * block["mean"][row])

    def _closer(
        self, rows: NDArray[np.intp], cosines: NDArray[np.float32], task: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        import numpy as np

        if not self.examples or not self.nearest:
            return cosines
        shown = [self._shown[row] for row in rows]
        starts = np.cumsum([0, *(len(one) for one in shown[:-1])])
        best = np.maximum.reduceat(np.concatenate(shown).astype(np.float32) @ task, starts)
        weight = self.nearest * self._block["trust"][rows]
        return (cosines + weight * (best - cosines)).astype(np.float32)

    def _saved(self, id: str, row: int) -> dict[str, Json]:
        import numpy as np

        block = self._block
        vectors = np.concatenate([halved(block["described"][row])[None], block["mean"][row][None], self._shown[row]])
        return {"uses": block.uses[id], "vectors": packed(vectors), "merged": list(self._merged[row])}

    def _restore(self, id: str, row: int, saved: Mapping[str, Any], dim: int) -> None:
        import numpy as np

        vectors, merged = unpacked(saved["vectors"], dim), [int(n) for n in saved["merged"]]
        if len(vectors) != 2 + len(merged):
            raise InputError(f"what {id} learned is damaged; rebuild it from the journal")
        self._block["described"][row], self._block["mean"][row] = vectors[0], vectors[1]
        self._shown.append(vectors[2:].astype(np.float16))
        self._merged.append(merged)
        self._described(row)
