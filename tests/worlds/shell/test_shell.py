"""The shell world: conformance, what is seen, copies, folders of the user's."""

from __future__ import annotations

import base64
import io
import json
import os
import zipfile
from pathlib import Path

import pytest

from habilis.core import Action, Fact, Goal, InputError, MissingExtraError, Outcome
from habilis.testing.worlds import check_world
from habilis.worlds.shell import ShellWorld


def run(world: ShellWorld, command: str, *args: str | int) -> Outcome:
    return world.act(Action("run", (command, *args)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "mine"
    (place / "sub").mkdir(parents=True)
    (place / "names.txt").write_text("pear\napple\npear\n")
    (place / "sub" / "one.csv").write_text("a,b\n1,2\n")
    return place


def contents(place: Path) -> dict[str, bytes]:
    return {str(p.relative_to(place)): p.read_bytes() for p in sorted(place.rglob("*")) if p.is_file()}


@pytest.mark.parametrize("options", [{"orders": 2}, {"orders": 2, "practice": False, "split": "test"}], ids=str)
def test_it_conforms(options: dict[str, object]) -> None:
    check_world(lambda: ShellWorld(**options), seeds=(0,), steps=6)  # type: ignore[arg-type]


def test_a_folder_of_the_users_conforms_and_is_never_touched(folder: Path) -> None:
    before = contents(folder)
    check_world(lambda: ShellWorld(folder=folder), seeds=(3,), steps=6)
    world = ShellWorld(folder=folder)
    assert run(world, "rm -rf ./* && echo gone > names.txt").ok
    assert contents(folder) == before
    assert world.reset(1).facts[Fact("line_count", ("names.txt",))] == 3


def test_what_is_seen() -> None:
    world = ShellWorld(orders=1)
    assert run(world, 'printf "42\\n" > "$1"; ln -s nowhere link; mkdir d; chmod 640 "$1"', "a b").ok
    seen = world.observe()
    assert seen.facts[Fact("content", ("a b", "42"))] is True
    assert seen.facts[Fact("mode", ("a b",))] == 640
    assert seen.facts[Fact("links_to", ("link", "nowhere"))] is True
    assert seen.facts[Fact("is_dir", ("d",))] is True
    outcome = run(world, "echo 7; echo no >&2; exit 3")
    assert not outcome.ok
    assert "no" in outcome.message
    assert outcome.value == {"stdout": "7\n", "stderr": "no\n", "exit": 3}
    assert world.observe().facts[Fact("printed", ("7",))] is True
    assert world.observe().facts[Fact("exit_code")] == 3


def test_arguments_are_taken_as_they_are() -> None:
    world = ShellWorld(orders=1)
    nasty = "a'b\"; touch hacked; $(touch hacked) `x` *"
    assert world.act(Action("lines", ('printf "%s\\n" "$1"', nasty))).value == [nasty]
    assert Fact("exists", ("hacked",)) not in world.observe().facts
    assert not run(world, "echo", "a\0b").ok
    assert "4000" in run(world, "x" * 5_000).message


@pytest.mark.parametrize(
    ("printed", "lines"),
    [("", []), ("\n", [""]), ("a", ["a"]), ("a\n\nb\n", ["a", "", "b"]), ("a\fb\u2028c\rd\n", ["a\fb\u2028c\rd"])],
)
def test_lines_end_where_bash_ends_them(printed: str, lines: list[str]) -> None:
    world = ShellWorld(orders=1)
    assert world.act(Action("lines", ('printf %s "$1"', printed))).value == lines


def test_names_that_are_no_text_survive_a_checkpoint() -> None:
    world = ShellWorld(orders=1)
    start = world.save()
    assert run(world, "touch $'b\\xff' '#tag' bytes:00").ok
    facts = world.observe().facts
    assert {Fact("exists", ("b\\xff",)), Fact("exists", ("./#tag",))} <= facts.keys()
    state = json.loads(json.dumps(world.save()))
    world.load(start)
    assert Fact("exists", ("./#tag",)) not in world.observe().facts
    world.load(state)
    assert world.observe().facts == facts
    with pytest.raises(InputError, match="no saved state"):
        world.load({**state, "files": {"../out": ["file", 420, ""]}})
    with pytest.raises(InputError, match="no saved state"):
        world.load({**state, "files": {"a/b": ["file", 420, ""]}})


def test_archives_are_told_by_what_is_in_them() -> None:
    world = ShellWorld(orders=1)
    assert run(world, "mkdir d; echo x > d/y; tar -cf one.tar d; touch -d 2001-01-01 d/y; tar -cf two.tar d").ok
    assert run(world, "echo z > z; gzip -k z; sleep 0.01; touch z; gzip -c z > y.gz; head -c 9 y.gz > broken.gz").ok
    facts = {f.args[0]: f.args[1] for f in world.observe().facts if f.predicate == "content"}
    assert facts["one.tar"] == facts["two.tar"]
    assert str(facts["one.tar"]).startswith("packed:tar:")
    assert facts["z.gz"] == facts["y.gz"]
    assert str(facts["broken.gz"]).startswith("sha256:")


def broken_zip() -> bytes:
    """A zip whose one member says that it is packed by LZMA, with properties that there are none of."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("a", b"x" * 500)
    data = bytearray(packed.getvalue())
    data[35:40] = b"\xff" * 5  # after 30 bytes of header, a name of one letter, and LZMA's version and size
    return bytes(data)


def test_no_archive_stops_the_host_from_looking() -> None:
    world = ShellWorld(orders=1)
    assert run(world, 'printf %s "$1" | base64 -d > broken.zip', base64.b64encode(broken_zip()).decode()).ok
    facts = {f.args[0]: str(f.args[1]) for f in world.observe().facts if f.predicate == "content"}
    assert facts["broken.zip"].startswith("sha256:")
    world.reset(1)
    assert Fact("exists", ("broken.zip",)) not in world.observe().facts


def test_what_unpacks_to_much_more_than_it_is_is_not_unpacked() -> None:
    world = ShellWorld(orders=1)
    assert run(world, "head -c 4000000 /dev/zero | gzip > bomb.gz; head -c 200000 /dev/zero | gzip > small.gz").ok
    assert run(world, "echo x > x; for i in 1 2 3 4 5 6; do gzip -c x > y; mv y x; done").ok
    facts = {f.args[0]: str(f.args[1]) for f in world.observe().facts if f.predicate == "content"}
    assert facts["bomb.gz"].startswith("sha256:")
    assert facts["small.gz"].startswith("packed:gzip:")
    assert facts["x"].startswith("packed:gzip:")


def test_programs_are_not_told_whether_an_order_is_carried_out() -> None:
    world = ShellWorld(orders=1)
    goal = world.pose(Goal.parse('file_copied("a", "b")'), 4)
    assert goal is not None
    (atom,) = goal.atoms
    assert goal.unmet(world.observe())
    assert run(world, 'cp -- "$1" "$2"', *atom.fact.args).ok
    assert not goal.unmet(world.observe())
    assert atom.fact not in world.observe().facts
    assert all(f.predicate != "file_copied" for f, _ in world.observe().facts.items())
    assert run(world, "echo more > scratch").ok  # beside the order's own folder
    assert not goal.unmet(world.observe())
    assert run(world, 'echo more > "$1.more"', atom.fact.args[1]).ok
    assert goal.unmet(world.observe())


def test_orders_about_a_folder_of_the_users(folder: Path) -> None:
    world = ShellWorld(folder=folder)
    goal = Goal.parse('lines_once("names.txt", "out.txt")')
    assert any(g.atoms[0].fact.predicate == "lines_once" for g in world.goals())
    assert run(world, "echo other > other.txt; sort -u names.txt > out.txt").ok
    assert not goal.unmet(world.observe())
    assert run(world, "echo spoilt >> names.txt; echo spoilt >> out.txt").ok
    assert goal.unmet(world.observe())


def test_what_it_takes(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for options, said in (
        ({"orders": 0}, "orders=1 to 48"),
        ({"split": "x"}, "'train'"),
        ({"practice": 1}, "True or False"),
        ({"folder": tmp_path / "no"}, "is none"),
        ({"at": "/usr/x"}, "/usr/x"),
        ({"tasks": "x"}, "folder"),
    ):
        with pytest.raises(InputError, match=said):
            ShellWorld(**options)  # type: ignore[arg-type]
    (folder / "big").write_bytes(b"")
    os.truncate(folder / "big", 65 << 20)
    with pytest.raises(InputError, match="64 MB"):
        ShellWorld(folder=folder)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(MissingExtraError, match="apt install bubblewrap"):
        ShellWorld()
