"""One home, several worlds: what was learned in one is offered in another, and proven there first."""

from __future__ import annotations

import contextlib
import io
import shutil
import sys
from collections.abc import AsyncGenerator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from habilis import Agent, AgentSettings
from habilis.cli import main
from habilis.core import Budget, Context, Cost, Draft, Episode, Event, Feedback, Ledger, Program, Skill, Task
from habilis.memory.home import Home
from habilis.memory.library import SkillLibrary
from tests.agent.conftest import Rule, RuleWorld, make_world

JUICE = 'count("juice") >= 2'


def press(name: str, figs: int = 2, action: str = "squeeze") -> RuleWorld:
    """Figs are picked, and so many pressed to one juice."""
    rules = [
        Rule.of("pick()", adds={'count("fig")': 1}),
        Rule.of(f"{action}()", f'count("fig") >= {figs}', adds={'count("fig")': -figs, 'count("juice")': 1}),
    ]
    return make_world(rules, name=name)


def bottled(name: str, actions: tuple[str, ...] = ("fill",), predicate: str = "count") -> RuleWorld:
    """The same, and juice is filled into bottles by any of these actions."""
    rules = [*press(name).rules.values()]
    rules += [
        Rule.of(f"{a}()", 'count("juice") >= 1', adds={'count("juice")': -1, f'{predicate}("bottle")': 1})
        for a in actions
    ]
    return make_world(rules, name=name)


def without_reasons(world: RuleWorld) -> RuleWorld:
    spec = replace(world.spec, capabilities=world.spec.capabilities - {"reasons"})
    return replace(world, spec=spec, facts=dict(world.facts))


class Life:
    """A home, and what happens in it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.events: list[Event] = []
        self.spent = Cost()
        self.episodes: list[Episode] = []

    def solve(self, world: RuleWorld, *goals: str, **options: Any) -> dict[str, Skill]:
        """Work on these goals in this world; the world's skills afterwards."""
        settings = AgentSettings(index="exact", embedder="hash", transfer=options.pop("transfer", True))
        self.events = []
        with Agent(world, home=self.home, settings=settings, **options) as agent:
            agent.events.subscribe(self.events.append)
            self.episodes = [agent.solve_now(goal) for goal in goals]
            self.spent = agent.spent
            return {name: bound.skill for name, bound in agent.skills.items()}

    def offered(self) -> list[tuple[list[str], list[str]]]:
        """What was proven from elsewhere in the last life: what held, what did not."""
        told = [e.data for e in self.events if e.kind == "skills_transferred"]
        return [([s["name"] for s in t["skills"]], sorted(t["refused"])) for t in told]

    @contextlib.contextmanager
    def library(self, fingerprint: str) -> Iterator[SkillLibrary]:
        """The skills of one world, to be changed by hand."""
        with (
            Home.open(self.home) as home,
            SkillLibrary.open(home, embedder=None, fingerprint=fingerprint) as library,
        ):
            yield library

    def admitted(self) -> list[str]:
        return [str(e.data["name"]) for e in self.events if e.kind == "skill_admitted"]


class Misnamed:
    """Writes a program that picks a fig, under the name of another."""

    name = "misnamed"

    async def drafts(self, task: Task, context: Context, ledger: Ledger) -> AsyncGenerator[Draft, Feedback]:
        yield Draft(Program("have_juice", "def have_juice():\n    world.pick()\n"), {}, 'count("fig") >= 1')


@pytest.fixture
def life(tmp_path: Path) -> Life:
    return Life(tmp_path / "home")


def test_a_skill_is_proven_in_the_other_world_and_kept_there_with_its_origin(life: Life) -> None:
    mine = life.solve(press("valley"), JUICE)["have_juice"]
    other = life.solve(press("hill"), JUICE)["have_juice"]
    assert life.offered() == [(["have_juice"], [])]
    assert life.admitted() == []  # nothing was written anew
    assert other.program == mine.program
    assert (other.world, other.fingerprint, other.version) == ("hill", "hill-1", 2)
    assert other.evidence.successes == 4
    assert all(t.world_steps for t in other.evidence.trials)
    assert other.whence == "have_juice version 1 of valley (valley-1), proven again here"
    assert life.spent.world_steps >= sum(t.world_steps for t in other.evidence.trials) + 6
    assert mine.whence == ""


def test_what_it_calls_is_proven_before_it(life: Life) -> None:
    valley = life.solve(bottled("valley"), JUICE, 'count("bottle") >= 1')
    assert valley["have_bottle"].program.calls == ("have_juice",)
    hill = life.solve(bottled("hill"), 'count("bottle") >= 1')
    assert life.offered() == [(["have_juice", "have_bottle"], [])]
    assert hill["have_bottle"].program.calls == ("have_juice",)


def test_what_fails_there_is_left_behind_and_not_offered_again(life: Life) -> None:
    life.solve(press("valley"), JUICE)
    hill = life.solve(press("hill", 5), JUICE)
    assert life.offered() == [([], ["have_juice"])]
    assert hill["have_juice"].whence == ""
    assert life.admitted() == ["have_juice"]
    with Home.open(life.home, read_only=True) as home:
        reasons = [t.reason for t in home.journal.transitions("have_juice") if t.version == 1]
    assert reasons[-1].startswith("does not hold in hill (hill-1): ")
    with life.library("hill-1") as library:
        library.retire("have_juice", "a trial")
    life.solve(press("hill", 5), JUICE)
    assert life.offered() == []


