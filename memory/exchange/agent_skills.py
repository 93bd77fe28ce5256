"""The Agent Skills format (agentskills.io): a folder with a SKILL.md, and for a skill of ours its program beside it.

    export_skills(library.active().values(), ["have_stick"], "to-share")   # to-share/have-stick/SKILL.md, …
    found = read_agent_skills("to-share")                                  # nothing is kept yet: see `take_in`

A folder with a ``habilis.json`` is a skill: a program with its goal. Any other is a document: something to read.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from habilis.core import Goal, GoalSyntaxError, HabilisError, InputError, Json, NotFoundError, Skill, fill, load
from habilis.memory.exchange._export import RECORD, SCHEMA, SKILL_FILE, export_skills, folder_name
from habilis.memory.exchange._folder import Folder, shown
from habilis.memory.exchange._front import departures, split
from habilis.memory.exchange.found import Document, Found, Refused, Stated, composed
from habilis.memory.library._source import SOURCE, inspect

__all__ = ["export_skills", "folder_name", "read_agent_skills"]

_TEXT, _RECORD = 1_000_000, 8_000_000  # bytes of a SKILL.md; of a habilis.json, which may tell of thousands of trials
_KEPT = 1_000_000  # bytes of a document's other files that are kept as text
_LONG, _NAME, _PARAMETERS = 10_000, 200, 64  # characters of a text, of a name; parameters


def read_agent_skills(path: Path | str) -> Found:
    """Read a skill's folder, or a folder of such; nothing is run. What is broken is among ``refused``, with the reason.

    Raises `NotFoundError` where there is no folder, `InputError` where it holds no SKILL.md.
    """
    place = Path(path).expanduser().resolve()
    with Folder(place) as folder:
        if folder.has(SKILL_FILE):
            return _together(folder.name, [_attempt(folder)])
        found: list[Stated | Document | Refused] = []
        for entry in folder.entries():
            if entry.kind == "link" and (place / entry.path / SKILL_FILE).exists():
                found.append(Refused(shown(entry.path), "it is a link; links are not followed: put the folder there"))
            elif entry.kind == "folder":
                try:
                    with Folder(place / entry.path) as inner:
                        if inner.has(SKILL_FILE):
                            found.append(_attempt(inner))
                except HabilisError as error:
                    found.append(Refused(shown(entry.path), str(error)))
    if not found:
        raise InputError(
            f"{place} is no skill: it holds no {SKILL_FILE}, no folder with one, and no skills.json; name the folder "
            "that does"
        )
    return _together(folder.name, found)


def _together(source: str, found: list[Stated | Document | Refused]) -> Found:
    return Found(
        source,
        tuple(f for f in found if isinstance(f, Stated)),
        tuple(f for f in found if isinstance(f, Document)),
        tuple(f for f in found if isinstance(f, Refused)),
    )


def _attempt(folder: Folder) -> Stated | Document | Refused:
    try:
        front, body = split(folder.text(SKILL_FILE, _TEXT), folder.name)
        return _skill(folder) if folder.has(RECORD) else _document(folder, front, body)
    except HabilisError as error:
        return Refused(folder.name, str(error))


def _skill(folder: Folder) -> Stated:
    """Raises `InputError` for what could never run or be told apart; what may yet be mended becomes a problem."""
    data = _json(folder.text(RECORD, _RECORD), folder.name)
    where = f"the {RECORD} of {folder.name}"
    version = data.get("schema_version") if isinstance(data, dict) else None
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise InputError(f"{where} has no schema_version; export the skill again")
    if version > SCHEMA:
        raise InputError(f"{where} has schema {version}, this version reads up to {SCHEMA}; upgrade habilis")
    script, record = data.get("program"), data.get("skill")
    if not isinstance(script, str) or not isinstance(record, dict) or not isinstance(record.get("program"), dict):
        raise InputError(f"{where} lacks its program or its skill; export the skill again")
    source = folder.text(script, SOURCE)
    skill = _record({**record, "program": {**record["program"], "source": source}}, where)
    if skill.program.name != skill.name:
        raise InputError(f"{where} names the skill {skill.name[:80]!r} and its program {skill.program.name[:80]!r}")
    seen = inspect(skill.program)
    as_exported = data.get("sha256") == hashlib.sha256(source.encode()).hexdigest()
    notes = () if as_exported else (f"{script} is not the program that was exported",)
    # What it does not say it calls, it may call all the same.
    calls = tuple(dict.fromkeys((*skill.program.calls, *seen.calls)))
    tools = tuple(dict.fromkeys((*skill.tools, *seen.tools)))
    skill = replace(skill, program=replace(skill.program, calls=calls), tools=tools)
    return Stated(skill, folder.name, (*seen.problems, *_odd(skill)), notes)


def _record(data: Mapping[str, Any], where: str) -> Skill:
    try:
        skill = load(Skill, dict(data))
    except RecursionError:
        raise InputError(f"{where} is nested too deeply") from None
    except ValueError as error:
        told = getattr(error, "errors", None)
        first = told()[0] if callable(told) else {"loc": (), "msg": str(error)}
        place = ".".join(map(str, first["loc"]))[:120] or "it"
        raise InputError(f"{where} is no record of a skill: {place}: {str(first['msg'])[:200]}") from None
    for what, text, limit in (
        ("name", skill.name, _NAME),
        ("doc", skill.doc, _LONG),
        ("goal", skill.goal_template, _LONG),
        ("world", skill.world, _NAME),
        ("fingerprint", skill.fingerprint, _NAME),
    ):
        if len(text) > limit:
            raise InputError(f"{where}: the {what} has {len(text)} characters; the limit is {limit}")
    if len(skill.program.parameters) > _PARAMETERS:
        raise InputError(f"{where}: {len(skill.program.parameters)} parameters; the limit is {_PARAMETERS}")
    return skill


def _odd(skill: Skill) -> list[str]:
    """What keeps a skill from being verified as it stands."""
    found = []
    if not skill.world or not skill.fingerprint:
        found.append("it names no world")
    standing = {"int": 1, "float": 1.0, "bool": True}
    values = {p.name: standing.get(p.type, "x") if p.default is None else p.default for p in skill.program.parameters}
    try:
        Goal.parse(fill(skill.goal_template, values))
    except (GoalSyntaxError, InputError) as error:
        found.append(f"its goal is none: {str(error)[:200]}")
    return found


def _document(folder: Folder, front: Mapping[str, Json], body: str) -> Document:
    notes = [*departures(front, folder.name)]
    files: list[Json] = []
    left = _KEPT
    for entry in folder.files():
        if entry.path == SKILL_FILE:
            continue
        path = shown(entry.path)
        if entry.kind != "file":
            notes.append(f"{path} is {'a link' if entry.kind == 'link' else 'no file'} and was left out")
            continue
        kept: dict[str, Json] = {"path": path, "bytes": entry.size}
        try:
            if entry.size > left:
                raise InputError("with it there would be too much")
            kept["text"] = folder.text(entry.path, left)
            left -= entry.size
        except (InputError, NotFoundError):
            notes.append(f"{path} ({entry.size} bytes) is named only: no text, or more than {_KEPT} bytes in all")
        files.append(kept)
    stated = front.get("name")
    name = composed(stated if isinstance(stated, str) and stated.strip() else folder.name)[:_NAME]
    about = front.get("description")
    about = composed(about) if isinstance(about, str) else ""
    data = {"front": dict(front), "body": body, "files": files}
    return Document("agent_skill", name, about, f"{name.replace('-', ' ')}: {about}\n{body}", data, tuple(notes))


def _json(text: str, folder: str) -> Json:
    where = f"the {RECORD} of {folder}"

    def once(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
        found = dict(pairs)
        if len(found) < len(pairs):
            raise InputError(f"{where} has a key twice in one place; export the skill again")
        return found

    def no_number(text: str) -> Json:
        raise InputError(f"{where} holds {text}, which is no number in JSON")

    def number(text: str) -> float:
        value = float(text)
        return value if math.isfinite(value) else no_number(text)

    try:
        return json.loads(text, object_pairs_hook=once, parse_constant=no_number, parse_float=number)
    except InputError:
        raise
    except RecursionError:
        raise InputError(f"{where} is nested too deeply") from None
    except ValueError as error:
        raise InputError(f"{where} is no JSON: {str(error)[:200]}; export the skill again") from None
