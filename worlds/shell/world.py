"""The shell world: the protocol that every world satisfies, over bash in a confined copy of a folder."""

from __future__ import annotations

import os
import re
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from habilis.core import (
    Action,
    Atom,
    Change,
    CommandForm,
    Fact,
    Goal,
    InputError,
    Json,
    Observation,
    Outcome,
    Snapshot,
    WorldSpec,
)
from habilis.worlds.shell._judging import TOLD, Bench, Listed, Seen, entries_of, files_of, listed, named
from habilis.worlds.shell._proposing import afforded, proposed
from habilis.worlds.shell._sandbox import INSIDE, Limits, Result, Sandbox, program
from habilis.worlds.shell._spec import spec
from habilis.worlds.shell._tree import Tree, again, copied, digest, emptied, laid_open, removed, restored, saved
from habilis.worlds.shell.forms import FORMS
from habilis.worlds.shell.intercode import read_tasks
from habilis.worlds.shell.orders import KINDS, SPLITS, Files, Order, mixed, order, read_order

_PREFIX = "habilis-shell-"
_PLACE = re.compile(r"(/[A-Za-z0-9_][A-Za-z0-9_.-]*)+")
_TAKEN = frozenset("bin boot dev etc gnu lib lib32 lib64 nix proc root run sbin sys tmp usr var".split())  # noqa: SIM905
_MOST_COMMAND = 4_000  # characters of a command with its arguments
_MOST_FACTS_TEXT = 60  # entries that are told in words


