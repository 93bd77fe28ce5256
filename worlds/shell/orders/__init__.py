"""Orders: what may be asked for in the shell world, and folders to practise it in.

Sixteen families of three levels each. Every kind of order is a predicate of the world with a phrase; it lays out a
folder and its own arguments from a seed, and says of any folder how it is to be afterwards, which the host compares
with what is there. The seeds fall into two streams that share nothing: "train" and "test".
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from habilis.core import Fact, Term
from habilis.worlds.shell.orders import _files, _texts
from habilis.worlds.shell.orders._making import WORDS, Files, Kind, Node, Wanted

__all__ = [
    "HELD_OUT",
    "KINDS",
    "SPLITS",
    "Files",
    "Kind",
    "Node",
    "Order",
    "Wanted",
    "fingerprint",
    "mixed",
    "order",
    "read_order",
]

KINDS: Mapping[str, Kind] = {kind.name: kind for kind in sorted((*_texts.KINDS, *_files.KINDS), key=lambda k: k.name)}
SPLITS = ("train", "test")
HELD_OUT = range(20)  # the seeds of the test stream that results are reported on


@dataclass(frozen=True, slots=True)
class Order:
    """One order. ``at``: the folder that holds all it is about; ``files``: what stands there at first."""

    kind: Kind
    at: str
    args: tuple[Term, ...]
    files: Files

    @property
    def fact(self) -> Fact:
        return Fact(self.kind.name, self.args)

    @property
    def text(self) -> str:
        return self.kind.phrase.format(*self.args)


@lru_cache(maxsize=512)
def order(name: str, seed: int, split: str = "train", at: str | None = None) -> Order:
    """The order of a kind that a seed stands for. ``at``: its folder, where another than its own is wanted."""
    kind = KINDS[name]
    rng = random.Random(f"shell:{split}:{name}:{seed}")
    own = rng.choice(WORDS)
    at = own if at is None else at
    files, args = kind.make(rng, at)
    return Order(kind, at, args, files)


def mixed(seed: int, count: int, split: str = "train") -> list[Order]:
    """Orders of different kinds, each in a folder of its own."""
    rng = random.Random(f"shell:{split}:mixed:{seed}")
    chosen = sorted(rng.sample(sorted(KINDS), min(count, len(KINDS))))
    places = rng.sample(WORDS, len(chosen))
    return [order(name, seed, split, at) for name, at in zip(chosen, places, strict=True)]


def read_order(text: str) -> Fact | None:
    """The order in a text that is written as its phrase is; of several the one whose phrase says most."""
    said = " ".join(text.split())
    found: list[tuple[int, str, tuple[Term, ...]]] = []
    for kind in KINDS.values():
        parts = re.split(r"\{(\d)\}", kind.phrase)
        pattern = "".join(f"(?P<s{i}_{p}>.+?)" if i % 2 else re.escape(p) for i, p in enumerate(parts))
        match = re.fullmatch(pattern, said, re.I)
        if match is None:
            continue
        slots: dict[int, str] = {}
        for name, value in match.groupdict().items():
            if slots.setdefault(int(name.partition("_")[2]), value) != value:
                break
        else:
            example = order(kind.name, 0).args
            texts = [slots[i] for i in range(len(example))]
            if all(t.isdigit() for t, known in zip(texts, example, strict=True) if isinstance(known, int)):
                args = tuple(int(t) if isinstance(k, int) else t for t, k in zip(texts, example, strict=True))
                found.append((sum(map(len, parts[::2])), kind.name, args))
    return Fact(max(found)[1], max(found)[2]) if found else None


def fingerprint(split: str, seeds: range) -> str:
    """The hash of all orders of these seeds: what they ask, what stands there, and what is wanted."""
    told = hashlib.sha256()
    for name, kind in KINDS.items():
        for seed in seeds:
            one = order(name, seed, split)
            wanted = kind.want(one.files, *one.args)
            told.update(repr((one.text, one.at, one.args, sorted(one.files.items()))).encode())
            told.update(repr((sorted(p for p in wanted.files), wanted.printed, wanted.ordered)).encode())
    return told.hexdigest()
