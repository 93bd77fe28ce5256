"""An auditor of calls, who believes no ledger: when each was asked for, began, ended and was settled, what it declared
and what it has cost is noted, and added up anew in whole numbers.

A *violation* is a call that began when what had been spent, what was declared by the calls under way, and its own
declaration were together more than a limit of any account that it draws on. An *overrun* is a call that has cost more
than it declared; from the moment when it is settled it counts as what it has cost.
"""

from __future__ import annotations

import itertools
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from habilis.core import Budget, Cost
from habilis.core.budget import KINDS

UNIT = 1 << 20  # all amounts of the benchmark are whole numbers of 1/UNIT, so that floats hold them exactly


@dataclass(frozen=True, slots=True)
class Call:
    """One call. Times in ns: ``asked`` before it was reserved, ``began`` after, ``ended`` before it was settled,
    ``settled`` after; the last two are None for one that a kill cut short. ``accounts``: all that it draws on;
    ``actual``: what it has cost; ``payee``: whose call it was."""

    accounts: tuple[str, ...]
    most: Cost
    asked: int
    began: int
    ended: int | None = None
    settled: int | None = None
    actual: Cost | None = None
    payee: str = ""

    @property
    def overran(self) -> bool:
        return self.actual is not None and bool(self.actual.less(self.most).nonzero())


@dataclass(frozen=True)
class Findings:
    """``spent``: of each account, as it is known from outside."""

    calls: int
    violations: int
    overruns: Mapping[str, int]
    spent: Mapping[str, Cost]


class Auditor:
    """Takes notes from any thread."""

    def __init__(self) -> None:
        self._notes: list[tuple[int, str, int, object]] = []  # appending is atomic
        self._numbers = itertools.count()

    def ask(self) -> tuple[int, int]:
        return next(self._numbers), time.perf_counter_ns()

    def begin(self, ticket: tuple[int, int], accounts: Sequence[str], most: Cost, payee: str = "") -> None:
        call = Call(tuple(accounts), most, ticket[1], time.perf_counter_ns(), payee=payee)
        self._notes.append((ticket[0], "begin", 0, call))

    def end(self, ticket: tuple[int, int], actual: Cost) -> None:
        self._notes.append((ticket[0], "end", time.perf_counter_ns(), actual))

    def settle(self, ticket: tuple[int, int]) -> None:
        self._notes.append((ticket[0], "settle", time.perf_counter_ns(), None))

    def calls(self) -> list[Call]:
        found: dict[int, Call] = {}
        for number, what, at, data in self._notes:
            if isinstance(data, Call):
                found[number] = data
            elif what == "end" and isinstance(data, Cost):
                found[number] = replace(found[number], ended=at, actual=data)
            else:
                found[number] = replace(found[number], settled=at)
        return list(found.values())


def audit(calls: Iterable[Call], limits: Mapping[str, Budget]) -> Findings:
    """Go through everything in the order in which it happened."""
    calls = list(calls)
    moments: list[tuple[int, int, str, Call]] = []
    for call in calls:
        moments.append((call.began, 1, "began", call))
        if call.ended is not None:
            moments.append((call.ended, 0, "ended", call))
            if call.overran:
                moments.append((call.settled or call.ended, 0, "settled", call))
    moments.sort(key=lambda m: m[:2])
    sums: dict[str, list[int]] = defaultdict(lambda: [0] * len(KINDS))
    late: list[Call] = []  # overruns, as they were settled
    violations = 0
    for _, _, what, call in moments:
        most = _whole(call.most)
        actual = _whole(call.actual) if call.actual is not None else most
        kept = [min(pair) for pair in zip(actual, most, strict=True)]
        if what == "began":
            _add(sums, call.accounts, most)
            # What an overrun is over by cannot have been known before it was settled.
            unknown = [c for c in late if (c.settled or 0) > call.asked]
            violations += _passes(sums, call, limits, unknown)
        elif what == "ended":
            _add(sums, call.accounts, [k - m for k, m in zip(kept, most, strict=True)])
        else:
            _add(sums, call.accounts, [a - k for a, k in zip(actual, kept, strict=True)])
            late.append(call)
    overruns = Counter(c.payee for c in calls if c.overran)
    return Findings(len(calls), violations, overruns, {name: _cost(amounts) for name, amounts in sums.items()})


def _passes(
    sums: Mapping[str, Sequence[int]], call: Call, limits: Mapping[str, Budget], unknown: Sequence[Call]
) -> bool:
    """Whether a call began that should not have; of kinds that it asks for alone, since others it does not touch."""
    asked = _whole(call.most)
    for account in call.accounts:
        over = [0] * len(KINDS)
        for one in unknown:
            if account in one.accounts and one.actual is not None:
                over = [o + m for o, m in zip(over, _whole(one.actual.less(one.most)), strict=True)]
        for i, kind in enumerate(KINDS):
            limit = getattr(limits[account], kind)
            if limit is not None and asked[i] and sums[account][i] - over[i] > limit * UNIT:
                return True
    return False


def _add(sums: dict[str, list[int]], accounts: Iterable[str], amounts: Sequence[int]) -> None:
    for account in accounts:
        sums[account] = [s + a for s, a in zip(sums[account], amounts, strict=True)]


def _whole(cost: Cost) -> list[int]:
    whole = [getattr(cost, kind) * UNIT for kind in KINDS]
    assert all(float(w).is_integer() for w in whole), cost
    return [int(w) for w in whole]


def _cost(amounts: Sequence[int]) -> Cost:
    values = (a / UNIT if kind in ("usd", "seconds") else a // UNIT for kind, a in zip(KINDS, amounts, strict=True))
    return Cost(**dict(zip(KINDS, values, strict=True)))  # type: ignore[arg-type]
