"""Landlock: the kernel's unprivileged access control, with no rule at all, so that everything it knows is denied.

Rights by version of the interface: kernel docs, userspace-api/landlock.rst.
"""

from __future__ import annotations

import ctypes
import os
import struct

from habilis.worlds.runner.worker.seccomp import call

_CREATE, _RESTRICT = 444, 446  # the same on every machine
_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}  # 16 from version 5 on


def version() -> int:
    """The kernel's Landlock version. Raises `OSError` where there is none."""
    return call(_CREATE, None, ctypes.c_size_t(0), ctypes.c_uint32(1))


def restrict() -> int:
    """Deny this process all files and, by version, TCP (4), other processes' abstract sockets and signals (6).

    For good. Returns the version. Raises `OSError`."""
    found = version()
    files = (1 << _FILE_RIGHTS.get(found, 16)) - 1
    fields = [files] + ([0b11] if found >= 4 else []) + ([0b11] if found >= 6 else [])
    rules = struct.pack(f"{len(fields)}Q", *fields)
    fd = call(_CREATE, ctypes.create_string_buffer(rules, len(rules)), ctypes.c_size_t(len(rules)), 0)
    try:
        call(_RESTRICT, ctypes.c_int(fd), ctypes.c_uint32(0))
    finally:
        os.close(fd)
    return found
