"""The conformance suite of embedding spaces.

check_space(MySpace)

@given(uses())
def test_mine_keeps_what_it_learned(some):
    check_saving(MySpace, some)

What every space promises: places are unit vectors, what is near is comparable with what is not, the same uses give the
same space, failures move nothing nearer, saving and taking back loses nothing, and what was never used keeps the
relevance of its description. `check_order` is for spaces that promise that the order of uses matters little.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from habilis.core import MissingExtraError
from habilis.testing.index import unit_vectors
from habilis.tools import Space

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Used", "check_cost", "check_order", "check_saving", "check_space", "learned", "uses"]

DIM = 16
THINGS = 12
_IDS = tuple(f"tool:t{i}" for i in range(THINGS))


class Used(NamedTuple):
    """A use in a test: the number of a thing, the seed of a task's vector, and whether the task was solved."""

    thing: int
    task: int
    ok: bool


def learned(make_space: Callable[[], Space], some: Sequence[Used]) -> Space:
    """A new space that has learned from these."""
    space, described = make_space(), unit_vectors(range(THINGS), DIM)
    for use in some:
        space.learn(_IDS[use.thing], described[use.thing], _task(use), use.ok)
    return space


def check_space(make_space: Callable[[], Space]) -> None:
    """The fixed cases; ``make_space`` gives a new one that knows nothing. Raises `AssertionError` saying what is
    wrong."""
    import numpy as np

    described = unit_vectors(range(THINGS), DIM)
    space = make_space()
    assert space.name, "a space has a name"
    assert not space.moved(), "nothing has moved in a new space"
    assert list(space.near(described[0])) == [], "so nothing of it is near"
    assert space.place([], described[:0]).shape == (0, DIM), "no thing has no place"
    assert np.array_equal(space.place(_IDS, described), described), "things begin at their descriptions"
    task = unit_vectors([99], DIM)[0]
    cosines = (described @ task).clip(0, 1)
    assert np.allclose(space.relevance(_IDS, described, task), cosines, atol=1e-6), "and are as relevant as these"

    some = [Used(i % 8, 1_000 * (i % 8) + i, True) for i in range(160)]  # tasks of one thing are like each other
    space, again = learned(make_space, some), learned(make_space, some)
    places, asked = space.place(_IDS, described), space.ask(task)
    for rows, what in ((places, "places"), (asked[None], "questions")):
        assert rows.dtype == np.float32, f"{what} are float32, not {rows.dtype}"
        assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-3), f"{what} have length 1"
    assert np.array_equal(places, again.place(_IDS, described)), "the same uses put things in the same places"
    assert set(space.moved()) <= set(_IDS[:8]), "what was never used has not moved"
    relevance = space.relevance(_IDS, described, task)
    assert relevance.dtype == np.float32, f"relevance is float32, not {relevance.dtype}"
    assert ((relevance >= 0) & (relevance <= 1)).all(), "relevance is from 0 to 1"
    unmoved = [i for i, id in enumerate(_IDS) if id not in space.moved()]
    expected = (described[unmoved] @ asked).clip(0, 1)
    assert np.allclose(relevance[unmoved], expected, atol=1e-5), "what was never used is as near as its description"
    near = list(space.near(task))
    assert sorted(id for id, _ in near) == sorted(space.moved()), "near tells each thing that has moved, once"
    assert [s for _, s in near] == sorted((s for _, s in near), reverse=True), "the nearest first"
    alone = dict(zip(_IDS, relevance, strict=True))
    assert all(abs(alone[id] - s) < 1e-5 for id, s in near), "with the relevance that it has when asked for alone"
    kept = places.copy()
    places[:] = 0
    assert np.array_equal(space.place(_IDS, described), kept), "what is handed out may be changed without harm"

    space.describe("tool:unknown", described[0])
    assert "tool:unknown" not in space.moved(), "a new description alone moves nothing"
    for id in space.moved():
        space.describe(id, described[11])
    moved = sorted(space.moved())
    assert np.allclose(np.linalg.norm(space.place(moved, described[: len(moved)]), axis=1), 1, atol=1e-3)
    failed = learned(make_space, [use._replace(ok=False) for use in some])
    after = failed.relevance(_IDS, described, task)
    assert (after <= cosines + 1e-6).all(), "failures make nothing more relevant"


