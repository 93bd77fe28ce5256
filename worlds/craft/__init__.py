"""The craft world: a deep tree of crafting from facts of Minecraft 1.19, on a seeded land that is seen in part.

It is a simulator of ours and not Minecraft. Owns the facts, the land, the rules, the belief and two priced aids.
May import `habilis.core` only.
"""

from habilis.worlds.craft._records import Recipe, Source
from habilis.worlds.craft.facts import Rules, item_class, rules
from habilis.worlds.craft.simulator import Belief
from habilis.worlds.craft.tools import PricedFunction, tools
from habilis.worlds.craft.world import CraftWorld

__all__ = ["Belief", "CraftWorld", "PricedFunction", "Recipe", "Rules", "Source", "item_class", "rules", "tools"]
