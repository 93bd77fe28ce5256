"""What the server answers, without its protocol: worlds made afresh, limits, and texts that strangers wrote."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from habilis import _served
from habilis._served import Served
from habilis._worlds import open_world
from habilis.core import HabilisError, InputError, NotFoundError, Parameter, Program, RunLimits, Skill
from habilis.memory.exchange import export_skills, read_exchange, take_in
from habilis.memory.home import Home
from habilis.memory.journal import Journal
from habilis.testing.journal import example_skill

WORLD = '''
from habilis.worlds import action, from_functions

def make(name="orchard", live=False):
    bag = {"fig": 0}
    sent = []

    def pick() -> None:
        """Pick a fig."""
        bag["fig"] += 1

    @action(side_effects=True)
    def send() -> None:
        """Send a fig away."""
        bag["fig"] -= 1

    reset = None if live else (lambda: bag.update(fig=0))
    return from_functions([pick, send], observe=lambda: {"count": bag}, reset=reset, name=name)
'''

N = Parameter("n", "int", 1, required=False, low=0, high=64)
PICK = "def have_fig(n=1):\n    while world.count('fig') < n:\n        world.pick()\n"


@pytest.fixture
def place(tmp_path: Path) -> str:
    (tmp_path / "orchard.py").write_text(WORLD)
    return f"{tmp_path / 'orchard.py'}:make"


def remember(journal: Journal, place: str, **options: Any) -> str:
    """A run in the world of the file, as an agent would write it down; the world's fingerprint."""
    fingerprint = open_world(place, options)().spec.fingerprint
    journal.start_run({"world": place, "world_options": options, "fingerprint": fingerprint})
    return fingerprint


def skill(name: str, source: str, fingerprint: str, **changes: Any) -> Skill:
    made = replace(example_skill(name, fingerprint=fingerprint), world="orchard", goal_template='count("fig") >= {n}')
    return replace(made, program=Program(name, source, (N,), changes.pop("calls", ())), **changes)


@pytest.fixture
def home(tmp_path: Path, place: str) -> Iterator[Home]:
    """A home that is owned meanwhile, as by a run."""
    with Home.open(tmp_path / "home", embedder="hash") as opened:
        fingerprint = remember(opened.journal, place)
        opened.journal.put_skill(skill("have_fig", PICK, fingerprint, doc="get figs"), "solved")
        yield opened


@pytest.fixture
def served(home: Home) -> Iterator[Served]:
    with Served(home.path) as opened:
        yield opened


Put = Callable[..., Skill]


@pytest.fixture
def put(home: Home) -> Put:
    """Keep one more skill of the orchard, as a run that goes on would."""

    def one(name: str, source: str, **changes: Any) -> Skill:
        fingerprint = changes.pop("fingerprint", home.journal.skill("have_fig").fingerprint)
        made = skill(name, source, fingerprint, **changes)
        home.journal.put_skill(made, "for a test")
        return made

    return one


def test_a_skill_is_found_read_and_run_while_a_run_owns_the_home(served: Served, put: Put) -> None:
    assert [s["name"] for s in served.search("figs")["skills"]] == ["have_fig"]
    assert served.read("have_fig")["parameters"] == [
        {"name": "n", "type": "int", "required": False, "default": 1, "low": 0, "high": 64}
    ]
    told = served.run("have_fig", {"n": 3})
    assert (told["reached"], told["world_steps"], told["actions"]) == (True, 3, ["pick(): ok"] * 3)
    assert told["tier"] > 0
    put("have_more", "def have_more(n=1):\n    skills.have_fig(n + 1)\n", calls=("have_fig",), doc="get more figs")
    assert "have_more" in {s["name"] for s in served.search("more figs")["skills"]}
    assert served.run("have_more", {"n": 3})["world_steps"] == 4
    assert served.run("have_fig", {"n": 1})["world_steps"] == 1  # a fresh world each time


def test_a_goal_that_was_not_reached_is_told(served: Served, put: Put) -> None:
    put("give_up", "def give_up(n=1):\n    world.pick()\n    raise ValueError('no \\x1b[31mmore')\n")
    told = served.run("give_up", {"n": 2})
    assert told["reached"] is False
    assert told["unmet"] == ['count("fig") >= 2']
    assert told["error"]["kind"] == "ValueError"
    assert "\x1b" not in json.dumps(told, ensure_ascii=False)


@pytest.mark.parametrize(
    ("name", "args", "seed", "error", "why"),
    [
        ("have_fg", {}, 0, NotFoundError, "did you mean 'have_fig'"),
        ("have_fig", {"m": 1}, 0, NotFoundError, "no parameter of have_fig 'm'. Known: n"),
        ("have_fig", {"n": "1"}, 0, InputError, "takes n as int, not '1'"),
        ("have_fig", {"n": True}, 0, InputError, "takes n as int, not True"),
        ("have_fig", {"n": 65}, 0, InputError, "takes n from 0 to 64, not 65"),
        ("have_fig", {"n": 1}, -1, InputError, "seed=-1 is not from 0"),
        ("have_fig", {"n": "x" * 70_000}, 0, InputError, "more than 64000 characters"),
    ],
)
def test_a_wrong_call_is_told(
    served: Served, name: str, args: dict[str, Any], seed: int, error: type[HabilisError], why: str
) -> None:
    with pytest.raises(error, match=why):
        served.run(name, args, seed)


