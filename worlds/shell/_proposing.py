"""What is worth trying in a folder, and what may be asked of one that nobody has laid out for practice."""

from __future__ import annotations

from collections import Counter

from habilis.core import Action, Fact, Term
from habilis.worlds.shell._judging import named
from habilis.worlds.shell.orders import KINDS, Files

_HARMLESS = ("sort", "dedupe", "count", "slice", "join", "copy", "find", "archive", "compare")  # what these make is new
_LONGEST = 200  # characters of a path that is proposed
_EACH = 3  # files and folders that something is proposed of


def afforded(files: Files) -> list[Action]:
    """Commands that look around, and some that change things in a folder of their own."""
    found = [
        Action("run", ("ls -la",)),
        Action("lines", ("find . -type f",)),
        Action("run", ("mkdir -p scratch",)),
        Action("run", ("rm -rf scratch",)),
    ]
    first = next((p for p, node in sorted(files.items()) if node.data and len(p) <= _LONGEST), None)
    if first is not None:
        found += [
            Action("lines", ('wc -l < "$1"', first)),
            Action("run", ('mkdir -p scratch && cp -- "$1" scratch/copy && chmod 600 scratch/copy', first)),
            Action("run", ('mkdir -p scratch && sort -- "$1" > scratch/sorted', first)),
        ]
    return found


def proposed(files: Files) -> list[Fact]:
    """Orders with arguments from what stands there; none that takes anything away."""
    short = {p: node for p, node in sorted(files.items()) if len(p) <= _LONGEST and named(p) == p}
    texts = [p for p, node in short.items() if node.data and node.data.count(b"\n") > 1 and b"\0" not in node.data]
    folders = _folders(short)
    found: list[Fact] = []
    for kind in KINDS.values():
        if kind.family not in _HARMLESS or kind.name in ("files_zipped", "files_packed_away", "folder_mirrored"):
            continue
        new = f"{kind.name}.out"
        starts: list[dict[str, Term]] = []
        if kind.slots[0] == "src":
            starts = [{"src": p} for p in texts]
        elif kind.slots[0] == "folder":
            starts = [{"folder": p, "suffix": s} for p, s in folders]
        elif kind.slots[0] == "one" and len(texts) > 1:
            starts = [{"one": texts[0], "two": texts[1]}]
        for start in starts[:_EACH]:
            given = {**start, "dst": new, "count": 3, "low": 2, "high": 4, "size": 1_000}
            if all(slot in given for slot in kind.slots) and new not in files:
                found.append(Fact(kind.name, tuple(given[slot] for slot in kind.slots)))
    return found


def _folders(files: Files) -> list[tuple[str, str]]:
    """Folders with the commonest suffix of the files in each, those with most files first."""
    suffixes: dict[str, Counter[str]] = {}
    for path, node in files.items():
        above, _, name = path.rpartition("/")
        if above and node.data is not None and "." in name[1:]:
            suffixes.setdefault(above, Counter())["." + name.rpartition(".")[2]] += 1
    ranked = sorted(suffixes, key=lambda p: (-suffixes[p].total(), p))
    return [(p, min(suffixes[p], key=lambda s: (-suffixes[p][s], s))) for p in ranked]
