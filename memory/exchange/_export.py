"""Writing skills as folders of the Agent Skills format."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from habilis.core import InputError, Json, NotFoundError, Parameter, Skill, dump
from habilis.memory.exchange._front import COMPATIBILITY, DESCRIPTION, NAME, front_matter

__all__ = ["RECORD", "SCHEMA", "SKILL_FILE", "export_skills", "folder_name", "skill_files"]

SKILL_FILE, RECORD = "SKILL.md", "habilis.json"
SCHEMA = 1


def export_skills(
    skills: Iterable[Skill], names: Iterable[str], to: Path | str, *, overwrite: bool = False
) -> dict[str, Path]:
    """Write skills and all that they call to ``to``, a folder each; returns the folders by the skills' names.

    ``skills``: those of one world to choose from; ``names``: which of them, none for all. The same skills give the same
    bytes. Everything is written beside its place first, so that no folder is ever there in part. ``overwrite``: replace
    our files in folders that are there; other files in them stay. Raises `InputError` where a folder is there already,
    `NotFoundError` for a name that is not among the skills, or a skill that one of them calls and that is not.
    """
    if not str(to).strip() or "\0" in str(to):
        raise InputError(f"{str(to)!r} names no folder to export to; give its path")
    chosen = _closed(list(names), _by_name(skills))
    target = Path(to).expanduser()
    places = {skill.name: target / folder_name(skill.name) for skill in chosen}
    for place in places.values():
        if place.is_symlink() or (place.exists() and not place.is_dir()):
            raise InputError(f"{place} is no folder; move it away, or export to another one")
        if place.exists() and not overwrite:
            raise InputError(f"{place} is there already; export to another folder, or say --overwrite")
    if target.exists() and not target.is_dir():
        raise InputError(f"{target} is no folder; name another one to export to")
    target.mkdir(parents=True, exist_ok=True)
    callers = {s.name: sorted(c.name for c in chosen if s.name in c.program.calls) for s in chosen}
    with tempfile.TemporaryDirectory(prefix=".exporting-", dir=target) as scratch:
        for skill in chosen:
            made = Path(scratch) / folder_name(skill.name)
            for path, text in skill_files(skill, callers[skill.name]).items():
                _write(made / path, text)
        for place in places.values():
            _put(Path(scratch) / place.name, place)
    return places


def skill_files(skill: Skill, callers: Sequence[str] = ()) -> dict[str, str]:
    """A skill's files by their path in its folder. Raises `InputError` for what cannot be written as text."""
    script = f"scripts/{_script_name(skill.name)}.py"
    try:
        record = dump(skill)
        source = record["program"].pop("source")
        return _files(skill, script, callers, record, source)
    except UnicodeEncodeError:
        raise InputError(f"the skill {skill.name!r} holds half of a surrogate pair, which no file can hold") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"the skill {skill.name} cannot be written as JSON: {error}") from None


def _files(skill: Skill, script: str, callers: Sequence[str], record: Json, source: str) -> dict[str, str]:
    data = {
        "schema_version": SCHEMA,
        "program": script,
        "sha256": hashlib.sha256(source.encode()).hexdigest(),
        "skill": record,
    }
    files = {
        SKILL_FILE: _skill_md(skill, script, callers),
        RECORD: json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n",
        script: source,
    }
    for text in files.values():
        text.encode()  # raises here, before anything is written
    return files


def folder_name(name: str) -> str:
    """What the skill's folder is called: lower-case letters, digits and single hyphens, 64 at most.

    ``have_stick`` becomes ``have-stick``; where such a name could mean another skill as well, or is too long, the
    beginning of its hash follows.
    """
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    if plain.replace("-", "_") == name and len(plain) <= NAME:
        return plain
    tail = hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()[:8]
    kept = plain[: NAME - len(tail) - 1].strip("-") or "skill"
    return f"{kept}-{tail}"


def _script_name(name: str) -> str:
    return name if len(name) <= NAME and name.isidentifier() and name.isascii() else folder_name(name)


def _by_name(skills: Iterable[Skill]) -> dict[str, Skill]:
    found: dict[str, Skill] = {}
    for skill in skills:
        other = found.setdefault(skill.name, skill)
        if other is not skill:
            raise InputError(
                f"there are two skills {skill.name}, of {other.world} ({other.fingerprint}) and {skill.world} "
                f"({skill.fingerprint}); export those of one world: --world"
            )
    return found


def _closed(names: Sequence[str], skills: Mapping[str, Skill]) -> list[Skill]:
    """These and all that they call, sorted by name."""
    for name in names:
        if name not in skills:
            raise NotFoundError.of("active skill", name, skills)
    found: dict[str, Skill] = {}
    todo = list(names or skills)
    while todo:
        skill = skills[todo.pop()]
        if skill.name in found:
            continue
        found[skill.name] = skill
        for called in skill.program.calls:
            if called not in skills:
                raise NotFoundError.of("active skill", called, skills, f"{skill.name} calls it.")
            todo.append(called)
    return [found[name] for name in sorted(found)]


