"""How much of a prompt many tools take: the chat writer's first prompt beside one that lists them all.

A home with 1,000 registered tools (an action and a thing each, with two parameters, and a docstring of two sentences);
a seed poses tasks that name one of them. ``prompt_share``: the characters of the prompt's two messages over those of
the same prompt with every tool described as the picked ones are. ``found``: tasks whose own tool is among the picked.
The embedder is the hash one: nothing is fetched, and no model takes part.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from benchmarks._harness import Figure, Options, main
from habilis.agent.writers._prompt import _TOOLS, system, task_text
from habilis.core import Augmentation, Budget, Context, Goal, Ledger, Task
from habilis.memory.embedding import HashEmbedder
from habilis.memory.index import MemoryIndex
from habilis.tools import Catalogue, HostTools, Tool, ToolRegistry, of_tool, tool
from habilis.worlds.craft import CraftWorld

AIMS = {"prompt_share": "<= 0.1"}
TOOLS = 1_000  # that there are, as many as actions and things
TASKS = 20  # of each seed
_ACTIONS = ("fetch", "convert", "rank", "translate", "book", "cancel", "measure", "compare", "forecast", "archive")
_PLACES = ("rail", "harbour", "river", "museum", "garden", "market", "stadium", "clinic", "library", "bakery")
_MATTERS = (
    "tickets", "prices", "maps", "opening-hours", "reviews", "staff", "events", "permits", "deliveries", "photographs",
)  # fmt: skip
_THINGS = [f"{place} {matter}" for place in _PLACES for matter in _MATTERS]


def many_tools() -> list[Tool]:
    """One tool for each action and thing."""

    def made(action: str, thing: str) -> Tool:
        def call(city: str, limit: int = 10) -> list[str]:
            return [city] * limit

        call.__doc__ = (
            f"{action.capitalize()} {thing} of a city. Use it when a task asks to {action} {thing}; it answers "
            "a list.\n\nArgs:\n    city: name of the city, in English\n    limit: how many at most\n"
        )
        return tool(name=f"{action}_{thing}".replace(" ", "_").replace("-", "_"))(call)

    return [made(action, thing) for action in _ACTIONS for thing in _THINGS]


def shares(seed: int, tasks: int = TASKS) -> tuple[list[float], int]:
    """The share of each task's prompt, and in how many tasks the tool that the task names was picked."""
    registry = ToolRegistry(many_tools())
    embedder, world = HashEmbedder(), CraftWorld()
    catalogue = Catalogue(MemoryIndex(embedder.dim), embedder)
    catalogue.put(*map(of_tool, registry))
    snapshot = world.reset(seed)
    every = tuple(map(of_tool, registry))
    draw, found, hits = random.Random(seed), [], 0
    for _ in range(tasks):
        action, thing = draw.choice(_ACTIONS), draw.choice(_THINGS)
        task = Task(Goal.parse(f"Judged('{action} {thing}')"), world.spec.name, seed, f"{action} the {thing} of Oslo")
        picked = catalogue.pick(task, Budget()).taken
        hits += any(a.text.startswith(f"{action} {thing}".replace("-", " ")) for a in picked)

        def size(shown: Sequence[Augmentation], task: Task = task, most_tools: int = _TOOLS) -> int:
            caller = HostTools(registry, Ledger(), allowed=[a.name for a in shown])
            context = Context(world.spec, snapshot, {}, picked=tuple(shown), tools=caller, tools_in_all=len(registry))
            return len(system()) + len(task_text(task, context, most_tools=most_tools))

        found.append(size(picked) / size(every, most_tools=len(registry)))
    return found, hits


def measure(options: Options) -> dict[str, Figure]:
    runs = [shares(seed) for seed in range(options.seeds)]
    each = [share for found, _ in runs for share in found]
    return {
        "prompt_share": Figure.of(each),
        "prompt_share_most": Figure.of([max(each)]),
        "found": Figure.rate(sum(hits for _, hits in runs), len(each)),
    }


if __name__ == "__main__":
    main("context", measure, aims=AIMS, seeds=5, quick_seeds=2)
