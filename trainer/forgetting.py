"""What successive distillations leave of what earlier ones taught.

After every distillation the model is asked the test questions of all distillations until then. Row i of the matrix is
the model after distillation i, a column is a family of one distillation (``name/family``).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from habilis.core import Json


@dataclass(frozen=True)
class ForgettingMatrix:
    """``rows``: (distillation, share right by ``distillation/family``), in the order in which they were made."""

    rows: tuple[tuple[str, Mapping[str, float]], ...] = ()

    def after(self, stage: str, accuracy: Mapping[str, float]) -> ForgettingMatrix:
        """With the row of one more distillation."""
        return ForgettingMatrix((*self.rows, (stage, dict(accuracy))))

    def forgetting(self) -> dict[str, float]:
        """For each family of an earlier distillation: the best that it ever was, before the last one, minus what it is
        now (Chaudhry et al. 2018, arXiv:1801.10112, section 3). Below 0 where it became better."""
        if len(self.rows) < 2:
            return {}
        last, now = self.rows[-1]
        found = {}
        for task in sorted(now):
            known = [row[task] for _, row in self.rows[:-1] if task in row]
            if known and not task.startswith(f"{last}/"):
                found[task] = max(known) - now[task]
        return found

    @property
    def average(self) -> float:
        """The mean of `forgetting`; 0 before the second distillation."""
        values = list(self.forgetting().values())
        return math.fsum(values) / len(values) if values else 0.0

    @property
    def backward_transfer(self) -> float:
        """The mean over earlier families of what they are now minus what they were when they were taught
        (Lopez-Paz & Ranzato 2017, arXiv:1706.08840, equation 3); 0 before the second distillation."""
        if not self.rows:
            return 0.0
        taught = {t: row[t] for stage, row in self.rows[:-1] for t in row if t.startswith(f"{stage}/")}
        gains = [self.rows[-1][1][t] - taught[t] for t in sorted(taught) if t in self.rows[-1][1]]
        return math.fsum(gains) / len(gains) if gains else 0.0

    def dump(self) -> Json:
        return {
            "rows": [
                {"after": stage, "accuracy": {t: round(a, 4) for t, a in row.items()}} for stage, row in self.rows
            ],
            "forgetting": {t: round(f, 4) for t, f in self.forgetting().items()},
            "average_forgetting": round(self.average, 4),
            "backward_transfer": round(self.backward_transfer, 4),
        }

    @classmethod
    def load(cls, data: Json) -> ForgettingMatrix:
        """From what `dump` gave."""
        rows = data.get("rows", []) if isinstance(data, Mapping) else []
        return cls(tuple((str(r["after"]), {str(k): float(v) for k, v in r["accuracy"].items()}) for r in rows))