class ShellWorld:
    """bash in a confined copy of a folder.

    Args:
        folder: what is copied; the folder itself is never touched. None: a folder for practice, with orders in it.
        orders: how many orders, each of another kind, a folder for practice holds (1 to 48).
        split: the stream that practice comes from: "train" or "test".
        at: where commands see the folder, as an absolute path.
        tasks: a file with tasks of InterCode's for this folder (`habilis.worlds.shell.intercode`), which become goals.
        practice: whether search may try things on exact clones. Without it a program runs once, as results are
            reported on.
        limits: what one command may use.

    Raises `MissingExtraError` where bubblewrap or bash is not installed, `InputError` for any other value. The world
    starts at seed 0. ``close`` ends its processes and takes the copy away; so does the end of the object.
    """

    spec: WorldSpec

    def __init__(
        self,
        *,
        folder: str | Path | None = None,
        orders: int = 24,
        split: str = "train",
        practice: bool = True,
        at: str = INSIDE,
        tasks: str | Path | None = None,
        limits: Limits | None = None,
    ) -> None:
        if isinstance(orders, bool) or not isinstance(orders, int) or not 1 <= orders <= len(KINDS):
            raise InputError(f"shell takes orders=1 to {len(KINDS)}, not {orders!r}")
        if split not in SPLITS:
            raise InputError(f"shell has no split={split!r}; use one of {', '.join(map(repr, SPLITS))}")
        if not isinstance(practice, bool):
            raise InputError(f"shell takes practice=True or False, not {practice!r}")
        if not isinstance(at, str) or not _PLACE.fullmatch(at) or at.split("/")[1] in _TAKEN:
            raise InputError(f"shell cannot show the folder at {at!r}; give an absolute path such as /work or /testbed")
        if tasks is not None and folder is None:
            raise InputError("tasks are about a folder: give it too (-o folder=PATH)")
        program()
        self._tasks = read_tasks(tasks) if tasks is not None else {}
        self._at = at
        self._source = _checked(folder) if folder is not None else None
        self._orders, self._split, self._limits = orders, split, limits
        self.spec = spec(practice=practice)
        self._begin()
        self.reset(0)

    # -- the protocol ------------------------------------------------------------------------------------------------

    def reset(self, seed: int) -> Observation:
        """Begin with the folder of this seed; a folder of the user's is the same for each."""
        if isinstance(seed, bool) or not isinstance(seed, int):
            raise InputError(f"a seed is a whole number, not {seed!r}")
        if self._source is None:
            return self._lay_out(mixed(seed, self._orders, self._split))
        self._sandbox.close()
        emptied(self._tree.root)
        copied(self._source, self._tree.root)
        entries = self._tree.look()
        if self._tree.too_large:
            raise InputError(f"{self._source} is too large for the world shell: 64 MB and 2,000 entries are the most")
        self._settle(self._held_against(files_of(entries)), ())
        return self.observe()

    def observe(self) -> Observation:
        return Snapshot(facts=Seen(self._facts, self._bench, self._out), text=self._text())

    def act(self, action: Action) -> Outcome:
        """Run a command. Raises `InputError` for an action that this world does not have."""
        name, args = action
        if name not in ("run", "lines"):
            raise InputError(f"shell has no action {name!r}; it has run, lines")
        if self._ruined:
            return Outcome(False, message=self._ruined, done=True)
        words = [str(a) for a in args]
        if not words or not words[0].strip():
            return Outcome(False, message=f"{name} takes a command of bash, and its arguments after it")
        if sum(map(len, words)) > _MOST_COMMAND or any("\0" in w for w in words):
            return Outcome(False, message=f"a command has at most {_MOST_COMMAND} characters in all, and no NUL in it")
        result = self._sandbox.run(words[0], tuple(words[1:]))
        before = self._facts
        self._look(result)
        changes = _changes(before, self._facts)
        if self._ruined:
            return Outcome(False, changes, message=self._ruined, done=True)
        if result.code != 0:
            said = result.err.decode("utf-8", "replace").strip()
            why = result.why or f"exit status {result.code}" + (f": {said[-400:]}" if said else "")
            return Outcome(False, changes, message=why, value=_shown(result, self._out))
        if name == "lines":
            if result.cut:
                why = f"it printed more than the {self._sandbox.limits.shown} bytes that come back; print less"
                return Outcome(False, changes, message=why)
            printed = self._out.removesuffix("\n")
            return Outcome(True, changes, value=printed.split("\n") if self._out else [])
        return Outcome(True, changes, value=_shown(result, self._out))

    # -- capabilities ------------------------------------------------------------------------------------------------

    def clone(self) -> ShellWorld:
        """An exact copy, by ``cp -a``; it has a sandbox of its own, made with its first command."""
        twin = ShellWorld.__new__(ShellWorld)
        twin._source, twin._orders, twin._split = self._source, self._orders, self._split
        twin._limits, twin.spec = self._limits, self.spec
        twin._at, twin._tasks = self._at, self._tasks
        twin._begin()
        with self._sandbox.still(), laid_open(self._tree.root) as shut:
            copied(self._tree.root, twin._tree.root)
            again(twin._tree.root, shut)
        twin._bench, twin._posed, twin._ruined = self._bench, self._posed, self._ruined
        twin._out, twin._code = self._out, self._code
        twin._facts = dict(self._facts)
        twin._tree.look()
        return twin

    def simulator(self) -> Practice:
        """Clones, in a world for practice: there is nothing that a command could not have looked at."""
        return Practice(self)

    def save(self) -> Json:
        return {
            "files": saved(self._tree.entries | self._tree.shut),
            "before": saved(entries_of(self._bench.before)),
            "orders": [[str(fact), place] for fact, place in self._bench.places.items()],
            "out": self._out,
            "code": self._code,
            "ruined": self._ruined,
        }

    def load(self, state: Json) -> None:
        """Make the folder what it was; only what differs is touched. Raises `InputError` for what is no such state."""
        try:
            places = {Fact.parse(fact): str(place) for fact, place in state["orders"]}
            out, code, ruined = str(state["out"]), int(state["code"]), str(state["ruined"])
            files, before = state["files"], state["before"]
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"this is no saved state of the world shell: {error!r:.200}") from None
        with self._sandbox.still():
            restored(self._tree, files)
        same = self._bench.places == places and saved(entries_of(self._bench.before)) == before
        bench = self._bench if same else self._held_against(_files(before), places)
        self._settle(bench, tuple(places), out, code, ruined)

    def affordances(self) -> Sequence[Action]:
        """A few commands to look around with, and to try in a folder ``scratch`` that is in nobody's way."""
        return afforded(self._bench.before)

    def goals(self) -> Sequence[Goal]:
        """The orders that this folder holds; in a folder of the user's, what may be asked of it and spoils nothing."""
        wanted = self._posed if self._source is None else proposed(self._bench.before)
        wanted = [Fact(TOLD, (query,)) for query in self._tasks] or wanted
        return [Goal((Atom(fact),)) for fact in wanted]

    def pose(self, like: Goal, seed: int) -> Goal | None:
        """Begin anew with a folder of this seed in which such an order can be given; the order, or None."""
        fact = like.atoms[0].fact if len(like.atoms) == 1 else None
        if fact is None or fact.predicate not in KINDS:
            return None
        one = order(fact.predicate, seed, self._split)
        self._lay_out([one])
        return Goal((Atom(one.fact),))

    def ended(self) -> str:
        """Why nothing can be done any more: the folder came to too much and was given up."""
        return self._ruined

    def understand(self, text: str) -> Goal | None:
        """The order that a text in the words of its phrase gives, or None."""
        fact = read_order(text)
        return None if fact is None else Goal((Atom(fact),))

    def forms(self) -> Sequence[CommandForm]:
        """Forms of commands, for search to put together: what is known of bash at first."""
        return FORMS

    @property
    def place(self) -> Path:
        """Where the copy is, for who holds the world: what stands there is as hostile as what made it."""
        return self._tree.root

    def close(self) -> None:
        """End its processes and take the copy away."""
        self._finalizer()

    # -- inside ------------------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        _sweep()
        root = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))
        inner = root / "folder"
        inner.mkdir()
        self._tree, self._sandbox = Tree(inner), Sandbox(inner, self._limits, self._at)
        self._finalizer = weakref.finalize(self, _end, self._sandbox, root)

    def _lay_out(self, orders: Sequence[Order]) -> Observation:
        files: Files = {}
        for one in orders:
            files |= one.files
        entries = entries_of(files)
        with self._sandbox.still():
            restored(self._tree, saved(entries))
        self._settle(Bench(files, {one.fact: one.at for one in orders}), tuple(one.fact for one in orders))
        return self.observe()

    def _held_against(self, before: Files, places: Mapping[Fact, str] | None = None) -> Bench:
        source, at, limits = self._source, self._at, self._limits

        def play(gold: str) -> tuple[Listed, str]:
            twin = ShellWorld(folder=source, at=at, limits=limits, practice=False)
            try:
                twin.act(Action("run", (gold,)))
                return listed(twin._tree.entries), twin._out
            finally:
                twin.close()

        return Bench(before, places or {}, self._tasks, play if self._tasks else None)

    def _settle(self, bench: Bench, posed: tuple[Fact, ...], out: str = "", code: int = 0, ruined: str = "") -> None:
        self._bench, self._posed, self._ruined = bench, posed, ruined
        self._out, self._code = out, code
        self._tree.look()
        self._facts = self._seen()

    def _look(self, result: Result) -> None:
        """See what a command has left."""
        self._out = result.out.decode("utf-8", "replace")
        self._code = result.code if result.code is not None else 255
        self._tree.look()
        if self._tree.too_large or result.ruined:
            self._sandbox.close()
            emptied(self._tree.root)
            self._tree.look()
            self._ruined = "the folder came to more than 64 MB, 2,000 entries or 40 levels and was given up; begin anew"
        self._facts = self._seen()

    def _seen(self) -> Listed:
        found = listed(self._tree.entries)
        if self._out:
            found[Fact("printed", (named(digest(self._out.encode())),))] = True
        if self._code:
            found[Fact("exit_code")] = self._code
        return found

    def _text(self) -> str:
        rows = []
        for path, entry in list(self._tree.entries.items())[:_MOST_FACTS_TEXT]:
            told = {"dir": "folder", "link": "link", "other": "special file"}.get(entry.kind)
            rows.append(f"{named(path)} ({told or f'{len(entry.data)} bytes, {entry.lines} lines'})")
        left = len(self._tree.entries) - len(rows)
        asked = "".join(f"\nOrder: {KINDS[f.predicate].phrase.format(*f.args)}" for f in self._posed[:12])
        return "\n".join(rows) + (f"\n… and {left} more" if left > 0 else "") + asked


