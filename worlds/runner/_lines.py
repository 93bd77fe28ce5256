"""Where a program failed: frames that it or its interpreter tells of, held against its own source."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from habilis.core.program import ProgramError
from habilis.worlds.runner._messages import clean

FRAMES = 24  # of a program's stack that are looked at
_FRAME = re.compile(r'File "<skill (\w{1,200})>", line (\d{1,7}) in (\w{1,200}|<\w{1,200}>)')
_LINE = re.compile(r"\r\n|\r|\n")

Frame: TypeAlias = tuple[str, int, str]  # program, line, function


def frames_in(dump: str) -> list[Frame]:
    """The programs' frames in what ``faulthandler`` wrote, innermost last."""
    found = (match.groups() for match in itertools.islice(_FRAME.finditer(dump), FRAMES))  # the innermost comes first
    return [(name, int(line), function) for name, line, function in found][::-1]


class Lines:
    """The lines of a program, ``name``, and of the skills that it may call. What is told of others is passed over."""

    def __init__(self, name: str, sources: Mapping[str, str]) -> None:
        self._name, self._sources = name, sources
        self._split: dict[str, list[str]] = {}

    def located(self, kind: str, message: str, frames: Sequence[Frame]) -> ProgramError:
        """An error at the innermost line of the program's own source; ``where`` tells a skill's line beneath it."""
        # What a program forged may name lines that there are not.
        known = [f for f in frames if 0 < f[1] <= len(self._of(f[0])) + 1]
        own = next((f for f in reversed(known) if f[0] == self._name), None)
        where = ""
        if known and known[-1][0] != self._name:
            name, line, _ = known[-1]
            where = f"in the skill {name}, line {line}: {self._text(name, line).strip()}"
        elif own is not None:
            where = clean(own[2])[:100]
        if own is None:
            return ProgramError(kind, message, where=where)
        return ProgramError(kind, message, own[1], self._text(*own[:2]), where)

    def _of(self, name: str) -> list[str]:
        if name not in self._split:
            self._split[name] = _LINE.split(self._sources[name]) if name in self._sources else []
        return self._split[name]

    def _text(self, name: str, number: int) -> str:
        return next((clean(line)[:400] for line in self._of(name)[number - 1 : number]), "")
