"""Which skills can be used: those that are active and whole, as is all that they call."""

from __future__ import annotations

from habilis.core import Skill
from habilis.memory.journal import Journal


def usable(journal: Journal) -> list[Skill]:
    """The active skills, without damaged ones and those that call them: both are left aside, with a warning."""
    found = journal.skills()
    there = {(s.fingerprint, s.name) for s in found}
    if all((s.fingerprint, called) in there for s in found for called in s.program.calls):
        return found
    damaged = {d.name for d in journal.damaged_skills()}  # of which world each was cannot be read
    aside: set[tuple[str, str]] = set()
    while True:
        more = {
            (s.fingerprint, s.name)
            for s in found
            for called in s.program.calls
            if (s.fingerprint, called) in aside or ((s.fingerprint, called) not in there and called in damaged)
        }
        if more <= aside:
            break
        aside |= more
    if aside:
        names = ", ".join(sorted({name for _, name in aside}))
        journal.warn(f"left aside with the damaged skills that they call: {names}")
    return [s for s in found if (s.fingerprint, s.name) not in aside]
