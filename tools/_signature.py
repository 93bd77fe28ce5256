"""The parameters of a tool: read from hints and docstring, shown as JSON schema, checked at every call."""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from habilis.core import DefinitionError, Json, Parameter, ToolError
from habilis.tools._json import brief, jsonable


@dataclass(frozen=True)
class Argument:
    """One parameter: ``adapter`` is pydantic's validator of its hint, ``shown`` the hint as text."""

    parameter: Parameter
    shown: str
    adapter: Any
    positional: bool = False


@dataclass(frozen=True)
class Signature:
    """The parameters of one tool, in order. ``schema`` is the JSON schema of its arguments."""

    tool: str
    arguments: tuple[Argument, ...]
    schema: Mapping[str, Json]

    def bind(self, args: tuple[Json, ...], kwargs: Mapping[str, Json]) -> dict[str, Json]:
        """Arguments by name. Raises `ToolError` for too many, or for one that is given twice."""
        names = [a.parameter.name for a in self.arguments]
        if len(args) > len(names):
            raise ToolError(f"{self.tool} takes {len(names)} arguments ({self._shown()}), got {len(args)}")
        bound = dict(zip(names, args, strict=False))
        twice = sorted(set(bound) & set(kwargs))
        if twice:
            raise ToolError(f"{self.tool} got the parameter {twice[0]!r} twice")
        return bound | dict(kwargs)

    def check(self, given: Mapping[str, Json]) -> tuple[dict[str, Any], dict[str, Json]]:
        """What the function gets, and the same as JSON with defaults filled in (what the tape records).

        Raises `ToolError` saying which parameter, what was expected and what came.
        """
        from pydantic import ValidationError

        known = {a.parameter.name for a in self.arguments}
        wrong = [f"it has no parameter {name!r}" for name in sorted(map(str, set(given) - known))]
        values: dict[str, Any] = {}
        recorded: dict[str, Json] = {}
        for argument in self.arguments:
            name = argument.parameter.name
            if name not in given:
                if argument.parameter.required:
                    wrong.append(f"parameter {name!r} ({argument.shown}) is missing")
                recorded[name] = argument.parameter.default
                continue
            try:
                values[name] = argument.adapter.validate_python(given[name])
                recorded[name] = jsonable(values[name], f"parameter {name!r}")
            except ToolError as error:
                wrong.append(str(error))
            except ValidationError as error:
                reason = error.errors(include_url=False)[0]["msg"]
                got = f"{brief(given[name])} ({type(given[name]).__name__})"
                wrong.append(f"parameter {name!r} expects {argument.shown}, got {got}: {reason}")
        if wrong:
            raise ToolError(f"{self.tool}: {'; '.join(wrong[:4])}. It takes ({self._shown()})")
        return values, recorded

    def call(self, function: Callable[..., Any], values: Mapping[str, Any]) -> Any:
        """Call the function with checked values; what was not given is left to the function's own defaults."""
        positional = []
        rest = dict(values)
        for argument in self.arguments:
            if argument.positional and argument.parameter.name in rest:
                positional.append(rest.pop(argument.parameter.name))
        return function(*positional, **rest)

    def _shown(self) -> str:
        return ", ".join(
            f"{a.parameter.name}: {a.shown}" + ("" if a.parameter.required else f" = {a.parameter.default!r}")
            for a in self.arguments
        )


def read_signature(function: Callable[..., Any], name: str, label: str, doc: str) -> Signature:
    """The signature of a typed function. Raises `DefinitionError` naming ``label`` and the parameter at fault."""
    from pydantic import PydanticUserError, TypeAdapter

    try:
        plain = inspect.signature(function)
        hints = typing.get_type_hints(function, include_extras=True)
    except (NameError, TypeError, ValueError) as error:
        raise DefinitionError(f"{label}: its type hints cannot be read ({error}); import the names they use") from error
    docs = _parameter_docs(doc)
    arguments: list[Argument] = []
    for key, parameter in plain.parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            star = "*" if parameter.kind is parameter.VAR_POSITIONAL else "**"
            raise DefinitionError(f"{label}: {star}{key} cannot be described to a model; name each parameter")
        if key not in hints:
            raise DefinitionError(f"{label}: the parameter {key!r} has no type hint; write {key}: <type>")
        hint = hints[key]
        shown, described = _without_notes(hint)
        try:
            adapter: Any = TypeAdapter(hint)
            adapter.json_schema()
        except (PydanticUserError, NameError) as error:
            raise DefinitionError(
                f"{label}: the parameter {key!r} is a {_show(shown)}, which cannot be written as JSON; "
                "use str, int, float, bool, lists, dicts, dataclasses or pydantic models"
            ) from error
        required = parameter.default is parameter.empty
        try:
            default = None if required else jsonable(parameter.default, f"the default of {key!r}")
        except ToolError as error:
            raise DefinitionError(f"{label}: {error}") from error
        arguments.append(
            Argument(
                Parameter(key, _core_type(shown), default, required, described or docs.get(key, "")),
                _show(shown),
                adapter,
                parameter.kind is parameter.POSITIONAL_ONLY,
            )
        )
    if "return" not in hints:
        raise DefinitionError(f"{label}: the return value has no type hint; write -> <type>")
    return Signature(name, tuple(arguments), _schema(arguments))


def _schema(arguments: list[Argument]) -> dict[str, Json]:
    from pydantic import TypeAdapter

    by_key, shared = TypeAdapter.json_schemas(
        [(a.parameter.name, "validation", a.adapter) for a in arguments], ref_template="#/$defs/{model}"
    )
    properties: dict[str, Json] = {}
    for argument in arguments:
        parameter = argument.parameter
        about = dict(by_key[(parameter.name, "validation")])
        if parameter.doc:
            about.setdefault("description", parameter.doc)
        if not parameter.required:
            about["default"] = parameter.default
        properties[parameter.name] = about
    schema: dict[str, Json] = {"type": "object", "properties": properties, "additionalProperties": False}
    required = [a.parameter.name for a in arguments if a.parameter.required]
    if required:
        schema["required"] = required
    if shared.get("$defs"):
        schema["$defs"] = shared["$defs"]
    return schema


def _without_notes(hint: Any) -> tuple[Any, str]:
    """A hint without ``Annotated``, and the description found in its notes (a text, or pydantic's ``Field``)."""
    described = ""
    while typing.get_origin(hint) is typing.Annotated:
        hint, *notes = typing.get_args(hint)
        for note in notes:
            described = described or (note if isinstance(note, str) else getattr(note, "description", None) or "")
    return hint, described


def _show(hint: Any) -> str:
    return inspect.formatannotation(hint)


def _core_type(hint: Any) -> str:
    return hint.__name__ if hint in (str, int, float, bool) else "json"


def _parameter_docs(doc: str) -> dict[str, str]:
    """Descriptions of parameters from a Google-style ``Args:`` section or from ``:param name:`` lines."""
    found = {m[1]: m[2].strip() for m in re.finditer(r"^\s*:param (?:\w+ )?(\w+): (.+)$", doc, re.MULTILINE)}
    section = re.search(r"^(?:Args|Arguments|Parameters):\s*\n((?:[ \t]+\S.*\n?|\s*\n)+)", doc, re.MULTILINE)
    if section:
        key = ""
        for line in inspect.cleandoc("\n" + section[1]).splitlines():
            entry = re.match(r"(\w+)(?: \([^)]*\))?:\s*(.*)$", line)
            if entry:
                key = entry[1]
                found[key] = entry[2].strip()
            elif key and line.startswith((" ", "\t")):
                found[key] = f"{found[key]} {line.strip()}".strip()
    return found
