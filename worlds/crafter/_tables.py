"""The names of Crafter's things, in the order of its materials, and what walking needs to know of them."""

from __future__ import annotations

# As `crafter.constants.materials`, which the game checks when it is made; 0 is what was never seen.
MATERIALS = (
    "unknown", "water", "grass", "stone", "path", "sand", "tree", "lava", "coal", "iron", "diamond", "table", "furnace",
)  # fmt: skip
EDGE = "edge"  # of the world
WALKABLE = ("grass", "sand", "path")
SOLID = ("stone", "tree", "coal", "iron", "diamond")  # may be gone one day: planned through where there is no way round
ROCK = ("stone", "path", "coal", "iron", "diamond", "lava")
CREATURES = ("cow", "zombie", "skeleton", "arrow")
PLANTS = ("plant", "ripe_plant")
STATIONS = ("table", "furnace", "plant")  # what the agent puts down and comes back to
VITALS = ("health", "food", "drink", "energy")
ITEMS = (
    "sapling", "wood", "stone", "coal", "iron", "diamond", "wood_pickaxe", "stone_pickaxe", "iron_pickaxe",
    "wood_sword", "stone_sword", "iron_sword",
)  # fmt: skip
MADE = ("wood_pickaxe", "stone_pickaxe", "iron_pickaxe", "wood_sword", "stone_sword", "iron_sword")
PLACED = ("stone", "table", "furnace", "plant")  # a sapling is placed as a plant
DIRECTIONS = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}
THINGS = (*MATERIALS[1:], *CREATURES, *PLANTS)
WIDE, HIGH = 9, 7  # the local view, in cells
LENGTH = 10_000  # steps of a life, by default
