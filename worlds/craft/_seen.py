"""The cells that were seen, as a map that forks in constant time: clones share what neither will change."""

from __future__ import annotations

from collections.abc import Iterator

from habilis.worlds.craft.terrain import Cell, Key


class SeenMap:
    """Cells by key, in layers: ``_top`` is ours to write, the layers below are shared and frozen, newest first.

    A cell once put is never changed in place unless its owner knows that nobody else holds it.
    """

    __slots__ = ("_layers", "_top", "size")

    def __init__(self) -> None:
        self._top: dict[Key, Cell] = {}
        self._layers: tuple[dict[Key, Cell], ...] = ()
        self.size = 0

    def get(self, key: Key) -> Cell | None:
        cell = self._top.get(key)
        if cell is None:
            for layer in self._layers:
                cell = layer.get(key)
                if cell is not None:
                    return cell
        return cell

    def __contains__(self, key: Key) -> bool:
        return self.get(key) is not None

    def add(self, key: Key, cell: Cell) -> None:
        """Put a cell that was not there before."""
        self._top[key] = cell
        self.size += 1

    def replace(self, key: Key, cell: Cell) -> None:
        """Put another cell where one is."""
        self._top[key] = cell

    def fork(self) -> SeenMap:
        """An independent copy."""
        if self._top:
            newest, layers = self._top, self._layers
            # joining layers of like size keeps their number logarithmic and the cost per cell constant
            while layers and len(layers[0]) <= 2 * len(newest):
                newest = {**layers[0], **newest}
                layers = layers[1:]
            self._layers, self._top = (newest, *layers), {}
        twin = SeenMap.__new__(SeenMap)
        twin._top, twin._layers, twin.size = {}, self._layers, self.size
        return twin

    def items(self) -> Iterator[tuple[Key, Cell]]:
        """Every cell once, as it now is. The order depends on history: do not let results depend on it."""
        yield from self._top.items()
        above: list[dict[Key, Cell]] = [self._top]
        for layer in self._layers:
            for key, cell in layer.items():
                if not any(key in newer for newer in above):
                    yield key, cell
            above.append(layer)
