"""Vectors in faiss: exact while they are few, inverted lists of bytes for read-mostly millions."""

from __future__ import annotations

import json
import os
import threading
import zlib
from collections.abc import Callable, Sequence, Set
from pathlib import Path
from typing import TYPE_CHECKING, Any

from habilis.core.augmentation import Kind
from habilis.core.errors import HomeError, SchemaError
from habilis.core.protocols import Neighbour
from habilis.memory.index import _seal
from habilis.memory.index._ivf import Ivf, load_faiss
from habilis.memory.index._log import Log
from habilis.memory.index._vectors import ForeignVectors, Rows, best, checked, checked_query, last_of_each

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_SCHEMA = 1
_BATCH = 5_000


class FaissIndex:
    """Vectors in a folder of faiss files, one set per kind; inner product of unit rows.

    Up to ``train_from`` vectors of a kind are compared one by one. From then on they lie in inverted lists, a byte a
    number, trained anew whenever there are twice as many; ``nprobe`` is chosen so that at least 95 of 100 nearest
    neighbours are found (docs/embedding.md). What was added last, up to ``spill`` vectors, is compared one by one as
    well, and kept in a log. So a write is cheap, but for the ones after which the files are written anew: when a
    quarter has changed, and at `close`.

    One process at a time: the home's lock must be held. ``embedder_fingerprint`` and ``dim`` are stored; `HomeError` is
    raised when they differ, unless ``rebuild``, which empties the folder first. Every file has a checksum: where one is
    damaged, the kind is emptied; of a damaged log, what follows the damage goes. Ask `sync_index` to fill it again.
    Raises `MissingExtraError` without faiss.
    """

    def __init__(
        self,
        path: Path | str,
        embedder_fingerprint: str,
        dim: int,
        *,
        rebuild: bool = False,
        train_from: int = 10_000,
        spill: int = 4_000,
    ) -> None:
        load_faiss()
        self.path, self.dim = Path(path), dim
        self._lock = threading.RLock()
        self._shelves: dict[Kind, _Shelf] = {}
        facts = {"embedder": embedder_fingerprint, "dim": dim}
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            for kind in sorted(Kind):
                shelf = _Shelf(self.path, kind, facts, train_from, spill)
                self._shelves[kind] = shelf
                if rebuild:
                    shelf.empty()
                else:
                    shelf.open()
        except BaseException as error:
            for shelf in self._shelves.values():
                shelf.abandon()
            if isinstance(error, OSError):
                raise HomeError(self._told_as(error)) from error
            raise

    def upsert(self, kind: Kind, ids: Sequence[str], vectors: NDArray[np.float32]) -> None:
        """``vectors``: (n, dim) float32 unit rows; an id that is there gets the new vector."""
        rows = checked(ids, vectors, self.dim)
        last = last_of_each(ids)
        unique = list(last)
        for start in range(0, len(unique), _BATCH):
            part = unique[start : start + _BATCH]
            self._change(kind, lambda shelf, part=part: shelf.upsert(part, rows[[last[i] for i in part]]))  # type: ignore[misc]

    def delete(self, kind: Kind, ids: Sequence[str]) -> None:
        """Ids that are not there are ignored."""
        self._change(kind, lambda shelf: shelf.delete(list(dict.fromkeys(ids))))

    def query(self, kinds: Set[Kind], vector: NDArray[np.float32], k: int) -> list[Neighbour]:
        """The ``k`` nearest of these kinds, best first; ``score`` is the cosine similarity, of vectors in inverted
        lists to within about .01."""
        query = checked_query(vector, self.dim)
        with self._lock:
            found = [n for kind in sorted(kinds) for n in self._shelves[kind].nearest(query, k)]
        return best(found, k)

    def ids(self, kind: Kind) -> set[str]:
        with self._lock:
            shelf = self._shelves[kind]
            return set(shelf.recent).union(shelf.main or ())

    def close(self) -> None:
        """Write what is worth it, and give the files back. May be called twice."""
        with self._lock:
            for shelf in self._shelves.values():
                shelf.close()

    def _change(self, kind: Kind, work: Callable[[_Shelf], None]) -> None:
        with self._lock:
            try:
                work(self._shelves[kind])
            except OSError as error:
                raise HomeError(self._told_as(error)) from error

    def _told_as(self, error: OSError) -> str:
        return (
            f"cannot write the index {self.path}: {error.strerror or error}; free some space or fix the rights, and "
            "run again: it is rebuilt from the journal"
        )


