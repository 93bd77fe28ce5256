"""What commands do when all is well: tables, JSON, the report, skills, tools, goals of one's own."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from habilis.memory import Home
from habilis.memory.journal import ModelRecord

TOOLS = '''
from habilis import Cost, tool

@tool(cost=Cost(usd=0.5), safe_to_retry=True)
def weigh(item: str) -> int:
    """Weigh an item."""
    return len(item)
'''

SHED = '''
from habilis.worlds import action, from_functions

def shed(size: int):
    held = set()

    @action(adds="held({item})")
    def fetch(item: str) -> None:
        """Fetch an item."""
        held.add(item)

    return from_functions([fetch], observe=lambda: {"held": set(held)}, name=f"shed{size}")
'''

TALKING = '''
from habilis import World

print("loaded")
seen = {"x": 0}

def up() -> None:
    """Up by one."""
    print("up it goes")
    seen["x"] += 1

def make():
    return World.from_functions([up], observe=lambda: dict(seen), reset=lambda seed: seen.update(x=0))
'''

LISTINGS = [
    ("skills", "list"),
    ("skills", "search", "get dirt"),
    ("tools", "list"),
    ("models", "list"),
    ("runs",),
]


def test_help_is_quick_to_load_and_names_every_command(cli: Any) -> None:
    heavy = "torch transformers chromadb openai langchain langchain_core onnxruntime numpy pydantic_ai"
    code = (
        "import sys\nfrom habilis.cli import main\nsys.argv = ['habilis', *sys.argv[1:]]\n"
        "try: main()\n"
        f"finally: print([m for m in {heavy.split()!r} if m in sys.modules], file=sys.stderr)"
    )
    for args in (["--help"], ["run", "--help"], ["skills", "--help"], ["models", "get", "--help"]):
        done = subprocess.run(
            [sys.executable, "-c", code, *args], env=cli.env, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0
        assert done.stderr.strip() == "[]", args
    told = cli("--help").out
    for command in (
        "run",
        "solve",
        "distil",
        "corpus",
        "explore",
        "report",
        "runs",
        "worlds",
        "doctor",
        "skills",
        "tools",
        "models",
    ):
        assert f"  {command} " in told


@pytest.mark.parametrize("command", LISTINGS, ids=" ".join)
def test_every_listing_speaks_json_and_table(cli: Any, learned: Path, command: tuple[str, ...]) -> None:
    told = cli(*command, "--home", learned, "--json")
    assert told.code == 0, told.err
    assert isinstance(told.json, list)
    table = cli(*command, "--home", learned)
    assert table.code == 0
    for row in told.json[:3]:
        assert str(row.get("name", row.get("run"))) in table.out


def test_worlds_and_doctor_speak_json(cli: Any) -> None:
    assert {"world": "craft", "from": "habilis.worlds.craft:CraftWorld"} in cli("worlds", "--json").json
    assert "craft" in cli("worlds").out
    found = cli("doctor", "--json").json
    assert found["cache"] == cli.env["HABILIS_CACHE"]
    assert found["isolation"]["tier"] in (1, 2, 3)
    assert f"tier {found['isolation']['tier']}" in cli("doctor").out


def test_doctor_fails_where_what_was_asked_for_does_not_hold(cli: Any) -> None:
    for flag in ((), ("--json",)):
        told = cli.apart("doctor", "--isolation", "docker:x", *flag, PATH="/nowhere")
        assert told.code == 1
        assert "docker cannot be started" in told.out
        assert "install Docker" in told.out
        assert "--isolation docker:IMAGE" not in told.out  # that is what was asked for


def test_the_command_line_is_a_module_too() -> None:
    done = subprocess.run([sys.executable, "-m", "habilis", "--help"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert "skills" in done.stdout


def test_a_run_says_what_it_learned(cli: Any, learned: Path) -> None:
    (run,) = cli("runs", "--home", learned, "--json").json
    skills = cli("skills", "list", "--home", learned, "--json").json
    assert (run["status"], run["world"], run["episodes"]) == ("finished", "craft", 16)
    assert run["spent"]["world_steps"] > 0
    assert sum(max(1, s["cases"]) for s in skills) >= 5
    assert all(s["evidence"].startswith("verified ") and "{n}" in s["goal"] for s in skills)


def test_the_report_shows_every_skill(cli: Any, learned: Path, tmp_path: Path) -> None:
    made = learned / "reports" / "run-1.html"
    assert made.is_file()
    again = cli("report", "--home", learned, "--out", tmp_path / "deep" / "r.html")
    assert again.code == 0
    assert Path(again.out.strip()) == tmp_path / "deep" / "r.html"
    for text in (made.read_text(), (tmp_path / "deep" / "r.html").read_text()):
        for skill in cli("skills", "list", "--home", learned, "--json").json:
            assert skill["name"] in text


def _plain(cli: Any, home: Path) -> str:
    """The name of a skill without choices."""
    rows = cli("skills", "list", "--home", home, "--json").json
    return str(next(r["name"] for r in reversed(rows) if "{kind" not in r["goal"]))


def test_a_skill_is_found_and_shown(cli: Any, learned: Path) -> None:
    name = _plain(cli, learned)
    wanted = name.removeprefix("have_").replace("_", " ")
    assert cli("skills", "search", wanted, "--home", learned, "--json").json[0]["name"] == name
    assert len(cli("skills", "search", "have", "-k", "2", "--home", learned, "--json").json) <= 2
    told = cli("skills", "search", wanted, "--home", learned, "--why").out
    assert "enough for 0.50" in told
    shown = cli("skills", "show", name, "--home", learned)
    assert f"def {name}(" in shown.out
    assert " trials, posterior " in shown.out
    data = cli("skills", "show", name, "--home", learned, "--json").json
    assert data["program"]["source"] in shown.out
    assert data["evidence"]["successes"] >= 4
    assert data["history"][0]["to"] == "active"


def test_a_search_that_nothing_answers_says_so(cli: Any, learned: Path) -> None:
    search = ("skills", "search", "translate a report on dirt into Spanish", "-k", "1", "--home", learned)
    told = cli(*search, "--why")
    assert told.code == 0
    assert "nothing is likely to serve. The nearest, " in told.out
    assert "0.50 is asked for (meaning" in told.out
    silent = cli(*search, "--json")
    assert silent.json == []
    assert "--anyway lists it" in silent.err
    (row,) = cli(*search, "--anyway", "--json").json
    assert row["chance"] < row["threshold"]


def test_a_search_can_look_at_what_holds_and_at_what_it_costs(cli: Any, learned: Path) -> None:
    name = _plain(cli, learned)
    found = ["skills", "search", name.removeprefix("have_"), "-k", "1", "--home", learned]
    (row,) = cli(*found, "--json").json
    assert row["closure"][-1] == name
    assert "done" in row
    assert not row["done"]
    holds = row["goal"].replace("{n}", "1")
    assert cli(*found, "--state", holds, "--json").json[0]["done"]
    assert f"takes {row['tokens']} tokens" in cli(*found, "--tokens", "1").out
    assert cli(*found, "--tokens", str(row["tokens"]), "--diverse", "--json").json[0]["name"] == name
    refused = cli(*found, "--ready")
    assert refused.code == 1
    assert "add --state" in refused.err
    assert "no judged goal" in cli(*found, "--state", 'Judged("warm")').err


def test_a_skill_is_retired_and_restored(cli: Any, home: Path) -> None:
    def names(status: str) -> set[str]:
        return {s["name"] for s in cli("skills", "list", "--status", status, "--home", home, "--json").json}

    before = names("active")
    name = sorted(before)[0]
    retired = cli("skills", "retire", name, "--reason", "a test", "--home", home)
    assert f"retired {name}" in retired.out
    assert name in names("retired")
    assert before - names("active") == {line.split()[1] for line in retired.out.splitlines()}
    assert "a test" in cli("skills", "show", name, "--home", home).out
    assert "restored" in cli("skills", "restore", name, "--home", home).out
    assert name in names("active")
    assert "in use already" in cli("skills", "restore", name, "--home", home).out


def test_what_calls_a_retired_skill_is_told_as_quarantined_and_restored_after_it(cli: Any, home: Path) -> None:
    with Home.open(home, create=False) as opened:
        dirt = opened.journal.skill("have_dirt")
        for name, called in (("dig", "have_dirt"), ("dig_deep", "dig")):
            program = replace(dirt.program, name=name, calls=(called,))
            opened.journal.put_skill(replace(dirt, name=name, program=program), "a test")
    assert cli("skills", "retire", "have_dirt", "--home", home).out == (
        "retired have_dirt\n"
        "quarantined dig: it calls have_dirt, directly or through others\n"
        "quarantined dig_deep: it calls have_dirt, directly or through others\n"
    )
    refused = cli("skills", "restore", "dig_deep", "--home", home)
    assert refused.code == 1
    assert refused.err == (
        "error: dig_deep calls what is not in use: have_dirt is retired, dig is quarantined; restore them first: "
        "habilis skills restore have_dirt; habilis skills restore dig\n"
    )
    for name in ("have_dirt", "dig", "dig_deep"):
        assert f"restored {name}" in cli("skills", "restore", name, "--home", home).out


def test_of_worlds_that_share_a_name_one_is_told(cli: Any, home: Path) -> None:
    with Home.open(home, create=False) as opened:
        mine = opened.journal.skills()[0]
        opened.journal.put_skill(replace(mine, version=99, world="elsewhere", fingerprint="e1"), "another world")
    refused = cli("skills", "retire", mine.name, "--home", home)
    assert refused.code == 1
    assert "--world" in refused.err
    assert "elsewhere (e1)" in refused.err
    assert "elsewhere" in cli("skills", "retire", mine.name, "--world", "nowhere", "--home", home).err
    assert cli("skills", "retire", mine.name, "--world", "elsewhere", "--home", home).out == f"retired {mine.name}\n"
    with Home.open(home, create=False) as opened:
        assert opened.journal.skill(mine.name, 99).status == "retired"
        assert opened.journal.skill(mine.name, mine.version).status == "active"
    assert "version 99" in cli("skills", "restore", mine.name, "--world", "e1", "--home", home).out


def test_tools_are_added_listed_and_removed(cli: Any, home: Path, write: Callable[[str, str], Path]) -> None:
    write("shop_tools.py", TOOLS)
    assert "added weigh" in cli("tools", "add", "shop_tools.py:weigh", "--home", home).out
    listed = {t["name"]: t for t in cli("tools", "list", "--home", home, "--json").json}
    assert listed["weigh"]["cost"]["usd"] == 0.5
    table = cli("tools", "list", "--home", home).out
    (line,) = (line for line in table.splitlines() if line.startswith("weigh"))
    assert "$0.50, 1 call " in line
    assert listed["recipe_book"]["owner"] == "habilis.worlds.craft.tools:recipe_book"
    assert "<locals>" not in table
    assert "{" not in table
    assert {"recipe_book", "telescope"} <= set(listed)  # the world's own
    assert cli("tools", "remove", "shop_tools.py:weigh", "--home", home).code == 0
    assert "weigh" not in {t["name"] for t in cli("tools", "list", "--home", home, "--json").json}


def test_no_model_is_adopted_by_hand_where_there_is_none(cli: Any, home: Path) -> None:
    assert cli("models", "use", "none", "--home", home).code == 0
    assert cli("models", "list", "--home", home).out.strip() == "no model was distilled yet"


def test_a_question_is_answered_by_what_the_world_declares(cli: Any, tmp_path: Path) -> None:
    Home.open(tmp_path).close()
    world = ("--world", "household", "-o", "size=0", "--home", tmp_path, "--json")
    assert "grab(" in cli("ask", "yields", 'holding("apple_1")', *world).json["contracts"]
    assert 'in_reach("apple_1")' in cli("ask", "needs", 'grab("apple_1")', *world).json["contracts"]
    hidden = cli("ask", "needs", 'grab("apple_1")', *world, "-o", "contracts=hidden").json
    assert hidden["contracts"] == ""


def test_an_adopted_model_that_is_damaged_is_left_aside_with_a_warning(cli: Any, home: Path) -> None:
    folder = home / "models" / "small-1"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"cut short")
    with Home.open(home) as opened:
        opened.journal.put_model(ModelRecord("small-1", "smollm2", "models/small-1"))
        opened.journal.adopt_model("small-1")
    told = cli("ask", "yields", 'count("stick")', "--home", home)
    assert told.code == 0
    assert "no model is in use" in told.out
    assert "warning: the local model is left aside" in told.err
    assert "model.safetensors is damaged" in told.err


# ---------------------------------------------------------------------- goals of one's own


@pytest.mark.parametrize("goal", ["have 3 dirt", "get three dirt", 'count("dirt") >= 3'])
def test_a_goal_in_words_or_as_an_expression_is_solved(cli: Any, home: Path, goal: str) -> None:
    told = cli("solve", goal, "--home", home, "--json")
    assert told.code == 0, told.err
    data = told.json
    assert (data["status"], data["goal"]) == ("solved", 'count("dirt") >= 3')
    assert data["cost"]["world_steps"] >= 3
    assert "def " in data["program"]


def test_a_goal_beyond_what_is_known_stops_at_the_limit_and_says_what_helps(cli: Any, home: Path) -> None:
    told = cli("solve", "have 1 netherite ingot", "--max-search-steps", "200", "--home", home)
    assert told.code == 1
    assert told.out.startswith('stopped: count("netherite_ingot") >= 1 (the limit search_steps=200 is reached')
    assert "habilis run" in told.out


def test_each_goal_has_its_own_account(cli: Any, home: Path) -> None:
    for _ in range(2):  # 60 steps suffice for one of them, not for both together
        told = cli("solve", "have 3 dirt", "--max-world-steps", "60", "--home", home, "--json")
        assert told.json["status"] == "solved", told.json
    solved = [r for r in cli("runs", "--home", home, "--json").json if r["run"] > 1]
    assert [(r["status"], r["episodes"]) for r in solved] == [("finished", 1)] * 2


# ---------------------------------------------------------------------- going on


def test_a_larger_number_goes_on_in_the_same_run(cli: Any, tmp_path: Path) -> None:
    whole, pieces = tmp_path / "whole", tmp_path / "pieces"
    run = ("run", "--distil-every", "0", "--json", "--home")
    assert cli(*run, whole, "-n", "9").json["tried"] == 9
    assert cli(*run, pieces, "-n", "4").json["tried"] == 4
    again = cli(*run, pieces, "-n", "4").json
    assert (again["tried"], again["status"]) == (4, "finished")
    assert "already has 4 iterations" in again["reason"]
    assert cli("solve", "have 1 dirt", "--home", pieces).code in (0, 1)  # another run lies between
    assert cli(*run, pieces, "-n", "9").json["tried"] == 9
    first = cli("runs", "--home", pieces, "--json").json[0]
    assert (first["run"], first["episodes"]) == (1, 9)


def test_another_seed_is_another_run(cli: Any, home: Path) -> None:
    told = cli("run", "-n", "2", "--seed", "5", "--distil-every", "0", "--home", home, "--json").json
    assert (told["run_id"], told["tried"]) == (2, 2)
    assert told["report"] == str(home / "reports" / "run-2.html")


def test_a_limit_stops_the_run_and_topping_up_goes_on(cli: Any, tmp_path: Path) -> None:
    run = ("run", "-n", "6", "--distil-every", "0", "--json", "--home", tmp_path / "home")
    first = cli(*run, "--max-world-steps", "3")
    assert first.code == 0
    assert first.json["status"] == "stopped"
    assert first.json["spent"]["world_steps"] <= 3
    assert "world_steps=3" in first.json["reason"]
    assert "--max-world-steps" in first.json["reason"]
    second = cli(*run).json
    assert (second["run_id"], second["status"], second["tried"]) == (1, "finished", 6)
    assert second["spent"]["world_steps"] > first.json["spent"]["world_steps"]


def test_no_budget_at_all_spends_nothing(cli: Any, tmp_path: Path) -> None:
    told = cli("run", "-n", "3", "--max-search-steps", "0", "--max-world-steps", "0", "--home", tmp_path, "--json")
    assert told.code == 0
    assert told.json["status"] == "stopped"
    assert not any(told.json["spent"].values())


def test_a_world_of_a_file_of_ones_own(cli: Any, write: Callable[[str, str], Path]) -> None:
    write("shed.py", SHED)
    told = cli("solve", 'held("nail")', "--world", "shed.py:shed", "-o", "size=7", "--home", "h", "--json")
    assert told.code == 0, told.out + told.err
    (row,) = cli("runs", "--home", "h", "--json").json
    assert row["world"] == "shed.py:shed"


def test_the_plain_output_has_one_line_a_task_and_no_escapes(cli: Any, tmp_path: Path) -> None:
    told = cli.apart("run", "-n", "3", "--distil-every", "0", "--home", tmp_path / "home")
    assert told.code == 0, told.err
    assert [line[:6] for line in told.out.splitlines() if line.startswith("[")] == ["[1/3] ", "[2/3] ", "[3/3] "]
    assert "\x1b" not in told.out
    assert "run-1.html" in told.out
    assert told.err == ""


def test_json_of_a_run_is_all_that_is_printed(cli: Any, tmp_path: Path) -> None:
    told = cli.apart("run", "-n", "2", "--distil-every", "0", "--json", "--home", tmp_path / "home")
    assert json.loads(told.out)["tried"] == 2


def test_a_first_goal_in_a_new_home_is_found_out_and_solved(cli: Any, tmp_path: Path) -> None:
    done = cli("solve", "have 3 sticks", "--home", tmp_path / "new", "--json")
    assert done.code == 0, done.err
    assert done.json["status"] == "solved"
    assert done.json["skill"] == "have_stick"
    assert cli("skills", "list", "--home", tmp_path / "new", "--json").json[0]["evidence"].startswith("verified")


def test_a_skill_that_was_there_before_is_not_told_as_kept(cli: Any, tmp_path: Path) -> None:
    told = [cli("solve", "have 3 sticks", "--home", tmp_path / "new").out for _ in range(2)]
    assert "kept as the skill have_stick; habilis skills show have_stick" in told[0]
    assert "the skill have_stick, known before, does this; habilis skills show have_stick" in told[1]


def test_a_goal_that_holds_already_is_not_called_unknown(cli: Any, tmp_path: Path) -> None:
    done = cli("solve", 'count("stick") < 1', "--home", tmp_path / "new")
    assert done.code == 0, done.err
    assert "already true" in done.out
    assert "knows too little" not in done.out


def test_questions_are_answered_by_contracts_where_no_model_is_adopted(cli: Any, home: Path) -> None:
    known = cli("ask", "yields", 'count("dirt")', "--home", home, "--json").json
    assert known["model"] is None
    assert 'gather("dirt")' in known["contracts"]
    refused = cli("ask", "wants", 'count("dirt")', "--home", home)
    assert refused.code != 0
    assert "activity, help, needs, person, yields" in refused.err
    done = cli("ask", "activity", 'gather("dirt"); gather("dirt")', "--home", home, "--json").json
    assert 'count("dirt") +1' in done["contracts"]
    refused = cli("ask", "activity", 'gather("dirt"); fly()', "--home", home)
    assert refused.code != 0
    assert "there is no action 'fly'" in refused.err


def test_a_registration_is_removed_by_its_whole_name(cli: Any, home: Path, write: Callable[[str, str], Path]) -> None:
    file = write("scales.py", TOOLS)
    assert cli("tools", "add", f"{file}:weigh", "--home", home).code == 0
    refused = cli("tools", "remove", "weigh", "--home", home)
    assert refused.code != 0
    assert cli("tools", "remove", f"{file}:weigh", "--home", home).code == 0


def test_skills_are_searched_retired_and_restored_without_the_model(cli: Any, home: Path) -> None:
    (home / "home.json").write_text('{"schema_version": 1, "embedder": "minilm:8199be6f699a395f"}')
    index = {p: p.stat().st_mtime_ns for p in (home / "index").rglob("*")}
    offline = {"PIP_INDEX_URL": "http://127.0.0.1:9/", "PIP_RETRIES": "0", "UV_INDEX_URL": "http://127.0.0.1:9/"}
    found = cli.apart("skills", "search", "get dirt", "--home", home, "--json", **offline)
    assert found.code == 0, found.err
    assert found.json[0]["name"] == "have_dirt"
    assert found.err == "by words and spelling alone: minilm is not in the model cache; habilis models get minilm\n"
    for command in ("retire", "restore"):
        done = cli.apart("skills", command, "have_dirt", "--home", home, **offline)
        assert done.code == 0, done.err
        assert done.err == ""
    assert not Path(cli.env["HABILIS_CACHE"]).exists()
    assert {p: p.stat().st_mtime_ns for p in (home / "index").rglob("*")} == index


def test_explore_gathers_experience_and_goes_on(cli: Any, tmp_path: Path) -> None:
    home = tmp_path / "h"
    options = ("--world", "household", "-o", "size=0.1", "--home", home, "--steps", "6", "--index", "exact")
    first = cli("explore", *options, "-n", "2", "--json")
    assert first.code == 0, first.err
    assert (first.json["tried"], first.json["status"]) == (2, "finished")
    shown = cli("explore", *options, "-n", "3")
    assert "[3/3] explored" in shown.out
    anew = cli("explore", *options, "-n", "1", "--steps", "4")
    assert "policy random" in anew.out
    assert "writer" not in anew.out
    assert "[2/3]" not in shown.out
    wrong = cli("explore", *options, "--policy", "clever")
    assert wrong.code == 1
    assert "random, mcts" in wrong.err


def test_a_corpus_is_built_of_a_home_with_examples_of_ones_own(cli: Any, tmp_path: Path) -> None:
    own, out, home = tmp_path / "own.jsonl", tmp_path / "corpus.jsonl", tmp_path / "h"
    world = ("--world", "household", "-o", "size=0.1", "--home", home)
    assert cli("explore", *world, "-n", "20", "--index", "exact").code == 0
    told = [(f"Who wrote book {i}?", f"author {i}") for i in range(12)]
    rows = [{"messages": [{"role": "user", "content": q}, {"role": "assistant", "content": a}]} for q, a in told]
    own.write_text("".join(json.dumps(row) + "\n" for row in rows))
    built = cli("corpus", "build", *world, "--examples", own, "--out", out, "--json")
    assert built.code == 0, built.err
    counted = sum(built.json[split].get("own", {}).get("examples", 0) for split in ("train", "validation", "test"))
    assert counted == 12
    assert "warning: no example to train on in person" in built.err
    again = cli("corpus", "build", *world, "--examples", own, "--json")
    assert again.json["fingerprint"] == built.json["fingerprint"]
    assert out.read_text() == Path(again.json["path"]).read_text()
    shown = cli("corpus", "show", out)
    assert "[own]" in shown.out
    assert "Who wrote book" in shown.out
    assert cli("corpus", "show", out, "--json").json["fingerprint"] == built.json["fingerprint"]
    own.write_text(own.read_text() + json.dumps(rows[3]) + "\n")
    twice = cli("corpus", "build", *world, "--examples", own, "--out", out)
    assert twice.code == 1
    assert "line 13 asks what line 4 asks: 'Who wrote book 3?" in twice.err
    assert cli("corpus", "build", "--home", tmp_path / "none").code == 1
    assert not (tmp_path / "none").exists()


def test_a_model_is_taught_the_families_that_are_named(cli: Any, tmp_path: Path) -> None:
    pytest.importorskip("peft")
    from habilis.trainer import tiny_random_model

    world = ("--world", "household", "-o", "size=0.1", "--home", tmp_path / "h")
    assert cli("explore", *world, "-n", "20", "--index", "exact").code == 0
    few = ("--family", "location", "--family", "changes")
    built = cli("corpus", "build", *world, *few, "--json").json
    base = tiny_random_model(tmp_path / "tiny").path
    made = cli("distil", *world, *few, "--base", f"{base}/", "--steps", "2", "--seconds", "120", "--json")
    assert made.code == 0, made.err
    assert made.json["figures"]["corpus"]["train"] == built["train"]
    assert set(built["train"]) == {"examples", "location", "changes"}
    assert made.json["model"] == "tiny-1"

    # In use, and then damaged: the next distillation says so, and begins at the base model.
    model = tmp_path / "h" / "models" / made.json["model"]
    for file in base.iterdir():
        shutil.copy(file, model)
    with Home.open(tmp_path / "h") as home:
        home.journal.adopt_model(model.name)
    adapter = model / "adapter" / "adapter_model.safetensors"
    adapter.write_bytes(adapter.read_bytes()[:100])
    again = cli("distil", *world, *few, "--base", base, "--steps", "1", "--seconds", "120", "--json")
    assert again.code == 0, again.err
    assert f"distilling begins at the base model, not at {model.name}: its adapter is damaged" in again.err
    assert again.json["figures"]["model"]["after"] is None


@pytest.mark.parametrize(
    "command", [("run", "-n", "1", "--distil-every", "0"), ("solve", "x() >= 2"), ("explore", "-n", "1")]
)
def test_what_a_world_prints_does_not_get_into_json(
    cli: Any, write: Callable[[str, str], Path], tmp_path: Path, command: tuple[str, ...]
) -> None:
    world = write("talking.py", TALKING)
    told = cli(*command, "--world", f"{world}:make", "--home", tmp_path / "home", "--json")
    assert told.code == 0, told.err
    assert isinstance(told.json, dict)
    assert "up it goes" in told.err
