"""Tools: registering, describing, costing, calling and selecting them.

Owns `tool`, `Tool`, `ToolRegistry`, the callers that running programs reach tools through (`HostTools`, `ReplayTools`),
and the choice of what to use for a task under a budget (`BudgetSelector`, `Catalogue`). May import `habilis.core` and
`habilis.memory`.
"""

from habilis.tools.caller import HostTools, Inconclusive, ReplayTools
from habilis.tools.registrations import StateStore, load_registrations, save_registrations
from habilis.tools.registry import ToolRegistry, ToolResult, ToolStats
from habilis.tools.tool import Priced, Tool, tool

__all__ = [
    "HostTools",
    "Inconclusive",
    "Priced",
    "ReplayTools",
    "StateStore",
    "Tool",
    "ToolRegistry",
    "ToolResult",
    "ToolStats",
    "load_registrations",
    "save_registrations",
    "tool",
]
