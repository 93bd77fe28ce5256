"""The types of what a library is handed, and what lacks where a skill calls others. Errors name the argument."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from habilis.core import InputError, Ledger, NotFoundError, Skill, Snapshot
from habilis.memory.home import Home
from habilis.memory.journal import Journal

_MOST = 1_000_000  # hits; whoever wants all skills lists them
_REASON = "why it is done, which is kept with the skill,"


def check_parts(home: Any, embedder: Any, index: Any, fingerprint: Any, verifier: Any = None) -> None:
    """What `SkillLibrary.open` takes. Raises `InputError`."""
    if not isinstance(home, Home):
        raise InputError(f"home= is {_told(home)}; give a Home: Home.open(path)")
    if embedder is not None and not (callable(getattr(embedder, "embed", None)) and hasattr(embedder, "fingerprint")):
        raise InputError(f"embedder= is {_told(embedder)}; give an Embedder (open_embedder()), or None for words alone")
    if index is not None and not all(callable(getattr(index, name, None)) for name in ("upsert", "query", "ids")):
        raise InputError(f"index= is {_told(index)}; give a VectorIndex, or leave it out")
    if verifier is not None and not callable(getattr(verifier, "trial", None)):
        raise InputError(f"verifier= is {_told(verifier)}; give a Verifier (WorldVerifier(…)), or leave it out")
    if fingerprint is not None:
        check_text(fingerprint, "fingerprint", "a world's fingerprint")


def check_text(value: Any, name: str, what: str) -> None:
    if not isinstance(value, str):
        raise InputError(f"{name}= is {_told(value)}; give {what} as a text")


def check_search(text: Any, k: Any, state: Any, floor: Any, diversity: Any, tokens: Any) -> None:
    check_text(text, "text", "what the skill should do")
    if not hasattr(k, "__index__"):
        raise InputError(f"k= is {_told(k)}; give how many to find, a whole number")
    if k > _MOST:
        raise InputError(f"k={k} is more than can be found; give at most {_MOST:,}")
    if state is not None and not isinstance(state, Snapshot):
        raise InputError(f"state= is {_told(state)}; give a Snapshot, or leave it out")
    if not isinstance(floor, (int, float)):
        raise InputError(f"floor= is {_told(floor)}; give the least similarity, a number")
    if not isinstance(diversity, (int, float)):
        raise InputError(f"diversity= is {_told(diversity)}; give a number from 0 to 1")
    if tokens is not None and not hasattr(tokens, "__index__"):
        raise InputError(f"tokens= is {_told(tokens)}; give a whole number, or leave it out")


def check_skill(skill: Any, reason: Any) -> None:
    if not isinstance(skill, Skill):
        raise InputError(f"skill= is {_told(skill)}; give a Skill")
    check_text(reason, "reason", _REASON)


def check_change(name: Any, reason: Any, version: Any = None) -> None:
    check_text(name, "name", "the name of a skill")
    check_text(reason, "reason", _REASON)
    if version is not None and not isinstance(version, int):
        raise InputError(f"version= is {_told(version)}; give a whole number, or leave it out for the newest")


def check_ledger(ledger: Any) -> None:
    if ledger is not None and not isinstance(ledger, Ledger):
        raise InputError(f"ledger= is {_told(ledger)}; give a Ledger, or leave it out")


def check_callees(skill: Skill, world: Mapping[str, Skill], journal: Journal) -> None:
    """Raises `NotFoundError` where a skill calls what is not active in its world (``world``, by name): names all that
    lack, those to restore first first."""
    lacking: dict[str, str] = {}
    seen = {skill.name}

    def visit(one: Skill) -> None:
        for name in one.program.calls:
            if name in world or name in seen:
                continue
            seen.add(name)
            versions = [s for s in journal.skills(None, name) if s.fingerprint == skill.fingerprint]
            if versions:
                visit(versions[-1])
                lacking[name] = f"{name} is {versions[-1].status}"
            else:
                damaged = bool(journal.damaged_skills(name))
                lacking[name] = f"{name} is damaged" if damaged else f"there is none called {name}"

    visit(skill)
    if lacking:
        first = next(iter(lacking))
        if any(s.fingerprint == skill.fingerprint for s in journal.skills(None, first)):
            way = "; ".join(f"habilis skills restore {name}" for name in lacking)
            way = f"restore {'it' if len(lacking) == 1 else 'them'} first: {way}"
        else:
            way = f"a skill {first} has to be learned again first"
        raise NotFoundError(f"{skill.name} calls what is not in use: {', '.join(lacking.values())}; {way}")


def _told(value: Any) -> str:
    return "None" if value is None else f"of type {type(value).__name__}"
