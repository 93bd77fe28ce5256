"""What a function says of itself: its parameters by type hints, and its contract by goal text over them."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from habilis.core import (
    Action,
    Atom,
    Contract,
    Declaration,
    DefinitionError,
    Fact,
    InputError,
    Parameter,
    Primitive,
    Term,
    Value,
    declared_atoms,
)

_TYPES: dict[Any, str] = {str: "str", int: "int", float: "float", bool: "bool"}
_READERS: dict[str, Callable[[Any], Any]] = {"str": str, "int": int, "float": float}
RESERVED = ("facts", "observe", "steps", "tags")  # what every program has on ``world`` beside predicates and actions
_TRUE, _FALSE = ("true", "yes", "1"), ("false", "no", "0")


@dataclass(frozen=True)
class Declared(Declaration):
    """The contract that `habilis.worlds.action` declares."""

    side_effects: bool = False

    def check(self, signature: Signature) -> None:
        self.examples(signature)

    def examples(self, signature: Signature) -> tuple[Atom, ...]:
        """All atoms with the parameters' names in place of values; raises `DefinitionError`."""
        values = tuple(0 if p.type == "int" else p.name for p in signature.primitive.parameters)
        return tuple(atom for text in self.texts for atom in signature.atoms(text, values))

    def needs(self, signature: Signature, args: Sequence[Term]) -> tuple[Atom, ...]:
        values = signature.filled(args)
        return signature.atoms(self.requires, values) + signature.atoms(self.consumes, values)

    def contract(self, signature: Signature, action: Action, fingerprint: str) -> Contract:
        return self.contract_of(signature.name, signature.names, action, fingerprint, signature.filled(action.args))


@dataclass(frozen=True)
class Signature:
    """A function as a primitive. ``choices``: the values that a ``Literal`` parameter may take."""

    name: str
    function: Callable[..., Any]
    primitive: Primitive
    choices: Mapping[str, tuple[Term, ...]] = field(default_factory=dict)
    declared: Declared = field(default_factory=Declared)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(p.name for p in self.primitive.parameters)

    def atoms(self, template: str, values: Sequence[Any]) -> tuple[Atom, ...]:
        """The atoms of a declared text with these values for the parameters."""
        return declared_atoms(template, self.name, self.names, values)

    def filled(self, args: Sequence[Term]) -> tuple[Any, ...]:
        """The arguments, with defaults for those left out."""
        return (*args, *(p.default for p in self.primitive.parameters[len(args) :]))

    def arguments(self, args: Sequence[Term]) -> tuple[Any, ...]:
        """The arguments as the hints want them. Raises `InputError`, a message for the program's writer."""
        parameters = self.primitive.parameters
        least = sum(p.required for p in parameters)
        if len(args) < least or (len(args) > len(parameters) and not self.primitive.variadic):
            named = ", ".join(p.name if p.required else f"{p.name}={p.default!r}" for p in parameters)
            raise InputError(f"{self.name} takes ({named}), but {len(args)} arguments were given: {tuple(args)!r}")
        read = []
        for i, argument in enumerate(args):
            parameter = parameters[min(i, len(parameters) - 1)]
            value = _read(argument, parameter, self.name)
            allowed = self.choices.get(parameter.name)
            if allowed is not None and value not in allowed:
                raise InputError(
                    f"{self.name}: {parameter.name} is one of {', '.join(map(repr, allowed))}, not {argument!r}"
                )
            read.append(value)
        return tuple(read)

    def pools(self, facts: Mapping[Fact, Value]) -> list[tuple[Term, ...]] | None:
        """For each required parameter the values that observed facts offer, sorted; None when there are none."""
        offered = self._offered_by_requires(facts)
        pools: list[tuple[Term, ...]] = []
        for parameter in self.primitive.parameters:
            if not parameter.required:
                break
            wanted = {"str": str, "int": int}.get(parameter.type)
            values: set[Term] = set(self.choices.get(parameter.name, ()))
            if not values and wanted is not None:
                source = offered.get(parameter.name)
                if source is None:
                    source = {a for fact in facts for a in fact.args}
                values = {v for v in source if isinstance(v, wanted)}
            if not values:
                return None
            pools.append(tuple(sorted(values, key=lambda v: (isinstance(v, str), v))))
        return pools

    def _offered_by_requires(self, facts: Mapping[Fact, Value]) -> dict[str, set[Term]]:
        """By parameter: the arguments that stand in its place in facts of the predicates that ``requires`` names."""
        names = self.names
        marks = tuple(f"\ue000{name}" for name in names)  # a private character: no real argument looks like this
        offered: dict[str, set[Term]] = {}
        for text in (self.declared.requires, self.declared.consumes):
            for atom in self.atoms(text, marks):
                for place, argument in enumerate(atom.fact.args):
                    if argument in marks and (atom.value is not False):
                        found = {
                            f.args[place]
                            for f in facts
                            if f.predicate == atom.fact.predicate and len(f.args) == len(atom.fact.args)
                        }
                        name = names[marks.index(str(argument))]
                        offered[name] = offered[name] & found if name in offered else found
        return offered


