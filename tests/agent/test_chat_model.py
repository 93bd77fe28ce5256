"""Priced chat models on a real server: what is reserved, charged, retried, refused and hidden."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from habilis.agent.chat.model import ASSUMED, PricedChatModel, Prices, as_priced, is_loopback, open_chat_model
from habilis.core import (
    Budget,
    BudgetExceeded,
    Cost,
    InputError,
    Ledger,
    MissingExtraError,
    ModelError,
    PriceList,
)
from habilis.testing.chat import Response, ScriptedChatModel, Server, serve_openai

ASK = [("system", "Be brief."), ("user", "Say hello.")]
PRICES = Prices(input=1.0, output=2.0)


@pytest.fixture(autouse=True)
def _no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_API_BASE", "ANTHROPIC_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HABILIS_NO_MODEL_REQUESTS", "1")


def _open(server: Server, **settings: Any) -> PricedChatModel:
    model = open_chat_model("tiny", base_url=server.base_url, prices=PRICES, **settings)
    return PricedChatModel(**{**_fields(model), "backoff": 0.01})


def _fields(model: PricedChatModel) -> dict[str, Any]:
    return {name: getattr(model, name) for name in model.__dataclass_fields__}


def _in_turn(*replies: str | Response) -> Callable[[dict[str, Any]], str | Response]:
    left = list(replies)
    return lambda request: left.pop(0)


def test_the_reply_is_charged_as_the_server_counted_it() -> None:
    ledger = Ledger(Budget(usd=1.0))
    with serve_openai(_in_turn(Response("Hello there.", usage_counts=(30, 4)))) as server:
        assert asyncio.run(_open(server).ask(ASK, ledger)) == "Hello there."
        request = server.requests[0]
    assert ledger.spent == Cost(usd=(30 * 1.0 + 4 * 2.0) / 1e6, tokens=34, calls=1)
    assert ledger.reserved == Cost()
    assert [m["role"] for m in request["messages"]] == ["system", "user"]
    assert request["max_tokens"] == 1500  # what was reserved is what the server may write


@pytest.mark.parametrize(
    "reply",
    [Response("Hi", usage=False), Response("Hi", usage_counts=(0, 0)), Response("Hi", usage_counts=(-5, 9))],
    ids=["none", "zeros", "negative"],
)
def test_without_a_count_the_reservation_is_charged_whole(reply: Response) -> None:
    ledger = Ledger(Budget(usd=1.0))
    with serve_openai(lambda request: reply) as server:
        model = _open(server)
        asyncio.run(model.ask(ASK, ledger))
    assert ledger.spent == model.most(ASK)


@pytest.mark.parametrize("limit", [Budget(usd=0.001), Budget(usd=None, tokens=1500), Budget(usd=None, calls=0)])
def test_no_request_is_sent_that_the_ledger_cannot_afford(limit: Budget) -> None:
    ledger = Ledger(limit)
    with serve_openai(lambda request: "Hello") as server:
        with pytest.raises(BudgetExceeded):
            asyncio.run(_open(server).ask(ASK, ledger))
        assert server.requests == []
    assert ledger.spent == Cost()
    assert ledger.reserved == Cost()


def test_retries_are_ours_and_each_is_a_call() -> None:
    ledger = Ledger(Budget(usd=1.0))
    with serve_openai(_in_turn(Response(status=429, text="slow"), Response(status=503), "Hello")) as server:
        assert asyncio.run(_open(server).ask(ASK, ledger)) == "Hello"
        assert len(server.requests) == 3
    assert ledger.spent.calls == 3
    assert ledger.spent.tokens < 1500  # a refused request costs a call and no tokens


def test_retries_end_and_stay_within_the_limit_of_calls() -> None:
    with serve_openai(lambda request: Response(status=500, text="down")) as server:
        with pytest.raises(ModelError, match=r"after 3 requests \(HTTP 500\): .*down"):
            asyncio.run(_open(server).ask(ASK, Ledger()))
        assert len(server.requests) == 3
        with pytest.raises(BudgetExceeded, match="calls=2"):
            asyncio.run(_open(server).ask(ASK, Ledger(Budget(usd=None, calls=2))))
        assert len(server.requests) == 5


def test_a_server_says_how_long_to_wait() -> None:
    replies = _in_turn(Response(status=429, headers={"retry-after": "0.3"}), "Hello")
    with serve_openai(replies) as server:
        model = _open(server)
        before = asyncio.run(_timed(model))
    assert before >= 0.3


async def _timed(model: PricedChatModel) -> float:
    loop = asyncio.get_running_loop()
    start = loop.time()
    await model.ask(ASK, Ledger())
    return loop.time() - start


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_what_a_server_refuses_is_not_asked_again_and_no_key_is_shown(status: int) -> None:
    key = "sk-verysecret-1234567890"
    with serve_openai(lambda request: Response(status=status, text=f"bad key {key} or model")) as server:
        ledger = Ledger()
        with pytest.raises(ModelError) as caught:
            asyncio.run(_open(server, api_key=key).ask(ASK, ledger))
        assert len(server.requests) == 1
        assert server.headers[0]["authorization"] == f"Bearer {key}"
    assert f"HTTP {status}" in str(caught.value)
    assert "or model" in str(caught.value)
    assert key not in str(caught.value)
    assert "verysecret" not in repr(_open(Server("http://127.0.0.1:9/v1"), api_key=key))
    assert ledger.spent == Cost(calls=1)


@pytest.mark.parametrize("body", ["{oops", "[]", '{"choices": []}', '"text"', "null", ""])
def test_an_unreadable_reply_is_a_model_error_and_charged_whole(body: str) -> None:
    ledger = Ledger()
    with serve_openai(lambda request: Response(body=body)) as server:
        model = _open(server)
        with pytest.raises(ModelError):
            asyncio.run(model.ask(ASK, ledger))
        assert len(server.requests) == 1
    assert ledger.spent == model.most(ASK)


def test_a_lost_connection_is_tried_again() -> None:
    with serve_openai(_in_turn(Response(drop=True), "Hello")) as server:
        assert asyncio.run(_open(server).ask(ASK, Ledger())) == "Hello"
        gone = _open(server)
    with pytest.raises(ModelError, match="cannot be reached after 3 requests"):
        asyncio.run(gone.ask(ASK, Ledger()))


def test_time_runs_out_once_and_is_charged_whole() -> None:
    ledger = Ledger()
    with serve_openai(lambda request: Response("late", delay=1.0)) as server:
        model = _open(server, timeout=0.2)
        with pytest.raises(ModelError, match=r"within 0.2 s"):
            asyncio.run(model.ask(ASK, ledger))
        assert len(server.requests) == 1
    assert ledger.spent == model.most(ASK)


def test_a_cancelled_request_is_charged_and_leaves_nothing_reserved() -> None:
    ledger = Ledger()

    async def give_up(model: PricedChatModel) -> None:
        task = asyncio.create_task(model.ask(ASK, ledger))
        while not server.requests:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        while ledger.reserved != Cost():
            await asyncio.sleep(0.01)

    with serve_openai(lambda request: Response("late", delay=0.5)) as server:
        model = _open(server)
        asyncio.run(asyncio.wait_for(give_up(model), 5))
    assert ledger.spent == model.most(ASK)


def test_one_model_serves_many_event_loops_and_callers_without_one() -> None:
    with serve_openai(lambda request: "Hello") as server:
        model = _open(server)
        for _ in range(3):
            asyncio.run(model.ask(ASK, Ledger()))
        assert model.ask_now(ASK, Ledger()) == "Hello"

        async def inside() -> str:
            return model.ask_now(ASK, Ledger())

        assert asyncio.run(inside()) == "Hello"


def test_parallel_requests_never_pass_the_limit_together() -> None:
    with serve_openai(lambda request: Response("Hello", usage=False)) as server:
        model = _open(server)
        ledger = Ledger(Budget(usd=2.5 * model.most(ASK).usd))

        async def many() -> list[Any]:
            return await asyncio.gather(*(model.ask(ASK, ledger) for _ in range(6)), return_exceptions=True)

        results = asyncio.run(many())
        assert len(server.requests) == 2
    assert sum(isinstance(r, BudgetExceeded) for r in results) == 4


def test_prompts_beyond_the_limit_are_refused_unsent() -> None:
    with serve_openai(lambda request: "Hello") as server:
        with pytest.raises(InputError, match="max_prompt_tokens"):
            asyncio.run(_open(server).ask([("user", "x" * 400_000)], Ledger()))
        assert server.requests == []


def test_half_characters_are_sent_as_something_readable() -> None:
    with serve_openai(lambda request: "Hello") as server:
        assert asyncio.run(_open(server).ask([("user", "a\ud800b")], Ledger())) == "Hello"
        assert server.requests[0]["messages"][0]["content"] == "a?b"


@given(st.lists(st.tuples(st.sampled_from(["system", "user", "assistant"]), st.text(max_size=50)), max_size=5))
def test_the_reservation_covers_a_token_for_every_byte(messages: list[tuple[str, str]]) -> None:
    model = PricedChatModel(ScriptedChatModel([]), PRICES, max_output_tokens=10)
    assert model.most(messages).tokens >= sum(len(t.encode("utf-8", "replace")) for _, t in messages) + 10
    assert model.most(messages).usd >= PRICES.usd(0, 10)


# ---------------------------------------------------------------------- servers that count more


def test_a_server_that_counts_more_is_charged_once_and_more_is_reserved_from_then_on() -> None:
    ledger = Ledger(Budget(usd=100))
    with serve_openai(lambda request: Response("Hi", usage_counts=(4000, 3000))) as server:
        model = _open(server)
        before = model.most(ASK)

        async def many() -> None:
            await asyncio.gather(*(model.ask(ASK, ledger) for _ in range(8)))

        asyncio.run(many())
    assert model.standing.overruns == 1
    assert not model.standing.refused
    assert ledger.spent == Cost(usd=8 * PRICES.usd(4000, 3000), tokens=8 * 7000, calls=8)
    over_in, over_out = 4000 - (before.tokens - 1500), 3000 - 1500
    assert model.most(ASK).tokens == before.tokens + 2 * over_in + 2 * over_out


@pytest.mark.parametrize(("policy", "made"), [("reprice", 2), ("refuse", 1)])
def test_one_that_counts_more_and_more_is_not_asked_any_more(policy: Any, made: int) -> None:
    with serve_openai(lambda request: Response("Hi", usage_counts=(10, 9000 * len(server.requests)))) as server:
        model = _open(server)
        model.standing.keep(None, policy)
        ledger = Ledger(Budget(usd=100))
        for _ in range(made):
            asyncio.run(model.ask(ASK, ledger))
        with pytest.raises(ModelError, match="not asked any more"):
            asyncio.run(model.ask(ASK, ledger))
        assert len(server.requests) == made
    assert ledger.reserved == Cost()


def test_requests_go_side_by_side_once_one_has_kept_to_what_was_reserved() -> None:
    both = threading.Barrier(2, timeout=10)
    wait = [False]

    def reply(request: dict[str, Any]) -> str:
        if wait[0]:
            both.wait()
        return "Hi"

    with serve_openai(reply) as server:
        model = _open(server)

        async def many() -> list[str]:
            await model.ask(ASK, Ledger())
            wait[0] = True
            return await asyncio.gather(*(model.ask(ASK, Ledger()) for _ in range(2)))

        assert asyncio.run(many()) == ["Hi", "Hi"]  # each was answered only while the other one waited


# ---------------------------------------------------------------------- opening


def test_requests_that_leave_the_machine_can_be_forbidden() -> None:
    ledger = Ledger()
    model = open_chat_model("openai:gpt-4o-mini", api_key="sk-test-000000")
    with pytest.raises(ModelError, match="HABILIS_NO_MODEL_REQUESTS"):
        asyncio.run(model.ask(ASK, ledger))
    assert ledger.spent == Cost()


def test_prices_come_from_the_list_and_the_user_overrides_them() -> None:
    listed = open_chat_model("openai:gpt-4o-mini", api_key="sk-test-000000")
    assert (listed.prices.input, listed.prices.output, listed.prices.source) == (0.15, 0.6, "list")
    own = open_chat_model("openai:gpt-4o-mini", api_key="sk-test-000000", prices=Prices(3, 4))
    assert own.prices == Prices(3, 4)


def test_a_list_of_the_users_own_goes_before_every_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = {"models": {"openai:gpt-4o-mini": {"input": 7, "output": 8}, "tiny": {"input": 0, "output": 0}}}
    listed = open_chat_model("openai:gpt-4o-mini", api_key="sk-test-000000", prices=PriceList.of(mine))
    assert listed.prices == Prices(7, 8)
    assert open_chat_model("tiny", base_url="http://127.0.0.1:9/v1", prices=PriceList.of(mine)).prices == Prices(0, 0)
    (tmp_path / "prices.json").write_text(json.dumps(mine | {"unknown": "assume"}))
    monkeypatch.setenv("HABILIS_PRICES", str(tmp_path / "prices.json"))
    assert open_chat_model("openai:gpt-4o-mini", api_key="sk-test-000000").prices == Prices(7, 8)
    assert open_chat_model("openai:gpt-4o", api_key="sk-test-000000").prices.source == "list"
    assert open_chat_model("openai:no-such-model", api_key="sk-test-000000").prices == ASSUMED
    with pytest.raises(InputError, match="prices='free'"):
        open_chat_model("openai:gpt-4o", api_key="sk-test-000000", prices="free")  # type: ignore[arg-type]


def test_an_unknown_price_is_refused_or_assumed_by_choice() -> None:
    with pytest.raises(InputError, match="--price-in") as caught:
        open_chat_model("openai:no-such-model", api_key="sk-test-000000")
    assert "assume" in str(caught.value)
    assert "'openai:no-such-model' or 'no-such-model' under [models]" in str(caught.value)
    assert open_chat_model("openai:no-such-model", api_key="sk-test-000000", prices="assume").prices == ASSUMED


def test_a_server_on_this_machine_is_free_only_if_the_user_says_so() -> None:
    with pytest.raises(InputError, match="this machine"):
        open_chat_model("gpt-4o-mini", base_url="http://localhost:1/v1")
    model = open_chat_model("openai:mine", base_url="http://localhost:1/v1", prices=Prices(0, 0))
    assert model.name == "mine"
    assert model.local


def test_the_address_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-not-for-local-servers")
    with serve_openai(lambda request: "Hello") as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        model = open_chat_model("openai:tiny", prices=PRICES)
        assert asyncio.run(model.ask(ASK, Ledger())) == "Hello"
        assert "not-for-local" not in server.headers[0]["authorization"]


@pytest.mark.parametrize(
    ("model", "settings", "error", "says"),
    [
        ("openai:gpt-4o-mini", {}, ModelError, "OPENAI_API_KEY"),
        ("anthropic:claude-sonnet-4-5", {}, ModelError, "ANTHROPIC_API_KEY"),
        ("nobody:model", {"prices": "assume"}, InputError, "nobody"),
        ("mystery", {}, InputError, "PROVIDER:MODEL"),
        ("", {}, InputError, "PROVIDER:MODEL"),
        ("openai:", {}, InputError, "PROVIDER:MODEL"),
        ("m", {"base_url": "localhost:8000"}, InputError, "http://"),
        ("m", {"base_url": "file:///etc/passwd"}, InputError, "http://"),
    ],
)
def test_what_cannot_be_opened_says_why(model: str, settings: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        open_chat_model(model, **settings)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("langchain")
    monkeypatch.setitem(sys.modules, "langchain_mistralai", None)  # as if it were not installed, should it be
    with pytest.raises(MissingExtraError, match="langchain-mistralai"):
        open_chat_model("mistralai:mistral-large-latest", api_key="x" * 20, prices="assume")


def test_only_this_machine_counts_as_local() -> None:
    for url in ("http://127.0.0.1:1/v1", "http://localhost/v1", "http://[::1]:2/v1", "http://127.1.2.3/"):
        assert is_loopback(url)
    for url in ("http://127.0.0.1.evil.com/", "http://localhost.evil.com/", "http://10.0.0.1/", "http://x@evil.com/"):
        assert not is_loopback(url)


def test_prices_are_amounts() -> None:
    for bad in (-1.0, float("nan"), float("inf")):
        with pytest.raises(InputError):
            Prices(bad, 1.0)


def test_opening_is_what_imports_the_clients() -> None:
    code = (
        "import sys, habilis.agent.chat.model, habilis.agent.writers.chat, habilis.testing.chat;"
        "print([m for m in ('openai', 'langchain', 'langchain_core', 'genai_prices') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# ---------------------------------------------------------------------- models for tests


def test_a_scripted_model_follows_its_script_and_remembers() -> None:
    scripted = ScriptedChatModel(["one", lambda messages: messages[-1][1].upper()])
    assert scripted.invoke("x").content == "one"
    reply = scripted.bind_tools([]).invoke([("system", "s"), ("user", "loud")])
    assert reply.content == "LOUD"
    assert reply.usage_metadata["total_tokens"] > 0
    assert scripted.calls[1] == [("system", "s"), ("user", "loud")]
    with pytest.raises(ModelError, match="2 replies"):
        scripted.invoke("more")


def test_a_scripted_model_counts_as_priced_and_a_bare_one_does_not() -> None:
    assert asyncio.run(as_priced(ScriptedChatModel(["hi"])).ask(ASK, Ledger(Budget(usd=0.0)))) == "hi"

    class Bare:
        async def ainvoke(self, input: Any, **kwargs: Any) -> Any:
            return "hi"

    with pytest.raises(InputError, match="no prices"):
        as_priced(Bare())
    assert asyncio.run(PricedChatModel(Bare(), PRICES, local=True).ask(ASK, Ledger())) == "hi"


def test_the_server_streams_and_counts() -> None:
    from langchain_openai.chat_models.base import BaseChatOpenAI

    with serve_openai(lambda request: "one two three four") as server:
        client = BaseChatOpenAI(
            model="m", base_url=server.base_url, api_key=SecretStr("k"), stream_usage=True, max_retries=0
        )
        chunks = list(client.stream("hello there"))
        assert "".join(str(c.content) for c in chunks) == "one two three four"
        assert len([c for c in chunks if c.content]) > 1
        assert [c.usage_metadata["output_tokens"] for c in chunks if c.usage_metadata] == [4]
        assert server.requests[0]["stream"] is True


def test_the_server_embeds_and_lists_models() -> None:
    from langchain_openai import OpenAIEmbeddings

    with serve_openai(lambda request: "", models=("a", "b"), dim=40) as server:
        embed = OpenAIEmbeddings(
            model="e", base_url=server.base_url, api_key=SecretStr("k"), check_embedding_ctx_length=False, max_retries=0
        )
        one, two, again = embed.embed_documents(["stick", "stone", "stick"])
        assert one == again != two
        assert len(one) == 40
        assert sum(x * x for x in one) == pytest.approx(1.0, abs=1e-5)
        with urllib.request.urlopen(server.base_url + "/models") as answer:
            assert [m["id"] for m in json.load(answer)["data"]] == ["a", "b"]
