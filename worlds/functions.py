"""A world from plain functions: what the user's code can do, and one function that says what is the case.

    def observe() -> dict[str, object]:
        return {"open": door.is_open, "count": {"key": bag.keys}, "exists": {"door", "table"}}

    @action(requires="count('key') >= 1", adds="open()")
    def unlock() -> None:
        "Open the door with a key."

    world = from_functions([unlock], observe=observe, name="hall")

Each entry of the observation becomes facts: a set gives true facts (``exists("door")``), a mapping valued ones
(``count("key")`` is a number), a single value a fact without arguments (``open()``). Tuples give several arguments.
"""

from __future__ import annotations

import hashlib
import inspect
import itertools
import json
import math
from asyncio import CancelledError
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, overload

from habilis.core import (
    Action,
    Atom,
    BudgetExceeded,
    Contract,
    DefinitionError,
    DuplicateNameError,
    Fact,
    Goal,
    GoalSyntaxError,
    InputError,
    Json,
    Observation,
    Outcome,
    Snapshot,
    Value,
    WorldError,
    WorldSpec,
)
from habilis.worlds._declare import Declared, Signature, check_name, read_signature
from habilis.worlds._observed import MOST_DIGITS, changes, declared, in_words, read_facts, said, shown

_MOST_AFFORDED = 200  # actions of one function; beyond it an even sample
_MOST_VALUE = 2000  # characters of a returned value that is not JSON
# What a function of the user's may raise and the agent goes on: sys.exit() is meant for a program of its own.
_RAISED = (Exception, SystemExit, GeneratorExit, CancelledError)

if TYPE_CHECKING:
    from habilis.worlds.gym import GymWorld

F = TypeVar("F", bound=Callable[..., Any])


class Unmet(Exception):
    """Raise in an action's function to say which conditions it lacks: ``raise Unmet("count('leaf') >= 1")``.

    Several texts, or one joined by ``and``. The action fails and answers these atoms.
    """

    def __init__(self, *conditions: str) -> None:
        super().__init__(*conditions)
        self.atoms: tuple[Atom, ...] = tuple(a for text in conditions for a in Goal.parse(text).atoms)


@overload
def action(function: F, /) -> F: ...
@overload
def action(
    *, requires: str = "", consumes: str = "", adds: str = "", deletes: str = "", side_effects: bool = False
) -> Callable[[F], F]: ...
def action(
    function: F | None = None,
    /,
    *,
    requires: str = "",
    consumes: str = "",
    adds: str = "",
    deletes: str = "",
    side_effects: bool = False,
) -> F | Callable[[F], F]:
    """Declare what a function requires and does, as goal text over its parameters (``{path}``, or ``$0`` by position).

    ``@action(requires="inside({name}, {source})", adds="inside({name}, {target})")``. An action whose ``requires`` or
    ``consumes`` does not hold is not called: it fails with the complete list of what is unmet. ``consumes`` and
    ``adds`` take amounts: ``count('leaf') >= 2`` uses up, or gives, two. ``side_effects``: it changes something outside
    the agent's own run, so approval is asked where the agent was given ``approve=``.

    Raises `DefinitionError` when a text does not parse or names an unknown parameter.
    """

    def declare(target: F) -> F:
        declared = Declared(requires, consumes, adds, deletes, side_effects)
        declared.check(read_signature(target))
        target.__habilis_action__ = declared  # type: ignore[attr-defined]
        return target

    return declare if function is None else declare(function)


def from_functions(
    functions: Sequence[Callable[..., Any]],
    *,
    observe: Callable[[], Mapping[str, Any]],
    name: str = "functions",
    doc: str = "",
    reset: Callable[..., Any] | None = None,
    clone: Callable[[], FunctionWorld] | None = None,
    contracts: Callable[[], Sequence[Contract]] | None = None,
    goals: Callable[[], Sequence[Goal | str]] | None = None,
    live: bool | None = None,
    reasons: bool = False,
    tags: Mapping[str, Iterable[str]] | None = None,
) -> FunctionWorld:
    """A world whose primitives are these functions; see `FunctionWorld` for the arguments."""
    return FunctionWorld(
        functions,
        observe=observe,
        name=name,
        doc=doc,
        reset=reset,
        clone=clone,
        contracts=contracts,
        goals=goals,
        live=live,
        reasons=reasons,
        tags=tags,
    )


