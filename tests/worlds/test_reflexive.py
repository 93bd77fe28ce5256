"""Reflexes run beside a program: it is pre-empted and not failed, none hangs or starves it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from habilis import reflex
from habilis.core import (
    Action,
    Cloneable,
    DefinitionError,
    DuplicateNameError,
    Goal,
    InputError,
    NotFoundError,
    Outcome,
    Preempted,
    Program,
    Reflex,
    RunLimits,
    Trajectory,
    World,
    check_given,
    dump,
    load,
    load_reflexes,
)
from habilis.memory.contracts import ContractBook
from habilis.testing.worlds import check_world
from habilis.worlds import from_functions
from habilis.worlds.reflexive import reflexive
from habilis.worlds.runner import ConfinedRunner


class Camp:
    """One gets thirsty by digging, and dies of it."""

    def __init__(self, water: int = 5, gold: int = 0, drunk: int = 0) -> None:
        self.water, self.gold, self.drunk = water, gold, drunk

    def world(self, **options: Any) -> World:
        def dig() -> None:
            """Dig for gold; only in one who is not dry does it work."""
            if self.water <= 0:
                raise RuntimeError("too dry")
            self.water -= 1
            self.gold += 1

        def sip() -> None:
            """Drink a little."""
            self.water += 2
            self.drunk += 1

        def observe() -> dict[str, Any]:
            return {"water": self.water, "gold": self.gold, "drunk": self.drunk, "rich": self.gold >= 4}

        def clone() -> Any:
            return Camp(self.water, self.gold, self.drunk).world()

        def reset() -> None:
            self.water, self.gold, self.drunk = 5, 0, 0

        return from_functions([dig, sip], observe=observe, name="camp", clone=clone, reset=reset, **options)


def _program(body: str, name: str = "work") -> Program:
    return Program(name, f"def {name}():\n" + "\n".join(f"    {line}" for line in body.splitlines()) + "\n")


def _reflex(name: str, body: str, *triggers: str, **options: Any) -> Reflex:
    return Reflex(name, _program(body, name), tuple(Goal.parse(t) for t in triggers), **options)


DIG = _program("while world.gold() < 10:\n    world.dig()")
THIRST = _reflex("thirst", "while world.water() < 4:\n    world.sip()", "water() <= 1")


@pytest.fixture(scope="module")
def runner() -> Iterator[ConfinedRunner]:
    with ConfinedRunner() as runner:
        yield runner


def _run(runner: ConfinedRunner, camp: Camp, *reflexes: Reflex, program: Program = DIG, **limits: Any) -> Trajectory:
    return runner.run(program, reflexive(camp.world(), reflexes, runner), limits=RunLimits(**limits))


def test_a_program_that_would_die_is_kept_alive(runner: ConfinedRunner) -> None:
    alone = _run(runner, Camp())
    assert alone.error is not None
    assert "too dry" in alone.error.message
    camp = Camp()
    run = _run(runner, camp, THIRST)
    assert run.error is None
    assert camp.gold == 10
    came = [s.outcome.preempted for s in run.steps if s.outcome.preempted is not None]
    assert came
    assert {p.by for p in came} == {"thirst"}
    assert all(p.steps == 2 for p in came)
    assert run.world_steps == camp.gold + camp.drunk


def test_what_was_pre_empted_has_not_failed(runner: ConfinedRunner) -> None:
    """The contract of digging hears of no failure and of none of what the reflex brought about."""
    camp = Camp()
    world = reflexive(camp.world(), [THIRST], runner)
    run = runner.run(DIG, world)
    book = ContractBook(world.spec)
    book.learn(run)
    contract = book.contract(Action("dig"))
    assert (contract.successes, contract.failures) == (10, 0)
    assert {str(e.fact) for e in contract.effects} == {"gold()", "rich()"}
    statuses = [s.outcome.status for s in run.steps]
    assert statuses.count("done") == 10
    assert set(statuses) == {"done", "preempted"}


def test_the_program_sees_what_the_reflex_changed_and_that_it_came(runner: ConfinedRunner) -> None:
    """What is tried again after a reflex and fails then is told as pre-empted, not raised."""
    spoil = _reflex("spoil", "world.sip()\nworld.sip()", "gold() == 2", rest=500)
    trap = _program("world.dig()\nworld.dig()\nr = world.only_early()\nreturn [r.preempted, world.drunk()]")

    camp = Camp()

    def only_early() -> None:
        """Works while nobody has drunk."""
        if camp.drunk:
            raise RuntimeError("too late")

    inner: Any = camp.world()
    world = from_functions(
        [*(s.function for s in inner._signatures.values()), only_early],
        observe=lambda: {"gold": camp.gold, "drunk": camp.drunk, "water": camp.water},
        name="trap",
    )
    run = runner.run(trap, reflexive(world, [spoil], runner))
    assert run.error is None
    assert run.returned == ["spoil", 2]
    assert [s.outcome.status for s in run.steps] == ["done", "done", "preempted", "failed"]


def test_of_several_the_most_urgent_runs_and_comes_before_the_others(runner: ConfinedRunner) -> None:
    count = _reflex("count", "world.dig()\nworld.dig()\nworld.dig()", "gold() == 3", priority=0, rest=500)
    camp = Camp(water=4)
    run = _run(runner, camp, count, _reflex("thirst", "world.sip()", "water() <= 1", priority=5))
    by = [s.outcome.preempted.by for s in run.steps if s.outcome.preempted is not None]
    assert by[0] == "thirst"
    assert "count" in by
    assert run.error is None, "thirst came before the digging of the other reflex too"


@pytest.mark.parametrize(
    "body",
    ["while True:\n    pass", "while True:\n    world.observe()", "raise RuntimeError('no')", "pass", "1 / 0"],
    ids=["hangs", "only looks", "raises", "does nothing", "is wrong"],
)
def test_one_that_does_nothing_is_ended_and_rests(runner: ConfinedRunner, body: str) -> None:
    camp = Camp(water=100)
    run = _run(runner, camp, _reflex("idle", body, "water() >= 1", rest=1_000))
    assert run.error is None
    assert camp.gold == 10
    assert sum(s.outcome.preempted is not None for s in run.steps) == 1


def test_a_program_that_issues_no_step_is_ended_beside_reflexes_too(runner: ConfinedRunner) -> None:
    run = _run(runner, Camp(), THIRST, program=_program("while True:\n    pass"), idle_seconds=0.3)
    assert run.error is not None
    assert run.error.kind == "time"
    assert "idle_seconds=0.3" in run.error.message


def test_masked_actions_are_left_alone(runner: ConfinedRunner) -> None:
    camp = Camp()
    run = _run(runner, camp, _reflex("thirst", "world.sip()", "water() <= 1", mask=frozenset({"dig"})))
    assert run.error is not None
    assert camp.drunk == 0


def test_its_budget_is_the_most_that_a_reflex_takes(runner: ConfinedRunner) -> None:
    camp = Camp(water=1)
    greedy = _reflex("greedy", "while True:\n    world.sip()", "water() <= 1", steps=7, rest=10)
    run = _run(runner, camp, greedy)
    first = run.steps[0].outcome.preempted
    assert first is not None
    assert 7 <= first.steps <= 8


def test_without_reflexes_the_world_is_itself(runner: ConfinedRunner) -> None:
    world = Camp().world()
    assert reflexive(world, [], runner) is world


def test_it_is_a_world_with_the_same_capabilities_and_copies_have_reflexes(runner: ConfinedRunner) -> None:
    idle = _reflex("idle", "pass", "gold() >= 1000")
    check_world(lambda: reflexive(Camp().world(), [idle], runner), seeds=(0,), steps=8)
    world = reflexive(Camp(water=1).world(), [THIRST], runner)
    assert isinstance(world, Cloneable)
    twin = world.clone()
    assert twin.act(Action("dig")).preempted == Preempted("thirst", 2)
    assert world.act(Action("dig")).status == "preempted"


def test_a_world_that_ends_ends_the_program(runner: ConfinedRunner) -> None:
    class Ending:
        def __init__(self) -> None:
            self.inner: Any = Camp().world()
            self.spec, self.steps = self.inner.spec, 0

        def reset(self, seed: int) -> Any:
            return self.inner.reset(seed)

        def observe(self) -> Any:
            return self.inner.observe()

        def act(self, action: Action) -> Outcome:
            self.steps += 1
            over = self.steps >= 3
            return Outcome(not over, message="you fell into a pit" if over else "", done=over)

    program = _program("for _ in range(9):\n    try:\n        world.dig()\n    except ActionFailed:\n        pass")
    world = Ending()
    run = runner.run(program, world)
    assert run.error is not None
    assert (run.error.kind, run.error.message) == ("ended", "the world camp has ended: you fell into a pit")
    assert [s.outcome.status for s in run.steps] == ["done", "done", "dead"]
    assert world.steps == 3


def test_outcomes_survive_the_journal() -> None:
    outcome = Outcome(False, preempted=Preempted("thirst", 3), steps=3)
    assert load(Outcome, dump(outcome)) == outcome
    older = {k: v for k, v in dump(outcome).items() if k != "preempted"}
    assert load(Outcome, older).preempted is None


def test_a_reflex_from_a_file(tmp_path: Any) -> None:
    path = tmp_path / "mine.py"
    path.write_text(
        "from habilis import reflex\n\n"
        "@reflex('water() <= 1', 'gold() >= 9', priority=2, mask=['sip'], steps=9)\n"
        "def thirst() -> None:\n    '''Drink.'''\n    world.sip()\n"
    )
    (one,) = load_reflexes(str(path))
    assert (one.name, one.priority, one.steps, one.mask) == ("thirst", 2, 9, frozenset({"sip"}))
    assert [str(t) for t in one.triggers] == ["water() <= 1", "gold() >= 9"]
    assert one.program.source.startswith("def thirst()")
    assert one.lines == 3
    with ConfinedRunner() as runner:
        assert reflexive(Camp(1).world(), [one], runner).act(Action("dig")).status == "preempted"


def test_bad_reflexes_are_named(tmp_path: Any, runner: ConfinedRunner) -> None:
    def with_parameter(x: int) -> None: ...

    with pytest.raises(DefinitionError, match="with_parameter"):
        reflex("water() <= 1")(with_parameter)  # type: ignore[arg-type]
    with pytest.raises(DefinitionError, match="trigger of the reflex 'fine'"):

        @reflex("water( <")
        def fine() -> None: ...

    with pytest.raises(DefinitionError, match="needs a trigger"):
        _reflex("none", "pass")
    with pytest.raises(DefinitionError, match="steps= of the reflex 'x' is 1 to 10,000"):
        _reflex("x", "pass", "gold() >= 1", steps=0)
    with pytest.raises(InputError, match="5 reflexes are given; 4 are the most"):
        check_given([_reflex(f"r{i}", "pass", "gold() >= 1") for i in range(5)])
    with pytest.raises(InputError, match="'long' has 31 lines; 20 are the most"):
        check_given([_reflex("long", "\n".join(["pass"] * 30), "gold() >= 1")])
    with pytest.raises(DuplicateNameError, match="two reflexes are called 'r'"):
        check_given([_reflex("r", "pass", "gold() >= 1")] * 2)
    (tmp_path / "empty.py").write_text("x = 1\n")
    with pytest.raises(InputError, match="has no reflexes"):
        load_reflexes(str(tmp_path / "empty.py"))
    with pytest.raises(NotFoundError, match="no file"):
        load_reflexes(str(tmp_path / "missing.py"))
    with pytest.raises(InputError, match="names fly, no action"):
        reflexive(Camp().world(), [_reflex("r", "pass", "gold() >= 1", mask=frozenset({"fly"}))], runner)
