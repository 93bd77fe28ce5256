"""Documents and demonstrations: picked by kind, paid for once in a run, credited with the outcome."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from habilis import Agent, World
from habilis.agent.tape import TaskTape
from habilis.core import Budget, Context, Cost, Draft, Feedback, Kind, Ledger, Program, Reading, Task
from habilis.memory.journal import Journal

GIVEN: list[tuple[Reading, ...]] = []


class Reader:
    """Reads all it is given, and does what it knows."""

    name = "reader"
    uses = frozenset({Kind.TOOL, Kind.SKILL, Kind.DOCUMENT, Kind.DEMONSTRATION})

    async def drafts(self, task: Task, context: Context, ledger: Ledger) -> AsyncGenerator[Draft, Feedback]:
        GIVEN.append(tuple(context.read()))
        for n in (1, 2, 3):
            source = f"def brew_{n}():\n    for _ in range({n}):\n        world.brew()\n"
            feedback = yield Draft(Program(f"brew_{n}", source, (), (), self.name))
            if feedback.verdict.ok:
                return


class Blind(Reader):
    """Has no use for what is written."""

    name = "blind"
    uses = frozenset({Kind.TOOL, Kind.SKILL})


def agent(home: Path, writer: Reader, budget: Budget, stock: dict[str, int] | None = None) -> Agent:
    shelf = stock if stock is not None else {"tea": 0}

    def brew() -> None:
        "Brew one tea."
        shelf["tea"] += 1

    world = World.from_functions([brew], observe=lambda: {"count": shelf})
    return Agent(world, home=home, writer=writer, budget=budget)


@pytest.fixture(autouse=True)
def _nothing_given() -> None:
    GIVEN.clear()


@pytest.fixture
def book(tmp_path: Path) -> Path:
    path = tmp_path / "tea.md"
    path.write_text("# Tea\nTo have tea, brew tea: one brew gives one tea.\n\n# Coffee\nNobody has coffee.\n")
    return path


def uses(made: Agent) -> dict[str, list[tuple[bool, float]]]:
    found: dict[str, list[tuple[bool, float]]] = {}
    for one in made._parts.home.journal.uses():
        found.setdefault(one.augmentation, []).append((one.ok, one.cost.usd))
    return found


def test_a_document_is_bought_once_in_a_run_and_credited(tmp_path: Path, book: Path) -> None:
    with agent(tmp_path / "home", Reader(), Budget(usd=1)) as made:
        made.know(book, cost=Cost(usd=0.3))
        first = asyncio.run(made.solve("have 1 tea"))
        second = asyncio.run(made.solve("have 3 tea"))
        assert first.solved
        assert second.solved
        assert "one brew gives one tea" in GIVEN[0][0].text
        assert GIVEN[0][0].kind is Kind.DOCUMENT
        assert first.cost.usd == pytest.approx(0.3)
        assert second.cost.usd == 0
        bought = [e for e in made._parts.home.journal.events(made._parts.run_id) if e.kind == "document_bought"]
        assert len(bought) == 1
        paid = sorted(one for id, found in uses(made).items() if id.startswith("document:") for one in found)
        assert paid[-1] == (True, 0.3)
        assert {usd for _, usd in paid[:-1]} == {0.0}


def test_what_cannot_be_paid_is_not_shown(tmp_path: Path, book: Path) -> None:
    with agent(tmp_path / "home", Reader(), Budget(usd=0.2)) as made:
        made.know(book, cost=Cost(usd=0.3))
        episode = asyncio.run(made.solve("have 1 tea"))
        assert episode.solved
        assert episode.cost.usd == 0
        assert not [r for r in GIVEN[0] if r.kind is Kind.DOCUMENT]


def test_who_does_not_read_buys_nothing(tmp_path: Path, book: Path) -> None:
    with agent(tmp_path / "home", Blind(), Budget(usd=1)) as made:
        made.know(book, cost=Cost(usd=0.3))
        episode = asyncio.run(made.solve("have 1 tea"))
        assert episode.solved
        assert (episode.cost.usd, episode.picked) == (0, ())
        assert GIVEN == [()]


def test_solved_tasks_are_shown_as_demonstrations_in_their_world(tmp_path: Path) -> None:
    home = tmp_path / "home"
    shelf = {"tea": 0}
    with agent(home, Reader(), Budget(), shelf) as made:
        assert asyncio.run(made.solve("have 2 tea")).solved
    shelf["tea"] = 0
    with agent(home, Reader(), Budget(), shelf) as made:
        assert asyncio.run(made.solve("have 3 tea")).solved
    (shown,) = [r for r in GIVEN[-1] if r.kind is Kind.DEMONSTRATION]
    assert "world.brew()" in shown.text

    def wait() -> None:
        "Wait."

    other = World.from_functions([wait], observe=lambda: {"count": {"tea": 0}}, name="elsewhere")
    with Agent(other, home=home, writer=Reader(), budget=Budget()) as made:
        asyncio.run(made.solve("have 3 tea"))
    assert not [r for r in GIVEN[-1] if r.kind is Kind.DEMONSTRATION]


def test_a_kill_while_a_document_is_paid_for_charges_it_once(tmp_path: Path) -> None:
    price = Cost(usd=0.25)
    with Journal(tmp_path / "journal.sqlite") as journal:
        run = journal.start_run({})
        ledger = Ledger(Budget(usd=1), keeper=journal.keeper(run))
        ledger.reserve(price, what="the document guide")
        TaskTape(journal, run, lambda: ledger.spent).bought("guide", price)
    with Journal(tmp_path / "journal.sqlite") as journal:  # the process was killed here
        journal.settle_left_open()
        assert journal.run(run).spent == price
        assert [e.kind for e in journal.events(run)] == ["document_bought", "left_open"]
