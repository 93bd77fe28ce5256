"""What a writer that reads is shown: passages of documents and demonstrations, within a number of tokens, paid for when
they are shown.

A document with a price is bought once in a run: its price is reserved before, and the journal says that it was bought
before the money is gone. What was shown counts as used once the outcome of the task is known.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from habilis.agent.tape import TaskTape
from habilis.core import (
    Augmentation,
    BudgetExceeded,
    Cost,
    Episode,
    EventStream,
    Kind,
    Ledger,
    NotFoundError,
    Reading,
    load,
)
from habilis.memory.journal import Journal
from habilis.tools import Catalogue, of_episode

__all__ = ["READ", "ReadingRoom"]

READ = frozenset({Kind.DOCUMENT, Kind.DEMONSTRATION})
READING_TOKENS = 4_000  # at most for one task; as much again as the rest of a usual prompt
_DEMONSTRATIONS = 3  # in one prompt: more of them repeat each other
_REMEMBERED = 1_000  # solved tasks of this world, the latest, that may serve as demonstrations


class ReadingRoom:
    """Puts what can be read into the catalogue, and hands out what was picked. ``uses``: the kinds that the writer can
    make use of; others are not put there, and cost nothing. ``run_id``: of the run in hand."""

    def __init__(
        self,
        catalogue: Catalogue,
        journal: Journal,
        events: EventStream,
        run_id: Callable[[], int],
        *,
        fingerprint: str | None = None,
        uses: Iterable[Kind] = tuple(Kind),
    ) -> None:
        self._catalogue, self._journal, self._events, self._run_id = catalogue, journal, events, run_id
        self._fingerprint, self._uses = fingerprint, frozenset(uses)
        self._demonstrations: dict[str, None] = {}  # ids, oldest first
        self._priced: dict[str, list[Augmentation]] = {}  # passages of each document that has a price
        self._bought: tuple[int, set[str]] | None = None  # the documents bought in a run
        self._paid: dict[str, Cost] = {}  # for what is shown in the task in hand, by augmentation

    # -- what can be picked --------------------------------------------------------------------------------------------

    def stock(self, documents: Iterable[Augmentation]) -> None:
        """Offer these documents from now on, and no others."""
        if Kind.DOCUMENT not in self._uses:
            return
        offered = list(documents)
        start = f"{Kind.DOCUMENT.value}:"
        known = {one for one in self._catalogue.ids() if one.startswith(start)}
        self._catalogue.remove(*sorted(known - {one.id for one in offered}))
        self._catalogue.put(*offered)
        self._priced = {}
        for one in offered:
            if one.meta.get("price"):
                self._priced.setdefault(str(one.meta["document"]), []).append(one)

    def remember(self, episodes: Iterable[Episode]) -> None:
        """Offer the solved among these as demonstrations: of equal ones the first, of all the latest."""
        if Kind.DEMONSTRATION not in self._uses:
            return
        for episode in episodes:
            task = episode.task
            own = self._fingerprint is None or task.fingerprint in ("", self._fingerprint)
            solved = next((a for a in reversed(episode.attempts) if a.ok), None)
            if not episode.solved or solved is None or task.kind != "achieve" or not own:
                continue
            told = f"{task.goal}\0{solved.program.source}".encode("utf-8", "replace")
            one = of_episode(episode, hashlib.sha256(told).hexdigest()[:12])
            if one.id in self._demonstrations:
                continue
            self._catalogue.put(one)
            self._demonstrations[one.id] = None
            if len(self._demonstrations) > _REMEMBERED:
                oldest = next(iter(self._demonstrations))
                del self._demonstrations[oldest]
                self._catalogue.remove(oldest)

    def reprice(self) -> None:
        """What was bought in the run in hand has no price in it any more."""
        if not self._priced:
            return
        bought = self._bought_now()
        for document, passages in self._priced.items():
            for one in passages:
                cost = Cost(tokens=one.cost.tokens) if document in bought else one.cost
                self._catalogue.put(replace(one, cost=cost))

    @staticmethod
    def enough(picked: Sequence[Augmentation]) -> tuple[Augmentation, ...]:
        """What was picked, best first, without what would be too much to read."""
        left, shown, kept = READING_TOKENS, _DEMONSTRATIONS, []
        for one in picked:
            if one.kind in READ:
                if one.cost.tokens > left or (one.kind is Kind.DEMONSTRATION and not shown):
                    continue
                left -= one.cost.tokens
                shown -= one.kind is Kind.DEMONSTRATION
            kept.append(one)
        return tuple(kept)

    # -- what is shown -------------------------------------------------------------------------------------------------

    def open(self, picked: Sequence[Augmentation], ledger: Ledger, tape: TaskTape) -> Callable[[], tuple[Reading, ...]]:
        """What hands out, and pays for, what was picked for a task: a context's ``read``."""
        self._paid = {}
        wanted = [one for one in picked if one.kind in READ]

        def read() -> tuple[Reading, ...]:
            return tuple(
                Reading(one.kind, str(one.meta.get("title", one.name)), str(one.meta.get("text", "")))
                for one in wanted
                if self._pay(one, ledger, tape)
            )

        return read

    def shown(self) -> dict[str, Cost]:
        """What was handed out for the task in hand, by id, and what was paid for it."""
        return dict(self._paid)

    def _pay(self, one: Augmentation, ledger: Ledger, tape: TaskTape) -> bool:
        """Whether it may be shown: it is free, or bought already, or can be paid now."""
        price = load(Cost, one.meta.get("price") or {})
        document = str(one.meta.get("document", one.name))
        if not price.nonzero() or document in self._bought_now():
            self._paid.setdefault(one.id, Cost())
            return True
        try:
            held = ledger.reserve(price, what=f"the document {document}")
        except BudgetExceeded:
            return False
        with held:
            tape.bought(document, price)
            held.commit()
        self._bought_now().add(document)
        self._paid[one.id] = price
        self._events.emit("document_bought", None, document=document, cost=price.nonzero())
        return True

    def _bought_now(self) -> set[str]:
        """The documents that were bought in the run in hand, before it was resumed too."""
        try:
            run = self._run_id()
        except NotFoundError:  # none is open, so nothing was bought in it
            return set()
        if self._bought is None or self._bought[0] != run:
            events = self._journal.events(run)
            self._bought = run, {str(e.data["document"]) for e in events if e.kind == "document_bought"}
        return self._bought[1]
