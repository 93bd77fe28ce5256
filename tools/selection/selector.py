"""Choosing what to use for a task under a budget.

Every augmentation, of whatever kind, comes with its relevance and the chance that it helps (`habilis.tools.selection`:
``space``, ``success``). Of these a set is chosen:

- *price*: for each limited kind of cost the share of the limit that one use takes, added up. What is scarce is dear,
  what nothing limits is free;
- *utility*: chance of success less ``thrift`` times price. The value of a selection is the sum over what it takes.
  Where a budget is paced over a stream of tasks, its multipliers take the place of both (``pacing``): the price is then
  in chance of success.

Constraints: no limit is passed; of those that provide the same, one; whatever is required comes along and is paid for;
at most ``max_items``. This is a knapsack with several dimensions and closures, NP-hard. It is solved greedily by
utility per price (Dantzig's rule; several orders, because one price for many dimensions is a guess), then by exchanges
of one for another until none helps. `exact_pick` tries every subset, to measure how far that falls short.

Nothing is taken for its own sake whose chance is zero, or not worth its price.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple, dataclass

from habilis.core import Augmentation, Budget, Candidate, Choice, Cost, InputError, Selection, Task
from habilis.core.budget import KINDS
from habilis.tools.selection.pacing import Prices


@dataclass(frozen=True, slots=True)
class _Item:
    """An augmentation with its numbers. ``closure``: bits of itself and of all that it requires; ``fault``: why it
    can never be taken; ``wanted``: it may be taken for its own sake."""

    candidate: Candidate
    price: float
    utility: float
    cost: tuple[float, ...]
    closure: int
    fault: str

    @property
    def augmentation(self) -> Augmentation:
        return self.candidate.augmentation

    @property
    def wanted(self) -> bool:
        return self.candidate.success > 0


@dataclass(frozen=True)
class _Problem:
    items: tuple[_Item, ...]
    limit: tuple[float | None, ...]
    groups: tuple[int, ...]  # bits of those that provide the same
    max_items: int

    def feasible(self, taken: int) -> bool:
        if taken.bit_count() > self.max_items or any((taken & g).bit_count() > 1 for g in self.groups):
            return False
        return all(
            limit is None or math.fsum(self.items[i].cost[kind] for i in _bits(taken)) <= limit * (1 + 1e-12)
            for kind, limit in enumerate(self.limit)
        )

    def value(self, taken: int) -> float:
        if not taken & (taken - 1):  # one bit, which most exchanges come down to
            return self.items[taken.bit_length() - 1].utility if taken else 0.0
        return math.fsum(self.items[i].utility for i in _bits(taken))

    def closed(self, wanted: int) -> int:
        taken = 0
        for i in _bits(wanted):
            taken |= self.items[i].closure
        return taken


class BudgetSelector:
    """Chooses augmentations for a task under a limit (core's ``Selector``).

    ``max_items``: how many a selection may hold; more than a dozen confuse models more than they help. ``thrift``: the
    chance of success that a use must add to be worth the whole of a limit; at 0 a dear tool is taken as soon as it
    fits, at 0.1 it gives way to one that does nearly as well.

    ``prices``: of a paced budget, in place of ``thrift``; they may be set anew before each task.

    The same arguments give the same selection; ties go to the id that sorts first.
    """

    def __init__(self, *, max_items: int = 12, thrift: float = 0.1, prices: Prices | None = None) -> None:
        if max_items < 1 or not thrift >= 0:
            raise InputError(f"max_items must be >= 1 and thrift >= 0, got {max_items} and {thrift}")
        self.max_items = max_items
        self.thrift = thrift
        self.prices = prices

    def pick(self, task: Task, pool: Sequence[Candidate], limit: Budget) -> Selection:
        """What to use for the task, within the limit, with a reason for everything that was considered.

        Raises `InputError` where two different candidates have one id.
        """
        problem = self._problem(pool, limit)
        return self._selection(problem, limit, _greedy(problem))

    def _problem(self, pool: Sequence[Candidate], limit: Budget) -> _Problem:
        known: dict[str, Candidate] = {}
        for one in pool:
            if known.setdefault(one.augmentation.id, one) != one:
                raise InputError(f"two different candidates have the id {one.augmentation.id!r}; rename one")
        candidates = [known[i] for i in sorted(known)]
        limits: tuple[float | None, ...] = tuple(getattr(limit, kind) for kind in KINDS)
        needs = _Needs([c.augmentation for c in candidates])
        groups: dict[str, int] = {}
        items = []
        for i, candidate in enumerate(candidates):
            thing = candidate.augmentation
            if thing.provides:
                groups[thing.provides] = groups.get(thing.provides, 0) | 1 << i
            cost: tuple[float, ...] = astuple(thing.cost)
            if self.prices is not None:
                price, thrift = self.prices.cost(thing.cost), 1.0
            else:
                price, thrift = math.fsum(c / m for c, m in zip(cost, limits, strict=True) if m), self.thrift
            closure, missing = needs.closure(i)
            fault = f"it needs {missing}, which is not at hand" if missing else ""
            utility = candidate.success - thrift * price
            items.append(_Item(candidate, price, utility, cost, closure, fault))
        return _Problem(tuple(items), limits, tuple(groups.values()), self.max_items)

    def _selection(self, problem: _Problem, limit: Budget, wanted: int) -> Selection:
        taken = problem.closed(wanted)
        choices = [
            Choice(
                item.augmentation,
                item.candidate.relevance,
                item.candidate.success,
                item.price,
                bool(taken >> i & 1),
                self._why(problem, limit, i, wanted, taken),
            )
            for i, item in enumerate(problem.items)
        ]
        choices.sort(key=lambda c: (not c.taken, -c.success, c.augmentation.id))
        cost = Cost()
        for choice in choices:
            if choice.taken:
                cost = cost + choice.augmentation.cost
        return Selection(tuple(choices), cost)

    def _why(self, problem: _Problem, limit: Budget, i: int, wanted: int, taken: int) -> str:
        item = problem.items[i]
        if taken >> i & 1 and wanted >> i & 1:
            record = f"{item.augmentation.successes} of {item.augmentation.uses} uses succeeded"
            return f"chance {item.candidate.success:.2f} (relevance {item.candidate.relevance:.2f}, {record})"
        if taken >> i & 1:
            by = [problem.items[j].augmentation.id for j in _bits(wanted) if problem.items[j].closure >> i & 1]
            return f"needed by {', '.join(by)}"
        if item.fault:
            return item.fault
        if not item.wanted:
            return f"too far from the task: relevance {item.candidate.relevance:.2f}"
        if not problem.feasible(item.closure):
            return _too_much(problem, item.closure, "with all it needs ")
        rival = next((g for g in problem.groups if g >> i & 1 and g & taken), 0)
        if rival:
            other = problem.items[next(_bits(rival & taken))].augmentation.id
            return f"{other} provides {item.augmentation.provides} already"
        if problem.feasible(taken | item.closure):
            return f"chance {item.candidate.success:.2f} is not worth its price {item.price:.2f}"
        return _too_much(problem, taken | item.closure, "with what does better ")


def exact_pick(selector: BudgetSelector, pool: Sequence[Candidate], limit: Budget) -> Selection:
    """The best selection of all, by trying every subset of the relevant ones: for pools of at most 20 of them."""
    problem = selector._problem(pool, limit)
    able = [i for i, item in enumerate(problem.items) if item.wanted and not item.fault]
    if len(able) > 20:
        raise InputError(f"{len(able)} relevant augmentations make 2^{len(able)} subsets; the limit is 20: use pick")
    best, best_value = 0, 0.0
    for number in range(1 << len(able)):
        wanted = sum(1 << i for bit, i in enumerate(able) if number >> bit & 1)
        taken = problem.closed(wanted)
        value = problem.value(taken)
        if value > best_value + 1e-12 and problem.feasible(taken):
            best, best_value = wanted, value
    return selector._selection(problem, limit, best)


def value_of(selection: Selection, thrift: float = 0.1) -> float:
    """The sum of the chances less ``thrift`` times price over what was taken: what selectors maximise."""
    return math.fsum(c.success - thrift * c.price for c in selection.choices if c.taken)


class _Needs:
    """Finds what an augmentation requires, directly and through others; cycles are allowed."""

    def __init__(self, things: Sequence[Augmentation]) -> None:
        self._things = things
        self._by_id = {t.id: i for i, t in enumerate(things)}
        self._by_name: dict[str, list[int]] = {}
        for i, thing in enumerate(things):
            self._by_name.setdefault(thing.name, []).append(i)

    def closure(self, start: int) -> tuple[int, str]:
        """Bits of ``start`` and all it requires, and the first requirement that nothing meets ("" if none)."""
        seen, todo = 1 << start, [start]
        while todo:
            thing = self._things[todo.pop()]
            for requirement in thing.requires:
                found = self._find(requirement, thing)
                if found is None:
                    return seen, requirement
                if not seen >> found & 1:
                    seen |= 1 << found
                    todo.append(found)
        return seen, ""

    def _find(self, requirement: str, by: Augmentation) -> int | None:
        """By id; else by name, its own kind first."""
        if requirement in self._by_id:
            return self._by_id[requirement]
        same = self._by_id.get(f"{by.kind.value}:{requirement}")
        if same is not None:
            return same
        others = self._by_name.get(requirement, [])
        return others[0] if others else None


def _greedy(problem: _Problem) -> int:
    """Bits of what is wanted (without what it requires), by several greedy orders and then exchanges."""
    able = [
        i
        for i, item in enumerate(problem.items)
        if item.wanted and not item.fault and problem.feasible(item.closure) and problem.value(item.closure) > 0
    ]

    def dearest(i: int) -> float:
        taken = list(_bits(problem.items[i].closure))
        return max(
            (math.fsum(problem.items[j].cost[k] for j in taken) / m for k, m in enumerate(problem.limit) if m),
            default=0.0,
        )

    def total(i: int) -> float:
        return math.fsum(problem.items[j].price for j in _bits(problem.items[i].closure))

    def worth(i: int) -> float:
        return problem.value(problem.items[i].closure)

    # A thousandth of a limit is the price of what is free, so that among free things the better come first.
    orders: tuple[Callable[[int], float], ...] = (
        lambda i: worth(i) / (total(i) + 1e-3),
        lambda i: worth(i) / (dearest(i) + 1e-3),
        worth,
    )
    best, best_value = 0, 0.0
    for order in orders:
        wanted = _exchange(problem, able, _fill(problem, sorted(able, key=lambda i: (-order(i), i)), 0))
        value = problem.value(problem.closed(wanted))
        if value > best_value + 1e-12:
            best, best_value = wanted, value
    return best


def _fill(problem: _Problem, order: Sequence[int], wanted: int) -> int:
    taken = problem.closed(wanted)
    value = problem.value(taken)
    for i in order:
        more = taken | problem.items[i].closure
        if wanted >> i & 1 or not problem.feasible(more):
            continue
        gained = problem.value(more)
        if gained > value or more == taken:  # what another one requires is wanted too, if it is relevant itself
            wanted, taken, value = wanted | 1 << i, more, gained
    return wanted


def _exchange(problem: _Problem, able: Sequence[int], wanted: int) -> int:
    """Put one in, or one in for one out, as long as that helps: the best such move first."""
    for _ in range(4 * problem.max_items):
        start = problem.closed(wanted)
        best, best_value = wanted, problem.value(start)
        bases = [(wanted, start, best_value)]
        for j in _bits(wanted):
            base = wanted & ~(1 << j)
            taken = problem.closed(base)
            bases.append((base, taken, problem.value(taken)))
        for i in able:
            if wanted >> i & 1:
                continue
            closure = problem.items[i].closure
            for base, taken, value in bases:
                gained = value + problem.value(closure & ~taken)
                if gained > best_value + 1e-12 and problem.feasible(taken | closure):
                    best, best_value = base | 1 << i, gained
        if best == wanted:
            break
        wanted = best
    return wanted


def _too_much(problem: _Problem, taken: int, what: str) -> str:
    for kind, limit in zip(KINDS, problem.limit, strict=True):
        total = math.fsum(getattr(problem.items[i].augmentation.cost, kind) for i in _bits(taken))
        if limit is not None and total > limit * (1 + 1e-12):
            return f"{what}it takes {kind}={total:g}, and {limit:g} is left"
    if taken.bit_count() > problem.max_items:
        return f"{what}there would be {taken.bit_count()}, and max_items={problem.max_items}"
    return f"{what}there would be two that provide the same"


def _bits(number: int) -> Iterator[int]:
    while number:
        low = number & -number
        yield low.bit_length() - 1
        number ^= low
