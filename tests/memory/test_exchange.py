"""Exchange: what is exported comes back as it was, what is imported is out of use, and nothing is stored by halves."""

from __future__ import annotations

import itertools
import json
import re
import string
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from habilis.core import (
    Case,
    Clause,
    ClauseKind,
    Evidence,
    EvidenceLevel,
    InputError,
    NotFoundError,
    Parameter,
    Program,
    Record,
    Skill,
    Trial,
    WorldSpec,
)
from habilis.memory.exchange import (
    documents,
    export_skills,
    folder_name,
    read_agent_skills,
    read_exchange,
    take_in,
)
from habilis.memory.exchange._front import departures, split
from habilis.memory.home import Home
from habilis.memory.index import MemoryIndex
from habilis.memory.journal import Journal
from habilis.memory.library import SkillLibrary
from habilis.testing.embedding import HashEmbedder
from habilis.testing.journal import Crash, CrashAfter, example_skill
from habilis.tools import KnowledgeBase


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal(tmp_path / "journal.sqlite") as opened:
        yield opened


def skill(name: str, *calls: str, **changes: Any) -> Skill:
    body = "".join(f"    skills.{c}()\n" for c in calls)
    source = f"def {name}(n=1):\n{body}    while world.count({name!r}) < n:\n        world.craft({name!r})\n"
    return replace(example_skill(name, source=source, calls=calls), **changes)


def write(folder: Path, files: Mapping[str, str | bytes]) -> Path:
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


FOREIGN = (
    "---\nname: pdf-forms\ndescription: Fill in PDF forms. Use for PDFs.\nlicense: MIT\n---\n\n# Forms\n\nDo it.\n"
)


# ---------------------------------------------------------------------- out


def test_a_skill_is_a_folder_of_the_public_format(tmp_path: Path) -> None:
    n = Parameter("n", "int", 1, required=False, doc="how many", low=1, high=64)
    kind = Parameter("kind", "str", "oak", choices=("oak", "birch"), tag="#wood")
    made = skill("have_stick", "have_planks", needs=('near("table")',), tools=("book",))
    made = replace(made, program=replace(made.program, parameters=(n, kind)))
    places = export_skills([made, skill("have_planks"), skill("other")], ["have_stick"], tmp_path / "out")
    assert {k: v.name for k, v in places.items()} == {"have_planks": "have-planks", "have_stick": "have-stick"}
    assert sorted(contents(tmp_path / "out")) == [
        "have-planks/SKILL.md",
        "have-planks/habilis.json",
        "have-planks/scripts/have_planks.py",
        "have-stick/SKILL.md",
        "have-stick/habilis.json",
        "have-stick/scripts/have_stick.py",
    ]
    text = (places["have_stick"] / "SKILL.md").read_text("utf-8")
    front = yaml.safe_load(text.split("---\n")[1])
    assert front["name"] == "have-stick"
    assert front["metadata"]["habilis-fingerprint"] == "f1"
    for told in (
        'count("have_stick") >= {n}',
        "from 1 to 64",
        'one of `"oak"`, `"birch"`',
        'near("table")',
        "1 of 1 runs",
        "[have_planks](../have-planks/SKILL.md)",
        "`book`",
    ):
        assert told in text
    assert "[have_stick](../have-stick/SKILL.md)" in (places["have_planks"] / "SKILL.md").read_text("utf-8")
    data = json.loads((places["have_stick"] / "habilis.json").read_text("utf-8"))
    assert data["schema_version"] == 1
    assert "source" not in data["skill"]["program"]


def test_the_same_skills_give_the_same_bytes(tmp_path: Path) -> None:
    some = [skill("a", "b"), skill("b"), skill("c")]
    export_skills(some, [], tmp_path / "one")
    export_skills(reversed(some), [], tmp_path / "two")
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_nothing_is_overwritten_unless_told(tmp_path: Path) -> None:
    export_skills([skill("a")], [], tmp_path)
    (tmp_path / "a" / "notes.md").write_text("mine")
    before = contents(tmp_path)
    with pytest.raises(InputError, match=r"is there already.*--overwrite"):
        export_skills([skill("a", doc="other"), skill("b")], [], tmp_path)
    assert contents(tmp_path) == before
    export_skills([skill("a", doc="get another")], [], tmp_path, overwrite=True)
    assert (tmp_path / "a" / "notes.md").read_text() == "mine"
    assert "get another" in (tmp_path / "a" / "SKILL.md").read_text()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a"]


