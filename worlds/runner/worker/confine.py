"""Giving up rights, in order: limits, capabilities, new privileges, Landlock, seccomp. Standard library only.

`attack` finds out whether a feature confines *here*, by attacking it from a process that is then thrown away: a kernel
that answers "yes" and does nothing is found out, and so is a container that forbids the feature.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import resource
import socket
import struct
from collections.abc import Callable

from habilis.worlds.runner.worker import landlock, seccomp

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT = 1, 4, 38, 47
_CAP_AMBIENT_CLEAR_ALL = 4
_CAPSET = {"x86_64": 126, "aarch64": 91}
_CAPABILITY_VERSION_3 = 0x20080522

_libc = ctypes.CDLL(None, use_errno=True)


def prctl(option: int, value: int) -> None:
    if _libc.prctl(option, ctypes.c_ulong(value), ctypes.c_ulong(0), ctypes.c_ulong(0), ctypes.c_ulong(0)):
        code = ctypes.get_errno()
        raise OSError(code, f"prctl({option}, {value}): {os.strerror(code)}")


def limit(memory_mb: int | None, cpu_seconds: int | None) -> None:
    """Address space and processor time. At the latter the kernel sends SIGXCPU, a second later SIGKILL."""
    if memory_mb is not None:
        _lower(resource.RLIMIT_AS, memory_mb << 20, memory_mb << 20)
    if cpu_seconds is not None:
        _lower(resource.RLIMIT_CPU, cpu_seconds, cpu_seconds + 1)


def _lower(kind: int, soft: int, hard: int) -> None:
    """Set a limit, or leave the one in force where that is lower already."""
    most = resource.getrlimit(kind)[1]
    if most != resource.RLIM_INFINITY:
        soft, hard = min(soft, most), min(hard, most)
    resource.setrlimit(kind, (soft, hard))


def limit_the_rest() -> None:
    """What a confined process has no use for: core dumps, files, processes, locked memory, more than a few fds."""
    for kind in (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE, resource.RLIMIT_NPROC, resource.RLIMIT_MEMLOCK):
        resource.setrlimit(kind, (0, 0))
    _lower(resource.RLIMIT_NOFILE, 16, 16)


def give_up_privileges() -> None:
    """No capability now, and none by any later exec. Raises `OSError`."""
    header = struct.pack("Ii", _CAPABILITY_VERSION_3, 0)
    if seccomp.MACHINE in _CAPSET:
        _libc.prctl(_PR_CAP_AMBIENT, ctypes.c_ulong(_CAP_AMBIENT_CLEAR_ALL), 0, 0, 0)  # there may be none to clear
        seccomp.call(_CAPSET[seccomp.MACHINE], ctypes.create_string_buffer(header), ctypes.create_string_buffer(24))
    prctl(PR_SET_NO_NEW_PRIVS, 1)


def confine(tier: int, memory_mb: int | None, cpu_seconds: int | None) -> None:
    """All of it, in order. Tier 0 keeps the limits only. Raises `OSError`; then the process must not go on."""
    limit(memory_mb, cpu_seconds)
    if not tier:
        return
    limit_the_rest()
    give_up_privileges()
    if tier >= 2:
        landlock.restrict()
    seccomp.install()


# ---- finding out whether it holds


def _open() -> None:
    os.close(os.open("/", os.O_RDONLY))


def _socket() -> None:
    socket.socket(socket.AF_UNIX, socket.SOCK_STREAM).close()


def _fork() -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def _signal() -> None:
    os.kill(os.getppid(), 0)


def _execute() -> None:
    mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_EXEC).close()


def _listen() -> None:
    with socket.socket() as tcp:
        tcp.bind(("127.0.0.1", 0))


def _attacks(feature: str, found: int) -> dict[str, Callable[[], None]]:
    if feature == "seccomp":
        return {
            "open a folder": _open,
            "make a socket": _socket,
            "fork": _fork,
            "signal its parent": _signal,
            "map executable memory": _execute,
        }
    held: dict[str, Callable[[], None]] = {"open a folder": _open}
    if found >= 4:
        held["listen on TCP"] = _listen
    if found >= 6:
        held["signal its parent"] = _signal
    return held


def attack(feature: str) -> str | None:
    """Try a feature in this (throw-away) process: None if it confines, else what went wrong.

    Each attack is first made unconfined, so that one which could not succeed anyway proves nothing.
    """
    try:
        found = landlock.version() if feature == "landlock" else 0
        works = {name: do for name, do in _attacks(feature, found).items() if _succeeds(do)}
        prctl(PR_SET_NO_NEW_PRIVS, 1)
        if feature == "landlock":
            landlock.restrict()
        else:
            seccomp.install()
    except OSError as error:
        return f"{feature}: {error.strerror or error}"
    if not works:
        return f"{feature}: nothing that it should forbid could be done here before, so nothing was proven"
    through = [name for name, do in works.items() if _succeeds(do)]
    return f"{feature}: installed, yet a program could {' and '.join(through)}" if through else None


def _succeeds(do: Callable[[], None]) -> bool:
    try:
        do()
    except (OSError, ValueError):
        return False
    return True


def outside(canary: str, name: str, what: str) -> str | None:
    """Whether this process, started in namespaces of its own, can see the host's file and reach its socket."""
    through = ["see the host's files"] if os.path.exists(canary) else []
    if name:
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as line:
            try:
                line.connect("\0" + name)
                through.append("reach the host's sockets")
            except OSError:
                pass
    return f"{what}: started, yet a program could {' and '.join(through)}" if through else None
