"""A document's text as passages: at its headings where it is Markdown, at paragraphs where a part is too long.

A passage is what is found, priced and shown, so it is short: what a small embedder reads in one go.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

__all__ = ["PASSAGE_BYTES", "Passage", "split_markdown", "split_text"]

PASSAGE_BYTES = 1_500  # of UTF-8: 500 tokens at most, in fact about 375; small embedders read 256 to 512
_HEADING = 120  # characters: what is longer is a paragraph that somebody drew a line under, and stays text
_BREAKS = ("\n\n", "\n", ". ", " ")  # where a text is cut, best first
_LINE = re.compile(r"\r\n?")
_FRONT = re.compile(r"\A---[ \t]*\n.*?\n(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Passage:
    """``title``: the headings that lead to it, outermost first, joined by " > "; "" where there are none."""

    title: str
    text: str


def split_markdown(text: str) -> tuple[Passage, ...]:
    """The passages of a CommonMark text, each under its headings. A line in a code block is no heading."""
    found: list[Passage] = []
    for title, body in _sections(_sound(text)):
        found += _cut(title, body)
    return tuple(found)


def split_text(text: str, title: str = "") -> tuple[Passage, ...]:
    """The passages of a plain text, all with this title."""
    return tuple(_cut(title, _sound(text)))


def _sections(text: str) -> Iterator[tuple[str, str]]:
    """Title and body, heading by heading; what stands before the first one has no title."""
    from markdown_it import MarkdownIt

    front = _FRONT.match(text)  # metadata, which CommonMark would take for a heading
    if front is not None:
        yield "", front[0]
        text = text[front.end() :]
    lines = text.split("\n")
    tokens = MarkdownIt("commonmark").disable("inline").parse(text)
    path: list[tuple[int, str]] = []  # level and text of each heading that is open
    begun = 0
    for token, inside in pairwise(tokens):
        if token.type != "heading_open" or token.level or token.map is None:
            continue
        heading = " ".join(inside.content.split())
        if len(heading) > _HEADING:
            continue
        level = int(token.tag[1:])
        yield _title(path), _body(path, lines[begun : token.map[0]], level)
        begun = token.map[1]
        path = [*(p for p in path if p[0] < level), (level, heading)]
    yield _title(path), _body(path, lines[begun:], 0)


def _body(path: list[tuple[int, str]], lines: list[str], following: int) -> str:
    """What stands under a heading; under one with nothing beneath it, text or heading, its own words."""
    body = "\n".join(lines)
    bare = not body.strip() and path and following <= path[-1][0]
    return path[-1][1] if bare else body


def _title(path: list[tuple[int, str]]) -> str:
    return " > ".join(text for _, text in path if text)


def _cut(title: str, body: str) -> list[Passage]:
    pieces = (piece.strip("\n") for piece in _pieces(body, 0))
    return [Passage(title, piece) for piece in pieces if piece.strip()]


def _pieces(text: str, level: int) -> list[str]:
    """The text in parts of at most `PASSAGE_BYTES`; together they are the text."""
    if _size(text) <= PASSAGE_BYTES:
        return [text]
    if level == len(_BREAKS):
        return _chunks(text)
    mark = _BREAKS[level]
    *parts, last = text.split(mark)
    found: list[str] = []
    room = 0  # left in the last piece
    for part in [*(p + mark for p in parts), last]:
        size = _size(part)
        if size <= room:
            found[-1] += part
            room -= size
        elif part:
            found += _pieces(part, level + 1)
            room = PASSAGE_BYTES - _size(found[-1])
    return found


def _chunks(text: str) -> list[str]:
    """A text without any place to cut, cut between characters."""
    found, raw, begun = [], text.encode(), 0
    while begun < len(raw):
        end = min(begun + PASSAGE_BYTES, len(raw))
        while end < len(raw) and raw[end] & 0xC0 == 0x80:  # within a character
            end -= 1
        found.append(raw[begun:end].decode())
        begun = end
    return found


def _size(text: str) -> int:
    return len(text.encode())


def _sound(text: str) -> str:
    """With one kind of line end, and without halves of surrogate pairs, which have no UTF-8 form."""
    return _LINE.sub("\n", text.encode("utf-8", "replace").decode())
