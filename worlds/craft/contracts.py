"""The rules as contracts: what each recipe, smelting, gathering and fight requires, uses up and yields."""

from __future__ import annotations

from functools import lru_cache

from habilis.core import Action, Atom, Condition, Contract, Effect, Fact
from habilis.worlds.craft import _tables as tables
from habilis.worlds.craft._records import Recipe, Source
from habilis.worlds.craft.facts import Rules, rules


@lru_cache(maxsize=1 << 14)
def at_least(fact: Fact, n: int = 1) -> Atom:
    return Atom(fact, ">=", n)


def recipe_contract(known: Rules, recipe: Recipe, *, whole: bool = True) -> Contract:
    """``whole=False``: the effect alone, as the recipe book shows a recipe that is not worked out yet."""
    conditions = [Condition(at_least(known.count[k], n), consumed=n, known=True) for k, n in recipe.needs.items()]
    if recipe.table:
        conditions.append(Condition(Atom(known.near["crafting_table"]), known=True))
    return Contract(
        Action("craft", (recipe.name,)),
        known.fingerprint,
        conditions=tuple(conditions) if whole else (),
        effects=(Effect(known.count[recipe.result], amount=recipe.makes),),
        source="declared",
    )


def smelting_contract(known: Rules, item: str, *, whole: bool = True) -> Contract:
    """One piece of fuel smelts 1.5 items (wood) to 80: the worst is declared, as a guess."""
    fuel = 2 if item in tables.FUEL else 1
    conditions = (
        Condition(at_least(known.count[item]), consumed=1, known=True),
        Condition(at_least(known.count["#fuel"], fuel), consumed=round(1 / min(tables.FUEL.values()), 2)),
        Condition(Atom(known.near["furnace"]), known=True),
    )
    return Contract(
        Action("smelt", (item,)),
        known.fingerprint,
        conditions=conditions if whole else (),
        effects=(Effect(known.count[tables.SMELTING[item]], amount=1),),
        source="declared",
    )


def source_contract(known: Rules, source: Source) -> Contract:
    """Gathering one block or fighting one mob; the amounts are means over the drops' chances."""
    conditions = [Condition(at_least(known.here[source.name]), consumed=1, known=True)]
    if source.tool is not None:
        conditions.append(Condition(at_least(known.count[source.tool]), known=True))
    effects = [
        Effect(known.count[item], amount=chance * (low + high) / 2)
        for item, chance, low, high in source.drops
        if item in known.items
    ]
    return Contract(
        Action("attack" if source.attack else "gather", (source.name,)),
        known.fingerprint,
        conditions=tuple(conditions),
        effects=tuple(effects),
        source="declared",
    )


@lru_cache(maxsize=16)
def declared(shuffled: int | None, level: str) -> dict[str, Contract]:
    """By ``craft <recipe>`` and ``smelt <item>``; ``level`` is "declared" (whole) or "unlocked" (effects alone)."""
    known, whole = rules(shuffled), level == "declared"
    found = {f"craft {name}": recipe_contract(known, recipe, whole=whole) for name, recipe in known.recipes.items()}
    found.update({f"smelt {item}": smelting_contract(known, item, whole=whole) for item in sorted(tables.SMELTING)})
    return found
