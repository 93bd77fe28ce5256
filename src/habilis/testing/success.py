"""The conformance suite of success models.

check_success_model(lambda: MyModel(embedder), embedder.dim)
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

from habilis.core import Augmentation, Kind
from habilis.tools import SuccessModel

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["check_success_model"]


def check_success_model(make: Callable[[], SuccessModel], dim: int, *, learns: bool = True) -> None:
    """What every `SuccessModel` keeps to. ``make``: a new model that knows nothing; ``dim``: of its task vectors.

    ``learns=False``: outcomes may leave its chances as they are. Raises `AssertionError` saying what is wrong.
    """
    import numpy as np

    numbers = np.random.default_rng(0)

    def task(group: int) -> NDArray[np.float32]:
        """Tasks of a group lie close to each other, and far from those of other groups."""
        vector = np.zeros(dim)
        vector[group] = 1.0
        vector += numbers.normal(0, 0.3 / dim**0.5, dim)
        return (vector / np.linalg.norm(vector)).astype(np.float32)

    things = [Augmentation(kind, name, name) for name in ("a", "b") for kind in Kind]
    near = np.linspace(0.0, 0.95, len(things), dtype=np.float32)
    model = make()
    assert model.name, "a model has a name"
    cold = model.chances(task(0), things, near)
    assert cold.shape == (len(things),), f"{len(things)} things must have as many chances, not {cold.shape}"
    assert ((cold >= 0) & (cold <= 1)).all(), f"a chance lies from 0 to 1: {cold}"
    assert model.chances(task(0), [], near[:0]).shape == (0,), "no things have no chances"
    for place in (0, len(things) - 1):
        alone = model.chances(task(0), [things[place]], near[place : place + 1])
        assert abs(float(alone[0] - cold[place])) < 1e-6, "cold, a chance depends on the thing and its relevance alone"

    used, unused = things[-1], [t for t in things if t is not things[-1]]
    lessons = [(task(i % 2), float(i % 2 == 0)) for i in range(60)]
    for vector, good in lessons:
        model.learn(vector, used, 0.9, good)
    model.learn(task(0), used, 0.9, True)
    model.learn(task(0), used, 0.9, 0.5)
    asked = [task(i % 4) for i in range(8)]
    for vector in asked:
        warm = model.chances(vector, unused, near[:-1])
        assert np.allclose(warm, cold[:-1], atol=1e-6), "what was never used must not suffer from, or gain by, others"
    same = np.full(1, 0.9, dtype=np.float32)
    liked, disliked = (float(model.chances(task(group), [used], same)[0]) for group in (0, 1))
    if learns:
        assert liked > disliked + 0.2, f"it helps with one kind of task ({liked}) and not the other ({disliked})"

    saved = model.save()
    again, replayed = make(), make()
    again.load(json.loads(json.dumps(saved, allow_nan=False)))
    for vector, good in lessons:
        replayed.learn(vector, used, 0.9, good)
    numbers = np.random.default_rng(1)
    more = [(task(i % 3), float(i % 3 != 1)) for i in range(40)]
    for vector, good in more:
        model.learn(vector, used, 0.9, good)
        again.learn(vector, used, 0.9, good)
        expected = model.chances(vector, things, near)
        assert np.array_equal(expected, again.chances(vector, things, near)), "what is loaded goes on as it would have"
    twin = make()
    for vector, good in lessons:
        twin.learn(vector, used, 0.9, good)
    for vector in asked:
        one, other = twin.chances(vector, things, near), replayed.chances(vector, things, near)
        assert np.array_equal(one, other), "the same outcomes give the same chances"
    again.load(make().save())
    assert np.allclose(again.chances(asked[0], things, near), cold, atol=1e-6), "to load is to forget what was here"
