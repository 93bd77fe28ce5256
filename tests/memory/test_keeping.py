"""The life of skills after they were admitted; and a library that was opened anew is as one that stayed open."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.memory.lives import SMALL, random_step
from tests.memory.toys import (
    SETTINGS,
    WALK,
    WOODS,
    Table,
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

from habilis.core import Budget, InputError, Ledger, NotFoundError, Parameter, Record, Skill
from habilis.memory.exchange import Found, Stated, take_in
from habilis.memory.home import Home
from habilis.memory.library import IN_USE, Credit, Offer, SkillLibrary
from habilis.memory.library.merging import plains


@pytest.fixture
def toy() -> Toy:
    return Toy()


@pytest.fixture
def library(tmp_path: Path, toy: Toy) -> Iterator[SkillLibrary]:
    with kept_sound(tmp_path / "home", toy) as made:
        yield made


# ---------------------------------------------------------------------- verified again


def test_what_passes_is_due_no_more(library: SkillLibrary) -> None:
    take(library, plank("ash"), stick("ash"), plank("oak"))
    assert names(library.due()) == ["have_ash_stick"]
    before = library.get("have_ash_stick")
    checked = library.verify("have_ash_stick", seed=3)
    assert checked.ok
    assert library.due() == []
    after = library.get("have_ash_stick")
    assert after == checked.skill
    assert after.evidence.successes == before.evidence.successes + 3
    assert reasons(library, "have_ash_stick")[-1] == "verified again: 3 of 3 in fresh worlds"


def test_what_fails_goes_with_all_that_call_it_and_comes_back(library: SkillLibrary, toy: Toy) -> None:
    take(library, plank("ash"), stick("ash"), plank("oak"))
    toy.broken = {'craft("ash_plank")'}
    checked = library.verify("have_plank")
    assert not checked.ok
    assert library.active() == {}
    assert checked.skill.status == "quarantined"
    assert checked.skill.evidence.contexts["fresh worlds"].failures == 2
    assert reasons(library, "have_ash_stick")[-1].startswith("calls have_plank: verified again: ")
    with pytest.raises(NotFoundError, match="have_plank"):
        library.verify("have_ash_stick")  # what it calls is out of use
    assert not library.verify("have_plank").ok
    assert library.active() == {}
    toy.broken = set()
    assert library.verify("have_plank").ok
    assert library.verify("have_ash_stick").ok
    assert names(library.active()) == ["have_ash_stick", "have_plank"]
    assert library.due() == []


def test_what_the_clock_or_the_account_ended_changes_nothing(library: SkillLibrary) -> None:
    take(library, plank("ash"))
    before = view(library)
    with pytest.raises(Exception, match="world_steps"):
        library.verify("have_ash_plank", ledger=Ledger(Budget(world_steps=3)))
    assert view(library) == before


def test_the_due_that_others_rest_on_come_first(library: SkillLibrary) -> None:
    take(library, plank("ash"), stick("ash"))
    source = "def a_bundle(n: int = 1):\n    skills.have_ash_stick(n)\n    world.walk()\n"
    take(library, fresh("a_bundle", source, 'count("ash_stick") >= {n} and count("step") >= 1', ("have_ash_stick",)))
    for name in ("a_bundle", "have_ash_stick", "have_ash_plank"):
        for _ in range(2):
            library.used(name, False)
    assert [s.name for s in library.due()] == ["have_ash_plank", "have_ash_stick", "a_bundle"]


# ---------------------------------------------------------------------- in use


def test_what_was_proven_with_many_lives_lost_leaves_where_it_does_half_as_well(library: SkillLibrary) -> None:
    seldom = plank("ash")
    evidence = replace(seldom.evidence, successes=3, failures=10, contexts={"fresh worlds": Record(3, 10)})
    take(library, replace(seldom, evidence=evidence))
    library.used("have_ash_plank", True)
    library.used("have_ash_plank", False)
    assert names(library.active()) == ["have_ash_plank"], "its posterior was below a half from the beginning"
    for _ in range(30):
        library.used("have_ash_plank", False)
    assert library.active() == {}


def test_doubt_asks_for_proof_and_lasting_failure_ends_it(library: SkillLibrary) -> None:
    take(library, plank("ash"), stick("ash"))
    library.used("nothing of that name", False)
    library.used("have_ash_plank", False)
    assert library.due() == []
    library.used("have_ash_plank", False)
    assert library.get("have_ash_plank").due == "in use it failed 2 of 2 times"
    assert library.get("have_ash_plank").evidence.contexts[IN_USE] == Record(0, 2)
    assert library.verify("have_ash_plank").ok  # a proof is worth several failures
    for _ in range(9):
        library.used("have_ash_plank", False)
    assert library.active() == {}
    skill = library.home.journal.skill("have_ash_plank")
    assert skill.status == "quarantined"
    assert skill.posterior < SETTINGS.quarantine
    assert f"its posterior of success fell to {skill.posterior:.2f}, below 0.5" in reasons(library, "have_ash_plank")


def test_one_failure_does_not_outweigh_proofs_that_no_context_tells_of(library: SkillLibrary) -> None:
    old = believed(plank("ash"))
    old = replace(old, evidence=replace(old.evidence, successes=4, contexts={}))
    library.admit(old, "by an older version")
    library.used("have_ash_plank", False)
    assert library.get("have_ash_plank").posterior == pytest.approx(5 / 7)


def test_what_is_used_well_stays(library: SkillLibrary) -> None:
    take(library, plank("ash"))
    for ok in (True, False, True, False, True):
        library.used("have_ash_plank", ok)
    assert library.get("have_ash_plank").evidence.contexts[IN_USE] == Record(3, 2)
    assert library.due() == []


# ---------------------------------------------------------------------- lifted anew


def test_a_win_is_the_next_version_a_loss_is_remembered(library: SkillLibrary) -> None:
    take(library, plank("ash"), stick("ash"))
    better = Table(plank("ash", "saw", name="get"))
    lifted = library.relift(better)
    assert [(s.name, s.version) for s in lifted.promoted] == [("have_ash_plank", 2)]
    assert reasons(library, "have_ash_plank")[-1].startswith("lifted anew: 2 of 2 against 2 of 2 in the same worlds")
    assert library.get("have_ash_plank").sources == ("there",)
    assert library.get("have_ash_stick").due
    worse = Table(plank("ash", name="get", extra=WALK))
    lifted = library.relift(worse)
    assert lifted.promoted == ()
    assert "have_ash_plank" in lifted.rejected
    assert lifted.trajectories
    again = library.relift(worse)
    assert (again.rejected, again.trajectories) == ({}, ())
    sound(library)


def test_a_loss_counts_until_what_it_calls_is_another(library: SkillLibrary) -> None:
    take(library, plank("ash", extra=WALK))
    direct = "world.gather('ash_log'); world.craft('ash_plank')"
    take(library, stick("ash", direct, calls=()))
    drafts = Table(stick("ash", name="stick_by_plank"))
    assert "have_ash_stick" in library.relift(drafts, ["have_ash_stick"]).rejected
    assert library.relift(drafts, ["have_ash_stick"]).trajectories == ()
    take(library, plank("ash", "saw"))
    assert library.relift(drafts, ["have_ash_stick"]).trajectories  # it calls the new version now


def test_names_may_come_one_by_one(library: SkillLibrary) -> None:
    take(library, plank("ash"), plank("oak", extra=WALK))
    better = Table(plank("ash", "saw", name="get"), plank("oak", "saw", name="get_it"))
    assert [s.name for s in library.relift(better, iter(["have_ash_plank"])).promoted] == ["have_ash_plank"]


def test_a_group_of_cases_is_lifted_together(library: SkillLibrary) -> None:
    take(
        library,
        *[plank(wood) for wood in WOODS],
        stick("ash", "skills.have_plank(1, kind='ash_plank')", calls=("have_plank",)),
    )
    worse = Table(*[plank(wood, name=f"walk_{wood}_plank", extra=WALK) for wood in WOODS])
    assert "have_plank" in library.relift(worse).rejected
    assert library.relift(worse).trajectories == ()  # remembered as the group it was
    better = Table(*[plank(wood, "saw", name=f"saw_{wood}_plank") for wood in WOODS])
    (kept,) = library.relift(better).promoted
    assert (kept.name, len(kept.cases)) == ("have_plank", 4)
    assert names(library.active()) == ["have_ash_stick", "have_plank"]
    assert 'saw("ash_plank")' in runs(library, "have_ash_stick", n=1)
    assert library.verify("have_ash_stick").ok


def test_a_group_that_could_not_be_called_alike_goes_by_itself(library: SkillLibrary) -> None:
    """One that has a name of its own where the others have a choice: callers say ``kind``."""
    take(
        library,
        plank("ash"),
        plank("oak"),
        stick("ash", "skills.have_plank(1, kind='ash_plank')", calls=("have_plank",)),
    )
    own = "        kind = 1\n"
    library.relift(Table(*[plank(wood, "saw", name=f"saw_{wood}_plank", extra=own) for wood in ("ash", "oak")]))
    sound(library)
    assert runs(library, "have_ash_stick", n=1)[-1] == 'craft("ash_stick")'
    assert library.verify("have_ash_stick").ok


def test_a_case_that_is_outdone_has_a_successor(library: SkillLibrary) -> None:
    take(library, plank("ash"), plank("oak"), plank("pine"))
    better = Table(plank("oak", "saw", name="saw_oak_plank"))
    (kept,) = library.relift(better).promoted
    assert kept.name == "saw_oak_plank"
    assert [c.successor for c in library.get("have_plank").cases] == ["", "saw_oak_plank", ""]
    better.asked.clear()
    library.relift(better)
    assert 'count("oak_plank") >= 1' in better.asked  # for its successor
    assert better.asked.count('count("oak_plank") >= 1') == 1
    assert [h.args for h in library.search("oak plank") if h.skill.name == "have_plank"] != [{"kind": "oak_plank"}]
    assert library.prune() == ()
    rest = Table(plank("ash", "saw", name="saw_ash_plank"), plank("pine", "saw", name="saw_pine_plank"))
    library.relift(rest)
    assert library.prune() == ("have_plank",)
    assert reasons(library, "have_plank")[-1] == "outdone in all its cases, and called by none"
    goals = sorted(str(g) for s in library.active().values() for g in s.goals())
    assert goals == [f'count("{w}_plank") >= 1' for w in ("ash", "oak", "pine")]


def test_a_case_counts_again_when_its_successor_is_gone(library: SkillLibrary) -> None:
    take(library, plank("ash"), plank("oak"))
    library.relift(Table(plank("oak", "saw", name="saw_oak_plank")))
    library.retire("saw_oak_plank", "no saw")
    assert [c.successor for c in library.get("have_plank").cases] == ["", ""]
    assert library.prune() == ()
    assert take(library, plank("oak", extra=WALK)).name == "have_plank"


def test_what_did_better_may_be_gone_when_one_comes_back(library: SkillLibrary) -> None:
    take(library, plank("ash"), plank("oak"))
    library.relift(Table(plank("oak", "saw", name="saw_oak_plank")))
    library.retire("have_plank", "why not")
    library.retire("saw_oak_plank", "no saw")
    assert [c.successor for c in library.restore("have_plank", "it was good").cases] == ["", ""]


@pytest.mark.parametrize(
    "draft",
    [
        fresh("get", "def get(n: int = 1:\n", 'count("ash_plank") >= {n}'),
        fresh("get", "def get(n: int = 1):\n    skills.gone(n)\n", 'count("ash_plank") >= {n}', ("gone",)),
        fresh("get", "def get(n: int = 1):\n    skills.get(n)\n", 'count("ash_plank") >= {n}', ("get",)),
        fresh("get", "def get():\n    pass\n", 'count("ash_plank") >= 1', parameters=()),
        fresh("get", "def get(n: int = 1):\n    return 0x" + "f" * 6_000 + "\n", 'count("ash_plank") >= {n}'),
        fresh("have_oak_stick", "def have_oak_stick(n: int = 1):\n    pass\n", 'count("ash_plank") >= {n}'),
    ],
)
def test_a_draft_that_is_of_no_use_is_passed_over(library: SkillLibrary, draft: Skill) -> None:
    take(library, plank("ash"), plank("oak", name="oak_planks", extra=WALK))
    take(library, stick("oak", "skills.oak_planks(1)", calls=("oak_planks",)))
    before = view(library)
    library.relift(Table(draft), ["have_ash_plank"])
    assert names(library.active()) == ["have_ash_plank", "have_oak_stick", "oak_planks"]
    assert view(library)[1:] == before[1:]


def test_the_one_that_was_fought_makes_way_and_no_other(tmp_path: Path, toy: Toy) -> None:
    """Two ways to one goal: what outdoes the poorer says nothing of the better one."""
    with opened(tmp_path) as library:
        library.admit(believed(plank("ash", "saw")), "found")
        library.admit(believed(plank("ash", extra=WALK, name="slow_plank")), "found")
        library.verifier = library_of(library.home, toy).verifier
        (kept,) = library.relift(Table(plank("ash", name="get")), ["slow_plank"]).promoted
        assert kept.name == "slow_plank"
        assert 'saw("ash_plank")' in library.get("have_ash_plank").program.source.replace("'", '"')
        sound(library)


def test_what_runs_out_ends_it_early(library: SkillLibrary) -> None:
    take(library, plank("ash"), plank("oak", extra=WALK))
    better = Table(plank("ash", "saw", name="get"), plank("oak", "saw", name="get_it"))
    for steps in range(0, 40, 4):
        promoted = library.relift(better, ledger=Ledger(Budget(world_steps=steps))).promoted
        sound(library)
    assert promoted is not None
    library.relift(better)
    assert all("saw" in s.program.source for s in library.active().values())


# ---------------------------------------------------------------------- taken along


def _moved(home: Home, toy: Toy) -> SkillLibrary:
    toy.fingerprint = "toy-2"
    return library_of(home, toy, fingerprint="toy-2")


def test_what_still_holds_is_taken_along(tmp_path: Path, toy: Toy) -> None:
    with opened(tmp_path, toy, fingerprint="toy-1") as there:
        take(there, *[plank(wood) for wood in WOODS])
        take(there, *[stick(w, f"skills.have_plank(1, kind='{w}_plank')", calls=("have_plank",)) for w in WOODS[:2]])
        source = "def have_log(n: int = 1):\n    world.gather('pine_log')\n"
        take(there, fresh("have_log", source, 'count("pine_log") >= 1'))
        toy.broken = {'craft("ash_plank")', 'craft("oak_plank")', 'gather("pine_log")'}
        here = _moved(there.home, toy)
        carried = here.carry_over("toy")
        assert carried.tried == 4 + 2 + 1
        assert {s.name: s.version for s in carried.skills} == {"have_plank": 4, "have_stick": 2}
        assert [c.args for c in here.get("have_plank").cases] == [{"kind": "birch_plank"}]
        assert here.get("have_plank").program.parameters[1].choices == ("birch_plank",)
        assert [c.args for c in here.get("have_stick").cases] == [{"kind": "birch_stick"}]
        assert runs(here, "have_stick", n=1, kind="birch_stick")[-1] == 'craft("birch_stick")'
        sound(here)
        assert here.carry_over("toy").skills == ()
        toy.broken = {'craft("oak_plank")'}
        general = take(here, plank("pine", fingerprint="toy-2"))  # a further case of what was taken along
        assert [c.args["kind"] for c in general.cases] == ["birch_plank", "pine_plank"]
        assert [p.goal_template for p in plains(general)] == [
            'count("birch_plank") >= {n}',
            'count("pine_plank") >= {n}',
        ]
        there.refresh()
        assert len(there.get("have_plank").cases) == 4
        assert view(library_of(here.home, toy, fingerprint="toy-2")) == view(here)


def test_choices_that_are_no_cases_are_taken_along_too(tmp_path: Path, toy: Toy) -> None:
    how = Parameter("how", "str", "walk", False, choices=("walk", "run"))
    source = "def go(how: str = 'walk'):\n    world.walk()\n"
    with opened(tmp_path, toy, fingerprint="toy-1") as there:
        take(there, fresh("go", source, 'count("step") >= 1', parameters=(how,)))
        here = _moved(there.home, toy)
        (kept,) = here.carry_over("toy").skills
        assert kept.program.parameters == (how,)


def test_one_that_fits_nothing_does_not_keep_the_others_from_their_order(tmp_path: Path, toy: Toy) -> None:
    with opened(tmp_path, toy, fingerprint="toy-1") as there:
        take(there, plank("ash"), stick("ash"), plank("ash", "saw"))  # what is called was stored last
        lost = replace(believed(stick("oak", calls=("gone",))), version=1)
        there.home.journal.put_skill(lost, "imported")
        lost = replace(believed(stick("pine", name="higher", calls=("have_oak_stick",))), version=1)
        there.home.journal.put_skill(lost, "imported")
        here = _moved(there.home, toy)
        assert [s.name for s in here.carry_over("toy").skills] == ["have_ash_plank", "have_ash_stick"]


def test_it_takes_along_what_can_be_paid(tmp_path: Path, toy: Toy) -> None:
    with opened(tmp_path, toy, fingerprint="toy-1") as there:
        take(there, plank("ash"), stick("ash"))
        here = _moved(there.home, toy)
        assert here.carry_over("toy", ledger=Ledger(Budget(world_steps=14))).skills == (here.get("have_ash_plank"),)
        assert [s.name for s in here.carry_over("toy").skills] == ["have_ash_stick"]
        with pytest.raises(InputError, match="one world"):
            library_of(there.home, toy).carry_over("toy")
        with pytest.raises(InputError, match="proven"):
            library_of(there.home, fingerprint="toy-2").carry_over("toy")


# ---------------------------------------------------------------------- what they are worth


def test_one_is_withheld_now_and_then_by_the_seed_alone(library: SkillLibrary) -> None:
    take(library, plank("ash"), stick("ash"), plank("oak", extra=WALK))
    called = ["have_ash_stick", "have_oak_plank", "have_ash_plank"]
    offers = [library.offer(called, str(seed)) for seed in range(400)]
    withheld = [o.withheld for o in offers if o.withheld]
    assert 8 <= len(withheld) <= 35  # a twentieth
    assert set(withheld) == {"have_ash_stick", "have_oak_plank"}  # what others call never is
    assert offers == [library.offer(called, str(seed)) for seed in range(400)]
    assert library.offer([], "1") == Offer()


def test_what_makes_tasks_go_worse_is_retired(library: SkillLibrary) -> None:
    take(library, plank("ash"), plank("oak", extra=WALK))
    both = ("have_ash_plank", "have_oak_plank")
    for _ in range(12):
        library.settle(Offer(both, ""), False)
        library.settle(Offer(both, "have_oak_plank"), True)
    assert library.credits()["have_oak_plank"] == Credit(Record(0, 12), Record(12, 0))
    assert library.credits()["have_ash_plank"] == Credit(Record(12, 12), Record(0, 0))
    assert library.prune() == ("have_oak_plank",)
    assert reasons(library, "have_oak_plank")[-1] == "tasks go worse with it: -0.86 ± 0.09 of success"


def test_the_least_useful_go_beyond_the_cap(tmp_path: Path, toy: Toy) -> None:
    settings = replace(SETTINGS, active_cap=2)
    with opened(tmp_path, toy, settings=settings) as library:
        take(library, plank("ash"), stick("ash"), plank("oak", extra=WALK), plank("pine", extra="        0\n" * 2))
        library.used("have_pine_plank", True)
        # What others call stays until they have gone; of those of equal worth, the first by name.
        assert library.prune() == ("have_ash_stick", "have_ash_plank")
        assert names(library.active()) == ["have_oak_plank", "have_pine_plank"]
        assert library.prune() == ()
        sound(library)
        # Each world has a cap of its own; names that several share are told apart.
        take(library, *[replace(plank(w, extra="        0\n" * i), fingerprint="toy-2") for i, w in enumerate(WOODS)])
        for _ in range(9):
            library.settle(Offer(("have_pine_plank",), ""), False)
            library.settle(Offer(("have_pine_plank",), "have_pine_plank"), True)
        library.prune()
        assert sorted(s.fingerprint for s in library.home.journal.skills()) == ["toy-1", "toy-2", "toy-2"]
        sound(library)


# ---------------------------------------------------------------------- back to what was


def test_an_older_version_comes_back_where_it_stood(library: SkillLibrary) -> None:
    take(library, plank("ash", extra=WALK), stick("ash"), plank("ash", "saw"), plank("oak", extra="        0\n"))
    assert library.verify("have_ash_stick").ok
    library.restore("have_ash_plank", "the saw is blunt", version=1)
    assert list(library.active())[0] == "have_ash_plank"  # noqa: RUF015
    assert library.get("have_ash_stick").due == "version 1 of have_ash_plank is back"
    assert "walk()" in runs(library, "have_ash_stick", n=1)
    changed = library.diff("have_ash_plank", 1, 2).splitlines()
    assert changed[:2] == ["--- have_ash_plank version 1", "+++ have_ash_plank version 2"]
    assert "-        world.walk()" in changed
    assert library.diff("have_ash_plank", 1, 1) == ""
    told = [(t.version, t.before, t.after) for t in library.history("have_ash_plank")]
    assert told == [
        (1, None, "active"),
        (1, "active", "superseded"),
        (2, None, "active"),
        (2, "active", "superseded"),
        (1, "superseded", "active"),
    ]
    with pytest.raises(NotFoundError):
        library.history("nothing")
    with pytest.raises(NotFoundError):
        library.diff("nothing")


def test_a_version_that_its_callers_cannot_call_does_not_come_back(library: SkillLibrary) -> None:
    take(
        library,
        plank("ash"),
        plank("oak"),
        stick("ash", "skills.have_plank(1, kind='ash_plank')", calls=("have_plank",)),
    )
    other = believed(
        fresh(
            "have_plank",
            "def have_plank(m):\n    pass\n",
            'count("oak_plank") >= {m}',
            parameters=(Parameter("m", "int"),),
        )
    )
    library.home.journal.put_skill(replace(other, version=9, status="retired"), "imported")
    before = view(library)
    with pytest.raises(InputError, match="takes other parameters"):
        library.restore("have_plank", "why not", version=9)
    assert view(library) == before


def test_twins_share_what_is_known_of_them(library: SkillLibrary) -> None:
    """A skill that came back beside its twin: whoever goes, the other is still known."""
    take(library, plank("ash"))
    library.retire("have_ash_plank", "why not")
    take(library, plank("ash", name="get_planks"))
    library.restore("have_ash_plank", "it was good")
    assert view(library_of(library.home)) == view(library)
    assert take(library, plank("ash", name="again")).name == "have_ash_plank"  # the one that was stored first
    library.retire("have_ash_plank", "why not")
    assert take(library, plank("ash", name="again")).name == "get_planks"
    assert names(library.active()) == ["get_planks"]


# ---------------------------------------------------------------------- opened anew between any two steps


@pytest.mark.parametrize("seed", range(8))
def test_a_library_that_is_opened_anew_is_as_one_that_stayed_open(tmp_path: Path, seed: int) -> None:
    stays, comes = Toy(), Toy()
    rng = random.Random(seed)
    with opened(tmp_path / "stays", stays, settings=SMALL) as open_one:
        for number in range(30):
            told = random_step(open_one, stays, random.Random(f"{seed}:{number}"))
            with opened(tmp_path / "comes", comes, settings=SMALL) as new_one:
                assert random_step(new_one, comes, random.Random(f"{seed}:{number}")) == told
                if rng.random() < 0.5:
                    assert view(new_one) == view(open_one)
            assert view(open_one) == view(library_of(open_one.home, stays, settings=SMALL))
            sound(open_one)


# ---------------------------------------------------------------------- imports


def lying(skill: Skill) -> Found:
    """Found in a stranger's folder: what costs nothing, needs nothing and lost against all that could be better."""
    cases = tuple(replace(c, cost=-1e308, needs=(), record=Record(900, 0)) for c in skill.cases)
    needs = ('count("oak_log") >= 5',)
    claims = replace(skill, cost=-1e308, needs=needs, cases=cases, meta={"lost": 5, "carried": "f0", "imported": {}})
    return Found("stranger", (Stated(claims, "stranger"),))


