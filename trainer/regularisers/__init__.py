"""What keeps a model from forgetting while it is trained further. One file per method.

A regulariser measures how far the adapted weights W + s BA stand from the base weights W, as one number Q: `penalty`.
Training minimises CE + λ Q. λ is not part of the method: it follows from the drift that the user allows (see
`habilis.trainer.drift`). Own methods register under the entry-point group ``habilis.regularisers``.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from habilis.core.errors import NotFoundError
from habilis.trainer.regularisers._state import State

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Regulariser", "State", "open_regulariser"]


class Regulariser(Protocol):
    """``prepare`` looks at the base model once; ``penalty`` is a differentiable scalar >= 0, zero at the base model."""

    name: str

    def prepare(self, model: Any, ids: Tensor, *, fingerprint: str = "", cache: Path | None = None) -> State:
        """``ids``: (n, length) token ids of text the model should not forget. ``cache``: a file to keep the result."""
        ...

    def penalty(self, model: Any, state: State) -> Tensor:
        """Q of a model with LoRA layers (scalar tensor)."""
        ...


def open_regulariser(name: str) -> Regulariser:
    """A method by name: "ewc", "l2", "none", or one that a package registers. Raises `NotFoundError`."""
    from importlib.metadata import entry_points

    from habilis.trainer.regularisers.ewc import EWC
    from habilis.trainer.regularisers.l2 import L2
    from habilis.trainer.regularisers.none import NoRegulariser

    own: dict[str, type[Any]] = {"ewc": EWC, "l2": L2, "none": NoRegulariser}
    if name in own:
        found: Regulariser = own[name]()
        return found
    others = {e.name: e for e in entry_points(group="habilis.regularisers")}
    if name not in others:
        raise NotFoundError.of("regulariser", name, {*own, *others})
    loaded: Regulariser = others[name].load()()
    return loaded
