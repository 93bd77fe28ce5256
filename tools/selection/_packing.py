"""Packing: which things to take under several limits at once, so that they are worth most together.

The value of a set is a sum over its things, and over the needs that several of them share ``1 - prod(1 - chance)``: a
monotone submodular function less a linear one. Requirements, groups of which one may be taken, and limits on sums
restrict it. That is a multidimensional knapsack with precedence, NP-hard even for one limit (Karp 1972).

`pack` grows sets greedily, each step taking the closure (a thing with all that it requires) of the best marginal gain
per share of the limits. One price for many limits is a guess, so several are tried side by side: the sum of shares
(Dantzig 1957), the largest share, shares of what is left (Toyoda 1975), mostly one limit's, and none. The best of these
sets are then improved: a thing is dropped, put in, or exchanged for another, until nothing helps. Under one limit, with
no requirements and no linear part, the better of density and gain has (1 - 1/e) / 2 of the optimum at least (Leskovec
et al. 2007). No bound is known to hold where all of them meet; ``benchmarks/selection.py`` measures how near it comes.

All sets are tried in one pass of numpy. Sums run in the same order every time, and ties go to the first, so that the
result is the same every time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Bools = NDArray[np.bool_]
    Floats = NDArray[np.float64]

ROUNDING = 1 + 1e-12  # of sums, as in `habilis.core.budget`
NOTHING = 1e-12  # two values that differ by less are a tie
_CERTAIN = -50.0  # log(1 - chance) of what is certain to help; exp of it is lost beside 1
_WORST = -1e300  # 0 times it is 0, of an infinite price it is not
_RULES = 4  # besides one for each limit
_IMPROVED = 4  # of the sets that were grown, the best so many


@dataclass(frozen=True, slots=True)
class Thing:
    """``worth``: what it adds for itself; ``chance``: with which it meets the ``need`` that others meet too, -1 for
    none. ``amounts``: one for each limit. ``group``: of these at most one, -1 for none. ``closure``: itself and all
    that it requires, as positions, itself first. ``able``: whether it may be taken for its own sake."""

    worth: float
    chance: float
    need: int
    amounts: tuple[float, ...]
    group: int
    closure: tuple[int, ...]
    able: bool


class Effects(NamedTuple):
    """What adding things to sets, with what they require, would give: the value and whether it may be, both (sets,
    things), and the sums, (sets, things, limits)."""

    value: Floats
    fits: Bools
    sums: Floats


class Packing:
    """Things, limits on the sums of their amounts, and what sets of them are worth. A set is a row of (sets, n)."""

    def __init__(self, things: Sequence[Thing], limits: Sequence[float], needs: int) -> None:
        import numpy as np

        self.things, self.limits = things, np.array(limits, dtype=np.float64) * ROUNDING
        self.needs = needs
        self.rows = np.zeros((len(things), 1 + needs + len(limits)))
        self.rows[:, 0] = np.maximum([t.worth for t in things], _WORST)
        self.rows[:, 1 + needs :] = np.array([t.amounts for t in things]).reshape(len(things), len(limits))
        for i, thing in enumerate(things):
            if thing.need >= 0 and thing.chance > 0:
                self.rows[i, 1 + thing.need] = math.log1p(-thing.chance) if thing.chance < 1 else _CERTAIN
        self.group = np.array([t.group for t in things], dtype=np.intp)
        self.groups = int(self.group.max(initial=-1)) + 1
        self.compound: Bools = np.array([len(t.closure) > 1 for t in things], dtype=bool)
        self.able = np.array([t.able and not self._torn(t) for t in things], dtype=bool)

    def closed(self, wanted: Bools) -> Bools:
        """These sets with all that they require."""
        taken = wanted.copy()
        for s, i in zip(*(wanted & self.compound).nonzero(), strict=True):
            taken[s, list(self.things[i].closure)] = True
        return taken

    def value(self, taken: Bools) -> Floats:
        """What these sets are worth, (sets,)."""
        return self.worth(taken @ self.rows)

    def sums(self, taken: Bools) -> Floats:
        """The sums of their amounts, (sets, limits)."""
        sums: Floats = taken @ self.rows[:, 1 + self.needs :]
        return sums

    def kept(self, taken: Bools) -> Bools:
        """Which of these sets keep all limits and groups, (sets,)."""
        import numpy as np

        held = np.zeros((len(taken), self.groups + 1), dtype=np.intp)
        rows, things = np.nonzero(taken & (self.group >= 0))
        np.add.at(held, (rows, self.group[things]), 1)
        within = np.logical_and.reduce(self.sums(taken) <= self.limits, axis=1)
        kept: Bools = within & np.logical_and.reduce(held <= 1, axis=1)
        return kept

    def promising(self) -> NDArray[np.intp]:
        """The things that may be taken and are worth it if all that they require is there; no other ever is, beside
        whatever: what a thing adds falls with what is there."""
        import numpy as np

        return np.flatnonzero(self.able & (self.worth(self.rows) > NOTHING))

    def _torn(self, thing: Thing) -> bool:
        """Whether two of one group belong to it, which can never be taken."""
        groups = [self.things[j].group for j in thing.closure if self.things[j].group >= 0]
        return len(groups) > len(set(groups))

    def worth(self, totals: Floats) -> Floats:
        """What totals of rows, (…, columns), are worth."""
        import numpy as np

        worth: Floats = totals[..., 0]
        if self.needs:
            worth = worth - np.expm1(totals[..., 1 : 1 + self.needs]).sum(axis=-1)
        return worth


class Additions:
    """What may be added to sets: each of these things with all that it requires."""

    def __init__(self, packing: Packing, things: NDArray[np.intp]) -> None:
        import numpy as np

        self.packing, self.things = packing, things
        self._rows = packing.rows[things]
        self._compound = np.flatnonzero(packing.compound[things])
        self._belongs = np.zeros((len(self._compound), len(packing.things)), dtype=bool)
        self._whole = np.zeros((len(self._compound), packing.rows.shape[1]))
        for row, at in enumerate(self._compound):
            closure = list(packing.things[things[at]].closure)
            self._belongs[row, closure] = True
            self._whole[row] = packing.rows[closure].sum(axis=0)

    def effects(self, taken: Bools) -> Effects:
        """What adding each would give to each of these closed sets."""
        import numpy as np

        packing = self.packing
        totals = self._rows * ~taken[:, self.things, None]
        if len(self._compound):
            there = np.flatnonzero(np.logical_or.reduce(taken))  # a few of all
            parts = taken[:, there, None] * packing.rows[there]
            totals[:, self._compound] = self._whole - self._belongs[:, there].astype(float) @ parts
        totals += (taken @ packing.rows)[:, None, :]
        sums = totals[:, :, 1 + packing.needs :]
        fits = np.logical_and.reduce(sums <= packing.limits, axis=2)
        if packing.groups:
            fits &= ~self._clashes(taken)
        return Effects(packing.worth(totals), fits, sums)

    def _clashes(self, taken: Bools) -> Bools:
        """Whether each would meet one of its group in each of these sets."""
        import numpy as np

        packing = self.packing
        held = np.zeros((len(taken), packing.groups + 1), dtype=bool)
        sets, holders = np.nonzero(taken & (packing.group >= 0))
        held[sets, packing.group[holders]] = True
        meets = held[:, packing.group] & ~taken  # group -1 is the last column, which nobody holds
        clashes: Bools = meets[:, self.things]
        if len(self._compound):
            foes = np.flatnonzero(np.logical_or.reduce(meets))
            clashes[:, self._compound] = meets[:, foes].astype(float) @ self._belongs[:, foes].T > 0
        return clashes


def pack(packing: Packing) -> Bools:
    """The wanted things of the best set that was found, (n,); `Packing.closed` adds what they require."""
    import numpy as np

    additions = Additions(packing, packing.promising())
    alone = additions.effects(np.zeros((1, len(packing.things)), dtype=bool))
    additions = Additions(packing, additions.things[np.flatnonzero(alone.fits[0])])
    if not len(additions.things):
        return np.zeros(len(packing.things), dtype=bool)
    sets = _grow(additions)
    values = packing.value(packing.closed(sets))
    seen: set[bytes] = set()
    best: Bools = sets[0]
    best_value = -math.inf
    for at in np.argsort(-values, kind="stable"):
        if len(seen) == _IMPROVED or sets[at].tobytes() in seen:
            continue
        seen.add(sets[at].tobytes())
        improved = _exchange(additions, sets[at])
        value = float(packing.value(packing.closed(improved[None]))[0])
        if value > best_value + NOTHING:
            best, best_value = improved, value
    return best


def _grow(additions: Additions) -> Bools:
    """A set by each rule: to the empty set, the best by the rule is added until nothing fits or gains."""
    import numpy as np

    packing = additions.packing
    wanted = np.zeros((_RULES + len(packing.limits), len(packing.things)), dtype=bool)
    taken = wanted.copy()
    while True:
        effects = additions.effects(taken)
        gain = effects.value - packing.value(taken)[:, None]
        open_ = effects.fits & (gain > NOTHING)
        growing = np.flatnonzero(open_.any(axis=1))
        if not len(growing):
            return wanted
        score = np.where(open_, gain / _sizes(packing.limits, effects.sums, packing.sums(taken)), -np.inf)
        for s in growing:
            i = additions.things[_first_best(score[s])]
            wanted[s, i] = True
            taken[s, list(packing.things[i].closure)] = True


def _sizes(limits: Floats, sums: Floats, now: Floats) -> Floats:
    """How much of the limits each addition takes, (sets, things), by each set's rule: the sum of shares; the largest;
    the sum of shares of what is left; all the same; then each limit's share, and a tenth of the sum."""
    import numpy as np

    more = sums - now[:, None, :]
    shares = more / np.where(limits > 0, limits, np.inf)  # where nothing may be spent, nothing is
    left = np.where(limits > now[2], limits - now[2], np.inf)
    sizes: Floats = 0.1 * shares.sum(axis=2)
    sizes[0] *= 10
    sizes[1] = shares[1].max(axis=1)
    sizes[2] = (more[2] / left).sum(axis=1)
    sizes[3] = 1
    each = np.arange(len(limits))
    sizes[_RULES:] += shares[_RULES + each, :, each]
    return np.maximum(sizes, 1e-9, out=sizes)


