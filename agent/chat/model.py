"""Chat models of any provider, priced: every request is reserved on the ledger before it is sent.

    model = open_chat_model("openai:gpt-4o-mini")
    model = open_chat_model("qwen3", base_url="http://127.0.0.1:8000/v1", prices=Prices(0, 0))
    text = await model.ask([("system", "Be brief."), ("user", "Hello")], ledger)

Set ``HABILIS_NO_MODEL_REQUESTS=1`` to forbid requests that leave this machine.
"""

from __future__ import annotations

import os
import re
from dataclasses import replace
from typing import Any, Literal
from urllib.parse import urlsplit

from habilis.agent.chat._errors import scrub
from habilis.agent.chat.priced import Messages, PricedChatModel, as_priced
from habilis.agent.chat.prices import ASSUMED, Prices, find_prices
from habilis.core import ChatModel, InputError, MissingExtraError, ModelError, PriceList

__all__ = ["ASSUMED", "Messages", "PricedChatModel", "Prices", "as_priced", "is_loopback", "open_chat_model"]

_KEY_VARIABLES = {
    "anthropic": "ANTHROPIC_API_KEY",
    "cohere": "COHERE_API_KEY",
    "deepseek": "DEEPSEEK_API_KEY",
    "fireworks": "FIREWORKS_API_KEY",
    "google_genai": "GOOGLE_API_KEY",
    "groq": "GROQ_API_KEY",
    "mistralai": "MISTRAL_API_KEY",
    "openai": "OPENAI_API_KEY",
    "openrouter": "OPENROUTER_API_KEY",
    "perplexity": "PPLX_API_KEY",
    "together": "TOGETHER_API_KEY",
    "xai": "XAI_API_KEY",
}
_NO_KEY = "none-needed"  # clients insist on one


def open_chat_model(
    model: str,
    *,
    base_url: str | None = None,
    api_key: str | None = None,
    prices: Prices | PriceList | Literal["assume"] | None = None,
    timeout: float = 60.0,
    max_output_tokens: int = 1500,
    images: bool | None = None,
) -> PricedChatModel:
    """Open a chat model: ``provider:model`` of any provider that LangChain knows, or, with ``base_url``, the name of a
    model behind any OpenAI-compatible server.

    ``prices``: what it costs, or a list of the user's own (default: the file that ``HABILIS_PRICES`` names). What that
    does not know is looked up in the list that ships with the package ``genai-prices`` (works offline). Where neither
    knows the model, and for servers on this machine, say what it costs; ``"assume"`` takes `ASSUMED`. The key is read
    from the provider's usual variable; a server on this machine needs none, and is sent none that was not given here.
    ``images``: whether it takes pictures; None: where LangChain's list of models says that it does.

    Raises `InputError` (no price, no such provider), `ModelError` (no key), `MissingExtraError`.
    """
    provider, _, bare = model.partition(":")
    if not model.strip() or (not bare and ":" in model):
        raise InputError(f"model={model!r}: write PROVIDER:MODEL, such as openai:gpt-4o-mini")
    if base_url is None and (provider == "openai" or (not bare and model.startswith(("gpt-", "o1", "o3", "o4")))):
        base_url = os.environ.get("OPENAI_API_BASE") or os.environ.get("OPENAI_BASE_URL") or None
    local = base_url is not None and is_loopback(base_url)
    if base_url is not None:
        if urlsplit(base_url).scheme not in ("http", "https") or not urlsplit(base_url).hostname:
            raise InputError(f"base_url={base_url!r} is no address; write http://HOST:PORT/v1")
        provider, bare = "openai", bare if provider == "openai" and bare else model
        api_key = api_key or (_NO_KEY if local else os.environ.get("OPENAI_API_KEY"))
    else:
        provider, bare = (provider, bare) if bare else (_guess_provider(model), model)
        variable = _KEY_VARIABLES.get(provider)
        api_key = api_key or (os.environ.get(variable) if variable else None)
    if api_key is None and provider in _KEY_VARIABLES:
        raise ModelError(f"no key for {provider}: set {_KEY_VARIABLES[provider]}, or pass api_key=")
    client = _client(provider, bare, base_url, api_key, timeout, max_output_tokens)
    if prices is not None and prices != "assume" and not isinstance(prices, (Prices, PriceList)):
        raise InputError(f'prices={prices!r}: give Prices(input, output), a PriceList, or "assume"')
    if not isinstance(prices, Prices):
        own = prices if isinstance(prices, PriceList) else PriceList.from_environment()
        own = replace(own, assume=own.assume or prices == "assume")
        prices = find_prices(bare, provider, base_url, own, local=local)
    return PricedChatModel(
        model=client,
        prices=prices,
        name=f"{provider}:{bare}" if base_url is None else bare,
        max_output_tokens=max_output_tokens,
        timeout=timeout,
        local=local,
        images=_sees(client) if images is None else images,
        secrets=_secrets(api_key),
    )


def is_loopback(url: str) -> bool:
    """Whether this address is on this machine."""
    host = (urlsplit(url).hostname or "").lower()
    return host in ("localhost", "::1") or re.fullmatch(r"127(\.\d{1,3}){3}", host) is not None


def _client(
    provider: str, model: str, base_url: str | None, api_key: str | None, timeout: float, max_output_tokens: int
) -> ChatModel:
    given: dict[str, Any] = {"timeout": timeout, "max_tokens": max_output_tokens, "max_retries": 0}
    if api_key is not None:
        given["api_key"] = api_key
    try:
        if base_url is not None and not (urlsplit(base_url).hostname or "").endswith("openai.com"):
            # Not ChatOpenAI: it sends "max_completion_tokens", which only OpenAI's own server is sure to obey.
            from langchain_openai.chat_models.base import BaseChatOpenAI

            return BaseChatOpenAI(model=model, base_url=base_url, **given)
        from langchain.chat_models import init_chat_model

        if base_url is not None:
            given["base_url"] = base_url
        client: ChatModel = init_chat_model(model, model_provider=provider, **given)
        return client
    except ImportError as error:
        raise MissingExtraError(f"{provider} needs another package: {error}") from None
    except ValueError as error:
        said = scrub(" ".join(str(error).split()), _secrets(api_key))
        raise InputError(f"cannot open {provider}:{model}: {said}") from None


def _sees(client: ChatModel) -> bool:
    profile = getattr(client, "profile", None)
    return isinstance(profile, dict) and profile.get("image_inputs") is True


def _secrets(api_key: str | None) -> tuple[str, ...]:
    return (api_key,) if api_key and api_key != _NO_KEY and len(api_key) >= 4 else ()


def _guess_provider(model: str) -> str:
    for start, provider in (("gpt-", "openai"), ("o1", "openai"), ("o3", "openai"), ("o4", "openai")):
        if model.startswith(start):
            return provider
    if model.startswith("claude"):
        return "anthropic"
    if model.startswith("gemini"):
        return "google_genai"
    raise InputError(f"model={model!r} does not say whose it is; write PROVIDER:MODEL, such as openai:{model}")
