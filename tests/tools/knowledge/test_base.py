"""The knowledge base: adding again, removing, searching, and what it offers to a catalogue."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from habilis.core import Budget, Cost, Goal, InputError, Kind, NotFoundError, Task
from habilis.memory.embedding import HashEmbedder
from habilis.memory.exchange import read_exchange, take_in
from habilis.memory.index import MemoryIndex
from habilis.memory.journal import DamagedRecordWarning, Journal
from habilis.testing.journal import Crash, CrashAfter
from habilis.tools import Catalogue, KnowledgeBase


def write(shelf: Path, **texts: str) -> None:
    for name, text in texts.items():
        (shelf / f"{name}.md").write_text(text)


def test_adding_again_replaces_what_changed_and_nothing_else(
    base: KnowledgeBase, journal: Journal, shelf: Path
) -> None:
    write(shelf, bread="# Bread\nMix.", cake="# Cake\nStir.", soup="# Soup\nBoil.")
    first = base.add(shelf)
    assert [len(x) for x in (first.added, first.replaced, first.unchanged)] == [3, 0, 0]
    write(shelf, bread="# Bread\nMix, and wait.")
    (shelf / "soup.md").unlink()
    written: list[str] = []
    journal._hook = written.append
    again = base.add(shelf)
    assert [len(x) for x in (again.added, again.replaced, again.unchanged)] == [0, 1, 1]
    assert sum(statement.startswith("INSERT") for statement in written) == 1
    assert again.gone == (str(shelf / "soup.md"),)
    assert {d.name: d.passages[0].text for d in base.documents()} == {
        "bread.md": "Mix, and wait.",
        "cake.md": "Stir.",
        "soup.md": "Boil.",  # kept until it is removed
    }


def test_documents_are_found_by_id_path_or_folder(base: KnowledgeBase, shelf: Path) -> None:
    (shelf / "in").mkdir()
    write(shelf, bread="Mix.", cake="Stir.")
    write(shelf / "in", bread="Another.")
    ids = base.add(shelf).added
    assert len(set(ids)) == 3
    assert base.get(ids[0]).id == ids[0]
    assert base.get(str(shelf / "cake.md")).passages[0].text == "Stir."
    with pytest.raises(InputError, match="means 3 documents"):
        base.get(str(shelf))
    with pytest.raises(NotFoundError, match="habilis know list"):
        base.get("pudding")
    assert base.remove(str(shelf / "in")) == (ids[2],)
    (shelf / "cake.md").unlink()
    assert base.remove(str(shelf / "cake.md")) == (ids[1],)
    assert base.remove(ids[0]) == (ids[0],)
    with pytest.raises(NotFoundError):
        base.remove(ids[0])


def test_a_path_that_is_gone_says_what_is_still_here(base: KnowledgeBase, shelf: Path) -> None:
    write(shelf, bread="Mix.")
    base.add(shelf / "bread.md")
    (shelf / "bread.md").unlink()
    with pytest.raises(NotFoundError, match="habilis know remove"):
        base.add(shelf / "bread.md")
    with pytest.raises(NotFoundError, match="check the path") as error:
        base.add(shelf / "cake.md")
    assert "know remove" not in str(error.value)


def test_a_price_stays_until_another_is_given(base: KnowledgeBase, shelf: Path) -> None:
    write(shelf, bread="Mix.")
    base.add(shelf, cost=Cost(usd=0.5))
    write(shelf, bread="Mix well.")
    assert len(base.add(shelf).replaced) == 1
    (one,) = base.augmentations()
    assert one.cost == Cost(usd=0.5, tokens=6)  # its title is shown too
    assert len(base.add(shelf, cost=Cost()).replaced) == 1
    assert base.documents()[0].price == Cost()


def test_search_finds_passages_best_first(base: KnowledgeBase, shelf: Path) -> None:
    write(shelf, bread="# Bread\nMix flour.\n## Oven\nBake the bread in an oven.", cake="# Cake\nBake it.")
    base.add(shelf)
    found = base.search("baking in the oven", 5)
    assert [(m.document.name, m.number) for m in found] == [("bread.md", 2), ("cake.md", 1)]
    assert found[0].passage.title == "Bread > Oven"
    assert base.search("zebra") == []
    assert len(base.search("bake", 1)) == 1


def test_each_passage_is_an_augmentation(base: KnowledgeBase, shelf: Path) -> None:
    write(shelf, bread="# Bread\nMix flour and water.\n## Oven\nHeat the oven to 200 degrees.", tax="Pay in March.")
    base.add(shelf)
    embedder = HashEmbedder()
    catalogue = Catalogue(MemoryIndex(embedder.dim), embedder)
    catalogue.put(*base.augmentations())
    task = Task(Goal.parse("Judged('hot')"), "kitchen", 0, "heat the oven")
    (one,) = catalogue.pick(task, Budget()).taken
    assert one.kind is Kind.DOCUMENT
    assert one.name == f"{base.get(str(shelf / 'bread.md')).id}#2"
    assert one.meta["title"] == "bread.md > Bread > Oven"
    assert one.meta["source"] == str(shelf / "bread.md")
    assert one.cost == Cost(tokens=18)  # 23 bytes of title, 29 of text


def test_what_imports_brought_is_here_too(base: KnowledgeBase, journal: Journal, tmp_path: Path) -> None:
    entry = {"mineWood": {"code": "bot.dig()", "description": "// Mines wood."}}
    (tmp_path / "skills.json").write_text(json.dumps(entry))
    take_in(journal, read_exchange(tmp_path / "skills.json"))
    (one,) = base.documents()
    assert (one.id, one.kind) == ("voyager/mineWood", "voyager")
    assert "bot.dig()" in one.passages[0].text
    assert base.get("mineWood") == one
    assert base.remove("voyager/mineWood") == ("voyager/mineWood",)
    assert base.documents() == []


def test_a_damaged_document_costs_only_itself(base: KnowledgeBase, journal: Journal, shelf: Path) -> None:
    write(shelf, bread="Mix.", cake="Stir.")
    bread, _ = base.add(shelf).added
    journal.put_document("file", bread, {"path": str(shelf / "bread.md"), "passages": 7})
    with pytest.warns(DamagedRecordWarning, match="add its file again"):
        assert [d.name for d in base.documents()] == ["cake.md"]
    assert base.add(shelf).replaced == (bread,)
    assert len(base.documents()) == 2


def test_a_crash_between_two_files_loses_neither(tmp_path: Path, shelf: Path) -> None:
    write(shelf, **{f"n{i}": f"text {i}" for i in range(5)})
    counts = set()
    for n in range(60):
        path = tmp_path / f"{n}.sqlite"
        try:
            with Journal(path, before_write=CrashAfter(n)) as journal:
                KnowledgeBase(journal).add(shelf)
        except Crash:
            pass
        else:
            break
        with Journal(path) as journal:
            known = KnowledgeBase(journal)
            kept = len(known.documents())
            counts.add(kept)
            told = known.add(shelf)
            assert (len(told.unchanged), len(told.added)) == (kept, 5 - kept)
            assert len(known.documents()) == 5
    assert counts >= {0, 1, 2, 3, 4}
