"""What a regulariser is given, what it keeps, and what it answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from torch import Tensor

    from habilis.trainer.fisher import Fisher

Row = tuple[list[int], list[int]]  # prompt tokens, answer tokens


@dataclass(frozen=True)
class Remembered:
    """What there is that a model should not forget. What is dear comes as a function, called when first needed.

    ``base``: loads the base model (float32). ``texts``: (n, length) token ids that it wrote itself. ``fisher``: its
    Fisher information; ``running``: that of all successive distillations until now (None before the first).
    ``past``: examples of earlier distillations, encoded. ``dtype``: of the arithmetic.
    """

    base: Callable[[], Any]
    texts: Tensor
    fisher: Callable[[], Fisher]
    running: Fisher | None = None
    past: Sequence[Row] = ()
    dtype: str = "float32"


@dataclass(frozen=True)
class State:
    """What a method keeps for a training; methods derive their own from it. The trainer reads these:

    ``rise``: d log(1 + drift) / dQ as the method's theory has it; 0: there is no penalty. ``from_start``: the drift is
    counted from the weights that training begins with (else from the base model). ``replay``: examples that
    ``share`` (0 to 1) of every batch is drawn from.
    """

    rise: float = 0.0
    from_start: bool = False
    replay: Sequence[Row] = ()
    share: float = 0.0


class Regulariser(Protocol):
    """Training minimises CE + λ Q on batches that may be mixed with replayed examples.

    ``uses_fisher``: whether it asks for the Fisher information, which is then computed before the clock of training
    runs. ``prepare`` is called once, with the model as training begins (LoRA layers attached, on its device).
    ``penalty`` is Q: a differentiable scalar >= 0, zero where nothing moved; ``step`` counts from 0, so that what is
    drawn for a step is the same after an interruption.
    """

    name: str
    uses_fisher: bool

    def prepare(self, model: Any, remembered: Remembered) -> State: ...

    def penalty(self, model: Any, state: Any, step: int) -> Tensor: ...


@runtime_checkable
class Consolidating(Protocol):
    """A method that carries importance from one distillation to the next."""

    def consolidate(self, running: Fisher, new: Fisher) -> Fisher:
        """The running Fisher after a model was adopted; ``new``: of the adopted model on what it was trained on."""
        ...
