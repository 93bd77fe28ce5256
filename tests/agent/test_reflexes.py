"""Reflexes are learned from how lives end, proven in pairs of lives, kept in the journal, and can be left out."""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from habilis import Agent, AgentSettings, World
from habilis._reporting import write
from habilis.cli import main
from habilis.core import (
    Action,
    Change,
    Event,
    Fact,
    Goal,
    Outcome,
    Parameter,
    Predicate,
    Primitive,
    Snapshot,
    Step,
    Trajectory,
    Value,
    WorldSpec,
)
from habilis.memory.contracts import Endings
from habilis.memory.home import Home
from habilis.memory.reflexes import LearnedReflex, learned_reflexes

WATER, GOLD, ROCK = Fact("water"), Fact("count", ("gold",)), Fact("count", ("rock",))
SPEC = WorldSpec(
    "mine",
    "Digging makes thirsty; who is dry dies.",
    (
        Primitive("dig", "Dig for gold."),
        Primitive("carry", "Carry a rock away."),
        Primitive("sip", "Drink."),
    ),
    (
        Predicate("water", "what is left to drink, 0 to 9", numeric=True, context=True),
        Predicate("count", "how many are held", (Parameter("item"),), numeric=True, phrase="have {value} {0}"),
    ),
    "mine-1",
    {},
    frozenset({"seed", "clone", "affordances", "reasons", "goals", "ends"}),
)


@dataclass
class Mine:
    """Each step takes water, and some drops more by the seed. ``age``: so many turns a life lasts, and nobody dies of
    thirst."""

    age: int = 0
    spec: WorldSpec = SPEC
    facts: dict[Fact, Value] = field(default_factory=dict)
    turns: int = 0
    seed: int = 0

    def reset(self, seed: int) -> Snapshot:
        self.facts, self.turns, self.seed = {WATER: 9, GOLD: 0, ROCK: 0}, 0, seed
        return self.observe()

    def observe(self) -> Snapshot:
        return Snapshot(dict(self.facts))

    def act(self, action: Action) -> Outcome:
        if self.ended():
            return Outcome(False, message="it is over", done=True)
        self.turns += 1
        before = dict(self.facts)
        if action.name == "sip":
            self.facts[WATER] = min(9, int(self.facts[WATER]) + 4)
        else:
            made = GOLD if action.name == "dig" else ROCK
            self.facts[made] = int(self.facts[made]) + 1
            self.facts[WATER] = max(0, int(self.facts[WATER]) - 1 - (self.seed + self.turns) % 2)
        changes = tuple(Change(f, before[f], v) for f, v in self.facts.items() if before[f] != v)
        return Outcome(not self.ended(), changes, () if self.ended() else None, done=bool(self.ended()))

    def ended(self) -> str:
        if self.age:
            return "died of old age" if self.turns >= self.age else ""
        return "died of thirst" if not self.facts[WATER] else ""

    def affordances(self) -> Sequence[Action]:
        return [Action("carry"), Action("dig"), Action("sip")]

    def goals(self) -> Sequence[Goal]:
        return [Goal.parse('count("gold") >= 40'), Goal.parse('count("rock") >= 40')]

    def clone(self) -> Mine:
        return replace(self, facts=dict(self.facts))


def mine(**options: Any) -> Mine:
    world = Mine(**options)
    world.reset(0)
    return world


def live(home: Path, reflexes: str, tasks: int, **options: Any) -> tuple[list[Event], list[str]]:
    """What happened in a run, and which reflexes were at work at its end."""
    events: list[Event] = []
    settings = AgentSettings(index="exact", embedder="hash", reflexes=reflexes)
    with Agent(mine(**options), home=home, settings=settings) as agent:
        agent.events.subscribe(events.append)
        agent.run_now(tasks)
        at_work = [one.name for one in getattr(agent._parts.world, "reflexes", ())]
    return events, at_work


def _learned(home: Path, status: str | None = "active") -> list[LearnedReflex]:
    with Home.open(home, read_only=True) as opened:
        return learned_reflexes(opened.journal, "mine-1", status=status)


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Event], list[str]]:
    """A home in which a reflex was learned; what happened, and what was at work at the end."""
    home = tmp_path_factory.mktemp("mine") / "home"
    return (home, *live(home, "learned", 12))


