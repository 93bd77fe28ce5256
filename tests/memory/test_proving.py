"""A program becomes a skill only if it works elsewhere too, and what its runs show becomes its contract."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from habilis.core import (
    Budget,
    BudgetExceeded,
    Cost,
    EvidenceLevel,
    Fact,
    InputError,
    Json,
    Ledger,
    Parameter,
    Program,
    ProgramError,
    Skill,
    Snapshot,
    ToolCaller,
    Trajectory,
    Trial,
)
from habilis.memory.library import AdmissionSettings, Proof, learn_contract, narrowed, prove
from habilis.testing.journal import example_skill

NEW = replace(example_skill("stick"), evidence=replace(example_skill("stick").evidence, trials=()))


class Script:
    """A verifier that answers in a fixed order and notes what it was asked. None: the time was up; a text: how the life
    in the world ended before the program did."""

    def __init__(self, answers: Sequence[bool | str | None], steps: int = 6) -> None:
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
        if isinstance(ok, str):  # the life in the world ended
            return Trial(seed, dict(args), False, self.steps, ok), Trajectory(error=ProgramError("ended", ok))
        return Trial(seed, dict(args), ok, self.steps, "" if ok else "no luck"), Trajectory(after=Snapshot())


def proof(script: Script, new: Skill | None = None, **settings: int) -> Proof:
    return prove(new or NEW, script, {}, Ledger(), seed=1, settings=AdmissionSettings(**settings))


def test_three_fresh_worlds_and_other_amounts() -> None:
    script = Script([True] * 4)
    result = proof(script)
    assert result.skill is not None
    assert result.skill.evidence.level is EvidenceLevel.VERIFIED
    assert (result.skill.evidence.successes, result.skill.evidence.failures) == (4, 0)
    assert [args for _, args in script.asked] == [{"n": 1}, {"n": 3}, {"n": 2}, {"n": 5}]
    assert len({seed for seed, _ in script.asked}) == 4
    assert result.skill.cost == pytest.approx((6 / 1 + 6 / 3 + 6 / 2 + 6 / 5) / 4, abs=1e-3)
    assert script.asked == _asked_again()


def _asked_again() -> list[tuple[int, dict[str, Json]]]:
    script = Script([True] * 4)
    proof(script)
    return script.asked


def test_one_failure_asks_for_more_and_two_reject() -> None:
    forgiven = proof(Script([True, False, *[True] * 5]))
    assert forgiven.skill is not None
    assert (forgiven.skill.evidence.successes, forgiven.skill.evidence.failures) == (6, 1)
    rejected = proof(Script([True, False, True, False]))
    assert rejected.skill is None
    assert rejected.feedback is not None
    assert rejected.feedback.verifying
    assert rejected.feedback.args == dict(rejected.trials[-1].args)
    assert [str(a) for a in rejected.feedback.verdict.unmet] == [f'count("stick") >= {rejected.feedback.args["n"]}']
    assert len(rejected.trajectories) == len(rejected.trials) == 4


def test_what_the_clock_ended_counts_for_nothing() -> None:
    plain, slow = Script([True, False, *[True] * 5]), Script([None, True, None, None, False, *[True] * 4, None, True])
    expected, found = proof(plain), proof(slow)
    assert expected.skill is not None
    assert found.skill == expected.skill
    assert found.trials == expected.trials
    assert list(dict.fromkeys(map(str, slow.asked))) == list(map(str, plain.asked))  # the same worlds, done again
    hangs = proof(Script([True, None, None, None]))
    assert hangs.skill is None
    assert hangs.feedback is not None
    assert "inconclusive" in hangs.feedback.verdict.reason
    assert [t.ok for t in hangs.trials] == [True]


def test_the_ledger_ends_a_proof() -> None:
    ledger = Ledger(Budget(world_steps=13))
    with pytest.raises(BudgetExceeded):
        prove(NEW, Script([True] * 4), {}, ledger, seed=1)
    assert ledger.spent.world_steps == 12


def test_one_world_is_held_out_and_its_failure_rejects() -> None:
    refuted = proof(Script([True, True, True, False]))
    assert refuted.skill is None
    assert [t.ok for t in refuted.trials] == [True, True, True, False]
    assert refuted.feedback is not None


def test_a_number_that_was_too_large_narrows_the_range() -> None:
    refuted = proof(Script([True, True, True, False]))  # n = 1, 3, 2 and 5
    smaller = narrowed(NEW, refuted)
    assert smaller is not None
    assert smaller.program.parameters[0].high == 3
    script = Script([True] * 4)
    assert proof(script, smaller).skill is not None
    assert all(int(str(args["n"])) <= 3 for _, args in script.asked)
    assert narrowed(NEW, proof(Script([True, False, False]))) is None  # n = 1 alone succeeded
    assert narrowed(NEW, proof(Script([False, False]))) is None


def test_lives_that_end_refute_nothing_but_are_told() -> None:
    died = "you died"
    assert proof(Script([True, died, died])).skill is None, "where nothing is said of lives, they are failures"
    script = Script([True, died, True, True, died, True])
    found = prove(NEW, script, {}, Ledger(), seed=1, lives=2)
    assert found.skill is not None
    assert (found.skill.evidence.successes, found.skill.evidence.failures) == (4, 2)
    assert [args["n"] for _, args in script.asked] == [1, 3, 3, 2, 5, 5], "the same again in another world"
    assert len({seed for seed, _ in script.asked}) == 6
    assert prove(NEW, Script([died] * 4), {}, Ledger(), seed=1, lives=2).skill is None
    assert prove(NEW, Script([False, False]), {}, Ledger(), seed=1, lives=2).skill is None


def test_what_works_in_few_lives_is_asked_for_fewer_successes() -> None:
    died = "you died"
    seldom = prove(NEW, Script([died, died, died, True, died, died, died, True]), {}, Ledger(), seed=1, lives=4)
    assert seldom.skill is not None
    assert (seldom.skill.evidence.successes, seldom.skill.evidence.failures) == (2, 6)
    assert seldom.skill.posterior < 0.4


def test_a_life_too_short_for_more_narrows_the_range_to_what_was_reached() -> None:
    died = "you died"
    refuted = prove(NEW, Script([True, *[died] * 6]), {}, Ledger(), seed=1, lives=2)
    assert refuted.skill is None
    smaller = narrowed(NEW, refuted)
    assert smaller is not None
    assert smaller.program.parameters[0].high == 1


def test_what_it_was_written_for_is_tried_first() -> None:
    thing = Parameter("thing", "str")
    new = replace(NEW, program=replace(NEW.program, parameters=(thing,)), goal_template='count("{thing}") >= 1')
    script = Script([True] * 4)
    prove(new, script, {}, Ledger(), seed=1, args={"thing": "leaf"})
    assert [args for _, args in script.asked] == [{"thing": "leaf"}] * 4


def test_settings_that_prove_nothing_are_refused() -> None:
    with pytest.raises(InputError, match="trials=0"):
        AdmissionSettings(trials=0)
    with pytest.raises(InputError, match="after_failure=1"):
        AdmissionSettings(after_failure=1)


def test_the_contract_is_learned_from_the_runs() -> None:
    fact = {name: Fact("count", (name,)) for name in ("plank", "stick", "dust")}
    here, lit = Fact("here", ("tree",)), Fact("lit", ("lamp",))
    before = Snapshot({fact["plank"]: 5, lit: True, here: True, Fact("at", ("bench",)): True})
    after = Snapshot({fact["plank"]: 3, fact["stick"]: 4, Fact("at", ("bench",)): True})
    lucky = Snapshot({**after.facts, fact["dust"]: 1})
    new = replace(NEW, needs=('at("bench")', 'at("moon")'))
    runs = [(Trial(i, {}, True), Trajectory(before=before, after=a)) for i, a in enumerate((after, lucky, after))]
    runs.append((Trial(9, {}, False), Trajectory(before=before, after=before)))
    found = [
        (c.kind.value, c.fact, c.amount, c.seen, c.against) for c in learn_contract(new, runs, frozenset({"here"}))
    ]
    assert found == [
        ("requires", 'at("bench")', 0.0, 3, 0),
        ("keeps", 'at("bench")', 0.0, 3, 0),
        ("consumes", 'count("plank")', 2.0, 3, 0),
        ("adds", 'count("stick")', 4.0, 3, 0),
        ("deletes", 'lit("lamp")', 0.0, 3, 0),
    ]
