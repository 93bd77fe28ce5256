"""The language a program sees: ``world``, ``skills``, ``tools``. Runs inside the confined worker; stdlib only.

Nothing here is trusted by the host. It makes programs comfortable to write, not safe: safety is the kernel's, and the
host checks every request again.
"""

from __future__ import annotations

import builtins
import importlib
import json
import os
import random
import sys
from collections.abc import Callable, Mapping
from types import FrameType, TracebackType
from typing import Any

from habilis.worlds.runner import _wire

ALLOWED = [
    "bisect",
    "collections",
    "copy",
    "dataclasses",
    "decimal",
    "enum",
    "fractions",
    "functools",
    "heapq",
    "itertools",
    "json",
    "math",
    "operator",
    "random",
    "re",
    "statistics",
    "string",
    "textwrap",
    "typing",
]
# What these import only when first used; nothing can be opened once confined.
_BEHIND = ["collections.abc", "encodings.ascii", "encodings.latin_1", "encodings.utf_16", "unicodedata"]
RECURSION = 300
_MESSAGE = 2_000

for _name in (*ALLOWED, *_BEHIND):
    importlib.import_module(_name)

_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode
_decode = json.JSONDecoder().decode


class ActionFailed(Exception):
    """An action did not do what it is for. ``action``: its text; ``unmet``: the atoms it lacked, as texts, or None
    where the world gives no reasons; ``message``: what the world said."""

    def __init__(self, action: str, unmet: list[str] | None, message: str) -> None:
        why = f"unmet: {', '.join(unmet)}" if unmet else ""
        super().__init__(f"{action} failed" + "".join(f"; {part}" for part in (why, message) if part))
        self.action, self.unmet, self.message = action, unmet, message


class ToolFailed(Exception):
    """A tool could not be used or failed; the text says why."""


class Result:
    """What an action did. ``value``: what it returned; ``message``: in words; ``changes``: (predicate, arguments,
    before, after) for each observed fact that changed."""

    __slots__ = ("_changes", "message", "value")

    def __init__(self, value: Any, changes: list[Any], message: str) -> None:
        self.value, self._changes, self.message = value, changes, message

    @property
    def changes(self) -> list[tuple[str, tuple[str | int, ...], Any, Any]]:
        return [(fact[0], tuple(fact[1]), before, after) for fact, before, after in self._changes]

    def __repr__(self) -> str:
        return f"Result(value={self.value!r}, message={self.message!r}, changes={self.changes!r})"


