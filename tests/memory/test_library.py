"""The skill library: versions, twins, dependencies, search; and an index that always agrees with the journal."""

from __future__ import annotations

import dataclasses
import itertools
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from habilis.core import (
    EvidenceLevel,
    Fact,
    HomeError,
    InputError,
    Kind,
    ModelError,
    NotFoundError,
    Parameter,
    Snapshot,
    Trial,
)
from habilis.memory.home import Home
from habilis.memory.index import ChromaIndex, MemoryIndex
from habilis.memory.library import LibrarySettings, SkillLibrary, skill_text
from habilis.testing.embedding import HashEmbedder
from habilis.testing.journal import Crash, CrashAfter, example_skill

EMBEDDER = HashEmbedder(128)
APART = LibrarySettings(merge=False)  # merging has its own tests


def _library(home: Home) -> SkillLibrary:
    return SkillLibrary.open(home, embedder=EMBEDDER, index=MemoryIndex(EMBEDDER.dim), settings=APART)


@pytest.fixture
def library(tmp_path: Path) -> Iterator[SkillLibrary]:
    with Home.open(tmp_path / "home") as home, _library(home) as opened:
        yield opened


def test_admitted_skills_get_versions_and_supersede(library: SkillLibrary) -> None:
    first = library.admit(example_skill("stick", version=7), "solved episode 1")
    assert first.version == 1
    second = library.admit(example_skill("stick", source="def stick(n=1):\n    world.craft('stick', n)\n"), "shorter")
    assert second.version == 2
    assert library.get("stick") == second
    assert list(library.active()) == ["stick"]
    assert [(t.version, t.after) for t in library.home.journal.transitions("stick")] == [
        (1, "active"),
        (1, "superseded"),
        (2, "active"),
    ]
    assert library.index.ids(Kind.SKILL) == {"stick@2"}


def test_a_twin_becomes_evidence(library: SkillLibrary) -> None:
    library.admit(example_skill("stick", source="def stick(n=1):\n    world.craft('stick', n)\n"), "first")
    twin = dataclasses.replace(
        example_skill(
            "make_sticks",
            source="def make_sticks(amount=1):\n    # the same\n    world.craft('stick', amount)\n",
            goal='count("stick") >= {amount}',
            parameters=(Parameter("amount", "int", 1),),
        ),
    )
    trials = (Trial(1, {"amount": 1}, True), Trial(5, {"amount": 9}, False))
    twin = dataclasses.replace(twin, evidence=dataclasses.replace(twin.evidence, trials=trials))
    kept = library.admit(twin, "again")
    assert (kept.name, kept.version) == ("stick", 1)
    # Seed 1 was known already; what is new is told in the words of the skill that stays.
    assert kept.evidence.trials[1:] == (Trial(5, {"n": 9}, False),)
    assert (kept.evidence.successes, kept.evidence.failures) == (1, 1)
    assert library.get("stick") == library.home.journal.skill("stick") == kept
    assert list(library.active()) == ["stick"]


@pytest.mark.parametrize(
    "change",
    [
        {"fingerprint": "f2"},
        {"goal": 'count("stick") > {n}'},
        {"source": "def other(n=1):\n    world.craft('plank', n)\n"},
        {"parameters": (Parameter("n", "int", 2),)},
    ],
)
def test_what_differs_in_more_than_names_is_no_twin(library: SkillLibrary, change: dict[str, object]) -> None:
    same = {"source": "def stick(n=1):\n    world.craft('stick', n)\n", "goal": 'count("stick") >= {n}'}
    library.admit(example_skill("stick", **same), "first")  # type: ignore[arg-type]
    assert library.admit(example_skill("other", **{**same, **change}), "x").name == "other"  # type: ignore[arg-type]


def test_stronger_evidence_raises_the_level(library: SkillLibrary) -> None:
    seen = example_skill("stick")
    seen = dataclasses.replace(seen, evidence=dataclasses.replace(seen.evidence, level=EvidenceLevel.OBSERVED))
    library.admit(seen, "watched")
    assert library.admit(example_skill("stick"), "verified").evidence.level is EvidenceLevel.VERIFIED
    assert library.admit(seen, "watched").evidence.level is EvidenceLevel.VERIFIED


