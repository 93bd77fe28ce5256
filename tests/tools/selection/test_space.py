"""Spaces: what all of them promise, and what each of them does with outcomes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from habilis.core import InputError
from habilis.testing.index import unit_vectors
from habilis.testing.space import Used, check_order, check_saving, check_space, uses
from habilis.tools import Described, Projection, Rocchio, Space, Toolken

DIM = 32
SPACES: dict[str, Callable[[], Space]] = {
    "described": Described,
    "rocchio": Rocchio,
    "rocchio, few examples": lambda: Rocchio(examples=2),
    "rocchio, no examples": lambda: Rocchio(examples=0),
    "toolken": Toolken,
    "toolken, random": lambda: Toolken(start="random"),
    "projection": lambda: Projection(rank=4),
}
every_space = pytest.mark.parametrize("make", SPACES.values(), ids=SPACES)


@every_space
def test_it_keeps_what_spaces_promise(make: Callable[[], Space]) -> None:
    check_space(make)


@every_space
@settings(max_examples=25, deadline=None)
@given(some=uses())
def test_what_it_learned_can_be_kept(make: Callable[[], Space], some: list[Used]) -> None:
    check_saving(make, some)


@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_the_order_of_uses_matters_little(data: st.DataObject) -> None:
    some = data.draw(uses())
    check_order(Rocchio, some, data.draw(st.permutations(some)), tolerance=2e-3)  # what sixteen bits round


def near(middle: int, own: int, weight: float = 0.9) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """A vector at about this cosine to the middle of this number."""
    both = unit_vectors([middle, 100_000 + own], DIM)
    found = weight * both[0] + (1 - weight**2) ** 0.5 * both[1]
    return (found / np.linalg.norm(found)).astype(np.float32)


def test_of_many_that_moved_the_nearest_come_first() -> None:
    space, described = Rocchio(), unit_vectors(range(700), DIM)
    ids = [f"tool:{i}" for i in range(700)]
    for i in range(700):
        space.learn(ids[i], described[i], near(i % 50, i), True)
    for task in unit_vectors(range(3), DIM):
        found, relevance = list(space.near(task)), space.relevance(ids, described, task)
        assert sorted(id for id, _ in found) == sorted(ids)
        best = sorted(relevance.tolist(), reverse=True)[:16]
        assert [score for _, score in found[:16]] == pytest.approx(best, abs=1e-6)


DESCRIBED = np.stack([near(i, 1_000 + i, 0.25) for i in range(10)])  # a little like what is asked of them
IDS = [f"tool:{i}" for i in range(10)]


def taught(space: Space, things: range, times: int) -> Space:
    for n in range(times):
        for i in things:
            space.learn(IDS[i], DESCRIBED[i], near(i, 100 * i + n), True)
    return space


def hits(space: Space, things: range) -> float:
    """How often a thing comes first for a task of its own."""
    tasks = [(i, near(i, 50_000 + 10 * i + n)) for i in things for n in range(10)]
    return float(np.mean([space.relevance(IDS, DESCRIBED, task).argmax() == i for i, task in tasks]))


@pytest.mark.parametrize("make", [Rocchio, lambda: Rocchio(examples=0), lambda: Toolken(rate=0.5)])
def test_what_is_used_is_found_better(make: Callable[[], Space]) -> None:
    before, after = hits(make(), range(6)), hits(taught(make(), range(6), 20), range(6))
    assert before < 0.8
    assert after > before + 0.05


def test_a_thing_moves_towards_what_it_solved_and_trust_grows() -> None:
    task, angles = near(0, 7), []
    for times in (1, 3, 10, 40):
        space = Rocchio()
        for _ in range(times):
            space.learn("tool:0", DESCRIBED[0], task, True)
        angles.append(float(space.place(["tool:0"], DESCRIBED[:1])[0] @ task))
    assert angles == sorted(angles)
    assert float(DESCRIBED[0] @ task) < angles[0] < angles[-1] < 1


def test_the_penalty_is_what_keeps_new_things_in_sight() -> None:
    """All tasks are a little alike, and unlike descriptions, as people's words are; what has learned lies there."""
    manner = unit_vectors([77], DIM)[0]
    described = np.stack([near(i, 1_000 + i, 0.3) for i in range(60)])
    ids = [f"tool:{i}" for i in range(60)]  # of which the last twenty are never used

    def said(i: int, n: int) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
        both = near(i, 100 * i + n) + 0.7 * manner
        return (both / np.linalg.norm(both)).astype(np.float32)

    def first(space: Space, things: range) -> float:
        tasks = [(i, said(i, 50 + n)) for i in things for n in range(10)]
        return float(np.mean([space.relevance(ids, described, task).argmax() == i for i, task in tasks]))

    space, used, new = Rocchio(), range(40), range(40, 60)
    for n in range(20):
        for i in used:
            space.learn(ids[i], described[i], said(i, n), True)
    fair = first(space, new)
    assert fair >= first(Described(), new) - 0.02
    assert first(space, used) > first(Described(), used) + 0.2
    space.penalty.load({"needed": [0.0] * 512, "first": [1] * 512})  # as if nothing had to be taken off
    assert first(space, new) < fair / 2


