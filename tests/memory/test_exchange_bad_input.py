"""What a stranger's folder may hold: each is a clear error or a quarantine; nothing outside is read, nothing lost."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from habilis.core import InputError, NotFoundError
from habilis.memory.exchange import Found, documents, export_skills, read_exchange, take_in
from habilis.memory.journal import Journal
from habilis.testing.journal import example_skill

FOREIGN = "---\nname: notes\ndescription: Some notes.\n---\nbody\n"
SECRET = "the secret of this machine"


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """A folder of two good skills, one of which is to be spoiled."""
    export_skills([example_skill("good"), example_skill("bad")], [], tmp_path / "shared")
    (tmp_path / "secret.txt").write_text(SECRET)
    return tmp_path / "shared"


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal(tmp_path / "journal.sqlite") as opened:
        yield opened


def refusal(found: Found) -> str:
    """Why the bad one was refused; the good one never is."""
    assert [s.skill.name for s in found.skills] == ["good"]
    (one,) = found.refused
    assert one.what == "bad"
    return one.why


def spoil(shared: Path, **changes: Any) -> None:
    """Change the record of the bad skill. A dot in a name is written as ``__``."""
    file = shared / "bad" / "habilis.json"
    data = json.loads(file.read_text("utf-8"))
    for path, value in changes.items():
        *way, last = path.split("__")
        at = data
        for step in way:
            at = at[step]
        at[last] = value
    file.write_text(json.dumps(data))


FRONTS = {
    "none": ("just text\n", "no front matter"),
    "not closed": ("---\nname: bad\n", "no front matter"),
    "broken": ("---\nname: [bad\n---\n", "line 3"),
    "tab": ("---\nname: bad\n\tx: y\n---\n", "line 3"),
    "no mapping": ("---\n- bad\n---\n", "holds no fields"),
    "empty": ("---\n---\n", "holds no fields"),
    "twice": ("---\nname: bad\ndescription: a\nname: good\n---\n", "line 4: the key 'name' is there twice"),
    "twice, deeper": ("---\nname: bad\nmetadata:\n  a: b\n  a: c\n---\n", "line 5: the key 'a' is there twice"),
    "bomb": (
        "---\na: &a [x, x, x, x, x, x, x, x, x]\nb: &b [*a, *a, *a, *a, *a, *a]\nc: [*b, *b, *b, *b, *b]\n---\n",
        "line 2: anchors (&) and aliases (*) are not taken",
    ),
    "itself": ("---\na: &a [*a]\n---\n", "anchors"),
    "merge": ("---\na: &a {x: y}\n<<: *a\n---\n", "anchors"),
    "deep": (f"---\na: {'[' * 30_000}\n---\n", "nested too deeply"),
    "odd key": ("---\n? [a, b]\n: c\n---\n", "line 2: a key must be a text"),
    "long": (f"---\na: {'x' * 70_000}\n---\n", "70004 characters; the limit is 64000"),
    "control": ("---\na: \x07\n---\n", "not allowed"),
    "two": ("---\na: b\n...\n--- c\nx: y\n---\n", "line"),
}


@pytest.mark.parametrize("name", FRONTS)
def test_broken_front_matter_is_refused(shared: Path, name: str) -> None:
    text, why = FRONTS[name]
    (shared / "bad" / "SKILL.md").write_text(text)
    assert why in refusal(read_exchange(shared))


def test_tags_of_yaml_make_nothing(tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    (tmp_path / "x").mkdir()
    text = f"---\nname: !!python/object/apply:os.mkdir ['{touched}']\ndescription: !!int 5\n---\n"
    (tmp_path / "x" / "SKILL.md").write_text(text)
    (one,) = read_exchange(tmp_path / "x").documents
    assert one.description == "5"
    assert not touched.exists()


@pytest.mark.parametrize("name", ["SKILL.md", "habilis.json", "scripts/bad.py"])
def test_what_is_no_utf_8_is_refused(shared: Path, name: str) -> None:
    (shared / "bad" / name).write_bytes(b"---\nname: \xff\xfe\n---\n")
    assert f"'{name}' in bad is not UTF-8 (byte 10)" in refusal(read_exchange(shared))


@pytest.mark.parametrize(
    "path",
    [
        "../good/scripts/good.py",
        "../../secret.txt",
        "scripts/../../../secret.txt",
        "/etc/passwd",
        "..",
        "scripts\\..\\..\\secret.txt",
        "scripts/bad.py\0",
    ],
)
def test_a_path_that_leaves_the_folder_is_refused(shared: Path, path: str) -> None:
    spoil(shared, program=path)
    assert "leaves the folder bad" in refusal(read_exchange(shared))


@pytest.mark.parametrize("path", ["", "scripts//bad.py", "./scripts/bad.py", "x" * 300, "a/" * 40 + "b", "\ud800/x"])
def test_a_path_that_is_none_is_refused(shared: Path, path: str) -> None:
    spoil(shared, program=path)
    why = refusal(read_exchange(shared))
    assert "is no path of a file in bad" in why or "has no file" in why


@pytest.mark.parametrize("name", ["SKILL.md", "habilis.json", "scripts/bad.py"])
def test_a_link_to_a_file_is_refused(shared: Path, name: str) -> None:
    (shared / "bad" / name).unlink()
    (shared / "bad" / name).symlink_to(shared.parent / "secret.txt")
    why = refusal(read_exchange(shared))
    assert f"'{name}' in bad is a link" in why
    assert SECRET not in why


def test_a_link_to_a_folder_is_refused(shared: Path) -> None:
    (shared / "bad" / "scripts").rename(shared.parent / "scripts")
    (shared / "bad" / "scripts").symlink_to(shared.parent / "scripts")
    assert "is a link" in refusal(read_exchange(shared))
    (shared / "bad").rename(shared.parent / "bad")
    (shared / "bad").symlink_to(shared.parent / "bad")
    assert "it is a link" in refusal(read_exchange(shared))


def test_links_in_a_document_are_left_out(tmp_path: Path, journal: Journal) -> None:
    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / "SKILL.md").write_text(FOREIGN)
    (tmp_path / "secret.txt").write_text(SECRET)
    (folder / "reference.md").symlink_to(tmp_path / "secret.txt")
    (folder / "all").symlink_to("/")
    os.mkfifo(folder / "pipe")
    (one,) = take_in(journal, read_exchange(folder)).documents
    assert sorted(one.notes) == [
        "all is a link and was left out",
        "pipe is no file and was left out",
        "reference.md is a link and was left out",
    ]
    assert SECRET not in json.dumps(list(documents(journal).values()))


@pytest.mark.parametrize("name", ["SKILL.md", "habilis.json", "scripts/bad.py"])
def test_what_is_no_file_is_not_waited_for(shared: Path, name: str) -> None:
    (shared / "bad" / name).unlink()
    os.mkfifo(shared / "bad" / name)
    assert "is no file" in refusal(read_exchange(shared))


def test_a_skill_of_1_mb(shared: Path, journal: Journal) -> None:
    script = shared / "bad" / "scripts" / "bad.py"
    source = script.read_text()
    script.write_text(source + "#" * (1_000_000 - len(source)))
    found = read_exchange(shared)
    assert [s.skill.name for s in found.skills] == ["bad", "good"]
    assert "is not the program that was exported" in found.skills[0].notes[0]
    take_in(journal, found)
    assert len(journal.skill("bad").program.source) == 1_000_000
    script.write_text(source + "#" * (1_000_001 - len(source)))
    assert "has 1000001 bytes; the limit is 1000000" in refusal(read_exchange(shared))


def test_a_large_skill_md_is_refused(shared: Path) -> None:
    (shared / "bad" / "SKILL.md").write_text(FOREIGN + "x" * 1_000_000)
    assert "the limit is 1000000; make it shorter" in refusal(read_exchange(shared))


def test_a_large_document_keeps_what_fits(tmp_path: Path) -> None:
    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / "SKILL.md").write_text(FOREIGN)
    for name in "abc":
        (folder / f"{name}.txt").write_text(name * 400_000)
    (one,) = read_exchange(folder).documents
    assert [f.get("text", "")[:1] for f in one.data["files"]] == ["a", "b", ""]
    assert any("c.txt (400000 bytes) is named only" in note for note in one.notes)


def test_a_document_of_too_many_files_is_refused(tmp_path: Path) -> None:
    for i in range(1_001):
        path = tmp_path / "notes" / str(i % 7) / f"{i}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "notes" / "SKILL.md").write_text(FOREIGN)
    (one,) = read_exchange(tmp_path).refused
    assert "more than 1000 files" in one.why


def test_a_deep_document_is_refused(tmp_path: Path) -> None:
    deep = tmp_path / "notes" / "/".join("d" * 40)
    deep.mkdir(parents=True)
    (tmp_path / "notes" / "SKILL.md").write_text(FOREIGN)
    (one,) = read_exchange(tmp_path).refused
    assert "more than 16 folders deep" in one.why


RECORDS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "no JSON": (lambda f: f.write_text("{"), "is no JSON"),
    "a list": (lambda f: f.write_text("[]"), "no schema_version"),
    "deep": (lambda f: f.write_text("[" * 100_000), "nested too deeply"),
    "twice": (lambda f: f.write_text('{"schema_version": 1, "schema_version": 2}'), "a key twice"),
    "infinite": (lambda f: f.write_text('{"schema_version": Infinity}'), "Infinity, which is no number"),
    "too large a number": (lambda f: f.write_text('{"schema_version": 1e999}'), "1e999, which is no number"),
    "a number of 5,000 digits": (lambda f: f.write_text(f'{{"a": {"9" * 5_000}}}'), "is no JSON"),
    "newer": (lambda f: f.write_text('{"schema_version": 2}'), "has schema 2, this version reads up to 1; upgrade"),
    "no skill": (lambda f: f.write_text('{"schema_version": 1}'), "lacks its program or its skill"),
}


@pytest.mark.parametrize("name", RECORDS)
def test_a_broken_record_is_refused(shared: Path, name: str) -> None:
    change, why = RECORDS[name]
    change(shared / "bad" / "habilis.json")
    assert why in refusal(read_exchange(shared))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"skill__goal_template": None}, "goal_template: Input should be a valid string"),
        ({"skill__evidence": {"level": "certain"}}, "evidence.level"),
        ({"skill__program__parameters": {"n": 1}}, "program.parameters"),
        ({"skill__name": "good"}, "names the skill 'good' and its program 'bad'"),
        ({"skill__doc": "x" * 10_001}, "the doc has 10001 characters; the limit is 10000"),
        ({"skill__program__parameters": [{"name": f"p{i}"} for i in range(65)]}, "65 parameters; the limit is 64"),
        ({"skill__name": "größe", "skill__program__name": "größe"}, "cannot be called 'größe'; its name"),
        ({"skill__name": "作る", "skill__program__name": "作る"}, "the letters a to z"),
        ({"skill__name": "_sources", "skill__program__name": "_sources"}, "begins with a letter"),
        ({"skill__name": "a b", "skill__program__name": "a b"}, "cannot be called 'a b'"),
        ({"skill__name": "\ud800", "skill__program__name": "\ud800"}, "name"),
    ],
)
def test_a_record_that_is_none_is_refused(shared: Path, changes: dict[str, Any], why: str) -> None:
    spoil(shared, **changes)
    assert why in refusal(read_exchange(shared))


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("function bad(bot) { return 1 }\n", "is not Python: line 1"),
        ("def bad(n=1):\n  x = (\n", "is not Python"),
        ("def bad(n=1):\n    pass\0\n", "null byte"),
        (f"def bad(n=1):\n    return {'-' * 100_000}1\n", "bad"),
        (f"def bad(n=1):\n    return {'(' * 100_000}\n", "bad"),
    ],
)
def test_a_program_that_cannot_run_is_refused(shared: Path, source: str, why: str) -> None:
    (shared / "bad" / "scripts" / "bad.py").write_text(source)
    assert why in refusal(read_exchange(shared))


@pytest.mark.parametrize(
    ("source", "changes", "why"),
    [
        ("def other(n=1):\n    pass\n", {}, "defines no function bad"),
        ("def bad(m=1):\n    pass\n", {}, "takes no 'n'"),
        ("def bad(n, m):\n    pass\n", {}, "needs 'm'"),
        ("def bad(n, /):\n    pass\n", {}, "by position only"),
        (None, {"skill__goal_template": "make me happy"}, "its goal is none"),
        (None, {"skill__fingerprint": ""}, "names no world"),
        (None, {"sha256": "0"}, "is not the program that was exported"),
    ],
)
def test_what_may_be_mended_is_quarantined_with_the_reason(
    shared: Path, journal: Journal, source: str | None, changes: dict[str, Any], why: str
) -> None:
    if source is not None:
        (shared / "bad" / "scripts" / "bad.py").write_text(source)
    spoil(shared, **changes)
    intake = take_in(journal, read_exchange(shared))
    assert not intake.refused
    assert any(why in note for note in next(s for s in intake.skills if s.name == "bad").notes)
    assert why in journal.transitions("bad")[0].reason
    assert journal.skill("bad").status == "quarantined"
    assert journal.skill("good").meta["imported"]["lacks"] == []


def test_two_folders_of_one_skill(shared: Path, journal: Journal) -> None:
    shutil.copytree(shared / "bad", shared / "worse")
    intake = take_in(journal, read_exchange(shared))
    assert [s.name for s in intake.skills] == ["bad", "good"]
    assert [(r.what, r.why) for r in intake.refused] == [("worse", "bad holds a skill bad too; leave one")]


def test_a_refused_skill_is_missed_by_who_calls_it(tmp_path: Path, journal: Journal) -> None:
    caller = example_skill("caller", source="def caller(n=1):\n    skills.bad(n)\n", calls=("bad",))
    export_skills([example_skill("bad"), caller], [], tmp_path / "shared")
    (tmp_path / "shared" / "bad" / "SKILL.md").write_text("no front matter")
    intake = take_in(journal, read_exchange(tmp_path / "shared"))
    assert [r.what for r in intake.refused] == ["bad"]
    assert "it calls bad, which is neither here" in intake.skills[0].notes[0]
    assert journal.skill("caller").status == "quarantined"


@pytest.mark.parametrize(
    ("path", "error", "why"),
    [
        ("", InputError, "empty"),
        ("nowhere", NotFoundError, "no nowhere to import"),
        ("secret.txt", InputError, "no folder with a SKILL.md"),
        ("empty", InputError, "holds no SKILL.md, no folder with one, and no skills.json"),
    ],
)
def test_a_path_to_nothing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, error: type[Exception], why: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret.txt").write_text(SECRET)
    (tmp_path / "empty").mkdir()
    with pytest.raises(error, match=why):
        read_exchange(path)


def test_file_names_that_are_no_text(tmp_path: Path, journal: Journal) -> None:
    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / "SKILL.md").write_text(FOREIGN)
    try:
        (folder / os.fsdecode(b"caf\xe9.txt")).write_text("coffee")
    except OSError:
        pytest.skip("this file system has no such names")
    take_in(journal, read_exchange(folder))
    ((data),) = documents(journal).values()
    assert data["files"][0]["path"] == "caf\\udce9.txt"
    assert data["files"][0]["text"] == "coffee"


LINES = st.lists(
    st.sampled_from(
        ["---", "name: bad", "description: d", "  a: b", "- x", "? [", "&a b", "*a", "|", "'", "{", "\t", "!!int"]
    )
    | st.text(max_size=12),
    max_size=10,
).map("\n".join)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(LINES, st.sampled_from(["name", "version", "program", "evidence", "cases", "meta", "needs", "cost"]), JSON)
def test_whatever_is_in_the_files_is_told_and_not_raised(front: str, key: str, value: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        place = export_skills([example_skill("bad")], [], folder)["bad"]
        record = json.loads((place / "habilis.json").read_text("utf-8"))
        record["skill"][key] = value
        (place / "habilis.json").write_text(json.dumps(record))
        found = read_exchange(folder)
        assert len(found.skills) + len(found.refused) == 1
        (place / "SKILL.md").write_text(f"---\n{front}\n---\n", "utf-8")
        (place / "habilis.json").unlink()
        found = read_exchange(folder)
        assert len(found.documents) + len(found.refused) == 1
