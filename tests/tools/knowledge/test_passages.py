"""Splitting: headings that are headings, passages that are short, and nothing lost."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from habilis.tools.knowledge.passages import PASSAGE_BYTES, split_markdown, split_text

GUIDE = """---
title: bread
---
Before all.

# Bread

Mix *flour* and water.

```python
# not a heading
bake()
```

Oven
----

Heat it.

### How hot

200 degrees.

# Cake
## Later
"""


def test_passages_stand_under_their_headings() -> None:
    found = split_markdown(GUIDE)
    assert [p.title for p in found] == ["", "", "Bread", "Bread > Oven", "Bread > Oven > How hot", "Cake > Later"]
    assert found[0].text == "---\ntitle: bread\n---"
    assert found[1].text == "Before all."
    assert "# not a heading\nbake()" in found[2].text
    assert found[-1].text == "Later"  # a heading with nothing beneath it is kept all the same


@pytest.mark.parametrize(
    ("text", "titles"),
    [
        ("    # code\n", [""]),
        ("> # quoted\n", [""]),
        ("#hash\n", [""]),
        ("# one #\r\ntext\r\n# two\r\nmore", ["one", "two"]),
        ("# a\n# b\n", ["a", "b"]),
        ("---\nno end of the front matter", [""]),
        ("", []),
        (" \n\n\t\n", []),
    ],
)
def test_what_is_a_heading(text: str, titles: list[str]) -> None:
    assert [p.title for p in split_markdown(text)] == titles


def _bare(text: str) -> str:
    return re.sub(r"\s", "", text.encode("utf-8", "replace").decode())


@given(st.text(st.sampled_from("ab. \n\né水😀\ud800")), st.integers(1, 40))
def test_passages_are_short_and_hold_all_of_a_text(text: str, times: int) -> None:
    found = split_text(text * times, "book")
    assert all(0 < len(p.text.encode()) <= PASSAGE_BYTES and p.title == "book" for p in found)
    assert _bare("".join(p.text for p in found)) == _bare(text * times)


@given(st.lists(st.sampled_from(["# A", "## B", "word " * 200, "```", "- item", "", "x" * 2000, "---", "> # q"])))
def test_markdown_loses_no_line_but_headings(lines: list[str]) -> None:
    found = split_markdown("\n".join(lines))
    assert all(0 < len(p.text.encode()) <= PASSAGE_BYTES for p in found)
    told = _bare("".join(p.title + p.text for p in found))
    for line in ("word" * 200, "x" * 2000, "-item"):
        assert told.count(line[:300]) >= (_bare("\n".join(lines)).count(line) > 0)


def test_a_paragraph_over_a_line_is_no_heading() -> None:
    long = "A sentence of some words. " * 20
    (one,) = split_markdown(f"{long}\n---\n")
    assert (one.title, one.text.split()[:-1]) == ("", long.split())


def test_a_text_is_cut_at_paragraphs_before_sentences() -> None:
    one, two = "First. " * 100, "Second. " * 100
    assert [p.text.strip() for p in split_text(f"{one}\n\n{two}")] == [one.strip(), two.strip()]
    long = split_text("A sentence of some words. " * 200)
    assert all(p.text.strip().endswith("words.") for p in long)
