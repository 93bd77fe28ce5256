"""What tools answered, in short: programs get a value whole, everyone else a preview with its size and a reference."""

from __future__ import annotations

import hashlib
import json

from habilis.core import Json
from habilis.tools._json import canonical, wire_size

__all__ = ["LARGE_BYTES", "preview", "reference"]

LARGE_BYTES = 16_000  # of JSON: above, a value is written down once, by its hash, and referred to
_SHORT = 12  # digits of the hash that are shown


def reference(value: Json) -> str:
    """``result:`` and the beginning of the value's SHA-256: equal values, one reference."""
    return f"result:{hashlib.sha256(canonical(value).encode()).hexdigest()[:_SHORT]}"


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
