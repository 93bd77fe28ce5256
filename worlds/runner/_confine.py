"""Kernel confinement through ctypes alone: Landlock, seccomp-BPF, resource limits. Standard library only.

seccomp denies everything by default; a confined process can compute, read and write the descriptors it already has,
and exit. It cannot open, connect, fork, exec, signal, or map executable memory. Landlock, where the kernel has it,
denies files and TCP a second time. Numbers: Linux's ``unistd`` tables; filters: kernel docs, seccomp_filter.rst.
"""

from __future__ import annotations

import ctypes
import functools
import os
import platform
import resource
import struct
import sys

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS = 1, 4, 38
_LANDLOCK_CREATE, _LANDLOCK_RESTRICT = 444, 446
_SECCOMP_SET_MODE_FILTER, _SECCOMP_FILTER_FLAG_TSYNC = 1, 1
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_EPERM, _ENOTTY = 1, 25
_PROT_EXEC = 4

# read and write come first: the filter is a linear scan, and a program's every step uses both.
_PLAIN = [
    "read",
    "write",
    "futex",
    "clock_gettime",
    "brk",
    "munmap",
    "mremap",
    "madvise",
    "rt_sigreturn",
    "rt_sigaction",
    "rt_sigprocmask",
    "sigaltstack",
    "close",
    "fstat",
    "lseek",
    "gettimeofday",
    "clock_getres",
    "clock_nanosleep",
    "nanosleep",
    "sched_yield",
    "restart_syscall",
    "getpid",
    "gettid",
    "getrusage",
    "exit",
    "exit_group",
]
_NO_EXEC = ("mmap", "mprotect")

_X86_64 = {
    "read": 0, "write": 1, "close": 3, "fstat": 5, "lseek": 8, "mmap": 9, "mprotect": 10, "munmap": 11, "brk": 12,
    "rt_sigaction": 13, "rt_sigprocmask": 14, "rt_sigreturn": 15, "ioctl": 16, "sched_yield": 24, "mremap": 25,
    "madvise": 28, "nanosleep": 35, "getpid": 39, "exit": 60, "gettimeofday": 96, "getrusage": 98, "sigaltstack": 131,
    "gettid": 186, "futex": 202, "restart_syscall": 219, "clock_gettime": 228, "clock_getres": 229,
    "clock_nanosleep": 230, "exit_group": 231, "seccomp": 317,
}  # fmt: skip
_AARCH64 = {
    "ioctl": 29, "close": 57, "lseek": 62, "read": 63, "write": 64, "fstat": 80, "exit": 93, "exit_group": 94,
    "futex": 98, "nanosleep": 101, "clock_gettime": 113, "clock_getres": 114, "clock_nanosleep": 115,
    "sched_yield": 124, "restart_syscall": 128, "sigaltstack": 132, "rt_sigaction": 134, "rt_sigprocmask": 135,
    "rt_sigreturn": 139, "getrusage": 165, "gettimeofday": 169, "getpid": 172, "gettid": 178, "brk": 214, "munmap": 215,
    "mremap": 216, "mmap": 222, "mprotect": 226, "madvise": 233, "seccomp": 277,
}  # fmt: skip
# machine: (audit number, system calls, number from which the calls of a second, foreign table begin)
MACHINES = {"x86_64": (0xC000003E, _X86_64, 0x40000000), "aarch64": (0xC00000B7, _AARCH64, None)}

MACHINE = platform.machine()
_libc = ctypes.CDLL(None, use_errno=True)


def _call(number: int, *arguments: object) -> int:
    result = int(_libc.syscall(ctypes.c_long(number), *arguments))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def prctl(option: int, value: int) -> None:
    if _libc.prctl(option, ctypes.c_ulong(value), ctypes.c_ulong(0), ctypes.c_ulong(0), ctypes.c_ulong(0)):
        code = ctypes.get_errno()
        raise OSError(code, f"prctl({option}, {value}): {os.strerror(code)}")


