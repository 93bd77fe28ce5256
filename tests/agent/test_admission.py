"""A program becomes a skill only if it works elsewhere; and search is charged exactly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.agent.conftest import craft_like

from habilis.agent.admission import AdmissionSettings, Verified, affordable, candidate, observed, verify
from habilis.agent.meter import SearchMeter
from habilis.core import (
    Budget,
    BudgetExceeded,
    Cost,
    Draft,
    EvidenceLevel,
    Goal,
    Json,
    Ledger,
    Parameter,
    Program,
    ProgramError,
    Skill,
    Snapshot,
    Task,
    ToolCaller,
    Trajectory,
    Trial,
)

SPEC = craft_like().spec
TASK = Task(Goal.parse('count("stick") >= 4'), "toy", 7, "have 4 stick")
COUNTED = (Parameter("n", "int", 1, required=False),)


def draft(*parameters: Parameter) -> Draft:
    program = Program("have_stick", "def have_stick(n: int = 1):\n    pass\n", parameters or COUNTED, (), "search")
    return Draft(program, {"n": 4}, 'count("stick") >= {n}', meta={"material": "plank"})


class Script:
    """A verifier that answers in a fixed order and notes what it was asked. None: the time was up."""

    def __init__(self, answers: Sequence[bool | None], steps: int = 6) -> None:
        self.answers, self.steps, self.asked = list(answers), steps, []  # type: ignore[var-annotated]

    def trial(
        self,
        candidate: Skill,
        args: Mapping[str, Json],
        seed: int,
        skills: Mapping[str, Program],
        ledger: Ledger,
        tools: ToolCaller | None = None,
    ) -> tuple[Trial, Trajectory]:
        ledger.spend(Cost(world_steps=self.steps))
        self.asked.append((seed, dict(args)))
        ok = self.answers.pop(0)
        if ok is None:  # the clock ended it
            late = ProgramError("time", "the limit seconds=20 is reached")
            return Trial(seed, dict(args), False, self.steps, "late"), Trajectory(error=late)
        return Trial(seed, dict(args), ok, self.steps, "" if ok else "no luck"), Trajectory(after=Snapshot())


def verified(script: Script, new: Skill | None = None, **settings: int) -> Verified:
    new = new or candidate(draft(), TASK, SPEC, 3, ())
    return verify(new, script, {}, Ledger(), seed=1, settings=AdmissionSettings(**settings), tools=lambda: None)


def test_the_candidate_says_what_it_does() -> None:
    new = candidate(draft(), TASK, SPEC, 3, ("book",))
    assert (new.name, new.doc, new.world, new.created, new.tools) == ("have_stick", "have 1 stick", "toy", 3, ("book",))
    assert new.meta == {"material": "plank"}
    assert new.fingerprint == SPEC.fingerprint


def test_three_fresh_worlds_and_other_amounts() -> None:
    script = Script([True] * 3)
    result = verified(script)
    assert result.skill is not None
    assert result.skill.evidence.level is EvidenceLevel.VERIFIED
    assert (result.skill.evidence.successes, result.skill.evidence.failures) == (3, 0)
    assert [args for _, args in script.asked] == [{"n": 1}, {"n": 3}, {"n": 2}]
    assert len({seed for seed, _ in script.asked}) == 3
    assert result.skill.cost == pytest.approx((6 / 1 + 6 / 3 + 6 / 2) / 3, abs=1e-3)
    assert script.asked == [*Script([True] * 3).asked, *_asked_again()]


def _asked_again() -> list[tuple[int, dict[str, Json]]]:
    script = Script([True] * 3)
    verified(script)
    return script.asked


def test_one_failure_asks_for_more_and_two_reject() -> None:
    forgiven = verified(Script([True, False, True, True, True, True]))
    assert forgiven.skill is not None
    assert (forgiven.skill.evidence.successes, forgiven.skill.evidence.failures) == (5, 1)
    rejected = verified(Script([True, False, True, False]))
    assert rejected.skill is None
    assert rejected.feedback is not None
    assert rejected.feedback.verifying
    assert rejected.feedback.args == dict(rejected.trials[-1].args)
    assert [str(a) for a in rejected.feedback.verdict.unmet] == [f'count("stick") >= {rejected.feedback.args["n"]}']
    assert len(rejected.trajectories) == len(rejected.trials) == 4


def test_what_the_clock_ended_counts_for_nothing() -> None:
    plain, slow = Script([True, False, *[True] * 4]), Script([None, True, None, None, False, *[True] * 3, None, True])
    expected, found = verified(plain), verified(slow)
    assert expected.skill is not None
    assert found.skill == expected.skill
    assert found.trials == expected.trials
    assert list(dict.fromkeys(map(str, slow.asked))) == list(map(str, plain.asked))  # the same worlds, done again
    hangs = verified(Script([True, None, None, None]))
    assert hangs.skill is None
    assert hangs.feedback is not None
    assert "inconclusive" in hangs.feedback.verdict.reason
    assert [t.ok for t in hangs.trials] == [True]


def test_the_ledger_ends_a_verification() -> None:
    ledger = Ledger(Budget(world_steps=13))
    with pytest.raises(BudgetExceeded):
        verify(
            candidate(draft(), TASK, SPEC, 0, ()),
            Script([True] * 3),
            {},
            ledger,
            seed=1,
            settings=AdmissionSettings(),
            tools=lambda: None,
        )
    assert ledger.spent.world_steps == 12


def test_a_live_world_gives_what_was_seen() -> None:
    new = candidate(draft(), TASK, SPEC, 0, ())
    trajectory = Trajectory(world_steps=9, tier=2)
    seen = observed(new, {"n": 4}, TASK, trajectory, "world")
    assert (seen.evidence.level, seen.evidence.successes, seen.cost) == (EvidenceLevel.OBSERVED, 1, 9.0)
    assert seen.evidence.trials[0].args == {"n": 4}
    assert observed(new, {}, TASK, trajectory, "gpt").evidence.level is EvidenceLevel.MODEL_JUDGED


def test_affordable_tells_a_tasks_limit_from_the_runs() -> None:
    run = Ledger(Budget(search_steps=1000))
    task = run.child(Budget(usd=None, search_steps=10))
    with pytest.raises(BudgetExceeded) as refused:
        task.spend(Cost(search_steps=11))
    assert affordable(refused.value, run)
    run.spend(Cost(search_steps=995))
    assert not affordable(refused.value, run)
    assert affordable(refused.value, Ledger())


@settings(max_examples=200, deadline=None)
@given(
    limit=st.none() | st.integers(0, 700),
    steps=st.lists(st.integers(0, 90), max_size=30),
    before=st.integers(0, 100),
)
def test_the_meter_charges_exactly_and_never_over(limit: int | None, steps: list[int], before: int) -> None:
    ledger = Ledger(Budget(search_steps=limit))
    before = min(before, limit) if limit is not None else before
    ledger.spend(Cost(search_steps=before))
    taken, refused = 0, False
    try:
        with SearchMeter(ledger) as meter:
            for n in steps:
                meter(n)
                taken += n
                held = ledger.spent.search_steps + ledger.reserved.search_steps
                assert limit is None or held <= limit
    except BudgetExceeded:
        refused = True
        assert limit is not None
        assert before + taken + n > limit  # not a step was refused that could be paid
    assert ledger.spent.search_steps == before + taken
    assert ledger.reserved.search_steps == 0
    assert refused == (limit is not None and before + sum(steps) > limit)
