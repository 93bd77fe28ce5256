"""Taking in what an import found: skills in quarantine, the rest as documents; all of it in one transaction.

What strangers say of their skills' evidence is not believed: an imported skill has no trial until its own are run here,
and nothing uses it before. Active skills of the same name stay as they are.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from habilis.core import Evidence, EvidenceLevel, InputError, Json, NotFoundError, Record, Skill, WorldSpec
from habilis.memory.exchange.agent_skills import read_agent_skills
from habilis.memory.exchange.found import Document, Found, Refused, Stated, composed
from habilis.memory.exchange.voyager import find_voyager, read_voyager
from habilis.memory.journal import Journal

__all__ = ["DOCUMENTS", "Intake", "TakenIn", "documents", "read_exchange", "take_in"]

DOCUMENTS = ("agent_skill", "voyager")  # the kinds of documents that are kept here


@dataclass(frozen=True)
class TakenIn:
    """A skill, or a document, that is now in the journal. ``version``: 0 for a document; ``known``: it was there
    already, and nothing was stored; ``status``: of the skill; ``notes``: what it lacks, or what is odd about it."""

    name: str
    kind: str
    version: int = 0
    status: str = ""
    known: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Intake:
    """What came of an import."""

    source: str
    skills: tuple[TakenIn, ...] = ()
    documents: tuple[TakenIn, ...] = ()
    refused: tuple[Refused, ...] = ()


def read_exchange(path: Path | str) -> Found:
    """Read what can be imported: a library of Voyager's, or Agent Skills. Raises `NotFoundError`, `InputError`."""
    place = Path(path).expanduser()
    if not str(path).strip() or "\0" in str(path):
        raise InputError("the path is empty; name a folder with skills")
    if not place.exists():
        raise NotFoundError(f"there is no {place} to import; check the path")
    if place.name == "SKILL.md":
        place = place.resolve().parent
    if not (place / "SKILL.md").exists() and find_voyager(place) is not None:
        return read_voyager(place)
    if not place.is_dir():
        raise InputError(f"{place} is no folder with a SKILL.md, and no skills.json; name one of these")
    return read_agent_skills(place)


def take_in(journal: Journal, found: Found, *, world: WorldSpec | None = None) -> Intake:
    """Store what was found: skills as the next version of their name, "quarantined", with what they lack as the reason.

    ``world``: the world that the skills are for; default: the one that each names. What is there already, program and
    goal alike, is not stored again. All or nothing is stored. Raises what the journal raises.
    """
    stated, refused = _single(found.skills, world)
    lacks = _lacks(stated, journal)
    with journal.transaction():
        skills = tuple(_quarantine(journal, one, found.source, lacks[key]) for key, one in stated.items())
        kept = tuple(_keep(journal, one, found.source) for one in found.documents)
    return Intake(found.source, skills, kept, (*found.refused, *refused))


def documents(journal: Journal, kind: str | None = None) -> dict[tuple[str, str], Mapping[str, Json]]:
    """The imported documents by kind and id."""
    kinds = DOCUMENTS if kind is None else (kind,)
    return {(k, id): data for k in kinds for id, data in journal.documents_of(k, dict).items()}


_Key = tuple[str, str]  # the world's fingerprint, the skill's name


def _single(skills: Iterable[Stated], world: WorldSpec | None) -> tuple[dict[_Key, Stated], list[Refused]]:
    """Each skill once; of two folders that hold one of the same name, the second is refused."""
    found: dict[_Key, Stated] = {}
    refused = []
    for one in skills:
        if world is not None:
            one = replace(one, skill=replace(one.skill, world=world.name, fingerprint=world.fingerprint))
        key = (one.skill.fingerprint, one.skill.name)
        if key in found:
            refused.append(Refused(one.folder, f"{found[key].folder} holds a skill {one.skill.name} too; leave one"))
        else:
            found[key] = one
    return found, refused


