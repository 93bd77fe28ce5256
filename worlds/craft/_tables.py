"""What the compiled facts do not hold, written by hand: where things are found, smelting, fuel, tools, drops.

Smelting, fuel, tool speeds, durability and drop chances are those of Minecraft 1.19 as its community's wiki
(https://minecraft.wiki) gives them. Which biome or layer holds how much of what is *ours*: a coarse map with the game's
flavour (ores where the game has them, diamonds deep down), not its world generator. One cell stands for a column of
16 by 16 blocks at one depth.
"""

from __future__ import annotations

Find = tuple[str, float, int, int]  # thing, chance that a cell holds it, least and most of it
Drop = tuple[str, float, int, int]  # item, chance, least and most of it

WOODS = ("oak", "birch", "spruce", "jungle", "acacia", "dark_oak")

# Surface cells. Every surface cell also holds dirt.
BIOMES: dict[str, tuple[Find, ...]] = {
    "plains": (
        ("grass", 1, 10, 30),
        ("dandelion", 0.6, 1, 4),
        ("poppy", 0.6, 1, 4),
        ("oak_log", 0.25, 4, 8),
        ("cow", 0.3, 1, 4),
        ("sheep", 0.3, 1, 4),
        ("pig", 0.3, 1, 4),
        ("chicken", 0.3, 1, 4),
        ("cornflower", 0.3, 1, 3),
        ("azure_bluet", 0.2, 1, 3),
        ("oxeye_daisy", 0.2, 1, 3),
    ),
    "forest": (
        ("oak_log", 1, 15, 40),
        ("birch_log", 0.6, 5, 20),
        ("oak_leaves", 1, 20, 40),
        ("pig", 0.2, 1, 3),
        ("sheep", 0.2, 1, 3),
        ("lily_of_the_valley", 0.2, 1, 3),
        ("rose_bush", 0.15, 1, 3),
        ("lilac", 0.15, 1, 3),
    ),
    "taiga": (
        ("spruce_log", 1, 15, 40),
        ("spruce_leaves", 1, 20, 40),
        ("sweet_berry_bush", 0.3, 1, 4),
        ("fern", 0.5, 3, 9),
        ("pumpkin", 0.05, 1, 3),
        ("rabbit", 0.2, 1, 3),
    ),
    "desert": (
        ("sand", 1, 60, 99),
        ("sandstone", 0.8, 20, 40),
        ("cactus", 0.7, 1, 6),
        ("dead_bush", 0.6, 1, 5),
        ("rabbit", 0.1, 1, 2),
    ),
    "savanna": (
        ("acacia_log", 0.8, 6, 20),
        ("grass", 1, 10, 30),
        ("acacia_leaves", 0.8, 9, 20),
        ("cow", 0.4, 1, 4),
        ("horse", 0.15, 1, 3),
    ),
    "swamp": (
        ("oak_log", 0.8, 5, 15),
        ("clay", 0.6, 4, 12),
        ("lily_pad", 0.7, 1, 6),
        ("blue_orchid", 0.5, 1, 4),
        ("sugar_cane", 0.4, 1, 6),
        ("brown_mushroom", 0.4, 1, 3),
        ("red_mushroom", 0.4, 1, 3),
        ("vine", 0.4, 1, 6),
        ("slime", 0.1, 1, 2),
    ),
    "mountains": (
        ("stone", 1, 60, 99),
        ("coal_ore", 0.6, 3, 10),
        ("gravel", 0.7, 5, 20),
        ("emerald_ore", 0.08, 1, 2),
        ("spruce_log", 0.3, 3, 8),
        ("iron_ore", 0.2, 2, 6),
    ),
    "river": (
        ("sand", 0.8, 10, 30),
        ("gravel", 0.7, 10, 30),
        ("clay", 0.6, 4, 12),
        ("sugar_cane", 0.4, 1, 6),
        ("kelp", 0.5, 2, 8),
        ("squid", 0.2, 1, 3),
        ("salmon", 0.3, 1, 3),
    ),
    "jungle": (
        ("jungle_log", 1, 15, 40),
        ("jungle_leaves", 1, 15, 40),
        ("melon", 0.3, 1, 4),
        ("bamboo", 0.3, 5, 20),
        ("cocoa", 0.2, 1, 3),
        ("vine", 0.5, 1, 8),
    ),
    "dark_forest": (
        ("dark_oak_log", 1, 15, 40),
        ("dark_oak_leaves", 1, 20, 40),
        ("brown_mushroom", 0.5, 1, 4),
        ("red_mushroom", 0.5, 1, 4),
        ("rose_bush", 0.3, 1, 3),
    ),
    "badlands": (
        ("red_sand", 1, 40, 80),
        ("terracotta", 1, 30, 60),
        ("red_sandstone", 0.6, 10, 30),
        ("gold_ore", 0.25, 1, 5),
        ("dead_bush", 0.6, 1, 5),
        ("cactus", 0.3, 1, 4),
    ),
    "snowy_plains": (
        ("snow", 1, 10, 40),
        ("snow_block", 0.6, 4, 12),
        ("spruce_log", 0.3, 3, 9),
        ("rabbit", 0.3, 1, 3),
        ("pumpkin", 0.05, 1, 3),
    ),
}
# How often each biome is drawn; plains and forests are twice as common, the last three rare.
BIOME_WEIGHTS: dict[str, int] = {
    "plains": 4,
    "forest": 4,
    "taiga": 2,
    "desert": 2,
    "savanna": 2,
    "swamp": 2,
    "mountains": 2,
    "river": 2,
    "jungle": 2,
    "dark_forest": 1,
    "badlands": 1,
    "snowy_plains": 1,
}
BIOME_SIZE = 3  # cells along the side of one biome patch

