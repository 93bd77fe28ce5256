"""A cascade that is chosen: which writer, and which of several models, is likely to be worth its price for a task.

A writer is an augmentation like any other, of the kind *model*; the chance that it solves a task is learned from the
tasks that it was asked for (`habilis.tools.LearnedSuccess`), and the selection under a budget tells whether that is
worth its price. Since the next one is asked where one fails, the order changes what a task costs, and not whether it is
solved. The cheapest order is by chance over price (Simon and Kadane 1975, Artificial Intelligence 6: all-or-none
solutions).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol, runtime_checkable

from habilis.agent.parts import Credited
from habilis.agent.writers.cascade import Cascade
from habilis.core import (
    Augmentation,
    Budget,
    Candidate,
    Choice,
    Context,
    Cost,
    Embedder,
    Episode,
    InputError,
    Json,
    Ledger,
    Selector,
    Task,
    Writer,
)
from habilis.core.budget import KINDS
from habilis.tools import BudgetSelector, LearnedSuccess, LearningSettings, of_model

__all__ = ["ChosenCascade", "Priced", "Store"]

_LEAST = 0.01  # nobody is ever given up for good
_TRYING = 0.02  # what asking anyone costs besides, in time: a fiftieth of a limit


@runtime_checkable
class Priced(Protocol):
    """A writer that can tell beforehand what a task may cost it at most, in what is paid for."""

    def most(self, task: Task, context: Context) -> Cost: ...


class Store(Protocol):
    """Where what was learned is kept: the journal."""

    def get_state(self, key: str, default: Any = None) -> Any: ...
    def put_versioned_state(self, key: str, data: Mapping[str, Json]) -> None: ...


class ChosenCascade(Cascade):
    """Asks the writer with the best chance for its price, and the next one where that has no further idea.

    ``writers``: of different names; between equals, the one that was given first. With nothing learned it is the
    cheapest first, as in a `Cascade`. Chances are taken to be as good as they may well be (by one standard deviation):
    so a cheap writer is passed over only once it has failed at such tasks several times, and a dear one is asked where
    the cheap ones fail. One whose chance is not worth its price is not asked.

    ``store``: what is learned is kept there under a key of its own for each world (``world``: its fingerprint).
    ``tell``: told of every choice: writer, why (with chances as good as they may be), and of all that were considered
    the chance, how often they were asked, and the cost.
    """

    def __init__(
        self,
        writers: Sequence[Writer],
        embedder: Embedder,
        *,
        store: Store | None = None,
        world: str = "",
        tell: Callable[[Mapping[str, Json]], None] = lambda told: None,
        selector: Selector | None = None,
    ) -> None:
        super().__init__(writers)
        names = [writer.name for writer in writers]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise InputError(
                f"two writers are called {twice[0]!r}; what is learned of them is kept by name: rename one"
            )
        self._embedder, self._store, self._tell = embedder, store, tell
        self._key = f"writers:{world}"
        self._selector: Selector = selector if selector is not None else BudgetSelector(max_items=1)
        self.model = LearnedSuccess(embedder, LearningSettings(per_thing=1024, most=4096))
        known = store.get_state(self._key) if store is not None else None
        if known:
            self.model.load(known)
        self._asked: list[tuple[Task, str]] = []  # in order; also for goals that are lifted on the way

    def credit(self, episode: Episode, conclusive: bool) -> None:
        """Learn from what became of a task. ``conclusive``: its end says something about the writer asked last."""
        for writer in self._writers:
            if isinstance(writer, Credited):
                writer.credit(episode, conclusive)
        names = [name for task, name in self._asked if task == episode.task]
        self._asked.clear()
        if not names:
            return
        wrote = {a.program.writer for a in episode.attempts if a.ok}
        vector = self._vector(episode.task)
        for name in names:
            last = name == names[-1]
            solved = name in wrote or (last and episode.solved)
            if solved or conclusive or not last:
                self.model.learn(vector, of_model(name, "", Cost()), 0.0, solved)
        if self._store is not None:
            self._store.put_versioned_state(self._key, self.model.save())

    def _next(self, left: Sequence[Writer], task: Task, context: Context, ledger: Ledger) -> Writer | None:
        import numpy as np

        remaining = ledger.remaining
        things = [self._thing(writer, task, context, remaining) for writer in left]
        none = np.zeros(len(things), dtype=np.float32)
        vector = self._vector(task)
        chances, doubts = self.model.chances(vector, things, none), self.model.doubts(vector, things)
        judged: list[Choice] = []
        for thing, chance, doubt in zip(things, chances, doubts, strict=True):
            hoped = min(1.0, max(_LEAST, float(chance + doubt)))
            judged += self._selector.pick(task, [Candidate(thing, 0.0, round(hoped, 4))], remaining).choices
        worth = [((c.price + _TRYING) / c.success, place) for place, c in enumerate(judged) if c.taken]
        writer = left[min(worth)[1]] if worth else None
        options = [
            {
                "writer": one.name,
                "chance": round(float(c), 4),
                "tried": self.model.uses(one.id),
                "cost": one.cost.nonzero(),
            }
            for one, c in zip(things, chances, strict=True)
        ]
        why = "; ".join(f"{c.augmentation.name}: {c.why}, price {c.price:.3g}" for c in judged)
        self._tell({"writer": writer.name if writer is not None else None, "why": why, "options": options})
        if writer is None:
            self._lacked.append(why)
            return None
        if (task, writer.name) not in self._asked:
            self._asked.append((task, writer.name))
        return writer

    def _refused(self, writer: Writer, task: Task) -> None:
        self._asked.remove((task, writer.name))  # which says nothing about what it can do

    def _thing(self, writer: Writer, task: Task, context: Context, remaining: Budget) -> Augmentation:
        """The writer, at the most that it may cost, which is no more than what is left."""
        cost = writer.most(task, context) if isinstance(writer, Priced) else Cost()
        left = {kind: getattr(remaining, kind) for kind in KINDS}
        least = {k: min(getattr(cost, k), m) for k, m in left.items() if m is not None}
        thing = of_model(writer.name, "", replace(cost, **least))
        uses = self.model.uses(thing.id)
        return replace(thing, uses=uses, successes=round(self.model.successes(thing.id)))

    def _vector(self, task: Task) -> Any:
        return self._embedder.embed([task.text or str(task.goal)])[0]