class Practice:
    """What search may try things on. Satisfies `habilis.core.Simulator`."""

    def __init__(self, world: ShellWorld) -> None:
        self._world = world.clone()

    def imagine(self, seed: int) -> ShellWorld:
        """A clone. Everything that stands in the folder can be looked at, so there is nothing to draw anew."""
        return self._world.clone()


def _changes(before: Listed, after: Listed) -> tuple[Change, ...]:
    found = []
    for fact in sorted(before.keys() | after.keys(), key=str):
        old, new = before.get(fact, 0), after.get(fact, 0)
        if old != new:
            absent = False if isinstance(old or new, bool) else 0
            found.append(Change(fact, before.get(fact, absent), after.get(fact, absent)))
    return tuple(found)


def _shown(result: Result, out: str) -> Mapping[str, Json]:
    return {"stdout": out, "stderr": result.err.decode("utf-8", "replace")[:4_000], "exit": result.code}


def _files(state: Json) -> Files:
    from habilis.worlds.shell._tree import read

    return files_of(read(state))


def _checked(folder: str | Path) -> Path:
    path = Path(folder).expanduser()
    if not str(folder) or not path.is_dir():  # Path("") would be the working folder
        raise InputError(f"shell copies a folder, and {str(folder)!r} is none; give the path of one: -o folder=PATH")
    return path.resolve()


def _end(sandbox: Sandbox, root: Path) -> None:
    sandbox.close()
    removed(root)


_swept = False


def _sweep() -> None:
    """Take away what processes that were killed have left: their copies, which bear their number."""
    global _swept
    if _swept:
        return
    _swept = True
    for left in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*-*"):
        number = left.name.removeprefix(_PREFIX).partition("-")[0]
        with suppress(OSError, ValueError):
            if left.lstat().st_uid == os.getuid() and not os.path.exists(f"/proc/{int(number)}"):
                removed(left)


__all__ = ["Practice", "ShellWorld"]
