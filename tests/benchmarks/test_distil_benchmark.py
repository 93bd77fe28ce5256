"""The distil benchmark: its baselines, its cells (on a tiny model), and what follows from them."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from benchmarks import distil
from benchmarks._distil_cells import Scale, paired_overhead
from benchmarks._distil_corpus import baselines, stages
from benchmarks._distil_plot import plot
from benchmarks._distil_speed import throughput
from benchmarks._distil_tables import tables
from benchmarks._harness import Options

from habilis.core import InputError, need
from habilis.trainer import Corpus, Example, TrainSettings, load_corpus, save_corpus, tiny_random_model

pytest.importorskip("torch")


def corpus() -> Corpus:
    found = [Example(f"what is {i} plus {i}?\n", f"{2 * i}", "plus", str(i)) for i in range(12)]
    found += [Example(f"is {i} odd?\n", "yes" if i % 2 else "no", "odd", str(i)) for i in range(12)]
    return Corpus(tuple(found[::2]), tuple(found[1::4]), tuple(found[3::4]))


def test_what_answers_without_a_model() -> None:
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
    assert baselines(Corpus(train, (), asked), asked) == {"constant": {"colour": 0.5}, "nearest": {"colour": 1.0}}


def test_a_solver_stands_beside_them_where_the_world_is_known() -> None:
    told = Example('Wanted: holding("cup_1")\nAction:', 'grab("cup_1")', "yields", "cup", house="household 7")
    asked = Example('Wanted: holding("pan_1")\nAction:', 'grab("pan_1")', "yields", "pan", house="household 8")
    known = Corpus((told,), (), (asked,))
    assert baselines(known, known.test) == {
        "constant": {"yields": 0.0},
        "nearest": {"yields": 0.0},
        "symbolic": {"yields": 1.0},
    }


def test_a_corpus_is_taught_in_stages_and_its_file_is_read_or_refused(tmp_path: Path) -> None:
    assert [sorted({e.family for e in part.train}) for part in stages([corpus()])] == [["odd"], ["plus"]]
    assert stages([corpus(), corpus()]) == [corpus(), corpus()]
    (tmp_path / "c.jsonl").write_text('{"split": "train"}\n')
    own, _ = distil._own(["--corpus", str(tmp_path / "c.jsonl")])
    with pytest.raises(InputError, match=r"c\.jsonl, line 1 has no messages"):
        distil._corpora(own, Options(quick=True, seeds=1), tmp_path)


def test_cells_append_resume_and_give_the_figures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HABILIS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(distil, "_CURVE_CELLS", {"curve-8": 8})
    save_corpus(corpus(), tmp_path / "c.jsonl")
    taught = load_corpus(tmp_path / "c.jsonl")
    wiki = tmp_path / "data" / "wikitext2"
    wiki.mkdir(parents=True)
    (wiki / "valid.txt").write_text("A text that λ was not calibrated on. " * 12)
    tiny = str(tiny_random_model(tmp_path / "tiny").path)
    scale = Scale(steps=3, questions=12, chain=1, probe=2, base=tiny, segments=2, segment=3)
    file = tmp_path / "out.jsonl"
    file.write_text('{"schema_version": 1, "arm": "none", "se')  # of a run that was killed

    def cells() -> distil.Cells:
        return distil.Cells(file, scale, [taught], tmp_path / "data")

    made = cells()
    arms = ("base", "none", "ewc", "kl", "replay", "curve-8", "target-2%", "chain-ewc_replay", "throughput")
    found: dict[str, list[Any]] = {arm: [made.get(arm, 0)] for arm in arms}
    again = cells()
    assert sorted(again.done) == sorted((arm, 0) for arm in arms)
    assert not distil.Cells(file, scale, [taught.limited(8)], None).done  # of another corpus nothing is taken
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
    curve, speed = found["curve-8"][0], found["throughput"][0]
    assert len(curve["cpu_each_step"]) + 1 == 1  # eight examples, once over
    assert figures["curve_8_odd"].value == curve["families"]["odd"]
    assert {len(spent) for spent in speed["cpu_segments"].values()} == {2}
    both = zip(speed["cpu_segments"]["plain"], speed["cpu_segments"]["none"], strict=True)
    assert figures["throughput_ratio"].value == pytest.approx(sum(a / b for a, b in both) / 2)

    told = tables(file)
    head, _, odd, plus, mean = told.splitlines()[:5]
    assert head == "| family | train | test | base | constant | nearest | none | ewc | kl | replay |"
    assert odd.split(" | ")[:3] == ["| odd", "6", "3"]
    assert plus.split(" | ")[3] == f"{base['families']['plus']:.2f}"
    assert mean.split(" | ")[3] == f"{base['accuracy']:.2f}"
    assert "| examples | 0 | 8 |" in told
    assert "| chain | after the first | after the second |" in told


def test_too_few_examples_for_a_point_of_the_curve_and_a_file_without_cells_are_told(tmp_path: Path) -> None:
    tiny = str(tiny_random_model(tmp_path / "tiny").path)
    cells = distil.Cells(tmp_path / "out.jsonl", Scale(base=tiny), [corpus()], None)
    with pytest.raises(SystemExit, match="curve-500: the corpus has 12 examples"):
        cells.get("curve-500", 0)
    (tmp_path / "out.jsonl").write_text("{}\n")
    with pytest.raises(SystemExit, match="holds no cell"):
        tables(tmp_path / "out.jsonl")


def test_an_overhead_is_of_the_same_steps() -> None:
    slow, fast = {"cpu_each_step": [1.1, 2.2, 9.0]}, {"cpu_each_step": [1.0, 2.0, 3.0]}
    assert paired_overhead(slow, fast) == pytest.approx(0.1)


def test_cells_are_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    rows = [
        {"after": "stage0", "accuracy": {"stage0/goal": 0.5}},
        {"after": "stage1", "accuracy": {"stage0/goal": 0.25, "stage1/next": 0.5}},
    ]
    cells = [
        {"arm": "base", "accuracy": 0.0, "perplexity": 30.0},
        {"arm": "kl", "accuracy": 0.2, "perplexity": 30.1},
        {"arm": "curve-8", "accuracy": 0.1, "families": {"goal": 0.1}},
        {"arm": "chain-kl", "forgetting": {"rows": rows}},
    ]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({"schema_version": 1, **cell}) + "\n" for cell in cells))
    plot([tmp_path / "a.jsonl"], tmp_path / "all.svg")
    drawn = (tmp_path / "all.svg").read_text()
    for title in ("Learned, and lost", "By the number of examples", "What is left of the first"):
        assert f"<!-- {title} -->" in drawn
    with pytest.raises(SystemExit, match="nothing to draw"):
        plot([tmp_path / "none.jsonl"], tmp_path / "none.svg")


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_both_loops_are_timed_in_the_same_arithmetic(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dtype: str
) -> None:
    monkeypatch.setenv("HABILIS_CACHE", str(tmp_path / "cache"))
    plain: list[bool] = []

    def seen(name: str, *more: Any) -> Any:
        found = need(name, *more)
        if name != "transformers":
            return found

        def arguments(**given: Any) -> Any:
            plain.append(given["bf16"])
            return found.TrainingArguments(**given)

        names = ("Trainer", "TrainerCallback", "PrinterCallback")
        return SimpleNamespace(TrainingArguments=arguments, **{n: getattr(found, n) for n in names})

    monkeypatch.setattr("benchmarks._distil_speed.need", seen)
    settings = TrainSettings(batch=2, memory=2, memory_length=16, dtype=dtype, device="cpu")
    throughput(tiny_random_model(tmp_path / "tiny"), settings, corpus().train, 1, 2)
    assert plain == [dtype == "bfloat16"]
