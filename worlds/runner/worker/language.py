"""The language a program sees: ``world``, ``skills``, ``tools``. Runs inside the confined worker; stdlib only.

Nothing here is trusted by the host. It makes programs comfortable to write, not safe: safety is the kernel's, and the
host checks every request again.
"""

from __future__ import annotations

import builtins
import importlib
import json
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import FrameType, TracebackType
from typing import Any

from habilis.worlds.runner.worker import repeatable, wire
from habilis.worlds.runner.worker.actions import ActionFailed, Host, Primitive, Result, Simulated, Ways, decode, encode
from habilis.worlds.runner.worker.simulate import Simulation

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
    "time",
    "typing",
    "uuid",
]
# What these import only when first used; nothing can be opened once confined.
_BEHIND = ["collections.abc", "encodings.ascii", "encodings.latin_1", "encodings.utf_16", "unicodedata"]
_BEHIND_OTHERS = {"numpy": ("numpy.fft", "numpy.linalg", "numpy.polynomial", "numpy.random")}
RECURSION = 300
_MESSAGE = 2_000

for _name in (*ALLOWED, *_BEHIND):
    importlib.import_module(_name)


def allow(modules: Sequence[str]) -> None:
    """Load these, and let programs import them too."""
    for name in (*modules, *(behind for module in modules for behind in _BEHIND_OTHERS.get(module, ()))):
        importlib.import_module(name)
    ALLOWED.extend(name for name in modules if name not in ALLOWED)


class ToolFailed(Exception):
    """A tool could not be used or failed; the text says why."""


class World:
    """``world``: acts through the host, reads what was observed from a mirror that every reply keeps up to date."""

    def __init__(self, host: Host, job: Mapping[str, Any], simulation: Simulation | None = None) -> None:
        self._host, self._numeric = host, dict(job["predicates"])
        self._tables: dict[str, dict[Any, Any]] = defaultdict(dict, {name: {} for name in self._numeric})
        self._tags: dict[str, list[str]] = job["tags"]
        self._fill(job["facts"])
        self._ways = Ways(host, self._tables, simulation)
        for name in self._numeric:
            setattr(self, name, self._reader(name))
        kind = Primitive if simulation is None else Simulated
        self._primitives = {declared[0]: kind(self._ways, declared) for declared in job["primitives"]}
        vars(self).update(self._primitives)

    def steps(self, actions: Iterable[str | Sequence[Any]]) -> list[Result]:
        """Do actions one after the other, such as ``world.steps([("gather", "oak_log"), "wait"])``, and be answered
        once. Raises `ActionFailed` at the first that fails; its ``results`` are those of the actions before it."""
        asked: list[tuple[Primitive, tuple[str | int, ...]]] = []
        for action in actions:
            name, *given = [action] if isinstance(action, str) else list(action)
            primitive = self._primitives.get(name)
            if primitive is None:
                raise AttributeError(f"the world has no action {name!r}; it has: {', '.join(sorted(self._primitives))}")
            asked.append((primitive, primitive.bound(tuple(given))))
        results: list[Result] = []
        try:
            if self._ways.simulation is not None:
                for primitive, args in asked:
                    results.append(primitive(*args))
                return results
            replies = self._ways.replies([(primitive.name, args) for primitive, args in asked])
            for (primitive, args), reply in zip(asked, replies, strict=False):
                results.append(primitive.result(args, reply))
        except ActionFailed as failed:
            failed.results = results
            raise
        return results

    def facts(self, predicate: str) -> list[tuple[tuple[str | int, ...], Any]]:
        """What is observed of a predicate, as (arguments, value), sorted; what is absent is 0 or false."""
        found = self._tables.get(predicate, {})
        return sorted(found.items(), key=lambda item: [(isinstance(a, str), a) for a in item[0]])

    def tags(self, name: str) -> list[str]:
        """The members of a tag, sorted."""
        return list(self._tags.get(name if name.startswith("#") else "#" + name, ()))

    def observe(self) -> None:
        """Look again without acting: what changed by itself is seen."""
        simulation = self._ways.simulation
        self._mirror(self._host.ask('["observe"]') if simulation is None else simulation.look())

    def _mirror(self, shown: Sequence[Any]) -> None:
        """Facts and tags in place of those known."""
        for table in self._tables.values():
            table.clear()
        self._fill(shown[0])
        self._tags.update(shown[1])

    def _fill(self, facts: list[Any]) -> None:
        for predicate, args, value in facts:
            if value:
                self._tables[predicate][tuple(args)] = value

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
    """``tools``: calls a tool on the host. ``mirror`` is told what the world shows when a tool has changed it."""

    def __init__(
        self,
        host: Host,
        names: list[str],
        mirror: Callable[[Sequence[Any]], None],
        simulation: Simulation | None = None,
    ) -> None:
        self._host, self._names, self._mirror, self._simulation = host, names, mirror, simulation

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name not in self._names:
            raise AttributeError(f"there is no tool {name!r}; there are: {', '.join(self._names) or 'none'}")

        def call(*args: Any, **kwargs: Any) -> Any:
            odd = next((key for key in kwargs if not key.isidentifier()), None)
            if odd is not None:
                raise TypeError(f"tools.{name}() has no parameter {odd!r}")
            if self._simulation is not None:
                self._simulation.tell()  # the host's world has to be where this one is
            request = encode(["tool", name, args, kwargs])
            if wire.too_deep(request.encode()):
                raise ValueError(f"tools.{name}() takes arguments that are nested at most {wire.DEPTH - 3} deep")
            reply = self._host.ask(request)
            if reply[2] is not None:
                if self._simulation is None:
                    self._mirror(reply[2])
                else:
                    self._simulation.load(reply[2])
                    self._mirror(self._simulation.look())
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
        if wire.too_deep(b"[" + text.encode() + b"]"):  # `encode` fails on half of a surrogate pair
            text = encode(f"<{type(value).__name__} nested deeper than {wire.DEPTH}>")
    except (TypeError, ValueError, RecursionError):
        text = encode(f"<{type(value).__name__}>")
    size = len(text.encode())
    return text if size < wire.MESSAGE - 100 else encode(f"<{type(value).__name__} of {size} bytes>")


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


