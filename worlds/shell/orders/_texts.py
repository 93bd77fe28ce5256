"""Orders about what is in files: filter, sort, dedupe, count, fields, replace, compare, join, slice."""

from __future__ import annotations

import random
from collections import Counter

from habilis.core import Term
from habilis.worlds.shell.orders._making import (
    Files,
    Kind,
    Make,
    Node,
    Wanted,
    base,
    csv,
    inside,
    lines_of,
    listing,
    name,
    names,
    prose,
    put,
    some,
    table,
    text,
    words,
)

Made = tuple[Files, tuple[Term, ...]]


def _two(rng: random.Random, at: str, suffix: str) -> tuple[str, str]:
    """A file to read and one to write, in the order's folder."""
    one, other = names(rng, 2, suffix)
    return f"{at}/{one}", f"{at}/{other}"


def _beside(rng: random.Random, at: str, files: Files) -> Files:
    """With a file that has nothing to do with it."""
    found = {at: Node.folder(), **files}
    found.setdefault(f"{at}/{name(rng, '.note')}", Node(text(prose(rng, 3))))
    return found


def _from_list(*, numbers: bool = False) -> Make:
    def make(rng: random.Random, at: str) -> Made:
        src, dst = _two(rng, at, ".txt")
        count = rng.randint(7, 14)
        lines = [str(n) for n in rng.sample(range(1, 3_000), count)] if numbers else listing(rng, count)
        rng.shuffle(lines)
        return _beside(rng, at, {src: Node(text(lines))}), (src, dst)

    return make


def _from_prose(said: int, *, kept: int | None = None, writes: bool = True) -> Make:
    """``said``: how many words the order names; ``kept``: of these, how many are arguments."""

    def make(rng: random.Random, at: str) -> Made:
        src, dst = _two(rng, at, ".log")
        special = [f"{word}{rng.randint(10, 99)}" for word in words(rng, said)]
        lines = prose(rng, rng.randint(4, 7), special[0])
        lines += [f"{line} {special[-1]}" for line in prose(rng, 3, special[0])]
        lines += [f"{special[-1]} {line}" for line in prose(rng, 2)]
        rng.shuffle(lines)
        args: tuple[Term, ...] = (src, *special[: said if kept is None else kept])
        return _beside(rng, at, {src: Node(text(lines))}), (*args, dst) if writes else args

    return make


def _from_table(pick: str) -> Make:
    """``pick``: which columns are asked for: "any", "number", "group" with one of its values, "two" backwards."""

    def make(rng: random.Random, at: str) -> Made:
        src, dst = _two(rng, at, ".csv")
        rows = table(rng, rng.randint(6, 10))
        files = _beside(rng, at, {src: Node(csv(rows))})
        if pick == "group":
            return files, (src, 2, rng.choice(rows[1:])[1], dst)
        if pick == "two":
            low, high = sorted(rng.sample(range(1, 6), 2))
            return files, (src, high, low, dst)
        column = rng.choice({"any": (1, 2, 3, 4, 5), "number": (3, 4), "repeated": (2, 5)}[pick])
        return files, (src, column, dst)

    return make


def _pair(rng: random.Random, at: str, *, shared: bool) -> tuple[Files, str, str, str]:
    one, other, dst = (f"{at}/{n}" for n in names(rng, 3, ".lst"))
    both, mine, theirs = words(rng, 12)[:4], [f"{w}x" for w in words(rng, 4)], [f"{w}y" for w in words(rng, 3)]
    left, right = ([*both, *mine], [*both, *theirs]) if shared else (mine, [*theirs, both[0]])
    rng.shuffle(left)
    rng.shuffle(right)
    return _beside(rng, at, {one: Node(text(left)), other: Node(text(right))}), one, other, dst


def _compared(rng: random.Random, at: str) -> Made:
    files, one, other, dst = _pair(rng, at, shared=True)
    return files, (one, other, dst)


def _side_by_side(rng: random.Random, at: str) -> Made:
    files, one, other, dst = _pair(rng, at, shared=False)
    return files, (one, other, dst)


def _folders(rng: random.Random, at: str) -> Made:
    one, other = (f"{at}/{n}" for n in names(rng, 2))
    both, mine, theirs = names(rng, 3, ".txt"), names(rng, 2, ".dat"), names(rng, 2, ".cfg")
    files: Files = {at: Node.folder(), one: Node.folder(), other: Node.folder()}
    files |= {f"{one}/{n}": Node(text([n])) for n in (*both, *mine)}
    files |= {f"{other}/{n}": Node(text([n])) for n in (*both, *theirs)}
    return files, (one, other)


