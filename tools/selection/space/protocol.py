"""What every embedding space can do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from habilis.core import Json

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Space(Protocol):
    """Where things and tasks lie. All vectors are unit vectors of the embedder's ``dim``, float32.

    Most things were never used: they lie where their descriptions put them, in an index that the space does not touch,
    and their relevance is the cosine of `ask` and that vector, at least 0. What has *moved* the space keeps itself.
    One user at a time; the `Catalogue` sees to that.
    """

    name: str

    def ask(self, task: NDArray[np.float32]) -> NDArray[np.float32]:
        """The vector, (dim,), that descriptions are compared with for a task whose text is embedded as ``task``."""
        ...

    def place(self, ids: Sequence[str], described: NDArray[np.float32]) -> NDArray[np.float32]:
        """Where these things lie now, (n, dim), given the embeddings of their descriptions, (n, dim)."""
        ...

    def relevance(
        self, ids: Sequence[str], described: NDArray[np.float32], task: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """How relevant each is to a task, (n,), from 0 to 1: about the chance of a unit cosine, comparable between what
        has moved and what has not."""
        ...

    def moved(self) -> Mapping[str, int]:
        """What no longer lies at its description: ids, with how often each was used. A view, not a copy."""
        ...

    def near(self, task: NDArray[np.float32]) -> Iterator[tuple[str, float]]:
        """All that has moved with its relevance, the nearest first (exactly so among the first some dozen)."""
        ...

    def learn(self, id: str, described: NDArray[np.float32], task: NDArray[np.float32], ok: bool) -> None:
        """A thing was used for a task, and the task was solved or not."""
        ...

    def describe(self, id: str, described: NDArray[np.float32]) -> None:
        """The description of a thing has changed. Nothing happens where it was never used."""
        ...

    def save(self) -> Mapping[str, Json]:
        """What was learned, as JSON; `load` in a new space of the same settings gives the same relevance, bit by
        bit."""
        ...

    def load(self, data: Mapping[str, Any]) -> None:
        """Take `save` back, in place of what was learned here."""
        ...
