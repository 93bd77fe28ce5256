"""What `habilis skills serve` answers: searching, reading and running the skills of a home, as plain JSON.

The home is only read, so a run may go on in it meanwhile. All that is answered is text that others wrote: it is cut to
size, and control and direction characters are taken out of it.
"""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from habilis._approval import approving
from habilis._embedders import embedder_at_hand, open_library
from habilis._known_worlds import fresh_world
from habilis._text import plain
from habilis.agent.planning.calls import called_tools, needed
from habilis.core import Budget, InputError, Json, Ledger, NotFoundError, Parameter, RunLimits, Skill, Trajectory
from habilis.memory.home import Home
from habilis.memory.library import SkillLibrary
from habilis.worlds.runner import ConfinedRunner

__all__ = ["LIMITS", "MOST_HITS", "Served"]

LIMITS = RunLimits(tool_calls=0, images=0)  # of one run: 20 s, 2,500 world steps, 512 MB
MOST_HITS = 50
_SOURCE, _TEXT, _LINE, _ROWS = 100_000, 4_000, 400, 100  # characters of a program, a text, a line; lines of a list
_ARGS = 64_000  # characters of the arguments
_SEEDS = 2**31


class Served:
    """A home's skills. ``world``: those of this world only, by name or fingerprint. ``index``: see `open_index`.
    Close it, or use it as a context manager. Safe under threads; programs run one at a time. Raises `NotFoundError`
    where there is no home, or the world has no skill in it."""

    def __init__(self, home: Path, *, world: str | None = None, isolation: str = "auto", index: str = "chroma") -> None:
        self._index = index
        self._runner = ConfinedRunner(isolation=isolation)  # starts nothing yet
        self._home = Home.open(home, create=False, read_only=True)
        self._lock = threading.Lock()
        self._library: SkillLibrary | None = None
        self._fingerprint: str | None = None
        if world is not None:
            try:
                self._fingerprint = self._only(world)
            except BaseException:
                self._home.close()
                raise

    def search(self, text: str, k: int = 5) -> dict[str, Json]:
        """The ``k`` active skills that fit a text best."""
        if not text.strip():
            raise InputError("the search is empty; say what the skill should do")
        if not 1 <= k <= MOST_HITS:
            raise InputError(f"k={k} is not from 1 to {MOST_HITS}")
        with self._lock:
            if self._library is None:
                embedder = embedder_at_hand(self._home)  # nothing is fetched for it
                self._library = open_library(self._home, embedder, self._index, fingerprint=self._fingerprint)
            else:
                self._library.refresh()  # a run may have learned something meanwhile
            hits = self._library.search(text[:_TEXT], k=k)
        return {"skills": [{**_brief(h.skill), "score": round(h.score, 3), "why": plain(h.why, _LINE)} for h in hits]}

    def read(self, name: str, version: int | None = None) -> dict[str, Json]:
        """One version of a skill; by default the active one, else the newest."""
        skill = self._skill(name, version)
        e = skill.evidence
        return {
            **_brief(skill),
            "parameters": [_parameter(p) for p in skill.program.parameters],
            "needs": _lines(skill.needs),
            "calls": _lines(skill.program.calls),
            "tools": _lines(skill.tools),
            "evidence": {"level": e.level.value, "successes": e.successes, "failures": e.failures},
            "cost": skill.cost,
            "origin": plain(skill.origin, _LINE),
            "source": plain(skill.program.source, _SOURCE, lines=True),
        }

    def run(self, name: str, args: Mapping[str, Json], seed: int = 0) -> dict[str, Json]:
        """Run an active skill in a fresh world of its kind, confined, and say what came of it."""
        skill = self._usable(name)
        values = _arguments(skill, args)
        if isinstance(seed, bool) or not 0 <= seed < _SEEDS:
            raise InputError(f"seed={seed} is not from 0 to {_SEEDS - 1}")
        goal = skill.goal_for(values)
        active = {s.name: s for s in self._active() if s.fingerprint == skill.fingerprint}
        programs = needed(skill.program, active)
        missing = sorted({c for p in (skill.program, *programs.values()) for c in p.calls} - {name} - set(programs))
        if missing:
            raise NotFoundError.of("active skill", missing[0], active, f"{name} rests on it.")
        tools = sorted({*skill.tools, *called_tools(skill.program, active)})
        if tools:
            raise InputError(f"{name} calls tools ({', '.join(tools)[:_LINE]}), and none are served; use the agent")
        # Nobody is there to ask, so what has side effects is not done.
        world = approving(fresh_world(self._home.journal, skill.fingerprint, skill.world), lambda *_: False)
        world.reset(seed)
        trajectory = self._runner.run(
            skill.program,
            world,
            args=values,
            skills=programs,
            limits=LIMITS,
            seed=seed,
            ledger=Ledger(Budget(world_steps=LIMITS.world_steps)),
        )
        unmet = goal.unmet(trajectory.after)
        return {
            **_brief(skill),
            "args": json.loads(json.dumps(values)),
            "seed": seed,
            "wanted": plain(goal, _TEXT),
            "reached": None if goal.judged is not None else not unmet,  # None: only a model could judge it
            "unmet": _lines(unmet),
            "lacked_at_start": _lines(_lacked(skill, values, trajectory)),
            **_told(trajectory),
        }

    def close(self) -> None:
        self._runner.close()
        with self._lock:
            if self._library is not None:
                self._library.close()
            self._home.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def _only(self, world: str) -> str:
        known = {s.fingerprint: s.world for s in self._home.journal.skills()}
        found = [f for f, name in sorted(known.items()) if world in (f, name)]
        if not found:
            raise NotFoundError.of("active skill of the world", world, {*known.values()})
        if len(found) > 1:
            raise InputError(f"several worlds are called {world}: {', '.join(found)}; give one of these in its place")
        return found[0]

    def _active(self) -> list[Skill]:
        return [s for s in self._home.journal.skills() if self._fingerprint in (None, s.fingerprint)]

    def _skill(self, name: str, version: int | None) -> Skill:
        found = self._home.journal.skills(None, name)
        versions = [s for s in found if self._fingerprint in (None, s.fingerprint)]
        if not versions:
            everyone = self._home.journal.skills(None)
            known = {s.name for s in everyone if self._fingerprint in (None, s.fingerprint)}
            raise NotFoundError.of("skill", name, known)
        if version is not None:
            one = next((s for s in versions if s.version == version), None)
            if one is None:
                raise NotFoundError.of(f"version of {name}", str(version), (str(s.version) for s in versions))
            return one
        active = [s for s in versions if s.status == "active"]
        if len(active) > 1:
            told = ", ".join(f"version {s.version} of {s.world} ({s.fingerprint})" for s in active)
            raise InputError(
                f"several worlds have a skill {name}: {told}; name the version, or serve one world: --world"
            )
        return active[0] if active else versions[-1]

    def _usable(self, name: str) -> Skill:
        skill = self._skill(name, None)
        if skill.status != "active":
            how = {
                "quarantined": f"it is not verified; habilis skills verify {name}",
                "retired": f"it was taken out of use; habilis skills restore {name}",
            }.get(skill.status, "another version took its place")
            raise InputError(f"{name} version {skill.version} is {skill.status} and does not run: {how}")
        return skill


