"""What classes of objects are good for: the property table of VirtualHome, and a few facts about classes beside it."""

from __future__ import annotations

import json
from functools import lru_cache
from importlib.resources import files

PROPERTIES = (
    "BODY_PART",
    "CAN_OPEN",
    "CLOTHES",
    "CONTAINERS",
    "COVER_OBJECT",
    "CREAM",
    "CUTTABLE",
    "DRINKABLE",
    "EATABLE",
    "GRABBABLE",
    "HANGABLE",
    "HAS_PAPER",
    "HAS_PLUG",
    "HAS_SWITCH",
    "LIEABLE",
    "LOOKABLE",
    "MOVABLE",
    "PERSON",
    "POURABLE",
    "READABLE",
    "RECIPIENT",
    "SITTABLE",
    "SURFACES",
)
AGENT_KIND = "character"
# How many may sit or lie on one at once; 1 on whatever is not named.
SEATS = {"couch": 4, "bed": 4, "loveseat": 2, "sofa": 4, "pianobench": 2, "bench": 2}
BEDS = {"couch": 2, "bathtub": 2, "bed": 3, "loveseat": 2, "sofa": 2}
# Classes that can do what the property table does not say of them.
ALSO_GRABBED = frozenset({"water", "child"})
ALSO_OPENED = frozenset({"desk", "window"})
ALSO_MOVED = frozenset({"chair", "curtain", "button"})
ALSO_POURED_INTO = frozenset({"hands_both", "sponge", "face"})
ALSO_TYPED_ON = frozenset({"keyboard"})
SQUEEZED = frozenset(
    {"check", "cleaning_solution", "dish_soap", "food_lemon", "food_peanut_butter", "paper"}
    | {"rag", "shampoo", "soap", "sponge", "tooth_paste", "towel"}
)
_PREFIXES = ("food_", "clothes_")


@lru_cache(maxsize=1)
def kinds() -> dict[str, frozenset[str]]:
    """By class of object: its properties."""
    text = (files("habilis.worlds.household") / "data" / "kinds.json").read_text("utf-8")
    return {name: frozenset(properties) for name, properties in json.loads(text).items()}


def said(kind: str) -> str:
    """A class as it is called in names and tags: ``food_apple`` is an apple."""
    for prefix in _PREFIXES:
        if kind.startswith(prefix) and kind not in ("food_food", "food_fruit", "food_vegetable", "food_snack"):
            kind = kind[len(prefix) :]
    return "".join(c if c.isalnum() else "_" for c in kind.lower())