def check_name(kind: str, name: str, world: str, others: Iterable[str] = ()) -> None:
    """Whether programs can say ``world.name(…)`` and mean one thing. ``others``: names of the other kind.

    Raises `DefinitionError` naming the world, the name and what it collides with.
    """
    if name.startswith("_") or name in RESERVED:
        why = "no name that begins with _ reaches programs" if name.startswith("_") else "that name is taken"
        raise DefinitionError(
            f"the world {world!r} has {kind} called {name!r}: programs call it as world.{name}, but {why} (taken: "
            f"{', '.join(RESERVED)}); give it another name"
        )
    if name in others:
        raise DefinitionError(
            f"the world {world!r} has an action and a predicate that are both called {name!r}: world.{name} in a "
            "program could mean either; give one of them another name"
        )


def read_signature(function: Callable[..., Any]) -> Signature:
    """Raises `DefinitionError` naming the function and what it lacks."""
    name = getattr(function, "__name__", type(function).__name__)
    if not name.isidentifier():
        raise DefinitionError(f"the function {name!r} has no name that a program could use; define it with def")
    try:
        hints = typing.get_type_hints(function)
        parameters = inspect.signature(function).parameters.values()
    except (NameError, TypeError, ValueError) as error:
        raise DefinitionError(f"cannot read the type hints of {name}: {error}") from error
    read: list[Parameter] = []
    choices: dict[str, tuple[Term, ...]] = {}
    variadic = False
    for parameter in parameters:
        if parameter.kind in (parameter.VAR_KEYWORD, parameter.KEYWORD_ONLY):
            raise DefinitionError(
                f"{name}: actions have positional arguments only, but {parameter.name!r} is keyword-only; "
                "make it positional"
            )
        if parameter.name not in hints:
            raise DefinitionError(
                f"{name}: the parameter {parameter.name!r} has no type hint; add one, such as ': str'"
            )
        variadic = variadic or parameter.kind is parameter.VAR_POSITIONAL
        kind, allowed = _kind(hints[parameter.name], name, parameter.name)
        if allowed:
            choices[parameter.name] = allowed
        required = parameter.default is parameter.empty and parameter.kind is not parameter.VAR_POSITIONAL
        default = None if parameter.default is parameter.empty else parameter.default
        if not isinstance(default, (str, int, float, bool, type(None), list, dict)):
            raise DefinitionError(
                f"{name}: the default of {parameter.name!r} is a {type(default).__name__}; "
                "programs can pass texts, numbers, truth values, lists and dicts"
            )
        said = "one of " + ", ".join(map(str, allowed)) if allowed else ""
        read.append(Parameter(parameter.name, kind, default, required, said))
    declared = getattr(function, "__habilis_action__", Declared())
    doc = inspect.getdoc(function) or name.replace("_", " ")
    primitive = Primitive(name, doc, tuple(read), variadic=variadic, side_effects=declared.side_effects)
    return Signature(name, function, primitive, choices, declared)


def _kind(hint: Any, function: str, parameter: str) -> tuple[str, tuple[Term, ...]]:
    if typing.get_origin(hint) is Literal:
        allowed = typing.get_args(hint)
        if not all(isinstance(a, (str, int)) and not isinstance(a, bool) for a in allowed):
            raise DefinitionError(f"{function}: the choices of {parameter!r} must be texts or whole numbers")
        return ("int" if all(isinstance(a, int) for a in allowed) else "str"), tuple(allowed)
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        others = [a for a in typing.get_args(hint) if a is not type(None)]
        if len(others) == 1:
            return _kind(others[0], function, parameter)
    return _TYPES.get(hint, "json"), ()


def _read(argument: Any, parameter: Parameter, function: str) -> Any:
    if argument is None and not parameter.required:
        return None
    try:
        if parameter.type == "bool":
            if isinstance(argument, bool):
                return argument
            word = str(argument).lower()
            if word not in (*_TRUE, *_FALSE):
                raise ValueError
            return word in _TRUE
        if parameter.type == "str" and not isinstance(argument, (str, int, float)):
            raise ValueError
        return _READERS.get(parameter.type, lambda value: value)(argument)
    except (TypeError, ValueError):
        raise InputError(f"{function}: {parameter.name} is a {parameter.type}, not {argument!r}") from None
