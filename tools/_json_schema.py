"""Parameters that are known by their JSON schema alone, as servers declare them: read, shown, and checked whole.

Schemas come from strangers. Nothing is fetched for a ``$ref``; the keywords whose check can be made to take for ever
(regular expressions, and what is left ``unevaluated``) are left to the server; and a check that follows too many
references is refused.
"""

from __future__ import annotations

import functools
import json
import keyword
import re
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count, islice
from typing import Any
from urllib.parse import unquote

from habilis.core import DefinitionError, Json, Parameter, ToolError
from habilis.tools._json import brief, jsonable
from habilis.tools._signature import Argument, Signature

MAX_SCHEMA_BYTES = 200_000  # some tools bring dozens of kilobytes of definitions; none needs more
_MAX_REFERENCES = 20_000  # followed in one check: references to references grow without bound
_MAX_SHOWN = 300  # characters of one complaint
_MAX_DEPTH, _MAX_PARTS = 5, 4  # of a type that is told in words
_TYPES = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None", "object": "dict"}
_DATA = ("const", "default", "enum", "example", "examples")  # keywords that hold values, not schemas

_followed = threading.local()


@dataclass(frozen=True)
class SchemaSignature(Signature):
    """``wire``: each parameter's name in the schema, which need not be an identifier. ``more``: whether others may be
    given too. ``validator``: of the whole."""

    wire: Mapping[str, str] = field(default_factory=dict)
    more: bool = False
    validator: Any = field(default=None, repr=False)

    def check(self, given: Mapping[str, Json]) -> tuple[dict[str, Any], dict[str, Json]]:
        """As `Signature.check`; what the function gets is named as in the schema."""
        wrong: list[str] = []
        values: dict[str, Json] = {}
        recorded: dict[str, Json] = {a.parameter.name: a.parameter.default for a in self.arguments}
        for name, value in given.items():
            if name not in self.wire and not self.more:
                wrong.append(f"it has no parameter {name!r}")
                continue
            try:
                recorded[name] = values[self.wire.get(name, name)] = jsonable(value, f"parameter {name!r}")
            except ToolError as error:
                wrong.append(str(error))
        for one in self.arguments:
            if one.parameter.required and one.parameter.name not in given:
                wrong.append(f"parameter {one.parameter.name!r} ({one.shown}) is missing")
        wrong = wrong or self.problems(values)
        if wrong:
            raise ToolError(f"{self.tool}: {'; '.join(wrong[:4])}. It takes ({self._shown()})")
        return values, recorded

    def problems(self, values: Mapping[str, Json]) -> list[str]:
        """What the schema has against these arguments, named as in the schema; at most four complaints."""
        _followed.count = 0
        try:
            return [self._told(error) for error in islice(self.validator.iter_errors(dict(values)), 4)]
        except Exception as error:  # of a schema that cannot be applied: too deep, a reference into nothing
            return [f"the schema of its parameters cannot be applied: {type(error).__name__}: {error}"[:_MAX_SHOWN]]

    def _told(self, error: Any) -> str:
        from jsonschema.exceptions import best_match

        error = best_match([error])
        path = list(error.absolute_path)
        if not path:
            return str(error.message)[:_MAX_SHOWN]
        name = next((n for n, wire in self.wire.items() if wire == path[0]), str(path[0]))
        shown = next((a.shown for a in self.arguments if a.parameter.name == name), "JSON")
        inside = "".join(f"[{part!r}]" for part in path[1:])
        got = f"{brief(error.instance)} ({type(error.instance).__name__})"
        expects = f"expects {shown}, got {got}" if not inside else f"is wrong at {inside[:80]}"
        return f"parameter {name!r} {expects}: {error.message}"[:_MAX_SHOWN]


