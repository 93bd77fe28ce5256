"""``habilis know``, as users have it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    folder = tmp_path / "shelf"
    folder.mkdir()
    (folder / "bread.md").write_text("# Bread\nMix flour.\n## Oven\nHeat the oven to 200 degrees.")
    (folder / "tax.txt").write_text("Pay in March.")
    (folder / ".git").mkdir()
    return folder


def test_from_adding_to_removing(cli: Any, tmp_path: Path, shelf: Path) -> None:
    home = ("--home", tmp_path / "home")
    assert "no document yet" in cli("know", "list", *home).out or cli("know", "list", *home).code
    told = cli("know", "add", shelf, *home, "--cost", "usd=0.5")
    assert (told.code, told.out) == (0, f"{shelf}: 2 added (passed over: 1 hidden)\n")
    assert "2 unchanged" in cli("know", "add", shelf, *home).out

    bread, tax = cli("know", "list", *home, "--json").json
    assert (bread["kind"], bread["passages"], bread["price"]) == ("file", 2, {"usd": 0.5})
    assert tax["source"] == str(shelf / "tax.txt")
    assert "Pay in March." in cli("know", "show", tax["id"], *home).out
    shown = cli("know", "show", shelf / "bread.md", *home, "--json").json
    assert [p["title"] for p in shown["passages"]] == ["Bread", "Bread > Oven"]
    (found,) = cli("know", "search", "hot oven", *home, "--json").json
    assert (found["id"], found["number"], found["title"]) == (bread["id"], 2, "Bread > Oven")
    assert "no document has these words" in cli("know", "search", "zebra", *home).out

    (shelf / "tax.txt").unlink()
    (shelf / "bread.md").write_text("# Bread\nMix well.")
    told = cli("know", "add", shelf, *home).out
    assert "1 replaced, 1 gone" in told
    assert f"gone: {shelf / 'tax.txt'}" in told
    assert cli("know", "remove", shelf, *home).out == f"removed {bread['id']}\nremoved {tax['id']}\n"
    assert cli("know", "list", *home, "--json").json == []


def test_what_is_refused_is_told_and_the_rest_kept(cli: Any, tmp_path: Path, shelf: Path) -> None:
    home = ("--home", tmp_path / "home")
    (shelf / "photo.txt").write_bytes(bytes(range(256)))
    told = cli("know", "add", tmp_path / "nowhere", shelf, *home)
    assert told.code == 1
    assert "2 added, 1 refused" in told.out
    assert "there is no file or folder" in told.err
    assert f"refused {shelf / 'photo.txt'}: it is binary" in told.err
    again = cli("know", "add", shelf, *home, "--json")
    (row,) = json.loads(again.out)
    assert (again.code, len(row["unchanged"]), len(row["refused"])) == (1, 2, 1)


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (("add", "SHELF", "--cost", "free"), "free"),
        (("add", "SHELF", "--cost", "tokens=3"), "tokens of a document are counted"),
        (("show", "pudding"), "habilis know list"),
        (("remove", "pudding"), "habilis know list"),
        (("search", " "), "the search is empty"),
    ],
)
def test_what_cannot_be_done_says_why(cli: Any, tmp_path: Path, shelf: Path, args: tuple[str, ...], told: str) -> None:
    home = ("--home", tmp_path / "home")
    cli("know", "add", shelf, *home)
    said = cli("know", *(str(shelf) if a == "SHELF" else a for a in args), *home)
    assert said.code != 0
    assert told in said.err
