"""What a call gave, and what is known of a tool from its calls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from habilis.core import Cost, Json, ToolError


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a call gave. ``error`` is None, or why the tool failed, in words for the writer.

    ``args``: the arguments by name, defaults filled in, as JSON. ``cost``: what was charged. ``seconds``: wall clock.
    ``overrun``: how far the cost went above what the tool had declared as the most.
    """

    tool: str
    args: Mapping[str, Json]
    value: Json = None
    error: str | None = None
    cost: Cost = field(default_factory=Cost)
    seconds: float = 0.0
    overrun: Cost | None = None

    @property
    def made(self) -> bool:
        """Whether the tool was reached: a call that was refused before that cost nothing."""
        return self.cost.calls > 0

    def unwrap(self) -> Json:
        """The value; raises `ToolError` where the tool failed."""
        if self.error is not None:
            raise ToolError(self.error)
        return self.value


@dataclass(frozen=True, slots=True)
class ToolStats:
    """What is known of a tool. ``most``: the most that one call costs, declared, then learned; ``overruns``: calls that
    have cost more, and ``refused``: whether it is not called any more for that, both as the home knows them. The rest
    is of its calls since it was added."""

    most: Cost
    calls: int = 0
    failures: int = 0
    overruns: int = 0
    cost: Cost = field(default_factory=Cost)
    refused: bool = False
