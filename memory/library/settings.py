"""What a library does by itself. Each can be switched off, to measure what it is worth."""

from __future__ import annotations

from dataclasses import dataclass, field

from habilis.core import InputError
from habilis.memory.library.proving import AdmissionSettings

__all__ = ["LibrarySettings"]


@dataclass(frozen=True)
class LibrarySettings:
    """``merge``: skills that differ in constants only become one with choices, and of two ways to one goal the better
    is kept. ``relift``: how many seeds an old skill and its new version are compared on, 0: never (three tell most
    differences, and cost little). ``active_cap``: active skills of one world beyond which those of least use are
    retired, None: never (a thousand is more than a person reads, and recall stays fast far beyond). ``quarantine``: a
    skill leaves when its posterior of success falls below this. ``withhold``: share of tasks for which one of the
    skills that would be offered is held back, to learn what it is worth."""

    merge: bool = True
    relift: int = 3
    active_cap: int | None = 1_000
    quarantine: float = 0.5
    withhold: float = 0.05
    admission: AdmissionSettings = field(default_factory=AdmissionSettings)

    def __post_init__(self) -> None:
        if self.relift < 0 or not 0 <= self.withhold < 1 or not 0 <= self.quarantine < 1:
            raise InputError(
                "a library takes relift >= 0 and shares from 0 up to 1; got relift="
                f"{self.relift}, withhold={self.withhold:g}, quarantine={self.quarantine:g}"
            )
        if self.active_cap is not None and self.active_cap < 1:
            raise InputError(f"active_cap is {self.active_cap}; give at least 1, or None for no cap")
