"""What the crafter world offers, in words: its primitives, predicates and the page that a writer of programs reads."""

from __future__ import annotations

from functools import lru_cache

from habilis.core import Parameter, Predicate, Primitive, WorldSpec
from habilis.worlds.crafter import _tables as tables

FIND_STEPS = 100  # enough to cross the land once
NEAR_STEPS = 40  # beyond this, wood for another table is nearer

_THING = Parameter("thing", doc=f"one of {', '.join(tables.THINGS)}")

PRIMITIVES = (
    Primitive(
        "look",
        "The local view as the outcome's value, at no step: rows (7 rows of 9 names, from the top left; you are in the "
        "middle), things ([kind, dx, dy] of each creature and plant in view; dx grows to the right, dy downwards), "
        "arrows ([dx, dy, way x, way y]), facing ([dx, dy]), at ([x, y] from where you began).",
    ),
    Primitive(
        "find",
        "Walk until you face one of these, exploring where none is known. It only walks: where something solid is in "
        "the way and nothing leads round it, it stops before it, facing it, and fails; remove that and find again. "
        "Any of #ground will do too. With rock it explores where the land is like that: 0 hardly rocky, 1 in part, 2 "
        "mostly.",
        (_THING, Parameter("rock", "int", required=False, doc="0, 1 or 2: what land to explore", low=0, high=2)),
        seeks="facing",
        max_steps=FIND_STEPS,
        stops="facing",
    ),
    Primitive(
        "go_near",
        "Walk to the closest one of these that you remember, until it is among the eight cells around you.",
        (Parameter("station", doc=" or ".join(tables.STATIONS), choices=tables.STATIONS),),
        seeks="near",
        max_steps=NEAR_STEPS,
    ),
    Primitive(
        "move",
        "Turn in this direction, and go one cell if that cell is free (grass, sand, path; and lava, which kills).",
        (Parameter("direction", doc=", ".join(tables.DIRECTIONS), choices=tuple(tables.DIRECTIONS)),),
    ),
    Primitive("do", "Act once on what you face: take, hit, drink, eat. It must be this that you face.", (_THING,)),
    Primitive(
        "place",
        "Put one down on the cell that you face.",
        (Parameter("thing", doc=", ".join(tables.PLACED), choices=tables.PLACED),),
    ),
    Primitive(
        "make", "Make one from what you hold.", (Parameter("item", doc=", ".join(tables.MADE), choices=tables.MADE),)
    ),
    Primitive("sleep", "Sleep for one step. You stay asleep until you are rested or hurt, whatever else you try."),
    Primitive("noop", "Let one step pass."),
)  # fmt: skip
_KIND = Parameter("kind", doc=", ".join((*tables.CREATURES, *tables.PLANTS)))
PREDICATES = (
    Predicate("count", "how many of an item you hold", (Parameter("item"),), numeric=True, phrase="have {value} {0}"),
    Predicate("facing", "what is in the cell that you face", (_THING,), phrase="face {0}"),
    Predicate("near", "what is among the eight cells around you", (Parameter("station"),), phrase="be near a {0}"),
    Predicate("awake", "whether you are awake", phrase="be awake"),
    Predicate(
        "placed", "how many you have seen yourself put down", (Parameter("thing"),), numeric=True,
        phrase="place {value} {0}", past=True,
    ),
    Predicate(
        "defeated", "how many you have seen fall to your blow", (_KIND,), numeric=True, phrase="defeat {value} {0}",
        past=True,
    ),
    Predicate(
        "eaten", "how many you have seen yourself eat", (_KIND,), numeric=True, phrase="eat {value} {0}",
        past=True,
    ),
    Predicate(
        "woken", "how often you have woken up rested", numeric=True, phrase="wake up rested {value} times", past=True
    ),
    *(
        Predicate(name, f"your {name}, 0 to 9", numeric=True, phrase=f"have {name} {{value}}", context=True)
        for name in tables.VITALS
    ),
    Predicate("daylight", "how light it is, 0 to 10", numeric=True, phrase="see by light {value}", context=True),
    Predicate("rock", "how rocky the land in view is, 0 to 2", numeric=True, phrase="be on land {value}", context=True),
    Predicate("dark", "whether it is night", phrase="be in the dark", fleeting=True),
    Predicate(
        "visible", "how many of these are in view", (_KIND,), numeric=True, phrase="see {value} {0}", fleeting=True
    ),
    Predicate("beside", "whether one is right beside you", (_KIND,), phrase="be beside a {0}", fleeting=True),
)  # fmt: skip
_DOC = f"""\
Crafter (Hafner 2021), by the rules of the package `crafter`: a land of grass, trees, water, caves and tunnels, where
one gets hungry, thirsty and tired, and is attacked by zombies (more at night) and skeletons (in caves). A life ends
with death or after {tables.LENGTH:,} steps.

You see {tables.WIDE} by {tables.HIGH} cells around you and remember what you saw. One call is one step of the game, but
for `find` and `go_near`, which walk, and `look`, which takes none. The game never says why something did not work:
an action fails where nothing was seen to come of it. Some things work only sometimes, or only after several blows; try
again. Walking into a free cell is the only way to face what is behind it. No call gathers, crafts, places or fights by
itself.

`find("tree")`, then `do("tree")`; `place("table")` on a free cell, `go_near("table")`, `make("wood_pickaxe")`;
`find("water")` and `do("water")` when `drink()` is low, `find("cow")` and `do("cow")` when `food()` is; `sleep()` while
`energy() < 9`. Read the state with `count("wood")`, `facing("tree")`, `near("table")`, `health()`, `dark()`,
`beside("zombie")`, `visible("skeleton")`."""


@lru_cache(maxsize=8)
def spec(fingerprint: str) -> WorldSpec:
    return WorldSpec(
        name="crafter",
        doc=_DOC,
        primitives=PRIMITIVES,
        predicates=PREDICATES,
        fingerprint=fingerprint,
        tags={"#ground": frozenset(tables.WALKABLE)},
        capabilities=frozenset({"seed", "clone", "simulator", "checkpoint", "affordances", "goals", "chores", "ends"}),
    )
