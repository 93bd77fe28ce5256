"""Cost, budget and the ledger, the account that is checked *before* spending.

A `Ledger` holds a limit for each kind of cost. Whoever is about to spend reserves the most it may cost; the
reservation is refused (`BudgetExceeded`) when spent + reserved + asked would pass a limit. Afterwards it commits what
it really cost, or releases. A child ledger has its own, tighter limits and draws on its parent's.

    with ledger.reserve(Cost(usd=0.02, calls=1)) as held:
        reply = call()
        held.commit(Cost(usd=reply.usd, calls=1))
"""

from __future__ import annotations

import math
import sys
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from decimal import Decimal
from types import TracebackType
from typing import Any, Protocol, Self

from habilis.core.errors import BudgetExceeded, InputError

KINDS: tuple[str, ...] = ("usd", "tokens", "seconds", "world_steps", "search_steps", "calls")

_MOST = sys.float_info.max


def _is_amount(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= _MOST


def _parsed(text: str, what: str) -> dict[str, Any]:
    """The amounts in a text such as ``usd=0.02,seconds=5``, by kind. Raises `InputError`."""
    amounts: dict[str, float | int] = {}
    for part in filter(None, (p.strip() for p in text.split(","))):
        name, sep, number = part.partition("=")
        try:
            value = float(number)
        except ValueError:
            sep, value = "", 0.0
        if not sep or name not in KINDS:
            raise InputError(f"cannot read {part!r} in {what}; write KIND=NUMBER with KIND one of {', '.join(KINDS)}")
        if name in amounts:
            raise InputError(f"{what} names {name} twice: {text!r:.80}; write it once")
        amounts[name] = value if name in ("usd", "seconds") or not value.is_integer() else int(value)
    return amounts


@dataclass(frozen=True, slots=True)
class Cost:
    """An amount of each thing that can be spent. All are >= 0 and finite."""

    usd: float = 0.0
    tokens: int = 0
    seconds: float = 0.0
    world_steps: int = 0
    search_steps: int = 0
    calls: int = 0

    def __post_init__(self) -> None:
        for name in KINDS:
            value = getattr(self, name)
            if not _is_amount(value):
                raise InputError(f"a cost is a finite number >= 0, but {name}={value!r}; declare what the call costs")

    @classmethod
    def parse(cls, text: str) -> Cost:
        """Read ``usd=0.02,seconds=5``; kinds not named are 0. Raises `InputError`."""
        return cls(**_parsed(text, "a cost"))

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.usd + other.usd,
            self.tokens + other.tokens,
            self.seconds + other.seconds,
            self.world_steps + other.world_steps,
            self.search_steps + other.search_steps,
            self.calls + other.calls,
        )

    def less(self, other: Cost) -> Cost:
        """The difference, never below zero."""
        return Cost(
            max(0.0, self.usd - other.usd),
            max(0, self.tokens - other.tokens),
            max(0.0, self.seconds - other.seconds),
            max(0, self.world_steps - other.world_steps),
            max(0, self.search_steps - other.search_steps),
            max(0, self.calls - other.calls),
        )

    def nonzero(self) -> dict[str, float]:
        return {k: v for k, v in asdict(self).items() if v}


@dataclass(frozen=True, slots=True)
class Budget:
    """A limit for each kind of cost; None means off (then it is only counted)."""

    usd: float | None = 0.0
    tokens: int | None = None
    seconds: float | None = None
    world_steps: int | None = None
    search_steps: int | None = None
    calls: int | None = None

    def __post_init__(self) -> None:
        for name in KINDS:
            value = getattr(self, name)
            if value is not None and not _is_amount(value):
                raise InputError(f"a budget is a finite number >= 0 or None (no limit), but {name}={value!r}")

    @classmethod
    def unlimited(cls) -> Budget:
        return cls(usd=None)

    @classmethod
    def parse(cls, text: str) -> Budget:
        """Read ``usd=0.02,seconds=5``; kinds not named are unlimited. Raises `InputError`."""
        return cls(**{"usd": None} | _parsed(text, "a budget"))


class Keeper(Protocol):
    """Who writes down what a ledger holds, so that a kill forgets none of it (the journal's `Account`).

    Both are called under the ledger's lock, so in order; they may ask no ledger, nor wait for somebody who does.
    """

    def reserved(self, cost: Cost, what: str, again: bool) -> str:
        """A call is about to begin: note it, and give it a name. What this raises refuses the call."""

    def settled(self, name: str, spent: Cost) -> None:
        """The call of this name is over, and all that was spent, its own cost included, is this."""


