"""Proving a skill: run in several fresh worlds with varied arguments, and in one more that its writer never heard of.

What is proven is what the host saw: whether the goal became true, what the runs took, and what they changed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from habilis.core import (
    Evidence,
    EvidenceLevel,
    Feedback,
    InputError,
    Json,
    Ledger,
    Parameter,
    Program,
    Record,
    Skill,
    ToolCaller,
    Trajectory,
    Trial,
    Verdict,
    Verifier,
)
from habilis.memory.library.clauses import learn

__all__ = ["FRESH", "AdmissionSettings", "Proof", "narrowed", "prove", "proven", "seed_of", "unit_cost", "varied"]

_SELDOM = 3  # lives lost for which one success less is asked for
FRESH = "fresh worlds"  # the context of verification runs
_VARIED: Mapping[str, tuple[Json, ...]] = {"int": (3, 2, 5, 1), "float": (0.5, 2.0, 3.0), "bool": (True, False)}


@dataclass(frozen=True)
class AdmissionSettings:
    """``trials``: fresh worlds that must succeed, besides one that is held out (three rule out most luck at a bearable
    price). One failure asks for ``after_failure`` successes; a second one rejects. ``repeats``: how often a trial that
    the clock ended is done again before the candidate goes back as inconclusive."""

    trials: int = 3
    after_failure: int = 5
    repeats: int = 2

    def __post_init__(self) -> None:
        if self.trials < 1 or self.after_failure < self.trials or self.repeats < 0:
            raise InputError(
                f"admission takes at least 1 trial, after a failure no fewer, and no negative repeats; got trials="
                f"{self.trials}, after_failure={self.after_failure}, repeats={self.repeats}"
            )


@dataclass(frozen=True)
class Proof:
    """What came of it: the skill with its evidence; or the feedback for its writer; or neither, where the program asked
    for a tool that must not be called again and the tape has no answer, so that nothing can be concluded.
    ``trajectories`` are there to learn from."""

    skill: Skill | None
    feedback: Feedback | None
    trials: tuple[Trial, ...]
    trajectories: tuple[Trajectory, ...]


def prove(
    skill: Skill,
    verifier: Verifier,
    skills: Mapping[str, Program],
    ledger: Ledger,
    *,
    seed: int,
    settings: AdmissionSettings | None = None,
    args: Mapping[str, Json] | None = None,
    tools: Callable[[], ToolCaller | None] = lambda: None,
    ignored: frozenset[str] = frozenset(),
    lives: int = 0,
) -> Proof:
    """Run a candidate in fresh worlds with varied arguments until it has proven itself or failed.

    ``lives``: where a life in the world may end before a program does, which says little about the program: so many of
    them may be lost for each trial that succeeds, and as many at first. Each is tried again with the same arguments.
    They count as failures in the evidence; for every three of them one success less is asked for, for what works
    seldom is worth having where nothing else does.
    ``args``: what it was written for; tried first, and what other values are put into. ``ignored``: predicates that its
    contract says nothing of, such as where the agent stands. A trial that the clock ended counts for nothing, and is
    done again.
    """
    settings = settings or AdmissionSettings()
    trials: list[Trial] = []
    trajectories: list[Trajectory] = []
    good = bad = repeated = lost = 0
    needed = settings.trials
    failed: tuple[Trial, Trajectory] | None = None
    arguments = varied(skill.program.parameters, args or {}, [c.args for c in skill.cases])
    while bad < 2:
        held_out = good >= max(1, needed - lost // _SELDOM)
        number = -1 - lost if held_out else len(trials)
        given = arguments[(len(trials) - lost) % len(arguments)]
        caller = tools()
        trial, trajectory = verifier.trial(skill, given, seed_of(seed, number), skills, ledger, caller)
        if getattr(caller, "inconclusive", False):
            return Proof(None, None, tuple(trials), tuple(trajectories))
        if trajectory.inconclusive and not trial.ok:
            repeated += 1
            if repeated > settings.repeats:
                doubt = Verdict(False, (), f"inconclusive: {trial.why}")
                return Proof(None, Feedback(trajectory, doubt, True, given), tuple(trials), tuple(trajectories))
            continue
        repeated = 0
        trials.append(trial)
        trajectories.append(trajectory)
        if trial.ok:
            good += 1
        elif trajectory.cut_off and lost < lives * (1 + good):
            lost += 1
            failed = trial, trajectory
            continue
        else:
            bad += 1
            needed = settings.after_failure
            failed = trial, trajectory
        if held_out:
            if trial.ok:
                break
            bad = 2
    if bad >= 2 and failed is not None:
        trial, trajectory = failed
        verdict = Verdict(False, skill.goal_for(trial.args).unmet(trajectory.after), trial.why)
        return Proof(None, Feedback(trajectory, verdict, True, trial.args), tuple(trials), tuple(trajectories))
    return Proof(proven(skill, trials, trajectories, ignored), None, tuple(trials), tuple(trajectories))


def narrowed(skill: Skill, proof: Proof) -> Skill | None:
    """The skill with a smaller range, where a number was too large in all runs that failed and in none that succeeded;
    else None. To be proven anew, within that range: of one number alone nothing general follows, unless lives were too
    short for more."""
    short = any(t.cut_off for t in proof.trajectories)
    parameters = list(skill.program.parameters)
    for i, parameter in enumerate(parameters):
        values = [(t.args.get(parameter.name), t.ok) for t in proof.trials]
        good = [v for v, ok in values if ok and isinstance(v, int)]
        bad = [v for v, ok in values if not ok and isinstance(v, int)]
        if (
            parameter.type == "int"
            and not parameter.choices
            and bad
            and len(set(good)) > (not short)
            and max(good) < min(bad)
        ):
            parameters[i] = replace(parameter, high=float(max(good)))
            return replace(skill, program=replace(skill.program, parameters=tuple(parameters)))
    return None


def proven(
    skill: Skill, trials: Sequence[Trial], trajectories: Sequence[Trajectory], ignored: frozenset[str] = frozenset()
) -> Skill:
    """A skill with these runs for its evidence, its cost and its contract. In however many worlds it ran, a goal that
    only a model can judge is judged by a model."""
    good = sum(t.ok for t in trials)
    record = Record(good, len(trials) - good)
    only_judged = any(skill.goal_for(t.args).judged is not None for t in trials)
    level = EvidenceLevel.MODEL_JUDGED if only_judged else EvidenceLevel.VERIFIED
    evidence = Evidence(level, tuple(trials), good, len(trials) - good, {FRESH: record})
    contract = learn(skill, zip(trials, trajectories, strict=True), ignored)
    needs = tuple(c.fact for c in contract if c.kind == "requires")
    return replace(skill, evidence=evidence, cost=unit_cost(trials), contract=contract, needs=needs)


def varied(
    parameters: Sequence[Parameter],
    args: Mapping[str, Json] = MappingProxyType({}),
    cases: Sequence[Mapping[str, Json]] = (),
) -> list[dict[str, Json]]:
    """The arguments as given (else the defaults) first, then other values of each parameter that has obvious ones.

    A parameter with choices goes through them; numbers stay within their range. ``cases``: the choices that go
    together, where not each of one parameter goes with each of another; those that the arguments exclude are left out.
    """
    default = {p.name: p.default for p in parameters if p.default is not None or not p.required} | dict(args)
    cases = [case for case in cases if all(args.get(name, value) == value for name, value in case.items())]
    if cases:
        default |= cases[0]
    sets: list[dict[str, Json]] = [default]
    for i in range(max(4, *(len(p.choices) for p in parameters), len(cases))):
        changed = dict(default)
        for p in parameters:
            values = tuple(v for v in p.choices or _VARIED.get(p.type, ()) if _in_range(v, p))
            if values and p.name in default:
                changed[p.name] = values[i % len(values)]
        if cases:
            changed |= cases[i % len(cases)]
        if changed not in sets:
            sets.append(changed)
    return sets


def unit_cost(trials: Sequence[Trial]) -> float:
    """Mean world steps per unit made, over the successes."""
    costs = [t.world_steps / max(1, _units(t.args)) for t in trials if t.ok]
    return round(sum(costs) / len(costs), 3) if costs else 1.0


def _in_range(value: Json, parameter: Parameter) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return True
    low, high = parameter.low, parameter.high
    return (low is None or value >= low) and (high is None or value <= high)


def _units(args: Mapping[str, Json]) -> int:
    n = args.get("n", 1)
    return n if isinstance(n, int) and not isinstance(n, bool) else 1


def seed_of(seed: int, trial: int) -> int:
    """Of a trial; -1: of the one that is held out."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{trial}".encode()).digest()[:4], "big") >> 1
