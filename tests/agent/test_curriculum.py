"""What is proposed next: never what is mastered, less often what failed, sooner what others need."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.agent.conftest import RuleWorld, craft_like, household, make_world

from habilis.agent.curriculum import Curriculum, CurriculumSettings, Proposal
from habilis.agent.words import words_to_goal
from habilis.core import (
    Action,
    Atom,
    Attempt,
    Budget,
    BudgetExceeded,
    Context,
    Episode,
    Fact,
    Goal,
    Ledger,
    Outcome,
    Parameter,
    Program,
    ProgramError,
    Skill,
    Task,
    Trajectory,
)
from habilis.core.world import Change
from habilis.memory.contracts import ContractBook
from habilis.testing.journal import example_skill

N = Parameter("n", "int", 1, required=False)


def count(name: str) -> Fact:
    return Fact("count", (name,))


class Setting:
    """A curriculum in a world, with some actions known."""

    def __init__(self, world: RuleWorld, *, seed: int = 0, done: Iterable[str] = (), **options: Any) -> None:
        self.world, self.book = world, ContractBook(world.spec)
        for text in done:
            rule = world.rules[Action.parse(text)]
            self.book.observe(rule.action, world.act(rule.action), world.observe())  # tells what it lacks
            facts = dict(world.facts)
            for atom in rule.needs:
                tag = str(atom.fact.args[0])
                name = min(world.spec.tags.get(tag, {tag}))
                world.facts[Fact(atom.fact.predicate, (name,))] = atom.value
            before = world.observe()
            self.book.observe(rule.action, world.act(rule.action), before)
            world.facts = facts
        self.curriculum = Curriculum(world.spec, self.book, CurriculumSettings(**options), seed=seed)

    def propose(
        self, iteration: int = 0, goals: Sequence[str] = (), skills: Sequence[Skill] = (), affordances: bool = False
    ) -> Proposal | None:
        context = Context(
            self.world.spec,
            self.world.observe(),
            {s.name: s for s in skills},
            affordances=tuple(self.world.affordances()) if affordances else (),
        )
        return self.curriculum.propose(iteration, context, [Goal.parse(g) for g in goals], skills, Ledger())

    def ended(self, task: Task, status: str, skill: str | None = None) -> None:
        self.curriculum.record(Episode(0, task, status, skill=skill))

    def offered(self, tries: int = 60, **options: Any) -> set[str]:
        found = (self.propose(i, **options) for i in range(tries))
        return {str(p.task.goal) if p.task.kind == "achieve" else str(p.task.action) for p in found if p is not None}


def test_actions_of_unknown_effect_are_tried_once() -> None:
    setting = Setting(household(), done=['open("fridge")'], strategy="random")
    offered = setting.offered(affordances=True)
    assert {p.task.fingerprint for i in range(9) if (p := setting.propose(i, affordances=True))} == {"household-1"}
    assert 'open("fridge")' not in offered
    assert 'take("cup", "table")' in offered
    assert 'is_open("fridge")' in offered  # what its effect is, is now wanted


def test_what_is_mastered_is_never_proposed() -> None:
    world = craft_like()
    setting = Setting(world, done=['gather("oak")', 'craft("plank")', 'place("bench")'], strategy="random")
    every = setting.offered()
    assert every == {'count("oak") >= 1', 'count("plank") >= 1', 'count("#wood") >= 1', 'near("bench")'}
    skills = [
        example_skill("have_oak", goal='count("oak") >= {n}', parameters=(N,)),
        example_skill("be_near_bench", goal='near("bench")', parameters=()),
    ]
    assert setting.offered(skills=skills) == {'count("plank") >= 1', 'count("#wood") >= 1'}
    # A goal of a larger amount is another task, until it was solved.
    more = 'count("oak") >= 5'
    assert more in setting.offered(skills=skills, goals=[more])
    setting.ended(Task(Goal.parse(more), "toy", 0, ""), "solved", None)
    assert more not in setting.offered(skills=skills, goals=[more])


def test_what_was_carried_over_is_done_once_here() -> None:
    world = craft_like()
    setting = Setting(world, done=['gather("oak")', 'craft("plank")'], strategy="random")
    oak = example_skill("have_oak", goal='count("oak") >= {n}', parameters=(N,))
    carried = replace(oak, meta={"carried": "toy-0"})
    assert 'count("oak") >= 1' not in setting.offered(skills=[oak])
    assert 'count("oak") >= 1' in setting.offered(skills=[carried])
    setting.ended(Task(Goal.parse('count("oak") >= 1'), "toy", 0, ""), "solved", None)
    assert 'count("oak") >= 1' not in setting.offered(skills=[carried])


def test_nothing_left_is_said() -> None:
    setting = Setting(household(), done=['open("fridge")'])
    assert setting.propose() is not None
    assert setting.propose(skills=[example_skill("o", goal='is_open("fridge")', parameters=())]) is None
    assert setting.propose(goals=["True"], skills=[example_skill("o", goal='is_open("fridge")', parameters=())]) is None


def test_a_wish_for_words_is_dropped_once_granted() -> None:
    setting = Setting(household())
    wish = Goal.parse('Judged("a tidy kitchen")')
    setting.curriculum.wish([wish, wish])
    proposal = setting.propose()
    assert proposal is not None
    assert proposal.task.goal == wish
    setting.ended(proposal.task, "solved", "tidy")
    assert setting.propose() is None


def test_failures_back_off_and_knowledge_renews() -> None:
    setting = Setting(craft_like(), done=['gather("oak")'], jitter=0.0)
    first = setting.propose()
    assert first is not None
    weights = [first.weight]
    for _ in range(3):
        setting.ended(first.task, "failed")
        again = setting.propose()
        assert again is not None
        assert again.task.goal == first.task.goal
        weights.append(again.weight)
    assert all(later < sooner / 2 for sooner, later in itertools.pairwise(weights))
    for name in ("p", "q", "r", "s"):  # something was learned since
        lacks = (Atom(count(name), ">=", 1),)
        setting.book.observe(Action("craft", (name,)), Outcome(False, unmet=lacks), setting.world.observe())
    renewed = setting.propose()
    assert renewed is not None
    assert renewed.weight > weights[-1]


def test_of_what_failed_many_times_each_has_its_turn() -> None:
    setting = Setting(craft_like(), done=['gather("oak")', 'craft("plank")'], jitter=0.0)
    tried: list[str] = []
    for _ in range(160):
        proposal = setting.propose()
        assert proposal is not None
        tried.append(proposal.task.text)
        setting.ended(proposal.task, "failed")
    late = tried[100:]
    assert len(set(late)) == len(set(tried)) > 2
    assert max(late.count(text) for text in late) < 3 * min(late.count(text) for text in late)


@pytest.mark.parametrize("status", ["failed", "solved"])
def test_what_the_clock_ended_counts_against_nothing(status: str) -> None:
    setting = Setting(craft_like(), done=['gather("oak")'])
    proposal = setting.propose()
    assert proposal is not None
    late, wrong = (
        Attempt(Program("p", ""), Trajectory(error=ProgramError(kind, "")), False) for kind in ("time", "KeyError")
    )
    setting.curriculum.record(Episode(0, proposal.task, status, (wrong, late)))
    assert setting.curriculum.failures == {}
    assert setting.curriculum.failed_at == {}
    assert setting.curriculum.ended
    setting.curriculum.record(Episode(1, proposal.task, "failed", (late, wrong)))
    assert setting.curriculum.failures.total() == 1


def test_demand_raises_what_others_need() -> None:
    def first(strategy: str, extra: int) -> str:
        world = make_world([], start={'count("x")': 1}, phrases={})
        spec = replace(world.spec, primitives=craft_like().spec.primitives)
        world.spec = spec
        setting = Setting(world, strategy=strategy, jitter=0.0)
        for name in ("reed", "salt"):
            change = Change(count(name), 0, 1)
            setting.book.observe(Action("gather", (name,)), Outcome(True, (change,)), world.observe())
        for i in range(extra):
            lacks = (Atom(count("salt"), ">=", 1),)
            setting.book.observe(Action("craft", (f"dish{i}",)), Outcome(False, unmet=lacks), world.observe())
        proposal = setting.propose()
        assert proposal is not None
        return str(proposal.task.goal)

    reed, salt = 'count("reed") >= 1', 'count("salt") >= 1'
    assert first("demand", 4) == salt
    assert {first("reach", 0), first("reach", 4)} == {max(reed, salt)}  # equal weights: a fixed order


def test_held_out_facts_are_never_proposed() -> None:
    setting = Setting(
        craft_like(), done=['gather("oak")', 'craft("plank")'], strategy="random", exclude=frozenset([count("oak")])
    )
    assert setting.offered() == {'count("plank") >= 1', 'count("#wood") >= 1'}


def test_a_predicate_first_seen_later_is_wanted_in_its_own_way() -> None:
    world = make_world([], start={'near("x")': True})
    setting = Setting(world)
    world.spec = replace(craft_like().spec, fingerprint=world.spec.fingerprint)
    setting.book = setting.curriculum.book = ContractBook(world.spec)
    setting.book.observe(Action("gather", ("oak",)), Outcome(True, (Change(count("oak"), 0, 1),)), world.observe())
    proposal = setting.propose()
    assert proposal is not None
    assert str(proposal.task.goal) in ('count("oak") >= 1', 'count("#wood") >= 1')


_TASKS = st.lists(
    st.tuples(
        st.sampled_from(['count("oak") >= 1', 'count("plank") >= 1', 'near("bench")', 'count("oak") >= 3']),
        st.sampled_from(["solved", "failed", "stopped"]),
        st.booleans(),
    ),
    max_size=12,
)


@settings(max_examples=40, deadline=None)
@given(ended=_TASKS, seed=st.integers(0, 5), wished=st.booleans())
def test_it_is_the_same_after_it_was_saved_and_read(
    ended: list[tuple[str, str, bool]], seed: int, wished: bool
) -> None:
    done = ['gather("oak")', 'craft("plank")', 'place("bench")']
    one, other = (Setting(craft_like(), seed=seed, done=done) for _ in range(2))
    if wished:
        one.curriculum.wish([Goal.parse('count("stick") >= 2 and near("bench")'), Goal.parse('Judged("so")')])
    for goal, status, kept in ended:
        one.ended(Task(Goal.parse(goal), "toy", 1, ""), status, "s" if kept else None)
    other.curriculum.load(json.loads(json.dumps(one.curriculum.save())))
    assert other.curriculum.save() == one.curriculum.save()
    for i in range(5):
        assert (
            one.propose(i, affordances=True) == one.propose(i, affordances=True) == other.propose(i, affordances=True)
        )


def test_its_search_is_charged() -> None:
    setting = Setting(craft_like(), done=['gather("oak")', 'craft("plank")'])
    ledger = Ledger(Budget(search_steps=1))
    with pytest.raises(BudgetExceeded):
        setting.curriculum.propose(0, Context(setting.world.spec, setting.world.observe()), [], [], ledger)
    assert ledger.spent.search_steps == 1


def test_a_task_is_told_in_the_words_that_are_read_back() -> None:
    setting = Setting(make_world([], wanted=[]))
    for goal, text in (('count("oak") >= 2', "have 2 oak"), ('count("oak") <= 3', "have at most 3 oak")):
        spec = craft_like().spec
        setting.world.spec = spec
        setting.book.look_at(spec)
        setting.curriculum.wishes = [Goal.parse(goal)]
        proposal = setting.propose()
        assert proposal is not None
        assert proposal.task.text == text
        assert words_to_goal(text, spec, setting.world.observe()) == Goal.parse(goal)


def test_what_a_proposer_is_told_comes_in_order_and_is_goals_only() -> None:
    setting = Setting(craft_like())
    goals = ['count("d") >= 1', 'count("a") >= 1', 'count("c") >= 1', 'count("b") >= 1']
    for goal, status in zip(goals, ("solved", "failed", "solved", "failed"), strict=True):
        setting.ended(Task(Goal.parse(goal), "toy", 0, ""), status, None)
    setting.ended(Task(Goal(), "toy", 0, "", "try", 'pick("x")'), "failed", None)
    setting.ended(Task(Goal.parse(goals[0]), "toy", 0, ""), "solved", None)  # once more

    def told(curriculum: Curriculum) -> tuple[list[str], list[str]]:
        return curriculum.goals(solved=True), curriculum.goals(solved=False)

    assert told(setting.curriculum) == ([goals[2], goals[0]], [goals[1], goals[3]])
    again = Setting(craft_like()).curriculum
    again.load(json.loads(json.dumps(setting.curriculum.save(), sort_keys=True)))
    assert told(again) == told(setting.curriculum)
    older = setting.curriculum.save()
    del older["ended"]
    again.load(older)
    assert told(again) == (sorted([goals[2], goals[0]]), sorted([goals[1], goals[3]]))
