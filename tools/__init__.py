"""Tools: registering, describing, costing, calling and selecting them.

Owns `tool`, `Tool`, `ToolRegistry`, the callers that running programs reach tools through (`HostTools`, `ReplayTools`,
`ResumedTools`), the documents of a home (`KnowledgeBase`), and the choice of what to use for a task under a budget
(`BudgetSelector`, `Catalogue`). May import `habilis.core` and `habilis.memory`.
"""

from habilis.tools._json import MAX_RESULT_BYTES, wire_size
from habilis.tools.calling.caller import HostTools, Inconclusive, OnCall, ReplayTools, ResumedTools
from habilis.tools.calling.registry import OnBegin, ToolRegistry, ToolResult, ToolStats
from habilis.tools.calling.results import LARGE_BYTES, preview, reference
from habilis.tools.knowledge.base import Added, Document, KnowledgeBase, Match
from habilis.tools.knowledge.passages import Passage
from habilis.tools.selection.augmentations import of_document, of_episode, of_model, of_skill, of_tool
from habilis.tools.selection.catalogue import Catalogue
from habilis.tools.selection.selector import BudgetSelector, exact_pick, value_of
from habilis.tools.selection.space import Described, Space
from habilis.tools.selection.success import SuccessModel, TrackRecord
from habilis.tools.sources.python import full_source
from habilis.tools.sources.registrations import StateStore, load_registrations, registered, save_registrations
from habilis.tools.tool import Priced, Tool, tool

__all__ = [
    "LARGE_BYTES",
    "MAX_RESULT_BYTES",
    "Added",
    "BudgetSelector",
    "Catalogue",
    "Described",
    "Document",
    "HostTools",
    "Inconclusive",
    "KnowledgeBase",
    "Match",
    "OnBegin",
    "OnCall",
    "Passage",
    "Priced",
    "ReplayTools",
    "ResumedTools",
    "Space",
    "StateStore",
    "SuccessModel",
    "Tool",
    "ToolRegistry",
    "ToolResult",
    "ToolStats",
    "TrackRecord",
    "exact_pick",
    "full_source",
    "load_registrations",
    "of_document",
    "of_episode",
    "of_model",
    "of_skill",
    "of_tool",
    "preview",
    "reference",
    "registered",
    "save_registrations",
    "tool",
    "value_of",
    "wire_size",
]
