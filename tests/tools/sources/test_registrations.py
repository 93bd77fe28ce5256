"""What a home remembers of its sources: options, in every version, and never a secret."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from habilis.core import Cost, DuplicateNameError, InputError, Json, Ledger, NotFoundError
from habilis.memory.embedding import HashEmbedder
from habilis.memory.index import MemoryIndex
from habilis.tools import (
    Catalogue,
    Registration,
    SourceOptions,
    ToolRegistry,
    load_registrations,
    mcp_server,
    of_tool,
    save_registrations,
    tool,
)

TOOLS = '''
from habilis.tools import tool

@tool(side_effects=True)
def weigh(text: str) -> int:
    """Weigh a text."""
    return len(text)

@tool
def count(text: str) -> int:
    """Count words."""
    return len(text.split())
'''


class State:
    """The journal's state, in memory."""

    def __init__(self, **data: Json) -> None:
        self.data: dict[str, Json] = data

    def get_state(self, key: str, default: Json = None, /) -> Json:
        return self.data.get(key, default)

    def put_versioned_state(self, key: str, data: Mapping[str, Json], /) -> None:
        self.data[key] = json.loads(json.dumps({**self.data.get(key, {}), **data, "schema_version": 1}))


ALL = SourceOptions(
    cost=Cost(usd=0.5, tokens=3),
    max_calls=2,
    safe_to_retry=True,
    side_effects=False,
    timeout=4.5,
    prefix="p_",
    only=("a", "b"),
    env={"KEY": "env:MY_KEY"},
    headers={"Authorization": "Bearer env:MY_KEY", "Accept-Language": "de"},
    query={"key": "env:MY_KEY"},
    base_url="http://localhost:1",
    folder="/",
)


def test_options_survive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    state = State()
    save_registrations(state, [Registration("mine.py", ALL), "json:dumps"])
    monkeypatch.chdir("/")
    plain, mine = sorted(load_registrations(state), key=lambda one: one.source.endswith(".py"))
    assert (plain.source, plain.options) == ("json:dumps", SourceOptions())
    assert (mine.source, mine.options) == (str(tmp_path.resolve() / "mine.py"), ALL)


def test_homes_of_before_and_after_this_version_load() -> None:
    old = State(**{"tools.registrations": {"sources": ["a:b", "c.py:d"], "schema_version": 1}})
    assert [one.source for one in load_registrations(old)] == ["a:b", "c.py:d"]
    newer = {"sources": ["a:b"], "options": {"a:b": {"max_calls": 3, "colour": "blue"}}, "schema_version": 9, "more": 1}
    state = State(**{"tools.registrations": newer})
    (one,) = load_registrations(state)
    assert one.options == SourceOptions(max_calls=3)
    save_registrations(state, [one])
    kept = state.data["tools.registrations"]
    assert kept["options"] == {"a:b": {"max_calls": 3, "colour": "blue"}}
    assert kept["more"] == 1


@pytest.mark.parametrize("kind", ["headers", "query", "env"])
def test_a_secret_in_clear_is_not_kept(kind: str) -> None:
    state = State()
    options = SourceOptions(**{kind: {"X-Api-Key": "sk-12345"}})  # type: ignore[arg-type]
    with pytest.raises(InputError, match="X-Api-Key=env:MY_X_API_KEY") as refused:
        save_registrations(state, [Registration("openapi:http://localhost", options)])
    assert "sk-12345" not in str(refused.value)
    assert state.data == {}


def test_options_apply_to_files_too(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(TOOLS)
    options = SourceOptions(cost=Cost(usd=0.2), max_calls=1, prefix="my_", only=("weigh",), side_effects=False)
    (one,) = Registration(str(tmp_path / "mine.py"), options).tools()
    assert (one.name, one.cost, one.max_calls, one.side_effects) == ("my_weigh", Cost(usd=0.2), 1, False)
    registry = ToolRegistry([one])
    assert registry.call_sync("my_weigh", {"text": "abc"}, Ledger()).value == 3
    assert "my_weigh: parameter 'text'" in str(registry.call_sync("my_weigh", {"text": 3}, Ledger()).error)
    (unsaid,) = Registration(str(tmp_path / "mine.py"), SourceOptions(only=("weigh",))).tools()
    assert unsaid.side_effects  # what the file says holds where the user says nothing
    with pytest.raises(NotFoundError, match="did you mean 'weigh'"):
        ToolRegistry().add(str(tmp_path / "mine.py"), SourceOptions(only=("wiegh",)))
    with pytest.raises(InputError, match="takes no headers"):
        ToolRegistry().add(str(tmp_path / "mine.py"), SourceOptions(headers={"a": "b"}))
    with pytest.raises(InputError, match="given as text"):
        ToolRegistry().add(one, SourceOptions(max_calls=1))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"prefix": "1_"}, "prefix='1_'"),
        ({"only": "weigh"}, "give a list of names"),
        ({"headers": ["a=b"]}, "headers= is list"),
        ({"env": {"a": 1}}, "env= is dict"),
        ({"headers": {"a": "b\r\nc"}}, "no line breaks"),
    ],
)
def test_bad_options_are_named(options: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match=told):
        SourceOptions(**options)


def test_what_can_no_longer_be_had_says_how_to_go_on() -> None:
    with pytest.raises(InputError, match=r"habilis tools remove 'mcp:nosuchcommand --flag'") as refused:
        Registration("mcp:nosuchcommand --flag").tools()
    assert "no command 'nosuchcommand'" in str(refused.value)


def test_two_servers_with_one_name_are_both_named_and_a_prefix_helps(command: list[str]) -> None:
    first, second = mcp_server(command, only=["add"]), mcp_server([*command, "again"], only=["add"])
    with ToolRegistry([first]) as registry:
        with pytest.raises(DuplicateNameError) as refused:
            registry.add_all(second)
        assert first.text in str(refused.value)
        assert second.text in str(refused.value)
        assert "prefix" in str(refused.value)
        registry.add(mcp_server([*command, "again"], only=["add"], prefix="other_"))
        assert registry.names() == ("add", "other_add")
        assert registry.call_sync("other_add", {"a": 1}, Ledger()).value == 2


def test_two_tools_that_say_the_same_are_both_offered_and_called_by_name() -> None:
    @tool
    def one(text: str) -> int:
        """Weigh a text."""
        return 1

    @tool
    def two(text: str) -> int:
        """Weigh a text."""
        return 2

    registry = ToolRegistry([one, two])
    catalogue = Catalogue(MemoryIndex(HashEmbedder().dim), HashEmbedder())
    catalogue.put(*map(of_tool, registry))
    assert set(catalogue.ids()) == {"tool:one", "tool:two"}
    assert [registry.call_sync(n, {"text": "x"}, Ledger()).value for n in registry.names()] == [1, 2]
    assert [registry.stats(n).calls for n in registry.names()] == [1, 1]
