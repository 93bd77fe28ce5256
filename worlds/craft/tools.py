"""Two aids that cost something: a recipe book (knowledge) and a telescope (sight)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from habilis.core import Cost, InputError, Json, dump
from habilis.worlds.craft import _tables as tables
from habilis.worlds.craft.contracts import recipe_contract, smelting_contract, source_contract

if TYPE_CHECKING:
    from habilis.worlds.craft.world import CraftWorld

TELESCOPE_SIGHT = 5  # cells: 121 at a glance, as many as 30 to 40 steps of walking show


@dataclass(frozen=True, slots=True)
class PricedFunction:
    """A function for programs to call on the host, its description, and what one call costs.

    ``provides``: "contracts" where the answer is a list of contracts. ``safe_to_retry``: calling it again changes
    nothing outside the world and answers the same.
    """

    name: str
    function: Callable[..., Json]
    doc: str
    cost: Cost
    safe_to_retry: bool = True
    provides: str = ""


def tools(world: CraftWorld) -> tuple[PricedFunction, PricedFunction]:
    """The aids for this world. The telescope acts on the world that is handed in, not on its clones."""

    def recipe_book(item: str) -> list[dict[str, Any]]:
        """Every way to get an item: recipes, smelting, gathering and fighting, each with what it requires and yields.

        Knows recipes that are not unlocked yet. An item that cannot be had gives an empty list.
        """
        known = world._rules
        if item not in known.items:
            raise InputError(f"there is no item {world._unknown(item)}")
        found = [recipe_contract(known, recipe) for recipe in known.by_result.get(item, ())]
        found += [smelting_contract(known, s) for s, made in sorted(tables.SMELTING.items()) if made == item]
        natural = sorted(_NATURAL)
        found += [
            source_contract(known, known.sources[name])
            for name in natural
            if any(drop[0] == item for drop in known.sources[name].drops)
        ]
        return [dump(contract) for contract in found]

    def telescope() -> dict[str, Any]:
        """Show the land within five cells at the present depth; what is seen there is known from then on."""
        new = world.look(TELESCOPE_SIGHT)
        things = sorted({thing for key in new for thing in world._seen.get(key) or ()})
        return {"cells": len(new), "things": things}

    return (
        PricedFunction(
            "recipe_book", recipe_book, recipe_book.__doc__ or "", Cost(usd=0.01, calls=1), provides="contracts"
        ),
        PricedFunction(
            # It shows the land of this world alone, so it cannot stand in for a look elsewhere.
            "telescope",
            telescope,
            telescope.__doc__ or "",
            Cost(usd=0.005, calls=1),
            safe_to_retry=False,
        ),
    )


_NATURAL = {find[0] for finds in (*tables.BIOMES.values(), *tables.LAYERS) for find in finds} | {"dirt"}