def schema_signature(tool: str, schema: Mapping[str, Json]) -> SchemaSignature:
    """The signature that a JSON schema describes. Raises `DefinitionError` saying what is wrong with the schema."""
    from jsonschema.exceptions import SchemaError
    from jsonschema.validators import Draft3Validator, Draft202012Validator, validator_for
    from referencing import Registry

    try:
        root: Json = jsonable(schema, "the schema")
        if not isinstance(root, dict):
            raise ToolError(f"it is {root!r:.80}; parameters are an object")
        size = len(json.dumps(root))
        if size > MAX_SCHEMA_BYTES:
            raise ToolError(f"it has {size} bytes, the limit is {MAX_SCHEMA_BYTES}")
        base = validator_for(root, default=Draft202012Validator)
        if base is Draft3Validator:
            raise ToolError("it is of draft 3; write draft 4 or later")
        base.check_schema(root, format_checker=None)
        if "object" not in (root.get("type", "object"), *root.get("type", ())):
            raise ToolError(f"it is of type {root['type']!r:.80}; parameters are an object")
        _refuse_dangling(root)
        properties, required, more = _properties(root)
    except SchemaError as error:
        place = "/".join(map(str, error.absolute_path)) or "its top"
        raise DefinitionError(
            f"{tool}: the schema of its parameters is wrong at {place}: {error.message:.200}"
        ) from error
    except Exception as error:  # of the library too, which trips over what strangers write
        told = str(error) if isinstance(error, ToolError) else f"{type(error).__name__}: {error!s:.200}"
        raise DefinitionError(f"{tool}: the schema of its parameters cannot be used: {told}") from error
    nothing: Any = Registry()  # so that nothing is fetched
    wire = identifiers(properties)
    arguments = tuple(_argument(name, properties[key], key in required, root) for name, key in wire.items())
    return SchemaSignature(
        tool, arguments, _shown_schema(root, wire), wire, more, _bounded(base)(root, registry=nothing)
    )


def identifiers(names: Iterable[str]) -> dict[str, str]:
    """An identifier for each name, in order: the same where it is one, else the nearest that is not taken."""
    names = list(names)
    taken = {n for n in names if _is_identifier(n)}
    found: dict[str, str] = {}
    for name in names:
        if name in taken:
            found[name] = name
            continue
        short = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_") or "value"
        short = f"_{short}" if short[0].isdigit() else f"{short}_" if keyword.iskeyword(short) else short
        free = (f"{short}_{i}" if i > 1 else short for i in count(1))
        found[next(n for n in free if n not in taken and n not in found)] = name
    return found


def _is_identifier(name: str) -> bool:
    return name.isascii() and name.isidentifier() and not keyword.iskeyword(name)


def _properties(root: Mapping[str, Json]) -> tuple[dict[str, Json], set[str], bool]:
    """The properties of the arguments, wherever the schema names them; those required; whether there may be others."""
    properties: dict[str, Json] = {}
    required: set[str] = set()
    # Where parts of the schema stand elsewhere, they say what else may be given, and the whole decides.
    more = root.get("additionalProperties", False) is not False or "patternProperties" in root
    todo: list[tuple[Json, bool]] = [(root, True)]
    seen: set[int] = set()
    while todo:
        schema, always = todo.pop(0)
        if not isinstance(schema, Mapping) or id(schema) in seen:
            continue
        seen.add(id(schema))
        for key, about in schema.get("properties", {}).items():
            properties.setdefault(key, about)
        if always:
            required |= set(schema.get("required", ()))
        if "$ref" in schema:
            todo.append((_local(root, schema["$ref"]), always))
        for word in ("allOf", "anyOf", "oneOf"):
            todo += [(part, always and word == "allOf") for part in schema.get(word, ())]
        todo += [(schema[word], False) for word in ("if", "then", "else") if word in schema]
    free = not properties and not {"properties", "additionalProperties"} & set(root)
    return properties, required & set(properties), more or free


def _argument(name: str, about: Json, required: bool, root: Mapping[str, Json]) -> Argument:
    about = about if isinstance(about, Mapping) else {}
    shown = _shown(about, root)
    doc = about.get("description") or _local(root, about.get("$ref")).get("description") or ""
    kind = shown if shown in ("str", "int", "float", "bool") else "json"
    return Argument(Parameter(name, kind, about.get("default"), required, str(doc)), shown, None)


