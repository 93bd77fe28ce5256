"""Experience replay (Rolnick et al. 2019, arXiv:1811.11682): a part of every batch are examples from before.

From before are the examples of earlier distillations and, since the base model's own lessons are not at hand, text that
it wrote itself (pseudo-rehearsal, Robins 1995, Connection Science 7(2)). There is no penalty and so no λ.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, zip_longest
from typing import TYPE_CHECKING, Any

from habilis.core import need
from habilis.trainer.regularisers._protocol import Remembered, Row, State

if TYPE_CHECKING:
    from torch import Tensor

SHARE = 0.25  # of every batch
_TEXT = 32  # tokens of a self-written text: more would drown the short answers beside it


def rows_before(remembered: Remembered) -> Sequence[Row]:
    """Examples of earlier distillations and self-written texts, in turn."""
    texts = [(row[:1], row[1:_TEXT]) for row in remembered.texts.tolist()]
    past = list(remembered.past)
    if not past:
        return texts
    texts = [texts[i % len(texts)] for i in range(len(past))] if texts else []
    return [row for row in chain.from_iterable(zip_longest(past, texts)) if row is not None]


class Replay:
    """Q = 0; `SHARE` of every batch is replayed."""

    name = "replay"
    uses_fisher = False

    def prepare(self, model: Any, remembered: Remembered) -> State:
        return State(replay=rows_before(remembered), share=SHARE)

    def penalty(self, model: Any, state: State, step: int) -> Tensor:
        zero: Tensor = need("torch").zeros(())
        return zero
