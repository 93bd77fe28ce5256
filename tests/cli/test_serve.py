"""``habilis skills serve``, talked to by the client of the MCP SDK: over standard input and output, and over HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from habilis.memory.home import Home
from habilis.testing.journal import example_skill

pytest.importorskip("mcp")

import httpx
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client

from habilis._serve import address
from habilis.core import InputError

HABILIS = ["-c", "from habilis.cli import main; main()"]
SECONDS = 120  # for all that a client asks in one test

Talk = Callable[[ClientSession], Awaitable[None]]


@contextlib.asynccontextmanager
async def over_stdio(cli: Any, home: Path) -> AsyncIterator[ClientSession]:
    server = StdioServerParameters(
        command=sys.executable, args=[*HABILIS, "skills", "serve", "--home", str(home)], env=cli.env
    )
    async with stdio_client(server) as (reader, writer), ClientSession(reader, writer) as session:
        await session.initialize()
        yield session


@contextlib.contextmanager
def http_server(cli: Any, home: Path) -> Any:
    """A server on a free port of this machine; its address, and its process."""
    process = cli.start("skills", "serve", "--home", home, "--http", "0")
    try:
        line = process.stderr.readline()
        assert line.startswith("serving at http://127.0.0.1:"), line + process.stderr.read()
        yield line.split()[-1], process
    finally:
        process.kill()
        process.communicate()


@contextlib.asynccontextmanager
async def over_http(cli: Any, home: Path) -> AsyncIterator[ClientSession]:
    with http_server(cli, home) as (url, _):
        async with (
            streamable_http_client(url) as (reader, writer, _),
            ClientSession(reader, writer) as session,
        ):
            await session.initialize()
            yield session


WAYS = [over_stdio, over_http]


def talk(way: Any, cli: Any, home: Path, what: Talk) -> None:
    async def all_of_it() -> None:
        async with asyncio.timeout(SECONDS), way(cli, home) as session:
            await what(session)

    asyncio.run(all_of_it())


async def ask(session: ClientSession, tool: str, **args: Any) -> Any:
    answer = await session.call_tool(tool, args)
    assert not answer.isError, answer.content
    assert json.loads(answer.content[0].text) == answer.structuredContent
    return answer.structuredContent


async def refusal(session: ClientSession, tool: str, **args: Any) -> str:
    answer = await session.call_tool(tool, args)
    assert answer.isError
    return str(answer.content[0].text)


@pytest.mark.parametrize("way", WAYS)
def test_a_client_searches_reads_and_runs(cli: Any, learned: Path, way: Any) -> None:
    async def what(session: ClientSession) -> None:
        tools = {t.name: t for t in (await session.list_tools()).tools}
        assert sorted(tools) == ["read_skill", "run_skill", "search_skills"]
        assert tools["run_skill"].inputSchema["required"] == ["name"]
        found = await ask(session, "search_skills", text="get dirt", k=2)
        assert found["skills"][0]["name"] == "have_dirt"
        assert len(found["skills"]) <= 2
        read = await ask(session, "read_skill", name="have_dirt")
        assert read["goal"] == 'count("dirt") >= {n}'
        assert "def have_dirt(" in read["source"]
        ran = await ask(session, "run_skill", name="have_dirt", args={"n": 3}, seed=11)
        assert (ran["reached"], ran["wanted"]) == (True, 'count("dirt") >= 3')
        assert ran["world_steps"] >= 3
        assert ran["tier"] >= 1
        again = await ask(session, "run_skill", name="have_dirt", args={"n": 3}, seed=11)
        assert again | {"seconds": 0} == ran | {"seconds": 0}

    talk(way, cli, learned, what)


@pytest.mark.parametrize("way", WAYS)
def test_a_client_is_told_what_was_wrong(cli: Any, home: Path, way: Any) -> None:
    with Home.open(home) as opened:
        opened.journal.put_skill(example_skill("far", fingerprint="f9"), "for a test")
        opened.journal.set_skill_status("have_dirt", 1, "quarantined", "for a test")

    async def what(session: ClientSession) -> None:
        assert "did you mean 'have_dirt'" in await refusal(session, "run_skill", name="have_drt")
        assert "quarantined" in await refusal(session, "run_skill", name="have_dirt")
        assert "no run of this home was in the world craft (f9)" in await refusal(
            session, "run_skill", name="far", args={"n": 1}
        )
        assert "no version of have_dirt '9'" in await refusal(session, "read_skill", name="have_dirt", version=9)
        assert "search is empty" in await refusal(session, "search_skills", text=" ")
        assert "maximum of 50" in await refusal(session, "search_skills", text="x", k=51)
        assert "'name' is a required property" in await refusal(session, "run_skill")
        assert "not of type 'object'" in await refusal(session, "run_skill", name="far", args="n=1")
        assert "unexpected" in await refusal(session, "run_skill", name="far", limits={"seconds": 1e9})
        assert "there is no tool 'rm'" in await refusal(session, "rm", path="/")
        assert (await ask(session, "search_skills", text="flint"))["skills"]  # and it still answers

    talk(way, cli, home, what)


def test_a_client_is_answered_while_a_run_owns_the_home(cli: Any, home: Path) -> None:
    async def what(session: ClientSession) -> None:
        found = await ask(session, "search_skills", text="a brand new thing")
        assert "brand_new" not in {s["name"] for s in found["skills"]}
        with Home.open(home) as owned:
            fingerprint = owned.journal.skill("have_dirt").fingerprint
            new = example_skill("brand_new", doc="a brand new thing", fingerprint=fingerprint)
            owned.journal.put_skill(new, "learned meanwhile")
            found = await ask(session, "search_skills", text="a brand new thing", k=1)
            assert [s["name"] for s in found["skills"]] == ["brand_new"]
            assert (await ask(session, "run_skill", name="have_dirt"))["reached"] is True

    talk(over_stdio, cli, home, what)


LOUD = '''
import os, sys
from habilis.worlds import from_functions

print("made, and loudly")

def make():
    def shout() -> None:
        """Shout."""
        print('{"jsonrpc": "2.0", "id": 3, "result": {}}', flush=True)
        os.write(1, b"straight to the descriptor\\n")

    return from_functions([shout], observe=lambda: {"count": {"x": 1}}, reset=lambda: None, name="loud")
'''


def test_what_a_world_prints_is_no_word_of_the_protocol(cli: Any, home: Path, tmp_path: Path) -> None:
    from habilis._worlds import open_world

    (tmp_path / "loud.py").write_text(LOUD)
    world = f"{tmp_path / 'loud.py'}:make"
    fingerprint = open_world(world, {})().spec.fingerprint
    source = "def shouting(n=1):\n    for _ in range(n):\n        world.shout()\n"
    with Home.open(home) as opened:
        opened.journal.start_run({"world": world, "world_options": {}, "fingerprint": fingerprint})
        made = example_skill("shouting", source=source, goal='count("x") >= 1', fingerprint=fingerprint)
        opened.journal.put_skill(made, "for a test")

    async def what(session: ClientSession) -> None:
        ran = await ask(session, "run_skill", name="shouting", args={"n": 5})
        assert (ran["reached"], ran["actions_in_all"]) == (True, 5)
        assert (await ask(session, "read_skill", name="shouting"))["version"] == 1

    talk(over_stdio, cli, home, what)


def test_two_clients_over_http_at_once(cli: Any, learned: Path) -> None:
    async def one(url: str, n: int) -> int:
        async with (
            streamable_http_client(url) as (reader, writer, _),
            ClientSession(reader, writer) as session,
        ):
            await session.initialize()
            return int((await ask(session, "run_skill", name="have_dirt", args={"n": n}))["world_steps"])

    async def both(url: str) -> list[int]:
        async with asyncio.timeout(SECONDS):
            return await asyncio.gather(one(url, 2), one(url, 5))

    with http_server(cli, learned) as (url, _):
        few, many = asyncio.run(both(url))
        assert many > few


def test_a_browser_that_was_tricked_is_refused(cli: Any, learned: Path) -> None:
    hello = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {
            "protocolVersion": "2025-06-18",
            "capabilities": {},
            "clientInfo": {"name": "browser", "version": "1"},
        },
    }
    accept = {"Accept": "application/json, text/event-stream"}
    with http_server(cli, learned) as (url, _):
        assert httpx.post(url, json=hello, headers=accept).status_code == 200
        assert httpx.post(url, json=hello, headers={**accept, "Host": "evil.example"}).status_code == 421
        assert httpx.post(url, json=hello, headers={**accept, "Origin": "http://evil.example"}).status_code == 403
        assert httpx.post(url, content=b"x" * 5_000_000, headers=accept).status_code in (400, 413)
        assert httpx.get(url.replace("/mcp", "/")).status_code == 404


@pytest.mark.parametrize("args", [[], ["--http", "0"]], ids=["stdio", "http"])
def test_ctrl_c_ends_it(cli: Any, learned: Path, args: list[str]) -> None:
    process = subprocess.Popen(
        [sys.executable, *HABILIS, "skills", "serve", "--home", str(learned), *args],
        env=cli.env,
        stdin=subprocess.PIPE,  # a client that stays
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        if args:
            assert process.stderr.readline().startswith("serving at")
        else:
            process.stdin.write('{"jsonrpc": "2.0", "id": 1, "method": "ping"}\n')
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["id"] == 1
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
        assert process.stderr.read() == "\nstopped; run the same command again to continue\n"
    finally:
        process.kill()
        process.communicate()


def test_the_end_of_input_ends_it(cli: Any, learned: Path) -> None:
    done = cli.apart("skills", "serve", "--home", learned)  # nobody sits at its input
    assert (done.code, done.out, done.err) == (0, "", "")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("8000", ("127.0.0.1", 8000)),
        ("localhost:8000", ("127.0.0.1", 8000)),
        ("127.0.0.1:0", ("127.0.0.1", 0)),
        ("[::1]:80", ("::1", 80)),
        ("0.0.0.0:80", ("0.0.0.0", 80)),
    ],
)
def test_addresses(text: str, expected: tuple[str, int]) -> None:
    assert address(text) == expected


@pytest.mark.parametrize(
    "text", ["", "x", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "1.2.3.4:70000", "evil.example:80", ":-1"]
)
def test_what_is_no_address_is_told(text: str) -> None:
    with pytest.raises(InputError, match=r"no HOST:PORT; write .* 127\.0\.0\.1:8000"):
        address(text)


def test_a_port_that_is_taken_and_an_address_that_is_open(cli: Any, learned: Path) -> None:
    with http_server(cli, learned) as (url, _):
        port = url.split(":")[2].split("/")[0]
        done = cli.apart("skills", "serve", "--home", learned, "--http", port)
        assert done.code == 1
        assert f"cannot listen at 127.0.0.1:{port}: Address already in use; choose another port" in done.err
    process = cli.start("skills", "serve", "--home", learned, "--http", "0.0.0.0:0")
    try:
        assert "WARNING: 0.0.0.0 can be reached from other machines" in process.stderr.readline()
    finally:
        process.kill()
        process.communicate()


def test_without_the_extra_it_says_how_to_get_it(cli: Any, learned: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mcp", None)
    done = cli("skills", "serve", "--home", learned)
    assert done.code == 1
    assert "serving skills needs 'mcp'" in done.err
    assert "pip install 'habilis[mcp]'" in done.err
