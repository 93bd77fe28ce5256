"""OpenAPI 3.0 and 3.1 documents: read, their references resolved, their operations taken out.

Checked is what is used, with errors that name the place. A validator of whole documents (openapi-spec-validator) brings
seven packages and a quarter of a second, and refuses services that work for faults in parts that nobody calls.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from habilis.core import InputError, Json
from habilis.tools.sources._http import ask

MOST_BYTES = 10_000_000  # of a document; GitHub's, one of the largest there is, is about that
_MOST_NODES = 2_000_000  # of a document: YAML's aliases can make much of little
_MOST_PARTS = 20_000  # of the schema of one operation, with all that it refers to
_FETCHING = 30.0  # seconds
_METHODS = ("get", "head", "post", "put", "patch", "delete", "options", "trace")
_STYLES = {"query": "form", "path": "simple", "header": "simple", "cookie": "form"}
_QUERY_STYLES = ("spaceDelimited", "pipeDelimited", "deepObject")
_VALUES = ("const", "default", "enum")  # keywords that hold values, not schemas
_NAMED = ("$defs", "dependentSchemas", "patternProperties", "properties")  # keywords that hold schemas by name
_DROPPED = ("discriminator", "example", "examples", "externalDocs", "xml")


@dataclass(frozen=True, slots=True)
class Param:
    """One parameter: ``key`` is its name among all of the operation's; ``place``: query, path or header."""

    key: str
    name: str
    place: str
    style: str
    explode: bool
    as_json: bool


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation. ``schema``: of all its arguments, by key; ``body``: the key and media type of its body, or ""."""

    name: str
    method: str
    path: str
    doc: str
    params: tuple[Param, ...]
    schema: Mapping[str, Json]
    body: str = ""
    body_type: str = ""


def read_document(place: str) -> dict[str, Any]:
    """The document at a path or URL, JSON or YAML. Nothing secret is sent for it. Raises `InputError`."""
    text = _fetched(place) if place.startswith(("http://", "https://")) else _read(Path(place).expanduser())
    try:
        found = json.loads(text) if text.lstrip().startswith("{") else _yaml(text)
        document: Any = _plain(found, [_MOST_NODES])
    except (ValueError, RecursionError) as error:
        raise InputError(f"{place} is neither JSON nor YAML: {error!s:.300}") from error
    version = str(document.get("openapi", "")) if isinstance(document, dict) else ""
    if not version.startswith(("3.0", "3.1")):
        told = document.get("swagger") if isinstance(document, dict) else None
        seen = f"openapi={version!r}" if version else f"swagger={told!r}" if told else "no version"
        raise InputError(f"{place} is no OpenAPI 3.0 or 3.1 document ({seen}); convert it, or give another")
    _mapping(document.get("paths", {}), f"{place}: paths")
    return dict(document)


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise InputError(f"{path} has {path.stat().st_size} bytes, the limit is {MOST_BYTES}")
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}; give the path or address of an OpenAPI document") from error


def _fetched(url: str) -> str:
    import httpx

    try:
        with httpx.Client(timeout=_FETCHING) as client:
            answer = ask(client, client.build_request("GET", url), most=MOST_BYTES, seconds=_FETCHING)
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, OSError) as error:
        raise InputError(f"{url} cannot be reached: {str(error) or type(error).__name__}") from error
    if answer.status != 200 or answer.cut:
        told = f"it redirects to {answer.elsewhere}" if answer.elsewhere else f"{answer.status} {answer.reason}"
        told = f"more than {MOST_BYTES} bytes" if answer.cut else told
        raise InputError(f"{url} gives no document: {told}; give its address, or a file")
    return answer.text()


def _yaml(text: str) -> Any:
    import yaml

    try:
        return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error


def _plain(node: Any, left: list[int]) -> Any:
    """A document as JSON data: YAML has dates, and keys that are no texts."""
    left[0] -= 1
    if left[0] < 0:
        raise ValueError(f"it has more than {_MOST_NODES} parts")
    if isinstance(node, Mapping):
        return {str(k): _plain(v, left) for k, v in node.items()}
    if isinstance(node, list):
        return [_plain(v, left) for v in node]
    return node.isoformat() if isinstance(node, date) else node


def server_address(document: Mapping[str, Any], place: str) -> str:
    """The address of the first server that the document names, its variables at their defaults. Raises `InputError`."""
    from httpx import URL, InvalidURL

    servers = document.get("servers") or [{"url": "/"}]
    first = servers[0] if isinstance(servers, list) and isinstance(servers[0], dict) else {}
    url = str(first.get("url", "/"))
    for name, about in (first.get("variables") or {}).items():
        url = url.replace("{" + name + "}", str(about.get("default", "")) if isinstance(about, dict) else "")
    try:
        full = URL(place).join(url) if place.startswith(("http://", "https://")) else URL(url)
    except InvalidURL:
        full = URL("")
    if full.scheme not in ("http", "https") or not full.host:
        raise InputError(
            f"{place} does not say at which address its service is (servers: {url!r}); give base_url=, --base-url"
        )
    return str(full)


def operations(
    document: Mapping[str, Any], given: Set[tuple[str, str]] = frozenset()
) -> tuple[list[Operation], list[str]]:
    """Its operations, in order, and why others are left out. ``given``: parameters that are nobody's arguments, since
    the user has said what they are, by place and name in lower case."""
    found, left_out = [], []
    for path, item in document.get("paths", {}).items():
        try:
            item = _mapping(_resolved(document, item, f"paths.{path}"), f"paths.{path}")
        except InputError as error:
            left_out.append(str(error))
            continue
        for method in _METHODS:
            if method in item:
                try:
                    found.append(_operation(document, path, method, item, given))
                except (InputError, RecursionError) as error:
                    left_out.append(f"{method.upper()} {path} is left out: {error}")
    return found, left_out


def _operation(
    document: Mapping[str, Any], path: str, method: str, item: Mapping[str, Any], given: Set[tuple[str, str]]
) -> Operation:
    where = f"paths.{path}.{method}"
    about = _mapping(item[method], where)
    if about.get("servers") or item.get("servers"):
        raise InputError(
            "it names a server of its own, and keys are for one server; give base_url to a document without"
        )
    declared: dict[tuple[str, str], Mapping[str, Any]] = {}
    for level in (item, about):
        for i, one in enumerate(_sequence(level.get("parameters", []), f"{where}.parameters")):
            one = _mapping(_resolved(document, one, f"{where}.parameters[{i}]"), f"{where}.parameters[{i}]")
            if not isinstance(one.get("name"), str) or one.get("in") not in _STYLES:
                raise InputError(f"{where}.parameters[{i}] has no name, or no place")
            declared[one["name"], one["in"]] = one
    bundle = _Bundle(document)
    params: list[Param] = []
    properties: dict[str, Json] = {}
    required: list[str] = []
    for (name, place), one in declared.items():
        if (place, name.lower()) in given:
            continue
        if place == "cookie":
            if one.get("required"):
                raise InputError(f"it needs the cookie {name!r}, and cookies are not sent")
            continue
        if place == "header" and name.lower() in ("accept", "authorization", "content-type"):
            continue  # the standard says so: they are nobody's arguments
        twice = any(other == name for other, elsewhere in declared if elsewhere != place)
        key = f"{name}_{place}" if twice else name
        schema, as_json = _parameter_schema(one, where)
        style = str(one.get("style", _STYLES[place]))
        if style not in ("simple", "form", *(_QUERY_STYLES if place == "query" else ())):
            raise InputError(f"the style {style!r} of its parameter {name!r} is not known here")
        params.append(Param(key, name, place, style, bool(one.get("explode", style == "form")), as_json))
        shape = bundle.schema(schema)
        if isinstance(shape, dict) and one.get("description"):
            shape = {"description": str(one["description"]), **shape}
        properties[key] = shape
        if one.get("required") or place == "path":
            required.append(key)
    unknown = [part for part in _placeholders(path) if (part, "path") not in declared]
    if unknown:
        raise InputError(f"its path has {{{unknown[0]}}}, which is no parameter of it")
    body = body_type = ""
    if "requestBody" in about:
        wanted = _mapping(_resolved(document, about["requestBody"], f"{where}.requestBody"), f"{where}.requestBody")
        body_type, shape = _body(wanted, where, bundle)
        body = next(key for key in ("body", "request_body", "body_") if key not in properties)
        properties[body] = shape
        if wanted.get("required"):
            required.append(body)
    schema = {"type": "object", "properties": properties, "additionalProperties": False, **bundle.definitions()}
    if required:
        schema["required"] = required
    told = [str(about[key]).strip() for key in ("summary", "description") if about.get(key)]
    name = about.get("operationId") or "_".join([method, *re.findall("[A-Za-z0-9]+", path)])
    return Operation(str(name), method.upper(), path, "\n\n".join(told), tuple(params), schema, body, body_type)


def _parameter_schema(one: Mapping[str, Any], where: str) -> tuple[Any, bool]:
    """The schema of a parameter, and whether it is sent as JSON."""
    if "content" in one:
        kind, about = next(iter(_mapping(one["content"], f"{where}.content").items()), ("", {}))
        if not _is_json(kind):
            raise InputError(f"the parameter {one['name']!r} is sent as {kind or 'nothing'}, which is not known here")
        return _mapping(about, where).get("schema", {}), True
    return one.get("schema", {}), False


def _body(wanted: Mapping[str, Any], where: str, bundle: _Bundle) -> tuple[str, Json]:
    content = _mapping(wanted.get("content", {}), f"{where}.requestBody.content")
    for fits in (_is_json, "application/x-www-form-urlencoded".__eq__, "text/plain".__eq__):
        for kind, about in content.items():
            if fits(kind.partition(";")[0].strip().lower()):
                shape = bundle.schema(_mapping(about, where).get("schema", {}))
                if isinstance(shape, dict) and wanted.get("description"):
                    shape = {"description": str(wanted["description"]), **shape}
                return ("application/json" if kind == "*/*" else kind), shape
    raise InputError(f"its body is {', '.join(content) or 'of no kind'}; JSON, forms and plain text can be sent")


def _is_json(kind: str) -> bool:
    return kind in ("application/json", "*/*") or kind.endswith("+json")


def _placeholders(path: str) -> list[str]:
    return [part.partition("}")[0] for part in path.split("{")[1:]]


class _Bundle:
    """Schemas of one operation with all that they refer to, rewritten to stand alone, in today's JSON schema."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document
        self._old = str(document["openapi"]).startswith("3.0")
        self._keys: dict[str, str] = {}
        self._definitions: dict[str, Json] = {}
        self._left = _MOST_PARTS

    def schema(self, node: Any) -> Json:
        made = self._copied(node)
        while len(self._definitions) < len(self._keys):
            for reference, key in list(self._keys.items()):
                if key not in self._definitions:
                    self._definitions[key] = self._copied(_looked_up(self._document, reference))
        return made

    def definitions(self) -> dict[str, Json]:
        return {"$defs": self._definitions} if self._definitions else {}

    def _copied(self, node: Any) -> Json:
        self._left -= 1
        if self._left < 0:
            raise InputError(f"its schema has more than {_MOST_PARTS} parts")
        if isinstance(node, list):
            return [self._copied(one) for one in node]
        if not isinstance(node, dict):
            return node
        made: dict[str, Json] = {}
        for key, value in node.items():
            if key == "$ref" and isinstance(value, str):
                made[key] = f"#/$defs/{self._key(value)}"
            elif key in _NAMED and isinstance(value, dict):
                made[key] = {name: self._copied(one) for name, one in value.items()}
            elif key in _VALUES:
                made[key] = value
            elif key not in _DROPPED and not key.startswith("x-"):
                made[key] = self._copied(value)
        if self._old:
            made = {"$ref": made["$ref"]} if "$ref" in made else _modern(made)
        given_back = {
            n for n, one in made.get("properties", {}).items() if isinstance(one, dict) and one.get("readOnly")
        }
        if given_back and isinstance(made.get("required"), list):
            made["required"] = [name for name in made["required"] if name not in given_back]
        return made

    def _key(self, reference: str) -> str:
        if reference not in self._keys:
            _looked_up(self._document, reference)
            short = "".join(c if c.isalnum() and c.isascii() else "_" for c in reference.rpartition("/")[2]) or "_"
            taken = set(self._keys.values())
            self._keys[reference] = short if short not in taken else f"{short}_{len(taken)}"
        return self._keys[reference]


