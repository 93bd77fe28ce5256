"""What tools were given and answered, in short: programs and tools get it whole, everyone else a preview with its size
and a reference."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from habilis.core import Json
from habilis.tools._json import canonical, wire_size

__all__ = ["LARGE_BYTES", "digest", "preview", "reference", "short_arguments"]

LARGE_BYTES = 16_000  # of JSON: above, a value is written down once, by its hash, and referred to
_SHORT = 12  # digits of the hash that are shown
_LONG = 1_000  # bytes of JSON of one argument
ARGUMENTS = "(arguments)"  # stands for all of them; no parameter is called so


def digest(value: Json) -> str:
    """The value's SHA-256, by which the journal keeps a large one: equal values, one digest."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def reference(value: Json) -> str:
    """``result:`` and the beginning of the value's SHA-256: equal values, one reference."""
    return f"result:{digest(value)[:_SHORT]}"


def short_arguments(args: Mapping[str, Json]) -> dict[str, Json]:
    """The arguments of a call, in at most about `LARGE_BYTES` of JSON: where they are larger, each in short."""
    given = dict(args)
    if wire_size(given) <= LARGE_BYTES:
        return given
    short = {name: preview(value) if wire_size(value) > _LONG else value for name, value in given.items()}
    return short if wire_size(short) <= LARGE_BYTES else {ARGUMENTS: preview(given)}


def preview(value: Json, limit: int = 800) -> str:
    """The value as text of about ``limit`` characters: a longer one by its reference, kind, size and beginning.

    A tool's answer is not to be trusted: whoever shows this quotes it.
    """
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if len(text) <= limit:
        return text
    if isinstance(value, (list, dict)):
        what = f"{'list' if isinstance(value, list) else 'object'} of {len(value)}"
    else:
        what = "text" if isinstance(value, str) else "number"
    return f"{reference(value)} ({what}, {wire_size(value)} bytes of JSON) begins:\n{text[:limit]}…"
