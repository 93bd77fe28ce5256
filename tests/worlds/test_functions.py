"""Worlds from plain functions: facts from what is observed, primitives from hints, contracts from text."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from habilis.core import (
    Action,
    Atom,
    BudgetExceeded,
    Change,
    DefinitionError,
    DuplicateNameError,
    Fact,
    InputError,
    WorldError,
)
from habilis.testing.worlds import check_world
from habilis.worlds import FunctionWorld, Unmet, action, from_functions


def garden(leaves: int = 0) -> FunctionWorld:
    """Rake leaves, burn three of them, carry pots between two places."""
    state: dict[str, Any] = {"leaf": leaves, "pots": {"red": "shed", "blue": "bed"}, "fires": 0}

    def observe() -> dict[str, Any]:
        return {
            "count": {"leaf": state["leaf"]},
            "at": {(pot, place) for pot, place in state["pots"].items()},
            "place": {"shed", "bed"},
            "warm": state["fires"] > 0,
        }

    def rake() -> int:
        """Rake one leaf."""
        state["leaf"] += 1
        return int(state["leaf"])

    @action(consumes="count('leaf') >= 3", adds="warm()")
    def burn() -> None:
        """Burn three leaves."""
        state["leaf"] -= 3
        state["fires"] += 1

    @action(requires="at({pot}, {source}) and place({target})", adds="at($0, $2)", deletes="at({pot}, {source})")
    def carry(pot: str, source: str, target: str) -> None:
        """Carry a pot."""
        state["pots"][pot] = target

    async def wait(hours: Literal[1, 2]) -> str:
        """Wait for the wind."""
        await asyncio.sleep(0)
        if not state["fires"] or not state["leaf"]:
            raise Unmet("warm() and count('leaf') >= 1")
        return f"waited {hours}"

    def reset(seed: int) -> None:
        state.update(leaf=leaves + seed % 2, pots={"red": "shed", "blue": "bed"}, fires=0)

    return from_functions(
        [rake, burn, carry, wait],
        observe=observe,
        name="garden",
        reset=reset,
        goals=lambda: ["warm()", 'at("red", "bed")'],
    )


def test_a_function_world_conforms() -> None:
    check_world(garden, steps=30)


def test_observed_entries_become_facts() -> None:
    facts = garden().observe().facts
    assert facts[Fact("count", ("leaf",))] == 0
    assert facts[Fact("at", ("red", "shed"))] is True
    assert facts[Fact("warm")] is False


def test_what_an_action_did_is_the_difference_of_two_observations() -> None:
    world = garden()
    raked = world.act(Action("rake"))
    assert (raked.value, raked.changes) == (1, (Change(Fact("count", ("leaf",)), 0, 1),))
    moved = world.act(Action("carry", ("red", "shed", "bed")))
    assert moved.changes == (
        Change(Fact("at", ("red", "bed")), False, True),
        Change(Fact("at", ("red", "shed")), True, False),
    )


def test_declared_needs_are_told_in_full_and_the_function_is_not_called() -> None:
    world = garden(leaves=1)
    lacking = world.act(Action("carry", ("red", "moon", "attic")))
    assert lacking.unmet == (Atom.parse('at("red", "moon")'), Atom.parse('place("attic")'))
    assert world.act(Action("burn")).unmet == (Atom.parse('count("leaf") >= 3'),)
    assert world.observe().holds(Atom.parse('at("red", "shed")'))


def test_unmet_gives_reasons_and_async_functions_run_to_the_end() -> None:
    world = garden(leaves=3)
    assert world.act(Action("wait", (1,))).unmet == (Atom.parse("warm()"),), "what held is no reason"
    world.act(Action("burn"))
    world.act(Action("rake"))
    assert world.act(Action("wait", (2,))).value == "waited 2"
    assert "one of 1, 2" in world.act(Action("wait", (5,))).message

    async def inside_a_loop() -> Any:
        return world.act(Action("wait", (1,))).value

    assert asyncio.run(inside_a_loop()) == "waited 1"


def test_contracts_are_the_declared_text_with_variables_for_the_arguments() -> None:
    world = garden()
    contracts = {str(c.action): c for c in world.contracts()}
    carry = contracts['carry("$0", "$1", "$2")']
    assert [str(c.atom) for c in carry.conditions] == ['at("$0", "$1")', 'place("$2")']
    assert [(str(e.fact), e.value) for e in carry.effects] == [('at("$0", "$2")', True), ('at("$0", "$1")', False)]
    burn = contracts["burn()"]
    assert burn.conditions[0].consumed == 3
    assert burn.fingerprint == world.spec.fingerprint


def test_affordances_use_the_observed_arguments_that_the_contract_names() -> None:
    carries = [a for a in garden().affordances() if a.name == "carry"]
    assert {a.args[0] for a in carries} == {"red", "blue"}
    assert {a.args[2] for a in carries} == {"bed", "shed"}
    assert Action("wait", (1,)) in garden().affordances()


def test_affordances_of_one_function_are_an_even_sample_of_at_most_200() -> None:
    def join(left: str, right: str) -> None:
        """Join two things."""

    world = from_functions([join], observe=lambda: {"thing": {f"t{i:02}" for i in range(40)}})
    afforded = world.affordances()
    assert len(afforded) == len(set(afforded)) == 200
    assert len({a.args[0] for a in afforded}) == 40


def test_a_raising_function_fails_its_action_with_a_short_message() -> None:
    def explode() -> None:
        """Explode."""
        raise ValueError("x" * 9000)

    def overspend() -> None:
        """Spend too much."""
        raise BudgetExceeded("usd", 1, 1, 0, 1)

    world = from_functions([explode, overspend], observe=dict)
    outcome = world.act(Action("explode"))
    assert not outcome.ok
    assert outcome.message.startswith("ValueError: xxx")
    assert len(outcome.message) == 500
    with pytest.raises(BudgetExceeded):
        world.act(Action("overspend"))


@pytest.mark.parametrize("error", [SystemExit(0), GeneratorExit(), asyncio.CancelledError(), KeyError("x")])
def test_whatever_a_function_raises_fails_the_action_and_not_the_run(error: BaseException) -> None:
    def leave() -> None:
        """Leave."""
        raise error

    async def leave_later() -> None:
        """Leave later."""
        await asyncio.sleep(0)
        raise error

    calls: list[str] = []

    def broken() -> Any:
        if calls:
            raise error
        return {}

    world = from_functions([leave, leave_later], observe=broken, name="hall", reset=broken, goals=broken, clone=broken)
    for name in ("leave", "leave_later"):
        outcome = world.act(Action(name))
        assert not outcome.ok
        assert outcome.message.startswith(type(error).__name__)
    calls.append("broken from now on")
    for what in ("observe", "goals", "clone"):
        with pytest.raises(WorldError, match=f"{what} of the world 'hall' raised {type(error).__name__}"):
            getattr(world, what)()
    with pytest.raises(WorldError, match="reset of the world 'hall' raised"):
        world.reset(0)


def test_an_interrupt_is_no_failure_of_an_action() -> None:
    def wait() -> None:
        """Wait."""
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        from_functions([wait], observe=dict).act(Action("wait"))


def doze() -> None:
    """Doze."""


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"name": 5}, "name is a text, not 5"),
        ({"name": " "}, "name is a text"),
        ({"doc": 5}, "doc= of the world"),
        ({"observe": {}}, "observe= of the world 'functions' is {}; give a function"),
        ({"observe": None}, "observe="),
        ({"goals": ["awake()"]}, "goals= .*give a function"),
        ({"reset": 1}, "reset="),
    ],
)
def test_options_of_the_wrong_type_are_named(options: dict[str, Any], says: str) -> None:
    with pytest.raises(DefinitionError, match=says):
        from_functions([doze], **{"observe": dict, **options})


@pytest.mark.parametrize(
    ("what", "given", "says"),
    [
        ("goals", 5, "goals of the world 'bed' gave 5; give a list"),
        ("goals", "awake()", "give a list"),
        ("goals", [5], "goals of the world 'bed' gave 5; give goals as text"),
        ("goals", ["awake("], "goals of the world 'bed': cannot read the goal"),
        ("contracts", None, "contracts of the world 'bed' gave None; give a list"),
        ("contracts", ["awake()"], "give Contracts"),
    ],
)
def test_what_goals_and_contracts_give_is_checked(what: str, given: Any, says: str) -> None:
    options: dict[str, Any] = {what: lambda: given}
    world = from_functions([doze], observe=dict, name="bed", **options)
    with pytest.raises(DefinitionError, match=says):
        getattr(world, what)()


@pytest.mark.parametrize("digits", [400, 5000])
def test_numbers_too_large_to_write_are_clear_errors(digits: int) -> None:
    def take(number: int) -> int:
        """Take."""
        return 10**digits

    world = from_functions([take], observe=dict)
    outcome = world.act(Action("take", (10**digits,)))
    assert not outcome.ok
    assert "300 digits" in outcome.message
    assert world.act(Action("take", (1,))).ok
    for seen in ({"level": 10**digits}, {"at": {10**digits}}, {"level": [10**digits]}):
        with pytest.raises(DefinitionError, match=r"observe gave .* 300 digits"):
            from_functions([take], observe=lambda seen=seen: seen)


def test_arguments_are_read_as_the_hints_say() -> None:
    got: list[Any] = []

    def take(number: int, share: float = 0.5, loud: bool = False) -> Any:
        """Take."""
        got.append((number, share, loud))
        return {1: {2}}

    world = from_functions([take], observe=dict)
    assert world.act(Action("take", ("3", "0.25", "yes"))).ok
    assert got == [(3, 0.25, True)]
    assert world.act(Action("take", (1,))).value == "{1: {2}}"
    for args in ((), ("three",), (1, 2, "maybe"), (1, 2, 3, 4)):
        outcome = world.act(Action("take", args))
        assert not outcome.ok
        assert "take" in outcome.message
    assert len(got) == 2
    with pytest.raises(InputError, match="it has take"):
        world.act(Action("give"))


def _no_hint(path) -> None:  # type: ignore[no-untyped-def]
    """No hint."""


def _keyword(*, path: str) -> None:
    """Keyword-only."""


def _path_default(path: Any = Path("x")) -> None:
    """A default that no program could pass."""


@pytest.mark.parametrize(
    ("function", "says"),
    [(_no_hint, "_no_hint.*'path' has no type hint"), (_keyword, "keyword-only"), (_path_default, "default of 'path'")],
)
def test_a_function_that_cannot_be_a_primitive_is_named(function: Callable[..., Any], says: str) -> None:
    with pytest.raises(DefinitionError, match=says):
        from_functions([function], observe=dict)


def test_wrong_declarations_are_refused_where_they_are_written() -> None:
    with pytest.raises(DefinitionError, match=r"names \{file\}, but the parameters are \{path\}"):

        @action(requires="exists({file})")
        def delete(path: str) -> None:
            """Delete."""

    with pytest.raises(DefinitionError, match="no goal text"):

        @action(adds="exists(")
        def create() -> None:
            """Create."""

    with pytest.raises(DuplicateNameError, match="two functions"):
        from_functions([garden, garden], observe=dict)
    with pytest.raises(DefinitionError, match="no functions"):
        from_functions([], observe=dict)


@pytest.mark.parametrize(
    "seen", [{"colour": {"door": "red"}}, {"colour": "red"}, {"at": {(1.5, "x")}}, {"level": float("nan")}, [1]]
)
def test_observations_that_are_no_facts_are_refused(seen: Any) -> None:
    with pytest.raises(DefinitionError, match="observe"):
        from_functions([garden], observe=lambda: seen)


def test_a_predicate_used_in_two_ways_is_refused() -> None:
    shown: list[Any] = [{"thing": {"a"}}, {"thing": {("a", "b")}}]
    world = from_functions([garden], observe=lambda: shown[0])
    shown.pop(0)
    with pytest.raises(DefinitionError, match="in two ways"):
        world.observe()


def test_an_action_and_a_predicate_of_one_name_are_refused() -> None:
    shown: dict[str, Any] = {}

    def close(thing: str) -> None:
        """Close a thing."""

    world = from_functions([close], observe=lambda: shown, name="hall")
    shown["close"] = {"door"}
    with pytest.raises(DefinitionError, match=r"world 'hall'.*an action and a predicate.*'close'.*another name"):
        world.observe()
    with pytest.raises(DefinitionError, match="'close'"):
        from_functions([close], observe=lambda: shown)

    @action(adds="lit()")
    def lit() -> None:
        """Light the lamp."""

    with pytest.raises(DefinitionError, match="'lit'"):
        from_functions([lit], observe=dict)


@pytest.mark.parametrize("name", ["_hidden", "facts", "observe", "steps", "tags"])
def test_names_that_programs_could_not_use_are_refused(name: str) -> None:
    def function() -> None:
        """Do."""

    with pytest.raises(DefinitionError, match=f"a predicate called '{name}'.*another name"):
        from_functions([function], observe=lambda: {name: {"door"}})
    function.__name__ = name
    with pytest.raises(DefinitionError, match=f"an action called '{name}'.*another name"):
        from_functions([function], observe=dict)


def test_text_inside_quotes_of_a_declaration_is_filled_in_too() -> None:
    @action(adds='exists("{folder}/{name}")')
    def create(folder: str, name: str) -> None:
        """Create a file."""

    world = from_functions([create], observe=lambda: {"exists": {"docs"}})
    told = {str(c.action): str(c.effects[0].fact) for c in world.contracts()}
    assert told == {'create("$0", "$1")': 'exists("$0/$1")'}


def test_capabilities_follow_what_is_given() -> None:
    plain = from_functions([garden], observe=dict)
    assert {"live", "affordances"} == plain.spec.capabilities
    with pytest.raises(InputError, match="clone="):
        plain.clone()
    start = from_functions([garden], observe=dict, reset=lambda: None, clone=lambda: plain, goals=list, reasons=True)
    assert {"seed", "clone", "goals", "reasons", "affordances"} == start.spec.capabilities
    assert start.clone() is plain


def test_the_fingerprint_follows_the_source() -> None:
    def one() -> None:
        """Do."""

    def two() -> None:
        """Do."""
        print("more")

    two.__name__ = "one"
    prints = [from_functions([f], observe=dict).spec.fingerprint for f in (one, one, two)]
    assert prints[0] == prints[1] != prints[2]


TERMS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12), st.integers(-5, 99)
)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.tuples(TERMS, TERMS), st.integers(-3, 3), max_size=5), st.sets(TERMS, max_size=5))
def test_any_observation_survives_as_facts_and_changes_replay(valued: dict[Any, int], true: set[Any]) -> None:
    state: dict[str, Any] = {"valued": {}, "true": set()}

    def become() -> None:
        """Become."""
        state.update(valued=valued, true=true)

    world = from_functions([become], observe=lambda: state)
    outcome = world.act(Action("become"))
    facts = {change.fact: change.after for change in outcome.changes}
    assert {f: v for f, v in facts.items() if v} == {f: v for f, v in world.observe().facts.items() if v}
    assert all(Fact.parse(str(fact)) == fact for fact in facts)


def _example() -> Any:
    path = Path(__file__).parents[2] / "examples" / "folder_world.py"
    spec = importlib.util.spec_from_file_location("folder_world", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_folder_example_acts_on_real_files(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one two three", encoding="utf-8")
    world = _example().make_world(tmp_path)
    assert "live" in world.spec.capabilities
    assert world.act(Action("make_folder", ("old",))).ok
    assert world.act(Action("move", ("a.txt", ".", "old"))).ok
    assert (tmp_path / "old" / "a.txt").read_text(encoding="utf-8") == "one two three"
    assert world.observe().holds(Atom.parse('inside("a.txt", "old")'))
    assert world.act(Action("word_count", ("a.txt", "old"))).value == 3
    lacking = world.act(Action("move", ("a.txt", ".", "new")))
    assert lacking.unmet == (Atom.parse('inside("a.txt", ".")'), Atom.parse('folder("new")'))


@pytest.mark.parametrize("name", ["..", "../up", "/abs", "a/b", ""])
def test_the_folder_example_never_leaves_its_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "in").mkdir()
    world = _example().make_world(tmp_path / "in")
    before = sorted(tmp_path.rglob("*"))
    assert not world.act(Action("make_folder", (name,))).ok
    assert sorted(tmp_path.rglob("*")) == before


def test_the_folder_example_conforms(tmp_path: Path) -> None:
    made = iter(range(1000))

    def fresh() -> Any:
        folder = tmp_path / str(next(made))
        folder.mkdir()
        (folder / "a.txt").write_text("alpha beta", encoding="utf-8")
        (folder / "docs").mkdir()
        return _example().make_world(folder)

    check_world(fresh, steps=25)