@pytest.mark.parametrize("link", ["a", "a/scripts"])
def test_an_export_writes_through_no_link(tmp_path: Path, link: str) -> None:
    (tmp_path / "elsewhere").mkdir()
    out = tmp_path / "out"
    (out / link).parent.mkdir(parents=True)
    (out / link).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match=r"is (no folder|a link)"):
        export_skills([skill("a")], [], out, overwrite=True)
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_an_export_names_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no active skill 'nope'"):
        export_skills([skill("a")], ["nope"], tmp_path / "out")
    with pytest.raises(NotFoundError, match=r"no active skill 'b'.*a calls it"):
        export_skills([skill("a", "b")], ["a"], tmp_path / "out")
    with pytest.raises(InputError, match=r"two skills a.*--world"):
        export_skills([skill("a"), skill("a", fingerprint="f2")], [], tmp_path / "out")
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="is no folder"):
        export_skills([skill("a")], [], tmp_path / "file")
    with pytest.raises(InputError, match="surrogate"):
        export_skills([skill("a", doc="\ud800")], [], tmp_path / "out")
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


NAMES = ["have_stick", "a", "A", "a__b", "a_b", "_a", "a_", "größe", "作る", "x" * 64, "x" * 65, "x" * 66, "con"]


def test_each_name_has_a_folder_of_its_own() -> None:
    folders = [folder_name(n) for n in NAMES]
    assert len({f.lower() for f in folders}) == len(NAMES)
    assert folders[:2] == ["have-stick", "a"]
    for folder in folders:
        assert departures({"name": folder, "description": "d"}, folder) == []


# ---------------------------------------------------------------------- out and in again

TEXT = st.text(st.characters(codec="utf-8"), max_size=30)
NAME = st.text(string.ascii_letters + string.digits + "_", min_size=1, max_size=12).map(lambda s: f"s{s}")
NUMBER = st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | NUMBER | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
ARGS = st.dictionaries(TEXT, JSON, max_size=3)
RECORDS = st.builds(Record, st.integers(0, 9), st.integers(0, 9))
TEXTS = st.lists(TEXT, max_size=3).map(tuple)
PARAMETERS = st.lists(
    st.builds(
        Parameter,
        NAME,
        st.sampled_from(["str", "int", "float", "bool", "json"]),
        JSON,
        st.booleans(),
        TEXT,
        st.lists(JSON, max_size=3).map(tuple),
        TEXT,
        st.none() | NUMBER,
        st.none() | NUMBER,
    ),
    max_size=3,
    unique_by=lambda p: p.name,
).map(tuple)
TRIALS = st.builds(Trial, st.integers(0, 2**31), ARGS, st.booleans(), st.integers(0, 99), TEXT, st.integers(0, 3))
EVIDENCE = st.builds(
    Evidence,
    st.sampled_from(EvidenceLevel),
    st.lists(TRIALS, max_size=3).map(tuple),
    st.integers(0, 99),
    st.integers(0, 99),
    st.dictionaries(TEXT, RECORDS, max_size=2),
)
CASES = st.builds(Case, ARGS, NUMBER, TEXTS, TEXTS, st.none() | TEXT, RECORDS)
CLAUSES = st.builds(Clause, st.sampled_from(ClauseKind), TEXT, NUMBER, st.integers(0, 9), st.integers(0, 9))


