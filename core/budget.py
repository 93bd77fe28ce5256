"""Cost, budget and the ledger, the account that is checked *before* spending.

A `Ledger` holds a limit for each kind of cost. Whoever is about to spend reserves the most it may cost; the
reservation is refused (`BudgetExceeded`) when spent + reserved + asked would pass a limit. Afterwards it commits what
it really cost, or releases. A child ledger has its own, tighter limits and draws on its parent's.

    with ledger.reserve(Cost(usd=0.02, calls=1)) as held:
        reply = call()
        held.commit(Cost(usd=reply.usd, calls=1))
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from types import TracebackType
from typing import Self

from habilis.core.errors import BudgetExceeded, InputError

KINDS: tuple[str, ...] = ("usd", "tokens", "seconds", "world_steps", "search_steps", "calls")

_MOST = sys.float_info.max
_ROUNDING = 1 + 1e-12  # of sums of money and seconds; whole numbers are exact


def _is_amount(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= _MOST


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
        limits: dict[str, float | int | None] = {"usd": None}
        for part in filter(None, (p.strip() for p in text.split(","))):
            name, sep, number = part.partition("=")
            try:
                value = float(number)
            except ValueError:
                sep, value = "", 0.0
            if not sep or name not in KINDS:
                raise InputError(
                    f"cannot read {part!r} in a budget; write KIND=NUMBER with KIND one of {', '.join(KINDS)}"
                )
            limits[name] = value if name in ("usd", "seconds") or not value.is_integer() else int(value)
        return cls(**limits)  # type: ignore[arg-type]


class Reservation:
    """What is held on a ledger. Use as a context manager; left without `commit`, it is released."""

    def __init__(self, ledger: Ledger, cost: Cost) -> None:
        self._ledger, self.cost, self._open = ledger, cost, True

    def commit(self, actual: Cost | None = None) -> None:
        """Charge what it really cost (default: what was reserved) and give back the rest."""
        self._close(self.cost if actual is None else actual)

    def release(self) -> None:
        """Give everything back."""
        self._close(Cost())

    def _close(self, actual: Cost) -> None:
        with self._ledger._lock:
            if self._open:
                self._ledger._settle(self.cost, actual)
                self._open = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.release()


class Ledger:
    """An account with limits; safe under threads. ``spent`` includes what children spent.

    ``of``: what the limits are of, which a refusal tells: "" for everything together, "task" for one task.
    """

    def __init__(
        self,
        limit: Budget | None = None,
        *,
        spent: Cost | None = None,
        parent: Ledger | None = None,
        of: str = "",
    ) -> None:
        self.of = of
        self.limit = limit if limit is not None else Budget.unlimited()
        self._spent = spent if spent is not None else Cost()
        self._reserved = Cost()
        self._held = 0
        self._parent = parent
        self._lock: threading.RLock = parent._lock if parent is not None else threading.RLock()

    @property
    def spent(self) -> Cost:
        with self._lock:
            return self._spent

    @property
    def reserved(self) -> Cost:
        with self._lock:
            return self._reserved

    @property
    def remaining(self) -> Budget:
        """What can still be reserved here, ancestors included; None where nothing limits."""
        with self._lock:
            own: dict[str, float | None] = {}
            above = self._parent.remaining if self._parent is not None else Budget.unlimited()
            for kind in KINDS:
                limit = getattr(self.limit, kind)
                left = None
                if limit is not None:
                    left = max(0, limit - getattr(self._spent, kind) - getattr(self._reserved, kind))
                upper = getattr(above, kind)
                own[kind] = left if upper is None else upper if left is None else min(left, upper)
            return Budget(**own)  # type: ignore[arg-type]

    def reserve(self, cost: Cost) -> Reservation:
        """Hold this much, or raise `BudgetExceeded` naming the first limit it would pass."""
        with self._lock:
            path = self._path()
            for node in reversed(path):  # where several limits are reached, the widest is the one to raise
                node._check(cost)
            sums = [node._reserved + cost for node in path]  # may refuse an overflow: before anything is changed
            for node, total in zip(path, sums, strict=True):
                node._reserved = total
                node._held += 1
        return Reservation(self, cost)

    def spend(self, cost: Cost) -> None:
        """Reserve and commit at once."""
        self.reserve(cost).commit()

    def affords(self, cost: Cost) -> bool:
        """Whether `reserve` would be granted now. Holds nothing, so it disturbs no other thread."""
        with self._lock:
            try:
                for node in self._path():
                    node._check(cost)
            except BudgetExceeded:
                return False
        return True

    def child(self, limit: Budget | None = None, *, of: str = "") -> Ledger:
        """A ledger with its own limits, those ``of`` something, that also draws on this one."""
        return Ledger(limit, parent=self, of=of)

    def top_up(self, limit: Budget) -> None:
        """Replace the limits; what was spent stays."""
        with self._lock:
            self.limit = limit

    def restore(self, spent: Cost) -> None:
        """Take over what was spent before, as an interrupted run is continued."""
        with self._lock:
            self._spent = spent

    def _path(self) -> list[Ledger]:
        """This ledger and all above it."""
        path, node = [], self
        while True:
            path.append(node)
            if node._parent is None:
                return path
            node = node._parent

    def _check(self, cost: Cost) -> None:
        for kind in KINDS:
            asked = getattr(cost, kind)
            if not asked:
                continue
            limit = getattr(self.limit, kind)
            if limit is None:
                continue
            spent, reserved = getattr(self._spent, kind), getattr(self._reserved, kind)
            most = limit * _ROUNDING if kind in ("usd", "seconds") else limit
            if spent + reserved + asked > most:
                raise BudgetExceeded(kind, limit, spent, reserved, asked, self.of)

    def _settle(self, held: Cost, actual: Cost) -> None:
        path = self._path()
        sums = [node._spent + actual for node in path]
        for node, spent in zip(path, sums, strict=True):
            node._spent = spent
            node._held -= 1
            # Sums of fractions leave crumbs; with nothing held, nothing is reserved, and a crumb is nothing.
            rest = node._reserved.less(held) if node._held else Cost()
            node._reserved = replace(rest, usd=round(rest.usd, 12), seconds=round(rest.seconds, 9))


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
