"""The belief about a crafter world: what was seen stays, the rest is another land's.

Neither the land's seed nor the state of its luck is kept in what is imagined, nor what does not show of what was seen:
how hurt a zombie is, how ripe a plant will soon be, how long until one is hungry again.
"""

from __future__ import annotations

from typing import Protocol, Self

from habilis.core import Cloneable


class Redrawable(Cloneable, Protocol):
    """A world that can be drawn anew around what it shows."""

    def clone(self) -> Self: ...
    def redrawn(self, seed: int) -> Cloneable: ...


class Belief:
    """What is known at one moment; `imagine` makes worlds that agree with it."""

    __slots__ = ("_world",)

    def __init__(self, world: Redrawable) -> None:
        self._world = world.clone()

    def imagine(self, seed: int) -> Cloneable:
        """A world that agrees with all that was seen; unseen land, and luck, are drawn from ``seed``."""
        return self._world.redrawn(seed)