@st.composite
def libraries(draw: st.DrawFn) -> list[Skill]:
    """Skills of one world, each calling some of those before it."""
    names = draw(st.lists(NAME, min_size=1, max_size=4, unique=True))
    made: list[Skill] = []
    for i, name in enumerate(names):
        calls = tuple(n for n in names[:i] if draw(st.booleans()))
        parameters = draw(PARAMETERS)
        head = f"def {name}({', '.join(p.name for p in parameters)}):\n    {draw(TEXT)!r}\n"
        end = draw(st.sampled_from(["\n", "\r\n", "\r"]))
        source = (head + "".join(f"    skills.{c}()\n" for c in calls)).replace("\n", end)
        made.append(
            Skill(
                name,
                draw(st.integers(1, 99)),
                Program(name, source, parameters, calls, draw(TEXT)),
                draw(TEXT),
                draw(TEXT),
                draw(TEXT),
                "f1",
                draw(EVIDENCE),
                draw(TEXTS),
                draw(NUMBER),
                draw(TEXTS),
                draw(TEXTS),
                draw(st.sampled_from(["active", "retired"])),
                draw(TEXT),
                draw(st.integers(0, 99)),
                draw(ARGS),
                draw(st.lists(CASES, max_size=2).map(tuple)),
                draw(st.lists(CLAUSES, max_size=2).map(tuple)),
            )
        )
    return made


