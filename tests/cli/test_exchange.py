"""``habilis skills export`` and ``import``, as users have them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

FOREIGN = "---\nname: pdf-forms\ndescription: Fill in PDF forms.\n---\n# Forms\n"
VOYAGER = {"mineWoodLog": {"code": "async function mineWoodLog(bot) {}", "description": "// Mines one wood log."}}


def test_from_one_home_to_another(cli: Any, learned: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = cli("skills", "export", "have_dirt", "--to", out, "--home", learned)
    assert (done.code, done.out) == (0, f"{out / 'have-dirt'}\n")
    home = tmp_path / "other"
    done = cli("skills", "import", out, "--home", home)
    assert done.code == 0, done.err
    assert "have_dirt version 1: quarantined until it is verified" in done.out
    assert "habilis skills verify NAME\n" in done.out
    assert cli("skills", "list", "--home", home, "--json").json == []
    (one,) = cli("skills", "list", "--home", home, "--status", "quarantined", "--json").json
    assert (one["origin"], one["evidence"]) == ("imported from out", "model_judged 0/0")
    shown = cli("skills", "show", "have_dirt", "--home", home, "--json").json
    before = cli("skills", "show", "have_dirt", "--home", learned, "--json").json
    assert shown["program"] == before["program"]
    assert shown["goal_template"] == before["goal_template"]
    assert "is here already, quarantined" in cli("skills", "import", out / "have-dirt", "--home", home).out


def test_all_active_skills_are_exported_unless_named(cli: Any, learned: Path, tmp_path: Path) -> None:
    places = cli("skills", "export", "--to", tmp_path / "out", "--home", learned, "--json").json
    assert sorted(places) == sorted(s["name"] for s in cli("skills", "list", "--home", learned, "--json").json)
    again = cli("skills", "export", "--to", tmp_path / "out", "--home", learned)
    assert again.code == 1
    assert "is there already" in again.err
    assert cli("skills", "export", "--to", tmp_path / "out", "--home", learned, "--overwrite").code == 0


def test_an_import_next_to_skills_of_ones_own(cli: Any, home: Path, tmp_path: Path) -> None:
    cli("skills", "export", "have_dirt", "--to", tmp_path / "out", "--home", home)
    script = tmp_path / "out" / "have-dirt" / "scripts" / "have_dirt.py"
    script.write_text("# faster\n" + script.read_text())
    done = cli("skills", "import", tmp_path / "out", "--home", home)
    assert "have_dirt version 2: quarantined" in done.out
    assert "habilis skills verify NAME --version N" in done.out  # without it, version 1 is verified again
    assert "is not the program that was exported" in done.out
    active = cli("skills", "list", "--home", home, "--json").json
    assert [s["version"] for s in active if s["name"] == "have_dirt"] == [1]
    refused = cli("skills", "restore", "have_dirt", "--home", home)
    assert "in use already" in refused.out
    cli("skills", "retire", "have_dirt", "--home", home)
    assert "restored have_dirt version 1" in cli("skills", "restore", "have_dirt", "--home", home).out


def test_documents_are_kept_listed_and_found(cli: Any, tmp_path: Path) -> None:
    (tmp_path / "shared" / "pdf-forms").mkdir(parents=True)
    (tmp_path / "shared" / "pdf-forms" / "SKILL.md").write_text(FOREIGN)
    (tmp_path / "skills.json").write_text(json.dumps(VOYAGER))
    home = tmp_path / "home"
    assert (
        "pdf-forms: kept as a document (agent_skill)"
        in cli("skills", "import", tmp_path / "shared", "--home", home).out
    )
    told = cli("skills", "import", tmp_path / "skills.json", "--home", home).out
    assert "mineWoodLog: kept as a document (voyager)" in told
    assert "its JavaScript does not run here" in told
    ids = [d["id"] for d in cli("know", "list", "--home", home, "--json").json]
    assert ids == ["agent_skill/pdf-forms", "voyager/mineWoodLog"]
    (found,) = cli("know", "search", "wood", "--home", home, "--json").json
    assert VOYAGER["mineWoodLog"]["code"] in found["text"]
    assert "Fill in PDF forms." in cli("know", "show", "pdf-forms", "--home", home).out
    assert cli("know", "remove", "pdf-forms", "--home", home).out == "removed agent_skill/pdf-forms\n"
    assert len(cli("know", "list", "--home", home, "--json").json) == 1


def test_what_is_refused_is_told_and_the_rest_kept(cli: Any, learned: Path, tmp_path: Path) -> None:
    out, home = tmp_path / "out", tmp_path / "home"
    cli("skills", "export", "have_dirt", "see_cells", "--to", out, "--home", learned)
    mended = (out / "see-cells" / "SKILL.md").read_text()
    (out / "see-cells" / "SKILL.md").write_text("---\nname: \x1b[31m[\n---\n")
    done = cli("skills", "import", out, "--home", home)
    assert done.code == 1
    assert "have_dirt version 1" in done.out
    assert "refused see-cells: the front matter of see-cells" in done.err
    assert "\x1b" not in done.err + done.out
    as_json = cli("skills", "import", out, "--home", home, "--json")
    assert as_json.code == 1
    assert [r["what"] for r in as_json.json["refused"]] == ["see-cells"]
    (out / "see-cells" / "SKILL.md").write_text(mended)
    done = cli("skills", "import", out, "--home", home)
    assert done.code == 0
    assert "see_cells version 1: quarantined" in done.out
    assert "have_dirt version 1: is here already" in done.out


def test_an_import_for_a_world(cli: Any, learned: Path, tmp_path: Path) -> None:
    out, home = tmp_path / "out", tmp_path / "home"
    cli("skills", "export", "have_dirt", "--to", out, "--home", learned)
    shutil.copytree(learned, home)
    record = out / "have-dirt" / "habilis.json"
    record.write_text(record.read_text().replace('"fingerprint": "craft-', '"fingerprint": "older-'))
    assert cli("skills", "import", out, "--home", home, "--world", "craft").code == 0
    assert cli("skills", "list", "--status", "quarantined", "--home", home, "--json").json == []
    assert "is here already, active" in cli("skills", "import", out, "--home", home, "--world", "craft").out
    assert "version 2: quarantined" in cli("skills", "import", out, "--home", home).out


@pytest.mark.parametrize(
    ("args", "named"),
    [
        (["import", "nowhere"], ["no nowhere to import"]),
        (["import", ""], ["empty"]),
        (["import", "empty"], ["holds no SKILL.md"]),
        (["export", "nope", "--to", "out"], ["no active skill 'nope'", "have_dirt"]),
        (["export", "have_dirt"], ["--to"]),
        (["export", "have_dirt", "--to", ""], ["names no folder to export to"]),
        (["export", "--to", "out", "--world", "nowhere"], ["no active skill of the world 'nowhere'", "craft"]),
        (["serve", "--http", "nowhere"], ["no HOST:PORT"]),
        (["serve", "--world", "nowhere"], ["no active skill of the world 'nowhere'"]),
        (["serve", "--isolation", "glass"], ["glass"]),
    ],
)
def test_a_wrong_command_is_told(cli: Any, learned: Path, here: Path, args: list[str], named: list[str]) -> None:
    (here / "empty").mkdir()
    done = cli("skills", *args, "--home", learned)
    assert done.code != 0
    for text in named:
        assert text in done.err


RED = "\x1b[31mred\x07\u202e"


def test_what_strangers_wrote_does_not_reach_the_terminal(cli: Any, learned: Path, tmp_path: Path) -> None:
    cli("skills", "export", "have_dirt", "--to", tmp_path / "out", "--home", learned)
    file = tmp_path / "out" / "have-dirt" / "habilis.json"
    record = json.loads(file.read_text())
    record["skill"] |= {"world": RED, "fingerprint": RED}
    record["skill"]["program"]["calls"] = [RED]
    file.write_text(json.dumps(record))
    home = tmp_path / "other"
    assert cli("skills", "import", tmp_path / "out", "--home", home).code == 0
    for command in (
        ("list", "--status", "all"),
        ("show", "have_dirt"),
        ("history", "have_dirt"),
        ("verify", "have_dirt"),
        ("restore", "have_dirt"),
        ("retire", "have_dirt"),
    ):
        done = cli("skills", *command, "--home", home)
        assert "have_dirt" in done.out + done.err or "red" in done.out + done.err
        assert not set("\x1b\x07\u202e") & set(done.out + done.err), command
