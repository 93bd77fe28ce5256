"""What a library takes along of other worlds' skills, and what is supposed of their actions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.memory.toys import Toy, fresh, library_of, opened, plank, runs, sound, stick, take

from habilis.core import (
    Action,
    Atom,
    Change,
    Condition,
    Contract,
    Effect,
    Fact,
    Goal,
    InputError,
    Outcome,
    Parameter,
    Predicate,
    Primitive,
    Snapshot,
)
from habilis.memory.contracts import ContractBook, Priors, priors_of
from habilis.memory.home import Home
from habilis.memory.interfaces import remember_interface
from habilis.memory.library import SkillLibrary
from habilis.memory.library.general import used

CALL = "skills.have_plank(1, kind='{0}_plank')"


@pytest.fixture
def toy() -> Toy:
    return Toy()


@pytest.fixture
def there(tmp_path: Path, toy: Toy) -> Iterator[SkillLibrary]:
    """The library of a world that was lived in: planks of four woods, sticks of two."""
    with opened(tmp_path / "home", toy, fingerprint="toy-1") as library:
        take(library, *[plank(wood) for wood in ("ash", "oak", "birch", "pine")])
        take(library, *[stick(w, CALL.format(w), calls=("have_plank",)) for w in ("ash", "birch", "oak")])
        remember_interface(library.home.journal, toy.make().spec)
        yield library


def _other(home: Home, toy: Toy) -> SkillLibrary:
    toy.fingerprint = "toy-2"
    return library_of(home, toy, fingerprint="toy-2")


def _cases(library: SkillLibrary, name: str) -> list[str]:
    return [str(next(iter(c.args.values()))) for c in library.get(name).cases]


def test_the_cases_that_are_wanted_are_proven_and_others_when_they_are(there: SkillLibrary, toy: Toy) -> None:
    here, spec = _other(there.home, toy), toy.make().spec
    goal = Goal.parse('count("birch_stick") >= 3')
    assert [s.name for s in here.offers(goal, spec)] == ["have_stick"]
    brought = here.bring(goal, spec)
    assert (brought.tried, [s.name for s in brought.skills], brought.refused) == (2, ["have_plank", "have_stick"], {})
    assert (_cases(here, "have_plank"), _cases(here, "have_stick")) == (["birch_plank"], ["birch_stick"])
    assert here.offers(goal, spec) == ()
    toy.broken = {'craft("oak_plank")'}
    assert here.bring(Goal.parse('count("ash_stick") >= 1'), spec).tried == 2
    assert (_cases(here, "have_plank"), _cases(here, "have_stick")) == (
        ["birch_plank", "ash_plank"],
        ["birch_stick", "ash_stick"],
    )
    assert here.get("have_plank").evidence.successes == 6  # two trials and one held out, of each
    assert runs(here, "have_stick", n=1, kind="ash_stick")[-1] == 'craft("ash_stick")'
    sound(here)


def test_a_case_that_fails_is_not_tried_again_and_the_others_stay_on_offer(there: SkillLibrary, toy: Toy) -> None:
    here, spec = _other(there.home, toy), toy.make().spec
    toy.broken = {'craft("oak_plank")'}
    failed = here.bring(Goal.parse('count("oak_stick") >= 1'), spec)
    assert failed.tried == 1
    assert failed.refused.keys() == {"have_plank"}
    assert "does not hold in toy (toy-2) with {'kind': 'oak_plank'}" in there.history("have_plank")[-1].reason
    assert here.bring(Goal.parse('count("oak_stick") >= 1'), spec).tried == 0
    assert here.bring(Goal.parse('count("pine_plank") >= 1'), spec).tried == 1
    assert _cases(here, "have_plank") == ["pine_plank"]
    assert {c.tried for c in [here.carry_over("toy")]} == {3}  # the sticks of two woods fail, of one holds not
    sound(here)


@pytest.mark.parametrize(
    ("body", "names"),
    [
        ("world.gather('oak_log')\n    world.craft('#wood')", {"gather", "craft", "#wood", "count"}),
        ("look = world.find\n    look('oak')", {"find", "count"}),
        ("world.observe()\n    print(world.facts('near'), world.tags('#wood'))", {"near", "#wood", "count"}),
        ("world.steps([('craft', 'stick'), 'wait'])", {"craft", "wait", "count"}),
        ("print(world)", None),
        ("getattr(world, 'gather')('oak_log')", None),
        ("name = 'near'\n    world.facts(name)", None),
        ("steps = []\n    world.steps(steps)", None),
        ("ask = world.facts\n    ask('near')", None),
    ],
)
def test_what_a_program_uses_is_read_off_it_or_not_known(body: str, names: set[str] | None) -> None:
    skill = fresh("work", f"def work():\n    {body}\n", 'count("stick") >= 1', parameters=())
    assert used(skill) == names


def test_what_is_not_there_alike_is_not_offered(there: SkillLibrary, toy: Toy) -> None:
    here, spec, goal = _other(there.home, toy), toy.make().spec, Goal.parse('count("ash_stick") >= 1')
    assert here.offers(goal, spec)
    without = replace(spec, primitives=tuple(p for p in spec.primitives if p.name != "gather"))
    assert here.offers(goal, without) == ()  # the planks that it calls for need it
    number = tuple(replace(p, parameters=(Parameter("which", "int"),)) for p in spec.primitives)
    assert here.offers(goal, replace(spec, primitives=number)) == ()
    assert here.offers(goal, replace(spec, predicates=tuple(replace(p, numeric=False) for p in spec.predicates))) == ()
    there.home.journal.delete_documents("interface", ["toy-1"])
    assert here.offers(goal, spec) == ()  # what the other world offers is not known
    with pytest.raises(InputError, match="one world"):
        library_of(there.home, toy).offers(goal, spec)


# ---------------------------------------------------------------------- what actions did elsewhere

OPEN, DOOR, KEY = Action("open", ("door",)), Fact("ajar", ("door",)), Fact("count", ("key",))


def _elsewhere(chance: float = 1.0) -> Contract:
    return Contract(
        OPEN,
        "toy-1",
        (Condition(Atom(KEY, ">=", 1), confirmed=3),),
        (Effect(DOOR, value=True, seen=9),),
        successes=9,
        failures=2,
        chance=chance,
    )


def _book(*reasons: str, chance: float = 1.0) -> ContractBook:
    spec = Toy().make().spec
    spec = replace(spec, capabilities=(spec.capabilities - {"reasons"}) | set(reasons))
    opening, is_open = (
        Primitive("open", "Open it.", (Parameter("what"),)),
        Predicate("ajar", "open", (Parameter("what"),)),
    )
    spec = replace(spec, primitives=(*spec.primitives, opening), predicates=(*spec.predicates, is_open))
    return ContractBook(spec, (), Priors(spec, [_elsewhere(chance)]))


HELD, LACKING = Snapshot({KEY: 1}), Snapshot({})
OPENED = Outcome(True, (Change(DOOR, False, True),))


def test_a_prior_is_planned_with_and_is_nobody_s_evidence() -> None:
    book = _book()
    (supposed,) = book.supposed(DOOR)
    assert (supposed.source, supposed.successes, supposed.fingerprint) == ("supposed", 0, book.spec.fingerprint)
    assert [str(c.atom) for c in supposed.conditions] == ['count("key") >= 1']
    assert book.contract(OPEN) == supposed
    assert (list(book), book.producers(DOOR), book.produced(), book.take_dirty()) == ([], [], [], [])
    assert _book("reasons").contract(OPEN).conditions == ()  # there a failure tells them


def test_the_first_success_takes_its_place() -> None:
    book = _book()
    book.observe(OPEN, OPENED, HELD)
    assert book.supposed(DOOR) == []
    assert [c.source for c in book.producers(DOOR)] == ["induced"]
    assert book.priors.save()["records"] == {"toy-1 open": [1, 0]}


def test_what_fails_with_all_that_it_was_said_to_need_is_dropped() -> None:
    book = _book()
    book.observe(OPEN, Outcome(False), LACKING)
    assert book.supposed(DOOR)  # what it lacked says nothing of what it does
    version = book.version
    book.observe(OPEN, Outcome(False), HELD)
    assert book.supposed(DOOR) == []
    assert book.contract(OPEN).effects == ()
    assert book.version > version
    again = ContractBook(book.spec, (), Priors(book.spec, [_elsewhere()], book.priors.save()))
    assert again.supposed(DOOR) == []
    (kept,) = book.take_dirty()
    assert (kept.conditions, kept.effects, kept.failures) == ((), (), 2)


def test_what_works_by_chance_may_fail_as_often_as_its_chance_explains() -> None:
    book = _book(chance=0.3)
    failures = 0
    while book.supposed(DOOR):
        book.observe(OPEN, Outcome(False), HELD)
        failures += 1
    assert failures == 12  # 0.7 ** 11 is just below one in fifty


def test_a_world_that_is_refuted_more_than_twice_in_three_is_asked_no_more() -> None:
    spec = _book().spec
    things = [replace(_elsewhere(), action=Action("open", (thing,))) for thing in ("door", "gate", "lid")]
    book = ContractBook(spec, (), Priors(spec, things))
    for thing in ("door", "gate"):
        assert book.contract(Action("open", ("lid",))).effects
        book.observe(Action("open", (thing,)), Outcome(False), HELD)
    assert book.contract(Action("open", ("lid",))).effects == ()


def test_only_what_succeeded_elsewhere_and_is_alike_here_is_supposed(tmp_path: Path) -> None:
    spec = _book().spec
    with Home.open(tmp_path / "home") as home:
        elsewhere = replace(spec, fingerprint="toy-9")
        remember_interface(home.journal, elsewhere)
        told = replace(_elsewhere(), fingerprint="toy-9")
        untried = replace(told, action=Action("open", ("lid",)), successes=0)
        strange = replace(told, action=Action("fly", ()))
        home.journal.put_contracts([told, untried, strange])
        assert [str(c.action) for c in priors_of(home.journal, spec)] == ['open("door")']
        assert priors_of(home.journal, elsewhere) == []  # its own are no priors
        number = tuple(replace(p, parameters=(Parameter("which", "int"),)) for p in spec.primitives)
        assert priors_of(home.journal, replace(spec, primitives=number)) == []
