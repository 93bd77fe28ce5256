"""MCP servers as sources of tools: real ones, over pipes and HTTP, that answer, lie, hang, flood and die."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from habilis.core import Cost, InputError, Json, Ledger, MissingExtraError, NotFoundError
from habilis.tools import LeftOutWarning, SourceOptions, ToolRegistry, mcp_server
from habilis.tools.sources import _mcp_connection

Serve = Callable[..., tuple[str, "subprocess.Popen[str]"]]


@pytest.fixture
def registry() -> Iterator[ToolRegistry]:
    with ToolRegistry(allow_side_effects=True) as opened:
        yield opened


def call(registry: ToolRegistry, name: str, **args: Json) -> Json:
    return registry.call_sync(name, args, Ledger()).unwrap()


def error(registry: ToolRegistry, name: str, **args: Json) -> str:
    """What a call that goes wrong is told; it is charged all the same."""
    ledger = Ledger()
    result = registry.call_sync(name, args, ledger)
    assert result.error is not None, result.value
    assert ledger.spent.calls == 1
    assert ledger.reserved == Cost()
    return result.error


def is_gone(pid: int) -> bool:
    """Whether a process ends within a few seconds (a zombie has ended)."""
    for _ in range(100):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


# -- what is listed ---------------------------------------------------------------------------------------------------


def test_all_pages_are_read_and_names_become_identifiers(registry: ToolRegistry, command: list[str]) -> None:
    added = {t.where: t.name for t in registry.add_all(mcp_server(command))}
    assert len(added) == 18
    assert (added["add"], added["class"]) == ("add", "class_")
    assert {added["search web"], added["search-web"]} == {"search_web", "search_web_2"}
    assert added["поиск"].startswith("tool_")
    assert "\x1b" not in registry.get(added["search-web"]).doc
    assert registry.get("add").owner.startswith("mcp:")
    first, second = registry.get("add").parameters
    assert (first.name, first.type, first.required, first.doc) == ("a", "int", True, "the first")
    assert (second.name, second.required, second.default) == ("b", False, 1)


def test_hints_make_careful_and_never_careless(command: list[str]) -> None:
    tools = {t.where: t for t in ToolRegistry().add_all(mcp_server(command))}
    effects = {name for name, one in tools.items() if one.side_effects}
    assert {"add", "say"} & effects == set()  # it says that they only read
    assert {"nested", "search-web"} <= effects  # says nothing; says that it destroys too
    assert not any(one.safe_to_retry for one in tools.values())  # though one says that it is idempotent
    tools["add"].source.close()  # type: ignore[union-attr]
    registry = ToolRegistry([mcp_server(command, only=["nested"])])
    assert "nobody can approve" in str(
        registry.call_sync("nested", {"user_id": "abc", "place": {"name": "x"}}, Ledger()).error
    )
    registry.close()


def test_the_user_says_what_tools_cost_and_may(registry: ToolRegistry, command: list[str]) -> None:
    source = mcp_server(
        command,
        cost=Cost(usd=0.1),
        max_calls=1,
        safe_to_retry=True,
        side_effects=False,
        timeout=9,
        prefix="my_",
        only=["add", "my_say"],
    )
    assert [t.name for t in registry.add_all(source)] == ["my_add", "my_say"]
    one = registry.get("my_add")
    assert (one.cost, one.max_calls, one.safe_to_retry, one.side_effects, one.timeout) == (
        Cost(usd=0.1),
        1,
        True,
        False,
        9,
    )
    assert call(registry, "my_add", a=1) == 2
    assert "my_add: parameter 'a'" in str(registry.call_sync("my_add", {"a": "x"}, Ledger()).error)
    with pytest.raises(NotFoundError, match="did you mean 'add'"):
        registry.add_all(mcp_server(command, only=["ad"]))


def test_a_tool_with_a_broken_schema_costs_only_itself(registry: ToolRegistry, command: list[str]) -> None:
    with pytest.warns(LeftOutWarning, match="'broken' .* is left out"):
        added = registry.add_all(mcp_server([*command, "--odd"]))
    assert len(added) == 18


def test_the_whole_schema_is_checked_before_anything_is_sent(registry: ToolRegistry, command: list[str]) -> None:
    registry.add(mcp_server(command))
    given: dict[str, Any] = {"user_id": "abc", "class_": "first", "place": {"name": "x", "inside": {"name": "y"}}}
    assert call(registry, "nested", **given) == {"user-id": "abc", "class": "first", "place": given["place"]}
    for change, told in (
        ({"user_id": "a"}, "'user_id' expects str, got 'a'"),
        ({"class_": "third"}, "'class_' expects 'first' | 'second', got 'third'"),
        ({"place": {"name": "x", "inside": {}}}, r"'place' is wrong at ['inside']"),
        ({"place": {"name": "x", "other": 1}}, "'other' was unexpected"),
    ):
        ledger = Ledger()
        result = registry.call_sync("nested", given | change, ledger)
        assert told in str(result.error)
        assert ledger.spent == Cost()


# -- what is answered -------------------------------------------------------------------------------------------------


def test_answers_become_json(registry: ToolRegistry, command: list[str]) -> None:
    registry.add(mcp_server(command))
    assert call(registry, "add", a=2) == 3
    assert call(registry, "say", text="plain") == "plain"
    assert call(registry, "say", text='{"a": [1, null]}') == {"a": [1, None]}
    assert call(registry, "say", text='{"a": NaN}') == '{"a": NaN}'
    assert call(registry, "say", text="[not json]") == "[not json]"
    assert call(registry, "nothing") is None
    assert call(registry, "picture") == [
        {"type": "image", "mime_type": "image/png", "bytes": 3, "note": "not passed on"},
        "a cat",
    ]
    assert call(registry, "say", text="x" * 200_000) == "x" * 200_000
    assert error(registry, "fail") == "fail failed: no such city"


def test_one_server_serves_calls_side_by_side(registry: ToolRegistry, command: list[str]) -> None:
    registry.add(mcp_server(command))
    pids: list[Json] = []
    threads = [threading.Thread(target=lambda: pids.append(call(registry, "pid"))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(pids) == 6
    assert all(one == pids[0] for one in pids)


# -- what goes wrong --------------------------------------------------------------------------------------------------


def test_a_server_that_dies_is_named_and_started_again(registry: ToolRegistry, command: list[str]) -> None:
    registry.add(mcp_server(command))
    before = call(registry, "pid")
    told = error(registry, "die")
    assert f"mcp:{command[0]}" in told
    assert "it ended with status 3; its last words: " in told
    assert "out of cheese" in told
    assert call(registry, "pid") != before


def test_a_server_that_dies_time_and_again_is_given_a_rest(
    registry: ToolRegistry, command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_mcp_connection, "_FREE_RETRIES", 1)
    registry.add(mcp_server(command))
    pids = [error(registry, "die") for _ in range(2)]
    assert all("status 3" in one for one in pids)
    assert "has failed 2 times in a row (it ended with status 3" in error(registry, "die")
    registry.close()  # which forgives
    assert call(registry, "add", a=1) == 2


def test_a_server_that_hangs_is_given_up_and_replaced(registry: ToolRegistry, command: list[str]) -> None:
    registry.add(mcp_server(command))
    registry.add(replace(registry.remove("freeze"), timeout=0.3))
    before: Any = call(registry, "pid")
    assert "did not answer within 0.3 seconds" in error(registry, "freeze")
    after: Any = call(registry, "pid")
    assert after["pid"] != before["pid"]
    assert is_gone(before["pid"])


def test_a_server_that_floods_is_cut_off(registry: ToolRegistry, command: list[str]) -> None:
    registry.add(mcp_server(command))
    assert "more than 16000000 bytes that nobody asked for" in error(registry, "flood")
    assert call(registry, "add", a=1) == 2


def test_a_schema_that_changes_is_read_again(registry: ToolRegistry, command: list[str]) -> None:
    registry.add(mcp_server(command))
    assert call(registry, "change") == {"changed": True}
    told = error(registry, "add", a=1)
    assert "has changed what it takes" in told
    assert "It takes (numbers: list[int])" in told
    assert [p.name for p in registry.get("add").parameters] == ["numbers"]
    assert call(registry, "add", numbers=[1, 2, 3]) == 6
    assert "no parameter 'a'" in str(registry.call_sync("add", {"a": 1}, Ledger()).error)


def test_a_schema_that_changes_with_a_restart_is_read_again(
    registry: ToolRegistry, command: list[str], tmp_path: Path
) -> None:
    registry.add(mcp_server(command))
    assert call(registry, "add", a=1) == 2
    (tmp_path / "changed").touch()
    error(registry, "die")
    assert "has changed what it takes" in error(registry, "add", a=1)
    assert call(registry, "add", numbers=[4]) == 4


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("nosuchcommand --flag", "mcp:nosuchcommand --flag: there is no command 'nosuchcommand'"),
        (f"{sys.executable} -c 'print(5)'", "it ended with status 0; it wrote what is no message: 5"),
        (
            f"{sys.executable} -c 'raise SystemExit(\"no licence\")'",
            "it ended with status 1; its last words: no licence",
        ),
        ("http://127.0.0.1:9/mcp", "mcp:http://127.0.0.1:9/mcp: All connection attempts failed"),
        ("http://[::1", "mcp:http://[::1"),
    ],
)
def test_a_server_that_cannot_be_reached_is_named(address: str, told: str) -> None:
    pytest.importorskip("mcp")
    with pytest.raises(InputError, match="the MCP server cannot be reached at") as refused:
        ToolRegistry().add(mcp_server(address))
    assert told in str(refused.value)


def test_what_cannot_be_an_address_is_refused() -> None:
    for address in ("", "mcp: ", "'unclosed"):
        with pytest.raises(InputError, match="mcp:"):
            mcp_server(address)
    with pytest.raises(InputError, match="takes no headers"):
        mcp_server("python", headers={"a": "b"})
    with pytest.raises(InputError, match="takes no env"):
        mcp_server("http://localhost", env={"a": "b"})


def test_without_the_extra_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mcp", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'habilis\[mcp\]'"):
        ToolRegistry().add("mcp:python server.py")


# -- keys, and what a server sees -------------------------------------------------------------------------------------


def test_a_server_gets_no_key_that_is_not_named(command: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-not-for-you")
    monkeypatch.setenv("SHOP_KEY", "shop-secret-7")
    source = mcp_server(command, env={"KEY": "env:SHOP_KEY", "MODE": "fast"})
    with ToolRegistry([source], allow_side_effects=True) as registry:
        seen: Any = call(registry, "environment")
    assert "OPENAI_API_KEY" not in seen
    assert "SHOP_KEY" not in seen
    assert (seen["MODE"], seen["PATH"]) == ("fast", os.environ["PATH"])
    assert seen["KEY"] == "***"  # it was sent, and comes back blotted out: answers are kept
    monkeypatch.delenv("SHOP_KEY")
    with pytest.raises(InputError, match="needs the environment variable SHOP_KEY, which is not set"):
        ToolRegistry().add(mcp_server(command, env={"KEY": "env:SHOP_KEY"}))


def test_a_server_is_started_in_its_folder(command: list[str], tmp_path: Path) -> None:
    with ToolRegistry([mcp_server(command, folder=str(tmp_path))], allow_side_effects=True) as registry:
        seen: Any = call(registry, "pid")
    assert Path(seen["folder"]) == tmp_path.resolve()
    with pytest.raises(InputError, match=r"the folder .*gone"):
        ToolRegistry().add(mcp_server(command, folder=str(tmp_path / "gone")))


def test_over_http_the_key_is_taken_from_the_environment(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    url, _ = serve(TEST_SERVER_KEY="open-sesame-1")
    with pytest.raises(InputError, match="401"):
        ToolRegistry().add(mcp_server(url))
    monkeypatch.setenv("MY_KEY", "open-sesame-1")
    options = SourceOptions(headers={"Authorization": "Bearer env:MY_KEY"}, only=("add",))
    with ToolRegistry() as registry:
        registry.add(f"mcp:{url}", options)
        assert call(registry, "add", a=1) == 2
    assert "open-sesame" not in str(options.to_json())


def test_over_http_redirects_to_other_hosts_are_not_followed(serve: Serve) -> None:
    url, _ = serve()
    with pytest.raises(InputError, match=r"Redirect to http://elsewhere.invalid/mcp not followed"):
        ToolRegistry().add(mcp_server(url.replace("/mcp", "/away")))


def test_over_http_a_server_that_dies_is_reached_again_when_it_is_back(serve: Serve, registry: ToolRegistry) -> None:
    url, process = serve()
    registry.add(mcp_server(url))
    assert call(registry, "add", a=1) == 2
    assert f"lost its server at mcp:{url}: " in error(registry, "die")
    process.wait(10)
    assert "cannot be reached" in error(registry, "add", a=1)
    serve(port=int(url.split(":")[2].split("/")[0]))
    assert call(registry, "add", a=2) == 3


# -- nothing is left behind -------------------------------------------------------------------------------------------

HOST = """
import sys, time
from habilis.core import Ledger
from habilis.tools import ToolRegistry, mcp_server
registry = ToolRegistry([mcp_server(sys.argv[1:])], allow_side_effects=True)
print(registry.call_sync("pid", {}, Ledger()).value["pid"], flush=True)
print(registry.call_sync("child", {}, Ledger()).value["pid"], flush=True)
if sys.stdin.readline():
    time.sleep(60)
