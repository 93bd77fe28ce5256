"""What is looked for of a skill: its text, or one text per case where it has choices; and under which ids."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

from habilis.core.errors import InputError
from habilis.core.skill import Skill, fill
from habilis.core.world import Json
from habilis.memory.embedding._words import words


@dataclass(frozen=True, slots=True)
class Entry:
    """One text that stands for a skill, or for a case of it (``args``). ``skill``: the skill's id."""

    id: str
    skill: str
    text: str
    args: Mapping[str, Json] = field(default_factory=dict)


def skill_text(skill: Skill, args: Mapping[str, Json] | None = None) -> str:
    """What is embedded of a skill, or of one case of it: its name in words, what it does, and the names in its goal
    that neither of the two says. The goal itself, a formula, would only blur the meaning."""
    values: dict[str, Json] = {p.name: p.default for p in skill.program.parameters} | dict(args or {})
    said = {name: _plain(str(value)) for name, value in values.items()}
    does = skill.doc
    for parameter in skill.program.parameters:
        if parameter.name not in (args or {}) and parameter.choices:  # the skill as a whole: any of them
            said[parameter.name] = ", ".join(_plain(str(c)) for c in parameter.choices[:_LISTED])
        old, new = parameter.default, values[parameter.name]
        if isinstance(old, str) and old and isinstance(new, str) and old != new:
            # What is said of the default is said of this case; put by a function, which reads no backslash.
            does = re.sub(rf"\b{re.escape(_plain(old))}\b", partial(_always, _plain(new)), does)
    text = f"{_plain(skill.name)}: {_HOLE.sub(lambda m: said.get(m[1], m[0]), does)}"
    try:
        goal = fill(skill.goal_template, values)
    except InputError:
        goal = skill.goal_template
    known = set(words(text))
    chosen = " ".join(str(v) for v in (args or {}).values())
    more = dict.fromkeys(w for w in words(" ".join([*_QUOTED.findall(goal), chosen])) if w not in known)
    return f"{text}; {' '.join(more)}" if more else text


def entries(skill: Skill, id: str) -> list[Entry]:
    """The entries of a skill that is known by ``id``: one for each case that nothing does better by now, or one for the
    whole of it."""
    if not skill.cases:
        return [Entry(id, id, skill_text(skill))]
    cases = [case for case in skill.cases if not case.successor]
    return [Entry(f"{id}#{_named(case.args)}", id, skill_text(skill, case.args), case.args) for case in cases]


def skill_texts(skill: Skill) -> dict[str, str]:
    """What is embedded of a version, by the id of the vector: its entries, and the whole of it under ``name@version``,
    for who knows no cases."""
    id = f"{skill.name}@{skill.version}"
    return {id: skill_text(skill)} | {e.id: e.text for e in entries(skill, id)}


def _named(args: Mapping[str, Json]) -> str:
    return ",".join(f"{name}={args[name]}" for name in sorted(args))


def _always(text: str, match: re.Match[str]) -> str:
    return text


def _plain(name: str) -> str:
    return name.replace("_", " ").replace("#", "any ").strip()


_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_HOLE = re.compile(r"\{(\w+)\}")
_LISTED = 12  # choices that the text of a whole skill names
