"""The library without an agent and without torch: the example, as it is written."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from habilis.core import GoalSyntaxError, InputError
from habilis.memory import skill_of
from habilis.worlds.craft import CraftWorld

ROOT = Path(__file__).parents[2]
SPEC = CraftWorld().spec


def test_the_example_runs_twice_without_torch(tmp_path: Path) -> None:
    code = "import sys, runpy; sys.modules['torch'] = sys.modules['transformers'] = None; sys.argv = sys.argv[1:]\n"
    code += "runpy.run_path(sys.argv[0], run_name='__main__')"
    command = [sys.executable, "-c", code, str(ROOT / "examples" / "skill_library.py"), str(tmp_path / "home")]
    env = os.environ | {"HABILIS_CACHE": str(tmp_path / "cache")}  # as on a machine that has fetched no model
    for _ in range(2):
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=env)
        assert done.returncode == 0, done.stderr
        assert "have_log version 1, proven for [{'kind': 'oak_log'}, {'kind': 'birch_log'}]" in done.stdout
        assert "found have_oak_planks" in done.stdout
        assert "verified again: 4 of 4 in fresh worlds" in done.stdout


def test_a_skill_is_made_of_a_program_and_a_goal() -> None:
    source = 'def get(n: int = 2, what: str = "x"):\n    """Get it."""\n    tools.ask(what)\n    skills.walk()\n'
    skill = skill_of(source, 'count("{what}") >= {n}', SPEC)
    assert (skill.name, skill.doc, skill.program.calls, skill.tools) == ("get", "Get it.", ("walk",), ("ask",))
    assert [(p.name, p.type, p.default, p.required) for p in skill.program.parameters] == [
        ("n", "int", 2, False),
        ("what", "str", "x", False),
    ]
    assert str(skill.goal_for({})) == 'count("x") >= 2'
    assert skill.evidence.trials == ()


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("def f(:", "not Python"),
        ("x = 1", "defines 0 functions"),
        ("def f(): pass\ndef g(): pass", "defines 2 functions"),
        ("def f(*a): pass", "more than plain parameters"),
        ("def f(n=g()): pass", "not a plain value"),
        ("def f(n=b'x'): pass", "not a plain value"),
        ("def f(n={1}): pass", "not a plain value"),
        ("def f(n=1e999): pass", "not a plain value"),
        ("def f(n='\\ud800'): pass", "not a plain value"),
        ("def größe(): pass", "cannot be called"),
        (None, "two texts"),
    ],
)
def test_what_is_no_skill_is_told(source: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        skill_of(source, "explored() >= 1", SPEC)


def test_a_goal_that_is_none_is_told() -> None:
    with pytest.raises(GoalSyntaxError):
        skill_of("def f(): pass", "have fun", SPEC)


def test_a_goal_needs_the_defaults_of_its_parameters() -> None:
    with pytest.raises(InputError, match=r"'n' has no default, .* write it as n: int = 1"):
        skill_of("def f(n: int): pass", "explored() >= {n}", SPEC)
    with pytest.raises(InputError, match="spec= is of type str"):
        skill_of("def f(n: int = 1): pass", "explored() >= {n}", "craft")  # type: ignore[arg-type]
