"""Orders about files as they stand: find, rename, move, archive, permissions, copy, cleanup."""

from __future__ import annotations

import gzip
import random

from habilis.core import Term
from habilis.worlds.shell.orders._making import (
    SUFFIXES,
    Files,
    Kind,
    Make,
    Node,
    Wanted,
    base,
    inside,
    lines_of,
    name,
    prose,
    put,
    some,
    tar,
    text,
    words,
)

Made = tuple[Files, tuple[Term, ...]]


def _folder(*more: str, deep: bool = False) -> Make:
    """A folder of files, and the arguments after it: "suffix", "other" (suffix), "prefix", "word" (that some hold),
    "bytes" (that some are larger than), "mode", "modes", "into" (a new folder), "pack" (a new file)."""

    def make(rng: random.Random, at: str) -> Made:
        folder, (suffix, other) = f"{at}/{name(rng)}", rng.sample(SUFFIXES, 2)
        files = {at: Node.folder(), **some(rng, folder, suffix, count=rng.randint(2, 4), deep=deep)}
        args: list[Term] = [folder]
        for one in more:
            if one == "suffix":
                args.append(suffix)
            elif one == "other":
                args.append(other)
            elif one == "prefix":
                args.append(f"{words(rng, 1)[0]}-")
            elif one == "word":
                args.append(f"{words(rng, 1)[0]}{rng.randint(10, 99)}")
                for path in inside(files, folder, deep=True):
                    if rng.random() < 0.5 or path == inside(files, folder, suffix, deep=True)[0]:
                        files[path] = Node((files[path].data or b"") + text([f"{rng.randint(1, 9)} {args[-1]}"]))
            elif one == "bytes":
                args.append(rng.randint(3, 9) * 100)
                for path in inside(files, folder, deep=True):
                    size = int(args[-1]) + rng.choice((-80, -1, 1, 60, 300))
                    files[path] = Node((text(prose(rng, 8)) * 40)[:size])
            elif one == "mode":
                args.append(rng.choice((600, 640, 700, 744, 755, 664)))
            elif one == "modes":
                args += [rng.choice((600, 640, 664)), rng.choice((700, 750, 775))]
            elif one == "into":
                args.append(f"{at}/{name(rng)}")
            elif one == "pack":
                args.append(f"{at}/{name(rng, '.tar')}")
            elif one == "packed":
                args.append(f"{at}/{name(rng, '.tgz')}")
        return files, tuple(args)

    return make


def _one(*more: str) -> Make:
    """A file among others, and a new name or a mode."""

    def make(rng: random.Random, at: str) -> Made:
        files, _ = _folder("suffix")(rng, at)
        src = rng.choice(inside(files, next(p for p in files if p != at)))
        last: Term = rng.choice((600, 640, 700, 755)) if more == ("mode",) else f"{at}/{name(rng, '.new')}"
        return files, (src, last)

    return make


def _with_empty(*, folders: bool) -> Make:
    def make(rng: random.Random, at: str) -> Made:
        files, (folder,) = _folder(deep=True)(rng, at)
        places = [p for p, node in files.items() if node.data is None and p != at]
        for place in rng.sample(places, 2):
            if folders:
                new = f"{place}/{name(rng, '.d')}"
                files[new] = Node.folder()
                if rng.random() < 0.5:
                    files[f"{new}/{name(rng)}"] = Node.folder()
            else:
                files[f"{place}/{name(rng, rng.choice(SUFFIXES))}"] = Node(b"")
        return files, (folder,)

    return make


# -- what is wanted ------------------------------------------------------------------------------------------------


def _moved(files: Files, pairs: list[tuple[str, str]]) -> Files:
    found = dict(files)
    for old, new in pairs:
        node = found.pop(old)
        found = put(found, new, node.data or b"", node.mode)
    return found


def _printed(files: Files, paths: list[str]) -> Wanted:
    return Wanted(files, "\n".join(paths), ordered=False)


def _larger(f: Files, folder: str, size: int) -> Wanted:
    return _printed(f, [p for p in inside(f, folder, deep=True) if len(f[p].data or b"") > size])


def _holding(f: Files, folder: str, suffix: str, word: str) -> Wanted:
    listed = inside(f, folder, suffix, deep=True)
    return _printed(f, [p for p in listed if any(word in s for s in lines_of(f, p))])


def _renamed(f: Files, src: str, dst: str) -> Wanted:
    return Wanted(_moved(f, [(src, dst)]) if src in f else {})


def _suffixed(f: Files, folder: str, old: str, new: str) -> Wanted:
    return Wanted(_moved(f, [(p, p[: -len(old)] + new) for p in inside(f, folder, old)]))


