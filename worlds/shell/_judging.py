"""Whether an order is carried out: what is wanted, worked out from the folder as it was, held against what is seen.

The facts that a snapshot lists are what programs see. An order's fact is not among them; it is answered when it is
asked for by name, which only the host does, from the facts listed beside it. So no program can watch for it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from habilis.core import Fact, Value
from habilis.worlds.shell._tree import Entry, digest
from habilis.worlds.shell.orders import KINDS, Files, Node, Wanted

Listed = dict[Fact, Value]
TOLD = "told"  # the predicate of what is asked for in words, with a command that is right for it


def named(path: str) -> str:
    """A path as a fact says it: what begins with # would be taken for a set, and what is no UTF-8 is written out."""
    path = os.fsencode(path).decode("utf-8", "backslashreplace")
    return f"./{path}" if path.startswith("#") else path


def listed(entries: Mapping[str, Entry]) -> Listed:
    """What is seen of a folder."""
    found: Listed = {}
    for path, entry in entries.items():
        name = named(path)
        found[Fact("exists", (name,))] = True
        if entry.kind == "link":
            found[Fact("links_to", (name, entry.data.decode("utf-8", "backslashreplace")))] = True
            continue
        found[Fact("mode", (name,))] = int(f"{entry.mode:o}")
        if entry.kind == "dir":
            found[Fact("is_dir", (name,))] = True
        elif entry.kind == "file" and entry.readable:
            if not entry.digest.startswith("packed:"):  # how long an archive is depends on when and how it was packed
                found[Fact("size", (name,))] = len(entry.data)
                found[Fact("line_count", (name,))] = entry.lines
            found[Fact("content", (name, entry.digest))] = True
    return {fact: value for fact, value in found.items() if value}


def entries_of(files: Files) -> dict[str, Entry]:
    """Files for practice as the host would see them."""
    found = {}
    for path, node in sorted(files.items()):
        mode = int(str(node.mode), 8)
        if node.data is None:
            found[path] = Entry("dir", mode)
        else:
            lines = node.data.count(b"\n") + (not node.data.endswith(b"\n") if node.data else 0)
            found[path] = Entry("file", mode, digest(node.data), node.data, lines, bool(mode & 0o400))
    return found


def files_of(entries: Mapping[str, Entry]) -> Files:
    """What is seen as the orders reckon with it: files and folders."""
    return {
        path: Node(None if e.kind == "dir" else e.data, int(f"{e.mode:o}"))
        for path, e in entries.items()
        if e.kind in ("dir", "file")
    }


@dataclass
class Bench:
    """What orders are held against: the folder as it was at first, and where each order's own folder is. Orders
    without one (in a folder of the user's) ask only that what they change is right. ``golds``: the commands that
    are right for what is told in words, and ``play`` runs one: what is seen afterwards, and what was printed."""

    before: Files
    places: Mapping[Fact, str] = field(default_factory=dict)
    golds: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    play: Callable[[str], tuple[Listed, str]] | None = None
    _played: dict[str, tuple[Listed, str]] = field(default_factory=dict)
    _wanted: dict[Fact, tuple[Wanted, Listed, Listed] | None] = field(default_factory=dict)

    def carried_out(self, fact: Fact, now: Listed, out: str) -> bool:
        """Whether it is, going by what is seen ``now`` and by what was printed last."""
        if fact.predicate == TOLD:
            query = str(fact.args[0]) if fact.args else ""
            return any(self._as(gold, now, out) for gold in self.golds.get(query, ()))
        if fact not in self._wanted:
            self._wanted[fact] = self._work_out(fact)
        known = self._wanted[fact]
        if known is None:
            return False
        wanted, there, gone = known
        if any(now.get(f) != value for f, value in there.items()) or any(f in now for f in gone):
            return False
        place = self.places.get(fact)
        if place is not None and any(f not in there for f in now if _under(f, place)):
            return False
        if wanted.printed is None:
            return True
        asked, told = (
            wanted.printed.split("\n") if wanted.printed else [],
            out.rstrip().split("\n") if out.strip() else [],
        )
        return asked == told if wanted.ordered else sorted(asked) == sorted(told)

    def _as(self, gold: str, now: Listed, out: str) -> bool:
        """Whether it came out as this command would have it."""
        if gold not in self._played and self.play is not None:
            self._played[gold] = self.play(gold)
        there, told = self._played.get(gold, ({}, ""))
        ours = {f: v for f, v in now.items() if f.predicate not in ("printed", "exit_code")}
        return bool(there) and ours == there and out.rstrip() == told.rstrip()

    def _work_out(self, fact: Fact) -> tuple[Wanted, Listed, Listed] | None:
        """What is wanted; the facts that have to be so, and those that must not be."""
        kind = KINDS[fact.predicate]
        try:
            wanted: Wanted = kind.want(self.before, *fact.args)
        except (KeyError, ValueError, IndexError, TypeError, AttributeError):
            return None  # it asks for what was never there
        first, then = listed(entries_of(self.before)), listed(entries_of(wanted.files))
        place = self.places.get(fact)
        if place is not None:
            return wanted, {f: v for f, v in then.items() if _under(f, place)}, {}
        there = {f: v for f, v in then.items() if first.get(f) != v}
        if not there and first == then and wanted.printed is None:
            return None
        return wanted, there, {f: v for f, v in first.items() if f not in then}


class Seen(dict[Fact, Value]):
    """The facts of a snapshot: those that are listed, and orders, which are answered when asked for by name."""

    def __init__(self, facts: Listed, bench: Bench, out: str) -> None:
        super().__init__(facts)
        self._bench, self._out = bench, out

    def get(self, fact: Any, default: Any = None) -> Any:
        if isinstance(fact, Fact) and (fact.predicate in KINDS or fact.predicate == TOLD):
            return self._bench.carried_out(fact, self, self._out)
        return super().get(fact, default)

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (dict(self),)  # a copy that leaves this process is what was seen, and no more


def _under(fact: Fact, place: str) -> bool:
    first = str(fact.args[0]) if fact.args else ""
    return fact.predicate not in ("printed", "exit_code") and (first == place or first.startswith(f"{place}/"))
