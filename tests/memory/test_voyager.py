"""Voyager's library as documents: found where its repository has it, searchable, and never run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from habilis.core import InputError
from habilis.memory.exchange import documents, read_exchange, take_in
from habilis.memory.journal import Journal
from habilis.tools import KnowledgeBase

CODE = "async function mineWoodLog(bot) {\n  await mineBlock(bot, 'oak_log', 1);\n}\n"
ABOUT = "async function mineWoodLog(bot) {\n    // The function mines one wood log of any kind.\n}"
SKILLS = {
    "mineWoodLog": {"code": CODE, "description": ABOUT},
    "killFourSheep": {"code": "async function killFourSheep(bot) {}", "description": "// Kills four sheep."},
}


def library(folder: Path, data: Any = SKILLS) -> Path:
    """As a checkpoint has it: skills.json beside code and description."""
    place = folder / "trial1" / "skill"
    for name in ("code", "description", "vectordb"):
        (place / name).mkdir(parents=True)
    (place / "code" / "mineWoodLog.js").write_text(CODE)
    (place / "skills.json").write_text(data if isinstance(data, str) else json.dumps(data))
    return folder / "trial1"


@pytest.mark.parametrize("place", ["", "skill", "skill/skills.json"])
def test_a_library_is_found_where_it_is(tmp_path: Path, place: str) -> None:
    found = read_exchange(library(tmp_path) / place)
    assert [d.name for d in found.documents] == ["mineWoodLog", "killFourSheep"]
    assert found.skills == ()


def test_its_skills_are_documents_that_can_be_searched(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal.sqlite") as journal:
        intake = take_in(journal, read_exchange(library(tmp_path)))
        assert all("JavaScript does not run here" in " ".join(d.notes) for d in intake.documents)
        data = documents(journal, "voyager")["voyager", "mineWoodLog"]
        assert (data["code"], data["runs"], data["language"]) == (CODE, False, "javascript")
        assert data["text"] == "mine Wood Log: The function mines one wood log of any kind."
        assert [m.document.id for m in KnowledgeBase(journal).search("kill a sheep")] == ["voyager/killFourSheep"]
        assert journal.skills(None) == []
        again = take_in(journal, read_exchange(tmp_path / "trial1"))
        assert all(d.known for d in again.documents)


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ("just text", "no code and description"),
        ({"code": CODE}, "no code and description"),
        ({"code": 5, "description": ABOUT}, "no code and description"),
        ({"code": "x" * 1_000_001, "description": ABOUT}, "1000001 bytes; the limit is 1000000"),
        ({"code": CODE, "description": "x" * 10_001}, "10001 characters; the limit is 10000"),
    ],
)
def test_an_entry_that_is_none_is_refused_and_the_others_kept(tmp_path: Path, entry: Any, why: str) -> None:
    found = read_exchange(library(tmp_path, {**SKILLS, "bad": entry}))
    assert [d.name for d in found.documents] == list(SKILLS)
    assert [r.what for r in found.refused] == ["bad"]
    assert why in found.refused[0].why


@pytest.mark.parametrize("data", ["{", "[]", "{}", '{"a": 1}', "[" * 100_000])
def test_a_file_that_is_no_library_is_named(tmp_path: Path, data: str) -> None:
    with pytest.raises(InputError, match=r"skills.json is no (JSON|library)"):
        read_exchange(library(tmp_path, data))


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    place = library(tmp_path) / "skill" / "skills.json"
    place.rename(tmp_path / "elsewhere.json")
    place.symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(InputError, match="is a link"):
        read_exchange(tmp_path / "trial1")


def test_names_and_texts_in_other_scripts(tmp_path: Path) -> None:
    entry = {"code": "// \ud800", "description": "木を切る \ud800"}
    with Journal(tmp_path / "journal.sqlite") as journal:
        take_in(journal, read_exchange(library(tmp_path, {"木を切る": entry, "cafe\u0301": SKILLS["mineWoodLog"]})))
        assert [id for _, id in documents(journal)] == ["caf\u00e9", "木を切る"]