class FunctionWorld:
    """A world of plain (or async) functions.

    Args:
        functions: each becomes a primitive: its name, type hints and docstring are what writers read.
        observe: what is the case now, as a mapping (see the module); called before and after every action.
        reset: puts everything back to a start; with a parameter it is handed the seed. Without it the world is live.
        clone: gives an independent `FunctionWorld` in the same state.
        contracts, goals: called for contracts and goals beyond those declared by `action`.
        live: real side effects, so skills are proven by watching alone. None: live unless ``reset`` is given.
        reasons: every failure is told in full, by ``requires`` or by raising `Unmet`.
        tags: names beginning with ``#`` for sets of interchangeable arguments.

    Raises `DefinitionError` naming the function for a missing hint, or the name that a program could not use or that
    an action and a predicate share, and `DuplicateNameError` for two functions of one name.
    A function that raises, or calls ``sys.exit()``, fails its action; only `BudgetExceeded` and KeyboardInterrupt pass
    through. Where observe, reset, clone, contracts or goals raises, that is a `WorldError`; where it gives what it
    should not, a `DefinitionError`.
    """

    def __init__(
        self,
        functions: Sequence[Callable[..., Any]],
        *,
        observe: Callable[[], Mapping[str, Any]],
        name: str = "functions",
        doc: str = "",
        reset: Callable[..., Any] | None = None,
        clone: Callable[[], FunctionWorld] | None = None,
        contracts: Callable[[], Sequence[Contract]] | None = None,
        goals: Callable[[], Sequence[Goal | str]] | None = None,
        live: bool | None = None,
        reasons: bool = False,
        tags: Mapping[str, Iterable[str]] | None = None,
    ) -> None:
        if not isinstance(name, str) or not name.strip():
            raise DefinitionError(f"a world's name is a text, not {shown(name)}; give name='…'")
        if not isinstance(doc, str):
            raise DefinitionError(f"doc= of the world {name!r} is a text, not {shown(doc)}")
        given = {"observe": observe, "reset": reset, "clone": clone, "contracts": contracts, "goals": goals}
        for what, function in given.items():
            if not callable(function) and (function is not None or what == "observe"):
                raise DefinitionError(f"{what}= of the world {name!r} is {shown(function)}; give a function")
        if not functions:
            raise DefinitionError(
                f"the world {name!r} has no functions: nothing could be done in it; give at least one"
            )
        self._signatures: dict[str, Signature] = {}
        for function in functions:
            signature = read_signature(function)
            if signature.name in self._signatures:
                owner = self._signatures[signature.name].function
                raise DuplicateNameError(
                    f"two functions of the world {name!r} are called {signature.name!r}: "
                    f"{_where(owner)} and {_where(function)}; rename one"
                )
            check_name("an action", signature.name, name)
            self._signatures[signature.name] = signature
        self._observe, self._reset, self._clone = observe, reset, clone
        self._contracts, self._goals = contracts, goals
        self._seeded = reset is not None and bool(inspect.signature(reset).parameters)
        told = contracts is not None or any(s.declared.tells for s in self._signatures.values())
        announced = {
            "affordances": True,
            "seed": reset is not None,
            "live": reset is None if live is None else live,
            "clone": clone is not None,
            "contracts": told,
            "goals": goals is not None,
            "reasons": reasons,
        }
        self.spec = WorldSpec(
            name=name,
            doc=doc or f"A world of the functions {', '.join(self._signatures)}.",
            primitives=tuple(s.primitive for s in self._signatures.values()),
            predicates=(),
            fingerprint=_fingerprint(name, self._signatures.values()),
            tags={tag: frozenset(members) for tag, members in (tags or {}).items()},
            capabilities=frozenset(capability for capability, holds in announced.items() if holds),
        )
        for signature in self._signatures.values():
            for atom in signature.declared.examples(signature):
                example: dict[Fact, Value] = {atom.fact: 0 if atom.is_numeric else True}
                self.spec = declared(self.spec, example, self._signatures, "observe")
        self.observe()

    def reset(self, seed: int) -> Observation:
        """Raises `WorldError` where the user's ``reset`` or ``observe`` did."""
        if self._reset is not None:
            self._ask("reset", self._reset, (seed,) if self._seeded else ())
        return self.observe()

    def observe(self) -> Observation:
        facts = self._facts()
        return Snapshot(facts=facts, tags=self.spec.tags, text=in_words(facts))

    def act(self, action: Action) -> Outcome:
        """Call the function. Raises `InputError` for an action that this world does not have."""
        signature = self._signatures.get(action.name)
        if signature is None:
            raise InputError(
                f"the world {self.spec.name!r} has no action {action.name!r}; it has {', '.join(self._signatures)}"
            )
        if any(isinstance(a, int) and abs(a) >= 10**MOST_DIGITS for a in action.args):
            return Outcome(False, message=f"an argument has more than {MOST_DIGITS} digits; that is the most")
        try:
            arguments = signature.arguments(action.args)
        except InputError as error:
            return Outcome(False, message=str(error))
        before = self.observe()
        unmet = tuple(a for a in signature.declared.needs(signature, action.args) if not before.holds(a))
        if unmet:
            return Outcome(False, unmet=unmet, message="needs " + ", ".join(map(str, unmet)))
        ok, message, value = True, "", None
        reasons: tuple[Atom, ...] | None = None
        try:
            value = _as_json(_call(signature.function, arguments))
        except BudgetExceeded:
            raise
        except Unmet as lacking:
            # functions often raise all they need; what held is no reason
            reasons = tuple(a for a in lacking.atoms if not before.holds(a)) or lacking.atoms
            ok, message = False, "needs " + ", ".join(map(str, reasons))
        except _RAISED as error:
            ok, message = False, said(error)
        return Outcome(ok, changes(before.facts, self._facts()), reasons, message, value)

    def affordances(self) -> Sequence[Action]:
        """Every function with the arguments that observed facts offer: those of the facts that ``requires`` names, else
        all of the right type; literals enumerate. At most 200 of one function, evenly drawn."""
        facts = {fact: value for fact, value in self._facts().items() if value}
        found: list[Action] = []
        for signature in self._signatures.values():
            pools = signature.pools(facts)
            if pools is None:
                continue
            size = math.prod(map(len, pools))
            if size <= _MOST_AFFORDED:
                found += [Action(signature.name, args) for args in itertools.product(*pools)]
                continue
            for i in range(_MOST_AFFORDED):
                index, args = i * size // _MOST_AFFORDED, []
                for pool in reversed(pools):
                    index, at = divmod(index, len(pool))
                    args.append(pool[at])
                found.append(Action(signature.name, tuple(reversed(args))))
        return sorted(found, key=str)

    def contracts(self) -> Sequence[Contract]:
        """What `action` declared, with ``$0``, ``$1``, … for the arguments, and what ``contracts`` adds."""
        given = self._listed("contracts", self._contracts)
        for one in given:
            if not isinstance(one, Contract):
                raise DefinitionError(f"contracts of the world {self.spec.name!r} gave {shown(one)}; give Contracts")
        told = []
        for name, signature in sorted(self._signatures.items()):
            primitive = self.spec.primitive(name)
            if signature.declared.tells and primitive is not None:
                lifted = Action(name, tuple(f"${i}" for i in range(len(primitive.parameters))))
                told.append(signature.declared.contract(signature, lifted, self.spec.fingerprint))
        return (*given, *told)

    def goals(self) -> Sequence[Goal]:
        found = []
        for one in self._listed("goals", self._goals):
            if not isinstance(one, (str, Goal)):
                raise DefinitionError(
                    f"goals of the world {self.spec.name!r} gave {shown(one)}; give goals as text, such as "
                    "\"count('stick') >= 4\""
                )
            try:
                found.append(Goal.parse(one) if isinstance(one, str) else one)
            except GoalSyntaxError as error:
                raise DefinitionError(f"goals of the world {self.spec.name!r}: {error}") from error
        return found

    def clone(self) -> FunctionWorld:
        """Raises `InputError` when the world was given no ``clone``, `WorldError` when that gave no world."""
        if self._clone is None:
            raise InputError(f"the world {self.spec.name!r} cannot be cloned; give from_functions a clone= function")
        made = self._ask("clone", self._clone)
        if not isinstance(made, FunctionWorld):
            raise WorldError(f"clone of the world {self.spec.name!r} gave {type(made).__name__}, not a world")
        return made

    def _ask(self, what: str, function: Callable[..., Any], arguments: Sequence[Any] = ()) -> Any:
        """Call one of the functions that the world was given besides its actions."""
        try:
            return _call(function, arguments)
        except BudgetExceeded:
            raise
        except _RAISED as error:
            raise WorldError(
                f"{what} of the world {self.spec.name!r} raised {said(error)}; call it by itself to see why"
            ) from error

    def _listed(self, what: str, function: Callable[[], Any] | None) -> list[Any]:
        """What such a function lists."""
        given = self._ask(what, function) if function is not None else ()
        if isinstance(given, (str, Mapping)) or not isinstance(given, Iterable):
            raise DefinitionError(f"{what} of the world {self.spec.name!r} gave {shown(given)}; give a list")
        listed: list[Any] = self._ask(what, lambda: list(given))
        return listed

    def _facts(self) -> dict[Fact, Value]:
        facts = read_facts(self._ask("observe", self._observe), "observe", self.spec.name)
        self.spec = declared(self.spec, facts, self._signatures, "observe")
        return facts


