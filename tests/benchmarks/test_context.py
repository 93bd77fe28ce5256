"""With 1,000 tools, the chat writer's prompt is a small part of one that lists them all."""

from __future__ import annotations

from benchmarks.context import TOOLS, many_tools, shares


def test_a_thousand_tools_take_a_tenth_of_the_prompt_at_most() -> None:
    assert len({t.name for t in many_tools()}) == TOOLS == 1000
    found, hits = shares(0, tasks=3)
    assert all(0 < share <= 0.1 for share in found)
    assert hits >= 2
