"""The household world keeps the promises of a world, and its own: one place for each thing, two hands, no peeking."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from habilis.core import Action, Atom, Fact, InputError, Outcome
from habilis.testing.worlds import check_world
from habilis.worlds.household import HouseholdWorld
from habilis.worlds.household._people import ACTIVITIES
from habilis.worlds.household._plan import Place
from habilis.worlds.household._rules import RULES
from habilis.worlds.household.generator import build, usual

SEEKERS = ("walk", "find")
walks = st.lists(st.integers(0, 10_000), max_size=25)
worlds = st.builds(
    lambda seed, view, people: _begun(seed, view=view, people=people, size=0.3),
    st.integers(0, 40),
    st.sampled_from(["partial", "full"]),
    st.sampled_from(["none", "always"]),
)


def _begun(seed: int, **options: Any) -> HouseholdWorld:
    world = HouseholdWorld(**options)
    world.reset(seed)
    return world


def _wander(world: HouseholdWorld, choices: list[int]) -> list[Outcome]:
    outcomes = []
    for choice in choices:
        options = world.affordances()
        outcomes.append(world.act(options[choice % len(options)]))
    return outcomes


@pytest.mark.parametrize(
    "options",
    [{}, {"view": "full"}, {"contracts": "hidden"}, {"contracts": "hidden", "reasons": "none"}, {"people": "always"}],
    ids=["default", "full view", "hidden contracts", "no reasons", "with another person"],
)
def test_conforms(options: dict[str, str]) -> None:
    check_world(lambda: HouseholdWorld(**options, size=0.2), seeds=(0, 1), steps=25)


@given(world=worlds, choices=walks)
@settings(max_examples=40, deadline=None)
def test_each_thing_is_in_one_place_and_hands_are_two(world: HouseholdWorld, choices: list[int]) -> None:
    _wander(world, choices)
    house = world.house
    places = {t: house.place(t) for t, thing in enumerate(house.plan.things) if thing.place is not None}
    for thing, place in places.items():
        assert [x for x in range(len(house.plan.things)) if thing in house.contents(x)] == [place.at]
        assert house.room(thing) in house.plan.rooms
        assert thing not in house.above(thing)
    for who, person in enumerate(house.people):
        held = [t for t, place in places.items() if place == Place("held", house.plan.people[who])]
        assert len(person.hands) <= 2
        assert sorted(person.hands) == held


@given(world=worlds, choices=walks, others=walks)
@settings(max_examples=25, deadline=None)
def test_a_clone_and_its_original_never_meet(world: HouseholdWorld, choices: list[int], others: list[int]) -> None:
    _wander(world, choices)
    before, state = dict(world.observe().facts), json.dumps(world.save())
    twin = world.clone()
    _wander(twin, others)
    assert (dict(world.observe().facts), json.dumps(world.save())) == (before, state)
    _wander(world, others)
    assert json.dumps(world.save()) == json.dumps(twin.save())


@given(world=worlds, choices=walks, others=walks)
@settings(max_examples=25, deadline=None)
def test_saved_and_loaded_it_goes_on_the_same(world: HouseholdWorld, choices: list[int], others: list[int]) -> None:
    _wander(world, choices)
    again = world.clone()
    again.reset(99)
    again.load(json.loads(json.dumps(world.save())))
    assert dict(again.observe().facts) == dict(world.observe().facts)
    assert _wander(again, others) == _wander(world, others)


@given(world=worlds, choices=walks, picks=st.lists(st.tuples(st.integers(0), st.integers(0), st.integers(0))))
@settings(max_examples=40, deadline=None)
def test_an_action_works_just_where_its_declared_needs_hold(
    world: HouseholdWorld, choices: list[int], picks: list[tuple[int, int, int]]
) -> None:
    _wander(world, choices)
    contracts = {c.action: c for c in world.contracts()}
    names = world.house.plan.names
    seen = world.observe()
    for which, one, other in picks:
        rule = RULES[which % len(RULES)]
        args = (names[one % len(names)], names[other % len(names)])[: len(rule.parameters)]
        twin = world.clone()
        outcome = twin.act(Action(rule.name, args))
        if not outcome.ok and outcome.unmet is None:
            continue  # no state would let it be done to these
        contract = (
            contracts.get(Action(rule.name, args))
            or contracts[Action(rule.name, tuple(f"${i}" for i in range(len(args))))]
        )
        bound = {f"${i}": a for i, a in enumerate(args)}
        needs = [
            Atom(Fact(c.atom.fact.predicate, tuple(bound.get(str(a), a) for a in c.atom.fact.args)), "==", c.atom.value)
            for c in contract.conditions
        ]
        lacking = {need for need in needs if not seen.holds(need)}
        if any(world.memory.known(world.house.plan.index[a]) is None for a in args if a in world.house.plan.index):
            assert not outcome.ok or not lacking  # of what was never seen, the state is not known either
        else:
            assert set(outcome.unmet or ()) == lacking


def test_what_is_shut_in_is_not_known_until_it_was_looked_for() -> None:
    for seed in range(6):
        world = _begun(seed)
        house = world.house
        hidden = [house.plan.names[t] for t in sorted(house.plan.grabbed) if house.hidden(t)]
        assert hidden
        told = {a for f in world.observe().facts for a in f.args}
        assert not told & set(hidden)
        reached = world.act(Action("find", (hidden[0],)))
        assert reached.ok
        assert reached.value == hidden[0]
        assert world.observe().facts[Fact("in_reach", (hidden[0],))]


def test_opening_shows_what_it_did_and_looking_what_is_inside() -> None:
    world = _begun(1)
    world.act(Action("walk", ("fridge_1",)))
    if world.observe().holds(Atom.parse('is_open("fridge_1")')):
        world.act(Action("close", ("fridge_1",)))
    opened = world.act(Action("open", ("fridge_1",)))
    assert {c.fact.predicate for c in opened.changes} == {"is_open", "is_closed"}
    looked = world.act(Action("find", ("fridge_1",)))
    assert all(c.fact.predicate != "is_open" for c in looked.changes)
    inside = world.house.contents(world.house.plan.index["fridge_1"])
    assert all(world.memory.known(t) is not None for t in inside)


def test_the_belief_holds_nothing_that_was_not_seen() -> None:
    world = _begun(4)
    unseen = [t for t in sorted(world.house.plan.grabbed) if world.memory.known(t) is None]
    belief = world.simulator()
    places = [{t: belief.imagine(seed).house.place(t) for t in unseen} for seed in range(6)]
    true = {t: world.house.place(t) for t in unseen}
    assert any(p != true for p in places)
    assert any(p != places[0] for p in places)
    moved = world.clone()
    moved.house.put(unseen[0], Place("room", moved.house.plan.rooms[0]))  # what nobody saw changes no belief
    assert moved.simulator().imagine(3).save()["places"] == belief.imagine(3).save()["places"]


def test_every_house_has_the_usual_things_under_the_same_names() -> None:
    sizes = []
    for seed in range(25):
        plan = build(seed, second=seed % 3 == 0)
        sizes.append(len(plan.things))
        assert usual().keys() <= set(plan.names)
        assert {plan.kinds[plan.index[n]] for n in usual()} == set(usual().values())
    assert 60 <= min(sizes) < max(sizes) <= 300


def test_another_person_follows_aims_that_only_the_owner_can_ask_for() -> None:
    world = _begun(2, people="always")
    with pytest.raises(InputError, match="person_1"):
        world.aim_of("nobody")
    aims = set()
    for _ in range(150):
        world.act(Action("turn_to", ("person_1",)))
        aims.add(world.aim_of("person_1"))
    assert len(aims & ACTIVITIES.keys()) >= 2
    assert "aim" not in json.dumps([str(f) for f in world.observe().facts])
    imagined = {world.simulator().imagine(seed).aim_of("person_1") for seed in range(3)}
    assert imagined == {""}


@pytest.mark.parametrize("options", [{"view": "none"}, {"people": "many"}, {"size": 2}, {"scene": "/no/such/file"}])
def test_refuses_other_options(options: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        HouseholdWorld(**options)


@pytest.mark.parametrize("key", ["places", "bits", "people", "known", "links"])
def test_a_damaged_state_leaves_the_world_as_it_was(key: str) -> None:
    world = _begun(3)
    state = world.save()
    before = json.dumps(state)
    state[key] = [[10**6, "x"]]
    with pytest.raises(InputError, match="damaged"):
        world.load(state)
    assert json.dumps(world.save()) == before
