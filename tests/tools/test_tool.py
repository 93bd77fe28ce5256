"""Making tools of functions: what is read, what is refused, and LangChain in both directions."""

from __future__ import annotations

import asyncio
import json
import keyword
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from habilis.core import Cost, DefinitionError, Ledger
from habilis.tools import Priced, ToolRegistry, from_langchain, tool


@dataclass
class Place:
    """Where."""

    x: int
    y: int = 0


@tool(cost=Cost(usd=0.01, seconds=2), max_calls=3, safe_to_retry=True, timeout=5, provides="weather")
def weather(city: str, days: Annotated[int, Field(description="how many", ge=1)] = 1) -> dict[str, Any]:
    """Forecast for a city.

    Args:
        city: the name of the city,
            in any language
        days: never read, the hint says it
    """
    return {"city": city, "days": days}


@tool
async def shout(text: str, /, *, mark: str = "!") -> str:
    """Say it louder."""
    return text.upper() + mark


def test_a_tool_knows_its_function() -> None:
    assert (weather.name, weather.provides, weather.timeout) == ("weather", "weather", 5)
    assert weather.cost == Cost(usd=0.01, seconds=2)
    assert weather.doc.startswith("Forecast for a city.")
    city, days = weather.parameters
    assert (city.name, city.type, city.required, city.doc) == (
        "city",
        "str",
        True,
        "the name of the city, in any language",
    )
    assert (days.name, days.type, days.required, days.default, days.doc) == ("days", "int", False, 1, "how many")
    assert weather.owner.endswith(":weather")
    assert weather.where.rpartition(":")[0] == __file__
    assert weather("Rome") == {"city": "Rome", "days": 1}


def test_the_schema_is_json_and_complete() -> None:
    schema = json.loads(json.dumps(weather.schema))
    assert schema["required"] == ["city"]
    assert schema["properties"]["days"]["minimum"] == 1
    assert schema["properties"]["days"]["default"] == 1
    assert schema["properties"]["city"]["description"] == "the name of the city, in any language"
    assert schema["additionalProperties"] is False


def test_shared_definitions_and_rich_types() -> None:
    class Filter(BaseModel):
        words: list[str]

    @tool
    def move(a: Place, b: Place, how: Literal["walk", "run"] = "walk") -> int:
        """Move."""
        return abs(a.x - b.x) + abs(a.y - b.y) + (how == "run")

    assert move.schema["properties"]["a"] == {"$ref": "#/$defs/Place"}
    assert "Place" in move.schema["$defs"]
    assert [p.type for p in move.parameters] == ["json", "json", "json"]
    result = ToolRegistry([move]).call_sync("move", {"a": {"x": 1}, "b": {"x": 4, "y": 1}, "how": "run"}, Ledger())
    assert result.value == 5
    assert result.args == {"a": {"x": 1, "y": 0}, "b": {"x": 4, "y": 1}, "how": "run"}


def test_positional_only_keyword_only_and_async() -> None:
    result = ToolRegistry([shout]).call_sync("shout", {"text": "hi", "mark": "?"}, Ledger())
    assert result.value == "HI?"
    assert asyncio.run(shout("hi")) == "HI!"


def test_bound_methods_become_tools() -> None:
    class Shop:
        def __init__(self, price: int) -> None:
            self.price_of_one = price

        def price(self, n: int) -> int:
            """Price of n."""
            return n * self.price_of_one

    registry = ToolRegistry([Shop(3).price])
    assert registry.call_sync("price", {"n": 2}, Ledger()).value == 6
    assert [p.name for p in registry.get("price").parameters] == ["n"]


def _no_hint(a) -> int:  # type: ignore[no-untyped-def]
    """D."""
    return 1


def _no_return(a: int):  # type: ignore[no-untyped-def]
    """D."""


def _no_doc(a: int) -> int:
    return a


def _stars(*rest: int) -> int:
    """D."""
    return 1


def _double_stars(**rest: int) -> int:
    """D."""
    return 1


def _opaque(a: object, handle: Callable[[], int]) -> int:
    """D."""
    return 1


def _unknown_hint(a: Missing) -> int:  # type: ignore[name-defined]  # noqa: F821
    """D."""
    return 1


