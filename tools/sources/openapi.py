"""Tools of an HTTP service with an OpenAPI 3.0 or 3.1 document: ``openapi:PATH_OR_URL``, one for each operation.

Requests go to one address, which the document or the user names, and nowhere else. What HTTP calls safe (GET, HEAD) has
no side effects here; whether anything may be sent twice, the user alone says.
"""

from __future__ import annotations

import json
import threading
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from habilis.core import Cost, InputError, Json, ToolError
from habilis.tools._json import MAX_RESULT_BYTES
from habilis.tools._json_schema import schema_signature
from habilis.tools.sources._http import Answer, ask
from habilis.tools.sources._openapi_document import Operation, Param, operations, read_document, server_address
from habilis.tools.sources._secrets import filled, hidden
from habilis.tools.sources.options import LeftOutWarning, SourceOptions, description, selected, tool_names, usable
from habilis.tools.tool import DEFAULT_TIMEOUT, Tool

PREFIX = "openapi:"
_MOST_BYTES = MAX_RESULT_BYTES - 1_000  # of an answer: as much as a result may have, and room to say that it was cut
_MOST_TOLD = 500  # characters of an answer that is an error
_SAFE = ("GET", "HEAD", "OPTIONS", "TRACE")


def openapi(
    place: str | Path,
    *,
    cost: Cost | None = None,
    max_calls: int | None = None,
    safe_to_retry: bool | None = None,
    side_effects: bool | None = None,
    timeout: float | None = None,
    prefix: str = "",
    only: Sequence[str] = (),
    headers: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None,
    base_url: str = "",
) -> OpenAPIService:
    """The operations of an HTTP service, for `ToolRegistry.add`: ``openapi("spec.yaml", base_url="http://localhost:8000",
    headers={"Authorization": "Bearer env:MY_KEY"})``.

    ``place``: the path or URL of its OpenAPI document. See `SourceOptions` for the options.
    """
    return OpenAPIService(
        str(place),
        SourceOptions(
            cost=cost,
            max_calls=max_calls,
            safe_to_retry=safe_to_retry,
            side_effects=side_effects,
            timeout=timeout,
            prefix=prefix,
            only=tuple(only),
            headers=headers or {},
            query=query or {},
            base_url=base_url,
        ),
    )


class OpenAPIService:
    """A `ToolSource`. The document is read when its tools are first asked for, and kept."""

    def __init__(self, place: str, options: SourceOptions | None = None) -> None:
        self.options = options or SourceOptions()
        place = place.strip().removeprefix(PREFIX).strip()
        if not place:
            raise InputError("openapi: names no document; write openapi:PATH or openapi:https://HOST/openapi.json")
        if not place.startswith(("http://", "https://")):
            place = str(Path(place).expanduser().resolve())
        if self.options.base_url and not self.options.base_url.startswith(("http://", "https://")):
            raise InputError(f"base_url={self.options.base_url!r:.100}; give http://… or https://…")
        self.text = PREFIX + place
        self.options.refuse(self.text, "env", "folder")
        self._place = place
        self._lock = threading.Lock()
        self._tools: tuple[Tool, ...] | None = None
        self._base = ""
        self._client: Any = None

    def tools(self) -> tuple[Tool, ...]:
        """Its tools, by name. Raises `InputError` where the document cannot be read, or a key is missing."""
        filled({**self.options.headers, **self.options.query}, self.text)
        with self._lock:
            if self._tools is None:
                document = read_document(self._place)
                self._base = (self.options.base_url or server_address(document, self._place)).rstrip("/")
                ours = {("query", n.lower()) for n in self.options.query} | {
                    ("header", n.lower()) for n in self.options.headers
                }
                found, left_out = operations(document, ours)
                made: dict[str, Tool | str] = {
                    name: usable(partial(self._made, one, name), f"{one.method} {one.path}")
                    for one, name in zip(found, tool_names([one.name for one in found]), strict=True)
                }
                self._tools = selected([t for t in made.values() if isinstance(t, Tool)], self.options, self.text)
                unfit = [
                    told for name, told in made.items() if isinstance(told, str) and self.options.wants(name, name)
                ]
                for told in [*unfit, *(left_out if not self.options.only else ())]:
                    warnings.warn(f"{self.text}: {told}", LeftOutWarning, stacklevel=2)
            return self._tools

    def latest(self, tool: Tool) -> Tool:
        return tool

    def close(self) -> None:
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    def _made(self, one: Operation, name: str) -> Tool:
        return Tool(
            name=name,
            doc=description(one.doc, f"{one.method} {one.path}"),
            function=self._caller(one),
            signature=schema_signature(name, one.schema),
            side_effects=one.method not in _SAFE,
            owner=self.text,
            where=f"{one.method} {self._base}{one.path}",
            source=self,
        )

    def _caller(self, one: Operation) -> Callable[..., Json]:
        def call(**values: Json) -> Json:
            secret = self.options.secrets()
            try:
                return hidden(self._asked(one, values), secret)
            except ToolError as error:
                raise ToolError(hidden(str(error), secret)) from None

        return call

    def _asked(self, one: Operation, values: Mapping[str, Json]) -> Json:
        import httpx

        seconds = self.options.timeout or DEFAULT_TIMEOUT
        client = self._open()
        try:
            request = client.build_request(
                one.method,
                self._base + _path(one, values),
                params=[*_query(one, values), *filled(self.options.query, self.text).items()],
                headers={**_headers(one, values), **filled(self.options.headers, self.text)},
                timeout=seconds,
                **_body(one, values),
            )
            answer = ask(client, request, most=_MOST_BYTES, seconds=seconds)
        except (TimeoutError, httpx.TimeoutException):
            raise ToolError(f"got no answer from {self._base} within {seconds:g} seconds") from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise ToolError(f"cannot reach {self._base}: {str(error) or type(error).__name__:.300}") from None
        return _value(one, answer)

    def _open(self) -> Any:
        import httpx

        with self._lock:
            if self._client is None:
                self._client = httpx.Client(headers={"Accept": "application/json, */*;q=0.5", "User-Agent": "habilis"})
            return self._client