def _exchange(additions: Additions, wanted: Bools) -> Bools:
    """The set after the best of: drop one, put one in, one for another; again and again until nothing gains."""
    import numpy as np

    packing = additions.packing
    while True:
        dropped = np.flatnonzero(wanted)
        bases = np.repeat(wanted[None], 1 + len(dropped), axis=0)
        bases[np.arange(1, len(bases)), dropped] = False
        taken = packing.closed(bases)
        alone, effects = packing.value(taken), additions.effects(taken)
        value = np.where(effects.fits & ~bases[:, additions.things], effects.value, -np.inf)
        if max(value.max(), alone.max()) <= alone[0] + NOTHING:
            return wanted
        if value.max() > alone.max() - NOTHING:
            base, i = divmod(_first_best(value.ravel()), value.shape[1])
            wanted = bases[base]
            wanted[additions.things[i]] = True
        else:
            wanted = bases[_first_best(alone)]


def exhaust(packing: Packing) -> Bools:
    """The wanted things of the best set of all, (n,), by trying every subset of those that are able."""
    import numpy as np

    able = np.flatnonzero(packing.able)
    best, best_value = np.zeros(len(packing.things), dtype=bool), 0.0
    for start in range(0, 1 << len(able), 4096):
        numbers = np.arange(start, min(start + 4096, 1 << len(able)))
        wanted = np.zeros((len(numbers), len(packing.things)), dtype=bool)
        wanted[:, able] = numbers[:, None] >> np.arange(len(able)) & 1
        taken = packing.closed(wanted)
        values = np.where(packing.kept(taken), packing.value(taken), -np.inf)
        i = _first_best(values)
        if values[i] > best_value + NOTHING:
            best, best_value = wanted[i], float(values[i])
    return best


def _first_best(scores: Floats) -> int:
    """The first of those that are as good as the best, so that rounding decides nothing."""
    best = scores.max()
    return int((scores >= best - NOTHING * max(1.0, abs(best))).argmax())
