"""Killed or stopped in the middle of a task: no tool that is not safe to retry is called again when the run goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from habilis.core import dump
from habilis.memory import Home

# An orchard where each task orders, then picks five figs. What reaches the world and the tools is written to a file of
# its own, beyond the reach of a kill; `die` says where the process kills itself.
SCRIPT = '''
import os, pathlib, signal, sys, json
from habilis import Agent, World, tool
from habilis.core import Draft, Program
home, log, die, tasks, budget = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), *sys.argv[3:6]
bag = {"fig": 0}

def note(text):
    with log.open("a") as file:
        file.write(text + "\\n")

def pick() -> None:
    """Pick a fig."""
    if die == "world":
        os.kill(os.getpid(), signal.SIGKILL)
    bag["fig"] += 1

def order(thing: str) -> int:
    """Order a fig to find out what pick() does."""
    note(f"order {thing}")
    if die == "tool":
        os.kill(os.getpid(), signal.SIGKILL)
    if thing == "bad":
        raise ValueError("sold out")
    return 5

def look(thing: str) -> str:
    """Look at a fig to find out what pick() does."""
    note(f"look {thing}")
    if die == "look":
        os.kill(os.getpid(), signal.SIGKILL)
    return "ripe"

class Orders:
    name = "orders"
    async def drafts(self, task, context, ledger):
        source = """
def have_figs():
    tools.look("fig")
    try:
        tools.order("bad")
    except ToolFailed:
        pass
    try:
        n = tools.order("fig")
    except ToolFailed as error:
        print(error)
        n = 3
    for _ in range(n):
        world.pick()
"""
        yield Draft(Program("have_figs", source, (), (), "orders"))

most = int(os.environ.get("MOST", "9"))
tools = [tool(max_calls=most)(order), tool(safe_to_retry=True)(look)]
world = World.from_functions([pick], observe=lambda: {"count": bag}, name="orchard")
with Agent(world, home=home, writer=Orders(), tools=tools, budget=budget or None) as agent:
    if tasks.isdigit():
        summary = agent.run_now(int(tasks))
        told = {"status": summary.status, "tried": summary.tried, "run": summary.run_id}
    else:
        told = {"status": agent.solve_now(tasks).status, "run": agent._parts.run_id}
print(json.dumps(told | {"bag": bag["fig"]}))
'''


class Orchard:
    def __init__(self, path: Path) -> None:
        self.home, self.log = path / "home", path / "log"
        self.log.touch()

    def run(self, *, die: str = "", tasks: int | str = 1, budget: str = "", most: int = 9) -> dict[str, Any]:
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, str(self.home), str(self.log), die, str(tasks), budget],
            env={**os.environ, "HABILIS_CACHE": str(self.home.parent / "cache"), "MOST": str(most)},
            capture_output=True,
            text=True,
            timeout=120,
        )
        if die:
            assert done.returncode == -signal.SIGKILL, done.stderr
            return {}
        assert done.returncode == 0, done.stderr
        result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return result

    @property
    def calls(self) -> list[str]:
        return self.log.read_text().splitlines()

    def episodes(self) -> list[Any]:
        with Home.open(self.home, create=False, read_only=True) as home:
            return list(home.journal.episodes())


@pytest.fixture
def orchard(tmp_path: Path) -> Orchard:
    return Orchard(tmp_path)


ONCE = ["look fig", "order bad", "order fig"]


def test_killed_after_the_call_its_answer_is_taken_from_the_journal(orchard: Orchard) -> None:
    orchard.run(die="world")
    assert orchard.calls == ONCE
    assert orchard.episodes() == []
    orchard.run(die="world")  # and once more, in the same place
    result = orchard.run()
    assert orchard.calls == ONCE
    assert (result["run"], result["tried"], result["bag"]) == (1, 1, 5)  # the 5 that was answered before the kill
    (episode,) = orchard.episodes()
    assert [(c.tool, c.value, c.error is None) for c in episode.attempts[0].trajectory.tape] == [
        ("look", "ripe", True),
        ("order", None, False),
        ("order", 5, True),
    ]


def test_killed_in_the_call_it_is_not_made_again(orchard: Orchard) -> None:
    orchard.run(die="tool")
    assert orchard.calls == ONCE[:2]
    result = orchard.run()
    assert orchard.calls == ONCE
    assert result["bag"] == 5
    assert "whether it was carried out is not known" in orchard.episodes()[0].attempts[0].trajectory.tape[1].error


def test_what_is_safe_to_retry_is_asked_again_if_the_answer_was_lost(orchard: Orchard) -> None:
    orchard.run(die="look")
    orchard.run()
    assert orchard.calls == ["look fig", *ONCE]


def test_the_next_task_calls_anew(orchard: Orchard) -> None:
    orchard.run(die="world")
    result = orchard.run(tasks=2)
    assert result["tried"] == len(orchard.episodes())
    assert orchard.calls == ONCE * result["tried"]


def test_stopped_by_a_limit_the_task_goes_on_with_its_answers(orchard: Orchard) -> None:
    first = orchard.run(budget="world_steps=2")
    assert (first["status"], first["tried"]) == ("stopped", 1)
    (stopped,) = orchard.episodes()
    assert (stopped.index, stopped.status) == (0, "stopped")
    assert stopped.cost.calls == 3
    result = orchard.run(budget="world_steps=50")
    assert orchard.calls == ONCE
    (episode,) = orchard.episodes()
    assert (result["run"], episode.index, episode.task) == (1, 0, stopped.task)
    assert episode.status != "stopped"
    assert episode.cost.calls == 3  # of both parts
    assert episode.cost.world_steps > stopped.cost.world_steps


# ---------------------------------------------------------------------- a goal of the user's

FIGS = 'count("fig") >= 5'


def test_a_goal_that_was_killed_goes_on_when_it_is_asked_for_again(orchard: Orchard) -> None:
    orchard.run(die="world", tasks=FIGS)
    orchard.run(die="world", tasks=FIGS)
    result = orchard.run(tasks=FIGS)
    assert orchard.calls == ONCE
    assert (result["run"], result["status"], result["bag"]) == (1, "solved", 5)
    with Home.open(orchard.home, create=False, read_only=True) as home:
        (run,) = home.journal.runs()
    assert (run.status, run.spent.calls) == ("finished", 3)
    assert orchard.run(tasks=FIGS)["run"] == 2  # that one is done


def test_a_goal_that_a_limit_stopped_goes_on_with_its_answers(orchard: Orchard) -> None:
    assert orchard.run(tasks=FIGS, budget="calls=1")["status"] == "stopped"
    assert orchard.calls == ONCE[:1]
    assert orchard.run(tasks=FIGS, budget="calls=1") == {"status": "stopped", "run": 1, "bag": 0}  # still spent
    assert orchard.calls == ONCE[:1]
    orchard.run(die="world", tasks=FIGS, budget="calls=9")  # killed in its second part, with new answers
    result = orchard.run(tasks=FIGS, budget="calls=9")
    assert orchard.calls == ONCE
    assert (result["run"], result["status"]) == (1, "solved")
    assert [e.status for e in orchard.episodes()] == ["stopped", "stopped", "solved"]


def test_another_goal_or_configuration_begins_anew(orchard: Orchard) -> None:
    orchard.run(die="world", tasks=FIGS)
    assert orchard.run(tasks='count("fig") >= 4')["run"] == 2
    assert orchard.calls == ONCE * 2
    assert orchard.run(tasks=1)["run"] == 3
    assert orchard.run(tasks=FIGS)["run"] == 1


def test_a_goal_killed_before_anything_was_asked_is_the_same_run(orchard: Orchard) -> None:
    orchard.run(die="look", tasks=FIGS)
    result = orchard.run(tasks=FIGS)
    assert (result["run"], result["status"]) == (1, "solved")
    assert orchard.calls == ["look fig", *ONCE]  # safe to retry, and its answer was lost


def test_a_run_that_goes_on_counts_the_calls_it_has_made(orchard: Orchard) -> None:
    orchard.run(die="world", most=2)
    orchard.run(tasks=3, most=2)
    assert [c for c in orchard.calls if c.startswith("order")] == ["order bad", "order fig"]


def test_what_a_call_costs_is_not_forgotten_by_a_kill(orchard: Orchard) -> None:
    orchard.run(die="tool")
    for _ in range(2):  # once, however often the home is opened
        with Home.open(orchard.home, create=False) as home:
            assert home.journal.runs()[0].spent.calls == 2
            (told,) = (e.data for e in home.journal.events(1) if e.kind == "left_open")
            assert (told["what"], told["charged"]) == ("the tool order", {"calls": 1})


# A seeded world that is put back where it was; each program asks before it tries.
CRAFT = """
import os, signal, sys
from habilis import Agent, AgentSettings, tool
from habilis.core import Cost, Draft, Program
home, die = sys.argv[1], int(sys.argv[2])
seen = []