def _value(one: Operation, answer: Answer) -> Json:
    if answer.elsewhere:
        raise ToolError(f"was sent to {answer.elsewhere}, which was not followed; if it is right, give it as base_url")
    if not 200 <= answer.status < 300:
        hint = "; give a key: headers={'Authorization': 'env:…'}, --header" if answer.status == 401 else ""
        raise ToolError(f"answered {answer.status} {answer.reason}: {answer.text()[:_MOST_TOLD].strip()}{hint}")
    if one.method == "HEAD":
        return {name: value for name, value in answer.headers.items() if name.lower() != "set-cookie"}
    if not answer.body:
        return None
    if answer.kind == "application/json" or answer.kind.endswith("+json"):
        if answer.cut:
            raise ToolError(f"answered with more than {_MOST_BYTES} bytes; ask for less, or a part at a time")
        try:
            found: Json = json.loads(answer.body, parse_constant=_no_number)
        except (ValueError, RecursionError) as error:
            raise ToolError(f"answered what is no JSON, though it says so: {error!s:.200}") from None
        return found
    if answer.kind.startswith("text/") or answer.kind in ("", "application/xml", "application/yaml"):
        return answer.text() + (f"… [cut at {_MOST_BYTES} bytes]" if answer.cut else "")
    more = "more than " if answer.cut else ""
    raise ToolError(f"answered {more}{len(answer.body)} bytes of {answer.kind}, which is no text; nothing is passed on")


def _no_number(name: str) -> Json:
    raise ValueError(f"{name} is not JSON")


def _path(one: Operation, values: Mapping[str, Json]) -> str:
    path = one.path
    for param in one.params:
        if param.place == "path":
            text = _joined(param, values[param.key], ",")
            if text in ("", ".", ".."):
                raise ToolError(f"cannot have {text!r} for {param.key}: it would be another path")
            path = path.replace("{" + param.name + "}", quote(text, safe=""))
    return path


def _query(one: Operation, values: Mapping[str, Json]) -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    for param in one.params:
        value = values.get(param.key)
        if param.place != "query" or value is None:
            continue
        if param.as_json:
            pairs.append((param.name, json.dumps(value)))
        elif isinstance(value, Mapping) and param.style == "deepObject":
            pairs += [(f"{param.name}[{key}]", _text(inside)) for key, inside in value.items()]
        elif isinstance(value, Mapping) and param.explode:
            pairs += [(key, _text(inside)) for key, inside in value.items()]
        elif isinstance(value, list) and param.explode:
            pairs += [(param.name, _text(inside)) for inside in value]
        else:
            sign = {"spaceDelimited": " ", "pipeDelimited": "|"}.get(param.style, ",")
            pairs.append((param.name, _joined(param, value, sign)))
    return pairs


def _headers(one: Operation, values: Mapping[str, Json]) -> dict[str, str]:
    found = {}
    for param in one.params:
        if param.place == "header" and values.get(param.key) is not None:
            text = _joined(param, values[param.key], ",")
            if not (text.isprintable() and text.isascii()):
                raise ToolError(f"cannot send {text!r:.80} as the header {param.name}; use plain ASCII")
            found[param.name] = text
    if one.body and one.body in values:
        found["Content-Type"] = one.body_type
    return found


def _body(one: Operation, values: Mapping[str, Json]) -> dict[str, Any]:
    if not one.body or one.body not in values:
        return {}
    value = values[one.body]
    if one.body_type == "text/plain":
        return {"content": _text(value).encode()}
    if one.body_type.startswith("application/x-www-form-urlencoded"):
        if not isinstance(value, Mapping):
            raise ToolError(f"takes a form as its {one.body}: an object, not {value!r:.80}")
        return {"data": {k: [*map(_text, v)] if isinstance(v, list) else _text(v) for k, v in value.items()}}
    return {"content": json.dumps(value).encode()}


def _joined(param: Param, value: Json, sign: str) -> str:
    if param.as_json:
        return json.dumps(value)
    if isinstance(value, list):
        return sign.join(map(_text, value))
    if isinstance(value, Mapping):
        equals = "=" if param.explode else sign
        return sign.join(f"{key}{equals}{_text(inside)}" for key, inside in value.items())
    return _text(value)


def _text(value: Json) -> str:
    """A value as it stands in a path, query or header."""
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value)
