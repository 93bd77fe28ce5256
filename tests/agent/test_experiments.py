"""Where no reasons are given, experiments find out what actions need: chance, what only happened to be so, and all."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from habilis import Agent, AgentSettings
from habilis.agent.experimenting import Experiments
from habilis.agent.inducing import Inducer
from habilis.agent.lifting import lift
from habilis.agent.meter import SearchMeter
from habilis.agent.regression import Regression
from habilis.core import (
    Action,
    Budget,
    Change,
    Fact,
    Goal,
    InputError,
    Ledger,
    Observation,
    Outcome,
    Parameter,
    Predicate,
    Preempted,
    Primitive,
    Snapshot,
    WorldSpec,
)
from habilis.memory.contracts import ContractBook
from habilis.worlds.runner import ConfinedRunner

PLACES = ("tree", "rock", "shed")
_THING = (Parameter("thing"),)


class Workshop:
    """Chop wood, build a bench, carve a pick at it, and mine: one blow in four gives gold. A bird comes and goes."""

    spec = WorldSpec(
        name="workshop",
        doc="A tree, a rock and a shed.",
        primitives=(
            Primitive("go", "Go there, at most over one fence.", _THING, seeks="at", stops="at"),
            Primitive("chop", "Take wood.", _THING),
            Primitive("build", "Build a bench."),
            Primitive("carve", "Carve a pick."),
            Primitive("mine", "Strike.", _THING),
            Primitive("break_down", "Break something down.", _THING),
        ),
        predicates=(
            Predicate("at", "where one is", _THING),
            Predicate("count", "what one has", _THING, numeric=True),
            Predicate("bench", "whether there is a bench"),
            Predicate("gate", "whether the gate is open"),
            Predicate("bird", "whether a bird sings", fleeting=True),
        ),
        fingerprint="workshop-1",
        capabilities=frozenset({"seed", "clone", "affordances"}),
    )

    def __init__(self) -> None:
        self.reset(0)

    def reset(self, seed: int) -> Observation:
        self.luck = random.Random(seed)
        self.at, self.have, self.bench, self.fence = "shed", dict.fromkeys(("wood", "pick", "gold"), 0), False, True
        self.bird = True
        return self.observe()

    def observe(self) -> Observation:
        facts: dict[Fact, Any] = {Fact("at", (self.at,)): True, Fact("gate"): True}
        facts.update({Fact("count", (k,)): n for k, n in self.have.items() if n})
        facts.update({Fact(name): True for name in ("bench", "bird") if getattr(self, name)})
        return Snapshot(facts)

    def affordances(self) -> list[Action]:
        found = [Action("go", (p,)) for p in PLACES] + [Action("chop", ("tree",)), Action("build"), Action("carve")]
        return [*found, Action("mine", ("rock",)), Action("break_down", ("fence",))]

    def clone(self) -> Workshop:
        twin = Workshop.__new__(Workshop)
        vars(twin).update(vars(self))
        twin.have, twin.luck = dict(self.have), random.Random(0)
        twin.luck.setstate(self.luck.getstate())
        return twin

    def act(self, action: Action) -> Outcome:
        if self.spec.primitive(action.name) is None:
            raise InputError(f"no {action}")
        before = self.observe().facts
        ok = getattr(self, f"_{action.name}")(*action.args)
        self.bird = self.luck.random() < 0.5
        after = self.observe().facts
        changes = [
            Change(f, before.get(f, False if v is True else 0), v) for f, v in after.items() if before.get(f) != v
        ]
        changes += [Change(f, v, False if v is True else 0) for f, v in before.items() if f not in after]
        return Outcome(ok, tuple(changes))

    def _go(self, place: str) -> bool:
        if place == "rock" and self.fence:
            self.at = "fence"
            return False
        self.at = place
        return True

    def _chop(self, thing: str) -> bool:
        return self._gain("wood", self.at == thing == "tree")

    def _build(self) -> bool:
        ok = self.have["wood"] >= 2 and not self.bench
        if ok:
            self.have["wood"] -= 2
            self.bench = True
        return ok

    def _carve(self) -> bool:
        ok = self.have["wood"] >= 1 and self.bench
        if ok:
            self.have["wood"] -= 1
        return self._gain("pick", ok)

    def _mine(self, thing: str) -> bool:
        return self._gain("gold", self.at == thing == "rock" and self.have["pick"] > 0 and self.luck.random() < 0.25)

    def _break_down(self, thing: str) -> bool:
        ok = self.at == thing == "fence"
        if ok:
            self.fence, self.at = False, "shed"
        return ok

    def _gain(self, thing: str, ok: bool) -> bool:
        self.have[thing] += ok
        return ok


@pytest.fixture(scope="module")
def learned() -> tuple[ContractBook, Inducer]:
    world = Workshop()
    book, inducer = ContractBook(world.spec), Inducer(world.spec)
    experiments = Experiments(book, inducer, random.Random(0))
    for seed in range(4):
        world.reset(seed)
        with SearchMeter(Ledger(Budget())) as meter:
            experiments.run(world, meter, 1_000)
    return book, inducer


def _needs(book: ContractBook, action: str) -> set[str]:
    return {str(c.atom) for c in book.contract(Action.parse(action)).conditions}


def test_needs_are_found_and_nothing_besides(learned: tuple[ContractBook, Inducer]) -> None:
    book, _ = learned
    assert _needs(book, 'chop("tree")') == {'at("tree")'}
    assert _needs(book, "build()") == {'count("wood") >= 2'}
    assert _needs(book, "carve()") == {'count("wood") >= 1', "bench()"}
    assert _needs(book, 'mine("rock")') == {'at("rock")', 'count("pick") >= 1'}


def test_how_often_it_works_is_told_where_it_is_chance(learned: tuple[ContractBook, Inducer]) -> None:
    book, _ = learned
    assert book.contract(Action("mine", ("rock",))).chance == pytest.approx(0.25, abs=0.12)
    assert book.contract(Action("carve")).chance > 0.8


def test_what_comes_and_goes_is_no_effect_and_no_need(learned: tuple[ContractBook, Inducer]) -> None:
    book, _ = learned
    for contract in book:
        told = [c.atom.fact for c in contract.conditions] + [e.fact for e in contract.effects]
        assert "bird" not in {fact.predicate for fact in told}


def test_a_program_lifted_from_it_is_patient_and_clears_its_way(learned: tuple[ContractBook, Inducer]) -> None:
    """It works in fresh worlds, though three blows in four give nothing and a fence is in the way."""
    book, _ = learned
    goal = Goal.parse('count("gold") >= 2')
    draft = lift(Regression(book, Workshop.spec), goal)
    assert draft is not None
    assert "vain" in draft.program.source
    assert "clear_way" in draft.program.source
    with ConfinedRunner() as runner:
        for seed in (50, 51, 52):
            world = Workshop()
            world.reset(seed)
            run = runner.run(draft.program, world, args={"n": 2})
            assert run.error is None, run.error
            assert not goal.unmet(run.after)


def test_the_contracts_survive_the_journal(learned: tuple[ContractBook, Inducer]) -> None:
    book, _ = learned
    again = ContractBook(Workshop.spec, list(book))
    for contract in book:
        assert again.contract(contract.action).chance == contract.chance
        assert _needs(again, str(contract.action)) == _needs(book, str(contract.action))


def test_the_same_seed_gives_the_same_contracts() -> None:
    def once() -> list[str]:
        world = Workshop()
        book = ContractBook(world.spec)
        with SearchMeter(Ledger(Budget())) as meter:
            Experiments(book, Inducer(world.spec), random.Random(3)).run(world, meter, 400)
        return [str(contract) for contract in book]

    assert once() == once()


def test_experiments_change_nothing_in_the_world_itself() -> None:
    world = Workshop()
    before = world.observe()
    with SearchMeter(Ledger(Budget())) as meter:
        Experiments(ContractBook(world.spec), Inducer(world.spec), random.Random(0)).run(world, meter, 300)
    assert world.observe() == before


def _state(*facts: str) -> Snapshot:
    return Snapshot({Fact.parse(f): True for f in facts})


def test_bad_luck_alone_is_no_need() -> None:
    """Of an action that works one time in ten, a few failures without something tell nothing; many do."""
    action, inducer = Action("mine", ("rock",)), Inducer(Workshop.spec)
    both, lacking = _state('at("rock")', "bench()"), _state('at("rock")')
    for _ in range(3):
        inducer.take(action, both, Outcome(True))
    for _ in range(27):
        inducer.take(action, both, Outcome(False))
    for _ in range(10):
        inducer.take(action, lacking, Outcome(False))
    assert inducer.needs(action) == ()
    assert "bench()" in map(str, inducer.doubts(action))
    for _ in range(40):
        inducer.take(action, lacking, Outcome(False))
    assert [str(a) for a in inducer.needs(action)] == ["bench()"]
    assert "bench()" not in map(str, inducer.doubts(action))


def test_what_was_pre_empted_or_died_of_something_else_is_no_evidence() -> None:
    action, inducer = Action("mine", ("rock",)), Inducer(Workshop.spec)
    outcome = Outcome(False, preempted=Preempted("thirst", 1))
    inducer.take(action, _state("bench()"), outcome)
    inducer.take(action, _state("bench()"), replace(outcome, preempted=None, done=True))
    assert inducer.tries(action) == 0


def test_an_agent_explores_by_experiments_and_then_can(tmp_path: Path) -> None:
    settings = AgentSettings(seed=1, index="exact", embedder="hash")
    with Agent(Workshop(), home=tmp_path, fresh=Workshop, settings=settings) as agent:
        told = agent.explore_now(4, steps=800, policy="experiments")
        assert (told.status, told.tried) == ("finished", 4)
        assert told.spent.world_steps == 0, "only clones of practice worlds were acted in"
        assert told.spent.search_steps >= 3_000
    with Agent(Workshop(), home=tmp_path, fresh=Workshop, settings=settings) as agent:
        episode = agent.solve_now('count("gold") >= 1')
        assert (episode.status, bool(episode.skill)) == ("solved", True)
        assert agent.skills[episode.skill].skill.evidence.successes >= 4


def test_a_world_that_cannot_be_cloned_is_refused(tmp_path: Path) -> None:
    world = Workshop()
    world.spec = replace(Workshop.spec, capabilities=frozenset({"seed", "affordances"}))
    with (
        Agent(world, home=tmp_path, fresh=Workshop, settings=AgentSettings(index="exact", embedder="hash")) as agent,
        pytest.raises(InputError, match="'experiments' needs a world with clone"),
    ):
        agent.explore_now(1, steps=10, policy="experiments")
