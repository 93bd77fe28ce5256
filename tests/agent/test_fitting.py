"""Skills with parameters of text are found by their goal."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from habilis.agent.planning.fitting import composed, fits, parameters_of, template_of
from habilis.core import (
    Case,
    Evidence,
    EvidenceLevel,
    Fact,
    Goal,
    Parameter,
    Predicate,
    Program,
    Skill,
    WorldSpec,
    fill,
    fitted,
)

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


TOOK = Predicate("took", "", (Parameter("thing"), Parameter("turn", "int")))
PUT = Predicate("put", "", (Parameter("thing"), Parameter("class"), Parameter("turn", "int")))
SPEC = WorldSpec("w", "", (), (TOOK, PUT), "f")
THING, TURN = Parameter("thing", "str", "a", required=False), Parameter("turn", "int", 1, required=False)


def test_parts_are_called_in_the_order_of_the_goal() -> None:
    taking = skill('took("{thing}", {turn})', THING, TURN, name="take")
    putting = skill('put("{src}", "{thing}", {turn})', SRC, THING, TURN, name="lay")
    goal = Goal.parse('put("b", "c", 1) and took("d", 2)')
    draft = composed([taking, putting], goal, SPEC)
    assert draft is not None
    assert draft.program.calls == ("lay", "take")
    source = draft.program.source
    assert source.index("skills.lay(src=thing1, thing=class_11, turn=turn1)") < source.index(
        "skills.take(thing=thing2, turn=turn2)"
    )
    assert "if not world.took(thing2, turn2):" in source
    assert Goal.parse(fill(draft.goal_template, draft.args)) == goal
    assert fitted(draft.goal_template, Goal.parse('put("x", "y", 3) and took("z", 4)'), draft.program.parameters) == {
        "thing1": "x", "class_11": "y", "turn1": 3, "thing2": "z", "turn2": 4,
    }  # fmt: skip
    other = composed([taking, putting], Goal.parse('put("b", "c", 1) and took("d", 1)'), SPEC)
    assert other is not None
    assert other.program.name != draft.program.name


@pytest.mark.parametrize("goal", ['took("d", 2)', 'took("d", 1) and left("d")', 'took("d", 1) and not took("e", 1)'])
def test_what_is_not_put_together(goal: str) -> None:
    assert composed([skill('took("{thing}", {turn})', THING, TURN)], Goal.parse(goal), SPEC) is None


def test_parameters_are_what_a_fact_names() -> None:
    parameters = parameters_of(SPEC, Fact("took", ("red ball", 2)))
    assert [(p.name, p.type, p.default) for p in parameters] == [("thing", "str", "red ball"), ("turn", "int", 2)]
    assert template_of("took", parameters) == 'took("{thing}", {turn})'
