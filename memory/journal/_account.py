"""The account: what is held for calls in flight, and what each run has spent, written down before a call begins.

It has a file of its own beside the journal's, because it must be durable when a transaction of the journal is not: the
upkeep of a library is one long transaction, in which a judge asks a chat model, from another thread. What is in it is
folded into the journal when the home is opened for writing (`settle_left_open`), so that it may be deleted whenever no
run was killed.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from habilis.core import Cost, Event, Json, NotFoundError, cut_short
from habilis.memory.journal._database import Database, Hook
from habilis.memory.journal._records import from_text, read, to_text
from habilis.memory.journal._runs import Runs
from habilis.memory.journal._schema import Migration

_ACCOUNT: tuple[Migration, ...] = (
    (
        """CREATE TABLE spent (
            run_id INTEGER PRIMARY KEY,
            data TEXT NOT NULL
        )""",
        """CREATE TABLE held (
            name TEXT PRIMARY KEY,
            run_id INTEGER NOT NULL,
            what TEXT NOT NULL,
            again INTEGER NOT NULL,
            data TEXT NOT NULL,
            at REAL NOT NULL
        )""",
        """CREATE TABLE standing (
            payee TEXT PRIMARY KEY,
            data TEXT NOT NULL
        )""",
    ),
)


@dataclass(frozen=True, slots=True)
class Held:
    """A reservation that a kill left open. ``again``: the call is safe to make again."""

    name: str
    run_id: int
    what: str
    again: bool
    cost: Cost


class Account(Database):
    """What is held and spent, by run; and what was learned of payees that did not keep to their price."""

    def __init__(
        self,
        path: Path | str,
        *,
        clock: Callable[[], float],
        read_only: bool = False,
        before_write: Hook | None = None,
    ) -> None:
        super().__init__(path, clock=clock, read_only=read_only, before_write=before_write, migrations=_ACCOUNT)
        self._late: list[str] = []  # settled in memory, when the disk was full: still to be crossed out

    def reserved(self, run_id: int, cost: Cost, what: str, again: bool) -> str:
        """Note that a call is about to begin; returns the note's name."""
        name = os.urandom(9).hex()
        row = (name, run_id, what, again, to_text(cost.nonzero()), self.clock())
        with self.transaction():
            self._write("INSERT INTO held VALUES (?, ?, ?, ?, ?, ?)", row)
        return name

    def settled(self, run_id: int, name: str, spent: Cost) -> None:
        """Cross the note out, and write down what the run has spent in all."""
        names = [*self._late, name]
        try:
            with self.transaction():
                for one in names:
                    self._write("DELETE FROM held WHERE name = ?", (one,))
                self._write("INSERT OR REPLACE INTO spent VALUES (?, ?)", (run_id, to_text(spent.nonzero())))
        except BaseException:
            self._late = names
            raise
        self._late = []

    def spent(self) -> dict[int, Cost]:
        """What each run had spent at its last settled call, as far as it is not folded into the journal."""
        rows = self._rows("SELECT run_id, data FROM spent ORDER BY run_id")
        return dict(self._each(rows, lambda row: (int(row[0]), _cost(row[1], f"what run {row[0]} has spent"))))

    def held(self) -> list[Held]:
        """What is held, oldest first."""
        rows = self._rows("SELECT name, run_id, what, again, data FROM held ORDER BY rowid")

        def one(row: Any) -> Held:
            return Held(str(row[0]), int(row[1]), str(row[2]), bool(row[3]), _cost(row[4], f"what {row[2]} may cost"))

        return list(self._each(rows, one))

    def clear(self, run_ids: Iterable[int]) -> None:
        """Forget what was folded into the journal."""
        with self.transaction():
            for run_id in run_ids:
                self._write("DELETE FROM held WHERE run_id = ?", (run_id,))
                self._write("DELETE FROM spent WHERE run_id = ?", (run_id,))

    def standing(self, payee: str) -> dict[str, Json]:
        """What was learned of a payee, empty where nothing was. What is damaged is left aside with a warning."""
        rows = self._rows("SELECT payee, data FROM standing WHERE payee = ?", (payee,))
        return dict(self._each(rows, _standing)).get(payee, {})

    def standings(self) -> dict[str, dict[str, Json]]:
        """All of them, by payee."""
        return dict(self._each(self._rows("SELECT payee, data FROM standing ORDER BY payee"), _standing))

    def put_standing(self, payee: str, data: Mapping[str, Json]) -> None:
        """Keep what was learned of a payee; empty: nothing is."""
        with self.transaction():
            if data:
                self._write("INSERT OR REPLACE INTO standing VALUES (?, ?)", (payee, to_text(dict(data))))
            else:
                self._write("DELETE FROM standing WHERE payee = ?", (payee,))