@functools.cache
def seccomp_filter(machine: str) -> bytes:
    """The filter for this machine, as ``struct sock_filter[]``. Raises `OSError` where its numbers are not known."""
    if machine not in MACHINES:
        raise OSError(f"no system call table for {machine}; known: {', '.join(sorted(MACHINES))}")
    audit, numbers, foreign = MACHINES[machine]
    load, equal, at_least, any_bit, answer = 0x20, 0x15, 0x35, 0x45, 0x06

    def ins(code: int, k: int, yes: int = 0, no: int = 0) -> bytes:
        return struct.pack("=HBBI", code, yes, no, k)

    out = [ins(load, 4), ins(equal, audit, 1, 0), ins(answer, _KILL), ins(load, 0)]
    if foreign is not None:
        out += [ins(at_least, foreign, 0, 1), ins(answer, _KILL)]
    for name in _PLAIN:
        out += [ins(equal, numbers[name], 0, 1), ins(answer, _ALLOW)]
    for name in _NO_EXEC:
        protection = 16 + 8 * 2  # the third argument, low half
        out += [ins(equal, numbers[name], 0, 4), ins(load, protection), ins(any_bit, _PROT_EXEC, 0, 1)]
        out += [ins(answer, _ERRNO | _EPERM), ins(answer, _ALLOW)]
    # Python asks whether its streams are terminals; "no" is an answer, "forbidden" would be an error.
    out += [ins(equal, numbers["ioctl"], 0, 1), ins(answer, _ERRNO | _ENOTTY)]
    out += [ins(answer, _ERRNO | _EPERM)]
    return b"".join(out)


def seccomp() -> None:
    """Install the filter on this process, for good. Needs `no_new_privileges` first. Raises `OSError`."""
    program = seccomp_filter(MACHINE)
    if sys.maxsize < 2**32:
        raise OSError("a 32-bit Python on a 64-bit kernel is not supported")
    held = ctypes.create_string_buffer(program, len(program))
    header = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(program) // 8, ctypes.addressof(held)))
    number = MACHINES[MACHINE][1]["seccomp"]
    _call(number, ctypes.c_ulong(_SECCOMP_SET_MODE_FILTER), ctypes.c_ulong(_SECCOMP_FILTER_FLAG_TSYNC), header)


def landlock() -> int:
    """Deny this process all files and TCP, for good; returns the kernel's Landlock version. Raises `OSError`."""
    version = _call(_LANDLOCK_CREATE, None, ctypes.c_size_t(0), ctypes.c_uint32(1))
    files = (1 << {1: 13, 2: 14, 3: 15, 4: 15}.get(version, 16)) - 1
    fields = [files] + ([0b11] if version >= 4 else []) + ([0b11] if version >= 6 else [])
    rules = struct.pack(f"{len(fields)}Q", *fields)
    fd = _call(_LANDLOCK_CREATE, ctypes.create_string_buffer(rules, len(rules)), ctypes.c_size_t(len(rules)), 0)
    try:
        _call(_LANDLOCK_RESTRICT, ctypes.c_int(fd), ctypes.c_uint32(0))
    finally:
        os.close(fd)
    return version


def no_new_privileges() -> None:
    prctl(PR_SET_NO_NEW_PRIVS, 1)


def limit(memory_mb: int | None, cpu_seconds: int | None) -> None:
    """Address space and processor time. At the latter the kernel sends SIGXCPU, a second later SIGKILL."""
    if memory_mb is not None:
        resource.setrlimit(resource.RLIMIT_AS, (memory_mb << 20, memory_mb << 20))
    if cpu_seconds is not None:
        resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds + 1))


def limit_the_rest() -> None:
    """What a confined process has no use for: core dumps, files, processes, locked memory, more than a few fds."""
    for kind in (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE, resource.RLIMIT_NPROC, resource.RLIMIT_MEMLOCK):
        resource.setrlimit(kind, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (16, 16))


def _refused(path: str) -> bool:
    try:
        os.close(os.open(path, os.O_RDONLY))
    except OSError:
        return True
    return False


def attempt(feature: str) -> str | None:
    """Try a feature in this (throw-away) process: None if it confines, else what went wrong."""
    try:
        no_new_privileges()
        if feature == "landlock":
            landlock()
        else:
            seccomp()
    except OSError as error:
        return f"{feature}: {error.strerror or error}"
    return None if _refused("/") else f"{feature}: installed, yet a directory could still be opened"
