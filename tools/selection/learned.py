"""The chance that something helps, learned from what became of tasks like this one.

Three views, in the order in which evidence makes them worth something:

- *prior*: the chance that relevance alone gives (`habilis.tools.selection._chances`), shifted by the track record in
  odds: with even chances before, the mean of a Beta posterior. A model is not found by its description: its prior is
  one half for every task;
- *ridge regression* of what the prior got wrong on the task's embedding, for each thing, with an intercept
  (Hoerl & Kennard 1970);
- *nearest neighbours*: what the prior got wrong on the forty nearest of the thing's past tasks, weighted by their
  squared cosine.

The chance is the prior and a weighted mean of the two corrections, which goes from ridge to neighbours as outcomes come
in; then it is calibrated by how far earlier expectations were off. With no outcome it is the prior, exactly.

All that is learned is a log of outcomes, bounded (`habilis.tools.selection._outcomes`). Coefficients are fitted to a
thing's log when it has grown by a sixteenth, so that the same outcomes give the same chances, loaded or not.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from habilis.core import Augmentation, Embedder, InputError, Json, Kind
from habilis.tools.selection._chances import Calibrator, chance_of, logistic, logit
from habilis.tools.selection._outcomes import Log, Outcomes
from habilis.tools.selection.success import TrackRecord

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_EVEN = 0.5
_COEFFICIENTS = 4096  # things whose coefficients are kept at hand, 3 kB each


@dataclass(frozen=True, slots=True)
class LearningSettings:
    """How much is believed of what. Chosen on outcomes of nine models (docs/benchmarks.md, routing), on the split that
    nothing is reported on.

    ``strength``: outcomes that the prior counts as; ``penalty``: of the ridge regression; ``neighbours``: past tasks
    that are asked; ``pull``: neighbours' worth of belief in the prior; ``even_at``: outcomes of a thing at which ridge
    and neighbours weigh the same; ``per_thing``, ``most``: outcomes kept of one thing and in all, the latest;
    ``calibrate``: by how far earlier chances were off.
    """

    strength: float = 4.0
    penalty: float = 2.0
    neighbours: int = 40
    pull: float = 1.0
    even_at: float = 600.0
    per_thing: int = 4096
    most: int = 65_536
    calibrate: bool = True

    def __post_init__(self) -> None:
        if min(self.strength, self.penalty, self.pull, self.even_at) <= 0:
            raise InputError(f"strength, penalty, pull and even_at must be above 0, got {self}")
        if self.neighbours < 1 or self.per_thing < 8 or self.most < self.per_thing:
            raise InputError(f"neighbours must be >= 1, per_thing >= 8 and most >= per_thing, got {self}")


class LearnedSuccess:
    """Prior, ridge regression and nearest neighbours, calibrated. Satisfies `SuccessModel`.

    ``threshold``: the least cosine at which two texts have anything to do with each other, None to read it off the
    embedder (`TrackRecord`). What is less relevant is expected to help only with tasks like those that it helped with.
    """

    name = "learned"

    def __init__(
        self, embedder: Embedder, settings: LearningSettings | None = None, *, threshold: float | None = None
    ) -> None:
        self.embedder = embedder
        self.settings = settings or LearningSettings()
        self._near = TrackRecord(embedder, threshold)
        self._calibrator = Calibrator()
        self._outcomes = Outcomes(self.settings.per_thing, self.settings.most)
        self._lines: OrderedDict[str, tuple[int, NDArray[np.float64], NDArray[np.float64]]] = OrderedDict()

    def chances(
        self, task: NDArray[np.float32], things: Sequence[Augmentation], relevance: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """(n,), from 0 to 1, rounded to six digits."""
        import numpy as np

        raw = self._raw(task, things, relevance)
        return np.array(
            [round(self._calibrator(p) if seen and self.settings.calibrate else p, 6) for p, seen in raw],
            dtype=np.float32,
        )

    def doubts(self, task: NDArray[np.float32], things: Sequence[Augmentation]) -> NDArray[np.float32]:
        """How uncertain the chances are, (n,): the standard deviation of a Beta posterior around one half, with as many
        outcomes as the thing has near the task. One of a task just like it counts whole, others by squared cosine; of
        a record that came along nobody knows, and it counts whole too."""
        import numpy as np

        tasks, doubts = self._outcomes.tasks, []
        cosines = tasks.vectors @ task if tasks is not None else np.zeros(0, dtype=np.float32)
        for thing in things:
            log = self._outcomes.logs.get(thing.id)
            near = cosines[np.array(log.rows, dtype=np.int32)] if log is not None else cosines[:0]
            count = float((np.where(near >= self._near.threshold, near, 0.0) ** 2).sum())
            count += max(0, thing.uses - self.uses(thing.id))
            doubts.append(_EVEN / math.sqrt(self.settings.strength + count + 1))
        return np.array(doubts, dtype=np.float32)

    def learn(self, task: NDArray[np.float32], thing: Augmentation, relevance: float, ok: float) -> None:
        """A thing was used for a task. ``ok``: whether it was solved, or how well, from 0 to 1."""
        import numpy as np

        good = float(ok)
        if not 0 <= good <= 1:
            raise InputError(f"an outcome is False, True or a number from 0 to 1, not {ok!r}")
        expected, seen = self._raw(task, [thing], np.array([relevance], dtype=np.float32))[0]
        if seen:
            self._calibrator.add(expected, good)
        self._outcomes.add(thing.id, task, good, self._prior(thing, float(relevance)))

    def uses(self, id: str) -> int:
        """How many outcomes of a thing were learned."""
        log = self._outcomes.logs.get(id)
        return 0 if log is None else log.uses

    def successes(self, id: str) -> float:
        """The sum of its outcomes."""
        log = self._outcomes.logs.get(id)
        return 0.0 if log is None else log.successes

    def calibration_error(self) -> tuple[float, float]:
        """The expected calibration error of what was expected before each outcome, and after calibration."""
        return self._calibrator.error()

    def save(self) -> Mapping[str, Json]:
        """What was learned, as JSON."""
        return {
            "schema_version": 1,
            "embedder": self.embedder.fingerprint,
            "outcomes": self._outcomes.save(),
            "calibration": self._calibrator.save(),
        }

    def load(self, data: Mapping[str, Any]) -> None:
        """Take `save` back. What was learned with another embedder is of no use here, and is left out."""
        same = data.get("embedder") == self.embedder.fingerprint
        self._outcomes.load(data.get("outcomes", {}) if same else {})
        self._calibrator.load(data.get("calibration") if same else None)
        self._lines.clear()

    # ------------------------------------------------------------------ inside

    def _prior(self, thing: Augmentation, relevance: float) -> float:
        if thing.kind is Kind.MODEL:
            return _EVEN
        return chance_of(self.embedder, relevance) if relevance >= max(self._near.threshold, 1e-9) else 0.0

    def _shift(self, thing: Augmentation, log: Log | None) -> float:
        """By how much the track record moves the logit of the prior. What it brought along, from before anything was
        learned here, is taken to be of tasks with even chances."""
        uses, successes, hoped = (log.uses, log.successes, log.hoped) if log is not None else (0, 0.0, 0.0)
        more = max(0, thing.uses - uses)
        won = min(float(more), max(0.0, thing.successes - successes))
        return self._odds(uses + more, successes + won, hoped + more * _EVEN)

    def _odds(self, uses: float, successes: float, hoped: float) -> float:
        half = self.settings.strength / 2
        better = (half + successes) / (half + max(0.0, uses - successes))
        return math.log(better * (half + max(0.0, uses - hoped)) / (half + hoped))

    def _shifted(self, prior: float, shift: float) -> float:
        return logistic(logit(prior) + shift) if prior > 0 else 0.0

    def _raw(
        self, task: NDArray[np.float32], things: Sequence[Augmentation], relevance: NDArray[np.float32]
    ) -> list[tuple[float, bool]]:
        """Before calibration, and whether anything was learned of the thing."""
        tasks = self._outcomes.tasks
        cosines = tasks.vectors @ task if tasks is not None else None
        found = []
        for thing, near in zip(things, relevance, strict=True):
            log = self._outcomes.logs.get(thing.id)
            prior = self._prior(thing, float(near))
            chance = self._shifted(prior, self._shift(thing, log))
            if log is not None and cosines is not None:
                chance += self._correction(thing.id, log, task, cosines, prior)
            found.append((min(max(chance, 0.0), 1.0), log is not None))
        return found

    def _correction(
        self, id: str, log: Log, task: NDArray[np.float32], cosines: NDArray[np.float32], prior: float
    ) -> float:
        import numpy as np

        mine = self.settings
        rows, good, expected = log.arrays()
        near = cosines[rows].astype(np.float64)
        if len(near) > mine.neighbours:
            order = np.argpartition(-near, mine.neighbours - 1)[: mine.neighbours]
            near, good, expected = near[order], good[order], expected[order]
        weights = np.where(near >= self._near.threshold, near, 0.0) ** 2
        missed = good - self._expected(expected, self._odds(log.uses, log.successes, log.hoped))
        neighbours = float(weights @ missed) / (mine.pull + float(weights.sum()))
        if prior == 0:  # unrelated, as far as anyone can tell: it takes tasks like this one to believe otherwise
            return neighbours
        middle, line = self._line(id, log)
        ridge = float((task - middle) @ line)
        share = 1 / (1 + math.sqrt(len(log) / mine.even_at))
        return share * ridge + (1 - share) * neighbours

    def _expected(self, priors: NDArray[np.float64], shift: float) -> NDArray[np.float64]:
        return priors / (priors + (1 - priors) * math.exp(-shift))

    def _line(self, id: str, log: Log) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The middle of the thing's tasks and its coefficients, (dim,) each."""
        import numpy as np

        if not log.fitted or len(log) >= log.fitted + max(1, log.fitted // 16):
            log.fitted = len(log)
        known = self._lines.get(id)
        if known is None or known[0] != log.fitted:
            assert self._outcomes.tasks is not None
            rows, good, expected = log.arrays(log.fitted)
            missed = good - self._expected(expected, self._odds(len(good), good.sum(), expected.sum()))
            x = self._outcomes.tasks.vectors[rows].astype(np.float64)
            middle = x.mean(axis=0)
            x -= middle
            if len(x) < x.shape[1]:
                gram = x @ x.T
                gram.flat[:: len(gram) + 1] += self.settings.penalty
                line = x.T @ np.linalg.solve(gram, missed)
            else:
                gram = x.T @ x
                gram.flat[:: len(gram) + 1] += self.settings.penalty
                line = np.linalg.solve(gram, x.T @ missed)
            known = self._lines[id] = (log.fitted, middle, line)
        self._lines.move_to_end(id)
        while len(self._lines) > _COEFFICIENTS:
            self._lines.popitem(last=False)
        return known[1], known[2]


__all__ = ["LearnedSuccess", "LearningSettings"]
