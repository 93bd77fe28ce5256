"""Pools to select from, and the best selection by an exact solver.

The pools are made up: 10 to 200 candidates of all kinds, 1 to 5 limits on costs besides those on context and items, a
third of the pools with prices that rise with the chance (the hard ones of knapsack, Pisinger 2005), a third with
requirements on most candidates and a third with few, providers in groups of rivals.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import Any, NamedTuple

from habilis.core import Augmentation, Budget, Candidate, Cost, Kind
from habilis.core.budget import KINDS

LIMITED = ("usd", "seconds", "tokens", "world_steps", "calls")
_MOST = {"usd": 0.05, "seconds": 20.0, "tokens": 4_000, "world_steps": 60, "calls": 3}
_KINDS = (*[Kind.TOOL] * 5, *[Kind.SKILL] * 5, *[Kind.DEMONSTRATION] * 3, *[Kind.DOCUMENT] * 3, Kind.MODEL)
_TOLERANCE = 1e-7  # between the bound and what was found, at which the solver's answer counts as the optimum


class Case(NamedTuple):
    """A pool, its limit, and the selector's own limits."""

    pool: list[Candidate]
    limit: Budget
    max_items: int
    max_context: int


def draw(seed: int, size: int) -> Case:
    """A pool of this size, by its seed alone."""
    random_ = random.Random(f"{seed}:{size}")
    limits = random_.sample(LIMITED, random_.randint(1, len(LIMITED)))
    dear_is_good, needing = random_.random() < 1 / 3, random_.choice((0.0, 0.15, 0.5))
    pool: list[Candidate] = []
    for i in range(size):
        kind, chance = random_.choice(_KINDS), round(random_.betavariate(2, 3), 4)
        amounts: dict[str, float] = {}
        for name in limits:
            if random_.random() < 0.7:
                part = 0.6 * chance + 0.4 * random_.random() if dear_is_good else random_.random()
                amount = _MOST[name] * part
                amounts[name] = round(amount, 4) if name in ("usd", "seconds") else round(amount)
        requires = random_.sample(range(i), min(i, random_.randint(1, 3))) if random_.random() < needing else []
        pool.append(
            Candidate(
                Augmentation(
                    kind,
                    f"a{i:03}",
                    f"thing {i}",
                    Cost(**amounts),  # type: ignore[arg-type]
                    provides="writer"
                    if kind is Kind.MODEL
                    else random_.choice(("", "", "", f"p{i % max(2, size // 8)}")),
                    requires=tuple(pool[j].augmentation.id for j in requires),
                    context=random_.randint(20, 200) if kind in (Kind.TOOL, Kind.SKILL) else random_.randint(200, 3000),
                ),
                relevance=min(1.0, round(chance + 0.1, 4)),
                success=chance if random_.random() < 0.9 else 0.0,
            )
        )
    room = random_.choice((1.5, 3.0, 6.0))  # of the dearest, how many fit
    told: dict[str, float | None] = dict.fromkeys(KINDS)
    told |= {name: _MOST[name] * room if name in ("usd", "seconds") else round(_MOST[name] * room) for name in limits}
    return Case(pool, Budget(**told), 12, random_.choice((4_000, 16_000)))  # type: ignore[arg-type]


def optimum(case: Case, thrift: float, *, seconds: float = 60.0) -> tuple[float, bool]:
    """The value of the best selection by CBC, through PuLP, and whether it is proven to be the best.

    Written from the definitions alone. The value is concave in the sum of -log(1 - chance) of what shares a need, so it
    is bounded by tangents, and one is added wherever the solver's answer lies until the bound is met (outer
    approximation, Duran & Grossmann 1986).
    """
    import pulp

    things = [c.augmentation for c in case.pool]
    at = {one.id: i for i, one in enumerate(things)}
    limits: dict[str, float] = {k: getattr(case.limit, k) for k in KINDS if getattr(case.limit, k) is not None}
    prices = [
        sum(getattr(one.cost, k) / most for k, most in limits.items() if most) + one.context / case.max_context
        for one in things
    ]
    model = pulp.LpProblem("selection", pulp.LpMaximize)
    x = [pulp.LpVariable(f"x{i}", cat="Binary") for i in range(len(things))]
    shared: dict[str, list[int]] = {}
    for i, one in enumerate(things):
        if one.kind not in (Kind.TOOL, Kind.SKILL):
            shared.setdefault(one.kind.value, []).append(i)
    met = {need: pulp.LpVariable(f"y_{need}", 0, 1) for need in shared}
    alone = [i for i in range(len(things)) if things[i].kind in (Kind.TOOL, Kind.SKILL)]
    model += (
        pulp.lpSum(case.pool[i].success * x[i] for i in alone)
        + pulp.lpSum(met.values())
        - thrift * pulp.lpSum(price * one for price, one in zip(prices, x, strict=True))
    )
    for kind, most in limits.items():
        model += pulp.lpSum(getattr(one.cost, kind) * v for one, v in zip(things, x, strict=True)) <= most
    model += pulp.lpSum(one.context * v for one, v in zip(things, x, strict=True)) <= case.max_context
    model += pulp.lpSum(x) <= case.max_items
    for provided in sorted({one.provides for one in things} - {""}):
        model += pulp.lpSum(v for one, v in zip(things, x, strict=True) if one.provides == provided) <= 1
    for one, v in zip(things, x, strict=True):
        for required in one.requires:
            if required in at:
                model += v <= x[at[required]]
            else:
                model += v <= 0
    weight = {i: -math.log1p(-case.pool[i].success) for members in shared.values() for i in members}
    for need, members in shared.items():
        for s in (0.0, 0.25, 0.6, 1.2, 2.4, 5.0):
            _tangent(model, met[need], [(weight[i], x[i]) for i in members], s)
    solver = pulp.PULP_CBC_CMD(msg=False, gapRel=0, gapAbs=1e-9, timeLimit=seconds)
    for _ in range(100):
        model.solve(solver)
        bound = float(pulp.value(model.objective) or 0.0)
        found = bound
        for need, members in shared.items():
            s = sum(weight[i] for i in members if (x[i].value() or 0) > 0.5)
            found -= float(met[need].value() or 0.0) + math.expm1(-s)
            _tangent(model, met[need], [(weight[i], x[i]) for i in members], s)
        if bound - found <= _TOLERANCE:
            return found, model.sol_status == pulp.LpSolutionOptimal
    return found, False


def _tangent(model: Any, met: Any, parts: Sequence[tuple[float, Any]], s: float) -> None:
    import pulp

    slope = math.exp(-s)
    model += met <= 1 - slope + slope * (pulp.lpSum(w * v for w, v in parts) - s)
