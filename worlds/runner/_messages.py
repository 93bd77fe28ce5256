"""Reading what a worker says: bytes to a checked message, text to something a terminal can show."""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

from habilis.worlds.runner.worker import wire

# Control characters, and those that turn text around, break lines or cannot be seen.
_CONTROL = re.compile(
    r"[^\t\n\x20-\x7e\xa0-\u061b\u061d-\u200a\u200c\u200d\u2010-\u2027\u202f-\u205f\u2070-\ud7ff\ue000-\ufefe"
    r"\uff00-\ufff8\ufffc\ufffd\U00010000-\U000dffff]"
)


def clean(text: str) -> str:
    """Text from a program as a terminal or a page can show it without being led astray: odd characters become "?"."""
    return _CONTROL.sub("?", text)


class Malformed(Exception):
    """A message that no honest worker sends."""


def _finite(text: str) -> float:
    value = float(text)
    if value - value != 0.0:
        raise Malformed(f"the number {text[:20]} is not finite")
    return value


def _refuse(text: str) -> NoReturn:
    raise Malformed(f"{text} is not JSON")


_decode = json.JSONDecoder(parse_float=_finite, parse_constant=_refuse).decode


def read_message(raw: bytes) -> list[Any]:
    """A message from the worker, checked for size, depth, numbers and text. Raises `Malformed`."""
    if len(raw) > wire.MESSAGE:
        raise Malformed(f"a message is longer than {wire.MESSAGE} bytes")
    if wire.too_deep(raw):
        raise Malformed(f"a message is nested deeper than {wire.DEPTH}")
    try:
        text = str(raw, "utf-8")
        message = _decode(text)
        if "\\ud" in text or "\\uD" in text:
            json.dumps(message, ensure_ascii=False).encode()  # a lone surrogate has no UTF-8 form
    except (ValueError, RecursionError) as error:
        raise Malformed(f"a message is not JSON ({type(error).__name__})") from None
    if type(message) is not list or not message or type(message[0]) is not str:
        raise Malformed("a message is not a list that begins with its kind")
    return message
