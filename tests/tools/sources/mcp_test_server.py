"""An MCP server of the SDK for tests, run as a program: ``STATE [--http] [--odd]``.

``STATE`` is a folder: a file ``changed`` in it changes what ``add`` takes. Over HTTP its first line is its port.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import anyio
from mcp import types
from mcp.server.lowlevel import NotificationOptions, Server

STATE = Path(sys.argv[1])
EMPTY: dict[str, Any] = {"type": "object", "properties": {}}
TEXT = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
ADD = {
    "type": "object",
    "properties": {"a": {"type": "integer", "description": "the first"}, "b": {"type": "integer", "default": 1}},
    "required": ["a"],
}
CHANGED = {
    "type": "object",
    "properties": {"numbers": {"type": "array", "items": {"type": "integer"}}},
    "required": ["numbers"],
}
NESTED = {
    "type": "object",
    "properties": {
        "user-id": {"type": "string", "minLength": 3},
        "class": {"enum": ["first", "second"]},
        "place": {"$ref": "#/$defs/Place"},
    },
    "required": ["user-id", "place"],
    "$defs": {
        "Place": {
            "type": "object",
            "properties": {"name": {"type": "string"}, "inside": {"$ref": "#/$defs/Place"}},
            "required": ["name"],
            "additionalProperties": False,
        }
    },
}
NUMBER = {"type": "object", "properties": {"result": {"type": "integer"}}, "required": ["result"]}
READS = types.ToolAnnotations(readOnlyHint=True)
SAYS_ALL = types.ToolAnnotations(readOnlyHint=True, destructiveHint=True, idempotentHint=True)


def declared() -> list[types.Tool]:
    takes = CHANGED if (STATE / "changed").exists() else ADD
    odd = [types.Tool(name="broken", inputSchema={"type": "object", "properties": {"x": {"type": "strange"}}})]
    return [
        types.Tool(
            name="add", description="Add two numbers.", inputSchema=takes, outputSchema=NUMBER, annotations=READS
        ),
        types.Tool(name="nested", description="Give it back.", inputSchema=NESTED),
        types.Tool(name="say", description="Say it as text.", inputSchema=TEXT, annotations=READS),
        types.Tool(name="search-web", description="Search.\x1b[31m", inputSchema=TEXT, annotations=SAYS_ALL),
        types.Tool(name="search web", inputSchema=TEXT),
        types.Tool(name="class", description="A keyword.", inputSchema=EMPTY),
        types.Tool(name="поиск", description="In letters of its own.", inputSchema=EMPTY),
        *(types.Tool(name=name, description=f"Does {name}.", inputSchema=EMPTY) for name in sorted(DOES)),
        *(odd if "--odd" in sys.argv else []),
    ]


async def hang() -> Any:
    await anyio.sleep(60)


async def freeze() -> Any:
    time.sleep(60)


async def die() -> Any:
    print("out of cheese", file=sys.stderr, flush=True)
    os._exit(3)


async def flood() -> Any:
    with os.fdopen(os.dup(1), "wb") as out:
        for _ in range(400):
            out.write(b"x" * 100_000)
    return []


async def fail() -> Any:
    raise ValueError("no such city")


async def change() -> Any:
    (STATE / "changed").touch()
    await server.request_context.session.send_tool_list_changed()
    return {"changed": True}


async def picture() -> Any:
    return [
        types.ImageContent(type="image", data="AAAA", mimeType="image/png"),
        types.TextContent(type="text", text="a cat"),
    ]


async def child() -> Any:
    return {"pid": subprocess.Popen(["sleep", "60"]).pid}


async def environment() -> Any:
    return dict(os.environ)


async def pid() -> Any:
    return {"pid": os.getpid(), "folder": os.getcwd()}


async def nothing() -> Any:
    return []


DOES = {f.__name__: f for f in (hang, freeze, die, flood, fail, change, picture, child, environment, pid, nothing)}

server: Any = Server("test", "1.0")


@server.list_tools()
async def list_tools(request: types.ListToolsRequest) -> types.ListToolsResult:
    """Three tools a page."""
    start = int((request.params.cursor if request.params else None) or 0)
    all_of_them = declared()
    after = start + 3
    return types.ListToolsResult(
        tools=all_of_them[start:after], nextCursor=str(after) if after < len(all_of_them) else None
    )


@server.call_tool(validate_input=False)
async def call_tool(name: str, arguments: dict[str, Any]) -> Any:
    if name == "add":
        return {
            "result": sum(arguments.get("numbers", ()))
            if "numbers" in arguments
            else arguments["a"] + arguments.get("b", 1)
        }
    if name == "nested":
        return arguments
    if name in ("say", "search-web", "search web"):
        return [types.TextContent(type="text", text=arguments["text"])]
    return await DOES[name]() if name in DOES else []


async def over_stdio() -> None:
    from mcp.server.stdio import stdio_server

    print("welcome to the test server", flush=True)  # as many do, where only messages belong
    async with stdio_server() as (incoming, outgoing):
        options = server.create_initialization_options(NotificationOptions(tools_changed=True))
        await server.run(incoming, outgoing, options)


def over_http() -> None:
    import socket

    import uvicorn
    from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import PlainTextResponse, RedirectResponse, Response
    from starlette.routing import Mount, Route

    manager = StreamableHTTPSessionManager(server)
    wanted = os.environ.get("TEST_SERVER_KEY")

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        given = dict(scope["headers"]).get(b"authorization", b"").decode()
        if wanted and given != f"Bearer {wanted}":
            await PlainTextResponse(f"wrong key {given}", status_code=401)(scope, receive, send)
        else:
            await manager.handle_request(scope, receive, send)

    async def away(request: Request) -> Response:
        return RedirectResponse("http://elsewhere.invalid/mcp", status_code=307)

    app = Starlette(
        routes=[Route("/away", away, methods=["GET", "POST"]), Mount("/mcp", app=answer)],
        lifespan=lambda _: manager.run(),
    )
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", int(os.environ.get("TEST_SERVER_PORT", "0"))))
        listening.listen()
        print(listening.getsockname()[1], flush=True)
        uvicorn.Server(uvicorn.Config(app, log_level="critical")).run(sockets=[listening])


if __name__ == "__main__":
    if "--http" in sys.argv:
        over_http()
    else:
        anyio.run(over_stdio)
