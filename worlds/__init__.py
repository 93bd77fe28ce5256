"""The worlds: what an agent acts in.

Owns `craft` and `household` (worlds of ours), worlds from plain functions, the runner that runs programs under
confinement (`habilis.worlds.runner`, which imports no world), judge and verifier (`habilis.worlds.verify`).
May import `habilis.core` only.
"""

from habilis.worlds.functions import FunctionWorld, Unmet, World, action, from_functions

__all__ = ["FunctionWorld", "Unmet", "World", "action", "from_functions"]