def _chain(library: SkillLibrary) -> None:
    for name, calls in (("log", ()), ("plank", ("log",)), ("stick", ("plank",)), ("door", ("plank", "log"))):
        library.admit(example_skill(name, calls=calls), "found")


def test_closure_lists_what_is_called_first(library: SkillLibrary) -> None:
    _chain(library)
    assert [s.name for s in library.closure(["stick"])] == ["log", "plank", "stick"]
    assert list(library.sources(["door", "stick"])) == ["log", "plank", "door", "stick"]
    with pytest.raises(NotFoundError, match=r"no active skill 'iron'.*which pick calls"):
        library.admit(example_skill("pick", calls=("stick", "iron")), "found")
    with pytest.raises(InputError, match="log -> stick -> plank -> log"):
        library.admit(example_skill("log", calls=("stick",), source="def log(n=1): pass"), "circular")
    assert library.get("log").version == 1


def test_who_calls_a_retired_skill_is_quarantined(library: SkillLibrary) -> None:
    _chain(library)
    assert library.retire("plank", "fails in deserts") == ("plank", "door", "stick")
    assert list(library.active()) == ["log"]
    with pytest.raises(NotFoundError, match="stick is quarantined"):
        library.get("stick")
    with pytest.raises(NotFoundError, match=r"stick calls .* plank is retired; .* habilis skills restore plank$"):
        library.restore("stick", "mended")
    library.retire("log", "fails too")
    with pytest.raises(NotFoundError) as told:
        library.restore("door", "mended")
    assert str(told.value) == (
        "door calls what is not in use: log is retired, plank is retired; restore them first: "
        "habilis skills restore log; habilis skills restore plank"
    )
    library.restore("log", "mended")
    library.restore("plank", "mended")
    assert library.restore("stick", "mended").status == "active"
    assert list(library.active()) == ["log", "plank", "stick"]
    assert [t.reason for t in library.home.journal.transitions("stick")][1:] == [
        "calls plank: fails in deserts",
        "mended",
    ]


def test_an_older_version_can_come_back(library: SkillLibrary) -> None:
    library.admit(example_skill("stick"), "found")
    library.admit(example_skill("stick", source="def stick(n=1): pass"), "shorter")
    assert library.restore("stick", "version 2 cheats", version=1).version == 1
    assert library.get("stick").version == 1
    assert library.home.journal.skill("stick", 2).status == "superseded"
    with pytest.raises(InputError, match="'gone'"):
        library.retire("stick", "x", status="gone")
    with pytest.raises(NotFoundError):
        library.restore("nothing", "x")


def test_search_finds_by_words_and_spelling_and_abstains(library: SkillLibrary) -> None:
    for name, doc in (
        ("stick", "craft sticks out of planks"),
        ("smelt_iron", "melt iron ore in a furnace"),
        ("sleep", "rest in a bed until morning"),
    ):
        library.admit(example_skill(name, doc=doc), "found")
    hits = library.search("get four sticks")
    assert hits[0].skill.name == "stick"
    assert hits[0].lexical > 0
    assert [h.skill.name for h in library.search("furnaces for iron", k=1)] == ["smelt_iron"]
    assert library.search("zzzz qqqq") == []
    assert library.search("stick", fingerprint="another world") == []
    assert library.search("", k=3) == library.search("stick", k=0) == []
    scores = [h.score for h in library.search("craft iron in bed", k=3)]
    assert scores == sorted(scores, reverse=True)
    assert len(scores) == 3


def test_skills_whose_needs_hold_come_first(library: SkillLibrary) -> None:
    library.admit(example_skill("bread", needs=('near("oven")',), doc="bake bread"), "found")
    library.admit(example_skill("bread_by_trade", needs=('count("coin") >= {n}',), doc="buy bread, perhaps"), "found")
    rich = Snapshot({Fact("count", ("coin",)): 3})
    assert [h.skill.name for h in library.search("bake bread")] == ["bread", "bread_by_trade"]
    ready, other = library.search("bake bread", state=rich)
    assert (ready.skill.name, ready.ready, other.ready) == ("bread_by_trade", True, False)
    assert 'lacks near("oven")' in other.why


