"""Ctrl-C while something hangs in the host: a world's action or observation, a tool, a training."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from habilis.memory import Home

# A world whose action hangs, or whose observation does after a while; a file appears when it does.
SOURCE = '''
import pathlib, sys, time
from habilis import World, tool
from habilis.core import Cost

def hang():
    pathlib.Path("hanging").touch()
    time.sleep(10**6)

def make(where="act", after=0):
    seen = [0]

    def nap() -> None:
        """Sleep for a while."""
        if where == "act":
            hang()

    def look() -> dict:
        seen[0] += 1
        if where == "observe" and seen[0] > after:
            hang()
        return {"rested": 0}

    return World.from_functions([nap], observe=look, name="bed")
'''
# The same with a writer of programs, for a tool; and as a library, for the third Ctrl-C there.
SCRIPT = '''
import sys
sys.path.insert(0, ".")
import hang as there
from habilis import Agent, tool
from habilis.core import Draft, Program

@tool
def oracle() -> str:
    """Say how to be rested (nap, sleep)."""
    there.hang()
    return ""

class Asks:
    name = "asks"
    async def drafts(self, task, context, ledger):
        call = "tools.oracle()" if sys.argv[2] == "tool" else "world.nap()"
        yield Draft(Program("go", f"def go():\\n    {call}\\n", (), (), "asks"))

with Agent(there.make("act"), home=sys.argv[1], writer=Asks(), tools=[oracle]) as agent:
    try:
        agent.run_now(2)
    except KeyboardInterrupt:
        print("interrupted")
print("closed")
'''

# The command line with a training of many short steps in place of the real one, on a corpus of nothing.
SLOW = """
import pathlib, time, types
import habilis._distil
import habilis.trainer
from habilis.core import ModelError

def distil(*args, stop, progress, **more):
    for step in range(10**6):
        progress("train", step, 10**6, 1.0)
        if stop():
            raise ModelError(f"stopped after step {step}")
        time.sleep(0.05)
        pathlib.Path("hanging").touch()

habilis._distil.corpus_of = lambda parts, **asked: types.SimpleNamespace(train=())
habilis.trainer.distil_corpus = distil
from habilis.cli import main
main()
"""


@pytest.fixture
def started(cli: Any, tmp_path: Path) -> Iterator[Any]:
    (tmp_path / "hang.py").write_text(SOURCE)
    (tmp_path / "script.py").write_text(SCRIPT)
    made: list[subprocess.Popen[str]] = []

    def start(*command: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, *command],
            env=cli.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
            start_new_session=True,  # so that what it leaves behind is found
        )
        made.append(process)
        until = time.monotonic() + 60
        while not (tmp_path / "hanging").exists():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < until
            time.sleep(0.05)
        time.sleep(0.2)
        return process

    yield start
    for process in made:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def _press(process: subprocess.Popen[str], times: int) -> None:
    for _ in range(times):
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)


def _nobody_is_left(process: subprocess.Popen[str]) -> None:
    until = time.monotonic() + 10
    while time.monotonic() < until:
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    raise AssertionError("a process of it is still there")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--option", "where=act"], "a program in the world, now in hang (hang.py, line 8)"),
        (["--option", "where=observe", "--option", "after=6"], "now in hang (hang.py, line 8)"),
        (["--option", "where=observe", "--option", "after=4"], "hang (hang.py, line 8)"),
    ],
    ids=["act", "observe", "observe in the loop"],
)
@pytest.mark.parametrize("command", [["run", "-n", "3"], ["solve", "rested() >= 1"]], ids=["run", "solve"])
def test_a_third_ctrl_c_ends_what_hangs(
    started: Any, tmp_path: Path, command: list[str], options: list[str], told: str
) -> None:
    code = "from habilis.cli import main; main()"
    process = started("-c", code, *command, "--world", "hang.py:make", *options, "--home", str(tmp_path / "home"))
    _press(process, 1)
    assert process.poll() is None  # it waits for the safe point
    _press(process, 1)
    assert process.poll() is None
    began = time.monotonic()
    _press(process, 1)
    _, err = process.communicate(timeout=10)
    assert time.monotonic() - began < 5
    assert process.returncode == 130, err
    first, second, *more = err.splitlines()
    assert "stopping at the next safe point" in first
    assert f"{told}; Ctrl-C again ends the process" in second
    assert more == []
    _nobody_is_left(process)
    with Home.open(tmp_path / "home", create=False) as home:  # whole, and free again
        assert home.journal.check() == []


def test_a_tool_that_hangs_is_named(started: Any, tmp_path: Path) -> None:
    process = started("script.py", str(tmp_path / "home"), "tool")
    _press(process, 2)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=15)
    assert "still waiting for a program in the world, now in the tool oracle; " in err
    assert out.splitlines() == ["interrupted", "closed"], err


def test_in_users_own_code_the_third_raises_and_nothing_is_waited_for(started: Any, tmp_path: Path) -> None:
    process = started("script.py", str(tmp_path / "home"), "act")
    _press(process, 3)
    out, err = process.communicate(timeout=15)
    assert (out.splitlines(), process.returncode) == (["interrupted", "closed"], 0), err
    _nobody_is_left(process)
    with Home.open(tmp_path / "home", create=False) as home:
        assert home.journal.runs()[0].status == "stopped"


def test_ctrl_c_stops_a_distillation_at_its_next_step(started: Any, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    (tmp_path / "slow.py").write_text(SLOW)
    Home.open(tmp_path / "home").close()
    process = started("slow.py", "distil", "--home", str(tmp_path / "home"))
    began = time.monotonic()
    _press(process, 1)
    _, err = process.communicate(timeout=20)
    assert time.monotonic() - began < 10
    assert process.returncode == 1
    assert "stopping at the next safe point" in err
    assert err.splitlines()[-1].startswith("error: stopped after step ")
