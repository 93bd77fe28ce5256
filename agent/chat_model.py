"""Chat models of any provider, priced: every request is reserved on the ledger before it is sent.

    model = open_chat_model("openai:gpt-4o-mini")
    model = open_chat_model("qwen3", base_url="http://127.0.0.1:8000/v1", prices=Prices(0, 0))
    text = await model.ask([("system", "Be brief."), ("user", "Hello")], ledger)

Set ``HABILIS_NO_MODEL_REQUESTS=1`` to forbid requests that leave this machine.
"""

from __future__ import annotations

import asyncio
import os
import re
import threading
from collections.abc import Coroutine, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

from habilis.core import (
    ChatModel,
    Cost,
    HabilisError,
    InputError,
    Ledger,
    MissingExtraError,
    ModelError,
    Reservation,
)

__all__ = ["ASSUMED", "Messages", "PricedChatModel", "Prices", "as_priced", "is_loopback", "open_chat_model"]

Messages = Sequence[tuple[str, str]]
"""(role, text) pairs; roles are "system", "user" and "assistant"."""

_NO_REQUESTS = "HABILIS_NO_MODEL_REQUESTS"
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
_NO_KEY = "none-needed"  # clients insist on one
_LONGEST_WAIT = 20.0  # seconds; a server that asks for more is as good as down while a person watches


@dataclass(frozen=True, slots=True)
class Prices:
    """What a model's tokens cost, in USD per million. ``source``: "user", "list" (genai-prices) or "assumed".

    Cached and reasoning tokens are charged as ordinary ones, so the account errs on the dear side.
    """

    input: float
    output: float
    source: str = "user"

    def __post_init__(self) -> None:
        Cost(usd=self.input)
        Cost(usd=self.output)

    def usd(self, tokens_in: int, tokens_out: int) -> float:
        return (tokens_in * self.input + tokens_out * self.output) / 1e6


ASSUMED = Prices(15.0, 75.0, source="assumed")
"""What ``prices="assume"`` takes: dear on purpose, so that a limit in USD ends a run early rather than late."""