def test_the_index_is_rebuilt_from_the_journal(tmp_path: Path) -> None:
    with Home.open(tmp_path) as home:
        with SkillLibrary.open(home, embedder=EMBEDDER, settings=APART) as library:
            _chain(library)
        shutil.rmtree(home.index_path)
        with SkillLibrary.open(home, embedder=EMBEDDER, settings=APART) as library:
            assert library.index.ids(Kind.SKILL) == {"log@1", "plank@1", "stick@1", "door@1"}
            assert library.search("get door")[0].skill.name == "door"
        other = HashEmbedder(64)
        with pytest.raises(HomeError, match=r"made with the embedder hash:v1-128, now it is hash:v1-64"):
            SkillLibrary.open(home, embedder=other)
        with SkillLibrary.rebuild(home, embedder=other) as library:
            assert library.search("get door")[0].skill.name == "door"
        assert home.embedder == other.fingerprint
        with Home.open(tmp_path, read_only=True) as read, pytest.raises(HomeError, match="for reading only"):
            SkillLibrary.rebuild(read, embedder=EMBEDDER)  # the index is as it was, see below
        (tmp_path / "home.json").unlink()
    with Home.open(tmp_path) as home:
        index = ChromaIndex(home.index_path, other.fingerprint, other.dim)
        assert index.ids(Kind.SKILL) == {"log@1", "plank@1", "stick@1", "door@1"}
        index.close()
        with SkillLibrary.open(home, embedder=EMBEDDER) as library:  # the home names no embedder any more
            assert library.search("get door")[0].skill.name == "door"
        assert home.embedder == EMBEDDER.fingerprint
    with (
        Home.open(tmp_path, read_only=True) as home,
        SkillLibrary.open(home, embedder=EMBEDDER, settings=APART) as library,
    ):
        assert library.search("get door")[0].skill.name == "door"


def test_a_crash_at_any_write_of_an_admission_leaves_a_whole_library(tmp_path: Path) -> None:
    states = set()
    for n in itertools.count():
        path = tmp_path / str(n)
        with Home.open(path) as home, _library(home) as library:
            library.admit(example_skill("stick"), "found")
        # The index is not derived again here: it lives on as the process would have left it.
        index = MemoryIndex(EMBEDDER.dim)
        try:
            with Home.open(path, before_write=CrashAfter(n)) as home:
                library = SkillLibrary.open(home, embedder=EMBEDDER, index=index, settings=APART)
                library.admit(example_skill("stick", source="def stick(n=1): pass"), "shorter")
        except Crash:
            finished = False
        else:
            finished = True
        with (
            Home.open(path) as home,
            SkillLibrary.open(home, embedder=EMBEDDER, index=index, settings=APART) as library,
        ):
            (skill,) = library.active().values()
            assert library.index.ids(Kind.SKILL) == {f"stick@{skill.version}"}
            assert len(home.journal.transitions("stick")) == (1 if skill.version == 1 else 3)
            states.add(skill.version)
        if finished:
            break
    assert states == {1, 2}


def test_a_foreign_source_does_not_keep_the_library_shut(library: SkillLibrary) -> None:
    library.home.journal.put_skill(example_skill("odd", source="this is no python"), "imported")
    library.refresh()
    assert "odd" in library.active()
    with pytest.raises(InputError, match="not a Python program"):
        library.admit(example_skill("odd2", source="nor is this one"), "found")
    assert "odd2" not in library.active()


def test_texts_name_the_skill_what_it_does_and_what_neither_says_of_its_goal() -> None:
    text = skill_text(example_skill("iron_door", doc="build a door of iron"))
    assert text == "iron door: build a door of iron"
    text = skill_text(example_skill("shut", doc="keep the wolves out", goal='closed("iron_door")'))
    assert text == "shut: keep the wolves out; iron door"


