"""Which skills a program rests on."""

from __future__ import annotations

import re
from collections.abc import Mapping

from habilis.core import Program, Skill


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


_TOOL = re.compile(r"\btools\.([A-Za-z_]\w*)")