def _scope(host: Host, job: Mapping[str, Any], simulation: Simulation | None = None) -> Skills:
    """The programs of a job, ready to be called by name."""
    world = World(host, job, simulation)
    shared = {
        "__builtins__": {**vars(builtins), "__import__": _guarded_import},
        "world": world,
        "tools": Tools(host, job["tools"], world._mirror, simulation),
        "ActionFailed": ActionFailed,
        "ToolFailed": ToolFailed,
    }
    return Skills(job["skills"], shared)


def rehearse() -> None:
    """Go once through what every run does, so that the pages it touches are this process's own before it is needed."""
    job = {
        "primitives": [["act", ["x"], [True], [None], False, 1]],
        "predicates": {"fact": True},
        "facts": [["fact", ["x"], 1]],
        "tags": {},
        "tools": [],
        "skills": {"play": "def play(x=1):\n    return world.fact('x') + x\n"},
    }
    skills = _scope(Host(-1), decode(encode(job)))
    _encode_returned(skills.play(x=1))
    encode(_describe(ActionFailed("act", ["fact"], "")))


def _simulation(host: Host, job: Mapping[str, Any], world: Any) -> Simulation | None:
    if world is None:
        return None
    try:
        world.load(job["state"])
    except Exception as error:
        raise RuntimeError(f"the world's state cannot be loaded beside the program: {error!r}") from error
    return Simulation(world, job["left"], host.say, host.ask)


def serve(fd: int, bell: Any = None, world: Any = None) -> None:
    """Say that this process is confined, take the job, run it, tell how it ended. ``world``: to be simulated in."""
    host = Host(fd, bell)
    host.say('["ready"]')
    job = decode(wire.receive(fd).decode())
    repeatable.repeat(job["seed"])
    simulation = _simulation(host, job, world)
    skills, args, name = _scope(host, job, simulation), job["args"], job["name"]
    del job
    depth, frame = 0, sys._getframe()
    while frame is not None:
        depth, frame = depth + 1, frame.f_back  # type: ignore[assignment]
    try:
        sys.setrecursionlimit(depth + RECURSION)
        ending = f'["done",{_encode_returned(getattr(skills, name)(**args))}]'
    except BaseException as error:
        sys.setrecursionlimit(1000)
        ending = encode(_describe(error))
    try:
        sys.stdout.flush()
    except Exception:
        pass
    if simulation is not None:
        simulation.finish()
    host.say(ending)
