"""Habilis: an agent that gets better at its work.

    from habilis import Agent, World, tool

Heavy parts load when first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from habilis.core import Budget, Cost, Episode, Goal, HabilisError, Skill, Task, reflex
    from habilis.run import Agent, AgentSettings, BoundSkill, Summary
    from habilis.tools import tool
    from habilis.worlds import World, action

__version__ = "0.1.0"

_FROM = {
    "Agent": "habilis.run",
    "AgentSettings": "habilis.run",
    "BoundSkill": "habilis.run",
    "Budget": "habilis.core",
    "Cost": "habilis.core",
    "Episode": "habilis.core",
    "Goal": "habilis.core",
    "HabilisError": "habilis.core",
    "Skill": "habilis.core",
    "Summary": "habilis.run",
    "Task": "habilis.core",
    "World": "habilis.worlds",
    "action": "habilis.worlds",
    "reflex": "habilis.core",
    "tool": "habilis.tools",
}

__all__ = [
    "Agent",
    "AgentSettings",
    "BoundSkill",
    "Budget",
    "Cost",
    "Episode",
    "Goal",
    "HabilisError",
    "Skill",
    "Summary",
    "Task",
    "World",
    "__version__",
    "action",
    "reflex",
    "tool",
]


def __getattr__(name: str) -> Any:
    if name in _FROM:
        return getattr(import_module(_FROM[name]), name)
    raise AttributeError(f"module 'habilis' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
