"""A skill called as a function: from an agent that has just begun, and after a run; charged, recorded, learned from."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from habilis import Agent, World, tool
from habilis.core import Context, Cost, Draft, Feedback, Ledger, Program, SkillError, Task
from habilis.memory import Home
from habilis.tools import Tool


class Kitchen:
    """Eggs are boiled one by one; a bell is rung before."""

    def __init__(self) -> None:
        self.pot = {"egg": 0}
        self.rung: list[str] = []
        self.cold = False

    def world(self) -> World:
        def boil() -> None:
            """Boil one egg."""
            if self.cold:
                raise ValueError("the stove is cold")
            self.pot["egg"] += 1

        return World.from_functions([boil], observe=lambda: {"count": self.pot}, name="kitchen")

    def bell(self) -> Tool:
        @tool(cost=Cost(usd=0.01))
        def ring(whom: str) -> str:
            """Ring before you boil an egg."""
            self.rung.append(whom)
            return "rung"

        return ring


class Rings:
    name = "rings"

    async def drafts(self, task: Task, context: Context, ledger: Ledger) -> AsyncGenerator[Draft, Feedback]:
        source = 'def have_egg():\n    tools.ring("all")\n    while world.count("egg") < 2:\n        world.boil()\n'
        yield Draft(Program("have_egg", source, (), (), "rings"), {}, 'count("egg") >= 2')


def agent(kitchen: Kitchen, home: Path) -> Agent:
    return Agent(kitchen.world(), home=home, writer=Rings(), tools=[kitchen.bell()], budget="usd=1")


@pytest.fixture
def learned(tmp_path: Path) -> Path:
    with agent(Kitchen(), tmp_path / "home") as first:
        assert first.solve_now('count("egg") >= 2').skill == "have_egg"
    return tmp_path / "home"


def test_a_fresh_agent_calls_a_skill_that_calls_a_tool(learned: Path) -> None:
    kitchen = Kitchen()
    with agent(kitchen, learned) as fresh:
        assert fresh.skill("have_egg")() is None
        assert fresh.spent.usd == pytest.approx(0.01)
        fresh.skill("have_egg")()
    assert (kitchen.rung, kitchen.pot) == (["all", "all"], {"egg": 2})
    with Home.open(learned, create=False, read_only=True) as home:
        run = home.journal.runs()[-1]
        assert (run.config["kind"], run.status) == ("solve", "finished")
        assert (run.spent.usd, run.spent.world_steps) == (pytest.approx(0.02), 2)
        called = [e.data for e in home.journal.events(run.id) if e.kind == "tool_called"]
    assert [(c["tool"], c["value"]) for c in called] == [("ring", "rung")] * 2


def test_a_skill_is_called_after_a_run_in_the_world_as_it_stands(learned: Path) -> None:
    kitchen = Kitchen()
    with agent(kitchen, learned) as later:
        summary = later.run_now()
        assert summary.status == "finished"
        kitchen.pot["egg"] = 1
        before = len(kitchen.rung)
        later.skill("have_egg")()
        assert kitchen.pot == {"egg": 2}
        assert len(kitchen.rung) == before + 1
        assert later.report().name == f"run-{summary.run_id}.html"
    with Home.open(learned, create=False, read_only=True) as home:
        assert home.journal.run(summary.run_id).spent == summary.spent  # an ended run is charged no more
        assert home.journal.runs()[-1].spent.usd == pytest.approx(0.01)


def test_what_a_call_teaches_is_stored_also_when_it_fails(tmp_path: Path) -> None:
    with agent(Kitchen(), tmp_path / "home") as first:
        first.solve_now('count("egg") >= 2')
        fingerprint = first.world.spec.fingerprint
    kitchen = Kitchen()
    kitchen.cold = True

    def failures() -> int:
        with Home.open(tmp_path / "home", create=False, read_only=True) as home:
            return sum(c.failures for c in home.journal.contracts(fingerprint))

    before = failures()
    with agent(kitchen, tmp_path / "home") as later, pytest.raises(SkillError, match="the stove is cold"):
        later.skill("have_egg")()
    assert failures() == before + 1
    with Home.open(tmp_path / "home", create=False, read_only=True) as home:
        assert home.journal.runs()[-1].spent.usd == pytest.approx(0.01)