def _many(*, said: int = 0, number: bool = False, writes: bool = True) -> Make:
    """A folder of files with a suffix; words that some of their lines hold; a number."""

    def make(rng: random.Random, at: str) -> Made:
        suffix = rng.choice((".txt", ".log", ".md"))
        files = some(rng, f"{at}/{name(rng)}", suffix, count=rng.randint(2, 4))
        folder = next(iter(files))
        special = [f"{word}{rng.randint(10, 99)}" for word in words(rng, said)]
        for path in [*inside(files, folder, suffix), *inside(files, folder)]:
            lines = lines_of(files, path)
            lines = [f"{line} {special[0]}" if special and rng.random() < 0.6 else line for line in lines]
            files[path] = Node(text(lines))
        args: tuple[Term, ...] = (folder, suffix, *special, *((rng.randint(1, 2),) if number else ()))
        files = {at: Node.folder(), **files}
        return files, (*args, f"{at}/{name(rng, '.out')}") if writes else args

    return make


def _slice(how: int) -> Make:
    def make(rng: random.Random, at: str) -> Made:
        src, dst = _two(rng, at, ".txt")
        lines = prose(rng, rng.randint(8, 12))
        low = rng.randint(2, 4)
        args: tuple[Term, ...] = (low,) if how == 1 else (low, low + rng.randint(1, 3))
        return _beside(rng, at, {src: Node(text(lines))}), (src, *args, dst)

    return make


# -- what is wanted ------------------------------------------------------------------------------------------------


def _written(files: Files, dst: str, lines: list[str]) -> Wanted:
    return Wanted(put(files, dst, text(lines)))


def _columns(files: Files, src: str, *columns: int) -> list[str]:
    rows = [line.split(",") for line in lines_of(files, src)]
    return [",".join(row[c - 1] if c <= len(row) else "" for c in columns) for row in rows]


def _with(f: Files, src: str, word: str, dst: str) -> Wanted:
    return _written(f, dst, [s for s in lines_of(f, src) if word in s])


def _with_but(f: Files, src: str, word: str, other: str, dst: str) -> Wanted:
    return _written(f, dst, [s for s in lines_of(f, src) if word in s and other not in s])


def _where(f: Files, src: str, column: int, value: str, dst: str) -> Wanted:
    rows = [s for s in lines_of(f, src) if [*s.split(","), *[""] * column][column - 1] == value]
    return _written(f, dst, rows)


def _rows_by(f: Files, src: str, column: int, dst: str) -> Wanted:
    head, *rows = lines_of(f, src)
    return _written(f, dst, [head, *sorted(rows, key=lambda s: float(s.split(",")[column - 1]))])


def _commonest(f: Files, src: str) -> Wanted:
    counts = Counter(word for line in lines_of(f, src) for word in line.split())
    return Wanted(f, counts.most_common(1)[0][0] if counts else "")


def _counted_with(f: Files, folder: str, suffix: str, word: str) -> Wanted:
    return Wanted(f, str(sum(word in s for p in inside(f, folder, suffix) for s in lines_of(f, p))))


def _everywhere(f: Files, folder: str, suffix: str, word: str, other: str) -> Wanted:
    found = dict(f)
    for path in inside(f, folder, suffix):
        found = put(found, path, text([s.replace(word, other) for s in lines_of(f, path)]))
    return Wanted(found)


def _replaced_where(f: Files, src: str, word: str, other: str, mark: str, dst: str) -> Wanted:
    return _written(f, dst, [s.replace(word, other) if mark in s else s for s in lines_of(f, src)])


def _names_missing(f: Files, one: str, other: str) -> Wanted:
    gone = {base(p) for p in inside(f, one)} - {base(p) for p in inside(f, other)}
    return Wanted(f, "\n".join(sorted(gone)), ordered=False)


def _joined_all(f: Files, folder: str, suffix: str, dst: str) -> Wanted:
    return _written(f, dst, [s for p in inside(f, folder, suffix) for s in lines_of(f, p)])


def _pasted(f: Files, one: str, other: str, dst: str) -> Wanted:
    pairs = zip(lines_of(f, one), lines_of(f, other), strict=False)
    return _written(f, dst, [f"{a},{b}" for a, b in pairs])


def _first_each(f: Files, folder: str, suffix: str, count: int, dst: str) -> Wanted:
    return _written(f, dst, [s for p in inside(f, folder, suffix) for s in lines_of(f, p)[:count]])


