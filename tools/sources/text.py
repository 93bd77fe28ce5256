"""Sources that are named by a text, as on the command line, and what else users hand in as a tool."""

from __future__ import annotations

from typing import Any

from habilis.core import InputError
from habilis.tools.sources.langchain import from_langchain
from habilis.tools.sources.mcp import MCPServer
from habilis.tools.sources.openapi import OpenAPIService
from habilis.tools.sources.options import SourceOptions, selected
from habilis.tools.sources.python import find, full_source
from habilis.tools.tool import Tool, tool

MCP, OPENAPI = "mcp:", "openapi:"


def tools_of(text: str, options: SourceOptions | None = None) -> tuple[Tool, ...]:
    """The tools that a text names, as the user wants them, by name.

    Raises `InputError` (a server that cannot be reached: names its address), `NotFoundError`, `DefinitionError`,
    `MissingExtraError`.
    """
    options = options or SourceOptions()
    if text.startswith(MCP):
        return MCPServer(text, options).tools()
    if text.startswith(OPENAPI):
        return OpenAPIService(text, options).tools()
    options.refuse(text, "env", "headers", "query", "base_url", "folder")
    return selected([as_tool(one) for one in find(text)], options, text)


def full_text(text: str) -> str:
    """The same text, so that it means the same in any folder: paths made absolute."""
    if text.startswith(MCP):
        return MCPServer(text).text
    if text.startswith(OPENAPI):
        return OpenAPIService(text).text
    return full_source(text)


def as_tool(source: Any) -> Tool:
    """A `Tool` of whatever users hand in; raises `DefinitionError` and `InputError`."""
    if isinstance(source, Tool):
        return source
    if hasattr(source, "tool_call_schema") and hasattr(source, "invoke"):
        return from_langchain(source)
    if callable(source):
        return tool(source)
    raise InputError(
        f"{source!r:.80} is no tool; give a typed function, a Tool, a LangChain tool, or text such as module:function"
    )
