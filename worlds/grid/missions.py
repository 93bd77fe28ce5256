"""Missions in the words of the baby language, read as goals of the world's predicates by rules written once.

    go to the red ball                             went_to("red ball", 1)
    put a box next to the door behind you          put_next("box", "door behind", 1)
    open a door and pick up a key, then go to an object
                            opened("door", 1) and took("key", 1) and went_to("object", 2)

The language is BabyAI's (Chevalier-Boisvert et al. 2018, table 1): four verbs, ``and`` between two parts, and ``then``
or ``after you`` between two turns. The last argument of each atom is its *turn*: what belongs to the second turn counts
only from when all of the first is done.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from habilis.core import Atom, Fact, Goal
from habilis.worlds.grid.things import COLOURS, KINDS, PLACES, described, named

VERBS = ("went_to", "took", "opened", "put_next")
Turn = tuple[Fact, ...]

_PLACE = {"in front of you": "front", "behind you": "behind", "on your left": "left", "on your right": "right"}
_COLOUR, _KIND, _SIDE = "|".join(COLOURS), "|".join((*KINDS, "object")), "|".join(_PLACE)
_THING = rf"(?:the|an?) (?:({_COLOUR}) )?({_KIND})(?: ({_SIDE}))?"
_FORMS = (
    ("went_to", re.compile(f"go to {_THING}")),
    ("took", re.compile(f"pick up {_THING}")),
    ("opened", re.compile(f"open {_THING}")),
    ("put_next", re.compile(f"put {_THING} next to {_THING}")),
)
_SAID = {"went_to": "go to {}", "took": "pick up {}", "opened": "open {}", "put_next": "put {} next to {}"}
_WHERE = {place: said for said, place in _PLACE.items()}


def read_turns(text: str) -> tuple[Turn, ...] | None:
    """The parts of a mission, turn by turn, in the order in which they are to be done; None for what is no mission."""
    said = " ".join(text.lower().replace(",", " , ").split()).replace(" ,", ",")
    if " after you " in said:
        later, _, first = said.partition(" after you ")
        asked = [first, later]
    else:
        asked = re.split(r",? then ", said)
    turns = []
    for number, one in enumerate(asked, 1):
        parts = [_part(part.strip(), number) for part in one.split(" and ")]
        if any(part is None for part in parts):
            return None
        turns.append(tuple(part for part in parts if part is not None))
    return tuple(turns)


def read_mission(text: str) -> Goal | None:
    """The goal that a mission sets; None for what is no mission of this language."""
    turns = read_turns(text)
    return None if turns is None else goal_of(turns)


def goal_of(turns: Sequence[Turn]) -> Goal:
    return Goal(tuple(Atom(fact) for fact in dict.fromkeys(fact for turn in turns for fact in turn)))


def said(turns: Sequence[Turn]) -> str:
    """The mission in words; `read_turns` reads it back."""
    return ", then ".join(" and ".join(_said(fact) for fact in turn) for turn in turns)


def _part(text: str, turn: int) -> Fact | None:
    for verb, form in _FORMS:
        found = form.fullmatch(text)
        if found is not None:
            groups = found.groups(default="")
            words = [_word(*groups[i : i + 3]) for i in range(0, len(groups), 3)]
            return Fact(verb, (*words, turn))
    return None


def _word(colour: str, kind: str, place: str) -> str:
    return named("" if kind == "object" else kind, colour, _PLACE.get(place, ""))


def _said(fact: Fact) -> str:
    return _SAID[fact.predicate].format(*(_in_words(str(word)) for word in fact.args[:-1]))


def _in_words(word: str) -> str:
    meant = described(word)
    assert meant is not None
    place = f" {_WHERE[meant.place]}" if meant.place in PLACES else ""
    return f"the {named(meant.kind, meant.colour)}{place}"
