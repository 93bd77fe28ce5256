"""What is kept by key in a home carries its version, and keeps what a newer version has put there."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from habilis import Agent, AgentSettings, World
from habilis.core import Context, Draft, Feedback, Ledger, Parameter, Program, Task
from habilis.memory import Home


def world(verb: str = "pick") -> World:
    bag = {"fig": 0}

    def pick() -> None:
        """Pick a fig."""
        bag["fig"] += 1

    pick.__name__ = verb
    return World.from_functions([pick], observe=lambda: {"count": bag}, reset=lambda: bag.update(fig=0), name="orchard")


class Calls:
    """Has figs, and once that is a skill, calls it."""

    name = "calls"

    def __init__(self, verb: str) -> None:
        self.verb = verb

    async def drafts(self, task: Task, context: Context, ledger: Ledger) -> AsyncGenerator[Draft, Feedback]:
        name, body, calls = "have_fig", f'while world.count("fig") < n:\n        world.{self.verb}()', ()
        if name in context.skills:
            name, body, calls = "have_more", "skills.have_fig(n)", ("have_fig",)
        number = next((int(a.value) for a in task.goal.atoms), 1)
        yield Draft(Program(name, f"def {name}(n: int = 1):\n    {body}\n", (N,), calls), {"n": number}, GOAL)


N, GOAL = Parameter("n", "int", 1, required=False), 'count("fig") >= {n}'


def test_states_have_a_version_and_keep_unknown_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("habilis._distil.can_train", lambda: False)
    home, settings = tmp_path / "home", AgentSettings(distil_every=1)
    keys = ("run:1", f"learned:{world().spec.fingerprint}", "distil")
    for goal in (2, 4):
        with Agent(world(), home=home, writer=Calls("pick"), settings=settings) as agent:
            agent.run_now(goal)
            agent.solve_now(f"have {goal} fig")
            agent.solve_now(f"have {goal + 1} fig")
            agent.run_now(goal + 1)
        with Home.open(home) as opened:
            states = {key: opened.journal.get_state(key) for key in keys}
            assert {state["schema_version"] for state in states.values()} == {1}
            if goal == 2:
                states["run:1"]["curriculum"]["newer"] = states["run:1"]["newer"] = "kept"
                for key in keys:
                    opened.journal.put_state(key, {**states[key], "newer": "kept"})
    assert {state["newer"] for state in states.values()} == {"kept"}
    assert states["run:1"]["curriculum"]["newer"] == "kept"
    assert states["run:1"]["iteration"] >= 2


def test_what_was_learned_of_a_skill_is_its_world_s_own(tmp_path: Path) -> None:
    for verb in ("pick", "shake"):
        with Agent(world(verb), home=tmp_path / "home", writer=Calls(verb)) as agent:
            for n in (1, 2, 3):
                agent.solve_now(f"have {n} fig")
    with Home.open(tmp_path / "home") as home:
        both = [home.journal.get_state(f"learned:{world(v).spec.fingerprint}")["catalogue"] for v in ("pick", "shake")]
    assert both[0]["credit"] == both[1]["credit"]
    assert {tuple(learned["credit"]) for learned in both} == {("skill:have_fig",)}
    assert {tuple(learned["space"]["things"]) for learned in both} == {("skill:have_fig",)}
