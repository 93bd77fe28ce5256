"""EWC and experience replay together: the one holds the weights, the other shows what they were for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from habilis.trainer.regularisers._distance import Importance
from habilis.trainer.regularisers._protocol import Remembered
from habilis.trainer.regularisers.ewc import EWC
from habilis.trainer.regularisers.replay import SHARE, rows_before


class EWCReplay(EWC):
    """Q = Σ F (θ - θ*)², and a part of every batch is replayed."""

    name = "ewc_replay"

    def prepare(self, model: Any, remembered: Remembered) -> Importance:
        return replace(super().prepare(model, remembered), replay=rows_before(remembered), share=SHARE)