def _common(rng: random.Random, at: str) -> Made:
    src, _ = _two(rng, at, ".txt")
    few = words(rng, 6)
    many = few + [few[0]] * 5 + [few[1]] * rng.randint(1, 3) + few[2:4]
    rng.shuffle(many)
    lines = [" ".join(many[i : i + 4]) for i in range(0, len(many), 4)]
    return _beside(rng, at, {src: Node(text(lines))}), (src,)


def _replacing_where(rng: random.Random, at: str) -> Made:
    src, dst = _two(rng, at, ".log")
    word, other, mark = (f"{w}{rng.randint(10, 99)}" for w in words(rng, 3))
    lines = [f"{s} {mark}" for s in prose(rng, 4, word, share=0.6)] + prose(rng, 4, word, share=0.6)
    rng.shuffle(lines)
    return _beside(rng, at, {src: Node(text(lines))}), (src, word, other, mark, dst)


_SRC_DST = ("src", "dst")
KINDS = (
    Kind("lines_with", "filter", 1, ("src", "word", "dst"),
         "write the lines of {0} that contain {1} to {2}", _from_prose(1), _with, 'grep -F -- "$2" "$1" > "$3"'),
    Kind("lines_with_but", "filter", 2, ("src", "word", "other", "dst"),
         "write the lines of {0} that contain {1} but not {2} to {3}", _from_prose(2), _with_but,
         'grep -F -- "$2" "$1" | grep -vF -- "$3" > "$4"'),
    Kind("rows_where", "filter", 3, ("src", "column", "value", "dst"),
         "write the rows of {0} whose column {1} is {2} to {3}", _from_table("group"), _where,
         """awk -F, -v n="$2" -v v="$3" '$n == v' "$1" > "$4" """),
    Kind("lines_sorted", "sort", 1, _SRC_DST, "write the lines of {0} sorted to {1}", _from_list(),
         lambda f, src, dst: _written(f, dst, sorted(lines_of(f, src))), 'sort "$1" > "$2"'),
    Kind("numbers_descending", "sort", 2, _SRC_DST, "write the numbers of {0} largest first to {1}",
         _from_list(numbers=True),
         lambda f, src, dst: _written(f, dst, sorted(lines_of(f, src), key=lambda s: -float(s or 0))),
         'sort -rn "$1" > "$2"'),
    Kind("rows_sorted_by", "sort", 3, ("src", "column", "dst"),
         "write {0} sorted by the numbers in column {1} below its heading to {2}", _from_table("number"), _rows_by,
         '{ head -n 1 "$1"; tail -n +2 "$1" | sort -t, -k"$2","$2"n; } > "$3"'),
    Kind("lines_once", "dedupe", 1, _SRC_DST, "write the different lines of {0} sorted to {1}", _from_list(),
         lambda f, src, dst: _written(f, dst, sorted(set(lines_of(f, src)))), 'sort -u "$1" > "$2"'),
    Kind("lines_repeated", "dedupe", 2, _SRC_DST, "write what is in {0} more than once sorted to {1}", _from_list(),
         lambda f, src, dst: _written(f, dst, sorted(s for s, n in Counter(lines_of(f, src)).items() if n > 1)),
         'sort "$1" | uniq -d > "$2"'),
    Kind("lines_first_seen", "dedupe", 3, _SRC_DST, "write {0} without repetitions in its own order to {1}",
         _from_list(), lambda f, src, dst: _written(f, dst, list(dict.fromkeys(lines_of(f, src)))),
         """awk '!seen[$0]++' "$1" > "$2" """),
    Kind("lines_counted", "count", 1, ("src",), "print how many lines {0} has",
         lambda rng, at: (made := _from_list()(rng, at), (made[0], made[1][:1]))[1],
         lambda f, src: Wanted(f, str(len(lines_of(f, src)))), 'wc -l < "$1"'),
    Kind("lines_counted_with", "count", 2, ("folder", "suffix", "word"),
         "print how many lines of the files in {0} that end in {1} contain {2}", _many(said=1, writes=False),
         _counted_with, 'cat "$1"/*"$2" | grep -cF -- "$3"'),
    Kind("commonest_word", "count", 3, ("src",), "print the commonest word of {0}", _common, _commonest,
         """tr -s ' ' '\\n' < "$1" | sort | uniq -c | sort -rn | head -n 1 | awk '{print $2}'"""),
    Kind("column_taken", "fields", 1, ("src", "column", "dst"), "write column {1} of {0} to {2}", _from_table("any"),
         lambda f, src, n, dst: _written(f, dst, _columns(f, src, n)), 'cut -d, -f"$2" "$1" > "$3"'),
    Kind("columns_turned", "fields", 2, ("src", "first", "second", "dst"),
         "write columns {1} and {2} of {0} in this order to {3}", _from_table("two"),
         lambda f, src, a, b, dst: _written(f, dst, _columns(f, src, a, b)),
         """awk -F, -v OFS=, -v a="$2" -v b="$3" '{print $a, $b}' "$1" > "$4" """),
    Kind("column_values", "fields", 3, ("src", "column", "dst"),
         "write the different values of column {1} of {0} below its heading sorted to {2}", _from_table("repeated"),
         lambda f, src, n, dst: _written(f, dst, sorted(set(_columns(f, src, n)[1:]))),
         'tail -n +2 "$1" | cut -d, -f"$2" | sort -u > "$3"'),
    Kind("word_replaced", "replace", 1, ("src", "word", "other", "dst"),
         "write {0} with {2} in place of {1} to {3}",
         _from_prose(2), lambda f, src, a, b, dst: _written(f, dst, [s.replace(a, b) for s in lines_of(f, src)]),
         'sed "s/$2/$3/g" "$1" > "$4"'),
    Kind("word_replaced_everywhere", "replace", 2, ("folder", "suffix", "word", "other"),
         "put {3} in place of {2} in all files in {0} that end in {1}", _many(said=2, writes=False), _everywhere,
         'sed -i "s/$3/$4/g" "$1"/*"$2"'),
    Kind("word_replaced_where", "replace", 3, ("src", "word", "other", "mark", "dst"),
         "write {0} with {2} in place of {1} in the lines that contain {3} to {4}", _replacing_where, _replaced_where,
         'sed "/$4/s/$2/$3/g" "$1" > "$5"'),
    Kind("lines_shared", "compare", 1, ("one", "two", "dst"), "write the lines that {0} and {1} share sorted to {2}",
         _compared, lambda f, a, b, dst: _written(f, dst, sorted(set(lines_of(f, a)) & set(lines_of(f, b)))),
         'comm -12 <(sort "$1") <(sort "$2") > "$3"'),
    Kind("lines_missing", "compare", 2, ("one", "two", "dst"), "write the lines of {0} that {1} lacks sorted to {2}",
         _compared, lambda f, a, b, dst: _written(f, dst, sorted(set(lines_of(f, a)) - set(lines_of(f, b)))),
         'comm -23 <(sort "$1") <(sort "$2") > "$3"'),
    Kind("names_missing", "compare", 3, ("one", "two"), "print the names of the files in {0} that {1} lacks", _folders,
         _names_missing, 'comm -23 <(ls "$1" | sort) <(ls "$2" | sort)'),
    Kind("joined", "join", 1, ("one", "two", "dst"), "write {0} and then {1} to {2}", _compared,
         lambda f, a, b, dst: _written(f, dst, lines_of(f, a) + lines_of(f, b)), 'cat "$1" "$2" > "$3"'),
    Kind("joined_all", "join", 2, ("folder", "suffix", "dst"),
         "write all files in {0} that end in {1} one after the other to {2}", _many(), _joined_all,
         'cat "$1"/*"$2" > "$3"'),
    Kind("pasted", "join", 3, ("one", "two", "dst"), "write {0} and {1} side by side with a comma between to {2}",
         _side_by_side, _pasted, 'paste -d, "$1" "$2" > "$3"'),
    Kind("lines_first", "slice", 1, ("src", "count", "dst"), "write the first {1} lines of {0} to {2}", _slice(1),
         lambda f, src, n, dst: _written(f, dst, lines_of(f, src)[:n]), 'head -n "$2" "$1" > "$3"'),
    Kind("lines_between", "slice", 2, ("src", "low", "high", "dst"), "write lines {1} to {2} of {0} to {3}", _slice(2),
         lambda f, src, a, b, dst: _written(f, dst, lines_of(f, src)[a - 1 : b]), 'sed -n "$2,$3p" "$1" > "$4"'),
    Kind("lines_first_each", "slice", 3, ("folder", "suffix", "count", "dst"),
         "write the first {2} lines of each file in {0} that ends in {1} to {3}", _many(number=True), _first_each,
         'head -qn "$3" "$1"/*"$2" > "$4"'),
)  # fmt: skip
