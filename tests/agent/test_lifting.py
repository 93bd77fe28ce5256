"""From contracts to programs: valid Python for any names, right from any state, general in the amount."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.agent.conftest import Rule, RuleWorld, craft_like, household, make_world

from habilis.agent.planning.lifting import lift, lift_action, skill_name
from habilis.agent.planning.regression import Regression
from habilis.core import (
    Action,
    Atom,
    Change,
    Condition,
    Contract,
    Draft,
    Effect,
    Fact,
    Goal,
    Observation,
    Outcome,
    Parameter,
    Predicate,
    Primitive,
    RunLimits,
    Snapshot,
    WorldSpec,
)
from habilis.memory.contracts import ContractBook
from habilis.worlds.runner import ConfinedRunner


def knowing(world: RuleWorld) -> ContractBook:
    """A book in which all rules of a world are declared."""
    book = ContractBook(world.spec)
    for rule in world.rules.values():
        used = {f: -n for f, n in rule.adds if n < 0}
        conditions = [Condition(a, float(used.get(a.fact, 0)), True) for a in rule.needs]
        effects = [Effect(f, float(n)) for f, n in rule.adds if n > 0 and f.predicate != "here"]
        effects += [Effect(f, value=v) for f, v in rule.sets]
        book.declare([Contract(rule.action, world.spec.fingerprint, tuple(conditions), tuple(effects))])
    return book


def drafted(world: RuleWorld, goal: str, **options: Any) -> Draft:
    draft = lift(Regression(knowing(world), world.spec, **options), Goal.parse(goal))
    assert draft is not None
    ast.parse(draft.program.source)
    return draft


def unmet(runner: ConfinedRunner, world: RuleWorld, draft: Draft, args: Mapping[str, Any], goal: str) -> str:
    """What the goal lacks after a run, and the program's error."""
    run = runner.run(draft.program, world, args=args, limits=RunLimits(world_steps=400))
    lacks = Goal.parse(goal).unmet(run.after)
    return f"{', '.join(map(str, lacks))}: {run.error}" if lacks else ""


@pytest.mark.parametrize("n", [1, 2, 5])
@pytest.mark.parametrize("item", ["plank", "stick", "axe", "stone_axe", "#wood"])
def test_a_program_makes_any_amount_from_nothing(runner: ConfinedRunner, item: str, n: int) -> None:
    world = craft_like()
    draft = drafted(world, f'count("{item}") >= 7')
    assert draft.args == {"n": 7}
    assert "7" not in draft.program.source  # the amount is a parameter
    assert draft.goal_template == f'count("{item}") >= {{n}}'
    assert unmet(runner, world, draft, {"n": n}, f'count("{item}") >= {n}') == ""


_BAG = st.dictionaries(
    st.sampled_from(["ash", "oak", "plank", "stick", "axe", "stone", "bench"]), st.integers(1, 9), max_size=7
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(bag=_BAG, placed=st.booleans(), n=st.integers(1, 4), seed=st.integers(0, 99))
def test_a_program_works_from_any_state(
    runner: ConfinedRunner, bag: dict[str, int], placed: bool, n: int, seed: int
) -> None:
    world = craft_like()
    draft = drafted(world, 'count("stone_axe") >= 1')
    world.reset(seed)
    world.facts |= {Fact("count", (k,)): v for k, v in bag.items()}
    if placed:
        world.facts[Fact("near", ("bench",))] = True
    assert unmet(runner, world, draft, {"n": n}, f'count("stone_axe") >= {n}') == ""


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    goal=st.sampled_from(
        [
            'at("apple", "table")',
            'at("cup", "fridge")',
            'holding("cup")',
            'not at("apple", "fridge")',
            'at("apple", "table") and at("cup", "fridge")',
            'is_open("fridge") and holding("apple")',
        ]
    ),
    opened=st.booleans(),
    done=st.booleans(),
)
def test_truth_values_are_brought_about_from_any_state(
    runner: ConfinedRunner, goal: str, opened: bool, done: bool
) -> None:
    world = household()
    draft = drafted(world, goal, facts=world.facts)
    assert (draft.goal_template, draft.args) == (goal, {})
    if opened:
        world.act(Action.parse('open("fridge")'))
    if done:  # then there is nothing to do
        assert unmet(runner, world, draft, {}, goal) == ""
    assert unmet(runner, world, draft, {}, goal) == ""


