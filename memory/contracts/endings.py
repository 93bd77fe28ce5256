"""How lives end: what the agent's own condition was like where a world came to its end, and how far it ranged before.

What is taken for its condition are the numbers without arguments (what is left to drink); what it holds is not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from habilis.core import Fact, Json, Trajectory

__all__ = ["LOW", "Endings"]

LOW = 1 / 3  # share of a number's range that is low
_RANGE = 3  # least range of a number that can run low
_KEPT = 20  # endings that are remembered


class Endings:
    """What the agent's condition was like where lives ended: numbers without arguments, their ranges and their last
    values. ``state``: as of `save`."""

    def __init__(self, state: Json = None) -> None:
        told = state if isinstance(state, Mapping) else {}
        self._ranges = {Fact.parse(f): (float(low), float(high)) for f, (low, high) in told.get("ranges", {}).items()}
        self._last = [{Fact.parse(f): float(v) for f, v in one.items()} for one in told.get("last", [])]
        self.changed = False  # since it was last saved

    def save(self) -> dict[str, Json]:
        self.changed = False
        return {
            "ranges": {str(f): list(r) for f, r in sorted(self._ranges.items())},
            "last": [{str(f): v for f, v in sorted(one.items())} for one in self._last],
        }

    def hear(self, trajectory: Trajectory) -> None:
        """Take in a trajectory: how far numbers ranged, and what they were where it ended in the world's end."""
        for facts in (trajectory.before.facts, trajectory.after.facts):
            for fact, value in facts.items():
                if not fact.args and not isinstance(value, bool):
                    low, high = self._ranges.get(fact, (value, value))
                    if not low <= value <= high or fact not in self._ranges:
                        self._ranges[fact] = (min(low, value), max(high, value))
                        self.changed = True
        if trajectory.steps and trajectory.steps[-1].outcome.done:
            now = trajectory.after.facts
            self._last = [*self._last, {f: float(now.get(f, 0)) for f in self._ranges}][-_KEPT:]
            self.changed = True

    def low(self) -> list[tuple[Fact, float, float]]:
        """The numbers that were low at endings, with the least and the most of their range; the most often first."""
        found: Counter[Fact] = Counter()
        for one in self._last:
            for fact, value in one.items():
                low, high = self._ranges[fact]
                found[fact] += high - low >= _RANGE and value <= low + LOW * (high - low)
        return [(f, *self._ranges[f]) for f in sorted(found, key=lambda f: (-found[f], str(f))) if found[f]]
