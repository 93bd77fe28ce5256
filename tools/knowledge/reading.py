"""Reading a file of a knowledge base: plain text, Markdown or PDF, from bytes to passages.

A file is never run and no link in it is followed. What cannot be read is an `InputError` that says what to do about it.
"""

from __future__ import annotations

import os
import stat
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from habilis.core import InputError
from habilis.core.extras import need
from habilis.tools.knowledge.passages import Passage, split_markdown, split_text

__all__ = ["Content", "is_document", "read_bytes", "read_content"]

TEXT_BYTES = 8_000_000  # of a text: more than the longest of novels
PDF_BYTES = 64_000_000
_PDF_PAGES = 3_000
_PDF_SECONDS = 60.0  # for all pages of one file: a strange file must not hold up all others
_MARKDOWN = frozenset({".md", ".markdown", ".mdown", ".mkd"})
_TEXT = frozenset({".txt", ".text", ".rst", ".adoc", ".org", ".log"})
_PDF = ".pdf"
_MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))


@dataclass(frozen=True, slots=True)
class Content:
    """What was read of a file. ``notes``: what is odd about it, such as pages without text."""

    passages: tuple[Passage, ...]
    notes: tuple[str, ...] = ()


def is_document(path: Path) -> bool:
    """Whether a file in a folder is taken for a document, by its name."""
    suffix = path.suffix.lower()
    return suffix in _MARKDOWN or suffix in _TEXT or suffix == _PDF or (not suffix and path.name.isupper())


def read_bytes(path: Path) -> bytes:
    """The bytes of a regular file within the limit. Raises `InputError`."""
    limit = PDF_BYTES if path.suffix.lower() == _PDF else TEXT_BYTES
    try:
        # Opening a pipe would wait for somebody to write into it.
        with open(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb") as file:
            facts = os.fstat(file.fileno())
            if not stat.S_ISREG(facts.st_mode):
                raise InputError("it is no regular file")
            data = file.read(limit + 1)
    except OSError as error:
        raise InputError(f"it cannot be read ({error.strerror}); see to its permissions") from None
    if len(data) > limit:
        size = max(facts.st_size, len(data))
        raise InputError(f"it has {size} bytes, the limit is {limit}; split it, or add the part that matters")
    return data


def read_content(path: Path, data: bytes) -> Content:
    """The passages in a file's bytes; the name tells what they are. Raises `InputError`, `MissingExtraError`."""
    suffix = path.suffix.lower()
    if suffix == _PDF:
        found = _pdf(data)
    else:
        text = _text(data)
        found = Content(split_markdown(text) if suffix in _MARKDOWN else split_text(text))
    if not found.passages:
        raise InputError("it holds no text")
    return found


def _text(data: bytes) -> str:
    """Bytes as text: UTF-8, or what a byte order mark says."""
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), "utf-8")
    if encoding == "utf-8" and b"\0" in data:
        what = "it is a PDF; let its name end in .pdf" if data.startswith(b"%PDF-") else "it is binary, not text"
        raise InputError(f"{what} (a zero byte at {data.index(0)})")
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise InputError(
            f"it is no {encoding.removesuffix('-sig').upper()} text (byte {error.start}: {error.reason}); save it as "
            "UTF-8"
        ) from None


def _pdf(data: bytes) -> Content:
    """The text of a PDF, page by page. A scan has none."""
    if b"%PDF-" not in data[:1024]:
        raise InputError("it is no PDF, whatever its name says (it does not begin with %PDF-)")
    pypdf = need("pypdf", "reading a PDF", install="'habilis[pdf]'")
    import io
    import logging

    logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # it warns of what we report, or what harms nobody
    try:
        reader = pypdf.PdfReader(io.BytesIO(data))
        if reader.is_encrypted and not reader.decrypt(""):
            raise InputError("it is encrypted; save a copy without a password")
        pages = len(reader.pages)
    except InputError:
        raise
    except pypdf.errors.DependencyError:
        raise InputError("it is encrypted; save a copy without a password") from None
    except Exception as error:  # whatever a broken file makes of the parser
        raise InputError(f"it is a damaged PDF ({_told(error)}); save it anew") from None
    if pages > _PDF_PAGES:
        raise InputError(f"it has {pages} pages, the limit is {_PDF_PAGES}; split it, or add the part that matters")
    return _pages(reader, pages)


def _pages(reader: Any, pages: int) -> Content:
    found: list[Passage] = []
    empty = broken = 0
    until = time.monotonic() + _PDF_SECONDS
    for number in range(pages):
        if time.monotonic() > until:
            raise InputError(
                f"reading it took longer than {_PDF_SECONDS:g} s, at page {number + 1} of {pages}; save it as text"
            )
        try:
            text = reader.pages[number].extract_text()
        except Exception:  # one page may be broken, and the others are not
            broken += 1
            continue
        pieces = split_text(text, f"page {number + 1}")
        found += pieces
        empty += not pieces
    notes = []
    if empty:
        notes.append(f"{empty} of {pages} pages have no text")
    if broken:
        notes.append(f"{broken} of {pages} pages are damaged and were left out")
    if not found and not broken:
        raise InputError(
            f"none of its {pages} pages has text: it is a scan, most likely; recognise its text first (ocrmypdf)"
        )
    if not found:
        raise InputError(f"it is a damaged PDF ({'; '.join(notes)}); save it anew")
    return Content(tuple(found), tuple(notes))


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:100]}"
