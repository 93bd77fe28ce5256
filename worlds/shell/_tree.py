"""A folder as the host sees it: what stands there, by lstat and by descriptor, without following any link.

What a command left is hostile until proven otherwise: links that lead out, pipes that would hang who opens them,
folders without end, archives that unpack to more than there is room for. Nothing is opened but regular files, and those
without following links; what is not looked into is told as what it is.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import os
import stat
import subprocess
import tarfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from habilis.core import InputError, Json

MOST_BYTES = 64 << 20  # of a folder, all files together
MOST_ENTRIES = 2_000
MOST_DEPTH = 40
_MOST_FILE = 16 << 20  # of a file that is read, and of what an archive unpacks to
_SMALL, _TIMES = 256 << 10, 32  # what an archive unpacks to: so much, and so many times its size; more is not unpacked
_NESTED = 3  # archives within one another
_SHORT = 80  # characters of a text that is told as it is


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry. ``kind``: "file", "dir", "link" or "other"; ``mode``: permission bits; ``digest``: of a file's
    content; ``data``: the content, or where a link leads."""

    kind: str
    mode: int = 0
    digest: str = ""
    data: bytes = b""
    lines: int = 0
    readable: bool = True


@dataclass
class Tree:
    """A folder that is looked at again and again: what has not changed by the kernel's word is not read again.

    ``shut``: what stands in folders that their owner may not look into. It counts, and is kept; it is not shown.
    """

    root: Path
    entries: dict[str, Entry] = field(default_factory=dict)
    shut: dict[str, Entry] = field(default_factory=dict)
    too_large: bool = False
    _known: dict[str, tuple[tuple[int, ...], Entry]] = field(default_factory=dict)

    def look(self) -> Mapping[str, Entry]:
        """The entries by path, sorted; ``too_large`` where there is more than is looked at."""
        os.chmod(self.root, 0o755)  # a command may have shut the folder itself
        found: dict[str, Entry] = {}
        shut: dict[str, Entry] = {}
        known: dict[str, tuple[tuple[int, ...], Entry]] = {}
        size = 0
        self.too_large = False
        for path, at, name, told, hidden in _walk(self.root):
            if path is None or len(known) >= MOST_ENTRIES:
                self.too_large = True
                break
            if stat.S_ISREG(told.st_mode):
                size += told.st_size
                if size > MOST_BYTES:
                    self.too_large = True
                    break
            sign = (told.st_mode, told.st_size, told.st_mtime_ns, told.st_ctime_ns, told.st_ino)
            before = self._known.get(path)
            entry = before[1] if before is not None and before[0] == sign else _entry(at, name, told)
            known[path] = sign, entry
            (shut if hidden else found)[path] = entry
        self._known, self.shut = known, shut
        self.entries = dict(sorted(found.items()))
        return self.entries


def over(root: Path) -> bool:
    """Whether there is more in a folder than it may hold. Looks at no more than the most."""
    size = 0
    for count, (path, _, _, told, _) in enumerate(_walk(root)):
        size += told.st_size if stat.S_ISREG(told.st_mode) else 0
        if path is None or count >= MOST_ENTRIES or size > MOST_BYTES:
            return True
    return False


def copied(source: Path, target: Path) -> None:
    """An exact copy of a folder, by ``cp -a`` without sharing blocks."""
    done = subprocess.run(
        ["cp", "-a", "--reflink=never", "--", f"{source}/.", str(target)], capture_output=True, text=True
    )
    if done.returncode:
        raise InputError(f"{source} could not be copied: {done.stderr.strip()[:300]}")


@contextmanager
def laid_open(root: Path) -> Iterator[Mapping[str, int]]:
    """Everything in a folder can be read meanwhile; the modes, by path, of what could not. Nothing may move in it."""
    shut: dict[str, int] = {}
    for path, _, _, told, _ in _walk(root):
        mode, least = stat.S_IMODE(told.st_mode), 0o500 if stat.S_ISDIR(told.st_mode) else 0o400
        if path is not None and not stat.S_ISLNK(told.st_mode) and mode & least != least:
            shut[path] = mode
    try:
        for path in sorted(shut):
            os.chmod(root / path, shut[path] | 0o500)
        yield shut
    finally:
        again(root, shut)


def again(root: Path, modes: Mapping[str, int]) -> None:
    """Give what stands in a folder these modes, by path."""
    for path in sorted(modes, reverse=True):
        os.chmod(root / path, modes[path])


def removed(root: Path) -> None:
    """Take a folder away, however deep it is and whatever its modes are."""
    if root.is_symlink():  # what it leads to is none of ours
        root.unlink()
        return
    for _ in range(2):
        subprocess.run(["rm", "-rf", "--", str(root)], capture_output=True)
        if not os.path.lexists(root):
            return
        subprocess.run(["chmod", "-R", "u+rwX", "--", str(root)], capture_output=True)


