"""Reading files: PDFs, encodings, and whatever else stands in a folder. A refusal says what to do."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from tests.tools.knowledge.pdfs import encrypted, pdf

from habilis.core import InputError, MissingExtraError
from habilis.tools import Added, KnowledgeBase
from habilis.tools.knowledge import reading


def why(told: Added) -> str:
    (one,) = told.refused
    assert not told.added
    return one.why


def test_a_pdf_is_read_page_by_page(base: KnowledgeBase, shelf: Path) -> None:
    (shelf / "guide.pdf").write_bytes(pdf("Bake bread at 200 degrees", "", "Let (it) cool"))
    told = base.add(shelf)
    assert [note for _, note in told.notes] == ["1 of 3 pages have no text"]
    (document,) = base.documents()
    assert [(p.title, p.text.strip()) for p in document.passages] == [
        ("page 1", "Bake bread at 200 degrees"),
        ("page 3", "Let (it) cool"),
    ]
    assert document.notes == ("1 of 3 pages have no text",)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"just text", "it is no PDF, whatever its name says"),
        (b"%PDF-1.4\nand then nothing", "it is a damaged PDF"),
        (pdf("some text")[:-400], "damaged PDF|no text|scan"),
        (pdf("", ""), r"none of its 2 pages has text: it is a scan.*ocrmypdf"),
        (encrypted(pdf("secret"), "key"), "it is encrypted; save a copy without a password"),
        (b"", "it is no PDF"),
    ],
    ids=["text", "stub", "cut", "scan", "encrypted", "empty"],
)
def test_a_pdf_that_cannot_be_read_says_why(base: KnowledgeBase, shelf: Path, data: bytes, told: str) -> None:
    (shelf / "x.pdf").write_bytes(data)
    with pytest.raises(AssertionError, match=told):
        raise AssertionError(why(base.add(shelf)))
    assert base.documents() == []


def test_a_pdf_that_opens_without_a_password_is_read(base: KnowledgeBase, shelf: Path) -> None:
    (shelf / "x.pdf").write_bytes(encrypted(pdf("no secret"), ""))
    assert len(base.add(shelf).added) == 1


def test_too_many_pages(base: KnowledgeBase, shelf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_PDF_PAGES", 2)
    (shelf / "x.pdf").write_bytes(pdf("a", "b", "c"))
    assert "it has 3 pages, the limit is 2" in why(base.add(shelf))


def test_pages_that_take_too_long(base: KnowledgeBase, shelf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_PDF_SECONDS", -1.0)
    (shelf / "x.pdf").write_bytes(pdf("a"))
    assert "took longer than" in why(base.add(shelf))


def test_without_pypdf_the_error_says_how_to_get_it(
    base: KnowledgeBase, shelf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pypdf", None)
    (shelf / "x.pdf").write_bytes(pdf("a"))
    with pytest.raises(MissingExtraError, match=r"habilis\[pdf\]"):
        base.add(shelf)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (bytes(range(256)) * 8, "it is binary, not text"),
        ("café".encode("latin-1") * 3, r"no UTF-8 text \(byte 3: .*; save it as UTF-8"),
        (b"", "it holds no text"),
        (b" \n\t\n", "it holds no text"),
        (b"\xff\xfea", "no UTF-16 text"),
        (pdf("a") + b"\0", r"it is a PDF; let its name end in \.pdf"),
    ],
    ids=["binary", "latin-1", "empty", "blank", "half", "pdf"],
)
def test_a_text_that_is_none(base: KnowledgeBase, shelf: Path, data: bytes, told: str) -> None:
    (shelf / "x.txt").write_bytes(data)
    with pytest.raises(AssertionError, match=told):
        raise AssertionError(why(base.add(shelf)))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_encodings_that_say_what_they_are(base: KnowledgeBase, shelf: Path, encoding: str) -> None:
    (shelf / "x.md").write_bytes("# Käse\n水".encode(encoding))
    base.add(shelf)
    (passage,) = base.documents()[0].passages
    assert (passage.title, passage.text) == ("Käse", "水")


def test_a_file_of_50_megabytes_is_refused_and_hardly_read(base: KnowledgeBase, shelf: Path) -> None:
    with (shelf / "huge.txt").open("wb") as file:
        file.truncate(50_000_000)
    assert "it has 50000000 bytes, the limit is 8000000" in why(base.add(shelf))


def test_a_folder_with_all_that_folders_have(base: KnowledgeBase, shelf: Path, tmp_path: Path) -> None:
    (shelf / "a.md").write_text("# A\ntext")
    (shelf / "README").write_text("read me")
    (shelf / "photo.jpg").write_bytes(b"\xff\xd8")
    (shelf / ".git").mkdir()
    (shelf / ".git" / "notes.txt").write_text("hidden")
    (shelf / ".hidden.md").write_text("hidden")
    (shelf / "round").symlink_to(shelf)
    (shelf / "out.md").symlink_to(tmp_path / "elsewhere.md")
    (shelf / "sub" / "deep").mkdir(parents=True)
    (shelf / "sub" / "deep" / "b.TXT").write_text("b")
    (shelf / "empty").mkdir()
    os.mkfifo(shelf / "pipe.txt")
    told = base.add(shelf)
    assert sorted(d.name for d in base.documents()) == ["README", "a.md", "b.TXT"]
    assert told.passed_over == {"hidden": 2, "links": 2, "no regular files": 1, "other kinds": 1}
    assert told.refused == ()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_told(base: KnowledgeBase, shelf: Path) -> None:
    (shelf / "a.txt").write_text("a")
    (shelf / "shut").mkdir(mode=0)
    (shelf / "shut.txt").write_text("b")
    (shelf / "shut.txt").chmod(0)
    told = base.add(shelf)
    assert len(told.added) == 1
    assert sorted(Path(one.path).name for one in told.refused) == ["shut", "shut.txt"]
    assert all("cannot be" in one.why for one in told.refused)


def test_a_folder_that_cannot_be_listed_does_not_hold_up_the_rest(
    base: KnowledgeBase, shelf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (shelf / "a.txt").write_text("a")
    (shelf / "shut").mkdir()
    real = os.scandir

    def scandir(path: Path) -> object:
        if Path(path).name == "shut":
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    told = base.add(shelf)
    assert len(told.added) == 1
    assert [one.why for one in told.refused] == ["it cannot be listed (Permission denied)"]


def test_a_file_that_is_named_is_taken_whatever_its_name(base: KnowledgeBase, shelf: Path) -> None:
    (shelf / "tool.py").write_text("print('hi')")
    os.mkfifo(shelf / "pipe")
    assert base.add(shelf).passed_over == {"other kinds": 2}
    assert len(base.add(shelf / "tool.py").added) == 1
    assert "no regular file" in why(base.add(shelf / "pipe"))


def test_a_name_that_is_no_text(base: KnowledgeBase, shelf: Path) -> None:
    with open(os.fsencode(shelf) + b"/b\xff.txt", "wb") as file:
        file.write(b"text")
    assert "no UTF-8 text; rename it" in why(base.add(shelf))


@pytest.mark.parametrize("path", ["", " ", "a\0b"])
def test_an_empty_path(base: KnowledgeBase, path: str) -> None:
    with pytest.raises(InputError, match="the path is empty"):
        base.add(path)
