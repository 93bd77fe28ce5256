"""What selection under a budget is worth: how near it comes to the optimum, and how fast it is among a million.

*Quality*: made-up pools of 10 to 200 (`_selection_pools`), each also solved exactly by CBC through PuLP (``pip install
habilis[bench]``). The share of the optimum's value that the selector reaches, beside rivals that keep the same rules:
the nearest first as long as they fit, any order, and greedy by chance per price without improving it. *Scale*:
`_selection_scale`. With ``--data`` of MetaTool (its folder ``dataset``) also what one noisy-or over everything does to
the queries that need two tools.

    python -m benchmarks.selection --quick
"""

from __future__ import annotations

import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from benchmarks._harness import Figure, Options, main
from benchmarks._selection_pools import Case, draw, optimum
from benchmarks._selection_scale import measure_scale
from habilis.core import Augmentation, Budget, Candidate, Cost, Kind, Selection
from habilis.testing.selector import TASK, check_pick
from habilis.tools import BudgetSelector, value_of

AIMS = {"value_vs_optimum": ">= 0.99", "pick_p50_ms_1m": "<= 15"}
SIZES = (10, 20, 50, 100, 200)
THRIFT = 0.1


def selector(case: Case) -> BudgetSelector:
    return BudgetSelector(max_items=case.max_items, max_context=case.max_context, thrift=THRIFT)


def ours(case: Case) -> Selection:
    """The selector's choice, held against every rule."""
    limits = {"max_items": case.max_items, "max_context": case.max_context}
    return check_pick(selector(case), case.pool, case.limit, **limits)


def nearest(case: Case) -> Selection:
    return _filled(case, lambda c, price: -c.relevance)


def any_order(case: Case) -> Selection:
    random_ = random.Random(len(case.pool))
    return _filled(case, lambda c, price: random_.random())


def greedy(case: Case) -> Selection:
    return _filled(case, lambda c, price: -c.success / (price + 1e-3), worth_it=True)


def _filled(case: Case, order: Callable[[Candidate, float], float], *, worth_it: bool = False) -> Selection:
    """What may help, in this order, each with what it requires, as long as it fits; ``worth_it``: and gains."""
    told = selector(case).pick(TASK, case.pool, case.limit)  # for the prices of all
    choices = {c.augmentation.id: c for c in told.choices}
    by_id = {c.augmentation.id: c for c in case.pool}
    taken: set[str] = set()
    for id in sorted(by_id, key=lambda i: (order(by_id[i], choices[i].price), i)):
        more = taken | set(_needed(by_id, id))
        if by_id[id].success > 0 and _keeps(case, [by_id[i].augmentation for i in more]):
            gain = _value(told, more) - _value(told, taken)
            if gain > 0 or not worth_it:
                taken = more
    return _only(told, taken)


def _needed(by_id: Mapping[str, Candidate], id: str) -> Iterator[str]:
    yield id
    for required in by_id[id].augmentation.requires:
        yield from _needed(by_id, required)  # pools are drawn without circles


def _keeps(case: Case, things: Sequence[Augmentation]) -> bool:
    total = Cost()
    for one in things:
        total = total + one.cost
    provided = [one.provides for one in things if one.provides]
    return (
        all(
            limit is None or getattr(total, kind) <= limit * (1 + 1e-12)
            for kind in ("usd", "tokens", "seconds", "world_steps", "calls")
            for limit in [getattr(case.limit, kind)]
        )
        and sum(one.context for one in things) <= case.max_context
        and len(things) <= case.max_items
        and len(provided) == len(set(provided))
    )