def test_what_must_be_there_at_the_start_is_kept_with_the_skill() -> None:
    world = household()
    assert lift(Regression(knowing(world), world.spec), Goal.parse('holding("apple")')) is None
    draft = drafted(world, 'holding("apple")', facts=world.facts)
    assert {'at("apple", "fridge")', "not busy()"} <= set(draft.needs)


def test_several_amounts_are_parameters_too(runner: ConfinedRunner) -> None:
    world = craft_like()
    draft = drafted(world, 'count("stick") >= 6 and count("plank") >= 2')
    assert draft.goal_template == 'count("stick") >= {n1} and count("plank") >= {n2}'
    assert draft.args == {"n1": 6, "n2": 2}
    assert [(p.name, p.default) for p in draft.program.parameters] == [("n1", 1), ("n2", 1)]
    for stick, plank in ((6, 2), (1, 9), (3, 0)):
        world.reset(stick)
        goal = f'count("stick") >= {stick} and count("plank") >= {plank}'
        assert unmet(runner, world, draft, {"n1": stick, "n2": plank}, goal) == ""


def test_less_is_a_parameter_too(runner: ConfinedRunner) -> None:
    rules = [Rule.of('eat("fig")', 'count("fig") >= 1', adds={'count("fig")': -1})]
    world = make_world(rules, start={'count("fig")': 9})
    book = ContractBook(world.spec)
    book.declare([Contract(Action("eat", ("fig",)), "toy-1", (), (Effect(Fact("count", ("fig",)), -1.0),))])
    draft = lift(Regression(book, world.spec), Goal.parse('count("fig") < 7'))
    assert draft is not None
    assert draft.goal_template == 'count("fig") <= {n}'
    assert draft.args == {"n": 6}
    assert unmet(runner, world, draft, {"n": 2}, 'count("fig") <= 2') == ""


def test_what_must_be_there_may_be_more_than_what_is_used(runner: ConfinedRunner) -> None:
    world = make_world(
        [
            Rule.of('draw("water")', adds={'count("water")': 1}),
            Rule.of('brew("tea")', 'count("water") >= 3', adds={'count("water")': -1, 'count("tea")': 1}),
        ]
    )
    draft = drafted(world, 'count("tea") >= 1')
    for n in (1, 2, 5):
        world.reset(0)
        assert unmet(runner, world, draft, {"n": n}, f'count("tea") >= {n}') == ""


def test_what_no_contract_leads_to_gives_no_program() -> None:
    world = craft_like()
    known = Regression(knowing(world), world.spec)
    assert lift(known, Goal.parse('count("gold") >= 1')) is None
    assert lift(known, Goal.parse('count("stick") >= 1 and count("gold") >= 1')) is None
    assert lift(known, Goal.parse('count("stick") == 1')) is None
    assert lift(known, Goal()) is None


def test_an_action_is_tried_after_what_it_needs(runner: ConfinedRunner) -> None:
    world = craft_like()
    draft = lift_action(Regression(knowing(world), world.spec), Action.parse('craft("stone_axe")'))
    assert draft is not None
    assert draft.goal_template == ""
    assert unmet(runner, world, draft, {}, 'count("stone_axe") >= 1') == ""


# ---------------------------------------------------------------------- names

