"""Shuffled recipes: the same items with the ingredients exchanged, as a control against what is known from outside.

The exchange keeps the game solvable: it is redrawn until most items, an iron pickaxe and diamonds can still be had.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from habilis.core import InputError
from habilis.worlds.craft import _tables as tables
from habilis.worlds.craft._records import Source

Raw = tuple[str, int, bool, dict[str, int]]
_TRIES = 2000
_LEAST = 0.6  # share of what could be had before that must still be had
_GOALS = frozenset({"diamond", "iron_pickaxe", "furnace", "crafting_table"})


def reachable(recipes: Sequence[Raw], sources: Mapping[str, Source], tags: Mapping[str, frozenset[str]]) -> set[str]:
    """Every item that can be had from nothing: by gathering what the terrain holds, crafting and smelting."""
    got: set[str] = set()
    natural: list[tuple[int, Source]] = []
    for depth, finds in enumerate([tuple(f for b in tables.BIOMES.values() for f in b), *tables.LAYERS[1:]]):
        natural += [(depth, sources[name]) for name in sorted({f[0] for f in finds})]
    natural.append((0, sources["dirt"]))

    def had(item_or_tag: str) -> bool:
        members = tags.get(item_or_tag)
        return item_or_tag in got if members is None else not members.isdisjoint(got)

    left, growing = list(recipes), True
    while growing:
        size = len(got)
        for depth, source in natural:
            if (source.tool is None or had(source.tool)) and (depth <= tables.FREE_DEPTH or had("#pickaxe")):
                got.update(d[0] for d in source.drops)
        waiting = []
        for recipe in left:
            if (not recipe[2] or "crafting_table" in got) and all(map(had, recipe[3])):
                got.add(recipe[0])
            else:
                waiting.append(recipe)
        left = waiting
        if "furnace" in got and had("#fuel"):
            got.update(made for item, made in tables.SMELTING.items() if item in got)
        growing = len(got) > size
    return got


def shuffle_recipes(
    recipes: Sequence[Raw], sources: Mapping[str, Source], tags: Mapping[str, frozenset[str]], seed: int
) -> list[Raw]:
    """Exchange the ingredient lists among recipes of the same size (hands, table); planks stay, or nothing starts.

    Raises `InputError` when no exchange of this seed keeps the game solvable.
    """
    least = _LEAST * len(reachable(recipes, sources, tags))
    for attempt in range(_TRIES):
        rng = random.Random(f"craft recipes {seed} {attempt}")
        mixed = list(recipes)
        for table in (False, True):
            slots = [i for i, r in enumerate(recipes) if r[2] is table and not r[0].endswith("_planks")]
            drawn = slots[:]
            rng.shuffle(drawn)
            for i, j in zip(slots, drawn, strict=True):
                mixed[i] = (*recipes[i][:3], dict(recipes[j][3]))
        mixed = [r for r in mixed if not any(r[0] in tags.get(k, (k,)) for k in r[3])]
        got = reachable(mixed, sources, tags)
        if len(got) >= least and got >= _GOALS:
            return mixed
    raise InputError(f"no solvable exchange of recipes in {_TRIES} tries for shuffled={seed}; take another number")
