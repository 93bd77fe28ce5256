"""What a corpus is made of."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

MAX_ANSWER = 240  # characters of an answer on one line


@dataclass(frozen=True, slots=True)
class Example:
    """One question. ``group``: the task or thing that it is about, ``house``: the world that it was lived in; neither
    is ever shared between splits, and "" is none. ``episode``: where it is from. ``told``: what its wording was filled
    with, for solvers. ``split``: "train", "validation" or "test" where its owner has decided."""

    prompt: str
    answer: str
    family: str
    group: str
    episode: int | None = None
    house: str = ""
    told: Mapping[str, str] = field(default_factory=dict, hash=False)
    split: str = ""


def kind_of(name: str) -> str:
    """``plate_3`` is a plate."""
    return re.sub(r"_\d+$", "", name)
