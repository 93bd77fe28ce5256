"""What spaces have in common in which each thing has a vector of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from habilis.core import Json
from habilis.tools.selection.space._penalty import Penalty
from habilis.tools.selection.space._vectors import Block, halved

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_LOOKED_AT = 64  # the nearest by their vectors, of which more is looked at than these
_OFTEN = 4_096  # things up to which every outcome is used to find the penalty; of twice as many every second, and so on


class Moving:
    """Things that solved a task have a vector of their own, kept here; all others lie at their descriptions.

    *Trust* in what a thing has learned from n solved tasks is t = n / (n + ``doubt``); t times the penalty is taken off
    its relevance. A failure moves nothing: it may have any cause, and counts in the track record. Derived classes say
    how a vector moves (`_learned`) and may look closer at the nearest (`_closer`). ``margin``: see `Penalty`.
    """

    def __init__(self, doubt: float, margin: float) -> None:
        self.doubt = doubt
        self.penalty = Penalty(margin)
        self._things: Block | None = None  # made when the first vector tells the dimension
        self._outcomes = 0  # that moved anything

    def ask(self, task: NDArray[np.float32]) -> NDArray[np.float32]:
        return task

    def place(self, ids: Sequence[str], described: NDArray[np.float32]) -> NDArray[np.float32]:
        places = described.copy()
        for i, row in self._rows(ids):
            places[i] = self._block["place"][row]
        return places

    def relevance(
        self, ids: Sequence[str], described: NDArray[np.float32], task: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        import numpy as np

        found: NDArray[np.float32] = np.clip(described @ task, 0.0, 1.0)
        rows = self._rows(ids)
        if rows:
            which = np.array([row for _, row in rows])
            found[[i for i, _ in rows]] = self._scores(which, self._block["place"][which] @ task, task).clip(0.0, 1.0)
        return found

    def moved(self) -> Mapping[str, int]:
        return {} if self._things is None else self._things.uses

    def near(self, task: NDArray[np.float32]) -> Iterator[tuple[str, float]]:
        if self._things is None:
            return
        ids, cosines = self._things.ids(), self._block["place"] @ task
        for rows in self._parts(cosines - self._taken_off()):
            scores = self._scores(rows, cosines[rows], task).clip(0.0, 1.0)
            for j in (-scores).argsort(kind="stable"):
                yield ids[rows[j]], float(scores[j])

    def learn(self, id: str, described: NDArray[np.float32], task: NDArray[np.float32], ok: bool) -> None:
        if not ok:
            return
        described, task = halved(described), halved(task)
        if self._things is None:
            self._things = Block(self._columns(len(task)))
        self._outcomes += 1
        if self._outcomes % -(-(len(self._things) + 1) // _OFTEN) == 0:
            self._leave_out(id, described, task)
        new = self._things.at(id) is None
        row = self._things.add(id)
        self._block["described"][row] = described
        self._things.uses[id] += 1
        self._block["trust"][row] = self._things.uses[id] / (self._things.uses[id] + self.doubt)
        self._learned(id, row, task, new)

    def describe(self, id: str, described: NDArray[np.float32]) -> None:
        for _, row in self._rows([id]):
            self._block["described"][row] = halved(described)
            self._described(row)

    def save(self) -> Mapping[str, Json]:
        if self._things is None:
            return {}
        things = {id: self._saved(id, row) for row, id in enumerate(self._things.ids())}
        return {"dim": self._block["place"].shape[1], "penalty": self.penalty.save(), "things": things}

    def load(self, data: Mapping[str, Any]) -> None:
        self._things, self._outcomes = None, 0
        self.penalty.load(data.get("penalty", {}))
        if "dim" not in data:
            return
        dim = int(data["dim"])
        self._things = Block(self._columns(dim))
        for id, saved in data["things"].items():
            row = self._things.add(id)
            self._things.uses[id] = int(saved["uses"])
            self._block["trust"][row] = self._things.uses[id] / (self._things.uses[id] + self.doubt)
            self._restore(id, row, saved, dim)
        self._outcomes = sum(self._things.uses.values())

    # ------------------------------------------------------------------ what derived classes say

    def _columns(self, dim: int) -> dict[str, tuple[int, str]]:
        return {"described": (dim, "f4"), "place": (dim, "f4"), "trust": (0, "f4")}

    def _learned(self, id: str, row: int, task: NDArray[np.float32], new: bool) -> None:
        """A thing, whose description and trust are up to date, has solved a task: move it."""
        raise NotImplementedError

    def _described(self, row: int) -> None:
        """The description of a thing has changed: move it."""
        raise NotImplementedError

    def _closer(
        self, rows: NDArray[np.intp], cosines: NDArray[np.float32], task: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """The relevance of things, (n,), before the penalty, from the cosines with their vectors, (n,)."""
        return cosines

    def _saved(self, id: str, row: int) -> dict[str, Json]:
        """A thing as JSON, with its ``uses``."""
        raise NotImplementedError

    def _restore(self, id: str, row: int, saved: Mapping[str, Any], dim: int) -> None:
        raise NotImplementedError

    # ------------------------------------------------------------------

    @property
    def _block(self) -> Block:
        assert self._things is not None  # asked for only where something has moved
        return self._things

    def _rows(self, ids: Sequence[str]) -> list[tuple[int, int]]:
        """Of the ids that have moved, where they stand among those asked for, and their rows."""
        if self._things is None:
            return []
        return [(i, row) for i, id in enumerate(ids) if (row := self._things.at(id)) is not None]

    def _parts(self, by: NDArray[np.float32]) -> Iterator[NDArray[np.intp]]:
        """All rows in parts, those with the largest numbers first."""
        import numpy as np

        if len(by) > 4 * _LOOKED_AT:  # mostly the first part is enough, and sorting takes longer than finding it
            first = np.argpartition(-by, _LOOKED_AT)[:_LOOKED_AT]
            yield first
            by[first] = np.inf
            start = _LOOKED_AT
        else:
            start = 0
        order = (-by).argsort(kind="stable")
        for at in range(start, len(order), _LOOKED_AT):
            yield order[at : at + _LOOKED_AT]

    def _taken_off(self) -> NDArray[np.float32]:
        """The penalty of each row, (moved,)."""
        import numpy as np

        taken_off: NDArray[np.float32] = self._block["trust"] * np.float32(self.penalty.value)
        return taken_off

    def _scores(
        self, rows: NDArray[np.intp], cosines: NDArray[np.float32], task: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        return self._closer(rows, cosines, task) - self._taken_off()[rows]

    def _leave_out(self, id: str, described: NDArray[np.float32], task: NDArray[np.float32]) -> None:
        """Tell the penalty where a thing that solved a task would have come, had it never been used."""
        import numpy as np

        block, own = self._block, self._block.at(id)
        if len(block) - (own is not None) == 0:
            return
        cosines = block["place"] @ task
        rows = self._nearest_first(cosines, own)
        alone, descriptions = float(described @ task), block["described"] @ task
        if own is not None:
            descriptions[own] = -1.0
        needed = (self._closer(rows, cosines[rows], task) - alone) / block["trust"][rows]
        self.penalty.add(float(np.max(needed)), bool(alone > descriptions.max()))

    def _nearest_first(self, cosines: NDArray[np.float32], own: int | None) -> NDArray[np.intp]:
        """The rows that are looked at closer, without one of them."""
        import numpy as np

        by: NDArray[np.float32] = cosines - self._taken_off()
        if own is not None:
            by[own] = -np.inf
        count = min(_LOOKED_AT, len(by) - (own is not None))
        rows: NDArray[np.intp] = np.argpartition(-by, count - 1)[:count]
        return rows
