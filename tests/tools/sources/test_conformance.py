"""Every source of tools passes the one suite; and the suite finds what is wrong."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from habilis.core import Cost, DefinitionError, Json
from habilis.testing.tools import Call, check_source
from habilis.tools import Tool, from_langchain, mcp_server, openapi, tool

ADDS = Call("add", {"a": 2}, 3)


def add(a: int, b: int = 1) -> int:
    """Add two numbers."""
    return a + b


@tool(cost=Cost(usd=0.01, tokens=5))
def fail(why: str = "no such city") -> str:
    """Fail."""
    raise ValueError(why)


@tool(safe_to_retry=True)
async def later(a: int) -> dict[str, Json]:
    """Answer later."""
    return {"a": a}


@tool
def hang() -> int:
    """Hang."""
    time.sleep(11)
    return 1


class Held:
    """The smallest source: a few tools."""

    text = "held:"

    def __init__(self, *tools: Tool) -> None:
        self._tools = tuple(sorted((replace(t, source=self) for t in tools), key=lambda t: t.name))

    def tools(self) -> tuple[Tool, ...]:
        return self._tools

    def latest(self, tool: Tool) -> Tool:
        return tool

    def close(self) -> None:
        pass


def test_functions() -> None:
    check_source(lambda: add, works=ADDS)
    check_source(lambda: later, works=Call("later", {"a": 1}, {"a": 1}), retry=True)
    check_source(lambda: Held(tool(add), fail, hang), works=ADDS, fails=Call("fail"), hangs=Call("hang"))


def test_a_file(tmp_path: Path) -> None:
    source = (
        "from habilis.tools import tool\n@tool\ndef add(a: int, b: int = 1) -> int:\n    '''Add.'''\n    return a + b\n"
    )
    (tmp_path / "mine.py").write_text(source)
    check_source(lambda: str(tmp_path / "mine.py"), works=ADDS)
    check_source(lambda: f"{tmp_path / 'mine.py'}:add", works=ADDS)


def test_langchain() -> None:
    from langchain_core.tools import tool as langchain_tool

    check_source(lambda: langchain_tool(add), works=ADDS)


def test_an_mcp_server_over_its_pipes(command: list[str]) -> None:
    source = lambda: mcp_server(command, cost=Cost(usd=0.02))  # noqa: E731
    check_source(source, works=ADDS, fails=Call("fail"), hangs=Call("hang"))
    retried = lambda: mcp_server(command, safe_to_retry=True, only=["say"])  # noqa: E731
    check_source(retried, works=Call("say", {"text": "hello"}, "hello"), retry=True)


def test_an_mcp_server_over_http(serve: Callable[..., Any]) -> None:
    url, _ = serve()
    check_source(lambda: mcp_server(url), works=ADDS, fails=Call("fail"), hangs=Call("hang"))


def test_an_openapi_service(tmp_path: Path, http_service: Callable[[Any], AbstractContextManager[str]]) -> None:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import JSONResponse, Response
    from starlette.routing import Route

    def adds(request: Request) -> Response:
        return JSONResponse(int(request.query_params["a"]) + int(request.query_params.get("b", "1")))

    def fails(request: Request) -> Response:
        return JSONResponse({"error": "no such city"}, status_code=404)

    async def hangs(request: Request) -> Response:
        await asyncio.sleep(12)
        return Response()

    number = {"schema": {"type": "integer"}, "in": "query"}
    document = {
        "openapi": "3.1.0",
        "info": {"title": "t", "version": "1"},
        "paths": {
            "/add": {
                "get": {
                    "operationId": "add",
                    "parameters": [{**number, "name": "a", "required": True}, {**number, "name": "b"}],
                }
            },
            "/fail": {"get": {"operationId": "fail"}},
            "/hang": {"get": {"operationId": "hang"}},
        },
    }
    (tmp_path / "spec.json").write_text(json.dumps(document))
    app = Starlette(routes=[Route("/add", adds), Route("/fail", fails), Route("/hang", hangs)])
    with http_service(app) as address:
        source = lambda: openapi(tmp_path / "spec.json", base_url=address)  # noqa: E731
        check_source(source, works=ADDS, fails=Call("fail"), hangs=Call("hang"))


# -- the suite itself -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "call", "told"),
    [
        (lambda: Held(tool(add)), Call("add", {"a": 2}, 4), "gave 3, not 4"),
        (lambda: Held(later), Call("later", {"a": 1}, {"a": 1}), "safe_to_retry is for the user"),
        (lambda: Held(replace(tool(add), owner="")), ADDS, "where it comes from"),
        (lambda: Held(tool(add)), Call("sub", {}, 0), "not 'sub'"),
    ],
)
def test_the_suite_finds(source: Callable[[], Any], call: Call, told: str) -> None:
    with pytest.raises((AssertionError, DefinitionError), match=told):
        check_source(source, works=call)


def test_the_suite_finds_a_tool_that_neither_fails_nor_hangs() -> None:
    for words in ({"fails": ADDS}, {"hangs": ADDS}):
        with pytest.raises(AssertionError, match="add should"):
            check_source(lambda: add, works=ADDS, **words)  # type: ignore[arg-type]


def test_from_langchain_is_exported() -> None:
    from langchain_core.tools import tool as langchain_tool

    assert from_langchain(langchain_tool(add), cost=Cost(usd=1)).cost == Cost(usd=1)
