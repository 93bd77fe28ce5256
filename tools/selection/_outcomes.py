"""The outcomes that expectations rest on: which task, how it went, and what had been expected. Bounded.

Task vectors are kept once, whoever was used for them, as whole numbers from -127 to 127 with a scale for each row; the
vectors that are worked with are made of these, so that what was saved is exactly what is loaded.
"""

from __future__ import annotations

import base64
import heapq
from array import array
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from habilis.core import Json

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Tasks:
    """Task vectors by row. A row is free again when no outcome refers to it."""

    def __init__(self, dim: int) -> None:
        import numpy as np

        self.dim = dim
        self._rows: dict[bytes, int] = {}
        self._small = np.zeros((64, dim), dtype=np.int8)
        self._scales = np.zeros(64, dtype=np.float32)
        self._vectors = np.zeros((64, dim), dtype=np.float32)
        self._uses = np.zeros(64, dtype=np.int64)
        self._free: list[int] = []
        self._high = 0

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def vectors(self) -> NDArray[np.float32]:
        """(rows, dim) float32; free rows are zero."""
        return self._vectors[: self._high]

    def take(self, vector: NDArray[np.float32]) -> int:
        """The row of this vector, (dim,), used once more."""
        import numpy as np

        scale = np.float32(max(float(np.abs(vector).max()), 1e-12) / 127)
        small = np.rint(vector / scale).astype(np.int8)
        key = small.tobytes()
        row = self._rows.get(key)
        if row is None:
            row = heapq.heappop(self._free) if self._free else self._high
            self._put(row, small, scale)
            self._rows[key] = row
        self._uses[row] += 1
        return row

    def drop(self, rows: NDArray[np.int32]) -> None:
        """These rows are used once less each."""
        for row in rows.tolist():
            self._uses[row] -= 1
            if not self._uses[row]:
                del self._rows[self._small[row].tobytes()]
                self._small[row], self._scales[row], self._vectors[row] = 0, 0, 0
                heapq.heappush(self._free, row)

    def save(self) -> Mapping[str, Json]:
        """All rows, free ones too: a product of matrices may round differently where their number differs."""
        return {
            "rows": self._high,
            "small": _text(self._small[: self._high]),
            "scales": _text(self._scales[: self._high]),
        }

    def load(self, data: Mapping[str, Any]) -> None:
        import numpy as np

        rows = int(data["rows"])
        small = np.frombuffer(_bytes(data["small"]), dtype=np.int8).reshape(rows, self.dim)
        scales = np.frombuffer(_bytes(data["scales"]), dtype=np.float32)
        for row in range(rows):
            if scales[row]:
                self._put(row, small[row], scales[row])
                self._rows[small[row].tobytes()] = row
            else:
                heapq.heappush(self._free, row)
        self._high = rows

    def _put(self, row: int, small: NDArray[np.int8], scale: np.float32) -> None:
        import numpy as np

        if row >= len(self._small):
            for name in ("_small", "_scales", "_vectors", "_uses"):
                old = getattr(self, name)
                new = np.zeros((max(2 * len(old), row + 1), *old.shape[1:]), dtype=old.dtype)
                new[: len(old)] = old
                setattr(self, name, new)
        self._small[row], self._scales[row], self._vectors[row] = small, scale, small * scale
        self._high = max(self._high, row + 1)


@dataclass
class Log:
    """The latest outcomes of one thing. ``good``: how the task went, 0 to 1; ``expected``: the prior then.

    ``fitted``: how many of them the coefficients in use were fitted to. ``uses``, ``successes``, ``hoped``: counts of
    all there ever were, and the sum of their priors.
    """

    rows: array[int] = field(default_factory=lambda: array("i"))
    good: array[float] = field(default_factory=lambda: array("f"))
    expected: array[float] = field(default_factory=lambda: array("f"))
    fitted: int = 0
    uses: int = 0
    successes: float = 0.0
    hoped: float = 0.0

    def __len__(self) -> int:
        return len(self.rows)

    def arrays(self, count: int | None = None) -> tuple[NDArray[np.int32], NDArray[np.float64], NDArray[np.float64]]:
        """Rows, outcomes and priors, (n,) each, of the first ``count``."""
        import numpy as np

        return (
            np.array(self.rows[:count], dtype=np.int32),
            np.array(self.good[:count], dtype=np.float64),
            np.array(self.expected[:count], dtype=np.float64),
        )

    def save(self) -> list[Json]:
        packed = [base64.b64encode(part.tobytes()).decode() for part in (self.rows, self.good, self.expected)]
        return [*packed, self.fitted, self.uses, self.successes, self.hoped]

    @classmethod
    def of(cls, data: list[Any]) -> Log:
        log = cls(fitted=int(data[3]), uses=int(data[4]), successes=float(data[5]), hoped=float(data[6]))
        log.rows.frombytes(_bytes(data[0]))
        log.good.frombytes(_bytes(data[1]))
        log.expected.frombytes(_bytes(data[2]))
        return log


class Outcomes:
    """The logs of all things that were used, least recently used first, with the vectors of their tasks.

    ``per_thing`` and ``most``: how many outcomes are kept of one thing and in all. Beyond the first a thing's oldest
    quarter is dropped; beyond the second the whole log of whichever was not used for longest.
    """

    def __init__(self, per_thing: int, most: int) -> None:
        self.per_thing, self.most = per_thing, most
        self.logs: OrderedDict[str, Log] = OrderedDict()
        self.tasks: Tasks | None = None
        self._count = 0

    def add(self, id: str, task: NDArray[np.float32], good: float, expected: float) -> None:
        if self.tasks is None:
            self.tasks = Tasks(len(task))
        log = self.logs.setdefault(id, Log())
        self.logs.move_to_end(id)
        log.rows.append(self.tasks.take(task))
        log.good.append(good)
        log.expected.append(expected)
        log.uses += 1
        log.successes += good
        log.hoped += expected
        self._count += 1
        if len(log) > self.per_thing:
            self._trim(log, self.per_thing // 4 + 1)
        while self._count > self.most and len(self.logs) > 1:
            _, old = self.logs.popitem(last=False)
            self._trim(old, len(old))

    def _trim(self, log: Log, count: int) -> None:
        import numpy as np

        assert self.tasks is not None
        self.tasks.drop(np.array(log.rows[:count], dtype=np.int32))
        for part in (log.rows, log.good, log.expected):
            del part[:count]
        log.fitted = 0  # fitted again to what is left
        self._count -= count

    def save(self) -> Mapping[str, Json]:
        """As JSON: about 520 bytes a task of 384 numbers, and 16 an outcome."""
        if self.tasks is None:
            return {}
        return {
            "dim": self.tasks.dim,
            "tasks": self.tasks.save(),
            "logs": [[i, log.save()] for i, log in self.logs.items()],
        }

    def load(self, data: Mapping[str, Any]) -> None:
        self.logs, self.tasks, self._count = OrderedDict(), None, 0
        if not data:
            return
        self.tasks = Tasks(int(data["dim"]))
        self.tasks.load(data["tasks"])
        for id, saved in data["logs"]:
            log = self.logs[str(id)] = Log.of(saved)
            for row in log.rows:
                self.tasks._uses[row] += 1
            self._count += len(log)


def _text(part: NDArray[Any]) -> str:
    return base64.b64encode(part.tobytes()).decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text)
