"""From an action space to primitives: what programs call, and what the environment is then given."""

from __future__ import annotations

import enum
import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from habilis.core import Action, DefinitionError, DuplicateNameError, InputError, Parameter, Primitive, Term
from habilis.worlds._declare import check_name, read_signature
from habilis.worlds._observed import shown
from habilis.worlds.gym._spaces import kind_of, parts_of

_MOST_NAMED = 32  # actions of a Discrete space that get a primitive each
_MOST_NUMBERS = 12  # of one action
_MOST_AFFORDED = 200  # actions of one primitive; beyond it an even sample

Maker = Callable[[Sequence[Term]], Any]


@dataclass(frozen=True)
class Deed:
    """A primitive, what makes an action of the space of its arguments, and the arguments worth trying."""

    primitive: Primitive
    make: Maker
    pools: tuple[tuple[Term, ...], ...] = ()


class Deeds:
    """All primitives of an environment. Raises `DefinitionError` that says what to give."""

    def __init__(self, env: Any, actions: Any, levels: int, world: str) -> None:
        self.space = env.action_space
        given = _given(actions, self.space, world) if actions is not None else _read(env, levels, world)
        self.by_name: dict[str, Deed] = {}
        for deed in given:
            name = deed.primitive.name
            if not name.isidentifier():
                raise DefinitionError(f"the world {world!r} has an action {name!r}, which is no name as in Python")
            check_name("an action", name, world)
            if name in self.by_name:
                raise DuplicateNameError(f"two actions of the world {world!r} are called {name!r}; rename one")
            self.by_name[name] = deed
        if not self.by_name:
            raise DefinitionError(f"the world {world!r} has no actions; give actions=")

    @property
    def primitives(self) -> tuple[Primitive, ...]:
        return tuple(deed.primitive for deed in self.by_name.values())

    def action(self, wanted: Action) -> Any:
        """What the environment is given. Raises `InputError`, a message for who wrote the program."""
        deed = self.by_name.get(wanted.name)
        if deed is None:
            raise InputError(f"there is no action {wanted.name!r}; there are {', '.join(self.by_name)}")
        made = deed.make(wanted.args)
        if not self.space.contains(made):
            raise InputError(f"{wanted} gives {shown(made)}, which is not in the action space {self.space}")
        return made

    def worth_trying(self) -> list[Action]:
        """Every action, or an even sample of at most 200 of each primitive."""
        found: list[Action] = []
        for name, deed in self.by_name.items():
            size = math.prod(map(len, deed.pools))
            if size <= _MOST_AFFORDED:
                found += [Action(name, args) for args in itertools.product(*deed.pools)]
                continue
            for i in range(_MOST_AFFORDED):
                index, args = i * size // _MOST_AFFORDED, list[Term]()
                for pool in reversed(deed.pools):
                    index, at = divmod(index, len(pool))
                    args.append(pool[at])
                found.append(Action(name, tuple(reversed(args))))
        return sorted(found, key=str)


def _given(actions: Any, space: Any, world: str) -> Iterable[Deed]:
    """The actions that the user named."""
    if isinstance(actions, Mapping):
        for name, one in actions.items():
            yield _named(name, one, space, world)
        return
    if isinstance(actions, (str, bytes)) or not isinstance(actions, Iterable):
        raise DefinitionError(
            f"actions= of the world {world!r} is {shown(actions)}; give names, or a mapping of names to actions"
        )
    listed = list(actions)
    if all(callable(one) for one in listed):
        for one in listed:
            yield _named(getattr(one, "__name__", ""), one, space, world)
        return
    n = getattr(space, "n", None)
    if n is None or not isinstance(n, (int, np.integer)):
        raise DefinitionError(
            f"actions= of the world {world!r} is a list of names, and the action space is {space}, not Discrete; give "
            "a mapping of names to actions, such as {'push': [1.0]}, or to functions that return one"
        )
    if len(listed) != int(n):
        raise DefinitionError(f"actions= of the world {world!r} has {len(listed)} names for the {int(n)} of {space}")
    for i, name in enumerate(listed):
        yield _named(name, int(space.start) + i, space, world)


