"""The reflexes of the example keep to their rule, and are at work wherever an agent's programs run."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from habilis import Agent, AgentSettings
from habilis.core import NotFoundError, Program, RunLimits, check_given, load_reflexes
from habilis.worlds.crafter import CrafterWorld
from habilis.worlds.reflexive import reflexive
from habilis.worlds.runner import ConfinedRunner

EXAMPLE = str(Path(__file__).parents[3] / "examples" / "crafter_reflexes.py")
WANDER = """\
def wander():
    for _ in range(200):
        try:
            world.find("grass", 0)
            world.find("tree", 0)
        except ActionFailed:
            world.noop()
"""


def test_the_example_collects_places_and_makes_nothing() -> None:
    reflexes = load_reflexes(EXAMPLE)
    check_given(reflexes)
    assert {r.name for r in reflexes} == {"danger", "thirst", "hunger", "night"}
    for one in reflexes:
        calls = set(re.findall(r"world\.(\w+)\(", one.program.source))
        assert calls.isdisjoint({"place", "make"})
        acted = set(re.findall(r"world\.do\(([^)]*)\)", one.program.source))
        assert acted <= {"kind", '"water"', '"cow"'}


def test_a_life_with_them_drinks_and_nothing_is_taken_for_a_failure() -> None:
    inner = CrafterWorld(length=300)
    with ConfinedRunner() as runner:
        world = reflexive(inner, load_reflexes(EXAMPLE), runner)
        world.reset(2)
        limits = RunLimits(seconds=None, world_steps=None)
        run = runner.run(Program("wander", WANDER), world, limits=limits)
    came = Counter(s.outcome.preempted.by for s in run.steps if s.outcome.preempted is not None)
    assert came["thirst"]
    assert inner.unlocked() >= {"collect_drink"}
    assert not any(f.predicate in ("count", "placed") for f in run.after.facts)
    assert run.error is None or run.error.kind == "ended"
    assert run.world_steps <= 300


def test_an_agent_has_them_and_can_be_told_to_leave_them_out(tmp_path: Path) -> None:
    def agent(name: str, **settings: str) -> Agent:
        world, kept = CrafterWorld(), AgentSettings(index="exact", embedder="hash", **settings)  # type: ignore[arg-type]
        return Agent(world, home=tmp_path / name, reflexes=[EXAMPLE], settings=kept)

    with agent("with") as having, agent("without", reflexes="none") as lacking:
        assert having._parts.reflexes == ("danger", "hunger", "night", "thirst")
        assert lacking._parts.reflexes == ()
        assert lacking._parts.config("run")["reflexes"] == []
        assert type(having._parts.loop_parts.world).__name__.startswith("Reflexive")
    with pytest.raises(NotFoundError, match="choice of reflexes"):
        agent("other", reflexes="some")