def _brief(skill: Skill) -> dict[str, Json]:
    return {
        "name": plain(skill.name, _LINE),
        "version": skill.version,
        "status": skill.status,
        "world": plain(skill.world, _LINE),
        "doc": plain(skill.doc, _TEXT),
        "goal": plain(skill.goal_template, _TEXT),
    }


def _parameter(p: Parameter) -> dict[str, Json]:
    facts: dict[str, Json] = {"name": plain(p.name, _LINE), "type": plain(p.type, _LINE), "required": p.required}
    if not p.required:
        facts["default"] = _value(p.default)
    if p.choices:
        facts["choices"] = [_value(c) for c in p.choices[:_ROWS]]
    facts |= {key: value for key, value in (("low", p.low), ("high", p.high)) if value is not None}
    return facts | ({"doc": plain(p.doc, _TEXT)} if p.doc else {})


def _lines(texts: Any) -> list[str]:
    told = [plain(text, _LINE) for text in texts]
    return told if len(told) <= _ROWS else [*told[:_ROWS], f"… ({len(told)} in all)"]


def _value(value: Json) -> Json:
    """A value that a program made: as it is where it is small and plain, else as text that is cut."""
    if value is None or isinstance(value, (bool, int, float)):
        return value if len(repr(value)) <= _LINE else plain(repr(value), _LINE)
    if isinstance(value, str):
        return plain(value, _TEXT, lines=True)
    return plain(json.dumps(value, ensure_ascii=False, default=str), _TEXT)


