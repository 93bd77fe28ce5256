"""JSON schemas of strangers as signatures: any gives one or a reason, and what one refuses the library refuses."""

from __future__ import annotations

import keyword
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from habilis.core import DefinitionError, Json, ToolError
from habilis.tools._json_schema import SchemaSignature, identifiers, schema_signature
from habilis.tools.sources.options import tool_names

names = st.text(max_size=6) | st.sampled_from(["a", "b", "user-id", "user_id", "class", "self", "0", "$ref", "é"])
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.floats(allow_nan=False, allow_infinity=False, width=16)
    | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=6,
)
simple = st.fixed_dictionaries(
    {"type": st.sampled_from(["string", "integer", "number", "boolean", "null", "array", "object"])},
    optional={
        "minimum": st.integers(-3, 3),
        "minLength": st.integers(0, 2),
        "maxItems": st.integers(0, 2),
        "description": st.text(max_size=5),
    },
) | st.fixed_dictionaries({"enum": st.lists(values, min_size=1, max_size=3)})
schemas = st.recursive(
    simple | st.booleans() | st.just({"$ref": "#/$defs/one"}),
    lambda inner: (
        st.fixed_dictionaries({"type": st.just("array"), "items": inner})
        | st.fixed_dictionaries({"anyOf": st.lists(inner, min_size=1, max_size=3)})
        | st.fixed_dictionaries(
            {"properties": st.dictionaries(names, inner, max_size=2)}, optional={"additionalProperties": inner}
        )
    ),
    max_leaves=5,
)
roots = st.fixed_dictionaries(
    {
        "type": st.just("object"),
        "properties": st.dictionaries(names, schemas, max_size=4),
        "$defs": st.fixed_dictionaries({"one": simple}),
    },
    optional={"required": st.lists(names, max_size=2, unique=True), "additionalProperties": st.booleans()},
)
words = st.sampled_from(
    ["type", "properties", "required", "$ref", "allOf", "anyOf", "enum", "items", "$id", "$schema", "a"]
)
anything = st.recursive(values, lambda inner: st.dictionaries(words, inner, max_size=4))


def refusal(signature: SchemaSignature, args: dict[str, Json]) -> str:
    """Why arguments are refused; nothing where they are taken."""
    try:
        signature.check(args)
    except ToolError as error:
        return str(error)
    return ""


@given(roots, st.dictionaries(names, values, max_size=4))
@settings(max_examples=200)
def test_a_signature_agrees_with_the_schema(root: dict[str, Any], args: dict[str, Json]) -> None:
    signature = schema_signature("t", root)
    wire = signature.wire
    assert set(wire.values()) == set(root["properties"])
    assert all(n.isascii() and n.isidentifier() and not keyword.iskeyword(n) for n in wire)
    Draft202012Validator.check_schema(signature.schema)
    by_own_names = {wire.get(name, name): value for name, value in args.items()}
    missing = [p.parameter.name for p in signature.arguments if p.parameter.required and p.parameter.name not in args]
    unknown = not signature.more and bool(set(args) - set(wire))
    right = Draft202012Validator(root).is_valid(by_own_names)
    if len(by_own_names) < len(args):
        return  # two of the names are one at the source
    refused = refusal(signature, args)
    assert bool(refused) == (bool(missing) or unknown or not right), refused
    if refused:
        assert "It takes (" in refused
        return
    values, recorded = signature.check(args)
    assert values == by_own_names
    assert {name: recorded[name] for name in args} == args
    assert set(recorded) == set(wire) | set(args)


@given(anything)
@settings(max_examples=200)
def test_whatever_a_server_sends_is_a_signature_or_a_reason(schema: Any) -> None:
    try:
        signature = schema_signature("t", schema)
    except DefinitionError as error:
        told = str(error)
    else:
        told = refusal(signature, {}) or "t: It takes ("
        assert "It takes (" in told
    assert told.startswith("t: ")