@dataclass(frozen=True)
class PricedChatModel:
    """A chat model with its prices. ``model`` is any LangChain chat model.

    ``max_output_tokens`` per reply (what is reserved; `open_chat_model` also tells the server); ``max_prompt_tokens``:
    longer prompts are refused before they are sent, and list prices rise beyond it; ``timeout``: seconds for one
    request, start to end; ``retries`` after 429, 5xx and lost connections, ``backoff`` seconds before the first,
    doubled for each further one; ``local``: requests stay on this machine.
    """

    model: ChatModel
    prices: Prices
    name: str = "chat"
    max_output_tokens: int = 1500
    max_prompt_tokens: int = 100_000
    timeout: float = 60.0
    retries: int = 2
    backoff: float = 0.5
    local: bool = False
    secrets: tuple[str, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        if self.max_output_tokens < 1 or self.timeout <= 0 or self.retries < 0:
            raise InputError(
                f"max_output_tokens={self.max_output_tokens}, timeout={self.timeout}, retries={self.retries}: "
                "the first two must be above 0, the last at least 0"
            )

    async def ask(self, messages: Messages, ledger: Ledger) -> str:
        """Send the messages and return the reply's text.

        Reserves the most that the request may cost, and commits what the server counted; where it counts nothing, or
        where it may have worked for us in vain (time out, unreadable reply), the reservation is committed whole.
        Every request counts as one call, retries too. Works from any event loop.

        Raises `BudgetExceeded` before a request that the ledger cannot afford, `ModelError` when there is no reply.
        """
        return await asyncio.wrap_future(_submit(self._ask(messages, ledger)))

    def ask_now(self, messages: Messages, ledger: Ledger) -> str:
        """`ask` for callers that cannot await, inside a running event loop or not."""
        future = _submit(self._ask(messages, ledger))
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def most(self, messages: Messages) -> Cost:
        """The most that one request with these messages may cost."""
        # A byte-level tokenizer never makes more tokens than there are bytes; roles and separators take a few more.
        prompt = 16 + sum(len(text.encode("utf-8", "replace")) + 8 for _, text in messages)
        return Cost(
            usd=self.prices.usd(prompt, self.max_output_tokens), tokens=prompt + self.max_output_tokens, calls=1
        )

    async def _ask(self, messages: Messages, ledger: Ledger) -> str:
        self._refuse_if_forbidden()
        # Observations and prints may hold half characters, which no server takes.
        sent = [(role, text.encode("utf-8", "replace").decode()) for role, text in messages]
        most = self.most(sent)
        # The bound on cost counts bytes; real text has about four to a token, and three is still on the safe side.
        prompt = (most.tokens - self.max_output_tokens) // 3
        if prompt > self.max_prompt_tokens:
            raise InputError(
                f"the prompt has about {prompt} tokens, max_prompt_tokens is {self.max_prompt_tokens}; "
                "give the task fewer or shorter documents"
            )
        for attempt in range(self.retries + 1):
            with ledger.reserve(most, what=f"a request to {self.name}") as held:
                try:
                    reply = await asyncio.wait_for(self.model.ainvoke(sent), self.timeout)
                except HabilisError:
                    raise
                except asyncio.CancelledError:
                    held.commit()
                    raise
                except Exception as error:
                    wait = self._after_failure(error, held, attempt)
                else:
                    held.commit(self._actual(reply, most))
                    return _text(reply)
            await asyncio.sleep(wait)
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _refuse_if_forbidden(self) -> None:
        if not self.local and os.environ.get(_NO_REQUESTS, "") not in ("", "0"):
            raise ModelError(
                f"a request to {self.name} was stopped: {_NO_REQUESTS} is set, and only models on this machine "
                "may be asked; unset it, or use a server on 127.0.0.1"
            )

    def _actual(self, reply: Any, most: Cost) -> Cost:
        usage = getattr(reply, "usage_metadata", None) or {}
        read, written = usage.get("input_tokens"), usage.get("output_tokens")
        if not (isinstance(read, int) and isinstance(written, int) and min(read, written) >= 0 and read + written):
            return most
        return Cost(usd=self.prices.usd(read, written), tokens=read + written, calls=1)

    def _after_failure(self, error: Exception, held: Reservation, attempt: int) -> float:
        """Settle the account of a failed request; the seconds to wait before the next, or `ModelError`."""
        status = _status(error)
        timed_out = isinstance(error, TimeoutError) or _is_a(error, "APITimeoutError", "TimeoutException")
        connection = isinstance(error, ConnectionError) or _is_a(error, "APIConnectionError", "TransportError")
        refused = status is not None or (connection and not timed_out)
        held.commit(Cost(calls=1) if refused else None)
        said = _scrub(str(error), self.secrets) or type(error).__name__
        if timed_out:
            raise ModelError(f"{self.name} did not answer within {self.timeout:g} s; allow more time, or ask again")
        transient = status == 429 or (status is not None and status >= 500) or (connection and status is None)
        if transient and attempt < self.retries:
            return min(_LONGEST_WAIT, max(self.backoff * float(2**attempt), _retry_after(error)))
        tried = f" after {attempt + 1} requests" if attempt else ""
        if status is not None:
            raise ModelError(f"{self.name} refused{tried} (HTTP {status}): {said}{_advice(status)}") from None
        if connection:
            raise ModelError(f"{self.name} cannot be reached{tried}: {said}; check the address and the network")
        raise ModelError(f"{self.name} gave a reply that cannot be read: {type(error).__name__}: {said}") from None


def open_chat_model(
    model: str,
    *,
    base_url: str | None = None,
    api_key: str | None = None,
    prices: Prices | Literal["assume"] | None = None,
    timeout: float = 60.0,
    max_output_tokens: int = 1500,
) -> PricedChatModel:
    """Open a chat model: ``provider:model`` of any provider that LangChain knows, or, with ``base_url``, the name of a
    model behind any OpenAI-compatible server.

    ``prices`` default to the list that ships with the package ``genai-prices`` (works offline). Where it does not know
    the model, and for servers on this machine, say what it costs; ``"assume"`` takes `ASSUMED`. The key is read from
    the provider's usual variable; a server on this machine needs none, and is sent none that it was not given here.

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
        priced = prices if prices is not None else (None if local else _listed(bare, None, base_url))
    else:
        provider, bare = (provider, bare) if bare else (_guess_provider(model), model)
        priced = prices if prices is not None else _listed(bare, provider, None)
        variable = _KEY_VARIABLES.get(provider)
        api_key = api_key or (os.environ.get(variable) if variable else None)
    if api_key is None and provider in _KEY_VARIABLES:
        raise ModelError(f"no key for {provider}: set {_KEY_VARIABLES[provider]}, or pass api_key=")
    client = _client(provider, bare, base_url, api_key, timeout, max_output_tokens)
    if priced is None:
        where = "a server on this machine" if local else f"{provider}:{bare}" if base_url is None else base_url
        raise InputError(
            f"the price of {bare!r} at {where} is not known, and none is assumed unasked; "
            "give --price-in and --price-out in USD per million tokens (0 where it is free), "
            f'or prices="assume" to count with {ASSUMED.input:g} and {ASSUMED.output:g}'
        )
    return PricedChatModel(
        model=client,
        prices=ASSUMED if priced == "assume" else priced,
        name=f"{provider}:{bare}" if base_url is None else bare,
        max_output_tokens=max_output_tokens,
        timeout=timeout,
        local=local,
        secrets=_secrets(api_key),
    )


def as_priced(model: PricedChatModel | ChatModel) -> PricedChatModel:
    """The model itself if it has prices, or what its own ``priced()`` gives. Raises `InputError` for one without."""
    if isinstance(model, PricedChatModel):
        return model
    own = getattr(model, "priced", None)
    if callable(own):
        priced = own()
        if isinstance(priced, PricedChatModel):
            return priced
    raise InputError(
        f"{type(model).__name__} has no prices; wrap it: PricedChatModel(model, Prices(input=…, output=…)), "
        "in USD per million tokens"
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
        said = _scrub(" ".join(str(error).split()), _secrets(api_key))
        raise InputError(f"cannot open {provider}:{model}: {said}") from None


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


def _listed(model: str, provider: str | None, base_url: str | None) -> Prices | None:
    from genai_prices import Usage, calc_price

    usage = Usage(input_tokens=1000, output_tokens=1000)
    try:
        if base_url is not None:
            found = calc_price(usage, model, provider_api_url=base_url)
        else:
            found = calc_price(usage, model, provider_id=_PRICE_LIST_NAMES.get(provider or "", provider))
    except LookupError:
        return None
    return Prices(float(found.input_price) * 1000, float(found.output_price) * 1000, source="list")


def _text(reply: Any) -> str:
    content = getattr(reply, "content", reply)
    if isinstance(content, str):
        return content
    parts = [p if isinstance(p, str) else p.get("text", "") for p in content or () if isinstance(p, str | dict)]
    return "".join(p for p in parts if isinstance(p, str))


def _scrub(text: str, secrets: Sequence[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, "[key]")
    return re.sub(r"\b(sk|pk|gsk|xai|key)-[\w*.-]{4,}", "[key]", text)[:600]


def _is_a(error: BaseException, *names: str) -> bool:
    # By name: the providers' packages are not imported here, and each has its own tree.
    return any(base.__name__ in names for base in type(error).__mro__)


def _status(error: Exception) -> int | None:
    for holder in (error, getattr(error, "response", None)):
        status = getattr(holder, "status_code", None)
        if isinstance(status, int) and status >= 400:
            return status
    return None


def _retry_after(error: Exception) -> float:
    headers = getattr(getattr(error, "response", None), "headers", None) or {}
    try:
        return max(0.0, float(headers.get("retry-after", 0)))
    except (TypeError, ValueError):
        return 0.0


def _advice(status: int) -> str:
    if status in (401, 403):
        return "; check the key and what it may use"
    if status == 404:
        return "; check the model's name and the address"
    if status == 429:
        return "; wait, or check the account's limits"
    return ""


_loop: asyncio.AbstractEventLoop | None = None
_loop_owner = 0
_loop_lock = threading.Lock()


def _submit(work: Coroutine[Any, Any, str]) -> Future[str]:
    """Run on the one event loop that requests live on.

    HTTP clients keep connections that belong to a loop; callers come and go with loops of their own.
    """
    global _loop, _loop_owner
    with _loop_lock:
        if _loop is None or _loop_owner != os.getpid():
            _loop, _loop_owner = asyncio.new_event_loop(), os.getpid()
            threading.Thread(target=_loop.run_forever, name="habilis-model-requests", daemon=True).start()
        loop = _loop
    return asyncio.run_coroutine_threadsafe(work, loop)