class Host:
    """The other end of the socket."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def ask(self, request: str) -> Any:
        data = request.encode()
        if len(data) > _wire.MESSAGE:
            raise ValueError(f"a request of {len(data)} bytes is too long; the limit is {_wire.MESSAGE}")
        os.write(self._fd, data)
        return _decode(_wire.receive(self._fd).decode())

    def say(self, message: list[Any]) -> None:
        os.write(self._fd, _encode(message).encode())


def _term(value: Any, action: str) -> str | int:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, (str, int)):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    raise TypeError(f"{action}() takes texts and whole numbers, not {type(value).__name__}")


class _Primitive:
    """One action of the world, as a function."""

    __slots__ = ("_defaults", "_fixed", "_head", "_host", "_names", "_required", "_tables", "_variadic", "name")

    def __init__(self, host: Host, tables: dict[str, dict[Any, Any]], declared: list[Any]) -> None:
        self.name, self._names, self._required, self._defaults, self._variadic = declared
        self._host, self._tables, self._fixed = host, tables, len(self._names)
        self._head = f'["act",{_encode(self.name)},'

    def __call__(self, *args: Any, **kwargs: Any) -> Result:
        if kwargs or len(args) != self._fixed:
            args = self._bind(args, kwargs)
        for value in args:
            if type(value) is not str and type(value) is not int:
                args = tuple(_term(value, self.name) for value in args)
                break
        reply = self._host.ask(f"{self._head}{_encode(args)}]")
        tables, changes = self._tables, reply[2]
        for fact, _, after in changes:
            table = tables.setdefault(fact[0], {})
            if after:
                table[tuple(fact[1])] = after
            else:
                table.pop(tuple(fact[1]), None)
        if reply[0]:
            return Result(reply[1], changes, reply[3])
        text = f"{self.name}({', '.join(json.dumps(a, ensure_ascii=False) for a in args)})"
        raise ActionFailed(text, reply[1], reply[3])

    def _bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
        """Arguments by position. Of a variadic action, what is named comes after all that is not."""
        if len(args) > self._fixed and not self._variadic:
            raise TypeError(f"{self._signature()} takes at most {self._fixed} arguments, {len(args)} given")
        for name in kwargs:
            if name not in self._names:
                raise TypeError(f"{self._signature()} has no parameter {name!r}")
            place = self._names.index(name)
            if place < (min(len(args), 1) if self._variadic else len(args)):
                raise TypeError(f"{self._signature()}: {name!r} is given twice")
        bound, first = list(args), min(len(args), 1) if self._variadic else len(args)
        last = max((self._names.index(n) + 1 for n, value in kwargs.items() if value is not None), default=0)
        for i in range(first, self._fixed):
            name = self._names[i]
            if kwargs.get(name) is not None:
                bound.append(kwargs[name])
            elif self._required[i] and i >= len(args):
                raise TypeError(f"{self._signature()} needs {name!r}")
            elif i < last and not self._variadic:
                bound.append(self._defaults[i])
        return tuple(bound)

    def _signature(self) -> str:
        return f"world.{self.name}({', '.join(self._names)})"


class World:
    """``world``: acts through the host, reads what was observed from a mirror that every reply keeps up to date."""

    def __init__(self, host: Host, job: Mapping[str, Any]) -> None:
        self._host, self._numeric = host, dict(job["predicates"])
        self._tables: dict[str, dict[Any, Any]] = {name: {} for name in self._numeric}
        self._tags: dict[str, list[str]] = job["tags"]
        self._fill(job["facts"])
        for name in self._numeric:
            setattr(self, name, self._reader(name))
        for declared in job["primitives"]:
            setattr(self, declared[0], _Primitive(host, self._tables, declared))

    def facts(self, predicate: str) -> list[tuple[tuple[str | int, ...], Any]]:
        """What is observed of a predicate, as (arguments, value), sorted; what is absent is 0 or false."""
        found = self._tables.get(predicate, {})
        return sorted(found.items(), key=lambda item: [(isinstance(a, str), a) for a in item[0]])

    def tags(self, name: str) -> list[str]:
        """The members of a tag, sorted."""
        return list(self._tags.get(name if name.startswith("#") else "#" + name, ()))

    def observe(self) -> None:
        """Look again without acting: what changed by itself is seen."""
        reply = self._host.ask('["observe"]')
        for table in self._tables.values():
            table.clear()
        self._fill(reply[0])
        self._tags.update(reply[1])

    def _fill(self, facts: list[Any]) -> None:
        for predicate, args, value in facts:
            if value:
                self._tables.setdefault(predicate, {})[tuple(args)] = value

    def _reader(self, name: str) -> Callable[..., Any]:
        table, absent, tags = self._tables[name], 0 if self._numeric[name] else False, self._tags

        def read(*args: Any) -> Any:
            value = table.get(args)
            if value is not None:
                return value
            for i, arg in enumerate(args):
                if isinstance(arg, str) and arg.startswith("#"):
                    values = [read(*args[:i], member, *args[i + 1 :]) for member in tags.get(arg, ())]
                    return any(values) if absent is False else sum(values)
            return absent

        read.__name__ = read.__qualname__ = name
        return read

    def __getattr__(self, name: str) -> Any:
        known = sorted(n for n in vars(self) if not n.startswith("_"))
        raise AttributeError(f"the world has no {name!r}; it has: {', '.join(known)}")


class Tools:
    """``tools``: calls a tool on the host."""

    def __init__(self, host: Host, names: list[str]) -> None:
        self._host, self._names = host, names

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name not in self._names:
            raise AttributeError(f"there is no tool {name!r}; there are: {', '.join(self._names) or 'none'}")

        def call(*args: Any, **kwargs: Any) -> Any:
            reply = self._host.ask(_encode(["tool", name, args, kwargs]))
            if reply[0]:
                return reply[1]
            raise ToolFailed(reply[1])

        return call


class Skills:
    """``skills``: calls another skill; compiled when first used, with globals of its own."""

    def __init__(self, sources: Mapping[str, str], shared: dict[str, Any]) -> None:
        self._sources, self._shared = sources, shared

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name not in self._sources:
            known = ", ".join(sorted(self._sources)) or "none"
            raise AttributeError(f"there is no skill {name!r}; there are: {known}")
        scope = {**self._shared, "__name__": f"skill_{name}", "skills": self}
        exec(compile(self._sources[name], f"<skill {name}>", "exec"), scope)
        function: Callable[..., Any] | None = scope.get(name)
        if not callable(function):
            raise NameError(f"the source of {name!r} defines no function of that name")
        setattr(self, name, function)  # the next use finds it without coming here
        return function


class _Random(random.Random):
    """Like `random.Random`, but an absent seed comes from the run's seed, so that runs repeat."""

    fresh = 0

    def __init__(self, x: Any = None) -> None:
        super().__init__(0)
        self.seed(x)

    def seed(self, a: Any = None, version: int = 2) -> None:
        if a is None:
            _Random.fresh += 1
            a = _Random.fresh
        super().seed(a, version)