def test_what_an_import_costs_and_needs_is_what_was_seen_here(tmp_path: Path, library: SkillLibrary) -> None:
    taken = take(library, plank("oak"), plank("birch"))
    with opened(tmp_path / "other", Toy()) as other:
        take_in(other.home.journal, lying(taken))
        assert set(other.home.journal.skill(taken.name).meta) == {"imported"}
        assert other.verify(taken.name).ok
        kept = other.get(taken.name)
        assert kept.needs == ()
        assert [c.record for c in kept.cases] == [Record(2, 0), Record(1, 0)]
        assert all(0 < c.cost < 10 for c in (kept, *kept.cases))
        again = other.verify(taken.name, seed=1).skill
        assert (again.cost, again.cases) == (kept.cost, kept.cases)
        sound(other)


def test_what_an_import_needs_indeed_is_kept(tmp_path: Path, library: SkillLibrary) -> None:
    taken = take(library, plank("oak"))
    found = Found("stranger", (Stated(replace(taken, needs=('count("step") >= 0', 'count("ash_log") >= 1')), "x"),))
    with opened(tmp_path / "other", Toy()) as other:
        take_in(other.home.journal, found)
        assert other.verify(taken.name).skill.needs == ('count("step") >= 0',)


def test_what_is_to_be_verified_is_named_rightly(library: SkillLibrary) -> None:
    name = take(library, plank("oak")).name
    for work, said in (
        (lambda: library.verify(5), "name= is of type int"),  # type: ignore[arg-type]
        (lambda: library.verify(name, version="1"), "version= is of type str"),  # type: ignore[arg-type]
        (lambda: library.verify(name, ledger=5), "ledger= is of type int"),  # type: ignore[arg-type]
    ):
        with pytest.raises(InputError, match=said):
            work()
    with pytest.raises(NotFoundError, match=rf"there is no version of {name} '9'\. Known: 1\."):
        library.verify(name, version=9)


def test_an_import_whose_goal_is_true_anyway_shows_nothing(tmp_path: Path, library: SkillLibrary) -> None:
    taken = take(library, plank("oak"))
    boast = replace(
        taken,
        name="get_a_diamond",
        doc="Get a diamond, quickly.",
        goal_template='count("dirt") >= 0',
        program=replace(taken.program, name="get_a_diamond", source="def get_a_diamond(n=1):\n    pass\n", calls=()),
    )
    with opened(tmp_path / "other", Toy()) as other:
        take_in(other.home.journal, Found("stranger", (Stated(boast, "stranger"),)))
        checked = other.verify("get_a_diamond")
        assert not checked.ok
        assert "its goal held before each run began" in checked.why
        assert other.home.journal.skill("get_a_diamond").status == "quarantined"
        assert other.search("get a diamond") == []