Lived = tuple[Path, list[Event], list[str]]


def test_a_reflex_is_learned_from_how_lives_ended_and_is_at_work_from_then_on(lived: Lived) -> None:
    home, events, at_work = lived
    assert [(e.iteration, e.data["name"]) for e in events if e.kind == "reflex_learned"] == [(10, "keep_water")]
    assert at_work == ["keep_water"]
    (one,) = _learned(home)
    assert (one.trigger, one.status, one.losses) == ("water() <= 3", "active", 0)
    assert one.wins >= 5
    assert one.steps_with > one.steps_without
    ended = {e.iteration: e.data["status"] for e in events if e.kind == "task_ended" and "40" in e.data["text"]}
    assert {status for iteration, status in ended.items() if iteration < 10} == {"failed"}  # one dies on the way
    assert {status for iteration, status in ended.items() if iteration >= 10} == {"solved"}


@pytest.mark.parametrize(
    ("which", "names"), [("learned", ["keep_water"]), ("given+learned", ["keep_water"]), ("given", []), ("none", [])]
)
def test_it_is_at_work_in_the_next_life_where_it_is_wanted(lived: Lived, which: str, names: list[str]) -> None:
    assert live(lived[0], which, 1)[1] == names


def test_the_command_line_and_the_report_tell_of_it(lived: Lived, tmp_path: Path) -> None:
    home, _, _ = lived
    out = io.StringIO()
    told = ["habilis", "skills", "reflexes", "--home", str(home)]
    with mock.patch.object(sys, "argv", told), contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
        main()
    assert "keep_water" in out.getvalue()
    assert "8 of 8" in out.getvalue()
    with Home.open(home, read_only=True) as opened:
        page = write(opened, tmp_path / "report.html").read_text("utf-8")
    assert "keep_water: when water() &lt;= 3; lives with it lasted longer in 8 of 8 pairs" in page


def test_what_does_not_prove_itself_is_dropped_and_not_tried_again(tmp_path: Path) -> None:
    """Who dies of old age is dry as well, and drinking does not help."""
    events, at_work = live(tmp_path / "home", "learned", 12, age=30)
    tried = [e.data for e in events if e.kind == "reflex_learned"]
    assert [(t["name"], t["status"]) for t in tried] == [("keep_water", "dropped")]
    assert at_work == []
    assert _learned(tmp_path / "home") == []
    (one,) = _learned(tmp_path / "home", None)
    assert one.wins < 5
    assert one.pairs < 8  # it ends where more pairs could not change the verdict


def test_nothing_is_learned_where_nobody_asks_for_it(tmp_path: Path) -> None:
    events, _ = live(tmp_path / "home", "given", 12)
    assert [e for e in events if e.kind == "world_began_anew"]
    assert [e for e in events if e.kind == "reflex_learned"] == []
    assert _learned(tmp_path / "home", None) == []


def test_a_world_in_which_none_can_be_learned_is_told(tmp_path: Path) -> None:
    shelf = {"tea": 0}

    def brew() -> None:
        shelf["tea"] += 1

    world = World.from_functions([brew], observe=lambda: {"count": shelf})
    warned: list[str] = []
    settings = AgentSettings(index="exact", embedder="hash", reflexes="given+learned")
    with Agent(world, home=tmp_path / "home", settings=settings) as agent:
        agent.events.subscribe(lambda e: warned.append(e.data["message"]) if e.kind == "warning" else None)
        agent.run_now(1)
    assert len(warned) == 1
    assert "no reflex is learned in" in warned[0]


def _ended(water: int, end: bool) -> Trajectory:
    before, after = Snapshot({WATER: 9, GOLD: 0}), Snapshot({WATER: water, GOLD: 3})
    return Trajectory((Step(Action("dig"), Outcome(not end, done=end)),), before=before, after=after)


def test_what_was_low_where_lives_ended_is_told_and_nothing_else() -> None:
    endings = Endings()
    endings.hear(_ended(0, False))
    assert endings.low() == []  # nobody died
    endings.hear(_ended(7, True))
    assert endings.low() == []  # of something else
    endings.hear(_ended(2, True))
    assert endings.low() == [(WATER, 0.0, 9.0)]  # what is held is no condition of one's own
    assert endings.changed
    assert Endings(endings.save()).low() == endings.low()
    assert not endings.changed