def _prefixed(f: Files, folder: str, suffix: str, prefix: str) -> Wanted:
    return Wanted(_moved(f, [(p, f"{folder}/{prefix}{base(p)}") for p in inside(f, folder, suffix)]))


def _into(f: Files, folder: str, suffix: str, dst: str, *, deep: bool = False) -> Wanted:
    return Wanted(_moved(f, [(p, f"{dst}/{base(p)}") for p in inside(f, folder, suffix, deep=deep)]))


def _sorted_out(f: Files, folder: str) -> Wanted:
    paths = [p for p in inside(f, folder) if "." in base(p)]
    return Wanted(_moved(f, [(p, f"{folder}/{p.rpartition('.')[2]}/{base(p)}") for p in paths]))


def _packed_folder(f: Files, folder: str, dst: str) -> Wanted:
    listed = sorted(p for p in f if p.startswith(f"{folder}/"))
    return Wanted(put(f, dst, tar(f, folder, listed)))


def _zipped(f: Files, folder: str, suffix: str) -> Wanted:
    found = dict(f)
    for path in inside(f, folder, suffix):
        node = found.pop(path)
        found[f"{path}.gz"] = Node(gzip.compress(node.data or b"", mtime=0), node.mode)
    return Wanted(found)


def _packed_away(f: Files, folder: str, suffix: str, dst: str) -> Wanted:
    listed = inside(f, folder, suffix)
    found = put(f, dst, tar(f, folder, listed, packed=True))
    return Wanted({p: node for p, node in found.items() if p not in listed})


def _mode(f: Files, paths: list[str], mode: int) -> Files:
    return f | {p: Node(f[p].data, mode) for p in paths}


def _split_modes(f: Files, folder: str, of_files: int, of_folders: int) -> Wanted:
    folders = [p for p, node in f.items() if node.data is None and (p == folder or p.startswith(f"{folder}/"))]
    return Wanted(_mode(_mode(f, inside(f, folder, deep=True), of_files), folders, of_folders))


def _copied(f: Files, src: str, dst: str) -> Wanted:
    return Wanted(put(f, dst, f[src].data or b"", f[src].mode) if src in f else {})


def _backed_up(f: Files, folder: str, suffix: str) -> Wanted:
    found = dict(f)
    for path in inside(f, folder, suffix):
        found = put(found, f"{path}.bak", f[path].data or b"", f[path].mode)
    return Wanted(found)


def _mirrored(f: Files, folder: str, suffix: str, dst: str) -> Wanted:
    found = dict(f)
    for path in inside(f, folder, suffix, deep=True):
        found = put(found, dst + path[len(folder) :], f[path].data or b"", f[path].mode)
    return Wanted(found)


def _without(f: Files, paths: list[str]) -> Wanted:
    return Wanted({p: node for p, node in f.items() if p not in paths})


def _without_empty_folders(f: Files, folder: str) -> Wanted:
    found = dict(f)
    for path in sorted(f, key=lambda p: -p.count("/")):
        below = path.startswith(f"{folder}/") and found[path].data is None
        if below and not any(p.startswith(f"{path}/") for p in found):
            del found[path]
    return Wanted(found)


