"""Skills with parameters of text are found by their goal."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from habilis.agent.fitting import fits
from habilis.core import Case, Evidence, EvidenceLevel, Goal, Parameter, Program, Skill, fill, fitted

SRC, N = Parameter("src", "str", "a", required=False), Parameter("n", "int", 1, required=False)


def skill(template: str, *parameters: Parameter, name: str = "it", good: int = 3, bad: int = 0) -> Skill:
    program = Program(name, f"def {name}():\n    pass\n", parameters)
    evidence = Evidence(EvidenceLevel.VERIFIED, (), good, bad)
    return Skill(name, 1, program, "", template, "w", "f", evidence)


@pytest.mark.parametrize(
    ("template", "goal", "args"),
    [
        ('sorted("{src}", {n})', 'sorted("b c", 4)', {"src": "b c", "n": 4}),
        ('have("{src}") >= {n}', 'have("x") >= 3', {"src": "x", "n": 3}),
        ('have("{src}") and not lost("{src}")', 'have("x") and not lost("x")', {"src": "x"}),
        ('have("{src}") and not lost("{src}")', 'have("x") and not lost("y")', None),
        ('have("{src}") >= {n}', 'have("x") <= 3', None),
        ('have("{src}")', 'has("x")', None),
        ('have("{src}")', 'have("x", "y")', None),
        ('have("{src}")', "have(3)", None),
        ('sorted("{src}", {n})', 'sorted("b", "c")', None),
        ('have("one {src}")', 'have("one x")', None),
        ("Judged('{src}')", 'have("x")', None),
        ('have("{other}")', 'have("x")', None),
    ],
)
def test_what_fits(template: str, goal: str, args: dict[str, object] | None) -> None:
    assert fitted(template, Goal.parse(goal), (SRC, N)) == args


@given(st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=30), st.integers(-(10**6), 10**6))
def test_fitting_undoes_filling(src: str, n: int) -> None:
    template = 'sorted("{src}", {n}) and have("{src}") >= {n}'
    goal = Goal.parse(fill(template, {"src": src, "n": n}))
    assert fitted(template, goal, (SRC, N)) == {"src": src, "n": n}


def test_the_likeliest_to_work_comes_first_and_what_has_no_text_is_planned_with() -> None:
    good, poor = skill('have("{src}")', SRC, name="good"), skill('have("{src}")', SRC, name="poor", bad=9)
    counting = skill('have("x") >= {n}', N)
    choice = replace(skill('have("{src}")', replace(SRC, choices=("x",))), cases=(Case({"src": "x"}),))
    found = fits([poor, counting, choice, good], Goal.parse('have("x")'))
    assert [s.name for s, _ in found] == ["good", "poor"]
    assert found[0][1] == {"src": "x"}
    assert fits([counting], Goal.parse('have("x") >= 2')) == []
