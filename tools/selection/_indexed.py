"""Things by kind and name, and an index of their descriptions that follows them."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING

from habilis.core import Augmentation, Embedder, Kind, VectorIndex

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_AT_ONCE = 1_000  # texts that are embedded at once
_KINDS = {kind.value: kind for kind in Kind}


class Indexed:
    """What a catalogue holds, and where it lies in the index. ``shared``: kinds of which nothing is deleted there."""

    def __init__(self, index: VectorIndex, embedder: Embedder, shared: Collection[Kind]) -> None:
        self.index, self.embedder = index, embedder
        self._shared = frozenset(shared)
        self._things: dict[Kind, dict[str, Augmentation]] = {kind: {} for kind in Kind}
        self._new: dict[Kind, set[str]] = {kind: set() for kind in Kind}  # names that the index does not know yet
        self._gone: dict[Kind, set[str]] = {kind: set() for kind in Kind}  # ids of the index that nothing has any more
        self._synced = False

    def __iter__(self) -> Iterator[str]:
        return (f"{kind.value}:{name}" for kind, named in self._things.items() for name in named)

    def get(self, id: str) -> Augmentation | None:
        kind, name = split(id)
        return None if kind is None else self._things[kind].get(name)

    def put(self, thing: Augmentation) -> None:
        old = self._things[thing.kind].get(thing.name)
        self._things[thing.kind][thing.name] = thing
        if old is None or index_id(old) != index_id(thing):
            self._new[thing.kind].add(thing.name)
            if old is not None:
                self._gone[thing.kind].add(index_id(old))

    def remove(self, id: str) -> None:
        """Raises `KeyError` where it is not there."""
        thing = self.get(id)
        if thing is None:
            raise KeyError(id)
        self._gone[thing.kind].add(index_id(thing))
        self._new[thing.kind].discard(thing.name)
        del self._things[thing.kind][thing.name]

    def sync(self) -> None:
        """Bring the index in line, whatever state it is in."""
        from habilis.memory.index import sync_index

        wanted = {kind: {index_id(t): t.text for t in named.values()} for kind, named in self._things.items()}
        for kind in sorted(self._shared):  # what is not ours to delete is passed as wanted; it is there already
            wanted[kind] = dict.fromkeys(sorted(self.index.ids(kind)), "") | wanted[kind]
        sync_index(self.index, wanted, self.embedder)
        self._in_line()

    def follow(self) -> None:
        """Let the index follow what was put and removed since it was in line; what else it holds is not looked at."""
        if not self._synced:
            self.sync()
            return
        if not any(self._new.values()) and not any(self._gone.values()):
            return
        for kind in Kind:
            things = (self._things[kind][name] for name in self._new[kind])
            new = {index_id(thing): thing.text for thing in things}
            if kind in self._shared:
                held = self.index.ids(kind) if new else set()
                new = {key: text for key, text in new.items() if key not in held}
            elif gone := sorted(key for key in self._gone[kind] if self.at(kind, key) is None):
                self.index.delete(kind, gone)
            order = sorted(new)
            for start in range(0, len(order), _AT_ONCE):
                keys = order[start : start + _AT_ONCE]
                self.index.upsert(kind, keys, self.embedder.embed([new[key] for key in keys]))
        self._in_line()

    def _in_line(self) -> None:
        for kind in Kind:
            self._new[kind].clear()
            self._gone[kind].clear()
        self._synced = True

    def at(self, kind: Kind, key: str) -> Augmentation | None:
        """What has this id in the index, None where nothing has it any more."""
        for mark in "@#":
            thing = self._things[kind].get(key.rpartition(mark)[0])
            if thing is not None and index_id(thing) == key:
                return thing
        return None

    def nearest(
        self, kind: Kind, vector: NDArray[np.float32], k: int, own: Mapping[str, str | None], without: Collection[str]
    ) -> list[tuple[float, str]]:
        """The ``k`` nearest of a kind, by cosine and id. Asks for more until so many are left that are still here,
        agree with ``own`` (see `agrees`) and are not among ``without``."""
        reach = k
        while True:
            found = self.index.query({kind}, vector, reach)
            kept = []
            for neighbour in found:
                thing = self.at(kind, neighbour.id)
                if thing is not None and agrees(thing, own) and thing.id not in without:
                    kept.append((neighbour.score, thing.id))
            if len(kept) >= k or len(found) < reach:
                return kept[:k]
            reach *= 4


def agrees(thing: Augmentation, own: Mapping[str, str | None]) -> bool:
    """Whether a thing says nothing else than ``own`` (such as its world) where both say anything."""
    return all(value is None or thing.meta.get(key, value) == value for key, value in own.items())


def split(id: str) -> tuple[Kind | None, str]:
    """Kind and name; no kind where there is none of that name."""
    kind, _, name = id.partition(":")
    return _KINDS.get(kind), name


def index_id(thing: Augmentation) -> str:
    """The id in the index. It changes with the text, so that no vector outlives the text it was made of."""
    if thing.kind is Kind.SKILL and "version" in thing.meta:
        return f"{thing.name}@{thing.meta['version']}"  # as the skill library names it
    return f"{thing.name}#{hashlib.sha256(thing.text.encode('utf-8', 'replace')).hexdigest()[:12]}"