def _named(name: Any, one: Any, space: Any, world: str) -> Deed:
    if not isinstance(name, str):
        raise DefinitionError(f"actions= of the world {world!r} has the name {shown(name)}; a name is a text")
    if callable(one):
        signature = read_signature(one)
        primitive = Primitive(name, signature.primitive.doc, signature.primitive.parameters)
        pools = signature.pools({})
        if pools is None:
            lacking = [p.name for p in primitive.parameters if p.required and not signature.choices.get(p.name)]
            raise DefinitionError(
                f"the action {name!r} of the world {world!r}: nobody could tell what {', '.join(lacking)} may be; "
                "annotate with the values, such as Literal[1, 2, 3]"
            )

        def make(args: Sequence[Term]) -> Any:
            return _fitting(one(*signature.arguments(args)), space)

        return Deed(primitive, make, tuple(pools))
    fixed = _fitting(one, space)
    if not space.contains(fixed):
        raise DefinitionError(
            f"the action {name!r} of the world {world!r} is {shown(one)}, which is not in the action space {space}"
        )
    return Deed(Primitive(name, f"The environment's action {shown(one)}."), lambda args: _plain(args, name, fixed))


def _plain(args: Sequence[Term], name: str, value: Any) -> Any:
    if args:
        raise InputError(f"{name} takes no arguments, and {tuple(args)!r} were given")
    return value


def _fitting(value: Any, space: Any) -> Any:
    """A value in the type that the space wants, where that is plain: lists become arrays."""
    if isinstance(value, (list, tuple, int, float)) and getattr(space, "dtype", None) is not None and space.shape != ():
        try:
            return np.asarray(value, dtype=space.dtype).reshape(space.shape)
        except (TypeError, ValueError):
            return value
    return value


def _read(env: Any, levels: int, world: str) -> Iterable[Deed]:
    """The actions as the space tells of them."""
    space = env.action_space
    kind = kind_of(space)
    if kind == "Discrete":
        names = _known_names(env, int(space.n))
        first, n = int(space.start), int(space.n)
        if names is None and n <= _MOST_NAMED:
            names = [f"action_{first + i}" for i in range(n)]
        if names is not None:
            for i, name in enumerate(names):
                value = first + i
                yield Deed(Primitive(name, f"The environment's action {value}."), _constant(name, value))
            return
        number = Parameter("number", "int", doc=f"{first} to {first + n - 1}", low=first, high=first + n - 1)
        pool = tuple(range(first, first + n))
        yield Deed(
            Primitive("act", "One of the environment's actions, by its number.", (number,)),
            lambda args: _number(args, 1, "act")[0],
            (pool,),
        )
        return
    entries = list(_entries(space, "", levels, world))
    if len(entries) > _MOST_NUMBERS:
        raise DefinitionError(
            f"an action of {world!r} has {len(entries)} numbers, and {_MOST_NUMBERS} are the most; give "
            "actions={name: action of the space, or a function of a few parameters that returns one}"
        )
    parameters = tuple(Parameter(e.name, "int", doc=e.doc, low=min(e.values), high=max(e.values)) for e in entries)
    yield Deed(
        Primitive("act", f"One action of the environment: {space}"[:400], parameters),
        lambda args: _assembled(space, iter(_within(args, entries))),
        tuple(e.values for e in entries),
    )


def _constant(name: str, value: int) -> Maker:
    return lambda args: _plain(args, name, value)