def emptied(root: Path) -> None:
    """Take away all that is in a folder."""
    os.chmod(root, 0o755)
    for _ in range(2):
        subprocess.run(["find", str(root), "-mindepth", "1", "-delete"], capture_output=True)
        if not os.listdir(root):
            return
        subprocess.run(["chmod", "-R", "u+rwX", "--", str(root)], capture_output=True)
    for left in os.listdir(root):
        removed(root / left)


def saved(entries: Mapping[str, Entry]) -> Json:
    """The entries as JSON. What is no file, folder or link is left out."""
    return {
        _key(path): [e.kind, e.mode, base64.b64encode(e.data).decode()]
        for path, e in entries.items()
        if e.kind != "other"
    }


def _key(path: str) -> str:
    """A path as JSON can hold it: what is no UTF-8, or would pass for this, as its bytes."""
    plain = _is_text(path) and not path.startswith("bytes:")
    return path if plain else f"bytes:{os.fsencode(path).hex()}"


def _is_text(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def restored(tree: Tree, state: Json) -> None:
    """Make a folder again what it was, touching only what differs. Raises `InputError` for what is no such state."""
    wanted = read(state)
    have = dict(tree.look())
    if tree.too_large or any(e.kind == "dir" and e.mode & 0o700 != 0o700 for e in have.values()):
        emptied(tree.root)
        have = dict(tree.look())
    for path in sorted(have, key=lambda p: -p.count("/")):  # the deepest first
        if path in wanted and wanted[path].kind == have[path].kind:
            continue
        if have[path].kind == "dir":
            removed(tree.root / path)
        else:
            (tree.root / path).unlink()
        have = {p: e for p, e in have.items() if p != path and not p.startswith(path + "/")}
    shut: list[tuple[Path, int]] = []
    for path in sorted(wanted):
        entry, before, place = wanted[path], have.get(path), tree.root / path
        if entry.kind == "dir":
            if before is None:
                place.mkdir()
            shut.append((place, entry.mode))
        elif entry.kind == "link":
            if before is None or before.data != entry.data:
                place.unlink(missing_ok=True)
                place.symlink_to(os.fsdecode(entry.data))
        elif before is None or before.data != entry.data or before.mode != entry.mode:
            place.unlink(missing_ok=True)  # never through a link, nor into a file with another name
            place.write_bytes(entry.data)
            place.chmod(entry.mode)
    for place, mode in reversed(shut):
        place.chmod(mode)


def digest(data: bytes) -> str:
    """What a content is called: itself where it is one short line, else its hash. Of an archive that of what is in it,
    for the time of packing is no part of it."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = ""
    line = text.removesuffix("\n")
    if line and len(line) <= _SHORT and line.isprintable() and not line.startswith(("#", "sha256:", "packed:")):
        return line
    return _packed(data) or f"sha256:{hashlib.sha256(data).hexdigest()[:16]}"


def _packed(data: bytes, nested: int = _NESTED) -> str:
    """The name of an archive's content, whatever packed it; "" of what is none that can be read, or unpacks to so much
    that a command could keep the host busy with it."""
    room = min(_MOST_FILE, _SMALL + _TIMES * len(data))
    try:
        if data[:2] == b"\x1f\x8b" and nested:
            with gzip.GzipFile(fileobj=io.BytesIO(data)) as unpacking:
                inner = unpacking.read(room + 1)
            return "" if len(inner) > room else _packed(inner, nested - 1) or _named("gzip", [inner])
        if data[257:262] == b"ustar":
            with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as packed:
                return _named("tar", sorted(_members(packed, room)))
        if data[:4] == b"PK\x03\x04":
            with zipfile.ZipFile(io.BytesIO(data)) as packed_zip:
                listed = packed_zip.infolist()
                if len(listed) > MOST_ENTRIES or sum(i.file_size for i in listed) > room:
                    return ""
                return _named("zip", sorted(i.filename.encode() + b"\0" + packed_zip.read(i) for i in listed))
    except Exception:  # bytes of a stranger's, and each reader has errors of its own for them
        pass
    return ""


def _members(packed: tarfile.TarFile, room: int) -> Iterator[bytes]:
    size = 0
    for number, one in enumerate(packed):
        size += one.size
        if number > MOST_ENTRIES or size > room or one.size < 0:
            raise ValueError("too large to be told apart")
        name = one.name.removeprefix("./").rstrip("/")
        if name in ("", "."):
            continue
        inner = packed.extractfile(one) if one.isreg() else None
        body = inner.read() if inner is not None else one.linkname.encode()
        yield f"{name}\0{one.type!r}\0".encode() + body


def _named(kind: str, parts: list[bytes]) -> str:
    told = hashlib.sha256()
    for part in parts:
        told.update(len(part).to_bytes(8, "big") + part)
    return f"packed:{kind}:{told.hexdigest()[:16]}"


def _walk(root: Path) -> Iterator[tuple[str | None, int, str, os.stat_result, bool]]:
    """Every entry as (path, descriptor of its folder, name, lstat, whether its owner may not look there); a path of
    None says that it goes too deep.

    Folders without read and search permission are looked into all the same, or there would be no end to what can be put
    there; they are opened for as long as that takes.
    """
    start = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    todo: list[tuple[str, int, int, bool, int | None]] = [("", start, 0, False, None)]
    try:
        while todo:
            prefix, at, depth, hidden, mode = todo.pop()
            try:
                with os.scandir(at) as listed:
                    for one in listed:
                        try:
                            told = one.stat(follow_symlinks=False)
                        except FileNotFoundError:
                            continue  # a command that still runs has taken it away
                        path = f"{prefix}{one.name}"
                        if depth >= MOST_DEPTH or len(path) > 900:
                            yield None, at, one.name, told, hidden
                            return
                        yield path, at, one.name, told, hidden
                        if stat.S_ISDIR(told.st_mode):
                            try:
                                inner, shut = _opened(at, one.name, os.O_DIRECTORY, 0o500)
                            except (FileNotFoundError, NotADirectoryError):
                                continue
                            todo.append((f"{path}/", inner, depth + 1, hidden or shut is not None, shut))
                            if len(todo) > MOST_ENTRIES // 4:  # descriptors, too, come to an end
                                yield None, at, one.name, told, hidden
                                return
            finally:
                _closed(at, mode)
    finally:
        for _, at, _, _, mode in todo:
            _closed(at, mode)


def _opened(at: int, name: str, flags: int, least: int) -> tuple[int, int | None]:
    """A descriptor to read from, and the mode that is to be given back where it had to be given ``least`` for that."""
    known = os.open(name, os.O_PATH | os.O_NOFOLLOW | flags, dir_fd=at)
    try:
        told = os.fstat(known)
        mode, itself = stat.S_IMODE(told.st_mode), f"/proc/self/fd/{known}"
        if not (stat.S_ISDIR(told.st_mode) if flags & os.O_DIRECTORY else stat.S_ISREG(told.st_mode)):
            raise OSError(f"{name} is another thing by now")
        shut = mode & least != least
        if shut:
            os.chmod(itself, mode | least)
        try:
            return os.open(itself, os.O_RDONLY | os.O_NONBLOCK | flags), mode if shut else None
        except OSError:
            if shut:
                os.chmod(itself, mode)
            raise
    finally:
        os.close(known)


def _closed(at: int, mode: int | None) -> None:
    if mode is not None:
        os.fchmod(at, mode)
    os.close(at)


def _entry(at: int, name: str, told: os.stat_result) -> Entry:
    mode = stat.S_IMODE(told.st_mode)
    if stat.S_ISDIR(told.st_mode):
        return Entry("dir", mode)
    if stat.S_ISLNK(told.st_mode):
        return Entry("link", 0, data=os.fsencode(os.readlink(name, dir_fd=at)))
    if not stat.S_ISREG(told.st_mode):
        return Entry("other", mode)
    try:
        opened, shut = _opened(at, name, 0, 0o400)
        with os.fdopen(opened, "rb") as file:
            try:
                data = file.read(_MOST_FILE + 1)
            finally:
                if shut is not None:
                    os.fchmod(opened, shut)
    except OSError:
        return Entry("file", mode, readable=False)
    lines = data.count(b"\n") + (not data.endswith(b"\n") if data else 0)
    return Entry("file", mode, digest(data), data, lines, readable=bool(mode & 0o400))


def read(state: Json) -> dict[str, Entry]:
    try:
        found = {}
        for key, (kind, mode, data) in state.items():
            path = os.fsdecode(bytes.fromhex(key[6:])) if key.startswith("bytes:") else str(key)
            parts = path.split("/")
            if kind not in ("file", "dir", "link") or "" in parts or ".." in parts or "." in parts:
                raise ValueError(path)
            found[path] = Entry(kind, int(mode) & 0o7777, data=base64.b64decode(data))
    except (AttributeError, TypeError, ValueError) as error:
        raise InputError(f"this is no saved state of the world shell: {error!r:.200}") from None
    for path in found:
        parent = path.rpartition("/")[0]
        if parent and (parent not in found or found[parent].kind != "dir"):
            raise InputError(f"this is no saved state of the world shell: {path!r:.200} is in no folder")
    return found


__all__ = [
    "MOST_BYTES",
    "MOST_ENTRIES",
    "Entry",
    "Tree",
    "again",
    "copied",
    "digest",
    "emptied",
    "laid_open",
    "over",
    "read",
    "removed",
    "restored",
    "saved",
]
