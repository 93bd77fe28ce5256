"""The embedding space: where augmentations and tasks lie, and how that changes with what worked.

A text encoder, frozen, places everything by its description. A `Space` moves things from there as outcomes come in: a
tool that solved certain tasks moves towards them. Outcomes are in the journal, so that a space can be rebuilt from it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from habilis.core import Json

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Space(Protocol):
    """Where things and tasks lie. All vectors are unit vectors of the embedder's ``dim``, float32."""

    name: str

    def place(self, ids: Sequence[str], described: NDArray[np.float32]) -> NDArray[np.float32]:
        """Where these things lie now, (n, dim), given the embeddings of their descriptions, (n, dim)."""
        ...

    def ask(self, task: NDArray[np.float32]) -> NDArray[np.float32]:
        """The vector, (dim,), that things are compared with for a task whose text is embedded as ``task``, (dim,)."""
        ...

    def relevance(self, ids: Sequence[str], cosines: NDArray[np.float32]) -> NDArray[np.float32]:
        """Relevance, (n,), from the cosines, (n,), of `place` and `ask`."""
        ...

    def learn(self, id: str, described: NDArray[np.float32], task: NDArray[np.float32], ok: bool) -> None:
        """A thing was used for a task, and the task was solved or not."""
        ...

    def save(self) -> Mapping[str, Json]:
        """What was learned, as JSON."""
        ...

    def load(self, data: Mapping[str, Any]) -> None:
        """Take `save` back, in place of what was learned here."""
        ...


class Described:
    """Everything stays where its description puts it (zero-shot). Satisfies `Space`."""

    name = "described"

    def place(self, ids: Sequence[str], described: NDArray[np.float32]) -> NDArray[np.float32]:
        return described

    def ask(self, task: NDArray[np.float32]) -> NDArray[np.float32]:
        return task

    def relevance(self, ids: Sequence[str], cosines: NDArray[np.float32]) -> NDArray[np.float32]:
        return cosines.clip(min=0.0)

    def learn(self, id: str, described: NDArray[np.float32], task: NDArray[np.float32], ok: bool) -> None:
        return None

    def save(self) -> Mapping[str, Json]:
        return {}

    def load(self, data: Mapping[str, Any]) -> None:
        return None