def _shown(schema: Json, root: Mapping[str, Json], depth: int = 0) -> str:
    """The type in Python's words: ``list[int]``, ``'a' | 'b'``; JSON where that would not be short."""
    if not isinstance(schema, Mapping) or depth > _MAX_DEPTH:
        return "JSON"
    if "$ref" in schema:
        return _shown(_local(root, schema["$ref"]), root, depth + 1)
    if "const" in schema:
        return repr(schema["const"])[:40]
    if "enum" in schema:
        return " | ".join(repr(v)[:40] for v in schema["enum"]) if len(schema["enum"]) <= 8 else _typed(schema, "JSON")
    for word in ("anyOf", "oneOf"):
        if schema.get(word):
            told = dict.fromkeys(_shown(part, root, depth + 1) for part in schema[word][:_MAX_PARTS])
            return " | ".join(told) if len(schema[word]) <= _MAX_PARTS and "JSON" not in told else "JSON"
    if schema.get("type") == "array":
        inside = _shown(schema.get("items"), root, depth + 1)
        return "list" if inside == "JSON" else f"list[{inside}]"
    return _typed(schema, "JSON")


def _typed(schema: Mapping[str, Json], otherwise: str) -> str:
    kinds = schema.get("type")
    kinds = [kinds] if isinstance(kinds, str) else kinds or ()
    return " | ".join(_TYPES.get(str(kind), "list") for kind in kinds) or otherwise


def _local(root: Mapping[str, Json], reference: Json) -> Mapping[str, Json]:
    """What ``#/a/b`` refers to; nothing where it is another kind of reference, or leads nowhere."""
    if not isinstance(reference, str) or not reference.startswith("#"):
        return {}
    found: Json = root
    for part in filter(None, reference[1:].split("/")):
        key = unquote(part).replace("~1", "/").replace("~0", "~")
        if isinstance(found, Mapping) and key in found:
            found = found[key]
        elif isinstance(found, list) and key.isdecimal() and int(key) < len(found):
            found = found[int(key)]
        else:
            return {}
    return found if isinstance(found, Mapping) else {"": found}


def _refuse_dangling(root: Mapping[str, Json]) -> None:
    """Raises `ToolError` for a reference that leads out of the schema: nothing is fetched."""
    todo: list[Json] = [root]
    own = str(root.get("$id", "#"))
    while todo:
        node = todo.pop()
        if isinstance(node, list):
            todo += node
        elif isinstance(node, Mapping):
            reference = node.get("$ref")
            if isinstance(reference, str):
                outside = not reference.startswith("#") and "$id" not in root
                lost = reference.startswith("#/") and "$id" not in root and not _local(root, reference)
                away = "://" in reference and not reference.startswith((own, "https://json-schema.org/"))
                if outside or lost or away:
                    raise ToolError(f"it refers to {reference[:200]!r}, which is not in it, and nothing is fetched")
            todo += [value for key, value in node.items() if key not in _DATA]


def _shown_schema(root: Mapping[str, Json], wire: Mapping[str, str]) -> dict[str, Json]:
    """The schema as models see it: with the names that programs use."""
    shown = dict(root)
    names = {key: name for name, key in wire.items()}
    if "properties" in shown:
        shown["properties"] = {names.get(key, key): about for key, about in shown["properties"].items()}
    if "required" in shown:
        shown["required"] = [names.get(key, key) for key in shown["required"]]
    return {"type": "object", "properties": {}, **shown}


@functools.lru_cache
def _bounded(base: Any) -> Any:
    """The validator of this dialect, with what may take for ever bounded or left out."""
    from jsonschema.validators import extend

    own = dict(base.VALIDATORS)

    def counted(follow: Any) -> Any:
        def step(validator: Any, value: Json, instance: Json, schema: Json) -> Iterator[Any]:
            _followed.count = getattr(_followed, "count", 0) + 1
            if _followed.count > _MAX_REFERENCES:
                raise ToolError(f"more than {_MAX_REFERENCES} references to follow")
            yield from follow(validator, value, instance, schema) or ()

        return step

    def left_out(validator: Any, value: Json, instance: Json, schema: Json) -> tuple[()]:
        return ()

    def additional(validator: Any, value: Json, instance: Json, schema: Mapping[str, Json]) -> Any:
        return () if "patternProperties" in schema else own["additionalProperties"](validator, value, instance, schema)

    changed = {name: counted(own[name]) for name in ("$ref", "$dynamicRef", "$recursiveRef") if name in own}
    changed |= dict.fromkeys(("pattern", "patternProperties", "unevaluatedItems", "unevaluatedProperties"), left_out)
    return extend(base, {**changed, "additionalProperties": additional})
