"""Words for things: "red ball", "locked door", "object behind", "key alike".

A description is ``[colour ]kind[ place]``. *Place* is where a thing lay when the life began, seen from where the agent
began, in its room, as BabyAI means it: left, right, front, behind. Two descriptions tell a relation: a *locked door* is
one that was seen to be locked, and the *key alike* is of the colour of the locked door that was stood before last.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

KINDS = ("door", "key", "ball", "box")
COLOURS = ("blue", "green", "grey", "purple", "red", "yellow")
PLACES = ("left", "right", "front", "behind")
ANYTHING = "object"
LOCKED, ALIKE = "locked door", "key alike"
_FORM = re.compile(rf"(?:({'|'.join(COLOURS)}) )?({'|'.join((*KINDS, ANYTHING))})(?: ({'|'.join(PLACES)}))?")


@dataclass(frozen=True, slots=True)
class Description:
    """What a word for things means; "" where it says nothing."""

    kind: str = ""
    colour: str = ""
    place: str = ""
    locked: bool = False
    alike: bool = False


@lru_cache(maxsize=1024)
def described(word: str) -> Description | None:
    """What this word means; None where it is no word for things."""
    if word == LOCKED:
        return Description("door", locked=True)
    if word == ALIKE:
        return Description("key", alike=True)
    found = _FORM.fullmatch(word)
    if found is None:
        return None
    colour, kind, place = found.groups(default="")
    return Description("" if kind == ANYTHING else kind, colour, place)


def named(kind: str, colour: str = "", place: str = "") -> str:
    """The word for things of this kind ("": any), colour and place."""
    return " ".join(part for part in (colour, kind or ANYTHING, place) if part)


def all_words() -> tuple[str, ...]:
    """Every word for things."""
    found = [
        named(kind, colour, place)
        for place in ("", *PLACES)
        for kind in (*KINDS, ANYTHING)
        for colour in ("", *COLOURS)
    ]
    return (*found, LOCKED, ALIKE)
