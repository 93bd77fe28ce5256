"""What becomes of a skill that comes to a library: evidence, a new version, a case of a general one, or a skill."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.memory.toys import (
    WALK,
    WOODS,
    N,
    Toy,
    believed,
    fresh,
    kept_sound,
    library_of,
    names,
    opened,
    plank,
    reasons,
    runs,
    sound,
    stick,
    take,
    view,
)

from habilis.core import (
    Budget,
    BudgetExceeded,
    EvidenceLevel,
    InputError,
    Kind,
    Ledger,
    NotFoundError,
    Parameter,
    Program,
    Skill,
    SkillError,
)
from habilis.memory.library import SkillLibrary
from habilis.memory.library.merging import plains


@pytest.fixture(params=[True, False], ids=["proven", "believed"])
def proves(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture
def library(tmp_path: Path, proves: bool) -> Iterator[SkillLibrary]:
    with kept_sound(tmp_path / "home", Toy() if proves else None) as made:
        yield made


# ---------------------------------------------------------------------- one becomes many


def test_one_after_another_becomes_a_case(library: SkillLibrary) -> None:
    for number, wood in enumerate(WOODS):
        kept = take(library, plank(wood))
        assert len(kept.cases) == (number + 1 if number else 0)
    assert names(library.active()) == ["have_plank"]
    assert kept.version == 3
    assert kept.goal_template == 'count("{kind}") >= {n}'
    assert [str(g) for g in kept.goals()] == [f'count("{w}_plank") >= 1' for w in WOODS]
    assert "it is have_plank with kind='ash_plank'" in reasons(library, "have_ash_plank")
    for wood in WOODS:
        assert runs(library, "have_plank", n=3, kind=f"{wood}_plank") == 2 * [
            f'gather("{wood}_log")',
            f'craft("{wood}_plank")',
        ]
    assert {t.args.get("kind") for t in kept.evidence.trials} == {f"{w}_plank" for w in WOODS}
    assert kept.evidence.successes == len([t for t in kept.evidence.trials if t.ok])


def test_who_calls_a_case_calls_the_general_one(library: SkillLibrary) -> None:
    take(library, plank("ash"), stick("ash"))
    before = runs(library, "have_ash_stick", n=2)
    take(library, plank("oak"))
    caller = library.get("have_ash_stick")
    assert (caller.version, caller.program.calls) == (2, ("have_plank",))
    assert caller.due == "calls have_plank in place of have_ash_plank"
    assert runs(library, "have_ash_stick", n=2) == before
    take(library, plank("pine"))  # a further case changes nothing for who calls another
    assert library.get("have_ash_stick").version == 2
    general = take(library, stick("oak", "skills.have_plank(1, kind='oak_plank')", calls=("have_plank",)))
    assert (general.name, len(general.cases)) == ("have_stick", 2)
    assert runs(library, "have_stick", n=1, kind="oak_stick")[:2] == ['gather("oak_log")', 'craft("oak_plank")']
    assert names(library.active()) == ["have_plank", "have_stick"]


def test_a_choice_may_be_made_when_it_runs(library: SkillLibrary) -> None:
    take(library, plank("ash"), plank("oak"))
    source = "def have_some(n: int = 1):\n    for wood in ('ash', 'oak'):\n"
    source += "        skills.have_plank(n, kind=wood + '_plank')\n"
    take(library, fresh("have_some", source, 'count("oak_plank") >= {n} and count("ash_plank") >= 1', ("have_plank",)))
    before = runs(library, "have_some", n=1)
    take(library, plank("pine"), plank("birch"))
    assert library.get("have_some").version == 1
    assert not library.get("have_some").due
    assert runs(library, "have_some", n=1) == before


@pytest.mark.parametrize(
    "call",
    [
        "(lambda get: get(1))(skills.have_ash_plank)",
        "print(f'{skills.have_ash_plank(1)}')",
        "skills.have_ash_plank(n=1,)",
    ],
)
def test_however_it_is_called(library: SkillLibrary, call: str) -> None:
    take(library, plank("ash"), stick("ash", call))
    before = runs(library, "have_ash_stick", n=1)
    take(library, plank("oak"))
    assert library.get("have_ash_stick").program.calls == ("have_plank",)
    assert runs(library, "have_ash_stick", n=1) == before


def test_who_calls_in_a_way_that_nothing_tells_keeps_what_it_calls(library: SkillLibrary) -> None:
    take(library, plank("ash"), stick("ash", "getattr(skills, 'have_ash_' + 'plank')(1)"))
    assert take(library, plank("oak")).name == "have_oak_plank"
    assert names(library.active()) == ["have_ash_plank", "have_ash_stick", "have_oak_plank"]
    assert len(runs(library, "have_ash_stick", n=1)) == 3


def test_a_foreign_caller_that_is_no_python_does_not_keep_others_out(library: SkillLibrary) -> None:
    take(library, plank("ash"))
    foreign = replace(believed(stick("ash")), version=1)
    foreign = replace(foreign, program=replace(foreign.program, source="this is no python"))
    library.home.journal.put_skill(foreign, "imported")
    library.refresh()
    take(library, plank("oak"))
    assert set(library.get("have_ash_stick").program.calls) <= library.active().keys()


ODD = [
    "def {name}(n=1):\n    return help_it(n)\n\ndef help_it(n):\n    while world.count('{wood}_plank') < n:\n"
    "        world.gather('{wood}_log'); world.craft('{wood}_plank')\n",
    "def twice(f):\n    return f\n\n@twice\ndef {name}(n=1):\n    while world.count('{wood}_plank') < n:\n"
    "        world.gather('{wood}_log'); world.craft('{wood}_plank')\n",
    "def {name}(n=1): [(world.gather('{wood}_log'), world.craft('{wood}_plank')) for _ in range(n)]\n",
    "def {name}(n=1, *more, **others):\n    for _ in range(n):\n        world.gather('{wood}_log')\n"
    "        world.craft('{wood}_plank')\n",
]


@pytest.mark.parametrize("source", ODD)
def test_a_program_of_another_form_stays_what_it_is(library: SkillLibrary, source: str) -> None:
    for wood in ("ash", "oak"):
        name = f"have_{wood}_plank"
        goal = f'count("{wood}_plank") >= {{n}}'
        assert take(library, fresh(name, source.format(name=name, wood=wood), goal)).name == name
    # One of the same name and another goal gets another name, and is called by it.
    other = source.format(name="have_ash_plank", wood="birch")
    kept = take(library, fresh("have_ash_plank", other, 'count("birch_plank") >= {n}'))
    assert (kept.name, kept.program.name) == ("have_ash_plank_2", "have_ash_plank_2")
    assert runs(library, "have_ash_plank_2", n=1) == ['gather("birch_log")', 'craft("birch_plank")']


@pytest.mark.parametrize("name", ["f", "de", "d", "ef", "räuber"])
def test_a_name_that_is_taken_is_not_mistaken_for_a_word(library: SkillLibrary, name: str) -> None:
    take(library, plank("ash", name=name))
    source = f"def  {name} (n=1):\n    if n > 1:\n        {name}(n - 1)\n    world.gather('oak_log')\n"
    kept = take(library, fresh(name, source, 'count("oak_log") >= {n}'))
    assert kept.name == kept.program.name == f"{name}_2"
    assert runs(library, kept.name, n=3) == ['gather("oak_log")'] * 3


def test_a_source_that_nests_too_deep_breaks_nothing(library: SkillLibrary) -> None:
    take(library, plank("ash"))
    deep = "def deep(n=1):\n    return " + "+".join(["1"] * 3_000) + "\n"
    long = "def deep(n=1):\n    return 0x" + "f" * 6_000 + "\n"
    for source in (deep, long):
        with pytest.raises(InputError):
            take(library, fresh("deep", source, 'count("oak_log") >= {n}'))
        stored = replace(believed(fresh("deep", source, 'count("oak_log") >= {n}')), version=1)
        library.home.journal.put_skill(replace(stored, name=f"deep{len(source)}"), "imported")
    library.refresh()
    assert take(library, plank("oak")).name == "have_plank"


# ---------------------------------------------------------------------- what is known


def test_the_same_again_is_evidence_also_for_a_case(library: SkillLibrary) -> None:
    take(library, plank("ash"), plank("oak"))
    general = library.get("have_plank")
    source = plank("oak").program.source.replace("(n: int = 1)", "(many: int = 1)").replace("< n", "< many")
    many = Parameter("many", "int", 1, False)
    again = fresh("have_oak_plank", source, 'count("oak_plank") >= {many}', parameters=(many,))
    kept = library.admit(believed(again, seed=77), "again")
    assert (kept.name, kept.version) == ("have_plank", general.version)
    assert kept.evidence.trials[-1].seed == 77
    assert kept.evidence.trials[-1].args == {"n": 1, "kind": "oak_plank"}
    assert kept.evidence.successes == general.evidence.successes + 1
    assert kept.evidence.contexts["fresh worlds"].successes == kept.evidence.successes
    assert kept.posterior > general.posterior
    assert library.admit(believed(again, seed=77), "and again") == kept  # the same run proves nothing more
    assert names(library.active()) == ["have_plank"]


@pytest.mark.parametrize("library", ["proven"], indirect=["library"])
@pytest.mark.parametrize("proves", [True], indirect=True)
class TestDuels:
    """Another program for a goal that is known: who is better is seen in the same worlds."""

    def test_what_does_the_same_is_evidence(self, library: SkillLibrary) -> None:
        first = take(library, plank("ash"))
        other = plank("ash", extra="        0\n", name="get_planks")
        kept = take(library, other)
        assert (kept.name, kept.version) == (first.name, first.version)
        assert kept.evidence.contexts["fresh worlds"].successes > first.evidence.contexts["fresh worlds"].successes
        assert "get_planks by test does the same" in reasons(library, first.name)[-1]

    def test_the_better_one_is_the_next_version(self, library: SkillLibrary) -> None:
        take(library, plank("ash"), stick("ash"))
        kept = take(library, plank("ash", "saw", name="saw_planks"))
        assert (kept.name, kept.version) == ("have_ash_plank", 2)
        assert 'saw("ash_plank")' in runs(library, "have_ash_stick", n=1)
        assert library.get("have_ash_stick").due == "have_ash_plank has a new version, 2"
        assert "in the same worlds" in reasons(library, "have_ash_plank")[-1]

    def test_the_worse_one_is_not_kept(self, library: SkillLibrary) -> None:
        first = take(library, plank("ash"))
        kept = take(library, plank("ash", extra=WALK, name="get_planks"))
        assert kept.program == first.program
        assert names(library.active()) == ["have_ash_plank"]
        assert "get_planks by test does not do better" in reasons(library, "have_ash_plank")[-1]

    def test_a_better_one_of_the_same_name(self, library: SkillLibrary) -> None:
        take(library, plank("ash"))
        assert take(library, plank("ash", "saw")).version == 2
        assert take(library, plank("ash", extra=WALK)).version == 2

    def test_a_better_one_for_a_case_stands_beside_the_general_one(self, library: SkillLibrary) -> None:
        take(library, plank("ash"), plank("oak"), plank("pine"))
        kept = take(library, plank("oak", "saw"))
        assert kept.name == "have_oak_plank"
        assert [c.successor for c in library.get("have_plank").cases] == ["", "have_oak_plank", ""]
        # Another for that case fights the successor, not what it has outdone.
        worse = take(library, plank("oak", extra=WALK, name="get_it"))
        assert (worse.name, worse.version) == (kept.name, kept.version)
        # The saw for others makes the successor a case of its own sort, which is told by its new name.
        take(library, plank("pine", "saw"))
        assert [c.successor for c in library.get("have_plank").cases] == ["", "have_plank_2", "have_plank_2"]
        library.retire("have_plank_2", "the saw is broken")
        assert [c.successor for c in library.get("have_plank").cases] == ["", "", ""]

    def test_a_better_one_that_is_like_another_takes_both_in(self, library: SkillLibrary) -> None:
        take(library, plank("ash", "saw"), plank("oak"), stick("oak"))
        kept = take(library, plank("oak", "saw", name="get_it"))
        assert len(kept.cases) == 2
        assert names(library.active()) == sorted([kept.name, "have_oak_stick"])
        assert library.get("have_oak_stick").program.calls == (kept.name,)
        assert 'saw("oak_plank")' in runs(library, "have_oak_stick", n=1)

    def test_a_better_one_that_calls_the_one_it_outdoes(self, library: SkillLibrary) -> None:
        take(library, plank("ash", extra=WALK))
        source = (
            "def have_planks_at_once(n: int = 1):\n    if n > 9:\n        skills.have_ash_plank(n)\n"
            "    while world.count('ash_plank') < n:\n        world.gather('ash_log')\n        world.saw('ash_plank')\n"
        )
        better = fresh("have_planks_at_once", source, 'count("ash_plank") >= {n}', ("have_ash_plank",))
        assert take(library, better).name == "have_planks_at_once"
        assert names(library.active()) == ["have_ash_plank", "have_planks_at_once"]

    def test_what_fails_is_refused(self, library: SkillLibrary) -> None:
        with pytest.raises(SkillError, match=r"have_ash_plank is not admitted: 0 of 2"):
            take(library, plank("ash", goal='count("oak_plank") >= {n}'))
        assert library.active() == {}

    def test_what_cannot_be_paid_changes_nothing(self, library: SkillLibrary) -> None:
        take(library, plank("ash"))
        before = view(library)
        for steps in range(0, 60, 3):
            ledger = Ledger(Budget(world_steps=steps))
            try:
                library.admit(plank("oak"), "found", ledger=ledger)
            except BudgetExceeded:
                assert view(library) == before
            else:
                break
        sound(library)
        assert steps

    def test_tools_are_never_called_again(self, library: SkillLibrary) -> None:
        with_tool = believed(plank("ash", tools=("ask",)))
        library.admit(with_tool, "watched")
        library.admit(believed(plank("ash", "saw", tools=("ask",), name="get_it")), "watched")
        assert names(library.active()) == ["get_it", "have_ash_plank"]  # nobody can tell which is better


def test_two_ways_to_one_goal_where_nothing_can_be_compared(tmp_path: Path) -> None:
    with opened(tmp_path) as library:
        take(library, plank("ash"), plank("ash", "saw", name="get_planks"))
        assert names(library.active()) == ["get_planks", "have_ash_plank"]
        kept = take(library, plank("ash", "saw", extra=WALK, name="get_planks"))
        assert (kept.name, kept.version) == ("get_planks", 2)  # the same name is a new version all the same


@pytest.mark.parametrize("version", [0, 1, 5])
def test_a_name_that_means_something_else_is_not_taken_over(library: SkillLibrary, version: int) -> None:
    take(library, plank("ash", name="have_it"), stick("ash", "skills.have_it(1)", calls=("have_it",)))
    other = replace(
        fresh(
            "have_it",
            "def have_it(n=1):\n    world.gather('oak_log')\n    world.gather('oak_log')\n",
            'count("oak_log") >= 1',
        ),
        version=version,
    )
    kept = take(library, other)
    assert (kept.name, kept.version) == ("have_it_2", 1)
    assert library.get("have_it").goal_template == 'count("ash_plank") >= {n}'
    assert runs(library, "have_ash_stick", n=1)[1] == 'craft("ash_plank")'


@pytest.mark.parametrize("how", ["craft", "saw"])
def test_the_name_of_a_general_one_is_not_taken_over_for_one_case(library: SkillLibrary, how: str) -> None:
    take(library, plank("ash"), plank("oak"))
    take(library, stick("oak", "skills.have_plank(1, kind='oak_plank')", calls=("have_plank",)))
    take(library, plank("oak", how, name="have_plank", extra="        0\n"))
    assert len(library.get("have_plank").cases) == 2
    assert runs(library, "have_oak_stick", n=1)[-1] == 'craft("oak_stick")'
    assert runs(library, "have_plank", n=1, kind="ash_plank") == ['gather("ash_log")', 'craft("ash_plank")']


# ---------------------------------------------------------------------- what is kept apart


def test_levels_of_evidence_are_not_mixed(tmp_path: Path) -> None:
    with opened(tmp_path) as library:
        library.admit(believed(plank("ash"), EvidenceLevel.OBSERVED), "watched")
        assert library.admit(believed(plank("oak")), "proven").name == "have_oak_plank"
        library.admit(believed(plank("ash"), seed=5), "proven by now")  # evidence: what was watched is verified
        assert library.get("have_ash_plank").evidence.level is EvidenceLevel.VERIFIED
        assert library.admit(believed(plank("birch"), EvidenceLevel.OBSERVED), "watched").name == "have_birch_plank"
        assert library.admit(believed(plank("pine")), "proven").name == "have_plank"
        sound(library)
        assert view(library_of(library.home)) == view(library)


def test_tools_and_parameters_keep_apart(library: SkillLibrary) -> None:
    narrow = replace(N, high=3.0)
    library.admit(believed(plank("ash", tools=("ask",))), "watched")
    library.admit(believed(plank("oak")), "found")
    library.admit(believed(plank("pine", parameters=(narrow,))), "found")
    assert names(library.active()) == ["have_ash_plank", "have_oak_plank", "have_pine_plank"]
    library.admit(believed(plank("birch", parameters=(narrow,))), "found")
    assert library.get("have_plank").program.parameters[0] == narrow


def test_worlds_keep_apart(tmp_path: Path) -> None:
    toy = Toy()
    with opened(tmp_path, toy) as everything:
        take(everything, plank("ash"), plank("oak", fingerprint="toy-2"), plank("pine", fingerprint="toy-2"))
        general = everything.get("have_plank")
        assert general.fingerprint == "toy-2"
        take(everything, plank("oak"))
        both = [s for s in everything.home.journal.skills() if "plank" in s.name]
        assert sorted(s.fingerprint for s in both) == ["toy-1", "toy-2"]
        sound(everything)
        assert everything.prune() == ()
        one = library_of(everything.home, toy, fingerprint="toy-1", index=everything.index)
        assert len(one.active()) == 1
        take(one, plank("pine"))
        everything.refresh()
        sound(everything)


def test_circles_are_refused_and_nothing_is_left(library: SkillLibrary) -> None:
    take(library, plank("ash"), stick("ash"))
    before = view(library)
    source = "def have_ash_plank(n=1):\n    skills.have_ash_stick(n)\n"
    with pytest.raises(InputError, match="in a circle"):
        take(library, fresh("have_ash_plank", source, 'count("ash_plank") >= {n}', ("have_ash_stick",)))
    with pytest.raises(NotFoundError, match="which have_oak_stick calls"):
        take(library, stick("oak"))
    assert view(library) == before


def test_a_general_one_that_would_call_what_it_takes_in_is_not_made(library: SkillLibrary) -> None:
    def chained(wood: str, called: str) -> Skill:
        source = f"def log_{wood}(n=1):\n    skills.{called}(n)\n    world.gather('{wood}_log')\n"
        return fresh(f"log_{wood}", source, f'count("{wood}_log") >= 1', (called,))

    take(library, plank("pine"), chained("ash", "have_pine_plank"))
    take(library, chained("oak", "log_ash"))
    sound(library)
    assert 'gather("ash_log")' in runs(library, "log_oak", n=1)


def test_a_general_one_from_elsewhere_loses_none_of_its_cases(tmp_path: Path) -> None:
    with opened(tmp_path / "there") as there:
        general = take(there, plank("ash"), plank("oak"))
    with opened(tmp_path / "here") as here:
        take(here, plank("pine"), plank("birch"))
        here.admit(replace(general, name="their_plank", program=_named(general, "their_plank")), "brought along")
        goals = sorted(str(g) for s in here.active().values() for g in s.goals())
        assert goals == sorted(f'count("{w}_plank") >= 1' for w in WOODS)
        for skill in here.active().values():
            assert len(plains(skill)) == len(skill.cases)
        sound(here)


def _named(skill: Skill, name: str) -> Program:
    source = skill.program.source.replace(f"def {skill.name}", f"def {name}")
    return replace(skill.program, name=name, source=source)


# ---------------------------------------------------------------------- taken back


class _Undone(Exception):
    pass


@contextlib.contextmanager
def _taken_back(library: SkillLibrary) -> Iterator[None]:
    with contextlib.suppress(_Undone), library.home.journal.transaction():
        yield
        raise _Undone


def test_what_is_taken_back_is_forgotten_altogether(library: SkillLibrary) -> None:
    take(library, plank("ash"))
    before = view(library)
    with _taken_back(library):
        take(library, plank("oak"))
        take(library, stick("ash", "skills.have_plank(1, kind='ash_plank')", calls=("have_plank",)))
    assert view(library) == before
    # Another may get the name and version that were given up.
    goal = 'count("ash_plank") >= {n} and count("step") >= 1'
    take(library, plank("ash", "saw", name="have_plank", extra=WALK, goal=goal))
    take(library, plank("oak"))
    sound(library)


def test_what_is_taken_back_within_leaves_what_was_before_it(library: SkillLibrary) -> None:
    with library.home.journal.transaction():
        take(library, plank("ash"))
        with _taken_back(library):
            take(library, stick("ash"))
    assert names(library.active()) == ["have_ash_plank"]
    assert library.index.ids(Kind.SKILL) == {"have_ash_plank@1"}
    assert library.search("ash plank")[0].lexical > 0
    before = view(library)
    with _taken_back(library):
        take(library, plank("oak"))
        with _taken_back(library):
            take(library, plank("pine"))
    assert view(library) == before
