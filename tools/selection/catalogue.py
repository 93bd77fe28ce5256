"""The catalogue keeps augmentations of every kind, finds the near ones, picks within a budget, and learns what helped.

Descriptions lie in the index, which may be the skill library's and is never changed by learning. What has moved away
from its description (`habilis.tools.selection.space`) is compared by itself, and its place in the index passed over.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

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
from habilis.tools.selection._indexed import Indexed, agrees, index_id, split
from habilis.tools.selection.learned import LearnedSuccess
from habilis.tools.selection.pacing import Pacer
from habilis.tools.selection.selector import BudgetSelector
from habilis.tools.selection.space import Rocchio, Space
from habilis.tools.selection.success import Doubting, SuccessModel

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_AT_ONCE = 256  # uses of which the texts are embedded at once


class Use(NamedTuple):
    """A use of a thing (by its id) for a task (its text), and whether the task was solved."""

    text: str
    id: str
    ok: bool


class Catalogue:
    """All augmentations at hand, with what was learned of them. Finds the near ones through the index, then picks.

    The index is derived: `sync` brings it in line with what is here, whatever state it is in. It may be the skill
    library's: skills go by the same ids there, and of the kinds in ``shared`` nothing is deleted, since the library
    does that. ``per_kind``: how many of each kind the selector chooses among. ``space``: how places follow outcomes,
    by default `Rocchio`; ``model``: what success is expected, by default `LearnedSuccess`. Safe under threads.
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
        self.space: Space = space if space is not None else Rocchio()
        self.model: SuccessModel = model if model is not None else LearnedSuccess(embedder)
        self.per_kind = per_kind
        self._things = Indexed(index, embedder, shared)
        self._credit: dict[str, tuple[int, int]] = {}
        self._texts: dict[str, str] = {}  # of what has moved, `index_id` of the text that it was moved with
        self._moved: Counter[Kind | None] = Counter()  # how many of each kind have moved
        self._anew: set[str] = set()  # what has moved and is described anew
        self._lock = threading.RLock()

    def put(self, *things: Augmentation) -> None:
        """Add, or replace what has the same id. The index follows at the next `sync` or query."""
        with self._lock:
            for thing in things:
                self._things.put(thing)
                if self._texts and thing.id in self._texts:
                    self._anew.add(thing.id)

    def remove(self, *ids: str) -> None:
        """Take out by id (``skill:get_sticks``); raises `NotFoundError`. What was learned of it is kept, should it come
        back."""
        with self._lock:
            for one in ids:
                self.get(one)
            for one in ids:
                self._things.remove(one)

    def get(self, id: str) -> Augmentation:
        """By id, with its track record; raises `NotFoundError`."""
        with self._lock:
            thing = self._things.get(id)
            if thing is None:
                raise NotFoundError.of("augmentation", id, self._things)
            successes, uses = self._credit.get(id, (0, 0))
            return replace(thing, successes=thing.successes + successes, uses=thing.uses + uses) if uses else thing

    def __contains__(self, id: str) -> bool:
        with self._lock:
            return self._things.get(id) is not None

    def ids(self) -> tuple[str, ...]:
        with self._lock:
            return tuple(sorted(self._things))

    # ------------------------------------------------------------------ learning

    def learn(self, text: str, ids: Iterable[str], ok: bool) -> None:
        """These were used for the task of this text, and it was solved or not: track records, the space and the success
        model learn from that. Raises `NotFoundError`, and then nothing was learned."""
        with self._lock:
            chosen = sorted(set(ids))
            for one in chosen:
                self.get(one)
            self.learn_all([Use(text, one, ok) for one in chosen])

    def learn_all(self, uses: Sequence[Use]) -> None:
        """Learn from many uses, in their order; their texts are embedded many at once. Of a thing that is not here the
        track record alone is kept."""
        with self._lock:
            for start in range(0, len(uses), _AT_ONCE):
                some = uses[start : start + _AT_ONCE]
                things = (self._things.get(use.id) for use in some)
                texts = sorted({use.text for use in some} | {thing.text for thing in things if thing is not None})
                vectors = dict(zip(texts, self.embedder.embed(texts), strict=True))
                for use in some:
                    self._learn(use, vectors)

    def _learn(self, use: Use, vectors: Mapping[str, NDArray[np.float32]]) -> None:
        id, ok = use.id, use.ok
        if id in self:
            thing, task = self.get(id), vectors[use.text]
            described = vectors[thing.text]
            relevance = float(self.space.relevance([id], described[None], task)[0])
            self.model.learn(task, thing, round(relevance, 6), ok)
            self.space.learn(id, described, task, ok)
            if id in self.space.moved():
                self._moved[thing.kind] += id not in self._texts
                self._texts[id] = index_id(thing)
                self._anew.discard(id)
        successes, uses = self._credit.get(id, (0, 0))
        self._credit[id] = (successes + ok, uses + 1)

    def save(self) -> Mapping[str, Json]:
        """All that was learned here, as JSON."""
        with self._lock:
            return {
                "embedder": self.embedder.fingerprint,
                "credit": {one: list(self._credit[one]) for one in sorted(self._credit)},
                "texts": dict(self._texts),
                "space": {"name": self.space.name, **self.space.save()},
                "model": {"name": self.model.name, **self.model.save()},
            }

    def load(self, data: Mapping[str, Any]) -> bool:
        """Take `save` back, in place of what was learned here. False where it was learned with another embedder, space
        or success model, or cannot be read: nothing is known then, and all is to be learned anew (`learn_all`)."""
        with self._lock:
            mine = (self.embedder.fingerprint, self.space.name, self.model.name)
            try:
                same = mine == (data["embedder"], data["space"]["name"], data["model"]["name"])
                if same:
                    self._credit = {str(one): (int(n), int(uses)) for one, (n, uses) in data["credit"].items()}
                    self._texts = {str(one): str(text) for one, text in data["texts"].items()}
                    self.space.load(data["space"])
                    self.model.load(data["model"])
            except (LookupError, TypeError, ValueError, AttributeError):
                same = False
            if not same:
                self._credit, self._texts = {}, {}
                self.space.load({})
                self.model.load({})
            self._moved = Counter(split(one)[0] for one in self._texts)
            self._anew = set(self._texts)
            return same

    # ------------------------------------------------------------------ finding

    def sync(self) -> None:
        """Bring the index in line: embed what is new or changed, delete what is gone."""
        with self._lock:
            self._things.sync()

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
            found, _ = self._found(text, kinds, k or self.per_kind, {"world": world, "fingerprint": fingerprint})
            return [thing for thing, _ in found]

    def _found(
        self, text: str, kinds: Collection[Kind], k: int, own: Mapping[str, str | None]
    ) -> tuple[list[tuple[Augmentation, float]], NDArray[np.float32]]:
        """The nearest of each kind with their relevance, what they require (at relevance 0, if not near itself), and
        the task's embedding."""
        self._things.follow()
        self._describe()
        task = self.embedder.embed([text])[0]
        # Rounded: a product of matrices may round differently with the size of the index.
        relevance = {one: round(score, 6) for score, one in self._nearest(task, sorted(set(kinds)), k, own)}
        order = sorted(relevance, key=lambda one: (-relevance[one], one))
        for one in order:
            thing = self.get(one)
            for name in thing.requires:
                found = next((i for i in (name, f"{thing.kind.value}:{name}") if i in self), None)
                if found is not None and found not in relevance:
                    relevance[found] = 0.0
                    order.append(found)  # the loop goes on over what is appended
        return [(self.get(one), relevance[one]) for one in order], task

    def _nearest(
        self, task: NDArray[np.float32], kinds: Sequence[Kind], k: int, own: Mapping[str, str | None]
    ) -> list[tuple[float, str]]:
        """The ``k`` nearest of each kind, by relevance and id, of what lies at its description and what has moved."""
        asked, moved = self.space.ask(task), self.space.moved()
        hits = {
            kind: [(min(max(score, 0.0), 1.0), one) for score, one in self._things.nearest(kind, asked, k, own, moved)]
            for kind in kinds
        }
        left = {kind: self._moved[kind] for kind in kinds}
        taken: Counter[Kind] = Counter()

        def done(kind: Kind, score: float) -> bool:
            full = len(hits[kind]) >= k + taken[kind] and hits[kind][k - 1][0] > score
            return left[kind] == 0 or taken[kind] >= k or full

        for one, score in self.space.near(task) if any(left.values()) else ():
            kind, _ = split(one)
            if kind is not None and kind in hits:
                left[kind] -= 1
                thing = self._things.get(one)
                if thing is not None and taken[kind] < k and agrees(thing, own):
                    hits[kind].append((score, one))
                    taken[kind] += 1
            if all(done(kind, score) for kind in kinds):
                break
        return [hit for kind in kinds for hit in sorted(hits[kind], key=lambda h: (-h[0], h[1]))[:k]]

    def _describe(self) -> None:
        """What has moved and has another text by now is moved to where that puts it."""
        for one in sorted(self._anew):
            thing = self._things.get(one)
            if thing is not None:
                if index_id(thing) != self._texts[one]:
                    self.space.describe(one, self.embedder.embed([thing.text])[0])
                    self._texts[one] = index_id(thing)
                self._anew.discard(one)

    def pick(
        self,
        task: Task,
        limit: Budget,
        *,
        kinds: Collection[Kind] = tuple(Kind),
        fingerprint: str | None = None,
        pacer: Pacer | None = None,
    ) -> Selection:
        """What to use for the task within the limit, out of the nearest of each kind. ``fingerprint``: see `near`.
        ``pacer``: may try out what is uncertain, where the success model tells how uncertain that is (`Doubting`)."""
        pool, vector = self._candidates(task, kinds, fingerprint)
        picked = self.selector.pick(task, pool, limit)
        if pacer is None or not isinstance(self.model, Doubting):
            return picked
        doubts = self.model.doubts(vector, [one.augmentation for one in pool])
        return pacer.explore(self.selector, task, pool, doubts, limit, picked)

    def candidates(
        self, task: Task, *, kinds: Collection[Kind] = tuple(Kind), fingerprint: str | None = None
    ) -> list[Candidate]:
        """What may help with the task, nearest first, with relevance and chance, and all that this requires."""
        return self._candidates(task, kinds, fingerprint)[0]

    def _candidates(
        self, task: Task, kinds: Collection[Kind], fingerprint: str | None
    ) -> tuple[list[Candidate], NDArray[np.float32]]:
        """`candidates`, and the task's embedding."""
        import numpy as np

        with self._lock:
            own = {"world": task.world, "fingerprint": fingerprint}
            found, vector = self._found(task.text or str(task.goal), kinds, self.per_kind, own)
        relevance = np.array([score for _, score in found], dtype=np.float32)
        chances = self.model.chances(vector, [thing for thing, _ in found], relevance)
        _refuse_no_chances(self.model, chances, [thing.id for thing, _ in found])
        pool = [
            Candidate(thing, score, round(float(chance), 6))
            for (thing, score), chance in zip(found, chances, strict=True)
        ]
        return pool, vector


def _refuse_no_chances(model: SuccessModel, chances: NDArray[np.float32], ids: Sequence[str]) -> None:
    """A model may be anybody's: what is no chance is refused here, where it can be named."""
    import numpy as np

    name = getattr(model, "name", type(model).__name__)
    if np.shape(chances) != (len(ids),):
        raise InputError(f"the success model {name!r} gave chances of shape {np.shape(chances)} for {len(ids)} things")
    for one, chance in zip(ids, chances, strict=True):
        if not 0 <= chance <= 1:  # NaN is neither
            raise InputError(f"the success model {name!r} gave {one} the chance {chance:g}; a chance is from 0 to 1")