def _skill_md(skill: Skill, script: str, callers: Sequence[str]) -> str:
    name, world = folder_name(skill.name), _line(skill.world)
    about = _line(skill.doc) or f"does {_line(skill.name)}"
    goal = _line(skill.goal_template)
    metadata = {
        "habilis-skill": _line(skill.name),
        "habilis-version": str(skill.version),
        "habilis-world": _line(skill.world),
        "habilis-fingerprint": _line(skill.fingerprint),
    }
    fields = {
        "name": name,
        "description": _cut(f"{about} (makes true: {goal}). Use in the world {world}.", DESCRIPTION),
        "compatibility": _cut(f"A Habilis program for the world {world}; Habilis runs it confined.", COMPATIBILITY),
        "metadata": metadata,
    }
    body = [
        f"# {_line(skill.name)}",
        f"{about[0].upper()}{about[1:]}.",
        f"It makes this true: `{_code(skill.goal_template)}`. A name in braces is a parameter.",
        f"The program is [{script}]({script}). It acts through `world`, `skills` and `tools` only, which Habilis gives "
        "it; `habilis skills import` takes this folder, and keeps it out of use until it is verified.",
        "## Parameters",
        "\n".join(map(_parameter, skill.program.parameters)) or "None.",
        "## Needs",
        "\n".join(f"- `{_code(need)}`" for need in skill.needs) or "Nothing beforehand.",
        "## Evidence",
        _evidence(skill),
        "## Calls",
        "\n".join(f"- [{_line(c)}](../{folder_name(c)}/{SKILL_FILE})" for c in skill.program.calls)
        or "No other skill.",
    ]
    if skill.tools:
        body += ["## Tools", "\n".join(f"- `{_code(t)}`" for t in skill.tools)]
    if callers:
        body += ["## Called by", "\n".join(f"- [{_line(c)}](../{folder_name(c)}/{SKILL_FILE})" for c in callers)]
    return front_matter(fields) + "\n" + "\n\n".join(body) + "\n"


def _parameter(p: Parameter) -> str:
    said = f"- `{_code(p.name)}`: {_line(p.type)}"
    if not p.required:
        said += f", `{_json(p.default)}` where it is left out"
    if p.choices:
        said += f", one of {', '.join(f'`{_json(c)}`' for c in p.choices)}"
    if p.tag:
        said += f" ({_line(p.tag)})"
    if p.low is not None or p.high is not None:
        said += f", from {_number(p.low)} to {_number(p.high)}"
    return said + (f". {_line(p.doc)}" if p.doc else "")


def _evidence(skill: Skill) -> str:
    e = skill.evidence
    told = {
        "verified": "in fresh worlds",
        "observed": "in a live world",
        "model_judged": "as a model judged them",
    }[e.level.value]
    lines = [
        f"{e.successes} of {e.successes + e.failures} runs made the goal true, {told}; about {skill.cost:.3g} world "
        "steps a unit. Whoever imports it counts their own runs instead."
    ]
    for case in skill.cases:
        setting = ", ".join(f"{_code(k)}={_json(v)}" for k, v in case.args.items())
        lines.append(f"- `{setting}`: {case.record.successes} of {case.record.runs}")
    return "\n".join(lines)


def _number(value: float | None) -> str:
    return "any" if value is None else f"{value:g}"


def _json(value: Json) -> str:
    return _code(json.dumps(value, ensure_ascii=False))


def _line(text: object) -> str:
    """Text of others on one line, without control and direction characters, and without what Markdown would take for a
    link, a picture or a tag."""
    return _plain(text).translate(_MARKS)


def _code(text: object) -> str:
    return _plain(text).replace("`", "'")


def _plain(text: object) -> str:
    kept = (c if unicodedata.category(c)[0] != "C" and c not in "\u2028\u2029" else " " for c in str(text))
    return _cut(" ".join("".join(kept).split()), 2_000)


_MARKS = {ord("["): "(", ord("]"): ")", ord("<"): "‹"}


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(text.encode("utf-8"))
        file.flush()
        os.fsync(file.fileno())


def _put(made: Path, place: Path) -> None:
    """Move a finished folder to its place; into one that is there, file by file."""
    if not place.exists():
        made.rename(place)
        return
    for path in sorted(p for p in made.rglob("*") if p.is_file()):
        target = place / path.relative_to(made)
        if target.parent.is_symlink():
            raise InputError(f"{target.parent} is a link; what it leads to is not written to")
        target.parent.mkdir(parents=True, exist_ok=True)
        path.replace(target)
    shutil.rmtree(made)