class Accounted(Runs):
    """The part of the journal that keeps the account."""

    _account: Account | None = None
    _opening = threading.Lock()

    @property
    def account_path(self) -> Path:
        return self.path.with_name(f"{self.path.stem}-account{self.path.suffix}")

    @property
    def account(self) -> Account:
        """The account's file, made when the first call is to be noted."""
        with self._opening:
            if self._account is None:
                self._account = Account(
                    self.account_path, clock=self.clock, read_only=self.read_only, before_write=self._hook
                )
            return self._account

    def keeper(self, run_id: int) -> RunKeeper:
        """What tells the account of everything that a run's ledger holds."""
        return RunKeeper(self, run_id)

    def standing(self, payee: str) -> dict[str, Json]:
        """What was learned of a payee's price (`habilis.core.Standing`), empty where nothing was."""
        return self.account.standing(payee) if self.account_path.exists() else {}

    def standings(self) -> dict[str, dict[str, Json]]:
        """All payees of whose prices something was learned: "tool:OWNER:NAME", "model:NAME", "embeddings:…"."""
        return self.account.standings() if self.account_path.exists() else {}

    def put_standing(self, payee: str, data: Mapping[str, Json]) -> None:
        """Keep what was learned of a payee's price, at once, whatever becomes of the transaction in hand."""
        if data or self.account_path.exists():
            self.account.put_standing(payee, data)

    def settle_left_open(self) -> list[Held]:
        """Fold the account into the journal, as its owner opens it: what a kill left open is charged or released
        (`cut_short`), with an event ``left_open`` that says so, once. Returns what was open.

        A kill in here costs nothing: the event and the sum are one transaction of the journal, and a reservation whose
        event is there is only crossed out.
        """
        if self.read_only or not self.account_path.exists():
            return []
        held, spent = self.account.held(), self.account.spent()
        run_ids = sorted({*spent, *(one.run_id for one in held)})
        for run_id in run_ids:
            self._fold(run_id, spent.get(run_id, Cost()), [one for one in held if one.run_id == run_id])
        if run_ids:
            self.account.clear(run_ids)
        return held

    def _fold(self, run_id: int, spent: Cost, held: list[Held]) -> None:
        try:
            before = self.run(run_id).spent
        except NotFoundError:  # of a journal that was put back from an older copy
            return
        told = {e.data.get("held") for e in self.events(run_id) if e.kind == "left_open"} if held else set()
        # Both are sums of one run that only grew, so the larger of each kind is the later one.
        total = Cost(**{f.name: max(getattr(before, f.name), getattr(spent, f.name)) for f in fields(Cost)})
        with self.transaction():
            for one in held:
                if one.name in told:
                    continue
                charged = cut_short(one.cost, one.again)
                total += charged
                self.append_event(run_id, Event("left_open", _story(one, charged)))
            if total != before:
                self.update_run(run_id, spent=total)

    def close(self) -> None:
        with self._opening:
            if self._account is not None:
                self._account.close()
        super().close()


@dataclass(frozen=True)
class RunKeeper:
    """Tells the account of one run's reservations. Satisfies `habilis.core.Keeper`."""

    journal: Accounted
    run_id: int

    def reserved(self, cost: Cost, what: str, again: bool) -> str:
        return self.journal.account.reserved(self.run_id, cost, what, again)

    def settled(self, name: str, spent: Cost) -> None:
        self.journal.account.settled(self.run_id, name, spent)


def _story(one: Held, charged: Cost) -> dict[str, Json]:
    why = "the process ended while the call was under way; what it has cost is not known, so the most is charged"
    if not charged.nonzero():
        why = "the process ended while the call was under way; it is safe to make again, and charged then"
    return {
        "held": one.name,
        "what": one.what,
        "reserved": one.cost.nonzero(),
        "charged": charged.nonzero(),
        "why": why,
    }


@dataclass(frozen=True)
class _Learned:
    """What a standing must hold to be of use (`habilis.core.Standing`)."""

    learned: Mapping[str, Cost | int]
    overruns: int

    def __post_init__(self) -> None:
        if any(isinstance(n, int) and n < 0 for n in (self.overruns, *self.learned.values())):
            raise ValueError("it counts less than nothing")


def _standing(row: Any) -> tuple[str, dict[str, Json]]:
    payee = str(row[0])
    where = f"what was learned of {payee}"
    found: dict[str, Json] = from_text(row[1], where)
    read(_Learned, found, where)
    return payee, found


def _cost(text: str, where: str) -> Cost:
    return read(Cost, from_text(text, where), where)


__all__ = ["Account", "Accounted", "Held", "RunKeeper"]