@given(libraries())
def test_what_is_exported_reads_back_as_it_was(skills: list[Skill]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        places = export_skills(skills, [], folder)
        found = read_agent_skills(folder)
        assert not found.refused
        assert not found.documents
        assert {s.skill.name: s.skill for s in found.skills} == {
            s.name: replace(s, tools=tuple(dict.fromkeys(s.tools))) for s in skills
        }
        for place in places.values():
            front, _ = split((place / "SKILL.md").read_bytes().decode(), place.name)
            assert departures(front, place.name) == []
            assert yaml.safe_load((place / "SKILL.md").read_text("utf-8").split("\n---\n")[0])["name"] == place.name


@settings(max_examples=25)  # a journal for each
@given(libraries())
def test_what_is_taken_in_is_the_skill_without_its_evidence(skills: list[Skill]) -> None:
    with tempfile.TemporaryDirectory() as folder, Journal(Path(folder) / "journal.sqlite") as journal:
        export_skills(skills, [], Path(folder) / "out")
        take_in(journal, read_agent_skills(Path(folder) / "out"))
        assert journal.skills() == []
        for was in skills:
            (kept,) = journal.skills("quarantined", was.name)
            assert replace(kept.program, calls=was.program.calls) == was.program
            assert (kept.goal_template, kept.fingerprint, kept.needs) == (was.goal_template, "f1", was.needs)
            assert kept.evidence == Evidence(EvidenceLevel.MODEL_JUDGED)
            assert [c.args for c in kept.cases] == [c.args for c in was.cases]
            assert not any(c.record.runs for c in kept.cases)
            assert kept.contract == ()
            assert kept.origin == "imported from out"


# ---------------------------------------------------------------------- in


def test_an_import_is_quarantined_and_the_active_one_stays(journal: Journal, tmp_path: Path) -> None:
    mine = skill("stick", doc="my own")
    journal.put_skill(mine, "solved")
    export_skills([skill("stick", "plank", doc="theirs"), skill("plank")], [], tmp_path / "shared")
    intake = take_in(journal, read_exchange(tmp_path / "shared"))
    assert [(s.name, s.version, s.status, s.known) for s in intake.skills] == [
        ("plank", 1, "quarantined", False),
        ("stick", 2, "quarantined", False),
    ]
    assert journal.skills() == [mine]
    assert journal.skill("stick") == mine
    assert journal.transitions("stick")[-1].reason == "imported from shared, out of use until it is verified"
    assert journal.skill("stick", 2).meta["imported"]["stated_evidence"]["successes"] == 1


def test_importing_again_stores_nothing(journal: Journal, tmp_path: Path) -> None:
    export_skills([skill("stick", "plank"), skill("plank")], [], tmp_path / "shared")
    write(tmp_path / "shared" / "pdf-forms", {"SKILL.md": FOREIGN})
    first = take_in(journal, read_exchange(tmp_path / "shared"))
    again = take_in(journal, read_exchange(tmp_path / "shared"))
    assert all(t.known for t in (*again.skills, *again.documents))
    assert [t.version for t in again.skills] == [t.version for t in first.skills]
    assert len(journal.skills(None)) == 2
    assert len(documents(journal)) == 1


def test_an_import_can_be_for_another_world(journal: Journal, tmp_path: Path) -> None:
    export_skills([skill("stick", "plank"), skill("plank")], [], tmp_path / "shared")
    spec = WorldSpec("garden", "a garden", (), (), "garden-1")
    take_in(journal, read_exchange(tmp_path / "shared"), world=spec)
    assert {(s.world, s.fingerprint) for s in journal.skills("quarantined")} == {("garden", "garden-1")}


def test_an_import_is_not_restored_before_it_was_verified(tmp_path: Path) -> None:
    export_skills([skill("stick", doc="theirs")], [], tmp_path / "shared")
    embedder = HashEmbedder(64)
    with Home.open(tmp_path / "home") as home:
        home.journal.put_skill(skill("stick"), "solved")
        take_in(home.journal, read_exchange(tmp_path / "shared"), world=WorldSpec("w", "", (), (), "f2"))
        take_in(home.journal, read_exchange(tmp_path / "shared"))
        index = MemoryIndex(embedder.dim)
        with SkillLibrary.open(home, embedder=embedder, index=index, fingerprint="f1") as library:
            library.retire("stick", "for a test")
            assert library.restore("stick", "for a test").version == 1
        with SkillLibrary.open(home, embedder=embedder, index=MemoryIndex(64), fingerprint="f2") as library:
            with pytest.raises(InputError, match=r"never verified.*habilis skills verify stick --version 2"):
                library.restore("stick", "for a test")
            home.journal.add_evidence("stick", 2, Trial(1, {}, True))
            assert library.restore("stick", "verified").status == "active"


def test_an_import_is_all_or_nothing(tmp_path: Path) -> None:
    export_skills([skill("stick", "plank"), skill("plank")], [], tmp_path / "shared")
    write(tmp_path / "shared" / "pdf-forms", {"SKILL.md": FOREIGN})
    found = read_exchange(tmp_path / "shared")
    outcomes = set()
    for writes in itertools.count():
        path = tmp_path / f"{writes}.sqlite"
        with Journal(path):
            pass
        crash = CrashAfter(writes)
        try:
            with Journal(path, before_write=crash) as journal:
                take_in(journal, found)
        except Crash:
            pass
        with Journal(path) as journal:
            outcomes.add((len(journal.skills(None)), len(documents(journal))))
            assert journal.check() == []
        if len(crash.passed) < writes:
            break
    assert outcomes == {(0, 0), (2, 1)}


def circle(*names: str) -> list[Skill]:
    return [skill(name, called) for name, called in zip(names, [*names[1:], names[0]], strict=True)]


@pytest.mark.parametrize(
    ("skills", "drop", "lacks"),
    [
        ([skill("a", "b"), skill("b")], "b", {"a": "it calls b, which is neither here nor in use"}),
        (circle("a"), "", {"a": "a circle of calls: a -> a"}),
        ([*circle("a", "b", "c"), skill("d")], "", dict.fromkeys("abc", "a circle of calls: a -> b -> c -> a")),
        (
            [skill("a", "b"), skill("b", "c"), skill("c", "d"), skill("d"), skill("e")],
            "d",
            {"c": "it calls d, which is neither", "b": "it calls c, which lacks", "a": "it calls b, which lacks"},
        ),
    ],
    ids=["missing", "itself", "circle", "chain"],
)
def test_what_lacks_something_says_so(
    journal: Journal, tmp_path: Path, skills: Sequence[Skill], drop: str, lacks: dict[str, str]
) -> None:
    export_skills(skills, [], tmp_path / "shared")
    if drop:
        (tmp_path / "shared" / drop).rename(tmp_path / "gone")
    intake = take_in(journal, read_exchange(tmp_path / "shared"))
    assert len(intake.skills) == len(skills) - bool(drop)
    for one in intake.skills:
        said = "; ".join(one.notes)
        assert lacks.get(one.name, "") in said
        assert bool(said) == (one.name in lacks)
        assert one.status == "quarantined"
        (move,) = journal.transitions(one.name)
        assert all(note in move.reason for note in one.notes)


def test_what_is_called_may_be_in_use_already(journal: Journal, tmp_path: Path) -> None:
    journal.put_skill(skill("b"), "solved")
    export_skills([skill("a", "b"), skill("b")], [], tmp_path / "shared")
    (tmp_path / "shared" / "b").rename(tmp_path / "gone")
    (one,) = take_in(journal, read_exchange(tmp_path / "shared")).skills
    assert one.notes == ()


def test_a_program_that_was_mended_by_hand_lacks_nothing(journal: Journal, tmp_path: Path) -> None:
    export_skills([skill("a", "b"), skill("b")], [], tmp_path / "shared")
    script = tmp_path / "shared" / "b" / "scripts" / "b.py"
    script.write_text("# mended\n" + script.read_text())
    a, b = take_in(journal, read_exchange(tmp_path / "shared")).skills
    assert (a.notes, b.notes) == ((), ("scripts/b.py is not the program that was exported",))
    assert journal.skill("b").meta["imported"]["lacks"] == []


def test_calls_are_read_from_the_program_too(journal: Journal, tmp_path: Path) -> None:
    made = skill("a", "b")
    made = replace(made, program=replace(made.program, calls=(), source=made.program.source + "    tools.buy(1)\n"))
    export_skills([made], [], tmp_path / "shared")
    take_in(journal, read_exchange(tmp_path / "shared"))
    kept = journal.skill("a")
    assert (kept.program.calls, kept.tools) == (("b",), ("buy",))


# ---------------------------------------------------------------------- documents


def test_a_foreign_skill_is_a_document(journal: Journal, tmp_path: Path) -> None:
    folder = write(
        tmp_path / "pdf-forms",
        {"SKILL.md": FOREIGN, "scripts/fill.py": "print('hi')\n", "assets/logo.png": b"\x89PNG\xff"},
    )
    (one,) = take_in(journal, read_exchange(folder)).documents
    assert (one.name, one.kind) == ("pdf-forms", "agent_skill")
    data = documents(journal)["agent_skill", "pdf-forms"]
    assert data["front"] == {"name": "pdf-forms", "description": "Fill in PDF forms. Use for PDFs.", "license": "MIT"}
    assert [f["path"] for f in data["files"]] == ["assets/logo.png", "scripts/fill.py"]
    assert [f.get("text") for f in data["files"]] == [None, "print('hi')\n"]
    assert journal.skills(None) == []
    assert {m.document.id for m in KnowledgeBase(journal).search("fill a PDF form")} == {"agent_skill/pdf-forms"}
    assert KnowledgeBase(journal).search("unrelated") == []


def test_documents_of_one_name_are_both_kept(journal: Journal, tmp_path: Path) -> None:
    for i in range(3):
        write(tmp_path / f"{i}" / "pdf-forms", {"SKILL.md": FOREIGN + f"Version {i}.\n"})
        take_in(journal, read_exchange(tmp_path / f"{i}"))
    kept = documents(journal)
    assert len(kept) == 3
    assert sorted(d["body"][-3] for d in kept.values()) == ["0", "1", "2"]


def test_names_in_other_scripts_are_kept_in_one_form(journal: Journal, tmp_path: Path) -> None:
    for i, name in enumerate(("cafe\u0301", "caf\u00e9")):
        write(tmp_path / f"{i}" / "x", {"SKILL.md": f"---\nname: {name}\ndescription: 作り方\n---\n作る\n"})
        take_in(journal, read_exchange(tmp_path / f"{i}"))
    (((kind, id), data),) = documents(journal).items()
    assert (kind, id, data["description"]) == ("agent_skill", "caf\u00e9", "作り方")
    assert any("lower-case letters" in note for note in data["notes"])
    assert [m.document.name for m in KnowledgeBase(journal).search("café")] == ["caf\u00e9"]


def test_the_page_runs_as_it_is_written() -> None:
    page = Path(__file__).parents[2] / "docs" / "exchange.md"
    (block,) = re.findall(r"```python\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
    exec(compile(block, str(page), "exec"), {})
