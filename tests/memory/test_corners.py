"""Where a library's rules meet: several choices, several worlds, older versions, accounts of what has left."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.memory.toys import (
    Toy,
    fresh,
    library_of,
    names,
    opened,
    sound,
    view,
)

from habilis.core import Skill
from habilis.memory.library import SkillLibrary


@pytest.fixture
def toy() -> Toy:
    return Toy()


@pytest.fixture
def library(tmp_path: Path, toy: Toy) -> Iterator[SkillLibrary]:
    with opened(tmp_path / "home", toy) as made:
        yield made
        sound(made)
        assert view(library_of(made.home, toy)) == view(made)


def take(library: SkillLibrary, *skills: Skill) -> Skill:
    for skill in skills:
        kept = library.admit(skill, "found")
    return kept


def reasons(library: SkillLibrary, name: str) -> list[str]:
    return [t.reason for t in library.history(name)]


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
