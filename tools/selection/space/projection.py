"""One map for all: tasks are turned, a little and in few directions, towards the descriptions of what solves them."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from habilis.core import InputError, Json
from habilis.tools.selection.space._vectors import Block, halved, packed, unit, unpacked

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_BATCH, _RIVALS = 32, 512
_SHARES = (1.0, 0.5, 0.25)  # of the map that may be used
_JUDGED = 512  # outcomes of judges that count
_FEWEST = 32  # judged outcomes before any of the map is used


class Projection:
    """Descriptions stay; a task t is asked as t + share × A B t, with A and B of rank ``rank``, A at first zero.

    Trained as `Toolken` is, but on A and B: the cross-entropy of cosine / ``temperature`` over the descriptions of what
    was used, by stochastic gradient descent with rehearsal. Such a map serves unseen things only if it carries over, so
    every fifth thing (by the hash of its id) never trains it and judges it instead: the largest share is used at which
    the judges' tasks find them first as often as with no map at all. Satisfies `Space`. Raises `InputError`.
    """

    name = "projection"

    def __init__(
        self,
        *,
        rank: int = 32,
        rate: float = 0.02,
        temperature: float = 0.07,
        decay: float = 0.1,
        steps: int = 1,
        rehearsed: int = 4_096,
    ) -> None:
        if rank < 1 or rate <= 0 or temperature <= 0 or decay < 0 or steps < 1 or rehearsed < 1:
            raise InputError(
                f"rank, steps and rehearsed are >= 1, rate and temperature > 0, decay >= 0; got rank={rank}, "
                f"steps={steps}, rehearsed={rehearsed}, rate={rate}, temperature={temperature}, decay={decay}"
            )
        self.rank, self.rate, self.temperature, self.decay, self.steps = rank, rate, temperature, decay, steps
        self._things: Block | None = None
        self._outcomes: deque[tuple[int, NDArray[np.float16]]] = deque(maxlen=rehearsed)
        self._judged: deque[tuple[int, ...]] = deque(maxlen=_JUDGED)  # first with no map, and at each share
        self._count = 0
        self._up: NDArray[np.float32]  # A, (dim, rank), and B, (rank, dim); there once the dimension is known
        self._down: NDArray[np.float32]

    @property
    def share(self) -> float:
        """How much of the map is used."""
        if len(self._judged) < _FEWEST:
            return 0.0
        plain, *shares = (sum(column) for column in zip(*self._judged, strict=True))
        return next((share for share, hits in zip(_SHARES, shares, strict=True) if hits >= plain), 0.0)

    def ask(self, task: NDArray[np.float32]) -> NDArray[np.float32]:
        return task if self.share == 0 else self._turned(task, self.share)

    def place(self, ids: Sequence[str], described: NDArray[np.float32]) -> NDArray[np.float32]:
        return described.copy()

    def relevance(
        self, ids: Sequence[str], described: NDArray[np.float32], task: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        import numpy as np

        found: NDArray[np.float32] = np.clip(described @ self.ask(task), 0.0, 1.0)
        return found

    def moved(self) -> Mapping[str, int]:
        return {}

    def near(self, task: NDArray[np.float32]) -> Iterator[tuple[str, float]]:
        return iter(())

    def learn(self, id: str, described: NDArray[np.float32], task: NDArray[np.float32], ok: bool) -> None:
        import numpy as np

        if not ok:
            return
        task = halved(task)
        if self._things is None:
            self._begin(len(task))
        row = self._block.add(id)
        self._block.uses[id] += 1
        self._block["described"][row] = halved(described)
        if _judges(id):
            self._judge(row, task)
            return
        self._outcomes.append((row, task.astype(np.float16)))
        self._count += 1
        draw = np.random.default_rng([1, self._count])
        for _ in range(self.steps):
            drawn = [self._outcomes[int(i)] for i in draw.integers(len(self._outcomes), size=_BATCH - 1)]
            batch = [self._outcomes[-1], *drawn]
            self._step(np.array([r for r, _ in batch]), np.stack([t for _, t in batch]).astype(np.float32), draw)

    def describe(self, id: str, described: NDArray[np.float32]) -> None:
        row = None if self._things is None else self._things.at(id)
        if row is not None:
            self._block["described"][row] = halved(described)

    def save(self) -> Mapping[str, Json]:
        import numpy as np

        if self._things is None:
            return {}
        tasks = np.stack([task for _, task in self._outcomes]) if self._outcomes else np.zeros((0, 1))
        return {
            "dim": self._down.shape[1],
            "things": {id: self._things.uses[id] for id in self._things.ids()},
            "described": packed(self._block["described"]),
            "up": packed(self._up.T),
            "down": packed(self._down),
            "judged": [list(one) for one in self._judged],
            "rows": [row for row, _ in self._outcomes],
            "tasks": packed(tasks),
            "count": self._count,
        }

    def load(self, data: Mapping[str, Any]) -> None:
        import numpy as np

        self._things, self._count = None, 0
        self._outcomes.clear()
        self._judged.clear()
        if "dim" not in data:
            return
        dim = int(data["dim"])
        self._begin(dim)
        for (id, uses), described in zip(data["things"].items(), unpacked(data["described"], dim), strict=True):
            row = self._block.add(id)
            self._block["described"][row] = described
            self._block.uses[id] = int(uses)
        self._up, self._down = unpacked(data["up"], dim).T.copy(), unpacked(data["down"], dim)
        self._judged.extend(tuple(map(int, one)) for one in data["judged"])
        tasks = unpacked(data["tasks"], dim).astype(np.float16)
        self._outcomes.extend(zip(map(int, data["rows"]), tasks, strict=True))
        self._count = int(data["count"])

    @property
    def _block(self) -> Block:
        assert self._things is not None  # asked for only where something was learned
        return self._things

    def _begin(self, dim: int) -> None:
        import numpy as np

        self._things = Block({"described": (dim, "f4")})
        self._up = np.zeros((dim, self.rank), np.float32)
        self._down = halved(unit(np.random.default_rng(0).normal(size=(self.rank, dim))))

    def _turned(self, tasks: NDArray[np.float32], share: float) -> NDArray[np.float32]:
        return unit(tasks + share * (tasks @ self._down.T @ self._up.T))

    def _judge(self, row: int, task: NDArray[np.float32]) -> None:
        described = self._block["described"]
        asked = (task, *(self._turned(task, share) for share in _SHARES))
        self._judged.append(tuple(int((described @ one).argmax() == row) for one in asked))

    def _step(self, right: NDArray[np.intp], tasks: NDArray[np.float32], draw: np.random.Generator) -> None:
        """One step on a batch: ``right``, (b,), the rows that solved the ``tasks``, (b, dim)."""
        import numpy as np

        described = self._block["described"]
        rows = np.arange(len(described))
        if len(rows) > _RIVALS:
            rows = np.union1d(right, draw.integers(len(described), size=_RIVALS - len(right)))
        inner = tasks @ self._down.T  # (b, rank)
        logits = (tasks + inner @ self._up.T) @ described[rows].T / self.temperature
        chances = np.exp(logits - logits.max(axis=1, keepdims=True))
        chances /= chances.sum(axis=1, keepdims=True)
        chances[np.arange(len(right)), np.searchsorted(rows, right)] -= 1
        outer = chances @ described[rows] / (len(right) * self.temperature)  # (b, dim)
        up = self._up - self.rate * (outer.T @ inner + self.decay * self._up)
        down = self._down - self.rate * (self._up.T @ outer.T @ tasks)
        self._up, self._down = halved(up), halved(down)


def _judges(id: str) -> bool:
    return hashlib.sha256(id.encode("utf-8", "replace")).digest()[0] % 5 == 0