def test_memory_needs_no_torch_and_loads_nothing_heavy() -> None:
    code = """
import sys
sys.modules["torch"] = sys.modules["transformers"] = None
import habilis.memory, habilis.memory.library, habilis.memory.embedding, habilis.memory.index, habilis.memory.wheels
heavy = {"chromadb", "onnxruntime", "tokenizers", "openai", "langchain", "numpy"}
print(sorted(heavy & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_worlds_share_a_home_and_no_skill(tmp_path: Path) -> None:
    index = MemoryIndex(EMBEDDER.dim)

    def of(home: Home, world: str | None) -> SkillLibrary:
        return SkillLibrary.open(home, embedder=EMBEDDER, index=index, fingerprint=world, settings=APART)

    with Home.open(tmp_path / "home") as home:
        first = of(home, "f1")
        first.admit(example_skill("stick"), "found")
        first.admit(example_skill("bow", calls=("stick",)), "found")
        second = of(home, "f2")
        assert second.active() == {}
        assert second.search("get stick") == []
        with pytest.raises(NotFoundError, match="no active skill 'stick'"):
            second.admit(example_skill("door", calls=("stick",), fingerprint="f2"), "found")
        other = second.admit(example_skill("stick", fingerprint="f2"), "found")
        assert (other.version, other.fingerprint) == (2, "f2")
        first.refresh()
        assert {s.name: s.version for s in first.active().values()} == {"stick": 1, "bow": 1}
        assert index.ids(Kind.SKILL) == {"stick@1", "bow@1", "stick@2"}
        assert [h.skill.version for h in second.search("get stick")] == [2]
        with pytest.raises(InputError, match=r"world f1.*library of f2"):
            second.admit(example_skill("axe"), "found")
        with pytest.raises(NotFoundError, match="another world"):
            second.restore("stick", "no", version=1)
        everything = of(home, None)
        assert {h.skill.version for h in everything.search("get stick", k=9) if h.skill.name == "stick"} == {1, 2}
        with pytest.raises(InputError, match=r"several worlds have a skill stick: craft \(f1\), craft \(f2\)"):
            everything.retire("stick", "which?")
        assert second.retire("stick", "poor") == ("stick",)
        first.refresh()
        assert list(first.active()) == ["stick", "bow"]
        assert second.restore("stick", "mended").version == 2


class _Broken(HashEmbedder):
    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        raise ModelError("no power")


def test_the_embedder_is_written_down_once_the_index_could_be_filled(tmp_path: Path) -> None:
    with Home.open(tmp_path) as home:
        home.journal.put_skill(example_skill("stick"), "found")
        with pytest.raises(ModelError):
            SkillLibrary.open(home, embedder=_Broken(64))
        assert home.embedder is None
        with SkillLibrary.open(home, embedder=EMBEDDER) as library:
            assert library.search("get stick")[0].skill.name == "stick"
    assert json.loads((tmp_path / "home.json").read_text())["embedder"] == EMBEDDER.fingerprint


def test_without_an_embedder_skills_are_found_by_words_and_the_index_follows_later(tmp_path: Path) -> None:
    with Home.open(tmp_path) as home:
        with SkillLibrary.open(home, embedder=EMBEDDER, settings=APART) as library:
            _chain(library)
        with SkillLibrary.open(home, embedder=None, settings=APART) as library:
            assert [h.skill.name for h in library.search("get a plank")] == ["plank"]
            assert library.search("nothing of the kind") == []
            assert library.retire("door", "a test") == ("door",)
            library.admit(example_skill("bow", calls=("stick",)), "found")
        assert home.embedder == EMBEDDER.fingerprint
        with SkillLibrary.open(home, embedder=EMBEDDER, settings=APART) as library:
            assert library.index.ids(Kind.SKILL) == {"log@1", "plank@1", "stick@1", "bow@1"}


def test_what_lacks_and_cannot_be_restored_is_told_too(library: SkillLibrary) -> None:
    library.home.journal.put_skill(example_skill("door", calls=("iron",)), "imported")
    library.home.journal.set_skill_status("door", 1, "retired", "no iron")
    with pytest.raises(NotFoundError, match=r"door calls .* none called iron; a skill iron has to be learned again"):
        library.restore("door", "again")


def test_arguments_of_a_wrong_type_are_named(tmp_path: Path) -> None:
    wrong: Any = None
    with pytest.raises(InputError, match=r"home= is of type str; give a Home: Home\.open"):
        SkillLibrary.open("path", embedder=EMBEDDER)  # type: ignore[arg-type]
    with Home.open(tmp_path) as home:
        with pytest.raises(InputError, match="embedder= is of type str"):
            SkillLibrary.open(home, embedder="minilm")  # type: ignore[arg-type]
        with pytest.raises(InputError, match="index= is of type int"):
            SkillLibrary.open(home, embedder=EMBEDDER, index=5)  # type: ignore[arg-type]
        with pytest.raises(InputError, match="fingerprint= is of type int"):
            SkillLibrary.open(home, embedder=EMBEDDER, fingerprint=5)  # type: ignore[arg-type]
        with pytest.raises(InputError, match="verifier= is of type int"):
            SkillLibrary.open(home, embedder=EMBEDDER, verifier=5)  # type: ignore[arg-type]
        with _library(home) as library:
            library.admit(example_skill("stick"), "found")
            for work, said in (
                (lambda: library.search(wrong), "text= is None"),
                (lambda: library.search("stick", k="3"), "k= is of type str"),  # type: ignore[arg-type]
                (lambda: library.search("stick", state=5), "state= is of type int"),  # type: ignore[arg-type]
                (lambda: library.search("stick", floor="0"), "floor= is of type str"),  # type: ignore[arg-type]
                (lambda: library.search("stick", diversity="0"), "diversity= is of type str"),  # type: ignore[arg-type]
                (lambda: library.search("stick", tokens="9"), "tokens= is of type str"),  # type: ignore[arg-type]
                (lambda: library.admit(wrong, "x"), "skill= is None"),
                (lambda: library.admit(example_skill("a"), wrong), "reason= is None"),
                (lambda: library.retire("stick", wrong), "reason= is None"),
                (lambda: library.retire(wrong, "x"), "name= is None"),
                (lambda: library.restore("stick", wrong), "reason= is None"),
                (lambda: library.restore("stick", "x", version="1"), "version= is of type str"),  # type: ignore[arg-type]
                (lambda: library.get(wrong), "name= is None"),
                (lambda: library.history(5), "name= is of type int"),  # type: ignore[arg-type]
                (lambda: library.diff(5), "name= is of type int"),  # type: ignore[arg-type]
                (lambda: library.diff("stick", "1"), "version= is of type str"),  # type: ignore[arg-type]
                (lambda: library.admit(example_skill("a"), "x", ledger=5), "ledger= is of type int"),  # type: ignore[arg-type]
                (lambda: library.closure("stick"), r"give a list of names: \['stick'\]"),
                (lambda: library.sources([wrong]), "names= is None"),
                (lambda: library.search("stick", k=10**30), "is more than can be found; give at most 1,000,000"),
                (lambda: library.history("\ud800"), "cannot take this"),
                (lambda: library.retire("stick", "\ud800"), "cannot take this"),
            ):
                with pytest.raises(InputError, match=said):
                    work()
            assert list(library.active()) == ["stick"]


def test_a_closed_library_or_home_says_so(tmp_path: Path) -> None:
    home = Home.open(tmp_path)
    with SkillLibrary.open(home, embedder=EMBEDDER) as library:
        library.admit(example_skill("stick"), "found")
    for work in (
        lambda: library.admit(example_skill("plank"), "found"),
        lambda: library.search("stick"),
        lambda: library.retire("stick", "x"),
        lambda: library.restore("stick", "x"),
        library.refresh,
    ):
        with pytest.raises(InputError, match="the skill library is closed; open it again"):
            work()
    assert [s.name for s in home.journal.skills()] == ["stick"]
    with _library(home) as library:
        home.close()
        for work in (
            lambda: library.admit(example_skill("plank"), "found"),
            lambda: library.retire("stick", "x"),
            home.journal.skills,
        ):
            with pytest.raises(InputError, match=r"the journal .* is closed; open its home again"):
                work()


def test_a_chain_of_calls_may_be_long(tmp_path: Path) -> None:
    with Home.open(tmp_path) as home:
        with home.journal.transaction():
            for i in range(1_200):
                home.journal.put_skill(example_skill(f"s{i}", calls=(f"s{i - 1}",) if i else ()), "found")
        with _library(home) as library:
            chain = [f"s{i}" for i in range(1_200)]
            assert [s.name for s in library.closure(["s1199"])] == chain
            (hit,) = library.search("s1199", k=1, floor=-1)
            assert [s.name for s in hit.closure] == chain[: int(hit.skill.name[1:]) + 1]
