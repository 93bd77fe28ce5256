"""Reading and writing the core's records as JSON. Pydantic does it, and is imported when first needed."""

from __future__ import annotations

from typing import Any, TypeVar

from habilis.core.world import Json

T = TypeVar("T")
_adapters: dict[Any, Any] = {}


def _adapter(kind: Any) -> Any:
    if kind not in _adapters:
        from pydantic import TypeAdapter

        _adapters[kind] = TypeAdapter(kind)
    return _adapters[kind]


def dump(record: Any, kind: Any = None) -> Json:
    """A record as JSON data (dicts, lists, strings, numbers). ``kind`` is needed for generic types only."""
    return _adapter(kind or type(record)).dump_python(record, mode="json")


def load(kind: type[T], data: Json) -> T:
    """The record back; unknown keys are ignored here and kept by whoever stores them. Raises ``ValueError``."""
    result: T = _adapter(kind).validate_python(data)
    return result
