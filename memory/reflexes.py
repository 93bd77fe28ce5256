"""Reflexes that were learned, in the journal: a trigger, the skill that it calls, and what proved it.

A record refers to a skill by its name: the version in use is called, and while there is none the reflex rests. What did
not prove itself is kept as well, so that it is not tried again as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from habilis.core import Goal, GoalSyntaxError, InputError, Json, NotFoundError, Program, Reflex, Skill
from habilis.memory.journal import Journal
from habilis.memory.library._standing import closure

__all__ = ["LearnedReflex", "keep_reflex", "learned_reflexes", "ready_reflexes", "wrapped"]

_KIND = "reflex"  # of the journal's documents, by the world's fingerprint and the reflex's name
_VERSION = 1


@dataclass(frozen=True)
class LearnedReflex:
    """``name``: of the reflex; ``trigger``: a goal as text; ``skill``: what it calls, with ``args``; ``status``:
    "active" or "dropped", and ``why``. ``wins`` and ``losses``: of pairs of lives in fresh practice worlds, with it and
    without it, the rest was even; ``steps_with`` and ``steps_without``: mean world steps of these lives. ``steps`` and
    ``rest``: as of a `Reflex`. ``source``: the program of the skill when it was tried."""

    name: str
    trigger: str
    skill: str
    args: Mapping[str, Json]
    status: str
    why: str
    wins: int
    losses: int
    pairs: int
    steps_with: float
    steps_without: float
    steps: int
    rest: int
    source: str


def keep_reflex(journal: Journal, fingerprint: str, learned: LearnedReflex) -> None:
    """Store it, in place of an earlier one of its name."""
    data = {"schema_version": _VERSION, "fingerprint": fingerprint, **asdict(learned)}
    journal.put_document(_KIND, f"{fingerprint} {learned.name}", data)


def learned_reflexes(
    journal: Journal, fingerprint: str | None = None, *, status: str | None = "active"
) -> list[LearnedReflex]:
    """Those of a world (None: of all), by name; ``status=None``: the dropped ones too. Damaged ones are left aside with
    a warning."""
    return [
        one
        for id, one in journal.documents_of(_KIND, LearnedReflex).items()
        if fingerprint in (None, id.rpartition(" ")[0]) and status in (None, one.status)
    ]


def ready_reflexes(journal: Journal, fingerprint: str, skills: Mapping[str, Skill]) -> list[Reflex]:
    """Those of a world that are in use, with its skills as they are now; without those that call what is not there."""
    found = (_ready(one, skills) for one in learned_reflexes(journal, fingerprint))
    return [one for one in found if one is not None]


def _ready(learned: LearnedReflex, skills: Mapping[str, Skill]) -> Reflex | None:
    try:
        programs = {s.name: s.program for s in closure([learned.skill], skills)}
        trigger = Goal.parse(learned.trigger)
    except (InputError, NotFoundError, GoalSyntaxError):
        return None
    return Reflex(
        learned.name,
        wrapped(learned.name, learned.skill, learned.args),
        (trigger,),
        steps=learned.steps,
        rest=learned.rest,
        skills=programs,
        origin="learned",
    )


def wrapped(name: str, skill: str, args: Mapping[str, Json]) -> Program:
    """The program of a reflex: a call of a skill."""
    given = ", ".join(f"{key}={value!r}" for key, value in sorted(args.items()))
    return Program(name, f"def {name}():\n    skills.{skill}({given})\n", (), (skill,), "learned")
