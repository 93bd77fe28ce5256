"""Regression over contracts: what is in reach, how cheaply, and that every plan comes to an end."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.agent.conftest import craft_like, make_world

from habilis.agent.planning.meter import SearchMeter
from habilis.agent.planning.regression import Regression, Source, Way, direction, skills_by_fact
from habilis.core import (
    Action,
    Atom,
    Budget,
    BudgetExceeded,
    Condition,
    Contract,
    Effect,
    Fact,
    Ledger,
    Outcome,
    Parameter,
    Primitive,
    Skill,
    Snapshot,
)
from habilis.memory.contracts import ContractBook
from habilis.testing.journal import example_skill


def have(name: str) -> Fact:
    return Fact("have", (name,))


def contract(name: str, needs: Sequence[str], gives: str, cost: float = 1.0) -> Contract:
    """Truth values only: its cost is its own steps and those of all that it needs."""
    return Contract(
        Action("do", (name,)),
        "f",
        tuple(Condition(Atom(have(n))) for n in needs),
        (Effect(have(gives), value=True, seen=1),),
        successes=1,
        cost=cost,
    )


TRUTHS = make_world([], start={'have("x")': True}, tags={"#ab": ["a", "b"]}).spec


def regression(contracts: Sequence[Contract], **options: object) -> Regression:
    return Regression(ContractBook(TRUTHS, contracts), TRUTHS, **options)  # type: ignore[arg-type]


def fallback_free(way: Way) -> list[Way]:
    return [c for _, c in way.needs]


def assert_ends(way: Way, above: frozenset[object] = frozenset()) -> None:
    """No fact is needed, at any depth, for bringing itself about."""
    assert way.wanted not in above
    for below in fallback_free(way):
        assert_ends(below, above | {way.wanted})


def test_a_chain_is_solved_and_a_gap_is_not() -> None:
    known = regression([contract("1", [], "a"), contract("2", ["a"], "b"), contract("3", ["b", "gold"], "c")])
    way = known.solve(have("b"))
    assert way is not None
    assert way.contract is not None
    assert (way.kind, way.contract.action, way.height) == ("act", Action("do", ("2",)), 2)
    assert known.solve(have("c")) is None
    assert known.solve(have("never heard of")) is None


def test_a_circle_is_no_way() -> None:
    circle = [contract("1", ["b"], "a"), contract("2", ["a"], "b")]
    assert regression(circle).solve(have("a")) is None
    known = regression([*circle, contract("3", [], "b")])
    assert known.solve(have("a")) is not None
    assert known.solve(have("b")) is not None


def test_a_failure_inside_a_circle_is_not_remembered_against_others() -> None:
    # Seen from a, c fails since it needs a; seen from elsewhere, a comes from d and c is in reach.
    known = regression(
        [contract("1", ["c"], "a", 1), contract("2", ["a"], "c"), contract("3", ["d"], "a", 50), contract("4", [], "d")]
    )
    assert known.solve(have("a")) is not None
    assert known.solve(have("c")) is not None


def test_the_cheapest_alternative_is_taken() -> None:
    way = regression([contract("1", [], "a", 9), contract("2", ["b"], "a"), contract("3", [], "b", 3)]).solve(have("a"))
    assert way is not None
    assert way.contract is not None
    assert way.contract.action == Action("do", ("2",))


def test_what_falls_is_brought_about_by_what_lowers_it() -> None:
    shut = Contract(Action("do", ("shut",)), "f", (), (Effect(have("open"), value=False, seen=1),), 1)
    known = regression([contract("1", [], "open"), shut])
    up, down = known.solve(have("open")), known.solve(have("open"), False)
    actions = [c.contract.action.args[0] for c in (up, down) if c is not None and c.contract is not None]
    assert actions == ["1", "shut"]


def test_a_tag_is_any_of_its_members() -> None:
    known = regression([contract("1", [], "a", 4), contract("2", [], "b", 3), contract("3", [], "c", 1)])
    way = known.solve(have("#ab"))
    assert way is not None
    assert way.kind == "any"
    assert [o.wanted[0] for o in way.options] == [have("b"), have("a")]
    assert regression([contract("3", [], "c")]).solve(have("#ab")) is None


def test_a_known_skill_is_a_leaf() -> None:
    skill = example_skill("make_b", goal='have("b")', parameters=())
    known = regression([contract("2", ["b"], "a")], skills=skills_by_fact([skill]))
    way = known.solve(have("a"))
    assert way is not None
    assert [c.kind for c in fallback_free(way)] == ["skill"]


def test_what_holds_and_nothing_brings_about_is_taken_for_given() -> None:
    needs_key = [contract("1", ["key"], "a")]
    assert regression(needs_key).solve(have("a")) is None
    way = regression(needs_key, facts={have("key"): True}).solve(have("a"))
    assert way is not None
    assert [c.kind for c in fallback_free(way)] == ["given"]


def test_what_was_given_only_because_of_a_circle_is_not_remembered() -> None:
    # On the way to b, a may take b for given; on its own, a must know how to get b.
    known = regression(
        [
            contract("1", ["a"], "b", 1),
            contract("2", ["b"], "a"),
            contract("3", ["c"], "b", 50),
            contract("4", [], "c"),
        ],
        facts={have("b"): True},
    )
    assert known.solve(have("b")) is not None
    way = known.solve(have("a"))
    assert way is not None
    assert [c.kind for c in fallback_free(way)] == ["act"]


def test_seeking_and_what_to_do_where_nothing_is_found() -> None:
    world = craft_like()
    book = ContractBook(world.spec)
    here = Fact("here", ("oak",))
    seek = Regression(book, world.spec).solve(here)
    assert seek is not None
    assert (seek.kind, str(seek.seek), seek.fallback, seek.source) == ("seek", 'find("oak")', None, Source("oak"))
    plant = Action.parse('gather("oak")')  # stands for any action that puts the thing itself within reach
    for _ in range(2):
        changed = Outcome(True, world.act(Action("find", ("oak",))).changes)
        book.observe(plant, changed if changed.changes else Outcome(True), Snapshot())
        world.reset(1)
    seek = Regression(book, world.spec).solve(here)
    assert seek is not None
    assert seek.fallback is not None
    assert seek.fallback.contract is not None
    assert seek.fallback.contract.action == plant


def test_seekers_that_need_each_other_end() -> None:
    world = craft_like()
    book = ContractBook(world.spec)
    for one, other in (("oak", "ash"), ("ash", "oak")):
        lacks = Atom(Fact("near", (other,)))
        book.observe(Action("find", (one,)), Outcome(False, unmet=(lacks,)), Snapshot())
        step_to = Contract(
            Action("gather", (other,)),
            "f",
            (Condition(Atom(Fact("here", (other,)), ">=", 1)),),
            (Effect(Fact("near", (other,)), value=True),),
        )
        book.declare([step_to])
    known = Regression(book, world.spec)
    assert known.solve(Fact("near", ("oak",))) is None


def test_every_node_is_charged_and_the_ledger_ends_the_search() -> None:
    contracts = [contract(str(i), [f"f{i - 1}"] if i else [], f"f{i}") for i in range(50)]
    spent: list[int] = []
    known = regression(contracts, charge=spent.append)
    assert known.solve(have("f49")) is not None
    assert sum(spent) == known.nodes == 50
    known.solve(have("f49"))
    assert known.nodes == 51  # what was found is not searched again
    ledger = Ledger(Budget(search_steps=20))
    with pytest.raises(BudgetExceeded), SearchMeter(ledger) as meter:
        regression(contracts, charge=meter).solve(have("f49"))
    assert ledger.spent.search_steps == 20
    assert regression(contracts, max_nodes=10).solve(have("f49")) is None


def test_skills_by_fact_takes_the_cheapest_and_only_what_can_be_called_for_one_fact() -> None:
    def skill(name: str, goal: str, cost: float, *parameters: Parameter) -> Skill:
        made = example_skill(name, goal=goal, parameters=parameters)
        return Skill(**{**{f: getattr(made, f) for f in made.__dataclass_fields__}, "cost": cost})

    n = Parameter("n", "int", 1)
    found = skills_by_fact(
        [
            skill("dear", 'count("a") >= {n}', 9, n),
            skill("cheap", 'count("a") >= {n}', 2, n),
            skill("both", 'count("a") >= 1 and count("b") >= 1', 1),
            skill("other", 'count("c") >= {n}', 1, n, Parameter("where", "str", "x")),
            skill("none", 'not lit("a")', 1),
            skill("words", 'Judged("nice")', 1),
        ]
    )
    assert {(str(f), up): known.skill.name for (f, up), known in found.items()} == {
        ('count("a")', True): "cheap",
        ('lit("a")', False): "none",
    }


@pytest.mark.parametrize(
    ("text", "up"),
    [
        ('open("a")', True),
        ('not open("a")', False),
        ('open("a") != True', False),
        ('count("a") >= 1', True),
        ('count("a") > 1', True),
        ('count("a") <= 1', False),
        ('count("a") == 1', None),
    ],
)
def test_direction(text: str, up: bool | None) -> None:
    assert direction(Atom.parse(text)) is up


def moving(places: int, things: int) -> tuple[list[Contract], dict[Fact, bool]]:
    """Every thing can be moved between any two places, and take the name of any other: each fact needs most others."""

    def at(thing: int, place: int) -> Fact:
        return Fact("have", (f"{thing} at {place}",))

    contracts = []
    for thing, here, there in itertools.product(range(things), range(places), range(places)):
        if here != there:
            needs = (Condition(Atom(at(thing, here))), Condition(Atom(at(thing, there), "==", False)))
            effects = (Effect(at(thing, there), value=True), Effect(at(thing, here), value=False))
            contracts.append(Contract(Action("do", (f"move {thing} {here} {there}",)), "f", needs, effects))
    for thing, other, place in itertools.product(range(things), range(things), range(places)):
        if thing != other:
            needs = (Condition(Atom(at(thing, place))), Condition(Atom(at(other, place), "==", False)))
            effects = (Effect(at(other, place), value=True), Effect(at(thing, place), value=False))
            contracts.append(Contract(Action("do", (f"name {thing} {other} {place}",)), "f", needs, effects))
    return contracts, {at(thing, thing % places): True for thing in range(things)}


def test_facts_that_all_need_each_other_are_expanded_once_each() -> None:
    contracts, facts = moving(places=6, things=6)
    known = regression(contracts, facts=facts)
    way = known.solve(have("0 at 1"))
    assert way is not None
    assert way.contract is not None
    assert way.contract.action == Action("do", ("move 0 0 1",))
    assert {c.kind for _, c in way.needs} == {"given"}
    assert known.nodes <= 2 * 6 * 6
    assert_ends(way)


def test_where_too_much_hangs_together_what_holds_is_taken_for_given() -> None:
    for size, kind, most in ((900, "act", 901), (5_000, "given", 1_100)):
        chain = [contract(str(i), [f"f{i + 1}"], f"f{i}") for i in range(size)] + [contract("last", [], f"f{size}")]
        known = regression(chain, facts={have(f"f{i}"): True for i in range(1, size + 1)})
        way = known.solve(have("f0"))
        assert way is not None
        assert [c.kind for c in fallback_free(way)] == [kind]
        assert known.nodes <= most


def test_a_way_through_a_circle_that_starts_from_what_holds_is_found() -> None:
    # c needs b, b needs a, a needs c; a holds.
    circle = [contract("1", ["a"], "b"), contract("2", ["b"], "c"), contract("3", ["c"], "a")]
    assert regression(circle).solve(have("c")) is None
    way = regression(circle, facts={have("a"): True}).solve(have("c"))
    assert way is not None
    assert [c.wanted[0] for c in fallback_free(way)] == [have("b")]
    assert [(c.wanted[0], c.kind) for c in fallback_free(fallback_free(way)[0])] == [(have("a"), "given")]


def test_what_holds_already_adds_nothing_to_the_cost() -> None:
    acts = [contract("1", ["lamp"], "a", 2), contract("2", [], "a", 3), contract("3", [], "lamp", 9)]
    taken = {}
    for lit in (False, True):
        way = regression(acts, facts={have("lamp"): lit}).solve(have("a"))
        assert way is not None
        assert way.contract is not None
        taken[lit] = way.contract.action.args
        assert all(c.kind == "act" for c in fallback_free(way))  # it is guarded still: the skill is general
    assert taken == {False: ("2",), True: ("1",)}


def test_the_first_of_equal_ways_in_the_order_of_the_world_is_taken() -> None:
    done = Fact("done")
    for order in (("zip", "add"), ("add", "zip")):
        spec = replace(TRUTHS, primitives=tuple(Primitive(name, "") for name in order))
        acts = [Contract(Action(name), "f", (), (Effect(done, value=True),)) for name in ("add", "zip")]
        way = Regression(ContractBook(spec, acts), spec).solve(done)
        assert way is not None
        assert way.contract is not None
        assert way.contract.action == Action(order[0])


# ---------------------------------------------------------------------- against a solver that cannot be wrong

_FACTS = "abcdef"
_GRAPHS = st.lists(
    st.tuples(st.lists(st.sampled_from(_FACTS), max_size=3, unique=True), st.sampled_from(_FACTS), st.integers(1, 9)),
    max_size=12,
)


def _cost(needs: Sequence[float], own: float) -> float:
    return own + sum(0.3 * n for n in needs)  # truth values are kept, and so serve many times


def _cheapest(graph: list[tuple[list[str], str, int]]) -> dict[str, float]:
    """Bellman's iteration to the fixed point."""
    best: dict[str, float] = {}
    for _ in range(60):
        for needs, gives, own in graph:
            if gives not in needs and all(n in best for n in needs):
                best[gives] = min(best.get(gives, float("inf")), _cost([best[n] for n in needs], own))
    return best


