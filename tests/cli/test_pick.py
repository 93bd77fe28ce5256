"""``habilis tools pick``: what would be used for a task, and why; nothing is called, and nothing is written."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from habilis.core import Cost, Standing, dump
from habilis.memory import Home
from habilis.tools import load_registrations

TOOLS = '''
from habilis.core import Cost
from habilis.tools import tool

@tool(cost=Cost(usd=0.01, seconds=2), provides="weather")
def weather_report(city: str) -> str:
    """The weather forecast of a city for tomorrow."""
    raise AssertionError("nothing is called")

@tool(cost=Cost(usd=0.01, seconds=2), provides="weather")
def weather_service(city: str) -> str:
    """The weather forecast of a city for tomorrow, by satellite."""
    raise AssertionError("nothing is called")
'''
WEATHER = "weather forecast tomorrow"


@pytest.fixture
def stocked(cli: Any, home: Path, write: Callable[[str, str], Path]) -> Path:
    write("weather_tools.py", TOOLS)
    assert cli("tools", "add", "weather_tools.py", "--home", home).code == 0
    return home


def content(folder: Path) -> dict[str, str]:
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*"))
        if p.is_file() and not p.name.endswith(("-shm", "-wal"))
    }


def test_it_tells_what_is_taken_and_what_is_left(cli: Any, stocked: Path) -> None:
    before = content(stocked)
    told = cli("tools", "pick", WEATHER, "--budget", "usd=0.03,seconds=5", "--home", stocked)
    assert told.code == 0
    assert "tool:weather_report" in told.out
    assert "weather_service" not in told.out
    assert "together: $0.01, 2 s, 1 call" in told.out
    assert "left: $0.02, 3 s" in told.out
    assert content(stocked) == before


def test_why_tells_of_everything_that_was_considered(cli: Any, stocked: Path) -> None:
    told = cli("tools", "pick", WEATHER, "--budget", "usd=0.03", "--why", "--home", stocked)
    assert "chance 0" in told.out
    assert "tool:weather_report provides weather already" in told.out
    assert "tool:recipe_book" in told.out  # the world's own


def test_json_has_every_number(cli: Any, stocked: Path) -> None:
    told = cli("tools", "pick", WEATHER, "--budget", "usd=0.03", "--json", "--home", stocked).json
    assert told["taken"] == ["tool:weather_report"]
    assert told["cost"] == {"usd": 0.01, "seconds": 2.0, "calls": 1}
    assert told["left"]["usd"] == pytest.approx(0.02)
    choices = {c["id"]: c for c in told["choices"]}
    assert told["left"]["context"] == 16_000 - choices["tool:weather_report"]["context"]
    assert choices["tool:weather_service"]["blocked"] == "provides"
    assert all(c["why"] for c in choices.values())


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ([], "nothing can be taken: tool:weather_report, the likeliest to help: it takes usd=0.01, and 0 is left"),
        (["--budget", "seconds=1"], "it takes seconds=2, and 1 is left; raise it in --budget"),
        (["--budget", "usd=1", "--context", "0"], "tokens of the prompt, and max_context=0; raise --context"),
        (["--budget", "usd=1", "--context", "1"], "nothing is worth its price: tool:weather_report"),
        (["--kinds", "model"], "there is no model to pick from"),
        (["--kinds", "document"], "there is no document to pick from: habilis know add takes in documents"),
    ],
)
def test_where_nothing_is_taken_it_says_what_would_help(cli: Any, stocked: Path, options: list[str], told: str) -> None:
    said = cli("tools", "pick", WEATHER, *options, "--home", stocked)
    assert said.code == 0
    assert told in said.out


def test_skills_and_demonstrations_of_the_world_are_considered(cli: Any, learned: Path) -> None:
    told = cli("tools", "pick", "have dirt", "--kinds", "skill, demonstration", "--json", "--home", learned).json
    assert "skill:have_dirt" in told["taken"]
    assert {c["id"].partition(":")[0] for c in told["choices"]} == {"skill", "demonstration"}
    records = {c["id"]: c["why"] for c in told["choices"]}
    assert "uses succeeded" in records["skill:have_dirt"]


def test_documents_are_considered(cli: Any, stocked: Path, write: Callable[[str, str], Path]) -> None:
    file = write("weather.md", "# Weather\n\nA weather forecast tells what the weather will be tomorrow.\n")
    assert cli("know", "add", file, "--home", stocked).code == 0
    told = cli("tools", "pick", WEATHER, "--kinds", "document", "--json", "--home", stocked).json
    assert [one.partition(":")[0] for one in told["taken"]] == ["document"]


def test_a_home_that_is_not_there_has_the_tools_of_the_world(cli: Any, tmp_path: Path) -> None:
    told = cli("tools", "pick", "look up a recipe in the recipe book", "--budget", "usd=1", "--home", tmp_path / "none")
    assert told.code == 0
    assert "tool:recipe_book" in told.out
    assert "there is no home at" in told.err
    assert not (tmp_path / "none").exists()
    far = cli("tools", "pick", "zzyzx", "--home", tmp_path / "none")
    assert "nothing is near enough to this task" in far.out
    assert "habilis tools add" in far.out


def lying(home: Home, name: str) -> None:
    """As if the tool had cost 5 USD in a run."""
    (registered,) = load_registrations(home.journal)
    (dear,) = (one for one in registered.tools() if one.name == name)
    standing = Standing(f"tool:{dear.owner}:{dear.name}", dump(dear.most))
    standing.keep(home.journal, "refuse")
    standing.overran(dear.most, Cost(usd=5, calls=1), {})


def test_a_tool_that_overran_is_left_out_and_shown_as_refused(cli: Any, stocked: Path) -> None:
    with Home.open(stocked) as home:
        lying(home, "weather_report")
    told = cli("tools", "pick", WEATHER, "--budget", "usd=9", "--why", "--home", stocked)
    assert "left out: weather_report is not called any more" in told.err
    assert "--cost" in told.err
    assert "tool:weather_report" not in told.out
    assert "take  tool:weather_service" in told.out
    rows = {row["name"]: row["refused"] for row in cli("tools", "list", "--json", "--home", stocked).json}
    assert "at last usd=5" in rows["weather_report"]
    assert rows["weather_service"] == ""
    assert "refused: weather_report is not called" in cli("tools", "show", "weather_report", "--home", stocked).out
    assert "weather_report is taken at its word" in cli("tools", "forgive", "weather_report", "--home", stocked).out
    assert cli("tools", "pick", WEATHER, "--budget", "usd=9", "--home", stocked).err == ""
    assert "No payee with an overrun" in cli("tools", "forgive", "weather_report", "--home", stocked).err


def test_what_is_declared_anew_is_another_price(cli: Any, stocked: Path) -> None:
    with Home.open(stocked) as home:
        lying(home, "weather_report")
    assert "left out" in cli("tools", "pick", WEATHER, "--budget", "usd=9", "--home", stocked).err
    assert cli("tools", "remove", "weather_tools.py", "--home", stocked).code == 0
    assert cli("tools", "add", "weather_tools.py", "--cost", "usd=5", "--home", stocked).code == 0
    assert cli("tools", "pick", WEATHER, "--budget", "usd=9", "--home", stocked).err == ""
