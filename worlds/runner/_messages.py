"""Reading what a worker says: bytes to a checked message, text to something a terminal can show."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from habilis.worlds.runner.worker import wire


def clean(text: str) -> str:
    """Text from a program as a terminal or a page can show it without being led astray: odd characters become "?"."""
    return wire.CONTROL.sub("?", text)


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