"""
STUBBORN = "import runpy, signal, sys, threading, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
STUBBORN += "threading.Thread(target=time.sleep, args=(60,)).start(); sys.argv = sys.argv[1:]; "
STUBBORN += "runpy.run_path(sys.argv[0], run_name='__main__')"


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("stubborn", [False, True])
def test_a_registry_that_closes_leaves_no_process(command: list[str], stubborn: bool) -> None:
    """``stubborn``: a server that goes on when its input has ended, and ignores SIGTERM."""
    words = [command[0], "-c", STUBBORN, *command[1:]] if stubborn else command
    with ToolRegistry([mcp_server(words)], allow_side_effects=True) as registry:
        pids: Any = [call(registry, "pid"), call(registry, "child")]
        assert not any(Path(f"/proc/{p['pid']}/stat").read_text().rpartition(")")[2].split()[0] == "Z" for p in pids)
    assert all(is_gone(one["pid"]) for one in pids)


@pytest.mark.skipif(sys.platform != "linux", reason="asks the kernel to see to it")
@pytest.mark.parametrize("way", ["exit", "kill"])
def test_a_host_that_ends_or_is_killed_leaves_no_server(command: list[str], way: str) -> None:
    words = [command[0], "-c", STUBBORN, *command[1:]]
    host = subprocess.Popen(
        [sys.executable, "-c", HOST, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert host.stdin is not None
    assert host.stdout is not None
    server, child = int(host.stdout.readline()), int(host.stdout.readline())
    if way == "kill":
        host.send_signal(signal.SIGKILL)
    else:
        host.stdin.close()
    host.wait(20)
    assert is_gone(server)
    if way == "exit":
        assert is_gone(child)
    else:
        os.kill(child, signal.SIGKILL)  # what a server starts is its own business when nobody is left to see to it
    host.stdout.close()


# -- in a program, and in an agent ------------------------------------------------------------------------------------


def wait() -> None:
    """Do nothing."""


def test_a_program_calls_a_server_through_the_host_and_its_tape_answers_for_it(command: list[str]) -> None:
    from habilis.core import Program, ToolCall
    from habilis.tools import HostTools, ReplayTools
    from habilis.worlds.functions import from_functions
    from habilis.worlds.runner import ConfinedRunner

    source = (
        "def go():\n"
        "    try:\n        tools.die()\n    except ToolFailed as error:\n        print(error)\n"
        "    return tools.add(2, b=tools.add(a=1))\n"
    )
    world = from_functions([wait], observe=dict, name="idle")
    ledger, tape = Ledger(), list[ToolCall]()
    runner = ConfinedRunner()
    try:
        with ToolRegistry([mcp_server(command)], allow_side_effects=True) as registry:
            ran = runner.run(Program("go", source), world, tools=HostTools(registry, ledger, tape_out=tape))
            assert (ran.error, ran.returned) == (None, 4)
            assert [(c.tool, c.value) for c in tape] == [("die", None), ("add", 2), ("add", 4)]
            assert ledger.spent.calls == 3  # the call that the server died in is charged
            registry.close()  # the server is gone, and nothing is lost
            replay = ReplayTools(tape, HostTools(registry, Ledger()))
            assert runner.run(Program("go", source), world, tools=replay).returned == 4
            assert registry.stats("add").calls == 2
    finally:
        runner.close()


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_an_agent_that_closes_ends_its_servers(command: list[str], tmp_path: Path) -> None:
    from habilis import Agent
    from habilis.worlds.functions import from_functions

    def pids() -> set[int]:
        found = set()
        for entry in Path("/proc").iterdir():
            if entry.name.isdecimal():
                try:
                    words = (entry / "cmdline").read_bytes().split(b"\0")
                except OSError:
                    continue
                if str(tmp_path).encode() in words and str(os.getpid()).encode() not in words:
                    found.add(int(entry.name))
        return found

    world = from_functions([wait], observe=dict, name="idle")
    with Agent(world, home=tmp_path / "home", tools=[mcp_server(command)]):
        opened = pids()
        assert len(opened) == 1
    assert all(is_gone(pid) for pid in opened)
    (tmp_path / "second").mkdir()
    with pytest.raises(InputError, match="cannot be reached"):  # what was opened for an agent that failed is closed too
        Agent(world, home=tmp_path / "second", tools=[mcp_server(command), mcp_server("nosuchcommand")])
    assert all(is_gone(pid) for pid in pids())
