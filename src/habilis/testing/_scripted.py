"""A chat model that says what it is told to. Imports langchain-core; reach it through `habilis.testing.chat`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import Runnable
from pydantic import PrivateAttr

from habilis.agent.chat.model import PricedChatModel, Prices
from habilis.core import ModelError

Reply = str | BaseException | Callable[[list[tuple[str, str]]], str]


class ScriptedChatModel(BaseChatModel):
    """Replies in order: each a text, an exception to raise, or a function of the messages ((role, text) pairs).

    One function instead of a list answers every request. When the list is used up, asking again is an error, so that
    a test notices a request too many. ``calls`` holds the messages of every request; usage counts four characters to
    a token. ``bind_tools`` is accepted and ignored.
    """

    _replies: Sequence[Reply] | Callable[[list[tuple[str, str]]], str] = PrivateAttr()
    _calls: list[list[tuple[str, str]]] = PrivateAttr(default_factory=list)

    def __init__(self, replies: Sequence[Reply] | Callable[[list[tuple[str, str]]], str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._replies = replies if callable(replies) else list(replies)

    @property
    def calls(self) -> list[list[tuple[str, str]]]:
        return self._calls

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def priced(self, prices: Prices | None = None, **settings: Any) -> PricedChatModel:
        """With prices (default: free), for whatever wants a `PricedChatModel`; ``settings`` are its fields."""
        given: dict[str, Any] = {"name": "scripted", "local": True} | settings
        return PricedChatModel(self, prices or Prices(0.0, 0.0), **given)

    def bind_tools(self, tools: Any, **kwargs: Any) -> Runnable[Any, Any]:
        return self

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        roles = {"human": "user", "ai": "assistant"}
        pairs = [(roles.get(m.type, m.type), str(m.text)) for m in messages]
        self._calls.append(pairs)
        if callable(self._replies):
            text = self._replies(pairs)
        else:
            if len(self._calls) > len(self._replies):
                raise ModelError(f"the script has {len(self._replies)} replies, and was asked {len(self._calls)} times")
            reply = self._replies[len(self._calls) - 1]
            if isinstance(reply, BaseException):
                raise reply
            text = reply(pairs) if callable(reply) else reply
        tokens_in, tokens_out = sum(len(t) for _, t in pairs) // 4 + 1, len(text) // 4 + 1
        usage = UsageMetadata(input_tokens=tokens_in, output_tokens=tokens_out, total_tokens=tokens_in + tokens_out)
        return ChatResult(generations=[ChatGeneration(message=AIMessage(content=text, usage_metadata=usage))])