def test_examples_are_few_and_the_likest_counts() -> None:
    space = Rocchio(examples=2, nearest=1.0, pull=0.0)
    for i in range(2):  # two quite different tasks
        space.learn("tool:0", DESCRIBED[0], near(20 + i, 0), True)
    before = [float(space.relevance(["tool:0"], DESCRIBED[:1], near(20 + i, 0))[0]) for i in range(2)]
    for n in range(30):
        space.learn("tool:0", DESCRIBED[0], near(20, n), True)
    after = [float(space.relevance(["tool:0"], DESCRIBED[:1], near(20 + i, 0))[0]) for i in range(2)]
    assert after[1] > before[1]  # what is merged into one example leaves the other as it is, and trust has grown
    saved = space.save()["things"]
    assert isinstance(saved, dict)
    assert len(saved["tool:0"]["merged"]) == 2


def test_a_new_description_takes_what_was_learned_along() -> None:
    task, other = near(3, 0), near(5, 0)
    for space in (Rocchio(), Toolken()):
        for _ in range(20):
            space.learn("tool:0", DESCRIBED[0], task, True)
        before = space.place(["tool:0"], DESCRIBED[:1])[0]
        space.describe("tool:0", other)
        after = space.place(["tool:0"], DESCRIBED[:1])[0]
        assert after @ other > before @ other
        assert after @ task > DESCRIBED[0] @ task


def turned(
    task: np.ndarray[tuple[int], np.dtype[np.float32]], sign: int
) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """Tasks that lie opposite to their descriptions, in some directions, for ``sign`` -1."""
    found = task.copy()
    found[: DIM // 2] *= sign
    return found


def test_a_projection_is_used_where_it_carries_over_and_only_there() -> None:
    described = unit_vectors(range(200, 260), DIM)
    ids = [f"tool:{i}" for i in range(60)]
    alike, unlike = Projection(rank=DIM, rate=0.3, steps=4), Projection(rank=DIM, rate=0.3, steps=4)
    for n in range(900):
        i = n % 60
        task = described[i] + 0.1 * unit_vectors([n], DIM)[0]
        task /= np.linalg.norm(task)
        alike.learn(ids[i], described[i], turned(task, -1), True)  # one map serves all
        judge = hashlib.sha256(ids[i].encode()).digest()[0] % 5 == 0
        unlike.learn(ids[i], described[i], turned(task, 1 if judge else -1), True)  # and would harm the judges here
    asked, new = turned(described[0], -1), unit_vectors([999], DIM)[0]
    assert alike.share > 0
    assert alike.ask(asked) @ described[0] > asked @ described[0] + 0.1
    assert alike.ask(turned(new, -1)) @ new > turned(new, -1) @ new + 0.1  # of a thing that nobody has used
    assert unlike.share < alike.share
    few = Projection(rank=DIM)
    few.learn(ids[0], described[0], asked, True)
    assert few.share == 0


def test_what_cannot_be_is_refused() -> None:
    for wrong in (lambda: Rocchio(pull=-1), lambda: Rocchio(nearest=2), lambda: Rocchio(doubt=0)):
        with pytest.raises(InputError, match="got pull="):
            wrong()
    with pytest.raises(InputError, match="'description' or 'random'"):
        Toolken(start="anywhere")
    with pytest.raises(InputError, match="rate=0"):
        Toolken(rate=0)
    with pytest.raises(InputError, match="rank=0"):
        Projection(rank=0)


@pytest.mark.parametrize("make", [Rocchio, Toolken, Projection])
def test_what_was_kept_and_is_damaged_is_refused(make: Callable[[], Space]) -> None:
    space = taught(make(), range(6), 3)
    for harm in ("", "AAA", "AAAA", "!" * 8):
        saved = dict(space.save())
        if "described" in saved:
            saved["described"] = harm
        else:
            things = saved["things"]
            assert isinstance(things, dict)
            saved["things"] = {id: {**one, "vectors": harm} for id, one in things.items()}
        with pytest.raises(ValueError):
            make().load(saved)
