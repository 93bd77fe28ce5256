"""A tool that lies to an agent about what it costs: told, kept in the home, and not called again, or priced anew."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from habilis import Agent, AgentSettings, World, tool
from habilis.core import Context, Cost, Draft, Event, Feedback, InputError, Ledger, Program, Task
from habilis.tools import Priced


@tool(cost=Cost(usd=0.25))
def order(thing: str) -> Priced:
    """Order a thing to find out what pick() does."""
    return Priced(5, Cost(usd=0.5))


class Orders:
    """Writes a program that orders once, and picks."""

    name = "orders"

    async def drafts(self, task: Task, context: Context, ledger: Ledger) -> AsyncGenerator[Draft, Feedback]:
        source = 'def have_figs():\n    for _ in range(tools.order("fig")):\n        world.pick()\n'
        yield Draft(Program("have_figs", source, (), (), "orders"))


def agent(home: Path, **options: Any) -> tuple[Agent, list[Event]]:
    bag = {"fig": 0}

    def pick() -> None:
        """Pick a fig."""
        bag["fig"] += 1

    world = World.from_functions([pick], observe=lambda: {"count": bag}, name="orchard")
    made = Agent(world, home=home, writer=Orders(), tools=[order], **options)
    seen: list[Event] = []
    made.events.subscribe(seen.append)
    return made, seen


LENIENT = AgentSettings(overruns="reprice")


def test_an_overrun_is_told_kept_and_reserved_in_the_next_run(tmp_path: Path) -> None:
    first, seen = agent(tmp_path, budget="usd=0.3", settings=LENIENT)
    with first:
        assert first.solve_now('count("fig") >= 5').solved
        assert first.spent.usd == 0.5
        journal = first._parts.home.journal
        (kept,) = [e.data for e in journal.events(1) if e.kind == "overrun"]
    (told,) = [e.data for e in seen if e.kind == "overrun"]
    assert dict(told) == dict(kept)
    assert (told["number"], told["next"]) == (1, "priced anew")
    assert (told["most"], told["cost"]) == ({"usd": 0.25, "calls": 1}, {"usd": 0.5, "calls": 1})
    assert any("has cost usd=0.25 more than was declared" in str(e.data) for e in seen if e.kind == "warning")
    # enough for what it declares, not for what it costs
    second, _ = agent(tmp_path, budget="usd=0.3", settings=LENIENT)
    with second:
        assert second._parts.registry.stats("order").most.usd == 0.75
        assert not second.solve_now('count("fig") >= 5').solved
        assert second.spent.usd == 0.0
    third, seen = agent(tmp_path, budget="usd=1", settings=LENIENT)
    with third:
        assert third.solve_now('count("fig") >= 5').solved
    assert not [e for e in seen if e.kind == "overrun"]


def test_a_tool_that_overran_is_neither_picked_nor_called_again(tmp_path: Path) -> None:
    for solved, spent in ((True, 0.5), (False, 0.0)):
        one, seen = agent(tmp_path, budget="usd=1")
        with one:
            episode = one.solve_now('count("fig") >= 5')
            assert (episode.solved, one.spent.usd, "tool:order" in episode.picked) == (solved, spent, solved)
    assert any("order is not called any more" in str(e.data) for e in seen if e.kind == "warning")
    with pytest.raises(InputError, match="reprice, refuse"):
        agent(tmp_path, settings=AgentSettings(overruns="ignore"))  # type: ignore[arg-type]
