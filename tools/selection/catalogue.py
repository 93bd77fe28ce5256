"""The catalogue keeps augmentations of every kind, finds the near ones through the index, and picks within a budget."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from habilis.core import (
    Augmentation,
    Budget,
    Candidate,
    Embedder,
    InputError,
    Json,
    Kind,
    NotFoundError,
    Selection,
    Selector,
    Task,
    VectorIndex,
)
from habilis.tools.selection.selector import BudgetSelector
from habilis.tools.selection.space import Described, Space
from habilis.tools.selection.success import SuccessModel, TrackRecord

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Catalogue:
    """All augmentations at hand, with their track records. Finds the near ones through the index, then picks.

    The index is derived: `sync` brings it in line with what is here, whatever state it is in. It may be the skill
    library's: skills go by the same ids there, and of the kinds in ``shared`` nothing is deleted, since the library
    does that. ``per_kind``: how many of each kind the selector chooses among. Safe under threads.
    """

    def __init__(
        self,
        index: VectorIndex,
        embedder: Embedder,
        selector: Selector | None = None,
        *,
        space: Space | None = None,
        model: SuccessModel | None = None,
        per_kind: int = 16,
        shared: Collection[Kind] = (Kind.SKILL,),
    ) -> None:
        if per_kind < 1:
            raise InputError(f"per_kind must be >= 1, got {per_kind}")
        self.index = index
        self.embedder = embedder
        self.selector: Selector = selector if selector is not None else BudgetSelector()
        self.space: Space = space if space is not None else Described()
        self.model: SuccessModel = model if model is not None else TrackRecord(embedder)
        self.per_kind = per_kind
        self._shared = frozenset(shared)
        self._things: dict[str, Augmentation] = {}
        self._by_index: dict[tuple[Kind, str], str] = {}
        self._credit: dict[str, tuple[int, int]] = {}
        self._changed: set[Kind] = set(Kind)
        self._lock = threading.RLock()

    def put(self, *things: Augmentation) -> None:
        """Add, or replace what has the same id. The index follows at the next `sync` or query."""
        with self._lock:
            for thing in things:
                old = self._things.get(thing.id)
                self._things[thing.id] = thing
                if old is None or _index_id(old) != _index_id(thing):
                    self._changed.add(thing.kind)

    def remove(self, *ids: str) -> None:
        """Take out by id (``skill:get_sticks``); raises `NotFoundError`."""
        with self._lock:
            for one in ids:
                self.get(one)
            for one in ids:
                self._changed.add(self._things.pop(one).kind)

    def get(self, id: str) -> Augmentation:
        """By id, with its track record; raises `NotFoundError`."""
        with self._lock:
            if id not in self._things:
                raise NotFoundError.of("augmentation", id, self._things)
            thing = self._things[id]
            successes, uses = self._credit.get(id, (0, 0))
            return replace(thing, successes=thing.successes + successes, uses=thing.uses + uses) if uses else thing

    def ids(self) -> tuple[str, ...]:
        with self._lock:
            return tuple(sorted(self._things))

    def credit(self, ids: Iterable[str], ok: bool) -> None:
        """Count a use of each, and whether the task was solved. Adds to the record that it came with."""
        with self._lock:
            for one in sorted(set(ids)):
                self.get(one)
                successes, uses = self._credit.get(one, (0, 0))
                self._credit[one] = (successes + ok, uses + 1)

    def credits(self) -> Mapping[str, Json]:
        """The track records as JSON, to be kept: ``{id: [successes, uses]}``."""
        with self._lock:
            return {one: list(self._credit[one]) for one in sorted(self._credit)}

    def load_credits(self, data: Mapping[str, Any]) -> None:
        """Take `credits` back, in place of those counted here."""
        with self._lock:
            self._credit = {one: (int(pair[0]), int(pair[1])) for one, pair in data.items()}

    def sync(self) -> None:
        """Bring the index in line: embed what is new or changed, delete what is gone."""
        from habilis.memory.index import sync_index

        with self._lock:
            self._by_index = {(t.kind, _index_id(t)): t.id for t in self._things.values()}
            wanted: dict[Kind, dict[str, str]] = {kind: {} for kind in Kind}
            for (kind, key), one in sorted(self._by_index.items()):
                wanted[kind][key] = self._things[one].text
            for kind in sorted(self._shared):  # what is not ours to delete is passed as wanted; it is there already
                wanted[kind] = dict.fromkeys(sorted(self.index.ids(kind)), "") | wanted[kind]
            sync_index(self.index, wanted, self.embedder)
            self._changed.clear()

    def near(
        self,
        text: str,
        *,
        kinds: Collection[Kind] = tuple(Kind),
        k: int | None = None,
        world: str | None = None,
        fingerprint: str | None = None,
    ) -> list[Augmentation]:
        """The ``k`` nearest of each kind, nearest first, followed by what they require.

        ``world``: leaves out skills and demonstrations of other worlds; ``fingerprint``: and skills of a world of the
        same name with other rules.
        """
        with self._lock:
            if self._changed:
                self.sync()
            found, _ = self._found(text, kinds, k or self.per_kind, {"world": world, "fingerprint": fingerprint})
            return [thing for thing, _ in found]

    def _found(
        self, text: str, kinds: Collection[Kind], k: int, own: Mapping[str, str | None]
    ) -> tuple[list[tuple[Augmentation, float]], NDArray[np.float32]]:
        """The nearest of each kind with their relevance, what they require (at relevance 0, if not near itself), and
        the task's embedding."""
        import numpy as np

        task = self.embedder.embed([text])[0]
        wanted = self.space.ask(task)
        hits = [hit for kind in sorted(set(kinds)) for hit in self._nearest(kind, wanted, k, own)]
        cosines = np.array([score for score, _ in hits], dtype=np.float32)
        scores = self.space.relevance([one for _, one in hits], cosines)
        # Rounded: a product of matrices may round differently with the size of the index.
        relevance = {one: round(float(score), 6) for (_, one), score in zip(hits, scores, strict=True)}
        order = sorted(relevance, key=lambda one: (-relevance[one], one))
        for one in order:
            thing = self._things[one]
            for name in thing.requires:
                found = next((i for i in (name, f"{thing.kind.value}:{name}") if i in self._things), None)
                if found is not None and found not in relevance:
                    relevance[found] = 0.0
                    order.append(found)  # the loop goes on over what is appended
        return [(self.get(one), relevance[one]) for one in order], task

    def _nearest(
        self, kind: Kind, vector: NDArray[np.float32], k: int, own: Mapping[str, str | None]
    ) -> list[tuple[float, str]]:
        """Asks for more until ``k`` are left that are still here and agree with ``own`` where it says anything."""
        reach = k
        while True:
            found = self.index.query({kind}, vector, reach)
            kept = []
            for neighbour in found:
                one = self._by_index.get((kind, neighbour.id))
                if one is None:
                    continue
                meta = self._things[one].meta
                if all(value is None or meta.get(key, value) == value for key, value in own.items()):
                    kept.append((neighbour.score, one))
            if len(kept) >= k or len(found) < reach:
                return kept[:k]
            reach *= 4

    def pick(
        self, task: Task, limit: Budget, *, kinds: Collection[Kind] = tuple(Kind), fingerprint: str | None = None
    ) -> Selection:
        """What to use for the task within the limit, out of the nearest of each kind. ``fingerprint``: see `near`."""
        return self.selector.pick(task, self.candidates(task, kinds=kinds, fingerprint=fingerprint), limit)

    def candidates(
        self, task: Task, *, kinds: Collection[Kind] = tuple(Kind), fingerprint: str | None = None
    ) -> list[Candidate]:
        """What may help with the task, nearest first, with relevance and chance, and all that this requires."""
        import numpy as np

        with self._lock:
            if self._changed:
                self.sync()
            own = {"world": task.world, "fingerprint": fingerprint}
            found, vector = self._found(task.text or str(task.goal), kinds, self.per_kind, own)
        relevance = np.array([score for _, score in found], dtype=np.float32)
        chances = self.model.chances(vector, [thing for thing, _ in found], relevance)
        _refuse_no_chances(self.model, chances, [thing.id for thing, _ in found])
        return [
            Candidate(thing, score, round(float(chance), 6))
            for (thing, score), chance in zip(found, chances, strict=True)
        ]


def _refuse_no_chances(model: SuccessModel, chances: NDArray[np.float32], ids: Sequence[str]) -> None:
    """A model may be anybody's: what is no chance is refused here, where it can be named."""
    import numpy as np

    name = getattr(model, "name", type(model).__name__)
    if np.shape(chances) != (len(ids),):
        raise InputError(f"the success model {name!r} gave chances of shape {np.shape(chances)} for {len(ids)} things")
    for one, chance in zip(ids, chances, strict=True):
        if not 0 <= chance <= 1:  # NaN is neither
            raise InputError(f"the success model {name!r} gave {one} the chance {chance:g}; a chance is from 0 to 1")


def _index_id(thing: Augmentation) -> str:
    """The id in the index. It changes with the text, so that no vector outlives the text it was made of."""
    if thing.kind is Kind.SKILL and "version" in thing.meta:
        return f"{thing.name}@{thing.meta['version']}"  # as the skill library names it
    return f"{thing.name}#{hashlib.sha256(thing.text.encode('utf-8', 'replace')).hexdigest()[:12]}"
