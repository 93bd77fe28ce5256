"""Runs programs under confinement, while the world stays with the host.

Owns the warm worker, the kernel confinement, the protocol between program and host, and the language a program sees.
May import `habilis.core` only, and no world. What runs in the worker (``_server``, ``_confine``, ``_language``,
``_wire``) is standard library only, and is started by path in a process of its own.

Covered (tier 2: seccomp and Landlock; tier 1: seccomp): files, network, other processes, new processes and threads,
executable memory, memory, processor time, output, number of requests, malformed or forged messages. Not covered: bugs
in the kernel, side channels through shared caches and timing, and using up what the limits allow.
"""

from habilis.worlds.runner.confined import ConfinedRunner, Isolation, probe

__all__ = ["ConfinedRunner", "Isolation", "probe"]
