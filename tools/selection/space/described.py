"""The space in which nothing moves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from habilis.core import Json

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Described:
    """Everything stays where its description puts it (zero-shot). Satisfies `Space`."""

    name = "described"

    def ask(self, task: NDArray[np.float32]) -> NDArray[np.float32]:
        return task

    def place(self, ids: Sequence[str], described: NDArray[np.float32]) -> NDArray[np.float32]:
        return described.copy()

    def relevance(
        self, ids: Sequence[str], described: NDArray[np.float32], task: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        import numpy as np

        found: NDArray[np.float32] = np.clip(described @ task, 0.0, 1.0)
        return found

    def moved(self) -> Mapping[str, int]:
        return {}

    def near(self, task: NDArray[np.float32]) -> Iterator[tuple[str, float]]:
        return iter(())

    def learn(self, id: str, described: NDArray[np.float32], task: NDArray[np.float32], ok: bool) -> None:
        return None

    def describe(self, id: str, described: NDArray[np.float32]) -> None:
        return None

    def save(self) -> Mapping[str, Json]:
        return {}

    def load(self, data: Mapping[str, Any]) -> None:
        return None
