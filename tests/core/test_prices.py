"""The user's own prices: read from TOML or JSON, found by name and pattern; what is wrong is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from habilis.core import InputError, PriceList

TOML = """
unknown = "assume"
[models]
"openai:gpt-5-mini" = { input = 0.25, output = 2 }
"qwen3@http://127.0.0.1:8000/v1" = { input = 0, output = 0 }
"llama-*" = { input = 0.1, output = 0.2 }
"*" = { input = 9, output = 9 }
[embeddings]
"bge-m3" = 0.01
"""


def test_a_list_is_read_and_the_most_telling_name_found(tmp_path: Path) -> None:
    (tmp_path / "prices.toml").write_text(TOML)
    prices = PriceList.load(tmp_path / "prices.toml")
    assert prices.assume
    assert prices.model("openai:gpt-5-mini", "gpt-5-mini") == (0.25, 2)
    assert prices.model("qwen3@http://127.0.0.1:8000/v1", "qwen3") == (0, 0)
    assert prices.model("groq:llama-4", "llama-4") == (0.1, 0.2)
    assert prices.model("other") == (9, 9)
    assert (prices.embedding("bge-m3@http://x", "bge-m3"), prices.embedding("other")) == (0.01, None)
    data = {"models": {"m": {"input": 1, "output": 2}}}
    (tmp_path / "prices.json").write_text(json.dumps(data))
    assert PriceList.load(tmp_path / "prices.json").model("m") == (1, 2)


def test_the_environment_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HABILIS_PRICES", raising=False)
    assert PriceList.from_environment() == PriceList()
    (tmp_path / "prices.toml").write_text(TOML)
    monkeypatch.setenv("HABILIS_PRICES", str(tmp_path / "prices.toml"))
    assert PriceList.from_environment().embedding("bge-m3") == 0.01


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ([], "holds no tables"),
        ({"model": {}}, "there is no 'model'"),
        ({"unknown": "free"}, "write 'refuse' or 'assume'"),
        ({"models": 3}, "models is no table"),
        ({"models": {"m": 3}}, r"models\.m is 3"),
        ({"models": {"m": {"input": 1}}}, r"models\.m is"),
        ({"models": {"m": {"input": -1, "output": 1}}}, r"models\.m\.input is -1"),
        ({"models": {"m": {"input": float("nan"), "output": 1}}}, r"models\.m\.input is nan"),
        ({"models": {"m": {"input": 1, "output": float("inf")}}}, r"models\.m\.output is inf"),
        ({"models": {"m": {"input": 1, "output": "2"}}}, r"models\.m\.output is '2'"),
        ({"embeddings": {"e": True}}, r"embeddings\.e is True"),
    ],
)
def test_what_is_wrong_is_named(data: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        PriceList.of(data)


@pytest.mark.parametrize(("name", "text"), [("a.toml", "models = ["), ("a.json", "{"), ("a.json", "\ud800")])
def test_a_file_that_is_none_is_named(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(InputError, match=r"the prices .*a\."):
        PriceList.load(tmp_path / name)
    with pytest.raises(InputError, match="cannot be read"):
        PriceList.load(tmp_path / "gone.toml")
