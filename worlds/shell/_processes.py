"""Processes of a sandbox, as the host sees and ends them: by what the kernel tells of each in /proc."""

from __future__ import annotations

import os

__all__ = ["children", "family", "first_inside", "resident", "signalled", "state", "threads"]


def children(pid: int) -> list[int]:
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as listed:
            return [int(word) for word in listed.read().split()]
    except (OSError, ValueError):
        return []


def first_inside(pid: int) -> int | None:
    """The first process of the namespace: bwrap's child, in which nothing but it can be."""
    return next(iter(children(pid)), None)


def family(pid: int, most: int) -> list[int]:
    """A process and what descends from it, until there are too many."""
    found: list[int] = []
    todo = [pid]
    while todo and len(found) < most:
        one = todo.pop()
        found.append(one)
        todo += children(one)
    return found


def resident(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/statm") as told:
            return int(told.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0


def state(pid: int) -> bytes:
    """The kernel's letter for what a process does; X where it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as told:
            return told.read().rpartition(b")")[2].split()[0]
    except (OSError, IndexError):
        return b"X"


def threads(pid: int) -> int:
    try:
        return len(os.listdir(f"/proc/{pid}/task"))
    except OSError:
        return 0


def signalled(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        pass