@given(st.lists(names, max_size=8))
def test_names_are_callable_distinct_and_repeatable(foreign: list[str]) -> None:
    found = tool_names(foreign)
    assert len(set(found)) == len(foreign)
    assert found == tool_names(foreign)
    assert all(n.isascii() and n.isidentifier() and not keyword.iskeyword(n) and len(n) <= 64 for n in found)
    mine = identifiers(dict.fromkeys(foreign))
    assert list(mine.values()) == list(dict.fromkeys(foreign))
    assert all(
        mine[name] == name for name in foreign if name.isascii() and name.isidentifier() and not keyword.iskeyword(name)
    )


def doubling(depth: int) -> dict[str, Any]:
    """References to references: two to the power of ``depth`` to follow."""
    steps: dict[str, Any] = {f"d{i}": {"allOf": [{"$ref": f"#/$defs/d{i + 1}"}] * 2} for i in range(depth)}
    return {"properties": {"x": {"$ref": "#/$defs/d0"}}, "$defs": {**steps, f"d{depth}": {"type": "integer"}}}


HOSTILE: dict[str, dict[str, Any]] = {
    "an expression that never ends": {"properties": {"x": {"type": "string", "pattern": "^(a+)+$"}}},
    "one for names": {"properties": {"x": {"patternProperties": {"^(a+)+$": {}}, "additionalProperties": False}}},
    "references without end": {"properties": {"x": {"$ref": "#/properties/x"}}},
    "references beyond count": doubling(40),
    "a wide tree of itself": {"properties": {"x": {"anyOf": [{"$ref": "#/properties/x"}] * 1000}}},
}


@pytest.mark.parametrize("kind", sorted(HOSTILE))
def test_a_hostile_schema_takes_no_time(kind: str) -> None:
    signature = schema_signature("t", HOSTILE[kind])
    start = time.monotonic()
    for value in ("a" * 40 + "!", {"a" * 40 + "!": 1}, 7):
        assert len(refusal(signature, {"x": value})) < 3_000
    assert time.monotonic() - start < 10


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        ({"type": "string"}, "of type 'string'; parameters are an object"),
        ({"properties": {"x": {"type": "strange"}}}, "wrong at properties/x"),
        ({"properties": {"x": {"$ref": "http://127.0.0.1:9/x"}}}, "'http://127.0.0.1:9/x', which is not in it"),
        ({"properties": {"x": {"$ref": "#/$defs/gone"}}}, "'#/$defs/gone', which is not in it"),
        ({"$schema": "http://json-schema.org/draft-03/schema#"}, "draft 3"),
        ({"properties": {"x": {"description": "x" * 300_000}}}, "the limit is 200000"),
        ([], "parameters are an object"),
        ({"properties": {"x": {"default": float("nan")}}}, "nan"),
    ],
)
def test_a_schema_that_cannot_be_used_is_refused_with_the_reason(schema: Any, told: str) -> None:
    with pytest.raises(DefinitionError) as refused:
        schema_signature("t", schema)
    assert told in str(refused.value)


def test_types_are_told_in_short_words() -> None:
    told = {
        "int": {"type": "integer"},
        "str | None": {"type": ["string", "null"]},
        "list[int]": {"type": "array", "items": {"$ref": "#/$defs/n"}},
        "'a' | 'b'": {"enum": ["a", "b"]},
        "int | str": {"anyOf": [{"type": "integer"}, {"type": "string"}]},
        "JSON": {},
    }
    schema = {"properties": {f"p{i}": one for i, one in enumerate(told.values())}, "$defs": {"n": {"type": "integer"}}}
    assert [a.shown for a in schema_signature("t", schema).arguments] == list(told)


def test_parameters_are_found_wherever_the_schema_names_them() -> None:
    signature = schema_signature(
        "t",
        {
            "$ref": "#/$defs/base",
            "allOf": [{"properties": {"b": {"type": "integer"}}, "required": ["b"]}],
            "oneOf": [{"required": ["c"], "properties": {"c": {"const": 1}}}, {"properties": {"d": {}}}],
            "$defs": {"base": {"properties": {"a": {"type": "string"}}, "required": ["a"]}},
        },
    )
    assert {a.parameter.name: a.parameter.required for a in signature.arguments} == {
        "a": True,
        "b": True,
        "c": False,
        "d": False,
    }
