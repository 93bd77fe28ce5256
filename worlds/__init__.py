"""The worlds: what an agent acts in.

Owns the worlds, a folder each (`craft`, `household` and `shell` are ours, `crafter` and `grid` wrap games of others),
worlds from plain functions, the bridge to Gymnasium (`habilis.worlds.gym`), what an evaluation hands out
(`for_evaluation`), reflexes at work (`habilis.worlds.reflexive`), the runner that runs programs under confinement
(`habilis.worlds.runner`, which imports no world), judge and verifier (`habilis.worlds.verify`).
May import `habilis.core` only.
"""

from habilis.worlds.evaluation import for_evaluation
from habilis.worlds.functions import FunctionWorld, Unmet, World, action, from_functions

__all__ = ["FunctionWorld", "Unmet", "World", "action", "for_evaluation", "from_functions"]
