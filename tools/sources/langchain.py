"""Tools of LangChain: a ``BaseTool``, and so what any of its adapters gives."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from typing import Any

from habilis.core import Cost, DefinitionError, Json
from habilis.tools._json_schema import schema_signature
from habilis.tools.tool import DEFAULT_TIMEOUT, Tool


def from_langchain(
    base: Any,
    *,
    cost: Cost | None = None,
    max_calls: int | None = None,
    safe_to_retry: bool = False,
    side_effects: bool = False,
    timeout: float | None = DEFAULT_TIMEOUT,
    provides: str = "",
    name: str | None = None,
) -> Tool:
    """A tool from a LangChain ``BaseTool``. Its own validation stays in force. See `Tool` for the options.

    Raises `DefinitionError` where its parameters cannot be read.
    """
    shape = base.tool_call_schema
    schema = shape if isinstance(shape, Mapping) else _model_schema(shape)
    only_async = getattr(base, "func", ...) is None and getattr(base, "coroutine", None) is not None

    def run(**values: Any) -> Any:
        return base.invoke(values)

    async def arun(**values: Any) -> Any:
        return await base.ainvoke(values)

    short = name or re.sub(r"\W", "_", base.name, flags=re.ASCII)
    return Tool(
        name=short,
        doc=inspect.cleandoc(base.description or ""),
        function=arun if only_async else run,
        signature=schema_signature(short, schema),
        cost=cost or Cost(),
        max_calls=max_calls,
        safe_to_retry=safe_to_retry,
        side_effects=side_effects,
        timeout=timeout,
        provides=provides,
        owner=f"{type(base).__module__}:{base.name}",
    )


def _model_schema(model: Any) -> dict[str, Json]:
    try:
        schema: dict[str, Json] = model.model_json_schema()
    except AttributeError:
        raise DefinitionError(f"{model!r} is no pydantic 2 model; give the LangChain tool an args_schema") from None
    return schema
