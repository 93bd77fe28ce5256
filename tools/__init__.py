"""Tools: registering, describing, costing, calling and selecting them.

Owns `tool`, `Tool`, `ToolRegistry`, the sources that tools come from (`mcp_server`, `openapi`, `from_langchain`), the
callers that running programs reach tools through (`HostTools`, `ReplayTools`, `ResumedTools`), the documents of a home
(`KnowledgeBase`), and the choice of what to use for a task under a budget (`BudgetSelector`, `Catalogue`). May import
`habilis.core` and `habilis.memory`.
"""

from habilis.tools._json import MAX_RESULT_BYTES, wire_size
from habilis.tools.calling._calls import OnBegin
from habilis.tools.calling.caller import HostTools, Inconclusive, OnCall, ReplayTools, ResumedTools
from habilis.tools.calling.previews import ARGUMENTS, LARGE_BYTES, preview, reference, short_arguments
from habilis.tools.calling.registry import ToolRegistry
from habilis.tools.calling.results import ToolResult, ToolStats
from habilis.tools.knowledge.base import Added, Document, KnowledgeBase, Match
from habilis.tools.knowledge.passages import Passage
from habilis.tools.selection.augmentations import of_document, of_episode, of_model, of_skill, of_tool
from habilis.tools.selection.catalogue import Catalogue, Use
from habilis.tools.selection.learned import LearnedSuccess, LearningSettings
from habilis.tools.selection.pacing import Allowance, Pacer, PacingSettings, Prices
from habilis.tools.selection.selector import BudgetSelector, exact_pick, value_of
from habilis.tools.selection.space import Described, Projection, Rocchio, Space, Toolken
from habilis.tools.selection.success import SuccessModel, TrackRecord
from habilis.tools.sources.langchain import from_langchain
from habilis.tools.sources.mcp import MCPServer, mcp_server
from habilis.tools.sources.openapi import OpenAPIService, openapi
from habilis.tools.sources.options import LeftOutWarning, SourceOptions
from habilis.tools.sources.registrations import Registration, StateStore, load_registrations, save_registrations
from habilis.tools.sources.text import full_text, tools_of
from habilis.tools.tool import Priced, Tool, ToolSource, tool

__all__ = [
    "ARGUMENTS",
    "LARGE_BYTES",
    "MAX_RESULT_BYTES",
    "Added",
    "Allowance",
    "BudgetSelector",
    "Catalogue",
    "Described",
    "Document",
    "HostTools",
    "Inconclusive",
    "KnowledgeBase",
    "LearnedSuccess",
    "LearningSettings",
    "LeftOutWarning",
    "MCPServer",
    "Match",
    "OnBegin",
    "OnCall",
    "OpenAPIService",
    "Pacer",
    "PacingSettings",
    "Passage",
    "Priced",
    "Prices",
    "Projection",
    "Registration",
    "ReplayTools",
    "ResumedTools",
    "Rocchio",
    "SourceOptions",
    "Space",
    "StateStore",
    "SuccessModel",
    "Tool",
    "ToolRegistry",
    "ToolResult",
    "ToolSource",
    "ToolStats",
    "Toolken",
    "TrackRecord",
    "Use",
    "exact_pick",
    "from_langchain",
    "full_text",
    "load_registrations",
    "mcp_server",
    "of_document",
    "of_episode",
    "of_model",
    "of_skill",
    "of_tool",
    "openapi",
    "preview",
    "reference",
    "save_registrations",
    "short_arguments",
    "tool",
    "tools_of",
    "value_of",
    "wire_size",
]
