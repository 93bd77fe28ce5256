"""A vector for each thing, trained as the classifier of what solves a task."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from habilis.core import InputError, Json
from habilis.tools.selection.space._moving import Moving
from habilis.tools.selection.space._vectors import halved, packed, unit, unpacked

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_BATCH, _RIVALS = 32, 512


class Toolken(Moving):
    """Free vectors under a softmax, as in ToolkenGPT (Hao et al. 2023), on a frozen encoder. Satisfies `Space`.

    ``start``: where a thing begins when it first solves a task, at its "description" or, as there, at a "random" place.
    Each outcome makes ``steps`` of stochastic gradient descent on the cross-entropy of cosine / ``temperature`` over
    what has moved (at most 512 of it, drawn anew each time), on that outcome and 31 of the last ``rehearsed``;
    ``hold`` pulls back to the start. Vectors stay on the sphere. The draws depend on the number of the outcome alone.
    Raises `InputError`.
    """

    def __init__(
        self,
        *,
        start: str = "description",
        rate: float = 0.05,
        temperature: float = 0.07,
        hold: float = 0.01,
        steps: int = 1,
        rehearsed: int = 4_096,
        doubt: float = 4.0,
        margin: float = 1.5,
    ) -> None:
        if start not in ("description", "random"):
            raise InputError(f"start is 'description' or 'random', got {start!r}")
        if rate <= 0 or temperature <= 0 or hold < 0 or steps < 1 or rehearsed < 1:
            raise InputError(
                f"rate and temperature are > 0, hold >= 0, steps and rehearsed >= 1; got rate={rate}, "
                f"temperature={temperature}, hold={hold}, steps={steps}, rehearsed={rehearsed}"
            )
        super().__init__(doubt, margin)
        self.name = f"toolken, {start} start"
        self.start, self.rate, self.temperature, self.hold, self.steps = start, rate, temperature, hold, steps
        self._rehearsed: deque[tuple[int, NDArray[np.float16]]] = deque(maxlen=rehearsed)  # row, task

    def _columns(self, dim: int) -> dict[str, tuple[int, str]]:
        self._rehearsed.clear()
        return {**super()._columns(dim), "start": (dim, "f4")}

    def _learned(self, id: str, row: int, task: NDArray[np.float32], new: bool) -> None:
        import numpy as np

        block = self._block
        if new:
            self._begin(row, np.random.default_rng([0, row]))
            block["place"][row] = block["start"][row]
        self._rehearsed.append((row, task.astype(np.float16)))
        draw = np.random.default_rng([1, self._outcomes])
        for _ in range(self.steps):
            drawn = [self._rehearsed[int(i)] for i in draw.integers(len(self._rehearsed), size=_BATCH - 1)]
            batch = [self._rehearsed[-1], *drawn]
            self._step(np.array([r for r, _ in batch]), np.stack([t for _, t in batch]).astype(np.float32), draw)

    def _begin(self, row: int, draw: np.random.Generator) -> None:
        block = self._block
        if self.start == "description":
            block["start"][row] = block["described"][row]
        else:
            block["start"][row] = halved(unit(draw.normal(size=(1, block["start"].shape[1]))))[0]

    def _step(self, right: NDArray[np.intp], tasks: NDArray[np.float32], draw: np.random.Generator) -> None:
        """One step on a batch: ``right``, (b,), the rows that solved the ``tasks``, (b, dim)."""
        import numpy as np

        place, start = self._block["place"], self._block["start"]
        rows = np.arange(len(place))
        if len(rows) > _RIVALS:
            rows = np.union1d(right, draw.integers(len(place), size=_RIVALS - len(right)))
        logits = tasks @ place[rows].T / self.temperature
        chances = np.exp(logits - logits.max(axis=1, keepdims=True))
        chances /= chances.sum(axis=1, keepdims=True)
        chances[np.arange(len(right)), np.searchsorted(rows, right)] -= 1
        gradient = chances.T @ tasks / (len(right) * self.temperature) + self.hold * (place[rows] - start[rows])
        place[rows] = halved(unit(place[rows] - self.rate * gradient))

    def _described(self, row: int) -> None:
        if self.start == "description":
            block = self._block
            moved = block["place"][row] - block["start"][row]
            block["start"][row] = block["described"][row]
            block["place"][row] = halved(unit(block["start"][row] + moved))

    def save(self) -> Mapping[str, Json]:
        import numpy as np

        saved = dict(super().save())
        if saved:
            saved["rows"] = [row for row, _ in self._rehearsed]
            saved["tasks"] = packed(np.stack([task for _, task in self._rehearsed]))
        return saved

    def load(self, data: Mapping[str, Any]) -> None:
        import numpy as np

        super().load(data)
        if self._things is not None:
            tasks = unpacked(data["tasks"], int(data["dim"])).astype(np.float16)
            self._rehearsed.extend(zip(map(int, data["rows"]), tasks, strict=True))

    def _saved(self, id: str, row: int) -> dict[str, Json]:
        import numpy as np

        block = self._block
        return {
            "uses": block.uses[id],
            "vectors": packed(np.stack([block[name][row] for name in ("described", "start", "place")])),
        }

    def _restore(self, id: str, row: int, saved: Mapping[str, Any], dim: int) -> None:
        vectors = unpacked(saved["vectors"], dim)
        for name, vector in zip(("described", "start", "place"), vectors, strict=True):
            self._block[name][row] = vector
