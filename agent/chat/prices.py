"""What a chat model's tokens cost: the user's own prices, then the list of the package ``genai-prices``."""

from __future__ import annotations

from dataclasses import dataclass

from habilis.core import InputError, PriceList, price_of

__all__ = ["ASSUMED", "Prices", "find_prices"]

# Where the price list names a provider otherwise than langchain does.
_PRICE_LIST_NAMES = {
    "azure_openai": "azure",
    "bedrock": "aws",
    "bedrock_converse": "aws",
    "google_genai": "google",
    "google_vertexai": "google",
    "mistralai": "mistral",
    "xai": "x-ai",
}


@dataclass(frozen=True, slots=True)
class Prices:
    """What a model's tokens cost, in USD per million. ``source``: "user", "list" (genai-prices) or "assumed".

    Cached and reasoning tokens are charged as ordinary ones, so the account errs on the dear side.
    """

    input: float
    output: float
    source: str = "user"

    def __post_init__(self) -> None:
        price_of(self.input, "the price of tokens read")
        price_of(self.output, "the price of tokens written")

    def usd(self, tokens_in: int, tokens_out: int) -> float:
        return (tokens_in * self.input + tokens_out * self.output) / 1e6


ASSUMED = Prices(15.0, 75.0, source="assumed")
"""What is taken for a price that no list knows, where that was asked for: dear on purpose, so that a limit in USD ends
a run early rather than late."""


def find_prices(model: str, provider: str, base_url: str | None, own: PriceList, *, local: bool) -> Prices:
    """The price of a model, from the user's list or the one that comes with us; of a server on this machine (``local``)
    only the user knows. Raises `InputError` where it is not known and none is to be assumed."""
    names = (f"{model}@{base_url.rstrip('/')}",) if base_url is not None else (f"{provider}:{model}",)
    given = own.model(*names, model)
    if given is not None:
        return Prices(*given)
    listed = None if local else _listed(model, provider, base_url)
    if listed is not None:
        return listed
    if own.assume:
        return ASSUMED
    where = "a server on this machine" if local else base_url if base_url is not None else f"{provider}:{model}"
    raise InputError(
        f"the price of {model!r} at {where} is not known, and none is assumed unasked; "
        "give --price-in and --price-out in USD per million tokens (0 where it is free), a list of your own (--prices "
        f"FILE, HABILIS_PRICES) that has {names[0]!r} or {model!r} under [models], or --assume-price "
        f'(prices="assume") to count with {ASSUMED.input:g} and {ASSUMED.output:g}'
    )


def _listed(model: str, provider: str, base_url: str | None) -> Prices | None:
    from genai_prices import Usage, calc_price

    usage = Usage(input_tokens=1000, output_tokens=1000)
    try:
        if base_url is not None:
            found = calc_price(usage, model, provider_api_url=base_url)
        else:
            found = calc_price(usage, model, provider_id=_PRICE_LIST_NAMES.get(provider, provider))
    except LookupError:
        return None
    return Prices(float(found.input_price) * 1000, float(found.output_price) * 1000, source="list")
