"""Whatever is typed wrongly is answered with one message that says what exists, and a status other than 0."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from habilis.memory import Home
from habilis.memory.journal import ModelRecord

# A command, and what its message must name. {home} is a home that has learned.
WRONG: list[tuple[list[str], list[str]]] = [
    (["nosuch"], ["No such command 'nosuch'"]),
    (["run", "--nope"], ["No such option: --nope"]),
    (["run", "--world", "crft"], ["no world 'crft'", "did you mean 'craft'", "module:callable"]),
    (["run", "--world", ":"], ["no world ':'", "craft"]),
    (["run", "--world", "nosuchmodule:World"], ["'nosuchmodule'"]),
    (["run", "--world", "os:nothere"], ["no callable in os 'nothere'", "PathLike"]),
    (["run", "--world", "os:getcwd"], ["a str", "no world"]),
    (["run", "--world", "os:sep"], ["is a str", "makes a world"]),
    (["run", "--world", "nosuch.py:World"], ["no file", "nosuch.py"]),
    (["run", "-o", "reasons"], ["'reasons'", "NAME=VALUE"]),
    (["run", "-o", "=1"], ["'=1'", "NAME=VALUE"]),
    (["run", "-o", "colour=red"], ["'craft'", "'colour'", "it takes", "reasons"]),
    (["run", "--world", "gym"], ["'gym' needs the option env", "-o env=VALUE"]),
    (["run", "--world", "gym", "-o", "env=CliffWalking-v1", "-o", "practice=perhaps"], ["practice='perhaps'"]),
    (["run", "--world", "gym", "-o", "env=CliffWalking-v1", "-o", "options=3"], ["options= is 3", "mapping"]),
    (["run", "--world", "shell", "-o", "folder="], ["'' is none", "folder=PATH"]),
    (["run", "-o", "reasons=some"], ["reasons='some'", "'all'", "'none'"]),
    (["run", "--writer", "serch"], ["no writer 'serch'", "did you mean 'search'", "cascade", "chat"]),
    (["run", "--writer", "chat"], ["needs a model", "--model"]),
    (["run", "--writer", "chat", "--model", "gpt"], ["'gpt'", "openai:gpt"]),
    (["run", "--writer", "cascade", "--model", "openai:x"], ["no key for openai", "OPENAI_API_KEY"]),
    (["run", "--writer", "chat", "--model", "openai:x", "--model", "openai:y"], ["2 models are for the cascade"]),
    (
        ["run", "--writer", "chat", "--model", "openai:x", "--base-url", "http://127.0.0.1:9/v1"],
        ["price of 'x'", "--price-in", "--price-out"],
    ),
    (["run", "--model", "openai:x", "--price-in", "1"], ["--price-in", "--price-out"]),
    (["run", "--max-usd", "abc"], ["--max-usd", "number"]),
    (["run", "--max-usd", "-1"], ["--max-usd", "0"]),
    (["run", "--max-usd", "nan"], ["--max-usd"]),
    (["run", "--max-usd", "inf"], ["usd=inf"]),
    (["run", "--max-world-steps", "-1"], ["--max-world-steps"]),
    (["run", "-n", "0"], ["--iterations", "1"]),
    (["run", "-n", "-3"], ["--iterations", "1"]),
    (["run", "-n", "many"], ["--iterations", "integer"]),
    (["run", "--distil-every", "-1"], ["--distil-every"]),
    (["run", "--distil-seconds", "5"], ["--distil-seconds", "30"]),
    (["run", "--distil-seconds", "inf"], ["--distil-seconds", "not inf"]),
    (["run", "--seed", "x"], ["--seed", "integer"]),
    (["solve", ""], ["goal is empty"]),
    (["solve", "make me happy"], ["'happy'", 'count("item") >= 1']),
    (["solve", "have 3 stikcs"], ["'stikcs'", "did you mean 'stick'"]),
    (["solve", 'flurb("x")'], ["no predicate 'flurb'", "count", "near"]),
    (["solve", 'count("stick")'], ['count("item") >= 1']),
    (["solve", 'count("stick" >= 3'], ['count("item") >= 1']),
    (["skills", "list", "--status", "foo", "--home", "{home}"], ["no status 'foo'", "retired"]),
    (["skills", "show", "have_drit", "--home", "{home}"], ["no skill 'have_drit'", "did you mean 'have_dirt'"]),
    (["skills", "show", "have_dirt", "--version", "7", "--home", "{home}"], ["version of have_dirt '7'", "Known: 1"]),
    (["skills", "retire", "nosuch", "--home", "{home}"], ["no skill 'nosuch'", "have_dirt"]),
    (["skills", "restore", "nosuch", "--home", "{home}"], ["no skill 'nosuch'"]),
    (["skills", "search", " ", "--home", "{home}"], ["search is empty"]),
    (["skills", "search", "dirt", "-k", "0", "--home", "{home}"], ["-k"]),
    (["tools", "add", "", "--home", "{home}"], ["module:function"]),
    (["tools", "add", "nosuchmodule:f", "--home", "{home}"], ["'nosuchmodule'"]),
    (["tools", "add", "~nosuchuser/t.py:f", "--home", "{home}"], ["~nosuchuser/t.py"]),
    (["tools", "remove", "nosuch", "--home", "{home}"], ["no registration 'nosuch'"]),
    (["tools", "list", "--world", "crft"], ["no world 'crft'", "craft"]),
    (["tools", "pick", " ", "--home", "{home}"], ["task is empty"]),
    (["tools", "pick", "dig", "--kinds", "tol", "--home", "{home}"], ["no kind 'tol'", "did you mean 'tool'"]),
    (["tools", "pick", "dig", "--budget", "usd", "--home", "{home}"], ["'usd'", "KIND=NUMBER", "seconds"]),
    (["tools", "pick", "dig", "--budget", "usd=-1", "--home", "{home}"], ["usd=-1"]),
    (["tools", "pick", "dig", "--budget", "usd=nan", "--home", "{home}"], ["usd=nan"]),
    (["tools", "pick", "dig", "--context", "-1", "--home", "{home}"], ["--context"]),
    (["tools", "pick", "dig", "--world", "crft", "--home", "{home}"], ["no world 'crft'"]),
    (["models", "show", "x", "--home", "{home}"], ["no model 'x'"]),
    (["models", "use", "x", "--home", "{home}"], ["no model 'x'", "none"]),
    (["models", "export", "x", "--to", "{home}/y", "--home", "{home}"], ["no model 'x'"]),
    (["models", "get", "nosuchmodel"], ["nosuchmodel", "smollm2"]),
    (["report", "--out", "", "--home", "{home}"], ["cannot write the report to .", "name a file"]),
    (["report", "--out", "..", "--home", "{home}"], ["cannot write the report to ..", "name a file"]),
    (["corpus", "build", "--out", "", "--home", "{home}"], ["cannot write .:", "name a file"]),
    (["corpus", "build", "--out", "/", "--home", "{home}"], ["cannot write /:", "name a file"]),
    (["corpus", "build", "--out", "no/x.jsonl", "--home", "{home}"], ["cannot write no/x.jsonl", "no folder no"]),
    (["corpus", "build", "--home", "nowhere"], ["no home at", "nowhere"]),
    (["distil", "--home", "nowhere"], ["no home at", "nowhere"]),
    (["ask", "needs", "craft(", "--home", "{home}"], ["asked of an action", 'find("…")', "'craft('"]),
    (["ask", "needs", "fly()", "--home", "{home}"], ["no action 'fly'", "gather"]),
    (["ask", "yields", 'flurb("x")', "--home", "{home}"], ["no predicate 'flurb'", "count"]),
    (["ask", "yields", "count()", "--home", "{home}"], ['count("item") >= 1']),
    (["run", "--reflex", ""], ["'' names no reflexes", "path/to/file.py"]),
    (["run", "--reflex", "a.py:b"], ["'a.py:b' names no reflexes", "path/to/file.py"]),
    (["run", "--reflex", "no.py"], ["no file", "no.py"]),
    (["run", "--reflexes", "learnt"], ["no choice of reflexes 'learnt'", "did you mean 'learned'"]),
    (["report", "--run", "99", "--home", "{home}"], ["no run '99'", "1"]),
    (["runs", "--home", "nowhere"], ["no home at", "nowhere", "habilis run"]),
    (["run", "--home", ""], ["--home", "empty"]),
    (["runs", "--home", " "], ["--home", "empty"]),
    (["runs", "--home", "~nosuchuser/x"], ["'~nosuchuser/x'", "no such user"]),
    (["solve", "have dirt", "--home", "~nosuchuser/x"], ["'~nosuchuser/x'", "no such user"]),
    (["solve", "have dirt", "--home", "x" * 300], ["too long", "480 and 255"]),
    (["solve", "have dirt", "--home", "a\udcff"], [r"'a\udcff'", "no UTF-8 text"]),
    (["skills", "search", "\udcff", "--home", "{home}"], [r"'\udcff'", "no UTF-8 text"]),
]


@pytest.mark.parametrize(("args", "named"), WRONG, ids=lambda v: " ".join(v) if "{" not in str(v) else str(v)[:40])
def test_wrong_input_is_one_clear_message(
    cli: Any, learned: Path, here: Path, args: list[str], named: list[str]
) -> None:
    before = _content(learned)
    told = cli(*(str(learned) if a == "{home}" else a for a in args))
    assert told.code not in (0, None)
    assert told.out == ""
    assert "Traceback" not in told.err
    assert told.err.count("rror: ") == 1, told.err  # "error:" of ours, "Error:" of the option parser
    for word in named:
        assert word in told.err, told.err
    assert _content(learned) == before
    assert not list(here.iterdir())


@pytest.mark.parametrize(
    ("args", "named"),
    [
        (["--base", "/nonexistent", "--seconds", "10"], ["no base model '/nonexistent'", "smollm2"]),
        (["--seconds", "10"], ["30 seconds", "not 10", "--seconds"]),
        (["--seconds", "-1"], ["not -1"]),
        (["--seconds", "nan"], ["not nan"]),
        (["--seconds", "inf"], ["not inf"]),
        (["--method", "qlora"], ["method='qlora'", "lora, full"]),
        (["--strength", "-1"], ["strength", "-1"]),
        (["--max-drift", "nan"], ["max_drift", "nan"]),
        (["--seed", "-1"], ["seed=-1", "from 0 to"]),
        (["--after", "x"], ["no model 'x'", "none"]),
        (["--device", "cuda:99"], ["the device 'cuda:99' is not there"]),
        (["--regulariser", "glue"], ["no regulariser 'glue'", "ewc_replay"]),
        (["--fisher", "/nothing"], ["no file /nothing of Fisher information"]),
        (["--launch", "/no/launcher x"], ["cannot start '/no/launcher'"]),
        (["--launch", "torchrun 'x"], ["cannot read --launch", "quote"]),
        (["--base", "/"], ["/ is no model folder", "--base"]),
        (["--text", "/nothing"], ["cannot read the text /nothing", "--text"]),
        (["--family", "counting"], ["no family 'counting'", "yields"]),
    ],
)
def test_what_distilling_cannot_begin_with_is_named(cli: Any, home: Path, args: list[str], named: list[str]) -> None:
    told = cli("distil", "--home", home, *args)
    assert told.code == 1
    assert "Traceback" not in told.err
    assert all(word in told.err for word in named), told.err
    assert cli("models", "list", "--home", home, "--json").json == []


def test_a_model_that_none_can_go_on_from_is_named_before_the_corpus_is_made(cli: Any, home: Path) -> None:
    pytest.importorskip("torch")
    (home / "models" / "rejected").mkdir(parents=True)
    with Home.open(home) as opened:
        for name in ("gone", "rejected"):
            opened.journal.put_model(ModelRecord(name, "smollm2", f"models/{name}"))
    for name, said in (("gone", "is gone"), ("rejected", "was not adopted")):
        told = cli("distil", "--home", home, "--after", name)
        assert (told.code, told.out) == (1, "")
        assert all(word in told.err for word in (name, said, "--after none")), told.err


def test_a_world_that_exits_does_not_end_the_command_quietly(cli: Any, write: Callable[[str, str], Path]) -> None:
    write("leaves.py", "import sys\ndef World():\n    sys.exit()\n")
    write("leaves_at_once.py", "import sys\nsys.exit()\n")
    for file in ("leaves", "leaves_at_once"):
        told = cli("run", "-n", "1", "--world", f"{file}.py:World")
        assert told.code == 1
        assert "SystemExit" in told.err


def test_a_world_that_breaks_is_named(cli: Any, write: Callable[[str, str], Path]) -> None:
    write("broken_a.py", "def World():\n    raise RuntimeError('no power')\n")
    write("broken_b.py", "import nosuchthing\n")
    write("broken_c.py", "def World(:\n")
    for file, said in (("a", "no power"), ("b", "nosuchthing"), ("c", "SyntaxError")):
        told = cli("run", "-n", "1", "--world", f"broken_{file}.py:World")
        assert told.code == 1
        assert said in told.err
        assert "Traceback" not in told.err


# ---------------------------------------------------------------------- tools


def test_a_tool_without_hints_is_refused_and_nothing_is_kept(
    cli: Any, home: Path, write: Callable[[str, str], Path]
) -> None:
    write("bare.py", 'def bare(x):\n    "No hints."\n    return x\n')
    told = cli("tools", "add", "bare.py:bare", "--home", home)
    assert told.code == 1
    assert "bare" in told.err
    assert "hint" in told.err
    assert {t["name"] for t in cli("tools", "list", "--home", home, "--json").json} == {"recipe_book", "telescope"}


def test_a_taken_name_is_refused_naming_both_owners(cli: Any, home: Path, write: Callable[[str, str], Path]) -> None:
    text = 'from habilis import tool\n@tool\ndef weigh(x: str) -> str:\n    "Weigh."\n    return x\n'
    write("one.py", text)
    write("two.py", text)
    assert cli("tools", "add", "one.py:weigh", "--home", home).code == 0
    told = cli("tools", "add", "two.py:weigh", "--home", home)
    assert told.code == 1
    assert "weigh" in told.err
    assert "one" in told.err
    assert "two" in told.err
    again = cli("tools", "add", "one.py:weigh", "--home", home)
    assert (again.code, again.out) == (0, "weigh is registered already\n")


def test_a_name_that_the_world_has_taken_is_refused_when_it_is_added(
    cli: Any, home: Path, write: Callable[[str, str], Path]
) -> None:
    text = 'from habilis import tool\n@tool\ndef telescope(x: str) -> str:\n    "Look."\n    return x\n'
    write("own.py", text)
    told = cli("tools", "add", "own.py:telescope", "--home", home)
    assert told.code == 1
    assert "telescope" in told.err
    assert "own.py" in told.err
    assert "Traceback" not in told.err
    assert cli("run", "-n", "17", "--distil-every", "0", "--home", home).code == 0


def test_a_tool_whose_file_is_gone_is_named_and_can_be_removed(
    cli: Any, home: Path, write: Callable[[str, str], Path]
) -> None:
    text = 'from habilis import tool\n@tool\ndef weigh(x: str) -> str:\n    "Weigh."\n    return x\n'
    path = write("gone.py", text)
    assert cli("tools", "add", "gone.py:weigh", "--home", home).code == 0
    path.unlink()
    told = cli.apart("run", "-n", "17", "--home", home)
    assert told.code == 1
    assert f"habilis tools remove {path}:weigh" in told.err
    assert "Traceback" not in told.err
    (row,) = [row for row in cli.apart("tools", "list", "--home", home, "--json").json if row.get("error")]
    assert row["source"] == f"{path}:weigh"
    assert f"habilis tools remove {path}:weigh" in row["error"]
    assert cli.apart("tools", "list", "--home", home).code == 0
    assert cli("tools", "remove", path, "--home", home).code == 1  # a file is not how it was added
    assert cli("tools", "remove", f"{path}:weigh", "--home", home).code == 0
    assert cli.apart("tools", "list", "--home", home).code == 0


# ---------------------------------------------------------------------- homes


def test_a_home_that_is_a_file(cli: Any, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    for args in (["run", "-n", "1"], ["runs"], ["skills", "list"], ["solve", "have 1 dirt"]):
        told = cli(*args, "--home", file)
        assert told.code == 1
        assert str(file) in told.err
        assert "--home" in told.err
    assert file.read_text() == "mine"


def test_a_home_that_cannot_be_written(cli: Any, tmp_path: Path) -> None:
    shut = tmp_path / "shut"
    shut.mkdir(mode=0o555)
    home = Path("/proc/habilis") if os.geteuid() == 0 else shut / "home"
    told = cli("run", "-n", "1", "--home", home)
    assert told.code == 1
    assert str(home) in told.err
    assert "--home" in told.err


def test_a_home_of_a_newer_version_is_left_untouched(cli: Any, home: Path) -> None:
    facts = json.loads((home / "home.json").read_text())
    (home / "home.json").write_text(json.dumps(facts | {"schema_version": 99}))
    before = _content(home)
    commands = "run -n 1", "runs", "skills list", "skills retire have_dirt", "report", "tools list"
    for args in map(str.split, commands):
        told = cli(*args, "--home", home)
        assert told.code == 1
        assert "99" in told.err
        assert "untouched" in told.err
    assert _content(home) == before


def test_a_damaged_journal_is_named(cli: Any, home: Path) -> None:
    (home / "journal.sqlite").write_bytes(b"garbage" * 1000)
    for suffix in ("-wal", "-shm"):
        (home / f"journal.sqlite{suffix}").unlink(missing_ok=True)
    told = cli("runs", "--home", home)
    assert told.code == 1
    assert "journal.sqlite" in told.err
    assert "untouched" in told.err


def test_a_report_that_cannot_be_written(cli: Any, learned: Path, tmp_path: Path) -> None:
    told = cli("report", "--home", learned, "--out", tmp_path)
    assert told.code == 1
    assert str(tmp_path) in told.err


def _content(folder: Path) -> dict[str, str]:
    """What every file holds, but for SQLite's shared memory, and for the index, which is derived."""
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*"))
        if p.is_file() and not p.name.endswith(("-shm", "-wal", ".lock")) and "index" not in p.relative_to(folder).parts
    }
