"""Whatever can help with a task: a tool, a skill, a demonstration, a document, a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from habilis.core.budget import Cost
from habilis.core.errors import InputError
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
    track record. ``context``: tokens that it takes of the prompt it is shown in, which is room rather than spending: a
    tool's call may cost no token, and still its description has to be read.
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
    context: int = 0

    def __post_init__(self) -> None:
        if not (isinstance(self.context, int) and self.context >= 0):
            raise InputError(f"{self.id}: context is a whole number of tokens >= 0, not {self.context!r}")

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
    """An augmentation that was considered, with the numbers that decided. ``price``: see the selector.

    ``why``: the reason, for people. ``blocked``: what stood against it, "" if it was taken. A kind of cost, "context"
    or "items": with what was taken and what it requires it would pass that limit. "provides": two of these would
    provide the same. "requires": something it requires is not at hand. "chance": nothing is expected of it. "worth":
    what it would add is not worth its price.
    """

    augmentation: Augmentation
    relevance: float
    success: float
    price: float
    taken: bool
    why: str
    blocked: str = ""


@dataclass(frozen=True, slots=True)
class Selection:
    """What to use for a task, within the limit, and why."""

    choices: tuple[Choice, ...]
    cost: Cost

    @property
    def taken(self) -> tuple[Augmentation, ...]:
        return tuple(c.augmentation for c in self.choices if c.taken)
