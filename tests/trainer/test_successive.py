"""Distillation after distillation: what is handed on, what is measured, and what the gate makes of it."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from habilis.core import InputError, ModelError
from habilis.trainer import (
    BaseModel,
    Corpus,
    Decision,
    DistilOptions,
    DistilResult,
    Evaluation,
    Example,
    Fisher,
    ForgettingMatrix,
    Gate,
    TrainSettings,
    build_corpus,
    calibration_error,
    diagonal_fisher,
    distil_corpus,
    export_model,
    goes_on_from,
    tiny_random_model,
)

torch = pytest.importorskip("torch")

SETTINGS = TrainSettings(
    batch=4, memory=4, memory_length=32, dtype="float32", device="cpu", learning_rate=3e-3, regulariser="online_ewc"
)


class AlwaysGate(Gate):
    def judge(self, present: Evaluation, tuned: Evaluation, **more: Any) -> Decision:
        return Decision(True, ("for the test",))


def sums(n: int = 40) -> Corpus:
    """Another little world: questions in two families."""
    found = [
        Example(f"{i} plus {j}?\n", f"{i + j}", "plus" if i % 2 else "sum", f"{i} {j}")
        for i in range(n // 4)
        for j in range(4)
    ]
    return Corpus(tuple(found[: n // 2]), tuple(found[n // 2 : 3 * n // 4]), tuple(found[3 * n // 4 :]))


@pytest.fixture(scope="module")
def first(tiny: BaseModel, workshop: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory) -> DistilResult:
    folder = tmp_path_factory.mktemp("chain")
    corpus = build_corpus(workshop.make_episodes(60), [], workshop.contracts, workshop.spec)
    return go(corpus, folder / "one", tiny)


def go(corpus: Corpus, out: Path, base: BaseModel, settings: TrainSettings = SETTINGS, **more: Any) -> DistilResult:
    options = DistilOptions(cache=out.parent / "cache", **more.pop("options", {}))
    given = {"gate": AlwaysGate(), "steps": 2, "seconds": None, **more}
    return distil_corpus(corpus, out=out, base=base, settings=settings, options=options, **given)


def weights(folder: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    return load_file(folder / "model.safetensors")


def test_a_damaged_adapter_is_named(tiny: BaseModel, first: DistilResult, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(first.path, tmp_path / "copy"))
    (copy / "adapter" / "adapter_model.safetensors").write_bytes(b"{}")
    with pytest.raises(ModelError, match=r"cannot go on from copy: .* is damaged .*--after none"):
        go(sums(), tmp_path / "two", tiny, options={"after": copy})


def test_what_was_interrupted_with_one_base_model_does_not_go_on_with_another(tiny: BaseModel, tmp_path: Path) -> None:
    def stopped(base: BaseModel) -> list[int]:
        seen: list[int] = []

        def progress(phase: str, step: int, steps: int, loss: float) -> None:
            if phase == "train":
                seen.append(step)

        with pytest.raises(ModelError, match="the work is kept"):
            go(sums(), tmp_path / "one", base, steps=5, progress=progress, stop=lambda: seen[-1:] in ([2], [4]))
        return seen

    other = tiny_random_model(tmp_path / "other", seed=7)
    assert [stopped(base) for base in (tiny, other, other)] == [[1, 2], [1, 2], [3, 4]]


def test_an_exported_model_tells_nothing_of_what_was_lived(
    tiny: BaseModel, first: DistilResult, tmp_path: Path
) -> None:
    made = export_model(first.path, tmp_path / "mine")
    assert {p.name for p in made.iterdir()} == {p.name for p in tiny.path.iterdir()}


def test_the_second_goes_on_where_the_first_ended(tiny: BaseModel, first: DistilResult, tmp_path: Path) -> None:
    assert first.adopted
    assert any(not torch.equal(t, weights(tiny.path)[n]) for n, t in weights(first.path).items())
    still = replace(SETTINGS, learning_rate=1e-12)
    second = go(sums(), tmp_path / "two", tiny, still, options={"after": first.path}, steps=1)
    for name, tensor in weights(first.path).items():
        torch.testing.assert_close(weights(second.path)[name], tensor)
    assert second.figures["model"]["after"] == "one"
    assert (second.path / "adapter" / "adapter_model.safetensors").is_file()  # one adapter of the base model


def test_what_the_first_taught_is_asked_after_the_second(tiny: BaseModel, first: DistilResult, tmp_path: Path) -> None:
    second = go(sums(), tmp_path / "two", tiny, options={"after": first.path})
    matrix = ForgettingMatrix.load(second.figures["forgetting"])
    assert [stage for stage, _ in matrix.rows] == ["one", "two"]
    taught, after = (row for _, row in matrix.rows)
    assert set(taught) == {f"one/{family}" for family in first.figures["test"]["tuned"]["families"]}
    assert set(after) == {*taught, "two/plus", "two/sum"}
    assert set(matrix.forgetting()) == set(taught)
    third = go(sums(), tmp_path / "three", tiny, options={"after": second.path})
    rows = third.figures["forgetting"]["rows"]
    assert [row["after"] for row in rows] == ["one", "two", "three"]
    assert set(rows[-1]["accuracy"]) == {*after, "three/plus", "three/sum"}
    for result in (first, second, third):
        assert Fisher.load(result.path / "running.fisher", model=tiny.fingerprint).length == 32
    # F_0 of 4 texts, and of each distillation 4 examples.
    assert Fisher.load(third.path / "running.fisher").count == 16


def test_plans_that_were_carried_out_are_carried_out_again_where_the_world_is_the_same(
    tiny: BaseModel, workshop: SimpleNamespace, tmp_path: Path
) -> None:
    corpus = build_corpus(workshop.make_episodes(60), [], workshop.contracts, workshop.spec)
    one = go(corpus, tmp_path / "one", tiny, runner=workshop.run_plans)
    taught = {p.task.goal for p in corpus.plans}
    carried_out: list[set[Any]] = []

    def here(plans: Any) -> Any:
        carried_out.append({task.goal for task, _ in plans})
        return workshop.run_plans(plans)

    same = go(sums(), tmp_path / "same", tiny, options={"after": one.path}, runner=here)
    again = dict(ForgettingMatrix.load(same.figures["forgetting"]).rows)["same"]
    assert "one/plan_run" in again
    assert "one/plan" not in again
    assert carried_out
    assert all(goals <= taught for goals in carried_out)

    def elsewhere(plans: Any) -> list[bool]:
        return [False for _ in plans]

    for name, runner in (("other", elsewhere), ("none", None)):
        result = go(sums(), tmp_path / name, tiny, options={"after": one.path}, runner=runner)
        asked = dict(ForgettingMatrix.load(result.figures["forgetting"]).rows)[name]
        assert "one/plan" in asked
        assert "one/plan_run" not in asked
    # What could not be carried out there is handed on all the same.
    third = go(sums(), tmp_path / "third", tiny, options={"after": tmp_path / "other"}, runner=workshop.run_plans)
    assert "one/plan_run" in dict(ForgettingMatrix.load(third.figures["forgetting"]).rows)["third"]


def test_only_what_was_asked_when_it_was_taught_is_asked_again(
    tiny: BaseModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there was no time for all questions, accuracies on others say nothing of what was forgotten."""
    asking = sys.modules["habilis.trainer.evaluate"]  # the package has a function of this name
    monkeypatch.setattr(asking, "_late", lambda began, seconds, share: seconds is not None)
    one = go(sums(200), tmp_path / "one", tiny, seconds=60.0)
    assert one.figures["test"]["tuned"]["asked"] == 32 < len(sums(200).test)
    kept = [json.loads(line) for line in (one.path / "examples.jsonl").read_text().splitlines()]
    asked = [prompt for _, split, prompt, *_ in kept if split == "test"]
    assert asked == [e.prompt for e in sums(200).test[:32]]


