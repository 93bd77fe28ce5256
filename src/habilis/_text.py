"""Text that others wrote, made safe to show: programs, messages of tools and models, names of things in a world."""

from __future__ import annotations

import html
import math
import re
import unicodedata

# Terminal sequences are cut out whole: CSI (colours, cursor), OSC (titles, links), and two-character ones.
_SEQUENCES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[@-Z\\-_]")
# Cc: NUL and the like; Cf: direction overrides that make code read as something else; Cs: lone surrogates.
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def plain(value: object, limit: int = 2_000, *, lines: bool = False) -> str:
    """The text without control and direction characters, at most ``limit`` characters, on one line by default.

    ``lines=True`` keeps line ends and tabs, for programs.
    """
    # Twice the limit, so that what is cut away as an escape sequence is not missed at the end.
    kept = _SEQUENCES.sub("", str(value)[: 2 * limit + 2].replace("\r\n", "\n"))[: limit + 1]
    if lines:
        clean = "".join(c if c in "\n\t" or unicodedata.category(c) not in _UNSAFE else "�" for c in kept)
    else:
        clean = " ".join("".join(c if unicodedata.category(c) not in _UNSAFE else " " for c in kept).split())
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"


def escaped(value: object, limit: int = 2_000, *, lines: bool = False) -> str:
    """The same for HTML, in text and in quoted attributes."""
    return html.escape(plain(value, limit, lines=lines), quote=True)


def number(value: float) -> str:
    """A figure for people: 1,234 · 0.25 · 12.5."""
    if not math.isfinite(value):
        return str(value)
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:,.1f}" if abs(value) >= 100 else f"{value:.3g}"


def amount(kind: str, value: float) -> str:
    """A cost of this kind with its unit."""
    if kind == "usd":
        return f"${value:,.2f}" if value == 0 or value >= 0.01 else f"${value:.2g}"
    if kind == "seconds":
        if value < 120:
            return f"{value:.0f} s" if value >= 10 or value == int(value) else f"{value:.2g} s"
        return f"{value / 60:.0f} min" if value < 7200 else f"{value / 3600:.1f} h"
    return number(value)
