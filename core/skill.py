"""A skill: a verified program with its goal, what it needs, its evidence and its version."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from habilis.core.errors import GoalSyntaxError, InputError
from habilis.core.goal import Goal
from habilis.core.program import Program
from habilis.core.world import Json, Parameter


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
class Record:
    """How often something succeeded and failed. The posterior of success is Beta(1 + successes, 1 + failures)."""

    successes: int = 0
    failures: int = 0

    @property
    def runs(self) -> int:
        return self.successes + self.failures

    @property
    def mean(self) -> float:
        return (1 + self.successes) / (2 + self.runs)

    def plus(self, ok: bool) -> Record:
        return Record(self.successes + ok, self.failures + (not ok))


@dataclass(frozen=True, slots=True)
class Evidence:
    """All verification runs of one version, and how it did in each context (``contexts``: "fresh worlds", "in use", …).

    The posterior of success is Beta(1 + successes, 1 + failures), over the verification runs.
    """

    level: EvidenceLevel
    trials: tuple[Trial, ...] = ()
    successes: int = 0
    failures: int = 0
    contexts: Mapping[str, Record] = field(default_factory=dict)

    @property
    def mean(self) -> float:
        return Record(self.successes, self.failures).mean


class ClauseKind(StrEnum):
    """What a line of a skill's contract says of a fact."""

    REQUIRES = "requires"  # it must hold at the start
    KEEPS = "keeps"  # it is used and stays as it was
    CONSUMES = "consumes"  # there is less of it afterwards
    ADDS = "adds"  # there is more of it afterwards, or it has become true
    DELETES = "deletes"  # it has become false


@dataclass(frozen=True, slots=True)
class Clause:
    """A line of a skill's contract, learned from its runs. ``fact``: as text, with ``{parameter}`` where it follows a
    parameter; ``amount``: mean change in a run (consumes, adds); ``seen`` and ``against``: runs in which it was so, and
    was not."""

    kind: ClauseKind
    fact: str
    amount: float = 0.0
    seen: int = 0
    against: int = 0


@dataclass(frozen=True, slots=True)
class Case:
    """One setting of a skill's choices (parameters that take one of a few values), which is proven by itself.

    ``cost``: mean world steps per unit; ``needs``, ``sources``: as of a `Skill`; ``material``: the one thing that it
    uses up, where that is just one; ``record``: its verification runs; ``successor``: the skill that does this better
    by now (who calls it still may), or "".
    """

    args: Mapping[str, Json] = field(default_factory=dict)
    cost: float = 1.0
    needs: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    material: str | None = None
    record: Record = field(default_factory=Record)
    successor: str = ""


@dataclass(frozen=True)
class Skill:
    """A program that provably achieves ``goal``, whose atoms may use the parameters as ``{n}``.

    ``goal_template`` is the goal as text with ``{parameter}`` in place of values; ``goal_for(args)`` fills it in.
    ``needs``: atoms (text) that must hold at the start, beyond what the program can bring about itself; ``cost``: mean
    world steps per unit; ``sources``: what the program must find in the world (used to choose between alternatives).
    ``cases``: where the program has choices, what is proven of each (`settings` gives the one case of all others);
    ``contract``: what its runs were seen to require and to change; ``due``: why it is to be verified again, or "".
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
    cases: tuple[Case, ...] = ()
    contract: tuple[Clause, ...] = ()
    due: str = ""

    @property
    def posterior(self) -> float:
        """The mean of the posterior of success over all contexts: verification and use."""
        runs = self.evidence.contexts.values() or [Record(self.evidence.successes, self.evidence.failures)]
        return Record(sum(r.successes for r in runs), sum(r.failures for r in runs)).mean

    @property
    def settings(self) -> tuple[Case, ...]:
        """What is proven: each case, or the skill as a whole where it has no choices."""
        if self.cases:
            return self.cases
        material = self.meta.get("material")
        record = Record(self.evidence.successes, self.evidence.failures)
        return (Case({}, self.cost, self.needs, self.sources, material, record),)

    @property
    def whence(self) -> str:
        """The world, and the version there, that it was taken over from, in words; "" where it was learned here."""
        found = self.meta.get("lineage")
        if not isinstance(found, Mapping):
            return ""
        told = {name: str(found.get(name, "?")) for name in ("skill", "version", "world", "fingerprint")}
        return "{skill} version {version} of {world} ({fingerprint}), proven again here".format(**told)

    def goals(self) -> list[Goal]:
        """The goal of each case, with the parameters' defaults. Raises `GoalSyntaxError` where one has no default."""
        return [self.goal_for(case.args) for case in self.settings]

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


def fitted(template: str, goal: Goal, parameters: Sequence[Parameter]) -> dict[str, Json] | None:
    """The arguments with which a template, filled in, is this goal, or None: what `fill` does, undone.

    Only where a whole argument of a fact, or the value of an atom, is a parameter. Nothing that the template leaves
    open is made up: parameters that are not in it are left out.
    """
    known = {p.name: p for p in parameters}
    # Stand-ins that no goal has: texts with a character for private use, large odd numbers.
    marks = {n: f"\ue000{n}" if p.type == "str" else _MARK + i for i, (n, p) in enumerate(known.items())}
    try:
        pattern = Goal.parse(fill(template, marks))
    except (GoalSyntaxError, InputError):
        return None
    if pattern.judged is not None or len(pattern.atoms) != len(goal.atoms):
        return None
    names: dict[Json, str] = {mark: name for name, mark in marks.items()}
    found: dict[str, Json] = {}
    for mine, theirs in zip(pattern.atoms, goal.atoms, strict=True):
        alike = mine.fact.predicate == theirs.fact.predicate and len(mine.fact.args) == len(theirs.fact.args)
        if not alike or mine.op != theirs.op:
            return None
        for wanted, given in zip((*mine.fact.args, mine.value), (*theirs.fact.args, theirs.value), strict=True):
            name = names.get(wanted)
            if name is None:
                if wanted != given:
                    return None
            elif isinstance(given, str) != (known[name].type == "str") or found.setdefault(name, given) != given:
                return None
    return found


_MARK = 8_191_000_019  # and the numbers after it stand for parameters while a goal is compared
_PARAMETER = re.compile(r"\{(\w+)\}")
_ESCAPED = {ord("\\"): "\\\\", ord('"'): '\\"', ord("\n"): "\\n", ord("\r"): "\\r"}