def _modern(schema: dict[str, Json]) -> dict[str, Json]:
    """A schema of OpenAPI 3.0 in today's words."""
    if schema.pop("nullable", False) is True:
        if "enum" in schema and None not in schema["enum"]:
            schema["enum"] = [*schema["enum"], None]
        if isinstance(schema.get("type"), str):
            schema["type"] = [schema["type"], "null"]
        elif "enum" not in schema:
            schema = {"anyOf": [schema, {"type": "null"}]}
    for bound, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if isinstance(schema.get(exclusive), bool) and schema.pop(exclusive) and bound in schema:
            schema[exclusive] = schema.pop(bound)
    return schema


def _resolved(document: Mapping[str, Any], node: Any, where: str) -> Any:
    for _ in range(20):
        if not (isinstance(node, dict) and isinstance(node.get("$ref"), str)):
            return node
        node = _looked_up(document, node["$ref"])
    raise InputError(f"{where} refers to itself")


def _looked_up(document: Mapping[str, Any], reference: str) -> Any:
    """What ``#/a/b`` stands for. Raises `InputError` for what is not in the document."""
    if not reference.startswith("#/"):
        raise InputError(f"it refers to {reference[:200]!r}, which is not in the document; bundle it into one file")
    found: Any = document
    for part in reference[2:].split("/"):
        key = unquote(part).replace("~1", "/").replace("~0", "~")
        if isinstance(found, dict) and key in found:
            found = found[key]
        elif isinstance(found, list) and key.isdecimal() and int(key) < len(found):
            found = found[int(key)]
        else:
            raise InputError(f"it refers to {reference[:200]!r}, which is not in the document")
    return found


def _mapping(node: Any, where: str) -> dict[str, Any]:
    if not isinstance(node, dict):
        raise InputError(f"{where} is {node!r:.80}, not a mapping")
    return node


def _sequence(node: Any, where: str) -> Sequence[Any]:
    if not isinstance(node, list):
        raise InputError(f"{where} is {node!r:.80}, not a list")
    return node
