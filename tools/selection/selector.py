"""Choosing what to use for a task under a budget.

Every augmentation, of whatever kind, comes with its relevance and the chance that it helps (`habilis.tools.selection`:
``space``, ``success``). Of these a set is chosen for the most expected success, less what it costs.

*Expected success.* A task has parts, and needs something for each: one that asks for the weather and for a flight needs
two tools. The value of a set is the number of needs that it is expected to meet:

- a tool or a skill does something of its own, so it meets a need of its own, and the chances of several are added up.
  Of those that declare that they do the same (``provides``) one is taken;
- demonstrations, documents and models do in other words what others of their kind do: show how it goes, tell, write. Of
  several, one that helps is enough: with chances p and q they are worth 1 - (1 - p)(1 - q) together (noisy-or). So the
  second good example is worth less than the first, and soon less than its price.

A plain sum would pay for ten examples of the same thing. One noisy-or over everything would be the chance of a task
with a single need: it drops the second tool of two as soon as the first is good and the second has a price. On the 497
queries of MetaTool (Huang et al. 2024) that need two tools, with chances up to .95 and money for about half of the
sixteen nearest, both are taken for 29 % of the queries by the sum, and for 10 % by one noisy-or
(``benchmarks/selection.py``). In either way each thing adds less beside others (submodular), which greedy methods live
on.

*Price*: for each limited kind of cost, and for the context, the share of the limit that one use takes, added up. What
is scarce is dear, what nothing limits is free. A set is worth its expected success less ``thrift`` times its price
(`BudgetSelector.utility`, `value_of`). Where a budget is paced over a stream of tasks, its multipliers take the place
of both: the price is then in chance of success (``pacing``).

*Constraints*: no limit is passed; of those that provide the same, one; whatever is required comes along and is paid
for; no more than ``max_context`` tokens of the prompt and ``max_items`` things. Nothing is taken for its own sake whose
chance is zero, or that adds less than its price. How the set is found is told in ``_packing``; `exact_pick` tries every
subset.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from habilis.core import Augmentation, Budget, Candidate, Choice, Cost, InputError, Kind, Selection, Task
from habilis.core.budget import KINDS
from habilis.tools.selection._packing import Packing, Thing, exhaust, pack
from habilis.tools.selection._reasons import Reasons
from habilis.tools.selection._requirements import Requirements
from habilis.tools.selection.pacing import Prices

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_EACH_ITS_OWN = (Kind.TOOL, Kind.SKILL)  # kinds whose members meet different needs


class BudgetSelector:
    """Chooses augmentations for a task under a limit (core's ``Selector``).

    ``max_items``: how many a selection may hold; more than a dozen confuse models more than they help. ``max_context``:
    tokens of the prompt that it may take, None for no limit; 16,000 are half of a window of 32,000, and leave the rest
    to the task, the world and the reply. ``thrift``: the chance of success that a use must add to be worth the whole of
    a limit; at 0 a dear tool is taken as soon as it fits, at 0.1 it gives way to one that does nearly as well.
    ``prices``: of a paced budget, in place of the shares of limits; they may be set anew before each task. Room in the
    prompt has its price by ``thrift`` all the same.

    The same arguments give the same selection; ties go to the id that sorts first.
    """

    def __init__(
        self,
        *,
        max_items: int = 12,
        max_context: int | None = 16_000,
        thrift: float = 0.1,
        prices: Prices | None = None,
    ) -> None:
        if max_items < 1 or not 0 <= thrift < math.inf:
            raise InputError(f"max_items must be >= 1 and thrift finite and >= 0, got {max_items} and {thrift}")
        if max_context is not None and not max_context >= 0:
            raise InputError(f"max_context is a number of tokens >= 0, or None for no limit, not {max_context!r}")
        self.max_items = max_items
        self.max_context = max_context
        self.thrift = thrift
        self.prices = prices

    def utility(self, chance: float, price: float) -> float:
        """What a thing is worth that adds this chance, at this price. Of several that share a need the chances are
        joined first: it must be ``chance`` less something that depends on the price alone."""
        return chance - (self.thrift if self.prices is None else 1.0) * price

    def pick(self, task: Task, pool: Sequence[Candidate], limit: Budget) -> Selection:
        """What to use for the task, within the limit, with a reason for everything that was considered.

        Raises `InputError` where two different candidates have one id, or one's chance is none.
        """
        problem = _Problem(self, pool, limit)
        return problem.solved(pack)


def exact_pick(selector: BudgetSelector, pool: Sequence[Candidate], limit: Budget) -> Selection:
    """The best selection of all, by trying every subset of what may be taken: for pools of at most 20 such."""
    problem = _Problem(selector, pool, limit)
    able = int(problem.packing.able.sum())
    if able > 20:
        raise InputError(f"{able} relevant augmentations make 2^{able} subsets; the limit is 20: use pick")
    return problem.solved(exhaust)


def value_of(selection: Selection, thrift: float = 0.1) -> float:
    """Expected success less ``thrift`` times price over what was taken: what selectors maximise (see above)."""
    missed: dict[str, float] = {}
    for choice in selection.choices:
        if choice.taken:
            need = _need(choice.augmentation)
            missed[need] = missed.get(need, 1.0) * (1 - choice.success)
    price = math.fsum(c.price for c in selection.choices if c.taken)
    return math.fsum(1 - m for m in missed.values()) - thrift * price


def _need(thing: Augmentation) -> str:
    """What it helps with; of those that share a need one is enough."""
    return thing.id if thing.kind in _EACH_ITS_OWN else thing.kind.value


class _Problem:
    """The candidates in the order of their ids, as things to pack."""

    def __init__(self, selector: BudgetSelector, pool: Sequence[Candidate], limit: Budget) -> None:
        self.candidates = _checked(pool)
        limits: dict[str, float | None] = {kind: getattr(limit, kind) for kind in KINDS}
        limits |= {"context": selector.max_context, "items": selector.max_items}
        self.limits = {name: most for name, most in limits.items() if most is not None}
        priced = [(n, most) for n, (name, most) in enumerate(self.limits.items()) if most and name != "items"]
        kinds = [kind for kind in KINDS if kind in self.limits]
        needs: dict[str, int] = {}
        groups: dict[str, int] = {}
        self.requirements = Requirements([c.augmentation for c in self.candidates])
        self.prices: list[float] = []
        things = []
        for i, candidate in enumerate(self.candidates):
            one, chance = candidate.augmentation, candidate.success
            amounts = [getattr(one.cost, kind) for kind in kinds]
            amounts += [one.context, 1] if "context" in self.limits else [1]
            price = self._price(selector, one, [amounts[n] / most for n, most in priced])
            utility = selector.utility(chance, price)
            shared = one.kind not in _EACH_ITS_OWN
            things.append(
                Thing(
                    worth=utility - chance if shared else utility,
                    chance=chance if shared else 0.0,
                    need=needs.setdefault(_need(one), len(needs)) if shared else -1,
                    amounts=tuple(amounts),
                    group=groups.setdefault(one.provides, len(groups)) if one.provides else -1,
                    closure=self.requirements.closure[i],
                    able=chance > 0 and not self.requirements.missing[i],
                )
            )
            self.prices.append(price)
        self.packing = Packing(things, tuple(self.limits.values()), len(needs))

    def _price(self, selector: BudgetSelector, thing: Augmentation, shares: Sequence[float]) -> float:
        """Of each limited kind the share that it takes; with prices, what those make of it, and of its context."""
        if selector.prices is None:
            return math.fsum(shares)
        room = thing.context / selector.max_context if selector.max_context else 0.0
        return selector.prices.cost(thing.cost) + selector.thrift * room

    def solved(self, search: Callable[[Packing], NDArray[np.bool_]]) -> Selection:
        """The selection that this way of searching finds."""
        import numpy as np

        with np.errstate(over="ignore", invalid="ignore"):  # what adds up to more than there are numbers is too much
            return self._selection(search(self.packing))

    def _selection(self, wanted: NDArray[np.bool_]) -> Selection:
        """What is wanted, (n,), with all that it requires, and the reasons."""
        taken = self.packing.closed(wanted[None])[0]
        reasons = Reasons(self.candidates, self.packing, self.limits, self.prices, self.requirements, taken)
        choices = []
        for i, (candidate, price) in enumerate(zip(self.candidates, self.prices, strict=True)):
            one, in_it = candidate.augmentation, bool(taken[i])
            blocked, why = ("", reasons.taken(i)) if in_it else reasons.left_out(i)
            choices.append(Choice(one, candidate.relevance, candidate.success, price, in_it, why, blocked))
        choices.sort(key=lambda c: (not c.taken, -c.success, c.augmentation.id))
        cost = Cost()
        for choice in choices:
            if choice.taken:
                cost = cost + choice.augmentation.cost
        return Selection(tuple(choices), cost)


def _checked(pool: Sequence[Candidate]) -> list[Candidate]:
    known: dict[str, Candidate] = {}
    for one in pool:
        id = one.augmentation.id
        if known.setdefault(id, one) != one:
            raise InputError(f"two different candidates have the id {id!r}; rename one")
        if not (0 <= one.success <= 1 and 0 <= one.relevance < math.inf):  # NaN is neither
            raise InputError(
                f"the candidate {id} has chance {one.success} and relevance {one.relevance}; a chance is from 0 to 1, "
                "a relevance finite and not below 0"
            )
    return [known[id] for id in sorted(known)]
