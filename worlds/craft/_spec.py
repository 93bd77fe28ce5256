"""What the craft world offers, in words: its primitives, predicates and the page that a writer of programs reads."""

from __future__ import annotations

from functools import lru_cache

from habilis.core import Parameter, Predicate, Primitive, WorldSpec
from habilis.worlds.craft import _tables as tables
from habilis.worlds.craft.facts import rules

FIND_STEPS = 160  # a spiral of this length sees some 480 cells, more than 50 biome patches
NEAR_STEPS = 12  # beyond this, carrying wood for another table is cheaper than walking back
DIRECTIONS = ("north", "south", "east", "west", "up", "down")

PRIMITIVES = (
    Primitive("observe", "Look around; the value is the observation in words. Takes no step."),
    Primitive(
        "find",
        "Walk until one of the named things is in reach, exploring where nothing is known; the outcome's value says "
        "which. A whole number at the end is the depth to search at (0 surface, 1 caves, 2 deepslate, 3 diamonds): it "
        "goes there first, which below 1 takes a pickaxe. Without it the search stays at the present depth.",
        (
            Parameter("target", doc="a block or a mob, or a tag of blocks; may be repeated: any one will do"),
            Parameter("depth", "int", required=False, doc="where to search, 0 to 3"),
        ),
        seeks="here",
        variadic=True,
        max_steps=FIND_STEPS,
    ),
    Primitive(
        "go_near",
        f"Walk to the closest placed station of this kind, if one is at most {NEAR_STEPS} steps away.",
        (Parameter("station", doc=" or ".join(tables.STATIONS)),),
        seeks="near",
        max_steps=NEAR_STEPS,
    ),
    Primitive("move", "Go one cell.", (Parameter("direction", doc=", ".join(DIRECTIONS)),)),
    Primitive(
        "gather",
        "Break or pick one block in reach and take what it drops. Some blocks take a tool. A placed station can be "
        "taken back.",
        (Parameter("block"),),
    ),
    Primitive("attack", "Kill one mob in reach and take what it drops.", (Parameter("mob"),)),
    Primitive(
        "craft",
        "Follow one recipe once, from what is held. Large recipes need a crafting table near.",
        (Parameter("recipe", doc='the item\'s name, such as "stick"; further recipes: "stick_from_bamboo"'),),
    ),
    Primitive("smelt", "Smelt one of this item in a furnace near, with fuel.", (Parameter("item"),)),
    Primitive("place", "Put one block from what is held into the present cell.", (Parameter("item"),)),
)
PREDICATES = (
    Predicate("count", "how many of an item are held", (Parameter("item"),), numeric=True, phrase="have {value} {0}"),
    Predicate(
        "here",
        "how much of a block or mob is in reach, in the present cell",
        (Parameter("thing"),),
        numeric=True,
        phrase="stand at {0}",
    ),
    Predicate("near", "whether a placed station is in reach", (Parameter("station"),), phrase="be near a {0}"),
    Predicate("depth", "how deep: 0 is the surface", numeric=True, phrase="be at depth {value}", context=True),
    Predicate("explored", "how many cells were seen so far", numeric=True, phrase="see {value} cells"),
)
_DOC = """\
A simulator of gathering and crafting, made from facts of Minecraft 1.19. It is not Minecraft: recipes, tools, hardness
and drops are the game's; the land is a coarse map of ours, a cell being a column of 16 by 16 blocks at one of four
depths (0 surface with biomes, 1 caves, 2 deepslate, 3 where diamonds are). Nobody gets hurt or hungry.

You hold items and stand in a cell. `find("oak_log")` walks to a thing, `gather("oak_log")` takes one block of it,
`attack("cow")` kills a mob, `craft("oak_planks")` follows a recipe, `place("crafting_table")` puts a station down,
`go_near("crafting_table")` returns to it, `smelt("raw_iron")` needs a furnace near and fuel. One call makes one step:
repeat it to get more. Things run out; then find more. Tools wear out and break; of several that will do, the cheapest
is used. No primitive gathers, crafts or fights on its own.

Read the state with `count("stick")` (items held), `here("stone")` (in reach), `near("furnace")`, `depth()`. A name with
# is a set: `count("#planks")` is the sum over all kinds of planks. Some drops are a matter of luck: try again.
Recipes become known when one of their ingredients is first held."""
_VIEWS = {
    "partial": "\nOnly cells next to where you have been are known.",
    "full": "\nAll cells within 12 cells of the start are known at every depth; beyond, those next to where you were. "
    "Nothing is secret: programs may run beside a copy of the whole land, luck included.",
}


@lru_cache(maxsize=64)
def spec(view: str, reasons: str, recipes: str, shuffled: int | None) -> WorldSpec:
    known = rules(shuffled)
    capabilities = {"seed", "clone", "simulator", "checkpoint", "affordances", "goals", "recipes"}
    if reasons == "all":
        capabilities.add("reasons")
    if recipes != "hidden":
        capabilities.add("contracts")
    if view == "full":
        capabilities.add("portable")
    mixed = "" if shuffled is None else "\nThe recipes here are NOT the game's: their ingredients were exchanged."
    return WorldSpec(
        name="craft",
        doc=_DOC + _VIEWS[view] + mixed,
        primitives=PRIMITIVES,
        predicates=PREDICATES,
        fingerprint=known.fingerprint,
        tags=known.tags,
        capabilities=frozenset(capabilities),
    )