# Below ground: caves under the surface, then deepslate, then the depth where diamonds lie.
LAYERS: tuple[tuple[Find, ...], ...] = (
    (),
    (
        ("stone", 1, 80, 120),
        ("coal_ore", 0.6, 4, 15),
        ("iron_ore", 0.4, 2, 8),
        ("copper_ore", 0.45, 3, 12),
        ("gravel", 0.3, 4, 12),
        ("andesite", 0.4, 8, 20),
        ("granite", 0.4, 8, 20),
        ("diorite", 0.4, 8, 20),
        ("spider", 0.2, 1, 2),
        ("skeleton", 0.25, 1, 2),
        ("zombie", 0.25, 1, 2),
        ("creeper", 0.2, 1, 2),
        ("cobweb", 0.04, 1, 5),
        ("moss_block", 0.1, 3, 12),
        ("dripstone_block", 0.1, 3, 12),
        ("glow_lichen", 0.2, 1, 4),
    ),
    (
        ("deepslate", 1, 80, 120),
        ("deepslate_iron_ore", 0.3, 2, 7),
        ("deepslate_gold_ore", 0.25, 2, 6),
        ("deepslate_lapis_ore", 0.2, 2, 5),
        ("deepslate_redstone_ore", 0.3, 3, 8),
        ("tuff", 0.4, 5, 20),
        ("deepslate_diamond_ore", 0.04, 1, 3),
        ("zombie", 0.2, 1, 2),
        ("skeleton", 0.2, 1, 2),
        ("enderman", 0.05, 1, 1),
        ("calcite", 0.08, 3, 9),
        ("amethyst_cluster", 0.06, 1, 4),
    ),
    (
        ("deepslate", 1, 80, 120),
        ("deepslate_redstone_ore", 0.5, 3, 8),
        ("deepslate_diamond_ore", 0.25, 1, 5),
        ("deepslate_gold_ore", 0.2, 2, 6),
        ("deepslate_lapis_ore", 0.15, 2, 5),
        ("obsidian", 0.1, 2, 8),
        ("magma_block", 0.1, 2, 6),
    ),
)
DEEPEST = len(LAYERS) - 1
FREE_DEPTH = 1  # caves lead this far down; digging deeper takes a pickaxe
DIRT = (20, 40)

HEALTH: dict[str, int] = {
    "chicken": 4,
    "cow": 10,
    "creeper": 20,
    "enderman": 40,
    "horse": 22,
    "pig": 10,
    "rabbit": 3,
    "salmon": 3,
    "sheep": 8,
    "skeleton": 20,
    "slime": 16,
    "spider": 16,
    "squid": 10,
    "zombie": 20,
}  # half hearts
MOBS = tuple(sorted(HEALTH))  # what can be attacked; all else in a cell is a block

SMELTING: dict[str, str] = {
    "raw_iron": "iron_ingot",
    "raw_gold": "gold_ingot",
    "raw_copper": "copper_ingot",
    "sand": "glass",
    "red_sand": "glass",
    "cobblestone": "stone",
    "stone": "smooth_stone",
    "clay_ball": "brick",
    "clay": "terracotta",
    "beef": "cooked_beef",
    "porkchop": "cooked_porkchop",
    "mutton": "cooked_mutton",
    "chicken": "cooked_chicken",
    "rabbit": "cooked_rabbit",
    "salmon": "cooked_salmon",
    "cactus": "green_dye",
    "sandstone": "smooth_sandstone",
    "red_sandstone": "smooth_red_sandstone",
    "stone_bricks": "cracked_stone_bricks",
    "cobbled_deepslate": "deepslate",
    "deepslate_bricks": "cracked_deepslate_bricks",
    "deepslate_tiles": "cracked_deepslate_tiles",
    "potato": "baked_potato",
    "kelp": "dried_kelp",
    **{f"{wood}_log": "charcoal" for wood in WOODS},
}
SMELT_SECONDS = 10.0
# How many items one piece smelts, best first.
FUEL: dict[str, float] = {
    "coal_block": 80,
    "dried_kelp_block": 20,
    "coal": 8,
    "charcoal": 8,
    **{f"{wood}_log": 1.5 for wood in WOODS},
    **{f"{wood}_planks": 1.5 for wood in WOODS},
}

