"""Where lives end by themselves: one that gets nowhere is left, and what was searched for in vain is searched less."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tests.agent.test_experiments import Mine, Workshop

from habilis import Agent, AgentSettings
from habilis.core import Action, Event, Goal, Observation, Outcome

SETTINGS = AgentSettings(seed=3, index="exact", embedder="hash")


class Shut(Mine):
    """The first life in the live world begins behind a door that nothing opens."""

    spec = replace(Mine.spec, name="shut", fingerprint="shut-1", capabilities=Mine.spec.capabilities | {"goals"})

    def __init__(self, lives: int = 0) -> None:
        self.lives = lives
        super().__init__()

    def reset(self, seed: int) -> Observation:
        self.lives -= 1
        return super().reset(seed)

    def clone(self) -> Shut:
        twin = super().clone()
        twin.__class__ = Shut
        return twin  # type: ignore[return-value]

    def act(self, action: Action) -> Outcome:
        if self.lives >= 0:
            return Outcome(False)
        return super().act(action)

    def goals(self) -> Sequence[Goal]:
        return [Goal.parse('count("wood") >= 1'), Goal.parse('count("pick") >= 1')]


def test_a_life_in_which_task_after_task_fails_is_left(tmp_path: Path) -> None:
    with Agent(Shut(), home=tmp_path, fresh=Shut, settings=SETTINGS) as agent:
        agent.explore_now(3, steps=600, policy="experiments")
    anew: list[str] = []
    with Agent(Shut(lives=2), home=tmp_path, fresh=Shut, settings=SETTINGS) as agent:
        agent.events.subscribe(lambda e: anew.append(str(e.data["reason"])) if e.kind == "world_began_anew" else None)
        agent.run_now(12)
        assert any('count("wood")' in bound.skill.goal_template for bound in agent.skills.values())
    assert any("tasks failed in a row" in why for why in anew)


class Moon(Workshop):
    spec = replace(
        Workshop.spec,
        name="moon",
        fingerprint="moon-1",
        capabilities=Workshop.spec.capabilities | {"goals", "simulator", "ends"},
    )

    def goals(self) -> Sequence[Goal]:
        return [Goal.parse('count("moon") >= 1')]

    def simulator(self) -> Moon:
        return self

    def imagine(self, seed: int) -> Workshop:
        return self.clone()


def test_what_is_searched_for_in_vain_gets_half_as_much_each_time(tmp_path: Path) -> None:
    ended: list[Event] = []
    with Agent(Moon(), home=tmp_path, fresh=Moon, settings=SETTINGS) as agent:
        agent.events.subscribe(lambda e: ended.append(e) if e.kind == "task_ended" else None)
        agent.run_now(30)
    spent = [int(e.data["cost"].get("search_steps", 0)) for e in ended if "moon" in str(e.data["text"])]
    assert len(spent) >= 4
    assert max(spent) <= 12_000 + 1_000  # choosing what to do costs a little beside
    assert 0 < max(spent[-2:]) <= 12_000 / 8 + 1_000


class Lasting(Moon):
    spec = replace(Moon.spec, name="lasting", capabilities=Moon.spec.capabilities - {"ends"})


def test_where_lives_do_not_end_it_gets_as_much_again(tmp_path: Path) -> None:
    ended: list[Event] = []
    with Agent(Lasting(), home=tmp_path, fresh=Lasting, settings=SETTINGS) as agent:
        agent.events.subscribe(lambda e: ended.append(e) if e.kind == "task_ended" else None)
        agent.run_now(30)
    spent = [int(e.data["cost"].get("search_steps", 0)) for e in ended if "moon" in str(e.data["text"])]
    assert min(spent[-2:]) > 12_000 / 8 + 1_000
