"""The conformance suite of indexes: fixed cases, whatever order things come in, and what is there after reopening.

check_index(lambda: MyIndex(new_folder(), dim=8))
check_reopening(lambda: MyIndex(folder, dim=8))

@given(operations())
def test_mine_is_a_dictionary_of_vectors(ops):
    check_operations(lambda: MyIndex(new_folder(), dim=8), ops)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from habilis.core import InputError, Kind, MissingExtraError, Neighbour, VectorIndex

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Operation", "check_index", "check_operations", "check_reopening", "operations", "unit_vectors"]

IDS = ("a", "b", "stick@1", "stick@2", "ä ö", "line\nbreak", "'; --", '"', "0", "x" * 200, "{n}", "名前")


class Operation(NamedTuple):
    """One step of a test: ``what`` is "upsert", "delete", "query" or "reopen". ``seeds``: of the vectors, one for each
    id, or the query's."""

    what: str
    kinds: tuple[Kind, ...] = ()
    ids: tuple[str, ...] = ()
    seeds: tuple[int, ...] = ()
    k: int = 0


def unit_vectors(seeds: Sequence[int], dim: int) -> NDArray[np.float32]:
    """(n, dim) unit rows, each made from its seed alone."""
    import numpy as np

    rows = np.stack([np.random.default_rng(seed).normal(size=dim) for seed in seeds]) if seeds else np.empty((0, dim))
    unit: NDArray[np.float32] = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return unit


def check_index(make_index: Callable[[], VectorIndex], *, dim: int = 8) -> None:
    """The fixed cases; ``make_index`` gives a new, empty one for vectors of ``dim``. Raises `AssertionError` saying
    what is wrong."""
    import numpy as np

    vectors = unit_vectors(range(40), dim)
    names = [f"n{i}" for i in range(40)]
    index = make_index()
    try:
        assert index.ids(Kind.SKILL) == set(), "a new index must be empty"
        assert index.query({Kind.SKILL}, vectors[0], 3) == [], "an empty index finds nothing"
        index.delete(Kind.SKILL, ["never there"])
        index.upsert(Kind.SKILL, names[:20], vectors[:20])
        index.upsert(Kind.TOOL, names[20:], vectors[20:])
        index.upsert(Kind.TOOL, [], vectors[:0])
        index.delete(Kind.TOOL, [])
        assert index.ids(Kind.SKILL) == set(names[:20]), "all ids of a kind must be listed"
        found = index.query({Kind.SKILL}, vectors[3], 5)
        assert [n.id for n in found[:1]] == ["n3"], "a vector must find itself first"
        assert abs(found[0].score - 1) < 1e-3, f"its score must be 1, is {found[0].score}"
        assert {n.kind for n in found} == {Kind.SKILL}, "only the kinds that were asked for"
        exact = sorted((float(-(vectors[i] @ vectors[3])), names[i]) for i in range(20))[:5]
        assert [n.id for n in found] == [name for _, name in exact], "best first, by cosine"
        both = index.query({Kind.SKILL, Kind.TOOL}, vectors[25], 40)
        assert len(both) == 40, "kinds are merged"
        assert both[0].id == "n25", "by score"
        assert [n.score for n in both] == sorted((n.score for n in both), reverse=True), "best first"
        assert len(index.query({Kind.SKILL, Kind.TOOL}, vectors[25], 7)) == 7, "k of all kinds together"
        assert len(index.query({Kind.SKILL}, vectors[0], 99)) == 20, "k may be more than there are"
        assert index.query({Kind.SKILL}, vectors[0], 0) == [], "k may be 0"
        index.upsert(Kind.SKILL, ["n3"], -vectors[3:4])
        assert index.query({Kind.SKILL}, -vectors[3], 1)[0].id == "n3", "an id that is known gets the new vector"
        assert len(index.ids(Kind.SKILL)) == 20, "and is not there twice"
        assert [n.id for n in index.query({Kind.SKILL}, vectors[3], 99)].count("n3") == 1, "nor found twice"
        index.upsert(Kind.SKILL, ["twice", "twice"], vectors[30:32])
        assert index.query({Kind.SKILL}, vectors[31], 1)[0].id == "twice", "of one id given twice, the last counts"
        index.delete(Kind.SKILL, ["twice", "twice"])
        index.upsert(Kind.TOOL, ["n3"], vectors[3:4])
        index.delete(Kind.SKILL, ["n3", "never there"])
        assert "n3" not in index.ids(Kind.SKILL), "what is deleted is gone"
        assert "n3" not in {n.id for n in index.query({Kind.SKILL}, vectors[3], 20)}, "also from the neighbours"
        assert "n3" in index.ids(Kind.TOOL), "of one kind only"
        assert index.query(set(), vectors[0], 3) == [], "no kind, no neighbour"
        kept = vectors[:1].copy()
        index.upsert(Kind.MODEL, ["mine"], kept)
        kept[:] = 0
        assert abs(index.query({Kind.MODEL}, vectors[0], 1)[0].score - 1) < 1e-3, "what is handed in is copied"
        for bad in (vectors[:1, : dim - 1], np.full((1, dim), np.nan, dtype=np.float32)):
            for work in (
                lambda bad=bad: index.upsert(Kind.SKILL, ["bad"], bad),
                lambda bad=bad: index.query({Kind.SKILL}, bad[0], 1),
            ):
                try:
                    work()
                except InputError:
                    continue
                raise AssertionError("a vector of another length, or not finite, must be refused with InputError")
        assert "bad" not in index.ids(Kind.SKILL), "what is refused leaves nothing behind"
        assert all(isinstance(n, Neighbour) for n in both), "neighbours are core records"
    finally:
        index.close()
        index.close()  # may be called twice