def test_replay_mixes_in_what_the_first_was_taught(tiny: BaseModel, first: DistilResult, tmp_path: Path) -> None:
    replay = replace(SETTINGS, regulariser="ewc_replay")
    second = go(sums(), tmp_path / "two", tiny, replay, options={"after": first.path})
    assert second.figures["training"]["replayed_per_step"] == 1
    kept = [json.loads(line) for line in (second.path / "examples.jsonl").read_text().splitlines()]
    assert {(stage, split) for stage, split, *_ in kept} == {
        (stage, split) for stage in ("one", "two") for split in ("train", "validation", "test")
    }
    # A method without importances of its own hands on those that there were.
    assert (second.path / "running.fisher").read_bytes() == (first.path / "running.fisher").read_bytes()


def test_examples_with_line_ends_of_other_kinds_are_handed_on(tiny: BaseModel, tmp_path: Path) -> None:
    corpus = sums()
    odd = replace(corpus.train[0], prompt="what is\u2028one\x85or\x0cso?\n")
    one = go(replace(corpus, train=(odd, *corpus.train[1:])), tmp_path / "one", tiny, steps=1)
    two = go(sums(), tmp_path / "two", tiny, options={"after": one.path}, steps=1)
    assert [stage for stage, _ in ForgettingMatrix.load(two.figures["forgetting"]).rows] == ["one", "two"]