def _known_names(env: Any, n: int) -> list[str] | None:
    """The names that an environment itself has for its actions."""
    bare = env.unwrapped
    found: Any = getattr(bare, "actions", None)
    if isinstance(found, type) and issubclass(found, enum.Enum):
        names = [one.name for one in found]
    else:
        meanings = getattr(bare, "get_action_meanings", None)
        found = meanings() if callable(meanings) else getattr(bare, "action_names", None)
        names = [str(one) for one in found] if isinstance(found, (list, tuple)) else []
    names = ["_".join(name.lower().split()) for name in names]
    return names if len(names) == n and all(name.isidentifier() for name in names) else None


@dataclass(frozen=True)
class _Entry:
    """One number of an action. ``values``: those it may take, as programs give them."""

    name: str
    values: tuple[int, ...]
    doc: str


def _entries(space: Any, prefix: str, levels: int, world: str) -> Iterable[_Entry]:
    kind, name = kind_of(space), prefix or "number"
    if kind == "Discrete":
        first = int(space.start)
        yield _Entry(name, tuple(range(first, first + int(space.n))), f"{first} to {first + int(space.n) - 1}")
    elif kind in ("MultiDiscrete", "MultiBinary"):
        sizes = np.full(space.shape, 2) if kind == "MultiBinary" else np.asarray(space.nvec)
        starts = space.start if kind == "MultiDiscrete" else np.zeros(sizes.shape)
        for i, (size, start) in enumerate(zip(sizes.flat, np.asarray(starts).flat, strict=True)):
            values = tuple(range(int(start), int(start) + int(size)))
            yield _Entry(f"{name}_{i}", values, f"{values[0]} to {values[-1]}")
    elif kind == "Box":
        lows, highs = np.asarray(space.low), np.asarray(space.high)
        if not (np.isfinite(lows).all() and np.isfinite(highs).all()):
            raise DefinitionError(
                f"an action of {world!r} has no bounds ({space}), so that nobody could tell what to try; give actions="
            )
        for i, (low, high) in enumerate(zip(lows.flat, highs.flat, strict=True)):
            told = f"0 to {levels - 1}: from {low:g} to {high:g} in even steps"
            yield _Entry(name if lows.size == 1 and prefix else f"{name}_{i}", tuple(range(levels)), told)
    elif kind in ("Dict", "Tuple"):
        for _, key, part in parts_of(space):
            yield from _entries(part, f"{prefix}_{key}" if prefix else key, levels, world)
    else:
        raise DefinitionError(
            f"actions of the space {space} are not known to {world!r}; give actions={{name: action of the space}}"
        )


def _number(args: Sequence[Term], count: int, name: str) -> list[int]:
    if len(args) != count or not all(isinstance(a, int) and not isinstance(a, bool) for a in args):
        raise InputError(f"{name} takes {count} whole numbers, and {tuple(args)!r} was given")
    return [int(a) for a in args]


def _within(args: Sequence[Term], entries: Sequence[_Entry]) -> list[tuple[int, _Entry]]:
    found = []
    for value, entry in zip(_number(args, len(entries), "act"), entries, strict=True):
        if value not in entry.values:
            raise InputError(f"act: {entry.name} is one of {entry.doc}, not {value}")
        found.append((value, entry))
    return found


def _assembled(space: Any, numbers: Any) -> Any:
    """An action of the space from its numbers, in order."""
    kind = kind_of(space)
    if kind == "Discrete":
        return next(numbers)[0]
    if kind in ("MultiDiscrete", "MultiBinary"):
        flat = [next(numbers)[0] for _ in range(int(np.prod(space.shape)))]
        return np.asarray(flat, dtype=space.dtype).reshape(space.shape)
    if kind == "Box":
        lows, highs = np.asarray(space.low, float).flat, np.asarray(space.high, float).flat
        made = []
        for low, high in zip(lows, highs, strict=True):
            value, entry = next(numbers)
            made.append(low + (high - low) * value / max(1, len(entry.values) - 1))
        return np.asarray(made).reshape(space.shape).astype(space.dtype)
    parts = [_assembled(part, numbers) for _, _, part in parts_of(space)]
    return dict(zip(space.spaces, parts, strict=True)) if kind == "Dict" else tuple(parts)
