"""Ctrl-C, kill -9, a second process, another hash seed, a reader that goes away: nothing is lost, nothing differs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from habilis.core import dump
from habilis.memory import Home

TASKS = 14


def _run(home: Path, n: int = TASKS, *more: str) -> list[str]:
    return ["run", "-n", str(n), "--seed", "3", "--distil-every", "0", "--home", str(home), *more]


def _memory(home: Path) -> tuple[Any, Any]:
    """What must repeat: the episodes with every step of every attempt, and the skills with their evidence."""
    with Home.open(home, create=False, read_only=True) as opened:
        (run,) = opened.journal.runs()
        episodes = [dump(e) for e in opened.journal.episodes(run.id)]
        skills = [dump(s) for s in opened.journal.skills(status=None)]
    return _timeless(episodes), _timeless(skills)


def _timeless(data: Any) -> Any:
    """Without clock readings, the one thing that may differ."""
    if isinstance(data, dict):
        return {k: _timeless(v) for k, v in data.items() if k != "seconds"}
    return [_timeless(v) for v in data] if isinstance(data, list) else data


@pytest.fixture(scope="module")
def uninterrupted(cli: Any) -> tuple[Any, Any]:
    home = cli.folder / "uninterrupted"
    done = cli.apart(*_run(home), PYTHONHASHSEED="1")
    assert done.code == 0, done.err
    episodes, skills = _memory(home)
    assert len(episodes) == TASKS
    assert len(skills) >= 4
    return episodes, skills


def _after_lines(process: subprocess.Popen[str], n: int) -> list[str]:
    """Read until this many tasks have been reported."""
    lines: list[str] = []
    assert process.stdout is not None
    while sum(line.startswith("[") for line in lines) < n:
        line = process.stdout.readline()
        assert line, f"it ended early: {lines} {process.stderr.read() if process.stderr else ''}"
        lines.append(line)
    return lines


def test_another_hash_seed_changes_nothing(cli: Any, tmp_path: Path, uninterrupted: tuple[Any, Any]) -> None:
    assert cli.apart(*_run(tmp_path / "home"), PYTHONHASHSEED="4242").code == 0
    episodes, skills = _memory(tmp_path / "home")
    assert [e["task"]["text"] for e in episodes] == [e["task"]["text"] for e in uninterrupted[0]]
    assert (episodes, skills) == uninterrupted


@pytest.mark.parametrize("when", [(2, 0.0), (6, 0.05), (10, 0.1)], ids=["early", "middle", "late"])
def test_a_killed_run_continues_as_if_nothing_had_happened(
    cli: Any, tmp_path: Path, uninterrupted: tuple[Any, Any], when: tuple[int, float]
) -> None:
    home = tmp_path / "home"
    process = cli.start(*_run(home))
    _after_lines(process, when[0])
    time.sleep(when[1])
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    with Home.open(home, create=False, read_only=True) as opened:
        done = opened.journal.count_episodes()
    assert when[0] <= done < TASKS
    again = cli(*_run(home))
    assert again.code == 0, again.err
    assert f"resuming run 1 at iteration {done}" in again.out
    assert _memory(home) == uninterrupted


def test_a_killed_run_is_listed_as_interrupted_and_not_as_running(cli: Any, tmp_path: Path) -> None:
    home = tmp_path / "home"
    process = cli.start(*_run(home))
    _after_lines(process, 1)
    assert [r["status"] for r in cli("runs", "--home", home, "--json").json] == ["running"]
    process.kill()
    process.communicate()
    assert [r["status"] for r in cli("runs", "--home", home, "--json").json] == ["interrupted"]
    assert cli(*_run(home, 2)).code == 0
    assert [r["status"] for r in cli("runs", "--home", home, "--json").json] == ["finished"]


def test_ctrl_c_before_the_first_task_says_so(cli: Any, tmp_path: Path) -> None:
    with mock.patch("habilis.run.Agent.__init__", side_effect=KeyboardInterrupt):
        told = cli(*_run(tmp_path / "home"))
    assert told.code == 130
    assert "stopped; run the same command again" in told.err


def test_a_run_killed_twice_and_continued_in_two_steps(
    cli: Any, tmp_path: Path, uninterrupted: tuple[Any, Any]
) -> None:
    home = tmp_path / "home"
    for tasks in (3, 4):
        process = cli.start(*_run(home))
        _after_lines(process, tasks)
        process.kill()
        process.communicate()
    assert cli(*_run(home, 11)).code == 0
    assert cli(*_run(home)).code == 0
    assert _memory(home) == uninterrupted


@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_stops_cleanly_and_the_same_command_continues(
    cli: Any, tmp_path: Path, uninterrupted: tuple[Any, Any], times: int
) -> None:
    home = tmp_path / "home"
    process = cli.start(*_run(home))
    _after_lines(process, 4)
    for _ in range(times):  # a second one does not wait for the task in hand
        process.send_signal(signal.SIGINT)
        time.sleep(0.02)
    out, err = process.communicate(timeout=60)
    assert process.returncode in ((0,) if times == 1 else (0, 130)), err
    assert "Traceback" not in err
    assert "run stopped: " in out
    (run,) = cli("runs", "--home", home, "--json").json
    assert run["status"] == "stopped"
    assert 4 <= run["episodes"] < TASKS
    again = cli(*_run(home))
    assert again.code == 0
    assert f"resuming run 1 at iteration {run['episodes']}" in again.out
    assert cli("runs", "--home", home, "--json").json[0]["status"] == "finished"
    assert _memory(home) == uninterrupted


def test_two_processes_at_once(cli: Any, tmp_path: Path) -> None:
    home = tmp_path / "home"
    first = cli.start(*_run(home, 200))
    try:
        _after_lines(first, 2)
        for args in (["run", "-n", "1"], ["solve", "have 1 dirt"], ["skills", "retire", "have_dirt"]):
            second = cli(*args, "--home", home)
            assert second.code == 1
            assert f"process {first.pid} " in second.err
            assert "--home" in second.err
        for args in (["runs"], ["skills", "list"], ["models", "list"], ["tools", "list"]):  # reading is allowed
            assert cli(*args, "--home", home, "--json").code == 0
    finally:
        first.kill()
        first.communicate()
    assert cli("skills", "list", "--home", home).code == 0
    assert cli(*_run(home, 3)).code == 0  # the lock died with its owner


def test_a_reader_that_goes_away_ends_it_quietly(cli: Any, learned: Path, tmp_path: Path) -> None:
    for args in (["skills", "list", "--json", "--home", str(learned)], _run(tmp_path / "home", 200)):
        process = cli.start(*args)
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr is not None
        err = process.stderr.read()
        process.wait(timeout=60)
        assert "Traceback" not in err
        assert err == ""
    (run,) = cli("runs", "--home", tmp_path / "home", "--json").json
    assert run["status"] == "stopped"


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs a terminal")
def test_on_a_terminal_it_draws_and_leaves_the_closing_table(cli: Any, tmp_path: Path) -> None:
    master, slave = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", "from habilis.cli import main; main()", *_run(tmp_path / "home", 4)],
        env=cli.env | {"TERM": "xterm-256color", "COLUMNS": "100", "LINES": "40", "PYTHONIOENCODING": "utf-8"},
        stdin=slave,
        stdout=slave,
        stderr=slave,
    )
    os.close(slave)
    shown = b""
    while True:
        try:
            read = os.read(master, 65536)
        except OSError:
            break
        if not read:
            break
        shown += read
    os.close(master)
    assert process.wait(timeout=60) == 0
    text = shown.decode("utf-8", "replace")
    assert "Habilis · craft" in text
    assert "\x1b[" in text
    assert "4 tried" in text[text.rindex("finished") :]
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")  # the cursor is given back
