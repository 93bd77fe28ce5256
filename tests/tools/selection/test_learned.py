"""Chances learned from outcomes: cold they are the prior, then they follow what happened, and nothing is lost."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from habilis.core import Augmentation, InputError, Kind
from habilis.memory.embedding import HashEmbedder
from habilis.testing.success import check_success_model
from habilis.tools import LearnedSuccess, LearningSettings, TrackRecord
from habilis.tools.selection._chances import Calibrator, logistic, logit

EMBEDDER = HashEmbedder()
TOOL = Augmentation(Kind.TOOL, "search", "search the web")
MODEL = Augmentation(Kind.MODEL, "big", "writes programs")


def new(**options: float) -> LearnedSuccess:
    return LearnedSuccess(EMBEDDER, LearningSettings(**options), threshold=0.1)  # type: ignore[arg-type]


def embedded(text: str) -> NDArray[np.float32]:
    return EMBEDDER.embed([text])[0]


def chance(model: LearnedSuccess, text: str, thing: Augmentation = MODEL, near: float = 0.0) -> float:
    return float(model.chances(embedded(text), [thing], np.array([near], dtype=np.float32))[0])


def test_it_conforms() -> None:
    check_success_model(new, EMBEDDER.dim)
    check_success_model(lambda: TrackRecord(EMBEDDER), EMBEDDER.dim, learns=False)


def test_cold_a_tool_is_judged_by_relevance_and_a_model_is_not() -> None:
    model = new()
    chances = [chance(model, "find it on the web", TOOL, near) for near in (0.05, 0.2, 0.3, 0.4)]
    assert chances[0] == 0
    assert 0 < chances[1] < 0.2 < chances[2] < chances[3] < 1
    assert [chance(model, "find it on the web", MODEL, near) for near in (0.0, 0.9)] == [0.5, 0.5]


def test_a_record_that_came_along_shifts_the_prior() -> None:
    model = new()
    proven = Augmentation(Kind.MODEL, "big", "writes", successes=6, uses=6)
    failing = Augmentation(Kind.MODEL, "big", "writes", successes=0, uses=6)
    assert chance(model, "x", proven) == pytest.approx(0.8)  # Beta(2 + 6, 2)
    assert chance(model, "x", failing) == pytest.approx(0.2)
    doubts = model.doubts(embedded("x"), [MODEL, proven])
    assert doubts.tolist() == pytest.approx([(0.25 / 5) ** 0.5, (0.25 / 11) ** 0.5])


def test_doubt_falls_where_something_was_tried() -> None:
    model = new()
    for i in range(12):
        model.learn(embedded(f"sew a shirt {i}"), MODEL, 0.0, True)
    here, elsewhere = (float(model.doubts(embedded(t), [MODEL])[0]) for t in ("sew a shirt", "zzz qqq"))
    assert here < 0.15 < 0.22 < elsewhere


def test_what_failed_where_it_seemed_to_fit_is_expected_to_fail_there_again() -> None:
    model = new()
    before = chance(model, "search the web for cats", TOOL, 0.4)
    for i in range(6):
        model.learn(embedded(f"search the web for cats {i}"), TOOL, 0.4, False)
    assert chance(model, "search the web for cats", TOOL, 0.4) < before / 2
    assert model.uses("tool:search") == 6


def test_what_helped_though_its_description_says_nothing_helps_with_such_tasks_only() -> None:
    model = new()
    for i in range(8):
        model.learn(embedded(f"translate a letter into Latin {i}"), TOOL, 0.0, True)
    assert chance(model, "translate a letter into Latin", TOOL, 0.0) > 0.5
    assert chance(model, "zzz qqq", TOOL, 0.0) == 0


def test_graded_outcomes_count_as_they_are() -> None:
    model = new()
    for i in range(40):
        model.learn(embedded(f"write a sonnet {i}"), MODEL, 0.0, 0.75)
    assert chance(model, "write a sonnet") == pytest.approx(0.75, abs=0.05)
    for wrong in (-0.1, 1.5, float("nan")):
        with pytest.raises(InputError, match="from 0 to 1"):
            model.learn(embedded("x"), MODEL, 0.0, wrong)


def test_it_is_bounded_and_forgets_the_oldest() -> None:
    model = new(per_thing=20, most=50)
    things = [Augmentation(Kind.MODEL, f"m{i}", "") for i in range(6)]
    for i in range(30):
        for thing in things:
            model.learn(embedded(f"task {i}"), thing, 0.0, i % 2 == 0)
    outcomes = model._outcomes
    assert sum(len(log) for log in outcomes.logs.values()) <= 50
    assert all(len(log) <= 20 for log in outcomes.logs.values())
    assert outcomes.tasks is not None
    assert len(outcomes.tasks) <= 50
    again = new(per_thing=20, most=50)
    again.load(json.loads(json.dumps(model.save())))
    for text in ("task 3", "task 29", "another"):
        assert [chance(model, text, t) for t in things] == [chance(again, text, t) for t in things]


def test_what_was_learned_with_another_embedder_is_left_out() -> None:
    model, other = new(), LearnedSuccess(HashEmbedder(128), threshold=0.1)
    for i in range(10):
        model.learn(embedded(f"task {i}"), MODEL, 0.0, True)
    other.load(model.save())
    assert other.uses("model:big") == 0


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2), st.floats(0, 1)), max_size=60))
@settings(max_examples=40, deadline=None)
def test_chances_stay_chances_and_loading_changes_nothing(lessons: list[tuple[int, int, float]]) -> None:
    small = HashEmbedder(32)
    vectors = small.embed([f"task number {i} of the kind {i % 2}" for i in range(6)])
    things = [Augmentation(kind, "x", "x") for kind in (Kind.MODEL, Kind.TOOL, Kind.SKILL)]
    near = np.array([0.0, 0.2, 0.5], dtype=np.float32)
    limits = LearningSettings(per_thing=8, most=16)
    model = LearnedSuccess(small, limits, threshold=0.1)
    for i, (task, thing, good) in enumerate(lessons):
        model.learn(vectors[task], things[thing], float(near[thing]), good)
        if i % 7 == 0:
            saved, model = model.save(), LearnedSuccess(small, limits, threshold=0.1)
            model.load(json.loads(json.dumps(saved)))
    plain = LearnedSuccess(small, limits, threshold=0.1)
    for task, thing, good in lessons:
        plain.learn(vectors[task], things[thing], float(near[thing]), good)
    for vector in vectors:
        chances = model.chances(vector, things, near)
        assert ((chances >= 0) & (chances <= 1)).all()
        assert np.array_equal(chances, plain.chances(vector, things, near))


def test_threads_may_learn_and_ask_at_once() -> None:
    model = new(per_thing=40, most=120)
    things = [Augmentation(Kind.MODEL, f"m{i}", "") for i in range(8)]
    vectors = EMBEDDER.embed([f"task {i} of {i % 5}" for i in range(60)])

    def work(number: int) -> None:
        for i, vector in enumerate(vectors):
            model.learn(vector, things[(i + number) % 8], 0.0, i % 2 == 0)
            assert model.chances(vector, things, np.zeros(8, dtype=np.float32)).shape == (8,)
            assert model.doubts(vector, things).shape == (8,)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(work, range(4)))
    assert sum(model.uses(t.id) for t in things) > 0
    again = new(per_thing=40, most=120)
    again.load(model.save())
    assert (
        again.chances(vectors[0], things, np.zeros(8)).tolist()
        == model.chances(vectors[0], things, np.zeros(8)).tolist()
    )  # type: ignore[arg-type]


def test_calibration_keeps_the_order_and_brings_chances_to_what_happens() -> None:
    plain, skewed = Calibrator(), Calibrator()
    assert [plain(p) for p in (0.0, 0.3, 1.0)] == [0.0, 0.3, 1.0]
    numbers = np.random.default_rng(0)
    for expected in numbers.uniform(0.05, 0.95, 1000):
        skewed.add(float(expected), float(numbers.uniform() < logistic(logit(expected) - 1)))
    assert skewed(0.8) == pytest.approx(logistic(logit(0.8) - 1), abs=0.05)
    grid = [skewed(p) for p in np.linspace(0.01, 0.99, 50)]
    assert grid == sorted(grid)
    before, after = skewed.error()
    assert after < before / 3
    again = Calibrator()
    again.load(json.loads(json.dumps(skewed.save())))
    assert again(0.37) == skewed(0.37)


def test_settings_that_make_no_sense_are_refused() -> None:
    for wrong in ({"strength": 0}, {"penalty": -1}, {"neighbours": 0}, {"per_thing": 4}, {"per_thing": 90, "most": 80}):
        with pytest.raises(InputError):
            new(**wrong)
