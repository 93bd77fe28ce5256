"""The filter, call by call: tried in a confined process, and decoded by running it as the kernel does."""

from __future__ import annotations

import platform
import re
import struct
from pathlib import Path
from typing import Any

import pytest
from tests.worlds.attacks.test_integrity import attack

from habilis.core import RunLimits
from habilis.worlds.runner import ConfinedRunner
from habilis.worlds.runner.worker.seccomp import ALLOW, ALLOWED, ERRNO, GUARDED, KILL, MACHINES, build

EPERM, ENXIO, ENOTTY = 1, 6, 25
LAST = 600
UPROBES = (335, 336) if platform.machine() == "x86_64" else ()
# Calls of the table that do not come back, and how the run then ends.
ENDING = {"exit": "exited with 0", "exit_group": "exited with 0", "rt_sigreturn": "SIGSEGV"}
SECURITY = Path(__file__).parents[3] / "docs" / "security.md"
# From the kernel's include/uapi/asm-generic/unistd.h, written down a second time.
GENERIC = {
    "ioctl": 29, "close": 57, "lseek": 62, "read": 63, "write": 64, "fstat": 80, "exit": 93, "exit_group": 94,
    "futex": 98, "nanosleep": 101, "clock_gettime": 113, "clock_getres": 114, "clock_nanosleep": 115,
    "sched_yield": 124, "restart_syscall": 128, "sigaltstack": 132, "rt_sigaction": 134, "rt_sigprocmask": 135,
    "rt_sigreturn": 139, "getrusage": 165, "gettimeofday": 169, "getpid": 172, "gettid": 178, "brk": 214, "munmap": 215,
    "mremap": 216, "mmap": 222, "mprotect": 226, "madvise": 233, "seccomp": 277,
}  # fmt: skip


def answer(machine: str, number: int, *args: int, audit: int | None = None) -> int:
    """Run the filter as the kernel does (classic BPF over ``struct seccomp_data``)."""
    program = [struct.unpack_from("=HBBI", build(machine), i) for i in range(0, len(build(machine)), 8)]
    arguments = [*args, *[0] * (6 - len(args))]
    data = struct.pack("=iIQ6Q", number, MACHINES[machine][0] if audit is None else audit, 0, *arguments)
    value = at = 0
    for _ in range(len(program) + 1):
        code, yes, no, k = program[at]
        at += 1
        if code == 0x20:  # load a word
            (value,) = struct.unpack_from("=I", data, k)
        elif code == 0x54:  # and
            value &= k
        elif code == 0x06:  # answer
            return k
        else:
            holds = {0x15: value == k, 0x35: value >= k, 0x45: bool(value & k)}[code]
            at += yes if holds else no
    raise AssertionError("the filter does not end")


@pytest.mark.parametrize("machine", sorted(MACHINES))
def test_the_filter_allows_what_the_table_says_and_nothing_else(machine: str) -> None:
    numbers = MACHINES[machine][1]
    names = {numbers[name]: name for name in (*ALLOWED, *GUARDED)}
    for number in range(LAST + 1):
        name = names.get(number)
        expected = {None: ERRNO | EPERM, "ioctl": ERRNO | ENOTTY}.get(name, ALLOW)
        assert answer(machine, number) == expected, (number, name)
    assert len(names) == len(ALLOWED) + len(GUARDED)  # no two of them share a number


@pytest.mark.parametrize("machine", sorted(MACHINES))
@pytest.mark.parametrize("name", ["mmap", "mprotect"])
def test_the_filter_refuses_executable_memory(machine: str, name: str) -> None:
    number = MACHINES[machine][1][name]
    for protection in range(16):
        expected = ERRNO | EPERM if protection & 4 else ALLOW
        assert answer(machine, number, 0, 4096, protection) == expected
    assert answer(machine, number, 0, 4096, 3 | 1 << 40) == ALLOW  # the kernel looks at the low half as well


@pytest.mark.parametrize("machine", sorted(MACHINES))
def test_the_filter_refuses_what_names_other_processes(machine: str) -> None:
    numbers = MACHINES[machine][1]
    for name in ("clock_gettime", "clock_getres", "clock_nanosleep"):
        for clock in range(12):
            assert answer(machine, numbers[name], clock) == ALLOW
        for pid in (1, 77, 4_000_000):  # a process's clock: ~pid << 3 | 2
            assert answer(machine, numbers[name], (~pid << 3 | 2) & 0xFFFFFFFF) == ERRNO | EPERM
    private, realtime = 128, 256
    for op in range(16):
        for flags in (0, private, private | realtime):
            plain = op in (0, 1, 3, 4, 5, 9, 10)
            expected = ALLOW if plain else ERRNO | EPERM
            assert answer(machine, numbers["futex"], 0, op | flags) == expected, (op, flags)