def test_the_default_replays_from_the_second_distillation_on(
    tiny: BaseModel, first: DistilResult, tmp_path: Path
) -> None:
    default = replace(SETTINGS, regulariser=TrainSettings().regulariser)
    second = go(sums(), tmp_path / "two", tiny, default, options={"after": first.path})
    assert first.figures["training"]["replayed_per_step"] == 0
    assert second.figures["training"]["replayed_per_step"] == SETTINGS.batch // 2


def test_what_was_held_out_is_not_trained_on_when_a_journal_that_grew_is_split_otherwise(
    tiny: BaseModel, first: DistilResult, tmp_path: Path
) -> None:
    before = sums()
    one = go(before, tmp_path / "one", tiny)
    moved = Corpus(before.test[4:] + before.train[4:], before.validation, before.train[:4] + before.test[:4])
    two = go(moved, tmp_path / "two", tiny, options={"after": one.path})
    assert two.figures["corpus"]["set_aside"] == 4 + len(before.test[4:])
    kept = [json.loads(line) for line in (two.path / "examples.jsonl").read_text().splitlines()]
    taught = {prompt for stage, split, prompt, *_ in kept if split == "train"}
    asked = {prompt for stage, split, prompt, *_ in kept if split != "train"}
    assert not taught & asked
    assert taught == {e.prompt for e in before.train}
    assert asked == {e.prompt for e in (*before.validation, *before.test)}
    swapped = Corpus(before.validation + before.test, before.train, ())
    with pytest.raises(InputError, match="of 20 examples of train none is left"):
        go(swapped, tmp_path / "three", tiny, options={"after": one.path})


def test_the_questions_of_an_earlier_distillation_are_asked_again_all_of_them(tiny: BaseModel, tmp_path: Path) -> None:
    def many(name: str) -> Corpus:
        found = [Example(f"{name} {i}?\n", str(i), name, f"{name} {i}") for i in range(240)]
        return Corpus(tuple(found[:40]), tuple(found[40:60]), tuple(found[60:]))

    path: Path | None = None
    for name in ("a", "b", "c"):
        result = go(many(name), tmp_path / name, tiny, options={"after": path}, steps=1)
        path = result.path
    rows = [json.loads(line) for line in (result.path / "examples.jsonl").read_text().splitlines()]
    for stage in ("a", "b"):
        assert sum(row[:2] == [stage, "test"] for row in rows) == 160


def test_a_method_without_fisher_refuses_a_file_of_it_and_a_text_for_it(
    tiny: BaseModel, first: DistilResult, tmp_path: Path
) -> None:
    kl, file = replace(SETTINGS, regulariser="kl"), first.path / "running.fisher"
    for options, why in (({"fisher": file}, "kl reads no Fisher"), ({"text": "words"}, "would not be read")):
        with pytest.raises(InputError, match=why):
            go(sums(), tmp_path / "two", tiny, kl, options=options)


def test_the_gate_looks_at_validation_and_never_at_the_test(tiny: BaseModel, tmp_path: Path) -> None:
    seen: list[Evaluation] = []

    class Watching(Gate):
        def judge(self, present: Evaluation, tuned: Evaluation, **more: Any) -> Decision:
            seen.extend([present, tuned])
            return super().judge(present, tuned, **more)

    corpus = sums()
    corpus = Corpus(corpus.train, corpus.validation, (*corpus.test, Example("secret?\n", "x", "secret", "s")))
    result = go(corpus, tmp_path / "m", tiny, gate=Watching())
    assert [set(e.families) for e in seen] == [{"plus", "sum"}] * 2
    assert "secret" in result.figures["test"]["tuned"]["families"]
    assert not result.adopted


