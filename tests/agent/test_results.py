"""Large answers of tools: kept once, whole, within their room; the oldest go, and none of the task in hand."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from habilis.agent.tape import TaskTape, left_over, slim
from habilis.core import (
    Attempt,
    Cost,
    Episode,
    Goal,
    JournalError,
    Ledger,
    NotFoundError,
    Program,
    Task,
    ToolCall,
    ToolError,
    Trajectory,
)
from habilis.memory import Home
from habilis.tools import LARGE_BYTES, HostTools, ResumedTools, ToolRegistry, ToolResult, tool, wire_size

TASK = Task(Goal.parse('count("x") >= 1'), "any", 0, "have one x", origin="user")


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    with Home.open(tmp_path / "home") as opened:
        yield opened


def noise(seed: int, size: int = 20_000) -> str:
    """Text that hardly compresses."""
    return random.Random(seed).randbytes(size // 2).hex()


def test_equal_results_are_kept_once_and_found_by_their_beginning(home: Home) -> None:
    run = home.journal.start_run({})
    key = home.journal.put_result(run, 0, {"a": [1, None, "é"]})
    assert home.journal.put_result(run, 1, {"a": [1, None, "é"]}) == key
    assert home.journal.result(key) == home.journal.result(key[:8]) == {"a": [1, None, "é"]}
    for wrong in ("", "0" * 64):
        with pytest.raises(NotFoundError):
            home.journal.result(wrong)


def test_the_oldest_go_but_none_of_the_task_in_hand(home: Home) -> None:
    run = home.journal.start_run({})
    keys = [home.journal.put_result(run, i, noise(i), room=35_000) for i in range(5)]
    gone = [k for k in keys if not _kept(home, k)]
    assert gone == keys[: len(gone)]
    assert 0 < len(gone) < 5
    mine = [home.journal.put_result(run, 9, noise(10 + i), room=15_000) for i in range(3)]
    assert all(_kept(home, k) for k in mine)
    assert not any(_kept(home, k) for k in keys)


def _kept(home: Home, key: str) -> bool:
    try:
        home.journal.result(key)
    except NotFoundError:
        return False
    return True


def tape(home: Home, run: int) -> TaskTape:
    return TaskTape(home.journal, run, Cost, task=TASK, index=0)


def called(home: Home, run: int, value: str, safe: bool) -> None:
    one = tape(home, run)
    call = ToolCall("look", {"at": "x"})
    one.began(call, safe)
    one.ended(ToolCall("look", {"at": "x"}, value), ToolResult("look", {"at": "x"}, value, cost=Cost(calls=1)))


@pytest.mark.parametrize("safe", [True, False])
def test_a_task_that_is_taken_up_again_gets_the_whole_value(home: Home, safe: bool) -> None:
    run, value = home.journal.start_run({}), noise(1, LARGE_BYTES * 2)
    called(home, run, value, safe)
    (event,) = [e for e in home.journal.events(run) if e.kind == "tool_called"]
    assert len(str(event.data)) < 2_000  # by reference
    left = left_over(home.journal, run, 0)
    assert left is not None
    assert [c.value for c in left.calls] == [value]


@pytest.mark.parametrize("safe", [True, False])
def test_what_is_kept_no_longer_is_asked_for_again_only_where_that_is_safe(
    tmp_path: Path, home: Home, safe: bool
) -> None:
    run = home.journal.start_run({})
    called(home, run, noise(1, LARGE_BYTES * 2), safe)
    home.journal.put_result(run, 7, noise(2), room=1)
    left = left_over(home.journal, run, 0)
    assert left is not None
    if safe:
        assert left.calls == ()
    else:
        (call,) = left.calls
        assert "kept no longer" in str(call.error)


@pytest.mark.parametrize("answered", [True, False])
@pytest.mark.parametrize("kept", [True, False])
def test_large_arguments_are_kept_beside_and_the_call_is_known_again(home: Home, kept: bool, answered: bool) -> None:
    """Also where the arguments themselves are gone: what is not safe to retry is not called twice."""
    reached: list[str] = []

    @tool
    def send(text: str, to: str = "me") -> int:
        """Send a text."""
        reached.append(text)
        return len(text)

    run, text = home.journal.start_run({}), noise(5, LARGE_BYTES * 3)
    one, args = tape(home, run), {"text": text, "to": "me"}
    one.began(ToolCall("send", args), False)
    if answered:
        one.ended(ToolCall("send", args, 7), ToolResult("send", args, 7, cost=Cost(calls=1)))
    for event in home.journal.events(run):
        assert len(str(event.data)) < 2_000
    if not kept:
        home.journal.put_result(run, 7, noise(2), room=1)
    left = left_over(home.journal, run, 0)
    assert left is not None
    assert (dict(left.calls[0].args) == args) == kept
    again = ResumedTools(left.calls, HostTools(ToolRegistry([send]), Ledger()))
    if answered:
        assert again.call("send", (text,), {}) == 7
    else:
        with pytest.raises(ToolError, match="was called before"):
            again.call("send", (text,), {})
    assert reached == []
    assert again.call("send", (noise(6, LARGE_BYTES * 3),), {}) == LARGE_BYTES * 3


def test_an_episode_is_written_down_with_its_arguments_in_short() -> None:
    given = {"text": noise(1, LARGE_BYTES * 3), "n": 3}
    many = {f"a{i}": "x" * 500 for i in range(100)}
    calls = tuple(ToolCall("send", args, 1) for args in (given, many, {"n": 3}))
    attempt = Attempt(Program("p", "def p():\n    pass\n"), Trajectory(tape=calls), False)
    (short,) = slim(Episode(0, TASK, "failed", (attempt,))).attempts
    first, second, third = (call.args for call in short.trajectory.tape)
    assert first["n"] == 3
    assert str(first["text"]).startswith("result:")
    assert all(wire_size(dict(args)) < 2_000 for args in (first, second))
    assert third == {"n": 3}


def test_a_damaged_result_is_told(home: Home) -> None:
    run = home.journal.start_run({})
    key = home.journal.put_result(run, 0, noise(3))
    with sqlite3.connect(home.path / "journal.sqlite") as db:
        db.execute("UPDATE results SET data = ?", (b"rubbish",))
    with pytest.raises(JournalError, match="damaged"):
        home.journal.result(key)
