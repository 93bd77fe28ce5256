"""Tools of an MCP server, through the official SDK: ``mcp:COMMAND ARGS…`` over its pipes, or ``mcp:http://HOST:PORT/mcp``.

A server is a stranger. Its schemas, descriptions and answers are checked and bounded; what it says about its tools'
side effects is taken where it makes us more careful, and of ``safe_to_retry`` its word is never taken.
"""

from __future__ import annotations

import shlex
import threading
import warnings
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from functools import partial
from typing import Any

from habilis.core import Cost, InputError, Json, ToolError
from habilis.core.extras import need
from habilis.tools._json_schema import SchemaSignature, schema_signature
from habilis.tools.sources._mcp_connection import Connection
from habilis.tools.sources._mcp_content import value_of_answer
from habilis.tools.sources._mcp_transport import Line, over_http, over_pipes
from habilis.tools.sources._secrets import filled, hidden
from habilis.tools.sources.options import LeftOutWarning, SourceOptions, description, selected, tool_names, usable
from habilis.tools.tool import Tool

PREFIX = "mcp:"


def mcp_server(
    address: str | Sequence[str],
    *,
    cost: Cost | None = None,
    max_calls: int | None = None,
    safe_to_retry: bool | None = None,
    side_effects: bool | None = None,
    timeout: float | None = None,
    prefix: str = "",
    only: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    folder: str = "",
) -> MCPServer:
    """The tools of an MCP server, for `ToolRegistry.add`: ``mcp_server("python server.py")``,
    ``mcp_server("http://localhost:8000/mcp", headers={"Authorization": "Bearer env:MY_KEY"})``.

    ``address``: a command, as for a shell or as a list of words, or a URL. See `SourceOptions` for the options.
    """
    return MCPServer(
        address if isinstance(address, str) else shlex.join(address),
        SourceOptions(
            cost=cost,
            max_calls=max_calls,
            safe_to_retry=safe_to_retry,
            side_effects=side_effects,
            timeout=timeout,
            prefix=prefix,
            only=tuple(only),
            env=env or {},
            headers=headers or {},
            folder=folder,
        ),
    )


class MCPServer:
    """A `ToolSource`. The server is started, or connected to, when its tools or a call are first asked for, and held
    open until `close`. One that has died is started again by the next call; one that dies time and again, after a
    pause."""

    def __init__(self, address: str, options: SourceOptions | None = None) -> None:
        self.options = options or SourceOptions()
        where = address.strip().removeprefix(PREFIX).strip()
        self.text = PREFIX + where
        self._url = where if where.startswith(("http://", "https://")) else ""
        if self._url:
            self.options.refuse(self.text, "env", "query", "base_url", "folder")
        else:
            self.options.refuse(self.text, "headers", "query", "base_url")
            try:
                self._command = shlex.split(where)
            except ValueError as error:
                raise InputError(f"cannot read {self.text!r}: {error}; quote words as for a shell") from error
            if not self._command:
                raise InputError("mcp: names no server; write mcp:COMMAND ARGS… or mcp:http://HOST:PORT/mcp")
        self._connection = Connection(self.text, self._transport, self._changed)
        self._lock = threading.Lock()
        self._declared: Mapping[str, Any] = {}
        self._names: dict[str, str] = {}
        self._tools: dict[str, Tool | str] = {}

    def tools(self) -> tuple[Tool, ...]:
        """Its tools, by name. Raises `MissingExtraError`, and `InputError` naming an address that cannot be reached."""
        need("mcp", f"the tool source {self.text}", install="'habilis[mcp]'")
        try:
            self._connection.open()
        except ToolError as error:
            raise InputError(f"the MCP server {hidden(str(error), self.options.secrets())}") from None
        with self._lock:
            known = dict(self._tools)
        for name, told in known.items():
            if isinstance(told, str) and self.options.wants(name, self._names[name]):
                warnings.warn(told, LeftOutWarning, stacklevel=2)
        return selected([t for t in known.values() if isinstance(t, Tool)], self.options, self.text)

    def latest(self, tool: Tool) -> Tool:
        with self._lock:
            known = self._tools.get(tool.where)
        if not isinstance(known, Tool) or known.signature.schema == tool.signature.schema:
            return tool
        # What a server says later can make us more careful, never less.
        careful = tool.side_effects or (self.options.side_effects is None and known.side_effects)
        signature: Any = replace(known.signature, tool=tool.name)
        function = self._caller(signature, tool.where)
        return replace(tool, doc=known.doc, signature=signature, side_effects=careful, function=function)

    def close(self) -> None:
        self._connection.close()

    def _transport(self, line: Line) -> AbstractAsyncContextManager[tuple[Any, Any]]:
        if self._url:
            return over_http(self._url, filled(self.options.headers, self.text), line)
        return over_pipes(self._command, filled(self.options.env, self.text), self.options.folder, line)

    def _changed(self, declared: Mapping[str, Any]) -> None:
        """What it has now. Names that were given stay."""
        with self._lock:
            new = sorted(set(declared) - set(self._names))
            self._names.update(zip(new, tool_names(new, taken=self._names.values()), strict=True))
            self._declared = declared
            for name, one in declared.items():
                self._tools[name] = usable(partial(self._made, one), f"the tool {name!r:.80} of {self.text}")

    def _made(self, declared: Any) -> Tool:
        short = self._names[declared.name]
        said = declared.annotations
        harmless = said is not None and said.readOnlyHint is True and said.destructiveHint is not True
        signature = schema_signature(short, declared.inputSchema)
        return Tool(
            name=short,
            doc=description(declared.description or declared.title, f"{declared.name}, of {self.text}"),
            function=self._caller(signature, declared.name),
            signature=signature,
            side_effects=not harmless,  # the protocol's default, where nothing is said
            owner=self.text,
            where=declared.name,
            source=self,
        )

    def _caller(self, signature: SchemaSignature, name: str) -> Callable[..., Awaitable[Json]]:
        async def call(**values: Json) -> Json:
            secret = self.options.secrets()

            def fits(declared: Mapping[str, Any]) -> None:
                self._refuse_unfit(declared, name, signature, values)

            try:
                answer = await self._connection.call(name, values, fits)
                return hidden(value_of_answer(answer, wrapped=self._wraps(name)), secret)
            except ToolError as error:
                raise ToolError(hidden(str(error), secret)) from None

        return call

    def _refuse_unfit(
        self, declared: Mapping[str, Any], name: str, checked: SchemaSignature, values: Mapping[str, Json]
    ) -> None:
        """Raises `ToolError` where the server, as it now is, does not take what was checked against its word before."""
        with self._lock:
            now = self._tools.get(name)
        if name not in declared:
            raise ToolError(f"is gone: {self.text} now has {', '.join(sorted(declared)[:12]) or 'no tools'}")
        if not isinstance(now, Tool):
            raise ToolError(f"cannot be called any more: {now}")
        if now.signature.schema == checked.schema:
            return
        names = {wire: parameter for parameter, wire in checked.wire.items()}
        try:
            now.signature.check({names.get(key, key): value for key, value in values.items()})
        except ToolError as error:
            raise ToolError(f"has changed what it takes. {error}") from None

    def _wraps(self, name: str) -> bool:
        """Whether the server puts what is no object into one, as its ``result``: the SDK's own servers do."""
        with self._lock:
            shape = getattr(self._declared.get(name), "outputSchema", None) or {}
        return list(shape.get("properties", {})) == ["result"]
