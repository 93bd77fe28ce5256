"""Large answers of tools: kept once, whole, within their room; the oldest go, and none of the task in hand."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from habilis.agent.tape import TaskTape, left_over
from habilis.core import Cost, Goal, JournalError, NotFoundError, Task, ToolCall
from habilis.memory import Home
from habilis.tools import LARGE_BYTES, ToolResult

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


def test_a_damaged_result_is_told(home: Home) -> None:
    run = home.journal.start_run({})
    key = home.journal.put_result(run, 0, noise(3))
    with sqlite3.connect(home.path / "journal.sqlite") as db:
        db.execute("UPDATE results SET data = ?", (b"rubbish",))
    with pytest.raises(JournalError, match="damaged"):
        home.journal.result(key)