def check_saving(make_space: Callable[[], Space], some: Sequence[Used]) -> None:
    """What is saved, as JSON, and taken back is the same space, and learns on as that does."""
    import numpy as np

    described = unit_vectors(range(THINGS), DIM)
    space = learned(make_space, some)
    text = json.dumps(space.save(), allow_nan=False)
    again = learned(make_space, [Used(0, 5, True), Used(3, 6, True)])  # what it knew before is gone
    again.load(json.loads(text))
    assert json.dumps(again.save(), allow_nan=False) == text, "what was taken back is saved as it was"
    for more in ((), (Used(1, 11, True), Used(11, 12, True), Used(2, 13, False))):
        for use in more:
            for one in (space, again):
                one.learn(_IDS[use.thing], described[use.thing], _task(use), use.ok)
        assert dict(space.moved()) == dict(again.moved()), "the same things have moved, by as many uses"
        assert np.allclose(space.place(_IDS, described), again.place(_IDS, described), atol=1e-6), "to the same places"
        for task in unit_vectors(range(50, 54), DIM):
            both = [one.relevance(_IDS, described, task) for one in (space, again)]
            assert np.allclose(both[0], both[1], atol=1e-6), "so they are as relevant"
    again.load({})
    assert not again.moved(), "nothing that is taken back is nothing that was learned"


def check_order(make_space: Callable[[], Space], some: Sequence[Used], other: Sequence[Used], tolerance: float) -> None:
    """The same uses in another order put things in the same places, up to ``tolerance`` in each number."""
    import numpy as np

    described = unit_vectors(range(THINGS), DIM)
    places = [learned(make_space, order).place(_IDS, described) for order in (some, other)]
    apart = float(np.abs(places[0] - places[1]).max())
    assert apart <= tolerance, f"the order of uses changes places by {apart:.4f}, more than {tolerance}"


def check_cost(make_space: Callable[[], Space], *, things: int = 2_000, dim: int = 384) -> tuple[float, float]:
    """Milliseconds for an outcome and for a question (its nearest 16), medians, where so many things have moved."""
    import numpy as np

    space, rows = make_space(), unit_vectors(range(64), dim)
    draw = np.random.default_rng(0)
    described = draw.normal(size=(things, dim)).astype(np.float32)
    described /= np.linalg.norm(described, axis=1, keepdims=True)
    for i in range(things):
        space.learn(f"tool:{i}", described[i], rows[i % 64], True)
    took: tuple[list[float], list[float]] = ([], [])
    for i in range(101):
        began = time.perf_counter()
        space.learn(f"tool:{i}", described[i], rows[i % 64], True)
        halfway = time.perf_counter()
        for _, (_, _) in zip(range(16), space.near(space.ask(rows[i % 64])), strict=False):
            pass
        took[0].append(1e3 * (halfway - began))
        took[1].append(1e3 * (time.perf_counter() - halfway))
    return float(np.median(took[0])), float(np.median(took[1]))


def uses(most: int = 60) -> Any:
    """A hypothesis strategy: lists of `Used`. Raises `MissingExtraError` without it."""
    try:
        from hypothesis import strategies as st
    except ImportError as error:
        raise MissingExtraError("these examples need hypothesis: pip install hypothesis") from error
    one = st.builds(Used, st.integers(0, THINGS - 1), st.integers(0, 40), st.sampled_from((True, True, False)))
    return st.lists(one, max_size=most)


def _task(use: Used) -> NDArray[np.float32]:
    """Half the middle of the thousand that the seed is in, half its own."""
    import numpy as np

    both = unit_vectors([10_000 + use.task // 1_000, 20_000 + use.task], DIM).sum(axis=0)
    made: NDArray[np.float32] = (both / np.linalg.norm(both)).astype(np.float32)
    return made
