"""The grid world keeps the promises of a world, and its own: the package's rules, what was seen alone, its missions."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from habilis.core import Action, Fact, Goal, InputError, MissingExtraError, Outcome, Program, fitted
from habilis.testing.worlds import check_world
from habilis.worlds import for_evaluation
from habilis.worlds.grid import GridWorld, read_mission
from habilis.worlds.runner import ConfinedRunner

minigrid = pytest.importorskip("minigrid")


def _do(world: GridWorld, *actions: str) -> list[Outcome]:
    return [world.act(Action.parse(action)) for action in actions]


def _knows(world: GridWorld, goal: str) -> bool:
    return not Goal.parse(goal).unmet(world.observe())


def test_conforms() -> None:
    check_world(lambda: GridWorld(level="GoToLocal,UnlockLocal,PutNextLocal,Synth"), seeds=(0, 1, 2, 3), steps=25)


def test_conforms_with_pictures() -> None:
    check_world(lambda: GridWorld(level="PickupLoc", split="test", pictures=True), seeds=(0,), steps=8)


def test_a_picture_shows_the_view_and_changes_nothing() -> None:
    world, other = GridWorld(pictures=True), GridWorld()
    image = world.observe().images[0]
    assert image.data.startswith(b"\x89PNG")
    assert world.picture(8).shape == (56, 56, 3)
    assert world.picture(8).std() > 0
    assert world.observe().facts == other.observe().facts


def test_the_missions_are_the_package_s_own_and_the_splits_share_none() -> None:
    import gymnasium

    world = GridWorld(level="Pickup")
    env = gymnasium.make("BabyAI-Pickup-v0")
    for seed in (3, 1_000_000_003):
        split = "test" if seed >= 1_000_000_000 else "train"
        world = GridWorld(level="Pickup", split=split)
        world.reset(3)
        env.reset(seed=seed)
        assert world.mission == env.unwrapped.mission
    assert GridWorld(split="test").save()["seed"] >= 1_000_000_000 > GridWorld(split="train").save()["seed"]
    env.close()


def test_a_mission_is_done_when_the_package_says_so() -> None:
    world = GridWorld(level="GoToLocal")
    goal = world.goals()[0]
    assert goal == read_mission(world.mission)
    word = str(goal.atoms[0].fact.args[0])
    outcome = world.act(Action("go_to", (word,)))
    assert outcome.ok
    assert outcome.done
    assert world.reward > 0
    assert not goal.unmet(world.observe())
    assert "the mission is done" in world.ended()
    assert list(world.goals()) == []
    again = world.act(Action("turn_left"))
    assert (again.ok, again.steps, again.done) == (False, 0, True)


def test_nothing_is_known_that_was_not_seen() -> None:
    world = GridWorld(level="GoTo")
    for seed in range(6):
        world.reset(seed)
        known = {str(cell) for row in _do(world, "look()")[0].value["rows"] for cell in row}
        told = world.observe().text
        hidden = {f"{thing.color} {thing.type}" for thing in world._env.grid.grid if thing is not None}
        hidden = {name for name in hidden if "wall" not in name} - {name.split(" ", 1)[-1] for name in known}
        hidden -= {name.removeprefix("shut ").removeprefix("open ") for name in known}
        hidden -= set(world.mission.replace("the ", "").split(" to "))
        assert hidden
        assert not [name for name in sorted(hidden) if name in told.partition("You face")[2]]


def test_a_call_does_one_thing_to_what_is_right_before_the_agent() -> None:
    world = GridWorld(level="PickupLoc")
    world.reset(4)
    far = _do(world, 'pick_up("key")', 'toggle("box")', "drop()")
    assert [o.ok for o in far] == [False] * 3
    assert all(o.steps == 0 for o in far)
    kind = next(
        str(a.args[0]) for a in world.affordances() if a.name == "pick_up" and a.args[0] in ("ball", "key", "box")
    )
    assert _do(world, f'go_to("{kind}")')[0].ok
    assert _knows(world, f'before("{kind}") and empty_handed()')
    if not world.ended():
        taken = _do(world, f'pick_up("{kind}")')[0]
        assert (taken.ok, taken.steps) == (True, 1)
        assert _knows(world, f'holding("{kind}") and took("{kind}", 1) and not empty_handed()')
        assert not _do(world, f'pick_up("{kind}")')[0].ok


def test_a_locked_door_takes_the_key_of_its_colour() -> None:
    world = GridWorld(level="UnlockLocal")
    world.reset(2)
    stopped = _do(world, 'go_to("door")')[0]
    assert not stopped.ok
    assert "locked door is in the way" in stopped.message
    assert _knows(world, 'barred("locked door") and before("locked door") and not before("door")')
    assert [o.ok for o in _do(world, 'toggle("door")', 'toggle("locked door")')] == [False, False]
    assert [o.ok for o in _do(world, 'go_to("key alike")', 'pick_up("key alike")', 'go_to("locked door")')] == [
        True
    ] * 3
    opened = _do(world, 'toggle("locked door")')[0]
    assert opened.ok
    assert opened.done
    assert world.reward > 0


def test_what_is_put_down_keeps_the_place_where_it_lay() -> None:
    world = GridWorld(level="PickupLoc", length=500)
    for seed in range(40):
        world.reset(seed)
        place = next((p for p in ("left", "right", "behind") if f" {p}" in str(world.goals())), "")
        if place:
            break
    word = str(world.goals()[0].atoms[0].fact.args[0])
    kind = word.removesuffix(f" {place}").split(" ")[-1]
    others = [k for k in ("ball", "key", "box") if k != kind and Action("go_to", (k,)) in world.affordances()]
    _do(world, f'go_to("{others[0]}")', f'pick_up("{others[0]}")')
    held = {str(f.args[0]) for f in world.observe().facts if f.predicate == "holding"}
    _do(world, "go_aside()", "drop()")
    assert held <= {str(f.args[0]) for f in world.observe().facts if f.predicate == "before"} | {"key alike"}


def test_what_belongs_to_the_second_turn_counts_only_after_the_first() -> None:
    world = GridWorld(level="GoToSeq")
    for seed in range(60):
        world.reset(seed)
        facts = [atom.fact for atom in world.goals()[0].atoms]
        if [f.args[1] for f in facts] == [1, 2] and facts[0].args[0] != facts[1].args[0]:
            first, second = (str(f.args[0]) for f in facts)
            known = {str(a.args[0]) for a in world.affordances() if a.name == "go_to"}
            if {first, second} <= known and _do(world, f'go_to("{second}")')[0].ok:
                break
    else:
        pytest.fail("no such life among 60")
    assert _knows(world, f'went_to("{second}", 1) and not went_to("{second}", 2)')
    assert not world.ended()


def test_orders_are_posed_with_other_words() -> None:
    world = GridWorld(level="GoToLocal,PickupLoc,PutNextLocal,GoToSeq")
    like = Goal.parse('put_next("red ball", "blue key", 1)')
    posed = [world.pose(like, seed) for seed in range(4)]
    assert all(goal is not None and goal.atoms[0].fact.predicate == "put_next" for goal in posed)
    assert len({str(goal) for goal in posed}) > 1
    assert world.level == "PutNextLocal"
    assert [str(world.pose(like, 2)), str(posed[2])] == [str(posed[2])] * 2
    pair = world.pose(Goal.parse('went_to("a", 1) and went_to("b", 2)'), 1)
    assert pair is not None
    assert fitted('went_to("{a}", 1) and went_to("{b}", 2)', pair, ()) is None
    before = world.save()
    assert world.pose(Goal.parse('opened("door", 1)'), 3) is None or world.level == "GoToSeq"
    world.load(before)
    assert GridWorld().pose(Goal.parse('took("ball", 1)'), 0) is None


def test_a_life_is_repeated_in_another_process() -> None:
    plan = ['go_to("door")', 'toggle("door")', "forward()", 'go_to("ball")', 'pick_up("ball")', "go_aside()", "drop()"]
    told = f"""
