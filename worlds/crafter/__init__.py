"""The crafter world: Crafter (Hafner 2021, PyPI ``crafter``), a survival game whose rules others have set.

The game and its rules are the package's, made reproducible; what is ours is what the agent is shown (the local view, as
names), what it remembers of it, and walking. Needs the extra ``crafter``. May import `habilis.core` only.
"""

from habilis.worlds.crafter.achievements import ACHIEVEMENTS, achievement_goals, score
from habilis.worlds.crafter.simulator import Belief
from habilis.worlds.crafter.world import CrafterWorld

__all__ = ["ACHIEVEMENTS", "Belief", "CrafterWorld", "achievement_goals", "score"]
