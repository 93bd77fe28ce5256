"""Gymnasium's environments as worlds, and worlds as Gymnasium's environments (extra ``gym``; docs/worlds.md).

Owns `from_gymnasium`, which makes a `GymWorld`, and `as_gymnasium`. Gymnasium is imported when one of them is called.
May import `habilis.core` only.
"""

from habilis.worlds.gym.back import as_gymnasium
from habilis.worlds.gym.bridge import from_gymnasium
from habilis.worlds.gym.world import GymWorld

__all__ = ["GymWorld", "as_gymnasium", "from_gymnasium"]