def watch(event):
    if event.kind == "tool_called":
        seen.append(event)
        if len(seen) == die:
            os.kill(os.getpid(), signal.SIGKILL)

@tool(cost=Cost(usd=0.25))
def ask(what: str) -> int:
    '''Whether to try what is in reach.'''
    return 1

class Asks:
    name = "asks"
    async def drafts(self, task, context, ledger):
        action = task.action or 'find("dirt")'
        source = f"def go():\\n    if tools.ask({action!r}) == 1:\\n        world.{action}\\n"
        yield Draft(Program("go", source, (), (), "asks"), {}, "")

how = {"writer": Asks(), "tools": [ask], "budget": "usd=5"}
with Agent("craft", home=home, settings=AgentSettings(seed=3), **how) as agent:
    agent.events.subscribe(watch)
    agent.run_now(8)
print(len(seen))
"""


def test_killed_at_a_tool_call_a_run_in_a_seeded_world_goes_on_as_if_it_had_not_been(tmp_path: Path) -> None:
    def run(home: str, die: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, "-c", CRAFT, str(tmp_path / home), str(die)],
            env={**os.environ, "HABILIS_CACHE": str(tmp_path / "cache")},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == (-signal.SIGKILL if die else 0), done.stderr
        return done.stdout

    def memory(home: str) -> tuple[Any, ...]:
        with Home.open(tmp_path / home, create=False, read_only=True) as opened:
            (only,) = opened.journal.runs()
            episodes = [
                (e.index, e.task, e.status, e.skill, [(a.program, a.ok) for a in e.attempts])
                for e in opened.journal.episodes()
            ]
            return episodes, [dump(s) for s in opened.journal.skills(None)], only.spent.usd

    calls = int(run("whole"))
    assert calls >= 8
    run("parts", die=1)
    run("parts", die=2)
    run("parts")
    assert memory("parts") == memory("whole")
