"""What is learned of actions from what they did; and that a book read back goes on exactly as the one that wrote it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.agent.conftest import Rule, RuleWorld, craft_like, household, make_world

from habilis.agent.planning.lifting import lift
from habilis.agent.planning.regression import Regression
from habilis.agent.practice.inducing import Inducer
from habilis.core import (
    Action,
    Atom,
    Change,
    Condition,
    Contract,
    Effect,
    Fact,
    Goal,
    Outcome,
    Parameter,
    Predicate,
    Primitive,
    Snapshot,
    Step,
    Trajectory,
    WorldSpec,
    dump,
    load,
)
from habilis.memory.contracts import ContractBook
from habilis.memory.home import Home
from habilis.worlds.crafter import CrafterWorld
from habilis.worlds.household import HouseholdWorld

CRAFT, SILENT = craft_like(), craft_like(without=["reasons"])


def count(name: str) -> Fact:
    return Fact("count", (name,))


def at_least(name: str, n: int = 1) -> Atom:
    return Atom(count(name), ">=", n)


def holding(**amounts: int) -> Snapshot:
    return Snapshot({count(k): v for k, v in amounts.items()}, CRAFT.spec.tags)


def failed(*unmet: Atom) -> Outcome:
    return Outcome(False, unmet=unmet)


def did(*changes: tuple[str, int, int]) -> Outcome:
    return Outcome(True, tuple(Change(count(k), a, b) for k, a, b in changes))


STICK, STONE = Action("craft", ("stick",)), Action("gather", ("stone",))


@pytest.fixture
def book() -> ContractBook:
    return ContractBook(CRAFT.spec)


def conditions(book: ContractBook, action: Action) -> dict[str, float]:
    return {str(c.atom): c.consumed for c in book.contract(action).conditions}


# ---------------------------------------------------------------------- one action


def test_a_failure_adds_what_it_lists_and_refutes_what_it_leaves_out(book: ContractBook) -> None:
    book.observe(STICK, failed(at_least("plank", 2), at_least("glue")), holding())
    assert conditions(book, STICK) == {'count("glue") >= 1': 1.0, 'count("plank") >= 2': 2.0}
    # The list is complete: without glue at hand and no word of it, glue is not needed.
    book.observe(STICK, failed(at_least("plank", 2)), holding())
    assert conditions(book, STICK) == {'count("plank") >= 2': 2.0}
    # What holds need not be listed.
    book.observe(STICK, failed(at_least("paper")), holding(plank=2))
    assert set(conditions(book, STICK)) == {'count("plank") >= 2', 'count("paper") >= 1'}
    assert not book.tried(STICK)
    assert book.contract(STICK).failures == 3


def test_a_failure_without_reasons_teaches_no_condition(book: ContractBook) -> None:
    book.observe(STICK, failed(at_least("plank", 2)), holding())
    for silent in (Outcome(False), Outcome(False, unmet=())):
        book.observe(STICK, silent, holding())
    assert conditions(book, STICK) == {'count("plank") >= 2': 2.0}


def test_a_success_drops_what_did_not_hold_and_measures_what_was_used(book: ContractBook) -> None:
    book.observe(STICK, failed(at_least("plank", 2), at_least("axe"), at_least("glue")), holding())
    book.observe(STICK, did(("plank", 2, 0), ("stick", 0, 4)), holding(plank=2, axe=1))
    assert conditions(book, STICK) == {'count("axe") >= 1': 0.0, 'count("plank") >= 2': 2.0}
    contract = book.contract(STICK)
    assert all(c.known for c in contract.conditions)
    assert contract.effects == (Effect(count("stick"), 4.0, None, 1),)
    assert book.tried(STICK)
    assert [c.action for c in book.producers(count("stick"))] == [STICK]


def test_use_that_no_condition_explains_becomes_one(book: ContractBook) -> None:
    book.observe(STICK, did(("plank", 5, 3), ("stick", 0, 4)), holding(plank=5))
    assert conditions(book, STICK) == {'count("plank") >= 2': 2.0}


def test_a_tool_that_wears_out_is_kept(book: ContractBook) -> None:
    book.observe(STONE, failed(at_least("axe")), holding())
    assert conditions(book, STONE) == {'count("axe") >= 1': 1.0}  # until seen, it may be used up
    for use in range(1, 7):
        worn = (("axe", 1, 0),) if use % 3 == 0 else ()
        book.observe(STONE, did(("stone", use, use + 1), *worn), holding(axe=1))
    assert conditions(book, STONE)['count("axe") >= 1'] == pytest.approx(1 / 3, abs=1e-5)


def test_alternatives_widen_to_the_smallest_tag_that_holds_both() -> None:
    tags = {"#wood": ["ash", "oak", "elm"], "#ash_or_oak": ["ash", "oak"], "#thing": ["ash", "oak", "elm", "mud"]}
    world = make_world([Rule.of('craft("stick")')], start={'count("ash")': 9}, tags=tags)
    book = ContractBook(world.spec)

    def use(name: str) -> None:
        book.observe(STICK, did((name, 9, 8), ("stick", 0, 4)), Snapshot({count(name): 9}, world.spec.tags))

    use("ash")
    assert conditions(book, STICK) == {'count("ash") >= 1': 1.0}
    book.observe(
        STICK, did(("oak", 9, 8), ("stick", 0, 4)), Snapshot({count("ash"): 9, count("oak"): 9}, world.spec.tags)
    )
    for _ in range(3):
        use("oak")
        use("ash")
    assert list(conditions(book, STICK)) in (['count("#ash_or_oak") >= 1'], ['count("ash") >= 1'])


def test_a_tag_in_reasons_is_measured_over_its_members(book: ContractBook) -> None:
    plank = Action("craft", ("plank",))
    book.observe(plank, failed(at_least("#wood")), holding())
    book.observe(plank, did(("oak", 1, 0), ("plank", 0, 4)), holding(oak=1))
    book.observe(plank, did(("ash", 3, 2), ("plank", 0, 4)), holding(ash=3))
    assert conditions(book, plank) == {'count("#wood") >= 1': 1.0}


def test_an_upper_limit_is_no_consumption(book: ContractBook) -> None:
    full = Atom(count("load"), "<=", 5)
    book.observe(STONE, failed(full), holding(load=6))
    assert conditions(book, STONE) == {'count("load") <= 5': 0.0}
    # What is used up needs a lower limit of its own, though an upper one on the same thing is known.
    book.observe(STONE, did(("load", 3, 1), ("stone", 0, 1)), holding(load=3))
    assert conditions(book, STONE) == {'count("load") <= 5': 0.0, 'count("load") >= 2': 2.0}


def test_what_was_measured_outlives_another_amount(book: ContractBook) -> None:
    book.observe(STONE, failed(at_least("axe", 2)), holding())
    for _ in range(4):
        book.observe(STONE, did(("stone", 0, 1)), holding(axe=2))
    book.observe(STONE, failed(at_least("axe", 1)), holding())
    assert conditions(book, STONE) == {'count("axe") >= 1': 0.0}


def test_truth_values_are_effects() -> None:
    world = household()
    book = ContractBook(world.spec)
    before = world.observe()
    action = Action.parse('open("fridge")')
    book.observe(action, world.act(action), before)
    opened = Fact("is_open", ("fridge",))
    assert book.contract(action).effects == (Effect(opened, 0.0, True, 1),)
    close, before = Action.parse('close("fridge")'), world.observe()
    book.observe(close, world.act(close), before)
    assert [c.action for c in book.producers(opened, True)] == [action]
    assert [c.action for c in book.producers(opened, False)] == [close]


def test_seeking_changes_nothing_but_its_cost(book: ContractBook) -> None:
    find = Action("find", ("oak",))
    book.observe(find, Outcome(True, (Change(Fact("here", ("oak",)), 0, 4),), steps=7), holding())
    book.observe(find, Outcome(True, steps=3), holding())
    contract = book.contract(find)
    assert (contract.conditions, contract.effects, contract.cost, contract.successes) == ((), (), 5.0, 2)


def test_a_whole_trajectory_is_learned_step_by_step(book: ContractBook) -> None:
    book.observe(STICK, failed(at_least("plank", 2)), holding())
    steps = (
        Step(Action("craft", ("plank",)), did(("oak", 1, 0), ("plank", 0, 4))),
        Step(STICK, did(("plank", 4, 2), ("stick", 0, 4))),
        Step(STICK, did(("plank", 2, 0), ("stick", 4, 8))),
        Step(STICK, failed(at_least("plank", 2))),
    )
    book.learn(Trajectory(steps, before=holding(oak=1)))
    contract = book.contract(STICK)
    assert (contract.successes, contract.failures) == (2, 2)
    # Had the state not been followed, the second success would have refuted the planks.
    assert conditions(book, STICK) == {'count("plank") >= 2': 2.0}


# ---------------------------------------------------------------------- declared, predicted, instantiated


def recipe(name: str, used: str, made: int) -> Contract:
    return Contract(
        Action("craft", (name,)),
        CRAFT.spec.fingerprint,
        (Condition(at_least(used, 2), 2.0, True),),
        (Effect(count(name), made),),
        source="declared",
    )


def test_declaring_again_changes_nothing(book: ContractBook) -> None:
    book.declare([recipe("stick", "plank", 4)])
    version = book.version
    assert version > 0
    book.declare([recipe("stick", "plank", 4)])
    assert book.version == version
    assert book.contract(STICK).source == "declared"


def test_what_was_refuted_is_not_declared_back(book: ContractBook) -> None:
    wrong = recipe("stick", "gold", 4)
    book.declare([wrong])
    book.observe(STICK, did(("plank", 2, 0), ("stick", 0, 4)), holding(plank=2))
    assert conditions(book, STICK) == {'count("plank") >= 2': 2.0}
    version = book.version
    book.declare([wrong])
    assert conditions(book, STICK) == {'count("plank") >= 2': 2.0}
    assert book.version == version


def test_a_told_effect_that_never_comes_fades(book: ContractBook) -> None:
    book.declare([recipe("stick", "plank", 4)], source="told")
    assert book.contract(STICK).effect_on(count("stick")) is not None
    for _ in range(3):
        book.observe(STICK, did(("plank", 2, 0), ("rope", 0, 1)), holding(plank=2))
    assert book.contract(STICK).effect_on(count("stick")) is None
    assert book.contract(STICK).effect_on(count("rope")) is not None


def test_a_rare_told_effect_is_given_time(book: ContractBook) -> None:
    leaves = Action("gather", ("leaves",))
    book.declare([Contract(leaves, "f", (), (Effect(count("apple"), 0.05),), source="told")])
    for _ in range(20):
        book.observe(leaves, did(("leaves", 0, 1)), holding())
    contract = book.contract(leaves)
    assert contract.effects == (Effect(count("apple"), 0.025), Effect(count("leaves"), 1.0, None, 20))
    assert book.take_dirty() == [contract]
    assert book.contract(leaves) == contract  # reading back fades no further


def test_declared_losses_lower(book: ContractBook) -> None:
    book.declare([Contract(STONE, "f", (), (Effect(count("dust"), -2.0),), source="declared")])
    assert [c.action for c in book.producers(count("dust"), False)] == [STONE]
    assert book.producers(count("dust"), True) == []


def test_a_never_tried_action_is_predicted_from_its_siblings(book: ContractBook) -> None:
    for i, name in enumerate(("stone", "iron", "gold")):
        action = Action("gather", (name,))
        book.observe(action, failed(at_least("axe")), holding())
        for use in range(3):  # how soon the axe breaks differs from one to the next
            worn = (("axe", 1, 0),) if use == 2 and i else ()
            book.observe(action, did((name, 0, 1), *worn), holding(axe=1))
    new = Action("gather", ("copper",))
    predicted = book.contract(new)
    assert new not in book
    assert [(str(c.atom), c.consumed < 0.5) for c in predicted.conditions] == [('count("axe") >= 1', True)]
    assert [str(e.fact) for e in predicted.effects] == ['count("copper")']
    assert book.producers(count("copper")) == []  # what is only predicted is for whoever is afforded it
    # One sibling is no family.
    assert not book.contract(Action("craft", ("rope",))).effects


LIFTED = Contract(
    Action("move", ("$0", "$1", "$2")),
    "f",
    (Condition(Atom(Fact("at", ("$0", "$1")))),),
    (Effect(Fact("at", ("$0", "$2")), value=True), Effect(Fact("at", ("$0", "$1")), value=False)),
    source="declared",
)
ROOMS = make_world([], start={'at("box", "hall")': True, 'at("cat", "attic")': True})
MOVING = make_world([Rule.of('move("a", "b", "c")')], name="moving").spec


def test_a_lifted_contract_is_filled_in_from_what_is_seen() -> None:
    book = ContractBook(MOVING)
    book.declare([LIFTED])
    version = book.version
    book.declare([LIFTED])
    assert book.version == version
    found = book.instances(Fact("at", ("box", "cellar")), True, ROOMS.facts)
    assert [str(c.action) for c in found] == ['move("box", "hall", "cellar")']
    assert [str(c.atom) for c in found[0].conditions] == ['at("box", "hall")']
    assert book.instances(Fact("at", ("dog", "cellar")), True, ROOMS.facts) == []


def test_a_lifted_effect_without_arguments_is_filled_in_too() -> None:
    spec = make_world([Rule.of('unlock("key")')]).spec
    book = ContractBook(spec)
    book.declare(
        [
            Contract(
                Action("unlock", ("$0",)),
                "f",
                (Condition(Atom(Fact("fits", ("$0",)))),),
                (Effect(Fact("open"), value=True),),
                source="declared",
            )
        ]
    )
    found = book.instances(Fact("open"), True, {Fact("fits", ("brass",)): True, Fact("fits", ("tin",)): False})
    assert [str(c.action) for c in found] == ['unlock("brass")']


def test_a_failure_amends_an_instance_of_a_lifted_contract() -> None:
    book = ContractBook(MOVING)
    book.declare([LIFTED])
    action = Action("move", ("box", "hall", "cellar"))
    light = Atom(Fact("lit", ("cellar",)))
    book.observe(action, failed(light), Snapshot(ROOMS.facts))
    contract = book.contract(action)
    assert {str(c.atom) for c in contract.conditions} == {'at("box", "hall")', 'lit("cellar")'}
    assert contract.effect_on(Fact("at", ("box", "cellar"))) is not None
    assert [c.action for c in book.producers(Fact("at", ("box", "cellar")))] == [action]


# ---------------------------------------------------------------------- read back


def _walk(world: RuleWorld, picks: list[int]) -> Trajectory:
    """Actions chosen by numbers, in the world as it stands."""
    before, steps = world.observe(), []
    actions = [*world.affordances(), *(Action("find", (x,)) for x in ("ash", "oak", "stone"))]
    for pick in picks:
        action = actions[pick % len(actions)]
        steps.append(Step(action, world.act(action)))
    return Trajectory(tuple(steps), before=before)


def _behaviour(book: ContractBook, world: RuleWorld) -> object:
    facts = sorted({*book.produced(), *world.facts, *(c.atom.fact for k in book for c in k.conditions)}, key=str)
    unknown = [Action(p.name, tuple(f"new{i}" for i in range(len(p.parameters)))) for p in world.spec.primitives]
    return (
        book.version,
        [repr(c) for c in book],
        list(map(str, book.produced())),
        [(str(f), up, [repr(c) for c in book.producers(f, up)]) for f in facts for up in (True, False)],
        [repr(book.predicted(a)) for a in unknown],
        [[repr(c) for c in book.instances(f, True, world.facts)] for f in facts],
    )


_NAMES = ("ash", "oak", "plank")
_FACTS = [count(n) for n in _NAMES] + [Fact("near", (n,)) for n in _NAMES] + [Fact("here", ("ash",))]
_ATOMS = st.one_of(
    st.builds(
        Atom,
        st.sampled_from([*_FACTS[:3], _FACTS[-1], count("#wood")]),
        st.sampled_from([">=", "<="]),
        st.integers(1, 3),
    ),
    st.builds(Atom, st.sampled_from(_FACTS[3:-1]), st.just("=="), st.booleans()),
)
_VALUES = st.fixed_dictionaries(
    {}, optional={f: st.booleans() if f.predicate == "near" else st.integers(0, 5) for f in _FACTS}
)


@st.composite
def _steps(draw: st.DrawFn) -> tuple[Action, Outcome, Snapshot]:
    """Anything that a world might answer, regular or not."""
    names = st.sampled_from(_NAMES)
    action = draw(st.builds(lambda p, n: Action(p, (n,)), st.sampled_from(["craft", "gather", "find"]), names))
    before = draw(_VALUES)
    steps = draw(st.integers(1, 9))
    if draw(st.integers(0, 2)) == 0:
        unmet = draw(st.none() | st.lists(_ATOMS, max_size=3).map(tuple))
        return action, Outcome(False, unmet=unmet, steps=steps), Snapshot(before, CRAFT.spec.tags)
    after = {**before, **draw(_VALUES)}
    changes = tuple(
        Change(f, before.get(f, False if f.predicate == "near" else 0), v)
        for f, v in after.items()
        if before.get(f) != v
    )
    return action, Outcome(True, changes, steps=steps), Snapshot(before, CRAFT.spec.tags)


_DECLARED = st.builds(
    lambda n, made, needs: Contract(
        Action("craft", (n,)),
        "f",
        tuple(Condition(a, float(a.value)) for a in needs if a.is_numeric),
        (Effect(count(n), made), Effect(Fact("near", (n,)), value=True)),
        source="declared",
    ),
    st.sampled_from([*_NAMES, "$0"]),
    st.sampled_from([1.0, 4.0, 0.05, -1.0]),
    st.lists(_ATOMS, max_size=2),
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    episodes=st.lists(st.tuples(st.none() | _DECLARED, st.lists(_steps(), max_size=8)), min_size=2, max_size=5),
    data=st.data(),
)
def test_a_book_read_back_goes_on_as_the_one_that_wrote_it(
    episodes: list[tuple[Contract | None, list[tuple[Action, Outcome, Snapshot]]]], data: st.DataObject
) -> None:
    """After each episode one book may die and be read back from what was stored; nothing may tell the two apart."""
    world = data.draw(st.sampled_from([CRAFT, SILENT]))
    live, again = ContractBook(world.spec), ContractBook(world.spec)
    stored: dict[str, Contract] = {}
    lifted: list[Contract] = []
    for declared, steps in episodes:
        lifted += [declared] if declared is not None and "$0" in declared.action.args else []
        for book in (live, again):
            book.declare([declared] if declared is not None else [])
            for action, outcome, before in steps:
                book.observe(action, outcome, before)
            _behaviour(book, world)  # what it remembers of being asked must not show later
        fresh = live.take_dirty()
        assert again.take_dirty() == fresh
        assert [live.contract(c.action) for c in fresh] == fresh
        stored |= {str(c.action): load(Contract, dump(c)) for c in fresh}
        if data.draw(st.booleans(), label="killed"):
            version = again.version
            again = ContractBook(world.spec, [stored[k] for k in sorted(stored)])
            again.declare(lifted[-1:])
            again.version = version
        assert _behaviour(again, world) == _behaviour(live, world)


def test_what_was_predicted_before_a_book_is_stored_does_not_linger(book: ContractBook) -> None:
    new = Action("gather", ("copper",))
    for made in (1, 3):
        for name in ("stone", "iron"):
            book.observe(Action("gather", (name,)), did((name, 0, made)), holding())
        before = book.predicted(new)
    stored = book.take_dirty()
    assert book.predicted(new) == ContractBook(CRAFT.spec, stored).predicted(new) != before
    assert book.predicted(new).effects == (Effect(count("copper"), 2.0),)


def test_an_action_that_no_longer_does_a_thing_is_not_its_producer_in_any_book() -> None:
    world = household()
    lamp = Action.parse('open("fridge")')
    on = Fact("lit", ("fridge",))
    book = ContractBook(world.spec)
    for value in (True, False):  # a switch: what it does depends on what was
        book.observe(lamp, Outcome(True, (Change(on, not value, value),)), Snapshot({on: not value}))
    stored = book.take_dirty()
    assert on not in book.produced()
    assert book.produced() == ContractBook(world.spec, stored).produced()


def test_the_journal_keeps_a_book(tmp_path: Path) -> None:
    world = craft_like()
    book = ContractBook(world.spec)
    world.facts |= {count("oak"): 9, count("plank"): 9, count("stick"): 9, count("axe"): 1}
    book.learn(_walk(world, list(range(40))))
    with Home.open(tmp_path / "home") as home:
        home.journal.put_contracts(book.take_dirty())
        assert book.take_dirty() == []
    with Home.open(tmp_path / "home") as home:
        again = ContractBook(world.spec, home.journal.contracts(world.spec.fingerprint))
    again.version = book.version
    assert len(again) > 9
    assert _behaviour(again, world) == _behaviour(book, world)


def test_forgetting_drops_all_but_never_turns_the_version_back(book: ContractBook) -> None:
    book.observe(STICK, did(("plank", 2, 0), ("stick", 0, 4)), holding(plank=2))
    version = book.version
    book.forget()
    assert len(book) == 0
    assert book.produced() == []
    assert book.version == version + 1
    assert (book.take_dirty(), book.predicted(STICK).effects) == ([], ())
    assert Goal.parse('count("stick") >= 1').unmet(holding())  # the world itself forgets nothing


# -- a world of orders, which gives no reasons: words stand for each other -------------------------------------------

_WORD = Parameter("thing")
_SPEC = WorldSpec(
    "orders",
    "Things to find and take.",
    (
        Primitive("go_to", "Go.", (_WORD,), seeks="before", stops="barred"),
        Primitive("take", "Take it.", (_WORD,)),
    ),
    (
        Predicate("before", "", (_WORD,)),
        Predicate("barred", "", (_WORD,)),
        Predicate("went", "", (_WORD,), past=True),
        Predicate("took", "", (_WORD,), past=True),
        Predicate("free", ""),
    ),
    "orders-1",
    capabilities=frozenset({"orders"}),
)
_FREE = Fact("free")


def _state(*facts: str) -> Snapshot:
    return Snapshot({Fact.parse(f): True for f in facts})


def _became(*facts: str) -> Outcome:
    return Outcome(True, tuple(Change(Fact.parse(f), False, True) for f in facts))


def _take(word: str) -> Action:
    return Action("take", (word,))


def test_what_lasts_of_looking_for_something_is_learned() -> None:
    book = ContractBook(_SPEC)
    go = Action("go_to", ("ball",))
    book.observe(go, _became('before("ball")', 'went("ball")', 'barred("ball")', 'went("box")'), _state())
    assert [str(e.fact) for e in book.contract(go).effects] == ['went("ball")']


def test_what_came_in_sight_is_not_brought_about_by_looking() -> None:
    spec, find = HouseholdWorld(size=0.1).spec, Action("find", ("cup_1",))
    seen = ['inside("cup_1", "cupboard_1")', 'inside("cup_1", "cupboard_2")', 'dirty("cup_1")']
    book = ContractBook(spec)
    for fact in seen:
        book.observe(find, _became(fact), _state())
    assert book.tried(find)
    earlier = replace(book.contract(find), effects=tuple(Effect(Fact.parse(f), value=True, seen=1) for f in seen))
    for known in (book, ContractBook(spec, [earlier])):
        assert all(find not in [c.action for c in known.producers(Fact.parse(f))] for f in seen)


def test_what_tells_of_the_past_or_of_a_way_is_never_needed() -> None:
    book = ContractBook(_SPEC)
    book.observe(_take("ball"), _became('took("ball")'), _state('before("ball")', 'barred("ball")', 'went("ball")'))
    book.observe(_take("ball"), Outcome(False), _state())
    assert [str(c.atom) for c in book.contract(_take("ball")).conditions] == ['before("ball")']
    inducer = Inducer(_SPEC)
    for n in range(12):
        facts = ['before("ball")', 'barred("ball")', 'went("ball")'] if n % 2 else []
        inducer.take(_take("ball"), _state(*facts), _became('took("ball")') if facts else Outcome(False))
    assert [str(a) for a in inducer.needs(_take("ball"))] == ['before("ball")']


def _sure(book: ContractBook, word: str, free: bool) -> None:
    """An action that has worked, and of which is known what it needs: to stand before the thing, or to be free too."""
    needs = [f'before("{word}")', *(["free()"] if free else [])]
    for _ in range(4):
        book.observe(_take(word), _became(f'took("{word}")'), _state(f'before("{word}")', "free()"))
    book.revise(_take(word), [Atom.parse(n) for n in needs], 0.9)


def test_what_siblings_need_all_need_that_were_not_seen_without() -> None:
    book = ContractBook(_SPEC)
    for word, free in (("ball", True), ("box", True), ("key", False), ("lamp", False), ("ring", False), ("cup", False)):
        _sure(book, word, free)
    assert Atom(_FREE) in [c.atom for c in book.predicted(_take("red key")).conditions]
    assert Atom(_FREE) in [c.atom for c in book.contract(_take("key")).conditions]
    assert book.predicted(_take("red key")).chance == pytest.approx(0.9)
    for _ in range(6):  # one of them does without
        book.observe(_take("cup"), _became('took("cup")'), _state('before("cup")'))
    assert Atom(_FREE) not in [c.atom for c in book.predicted(_take("red key")).conditions]
    assert Atom(_FREE) not in [c.atom for c in book.contract(_take("cup")).conditions]


def test_an_action_that_has_only_failed_is_like_its_siblings() -> None:
    book = ContractBook(_SPEC)
    for word in ("ball", "box"):
        _sure(book, word, True)
    for _ in range(5):
        book.observe(_take("key"), Outcome(False), _state())
    assert not book.understands(_take("key"))
    assert [str(e.fact) for e in book.contract(_take("key")).effects] == ['took("key")']
    book.observe(_take("key"), _became('took("key")'), _state('before("key")'))
    assert book.understands(_take("key"))
    told = ContractBook(CRAFT.spec)
    told.observe(STICK, failed(at_least("planks")), holding())
    assert told.understands(STICK)  # with reasons, a failure teaches


def test_what_is_stored_is_what_was_seen_and_not_what_siblings_tell() -> None:
    book = ContractBook(_SPEC)
    for word, free in (("ball", True), ("box", True), ("key", False)):
        _sure(book, word, free)
    stored = {c.action: c for c in book.take_dirty()}
    assert [str(c.atom) for c in stored[_take("key")].conditions] == ['before("key")']
    again = ContractBook(_SPEC, [load(Contract, dump(c)) for c in stored.values()])
    assert again.contract(_take("key")) == book.contract(_take("key"))


def test_of_one_primitive_the_action_that_names_the_thing_is_meant() -> None:
    book = ContractBook(_SPEC)
    _sure(book, "ball", True)
    _sure(book, "red ball", True)
    for _ in range(3):  # the ball happened to be the red one
        book.observe(_take("ball"), _became('took("ball")', 'took("red ball")'), _state('before("ball")', "free()"))
    way = Regression(book, _SPEC, facts=_state("free()").facts).solve(Fact("took", ("red ball",)))
    assert way is not None
    assert way.contract is not None
    assert way.contract.action == _take("red ball")


def test_a_program_for_an_order_takes_its_words_as_parameters() -> None:
    book = ContractBook(_SPEC)
    goal = Goal.parse('took("red ball")')
    _sure(book, "ball", False)
    assert lift(Regression(book, _SPEC), goal) is None  # of one word alone nothing follows for others
    _sure(book, "box", False)
    draft = lift(Regression(book, _SPEC), goal)
    assert draft is not None
    assert [(p.name, p.default) for p in draft.program.parameters] == [("thing", "red ball")]
    assert draft.goal_template == 'took("{thing}")'
    assert "red ball" not in draft.program.source.split("\n", 1)[1]
    assert "world.take(thing)" in draft.program.source
    plain = replace(_SPEC, capabilities=frozenset())
    assert lift(Regression(ContractBook(plain), plain), goal) is None


def test_what_is_in_the_way_is_removed_with_what_that_needs() -> None:
    book = ContractBook(_SPEC)
    for word in ("ball", "box"):
        _sure(book, word, True)
        for _ in range(6):
            gone = Change(Fact("barred", (word,)), True, False)
            took = _became(f'took("{word}")')
            book.observe(
                _take(word), replace(took, changes=(*took.changes, gone)), _state(f'before("{word}")', "free()")
            )
    rest = Action("rest")
    book.declare([Contract(rest, _SPEC.fingerprint, (), (Effect(_FREE, value=True),))])
    draft = lift(Regression(book, _SPEC), Goal.parse('took("key")'))
    assert draft is not None
    source = draft.program.source
    assert 'remove = {"ball": remove_ball, "box": remove_box}' in source
    assert source.index("if not world.free():") < source.index("world.take(obstacle)")
    assert "clear_way(world.go_to, thing)" in source


def test_what_was_found_to_be_needed_becomes_a_need_of_its_kind_where_another_of_it_will_do() -> None:
    spec = CrafterWorld().spec
    book, table = ContractBook(spec), Action("place", ("table",))

    def put(on: str) -> None:
        facing, wood = Fact("facing", (on,)), count("wood")
        before = Snapshot({facing: True, wood: 9}, spec.tags)
        changes = (Change(wood, 9, 8), Change(facing, True, False), Change(Fact("facing", ("table",)), False, True))
        book.observe(table, Outcome(True, changes=changes), before)

    def needs() -> list[str]:
        return [str(c.atom) for c in book.contract(table).conditions]

    put("grass")
    book.revise(table, [Atom(Fact("facing", ("grass",)), "==", True)], 0.98)
    put("grass")
    assert needs() == ['count("wood") >= 1', 'facing("grass")']
    put("sand")
    assert needs() == ['count("wood") >= 1', 'facing("#ground")']
    put("path")
    assert needs() == ['count("wood") >= 1', 'facing("#ground")']
    put("water")
    assert needs() == ['count("wood") >= 1']
