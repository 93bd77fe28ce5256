"""Programs, worlds and workers that are broken, met in the middle of a run: each is a clear error, what was done until
then is kept, and the next task is done as if nothing had been. What the runner says of each is in ``tests/worlds``."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from habilis import Agent
from habilis.core import (
    Action,
    Context,
    Draft,
    Episode,
    Feedback,
    IsolationError,
    Ledger,
    Outcome,
    Predicate,
    Primitive,
    Program,
    Snapshot,
    Task,
    WorldError,
    WorldSpec,
)
from habilis.core.goal import Fact
from habilis.memory import Home
from tests.worlds.sabotage import sabotaged

LIT = "lit()"
GOOD = Program("light", "def light():\n    world.switch()\n", (), (), "scripted")


class Lamp:
    """A lamp with a bare wire."""

    spec = WorldSpec(
        "lamp",
        "A lamp.",
        (Primitive("switch", "Switch it on."), Primitive("touch", "Touch the bare wire.")),
        (Predicate("lit", "Whether it shines."),),
        "lamp-1",
    )

    def __init__(self) -> None:
        self.on = False

    def reset(self, seed: int) -> Snapshot:
        return self.observe()

    def observe(self) -> Snapshot:
        return Snapshot({Fact("lit"): True} if self.on else {})

    def act(self, action: Action) -> Outcome:
        if action.name == "touch":
            raise ZeroDivisionError("sparks")
        self.on = True
        return Outcome(True)


class Scripted:
    """A writer that yields these programs, whatever comes of them."""

    name = "scripted"

    def __init__(self, *programs: Any) -> None:
        self.programs, self.told = programs, []

    async def drafts(self, task: Task, context: Context, ledger: Ledger) -> AsyncGenerator[Draft, Feedback]:
        for program in self.programs:
            self.told.append((yield Draft(program, {}, "")))


def episodes(home: Path) -> list[Episode]:
    with Home.open(home) as opened:
        (run,) = opened.journal.runs()
        return list(opened.journal.episodes(run.id))


def light(source: Any, name: Any = "light") -> Program:
    return Program(name, source, (), (), "scripted")


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (light("#" * 10_000_000), "10000000 characters; the limit is 1000000 bytes; write a shorter"),
        (light("def light():\n    '\0'\n"), "null byte; remove it"),
        (light("def light():\n    '\ud800'\n"), "half of a surrogate pair; remove it"),
        (light("def light(): pass", "li\0ght"), "is not a function name"),
        (light("def light(): pass", "li\ud800ght"), "is not a function name"),
        (light("def light(:\n"), "invalid syntax"),
    ],
    ids=["10 MB", "null byte", "half a pair", "null byte in the name", "half a pair in the name", "no Python"],
)
def test_a_source_that_cannot_run_is_an_attempt_that_failed(tmp_path: Path, bad: Program, says: str) -> None:
    with Agent(Lamp(), home=tmp_path / "home", writer=Scripted(bad, GOOD)) as agent:
        assert agent.solve_now(LIT).status == "solved"
    (kept,) = episodes(tmp_path / "home")
    first, second = kept.attempts
    assert (first.program, first.ok, second.program, second.ok) == (bad, False, GOOD, True)
    assert first.trajectory.error is not None
    assert says in first.trajectory.error.message
    assert first.trajectory.tier == second.trajectory.tier > 0


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (light(b"def light(): world.switch()"), "has the source b'def light(): world.switch()', which is no text"),
        (light(None), "has the source None, which is no text"),
        (light(7), "has the source 7, which is no text"),
        (light(GOOD.source, 5), "has the name 5, which is no text"),
        (Program("light", GOOD.source, ("n",), (), "scripted"), r"parameters ('n',), which is no tuple of Parameter"),  # type: ignore[arg-type]
        (Program("light", GOOD.source, (), ["other"], "scripted"), "calls ['other'], which is no tuple of str"),  # type: ignore[arg-type]
    ],
    ids=["bytes", "nothing", "a number", "the name", "the parameters", "the calls"],
)
def test_what_is_not_even_text_is_the_writers_mistake(tmp_path: Path, bad: Program, says: str) -> None:
    writer = Scripted(light("def light(): pass"), bad, GOOD)
    with Agent(Lamp(), home=tmp_path / "home", writer=writer) as agent:
        assert agent.solve_now(LIT).status == "failed"
        writer.programs = (GOOD,)
        assert agent.solve_now(LIT).status == "solved"
    failed, solved = episodes(tmp_path / "home")
    assert failed.reason.startswith("WriterError: the writer 'scripted' yielded a Draft whose program")
    assert says in failed.reason
    assert [len(failed.attempts), len(solved.attempts)] == [1, 1]  # what was tried before it is kept


def test_a_world_that_raises_while_it_is_driven_costs_the_task_alone(tmp_path: Path) -> None:
    writer = Scripted(light("def light(): pass"), light("def light():\n    world.touch()\n"), GOOD)
    with Agent(Lamp(), home=tmp_path / "home", writer=writer) as agent:
        assert agent.solve_now(LIT).status == "failed"
        writer.programs = (GOOD,)
        assert agent.solve_now(LIT).status == "solved"
    failed, _ = episodes(tmp_path / "home")
    assert failed.reason == "WorldError: the world lamp raised on touch(): ZeroDivisionError('sparks')"
    assert len(failed.attempts) == 1


@pytest.mark.parametrize(
    ("how", "look"),
    [
        *(("raises", look) for look in range(7)),
        ("leaves", 0),
        ("leaves", 3),
        ("gives nothing", 2),
        ("gives nothing", 5),
    ],
)
def test_a_world_that_cannot_be_looked_at_is_named(tmp_path: Path, how: str, look: int) -> None:
    """Whichever look it is, before the task, within it or after: an error of ours, and the next task is done."""

    class Dark(Lamp):
        looks = -1_000

        def observe(self) -> Any:
            self.looks += 1
            if self.looks != look + 1:
                return super().observe()
            if how == "leaves":
                raise SystemExit(0)
            return None if how == "gives nothing" else 1 / 0

    world, writer = Dark(), Scripted(light("def light(): pass"), GOOD)
    with Agent(world, home=tmp_path / "home", writer=writer) as agent:
        world.looks = 0
        try:
            told = agent.solve_now(LIT).reason
        except WorldError as error:  # before there was a task
            told = f"WorldError: {error}"
        assert world.looks > look
        if how == "gives nothing":
            assert told == "WorldError: the world lamp shows NoneType when observed, not Snapshot"
        else:
            when = "reset" if look == 1 else "observed"
            assert told.startswith(f"WorldError: the world lamp raised when {when}: ")
        world.on = False
        assert agent.solve_now(LIT).status == "solved"


@pytest.mark.parametrize("ability", ["affordances", "contracts", "simulator"])
def test_a_world_whose_abilities_raise_is_named(tmp_path: Path, ability: str) -> None:
    class Able(Lamp):
        spec = replace(Lamp.spec, capabilities=frozenset({ability}))
        broken = False

    def able(self: Able) -> Any:
        if self.broken:
            raise KeyError("a fuse")
        return None if ability == "simulator" else ()

    setattr(Able, ability, able)
    world = Able()
    with Agent(world, home=tmp_path / "home", writer=Scripted(GOOD)) as agent:
        world.broken = True
        said = f"the world lamp raised when asked for its {ability}: KeyError('a fuse')"
        assert agent.solve_now(LIT).reason == f"WorldError: {said}"
        with pytest.raises(WorldError, match=re.escape(said)):  # nothing can be proposed without
            agent.run_now(1)
        world.broken = False
        assert agent.solve_now(LIT).status == "solved"


def test_a_worker_that_dies_is_replaced_or_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = sabotaged(tmp_path, monkeypatch)
    good = server.read_text()
    lamp, writer = Lamp(), Scripted(light("def light(): pass"), GOOD)
    with Agent(lamp, home=tmp_path / "home", writer=writer) as agent:
        runner = agent._parts.runner
        os.kill(runner.processes[0], signal.SIGKILL)
        assert agent.solve_now(LIT).status == "solved"
        os.kill(runner.processes[0], signal.SIGKILL)
        lamp.on = False
        server.write_text("raise SystemExit('no worker today')\n")
        with pytest.raises(IsolationError, match="did not start: no worker today"):
            agent.solve_now(LIT)
        server.write_text(good)
        assert agent.solve_now(LIT).status == "solved"
    first, *_, last = episodes(tmp_path / "home")
    assert [len(first.attempts), len(last.attempts)] == [2, 2]
