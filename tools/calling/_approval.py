"""Asking before a tool with side effects is called."""

from __future__ import annotations

from collections.abc import Mapping

from habilis.core import Approve, HabilisError, Json, ToolError
from habilis.tools.calling._execution import told
from habilis.tools.tool import Tool


def ask(found: Tool, args: Mapping[str, Json], approve: Approve | None, allowed: bool) -> None:
    """Raises `ToolError` where the tool has side effects and this call is not approved. ``allowed``: all are."""
    if not found.side_effects:
        return
    if approve is None:
        if not allowed:
            raise ToolError(
                f"{found.name} has side effects and nobody can approve them; pass approve=, "
                "or allow_side_effects=True to allow all"
            )
        return
    try:
        answer: object = approve(found.name, args)
    except HabilisError:
        raise
    except Exception as error:
        raise ToolError(f"{found.name} was not approved: approve= {told(error)}") from error
    if not isinstance(answer, bool):  # a coroutine, say, would count as true
        if hasattr(answer, "close"):
            answer.close()
        raise ToolError(f"{found.name} was not approved: approve= returned {answer!r:.80}, not True or False")
    if not answer:
        raise ToolError(f"{found.name} was not approved")
