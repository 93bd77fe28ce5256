"""The 22 achievements of Crafter, as goals over what the agent can see and remember, and the official score."""

from __future__ import annotations

import math
from collections.abc import Mapping

from habilis.core import Goal

_SEEN: Mapping[str, str] = {
    "collect_wood": 'count("wood") >= 1',
    "place_table": 'near("table")',
    "make_wood_pickaxe": 'count("wood_pickaxe") >= 1',
    "make_wood_sword": 'count("wood_sword") >= 1',
    "collect_sapling": 'count("sapling") >= 1',
    "place_plant": 'near("plant")',
    "collect_drink": "drink() >= 9",
    "eat_cow": 'eaten("cow") >= 1',
    "wake_up": "woken() >= 1",
    "collect_stone": 'count("stone") >= 1',
    "place_stone": 'placed("stone") >= 1',
    "make_stone_pickaxe": 'count("stone_pickaxe") >= 1',
    "make_stone_sword": 'count("stone_sword") >= 1',
    "place_furnace": 'near("furnace")',
    "collect_coal": 'count("coal") >= 1',
    "defeat_zombie": 'defeated("zombie") >= 1',
    "defeat_skeleton": 'defeated("skeleton") >= 1',
    "collect_iron": 'count("iron") >= 1',
    "make_iron_pickaxe": 'count("iron_pickaxe") >= 1',
    "make_iron_sword": 'count("iron_sword") >= 1',
    "collect_diamond": 'count("diamond") >= 1',
    "eat_plant": 'eaten("ripe_plant") >= 1',
}
ACHIEVEMENTS = tuple(_SEEN)  # in the order in which a life usually comes to them


def achievement_goals() -> dict[str, Goal]:
    """By the package's name of each: what the agent sees when it has been unlocked.

    No counter of the package's is looked at. Drinking shows only where something was lacking, so its goal holds at the
    beginning; `CrafterWorld.goals` offers it once it does not.
    """
    return {name: Goal.parse(text) for name, text in _SEEN.items()}


def score(rates: Mapping[str, float]) -> float:
    """The official score in per cent: exp(mean(log(1 + rate))) - 1, of success rates in per cent (Hafner 2021, section
    4). ``rates``: shares from 0 to 1 by achievement; one that is missing counts as 0."""
    return math.exp(sum(math.log1p(100.0 * rates.get(name, 0.0)) for name in ACHIEVEMENTS) / len(ACHIEVEMENTS)) - 1.0
