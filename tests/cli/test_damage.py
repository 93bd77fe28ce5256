"""A home with damaged records stays usable, and says which they are."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from habilis.memory import Home, SkillLibrary
from habilis.testing.embedding import HashEmbedder


def _damage(home: Path, *statements: str) -> None:
    with closing(sqlite3.connect(home / "journal.sqlite")) as db, db:
        for statement in statements:
            assert db.execute(statement).rowcount == 1


def test_a_damaged_skill_costs_only_itself(cli: Any, home: Path) -> None:
    before = {s["name"] for s in cli("skills", "list", "--home", home, "--json").json}
    _damage(
        home,
        "UPDATE skills SET data = '{' WHERE name = 'see_cells'",
        "UPDATE episodes SET data = '{' WHERE idx = 2",
        "UPDATE contracts SET data = '{' WHERE rowid = 2",
    )
    listed = cli("skills", "list", "--home", home, "--json")
    assert {s["name"] for s in listed.json} == before - {"see_cells"}
    assert listed.err.count("see_cells version 1") == listed.err.count("warning: ") == 1
    assert len(listed.err.splitlines()) == 1
    everything = cli("skills", "list", "--status", "all", "--home", home, "--json").json
    assert [(s["name"], s["status"]) for s in everything if s["name"] == "see_cells"] == [("see_cells", "damaged")]
    assert "damaged" in cli("skills", "list", "--status", "all", "--home", home).out
    shown = cli("skills", "show", "see_cells", "--home", home)
    assert (shown.code, shown.out) == (1, "")
    assert "see_cells version 1 in the journal is damaged" in shown.err
    other = sorted(before - {"see_cells"})[0]
    for command in (
        ("skills", "search", "dirt"),
        ("skills", "retire", other),
        ("skills", "restore", other),
        ("report",),
        ("solve", "have 3 dirt"),
        ("run", "-n", "18", "--distil-every", "0"),
    ):
        done = cli(*command, "--home", home)
        assert done.code == 0, (command, done.err)
        assert "see_cells version 1" in done.err


def test_the_state_of_a_run_that_is_no_mapping_is_named(cli: Any, home: Path) -> None:
    _damage(home, "UPDATE state SET data = '[7]' WHERE key = 'run:1'")
    done = cli("run", "-n", "20", "--distil-every", "0", "--home", home)
    assert (done.code, "Traceback" in done.err) == (1, False)
    assert "the state 'run:1' in the journal is damaged" in done.err


@pytest.mark.parametrize("state", ['{"iteration": 3}', '{"iteration": "3"}', '{"iteration": -1}', "{}"])
def test_the_state_of_a_run_that_lacks_what_it_needs_is_named(cli: Any, home: Path, state: str) -> None:
    _damage(home, f"UPDATE state SET data = '{state}' WHERE key = 'run:1'")
    done = cli("run", "-n", "20", "--distil-every", "0", "--home", home)
    assert (done.code, "Traceback" in done.err) == (1, False)
    assert "the state of run 1 in the journal is damaged" in done.err


def _another_embedder(home: Path) -> None:
    """The index and the facts as another embedder left them, which is not here any more."""
    with Home.open(home, create=False) as opened:
        SkillLibrary.rebuild(opened, embedder=HashEmbedder(64)).close()


def _embedder(home: Path) -> str:
    return str(json.loads((home / "home.json").read_text())["embedder"])


def test_an_index_of_another_embedder_is_made_anew_by_the_command_that_the_message_names(cli: Any, home: Path) -> None:
    _another_embedder(home)
    for args in (("solve", "have 3 dirt"), ("index", "rebuild")):
        refused = cli(*args, "--home", home)
        assert refused.code == 1
        assert f"habilis index rebuild --home {home} --embedder hash" in refused.err
        assert _embedder(home) == "hash:v1-64"
    done = cli("index", "rebuild", "--embedder", "hash", "--home", home)
    assert done.code == 0, done.err
    known = len(cli("skills", "list", "--home", home, "--json").json)
    assert done.out == f"index rebuilt: {known} skills, embedder hash:v1-512\n"
    assert cli("solve", "have 3 dirt", "--home", home).code == 0
    assert cli("index", "rebuild", "--home", home).out == f"index rebuilt: {known} skills, embedder hash:v1-512\n"


def test_without_its_facts_a_home_takes_the_embedder_at_hand_and_fills_the_index_again(cli: Any, home: Path) -> None:
    _another_embedder(home)
    (home / "home.json").write_text("{")
    refused = cli("solve", "have 3 dirt", "--home", home)
    assert "home.json is damaged" in refused.err
    assert "delete it" in refused.err
    (home / "home.json").unlink()
    assert cli("solve", "have 3 dirt", "--home", home).code == 0
    assert _embedder(home) == "hash:v1-512"
    assert cli("skills", "search", "get dirt", "--home", home, "--json").json[0]["name"] == "have_dirt"


@pytest.mark.parametrize("args", [("solve", "have 3 dirt"), ("skills", "search", "dirt")])
def test_an_embedder_that_nobody_knows_is_told_with_the_file_and_the_way_out(
    cli: Any, home: Path, args: tuple[str, ...]
) -> None:
    (home / "home.json").write_text('{"schema_version": 1, "embedder": "nonsense"}')
    refused = cli(*args, "--home", home)
    assert refused.code == 1
    assert f"{home / 'home.json'} names the embedder 'nonsense'" in refused.err
    assert f"habilis index rebuild --home {home} --embedder minilm" in refused.err
    assert cli("index", "rebuild", "--home", home, "--embedder", "hash").code == 0
    assert cli(*args, "--home", home).code == 0