@pytest.mark.parametrize("machine", sorted(MACHINES))
def test_the_filter_kills_who_calls_by_another_table(machine: str) -> None:
    read = MACHINES[machine][1]["read"]
    for audit in (0, 0x40000003, 0x40000028, 0xC000003E ^ 0xC00000B7 ^ MACHINES[machine][0]):
        assert answer(machine, read, audit=audit) == KILL
    if machine == "x86_64":
        assert answer(machine, read | 0x40000000) == KILL  # x32
    assert answer(machine, 0x3FFFFFFF) == ERRNO | EPERM


def test_the_numbers_are_the_kernels() -> None:
    assert MACHINES["aarch64"][1] == GENERIC
    for machine, place in (("aarch64", "asm-generic/unistd.h"), ("x86_64", "x86_64-linux-gnu/asm/unistd_64.h")):
        header = Path("/usr/include") / place
        if not header.exists():  # without the kernel's headers, the copy above stands alone
            continue
        text = header.read_text()
        said = {n: int(i) for n, i in re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", text)}
        for name, number in MACHINES[machine][1].items():
            assert said[name] == number, (machine, name)


@pytest.mark.skipif(platform.machine() not in MACHINES, reason="no table for this machine")
def test_every_other_call_is_refused_by_the_kernel(confined: ConfinedRunner, world: Any) -> None:
    allowed = [MACHINES[platform.machine()][1][name] for name in (*ALLOWED, *GUARDED)]
    body = (
        f"odd = []\nfor n in range({LAST + 1}):\n    if n in skipped: continue\n"
        "    ctypes.set_errno(0)\n    r = libc.syscall(n, 0, 0, 0, 0, 0, 0)\n"
        "    if (r, ctypes.get_errno()) != (-1, 1): odd.append([n, r, ctypes.get_errno()])\nreturn odd"
    )
    t = attack(confined, world, body, RunLimits(seconds=10), skipped=[*allowed, *UPROBES])
    assert (t.error, t.returned) == (None, [])


@pytest.mark.skipif(platform.machine() not in MACHINES, reason="no table for this machine")
def test_every_call_of_the_table_reaches_the_kernel(confined: ConfinedRunner, world: Any) -> None:
    """The other numbers up to 600: with arguments that do nothing, they are answered, and not by a refusal."""
    numbers = MACHINES[platform.machine()][1]
    asked = [[name, numbers[name], 0 if name.startswith("clock") else -1] for name in (*ALLOWED, *GUARDED)]
    body = (
        "odd = []\nfor name, n, first in asked:\n    ctypes.set_errno(0)\n"
        "    r = libc.syscall(n, ctypes.c_long(first), 0, 0, 0, 0, 0)\n"
        "    if (r, ctypes.get_errno()) == (-1, 1): odd.append(name)\nreturn odd"
    )
    t = attack(confined, world, body, asked=[one for one in asked if one[0] not in ENDING])
    assert (t.error, t.returned) == (None, [])
    # And the same found by the same means where it is refused.
    t = attack(confined, world, body, asked=[["open", 2 if platform.machine() == "x86_64" else 56, 0]])
    assert t.returned == ["open"]
    for name, how in ENDING.items():
        t = attack(confined, world, f"return libc.syscall({numbers[name]}, 0, 0, 0, 0, 0, 0)")
        assert t.error is not None, name
        assert how in t.error.message


@pytest.mark.skipif(platform.machine() != "x86_64", reason="x86-64 has them alone")
@pytest.mark.parametrize("number", UPROBES)
def test_the_calls_that_no_filter_sees_end_who_makes_them(confined: ConfinedRunner, world: Any, number: int) -> None:
    """uretprobe and uprobe: newer kernels let them past every filter, and end or refuse who comes by himself."""
    t = attack(confined, world, f"r = libc.syscall({number}, 0)\nreturn [r, ctypes.get_errno()]")
    assert t.returned in ([-1, EPERM], [-1, ENXIO]) or (t.error is not None and "SIGILL" in t.error.message), t


def test_the_table_in_the_docs_is_the_one_in_force() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", SECURITY.read_text("utf-8"), flags=re.MULTILINE))
    assert rows == {**ALLOWED, **GUARDED}