def _arguments(skill: Skill, args: Mapping[str, Json]) -> dict[str, Json]:
    """The arguments with the defaults of what is left out. Raises `NotFoundError`, `InputError`."""
    known = {p.name: p for p in skill.program.parameters}
    for name in args:
        if name not in known:
            raise NotFoundError.of(f"parameter of {skill.name}", str(name)[:_LINE], known)
    if len(json.dumps(dict(args))) > _ARGS:
        raise InputError(f"the arguments take more than {_ARGS} characters as JSON; make them shorter")
    missing = sorted(n for n, p in known.items() if p.required and n not in args)
    if missing:
        raise InputError(f"{skill.name} needs {', '.join(missing)}")
    for name, value in args.items():
        _check(skill.name, known[name], value)
    return {n: p.default for n, p in known.items() if not p.required} | dict(args)


_TYPES: dict[str, tuple[type, ...]] = {"str": (str,), "int": (int,), "float": (int, float), "bool": (bool,)}


def _check(skill: str, p: Parameter, value: Json) -> None:
    told = plain(repr(value), 80)
    types = _TYPES.get(p.type)
    if types is not None and (not isinstance(value, types) or (isinstance(value, bool) and p.type != "bool")):
        raise InputError(f"{skill} takes {p.name} as {p.type}, not {told}")
    if p.choices and value not in p.choices:
        raise InputError(f"{skill} takes {p.name} as one of {', '.join(map(repr, p.choices[:20]))}, not {told}")
    low = -math.inf if p.low is None else p.low
    high = math.inf if p.high is None else p.high
    if isinstance(value, (int, float)) and not low <= value <= high:
        raise InputError(f"{skill} takes {p.name} from {low:g} to {high:g}, not {told}")


def _lacked(skill: Skill, values: Mapping[str, Json], trajectory: Trajectory) -> list[str]:
    """What it needs at the start and did not find. A need that does not read is left to who verifies."""
    from habilis.core import Goal, GoalSyntaxError, fill

    lacked = []
    for need in skill.needs:
        try:
            if Goal.parse(fill(need, values)).unmet(trajectory.before):
                lacked.append(need)
        except (GoalSyntaxError, InputError):
            continue
    return lacked


def _told(trajectory: Trajectory) -> dict[str, Json]:
    error = trajectory.error
    steps = [f"{s.action}: {'ok' if s.outcome.ok else s.outcome.message or 'failed'}" for s in trajectory.steps[:_ROWS]]
    return {
        "actions": [plain(step, _LINE) for step in steps],
        "actions_in_all": len(trajectory.steps),
        "world_steps": trajectory.world_steps,
        "error": None
        if error is None
        else {"kind": plain(error.kind, _LINE), "message": plain(error.message, _TEXT), "line": error.line},
        "printed": plain(trajectory.printed, _TEXT, lines=True),
        "returned": _value(trajectory.returned),
        "seconds": round(trajectory.seconds, 3),
        "tier": trajectory.tier,
    }
