"""The benchmarks of recall: frozen data that keeps its rule, honest splits, rankings that are the library's own."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from benchmarks import _recall_data, _recall_fit, recall, retrieval
from benchmarks._docstrings import documented
from benchmarks._harness import Options
from benchmarks._ranking import Asked, Best, Ranking, found
from benchmarks._recall_data import Request, content, library, requests, shared, too_alike

from habilis.core import InputError, Kind
from habilis.memory.embedding import HashEmbedder
from habilis.memory.index import MemoryIndex, sync_index
from habilis.memory.library import Recall, Search, skill_text

HASH = HashEmbedder()


def test_the_requests_are_frozen_varied_and_unlike_the_texts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    skills, asked = library(), requests()
    served = [r for r in asked if r.right]
    assert len({r.text for r in asked}) == len(asked)
    assert len(served) >= 300
    assert len(asked) - len(served) >= 60
    assert {name for r in served for name in r.right} == set(skills)
    assert too_alike(asked, {name: skill_text(s) for name, s in skills.items()}) == []
    assert 0.4 < sum(r.calibration for r in asked) / len(asked) < 0.6
    changed = tmp_path / "recall_requests.json"
    changed.write_bytes(_recall_data.REQUESTS.read_bytes().replace(b"workbench", b"bench"))
    monkeypatch.setattr(_recall_data, "REQUESTS", changed)
    with pytest.raises(InputError, match="restore it"):
        requests()


def test_content_words_are_stemmed_and_do_not_count_what_holds_a_sentence_together() -> None:
    assert content("I want to have some Torches, please") == content("torch") == {"torch"}
    assert content("snake_case and camelCase 42") == {"snake", "case", "camel"}
    texts = {"torch": "have torch: have 1 torch", "lamp": "a lamp that lights caves"}
    assert shared(Request("torches for a dark cave", ("torch",)), texts) == pytest.approx(1 / 3)
    assert shared(Request("a lamp for the cave", ("torch", "lamp")), texts) == 1
    assert shared(Request("fly me to the moon"), texts) == 0
    assert too_alike([Request("get a torch", ("torch",))], texts)
    with pytest.raises(InputError, match="no content word"):
        shared(Request("get it for me", ("torch",)), texts)


def test_rankings_are_the_librarys_own() -> None:
    """The arrays that the rivals are measured on order skills as `Recall` does."""
    skills = library()
    texts = {name: skill_text(s) for name, s in skills.items()}
    asked = [Asked(r.text, frozenset(r.right)) for r in requests() if r.right and r.calibration][:40]
    ranking = Ranking.of(HASH, texts, asked)
    index = MemoryIndex(HASH.dim)
    sync_index(index, {Kind.SKILL: {f"{name}@1": text for name, text in texts.items()}}, HASH)
    held = {f"{name}@1": skill for name, skill in skills.items()}
    real = Recall(HASH, index)
    real.hold(held)
    for a, rank, best in zip(asked, ranking.ranks("fused"), ranking.bests(), strict=True):
        hits = real.search(a.text, held, Search(k=len(held), floor=-1))
        first = next(h.score for h in hits if h.skill.name in a.right)
        # Many score alike, where nothing is shared: their order is rounding.
        assert sum(h.score > first + 1e-5 for h in hits) <= rank < sum(h.score > first - 1e-5 for h in hits)
        assert (hits[0].dense, hits[0].margin, hits[0].chance) == pytest.approx(
            (best.dense, best.margin, best.chance), abs=1e-5
        )


def test_rivals_rank_by_their_own_score() -> None:
    documents = {"a": "bake bread", "b": "chop wood", "c": "bread and butter, baked twice"}
    ranking = Ranking.of(HASH, documents, [Asked("bake bread", frozenset("a")), Asked("chop", frozenset("b"))])
    assert all(ranking.ranks(m) == [0, 0] for m in ("fused", "dense", "lexical", "rrf"))
    assert found([0, 3, 7], 5) == 2
    (first, _) = ranking.bests([{"a"}, ()])
    assert not first.right  # what is right was taken away


def test_functions_are_read_without_their_docstrings(tmp_path: Path) -> None:
    doc = '    """Add up two whole numbers.\n\n    More words.\n    """\n'
    body = f"{doc}    # why\n    c = a + b\n    d = c\n    return d\n"
    short = "def short(a):\n    'Say it in four words.'\n    return a\n"
    (tmp_path / "mod.py").write_text(f"def plus(a, b):\n{body}\ndef _hidden(a, b):\n{body}\n{short}")
    (tmp_path / "_private.py").write_text(f"def other(a, b):\n{body}")
    (tmp_path / "broken.py").write_text("def (")
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "mod.py").write_text(f"def tested(a, b):\n{body}")
    (one,) = documented(folder=tmp_path)
    assert (one.name, one.says) == ("mod.plus", "Add up two whole numbers.")
    assert one.source == "def plus(a, b):\n    c = a + b\n    d = c\n    return d"
    assert len(documented(5)) == 5
    assert documented(5) == documented(6)[:5]


def test_merging_families_loses_no_skill() -> None:
    skills = library()
    some, of = recall.merged(skills.values())
    kept = {s.name for s in some.values() if not s.cases} | set(of.values())
    assert kept == set(skills)
    assert of["have_planks", "birch_planks"] == "have_birch_planks"
    assert len(some) == len(skills) - len(of) + len({name for name, _ in of})
    assert str(some["have_planks@1"].goal_for({"kind": "birch_planks"})) == 'count("birch_planks") >= 1'


def test_the_fit_finds_the_coefficients_that_made_the_data() -> None:
    draw = random.Random(0)
    x = [(draw.uniform(-2, 2), draw.uniform(-2, 2)) for _ in range(4_000)]
    right = [draw.random() < 1 / (1 + 2.718281828 ** -(2 * a - b + 0.5)) for a, b in x]
    assert list(_recall_fit.fit(x, right, [1.0] * len(x))) == pytest.approx([2, -1, 0.5], abs=0.2)


def test_what_abstaining_does_is_counted() -> None:
    bests = [Best(True, 1, 1, 1, 0.9), Best(False, 1, 1, 1, 0.6), Best(True, 1, 1, 1, 0.2), Best(False, 1, 1, 1, 0.1)]
    figures = {key: f.value for key, f in retrieval.answered(bests, "x_").items()}
    assert figures == {
        "x_answered": 0.5,
        "x_precision_of_all": 0.5,
        "x_precision_of_answered": 0.5,
        "x_right_ones_answered": 0.5,
    }
    assert "precision_of_answered" not in retrieval.answered(bests[2:])


def test_retrieval_reads_its_data_and_is_absent_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert retrieval.measure(Options(quick=True, seeds=1)) == {}
    assert "--data" in capsys.readouterr().err
    with pytest.raises(InputError, match="HowieHwong/MetaTool"):
        retrieval.load(tmp_path)
    (tmp_path / "plugin_des.json").write_text(json.dumps({"bake": "bake bread", "chop": "chop wood", "fly": "fly"}))
    rows = [("please bake a loaf", "bake"), ("chop this wood", "chop"), ("lost", "no such tool"), ("fly off", "fly")]
    lines = ["Query,Tool", *(f"{text} {i},{tool}" for i in range(8) for text, tool in rows)]
    (tmp_path / "all_clean_data.csv").write_text("\n".join(lines))
    documents, asked = retrieval.load(tmp_path)
    assert documents["bake"] == "bake: bake bread"
    assert len(asked) == 24
    monkeypatch.setattr(retrieval, "EMBEDDERS", ("hash",))
    figures = retrieval.measure(Options(quick=True, seeds=1, data=tmp_path))
    assert figures["queries"].value == sum(not retrieval.is_calibration(a) for a in asked)
    assert figures["metatool_r1"].value == figures["bm25_r1"].value == 1
    assert set(retrieval.AIMS) <= set(figures)
