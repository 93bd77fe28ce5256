"""What could be seen while a program ran: a few pictures, evenly spaced, however long it took."""

from __future__ import annotations

from habilis.core.program import Picture
from habilis.core.world import World
from habilis.worlds.runner._world import look_at


class Film:
    """Keeps at most ``most`` pictures. Once there are more, every second is dropped, and half as many are taken."""

    def __init__(self, world: World, most: int) -> None:
        self.pictures: list[Picture] = []
        self._world, self._most, self._every = world, most, 1

    def took(self, step: int) -> None:
        """A step was done; they are counted from 1. Raises `WorldError` where the world cannot be looked at."""
        if step % self._every:
            return
        self.pictures += [Picture(step, image) for image in look_at(self._world).images[:1]]
        if len(self.pictures) > self._most:
            self._every *= 2
            self.pictures = [picture for picture in self.pictures if not picture.step % self._every]
