"""The crafter world keeps the promises of a world, and its own: the package's rules, made reproducible; no peeking."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from habilis.core import Action, Fact, InputError, MissingExtraError, Outcome
from habilis.testing.worlds import check_world
from habilis.worlds.crafter import ACHIEVEMENTS, CrafterWorld, achievement_goals, score

crafter = pytest.importorskip("crafter")

PLAN = (
    'find("tree")', 'do("tree")', 'find("tree")', 'do("tree")', 'find("water")', 'do("water")', 'find("cow")',
    'do("cow")', 'find("stone", 1)', 'move("up")', "sleep()", "noop()",
)  # fmt: skip


def _do(world: CrafterWorld, *actions: str) -> list[Outcome]:
    return [world.act(Action.parse(action)) for action in actions]


@pytest.fixture
def world() -> CrafterWorld:
    return CrafterWorld()


def test_conforms() -> None:
    check_world(CrafterWorld, seeds=(0,), steps=40)


def test_the_land_is_the_package_s_own(world: CrafterWorld) -> None:
    env = crafter.Env(seed=1)
    env.reset()
    world.reset(1)
    rows = world.act(Action("look")).value["rows"]
    x, y = env._player.pos
    shown = [[env._world[x + dx, y + dy][0] for dx in range(-4, 5)] for dy in range(-3, 4)]
    assert [[name for name in row if name in crafter.constants.materials] for row in rows] == [
        [name for name, seen in zip(real, row, strict=True) if seen in crafter.constants.materials]
        for real, row in zip(shown, rows, strict=True)
    ]


def test_land_creatures_and_luck_begin_as_the_package_makes_them(world: CrafterWorld) -> None:
    env = crafter.Env(seed=5)
    env.reset()
    world.reset(5)
    game = world.save()["game"]
    assert game["land"] == ["".join(chr(65 + int(m)) for m in row) for row in env._world._mat_map]
    assert [one[1:3] for one in game["things"]] == [[int(v) for v in t.pos] for t in env._world._objects if t]
    assert game["luck"][1] == [int(k) for k in env._world.random.get_state()[1]]


def test_the_same_seed_gives_the_same_life_in_another_process() -> None:
    told = f"""
import json
from habilis.core import Action
from habilis.worlds.crafter import CrafterWorld
world = CrafterWorld()
for text in {PLAN!r} + ("noop()",) * 60:
    world.act(Action.parse(text))
