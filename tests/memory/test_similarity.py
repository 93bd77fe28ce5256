"""Programs that differ in names only are the same; others are as near as the code they share."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from habilis.core import InputError
from habilis.memory.library.similarity import normalised_source, shingle_jaccard

BASE = """
def get_sticks(n=1):
    '''Get sticks.'''
    have = world.count("stick")
    while have < n:  # not yet
        for plank in skills.planks(amount=2):
            try:
                world.craft("stick", target=plank)
            except ActionFailed as problem:
                print(problem)
        have = world.count("stick")
"""
RENAMED = """
def sticks(wanted: int = 1) -> None:
    x = world.count('stick')
    while (x < wanted):
        for p in skills.planks(amount=2):
            try:
                world.craft('stick', target=p)
            except ActionFailed as e:
                print(e)
        x = world.count('stick')
"""


def test_names_comments_and_layout_do_not_matter() -> None:
    assert normalised_source(BASE) == normalised_source(RENAMED)
    assert shingle_jaccard(BASE, RENAMED) == 1.0


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"stick"', '"plank"'),
        ("amount=2", "amount=3"),
        ("world.craft", "world.place"),
        ("amount", "number"),
        ("n=1", "n=2"),
        ("have < n", "n < have"),
    ],
)
def test_what_a_program_does_matters(old: str, new: str) -> None:
    changed = BASE.replace(old, new)
    assert normalised_source(changed) != normalised_source(BASE)
    assert 0.3 < shingle_jaccard(changed, BASE) < 1.0


def test_unlike_programs_share_little() -> None:
    assert shingle_jaccard(BASE, "def f():\n    return tools.weather('Bern')['rain'] + 1\n") < 0.1


def test_calling_itself_by_keyword() -> None:
    one = "def f(n, m):\n    return f(n=n, m=m - 1)\n"
    two = "def g(a, b):\n    return g(a=a, b=b - 1)\n"
    assert normalised_source(one) == normalised_source(two)


def test_no_python_is_an_input_error() -> None:
    with pytest.raises(InputError, match="not a Python program"):
        normalised_source("def f(:")


names = st.lists(st.from_regex(r"[a-z]{2}_[a-z]{1,3}", fullmatch=True), min_size=4, max_size=4, unique=True)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(names)
def test_any_renaming_is_seen_through_and_normalising_twice_changes_nothing(fresh: list[str]) -> None:
    template = "def {0}({1}, {2}=2):\n    {3} = {1} + {2}\n    return [{0}({1}=q) for q in range({3})]\n"
    source = template.format(*fresh)
    once = normalised_source(source)
    assert once == normalised_source(template.format("ff", "aa", "bb", "cc"))
    assert normalised_source(once) == once
