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
    """One text that stands for a skill, or for a case of it (``args``). ``skill``: the skill's id; ``words``: what is
    searched by words, which is the text with the skill's name."""

    id: str
    skill: str
    text: str
    words: str
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
    does = _TWICE.sub(r"\1", _HOLE.sub(lambda m: said.get(m[1], m[0]), does))  # "{kind} planks" of birch planks
    # Of a case that the text names, the name of a skill for many things ("have by gather") says nothing more.
    named = any(name in (args or {}) for name in _HOLE.findall(skill.doc))
    text = does if named else f"{_plain(skill.name)}: {does}"
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
        return [Entry(id, id, skill_text(skill), skill_text(skill))]
    found = []
    for case in skill.cases:
        if not case.successor:
            text, name = skill_text(skill, case.args), _plain(skill.name)
            whole = text if text.startswith(name) else f"{name}: {text}"
            found.append(Entry(f"{id}#{_named(case.args)}", id, text, whole, case.args))
    return found


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
_TWICE = re.compile(r"\b(\w+(?: \w+)*)(?: \1\b)+")
_LISTED = 12  # choices that the text of a whole skill names