def _odd_default(a: Any = object) -> int:
    """D."""
    return 1


def _generator() -> Any:
    """D."""
    yield 1


@pytest.mark.parametrize(
    ("function", "told"),
    [
        (_no_hint, "'a' has no type hint"),
        (_no_return, "return value has no type hint"),
        (_no_doc, "no docstring"),
        (_stars, r"\*rest"),
        (_double_stars, r"\*\*rest"),
        (_opaque, "'handle'"),
        (_unknown_hint, "Missing"),
        (_odd_default, "default of 'a'"),
        (_generator, "generator"),
        (lambda x: x, "no type hint"),
    ],
)
def test_a_bad_definition_names_function_and_fault(function: Callable[..., Any], told: str) -> None:
    with pytest.raises(DefinitionError, match=told) as error:
        tool(function)
    assert function.__name__ in str(error.value)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"name": "two words"}, "two words"),
        ({"name": "class"}, "class"),
        ({"name": "_x"}, "_x"),
        ({"max_calls": 0}, "max_calls=0"),
        ({"timeout": 0}, "timeout=0"),
        ({"timeout": float("nan")}, "timeout=nan"),
        ({"cost": 0.5}, "cost=0.5"),
    ],
)
def test_bad_options_are_named(options: dict[str, Any], told: str) -> None:
    with pytest.raises(DefinitionError, match=told):

        @tool(**options)
        def fine(a: int) -> int:
            """D."""
            return a


@given(st.text(max_size=20) | st.from_regex(r"[a-zA-Z_]\w{0,9}", fullmatch=True))
def test_any_name_is_taken_or_refused_with_a_reason(name: str) -> None:
    def one() -> int:
        """One."""
        return 1

    if not name:  # the function's own name
        assert tool(name=name)(one).name == "one"
    elif re.fullmatch("[A-Za-z][A-Za-z0-9_]*", name) and not keyword.iskeyword(name):
        assert tool(name=name)(one).name == name
    else:
        with pytest.raises(DefinitionError, match=re.escape(repr(name))):
            tool(name=name)(one)


def test_to_langchain_and_its_schema_reaches_the_model() -> None:
    from langchain_core.utils.function_calling import convert_to_openai_tool

    chain = weather.as_langchain()
    assert chain.invoke({"city": "Rome", "days": 2}) == {"city": "Rome", "days": 2}
    described = convert_to_openai_tool(chain)["function"]
    assert described["name"] == "weather"
    assert described["parameters"]["properties"]["days"]["minimum"] == 1
    with pytest.raises(Exception, match="days"):
        chain.invoke({"city": "Rome", "days": 0})
    assert asyncio.run(shout.as_langchain().ainvoke({"text": "hi"})) == "HI!"

    @tool
    def paid(word: str) -> Any:
        """The price is for the ledger, not for the model."""
        return Priced(word, Cost(usd=1))

    assert paid.as_langchain().invoke({"word": "x"}) == "x"

    @tool
    def clash(config: str) -> str:
        """A parameter with a name that LangChain uses itself."""
        return config

    with pytest.raises(DefinitionError, match="'config'"):
        clash.as_langchain()


def test_from_langchain_keeps_its_validation() -> None:
    from langchain_core.tools import tool as langchain_tool

    @langchain_tool("look-up")
    def look_up(word: str, limit: Annotated[int, Field(le=5)] = 3) -> str:
        """Look a word up."""
        return word * limit

    made = from_langchain(look_up, cost=Cost(usd=0.1), side_effects=False)
    assert made.name == "look_up"
    assert [(p.name, p.type, p.required, p.default) for p in made.parameters] == [
        ("word", "str", True, None),
        ("limit", "int", False, 3),
    ]
    registry = ToolRegistry([made])
    assert registry.call_sync("look_up", {"word": "a"}, Ledger()).value == "aaa"
    assert "limit" in str(registry.call_sync("look_up", {"word": "a", "limit": 9}, Ledger()).error)

    @langchain_tool
    async def later(word: str) -> str:
        """Only asynchronous."""
        return word[::-1]

    registry.add(later)
    assert registry.call_sync("later", {"word": "abc"}, Ledger()).value == "cba"
