"""Whatever can help with a task: a tool, a skill, a demonstration, a document, a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from habilis.core.budget import Cost
from habilis.core.world import Json


class Kind(StrEnum):
    TOOL = "tool"
    SKILL = "skill"
    DEMONSTRATION = "demonstration"
    DOCUMENT = "document"
    MODEL = "model"


@dataclass(frozen=True, slots=True)
class Augmentation:
    """One thing that can help. ``text`` is what is embedded; ``cost`` is the most that one use costs.

    ``provides``: what it is for, when several do the same (one of them is enough). ``successes`` and ``uses``: its
    track record.
    """

    kind: Kind
    name: str
    text: str
    cost: Cost = field(default_factory=Cost)
    provides: str = ""
    requires: tuple[str, ...] = ()
    successes: int = 0
    uses: int = 0
    meta: Mapping[str, Json] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return f"{self.kind.value}:{self.name}"


@dataclass(frozen=True, slots=True)
class Candidate:
    """An augmentation that may be taken for a task.

    ``relevance``: how near it lies to the task in the embedding space, 0 to 1. ``success``: the chance, 0 to 1, that a
    task like this is solved with its help; 0 is never taken for its own sake, only where something else requires it.
    """

    augmentation: Augmentation
    relevance: float
    success: float


@dataclass(frozen=True, slots=True)
class Choice:
    """An augmentation that was considered, with the numbers that decided. ``price``: see the selector."""

    augmentation: Augmentation
    relevance: float
    success: float
    price: float
    taken: bool
    why: str


@dataclass(frozen=True, slots=True)
class Selection:
    """What to use for a task, within the limit, and why."""

    choices: tuple[Choice, ...]
    cost: Cost

    @property
    def taken(self) -> tuple[Augmentation, ...]:
        return tuple(c.augmentation for c in self.choices if c.taken)
