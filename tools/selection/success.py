"""The chance that a task is solved with the help of something, from relevance and track record.

Nothing is expected of what lies no nearer to a task than unrelated things do: helping with something unrelated is worse
than not helping. The scale of a cosine differs between embedders, so that threshold is read off the embedder itself:
mean plus two standard deviations over fixed pairs of texts that have nothing to do with each other. On 400 queries of
MetaTool (Huang et al. 2023; 199 tools) that is 0.17 for MiniLM, which keeps the right tool for 90 % of the queries and
27 tools a query; and 0.10 for the hashing embedder: 65 % and 20 tools.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from habilis.core import Augmentation, Embedder, Json

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# What people ask for, and what unrelated things offer. No line of the second list helps with any line of the first.
_ASKED = (
    "have 3 wooden planks",
    "what is the weather like in Oslo tomorrow",
    "translate this letter into Portuguese",
    "find the cheapest flight to Lima",
    "put the apple on the kitchen table",
    "summarise the quarterly report",
    "reach the exit of the maze without touching a wall",
    "count the red cars in the picture",
)
_OFFERED = (
    "resize a video to half its height",
    "convert a temperature from Celsius to Fahrenheit",
    "sign a file with a private key",
    "play a chord on the piano",
    "list the open pull requests of a repository",
    "measure the heart rate from a wrist sensor",
    "solve a system of linear equations",
    "feed the fish in the aquarium",
)


class SuccessModel(Protocol):
    """The chance that a task is solved with the help of a thing. Vectors are (dim,), as the embedder gives them."""

    name: str

    def chances(
        self, task: NDArray[np.float32], things: Sequence[Augmentation], relevance: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """One for each thing, (n,), from 0 to 1; ``relevance``: (n,), as the `Space` has it."""
        ...

    def learn(self, task: NDArray[np.float32], thing: Augmentation, relevance: float, ok: float) -> None:
        """A thing was used for a task. ``ok``: whether it was solved, or how well, from 0 to 1."""
        ...

    def save(self) -> Mapping[str, Json]:
        """What was learned, as JSON."""
        ...

    def load(self, data: Mapping[str, Any]) -> None:
        """Take `save` back, in place of what was learned here."""
        ...


@runtime_checkable
class Doubting(Protocol):
    """A success model that knows how much it knows."""

    def doubts(self, task: NDArray[np.float32], things: Sequence[Augmentation]) -> NDArray[np.float32]:
        """The standard deviation of each chance, (n,)."""
        ...


class TrackRecord:
    """Relevance times the mean of Beta(1 + successes, 1 + failures). Satisfies `SuccessModel`.

    The mean, not a sample: sampling over-explores where each trial costs money. ``threshold``: the least relevance
    (cosine) of what is any help, None to read it off the embedder.
    """

    name = "track record"

    def __init__(self, embedder: Embedder, threshold: float | None = None) -> None:
        self.embedder = embedder
        self._threshold = threshold

    @property
    def threshold(self) -> float:
        """The least relevance at which something is expected to help."""
        if self._threshold is None:
            asked, offered = self.embedder.embed(_ASKED), self.embedder.embed(_OFFERED)
            unrelated = (asked.astype(float) @ offered.astype(float).T).clip(min=0)
            self._threshold = round(float(unrelated.mean() + 2 * unrelated.std()), 4)
        return self._threshold

    def chances(
        self, task: NDArray[np.float32], things: Sequence[Augmentation], relevance: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        import numpy as np

        record = np.array([(1 + t.successes) / (2 + t.uses) for t in things], dtype=np.float32)
        return np.where(relevance >= max(self.threshold, 1e-9), relevance * record, np.float32(0))

    def learn(self, task: NDArray[np.float32], thing: Augmentation, relevance: float, ok: float) -> None:
        return None  # what a thing has achieved is counted with the thing

    def save(self) -> Mapping[str, Json]:
        return {}

    def load(self, data: Mapping[str, Any]) -> None:
        return None
