"""Orders: what may be asked for in the shell world, and folders to practise it in.

Sixteen families of three levels each. Every kind of order is a predicate of the world with a phrase; it lays out a
folder and its own arguments from a seed, and says of any folder how it is to be afterwards, which the host compares
with what is there. The seeds fall into two streams that share nothing: "train" and "test".
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from habilis.core import Fact, Term
from habilis.worlds.shell.orders import _files, _texts
from habilis.worlds.shell.orders._making import WORDS, Files, Kind, Node, Wanted

__all__ = ["HELD_OUT", "KINDS", "SPLITS", "Files", "Kind", "Node", "Order", "Wanted", "fingerprint", "mixed", "order"]

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
