"""Embeddings of a server: in order, checked, retried under the budget, and every failure told with the way out."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from habilis.core import Budget, BudgetExceeded, InputError, Ledger, ModelError, NotFoundError, PriceList
from habilis.memory.embedding import EndpointEmbedder, HashEmbedder, have_embedder, open_embedder
from habilis.memory.embedding.endpoint import PRICE_VARIABLE
from habilis.testing.chat import Response, Server, serve_openai
from habilis.testing.embedding import check_embedder

HASH = HashEmbedder(32)


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_API_BASE", PRICE_VARIABLE, "HABILIS_NO_MODEL_REQUESTS"):
        monkeypatch.delenv(name, raising=False)


def _hashed(texts: list[str]) -> list[list[float]]:
    rows: list[list[float]] = HASH.embed(texts).tolist()
    return rows


def _open(server: Server, **settings: Any) -> EndpointEmbedder:
    given: dict[str, Any] = {"price": 0.0, "dim": 16, "backoff": 0.0} | settings
    return EndpointEmbedder("bge", server.base_url, **given)


def _body(vectors: list[Any], order: list[int] | None = None) -> Response:
    data = [{"object": "embedding", "index": i, "embedding": v} for i, v in enumerate(vectors)]
    shuffled = [data[i] for i in order] if order else data
    return Response(body=json.dumps({"object": "list", "data": shuffled, "model": "bge"}))


class InTurn:
    """Answers in turn; None, and what comes after the last, is an ordinary one."""

    def __init__(self, *answers: Response | None) -> None:
        self.answers = list(answers)

    def __call__(self, request: dict[str, Any]) -> Response | None:
        return self.answers.pop(0) if self.answers else None


def test_it_passes_the_suite() -> None:
    with serve_openai(vectors=_hashed) as server:
        check_embedder(EndpointEmbedder("bge", server.base_url, price=0.0))


def test_it_is_opened_by_name_and_by_its_fingerprint(monkeypatch: pytest.MonkeyPatch) -> None:
    with serve_openai(vectors=_hashed) as server:
        with pytest.raises(InputError, match=rf"price of 'bge' at 127\.0\.0\.1:\d+ is not known.*{PRICE_VARIABLE}"):
            open_embedder(f"endpoint:bge@{server.base_url}")
        monkeypatch.setenv(PRICE_VARIABLE, "0")
        embedder = open_embedder(f"endpoint:bge@{server.base_url}/")
        assert embedder.fingerprint == f"endpoint:bge@{server.base_url}"
        assert embedder.dim == 32
        assert open_embedder(embedder.fingerprint).fingerprint == embedder.fingerprint
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        assert open_embedder("endpoint:bge").fingerprint == embedder.fingerprint
        assert have_embedder(embedder.fingerprint)
        smaller = open_embedder("endpoint:bge#32")
        assert smaller.fingerprint == f"endpoint:bge@{server.base_url}#32"
        smaller.embed(["x"])
        assert server.embeddings[-1]["dimensions"] == 32
        assert open_embedder(smaller.fingerprint).dim == 32
        monkeypatch.setenv(PRICE_VARIABLE, "cheap")
        with pytest.raises(InputError, match="'cheap' is no number"):
            open_embedder("endpoint:bge")
    with pytest.raises(NotFoundError, match="endpoint:MODEL"):
        open_embedder("endpoints")


def test_rows_are_put_in_order_and_brought_to_length_1() -> None:
    rows = [[3.0, 0.0], [0.0, 5.0], [1.0, 1.0]]
    with serve_openai(embed=lambda request: _body(rows, [2, 0, 1])) as server:
        found = _open(server, dim=2).embed(["a", "b", "c"])
    assert np.allclose(found, [[1, 0], [0, 1], [0.5**0.5, 0.5**0.5]])


def test_equal_and_blank_texts_are_not_sent_twice_or_at_all() -> None:
    with serve_openai() as server:
        embedder = _open(server)
        rows = embedder.embed(["a", " ", "a", "", "b"])
        assert [r["input"] for r in server.embeddings] == [["a", "b"]]
        assert np.array_equal(rows[0], rows[2])
        assert np.array_equal(rows[1], rows[3])
        embedder.embed(["", "\n"])
        assert embedder.embed([]).shape == (0, 16)
        assert len(server.embeddings) == 1
        assert server.embeddings[0]["encoding_format"] == "float"


def test_batches_are_bounded_by_count_and_by_characters() -> None:
    with serve_openai() as server:
        texts = [f"{i:03}" + "x" * 97 for i in range(10)]
        rows = _open(server, max_texts=4).embed(texts)
        assert [len(r["input"]) for r in server.embeddings] == [4, 4, 2]
        server.embeddings.clear()
        assert np.array_equal(_open(server, max_chars=250).embed(texts), rows)
        assert [len(r["input"]) for r in server.embeddings] == [2, 2, 2, 2, 2]
        server.embeddings.clear()
        _open(server, max_chars=50, text_chars=60).embed(texts[:2])
        assert [[len(t) for t in r["input"]] for r in server.embeddings] == [[60], [60]]


def test_what_is_spent_is_what_the_server_counts() -> None:
    ledger = Ledger(Budget(usd=1.0))
    with serve_openai() as server:
        embedder = _open(server, price=1000.0, ledger=ledger)
        embedder.embed(["one two three"])
        assert (ledger.spent.tokens, ledger.spent.calls) == (3, 1)
        assert ledger.spent.usd == pytest.approx(0.003)
        assert embedder.spent == ledger.spent
    with serve_openai(embed=lambda request: Response(usage=False)) as server:
        counted = Ledger()
        _open(server, price=1.0, ledger=lambda: counted).embed(["abc"])
        assert counted.spent.tokens == 3 + 8  # it counts nothing, so the most that it may be


def test_nothing_is_sent_that_the_budget_does_not_cover() -> None:
    with serve_openai() as server:
        with pytest.raises(BudgetExceeded, match="usd=0 "):
            _open(server, price=1.0, ledger=Ledger(Budget())).embed(["abc"])
        assert server.embeddings == []
        # Two batches, and money for one.
        with pytest.raises(BudgetExceeded, match="calls=1 "):
            _open(server, max_texts=1, ledger=Ledger(Budget(usd=None, calls=1))).embed(["a", "b"])
        assert len(server.embeddings) == 1


def test_retries_are_paid_for_one_by_one() -> None:
    with serve_openai(embed=InTurn(Response(status=500), Response(status=429), None)) as server:
        ledger = Ledger()
        assert _open(server, ledger=ledger).embed(["a b"]).shape == (1, 16)
        assert (ledger.spent.calls, ledger.spent.tokens) == (3, 2)
    with serve_openai(embed=InTurn(Response(status=503), None)) as server:
        with pytest.raises(BudgetExceeded):
            _open(server, ledger=Ledger(Budget(usd=None, calls=1))).embed(["a"])
        assert len(server.embeddings) == 1


def test_the_wait_that_a_server_asks_for_is_kept() -> None:
    with serve_openai(embed=InTurn(Response(status=429, headers={"retry-after": "0.3"}), None)) as server:
        began = time.monotonic()
        _open(server).embed(["a"])
        assert 0.3 <= time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Response(status=401, text="no"), r"bge at 127\.0\.0\.1:\d+ refused \(HTTP 401\).*check the key"),
        (Response(status=404, text="no"), r"HTTP 404.*model's name and the address, which usually ends in /v1"),
        (Response(status=400, text="input too long"), r"HTTP 400.*input too long.*fewer or shorter texts"),
        (Response(status=429, text="slow down"), r"refused after 3 requests \(HTTP 429\).*limits"),
        (Response(status=500, text="oh no"), r"refused after 3 requests \(HTTP 500\).*oh no"),
        (Response(drop=True), r"cannot be reached after 3 requests.*check the address"),
        (Response(body="not json"), r"gave a reply that"),
        (Response(body="{}"), r"no list of embeddings|gave 0 vectors"),
        (Response(body='{"data": null}'), r"no list of embeddings|gave 0 vectors"),
        (_body([]), r"gave 0 vectors for 2 texts|gave a reply that"),
        (_body([[1.0] * 16]), "gave 1 vectors for 2 texts"),
        (_body([[1.0] * 16] * 3), "gave 3 vectors for 2 texts"),
        (_body([[1.0] * 16, [1.0] * 15]), r"a vector of 15 numbers, expected 16.*do not mix"),
        (_body([[1.0] * 16, [[1.0] * 16]]), r"gave a vector of shape \(1, 16\) numbers, expected 16"),
        (_body([[1.0] * 16, []]), r"a vector of 0 numbers, expected 16"),
        (_body([[1.0] * 16, None]), r"no list of numbers|expected 16|cannot be read"),
        (_body([[1.0] * 16, ["x"] * 16]), "no list of numbers|cannot be read"),
        (_body([[1.0] * 16, [float("nan")] * 16]), "not finite, or all 0"),
        (_body([[1.0] * 16, [1e200] * 16]), "not finite, or all 0"),
        (_body([[1.0] * 16, [0.0] * 16]), "not finite, or all 0"),
    ],
)
def test_what_goes_wrong_is_told(answer: Response, said: str) -> None:
    with serve_openai(embed=lambda request: answer) as server, pytest.raises(ModelError, match=said):
        _open(server).embed(["a", "b"])


def test_indexes_that_are_no_permutation_are_refused() -> None:
    body = {"data": [{"index": 0, "embedding": [1.0] * 16}, {"index": 0, "embedding": [1.0] * 16}]}
    wrong = Response(body=json.dumps(body))
    with serve_openai(embed=lambda _: wrong) as server, pytest.raises(ModelError, match="not numbered 0 to 1"):
        _open(server).embed(["a", "b"])


def test_the_first_dimension_seen_is_the_one_that_counts() -> None:
    with serve_openai(embed=InTurn(_body([[1.0, 2.0]]), _body([[1.0, 2.0, 3.0]]))) as server:
        embedder = _open(server, dim=None)
        assert embedder.dim == 2
        with pytest.raises(ModelError, match="a vector of 3 numbers, expected 2"):
            embedder.embed(["a"])


def test_a_server_that_is_slow_is_told_and_paid_for() -> None:
    ledger = Ledger()
    slow = Response(delay=2.0)
    with serve_openai(embed=lambda _: slow) as server, pytest.raises(ModelError, match=r"not answer within 0\.2 s"):
        _open(server, timeout=0.2, ledger=ledger).embed(["abc"])
    assert ledger.spent.tokens == 11


def test_nobody_there() -> None:
    with serve_openai() as server:
        pass
    with pytest.raises(ModelError, match="cannot be reached after 3 requests"):
        _open(server).embed(["a"])


def test_keys_go_where_they_belong(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelError, match=r"no key for the embeddings of api\.openai\.com: set OPENAI_API_KEY"):
        open_embedder("endpoint:text-embedding-3-small")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-of-mine")
    assert EndpointEmbedder("text-embedding-3-small", dim=1536).price == pytest.approx(0.02)
    refusal = Response(status=401, text="bad key sk-secret-of-mine")
    with serve_openai(embed=lambda _: refusal) as server:
        with pytest.raises(ModelError) as told:
            _open(server).embed(["a"])
        assert "secret" not in str(told.value)
        assert (
            "secret" not in server.embedding_headers[0]["authorization"]
        )  # it is on this machine, and no business of its
        with pytest.raises(ModelError):
            _open(server, api_key="sk-secret-of-mine").embed(["a"])
        assert server.embedding_headers[1]["authorization"] == "Bearer sk-secret-of-mine"


def test_requests_can_be_forbidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HABILIS_NO_MODEL_REQUESTS", "1")
    with pytest.raises(ModelError, match="HABILIS_NO_MODEL_REQUESTS is set"):
        EndpointEmbedder("m", "https://example.com/v1", api_key="k", price=0.0, dim=3).embed(["a"])
    with serve_openai() as server:
        assert _open(server).embed(["a"]).shape == (1, 16)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"base_url": "ftp://x"}, "no address of a server"),
        ({"base_url": "http://"}, "no address of a server"),
        ({"base_url": "http://me:pw@127.0.0.1/v1"}, "give a key as OPENAI_API_KEY"),
        ({"max_texts": 0}, "max_texts=0"),
        ({"dim": 0}, "dim=0"),
        ({"timeout": 0}, "timeout=0"),
        ({"price": -1.0}, "price= is -1.0"),
        ({"model": " "}, "name of the embedding model is empty"),
    ],
)
def test_wrong_settings_are_named(settings: dict[str, Any], said: str) -> None:
    given: dict[str, Any] = {"model": "m", "base_url": "http://127.0.0.1:9/v1", "price": 0.0, "dim": 3} | settings
    with pytest.raises(InputError, match=said):
        EndpointEmbedder(**given)


def _counting(tokens: int) -> Response:
    """One vector, and this many tokens that the server says it has read for it."""
    data = [{"object": "embedding", "index": 0, "embedding": [1.0] * 16}]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return Response(body=json.dumps({"object": "list", "data": data, "model": "bge", "usage": usage}))


def test_a_server_that_counts_more_tokens_is_charged_once_and_more_is_reserved_from_then_on() -> None:
    ledger = Ledger(Budget(usd=1))
    with serve_openai(embed=InTurn(_counting(100), _counting(100), _counting(1000))) as server:
        embedder = _open(server, price=10.0, ledger=ledger)
        assert embedder.most(["one"]).tokens == 11
        embedder.embed(["one"])
        assert embedder.most(["one"]).tokens == 11 + 2 * 89
        embedder.embed(["two"])  # within what is reserved now
        assert (embedder.standing.overruns, embedder.standing.refused) == (1, False)
        embedder.embed(["three"])
        with pytest.raises(ModelError, match="not asked any more"):
            embedder.embed(["four"])
        assert len(server.embeddings) == 3
    assert ledger.spent.tokens == 1200
    assert ledger.spent.usd == pytest.approx(0.012)


def test_a_list_of_the_users_own_has_the_price(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "prices.toml").write_text('[embeddings]\n"bge" = 0.25\n')
    monkeypatch.setenv("HABILIS_PRICES", str(tmp_path / "prices.toml"))
    with serve_openai() as server:
        assert _open(server, price=None).price == 0.25
        assert _open(server, price=PriceList(assume=True)).price == 0.5
        assert _open(server, price=0.0).price == 0.0
        monkeypatch.setenv(PRICE_VARIABLE, "2")
        assert _open(server, price=None).price == 2.0
        monkeypatch.setenv(PRICE_VARIABLE, "nan")
        with pytest.raises(InputError, match=f"{PRICE_VARIABLE} is nan"):
            _open(server, price=None)
