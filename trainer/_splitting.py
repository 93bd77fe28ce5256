"""Which group and which house is in training, in validation, in the test: by hash, so that they stay there as a journal
grows."""

from __future__ import annotations

import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from habilis.trainer._example import Example

_TEST, _VALIDATION = 0.2, 0.2  # of groups, and of houses that no group speaks for
_LEAST, _KEPT = 0.1, 0.5  # of a family's examples by group: held out in each of both at least, and left to train on


def split_groups(groups: Iterable[str], seed: int = 0) -> dict[str, str]:
    """Group -> "train", "validation" or "test", by hash: a group keeps its split as the journal grows.

    Only where chance leaves a split under a tenth (or, of 20 groups and more, under 5), the groups with the lowest
    hashes fill it up.
    """
    drawn = sorted((_drawn(g, seed), g) for g in set(groups))
    shares = [share for share, _ in drawn]
    least = min(len(drawn) // 3, max(1, math.ceil(len(drawn) / 10), 5 if len(drawn) >= 20 else 0))
    test = max(least, sum(s < _TEST for s in shares))
    validation = max(test + least, sum(s < _TEST + _VALIDATION for s in shares))
    return {g: "test" if i < test else "validation" if i < validation else "train" for i, (_, g) in enumerate(drawn)}


def split_examples(examples: Sequence[Example], seed: int = 0) -> tuple[dict[str, str], dict[str, str]]:
    """Group -> split, and house -> split.

    Groups by `split_groups`. Where that leaves less than a tenth of a family's examples in the test or in validation,
    groups that train on it follow, the lowest hashes first, as long as half of the family is left to train on. A house
    goes where one of its examples is, drawn by its hash: the house of a goal goes with the goal.
    """
    split_of = split_groups({e.group for e in examples if e.group}, seed)
    sizes: dict[str, Counter[str]] = defaultdict(Counter)
    for example in examples:
        if example.group:
            sizes[example.family][example.group] += 1
    for _, name in sorted((len(some), name) for name, some in sizes.items()):
        _hold_out(sizes[name], split_of, seed)
    house_of = split_groups({e.house for e in examples if e.house}, seed)
    votes: dict[str, list[str]] = defaultdict(list)
    for example in examples:
        if example.house and example.group:
            votes[example.house].append(example.split or split_of[example.group])
    for house, some in votes.items():
        house_of[house] = sorted(some)[int(_drawn(house, seed) * len(some))]
    return split_of, house_of


def _hold_out(sizes: Mapping[str, int], split_of: dict[str, str], seed: int) -> None:
    """``sizes``: examples of one family by group."""
    held: Counter[str] = Counter()
    for group, size in sizes.items():
        held[split_of[group]] += size
    order = sorted(sizes, key=lambda g: (_drawn(g, seed), g))
    for split in ("test", "validation"):
        for group in order:
            if held[split] >= _LEAST * held.total():
                break
            if split_of[group] == "train" and held["train"] - sizes[group] >= _KEPT * held.total():
                split_of[group] = split
                held["train"] -= sizes[group]
                held[split] += sizes[group]


def _drawn(name: str, seed: int) -> float:
    """In [0, 1), the same for the same name and seed."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{name}".encode()).digest()[:6]) / 2**48
