"""Any OpenAI-compatible ``/v1/embeddings``, priced: every request is reserved on a ledger before it is sent.

    embedder = EndpointEmbedder("text-embedding-3-small", ledger=ledger)  # OPENAI_API_KEY, list price
    embedder = EndpointEmbedder("bge-m3", "http://127.0.0.1:8000/v1", price=0.0)  # a server of your own

``HABILIS_NO_MODEL_REQUESTS=1`` forbids requests that leave this machine.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from habilis.core.budget import Cost, Ledger, Reservation
from habilis.core.errors import HabilisError, InputError, ModelError
from habilis.core.extras import need
from habilis.core.prices import PriceList, price_of
from habilis.core.standing import Standing, Turns
from habilis.core.tracing import Span, span
from habilis.memory.embedding._files import whole

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["PRICE_VARIABLE", "EndpointEmbedder"]

PRICE_VARIABLE = "HABILIS_EMBEDDING_PRICE"
ASSUMED_PRICE = 0.5  # USD per million tokens, where a price that no list knows is to be assumed: dear on purpose
_NO_REQUESTS = "HABILIS_NO_MODEL_REQUESTS"
_OPENAI = "https://api.openai.com/v1"
_NO_KEY = "none-needed"  # the client insists on one
_LONGEST_WAIT = 20.0  # seconds; a server that asks for more is as good as down while a person watches
_SPEC = re.compile(r"endpoint:(?P<model>.+?)(?:@(?P<url>https?://[^#]+))?(?:#(?P<dim>[1-9]\d*))?")


class EndpointEmbedder:
    """Texts to unit vectors through a server.

    ``model``, ``base_url``: default ``OPENAI_BASE_URL``, else OpenAI's. ``api_key``: default ``OPENAI_API_KEY``; a
    server on this machine needs none and is sent none that was not given here. ``dim``: asked of the server
    (``dimensions``) and checked; None takes what it gives, found out with one request now. ``price``: USD per million
    tokens, or a `PriceList`; default ``HABILIS_EMBEDDING_PRICE``, else the list that ``HABILIS_PRICES`` names, else the
    package ``genai-prices``. ``ledger``: what requests are paid from, or a function that gives it; None only counts, in
    an account of its own.

    ``max_texts`` and ``max_chars`` of one request (OpenAI takes 2,048 and some 300,000 tokens; a server of one's own
    rarely gains beyond 64). ``text_chars``: of one text, what lies beyond is not seen; 8,000 fit 8,192 tokens in any
    language. ``timeout``: seconds of one request. ``retries`` after 429, 5xx and lost connections, ``backoff`` seconds
    before the first, doubled for each further one, or what the server asks for (``Retry-After``), 20 s at most.

    Where the server counts more tokens than the texts can have, that is charged once, and as much and again as much is
    reserved from then on for each text; one that is over that too is not asked any more. Requests wait for each other
    until one answer has kept to what was reserved.

    The fingerprint is ``endpoint:MODEL@URL``, with ``#DIM`` where one was asked for, and opens it again
    (`open_embedder`). It cannot tell when the server changes its weights under the same name. A text without a letter
    is not sent: it gets a fixed direction. Safe under threads. Raises `InputError` (no price, no address), `ModelError`
    (no key; whatever goes wrong with a request), `BudgetExceeded` before a request that the ledger cannot pay.
    """

    def __init__(
        self,
        model: str,
        base_url: str | None = None,
        *,
        api_key: str | None = None,
        dim: int | None = None,
        price: float | PriceList | None = None,
        ledger: Ledger | Callable[[], Ledger] | None = None,
        max_texts: int = 64,
        max_chars: int = 100_000,
        text_chars: int = 8_000,
        timeout: float = 60.0,
        retries: int = 2,
        backoff: float = 0.5,
    ) -> None:
        url = (base_url or os.environ.get("OPENAI_BASE_URL") or _OPENAI).rstrip("/")
        host, local = _host(url)
        if not model.strip():
            raise InputError("the name of the embedding model is empty; write endpoint:MODEL or endpoint:MODEL@URL")
        for name, value in (
            ("max_texts", max_texts),
            ("max_chars", max_chars),
            ("text_chars", text_chars),
            ("dim", dim),
        ):
            if value is not None and value < 1:
                raise InputError(f"{name}={value}: it must be at least 1")
        if timeout <= 0 or retries < 0 or backoff < 0:
            raise InputError(f"timeout={timeout}, retries={retries}, backoff={backoff}: above 0, and at least 0")
        key = api_key or (_NO_KEY if local else os.environ.get("OPENAI_API_KEY"))
        if key is None:
            raise ModelError(f"no key for the embeddings of {host}: set OPENAI_API_KEY, or pass api_key=")
        self.price = _price(model, url, host, price)
        self.fingerprint = f"endpoint:{model}@{url}" + (f"#{dim}" if dim else "")
        self.name = f"{model} at {host}"
        self._model, self._url, self._key, self._local = model, url, key, local
        self._asked_dim = dim
        self.dim = dim or 0  # of the vectors; 0 only until the first came
        own = Ledger()
        self._ledger = ledger if callable(ledger) else (lambda: ledger if ledger is not None else own)
        self._texts, self._chars, self._text_chars = max_texts, max_chars, text_chars
        self._timeout, self._retries, self._backoff = timeout, retries, backoff
        self.standing = Standing(f"embeddings:{self.fingerprint}", [self.price])
        self.turns = Turns()
        self._client: Any = None
        self._lock = threading.Lock()
        if dim is None:
            self.embed(["How long is a vector?"])

    @property
    def spent(self) -> Cost:
        """What the account has spent that requests are paid from."""
        return self._ledger().spent

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(n, dim) float32 unit rows, in the order of the texts. Equal texts are sent once."""
        import numpy as np

        wanted = [whole(text[: self._text_chars]) for text in texts]
        sent = list(dict.fromkeys(text for text in wanted if text.strip()))
        rows: dict[str, NDArray[np.float32]] = {}
        for batch in _batches(sent, self._texts, self._chars):
            rows.update(zip(batch, self._request(batch), strict=True))
        if not wanted:
            return np.empty((0, self.dim), dtype=np.float32)
        blank = np.zeros(self.dim, dtype=np.float32)
        blank[0] = 1.0
        return np.stack([rows.get(text, blank) for text in wanted])

    def most(self, texts: Sequence[str]) -> Cost:
        """The most that one request with these texts may cost."""
        # A byte-level tokenizer never makes more tokens than there are bytes; the ends of a text take a few more.
        more = int(self.standing.learned.get("each", 0))
        tokens = sum(len(whole(text).encode()) + 8 + more for text in texts)
        return Cost(usd=tokens * self.price / 1e6, tokens=tokens, calls=1)

    def _request(self, texts: list[str]) -> NDArray[np.float32]:
        if not self._local and os.environ.get(_NO_REQUESTS, "") not in ("", "0"):
            raise ModelError(
                f"a request to {self.name} was stopped: {_NO_REQUESTS} is set, and only models on this machine may be "
                "asked; unset it, or use a server on 127.0.0.1"
            )
        told: dict[str, str | int] = {"gen_ai.operation.name": "embeddings", "gen_ai.request.model": self._model}
        told["server.address"] = urlsplit(self._url).hostname or ""
        with span(f"embeddings {self._model}", told, "client") as here:
            for attempt in range(self._retries + 1):
                with self.turns.turn():
                    answer = self._sent(texts, attempt, here)
                if not isinstance(answer, float):
                    return answer
                time.sleep(answer)
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _sent(self, texts: list[str], attempt: int, here: Span) -> NDArray[np.float32] | float:
        """The vectors that one request gave, or the seconds to wait before the next."""
        self._refuse_if_overrun()
        client, most = self._opened(), self.most(texts)
        asked = {"dimensions": self._asked_dim} if self._asked_dim else {}
        with self._ledger().reserve(most, what=f"embeddings of {self.name}") as held:
            try:
                # Not every server knows base64, which the client would ask for.
                reply = client.embeddings.create(model=self._model, input=texts, encoding_format="float", **asked)
                actual = self._actual(reply, most)
                held.commit(actual)
            except HabilisError:
                raise
            except Exception as error:
                return self._after_failure(error, held, attempt)
            except BaseException:  # Ctrl-C: the server may go on working for us
                held.commit()
                raise
        here.set({"gen_ai.usage.input_tokens": actual.tokens})
        here.cost(actual)
        self._note(texts, most, actual)
        return self._vectors(reply, len(texts))

    def _note(self, texts: list[str], most: Cost, actual: Cost) -> None:
        """What the server's count says of its next one."""
        over = actual.tokens - most.tokens
        self.turns.side_by_side = over <= 0
        if over > 0:
            each = int(self.standing.learned.get("each", 0)) + 2 * -(-over // len(texts))
            self.standing.overran(most, actual, {"each": each})

    def _refuse_if_overrun(self) -> None:
        if self.standing.refused:
            raise ModelError(
                f"{self.name} is not asked any more: its server has counted more tokens than the texts can have "
                f"{self.standing.overruns} times. Give it another price, or take it at its word again: "
                "EndpointEmbedder.standing.forgive()"
            )

    def _opened(self) -> Any:
        with self._lock:
            if self._client is None:
                openai = need("openai", "an embedder behind an address", install="openai")
                self._client = openai.OpenAI(
                    api_key=self._key, base_url=self._url, max_retries=0, timeout=self._timeout
                )
            return self._client

    def _actual(self, reply: Any, most: Cost) -> Cost:
        tokens = getattr(getattr(reply, "usage", None), "prompt_tokens", None)
        if not isinstance(tokens, int) or isinstance(tokens, bool) or tokens <= 0:
            return most
        return Cost(usd=tokens * self.price / 1e6, tokens=tokens, calls=1)

    def _vectors(self, reply: Any, count: int) -> NDArray[np.float32]:
        """The rows of a reply, in the order of what was asked. Raises `ModelError` for what does not fit."""
        import numpy as np

        try:
            by_index = {int(item.index): item.embedding for item in reply.data}
            given = len(reply.data)
        except (TypeError, AttributeError, ValueError):
            raise ModelError(f"{self.name} gave a reply that is no list of embeddings; see what serves there") from None
        if given != count:
            raise ModelError(f"{self.name} gave {given} vectors for {count} texts; see what serves there")
        if set(by_index) != set(range(count)):
            raise ModelError(f"{self.name} gave vectors that are not numbered 0 to {count - 1}; see what serves there")
        try:
            rows = [np.asarray(by_index[i], dtype=np.float64) for i in range(count)]
        except (TypeError, ValueError):
            raise ModelError(f"{self.name} gave a vector that is no list of numbers; see what serves there") from None
        with self._lock:
            if not self.dim and rows[0].ndim == 1:
                self.dim = len(rows[0])
            wanted = self.dim
        for row in rows:
            if row.ndim != 1 or not len(row) or len(row) != wanted:
                found = len(row) if row.ndim == 1 else f"shape {row.shape}"
                raise ModelError(
                    f"{self.name} gave a vector of {found} numbers, expected {wanted or 'some'}; vectors of two models "
                    "do not mix. Serve the same model again, or make a new home"
                )
        block = np.stack(rows)
        with np.errstate(over="ignore"):
            norms = np.linalg.norm(block, axis=1, keepdims=True)
        if not np.isfinite(norms).all() or not norms.all():
            raise ModelError(
                f"{self.name} gave a vector of numbers that are not finite, or all 0; see what serves there"
            )
        unit: NDArray[np.float32] = (block / norms).astype(np.float32)
        return unit

    def _after_failure(self, error: Exception, held: Reservation, attempt: int) -> float:
        """Settle the account of a failed request; the seconds to wait before the next, or `ModelError`."""
        status = getattr(error, "status_code", None)
        named = {base.__name__ for base in type(error).__mro__}
        timed_out = "APITimeoutError" in named or isinstance(error, TimeoutError)
        connection = "APIConnectionError" in named and not timed_out
        # Where the server may have worked for us in vain, all that was reserved counts.
        held.commit(Cost(calls=1) if status is not None or connection else None)
        said = _scrubbed(str(error), self._key) or type(error).__name__
        if timed_out:
            raise ModelError(
                f"{self.name} did not answer within {self._timeout:g} s; allow more time, or send fewer texts at once"
            ) from None
        if attempt < self._retries and (connection or (status is not None and (status == 429 or status >= 500))):
            return min(_LONGEST_WAIT, max(self._backoff * float(2**attempt), _retry_after(error)))
        tried = f" after {attempt + 1} requests" if attempt else ""
        if status is not None and status >= 400:
            raise ModelError(f"{self.name} refused{tried} (HTTP {status}): {said}{_advice(status)}") from None
        if connection:
            raise ModelError(
                f"{self.name} cannot be reached{tried}: {said}; check the address and the network"
            ) from None
        raise ModelError(f"{self.name} gave a reply that cannot be read: {type(error).__name__}: {said}") from None


class Spec(NamedTuple):
    """What a text such as ``endpoint:MODEL@URL#DIM`` names; the last two may be left out."""

    model: str
    url: str | None
    dim: int | None

    @classmethod
    def parse(cls, text: str) -> Spec:
        found = _SPEC.fullmatch(text)
        if found is None:
            raise InputError(f"{text!r} names no embedder; write endpoint:MODEL or endpoint:MODEL@http://HOST:PORT/v1")
        return cls(found["model"], found["url"], int(found["dim"]) if found["dim"] else None)


def _host(url: str) -> tuple[str, bool]:
    """The host and port, and whether it is this machine."""
    try:
        split = urlsplit(url)
        port = split.port
    except ValueError:
        split, port = urlsplit(""), None
    host = (split.hostname or "").lower()
    if split.scheme not in ("http", "https") or not host:
        raise InputError(f"{url!r} is no address of a server of embeddings; write http://HOST:PORT/v1")
    if split.username or split.password or split.query or split.fragment:
        raise InputError(
            "the address of the server of embeddings holds more than scheme, host, port and path; it is kept in the "
            "home, so give a key as OPENAI_API_KEY"
        )
    local = host in ("localhost", "::1") or re.fullmatch(r"127(\.\d{1,3}){3}", host) is not None
    return f"{host}:{port}" if port else host, local


def _price(model: str, url: str, host: str, given: float | PriceList | None) -> float:
    if given is not None and not isinstance(given, PriceList):
        return price_of(given, "price=")
    if os.environ.get(PRICE_VARIABLE):
        try:
            told = float(os.environ[PRICE_VARIABLE])
        except ValueError:
            raise InputError(f"{PRICE_VARIABLE}={os.environ[PRICE_VARIABLE]!r} is no number of USD") from None
        return price_of(told, PRICE_VARIABLE)
    own = given if given is not None else PriceList.from_environment()
    known = own.embedding(f"{model}@{url}", model)
    if known is not None:
        return known
    from genai_prices import Usage, calc_price

    try:
        return float(calc_price(Usage(input_tokens=1_000_000), model, provider_api_url=url).input_price)
    except LookupError:
        if own.assume:
            return ASSUMED_PRICE
    raise InputError(
        f"the price of {model!r} at {host} is not known, and none is assumed unasked; set {PRICE_VARIABLE} (or pass "
        "price=) in USD per million tokens, 0 where it is free, or name a list of your own: --prices FILE, "
        "HABILIS_PRICES"
    )


def _batches(texts: Sequence[str], most: int, chars: int) -> Iterator[list[str]]:
    batch: list[str] = []
    size = 0
    for text in texts:
        if batch and (len(batch) >= most or size + len(text) > chars):
            yield batch
            batch, size = [], 0
        batch.append(text)
        size += len(text)
    if batch:
        yield batch


def _scrubbed(text: str, key: str) -> str:
    if key != _NO_KEY and len(key) >= 4:
        text = text.replace(key, "[key]")
    return re.sub(r"\b(sk|pk|gsk|xai|key)-[\w*.-]{4,}", "[key]", text)[:600]


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
        return "; check the model's name and the address, which usually ends in /v1"
    if status in (400, 413):
        return "; send fewer or shorter texts at once"
    if status == 429:
        return "; wait, or check the account's limits"
    return ""
