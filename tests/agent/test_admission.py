"""A program becomes a skill only if it works elsewhere; and search is charged exactly."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.agent.conftest import craft_like

from habilis.agent.admission import affordable, candidate, observed
from habilis.agent.planning.meter import SearchMeter
from habilis.core import (
    Budget,
    BudgetExceeded,
    Cost,
    Draft,
    EvidenceLevel,
    Goal,
    Ledger,
    Parameter,
    Program,
    Task,
    Trajectory,
)

SPEC = craft_like().spec
TASK = Task(Goal.parse('count("stick") >= 4'), "toy", 7, "have 4 stick")
COUNTED = (Parameter("n", "int", 1, required=False),)


def draft(*parameters: Parameter) -> Draft:
    program = Program("have_stick", "def have_stick(n: int = 1):\n    pass\n", parameters or COUNTED, (), "search")
    return Draft(program, {"n": 4}, 'count("stick") >= {n}', meta={"material": "plank"})


def test_the_candidate_says_what_it_does() -> None:
    new = candidate(draft(), TASK, SPEC, 3, ("book",))
    assert (new.name, new.doc, new.world, new.created, new.tools) == ("have_stick", "have 1 stick", "toy", 3, ("book",))
    assert new.meta == {"material": "plank"}
    assert new.fingerprint == SPEC.fingerprint


def test_a_live_world_gives_what_was_seen() -> None:
    new = candidate(draft(), TASK, SPEC, 0, ())
    trajectory = Trajectory(world_steps=9, tier=2)
    seen = observed(new, {"n": 4}, TASK, trajectory, "world", SPEC)
    assert (seen.evidence.level, seen.evidence.successes, seen.cost) == (EvidenceLevel.OBSERVED, 1, 9.0)
    assert seen.evidence.trials[0].args == {"n": 4}
    assert observed(new, {}, TASK, trajectory, "gpt", SPEC).evidence.level is EvidenceLevel.MODEL_JUDGED


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
