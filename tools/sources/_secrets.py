"""Keys are named, not written: ``env:NAME`` in a value stands for an environment variable, read when it is needed."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping

from habilis.core import InputError, Json

_NAMED = re.compile(r"env:([A-Za-z_][A-Za-z0-9_]*)")
_SECRET = re.compile(r"auth|key|token|secret|passw|cookie|credential|bearer", re.IGNORECASE)
_SHORTEST = 6  # characters of a secret that is looked for in answers; shorter ones occur by chance


def filled(named: Mapping[str, str], what: str) -> dict[str, str]:
    """The values with the variables put in. Raises `InputError` naming one that is not set."""

    def read(match: re.Match[str]) -> str:
        value = os.environ.get(match[1])
        if not value:
            raise InputError(f"{what} needs the environment variable {match[1]}, which is not set; export {match[1]}=…")
        return value

    return {name: _NAMED.sub(read, value) for name, value in named.items()}


def secrets(values: Iterable[str]) -> tuple[str, ...]:
    """What must not be seen: the values of the environment variables that are named."""
    found = (os.environ.get(name, "") for value in values for name in _NAMED.findall(value))
    return tuple(sorted((s for s in found if len(s) >= _SHORTEST), key=len, reverse=True))


def hidden(data: Json, secret: Iterable[str]) -> Json:
    """The data with secrets blotted out: a server may send back what it was sent, and answers are kept."""
    secret = tuple(secret)
    if not secret:
        return data
    if isinstance(data, str):
        for one in secret:
            data = data.replace(one, "***")
        return data
    if isinstance(data, Mapping):
        return {hidden(k, secret): hidden(v, secret) for k, v in data.items()}
    if isinstance(data, list):
        return [hidden(v, secret) for v in data]
    return data


def refuse_written_secret(kind: str, name: str, value: str) -> None:
    """Raises `InputError` where a value that is to be kept looks like a secret in clear."""
    if _SECRET.search(name) and not _NAMED.search(value):
        raise InputError(
            f"{kind}: {name} looks like a secret, and is not kept in clear; put it into an environment variable and "
            f"name that: {name}=env:MY_{re.sub('[^A-Z]', '_', name.upper())}"
        )