def test_one_that_has_changed_is_offered_anew(life: Life) -> None:
    life.solve(press("valley"), JUICE)
    life.solve(press("hill", 5), JUICE)
    with life.library("hill-1") as library:
        library.retire("have_juice", "a trial")
    with life.library("valley-1") as library:
        known = library.get("have_juice")
        source = known.program.source.replace("2 * times", "9 * times")
        library.admit(replace(known, program=replace(known.program, source=source)), "picks more figs")
    hill = life.solve(press("hill", 5), JUICE)
    assert life.offered() == [(["have_juice"], [])]
    assert "9 * times" in hill["have_juice"].program.source


def test_what_uses_something_that_is_not_there_is_not_offered(life: Life) -> None:
    life.solve(press("valley"), JUICE)
    life.solve(press("hill", action="stamp"), JUICE)  # another action
    assert life.offered() == []
    life.solve(bottled("plain"), 'count("bottle") >= 1')
    life.solve(bottled("coast", predicate="holds"), 'holds("bottle") >= 1')
    assert life.offered() == []
    rules = [Rule.of('pick("tree")', adds={'count("fig")': 1}), *list(press("x").rules.values())[1:]]
    life.solve(make_world(rules, name="wood"), JUICE)  # the same name, another signature
    assert life.offered() == []


def test_nothing_is_offered_where_nothing_is_lacking_or_wanted(life: Life) -> None:
    life.solve(press("valley"), JUICE)
    life.solve(press("hill"), JUICE)
    life.solve(press("hill"), 'count("juice") >= 3')
    assert life.offered() == []
    life.solve(press("dale"), JUICE, transfer=False)
    assert life.offered() == []
    assert life.admitted() == ["have_juice"]


def test_the_proof_takes_no_more_than_half_of_what_the_task_may_cost(life: Life) -> None:
    life.solve(press("valley"), JUICE)
    life.solve(press("hill"), JUICE, budget=Budget(world_steps=60))
    assert life.offered() == [([], [])]  # its four runs take 33 steps, more than thirty
    assert 30 < life.spent.world_steps <= 60
    life.solve(press("hill"), 'count("juice") >= 9', budget=Budget(world_steps=80))
    assert life.offered() == [(["have_juice"], [])]  # what ran out of steps has not failed


def test_a_name_that_is_taken_gives_way(life: Life) -> None:
    life.solve(press("valley"), JUICE)
    rules = [*press("hill").rules.values(), Rule.of("wring()", adds={'count("juice")': 1})]
    source = make_world(rules, name="hill")

    assert "have_juice" in life.solve(source, 'count("fig") >= 1', writer=Misnamed())
    hill = life.solve(make_world(rules, name="hill"), JUICE)
    assert {n: s.goal_template for n, s in hill.items()} == {
        "have_juice": 'count("fig") >= 1',
        "have_juice_2": 'count("juice") >= {n}',
    }


def test_what_actions_did_elsewhere_is_supposed_until_it_is_tested(life: Life) -> None:
    """No skill is left to take along: what remains of the valley is what its actions need and do."""
    goal = 'count("bottle") >= 1'
    life.solve(bottled("valley"), JUICE, goal)
    with life.library("valley-1") as library:
        library.retire("have_juice", "a trial")
        library.retire("have_fig", "a trial") if "have_fig" in library.active() else None
    steps = {}
    for transfer in (False, True):
        where = Life(life.home.with_name(f"home-{transfer}"))
        shutil.copytree(life.home, where.home)
        silent = without_reasons(bottled("hill"))
        skills = where.solve(silent, goal, transfer=transfer)
        assert where.offered() == []
        assert where.episodes[0].solved is True
        steps[transfer] = where.spent.search_steps
    assert "have_bottle" in skills
    assert skills["have_bottle"].evidence.successes == 4  # proven like any other
    assert steps[True] * 4 < steps[False]


def test_the_command_line_tells_where_a_skill_comes_from(life: Life) -> None:
    life.solve(press("valley"), JUICE)
    life.solve(press("hill"), JUICE)
    code, out = told("skills", "show", "have_juice", "--home", str(life.home))
    assert "from      have_juice version 1 of valley (valley-1), proven again here" in out
    code, out = told("skills", "show", "have_juice", "--world", "valley", "--home", str(life.home))
    assert "version 1, active, by search, world valley" in out
    code, out = told("skills", "show", "have_juice", "--world", "moon", "--home", str(life.home))
    assert code != 0
    code, out = told("report", "--home", str(life.home), "--out", str(life.home / "report.html"))


def told(*args: str) -> tuple[int, str]:
    """What a command ends with, and prints."""
    out, code = io.StringIO(), 0
    with mock.patch.object(sys, "argv", ["habilis", *args]), contextlib.redirect_stdout(out):
        try:
            main()
        except SystemExit as error:
            code = int(error.code or 0)
    return code, out.getvalue()