_PREDICATES = (
    Predicate("count", "", (Parameter("a"),), numeric=True, phrase="have {value} {0}"),
    Predicate("on", "", (Parameter("a"), Parameter("b")), phrase="put {0} on {1}"),
    Predicate("in", "", (Parameter("a"), Parameter("b"))),
    Predicate("bare", "", (Parameter("a"),), phrase="{0}"),
    Predicate("in_red", "", (Parameter("a"),)),
    Predicate("open", ""),
)
_SPEC = WorldSpec("names", "", (), _PREDICATES, "f")
_ODD = "oak Oak any_oak #oak oak_log oak-log oak:log class in None n times world 7up 7 _ größe 木 ﬁg ² red a_on_b b a"
_WORDS = st.sampled_from([*_ODD.split(" "), "", "oak log", 'say "hi"', "a\\b"]) | st.text(max_size=6)
_FACTS = st.one_of(
    st.builds(lambda p, a: Fact(p, (a,)), st.sampled_from(["count", "bare", "in_red"]), _WORDS | st.integers(-9, 9)),
    st.builds(lambda p, a, b: Fact(p, (a, b)), st.sampled_from(["on", "in"]), _WORDS, _WORDS),
)


@settings(max_examples=400, deadline=None)
@given(one=_FACTS, other=_FACTS)
@example(Fact("bare", (1,)), Fact("bare", (-1,)))
@example(Fact("in", ("a", "b_c")), Fact("in", ("a_b", "c")))
@example(Fact("in", ("red", "x")), Fact("in_red", ("x",)))
@example(Fact("count", ("#oak",)), Fact("count", ("any_oak",)))
def test_names_are_valid_and_no_two_facts_share_one(one: Fact, other: Fact) -> None:
    for fact in (one, other):
        for up in (True, False):
            name = skill_name(_SPEC, fact, up)
            tree = ast.parse(f"def {name}():\n    pass\n")
            assert isinstance(tree.body[0], ast.FunctionDef)
            assert tree.body[0].name == name  # Python folds some letters; the name must not change by it
            assert name not in {"world", "skills", "tools", "n", "times", "missing", "found", "max", "int"}
        assert skill_name(_SPEC, fact, True) != skill_name(_SPEC, fact, False)
    assert one == other or skill_name(_SPEC, one) != skill_name(_SPEC, other)


def test_plain_names_stay_plain() -> None:
    craft = craft_like().spec
    assert skill_name(craft, Fact("count", ("stone_axe",))) == "have_stone_axe"
    assert skill_name(craft, Fact("count", ("#wood",))) == "have_any_wood"
    assert skill_name(craft, Fact("near", ("bench",))) == "be_near_bench"
    assert skill_name(household().spec, Fact("at", ("apple", "table"))) == "make_at_apple_table"
    assert skill_name(household().spec, Fact("at", ("apple", "table")), False) == "undo_make_at_apple_table"


@pytest.mark.parametrize(
    "name",
    ["minecraft:oak", "größe", "class", 'a "quoted" one', "back\\slash", "new\nline", "7up", "nul\0", "{n}x"],
)
def test_things_of_any_name_are_made(runner: ConfinedRunner, name: str) -> None:
    world = make_world(
        [
            Rule(Action("pick", (name,)), adds=((Fact("count", (name,)), 1),)),
            Rule(
                Action("craft", (name, "x")),
                (Atom(Fact("count", (name,)), ">=", 2),),
                ((Fact("count", (name,)), -2), (Fact("count", (f"{name}!",)), 1)),
            ),
        ],
        tags={"#all": [name, "other"]},
    )
    for item in (name, f"{name}!"):
        goal = Goal((Atom(Fact("count", (item,)), ">=", 1),))
        draft = lift(Regression(knowing(world), world.spec), goal)
        assert draft is not None
        world.reset(0)
        run = runner.run(draft.program, world, args={"n": 3})
        assert run.error is None
        assert run.after.value(Fact("count", (item,))) == 3
    tried = lift_action(Regression(knowing(world), world.spec), Action("craft", (name, "x")))
    assert tried is not None
    assert runner.run(tried.program, world).error is None