def _lacks(stated: Mapping[_Key, Stated], journal: Journal) -> dict[_Key, tuple[str, ...]]:
    """What each skill cannot work without: its own problems, what it calls that is not there, circles."""
    active = {(s.fingerprint, s.name) for s in journal.skills()}
    found = {key: list(one.problems) for key, one in stated.items()}

    for key, one in stated.items():
        for name in one.skill.program.calls:
            called = (key[0], name)
            if called not in stated and called not in active:
                found[key].append(f"it calls {name}, which is neither here nor in use in its world")
    for circle in _circles(stated):
        shown = " -> ".join([*(name for _, name in circle), circle[0][1]])
        for key in circle:
            found[key].append(f"it is part of a circle of calls: {shown}")
    # Who calls what cannot work cannot work either.
    callers: dict[_Key, list[_Key]] = {}
    for key, one in stated.items():
        for name in one.skill.program.calls:
            callers.setdefault((key[0], name), []).append(key)
    bad = [key for key, problems in found.items() if problems]
    for key in bad:  # grows while it is walked
        for caller in callers.get(key, ()):
            if not found[caller]:
                found[caller].append(f"it calls {key[1]}, which lacks something itself")
                bad.append(caller)
    return {key: tuple(problems) for key, problems in found.items()}


def _circles(stated: Mapping[_Key, Stated]) -> list[list[_Key]]:
    """The circles of calls among these, each once: strongly connected parts (Tarjan 1972), without recursion."""
    calls = {
        key: [c for c in ((key[0], n) for n in one.skill.program.calls) if c in stated] for key, one in stated.items()
    }
    index: dict[_Key, int] = {}
    low: dict[_Key, int] = {}
    stack: dict[_Key, None] = {}
    found = []
    for root in calls:
        work = [(root, iter(calls[root]))] if root not in index else []
        while work:
            key, rest = work[-1]
            if key not in index:
                index[key] = low[key] = len(index)
                stack[key] = None
            for called in rest:
                if called not in index:
                    work.append((called, iter(calls[called])))
                    break
                if called in stack:
                    low[key] = min(low[key], index[called])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[key])
                if low[key] == index[key]:
                    part = [key]
                    while (last := stack.popitem()[0]) != key:
                        part.insert(1, last)
                    if len(part) > 1 or key in calls[key]:
                        found.append(part)
    return found


def _quarantine(journal: Journal, stated: Stated, source: str, lacks: Sequence[str]) -> TakenIn:
    skill, notes = stated.skill, (*lacks, *stated.notes)
    versions = journal.skills(None, skill.name)
    twin = next((s for s in reversed(versions) if _same(s, skill)), None)
    if twin is not None:
        return TakenIn(skill.name, "skill", twin.version, twin.status, True, notes)
    e = skill.evidence
    imported = {
        "from": source,
        "lacks": list(lacks),
        "stated": {"version": skill.version, "status": skill.status, "origin": skill.origin},
        "stated_evidence": {"level": e.level.value, "successes": e.successes, "failures": e.failures},
    }
    kept = replace(
        skill,
        version=journal.last_version(skill.name) + 1,
        status="quarantined",
        origin=f"imported from {source}",
        created=0,
        evidence=Evidence(EvidenceLevel.MODEL_JUDGED),  # the weakest; there is none yet
        cases=tuple(replace(case, record=Record(), successor="") for case in skill.cases),
        contract=(),
        meta={"imported": imported},  # what is noted there is believed later on
    )
    journal.put_skill(kept, "; ".join([f"imported from {source}, out of use until it is verified", *notes]))
    return TakenIn(kept.name, "skill", kept.version, kept.status, False, notes)


def _same(one: Skill, other: Skill) -> bool:
    return (one.fingerprint, one.goal_template, one.program.source, one.program.parameters, one.program.calls) == (
        other.fingerprint,
        other.goal_template,
        other.program.source,
        other.program.parameters,
        other.program.calls,
    )


def _keep(journal: Journal, document: Document, source: str) -> TakenIn:
    """Store a document under its name; where another has the name, with the beginning of its hash behind it."""
    content = {"name": document.name, "description": document.description, "text": document.text, **document.data}
    text = composed(json.dumps(content, sort_keys=True, ensure_ascii=False))
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    known = journal.documents_of(document.kind, dict)
    for id in (document.name, f"{document.name}-{digest[:8]}"):
        if id in known and known[id].get("sha256") != digest:
            continue
        if id not in known:
            facts = {"schema_version": 1, "sha256": digest, "from": source, "notes": list(document.notes)}
            journal.put_document(document.kind, id, {**content, **facts})
        return TakenIn(id, document.kind, known=id in known, notes=document.notes)
    raise InputError(f"two documents are called {document.name!r} and have one hash; rename one of them")
