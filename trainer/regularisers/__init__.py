"""What keeps a model from forgetting while it is trained further. One file per method, readable beside its paper.

| name | Q, or what is mixed in |
|---|---|
| ``none`` | nothing: the baseline |
| ``l2`` | mean(F) Σ (θ - θ*)² |
| ``ewc`` | Σ F (θ - θ*)² |
| ``online_ewc`` | the same with a running F, from the last adopted weights |
| ``kl`` | KL(base ‖ model) on text that the base model wrote |
| ``replay`` | examples of earlier distillations, and text that the base model wrote |
| ``ewc_replay`` | both of ``ewc`` and ``replay`` |
| ``kl_replay`` | ``kl``, and examples of earlier distillations: the default |

λ is not part of a method: it follows from the drift that the user allows (`habilis.trainer.drift`), or is given. Own
methods register under the entry-point group ``habilis.regularisers``; `habilis.testing.regularisers` checks them.
"""

from __future__ import annotations

from typing import Any

from habilis.core.errors import NotFoundError
from habilis.trainer.regularisers._protocol import Consolidating, Regulariser, Remembered, Row, State

__all__ = ["REGULARISERS", "Consolidating", "Regulariser", "Remembered", "Row", "State", "open_regulariser"]

REGULARISERS = ("none", "l2", "ewc", "online_ewc", "kl", "replay", "ewc_replay", "kl_replay")


def open_regulariser(name: str) -> Regulariser:
    """A method by name: one of `REGULARISERS`, or one that a package registers. Raises `NotFoundError`."""
    from importlib.metadata import entry_points

    from habilis.trainer.regularisers.ewc import EWC
    from habilis.trainer.regularisers.ewc_replay import EWCReplay
    from habilis.trainer.regularisers.kl import KL
    from habilis.trainer.regularisers.kl_replay import KLReplay
    from habilis.trainer.regularisers.l2 import L2
    from habilis.trainer.regularisers.none import NoRegulariser
    from habilis.trainer.regularisers.online_ewc import OnlineEWC
    from habilis.trainer.regularisers.replay import Replay

    own: dict[str, type[Any]] = {
        kind.name: kind for kind in (NoRegulariser, L2, EWC, OnlineEWC, KL, Replay, EWCReplay, KLReplay)
    }
    if name in own:
        found: Regulariser = own[name]()
        return found
    others = {e.name: e for e in entry_points(group="habilis.regularisers")}
    if name not in others:
        raise NotFoundError.of("regulariser", name, {*own, *others})
    loaded: Regulariser = others[name].load()()
    return loaded
