"""Exploration: the same seed gives the same experience, a limit or another agent interrupts it without loss."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from habilis import Agent, AgentSettings
from habilis.core import Episode, Goal, InputError, NotFoundError, dump
from habilis.memory import Home
from habilis.worlds import from_functions
from habilis.worlds.household import HouseholdWorld


@pytest.fixture(autouse=True)
def _offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HABILIS_CACHE", str(tmp_path / "cache"))


@contextmanager
def agent(home: Path, seed: int = 0, budget: str | None = None, **world: Any) -> Iterator[Agent]:
    settings = AgentSettings(seed=seed, index="exact")
    with Agent(HouseholdWorld(size=0.1, **world), home=home, settings=settings, budget=budget) as one:
        yield one


def lived(home: Path) -> list[Any]:
    """What was experienced, without clock readings."""
    with Home.open(home, create=False, read_only=True) as opened:
        return [_timeless(e) for e in opened.journal.episodes()]


def _timeless(episode: Episode) -> Any:
    data = dump(episode)
    for attempt in data["attempts"]:
        attempt["trajectory"].pop("seconds")
    return data


def test_the_same_seed_gives_the_same_experience_in_other_houses(tmp_path: Path) -> None:
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        with agent(tmp_path / name, seed) as one:
            summary = one.explore_now(4, steps=8)
            assert (summary.tried, summary.status) == (4, "finished")
    first, again, other = (lived(tmp_path / n) for n in "abc")
    assert first == again != other
    houses = [e["task"]["seed"] for e in first + other]
    assert len(set(houses)) == len(houses)
    assert {e["status"] for e in first} == {"explored"}
    assert {(e["task"]["kind"], e["task"]["origin"]) for e in first} == {("explore", "exploration")}


def test_what_a_limit_cut_short_goes_on_as_if_nothing_had_been(tmp_path: Path) -> None:
    with agent(tmp_path / "whole") as one:
        whole = one.explore_now(6, steps=10).spent.world_steps
    with agent(tmp_path / "cut", budget="world_steps=215") as one:
        stopped = one.explore_now(6, steps=10)
        assert stopped.status == "stopped"
        assert "world_steps" in stopped.reason
        assert stopped.tried < 6
        assert one.spent.world_steps <= 215
    with agent(tmp_path / "cut") as one:
        went_on = one.explore_now(6, steps=10)
        assert (went_on.run_id, went_on.status) == (stopped.run_id, "finished")
        assert went_on.spent.world_steps >= whole
        more = one.explore_now(7, steps=10)
        assert (more.run_id, more.tried) == (stopped.run_id, 7)
        assert one.explore_now(2, steps=5).run_id != stopped.run_id  # other settings, another run
    assert lived(tmp_path / "cut")[:6] == lived(tmp_path / "whole")


def test_tree_search_reaches_goals_and_says_where_it_planned(tmp_path: Path) -> None:
    with agent(tmp_path / "h") as one:
        believing = one.explore_now(3, policy="mcts")
        practising = one.explore_now(2, policy="mcts", practice=True)
        assert believing.spent.search_steps > 0
    assert believing.solved >= 2
    assert practising.solved >= 1
    with Home.open(tmp_path / "h", create=False, read_only=True) as opened:
        episodes = list(opened.journal.episodes())
    assert {e.writer for e in episodes[:3]} == {"mcts"}
    assert all("practice" in e.writer for e in episodes[3:])
    for e in episodes:
        assert e.solved == (not e.task.goal.unmet(e.attempts[0].trajectory.after))
        world = HouseholdWorld(size=0.1)
        world.reset(e.task.seed)
        outcomes = [world.act(s.action) for s in e.attempts[0].trajectory.steps]
        assert outcomes == [s.outcome for s in e.attempts[0].trajectory.steps]  # it can be lived again


def test_regression_reaches_the_same_goals_by_programs(tmp_path: Path) -> None:
    with agent(tmp_path / "h") as one:
        summary = one.explore_now(8, policy="regression")
        again = one.explore_now(2, policy="mcts")
    assert summary.solved >= 5
    assert again.run_id != summary.run_id
    with Home.open(tmp_path / "h", create=False, read_only=True) as opened:
        episodes = list(opened.journal.episodes())
    assert [e.task.goal for e in episodes[:2]] == [e.task.goal for e in episodes[8:]]  # in the same houses
    for e in episodes[:8]:
        assert e.solved == any(a.ok for a in e.attempts)
        assert all(a.program.writer == "regression" and "def " in a.program.source for a in e.attempts)
    assert one.spent.world_steps == sum(e.cost.world_steps for e in episodes)


def test_what_skills_were_proven_for_is_brought_about_from_nothing_where_there_are_no_chores(tmp_path: Path) -> None:
    settings = AgentSettings(index="exact", embedder="hash")
    with Agent("craft", home=tmp_path / "h", settings=settings) as one:
        one.run_now(30)
        proven = {str(goal) for bound in one.skills.values() for goal in bound.skill.goals()}
        summary = one.explore_now(24, policy="regression")
    with Home.open(tmp_path / "h", create=False, read_only=True) as opened:
        explored = [e for e in opened.journal.episodes() if e.task.origin == "exploration"]
    wanted = [e for e in explored if str(e.task.goal) in proven]
    assert len({str(e.task.goal) for e in wanted}) > 3
    assert len(explored) == summary.tried == 24
    assert all(e.solved and not e.attempts[-1].program.calls for e in wanted)
    assert max(len(e.attempts[-1].trajectory.steps) for e in wanted) > 5


def test_what_was_seen_somewhere_in_one_house_is_not_looked_for_in_vain_in_the_next(tmp_path: Path) -> None:
    with agent(tmp_path / "home", people="some") as one:
        one.explore_now(60, policy="regression")
    with Home.open(tmp_path / "home", read_only=True) as home:
        runs = [a.trajectory for e in home.journal.episodes() for a in e.attempts]
    assert len(runs) > 50
    assert not [t.error for t in runs if t.error is not None and t.error.kind == "calls"]


@pytest.mark.parametrize("share", [0.5, 1.0])
def test_a_world_without_a_goal_to_reach_is_passed_over(tmp_path: Path, share: float) -> None:
    class Sated(HouseholdWorld):
        """In so many of its houses everything is as anybody would want it."""

        def reset(self, seed: int) -> Any:
            self.sated = random.Random(seed).random() < share
            return super().reset(seed)

        def goals(self) -> Any:
            return [] if self.sated else super().goals()

        def chores(self) -> Any:
            return {} if self.sated else super().chores()

    settings = AgentSettings(index="exact")
    with Agent(Sated(size=0.1), home=tmp_path / "h", settings=settings, fresh=lambda: Sated(size=0.1)) as one:
        if share == 1.0:
            with pytest.raises(InputError, match=r"in 20 worlds of 'household' there was no goal that is not met"):
                one.explore_now(8, policy="regression")
        else:
            assert one.explore_now(8, policy="regression").tried == 8


def test_what_cannot_be_explored_is_said_to_be_so(tmp_path: Path) -> None:
    with agent(tmp_path / "h") as one:
        with pytest.raises(InputError, match=r"no policy 'clever'.*random, mcts"):
            one.explore_now(2, policy="clever")
        with pytest.raises(InputError, match="practice is for tree search, not for 'random'"):
            one.explore_now(2, practice=True)
        with pytest.raises(InputError, match=r"1 to 10,000 steps, not 0"):
            one.explore_now(2, steps=0)
        with pytest.raises(InputError, match="1 episode or more, not 0"):
            one.explore_now(0)

    def boil() -> str:
        return "done"

    plain = from_functions([boil], observe=dict, name="plain")
    with Agent(plain, home=tmp_path / "p", settings=AgentSettings(index="exact")) as one:  # noqa: SIM117
        with pytest.raises(InputError, match="cannot be made afresh"):
            one.explore_now(2)


def test_the_search_writer_may_plan_by_tree_search(tmp_path: Path) -> None:
    goal = Goal.parse('inside("apple_1", "garbage_can_1")')
    settings = AgentSettings(index="exact", search="mcts")
    with Agent(HouseholdWorld(size=0.1, contracts="hidden"), home=tmp_path / "h", settings=settings) as one:
        episode = one.solve_now(goal)
    assert episode.solved
    assert "put_in" in episode.attempts[-1].program.source
    with pytest.raises(NotFoundError, match="regression"):
        Agent("craft", home=tmp_path / "i", settings=AgentSettings(index="exact", search="guessing"))
