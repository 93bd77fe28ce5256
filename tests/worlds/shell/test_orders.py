"""Orders: frozen, each can be carried out, and by a command that was written without the code that checks it."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

import pytest

from habilis.core import Action, Atom, Fact, Goal, InputError
from habilis.worlds.shell import ShellWorld
from habilis.worlds.shell.intercode import read_tasks
from habilis.worlds.shell.orders import HELD_OUT, KINDS, fingerprint, mixed, order


def like(name: str) -> Goal:
    return Goal((Atom(Fact(name)),))


def test_the_orders_are_those_that_were_frozen() -> None:
    frozen = json.loads((files("habilis.worlds.shell") / "data" / "frozen.json").read_text("utf-8"))
    assert fingerprint("test", HELD_OUT) == frozen["test"]["sha256"]
    assert fingerprint("train", range(frozen["train"]["seeds"])) == frozen["train"]["sha256"]
    assert len({k.family for k in KINDS.values()}) == frozen["families"]
    assert sorted((k.family, k.level) for k in KINDS.values()) == sorted(
        (family, level) for family in {k.family for k in KINDS.values()} for level in (1, 2, 3)
    )


def test_train_and_test_share_nothing() -> None:
    for name in KINDS:
        train = {order(name, seed).files.__repr__() for seed in range(10)}
        assert not train & {order(name, seed, "test").files.__repr__() for seed in HELD_OUT}


def test_every_order_is_open_at_first_and_our_command_carries_it_out() -> None:
    world = ShellWorld(split="train", practice=False)
    for name, kind in KINDS.items():
        goal = world.pose(like(name), 7)
        assert goal is not None
        assert goal.unmet(world.observe()), name
        outcome = world.act(Action("run", (kind.solution, *goal.atoms[0].fact.args)))
        assert outcome.ok, (name, outcome.message)
        assert not goal.unmet(world.observe()), name
    assert world.pose(Goal.parse('exists("a")'), 1) is None


def test_orders_of_one_folder_do_not_get_in_each_others_way() -> None:
    world = ShellWorld(orders=12)
    goals = world.goals()
    assert len(goals) == len({one.at for one in mixed(0, 12)}) == 12
    for goal in goals:
        world.act(Action("run", (KINDS[goal.atoms[0].fact.predicate].solution, *goal.atoms[0].fact.args)))
        assert not goal.unmet(world.observe()), goal
    printing = {name for name in KINDS if KINDS[name].family in ("find", "count")} | {"names_missing"}
    assert all(not g.unmet(world.observe()) for g in goals if g.atoms[0].fact.predicate not in printing)


@pytest.fixture
def testbed(tmp_path: Path) -> Path:
    place = tmp_path / "testbed"
    (place / "dir1").mkdir(parents=True)
    for i, text in enumerate(("one\n", "two\nlines\n", "")):
        (place / "dir1" / f"file{i}.txt").write_text(text)
    return place


def test_intercode_tasks_are_goals_in_their_own_words(testbed: Path, tmp_path: Path) -> None:
    tasks = tmp_path / "nl2bash_fs_1.json"
    told = [
        {"query": "Count the files  under /testbed", "gold": "find /testbed -type f | wc -l"},
        {"query": "Remove empty files", "gold": "find /testbed -empty -delete", "gold2": "rm /testbed/dir1/file2.txt"},
    ]
    tasks.write_text(json.dumps(told))
    world = ShellWorld(folder=testbed, at="/testbed", tasks=tasks, practice=False)
    counting, removing = world.goals()
    assert counting.atoms[0].fact.args == ("Count the files under /testbed",)
    assert world.act(Action("run", ("ls -R /testbed | grep -c txt",))).ok
    assert not counting.unmet(world.observe())
    assert removing.unmet(world.observe())
    assert world.act(Action("run", ("find dir1 -size 0 -exec rm {} +",))).ok
    assert not removing.unmet(world.observe())
    assert world.act(Action("run", ("touch /testbed/more",))).ok
    assert removing.unmet(world.observe())
    assert (testbed / "dir1" / "file2.txt").exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[", "no JSON"),
        ("{}", "no list"),
        ('[{"query": "x"}]', "task 0"),
        ('[{"query": "x", "gold": "ls"}, 3]', "task 1"),
        (json.dumps([{"query": "x" * 1_000, "gold": "ls"}]), "900 characters"),
    ],
    ids=["json", "list", "gold", "entry", "long"],
)
def test_a_task_file_that_is_none(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "tasks.json"
    file.write_text(text)
    with pytest.raises(InputError, match=said):
        read_tasks(file)
    with pytest.raises(InputError, match="cannot be read"):
        read_tasks(tmp_path / "none.json")


def test_an_order_in_words_is_read_back() -> None:
    world = ShellWorld(orders=1)
    for name in KINDS:
        for seed in range(3):
            one = order(name, seed)
            assert world.understand(one.text) == Goal((Atom(one.fact),)), one.text
    assert world.understand("make me a sandwich") is None
