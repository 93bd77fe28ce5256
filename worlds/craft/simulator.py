"""The belief about a craft world: what was seen stays, the rest is drawn anew.

Planning may run on what this imagines without knowing more than the agent does: neither the land's seed nor the state
of its luck is kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from habilis.worlds.craft import _tables as tables
from habilis.worlds.craft.terrain import Terrain, mix

if TYPE_CHECKING:
    from habilis.worlds.craft.world import CraftWorld


class Belief:
    """What is known at one moment; `imagine` makes worlds that agree with it."""

    __slots__ = ("_biomes", "_world")

    def __init__(self, world: CraftWorld, biomes: dict[tuple[int, int], str]) -> None:
        self._world = world
        self._biomes = biomes

    @classmethod
    def of(cls, world: CraftWorld) -> Belief:
        """Keeps the seen cells, the bag and the position; a patch of which a surface cell was seen keeps its biome."""
        size = tables.BIOME_SIZE
        patches = sorted({(x // size, y // size) for (x, y, depth), _ in world._seen.items() if depth == 0})
        biomes = {(i, j): world._terrain.biome(i * size, j * size) for i, j in patches}
        known = world.clone()
        known._terrain, known._rng = Terrain(mix(0, 3), biomes), mix(0, 4)
        return cls(known, biomes)

    def imagine(self, seed: int) -> CraftWorld:
        """A world that agrees with all that was seen; unseen land, and luck, are drawn from ``seed``.

        The same number used as a world's seed gives another land: imagining it does not give a true one away.
        """
        world = self._world.clone()
        world._terrain, world._rng = Terrain(mix(seed, 3), self._biomes), mix(seed, 4)
        return world
