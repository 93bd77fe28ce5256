"""How far the word of a payee about its price is taken: a tool, a chat model, a server of embeddings.

What a call costs at most is declared before it, and what it has cost is often known from the payee alone. A cost above
the declared most is an *overrun*. It is charged, and then the payee is refused, so that it never overruns again, or
priced anew by what it has cost (``overruns="reprice"``): who is called after an overrun can overrun once more, and is
refused then. Tools are refused unless the user says otherwise; servers of models and embeddings, whose requests differ,
are priced anew. A home remembers both.

Calls that are under way together could each overrun. `Turns` makes them one after the other, so that no call begins at
a price that another one has just refuted: tools that report their own cost always take turns, servers until one answer
has kept to the price.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextvars import ContextVar, Token
from dataclasses import dataclass, field
from types import TracebackType
from typing import Literal, Protocol, Self, get_args

from habilis.core.budget import Cost
from habilis.core.errors import InputError
from habilis.core.serial import dump
from habilis.core.world import Json

Overruns = Literal["reprice", "refuse"]


class Standings(Protocol):
    """Where a home keeps what was learned of payees (the journal)."""

    def standing(self, payee: str) -> Mapping[str, Json]: ...
    def put_standing(self, payee: str, data: Mapping[str, Json]) -> None: ...


@dataclass(frozen=True, slots=True)
class Overrun:
    """A call of ``payee`` has cost more than its ``most``. ``number``: 1 for the first in this home; ``refused``:
    whether it is refused from now on (else it was priced anew)."""

    payee: str
    most: Cost
    cost: Cost
    number: int
    refused: bool


@dataclass
class Standing:
    """What is known of one payee. Safe under threads. ``declared``: what it says of its price, as JSON: what was
    learned holds as long as that is the same. ``learned``: what its price is taken to be since the first overrun.
    ``unbelieved``: it is refused under every policy."""

    payee: str = ""
    declared: Json = None
    policy: Overruns = "reprice"
    learned: Mapping[str, Json] = field(default_factory=dict)
    overruns: int = 0
    unbelieved: bool = False
    store: Standings | None = None
    tell: Callable[[Overrun], None] | None = None
    _lock: threading.RLock = field(default_factory=threading.RLock, repr=False, compare=False)

    @property
    def refused(self) -> bool:
        """Whether it is not called any more."""
        return self.unbelieved or self.overruns > (0 if self.policy == "refuse" else 1)

    def keep(
        self, store: Standings | None, policy: Overruns = "reprice", tell: Callable[[Overrun], None] | None = None
    ) -> None:
        """Take over what a home has learned of this payee, and keep there what will be; ``tell`` of each overrun."""
        check_policy(policy)
        with self._lock:
            self.store, self.policy, self.tell = store, policy, tell
            known = store.standing(self.payee) if store is not None else {}
            already = self.overruns  # before there was a home to keep it
            if known and known.get("declared") == self.declared:
                learned = known.get("learned")
                if not already and isinstance(learned, Mapping):
                    self.learned = learned
                self.overruns = already + int(known.get("overruns", 0))
                self.unbelieved = self.unbelieved or bool(known.get("unbelieved"))
            if store is not None and already:
                store.put_standing(self.payee, self._data())

    def overran(self, most: Cost, cost: Cost, learned: Mapping[str, Json], *, unbelieved: bool = False) -> Overrun:
        """Note that a call has cost more than ``most``. ``learned``: what the price is taken to be from now on."""
        with self._lock:
            self.overruns += 1
            self.unbelieved = self.unbelieved or unbelieved
            self.learned = {**learned, "cost": dump(cost)}
            told = Overrun(self.payee, most, cost, self.overruns, self.refused)
            if self.store is not None:
                self.store.put_standing(self.payee, self._data())
        if self.tell is not None:
            self.tell(told)
        return told

    def forgive(self) -> None:
        """Take the payee at its word again."""
        with self._lock:
            self.learned, self.overruns, self.unbelieved = {}, 0, False
            if self.store is not None:
                self.store.put_standing(self.payee, {})

    def _data(self) -> dict[str, Json]:
        return {
            "declared": self.declared,
            "learned": dict(self.learned),
            "overruns": self.overruns,
            "refused": self.refused,
            "unbelieved": self.unbelieved,
        }


def check_policy(policy: str) -> None:
    """Raises `InputError` for what is no policy."""
    if policy not in get_args(Overruns):
        raise InputError(f"overruns={policy!r}: it is one of {', '.join(get_args(Overruns))}")


class Turns:
    """One call at a time, first come, first served, for threads and event loops alike.

    with turns.turn(): ...
    async with turns.turn(): ...

    ``side_by_side`` lets all who come from then on in at once. A call inside a call of the same would wait for itself;
    it raises `RecursionError`.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._free = self._busy = False
        self._waiting: deque[Future[bool]] = deque()  # each is told whether it holds the turn

    def turn(self) -> Turn:
        return Turn(self)

    @property
    def side_by_side(self) -> bool:
        return self._free

    @side_by_side.setter
    def side_by_side(self, free: bool) -> None:
        with self._lock:
            self._free = free
            while free and self._waiting:
                _wake(self._waiting.popleft(), False)

    def _ask(self, inside: bool) -> tuple[bool, Future[bool] | None]:
        """Whether the turn is taken, or what to wait for. ``inside``: of a call that has the turn."""
        with self._lock:
            if self._free:
                return False, None
            if inside:
                raise RecursionError("it is called from inside a call of itself, and its calls are made one at a time")
            if not self._busy:
                self._busy = True
                return True, None
            waiting: Future[bool] = Future()
            self._waiting.append(waiting)
            return False, waiting

    def _pass_on(self) -> None:
        with self._lock:
            while self._waiting:
                if _wake(self._waiting.popleft(), True):
                    return
            self._busy = False


_inside: ContextVar[tuple[int, ...]] = ContextVar("habilis_turns", default=())


class Turn:
    """One call's turn. Left however the call ends, also where waiting for it was given up."""

    def __init__(self, turns: Turns) -> None:
        self._turns, self._taken = turns, False
        self._before: Token[tuple[int, ...]] | None = None

    def _begin(self) -> Future[bool] | None:
        self._taken, waiting = self._turns._ask(id(self._turns) in _inside.get())
        return waiting

    def _began(self) -> None:
        if self._taken:
            self._before = _inside.set((*_inside.get(), id(self._turns)))

    def _gave_up(self, waiting: Future[bool]) -> None:
        if not waiting.cancel() and waiting.result():  # it was this one's turn already
            self._turns._pass_on()

    def _end(self) -> None:
        if self._before is not None:
            _inside.reset(self._before)
        if self._taken:
            self._turns._pass_on()

    def __enter__(self) -> Self:
        waiting = self._begin()
        if waiting is not None:
            try:
                self._taken = waiting.result()
            except BaseException:
                self._gave_up(waiting)
                raise
        self._began()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._end()

    async def __aenter__(self) -> Self:
        waiting = self._begin()
        if waiting is not None:
            try:
                self._taken = await asyncio.wrap_future(waiting)
            except BaseException:
                self._gave_up(waiting)
                raise
        self._began()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._end()


def _wake(waiting: Future[bool], holds: bool) -> bool:
    """Whether somebody still waits for it."""
    if not waiting.set_running_or_notify_cancel():
        return False
    waiting.set_result(holds)
    return True
