"""The prices that a user hands to an agent."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from habilis.core import InputError, PriceList

__all__ = ["UserPrices", "check_prices", "price_list"]

UserPrices = tuple[float, float] | PriceList | Path | str | None
"""A pair for the chat model (USD per million tokens read, and written), a `PriceList`, the path of one, or "assume"."""


def check_prices(prices: Any) -> None:
    """Raises `InputError` for what is none of these."""
    pair = isinstance(prices, (tuple, list)) and len(prices) == 2 and all(isinstance(p, (int, float)) for p in prices)
    if not (pair or prices is None or isinstance(prices, (PriceList, Path, str))):
        raise InputError(
            "prices= is a pair of numbers, USD per million tokens read and written; or a PriceList, the path of one, "
            'or "assume"'
        )


def price_list(prices: UserPrices, *, assume: bool = False) -> PriceList | None:
    """The list that is meant; None where a pair was given, or nothing, so that ``HABILIS_PRICES`` holds."""
    if prices is None or isinstance(prices, (tuple, list)):
        return replace(PriceList.from_environment(), assume=True) if assume else None
    if prices == "assume":
        return replace(PriceList.from_environment(), assume=True)
    found = prices if isinstance(prices, PriceList) else PriceList.load(prices)
    return replace(found, assume=found.assume or assume)