import json
from habilis.core import Action
from habilis.worlds.grid import GridWorld
world = GridWorld(level="Synth")
world.reset(5)
for text in {plan!r}:
    world.act(Action.parse(text))
print(json.dumps([world.save(), world.observe().text]))
"""
    env = {**os.environ, "PYTHONHASHSEED": "12345"}
    run = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, env=env)
    assert run.returncode == 0, run.stderr
    world = GridWorld(level="Synth")
    world.reset(5)
    _do(world, *plan)
    assert json.loads(run.stdout) == [world.save(), world.observe().text]


def test_where_a_thing_lay_at_first_is_known_after_it_was_put_elsewhere_and_the_life_was_loaded() -> None:
    world, again = GridWorld(level="PickupLoc"), GridWorld(level="PickupLoc")
    plan = ('go_to("object left")', 'pick_up("object left")', 'go_beside("object right")', "drop()")
    done = _do(world, *plan)
    assert all(outcome.ok for outcome in done)
    assert _knows(world, 'before("object left") and not before("object right")')
    again.load(world.save())
    assert again.observe() == world.observe()


def test_a_state_stays_what_it_was_when_the_life_goes_on() -> None:
    world = GridWorld(level="GoToLocal")
    state, before = world.save(), world.observe()
    _do(world, "turn_left()", "forward()")
    world.load(state)
    assert world.observe() == before


def test_a_state_that_is_damaged_changes_nothing() -> None:
    world = GridWorld(level="GoToLocal")
    _do(world, "turn_left()", "forward()")
    state = world.save()
    before = world.observe()
    for broken in ({}, {**state, "steps": [99]}, {**state, "level": "Nowhere"}, {**state, "deeds": ["("]}, 7):
        with pytest.raises(InputError):
            world.load(broken)
        assert world.observe() == before
    with pytest.raises(InputError, match="minigrid"):
        world.load({**state, "fingerprint": "grid-0:0"})


def test_what_is_handed_out_for_an_evaluation_cannot_look_ahead() -> None:
    inner = GridWorld(split="test")
    world = for_evaluation(inner, 3)
    for name in ("clone", "save", "load", "pose", "reward", "environment", "whole", "_env"):
        assert not hasattr(world, name)
    with pytest.raises(InputError):
        world.reset(4)
    with ConfinedRunner() as runner:
        word = str(inner.goals()[0].atoms[0].fact.args[0])
        source = f"def it():\n    world.go_to({word!r})\n    print(hasattr(world, 'clone'))\n"
        run = runner.run(Program("it", source), world)
    assert inner.reward > 0
    assert run.world_steps == run.steps[0].outcome.steps


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"level": "GoToLokal"}, "GoToLocal"),
        ({"level": ""}, "such as GoToLocal"),
        ({"pictures": "no"}, "pictures=True or False, not 'no'"),
        ({"split": "dev"}, "train, test"),
        ({"length": 0}, "1 to 1,000,000"),
    ],
)
def test_errors_say_what_there_is(options: dict[str, object], told: str) -> None:
    with pytest.raises(InputError, match=told):
        GridWorld(**options)  # type: ignore[arg-type]


def test_actions_that_do_not_fit_are_told() -> None:
    world = GridWorld()
    with pytest.raises(InputError, match="go_beside"):
        world.act(Action("fly"))
    with pytest.raises(InputError, match="whole number"):
        world.reset(-1)
    assert "takes thing and other" in _do(world, 'put("ball")')[0].message
    assert "no word for things" in _do(world, 'go_to("sofa")')[0].message


def test_without_the_package_the_way_to_get_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    from habilis.worlds.grid import _levels

    _levels.levels.cache_clear()
    monkeypatch.setitem(sys.modules, "minigrid", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'habilis\[grid\]'"):
        GridWorld()
    monkeypatch.undo()
    _levels.levels.cache_clear()
    assert GridWorld().level == "GoToLocal"


def test_every_level_of_the_package_begins_and_its_mission_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    from habilis.worlds.grid._levels import levels

    printed = io.StringIO()
    monkeypatch.setattr(sys, "stdout", printed)
    for name in levels():
        world = GridWorld(level=name)
        assert world.goals(), f"{name}: {world.mission}"
        assert world.mission in world.observe().text
    assert printed.getvalue() == ""


def test_the_policy_by_hand_does_what_the_world_asks() -> None:
    pytest.importorskip("benchmarks")
    from benchmarks._worlds_grid import by_hand, done

    with ConfinedRunner() as runner:
        for level in ("UnlockLocal", "PutNextLocal", "UnblockPickup", "SynthSeq"):
            assert done(by_hand, level, 1, runner), level
    assert (Path(__file__).parents[3] / "benchmarks" / "_grid_policy.py").exists()


def test_facts_are_truths_about_words() -> None:
    world = GridWorld(level="UnlockLocal")
    facts = world.observe().facts
    assert facts[Fact("empty_handed")] is True
    assert all(isinstance(value, bool) for value in facts.values())
