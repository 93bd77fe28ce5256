"""Which skills a program rests on."""

from __future__ import annotations

import re
from collections.abc import Mapping

from habilis.core import Program, Skill, Trajectory


def needed(program: Program, skills: Mapping[str, Skill]) -> dict[str, Program]:
    """The programs of all skills that a program calls, directly or through others."""
    found: dict[str, Program] = {}
    todo = list(program.calls)
    while todo:
        name = todo.pop()
        if name in skills and name not in found:
            found[name] = skills[name].program
            todo += skills[name].program.calls
    return found


def called_tools(program: Program, skills: Mapping[str, Skill]) -> tuple[str, ...]:
    """The tools that a program, or a skill it rests on, calls by name."""
    sources = [program.source, *(p.source for p in needed(program, skills).values())]
    return tuple(sorted({name for source in sources for name in _TOOL.findall(source)}))


def blamed_skill(trajectory: Trajectory) -> str | None:
    """The skill in which a program failed, by its own account; None where it did not, or the clock ended it."""
    error = trajectory.error
    within = _IN_SKILL.match(error.where) if error is not None and not trajectory.inconclusive else None
    return within[1] if within is not None else None


_TOOL = re.compile(r"\btools\.([A-Za-z_]\w*)")
_IN_SKILL = re.compile(r"in the skill (\w+), line")