@settings(max_examples=300, deadline=None)
@given(graph=_GRAPHS, order=st.permutations(_FACTS))
def test_against_brute_force(graph: list[tuple[list[str], str, int]], order: list[str]) -> None:
    contracts = [contract(str(i), needs, gives, own) for i, (needs, gives, own) in enumerate(graph)]
    known = regression(contracts)
    best = _cheapest(graph)
    for name in order:
        way = known.solve(have(name))
        assert (way is not None) == (name in best), name
        if way is None:
            continue
        assert_ends(way)
        assert way.contract is not None
        assert way.cost == pytest.approx(_cost([c.cost for c in fallback_free(way)], way.contract.cost))
        assert way.cost >= best[name] - 1e-9
        rank = {f: i for i, f in enumerate(_FACTS)}
        if all(rank[n] < rank[g] for needs, g, _ in graph for n in needs):
            assert way.cost == pytest.approx(best[name])


@settings(max_examples=200, deadline=None)
@given(graph=_GRAPHS)
def test_without_circles_the_cheapest_is_found(graph: list[tuple[list[str], str, int]]) -> None:
    layered = [([n for n in needs if n < gives], gives, own) for needs, gives, own in graph]
    known = regression([contract(str(i), n, g, c) for i, (n, g, c) in enumerate(layered)])
    best = _cheapest(layered)
    for name in reversed(_FACTS):
        way = known.solve(have(name))
        assert (way.cost if way is not None else None) == (pytest.approx(best[name]) if name in best else None)
    assert known.nodes <= len(_FACTS) * (1 + len(list(itertools.chain.from_iterable(n for n, _, _ in layered))))
