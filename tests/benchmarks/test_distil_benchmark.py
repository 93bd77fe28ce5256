"""The distil benchmark: its baselines, its cells (on a tiny model), and what follows from them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from benchmarks import distil
from benchmarks._distil_cells import Scale, paired_overhead
from benchmarks._distil_corpus import constant_accuracy, nearest_accuracy, read, stages, write

from habilis.trainer import Corpus, Example, tiny_random_model

pytest.importorskip("torch")


def corpus() -> Corpus:
    found = [Example(f"what is {i} plus {i}?\n", f"{2 * i}", "plus", str(i)) for i in range(12)]
    found += [Example(f"is {i} odd?\n", "yes" if i % 2 else "no", "odd", str(i)) for i in range(12)]
    return Corpus(tuple(found[::2]), tuple(found[1::4]), tuple(found[3::4]))


def test_a_constant_and_the_nearest_question_need_no_model() -> None:
    train = (
        Example("colour of the sky", "blue", "colour", "1"),
        Example("colour of grass", "green", "colour", "2"),
        Example("colour of the sea", "blue", "colour", "3"),
        Example("legs of a cat", "4", "legs", "4"),
    )
    asked = (
        Example("colour of dry grass", "green", "colour", "5"),
        Example("colour of the wide sea", "blue", "colour", "6"),
        Example("wings of a cat", "0", "wings", "7"),
    )
    known = Corpus(train, (), asked)
    assert constant_accuracy(known, asked) == {"colour": 0.5, "wings": 0.0}
    assert nearest_accuracy(known, asked) == {"colour": 1.0, "wings": 0.0}


def test_a_corpus_is_kept_in_lines_and_taught_in_stages(tmp_path: Path) -> None:
    write(corpus(), tmp_path / "c.jsonl")
    again = read(tmp_path / "c.jsonl")
    assert (again.train, again.test) == (corpus().train, corpus().test)
    assert [sorted({e.family for e in part.train}) for part in stages([again])] == [["odd"], ["plus"]]
    assert stages([again, again]) == [again, again]
    (tmp_path / "c.jsonl").write_text('{"split": "train"}\n')
    with pytest.raises(SystemExit, match=r"c\.jsonl:1: .*a line has split"):
        read(tmp_path / "c.jsonl")


def test_cells_append_resume_and_give_the_figures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HABILIS_CACHE", str(tmp_path / "cache"))
    wiki = tmp_path / "data" / "wikitext2"
    wiki.mkdir(parents=True)
    (wiki / "valid.txt").write_text("A text that λ was not calibrated on. " * 12)
    scale = Scale(steps=3, questions=12, chain=1, probe=2, base=str(tiny_random_model(tmp_path / "tiny").path))
    file = tmp_path / "out.jsonl"
    file.write_text('{"schema_version": 1, "arm": "none", "se')  # of a run that was killed

    def cells() -> distil.Cells:
        return distil.Cells(file, scale, [corpus()], tmp_path / "data")

    made = cells()
    arms = ("base", "none", "ewc", "kl", "replay", "target-2%", "chain-ewc_replay")
    found: dict[str, list[Any]] = {arm: [made.get(arm, 0)] for arm in arms}
    again = cells()
    assert sorted(again.done) == sorted((arm, 0) for arm in arms)
    assert [again.get(arm, 0) for arm in arms] == [json.loads(json.dumps(found[arm][0])) for arm in arms]
    assert len(capsys.readouterr().err.splitlines()) == len(arms)  # each was run once
    figures = distil.figures(found)
    assert {*distil.AIMS} <= set(figures)
    ewc, base = found["ewc"][0], found["base"][0]
    assert figures["perplexity_rise"].value == pytest.approx(ewc["wikitext"] / base["wikitext"] - 1)
    assert figures["gain_over_base"].value == pytest.approx(ewc["accuracy"] - base["accuracy"])
    assert figures["drift_over_target_2%"].value == pytest.approx(
        found["target-2%"][0]["training"]["drift"]["probed"] / 0.02
    )
    assert [row["after"] for row in found["chain-ewc_replay"][0]["forgetting"]["rows"]] == ["stage0", "stage1"]
    assert figures["questions"].value == len(corpus().test)
    assert "accuracy_l2" not in figures


def test_an_overhead_is_of_the_same_steps() -> None:
    slow, fast = {"cpu_each_step": [1.1, 2.2, 9.0]}, {"cpu_each_step": [1.0, 2.0, 3.0]}
    assert paired_overhead(slow, fast) == pytest.approx(0.1)
