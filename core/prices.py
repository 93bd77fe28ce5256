"""The user's own prices, in a file of theirs: they go before every other list.

# prices.toml, or the same as JSON; USD per million tokens
unknown = "refuse"                                        # or "assume", where no list knows a price

[models]
"openai:gpt-5-mini" = { input = 0.25, output = 2.0 }      # PROVIDER:MODEL
"qwen3@http://127.0.0.1:8000/v1" = { input = 0, output = 0 }   # MODEL@URL, where --base-url names a server
"llama-*" = { input = 0.1, output = 0.1 }                 # the first pattern that fits, if no name does

[embeddings]
"bge-m3" = 0.01
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Self, TypeVar

from habilis.core.errors import InputError

T = TypeVar("T")
VARIABLE = "HABILIS_PRICES"


@dataclass(frozen=True)
class PriceList:
    """Prices by name or pattern, in USD per million tokens. ``models``: (read, written); ``assume``: whether a price
    that no list knows is assumed to be dear, instead of being refused; ``source``: where they are from."""

    models: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    embeddings: Mapping[str, float] = field(default_factory=dict)
    assume: bool = False
    source: str = ""

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """Read a file, TOML if its name ends in ``.toml``, else JSON. Raises `InputError` naming the entry at fault."""
        file = Path(path).expanduser()
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"the prices {file} cannot be read: {error}") from error
        return cls.of(_parsed(file, text), str(file))

    @classmethod
    def of(cls, data: Any, source: str = "the prices") -> Self:
        """From data of the same form. Raises `InputError`."""
        if not isinstance(data, Mapping):
            raise InputError(f"{source}: it holds no tables; write [models] and [embeddings]")
        strange = sorted(set(map(str, data)) - {"models", "embeddings", "unknown"})
        if strange:
            raise InputError(f"{source}: there is no {strange[0]!r}; it takes models, embeddings and unknown")
        unknown = data.get("unknown", "refuse")
        if unknown not in ("refuse", "assume"):
            raise InputError(f"{source}: unknown={unknown!r}; write 'refuse' or 'assume'")
        models = {name: _pair(name, value, source) for name, value in _table(data, "models", source).items()}
        embeddings = {
            name: price_of(value, f"{source}: embeddings.{name}")
            for name, value in _table(data, "embeddings", source).items()
        }
        return cls(models, embeddings, unknown == "assume", source)

    @classmethod
    def from_environment(cls) -> Self:
        """The file that ``HABILIS_PRICES`` names; empty where it is not set. Raises `InputError`."""
        path = os.environ.get(VARIABLE)
        return cls.load(path) if path else cls()

    def model(self, *names: str) -> tuple[float, float] | None:
        """The price of a chat model that goes by these names, the most telling first."""
        return _found(self.models, names)

    def embedding(self, *names: str) -> float | None:
        return _found(self.embeddings, names)


def price_of(value: Any, where: str) -> float:
    """A price in USD per million tokens. Raises `InputError` naming ``where`` it stands."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < math.inf:
        raise InputError(f"{where} is {value!r}; a price is a finite number >= 0, in USD per million tokens")
    return float(value)


def _parsed(file: Path, text: str) -> Any:
    try:
        if file.suffix.lower() == ".toml":
            import tomllib

            return tomllib.loads(text)
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"the prices {file} are not {file.suffix.lstrip('.') or 'json'}: {error}") from error


def _table(data: Mapping[str, Any], name: str, source: str) -> Mapping[str, Any]:
    found = data.get(name, {})
    if not isinstance(found, Mapping):
        raise InputError(f"{source}: {name} is no table of prices")
    return found


def _pair(name: str, value: Any, source: str) -> tuple[float, float]:
    where = f"{source}: models.{name}"
    if not isinstance(value, Mapping) or set(value) != {"input", "output"}:
        raise InputError(f"{where} is {value!r:.80}; write {{ input = …, output = … }}, in USD per million tokens")
    return price_of(value["input"], f"{where}.input"), price_of(value["output"], f"{where}.output")


def _found(prices: Mapping[str, T], names: tuple[str, ...]) -> T | None:
    for name in names:
        if name in prices:
            return prices[name]
    patterns = (pattern for pattern in prices if "*" in pattern)
    return next((prices[p] for p in patterns if any(fnmatchcase(name, p) for name in names)), None)
