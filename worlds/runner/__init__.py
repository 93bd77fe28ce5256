"""Runs programs under confinement, while the world stays with the host.

Owns the warm worker, the kernel confinement, the protocol between program and host, and the language a program sees.
May import `habilis.core` only, and no world. What runs in the worker is in ``worker/``: standard library only, started
by path in a process of its own. What is covered and what is not: docs/security.md.
"""

from habilis.worlds.runner._world import asked, ended, look_at, reset
from habilis.worlds.runner.confined import ConfinedRunner
from habilis.worlds.runner.isolation import TIERS, Isolation, UnconfinedWarning, WeakerWarning, probe

__all__ = [
    "TIERS",
    "ConfinedRunner",
    "Isolation",
    "UnconfinedWarning",
    "WeakerWarning",
    "asked",
    "ended",
    "look_at",
    "probe",
    "reset",
]
