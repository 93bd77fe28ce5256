"""A user's own code: loaded once, found from the current folder, and its mistakes told as ours."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from habilis import Agent
from habilis.core import InputError, NotFoundError, load_user_code, split_source

SHOP = '''
from habilis import World, tool

stock = {"n": 0}

def make() -> None:
    """Make one."""
    stock["n"] += 1

def world():
    return World.from_functions([make], observe=lambda: {"count": stock}, name="shop")

@tool
def peek() -> int:
    """How many there are."""
    return stock["n"]
'''


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    name = f"shop_{tmp_path.name.replace('-', '_')}"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p])
    (tmp_path / f"{name}.py").write_text(SHOP)
    return tmp_path / f"{name}.py"


@pytest.mark.parametrize("world", ["file", "module"])
@pytest.mark.parametrize("tools", ["file", "module"])
def test_a_world_and_a_tool_of_one_file_share_what_they_hold(
    shop: Path, tmp_path: Path, world: str, tools: str
) -> None:
    place = {"file": str(shop), "module": shop.stem}
    before = list(sys.path)
    with Agent(f"{place[world]}:world", home=tmp_path / "home", tools=[f"{place[tools]}:peek"]) as agent:
        assert agent.solve_now('count("n") >= 2').solved
        module = load_user_code(str(shop), "a test")
        assert module.stock == {"n": 2}
        assert load_user_code(place[world], "a test") is load_user_code(place[tools], "a test") is module
    assert sys.path == before


@pytest.mark.parametrize(
    "broken",
    ["1 / 0", "raise SystemExit(3)", "import no_such_module", "def (", "class Odd(BaseException): ...\nraise Odd"],
)
def test_code_that_cannot_be_loaded_is_told(tmp_path: Path, broken: str) -> None:
    path = tmp_path / "broken.py"
    path.write_text(broken)
    for _ in range(2):
        with pytest.raises(InputError, match=r"broken\.py could not be loaded for the world 'x'"):
            load_user_code(str(path), "the world 'x'")
    path.write_text("mended = True")
    assert load_user_code(str(path), "the world 'x'").mended


def test_an_interrupt_is_no_mistake_of_the_code(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text("raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        load_user_code(str(tmp_path / "slow.py"), "a test")


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="there is no file"):
        load_user_code(str(tmp_path / "none.py"), "the tool 'x'")
    with pytest.raises(NotFoundError, match="no module 'no_such_module' for the tool 'x'"):
        load_user_code("no_such_module.sub", "the tool 'x'")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a.b:c", ("a.b", "c")),
        ("a/b.py:c", ("a/b.py", "c")),
        ("a/b.py", ("a/b.py", "")),
        ("C:\\a\\b.py", ("C:\\a\\b.py", "")),
        ("C:\\a\\b.py:c", ("C:\\a\\b.py", "c")),
    ],
)
def test_sources_are_split(text: str, parts: tuple[str, str]) -> None:
    assert split_source(text) == parts
