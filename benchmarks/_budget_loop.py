"""The same tasks under the same money, with tools picked in different ways.

Forty tasks, drawn by seed from the hundred cheapest items of the craft world, one after the other in one life from
nothing. The world hides its recipes and does not say why something failed: what a thing is made of is found out by
trying, or bought; how to place a table or a furnace is known. Offered are six aids that do something in this world and
twenty that have nothing to do with it:

``recipe_book``       every way to get an item, $0.01 an answer
``master_craftsman``  the same, $0.05
``field_guide``       where an item is found, not what it is made of, $0.002
``old_recipe_book``   a recipe book of other rules (the recipes are exchanged among one another), $0.004
``encyclopedia``      promises everything and knows nothing, $0.02
``telescope``         the world's own, $0.005

The arms differ in what they pick for a task; the search writer asks, of what was picked, the cheapest first that knows:

``selected``   `habilis.agent.helping`: relevance, expected success, price, the money paced over the tasks; learning
               from what solved a task
``all``        every tool that can still be paid
``similar``    the three nearest by relevance, and no regard to price or record
``none``       no tool
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks._life import STATIONS, Setting, composed, placing, policy
from habilis.agent.helping import Helping
from habilis.agent.loop import LoopSettings
from habilis.agent.pacing import RunPace
from habilis.agent.words import goal_to_words
from habilis.core import Augmentation, Budget, Cost, Embedder, Goal, Json, Kind, Ledger, Task
from habilis.memory.index import MemoryIndex
from habilis.tools import Catalogue, Tool, ToolRegistry, tool
from habilis.worlds.craft import CraftWorld

ARMS = ("selected", "all", "similar", "none")
TASKS, POOL = 40, 100
MONEY = (0.1, 0.4, 1.6)
_OPTIONS = {"recipes": "hidden", "reasons": "none"}
_TASK = Budget(usd=None, search_steps=600, world_steps=6_000)
_OTHER_RULES = 99

# Names, what they say they do, and prices in USD: things that people register, none of which helps here.
_UNRELATED = (
    ("exchange_rate", "Exchange rate of two currencies today.", 0.001),
    ("weather_forecast", "The weather of a city for the next five days.", 0.002),
    ("send_mail", "Send an e-mail to somebody.", 0.001),
    ("translate_text", "Translate a text into another language.", 0.004),
    ("book_flight", "Find and book a flight between two cities.", 0.02),
    ("web_search", "Search the web for pages about something.", 0.005),
    ("stock_price", "Price of a share at the last close.", 0.002),
    ("summarise", "Summarise a long document in a few sentences.", 0.006),
    ("calendar", "List the meetings of a day.", 0.001),
    ("image_caption", "Describe what a picture shows.", 0.008),
    ("route_planner", "The quickest route between two addresses.", 0.003),
    ("sql_query", "Run a query on the sales database.", 0.002),
    ("spell_check", "Find spelling mistakes in a text.", 0.001),
    ("music_finder", "Find a song by a line of its text.", 0.003),
    ("restaurant_guide", "Restaurants near an address, with what they serve.", 0.004),
    ("cooking_recipes", "Recipes for a dish, with ingredients and steps.", 0.004),
    ("tool_rental", "Rent a drill, a saw or a ladder in a shop nearby.", 0.01),
    ("mineral_prices", "Market prices of iron, gold and diamonds.", 0.006),
    ("carpenters", "Find a carpenter who builds furniture of oak.", 0.005),
    ("geology_map", "Geological map of a region, with its ores.", 0.007),
)


@dataclass(frozen=True)
class Spell:
    """How the tasks went. ``usd``: spent; ``calls``: of each tool."""

    tried: int
    solved: int
    usd: float
    calls: Mapping[str, int]
    search_steps: int
    world_steps: int


def tools(world: CraftWorld) -> list[Tool]:
    """All that is offered, for this world."""
    own = {aid.name: aid for aid in world.tools()}
    other = {aid.name: aid for aid in CraftWorld(**_OPTIONS, shuffled=_OTHER_RULES).tools()}

    def recipe_book(item: str) -> list[dict[str, Any]]:
        """Every way to get an item: recipes, smelting, gathering and fighting, what each requires and yields."""
        return list(own["recipe_book"].function(item))

    def master_craftsman(item: str) -> list[dict[str, Any]]:
        """Ask a master how to make an item: every way to get it, and what that takes."""
        return list(own["recipe_book"].function(item))

    def field_guide(item: str) -> list[dict[str, Any]]:
        """Where an item is found in nature, and what it takes to gather it."""
        return [c for c in own["recipe_book"].function(item) if str(c["action"]).startswith("gather")]

    def old_recipe_book(item: str) -> list[dict[str, Any]]:
        """Every way to get an item, as they knew it in former times: recipes and what each requires."""
        return list(other["recipe_book"].function(item))

    def encyclopedia(item: str) -> list[dict[str, Any]]:
        """Everything about any item: how to get it, how to craft it, what it is made of, where it is found."""
        return []

    def telescope() -> Json:
        """Show the land within five cells at the present depth; what is seen there is known from then on."""
        return own["telescope"].function()

    def priced(function: Callable[..., Any], usd: float, provides: str = "contracts") -> Tool:
        return tool(cost=Cost(usd=usd), safe_to_retry=True, provides=provides)(function)

    tellers = [
        priced(recipe_book, 0.01),
        priced(master_craftsman, 0.05),
        priced(field_guide, 0.002),
        priced(old_recipe_book, 0.004),
        priced(encyclopedia, 0.02),
        priced(telescope, 0.005, "sight"),
    ]
    return [*tellers, *(_unrelated(*one) for one in _UNRELATED)]


def _unrelated(name: str, doc: str, usd: float) -> Tool:
    def ask(about: str) -> str:
        return ""

    ask.__doc__ = doc
    return tool(cost=Cost(usd=usd), safe_to_retry=True, name=name)(ask)


class _All(Helping):
    """Every tool that can still be paid, always."""

    def pick(self, task: Task, ledger: Ledger) -> tuple[Augmentation, ...]:
        every = [self.catalogue.get(f"{Kind.TOOL.value}:{name}") for name in self.registry.names()]
        return tuple(one for one in every if ledger.affords(one.cost))


class _Similar(Helping):
    """The three nearest tools, always."""

    def pick(self, task: Task, ledger: Ledger) -> tuple[Augmentation, ...]:
        near = self.catalogue.near(task.text, kinds=[Kind.TOOL], k=3)
        return tuple(one for one in near if ledger.affords(one.cost))


_HELP: Mapping[str, type[Helping]] = {"selected": Helping, "all": _All, "similar": _Similar}


def goals(seed: int, tasks: int = TASKS) -> Sequence[Goal]:
    """What is asked for, in this order."""
    return random.Random(f"budget {seed}").sample(policy()[:POOL], tasks)


def spell(arm: str, usd: float, seed: int, embedder: Embedder, tasks: int = TASKS) -> Spell:
    """Work on the tasks with this much money."""
    return asyncio.run(_spell(arm, usd, seed, embedder, tasks))


async def _spell(arm: str, usd: float, seed: int, embedder: Embedder, tasks: int) -> Spell:
    solved = tried = 0
    with composed(Setting(options=_OPTIONS), seed) as (loop, parts):
        assert isinstance(parts.world, CraftWorld)
        parts.ledger = Ledger(Budget(usd=usd))
        parts.book.declare([placing(parts.world, station) for station in STATIONS], source="told")
        loop.settings = LoopSettings(task_budget=_TASK)
        registry = ToolRegistry(tools(parts.world))
        made = _HELP.get(arm)
        if made is not None:
            catalogue = Catalogue(MemoryIndex(embedder.dim), embedder)
            parts.help = helping = made(
                registry,
                catalogue,
                parts.journal,
                parts.events,
                lambda: loop.run_id,
                fingerprint=parts.world.spec.fingerprint,
            )
            parts.pace = helping.pace = RunPace(parts.ledger.limit, tasks, catalogue.selector)
        spec = parts.world.spec
        for i, goal in enumerate(goals(seed, tasks)):
            text = goal_to_words(goal, spec)
            task = Task(goal, spec.name, seed * 1_000 + i, text, origin="user", fingerprint=spec.fingerprint)
            episode = await loop.work(task)
            tried, solved = tried + 1, solved + episode.solved
        spent = parts.ledger.spent
        calls = {name: registry.stats(name).calls for name in registry.names() if registry.stats(name).calls}
    return Spell(tried, solved, spent.usd, calls, spent.search_steps, spent.world_steps)
