"""What an MCP server answers, as JSON data: structured content as it is, text as text or the JSON in it."""

from __future__ import annotations

import json
from typing import Any

from habilis.core import Json, ToolError

_MAX_ERROR = 2_000  # characters of what a server says went wrong


def value_of_answer(answer: Any, *, wrapped: bool = False) -> Json:
    """The value of the SDK's ``CallToolResult``. ``wrapped``: structured content holds it under ``result``.

    Pictures, sound and files are told as such, by kind and size, and not passed on. Raises `ToolError` where the server
    says that the call failed.
    """
    if answer.isError:
        told = "\n".join(str(_part(part, as_json=False)) for part in answer.content).strip()
        raise ToolError(f"failed: {told[:_MAX_ERROR] or 'the server does not say why'}")
    if answer.structuredContent is not None:
        structured: dict[str, Json] = answer.structuredContent
        return structured["result"] if wrapped and list(structured) == ["result"] else structured
    parts = [_part(part) for part in answer.content]
    return None if not parts else parts[0] if len(parts) == 1 else parts


def _part(part: Any, *, as_json: bool = True) -> Json:
    if part.type == "text":
        return text_value(part.text) if as_json else part.text
    if part.type in ("image", "audio"):
        return {"type": part.type, "mime_type": part.mimeType, "bytes": _size(part.data), "note": "not passed on"}
    if part.type == "resource_link":
        return {"type": "link", "uri": str(part.uri), "name": part.name}
    inside = part.resource
    told = {"type": "file", "uri": str(inside.uri), "mime_type": inside.mimeType}
    if hasattr(inside, "text"):
        return {**told, "text": inside.text}
    return {**told, "bytes": _size(inside.blob), "note": "not passed on"}


def text_value(text: str) -> Json:
    """The object or list that a text writes out as JSON; else the text."""
    if text.lstrip()[:1] in ("{", "["):
        try:
            found: Json = json.loads(text, parse_constant=_no_number)
        except (ValueError, RecursionError):
            return text
        return found
    return text


def _no_number(name: str) -> Json:
    raise ValueError(f"{name} is not JSON")


def _size(data: str) -> int:
    """Bytes that base64 text stands for."""
    return len(data.rstrip("=")) * 3 // 4