KINDS = (
    Kind("files_found", "find", 1, ("folder", "suffix"), "print the paths of all files below {0} that end in {1}",
         _folder("suffix", deep=True), lambda f, d, s: _printed(f, inside(f, d, s, deep=True)),
         'find "$1" -type f -name "*$2"'),
    Kind("files_larger", "find", 2, ("folder", "size"), "print the paths of all files below {0} larger than {1} bytes",
         _folder("bytes", deep=True), _larger, 'find "$1" -type f -size +"$2"c'),
    Kind("files_holding", "find", 3, ("folder", "suffix", "word"),
         "print the paths of all files below {0} that end in {1} and contain {2}",
         _folder("suffix", "word", deep=True), _holding, 'grep -rlF --include="*$2" -- "$3" "$1"'),
    Kind("file_renamed", "rename", 1, ("src", "dst"), "rename {0} to {1}", _one(), _renamed, 'mv -- "$1" "$2"'),
    Kind("suffix_changed", "rename", 2, ("folder", "suffix", "other"),
         "rename all files in {0} that end in {1} to end in {2}", _folder("suffix", "other"), _suffixed,
         'for f in "$1"/*"$2"; do mv -- "$f" "${f%"$2"}$3"; done'),
    Kind("prefix_put", "rename", 3, ("folder", "suffix", "prefix"),
         "put {2} before the names of all files in {0} that end in {1}", _folder("suffix", "prefix"), _prefixed,
         'for f in "$1"/*"$2"; do mv -- "$f" "$1/$3${f##*/}"; done'),
    Kind("files_moved", "move", 1, ("folder", "suffix", "into"),
         "move all files in {0} that end in {1} to a new folder {2}", _folder("suffix", "into"), _into,
         'mkdir -p "$3"; mv -- "$1"/*"$2" "$3"'),
    Kind("files_gathered", "move", 2, ("folder", "suffix", "into"),
         "gather all files below {0} that end in {1} in a new folder {2}", _folder("suffix", "into", deep=True),
         lambda f, d, s, to: _into(f, d, s, to, deep=True),
         'mkdir -p "$3"; find "$1" -type f -name "*$2" -exec mv -t "$3" {} +'),
    Kind("files_sorted_out", "move", 3, ("folder",),
         "move each file in {0} to a folder in it that is named like its suffix", _folder(), _sorted_out,
         'for f in "$1"/*.*; do mkdir -p "$1/${f##*.}"; mv -- "$f" "$1/${f##*.}"; done'),
    Kind("folder_packed", "archive", 1, ("folder", "dst"), "pack what is in {0} in the archive {1}",
         _folder("pack", deep=True), _packed_folder, 'tar -cf "$2" -C "$1" .'),
    Kind("files_zipped", "archive", 2, ("folder", "suffix"), "compress each file in {0} that ends in {1} with gzip",
         _folder("suffix"), _zipped, 'gzip -- "$1"/*"$2"'),
    Kind("files_packed_away", "archive", 3, ("folder", "suffix", "dst"),
         "pack the files in {0} that end in {1} in the compressed archive {2} and remove them",
         _folder("suffix", "packed"), _packed_away,
         'find "$1" -maxdepth 1 -type f -name "*$2" -printf "%f\\0" | '
         'tar -czf "$3" -C "$1" --null --remove-files -T -'),
    Kind("mode_set", "permissions", 1, ("src", "mode"), "set the permissions of {0} to {1}", _one("mode"),
         lambda f, p, mode: Wanted(_mode(f, [p] if p in f else [], mode)), 'chmod "$2" "$1"'),
    Kind("modes_set", "permissions", 2, ("folder", "suffix", "mode"),
         "set the permissions of all files below {0} that end in {1} to {2}", _folder("suffix", "mode", deep=True),
         lambda f, d, s, mode: Wanted(_mode(f, inside(f, d, s, deep=True), mode)),
         'find "$1" -type f -name "*$2" -exec chmod "$3" {} +'),
    Kind("modes_split", "permissions", 3, ("folder", "files", "folders"),
         "set the permissions of all files below {0} to {1} and of all folders from {0} on to {2}",
         _folder("modes", deep=True), _split_modes,
         'find "$1" -type f -exec chmod "$2" {} +; find "$1" -type d -exec chmod "$3" {} +'),
    Kind("file_copied", "copy", 1, ("src", "dst"), "copy {0} to {1}", _one(), _copied, 'cp -- "$1" "$2"'),
    Kind("files_backed_up", "copy", 2, ("folder", "suffix"),
         "copy each file in {0} that ends in {1} to its name with .bak at the end", _folder("suffix"), _backed_up,
         'for f in "$1"/*"$2"; do cp -- "$f" "$f.bak"; done'),
    Kind("folder_mirrored", "copy", 3, ("folder", "suffix", "into"),
         "copy the files below {0} that end in {1} to a new folder {2} in folders of the same names",
         _folder("suffix", "into", deep=True), _mirrored,
         'mkdir -p "$3"; to="$PWD/$3"; cd "$1"; find . -type f -name "*$2" -exec cp --parents -t "$to" {} +'),
    Kind("files_removed", "cleanup", 1, ("folder", "suffix"), "remove all files in {0} that end in {1}",
         _folder("suffix"), lambda f, d, s: _without(f, inside(f, d, s)), 'rm -- "$1"/*"$2"'),
    Kind("empty_files_removed", "cleanup", 2, ("folder",), "remove all empty files below {0}",
         _with_empty(folders=False), lambda f, d: _without(f, [p for p in inside(f, d, deep=True) if not f[p].data]),
         'find "$1" -type f -empty -delete'),
    Kind("empty_folders_removed", "cleanup", 3, ("folder",), "remove all empty folders below {0}",
         _with_empty(folders=True), _without_empty_folders, 'find "$1" -mindepth 1 -type d -empty -delete'),
)  # fmt: skip
