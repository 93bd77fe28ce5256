"""Why something was taken or left out: read off what adding it to the rest would give."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from habilis.core import Candidate
from habilis.tools.selection._packing import NOTHING, ROUNDING, Additions, Packing
from habilis.tools.selection._requirements import Requirements

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Reasons:
    """For the things of a packing, given those that were ``taken``, (n,)."""

    def __init__(
        self,
        candidates: Sequence[Candidate],
        packing: Packing,
        limits: Mapping[str, float],
        prices: Sequence[float],
        requirements: Requirements,
        taken: NDArray[np.bool_],
    ) -> None:
        import numpy as np

        self._candidates, self._limits, self._prices, self._requirements = candidates, limits, prices, requirements
        self._taken = [int(i) for i in taken.nonzero()[0]]
        self._inside = frozenset(self._taken)
        effects = Additions(packing, np.arange(len(taken))).effects(np.stack([np.zeros_like(taken), taken]))
        self._gain = (effects.value[1] - packing.value(taken[None])[0]).tolist()
        self._alone: list[list[float]] = effects.sums[0].tolist()
        self._beside: list[list[float]] = effects.sums[1].tolist()

    def taken(self, i: int) -> str:
        candidate, one = self._candidates[i], self._candidates[i].augmentation
        by = [self._id(j) for j in self._taken if j != i and i in self._requirements.direct[j]]
        needed = f"needed by {', '.join(by)}" if by else ""
        if not candidate.success:
            return needed
        record = f"{one.successes} of {one.uses} uses succeeded"
        chance = f"chance {candidate.success:.2f} (relevance {candidate.relevance:.2f}, {record})"
        return f"{chance}, and {needed}" if needed else chance

    def left_out(self, i: int) -> tuple[str, str]:
        """What stood against it (`Choice.blocked`), and that in words."""
        candidate, missing = self._candidates[i], self._requirements.missing[i]
        if missing:
            return "requires", f"it needs {missing}, which is not at hand"
        if not candidate.success:
            return "chance", f"nothing is expected of it: chance 0 at relevance {candidate.relevance:.2f}"
        more = [j for j in self._requirements.closure[i] if j not in self._inside]
        with_all = "with all it needs " if len(more) > 1 else ""
        if self._gain[i] > NOTHING:
            told = (
                self._passed(self._alone[i], with_all)
                or self._rival(more)
                or self._passed(self._beside[i], f"with what is taken {with_all}")
            )
            if told:
                return told
        beside = "beside what is taken " if self._taken else ""
        price = math.fsum(self._prices[j] for j in more)
        return "worth", f"{beside}{with_all}chance {candidate.success:.2f} is not worth its price {price:.2f}"

    def _passed(self, sums: Sequence[float], with_what: str) -> tuple[str, str] | None:
        """The first limit that these sums pass."""
        for (name, most), total in zip(self._limits.items(), sums, strict=True):
            if total <= most * ROUNDING:
                continue
            if name == "items":
                return name, f"{with_what}there would be {total:g}, and max_items={most:g}"
            sum_, limit = _apart(total, most)
            if name == "context":
                return name, f"{with_what}it takes {sum_} tokens of the prompt, and max_context={limit}"
            return name, f"{with_what}it takes {name}={sum_}, and {limit} is left"
        return None

    def _rival(self, more: Sequence[int]) -> tuple[str, str] | None:
        """Of what would be added and what is taken, two that provide the same."""
        holders = {one.provides: self._id(j) for j in self._taken if (one := self._candidates[j].augmentation).provides}
        for j in more:
            provides = self._candidates[j].augmentation.provides
            if provides in holders:
                what = "" if len(more) == 1 else f"it needs {self._id(j)}, and " if j != more[0] else ""
                return "provides", f"{what}{holders[provides]} provides {provides} already"
            if provides:
                holders[provides] = self._id(j)
        return None

    def _id(self, i: int) -> str:
        return self._candidates[i].augmentation.id


def _apart(total: float, limit: float) -> tuple[str, str]:
    """Two numbers with as many digits as it takes to tell them apart."""
    for digits in (6, 12):
        if f"{total:.{digits}g}" != f"{limit:.{digits}g}":
            return f"{total:.{digits}g}", f"{limit:.{digits}g}"
    return repr(total), repr(limit)
