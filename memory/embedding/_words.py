"""Words of a text, for everything that matches by spelling."""

from __future__ import annotations

import re

# Words that occur in almost every English request say little about which thing is wanted.
COMMON = frozenset(
    re.findall(
        r"\w+",
        "a an and any are as at be by can could do does for from get give has have help how i if in is it its me my "
        "need of on or our please provide should some tell that the their there this to use using want was what when "
        "where which will with would you your",
    )
)


def words(text: str) -> list[str]:
    """Lower-case words in order; camelCase and snake_case names fall apart, so that code and prose meet."""
    return re.findall(r"[^\W_]+", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", text).lower())


def telling(found: list[str]) -> list[str]:
    """Without the common words, unless nothing else is there."""
    return [w for w in found if w not in COMMON] or found
