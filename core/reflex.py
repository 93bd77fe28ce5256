"""Reflexes: small programs that run beside another one when something is so, such as a zombie at one's side.

    from habilis import reflex

    @reflex('beside("zombie")', priority=3)
    def danger() -> None:
        world.do("zombie")

A reflex is a skill with a trigger: it acts through ``world`` as any program does, confined as any program is. Where it
runs is `habilis.worlds.reflexive`.
"""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import FunctionType

from habilis.core.errors import DefinitionError, DuplicateNameError, GoalSyntaxError, InputError
from habilis.core.goal import Goal, Snapshot
from habilis.core.program import Program
from habilis.core.user_code import load_user_code

MOST_GIVEN = 4
MOST_LINES = 20


@dataclass(frozen=True)
class Reflex:
    """A program that may pre-empt another.

    Args:
        name: by which an outcome says what has pre-empted it.
        program: what runs; it takes no arguments.
        triggers: goals; it is due where one of them holds.
        priority: of several that are due the one with the highest runs; of equal ones, the first by name.
        mask: names of actions that it never pre-empts.
        steps: world steps that it may take at once, at most.
        rest: world steps for which it is not due again after it took none, failed, or left its trigger as it was.
        skills: programs that it may call.
        origin: "given" or "learned".
    """

    name: str
    program: Program
    triggers: tuple[Goal, ...]
    priority: int = 0
    mask: frozenset[str] = frozenset()
    steps: int = 60
    rest: int = 25
    skills: Mapping[str, Program] = field(default_factory=dict)
    origin: str = "given"

    def __post_init__(self) -> None:
        """Raises `DefinitionError` naming the reflex and what is wrong."""
        if not self.triggers or any(not goal.atoms for goal in self.triggers):
            raise DefinitionError(
                f"the reflex {self.name!r} needs a trigger that can be seen, such as 'drink() <= 3'; a goal that only "
                "a model can judge is none"
            )
        for what, value in (("steps", self.steps), ("rest", self.rest)):
            if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 10_000:
                raise DefinitionError(f"{what}= of the reflex {self.name!r} is 1 to 10,000 world steps, not {value!r}")

    @property
    def lines(self) -> int:
        """Lines of its program that are not empty."""
        return sum(bool(line.strip()) for line in self.program.source.splitlines())

    def due(self, now: Snapshot) -> bool:
        """Whether one of its triggers holds."""
        return any(not goal.unmet(now) for goal in self.triggers)


def reflex(
    *triggers: str, priority: int = 0, mask: Iterable[str] = (), steps: int = 60, rest: int = 25
) -> Callable[[Callable[[], object]], Reflex]:
    """Make a reflex of a function without parameters: it runs where one of ``triggers`` (goals as text) holds.

    The function is taken as text and sees ``world`` as every program does, and nothing else of the file it stands in.
    Raises `DefinitionError` naming the function.
    """

    def make(function: Callable[[], object]) -> Reflex:
        name = getattr(function, "__name__", type(function).__name__)
        if not isinstance(function, FunctionType) or not name.isidentifier():
            raise DefinitionError(f"@reflex is put before a function with a name, not {name}")
        if inspect.signature(function).parameters:
            raise DefinitionError(f"the reflex {name!r} has parameters; it is called without any: leave them out")
        try:
            goals = tuple(Goal.parse(text) for text in triggers)
            source = textwrap.dedent(inspect.getsource(function))
        except GoalSyntaxError as error:
            raise DefinitionError(f"a trigger of the reflex {name!r} is no goal: {error}") from error
        except (OSError, TypeError) as error:
            raise DefinitionError(
                f"the text of the reflex {name!r} cannot be read: {error}; put it in a file"
            ) from error
        body = source[source.index(f"def {name}") :]
        return Reflex(name, Program(name, body, writer="given"), goals, priority, frozenset(mask), steps, rest)

    return make


def load_reflexes(place: str) -> tuple[Reflex, ...]:
    """All reflexes of a file (``path/to/file.py``) or module, sorted by name. Raises `NotFoundError`, `InputError`."""
    if not place.endswith(".py") and not all(part.isidentifier() for part in place.split(".")):
        raise InputError(f"{place!r} names no reflexes; write path/to/file.py, or the name of a module")
    module = load_user_code(place, "its reflexes")
    found = {one.name: one for one in vars(module).values() if isinstance(one, Reflex)}
    if not found:
        raise InputError(f"{place} has no reflexes; put @reflex('drink() <= 3') before a function in it")
    return tuple(found[name] for name in sorted(found))


def check_given(reflexes: Sequence[Reflex]) -> None:
    """What is given stays small, so that what an agent can do is its own: at most four, of 20 lines each.

    Raises `DuplicateNameError`, `InputError`.
    """
    names = [one.name for one in reflexes]
    twice = next((n for n in names if names.count(n) > 1), None)
    if twice is not None:
        raise DuplicateNameError(f"two reflexes are called {twice!r}; rename one")
    if len(reflexes) > MOST_GIVEN:
        raise InputError(f"{len(reflexes)} reflexes are given; {MOST_GIVEN} are the most: leave out some")
    for one in reflexes:
        if one.lines > MOST_LINES:
            raise InputError(
                f"the reflex {one.name!r} has {one.lines} lines; {MOST_LINES} are the most: make it shorter"
            )
