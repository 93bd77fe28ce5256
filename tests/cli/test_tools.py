"""``habilis tools`` with servers: added with options, listed, shown, used by a run, and told of when they are gone."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("mcp", reason="the extra mcp is not installed: pip install 'habilis[mcp]'")

SERVER = '''
import os
from mcp.server.fastmcp import FastMCP

app = FastMCP("shop", log_level="CRITICAL")

@app.tool()
def weigh(text: str) -> int:
    """Weigh a text."""
    return len(text)

@app.tool()
def keys() -> str:
    """The key that it got."""
    return os.environ.get("SHOP_KEY", "none")

app.run()
'''
SPEC = """
openapi: 3.1.0
servers: [{url: http://127.0.0.1:9}]
paths:
  /rate: {get: {operationId: rate, summary: The rate., parameters: [{name: base, in: query, schema: {type: string}}]}}
"""


def test_a_server_is_added_shown_and_removed(cli: Any, home: Path, write: Callable[[str, str], Path]) -> None:
    write("server.py", SERVER)
    source = f"mcp:{sys.executable} server.py"
    options = [
        "--cost",
        "usd=0.01,seconds=2",
        "--max-calls",
        "3",
        "--safe-to-retry",
        "--no-side-effects",
        "--timeout",
        "5",
    ]
    added = cli("tools", "add", source, *options, "--prefix", "shop_", "--only", "weigh", "--home", home)
    assert (added.code, added.out) == (0, f"added shop_weigh ({source})\n"), added.err
    listed = {t["name"]: t for t in cli("tools", "list", "--home", home, "--json").json}
    assert listed["shop_weigh"]["source"] == source
    assert source in cli("tools", "list", "--home", home).out
    shown = cli("tools", "show", "shop_weigh", "--home", home, "--json").json
    told = {"cost": {"usd": 0.01, "seconds": 2.0, "calls": 1}, "max_calls": 3, "safe_to_retry": True, "timeout": 5.0}
    assert told.items() <= shown.items()
    assert shown["side_effects"] is False
    assert shown["schema"]["required"] == ["text"]
    page = cli("tools", "show", "shop_weigh", "--home", home).out
    for words in (
        "Weigh a text.",
        source,
        "$0.01",
        "3 calls in a run, 5 seconds for one",
        "side effects: none",
        '"text"',
    ):
        assert words in page
    again = cli("tools", "add", source, "--home", home)
    assert again.code == 1
    assert "is registered with other options; habilis tools remove it" in again.err
    missing = cli("tools", "show", "shop_wiegh", "--home", home)
    assert "did you mean 'shop_weigh'" in missing.err
    assert cli("tools", "remove", source, "--home", home).code == 0
    assert "shop_weigh" not in cli("tools", "list", "--home", home).out


def test_a_server_that_is_gone_is_a_row_and_ends_a_run_with_advice(
    cli: Any, home: Path, write: Callable[[str, str], Path]
) -> None:
    path = write("server.py", SERVER)
    source = f"mcp:{sys.executable} server.py"
    assert cli("tools", "add", source, "--home", home).code == 0
    path.unlink()
    rows = cli("tools", "list", "--home", home, "--json")
    (row,) = [one for one in rows.json if one.get("error")]
    assert (rows.code, row["source"]) == (0, source)
    assert "the MCP server cannot be reached at" in row["error"]
    ran = cli("run", "-n", "17", "--home", home)
    assert ran.code == 1
    assert f"habilis tools remove '{source}'" in ran.err
    assert "Traceback" not in ran.err
    write("one.py", 'from habilis import tool\n@tool\ndef one(x: str) -> str:\n    "One."\n    return x\n')
    added = cli("tools", "add", "one.py", "--home", home)
    assert added.code == 0
    assert added.out.startswith("added one (")
    assert "warning: the registered tool" in added.err
    assert cli("tools", "remove", source, "--home", home).code == 0


def test_a_run_has_the_tools_of_a_server(cli: Any, home: Path, write: Callable[[str, str], Path]) -> None:
    write("server.py", SERVER)
    assert cli("tools", "add", f"mcp:{sys.executable} server.py", "--env", "SHOP_KEY", "--home", home).code == 1
    cli.env["SHOP_KEY"] = "shop-secret-5"
    assert cli("tools", "add", f"mcp:{sys.executable} server.py", "--env", "SHOP_KEY", "--home", home).code == 0
    (cli.folder / "elsewhere").mkdir(exist_ok=True)
    assert cli("run", "-n", "17", "--distil-every", "0", "--home", home).code == 0
    runs = cli("runs", "--home", home, "--json").json
    assert b"shop-secret-5" not in b"".join(p.read_bytes() for p in home.rglob("*") if p.is_file())
    assert runs


def test_an_openapi_service_is_added(cli: Any, home: Path, write: Callable[[str, str], Path]) -> None:
    path = write("spec.yaml", SPEC)
    header = ["--header", "Authorization=Bearer env:RATE_KEY"]
    refused = cli("tools", "add", "openapi:spec.yaml", *header, "--home", home)
    assert refused.code == 1
    assert "RATE_KEY, which is not set" in refused.err
    cli.env["RATE_KEY"] = "rate-secret-3"
    added = cli("tools", "add", "openapi:spec.yaml", *header, "--home", home)
    assert added.out == f"added rate (openapi:{path.resolve()})\n", added.err
    shown = cli("tools", "show", "rate", "--home", home, "--json").json
    assert (shown["where"], shown["side_effects"]) == ("GET http://127.0.0.1:9/rate", False)
    assert cli("tools", "remove", "openapi:spec.yaml", "--home", home).code == 0


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--header", "Authorization"], "write --header NAME=VALUE"),
        (["--header", "Authorization=secret-1"], "Authorization=env:MY_AUTHORIZATION"),
        (["--cost", "usd"], "cannot read 'usd'"),
        (["--cost", "usd=-1"], "usd=-1"),
        (["--prefix", "!"], "prefix='!'"),
        (["--env", "A=b"], "takes no env"),
        (["--base-url", "ftp://x"], "base_url='ftp://x'"),
        (["--timeout", "-1"], "timeout=-1"),
    ],
)
def test_bad_options_are_told(
    cli: Any, home: Path, write: Callable[[str, str], Path], options: list[str], told: str
) -> None:
    write("spec.yaml", SPEC)
    refused = cli("tools", "add", "openapi:spec.yaml", *options, "--home", home)
    assert refused.code == 1
    assert told in refused.err
    assert "Traceback" not in refused.err


def test_what_cannot_be_added_is_told_in_words_of_the_user(cli: Any, write: Callable[[str, str], Path]) -> None:
    head, body = (
        "from habilis.tools import tool\n\n",
        "@tool\ndef {}(text: str) -> int:\n    'Do it.'\n    return 1\n\n",
    )
    file = write("mine.py", head + body.format("weigh") + body.format("shout"))
    for source in ("nope.py", "mcp:http://127.0.0.1:9/mcp", "mine.py:nothing"):
        refused = cli("tools", "add", source)
        assert refused.code == 1
        assert "tools remove" not in refused.err  # it was never there
    assert "timeout=0.0" in (refused := cli("tools", "add", "mine.py", "--timeout", "0")).err
    assert f"{file}:shout" in refused.err
    assert cli("tools", "add", "mine.py:weigh").out == f"added weigh ({file}:weigh)\n"
    again = cli("tools", "add", "mine.py")
    assert again.err == f"error: {file}:weigh ({file}:3) is there already, as 'weigh'; add it once\n"
    assert "removed as a whole" in cli("tools", "remove", "weigh").err
