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
class Choice:
    """An augmentation that was considered, with the numbers that decided."""

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