def test_what_is_out_of_use_does_not_run(served: Served, home: Home, tmp_path: Path) -> None:
    theirs = replace(home.journal.skill("have_fig"), name="theirs")
    theirs = replace(theirs, program=replace(theirs.program, name="theirs", source=PICK.replace("have_fig", "theirs")))
    export_skills([theirs], [], tmp_path / "shared")
    take_in(home.journal, read_exchange(tmp_path / "shared"))
    with pytest.raises(InputError, match=r"theirs version 1 is quarantined.*habilis skills verify theirs"):
        served.run("theirs", {})
    assert served.read("theirs")["status"] == "quarantined"
    assert [s["name"] for s in served.search("theirs")["skills"]] != ["theirs"]
    home.journal.set_skill_status("have_fig", 1, "retired", "for a test")
    with pytest.raises(InputError, match=r"retired and does not run.*restore"):
        served.run("have_fig", {})
    assert served.search("figs")["skills"] == []


def test_what_rests_on_something_out_of_use_does_not_run(served: Served, put: Put) -> None:
    put("a", "def a(n=1):\n    skills.gone(n)\n", calls=("gone",))
    with pytest.raises(NotFoundError, match=r"no active skill 'gone'.*a rests on it"):
        served.run("a", {})


def test_a_skill_that_calls_tools_does_not_run(served: Served, put: Put) -> None:
    put("buy", "def buy(n=1):\n    tools.shop(n)\n")
    put("buys", "def buys(n=1):\n    skills.buy(n)\n", calls=("buy",))
    for name in ("buy", "buys"):
        with pytest.raises(InputError, match=r"calls tools \(shop\)"):
            served.run(name, {})


def test_side_effects_are_not_had(served: Served, put: Put) -> None:
    put("give", "def give(n=1):\n    world.pick()\n    world.send()\n")
    told = served.run("give", {})
    assert "was not approved" in told["actions"][-1]
    assert told["error"]["kind"] == "ActionFailed"


def test_a_world_that_nobody_knows(served: Served, put: Put) -> None:
    put("far", "def far(n=1):\n    pass\n", fingerprint="f9")
    with pytest.raises(NotFoundError, match=r"no run of this home was in the world orchard \(f9\)"):
        served.run("far", {})


def test_worlds_that_cannot_be_made_afresh(served: Served, put: Put, home: Home, place: str) -> None:
    live = remember(home.journal, place, name="field", live=True)
    put("in_the_field", "def in_the_field(n=1):\n    pass\n", fingerprint=live)
    with pytest.raises(InputError, match=r"orchard (is live|cannot begin from a seed)"):
        served.run("in_the_field", {})
    home.journal.start_run({"world": place, "world_options": {"name": "other"}, "fingerprint": "f8"})
    put("changed", "def changed(n=1):\n    pass\n", fingerprint="f8")
    with pytest.raises(InputError, match=r"has other rules by now"):
        served.run("changed", {})
    home.journal.start_run({"world": "no such world", "fingerprint": "f7"})
    put("lost", "def lost(n=1):\n    pass\n", fingerprint="f7")
    with pytest.raises(InputError, match=r"cannot be made afresh here: there is no world"):
        served.run("lost", {})


def test_a_program_has_limits(served: Served, put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_served, "LIMITS", RunLimits(seconds=0.5, world_steps=5, tool_calls=0))
    put("spin", "def spin(n=1):\n    while True:\n        pass\n")
    put("pick_on", "def pick_on(n=1):\n    while True:\n        world.pick()\n")
    put("escape", "def escape(n=1):\n    open('/etc/passwd').read()\n")
    assert served.run("spin", {})["error"]["kind"] == "time"
    told = served.run("pick_on", {})
    assert (told["world_steps"], told["error"]["kind"]) == (5, "steps")
    assert served.run("escape", {})["error"] is not None


def test_what_strangers_wrote_is_cut_and_cleaned(served: Served, put: Put) -> None:
    source = (
        "def shout(n=1):\n    for _ in range(200):\n        world.pick()\n"
        "    print('\\x1b[2J\\u202e' + 'p' * 50_000)\n    return {'\\u202e': 'r' * 50_000}\n"
    )
    put("shout", source + "# \u202e\x07\n" + "#" * 300_000, doc="d" * 9_000 + "\x1b[31m", origin="\u202eo" * 900)
    for told in (served.read("shout"), served.run("shout", {}), served.search("shout")):
        text = json.dumps(told, ensure_ascii=False)
        assert len(text) < 130_000
        assert not {"\u202e", "\x07", "\x1b"} & set(text)
    told = served.run("shout", {})
    assert (len(told["actions"]), told["actions_in_all"]) == (100, 200)
    assert len(told["printed"]) <= 4_000
    assert len(told["returned"]) <= 4_000


def test_several_worlds_in_one_home(served: Served, put: Put, home: Home, place: str) -> None:
    other = remember(home.journal, place, name="garden")
    put("have_fig", PICK, fingerprint=other, version=2)
    with pytest.raises(InputError, match=r"several worlds have a skill have_fig.*--world"):
        served.run("have_fig", {})
    assert served.read("have_fig", 2)["version"] == 2
    with Served(home.path, world=other) as one:
        assert one.run("have_fig", {"n": 2})["version"] == 2
        assert [s["version"] for s in one.search("have fig")["skills"]] == [2]
    with pytest.raises(NotFoundError, match="no active skill of the world 'nowhere'"):
        Served(home.path, world="nowhere")
    with pytest.raises(InputError, match="several worlds are called orchard"):
        Served(home.path, world="orchard")


def test_a_home_that_does_not_exist_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="there is no home"):
        Served(tmp_path / "none")
    assert not (tmp_path / "none").exists()
