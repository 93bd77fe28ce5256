"""Unit vectors in inverted lists, a byte a number: faiss's IVF-SQ8 with the names of its rows.

Jégou, Douze and Schmid 2011, "Product quantization for nearest neighbor search" (the inverted lists); the scalar
quantizer is faiss's 8-bit one. A query is compared with the ``nlist`` centres, and then with the rows of the ``nprobe``
nearest lists only.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from habilis.core.extras import need

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_PER_LIST = 64  # rows a centre is trained on; faiss warns below 39, and more than 256 is waste
_BLOCK = 20_000  # rows decoded or added at once
_PROBES = 64  # queries that nprobe is chosen by
_GOAL = 0.98  # share of the ten nearest that they must find; a byte a number loses another hundredth


def load_faiss() -> Any:
    return need("faiss", "the index 'faiss'", install="'habilis[faiss]'")


class Ivf:
    """The trained part of a faiss index. Rows are numbered as they are added; a name that is given again, or dropped,
    leaves a dead row behind until `compact`."""

    def __init__(self, index: Any, names: list[str | None], *, nprobe: int, trained_on: int) -> None:
        self.index, self.names, self.nprobe, self.trained_on = index, names, nprobe, trained_on
        self._place = {name: i for i, name in enumerate(names) if name is not None}
        self._dead: list[int] = []
        self._alive: NDArray[np.uint8] | None = None  # a bit a row; made when the first one dies
        self._source: Path | None = None  # the file that the lists are mapped from, until they are to be changed

    def __len__(self) -> int:
        return len(self._place)

    def __contains__(self, id: object) -> bool:
        return id in self._place

    def __iter__(self) -> Iterator[str]:
        return iter(self._place)

    @property
    def dead(self) -> int:
        """Rows that are still searched past."""
        return len(self._dead)

    @classmethod
    def train(cls, ids: Sequence[str], rows: NDArray[np.float32]) -> Ivf:
        """Train the lists on these rows (n, dim), and add them."""
        blocks = ((list(ids[s : s + _BLOCK]), rows[s : s + _BLOCK]) for s in range(0, len(ids), _BLOCK))
        return _built(len(ids), rows.shape[1], rows, blocks)

    def retrained(self) -> Ivf:
        """The living rows in lists trained anew, for as many as there are now. They are decoded from their bytes: that
        moves a vector by about half a degree, and a score mostly by less than .001."""
        import numpy as np

        chosen = np.random.default_rng(0).random(len(self.names)) < min(1.0, _sample(len(self)) / max(1, len(self)))
        sample = np.concatenate([rows[chosen[numbers]] for numbers, rows in self._decoded()])
        blocks = (([self._name(i) for i in numbers], rows) for numbers, rows in self._decoded())
        return _built(len(self), self.index.d, sample, blocks)

    def add(self, ids: Sequence[str], rows: NDArray[np.float32]) -> None:
        """``rows``: (n, dim), no id twice."""
        import numpy as np

        self.drop(ids)
        self._own()
        first = len(self.names)
        for start in range(0, len(ids), _BLOCK):
            part = rows[start : start + _BLOCK]
            numbers = np.arange(first + start, first + start + len(part), dtype=np.int64)
            self.index.add_with_ids(np.ascontiguousarray(part), numbers)
        self.names += ids
        self._place.update(zip(ids, range(first, len(self.names)), strict=True))
        self._alive = None if not self._dead else self._bits()

    def drop(self, ids: Iterable[str]) -> None:
        """Ids that are not there are ignored."""
        for id in ids:
            number = self._place.pop(id, None)
            if number is not None:
                self._dead.append(number)
                if self._alive is None:
                    self._alive = self._bits()
                else:
                    self._alive[number >> 3] &= ~(1 << (number & 7)) & 0xFF

    def compact(self) -> None:
        """Forget the dead rows."""
        if not self._dead:
            return
        import numpy as np

        self._own()
        self.index.remove_ids(load_faiss().IDSelectorBatch(np.array(self._dead, dtype=np.int64)))
        for number in self._dead:
            self.names[number] = None
        self._dead, self._alive = [], None

    def nearest(self, query: NDArray[np.float32], k: int) -> list[tuple[str, float]]:
        """The ``k`` living rows with the largest inner product, or all if there are fewer. ``query``: (1, dim)."""
        wanted = min(k, len(self))
        if wanted <= 0:
            return []
        # Many neighbours lie in many lists.
        probes = max(self.nprobe, math.ceil(self.index.nlist * min(1.0, 4 * wanted / len(self))))
        found = self._search(query, wanted, probes)
        return found if len(found) == wanted else self._search(query, wanted, self.index.nlist)

    def write(
        self, path: Path, names: Path, put: Callable[[Path, Callable[[Callable[[bytes], None]], None]], None]
    ) -> None:
        """Write both files through ``put``, which opens, writes and checks."""
        faiss = load_faiss()

        def lists(write: Callable[[bytes], None]) -> None:
            failed: list[BaseException] = []

            def told(data: bytes) -> None:
                # What is raised in here does not come through faiss unchanged.
                try:
                    write(data)
                except BaseException as error:
                    failed.append(error)
                    raise

            try:
                faiss.write_index(self.index, faiss.PyCallbackIOWriter(told))
            except Exception:
                if failed:
                    raise failed[0] from None
                raise

        put(path, lists)
        put(names, lambda write: write(json.dumps(self.names, separators=(",", ":")).encode()))

    @classmethod
    def read(cls, path: Path, names: Path, dim: int, *, nprobe: int, trained_on: int) -> Ivf:
        """The lists are mapped, not read: what is never searched is never loaded. Raises `ValueError` where the two
        files do not fit together; faiss raises `RuntimeError`."""
        faiss = load_faiss()
        index = faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
        made = cls(index, json.loads(names.read_bytes()), nprobe=nprobe, trained_on=trained_on)
        if index.d != dim or index.ntotal != len(made):
            raise ValueError(f"{path} holds {index.ntotal} vectors of {index.d}, {names} {len(made)} names")
        made._source = path
        return made

    def moved(self, path: Path) -> None:
        """The lists were written to another file, and the one that they may be mapped from is about to go."""
        if self._source is not None:
            self._source = path

    def living(self) -> tuple[list[str], NDArray[np.float32]]:
        """All names and their rows, decoded: (n, dim)."""
        import numpy as np

        parts = list(self._decoded())
        if not parts:
            return [], np.empty((0, self.index.d), dtype=np.float32)
        return [self._name(i) for numbers, _ in parts for i in numbers], np.concatenate([rows for _, rows in parts])

    def calibrate(self) -> None:
        """Choose ``nprobe``: the least power of two that finds the ten nearest of queries that lie between texts,
        measured against a search of every list; and twice that, since questions lie farther from all texts still."""
        import numpy as np

        draw = np.random.default_rng(1)
        drawn: list[NDArray[np.float32]] = []
        for numbers, rows in self._decoded():
            take = min(len(numbers), math.ceil(3 * _PROBES * len(numbers) / len(self)))
            drawn.append(rows[draw.choice(len(numbers), take, replace=False)])
        sample = np.concatenate(drawn)
        between = sample[draw.integers(0, len(sample), (_PROBES, 3))].sum(axis=1)
        queries = (between / np.linalg.norm(between, axis=1, keepdims=True)).astype(np.float32)
        exact = [self._found(q, self.index.nlist) for q in queries]
        probes = 1
        while probes < self.index.nlist:
            hits = sum(len(true & self._found(q, probes)) for q, true in zip(queries, exact, strict=True))
            if hits >= _GOAL * sum(map(len, exact)):
                break
            probes *= 2
        self.nprobe = min(2 * probes, self.index.nlist)

    def _found(self, query: NDArray[np.float32], nprobe: int) -> set[str]:
        return {name for name, _ in self._search(query[None], 10, nprobe)}

    def _name(self, number: int) -> str:
        name = self.names[number]
        assert name is not None
        return name

    def _search(self, query: NDArray[np.float32], k: int, nprobe: int) -> list[tuple[str, float]]:
        faiss = load_faiss()
        if self._alive is None:
            options = faiss.SearchParametersIVF(nprobe=nprobe)
        else:
            options = faiss.SearchParametersIVF(nprobe=nprobe, sel=faiss.IDSelectorBitmap(self._alive))
        scores, numbers = self.index.search(query, k, params=options)
        pairs = zip(numbers[0].tolist(), scores[0].tolist(), strict=True)
        return [(self._name(number), score) for number, score in pairs if number >= 0]

    def _bits(self) -> NDArray[np.uint8]:
        import numpy as np

        alive = np.ones(len(self.names), dtype=bool)
        alive[self._dead] = False
        return np.packbits(alive, bitorder="little")

    def _own(self) -> None:
        """Have the lists in memory, so that they can be changed."""
        if self._source is not None:
            self.index = load_faiss().read_index(str(self._source))
            self._source = None

    def _decoded(self) -> Iterator[tuple[list[int], NDArray[np.float32]]]:
        """The living rows list by list: their numbers, and (n, dim)."""
        import numpy as np

        faiss = load_faiss()
        lists, dead = self.index.invlists, set(self._dead)
        for i in range(self.index.nlist):
            size = lists.list_size(i)
            if not size:
                continue
            numbers = faiss.rev_swig_ptr(lists.get_ids(i), size).tolist()
            codes = faiss.rev_swig_ptr(lists.get_codes(i), size * self.index.code_size).reshape(size, -1)
            kept = [at for at, number in enumerate(numbers) if number not in dead] if dead else list(range(size))
            if kept:
                rows = self.index.sq.decode(np.ascontiguousarray(codes[kept]))
                yield [numbers[at] for at in kept], rows / np.linalg.norm(rows, axis=1, keepdims=True)


def _sample(count: int) -> int:
    return _PER_LIST * _lists(count)


def _lists(count: int) -> int:
    return max(1, min(4096, math.isqrt(count)))


def _built(
    count: int, dim: int, sample: NDArray[np.float32], blocks: Iterable[tuple[list[str], NDArray[np.float32]]]
) -> Ivf:
    import numpy as np

    faiss = load_faiss()
    index = faiss.IndexIVFScalarQuantizer(
        faiss.IndexFlatIP(dim), dim, _lists(count), faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT, False
    )
    # Rows that come later may reach farther than those seen now; what lies outside is cut off.
    index.sq.rangestat_arg = 0.05
    wanted = _sample(count)
    if len(sample) > wanted:
        sample = sample[np.sort(np.random.default_rng(0).choice(len(sample), wanted, replace=False))]
    index.train(np.ascontiguousarray(sample))
    made = Ivf(index, [], nprobe=1, trained_on=count)
    for ids, rows in blocks:
        made.add(ids, rows)
    made.calibrate()
    return made
