"""What the agent acts in: the protocol that every world satisfies, and the records it answers with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

from habilis.core.goal import Atom, Fact, Goal, Snapshot, Term, Value

if TYPE_CHECKING:
    from habilis.core.contract import Contract

Json = Any  # JSON: None, bool, int, float, str, lists and string-keyed dicts of the same

Observation = Snapshot


class Action(NamedTuple):
    """A primitive with its arguments, such as ``craft("stick")``."""

    name: str
    args: tuple[Term, ...] = ()

    def __str__(self) -> str:
        return str(Fact(self.name, self.args))

    @classmethod
    def parse(cls, text: str) -> Action:
        """Read ``craft("stick")``; raises `GoalSyntaxError`."""
        return cls(*Fact.parse(text))

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        from pydantic_core import core_schema

        def read(value: Any) -> Action:
            return value if isinstance(value, Action) else Action.parse(value)

        return core_schema.no_info_plain_validator_function(
            read, serialization=core_schema.plain_serializer_function_ser_schema(str)
        )


class Change(NamedTuple):
    """A fact whose observed value changed. An absent fact is 0 or false."""

    fact: Fact
    before: Value
    after: Value


class Preempted(NamedTuple):
    """What came between: a reflex by its name, and the world steps that it took."""

    by: str
    steps: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an action did, as the world recorded it.

    ``unmet`` is the *complete* list of conditions that the action lacked, or None where the world gives no reasons.
    ``value`` is what a user's function returned, or which target a seeking primitive reached. ``steps`` is the number
    of world steps it took (a primitive such as ``find`` takes many). ``done`` says that the world has ended.
    ``preempted``: a reflex ran in its place (or before it was through); it was not done, which is no failure of its.
    """

    ok: bool
    changes: tuple[Change, ...] = ()
    unmet: tuple[Atom, ...] | None = None
    message: str = ""
    value: Json = None
    steps: int = 1
    done: bool = False
    preempted: Preempted | None = None

    @property
    def status(self) -> str:
        """One of "done", "preempted", "dead" (the world ended before it was done) or "failed"."""
        if self.preempted is not None:
            return "preempted"
        return "done" if self.ok else "dead" if self.done else "failed"


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a primitive, a skill or a tool. ``type``: "str", "int", "float", "bool" or "json".

    Its range: ``low`` to ``high`` (numbers); or one of ``choices``, which are members of ``tag`` where that is named.
    """

    name: str
    type: str = "str"
    default: Json = None
    required: bool = True
    doc: str = ""
    choices: tuple[Json, ...] = ()
    tag: str = ""
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Primitive:
    """One thing a program can do in a world.

    ``seeks`` names a predicate that the primitive tries to make true for its first argument by looking and moving
    alone, such as ``find`` for ``here`` or ``go_near`` for ``near``; such a primitive changes nothing else. Its later
    parameters may be named after *context* predicates and tell where to look. ``variadic``: the last parameter may be
    repeated (alternatives; the outcome's value says which was reached). ``max_steps``: world steps that one call takes
    at most. ``stops`` names a predicate of one argument, where a seeking primitive that finds something in its way
    stops before it and fails: it then holds of what is in the way. ``side_effects``: it changes something outside the
    agent's own run, so ``approve=`` is asked.
    """

    name: str
    doc: str
    parameters: tuple[Parameter, ...] = ()
    seeks: str | None = None
    variadic: bool = False
    max_steps: int = 1
    side_effects: bool = False
    stops: str | None = None


@dataclass(frozen=True, slots=True)
class Predicate:
    """A predicate of a world. ``phrase`` says it in words, with {0}, {1}, … and {value}: "have {value} {0}".

    ``context``: it tells about the situation (depth, biome), and is kept with contracts as a hint where to act.
    ``place``: it tells where its first argument is, in words: "on {1}", "in your hands". Of several that hold of a
    thing, the one that comes first in the spec tells it best. ``fleeting``: it comes and goes whatever the agent does
    (creatures in view), and is taken neither for what an action does nor for what it needs. ``past``: it tells of what
    was done in this life, and stays so: an action may bring it about, and none needs it.
    """

    name: str
    doc: str
    parameters: tuple[Parameter, ...] = ()
    numeric: bool = False
    phrase: str = ""
    context: bool = False
    place: str = ""
    fleeting: bool = False
    past: bool = False


@dataclass(frozen=True)
class WorldSpec:
    """What a world offers. ``fingerprint`` changes whenever the rules do; skills and contracts carry it.

    ``capabilities`` is a subset of: "seed" (reset takes a seed and repeats itself), "clone", "simulator",
    "checkpoint", "portable" (programs may run beside a copy of it), "affordances", "goals", "reasons" (failures list
    all unmet atoms), "contracts" (declares them), "chores" (goals that people have a name for), "questions",
    "orders" (goals whose arguments differ from world to world: it poses one of the same kind anywhere), "forms" (of
    commands, for search), "recipes" (a document per thing can be bought), "live" (real side effects: verified only by
    watching), "images" (observations carry pictures), "ends" (a life in it comes to an end, and another begins with a
    reset), "missions" (each life has one goal, which it gives: the agent begins another life for each task),
    "practice" (its simulator imagines true copies: nothing found so is reported on it). Some are for training alone,
    and absent where a result is reported (`habilis.worlds.evaluation`).
    """

    name: str
    doc: str
    primitives: tuple[Primitive, ...]
    predicates: tuple[Predicate, ...]
    fingerprint: str
    tags: Mapping[str, frozenset[str]] = field(default_factory=dict)
    capabilities: frozenset[str] = frozenset()

    def primitive(self, name: str) -> Primitive | None:
        return next((p for p in self.primitives if p.name == name), None)

    def predicate(self, name: str) -> Predicate | None:
        return next((p for p in self.predicates if p.name == name), None)

    @cached_property
    def seeking(self) -> frozenset[str]:
        """The names of the primitives that look for something."""
        return frozenset(p.name for p in self.primitives if p.seeks)

    @cached_property
    def past(self) -> frozenset[str]:
        """The names of the predicates that tell of what was done."""
        return frozenset(p.name for p in self.predicates if p.past)

    @cached_property
    def sought(self) -> frozenset[str]:
        """The names of the predicates that some primitive looks for."""
        return frozenset(p.seeks for p in self.primitives if p.seeks)

    @cached_property
    def unneeded(self) -> frozenset[str]:
        """The names of the predicates that no action needs: those that tell of the past, and those that tell what a
        primitive stopped before, where none looks for it."""
        stops = {p.stops for p in self.primitives if p.stops} - self.sought
        return self.past | stops

    @cached_property
    def contexts(self) -> frozenset[str]:
        """The names of the context predicates."""
        return frozenset(p.name for p in self.predicates if p.context)

    @cached_property
    def fleeting(self) -> frozenset[str]:
        """The names of the predicates that come and go whatever the agent does."""
        return frozenset(p.name for p in self.predicates if p.fleeting)

    @cached_property
    def places(self) -> Mapping[str, str]:
        """The predicates that tell where a thing is, with their words, in the order of the spec."""
        return {p.name: p.place for p in self.predicates if p.place}

    @cached_property
    def passing(self) -> frozenset[str]:
        """The predicates that pass as the agent moves on: what is in reach, where it stands, what comes and goes."""
        return self.sought | self.contexts | self.fleeting

    def present(self, fact: Fact) -> Atom:
        """The atom that asks for a fact: at least 1 where its predicate is a number, else that it is true."""
        predicate = self.predicate(fact.predicate)
        return Atom(fact, ">=", 1) if predicate is not None and predicate.numeric else Atom(fact)


@runtime_checkable
class World(Protocol):
    """The required part. Capabilities in ``spec`` announce the optional protocols below."""

    spec: WorldSpec

    def reset(self, seed: int) -> Observation: ...
    def observe(self) -> Observation: ...
    def act(self, action: Action) -> Outcome: ...


@runtime_checkable
class Cloneable(World, Protocol):
    """``clone``: an independent copy; acting on one never shows in the other."""

    def clone(self) -> Cloneable: ...


@runtime_checkable
class Checkpointed(World, Protocol):
    """``checkpoint``: the whole state as JSON, and back."""

    def save(self) -> Json: ...
    def load(self, state: Json) -> None: ...


@runtime_checkable
class Portable(Checkpointed, Protocol):
    """``portable``: nothing of its state is secret, and it can be made again elsewhere.

    Programs then run beside a copy, and the host repeats in the world what they did in the copy: faster by far, and as
    sound. A world that hides anything from the agent must not announce this: a program can read all of the copy.
    """

    def maker(self) -> tuple[str, Mapping[str, Json]]:
        """What makes such a world anywhere: "module:name" and keyword arguments as JSON; ``load`` does the rest."""
        ...


@runtime_checkable
class Affording(World, Protocol):
    """``affordances``: what is worth trying now, judged by what was observed alone."""

    def affordances(self) -> Sequence[Action]: ...


@runtime_checkable
class Declaring(World, Protocol):
    """``contracts``: what the world declares of its rules at this moment, judged by what was observed alone.

    A contract may be declared in part (effects without conditions); what is missing is induced.
    """

    def contracts(self) -> Sequence[Contract]: ...


@runtime_checkable
class GoalGiving(World, Protocol):
    """``goals``: what may be wanted here, judged by what was observed alone."""

    def goals(self) -> Sequence[Goal]: ...


@runtime_checkable
class HavingChores(World, Protocol):
    """``chores``: goals that people have a name for, "set the table", each in the words of a command.

    They are the same in every world of this kind, and name only what is in each of them.
    """

    def chores(self) -> Mapping[str, Goal]: ...


@dataclass(frozen=True, slots=True)
class Question:
    """A question about a life in a world, and its true answer. ``family``: what sort of question; ``told``: what the
    wordings of the family leave open; ``about``: the task or thing that it belongs to, "" where it belongs to none."""

    family: str
    told: Mapping[str, str]
    answer: str
    about: str = ""


@runtime_checkable
class Interruptible(World, Protocol):
    """A world whose primitives that take many steps can be broken off between two of them."""

    def watch(self, due: Callable[[Snapshot], bool] | None) -> None:
        """From now on ask ``due`` after each step of such a primitive, and break off where it says True. None: no
        more."""
        ...


@runtime_checkable
class Asking(World, Protocol):
    """``questions``: what only who holds the world can ask about a life in it, such as what somebody else was about.

    The world begins at ``seed`` and the actions are taken anew. For building a corpus from fresh worlds that are then
    thrown away: the answers hold what no program may see.
    """

    def questions(self, seed: int, actions: Sequence[Action]) -> Sequence[Question]: ...


@runtime_checkable
class Ending(World, Protocol):
    """``ends``: it may come to an end, after which nothing can be done: the agent begins anew with its next task."""

    def ended(self) -> str:
        """Why it has ended, in words; "" while it goes on."""
        ...


@runtime_checkable
class Posing(World, Protocol):
    """``orders``: goals that name what is in this world alone, such as its files. A skill for one takes those names as
    parameters, and is proven with other names in each fresh world."""

    def pose(self, like: Goal, seed: int) -> Goal | None:
        """Begin anew, from the seed, where a goal like this one can be asked for: that goal, with the arguments that it
        has here. None (and nothing has changed) where the world has no such goals."""
        ...


@dataclass(frozen=True, slots=True)
class CommandForm:
    """One way to write a part of a command: ``grep -F -- {word}``.

    ``role``: "source" (prints what is in files), "filter" (reads lines and prints lines), "sink" (writes what it reads
    to a file), "select" (prints paths, one a line), "deed" (does something to the file in ``{path}``), or "whole" (a
    command by itself). ``{name}`` is a hole for a text or a number that the goal names.
    """

    role: str
    text: str


@runtime_checkable
class HavingForms(World, Protocol):
    """``forms``: parts of commands that search puts together. Its primitive ``run`` takes a command, and texts for
    "$1", "$2", … in it; ``lines`` the same, and its value is the list of the lines printed."""

    def forms(self) -> Sequence[CommandForm]: ...


@runtime_checkable
class Simulator(Protocol):
    """A belief: what search and planning use. It holds nothing that was not observed."""

    def imagine(self, seed: int) -> Cloneable:
        """A world that agrees with all that was observed so far, the rest resampled from the seed."""
        ...


@runtime_checkable
class Imaginable(World, Protocol):
    """``simulator``: the belief about this world as it now stands."""

    def simulator(self) -> Simulator: ...
