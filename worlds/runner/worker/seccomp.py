"""The system calls a confined process may make, and the filter that refuses all others (seccomp-BPF).

Default deny: it can compute, read and write the descriptors it already has, and exit. It cannot open, connect, fork,
exec, signal, or map executable memory. Numbers: Linux's ``unistd`` tables; filters: kernel docs, seccomp_filter.rst.
"""

from __future__ import annotations

import ctypes
import functools
import os
import platform
import struct
import sys

_SET_MODE_FILTER, _FLAG_TSYNC = 1, 1
ALLOW, ERRNO, KILL = 0x7FFF0000, 0x00050000, 0x80000000
_EPERM, _ENOTTY = 1, 25
_PROT_EXEC = 4
_CLOCKS = 16  # more than the kernel numbers
_FUTEX = (0, 1, 3, 4, 5, 9, 10)  # wait, wake, requeue, compare and requeue, wake and change, wait and wake by bits

# read and write come first: the filter is a linear scan, and a program's every step uses both.
# The same table, with the same words, stands in docs/security.md.
ALLOWED: dict[str, str] = {
    "read": "the host's answers, from a socket that is already open",
    "write": "requests to the host and prints, to descriptors that are already open",
    "brk": "memory, under the run's limit",
    "munmap": "giving memory back",
    "mremap": "growing a block of memory; it keeps its protection, so never executable",
    "madvise": "the allocator's hints about its own memory",
    "rt_sigreturn": "coming back from the handler that tells the program's line",
    "rt_sigaction": "Python sets handlers; SIGKILL cannot be handled",
    "rt_sigprocmask": "Python blocks and unblocks signals to itself",
    "sigaltstack": "the stack of the handler that tells the program's line",
    "close": "letting go of a descriptor",
    "fstat": "Python asks what its standard streams are",
    "lseek": "Python asks whether its standard streams can seek",
    "gettimeofday": "an older way to ask for the time",
    "nanosleep": "an older way to sleep",
    "sched_yield": "giving up the processor for a moment",
    "restart_syscall": "the kernel's own, after an interrupted sleep",
    "getpid": "its own number",
    "gettid": "its own number",
    "getrusage": "its own processor time",
    "exit": "ending",
    "exit_group": "ending",
}
GUARDED: dict[str, str] = {
    "futex": "Python's own locks; refused for locks that name another process",
    "clock_gettime": "the clock, usually answered without the kernel; refused for other processes' clocks",
    "clock_getres": "the clock's resolution; refused for other processes' clocks",
    "clock_nanosleep": "sleeping, which the clock limit ends; refused for other processes' clocks",
    "mmap": "memory, under the run's limit; refused when executable",
    "mprotect": "changing the protection of its own memory; refused when executable",
    "ioctl": "answered with ENOTTY, never made: Python asks whether its streams are terminals",
}

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


@functools.cache
def build(machine: str) -> bytes:
    """The filter for this machine, as ``struct sock_filter[]``. Raises `OSError` where its numbers are not known."""
    if machine not in MACHINES:
        raise OSError(f"no system call table for {machine}; known: {', '.join(sorted(MACHINES))}")
    audit, numbers, foreign = MACHINES[machine]
    load, equal, at_least, any_bit, mask, answer = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06

    def ins(code: int, k: int, yes: int = 0, no: int = 0) -> bytes:
        return struct.pack("=HBBI", code, yes, no, k)

    allow, refuse = ins(answer, ALLOW), ins(answer, ERRNO | _EPERM)

    def argument(i: int) -> bytes:
        return ins(load, 16 + 8 * i)  # its low half

    # Clocks of one's own and the system's are small numbers; those of others are made of their process's number.
    own_clock = [argument(0), ins(at_least, _CLOCKS, 0, 1), refuse, allow]
    # Waiting and waking; what is left out hands a lock to a process by its number.
    plain_futex = [
        argument(1),
        ins(mask, 0x7F),
        *(ins(equal, op, len(_FUTEX) - i) for i, op in enumerate(_FUTEX)),
        refuse,
        allow,
    ]
    no_exec = [argument(2), ins(any_bit, _PROT_EXEC, 0, 1), refuse, allow]
    guards = {
        "futex": plain_futex,
        "clock_gettime": own_clock,
        "clock_getres": own_clock,
        "clock_nanosleep": own_clock,
        "mmap": no_exec,
        "mprotect": no_exec,
        # Python asks whether its streams are terminals; "no" is an answer, "forbidden" would be an error.
        "ioctl": [ins(answer, ERRNO | _ENOTTY)],
    }
    out = [ins(load, 4), ins(equal, audit, 1, 0), ins(answer, KILL), ins(load, 0)]
    if foreign is not None:
        out += [ins(at_least, foreign, 0, 1), ins(answer, KILL)]
    for name in ALLOWED:
        out += [ins(equal, numbers[name], 0, 1), allow]
    for name in GUARDED:
        out += [ins(equal, numbers[name], 0, len(guards[name])), *guards[name]]
    out += [refuse]
    return b"".join(out)


def install() -> None:
    """Put the filter on this process, for good. Needs ``no_new_privs`` first. Raises `OSError`."""
    program = build(MACHINE)
    if sys.maxsize < 2**32:
        raise OSError("a 32-bit Python on a 64-bit kernel is not supported")
    held = ctypes.create_string_buffer(program, len(program))
    header = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(program) // 8, ctypes.addressof(held)))
    call(MACHINES[MACHINE][1]["seccomp"], ctypes.c_ulong(_SET_MODE_FILTER), ctypes.c_ulong(_FLAG_TSYNC), header)


_libc = ctypes.CDLL(None, use_errno=True)


def call(number: int, *arguments: object) -> int:
    """A system call by number. Raises `OSError`."""
    result = int(_libc.syscall(ctypes.c_long(number), *arguments))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result
