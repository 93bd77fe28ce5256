"""The household world: rooms, things with states, two hands and some forty actions, after VirtualHome.

The engine, the houses and the belief are ours; what classes of things are good for, and the needs of each action, are
VirtualHome's, checked against its executor (``python -m benchmarks.household``). May
import `habilis.core` only.
"""

from habilis.worlds.household.scripts import Line, Result
from habilis.worlds.household.simulator import Belief
from habilis.worlds.household.world import HouseholdWorld

__all__ = ["Belief", "HouseholdWorld", "Line", "Result"]
