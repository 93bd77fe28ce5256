"""What folders for practice are made of: words, lists, tables and trees of files, all from one random generator."""

from __future__ import annotations

import gzip
import io
import random
import tarfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from habilis.core import Term

WORDS = """
amber anchor apple arrow autumn badge barley beacon birch blossom bottle branch brass bridge bronze butter
candle canvas castle cedar chalk cherry cliff clover cobalt copper coral cotton cradle crane crimson crystal
daisy dawn desert dragon drum eagle echo ember falcon feather fern field flint forest fossil garden garnet
ginger glacier granite grape hammer harbor hazel heron hollow honey horizon indigo iron island ivory jasmine
jasper juniper kettle lantern lark laurel lemon lilac linen lotus maple marble meadow mint mirror moss needle
nettle oak olive onyx opal orchid otter paper pearl pebble pepper pine plum poppy prairie quartz quill rain
raven reed ribbon river robin rose ruby saddle saffron sage salt sand scarlet shell silver slate sparrow
spruce stone storm summer sunset swan thistle thunder timber topaz tulip umber valley velvet violet walnut
water wheat willow window winter wolf wool yarrow
""".split()  # noqa: SIM905
SUFFIXES = (".txt", ".csv", ".log", ".md", ".dat", ".cfg", ".sh", ".tmp")


@dataclass(frozen=True, slots=True)
class Node:
    """A file or a folder. ``mode`` as it is written: 644."""

    data: bytes | None = b""  # None: a folder
    mode: int = 644

    @classmethod
    def folder(cls, mode: int = 755) -> Node:
        return cls(None, mode)


Files = dict[str, Node]


@dataclass(frozen=True, slots=True)
class Wanted:
    """How it is to be: all files, and (where something is to be printed) the text, of which only the lines count
    where they come in any order."""

    files: Files
    printed: str | None = None
    ordered: bool = True


Make = Callable[[random.Random, str], tuple[Files, tuple[Term, ...]]]
Want = Callable[..., Wanted]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of order. ``make`` lays out a folder and says the arguments; ``want`` says, of any folder and arguments,
    how it is to be afterwards; ``solution`` is a command of ours that does it, for comparison alone."""

    name: str
    family: str
    level: int
    slots: tuple[str, ...]
    phrase: str
    make: Make
    want: Want
    solution: str


def words(rng: random.Random, count: int) -> list[str]:
    """Different words."""
    return rng.sample(WORDS, count)


def name(rng: random.Random, suffix: str = "") -> str:
    """A name of one or two words; one in four has a blank in it."""
    parts = words(rng, rng.choice((1, 1, 2)))
    joint = " " if rng.random() < 0.5 else rng.choice(("_", "-"))
    return joint.join(parts) + suffix


def names(rng: random.Random, count: int, suffix: str = "") -> list[str]:
    found: dict[str, None] = {}
    while len(found) < count:
        found[name(rng, suffix)] = None
    return list(found)


def text(lines: Sequence[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def sentence(rng: random.Random, *said: str) -> str:
    parts = [*words(rng, rng.randint(2, 5)), *said]
    rng.shuffle(parts)
    return " ".join(parts)


def prose(rng: random.Random, count: int, *said: str, share: float = 0.4) -> list[str]:
    """Different lines, about this share of which hold the words; at least one does, and one does not."""
    found: dict[str, None] = {}
    while len(found) < count:
        holds = len(found) == 0 or (len(found) > 1 and rng.random() < share)
        line = sentence(rng, *(said if holds else ()))
        if holds or not any(word in line for word in said):
            found[line] = None
    listed = list(found)
    rng.shuffle(listed)
    return listed


def listing(rng: random.Random, count: int) -> list[str]:
    """Single words, some of them several times."""
    few = words(rng, max(3, count // 2))
    return [*few, *(rng.choice(few) for _ in range(count - len(few)))]


def table(rng: random.Random, rows: int) -> list[list[str]]:
    """A table with a heading: a name, a group, two different numbers for each row, a place."""
    head = ["name", "group", "amount", "year", "place"]
    groups, places = words(rng, 3), words(rng, 4)
    amounts, years = rng.sample(range(2, 2_000), rows), rng.sample(range(1_900, 2_100), rows)
    body = [
        [label, rng.choice(groups), str(amount), str(year), rng.choice(places)]
        for label, amount, year in zip(words(rng, rows), amounts, years, strict=True)
    ]
    return [head, *body]


def csv(rows: Sequence[Sequence[str]]) -> bytes:
    return text([",".join(row) for row in rows])


def some(rng: random.Random, folder: str, suffix: str, *, count: int = 3, deep: bool = False) -> Files:
    """A folder with files of this suffix and of others, and (``deep``) folders in it with more of the same."""
    files: Files = {folder: Node.folder()}
    places = [folder]
    if deep:
        for sub in names(rng, 2):
            places.append(f"{folder}/{sub}")
            files[places[-1]] = Node.folder()
        places.append(f"{places[-1]}/{name(rng)}")
        files[places[-1]] = Node.folder()
    others = [s for s in SUFFIXES if s != suffix]
    bare: set[str] = set()
    for i, place in enumerate(places):
        for one in [suffix] * (count if i == 0 else 1) + [rng.choice(others) for _ in range(2 if i == 0 else 1)]:
            label = name(rng)
            while label in bare:
                label = name(rng)
            bare.add(label)
            files[f"{place}/{label}{one}"] = Node(text(prose(rng, rng.randint(2, 5))))
    return files


def inside(files: Mapping[str, Node], folder: str, suffix: str = "", *, deep: bool = False) -> list[str]:
    """The files in a folder whose names end so, sorted."""
    start = f"{folder}/"
    return [
        path
        for path, node in sorted(files.items())
        if path.startswith(start)
        and node.data is not None
        and path.endswith(suffix)
        and (deep or "/" not in path[len(start) :])
        and (suffix or not path.rpartition("/")[2].startswith("."))
    ]


def lines_of(files: Mapping[str, Node], path: str) -> list[str]:
    node = files.get(path)
    return (node.data or b"").decode("utf-8", "replace").splitlines() if node is not None else []


def base(path: str) -> str:
    return path.rpartition("/")[2]


def parent(path: str) -> str:
    return path.rpartition("/")[0]


def put(files: Mapping[str, Node], path: str, data: bytes, mode: int = 644) -> Files:
    """With a file written; the folders that lead to it are there, or are made."""
    found = dict(files)
    above = parent(path)
    while above and above not in found:
        found[above] = Node.folder()
        above = parent(above)
    before = files.get(path)
    found[path] = Node(data, before.mode if before is not None else mode)
    return found


def tar(files: Mapping[str, Node], folder: str, paths: Sequence[str], *, packed: bool = False) -> bytes:
    """These entries as an archive, by their names within the folder."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as writing:
        for path in paths:
            info, data = tarfile.TarInfo(path[len(folder) + 1 :]), files[path].data
            info.type = tarfile.DIRTYPE if data is None else tarfile.REGTYPE
            info.size = len(data or b"")
            writing.addfile(info, io.BytesIO(data or b""))
    return gzip.compress(out.getvalue(), mtime=0) if packed else out.getvalue()
