"""The user's page runs as it is written."""

from __future__ import annotations

import re
import types
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "tools.md"


def test_the_page_runs_from_top_to_bottom(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mcp", reason="the extra mcp is not installed: pip install 'habilis[mcp]'")
    monkeypatch.setenv("RATES_KEY", "")  # the page sets it
    text = PAGE.read_text(encoding="utf-8")
    blocks = [(m.start(1), m[1]) for m in re.finditer(r"```python\n(.*?)```", text, re.DOTALL)]
    assert len(blocks) >= 6
    module = types.ModuleType("docs_tools_md")
    for start, source in blocks:
        # Padded, so that a failure names the line of the page.
        padded = "\n" * text.count("\n", 0, start) + source
        exec(compile(padded, str(PAGE), "exec"), module.__dict__)