class Shore:
    """A line of twelve places. A lamp is made of a cord beside a bench and a fire; both can be put where one stands, of
    a board each, and stand far apart at first."""

    spec = WorldSpec(
        "shore",
        "A shore.",
        (
            Primitive("go", "Go to one that stands somewhere.", (Parameter("thing"),), seeks="near"),
            Primitive("take", "Take a board or a cord.", (Parameter("thing"),)),
            Primitive("put", "Put one here.", (Parameter("thing"),)),
            Primitive("make", "Make a lamp."),
        ),
        (
            Predicate("near", "what stands here", (Parameter("thing"),)),
            Predicate("count", "what one has", (Parameter("thing"),), numeric=True),
        ),
        "shore-1",
    )

    def __init__(self, **stands: int) -> None:
        self.at, self.stands, self.have = (
            5,
            {k: [v] for k, v in stands.items()},
            dict.fromkeys(("board", "cord", "lamp"), 0),
        )

    def reset(self, seed: int) -> Observation:
        return self.observe()

    def observe(self) -> Observation:
        facts: dict[Fact, Any] = {Fact("near", (k,)): True for k, where in self.stands.items() if self.at in where}
        return Snapshot(facts | {Fact("count", (k,)): n for k, n in self.have.items() if n})

    def act(self, action: Action) -> Outcome:
        before = self.observe().facts
        ok = getattr(self, f"_{action.name}")(*action.args)
        after = self.observe().facts
        changes = [
            Change(f, before.get(f, False if v is True else 0), v) for f, v in after.items() if before.get(f) != v
        ]
        changes += [Change(f, v, False if v is True else 0) for f, v in before.items() if f not in after]
        return Outcome(ok, tuple(changes))

    def _go(self, thing: str) -> bool:
        where = self.stands.get(thing, [])
        self.at = min(where, key=lambda x: abs(x - self.at)) if where else self.at
        return bool(where)

    def _take(self, thing: str) -> bool:
        self.have[thing] += 1
        self.at = 5
        return True

    def _put(self, thing: str) -> bool:
        ok = self.have["board"] > 0
        if ok:
            self.have["board"] -= 1
            self.stands.setdefault(thing, []).append(self.at)
        return ok

    def _make(self) -> bool:
        ok = self.have["cord"] > 0 and all(self.at in self.stands.get(k, []) for k in ("bench", "fire"))
        self.have["cord"] -= ok
        self.have["lamp"] += ok
        return ok


@pytest.mark.parametrize("stands", [{}, {"bench": 0}, {"bench": 0, "fire": 11}, {"bench": 3, "fire": 3}])
def test_what_needs_two_places_at_once_is_done_where_both_are_brought_together(
    runner: ConfinedRunner, stands: dict[str, int]
) -> None:
    """Going from one to the other and back would never end."""

    def fact(name: str, thing: str) -> Fact:
        return Fact(name, (thing,))

    def has(thing: str) -> Condition:
        return Condition(Atom(fact("count", thing), ">=", 1), 1.0)

    def known(action: str, needs: tuple[Condition, ...], *effects: Effect) -> Contract:
        return Contract(Action.parse(action), "shore-1", needs, effects, successes=4)

    both = (Condition(Atom(fact("near", "bench"))), Condition(Atom(fact("near", "fire"))))
    book = ContractBook(Shore.spec)
    book.declare(
        [
            *(known(f'take("{k}")', (), Effect(fact("count", k), 1.0)) for k in ("board", "cord")),
            *(known(f'put("{k}")', (has("board"),), Effect(fact("near", k), value=True)) for k in ("bench", "fire")),
            known("make()", (has("cord"), *both), Effect(fact("count", "lamp"), 1.0)),
        ]
    )
    draft = lift(Regression(book, Shore.spec), Goal.parse('count("lamp") >= 1'))
    assert draft is not None
    world = Shore(**stands)
    run = runner.run(draft.program, world, args={"n": 2}, limits=RunLimits(world_steps=60))
    assert run.error is None
    assert world.have["lamp"] == 2
    assert sum(map(len, world.stands.values())) <= max(2, len(stands) + 1), "no more was put than is needed"
