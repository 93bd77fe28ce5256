"""A skill's goal, filled in with arguments."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from habilis.core import Fact, Goal, InputError, fill

PRINTABLE = st.text(st.characters(blacklist_categories=("Cs", "Cc")), max_size=20)


@given(PRINTABLE, st.integers(0, 99))
def test_a_text_stays_one_argument_whatever_it_holds(item: str, n: int) -> None:
    goal = Goal.parse(fill('count("{item}") >= {n}', {"item": item, "n": n}))
    assert [(a.fact, a.value) for a in goal.atoms] == [(Fact("count", (item,)), n)]


@given(PRINTABLE, PRINTABLE)
def test_parts_of_a_name_are_filled_in(folder: str, name: str) -> None:
    goal = Goal.parse(fill('exists("{folder}/{name}")', {"folder": folder, "name": name}))
    assert goal.atoms[0].fact == Fact("exists", (f"{folder}/{name}",))


def test_a_text_cannot_stand_for_a_number() -> None:
    with pytest.raises(InputError, match="takes a number for n"):
        fill("count('x') >= {n}", {"n": '1 and near("bank")'})
