"""Doing an action from within a program: binding its arguments, asking host or simulation, saying what came of it.

Runs inside the confined worker; standard library only.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from typing import Any

from habilis.worlds.runner.worker import wire
from habilis.worlds.runner.worker.simulate import Simulation

# Looks at the bell, about 80 us. The numbers are small enough for Python to keep: watching leaves the memory as it was.
_TURNS, _LOOKS = range(8), range(250)
_BATCH, _BATCH_SIZE = 500, wire.MESSAGE - 100  # actions, and bytes of them, handed over at once

encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode
decode = json.JSONDecoder().decode


class ActionFailed(Exception):
    """An action did not do what it is for. ``action``: its text; ``unmet``: the atoms it lacked, as texts, or None
    where the world gives no reasons; ``message``: what the world said; ``results``: of the actions before it in the
    same `World.steps`."""

    def __init__(self, action: str, unmet: list[str] | None, message: str) -> None:
        why = f"unmet: {', '.join(unmet)}" if unmet else ""
        super().__init__(f"{action} failed" + "".join(f"; {part}" for part in (why, message) if part))
        self.action, self.unmet, self.message = action, unmet, message
        self.results: list[Result] = []


class Result:
    """What an action did. ``value``: what it returned; ``message``: in words; ``changes``: (predicate, arguments,
    before, after) for each observed fact that changed. ``preempted``: the name of the reflex that came between, so
    that the action was not done; else ""."""

    __slots__ = ("_changes", "message", "preempted", "value")

    def __init__(self, value: Any, changes: list[Any], message: str, preempted: str = "") -> None:
        self.value, self._changes, self.message, self.preempted = value, changes, message, preempted

    @property
    def changes(self) -> list[tuple[str, tuple[str | int, ...], Any, Any]]:
        return [(fact[0], tuple(fact[1]), before, after) for fact, before, after in self._changes]

    def __repr__(self) -> str:
        return f"Result(value={self.value!r}, message={self.message!r}, changes={self.changes!r})"


class Host:
    """The other end of the socket. ``bell``: a byte that the host changes after each reply, to be watched for a moment
    before sleeping: waking a sleeping processor takes longer than most steps do. Nothing but speed depends on it."""

    def __init__(self, fd: int, bell: Any = None) -> None:
        self._fd, self._bell = fd, bell
        self._misses = self._rest = 0

    def ask(self, request: str) -> Any:
        data = request.encode()
        if len(data) > wire.MESSAGE:
            raise ValueError(f"a request of {len(data)} bytes is too long; the limit is {wire.MESSAGE}")
        bell = self._bell
        if bell is None:
            os.write(self._fd, data)
        else:
            before = bell[0]
            os.write(self._fd, data)
            if self._rest:
                self._rest -= 1
            elif _watch(bell, before):
                self._misses = 0
            else:  # the host is slow, or the machine busy: watching would only take time from others
                self._misses = min(self._misses + 1, 6)
                self._rest = 1 << self._misses
        try:
            return decode(wire.receive(self._fd).decode())
        except MemoryError:  # an answer that was not taken would be taken for the next one's
            os.write(self._fd, b'["error","memory","",[]]')
            os._exit(0)

    def say(self, message: str) -> None:
        os.write(self._fd, message.encode())


def _watch(bell: Any, before: int) -> bool:
    for _ in _TURNS:
        for _ in _LOOKS:
            if bell[0] != before:
                return True
    return False


def _term(value: Any, action: str) -> str | int:
    """An argument of an action, as the host will take it."""
    if isinstance(value, bool) or (isinstance(value, float) and value.is_integer()):
        value = int(value)
    if isinstance(value, int):
        if -wire.WHOLE < value < wire.WHOLE:
            return int(value)
        raise ValueError(f"{action}() takes whole numbers of at most 53 bits, not one of {value.bit_length()}")
    if not isinstance(value, str):
        raise TypeError(f"{action}() takes texts and whole numbers, not {type(value).__name__}")
    if len(value) > wire.TEXT:
        raise ValueError(f"{action}() takes texts of at most {wire.TEXT} characters, not {len(value)}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{action}() takes texts without halves of surrogate pairs") from None
    return str(value)


def _plain(args: tuple[Any, ...]) -> bool:
    """Whether arguments can go as they are; `_term` has a closer look at others."""
    if len(args) > 4:  # many may be too much together
        return False
    for value in args:
        if type(value) is str:
            if len(value) > wire.TEXT or not value.isascii():
                return False
        elif type(value) is not int or not -wire.WHOLE < value < wire.WHOLE:
            return False
    return True


class Primitive:
    """One action of the world, as a function."""

    __slots__ = ("_defaults", "_fixed", "_head", "_names", "_required", "_variadic", "_ways", "name")

    def __init__(self, ways: Ways, declared: list[Any]) -> None:
        self.name, self._names, self._required, self._defaults, self._variadic, _ = declared
        self._ways, self._fixed = ways, len(self._names)
        self._head = f'["act",{encode(self.name)},'

    def __call__(self, *args: Any, **kwargs: Any) -> Result:
        if kwargs or len(args) != self._fixed:
            args = self._bind(args, kwargs)
        if not _plain(args):
            args = self.terms(args)
        return self.result(args, self._ways.host.ask(f"{self._head}{encode(args)}]"))

    def result(self, args: tuple[Any, ...], reply: Sequence[Any]) -> Result:
        """What came of it, with the mirror brought up to date. Raises `ActionFailed`."""
        tables, changes = self._ways.tables, reply[2]
        for fact, _, after in changes:
            if after:
                tables[fact[0]][tuple(fact[1])] = after
            else:
                tables[fact[0]].pop(tuple(fact[1]), None)
        if reply[0] == 2:
            return Result(None, changes, reply[3], reply[1])
        if reply[0]:
            return Result(reply[1], changes, reply[3])
        text = f"{self.name}({', '.join(json.dumps(a, ensure_ascii=False) for a in args)})"
        raise ActionFailed(text, reply[1], reply[3])

    def terms(self, args: tuple[Any, ...]) -> tuple[str | int, ...]:
        terms = tuple(_term(value, self.name) for value in args)
        size = sum(len(term) for term in terms if isinstance(term, str))
        if size > wire.TEXTS:
            raise ValueError(f"{self.name}() takes texts of at most {wire.TEXTS} characters in all, not {size}")
        return terms

    def bound(self, args: tuple[Any, ...]) -> tuple[str | int, ...]:
        """Positional arguments as a call would pass them on."""
        return self.terms(args if len(args) == self._fixed else self._bind(args, {}))

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


class Simulated(Primitive):
    """One action of a simulated world, as a function."""

    __slots__ = ("_known", "_most")

    def __init__(self, ways: Ways, declared: list[Any]) -> None:
        super().__init__(ways, declared)
        self._most = declared[5]
        self._known: dict[tuple[Any, ...], Any] = {}  # actions by arguments that need no closer look

    def __call__(self, *args: Any, **kwargs: Any) -> Result:
        if kwargs or len(args) != self._fixed:
            args = self._bind(args, kwargs)
        simulation = self._ways.simulation
        assert simulation is not None
        action = self._known.get(args) if _plain(args) else None
        if action is None:
            action = self._checked(args, simulation)
        outcome = simulation.do(action, self._most)
        if outcome is None or not outcome.ok:
            if outcome is None:
                reply = self._ways.host.ask(f"{self._head}{encode(action[1])}]")
                simulation.load(reply[4])
            else:
                unmet = None if outcome.unmet is None else [str(atom) for atom in outcome.unmet]
                reply = 0, unmet, outcome.changes, outcome.message
            return self.result(action[1], reply)
        tables, changes = self._ways.tables, outcome.changes
        for (predicate, about), _, after in changes:
            if after:
                tables[predicate][about] = after
            else:
                tables[predicate].pop(about, None)
        value = outcome.value
        if value is not None and type(value) not in (str, int, bool):
            value = decode(encode(value))  # as it would come from the host, and nothing shared with the world
        return Result(value, changes, outcome.message)

    def _checked(self, args: tuple[Any, ...], simulation: Simulation) -> Any:
        action = simulation.action(self.name, self.terms(args))
        if len(self._known) < 1_000 and _plain(args):
            self._known[args] = action
        return action


class Ways:
    """How actions are done: by asking the host, or in the simulation; and the mirror that both keep up to date."""

    __slots__ = ("host", "simulation", "tables")

    def __init__(self, host: Host, tables: dict[str, dict[Any, Any]], simulation: Simulation | None) -> None:
        self.host, self.tables, self.simulation = host, tables, simulation

    def replies(self, actions: list[tuple[str, tuple[Any, ...]]]) -> Iterable[Sequence[Any]]:
        """The replies to actions done one after the other, up to the first that failed."""
        batch: list[Any] = []
        size = 0
        for name, args in [*actions, ("", ())]:
            new = len(encode((name, args))) + 1
            if batch and (not name or len(batch) == _BATCH or size + new > _BATCH_SIZE):
                done = self.host.ask(encode(["steps", batch]))
                yield from done
                if done[-1][0] != 1:
                    return
                batch, size = [], 0
            batch.append((name, args))
            size += new
