"""Merging: what is put together comes apart again as it was, for whatever programs writers may think of."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as trying
from hypothesis import strategies as st
from tests.agent.conftest import Rule, make_world
from tests.memory.families import TEXTS, WORDS, Family, N, families, skill_of

from habilis.core import Case, InputError, Json, Parameter, Program, RunLimits, Trajectory
from habilis.memory.library.merging import Plain, generalise, plains, redirect, shape
from habilis.memory.library.similarity import normalised_source
from habilis.worlds.runner import ConfinedRunner

# ---------------------------------------------------------------------- together, and apart again


@trying(max_examples=150)
@given(families(2))
def test_a_merged_program_gives_each_of_its_own_back(family: Family) -> None:
    merged = generalise(family.members)
    assert merged is not None
    assert merged.program.calls == family.calls
    _gives_back(family.members, plains(skill_of(merged)))


def _gives_back(members: tuple[Plain, ...], again: list[Plain]) -> None:
    for member, one in zip(members, again, strict=True):
        assert normalised_source(one.source) == normalised_source(member.source)
        assert one.goal_template == member.goal_template
        assert one.parameters == member.parameters
        assert one.case == member.case


@trying(max_examples=80)
@given(families(3))
def test_one_more_comes_to_the_same_as_all_at_once(family: Family) -> None:
    pair = generalise(family.members[:2], name="get_things")
    assert pair is not None
    grown = generalise([*plains(skill_of(pair)), family.members[2]], name="get_things")
    together = generalise(family.members, name="get_things")
    assert grown is not None
    assert together is not None
    assert normalised_source(grown.program.source) == normalised_source(together.program.source)
    assert (grown.goal_template, grown.cases) == (together.goal_template, together.cases)
    _gives_back(family.members, plains(skill_of(grown)))


@trying(max_examples=80)
@given(families(3))
def test_what_has_grown_is_called_as_before(family: Family) -> None:
    """The choices of the pair mean the same, and any further one is by default what was the same in both."""
    pair = generalise(family.members[:2], name="get_things")
    assert pair is not None
    before = [case.args for case in pair.cases]
    grown = generalise([*plains(skill_of(pair)), family.members[2]], name="get_things", grown=before)
    if grown is None:
        return  # a choice would have come apart
    named = [p.name for p in pair.program.parameters]
    assert [p.name for p in grown.program.parameters][: len(named)] == named
    defaults = {p.name: p.default for p in grown.program.parameters[1:]}
    assert [case.args for case in grown.cases[:2]] == [{**defaults, **args} for args in before]
    _gives_back(family.members, plains(skill_of(grown)))


@trying(max_examples=50)
@given(families(2), st.data())
def test_the_order_does_not_matter_and_a_duplicate_is_refused(family: Family, data: st.DataObject) -> None:
    members = data.draw(st.permutations(family.members))
    merged = generalise(members)
    assert merged is not None
    _gives_back(tuple(members), plains(skill_of(merged)))
    again = replace(members[0], name="get_it_otherwise")
    assert generalise([*members, again]) is None


OAK = """def get_oak(n: int = 1):
    while world.count("oak") < n:
        world.gather("oak")
