"""What the pages of single worlds show is run as it is written, and comes to what they say."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest

DOCS = Path(__file__).parents[2] / "docs"


def _last_value(page: str) -> Any:
    """Run the first example of a page; the value of its last line."""
    example = re.findall(r"```python\n(.*?)```", (DOCS / page).read_text("utf-8"), flags=re.DOTALL)[0]
    *before, last = ast.parse(example).body
    assert isinstance(last, ast.Expr)
    known: dict[str, Any] = {}
    exec(compile(ast.Module(before, []), page, "exec"), known)
    return eval(compile(ast.Expression(last.value), page, "eval"), known)


def test_the_household_page() -> None:
    assert ", ".join(map(str, _last_value("household.md"))) == 'close_to("fridge_1"), not is_closed("fridge_1")'


def test_the_crafter_page() -> None:
    pytest.importorskip("crafter")
    assert _last_value("crafter.md") == "nothing came of it"


def test_the_shell_page() -> None:
    assert _last_value("shell.md") == ()
