"""A chat model with its prices: requests are reserved on the ledger, and charged as the server counts them."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Coroutine, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from habilis.agent.chat._errors import advice, is_a, retry_after, scrub, status_of
from habilis.agent.chat._images import Content, pictures_in, sendable, text_of
from habilis.agent.chat.prices import Prices
from habilis.core import ChatModel, Cost, HabilisError, InputError, Ledger, ModelError, Span, Standing, Turns, span

__all__ = ["Messages", "PricedChatModel", "as_priced"]

Messages = Sequence[tuple[str, Content]]
"""(role, content) pairs; roles are "system", "user" and "assistant", content is a text, or texts and pictures."""

_NO_REQUESTS = "HABILIS_NO_MODEL_REQUESTS"
_LONGEST_WAIT = 20.0  # seconds; a server that asks for more is as good as down while a person watches


@dataclass(frozen=True)
class PricedChatModel:
    """A chat model with its prices. ``model`` is any LangChain chat model.

    ``max_output_tokens`` per reply (what is reserved; `open_chat_model` also tells the server); ``max_prompt_tokens``:
    longer prompts are refused before they are sent, and list prices rise beyond it; ``timeout``: seconds for one
    request, start to end; ``retries`` after 429, 5xx and lost connections, ``backoff`` seconds before the first,
    doubled for each further one; ``local``: requests stay on this machine. ``images``: it takes pictures; each is
    reserved as ``image_tokens`` (a picture of 512 pixels counts as 85 to 2,833 by the tables that providers publish).

    ``standing``, ``turns``: whether the server counts more tokens than can have been read and written, as where it adds
    to a prompt or thinks without counting that in. Requests wait for each other until one answer has kept to what was
    reserved, then go side by side. One that did not is charged, and from then on as much as it was over, and as much
    again, is reserved besides; a server that is over that too is not asked any more (`habilis.core.standing`).
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
    images: bool = False
    image_tokens: int = 3_000
    secrets: tuple[str, ...] = field(default=(), repr=False)
    standing: Standing = field(default_factory=Standing, repr=False, compare=False)
    turns: Turns = field(default_factory=Turns, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.standing.payee:
            self.standing.payee = f"model:{self.name}"
            self.standing.declared = [self.prices.input, self.prices.output, self.max_output_tokens]
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

        Raises `BudgetExceeded` before a request that the ledger cannot afford, `ModelError` when there is no reply, or
        the server is refused for what it counts.
        """
        with self._span() as here:
            return await asyncio.wrap_future(_submit(self._ask(messages, ledger, here)))

    def ask_now(self, messages: Messages, ledger: Ledger) -> str:
        """`ask` for callers that cannot await, inside a running event loop or not."""
        with self._span() as here:
            future = _submit(self._ask(messages, ledger, here))
            try:
                return future.result()
            except BaseException:
                future.cancel()
                raise

    def most(self, messages: Messages) -> Cost:
        """The most that one request with these messages may cost."""
        # A byte-level tokenizer never makes more tokens than there are bytes; roles and separators take a few more.
        more_in, more_out = self._learned()
        texts = sum(len(text_of(content).encode("utf-8", "replace")) + 8 for _, content in messages)
        prompt = 16 + texts + self._shown(messages) + more_in
        written = self.max_output_tokens + more_out
        return Cost(usd=self.prices.usd(prompt, written), tokens=prompt + written, calls=1)

    def _shown(self, messages: Messages) -> int:
        """The tokens that the pictures may count as."""
        return self.image_tokens * sum(pictures_in(content) for _, content in messages)

    def _learned(self) -> tuple[int, int]:
        """Tokens that this server counts beyond those that can have been read, and written."""
        learned = self.standing.learned
        return int(learned.get("read", 0)), int(learned.get("written", 0))

    def _span(self) -> AbstractContextManager[Span]:
        told: dict[str, str | int] = {
            "gen_ai.operation.name": "chat",
            "gen_ai.request.model": self.name.partition(":")[2] or self.name,
            "gen_ai.request.max_tokens": self.max_output_tokens,
        }
        if ":" in self.name:
            told["gen_ai.provider.name"] = self.name.partition(":")[0]
        return span(f"chat {told['gen_ai.request.model']}", told, "client")

    async def _ask(self, messages: Messages, ledger: Ledger, here: Span) -> str:
        self._refuse_if_forbidden()
        sent = [(role, sendable(content)) for role, content in messages]
        most, shown = self.most(messages), self._shown(messages)
        # The bound on cost counts bytes; real text has about four to a token, and three is still on the safe side.
        prompt = (most.tokens - self.max_output_tokens - sum(self._learned()) - shown) // 3 + shown
        if prompt > self.max_prompt_tokens:
            raise InputError(
                f"the prompt has about {prompt} tokens, max_prompt_tokens is {self.max_prompt_tokens}; "
                "give the task fewer or shorter documents"
            )
        spent = Cost()
        for attempt in range(self.retries + 1):
            async with self.turns.turn():
                self._refuse_if_overrun()
                most = self.most(messages)  # another request may have taught us more
                with ledger.reserve(most, what=f"a request to {self.name}") as held:
                    try:
                        reply = await asyncio.wait_for(self.model.ainvoke(sent), self.timeout)
                    except HabilisError:
                        raise
                    except asyncio.CancelledError:
                        held.commit()
                        here.cost(spent + most)
                        raise
                    except Exception as error:
                        charged = self._charged(error, most)
                        held.commit(charged)
                        spent += charged
                        here.cost(spent)
                        wait = self._after_failure(error, attempt)
                    else:
                        actual = self._actual(reply, most, here)
                        held.commit(actual)
                        here.cost(spent + actual)
                        self._note(reply, most, actual)
                        return _text(reply)
            await asyncio.sleep(wait)
        raise AssertionError("unreachable: the last attempt returns or raises")

    @property
    def refusal(self) -> str:
        """Why it is not asked any more, and what to do; empty where it is."""
        if not self.standing.refused:
            return ""
        return (
            f"{self.name} is not asked any more: its server has counted more tokens than can have been read and "
            f"written {self.standing.overruns} times. Raise max_output_tokens, give it other prices, or take it at "
            f"its word again: habilis tools forgive {self.standing.payee}, or PricedChatModel.standing.forgive()"
        )

    def _refuse_if_overrun(self) -> None:
        if refusal := self.refusal:
            raise ModelError(refusal)

    def _refuse_if_forbidden(self) -> None:
        if not self.local and os.environ.get(_NO_REQUESTS, "") not in ("", "0"):
            raise ModelError(
                f"a request to {self.name} was stopped: {_NO_REQUESTS} is set, and only models on this machine "
                "may be asked; unset it, or use a server on 127.0.0.1"
            )

    def _actual(self, reply: Any, most: Cost, here: Span) -> Cost:
        counted = _counted(reply)
        if counted is None:
            return most
        read, written = counted
        here.set({"gen_ai.usage.input_tokens": read, "gen_ai.usage.output_tokens": written})
        return Cost(usd=self.prices.usd(read, written), tokens=read + written, calls=1)

    def _note(self, reply: Any, most: Cost, actual: Cost) -> None:
        """What the server's count says of its next one."""
        counted = _counted(reply)
        if counted is None or not actual.less(most).nonzero():
            self.turns.side_by_side = True
            return
        self.turns.side_by_side = False
        more_in, more_out = self._learned()
        bound = self.max_output_tokens + more_out
        over_in, over_out = counted[0] - (most.tokens - bound), counted[1] - bound
        learned = {"read": more_in + 2 * max(0, over_in), "written": more_out + 2 * max(0, over_out)}
        self.standing.overran(most, actual, learned)

    def _charged(self, error: Exception, most: Cost) -> Cost:
        """What a request is charged that failed: nothing but the call where the server has refused it."""
        connection = isinstance(error, ConnectionError) or is_a(error, "APIConnectionError", "TransportError")
        refused = status_of(error) is not None or (connection and not _timed_out(error))
        return Cost(calls=1) if refused else most

    def _after_failure(self, error: Exception, attempt: int) -> float:
        """The seconds to wait before the next request after a failed one, or `ModelError`."""
        status, timed_out = status_of(error), _timed_out(error)
        connection = isinstance(error, ConnectionError) or is_a(error, "APIConnectionError", "TransportError")
        said = scrub(str(error), self.secrets) or type(error).__name__
        if timed_out:
            raise ModelError(f"{self.name} did not answer within {self.timeout:g} s; allow more time, or ask again")
        transient = status == 429 or (status is not None and status >= 500) or (connection and status is None)
        if transient and attempt < self.retries:
            return min(_LONGEST_WAIT, max(self.backoff * float(2**attempt), retry_after(error)))
        tried = f" after {attempt + 1} requests" if attempt else ""
        if status is not None:
            raise ModelError(f"{self.name} refused{tried} (HTTP {status}): {said}{advice(status)}") from None
        if connection:
            raise ModelError(f"{self.name} cannot be reached{tried}: {said}; check the address and the network")
        raise ModelError(
            f"{self.name} gave a reply that cannot be read ({type(error).__name__}: {said}); see that its server "
            "answers as OpenAI's chat completions do"
        ) from None


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


def _timed_out(error: Exception) -> bool:
    return isinstance(error, TimeoutError) or is_a(error, "APITimeoutError", "TimeoutException")


def _counted(reply: Any) -> tuple[int, int] | None:
    """The tokens that the server counted as read and written, if it did."""
    usage = getattr(reply, "usage_metadata", None) or {}
    read, written = usage.get("input_tokens"), usage.get("output_tokens")
    if not (isinstance(read, int) and isinstance(written, int) and min(read, written) >= 0 and read + written):
        return None
    return read, written


def _text(reply: Any) -> str:
    content = getattr(reply, "content", reply)
    if isinstance(content, str):
        return content
    parts = [p if isinstance(p, str) else p.get("text", "") for p in content or () if isinstance(p, str | dict)]
    return "".join(p for p in parts if isinstance(p, str))


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