"""


def plain(source: str, goal: str = 'count("oak") >= {n}', parameters: tuple[Parameter, ...] = (N,)) -> Plain:
    name = re.findall(r"def\s+(\w+)", source)
    return Plain(name[0] if name else "x", "get it", source, goal, parameters, Case(cost=2.0))


def pair(source: str, **more: Any) -> tuple[Plain, Plain]:
    """A program for oak, and the same for ash."""
    other = more.pop("other", source.replace("oak", "ash"))
    return plain(source, **more), plain(other, more.pop("goal", 'count("oak") >= {n}').replace("oak", "ash"), **more)


@pytest.mark.parametrize(
    "source",
    [
        "def f(n=1):\n    world.gather('oak')\n\ndef g():\n    pass\n",
        "@staticmethod\ndef get_oak(n=1):\n    world.gather('oak')\n",
        "def get_oak(n=1): world.gather('oak')\n",
        "def get_oak(n=1, *more):\n    world.gather('oak')\n",
        "def get_oak(n=1, *, more=2):\n    world.gather('oak')\n",
        "def get_oak(n=1, **more):\n    world.gather('oak')\n",
        "def get_oak(n, /):\n    world.gather('oak')\n",
        "async def get_oak(n=1):\n    world.gather('oak')\n",
        "get_oak = lambda n=1: world.gather('oak')\n",
        "import math\ndef get_oak(n=1):\n    world.gather('oak')\n",
        "def get_oak(n=1):\n    world.gather('oak'\n",
        "",
        "\0",
        "def get_oak(n=1):\n    return " + "+".join(["'oak'"] * 3_000) + "\n",
        "def get_oak(n=1):\n    return " + "(" * 300 + "'oak'" + ")" * 300 + "\n",
        "def get_oak(n=1):\n    world.gather('oak')\n    return 0x" + "f" * 6_000 + "\n",
    ],
)
def test_what_is_not_one_plain_function_is_like_no_other(source: str) -> None:
    one, other = pair(source)
    assert shape(one) is None
    assert generalise([one, other]) is None


@pytest.mark.parametrize(
    "source",
    [
        'def get_oak(n=1):\n    return f"oak {n}"\n',
        "def get_oak(n=1, item='oak'):\n    world.gather(item)\n",  # which its parameters do not tell of
        "def get_oak(n=1):\n    match n:\n        case 'oak':\n            pass\n    world.gather('oak')\n",
        "def get_oak(n=1):\n    return b'oak'\n",
        "def get_oak(n=1):\n    part = {'oak': 1, 'ash': 2}['oak']\n    return part\n",  # as if it were ours
        "def get_oak(n=1):\n    oak = 'oak'\n    return locals()\n",
    ],
)
def test_where_a_name_could_not_stand_nothing_is_merged_or_it_comes_apart(source: str) -> None:
    members = pair(source)
    merged = generalise(members)
    if merged is not None:
        _gives_back(members, plains(skill_of(merged)))


@pytest.mark.parametrize(
    "changed",
    [replace(N, name="amount"), replace(N, default=True), replace(N, high=3.0), replace(N, type="float")],
)
def test_other_parameters_are_another_shape(changed: Parameter) -> None:
    """Who calls it by name, or has seen it fail beyond a number, must find what was there."""
    one, other = pair(OAK)
    source = other.source.replace("n: int = 1", f"{changed.name}: {changed.type} = {changed.default}")
    source = source.replace("< n:", f"< {changed.name}:")
    goal = other.goal_template.replace("{n}", f"{{{changed.name}}}")
    changed_one = replace(other, source=source, goal_template=goal, parameters=(changed,))
    assert generalise([one, other]) is not None
    assert generalise([one, changed_one]) is None


def test_a_goal_that_follows_a_parameter_is_no_constant() -> None:
    thing = Parameter("thing", "str", "oak", False)
    source = "def tell(thing='oak'):\n    world.say(thing, 'left')\n"
    one = plain(source, 'said("{thing} left") and at("home")', (thing,))
    other = plain(source.replace("left", "right"), 'said("{thing} right") and at("home")', (thing,))
    assert generalise([one, other]) is None
    elsewhere = replace(one, goal_template='said("{thing} left") and at("work")')
    merged = generalise([one, elsewhere])
    assert merged is not None
    assert merged.goal_template == 'said("{thing} left") and at("{kind}")'


def test_many_choices_in_a_goal_are_filled_in_at_once() -> None:
    one = plain("def go(n=1):\n    world.go('{kind_2}', 'b')\n", 'at("{kind_2}", "b")')
    other = plain("def go(n=1):\n    world.go('c', 'd')\n", 'at("c", "d")')
    merged = generalise([one, other])
    assert merged is not None
    _gives_back((one, other), plains(skill_of(merged)))


@pytest.mark.parametrize(
    ("names", "source"),
    [
        (("oak_in", "ash_in"), OAK),
        (("oak_world", "ash_world"), OAK),
        (("oak_range", "ash_range"), "def get_oak(n=1):\n    for i in range(n):\n        world.gather('oak')\n"),
        (("a", "b"), OAK),
        (("1", "2"), OAK),
        (("ä_" * 100, "ö_" * 100), OAK),
    ],
)
def test_its_name_is_one_that_a_function_may_have(names: tuple[str, str], source: str) -> None:
    members = [replace(one, name=name) for one, name in zip(pair(source), names, strict=True)]
    merged = generalise(members)
    assert merged is not None
    scope: dict[str, Any] = {"world": _Counting()}
    exec(merged.program.source, scope)
    scope[merged.program.name](2, "ash")
    assert scope["world"].gathered == ["ash", "ash"]
    taken = generalise(members, taken=[merged.program.name])
    assert taken is not None
    assert taken.program.name != merged.program.name


class _Counting:
    def __init__(self) -> None:
        self.gathered: list[str] = []

    def count(self, item: str) -> int:
        return self.gathered.count(item)

    def gather(self, item: str) -> None:
        self.gathered.append(item)


def test_large_programs_take_no_time() -> None:
    many = "def get_oak(n=1):\n" + "    world.gather('oak')\n" * 3_000  # just below what is merged at all
    large = "def get_oak(n=1):\n" + "    world.gather('oak')  # ä\n" * 40_000
    line = "def get_oak(n=1):\n    return [" + "'oak', 'ä', " * 8_000 + "]\n"
    text = f"def get_oak(n=1):\n    world.gather('oak')\n    return '{'x' * 1_000_000}'\n"
    began = time.process_time()
    merged = generalise(pair(many))
    assert merged is not None
    assert merged.program.source.count("gather(kind)") == 3_000
    generalise(pair(line))
    for source in (large, text):
        assert generalise(pair(source)) is None
        redirect(source, "other", "general", {"kind": "oak"})
    assert time.process_time() - began < 20


# ---------------------------------------------------------------------- run


@pytest.fixture(scope="module")
def runner() -> Iterator[ConfinedRunner]:
    with ConfinedRunner() as confined:
        yield confined


_ITEMS = ("oak", "ash", "birch", "oak_log", "iron_ore", "stone", "feather")
_RULES = [
    Rule.of(f'{verb}("{item}")', "" if verb == "gather" else f'count("{item}") >= 1', adds={f'count("{item}")': 1})
    for verb in ("gather", "craft")
    for item in _ITEMS
]


@trying(max_examples=40)
@given(families(2, WORDS), st.integers(0, 3))
def test_it_does_what_each_of_its_own_did(family: Family, n: int) -> None:
    merged = generalise(family.members)
    assert merged is not None
    with _running() as runner:
        for member, case in zip(family.members, merged.cases, strict=True):
            before = Program(member.name, member.source, member.parameters, family.calls)
            _same_run(runner, before, {"n": n}, merged.program, {"n": n, **case.args})


_RUNNERS: list[ConfinedRunner] = []


@contextlib.contextmanager
def _running() -> Iterator[ConfinedRunner]:
    yield _RUNNERS[0]


@pytest.fixture(scope="module", autouse=True)
def _runner(runner: ConfinedRunner) -> Iterator[None]:
    _RUNNERS.append(runner)
    yield
    _RUNNERS.clear()


_OTHER = Program("other", "def other(n=1, thing='oak'):\n    world.gather('feather')\n    return thing\n")
_LIMITS = RunLimits(world_steps=40)


def _same_run(
    runner: ConfinedRunner, one: Program, given: dict[str, Json], other: Program, given_too: dict[str, Json]
) -> None:
    def run(program: Program, args: dict[str, Json], **skills: Program) -> Trajectory:
        world = make_world(_RULES)
        return runner.run(program, world, args=args, skills={"other": _OTHER, **skills}, limits=_LIMITS)

    before, after = run(one, given), run(other, given_too)
    assert [s.action for s in after.steps] == [s.action for s in before.steps]
    assert after.returned == before.returned
    assert after.printed == before.printed
    assert (after.error is None) == (before.error is None)
    if before.error is not None and after.error is not None:
        assert (after.error.kind, after.error.message) == (before.error.kind, before.error.message)


# ---------------------------------------------------------------------- who calls it


CALLS = [
    "skills.get_oak()",
    "skills.get_oak ( )",
    "skills.get_oak(2)",
    "skills.get_oak(2,)",
    "skills.get_oak(\n        2,  # of them :)\n    )",
    "skills.get_oak(  # none\n    )",
    "skills.get_oak(n=2)",
    "skills.get_oak((2))",
    "skills.get_oak(*[2])",
    "skills.get_oak(**{'n': 2})",
    "skills.get_oak(n=skills.get_oak(2) or 1)",
    "(skills\n        .get_oak)(2)",
    "sum(x for x in [skills.get_oak(2) or 0])",
    "skills.get_oak(max(x for x in (1, 2)))",
    "print(f'räuber {skills.get_oak(2)} {{}}')",
    'print(f"räuber {skills.get_oak(2)}")',
    "[get(2) for get in (skills.get_oak, skills.other)]",
    "print('skills.get_oak(2)')",
    "fetch = skills.get_oak; fetch(); fetch(n=2)",
]


@pytest.mark.parametrize("call", CALLS)
def test_a_caller_does_what_it_did(call: str, runner: ConfinedRunner) -> None:
    source = f"def caller(n=1):\n    {call}\n    return n\n"
    told = redirect(source, "get_oak", "get", {"kind": "oak"})
    merged = generalise(pair(OAK), name="get")
    assert merged is not None
    oak = Program("get_oak", OAK, (N,))
    world = [make_world(_RULES) for _ in range(2)]
    before = runner.run(Program("caller", source), world[0], skills={"get_oak": oak, "other": _OTHER}, limits=_LIMITS)
    after = runner.run(
        Program("caller", told), world[1], skills={"get": merged.program, "other": _OTHER}, limits=_LIMITS
    )
    assert before.error is None
    assert after.error is None, told
    assert [s.action for s in after.steps] == [s.action for s in before.steps]
    assert after.printed == before.printed


@pytest.mark.parametrize(
    "call",
    [
        "getattr(skills, 'get_' + 'oak')()",
        "use(skills)",
        'print(f"""a\n  {skills.get_oak(2)}""")',
        "skills.get_oak(",
        "skills.get_oak(x for x in (1,))",
    ],
)
def test_a_call_that_cannot_be_told_is_refused_or_right(call: str) -> None:
    source = f"def caller(n=1):\n    {call}\n"
    try:
        told = redirect(source, "get_oak", "get", {"kind": "oak"})
    except InputError:
        return
    assert "skills.get_oak" not in told
    compile(told, "caller", "exec")


@trying(max_examples=60)
@given(TEXTS, TEXTS, st.booleans())
def test_choices_come_through_whatever_they_hold(kind: str, other: str, bare: bool) -> None:
    call = "skills.get_oak()" if bare else f"skills.get_oak({other!r}, ) # ä"
    source = f"def caller(n=1):\n    'ä\u2028'; return {call}\n"
    told = redirect(source, "get_oak", "get_it", {"kind": kind, "kind_2": other})
    seen: list[object] = []
    scope = {"skills": SimpleNamespace(get_it=lambda *a, **k: seen.append((a, k)))}
    exec(told, scope)
    scope["caller"]()  # type: ignore[operator]
    assert seen == [(() if bare else (other,), {"kind": kind, "kind_2": other})]
