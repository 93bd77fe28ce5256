"""What lies where: a function of the seed and the cell alone, so the order of visits changes nothing."""

from __future__ import annotations

from collections.abc import Mapping

from habilis.worlds.craft import _tables as tables

Cell = Mapping[str, int]  # thing -> how much of it
Key = tuple[int, int, int]  # x (east), y (south), depth

_M = (1 << 64) - 1
_WEIGHTED = tuple(name for name, weight in tables.BIOME_WEIGHTS.items() for _ in range(weight))
_KEPT = 40_000  # cells kept ready; beyond it they are made anew


def mix(*parts: int) -> int:
    """64 well-mixed bits of some integers (the finaliser of splitmix64, Steele, Lea & Flood 2014)."""
    h = 0x9E3779B97F4A7C15
    for part in parts:
        h = ((h ^ (part & _M)) + 0x9E3779B97F4A7C15) & _M
        h = ((h ^ (h >> 30)) * 0xBF58476D1CE4E5B9) & _M
        h = ((h ^ (h >> 27)) * 0x94D049BB133111EB) & _M
        h ^= h >> 31
    return h


def step(state: int) -> int:
    """The next state of the linear congruential generator behind all draws; its high bits are the draw."""
    return (state * 6364136223846793005 + 1442695040888963407) & _M


class Terrain:
    """All cells of one seed. ``known_biomes`` fixes biome patches that were seen, in a belief about other land."""

    __slots__ = ("_cells", "known_biomes", "seed")

    def __init__(self, seed: int, known_biomes: Mapping[tuple[int, int], str] | None = None) -> None:
        self.seed = seed
        self.known_biomes = dict(known_biomes or {})
        self._cells: dict[Key, Cell] = {}

    def biome(self, x: int, y: int) -> str:
        patch = (x // tables.BIOME_SIZE, y // tables.BIOME_SIZE)
        return self.known_biomes.get(patch) or _WEIGHTED[mix(self.seed, *patch, 77) % len(_WEIGHTED)]

    def cell(self, key: Key) -> Cell:
        """What the untouched cell holds. Never change the answer: copy it."""
        cell = self._cells.get(key)
        if cell is None:
            if len(self._cells) >= _KEPT:
                self._cells.clear()
            cell = self._cells[key] = self._make(key)
        return cell

    def _make(self, key: Key) -> Cell:
        x, y, depth = key
        state = mix(self.seed, x, y, depth)
        cell: dict[str, int] = {}
        for thing, chance, low, high in tables.BIOMES[self.biome(x, y)] if depth == 0 else tables.LAYERS[depth]:
            state = step(state)
            if (state >> 11) * 2.0**-53 < chance:
                state = step(state)
                cell[thing] = low + (state >> 33) % (high - low + 1)
        if depth == 0:
            low, high = tables.DIRT
            cell["dirt"] = low + (step(state) >> 33) % (high - low + 1)
        return cell
