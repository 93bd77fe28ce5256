"""The grid world: MiniGrid's BabyAI levels (Chevalier-Boisvert et al. 2018, PyPI ``minigrid``), with missions in words.

The levels and their rules are the package's; what is ours is what the agent is shown (the view of seven by seven cells,
as names), what it remembers of it, walking, and how a mission is read. Needs the extra ``grid``. May import
`habilis.core` only.
"""

from habilis.worlds.grid.missions import read_mission
from habilis.worlds.grid.world import GridWorld

__all__ = ["GridWorld", "read_mission"]
