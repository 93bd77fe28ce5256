"""Missions that a world poses: of the lives that might begin, the one that teaches most does."""

from __future__ import annotations

import random

import pytest
from tests.agent.conftest import Rule, RuleWorld, make_world

from habilis.agent.posing import Missions, form_of
from habilis.core import Goal


class Posed(RuleWorld):
    """A world whose seed decides its mission."""

    def reset(self, seed: int):  # type: ignore[no-untyped-def]
        found = super().reset(seed)
        self.seed = seed
        return found

    def goals(self):  # type: ignore[no-untyped-def]
        return [] if self.seed % 5 == 0 else [Goal.parse('took("ball", 1)' if self.seed % 2 else 'went_to("box", 1)')]


def _world() -> Posed:
    world = make_world([Rule.of("wait()", adds={'count("turn")': 1})])
    world.__class__ = Posed
    return world  # type: ignore[return-value]


def test_a_form_is_a_goal_without_its_words() -> None:
    one, other = Goal.parse('took("ball", 1) and went_to("box", 2)'), Goal.parse('took("key", 1) and went_to("x", 2)')
    assert form_of(one) == form_of(other) == "took 1 and went_to 2"
    assert form_of(Goal.parse('took("ball", 2)')) != form_of(Goal.parse('took("ball", 1)'))


def test_what_is_half_mastered_is_worth_most() -> None:
    missions, goal, other = Missions(), Goal.parse('took("ball", 1)'), Goal.parse('took("key", 1)')
    new = missions.interest(goal)
    for _ in range(8):
        missions.record(goal, True)
    mastered = missions.interest(other)
    for _ in range(8):
        missions.record(goal, False)
    half = missions.interest(other)
    for _ in range(200):
        missions.record(goal, False)
    hopeless = missions.interest(other)
    assert new == half == pytest.approx(1.0)
    assert 0 < mastered < half
    assert 0 < hopeless < mastered


def test_the_life_that_teaches_most_begins() -> None:
    missions, world = Missions(), _world()
    for _ in range(20):
        missions.record(Goal.parse('took("ball", 1)'), True)
    begun = [missions.begin(world, random.Random(n)) for n in range(20)]
    forms = [form_of(goal) for found in begun if found is not None for _, goal, _ in [found]]
    assert forms.count("went_to 1") > 15
    found = missions.begin(world, random.Random(1))
    assert found is not None
    assert world.seed == found[0]
    assert world.goals() == [found[1]]


def test_a_world_without_missions_begins_nothing() -> None:
    class Without(Posed):
        def goals(self):  # type: ignore[no-untyped-def]
            return []

    world = make_world([Rule.of("wait()", adds={'count("turn")': 1})])
    world.__class__ = Without
    assert Missions().begin(world, random.Random(0)) is None  # type: ignore[arg-type]


def test_what_was_counted_is_read_back() -> None:
    missions, again = Missions(), Missions()
    missions.record(Goal.parse('took("ball", 1)'), True)
    missions.record(Goal.parse('took("box", 1)'), False)
    again.load(missions.save())
    assert again == missions
    again.load(None)
    assert again.forms == {}
