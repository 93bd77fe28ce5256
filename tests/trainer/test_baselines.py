"""Baselines: none looks at the answer, and each scores what it must on questions with known answers."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
from tests.trainer.lives import house, lives

from habilis.testing.embedding import HashEmbedder
from habilis.trainer import Corpus, Example, build_corpus
from habilis.trainer.baselines import constant, nearest, scores, symbolic


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    world = house()
    return build_corpus(lives(60, 20), [], world.contracts(), world.spec, families=["path", "location", "count_at"])


def every(corpus: Corpus) -> list[Example]:
    return [e for part in corpus.splits.values() for e in part]


def test_who_knows_the_rules_follows_things_and_counts_them(corpus: Corpus) -> None:
    world = house()
    right = scores(symbolic(world.contracts(), world.spec), every(corpus))
    for family in ("path", "location"):
        assert right[family][1] > 15
        assert right[family][0] == right[family][1]
    told = [e for e in every(corpus) if e.family == "count_at" and "drop(" not in e.prompt]
    assert len(told) > 10  # what drop does with a thing no contract tells
    assert scores(symbolic(world.contracts(), world.spec), told)["count_at"] == (len(told), len(told))


def test_who_knows_no_rule_does_not(corpus: Corpus) -> None:
    right = scores(symbolic([], house().spec), every(corpus))
    assert right["path"][0] == 0


def test_numbers_and_contracts_are_answered_from_the_rules(workshop: SimpleNamespace) -> None:
    corpus = build_corpus(workshop.make_episodes(60), [], workshop.contracts, workshop.spec)
    right = scores(symbolic(workshop.contracts, workshop.spec), every(corpus))
    assert set(right) == {"count", "needs", "changes", "yields"}
    assert all(r == asked > 0 for r, asked in right.values())


def test_a_constant_scores_no_more_than_the_corpus_lets_it(corpus: Corpus) -> None:
    for right, asked in scores(constant(corpus.train), corpus.train).values():
        assert 0 < right <= 0.2 * asked


@pytest.mark.parametrize("embedder", [None, HashEmbedder(256)], ids=["words", "vectors"])
def test_the_nearest_neighbour_knows_what_it_has_seen_and_nothing_else(
    corpus: Corpus, embedder: HashEmbedder | None
) -> None:
    answer = nearest(corpus.train, embedder)
    for right, asked in scores(answer, corpus.train).values():
        assert right >= 0.9 * asked
    known = corpus.train[0]
    assert answer(replace(known, answer="looked at")) == known.answer
    assert answer(replace(known, family="never seen")) is None
    assert scores(answer, [replace(known, family="never seen")]) == {}
