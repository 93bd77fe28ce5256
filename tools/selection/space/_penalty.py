"""How much is taken off for having been used, so that what never was keeps its chance.

What has learned lies among the tasks that people ask, what has not among descriptions: the first is nearer to any
task, related or not, and would crowd out the second. So a constant is taken off its relevance (*calibrated stacking*,
Chao et al. 2016, "An Empirical Study and Analysis of Generalized Zero-Shot Learning", section 3). It is found by
leaving out: each time that a thing solves a task, and before anything is learned from that, one asks where the thing
would have come, had it never been used. The least penalty is taken at which things left out come first as often as they
do among descriptions alone, and more often by what chance may have hidden (``margin``).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from typing import Any

from habilis.core import Json

_LAST = 512  # outcomes that count; older ones are of a time when less was known
_PRIOR, _PRIOR_WEIGHT = 0.12, 32  # what is assumed before there are outcomes, and for how many of them it counts
_HIGHEST = 0.5


class Penalty:
    """The penalty, from the outcomes so far. Deterministic; an outcome costs microseconds."""

    def __init__(self, margin: float) -> None:
        """``margin``: by how many standard errors of that rate what is left out should come first more often than among
        descriptions alone."""
        self.margin = margin
        self._needed: deque[float] = deque(maxlen=_LAST)
        self._first: deque[bool] = deque(maxlen=_LAST)
        self._value: float | None = None

    @property
    def value(self) -> float:
        """What is taken off the relevance of a thing that has learned all that it can."""
        if self._value is None:
            n, first = len(self._needed), sum(self._first)
            error = math.sqrt(first * (n - first) / n) if n else 0.0
            wanted = min(n, round(first + self.margin * error))
            found = min(max(sorted(self._needed)[wanted - 1], 0.0), _HIGHEST) if wanted else 0.0
            self._value = (n * found + _PRIOR_WEIGHT * _PRIOR) / (n + _PRIOR_WEIGHT)
        return self._value

    def add(self, needed: float, first: bool) -> None:
        """``needed``: the least penalty at which the thing left out would still have come first; ``first``: whether it
        would have, had nobody learned anything."""
        self._needed.append(round(needed, 4))
        self._first.append(first)
        self._value = None

    def save(self) -> Mapping[str, Json]:
        return {"needed": list(self._needed), "first": [int(f) for f in self._first]}

    def load(self, data: Mapping[str, Any]) -> None:
        self._needed = deque((float(n) for n in data.get("needed", ())), maxlen=_LAST)
        self._first = deque((bool(f) for f in data.get("first", ())), maxlen=_LAST)
        self._value = None
