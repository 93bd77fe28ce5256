"""Tags: names for sets of things, by class (``#apple``) and by what they are good for (``#foods``)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from habilis.worlds.household._kinds import ALSO_GRABBED, said


class _Use(NamedTuple):
    tag: str
    property: str


_USES = (
    _Use("#foods", "EATABLE"),
    _Use("#readables", "READABLE"),
    _Use("#garments", "CLOTHES"),
    _Use("#seats", "SITTABLE"),
    _Use("#surfaces", "SURFACES"),
    _Use("#containers", "CONTAINERS"),
    _Use("#holdables", "GRABBABLE"),
)
OF_PLAN = {"#grabbed": "#holdables", "#knives": "#knives"}  # the tags of rules, as the world calls them


def tags_of(things: Iterable[tuple[str, str, Iterable[str]]]) -> dict[str, frozenset[str]]:
    """By tag its members, from names with their class and properties."""
    found: dict[str, set[str]] = {}
    for name, kind, properties in things:
        found.setdefault(f"#{said(kind)}", set()).add(name)
        if "knife" in kind:
            found.setdefault("#knives", set()).add(name)
        given = set(properties) | ({"GRABBABLE"} if kind in ALSO_GRABBED else set())
        for use in _USES:
            if use.property in given:
                found.setdefault(use.tag, set()).add(name)
    return {tag: frozenset(members) for tag, members in sorted(found.items())}