def test_an_earlier_family_that_falls_is_a_reason_against() -> None:
    before = Evaluation({"a": (0, 40)}, 30.0)
    after = Evaluation({"a": (30, 40)}, 30.0)
    earlier = Evaluation({"one/goal": (20, 40)}, 30.0)
    fallen = Evaluation({"one/goal": (17, 40)}, 30.0)
    decision = Gate().judge(before, after, earlier=(earlier, fallen))
    assert not decision.adopted
    assert decision.reasons == (
        "one/goal fell from 20/40 to 17/40; of an earlier distillation no family may fall by more than 0.05",
    )
    assert Gate(max_forgetting=0.1).judge(before, after, earlier=(earlier, fallen)).adopted
    # Perplexity is held against the base model, not against the one in use: drift adds up.
    assert "20.00 to 30.00" in Gate().judge(before, after, base_perplexity=20.0).reasons[0]


def test_forgetting_is_the_best_that_was_minus_what_is() -> None:
    matrix = ForgettingMatrix()
    assert (matrix.average, matrix.backward_transfer) == (0.0, 0.0)
    matrix = matrix.after("a", {"a/x": 0.5}).after("b", {"a/x": 0.75, "b/y": 1.0}).after("c", {"a/x": 0.25, "b/y": 1.0})
    assert matrix.forgetting() == {"a/x": 0.5, "b/y": 0.0}
    assert matrix.average == 0.25
    assert matrix.backward_transfer == -0.125
    assert ForgettingMatrix.load(json.loads(json.dumps(matrix.dump()))) == matrix


def test_calibration_is_the_gap_between_confidence_and_being_right() -> None:
    assert calibration_error([(0.95, True), (0.95, True), (0.05, False)]) == pytest.approx((0.1 + 0.05) / 3)
    assert calibration_error([(1.0, False)] * 4) == 1.0
    assert calibration_error([(0.5, True), (0.5, False)]) == 0.0
    with pytest.raises(InputError, match="at least 1 answer"):
        calibration_error([])


def test_a_distilled_model_tells_how_sure_it_is(first: DistilResult) -> None:
    # Random weights give every byte about 1 in 257: they are never right, and never sure.
    assert 0 <= first.figures["base"]["calibration_error"] < 0.05


def test_what_does_not_belong_together_is_refused_by_name(tiny: BaseModel, first: DistilResult, tmp_path: Path) -> None:
    other = tiny_random_model(tmp_path / "other", seed=7)
    with pytest.raises(ModelError, match=rf"one was distilled from the base model {tiny.fingerprint[:12]}…, this one"):
        go(sums(), tmp_path / "two", other, options={"after": first.path})
    file = tmp_path / "foreign.safetensors"
    from habilis.trainer.base import load_model

    ids = torch.zeros((1, 8), dtype=torch.long)
    diagonal_fisher(load_model(other.path)[0], ids, model_fingerprint=other.fingerprint).save(file)
    with pytest.raises(ModelError, match=rf"foreign\.safetensors was made from the model {other.fingerprint[:12]}…"):
        go(sums(), tmp_path / "two", tiny, options={"fisher": file})
    with pytest.raises(ModelError, match="cannot go on from the model nothing"):
        go(sums(), tmp_path / "two", tiny, options={"after": tmp_path / "nothing"})
    with pytest.raises(ModelError, match="trained by the other method"):
        go(sums(), tmp_path / "two", tiny, replace(SETTINGS, method="full"), options={"after": first.path})
    assert not (tmp_path / "two").exists()
    assert goes_on_from(first.path, "tiny", "tiny", SETTINGS) is None
    assert (
        goes_on_from(first.path, "smollm2", "tiny", SETTINGS) == "that came from the base model tiny, this is smollm2"
    )
    assert "rank 8" in str(goes_on_from(first.path, "tiny", "tiny", replace(SETTINGS, rank=4)))
    assert "--method lora" in str(goes_on_from(first.path, "tiny", "tiny", replace(SETTINGS, method="full")))
    assert "older version" in str(goes_on_from(tmp_path, "tiny", "tiny", SETTINGS))
    other = str(goes_on_from(first.path, "tiny", "tiny", replace(SETTINGS, seed=1)))
    assert "held out other questions" in other
    assert "--seed 1" in other


def test_the_fisher_may_be_of_a_text_of_the_examples_or_of_both(tiny: BaseModel, tmp_path: Path) -> None:
    settings = replace(SETTINGS, regulariser="ewc")
    text = {"text": "A text that must be kept. " * 20}
    found = [
        go(sums(), tmp_path / f"{i}", tiny, replace(settings, fisher=kind), options=options)
        for i, (kind, options) in enumerate([("self", {}), ("corpus", text), ("corpus", {}), ("both", {})])
    ]
    q = [result.figures["training"]["drift"]["q"] for result in found]
    assert len(set(q)) == 4
    assert all(x > 0 for x in q)