print(json.dumps(world.save(), sort_keys=True))
"""
    run = subprocess.run(
        [sys.executable, "-c", told], capture_output=True, text=True, env={**os.environ, "PYTHONHASHSEED": "12345"}
    )
    assert run.returncode == 0, run.stderr
    world = CrafterWorld()
    _do(world, *PLAN, *("noop()",) * 60)
    assert json.loads(run.stdout) == world.save()


def test_pictures_take_none_of_the_luck(world: CrafterWorld) -> None:
    other = world.clone()
    for _ in range(260):  # into the night, whose darkness the package draws with the game's random numbers
        world.act(Action("noop"))
        other.act(Action("noop"))
    picture = world.picture(90)
    assert picture.shape == (90, 90, 3)
    assert picture.std() > 0
    for _ in range(40):
        assert world.act(Action("noop")) == other.act(Action("noop"))
    assert world.save() == other.save()


def test_only_what_was_seen_is_shown_and_walked_on(world: CrafterWorld) -> None:
    """Two worlds that look alike so far behave alike as far as only walking is concerned, whatever lies beyond."""
    belief = world.simulator()
    here, there = belief.imagine(1), belief.imagine(2)
    assert here.observe() == there.observe() == world.observe()
    assert here.affordances() == world.affordances()
    _do(here, 'find("diamond", 2)')
    _do(there, 'find("diamond", 2)')
    assert here.save()["seen"]["land"] != there.save()["seen"]["land"]
    assert world.save()["seen"]["land"] != here.save()["seen"]["land"]


def test_no_call_gathers_places_makes_or_fights_by_itself(world: CrafterWorld) -> None:
    before = world.observe().facts
    for action in ('find("tree")', 'find("cow")', 'find("stone", 2)', 'find("water")', 'find("iron", 2)'):
        outcome = world.act(Action.parse(action))
        assert {c.fact.predicate for c in outcome.changes}.isdisjoint({"count", "placed", "eaten", "defeated"})
        assert outcome.steps <= 100
    assert before[Fact("food")] >= world.observe().facts[Fact("food")]


def test_a_first_table_and_pickaxe(world: CrafterWorld) -> None:
    for _ in range(9):
        _do(world, 'find("tree")', 'do("tree")')
    assert world.observe().facts[Fact("count", ("wood",))] >= 3
    made = _do(world, 'make("wood_pickaxe")', 'find("grass")', 'place("table")', 'make("wood_pickaxe")')
    assert [o.ok for o in made] == [False, True, True, True]
    assert made[0].unmet is None, "the game gives no reasons"
    assert world.unlocked() >= {"collect_wood", "place_table", "make_wood_pickaxe"}
    facts = world.observe().facts
    assert facts[Fact("near", ("table",))] is True
    assert facts[Fact("placed", ("table",))] == 1
    _do(world, 'find("water")')
    assert world.act(Action("go_near", ("table",))).ok
    assert Fact("near", ("table",)) in world.observe().facts


def test_find_stops_before_what_is_in_the_way_and_goes_on_once_it_is_gone(world: CrafterWorld) -> None:
    state = world.save()
    state["game"]["player"]["inventory"]["wood_pickaxe"] = 1
    rows = [list(row) for row in state["game"]["land"]]
    x, y = 32, 32
    for i in range(x - 4, x + 5):
        for j in range(y - 3, y + 4):
            rows[i][j] = chr(65 + 3)  # stone all around
    rows[x][y] = chr(65 + 2)
    rows[x + 3][y] = chr(65 + 8)  # coal
    state["game"]["land"] = ["".join(row) for row in rows]
    kept = [i for i, thing in enumerate(state["game"]["things"]) if thing[0] == "player"]
    state["game"]["things"] = [state["game"]["things"][i] for i in kept]
    state["game"]["chunks"] = [[[24, 36, 24, 36], [0]]]
    state["seen"]["things"] = []
    world.load(state)
    first, dug, second = _do(world, 'find("coal")', 'do("stone")', 'find("coal")')
    assert (first.ok, first.message) == (False, "stone is in the way")
    assert dug.ok
    assert (second.ok, second.message) == (False, "stone is in the way")
    assert [o.ok for o in _do(world, 'do("stone")', 'find("coal")', 'do("coal")')] == [True, True, True]
    assert world.unlocked() == {"collect_stone", "collect_coal"}


def test_drinking_shows_only_where_something_lacked(world: CrafterWorld) -> None:
    assert world.act(Action("find", ("water",))).ok
    while world.observe().facts[Fact("drink")] < 9:
        assert world.act(Action("do", ("water",))).ok
    drunk = world.act(Action("do", ("water",)))
    assert (drunk.ok, drunk.message) == (False, "nothing came of it")
    while world.observe().facts[Fact("drink")] == 9:
        world.act(Action("noop"))
    assert _do(world, 'find("water")', 'do("water")')[1].ok


def test_a_life_ends_and_says_so() -> None:
    world = CrafterWorld(length=3)
    outcomes = _do(world, "noop()", "noop()", "noop()", "noop()")
    assert [o.done for o in outcomes] == [False, False, True, True]
    assert outcomes[2].message == "the 3 of 3 steps are over"
    assert (outcomes[3].ok, outcomes[3].steps) == (False, 0)
    assert world.ended() == "the 3 of 3 steps are over"
    world.reset(1)
    assert not world.ended()


def test_goals_are_the_achievements_and_show_no_counter(world: CrafterWorld) -> None:
    goals = achievement_goals()
    assert tuple(goals) == ACHIEVEMENTS
    assert sorted(goals) == sorted(crafter.constants.achievements)
    assert len(world.goals()) == 21, "drinking is no goal while nothing is lacking"
    facts = {fact.predicate for fact in world.observe().facts}
    assert facts <= {p.name for p in world.spec.predicates}
    assert "achievement" not in json.dumps([str(f) for f in world.observe().facts])


def test_the_score_is_the_official_formula() -> None:
    assert score({}) == 0.0
    assert score(dict.fromkeys(ACHIEVEMENTS, 1.0)) == pytest.approx(100.0)
    # the published rates of a random policy give its published score (Hafner 2021, table A.1)
    random = {
        "collect_drink": 24.0, "collect_sapling": 93.6, "collect_wood": 25.0, "eat_cow": 0.8, "place_plant": 89.1,
        "place_table": 0.1, "wake_up": 0.0, "defeat_zombie": 0.1,
    }  # fmt: skip
    assert 1.0 < score({k: v / 100 for k, v in random.items()}) < 2.0


@pytest.mark.parametrize(
    ("option", "said"), [({"length": 0}, "1 to 1,000,000 steps, not 0"), ({"length": "x"}, "change length")]
)
def test_bad_options(option: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        CrafterWorld(**option)


@pytest.mark.parametrize(
    "change",
    [
        {"schema_version": 9},
        {"fingerprint": "other"},
        {"game": {}},
        {"deeds": [["no fact", 1]]},
        {"seen": {"land": []}},
    ],
)
def test_a_damaged_state_is_refused_and_changes_nothing(world: CrafterWorld, change: dict[str, Any]) -> None:
    before = world.observe()
    with pytest.raises(InputError):
        world.load({**world.save(), **change})
    assert world.observe() == before


@pytest.mark.parametrize(
    ("action", "said"),
    [
        ('find("dragon")', "'dragon' is no thing of this world"),
        ('find("lava")', "deadly"),
        ('find("tree", 7)', "no land of rock=7"),
        ("find()", "find takes thing and rock"),
        ('move("north")', "no direction 'north'"),
        ('place("cow")', "is none of"),
        ('make("stick")', "is none of"),
        ('go_near("cow")', "is none of"),
        ('do("diamond")', "you face"),
    ],
)
def test_what_cannot_be_done_says_so_and_takes_no_step(world: CrafterWorld, action: str, said: str) -> None:
    outcome = world.act(Action.parse(action))
    assert (outcome.ok, outcome.steps) == (False, 0)
    assert said in outcome.message


def test_without_the_extra_it_is_named_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "crafter", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'habilis\[crafter\]'"):
        CrafterWorld()
