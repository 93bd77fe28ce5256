"""Proofs in the course of lives: a program is proven where the skills that it calls have brought a life to."""

from __future__ import annotations

from dataclasses import replace

from tests.agent.test_experiments import Workshop

from habilis.agent.course import both, lived_by
from habilis.agent.living import Living
from habilis.core import (
    Action,
    Evidence,
    EvidenceLevel,
    Goal,
    Ledger,
    Observation,
    Outcome,
    Parameter,
    Program,
    ProgramError,
    Record,
    RunLimits,
    Skill,
    Trajectory,
    Trial,
)
from habilis.memory.library import COURSE, FRESH, Proof, narrowed, prove
from habilis.worlds.runner import ConfinedRunner
from habilis.worlds.verify import GoalJudge, WorldVerifier

_N = (Parameter("n", "int", 1, required=False),)
_PROVEN = Evidence(EvidenceLevel.VERIFIED, (Trial(1, {"n": 1}, True, 3),), 1, 0, {FRESH: Record(1, 0)})


class Ageing(Workshop):
    """One life in three is long; the others end before a pick is carved."""

    spec = replace(
        Workshop.spec, name="ageing", fingerprint="ageing-1", capabilities=Workshop.spec.capabilities | {"ends"}
    )

    def reset(self, seed: int) -> Observation:
        self.left = 40 if seed % 3 == 0 else 7
        return super().reset(seed)

    def act(self, action: Action) -> Outcome:
        if self.left <= 0:
            return Outcome(False, steps=0, done=True)
        self.left -= 1
        outcome = super().act(action)
        return Outcome(outcome.ok, outcome.changes, done=self.left <= 0)

    def ended(self) -> str:
        return "it was old" if self.left <= 0 else ""


def skill(name: str, goal: str, body: str, *calls: str, evidence: Evidence = _PROVEN) -> Skill:
    program = Program(name, f"def {name}(n: int = 1):\n{body}", _N, calls)
    return Skill(name, 1, program, name, goal, "ageing", "ageing-1", evidence, cost=3.0)


WOOD = skill(
    "have_wood",
    'count("wood") >= {n}',
    '    while world.count("wood") < n:\n        world.go("tree")\n        world.chop("tree")\n',
)
PICK = skill(
    "have_pick",
    'count("pick") >= {n}',
    "    if not world.bench():\n        skills.have_wood(2)\n        world.build()\n"
    '    while world.count("pick") < n:\n        skills.have_wood(1)\n        world.carve()\n',
    "have_wood",
)
HOME = skill("go_home", 'at("shed")', '    skills.have_pick(1)\n    world.go("shed")\n', "have_pick")
KNOWN = {s.name: s for s in (WOOD, PICK)}


def test_a_life_comes_on_by_what_the_program_calls(runner: ConfinedRunner) -> None:
    lived = lived_by(HOME.program, KNOWN, Ageing.spec, (), runner)
    world = Ageing()
    world.reset(0)
    lived(world, 0, Ledger())
    assert world.have["pick"] == 1
    assert not world.ended()


def test_what_a_life_is_too_short_for_is_proven_in_its_course_and_says_so(runner: ConfinedRunner) -> None:
    programs = {name: s.program for name, s in KNOWN.items()}
    verifier = WorldVerifier(Ageing, runner, GoalJudge(), limits=RunLimits(world_steps=40))
    fresh = prove(HOME, verifier, programs, Ledger(), seed=1, lives=1)
    assert fresh.skill is None
    assert fresh.trajectories[-1].cut_off
    lived = lived_by(HOME.program, KNOWN, Ageing.spec, (), runner)
    course = prove(HOME, verifier.after(lived), programs, Ledger(), seed=1, lives=1, context=COURSE)
    proven = both(fresh, course).skill
    assert proven is not None
    contexts = proven.evidence.contexts
    assert contexts[FRESH].successes + contexts[FRESH].failures == len(fresh.trials)
    assert (contexts[COURSE].successes, contexts[COURSE].failures) == (4, 0), "a life that ended before is no trial"
    assert proven.evidence.failures == contexts[FRESH].failures > 0, "what came of it from nothing is told too"
    assert proven.posterior < contexts[COURSE].mean


def test_living_reckons_with_what_went_before() -> None:
    course = Evidence(EvidenceLevel.VERIFIED, (Trial(1, {"n": 1}, True, 1),), 1, 0, {COURSE: Record(1, 0)})
    late = skill("open_gate", 'count("gold") >= {n}', "    skills.have_pick(1)\n", "have_pick", evidence=course)
    goals = [Goal.parse('count("gold") >= 1'), Goal.parse('count("wood") >= 1')]
    living = Living([WOOD, PICK, late], goals, Ageing.spec)
    first = living.next(Ageing().observe(), 0)
    assert first is not None
    assert first.skill.name == "have_wood", "one step, but after three others"


def test_that_a_life_was_too_short_for_one_says_nothing_of_the_number() -> None:
    died = Trajectory((), error=None)
    good, short = Trial(1, {"n": 1}, True), Trial(2, {"n": 1}, False)
    more = Trial(3, {"n": 3}, False)
    cut = Trajectory((), error=ProgramError("ended", "you died"))
    found = narrowed(WOOD, Proof(None, None, (short, good, more, more), (cut, died, cut, cut)))
    assert found is not None
    assert found.program.parameters[0].high == 1
