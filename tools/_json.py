"""Turning what a tool returns into plain JSON data, the same data in every process."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence, Set
from enum import Enum
from typing import Any

from habilis.core import Json, ToolError

# Of JSON, as the runner sends it. A worker holds it as bytes, as text and as objects, at worst 25 times as much, which
# still fits into the memory that a program has by default; the bridge into a container holds two of them.
MAX_RESULT_BYTES = 8_000_000
_MAX_DEPTH = 64


_encode = json.JSONEncoder(separators=(",", ":")).encode


def canonical(data: Json) -> str:
    """One text for equal JSON data, whatever the order of its keys."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False)


def jsonable(value: Any, where: str = "the result", depth: int = 0) -> Json:
    """A copy of ``value`` as JSON data; sets become sorted lists. Raises `ToolError` naming what does not fit."""
    if depth > _MAX_DEPTH:
        raise ToolError(f"{where} is nested deeper than {_MAX_DEPTH} levels; return something flatter")
    if isinstance(value, Enum):
        return jsonable(value.value, where, depth)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str(value).encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, int):
        if abs(value) >= 1 << 1024:
            raise ToolError(f"{where} is an integer of {value.bit_length()} bits; give it as text")
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ToolError(f"{where} is {value!r}, which JSON cannot hold; return None or a text instead")
        return float(value)
    if isinstance(value, Mapping):
        odd = next((k for k in value if not isinstance(k, (str, int)) or isinstance(k, (bool, Enum))), None)
        if odd is not None:
            raise ToolError(f"{where} has the key {odd!r:.60}; the keys of a JSON object are texts")
        return {str(k): jsonable(v, f"{where}[{k!r:.40}]", depth + 1) for k, v in value.items()}
    if isinstance(value, Set):
        return sorted((jsonable(v, where, depth + 1) for v in value), key=canonical)
    if isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray, memoryview)):
        return [jsonable(v, f"{where}[{i}]", depth + 1) for i, v in enumerate(value)]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        shallow = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
        return jsonable(shallow, where, depth + 1)
    for convert in ("model_dump", "tolist"):  # pydantic models; numpy arrays and scalars
        if callable(getattr(value, convert, None)) and not isinstance(value, type):
            return jsonable(getattr(value, convert)(), where, depth + 1)
    return _leaf(value, where)


def _leaf(value: Any, where: str) -> Json:
    from pydantic_core import PydanticSerializationError, to_jsonable_python

    try:
        return to_jsonable_python(value, serialize_unknown=False)
    except (PydanticSerializationError, ValueError):
        raise ToolError(
            f"{where} is a {type(value).__name__}, which is not JSON data; return numbers, texts, lists or dicts"
        ) from None


def wire_size(data: Json) -> int:
    """How many bytes the data has on the way to a program: JSON in ASCII, as the runner sends it."""
    return len(_encode(data))


def capped(data: Json, limit: int = MAX_RESULT_BYTES) -> Json:
    """The data if it has at most ``limit`` bytes on its way. A longer text is cut and says so; anything else is
    refused."""
    if not isinstance(data, str):
        size = wire_size(data)
        if size > limit:
            raise ToolError(
                f"the result has {size} bytes as JSON, the limit is {limit}; return less, or a part at a time"
            )
        return data
    if len(data) <= limit and wire_size(data) <= limit:
        return data
    # Escapes make the JSON longer than the text, at most twelvefold; the share that fits is found by halving.
    note = f"… [cut: the result has {len(data)} characters, the limit is {limit} bytes]"
    room = limit - wire_size(note) + 2  # the quotation marks count once
    low, high = 0, min(len(data), limit)
    while low < high:
        middle = (low + high + 1) // 2
        if wire_size(data[:middle]) <= room:
            low = middle
        else:
            high = middle - 1
    return data[:low] + note


def as_given(args: Mapping[str, Json]) -> dict[str, Json]:
    """Arguments for the record, whatever they are: what is no JSON is shown as text."""
    try:
        given: dict[str, Json] = jsonable(args)
    except ToolError:
        return {str(k): brief(v, 200) for k, v in args.items()}
    return given


def brief(value: Any, most: int = 80) -> str:
    """A value as text of at most ``most`` characters, whatever it is."""
    try:
        return repr(value)[:most]
    except Exception:  # a whole number of more digits than Python writes, say
        return f"a {type(value).__name__} that cannot be shown"[:most]