class _Shelf:
    """The vectors of one kind. ``KIND.json`` names a generation of files and their checksums, and is replaced as a
    whole; ``KIND-N.lists`` and ``KIND-N.names`` are the trained part, ``KIND-N.log`` is what came after it."""

    def __init__(self, folder: Path, kind: Kind, facts: dict[str, Any], train_from: int, spill: int) -> None:
        self._folder, self._kind, self._facts = folder, kind, facts
        self._train_from, self._spill = train_from, spill
        self._card = folder / f"{kind.value}.json"
        self._generation = 0
        self._log: Log | None = None
        self.main: Ivf | None = None
        self.recent = Rows(facts["dim"])

    def open(self) -> None:
        """Raises `HomeError` for another embedder's vectors, `SchemaError` for a newer version's; what is damaged is
        emptied."""
        try:
            card = _read_card(self._card)
            if card is None:
                self.empty()
                return
            self._check(card)
            self._generation = card["generation"]
            if card["files"]:
                for name, (size, crc) in card["files"].items():
                    path = self._folder / name
                    if path.stat().st_size != size or _seal.crc(path) != crc:
                        raise ValueError(f"{path} is not what was written")
                told = {"nprobe": card["nprobe"], "trained_on": card["trained_on"]}
                self.main = Ivf.read(self._file("lists"), self._file("names"), self._facts["dim"], **told)
            if not self._file("log").exists():
                raise ValueError("the log is gone")
            self._log = Log(self._file("log"), self._facts["dim"])
            for ids, rows in self._log.replay():
                if rows is None:
                    self._forget(ids)
                else:
                    self._put(ids, rows)
        except (HomeError, PermissionError):
            raise
        except (OSError, RuntimeError, ValueError, KeyError, TypeError, AttributeError):
            self.empty()
        self._sweep()

    def empty(self) -> None:
        self.abandon()
        self._card.unlink(missing_ok=True)
        self._log = None
        self.main, self.recent, self._generation = None, Rows(self._facts["dim"]), 0
        self._sweep()

    def upsert(self, ids: list[str], rows: NDArray[np.float32]) -> None:
        if ids:
            self._opened().upsert(ids, rows)
            self._put(ids, rows)
            self._write_if(self._stale())

    def delete(self, ids: list[str]) -> None:
        there = [id for id in ids if id in self.recent or (self.main is not None and id in self.main)]
        if there:
            self._opened().delete(there)
            self._forget(there)
            self._write_if(self._stale())

    def nearest(self, query: NDArray[np.float32], k: int) -> list[Neighbour]:
        found = self.recent.nearest(self._kind, query[0], k)
        if self.main is not None:
            found += [Neighbour(self._kind, id, score) for id, score in self.main.nearest(query, k)]
        return found

    def close(self) -> None:
        """Afterwards nothing can be changed."""
        if self._log is not None:
            try:
                self._write_if(self.main is not None and self._log.rows > self._spill)
            except OSError:
                pass  # everything is in the log
            self.abandon()

    def abandon(self) -> None:
        if self._log is not None:
            self._log.close()

    # ------------------------------------------------------------------ in memory

    def _put(self, ids: list[str], rows: NDArray[np.float32]) -> None:
        if self.main is not None:
            self.main.drop(ids)
        self.recent.put(ids, rows)
        if len(self.recent) < (self._train_from if self.main is None else self._spill):
            return
        moved = self.recent
        if self.main is None:
            self.main = Ivf.train(list(moved), moved.block)
        else:
            self.main.add(list(moved), moved.block)
        self.recent = Rows(self._facts["dim"])

    def _forget(self, ids: list[str]) -> None:
        self.recent.drop(ids)
        if self.main is not None:
            self.main.drop(ids)

    # ------------------------------------------------------------------ on disk

    def _stale(self) -> bool:
        """Whether so much is in the log, or dead, that the files should be written anew."""
        if self.main is None or self._log is None:
            return False
        many = max(self._train_from, len(self.main) // 4)
        return self._log.rows >= many or 4 * self.main.dead >= max(self._train_from, len(self.main))

    def _write_if(self, stale: bool) -> None:
        """Write the trained part and begin a new log. Raises `OSError`; then the files are as they were."""
        main = self.main
        if not stale or main is None:
            return
        grown = len(main) >= 2 * main.trained_on or 2 * len(main) < len(main.names)
        if len(main) < self._train_from // 2:  # so much was deleted that lists are of no use
            self._start_over()
            return
        if grown:
            self.main = main = main.retrained()
        else:
            main.compact()
        generation, self._generation = self._generation, self._generation + 1
        files: dict[str, list[int]] = {}
        try:

            def put(path: Path, fill: Callable[[Callable[[bytes], None]], None]) -> None:
                files[path.name] = _write(path, fill)

            main.write(self._file("lists"), self._file("names"), put)
            log = Log(self._file("log"), self._facts["dim"])
            try:
                if len(self.recent):
                    log.upsert(list(self.recent), self.recent.block)
                self._write_card(files, main)
            except BaseException:
                log.close()
                raise
        except BaseException:
            self._generation = generation
            self._sweep()
            raise
        main.moved(self._file("lists"))
        self.abandon()
        self._log = log
        self._sweep()

    def _start_over(self) -> None:
        """Back to rows that are compared one by one, decoded from the lists."""
        assert self.main is not None
        ids, rows = self.main.living()
        recent = Rows(self._facts["dim"])
        recent.put(ids, rows)
        recent.put(list(self.recent), self.recent.block)
        self.empty()
        self._opened().upsert(list(recent), recent.block)
        self.recent = recent

    def _opened(self) -> Log:
        if self._log is None:
            # Nothing is written of a kind before there is some. The log first: a card without one is damage.
            self._log = Log(self._file("log"), self._facts["dim"])
            self._write_card({}, None)
        return self._log

    def _write_card(self, files: dict[str, list[int]], main: Ivf | None) -> None:
        facts = {
            **self._facts,
            "schema_version": _SCHEMA,
            "generation": self._generation,
            "files": files,
            "nprobe": main.nprobe if main is not None else 0,
            "trained_on": main.trained_on if main is not None else 0,
        }
        text = json.dumps(facts, sort_keys=True)
        _seal.replace(self._card, json.dumps({"facts": text, "crc": zlib.crc32(text.encode())}).encode())

    def _check(self, card: dict[str, Any]) -> None:
        if card["schema_version"] > _SCHEMA:
            raise SchemaError(
                f"the index {self._folder} has schema {card['schema_version']}, this version of Habilis knows up to "
                f"{_SCHEMA}; upgrade habilis, or delete that folder: it is rebuilt from the journal"
            )
        if {k: card[k] for k in self._facts} != self._facts:
            raise ForeignVectors(
                f"the index {self._folder} holds vectors of {card['embedder']} (dim {card['dim']}), now it is "
                f"{self._facts['embedder']} (dim {self._facts['dim']}); the two do not mix. Use the first again, or "
                "make the index anew: habilis index rebuild --home HOME --index faiss. Nothing is lost, it is derived "
                "from the journal"
            )

    def _file(self, part: str) -> Path:
        return self._folder / f"{self._kind.value}-{self._generation}.{part}"

    def _sweep(self) -> None:
        """Remove files that the card does not name: of older generations, or half written."""
        kept = {self._file(part) for part in ("lists", "names", "log")} if self._card.exists() else set()
        for path in [*self._folder.glob(f"{self._kind.value}-*"), *self._folder.glob(f"{self._kind.value}*.tmp")]:
            if path not in kept:
                path.unlink(missing_ok=True)


def _read_card(path: Path) -> dict[str, Any] | None:
    """Raises `ValueError` and its like where it is damaged."""
    try:
        outer = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    if zlib.crc32(outer["facts"].encode()) != outer["crc"]:
        raise ValueError(f"{path} is not what was written")
    facts: dict[str, Any] = json.loads(outer["facts"])
    return facts


def _write(path: Path, fill: Callable[[Callable[[bytes], None]], None]) -> list[int]:
    """Write a new file through to the disk; its size and CRC-32."""
    size = crc = 0
    with path.open("wb") as out:

        def write(data: bytes) -> None:
            nonlocal size, crc
            out.write(data)
            size, crc = size + len(data), zlib.crc32(data, crc)

        fill(write)
        out.flush()
        os.fsync(out.fileno())
    return [size, crc]