def cut_short(cost: Cost, again: bool) -> Cost:
    """What is charged of a reservation that a kill left open, for nobody knows what the call has cost.

    Money and tokens as they were reserved, for they may be on a bill. The call and its seconds, unless it is safe to
    make ``again``: then they are charged when it is. World and search steps never: the attempt is made again.
    """
    return Cost(cost.usd, cost.tokens, 0.0 if again else cost.seconds, calls=0 if again else cost.calls)


class Reservation:
    """What is held on a ledger. Use as a context manager, also with ``async with``; left without `commit`, however it
    is left, it is released. Settled once: what comes later does nothing."""

    __slots__ = ("_amounts", "_ledger", "_name", "_open", "cost")

    def __init__(self, ledger: Ledger, cost: Cost, amounts: tuple[int, ...], name: str | None) -> None:
        self._ledger, self.cost, self._amounts, self._name, self._open = ledger, cost, amounts, name, True

    def commit(self, actual: Cost | None = None) -> None:
        """Charge what it really cost (default: what was reserved) and give back the rest."""
        self._close(self._amounts if actual is None else _amounts(actual))

    def release(self) -> None:
        """Give everything back."""
        self._close(_NOTHING)

    def _close(self, actual: tuple[int, ...]) -> None:
        with self._ledger._lock:
            if self._open:
                self._open = False
                self._ledger._settle(self._amounts, actual, self._name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.release()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.release()


class Ledger:
    """An account with limits; safe under threads. ``spent`` includes what children spent.

    ``of``: what the limits are of, which a refusal tells: "" for everything together, "task" for one task. ``keeper``:
    told of every reservation here and below that holds more than world or search steps, before it is granted.

    Sums are exact, in units of 1e-12 USD and 1e-9 seconds, to which every amount is rounded once.
    """

    def __init__(
        self,
        limit: Budget | None = None,
        *,
        spent: Cost | None = None,
        parent: Ledger | None = None,
        of: str = "",
        keeper: Keeper | None = None,
    ) -> None:
        self.of = of
        self._spent = list(_amounts(spent)) if spent is not None else list(_NOTHING)
        self._reserved = list(_NOTHING)
        self._path: tuple[Ledger, ...] = (self, *(parent._path if parent is not None else ()))
        self._lock: threading.RLock = parent._lock if parent is not None else threading.RLock()
        if parent is None or keeper is not None:
            self._keeper, self._kept = keeper, self
        else:  # who is told, and the ledger whose sum is written down
            self._keeper, self._kept = parent._keeper, parent._kept
        self.top_up(limit if limit is not None else Budget.unlimited())

    @property
    def limit(self) -> Budget:
        return self._limit

    @property
    def spent(self) -> Cost:
        with self._lock:
            return _cost(self._spent)

    @property
    def reserved(self) -> Cost:
        with self._lock:
            return _cost(self._reserved)

    @property
    def remaining(self) -> Budget:
        """What can still be reserved here, ancestors included; None where nothing limits."""
        least: dict[str, float | None] = dict.fromkeys(KINDS)
        with self._lock:
            for node in self._path:
                for i, most in node._limits:
                    left = max(0, most - node._spent[i] - node._reserved[i])
                    amount = left / _UNITS[i] if _UNITS[i] > 1 else left
                    known = least[KINDS[i]]
                    least[KINDS[i]] = amount if known is None else min(known, amount)
        return Budget(**least)  # type: ignore[arg-type]

    def reserve(self, cost: Cost, *, what: str = "", again: bool = False) -> Reservation:
        """Hold this much, or raise `BudgetExceeded` naming the first limit it would pass.

        ``what``: the call that it is for, in words, and ``again``: that to make it twice does no harm, for the record
        (see `cut_short`). What the keeper raises, as where a disk is full, refuses the call too, and holds nothing.
        """
        amounts = _amounts(cost)
        with self._lock:
            for node in reversed(self._path):  # where several limits are reached, the widest is the one to raise
                node._check(cost, amounts)
            name = None
            if self._keeper is not None and any(amounts[i] for i in _LASTING):
                name = self._keeper.reserved(cost, what, again)
            for node in self._path:
                for i, amount in enumerate(amounts):
                    node._reserved[i] += amount
        return Reservation(self, cost, amounts, name)

    def spend(self, cost: Cost) -> None:
        """Reserve and commit at once."""
        self.reserve(cost).commit()

    def affords(self, cost: Cost) -> bool:
        """Whether `reserve` would be granted now. Holds nothing, so it disturbs no other thread."""
        amounts = _amounts(cost)
        with self._lock:
            try:
                for node in self._path:
                    node._check(cost, amounts)
            except BudgetExceeded:
                return False
        return True

    def child(self, limit: Budget | None = None, *, of: str = "") -> Ledger:
        """A ledger with its own limits, those ``of`` something, that also draws on this one."""
        return Ledger(limit, parent=self, of=of)

    def top_up(self, limit: Budget) -> None:
        """Replace the limits; what was spent stays."""
        with self._lock:
            self._limit = limit
            given = ((i, getattr(limit, kind)) for i, kind in enumerate(KINDS))
            self._limits = tuple((i, _most(most, _UNITS[i])) for i, most in given if most is not None)

    def restore(self, spent: Cost) -> None:
        """Take over what was spent before, as an interrupted run is continued."""
        with self._lock:
            self._spent = list(_amounts(spent))

    def _check(self, cost: Cost, amounts: tuple[int, ...]) -> None:
        for i, amount in enumerate(amounts):
            if amount and self._spent[i] + self._reserved[i] + amount > _TOP[i]:
                raise InputError(f"{KINDS[i]}={getattr(cost, KINDS[i])!r} more is beyond what can be counted")
        for i, most in self._limits:
            if amounts[i] and self._spent[i] + self._reserved[i] + amounts[i] > most:
                kind = KINDS[i]
                limit, spent, reserved, asked = (
                    getattr(of, kind) for of in (self._limit, _cost(self._spent), _cost(self._reserved), cost)
                )
                raise BudgetExceeded(kind, limit, spent, reserved, asked, self.of)

    def _settle(self, held: tuple[int, ...], actual: tuple[int, ...], name: str | None) -> None:
        for node in self._path:
            for i in range(len(held)):
                node._reserved[i] -= held[i]
                node._spent[i] = min(node._spent[i] + actual[i], _TOP[i])
        if name is not None and self._keeper is not None:
            self._keeper.settled(name, _cost(self._kept._spent))


_NOTHING = (0, 0, 0, 0, 0, 0)
_UNITS = (10**12, 1, 10**9, 1, 1, 1)  # of one USD, token, second …: finer than any price, and sums stay exact
_TOP = tuple(int(_MOST) * unit if unit > 1 else int(_MOST) for unit in _UNITS)
_LASTING = (0, 1, 2, 5)  # money, tokens, seconds and calls cannot be taken back; steps are taken again


def _amounts(cost: Cost) -> tuple[int, ...]:
    """A cost in whole units. A part of a token, step or call counts as one."""
    return (
        _scaled(cost.usd, 10**12),
        math.ceil(cost.tokens),
        _scaled(cost.seconds, 10**9),
        math.ceil(cost.world_steps),
        math.ceil(cost.search_steps),
        math.ceil(cost.calls),
    )


def _scaled(value: float, unit: int) -> int:
    return round(value * unit) if value < 1e15 else int(value) * unit


def _most(limit: float, unit: int) -> int:
    """A limit in whole units, never more than it says: 0.29 is taken as it is written, not as binary rounds it."""
    return limit * unit if isinstance(limit, int) else math.floor(Decimal(repr(float(limit))) * unit)


def _cost(amounts: list[int]) -> Cost:
    usd, tokens, seconds, world_steps, search_steps, calls = amounts
    return Cost(usd / _UNITS[0], tokens, seconds / _UNITS[2], world_steps, search_steps, calls)


def as_budget(value: Budget | Mapping[str, float | None] | str | None) -> Budget:
    """A budget from whatever users write: a `Budget`, a mapping, ``"usd=1,seconds=60"`` or None (unlimited)."""
    if value is None:
        return Budget.unlimited()
    if isinstance(value, Budget):
        return value
    if isinstance(value, str):
        return Budget.parse(value)
    if not isinstance(value, Mapping):
        raise InputError(f"a budget is a Budget, a mapping or a text such as 'usd=1,seconds=60', not {value!r}")
    unknown = sorted(map(str, set(value) - set(KINDS)))
    if unknown:
        raise InputError(f"a budget has no {unknown[0]!r}; kinds: {', '.join(KINDS)}")
    return replace(Budget.unlimited(), **dict(value))  # type: ignore[arg-type]
