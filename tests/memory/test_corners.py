"""Where a library's rules meet: several choices, several worlds, older versions, accounts of what has left."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.memory.toys import (
    EMBEDDER,
    WALK,
    Direct,
    Table,
    Toy,
    believed,
    fresh,
    kept_sound,
    library_of,
    names,
    opened,
    plank,
    runs,
    sound,
    stick,
    take,
    view,
)

from habilis.core import EvidenceLevel, InputError, Kind, Parameter, Skill, Verdict
from habilis.memory.index import MemoryIndex
from habilis.memory.library import Offer, SkillLibrary
from habilis.worlds.verify import GoalJudge, WorldVerifier


@pytest.fixture
def toy() -> Toy:
    return Toy()


@pytest.fixture
def library(tmp_path: Path, toy: Toy) -> Iterator[SkillLibrary]:
    with kept_sound(tmp_path / "home", toy) as made:
        yield made


# ---------------------------------------------------------------------- several choices


def pair(wood: str, other: str) -> Skill:
    """Planks of one wood and a log of another."""
    name = f"have_{wood}_with_{other}"
    source = f"def {name}(n: int = 1):\n    while world.count('{wood}_plank') < n:\n"
    source += f"        world.gather('{wood}_log')\n        world.craft('{wood}_plank')\n"
    source += f"    world.gather('{other}_log')\n"
    return fresh(name, source, f'count("{wood}_plank") >= {{n}} and count("{other}_log") >= 1')


@pytest.mark.parametrize("last", ["ash pine", "birch oak"])
def test_only_choices_that_were_proven_together_are_proven_again(library: SkillLibrary, last: str) -> None:
    """Of two choices not each goes with each: what nobody has claimed says nothing of the skill."""
    take(library, pair("ash", "oak"), pair("birch", "pine"), pair(*last.split()))
    (general,) = library.active().values()
    proven = [dict(c.args) for c in general.cases]
    assert len(proven) == 3
    checked = library.verify(general.name, seed=5)
    tried = [{k: v for k, v in t.args.items() if k != "n"} for t in checked.skill.evidence.trials]
    assert checked.ok, checked.why
    assert all(case in proven for case in tried)
    assert all(case in tried[-4:] for case in proven)  # each of them, this time
    assert names(library.active()) == [general.name]


@pytest.mark.parametrize("further", [("birch", "oak"), ("birch", "birch")])
def test_a_choice_means_what_it_meant_when_there_is_a_further_one(
    library: SkillLibrary, further: tuple[str, str]
) -> None:
    """Who calls the general one with ``kind`` finds the same as before, and so does who reads its trials."""
    before = take(library, pair("ash", "oak"), pair("ash", "pine"))
    call = f"skills.{before.name}(1, kind='pine_log')"
    take(library, stick("ash", call, calls=(before.name,)))
    did = runs(library, "have_ash_stick", n=1)
    general = take(library, pair(*further))
    assert general.name == before.name
    assert len(general.cases) == 3
    assert runs(library, "have_ash_stick", n=1) == did
    assert runs(library, before.name, n=1, kind="pine_log") == did[:-1]
    for trial in general.evidence.trials:
        assert {k: v for k, v in trial.args.items() if k != "n"} in [dict(c.args) for c in general.cases]
    assert library.verify(before.name).ok
    assert library.verify("have_ash_stick").ok
    assert library.due() == []


def test_a_choice_that_would_come_apart_stays_whole(library: SkillLibrary) -> None:
    """Where one choice was two things at once, a third for which they differ is a skill of its own."""

    def both(wood: str, other: str) -> Skill:
        name = f"have_{wood}_and_{other}"
        source = f"def {name}(n: int = 1):\n    while world.count('{wood}_log') < n:\n"
        source += f"        world.gather('{wood}_log')\n    world.gather('{other}_log')\n"
        return fresh(name, source, f'count("{wood}_log") >= {{n}} and count("{other}_log") >= 1')

    before = take(library, both("ash", "ash"), both("oak", "oak"))
    call = f"skills.{before.name}(1, 'oak_log'); world.craft('oak_plank')"
    take(library, stick("oak", call, calls=(before.name,)))
    did = runs(library, "have_oak_stick", n=1)
    take(library, both("birch", "pine"))
    assert runs(library, "have_oak_stick", n=1) == did


def test_a_group_that_is_lifted_keeps_the_meaning_of_its_choices(library: SkillLibrary) -> None:
    before = take(library, pair("ash", "oak"), pair("ash", "pine"), pair("birch", "oak"))
    take(library, stick("ash", f"skills.{before.name}(1, 'pine_log')", calls=(before.name,)))
    drafts = []
    for case in before.cases:
        wood, other = (str(case.args[name]).split("_")[0] for name in ("kind_2", "kind"))
        source = pair(wood, other).program.source.replace("craft", "saw").replace("have_", "lift_")
        drafts.append(fresh(f"lift_{wood}_with_{other}", source, pair(wood, other).goal_template))
    (kept,) = library.relift(Table(*drafts)).promoted
    assert (kept.name, kept.version) == (before.name, before.version + 1)
    assert [c.args for c in kept.cases] == [c.args for c in before.cases]
    assert kept.program.parameters == before.program.parameters
    assert 'saw("ash_plank")' in runs(library, "have_ash_stick", n=1)
    assert 'gather("pine_log")' in runs(library, "have_ash_stick", n=1)


def test_cases_with_several_choices_are_taken_along_one_by_one(tmp_path: Path, toy: Toy) -> None:
    with opened(tmp_path, toy, fingerprint="toy-1") as there:
        take(there, pair("ash", "oak"), pair("ash", "pine"), pair("birch", "oak"))
        toy.fingerprint, toy.broken = "toy-2", {'gather("pine_log")'}
        here = library_of(there.home, toy, fingerprint="toy-2")
        (moved,) = here.carry_over("toy").skills
        assert [sorted(map(str, c.args.values())) for c in moved.cases] == [
            ["ash_plank", "oak_log"],
            ["birch_plank", "oak_log"],
        ]
        assert here.verify(moved.name).ok
        sound(here)


# ---------------------------------------------------------------------- older versions


def test_an_older_version_that_is_verified_comes_back_as_a_restored_one(library: SkillLibrary) -> None:
    take(library, plank("ash", extra=WALK), stick("ash"), plank("ash", "saw"))
    assert library.verify("have_ash_stick").ok
    assert library.verify("have_ash_plank", version=1).ok
    assert library.get("have_ash_plank").version == 1
    assert library.get("have_ash_stick").due == "version 1 of have_ash_plank is back"


def test_a_version_that_its_callers_cannot_call_is_not_verified_into_use(library: SkillLibrary) -> None:
    call = "skills.have_plank(1, kind='ash_plank')"
    take(library, plank("ash"), plank("oak"), stick("ash", call, calls=("have_plank",)))
    source = "def have_plank(m: int = 1):\n    world.gather('pine_log')\n"
    many = (Parameter("m", "int", 1, False),)
    other = believed(fresh("have_plank", source, 'count("pine_log") >= 1', parameters=many))
    library.home.journal.put_skill(replace(other, version=9, status="quarantined"), "imported")
    before = view(library)
    with pytest.raises(InputError, match="takes other parameters"):
        library.verify("have_plank", version=9)
    assert view(library) == before
    assert runs(library, "have_ash_stick", n=1)[-1] == 'craft("ash_stick")'


# ---------------------------------------------------------------------- what did better


@pytest.mark.parametrize("saws", [True, False])
def test_a_case_counts_again_where_what_did_better_does_not_hold(tmp_path: Path, toy: Toy, saws: bool) -> None:
    with opened(tmp_path, toy, fingerprint="toy-1") as there:
        take(there, plank("ash"), plank("oak"))
        there.relift(Table(plank("oak", "saw", name="saw_oak_plank")))
        toy.fingerprint, toy.broken = "toy-2", set() if saws else {'saw("oak_plank")'}
        here = library_of(there.home, toy, fingerprint="toy-2")
        here.carry_over("toy")
        assert [c.successor for c in here.get("have_plank").cases] == ["", "saw_oak_plank" if saws else ""]
        sound(here)


# ---------------------------------------------------------------------- accounts of what has left


def test_who_comes_back_is_not_judged_by_what_it_left_for(library: SkillLibrary) -> None:
    def harms(name: str) -> None:
        for _ in range(12):
            library.settle(Offer((name,), ""), False)
            library.settle(Offer((name,), name), True)

    take(library, plank("oak"))
    harms("have_oak_plank")
    assert library.prune() == ("have_oak_plank",)
    library.restore("have_oak_plank", "the user wants it")
    assert library.credits() == {}
    assert library.prune() == ()
    harms("have_oak_plank")
    assert library.prune() == ("have_oak_plank",)
    take(library, plank("oak", "saw"))
    assert library.prune() == ()
    assert view(library_of(library.home)) == view(library)


# ---------------------------------------------------------------------- whatever is raised


class Failing(MemoryIndex):
    error: Exception | None = None

    def upsert(self, kind: Kind, ids: Sequence[str], vectors: NDArray[np.float32]) -> None:
        if self.error is not None:
            raise self.error
        super().upsert(kind, ids, vectors)


@pytest.mark.parametrize("error", [OSError("no space"), RuntimeError("it is closed"), ValueError("odd")])
def test_an_index_of_ones_own_may_raise_anything(tmp_path: Path, toy: Toy, error: Exception) -> None:
    """What was admitted is kept, and whoever admitted it is told so."""
    told: list[str] = []
    index = Failing(EMBEDDER.dim)
    with opened(tmp_path, toy, index=index, warn=told.append) as library:
        index.error = error
        assert take(library, plank("ash")).name == "have_ash_plank"
        assert told == [
            f"the index is behind, and is made good when the home is opened next: {type(error).__name__}: {error}"
        ]
        index.error = None
        take(library, plank("oak"))
        sound(library)


# ---------------------------------------------------------------------- several worlds, one name


def test_a_name_that_several_worlds_share_is_lifted_in_each(tmp_path: Path, toy: Toy) -> None:
    with opened(tmp_path, toy) as everything:
        take(everything, plank("ash"), stick("ash"), plank("ash", fingerprint="toy-2"))
        lifted = everything.relift(Table(plank("ash", "saw", name="saw_ash_plank")))
        assert {s.fingerprint for s in lifted.promoted} == {"toy-1", "toy-2"}
        sound(everything)


def test_a_name_that_several_worlds_share_is_verified_by_its_version(tmp_path: Path, toy: Toy) -> None:
    with opened(tmp_path, toy) as everything:
        take(everything, plank("ash"), stick("ash"), plank("ash", fingerprint="toy-2"))
        with pytest.raises(InputError, match="several worlds have a skill have_ash_plank"):
            everything.verify("have_ash_plank")
        toy.broken = {'craft("ash_plank")'}
        assert not everything.verify("have_ash_plank", version=1).ok
        assert [s.fingerprint for s in everything.active().values()] == ["toy-2"]
        sound(everything)


# ---------------------------------------------------------------------- what only a model can judge


def test_what_only_a_model_can_judge_is_judged_by_a_model_however_often(tmp_path: Path, toy: Toy) -> None:
    with opened(tmp_path, toy) as library:
        library.verifier = WorldVerifier(toy.make, Direct(), GoalJudge(lambda *asked: Verdict(True, judge="a model")))
        source = "def tidy_up(n: int = 1):\n    world.walk()\n"
        assert take(library, fresh("tidy_up", source, 'Judged("it is tidy")')).evidence.level is _JUDGED
        assert library.verify("tidy_up", seed=4).skill.evidence.level is _JUDGED
        assert take(library, plank("ash")).evidence.level is EvidenceLevel.VERIFIED


_JUDGED = EvidenceLevel.MODEL_JUDGED