def check_reopening(open_index: Callable[[], VectorIndex], *, dim: int = 8, count: int = 60) -> None:
    """What was written is there again. ``open_index`` opens the same one each time, empty at first."""
    vectors = unit_vectors(range(count), dim)
    names = [f"n{i}" for i in range(count)]
    index = open_index()
    index.upsert(Kind.SKILL, names, vectors)
    index.upsert(Kind.TOOL, names[:2], vectors[:2])
    index.close()
    index = open_index()
    assert index.ids(Kind.SKILL) == set(names), "ids are kept"
    assert index.ids(Kind.TOOL) == set(names[:2]), "of each kind"
    assert index.ids(Kind.MODEL) == set(), "and no other"
    index.delete(Kind.SKILL, names[::3])
    index.upsert(Kind.SKILL, [names[1]], -vectors[1:2])
    index.close()
    index = open_index()
    try:
        left = {n for i, n in enumerate(names) if i % 3}
        assert index.ids(Kind.SKILL) == left, "deletes are kept"
        found = index.query({Kind.SKILL}, vectors[2], count)
        assert {n.id for n in found} == left, "all that is listed is found"
        assert found[0].id == "n2", "vectors are kept"
        assert index.query({Kind.SKILL}, -vectors[1], 1)[0].id == "n1", "and so are new vectors of old ids"
    finally:
        index.close()


def operations(*, reopen: bool = False, most: int = 12) -> Any:
    """A hypothesis strategy: lists of operations for `check_operations`. Raises `MissingExtraError` without it."""
    try:
        from hypothesis import strategies as st
    except ImportError as error:
        raise MissingExtraError("these examples need hypothesis: pip install hypothesis") from error
    kind, seed = st.sampled_from([Kind.SKILL, Kind.TOOL]), st.integers(0, 200)
    pair = st.tuples(st.sampled_from(IDS), seed)
    upsert = st.builds(
        lambda k, pairs: Operation("upsert", (k,), tuple(i for i, _ in pairs), tuple(s for _, s in pairs)),
        kind,
        st.lists(pair, max_size=8),
    )
    delete = st.builds(
        lambda k, ids: Operation("delete", (k,), tuple(ids)), kind, st.lists(st.sampled_from(IDS), max_size=4)
    )
    query = st.builds(
        lambda kinds, s, k: Operation("query", tuple(sorted(kinds)), (), (s,), k),
        st.sets(kind),
        seed,
        st.integers(0, 30),
    )
    every = [upsert, upsert, delete, query, *([st.just(Operation("reopen"))] if reopen else [])]
    return st.lists(st.one_of(every), max_size=most)


def check_operations(
    make_index: Callable[[], VectorIndex],
    steps: Sequence[Operation],
    *,
    dim: int = 8,
    again: Callable[[], VectorIndex] | None = None,
    exact: bool = True,
    within: float = 1e-3,
) -> None:
    """Do the same with an index and with a dictionary of vectors, and compare what they find after every step.

    ``make_index`` gives a new, empty one; ``again`` opens that one once more, for "reopen". ``exact=False``: it may
    miss neighbours, but never return fewer than there are, nor one that is not there. ``within``: of the true cosine.
    """
    held: dict[Kind, dict[str, NDArray[np.float32]]] = {kind: {} for kind in Kind}
    index = make_index()
    try:
        for step in steps:
            if step.what == "upsert":
                rows = unit_vectors(step.seeds, dim)
                index.upsert(step.kinds[0], step.ids, rows)
                held[step.kinds[0]].update(zip(step.ids, rows, strict=True))
            elif step.what == "delete":
                index.delete(step.kinds[0], step.ids)
                for id in step.ids:
                    held[step.kinds[0]].pop(id, None)
            elif step.what == "query":
                query = unit_vectors(step.seeds, dim)[0]
                _compare(index.query(set(step.kinds), query, step.k), held, step, query, exact, within)
            elif again is not None:
                index.close()
                index = again()
            for kind in (Kind.SKILL, Kind.TOOL):
                assert index.ids(kind) == set(held[kind]), (
                    f"after {step}: lists {index.ids(kind)}, has {set(held[kind])}"
                )
        everything = Operation("query", (Kind.SKILL, Kind.TOOL), (), (0,), 100)
        query = unit_vectors([0], dim)[0]
        _compare(index.query(set(everything.kinds), query, 100), held, everything, query, exact, within)
    finally:
        index.close()


def _compare(
    found: list[Neighbour],
    held: Mapping[Kind, Mapping[str, NDArray[np.float32]]],
    step: Operation,
    query: NDArray[np.float32],
    exact: bool,
    within: float,
) -> None:
    true = {(kind, id): float(row @ query) for kind in step.kinds for id, row in held[kind].items()}
    assert len(found) == min(step.k, len(true)), f"{step}: {len(found)} found, of {len(true)} there"
    assert len({(n.kind, n.id) for n in found}) == len(found), f"{step}: one id is found twice"
    scores = [n.score for n in found]
    assert scores == sorted(scores, reverse=True), f"{step}: best first"
    for n in found:
        assert (n.kind, n.id) in true, f"{step}: {n.kind} {n.id} is found, and is not there"
        off = abs(true[n.kind, n.id] - n.score)
        assert off <= within, f"{step}: the score of {n.id} is {n.score}, should be {true[n.kind, n.id]}"
    if exact:
        for score, wanted in zip(scores, sorted(true.values(), reverse=True), strict=False):
            assert abs(score - wanted) <= within, f"{step}: a nearer one was missed"
