"""The users' pages run as they are written."""

from __future__ import annotations

import re
import types
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("name", ["tools.md", "budget.md"])
def test_the_page_runs_from_top_to_bottom(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if name == "tools.md":
        pytest.importorskip("mcp", reason="the extra mcp is not installed: pip install 'habilis[mcp]'")
        monkeypatch.setenv("RATES_KEY", "")  # the page sets it
    page = DOCS / name
    text = page.read_text(encoding="utf-8")
    blocks = [(m.start(1), m[1]) for m in re.finditer(r"```python\n(.*?)```", text, re.DOTALL)]
    assert len(blocks) >= 5
    # What a page sets for the whole process holds for this test alone.
    if name == "budget.md":
        trace = pytest.importorskip("opentelemetry.trace")
        pytest.importorskip("opentelemetry.sdk")
        monkeypatch.setattr(
            trace,
            "set_tracer_provider",
            lambda provider: monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider),
        )
    module = types.ModuleType(f"docs_{page.stem}_md")
    for start, source in blocks:
        # Padded, so that a failure names the line of the page.
        padded = "\n" * text.count("\n", 0, start) + source
        exec(compile(padded, str(page), "exec"), module.__dict__)
