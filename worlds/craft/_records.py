"""What the rules of the craft world are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from habilis.worlds.craft._tables import Drop


@dataclass(frozen=True, slots=True)
class Recipe:
    """``needs`` maps an item or a tag (``#planks``) to how many are used up; ``table``: too large for the hands."""

    name: str
    result: str
    makes: int
    table: bool
    needs: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Source:
    """A block or a mob: how hard it is (blocks) or its health (mobs), the tool it takes, what it drops.

    ``tool`` is an item or a tag that must be held; ``helper`` the kind of tool that makes it faster; ``attack`` tells
    mobs from blocks.
    """

    name: str
    hardness: float
    tool: str | None
    helper: str | None
    drops: tuple[Drop, ...]
    attack: bool = False