DURABILITY: dict[str, int] = {
    "wooden": 59,
    "stone": 131,
    "iron": 250,
    "diamond": 1561,
    "netherite": 2031,
    "golden": 32,
    "shears": 238,
}
# How many times faster than a bare hand, on blocks that the tool is made for.
SPEED: dict[str, float] = {
    "wooden": 2,
    "stone": 4,
    "iron": 6,
    "diamond": 8,
    "netherite": 9,
    "golden": 12,
    "shears": 5,
}
TIER_ORDER = ("wooden", "golden", "stone", "shears", "iron", "diamond", "netherite")  # cheapest first

# Drops that the data gives without their true chances, for a hand or an ordinary tool.
DROPS: dict[str, tuple[Drop, ...]] = {
    "gravel": (("flint", 0.1, 1, 1), ("gravel", 0.9, 1, 1)),
    "grass": (("wheat_seeds", 0.125, 1, 1),),
    "fern": (("wheat_seeds", 0.125, 1, 1),),
    "dead_bush": (("stick", 0.67, 1, 2),),
    "melon": (("melon_slice", 1, 3, 7),),
    "clay": (("clay_ball", 1, 4, 4),),
    "cobweb": (("string", 1, 1, 1),),
    "sweet_berry_bush": (("sweet_berries", 1, 1, 3),),
    "snow": (("snowball", 1, 1, 1),),
    "snow_block": (("snowball", 1, 4, 4),),
    "amethyst_cluster": (("amethyst_shard", 1, 4, 4),),
    "coal_ore": (("coal", 1, 1, 1),),
    "iron_ore": (("raw_iron", 1, 1, 1),),
    "gold_ore": (("raw_gold", 1, 1, 1),),
    "copper_ore": (("raw_copper", 1, 2, 5),),
    "lapis_ore": (("lapis_lazuli", 1, 4, 9),),
    "redstone_ore": (("redstone", 1, 4, 5),),
    "emerald_ore": (("emerald", 1, 1, 1),),
    "diamond_ore": (("diamond", 1, 1, 1),),
    "vine": (("vine", 1, 1, 1),),
    "glow_lichen": (("glow_lichen", 1, 1, 1),),
    **{
        f"{wood}_leaves": (
            (f"{wood}_sapling", 0.025 if wood == "jungle" else 0.05, 1, 1),
            ("stick", 0.02, 1, 2),
            *((("apple", 0.005, 1, 1),) if wood in ("oak", "dark_oak") else ()),
        )
        for wood in WOODS
    },
    "chicken": (("chicken", 1, 1, 1), ("feather", 0.66, 1, 2)),
    "cow": (("beef", 1, 1, 3), ("leather", 0.66, 1, 2)),
    "creeper": (("gunpowder", 0.67, 1, 2),),
    "enderman": (("ender_pearl", 0.5, 1, 1),),
    "horse": (("leather", 0.67, 1, 2),),
    "pig": (("porkchop", 1, 1, 3),),
    "rabbit": (("rabbit", 0.5, 1, 1), ("rabbit_hide", 0.5, 1, 1), ("rabbit_foot", 0.1, 1, 1)),
    "salmon": (("salmon", 1, 1, 1), ("bone_meal", 0.05, 1, 1)),
    "sheep": (("white_wool", 1, 1, 1), ("mutton", 1, 1, 2)),
    "skeleton": (("bone", 0.67, 1, 2), ("arrow", 0.67, 1, 2)),
    "slime": (("slime_ball", 0.67, 1, 2),),
    "spider": (("string", 0.67, 1, 2), ("spider_eye", 0.33, 1, 1)),
    "squid": (("ink_sac", 1, 1, 3),),
    "zombie": (("rotten_flesh", 0.67, 1, 2), ("iron_ingot", 0.0083, 1, 1), ("carrot", 0.0083, 1, 1)),
}
SHEARED = ("vine", "glow_lichen")  # drop nothing without shears
STATIONS = ("crafting_table", "furnace")

CELL_METRES = 16
WALK_SPEED = 4.317  # metres a second
