"""KL and experience replay together: the one holds what the base model knows, the other what was taught since.

The KL term looks at text that the base model wrote, in which nothing of an earlier distillation appears: it keeps the
language, and lets the last thing learned be overwritten. So half of every batch are examples of earlier distillations
(Rolnick et al. 2019, arXiv:1811.11682, mix old and new evenly; Chaudhry et al. 2019, arXiv:1902.10486). In a first
distillation there are none, and the method is ``kl``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from habilis.trainer.regularisers._protocol import Remembered
from habilis.trainer.regularisers.kl import KL, Texts

SHARE = 0.5  # of every batch


class KLReplay(KL):
    """Q = KL(base ‖ model) per token on self-written text; `SHARE` of every batch is of earlier distillations."""

    name = "kl_replay"

    def prepare(self, model: Any, remembered: Remembered) -> Texts:
        return replace(super().prepare(model, remembered), replay=remembered.past, share=SHARE)
