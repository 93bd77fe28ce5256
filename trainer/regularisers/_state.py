"""What a regulariser keeps of the base model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class State:
    """What a method keeps of the base model. ``weights``: layer name -> importance (out, in), or one number for all."""

    weights: Mapping[str, Tensor]
    uniform: float | None = None
    length: int = 1
