"""A skill: a verified program with its goal, what it needs, its evidence and its version."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from habilis.core.errors import InputError
from habilis.core.goal import Goal
from habilis.core.program import Program
from habilis.core.world import Json


class EvidenceLevel(StrEnum):
    """How a skill was proven."""

    VERIFIED = "verified"  # in several fresh worlds
    OBSERVED = "observed"  # once, in a live world
    MODEL_JUDGED = "model_judged"  # a model said so


@dataclass(frozen=True, slots=True)
class Trial:
    """One verification run: its seed, the arguments, whether it did what it promises (the goal became true, and the
    program ended without an error), what it took."""

    seed: int
    args: Mapping[str, Json]
    ok: bool
    world_steps: int = 0
    why: str = ""
    tier: int = 0


@dataclass(frozen=True, slots=True)
class Evidence:
    """All verification runs of one version. The posterior of success is Beta(1 + successes, 1 + failures)."""

    level: EvidenceLevel
    trials: tuple[Trial, ...] = ()
    successes: int = 0
    failures: int = 0

    @property
    def mean(self) -> float:
        return (1 + self.successes) / (2 + self.successes + self.failures)


@dataclass(frozen=True)
class Skill:
    """A program that provably achieves ``goal``, whose atoms may use the parameters as ``{n}``.

    ``goal_template`` is the goal as text with ``{parameter}`` in place of values; ``goal_for(args)`` fills it in.
    ``needs``: atoms (text) that must hold at the start, beyond what the program can bring about itself; ``cost``: mean
    world steps per unit; ``sources``: what the program must find in the world (used to choose between alternatives).
    ``status``: "active", "quarantined", "superseded" or "retired".
    """

    name: str
    version: int
    program: Program
    doc: str
    goal_template: str
    world: str
    fingerprint: str
    evidence: Evidence
    needs: tuple[str, ...] = ()
    cost: float = 1.0
    sources: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    status: str = "active"
    origin: str = ""
    created: int = 0
    meta: Mapping[str, Json] = field(default_factory=dict)

    def goal_for(self, args: Mapping[str, Json]) -> Goal:
        """The goal with the arguments (and the parameters' defaults) filled in."""
        values = {p.name: p.default for p in self.program.parameters} | dict(args)
        return Goal.parse(fill(self.goal_template, values))


def fill(template: str, values: Mapping[str, Json]) -> str:
    """A goal's template with its ``{parameter}`` filled in.

    A text keeps to its quotation marks, whatever it holds; outside of them only numbers and truth values may stand.
    Raises `InputError`.
    """

    def put(match: re.Match[str]) -> str:
        name = match[1]
        if name not in values:
            return match[0]
        value = values[name]
        quoted = template[: match.start()].replace('\\"', "").count('"') % 2 == 1
        if quoted:
            return str(value).translate(_ESCAPED)
        if isinstance(value, str):
            raise InputError(f"the goal {template!r} takes a number for {name}, not the text {value[:80]!r}")
        return str(value)

    return _PARAMETER.sub(put, template)


_PARAMETER = re.compile(r"\{(\w+)\}")
_ESCAPED = {ord("\\"): "\\\\", ord('"'): '\\"', ord("\n"): "\\n", ord("\r"): "\\r"}
