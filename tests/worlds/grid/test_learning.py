"""An agent learns in the grid world through the protocol alone: skills for any words, proven on other missions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from habilis import Agent, AgentSettings
from habilis.agent.planning.fitting import composed, fits
from habilis.core import Goal, Ledger, Skill
from habilis.worlds.grid import GridWorld
from habilis.worlds.runner import ConfinedRunner
from habilis.worlds.verify import GoalJudge, WorldVerifier

pytest.importorskip("minigrid")

SETTINGS = AgentSettings(index="exact", embedder="hash", seed=3)


@pytest.fixture(scope="module")
def runner() -> Iterator[ConfinedRunner]:
    with ConfinedRunner() as runner:
        yield runner


def _learned(level: str, home: Path, tasks: int, worlds: int = 0, steps: int = 400) -> dict[str, Skill]:
    if worlds:
        with Agent(GridWorld(level=level), home=home, settings=SETTINGS) as agent:
            agent.explore_now(worlds, steps=steps, policy="experiments")
    with Agent(GridWorld(level=level), home=home, settings=SETTINGS) as agent:
        agent.run_now(tasks)
        return {name: bound.skill for name, bound in agent.skills.items()}


def _share(skills: dict[str, Skill], level: str, like: str, runner: ConfinedRunner, seeds: int = 5) -> float:
    """Of missions of the test split, with words that were not practised with."""
    verifier = WorldVerifier(lambda: GridWorld(level=level, split="test"), runner, GoalJudge())
    (skill, args), *_ = fits(skills.values(), Goal.parse(like))
    programs = {name: one.program for name, one in skills.items()}
    return sum(verifier.trial(skill, args, seed, programs, Ledger())[0].ok for seed in range(seeds)) / seeds


def test_going_to_things_is_learned_from_missions_alone(tmp_path: Path, runner: ConfinedRunner) -> None:
    skills = _learned("GoToLocal", tmp_path, 6)
    assert skills["went_to"].goal_template == 'went_to("{thing}", {turn})'
    assert skills["went_to"].evidence.successes >= 4
    words = {trial.args["thing"] for trial in skills["went_to"].evidence.trials}
    assert len(words) > 1
    assert _share(skills, "GoToLocal", 'went_to("grey box", 1)', runner) == 1.0


def test_a_locked_door_is_opened_with_its_key(tmp_path: Path, runner: ConfinedRunner) -> None:
    skills = _learned("UnlockLocal,Open", tmp_path, 4, worlds=4)
    assert "key alike" in skills["opened"].program.source
    assert _share(skills, "UnlockLocal", 'opened("door", 1)', runner) == 1.0
    assert _share(skills, "UnlockLocalDist", 'opened("door", 1)', runner) == 1.0


def test_parts_are_put_together_in_levels_that_were_never_practised(tmp_path: Path, runner: ConfinedRunner) -> None:
    skills = _learned("GoTo", tmp_path, 3, worlds=2)
    done = 0
    for seed in range(6):
        world = GridWorld(level="GoToSeqS5R2", split="test")
        world.reset(seed)
        goal = world.goals()[0]
        whole = composed(skills.values(), goal, world.spec)
        assert (whole is None) == (len(goal.atoms) == 1)
        program, args = (
            (whole.program, whole.args) if whole else (skills["went_to"].program, fits(skills.values(), goal)[0][1])
        )
        runner.run(program, world, args=args, skills={n: s.program for n, s in skills.items()})
        done += world.reward > 0
    assert done >= 4


def test_the_same_seed_gives_the_same_run_and_it_goes_on(tmp_path: Path) -> None:
    level = "GoToLocal,PickupLoc"

    def tasks(home: Path) -> list[str]:
        with Agent(GridWorld(level=level), home=home, settings=SETTINGS) as agent:
            found = agent._parts.home.journal.episodes(1, with_trajectories=False)
            return [f"{e.task.text} {e.status} {e.skill}" for e in found]

    whole, parts = tmp_path / "whole", tmp_path / "parts"
    _learned(level, whole, 6)
    _learned(level, parts, 3)
    _learned(level, parts, 6)
    assert len(tasks(whole)) == 6
    assert tasks(whole) == tasks(parts)
