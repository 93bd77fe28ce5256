"""A home with damaged records stays usable, and says which they are."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any


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