def _repeatable(seed: int) -> None:
    random.seed(seed)
    _Random.fresh = random.getrandbits(32)
    of_module = random.seed

    def reseed(a: Any = None, version: int = 2) -> None:
        of_module(_Random().getrandbits(64) if a is None else a, version)

    vars(random).update(Random=_Random, seed=reseed)


def _guarded_import(name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0) -> Any:
    if level or name.partition(".")[0] not in ALLOWED:
        allowed = ", ".join(ALLOWED)
        raise ImportError(
            f"a program cannot import {name!r}; it acts through world, skills and tools, and may import {allowed}"
        )
    return importlib.__import__(name, globals, locals, fromlist, 0)


def _json(value: Any) -> Any:
    if isinstance(value, Result):
        return value.value
    if isinstance(value, (set, frozenset)):
        return sorted(value, key=repr)
    return f"<{type(value).__name__}>"


def _encode_returned(value: Any) -> str:
    """The returned value as JSON; what has no JSON form is named by its type, for it is only a claim anyway."""
    try:
        text = json.JSONEncoder(separators=(",", ":"), allow_nan=False, default=_json, ensure_ascii=False).encode(value)
        text.encode()  # fails on half of a surrogate pair
    except (TypeError, ValueError, RecursionError):
        text = _encode(f"<{type(value).__name__}>")
    size = len(text.encode())
    return text if size < _wire.MESSAGE - 100 else _encode(f"<{type(value).__name__} of {size} bytes>")


def _frames(error: BaseException) -> list[list[Any]]:
    """[program, line, function] of the programs' own frames, innermost last; of many, the ends."""
    found: list[list[Any]] = []
    trace: TracebackType | None = error.__traceback__
    while trace is not None:
        frame: FrameType = trace.tb_frame
        name = frame.f_code.co_filename
        if name.startswith("<skill "):
            found.append([name[7:-1], trace.tb_lineno, frame.f_code.co_name])
        trace = trace.tb_next
    if isinstance(error, SyntaxError) and str(error.filename).startswith("<skill "):
        found.append([str(error.filename)[7:-1], error.lineno, "<module>"])
    return found if len(found) <= 24 else found[:12] + found[-12:]


def _readable(text: str) -> str:
    """Halves of surrogate pairs written out, for they have no UTF-8 form."""
    return text.encode("utf-8", "backslashreplace").decode()


def _describe(error: BaseException) -> list[Any]:
    kind = type(error).__name__[:100]
    if isinstance(error, MemoryError):
        kind = "memory"
    elif isinstance(error, ImportError):
        kind = "import"
    elif isinstance(error, SyntaxError) and str(error.filename).startswith("<skill "):
        kind = "syntax"
    try:
        message = error.msg if isinstance(error, SyntaxError) else str(error)
    except Exception:
        message = "(its message could not be read)"
    return ["error", _readable(kind), _readable(str(message)[:_MESSAGE]), _frames(error)]


def _scope(host: Host, job: Mapping[str, Any]) -> Skills:
    """The programs of a job, ready to be called by name."""
    shared = {
        "__builtins__": {**vars(builtins), "__import__": _guarded_import},
        "world": World(host, job),
        "tools": Tools(host, job["tools"]),
        "ActionFailed": ActionFailed,
        "ToolFailed": ToolFailed,
    }
    return Skills(job["skills"], shared)


def rehearse() -> None:
    """Go once through what every run does, so that the pages it touches are this process's own before it is needed."""
    job = {
        "primitives": [["act", ["x"], [True], [None], False]],
        "predicates": {"fact": True},
        "facts": [["fact", ["x"], 1]],
        "tags": {},
        "tools": [],
        "skills": {"play": "def play(x=1):\n    return world.fact('x') + x\n"},
    }
    skills = _scope(Host(-1), _decode(_encode(job)))
    _encode_returned(skills.play(x=1))
    _encode(_describe(ActionFailed("act", ["fact"], "")))


def serve(fd: int) -> None:
    """Say that this process is confined, take the job, run it, tell how it ended."""
    host = Host(fd)
    host.say(["ready"])
    job = _decode(_wire.receive(fd).decode())
    _repeatable(job["seed"])
    skills, args, name = _scope(host, job), job["args"], job["name"]
    del job
    depth, frame = 0, sys._getframe()
    while frame is not None:
        depth, frame = depth + 1, frame.f_back  # type: ignore[assignment]
    try:
        sys.setrecursionlimit(depth + RECURSION)
        ending = f'["done",{_encode_returned(getattr(skills, name)(**args))}]'
    except BaseException as error:
        sys.setrecursionlimit(1000)
        ending = _encode(_describe(error))
    try:
        sys.stdout.flush()
    except Exception:
        pass
    os.write(fd, ending.encode())
