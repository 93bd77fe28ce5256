"""Pacing a budget over a stream of tasks: what is limited gets a price, which follows what was spent.

For each limited kind of cost there is a Lagrange multiplier, the chance of success that one unit must add to be worth
spending. After each task it goes up where more was spent than the task's share, and down where less: mirror descent on
the dual, in its multiplicative form (Balseiro, Lu and Mirrokni 2020; adaptive pacing of Balseiro and Gur 2019). The
share is what is left over the tasks that are left, so that early mistakes are made good (as in Jiang and Zhang 2020).

Prices only steer. What keeps the limits is the ledger: `Allowance.limit` is for ``ledger.child``, and never more than
what is left.

Exploring is paid from a purse, a slice of what the pace allowed and nobody spent: where every task needs its share,
nothing is tried out. And no larger slice of the tasks is explored with, for what is free in money costs success.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from habilis.core import Budget, Candidate, Cost, InputError, Json, Selection, Selector, Task
from habilis.core.budget import KINDS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Prices:
    """What one unit of each kind of cost is worth, in chance of success; kinds that are not named are free."""

    per_unit: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for kind, price in self.per_unit.items():
            if kind not in KINDS or not 0 <= price < math.inf:
                raise InputError(f"a price is a finite number >= 0 for one of {', '.join(KINDS)}, not {kind}={price!r}")

    def of(self, kind: str) -> float:
        return self.per_unit.get(kind, 0.0)

    def cost(self, cost: Cost) -> float:
        """The chance of success that this cost must add to be worth it."""
        return math.fsum(price * getattr(cost, kind) for kind, price in sorted(self.per_unit.items()))


@dataclass(frozen=True, slots=True)
class Allowance:
    """What the next task may cost. ``limit``: hard, for the task's ledger; ``share``: what is planned for it, of each
    limited kind; ``prices``: for the selector."""

    limit: Budget
    share: Mapping[str, float]
    prices: Prices


@dataclass(frozen=True, slots=True)
class PacingSettings:
    """``step``: how fast prices follow: the change of their logarithm when a task costs twice its share (a factor
    of e in twenty such tasks). ``start``: the chance that a whole share is worth at first, and ``least``, ``most``:
    always. ``burst``: shares that one task may cost at most. ``ahead``: tasks that are planned for where nobody knows
    how many will come. ``slice``: of the slack, and of the tasks, for exploring; 0 never explores.
    """

    step: float = 0.05
    start: float = 0.1
    least: float = 1e-3
    most: float = 10.0
    burst: float = 20.0
    ahead: int = 100
    slice: float = 0.2

    def __post_init__(self) -> None:
        if not 0 < self.step <= 1 or not 0 < self.least <= self.start <= self.most or not 0 <= self.slice <= 1:
            raise InputError(f"0 < step <= 1, 0 < least <= start <= most and 0 <= slice <= 1 must hold, got {self}")
        if not self.burst >= 1 or self.ahead < 1:
            raise InputError(f"burst and ahead must be >= 1, got {self.burst} and {self.ahead}")


class Pacer:
    """Turns a total into prices and limits, task by task.

        pacer = Pacer(Budget(usd=5), tasks=200)
        allowed = pacer.allow(ledger.remaining)
        …work on a child ledger with allowed.limit…
        pacer.ended(child.spent)

    ``tasks``: how many will come. ``rate``: in its place, what a task may cost on average, of some kinds. With neither,
    a hundredth of what is left is always planned for the next task, so that something is always left.
    """

    def __init__(
        self,
        total: Budget,
        tasks: int | None = None,
        *,
        rate: Budget | None = None,
        settings: PacingSettings | None = None,
    ) -> None:
        if tasks is not None and tasks < 1:
            raise InputError(f"tasks={tasks}: at least one task is needed; leave it out where nobody knows")
        if tasks is not None and rate is not None:
            raise InputError("give tasks or rate, not both: the one follows from the other")
        self.total, self.tasks, self.rate = total, tasks, rate
        self.settings = settings or PacingSettings()
        self.done = 0
        self._worth = {kind: self.settings.start for kind in KINDS if getattr(total, kind)}  # of a whole share
        self._shares: dict[str, float] = {}
        self._spent = dict.fromkeys(self._worth, 0.0)
        self._explored = dict.fromkeys(self._worth, 0.0)
        self._tried = 0

    def allow(self, remaining: Budget) -> Allowance:
        """What the next task may cost, given what is left on the ledger."""
        limit: dict[str, float | None] = {kind: getattr(remaining, kind) for kind in KINDS}
        shares: dict[str, float] = {}
        for kind in self._worth:
            known = limit[kind]
            left = float(getattr(self.total, kind) if known is None else known)
            shares[kind] = self._share(kind, left)
            most = min(left, self.settings.burst * shares[kind])
            limit[kind] = most if kind in ("usd", "seconds") else min(int(left), math.ceil(most))
        self._shares = shares
        # What is used up has no price: the limit keeps it from being spent.
        per_unit = {kind: self._worth[kind] / share for kind, share in shares.items() if share > 0}
        prices = Prices({kind: price for kind, price in per_unit.items() if price < math.inf})
        return Allowance(Budget(**limit), shares, prices)  # type: ignore[arg-type]

    def ended(self, spent: Cost) -> None:
        """The task that was last allowed has ended, and cost this much."""
        mine = self.settings
        for kind, share in self._shares.items():
            used = float(getattr(spent, kind))
            over = min(used / share - 1, 3.0) if share > 0 else 0.0
            self._worth[kind] = min(max(self._worth[kind] * math.exp(mine.step * over), mine.least), mine.most)
            self._spent[kind] += used
        self.done += 1

    def purse(self, kind: str) -> float:
        """What may be spent on exploring now: a slice of what the tasks so far could have cost and did not, less what
        exploring has cost."""
        if kind not in self._worth:
            return math.inf
        total = float(getattr(self.total, kind))
        slack = min(self.done * self._pace(kind, total, self.tasks), total) - self._spent[kind]
        return max(0.0, self.settings.slice * slack - self._explored[kind])

    def explore(
        self,
        selector: Selector,
        task: Task,
        pool: Sequence[Candidate],
        doubts: NDArray[np.float32],
        limit: Budget,
        picked: Selection,
    ) -> Selection:
        """A selection that tries what is uncertain, if the purse pays for it; else ``picked``.

        ``doubts``: the standard deviation of each candidate's chance, (n,), added to it (the optimism of UCB; Auer et
        al. 2002). The purse pays for the whole selection where it differs.
        """
        if self._tried + 1 > self.settings.slice * (self.done + 1):
            return picked
        hopeful = [
            replace(one, success=min(1.0, one.success + float(doubt))) for one, doubt in zip(pool, doubts, strict=True)
        ]
        other = selector.pick(task, hopeful, limit)
        if other.taken == picked.taken or any(getattr(other.cost, k) > self.purse(k) for k in self._worth):
            return picked
        for kind in self._explored:
            self._explored[kind] += float(getattr(other.cost, kind))
        self._tried += 1
        return other

    def save(self) -> Mapping[str, Json]:
        """Where it stands, as JSON. The ledger is what counts what was spent in all."""
        return {
            "schema_version": 1,
            "done": self.done,
            "worth": dict(self._worth),
            "spent": dict(self._spent),
            "explored": dict(self._explored),
            "tried": self._tried,
        }

    def load(self, data: Mapping[str, Any]) -> None:
        """Take `save` back. Kinds that are limited now and were not then begin anew."""
        self.done, self._tried = int(data.get("done", 0)), int(data.get("tried", 0))
        for name, mine in (("worth", self._worth), ("spent", self._spent), ("explored", self._explored)):
            known = data.get(name, {})
            mine.update({kind: float(known[kind]) for kind in mine if kind in known})

    def _share(self, kind: str, left: float) -> float:
        return min(left, self._pace(kind, left, None if self.tasks is None else max(1, self.tasks - self.done)))

    def _pace(self, kind: str, amount: float, tasks: int | None) -> float:
        """What a task may cost where so much is there for so many."""
        rate = getattr(self.rate, kind) if self.rate is not None else None
        return float(rate) if rate is not None else amount / (self.settings.ahead if tasks is None else tasks)


__all__ = ["Allowance", "Pacer", "PacingSettings", "Prices"]