def _where(function: Callable[..., Any]) -> str:
    code = getattr(function, "__code__", None)
    return f"{code.co_filename}:{code.co_firstlineno}" if code is not None else repr(function)


def _fingerprint(name: str, signatures: Iterable[Signature]) -> str:
    digest = hashlib.sha256()
    for signature in sorted(signatures, key=lambda s: s.name):
        try:
            source = inspect.getsource(signature.function)
        except (OSError, TypeError):
            code = getattr(signature.function, "__code__", None)
            source = code.co_code.hex() if code is not None else repr(type(signature.function))
        digest.update(
            json.dumps([signature.name, source, repr(signature.primitive), signature.declared.texts]).encode()
        )
    return f"{name}-{digest.hexdigest()[:16]}"


def _call(function: Callable[..., Any], arguments: Sequence[Any]) -> Any:
    """Call it; what it awaits is run to the end."""
    result = function(*arguments)
    if not inspect.isawaitable(result):
        return result
    import asyncio
    import threading

    async def wait() -> Any:
        return await result

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(wait())
    # a loop runs in this thread already and must not be entered again
    box: list[Any] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            box.append(asyncio.run(wait()))
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run, name="habilis-async-action")
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return box[0]


def _as_json(value: Any) -> Json:
    try:
        return json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError, RecursionError):
        return shown(value, _MOST_VALUE)


__all__ = ["FunctionWorld", "Unmet", "World", "action", "from_functions"]


class World:
    """Where users begin: `World.from_functions` makes a world of plain functions, `World.from_gymnasium` of a Gymnasium
    environment.

    Any object with ``spec``, ``reset``, ``observe`` and ``act`` is a world too (`habilis.core.World`); nothing need be
    inherited.
    """

    from_functions = staticmethod(from_functions)

    @staticmethod
    def from_gymnasium(env: Any, **given: Any) -> GymWorld:
        """A world of a Gymnasium environment; see `habilis.worlds.gym.from_gymnasium` for the arguments."""
        from habilis.worlds.gym import from_gymnasium

        return from_gymnasium(env, **given)
