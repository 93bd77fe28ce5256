"""Reading and writing the core's records as JSON. Pydantic does it, and is imported when first needed."""

from __future__ import annotations

from collections.abc import Hashable
from functools import lru_cache
from typing import Any, TypeVar

from habilis.core.world import Json

T = TypeVar("T")


@lru_cache(maxsize=128)
def _adapter(kind: Hashable) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


def dump(record: Any, kind: Any = None) -> Json:
    """A record as JSON data (dicts, lists, strings, numbers)."""
    return _adapter(kind or type(record)).dump_python(record, mode="json")


def load(kind: type[T], data: Json) -> T:
    """The record back; unknown keys are ignored here and kept by whoever stores them. Raises ``ValueError``."""
    result: T = _adapter(kind).validate_python(data)
    return result
