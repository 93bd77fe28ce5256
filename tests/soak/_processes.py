"""What runs on this machine and what it holds, read from /proc: for suites that watch for what is left behind."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from habilis.worlds.runner._local import SERVER

PAGE = os.sysconf("SC_PAGE_SIZE")


class Process(NamedTuple):
    """``started``: in ticks since the system came up; with the number it tells one process from a later one."""

    pid: int
    parent: int
    started: int
    name: str
    state: str


def everything() -> dict[int, Process]:
    """All processes that there are now, by number; those of other pid namespaces too, as this one numbers them."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            one = process(int(entry.name))
            if one is not None:
                found[one.pid] = one
    return found


def process(pid: int) -> Process | None:
    """None if it has ended and was waited for."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError:
        return None
    name = stat[stat.index("(") + 1 : stat.rindex(")")]
    rest = stat[stat.rindex(")") + 2 :].split()
    return Process(pid, int(rest[1]), int(rest[19]), name, rest[0])


def descendants(pid: int) -> list[Process]:
    """Children, their children, and so on; those that were orphaned and taken over by others are not among them."""
    children: dict[int, list[Process]] = defaultdict(list)
    for one in everything().values():
        children[one.parent].append(one)
    todo, found = [pid], []
    while todo:
        below = children[todo.pop()]
        found += below
        todo += [one.pid for one in below]
    return found


def lives(one: Process) -> bool:
    """Whether this very process still runs; one that has ended and only waits to be reaped does not."""
    now = process(one.pid)
    return now is not None and now.started == one.started and now.state not in "ZX"


def command(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode("utf-8", "replace").split("\0")[:-1]
    except OSError:
        return []


def is_worker(pid: int) -> bool:
    """Whether this is a worker of these sources, a run of one, or the bubblewrap around it, whoever started it."""
    return any(os.path.realpath(part) == str(SERVER) for part in command(pid) if part.endswith("server.py"))


def workers(among: list[Process]) -> Iterator[Process]:
    """The warm workers themselves: neither the bubblewrap around them nor their forks."""
    numbers = {one.pid for one in among if one.name != "bwrap" and is_worker(one.pid)}
    return (one for one in among if one.pid in numbers and one.parent not in numbers)


def resident(pid: int) -> int:
    """Bytes in memory; 0 if it has ended."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE
    except OSError:
        return 0


def descriptors() -> int:
    """That this process has open."""
    return len(os.listdir("/proc/self/fd")) - 1
