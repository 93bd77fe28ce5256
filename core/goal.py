"""Facts, atoms and goals: what can be true in a world, and what an agent wants to be true.

A *fact* is a predicate with its arguments, ``count("stick")``; a world's observation gives each fact a value, a number
or a truth value. An *atom* compares a fact with a value, ``count("stick") >= 4`` or ``near("furnace")``. A *goal* is a
conjunction of atoms, or a text that only a model can judge. All three are written as Python expressions, and
``str(x)`` reads back as ``x``.

An argument that begins with ``#`` names a *tag*, a set of arguments that the world declares as interchangeable:
``count("#planks")`` is the sum over all planks, and ``near("#bed")`` is true if any bed is near.
"""

from __future__ import annotations

import ast
import functools
import itertools
import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, NamedTuple

from habilis.core.errors import GoalSyntaxError, InputError
from habilis.core.image import Image

Value = bool | int | float
Term = str | int

_OPS: dict[str, Callable[[Any, Any], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
}
_AST_OPS: dict[type[ast.cmpop], str] = {
    ast.GtE: ">=",
    ast.LtE: "<=",
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Gt: ">",
    ast.Lt: "<",
}
_MAX_TEXT = 4000


class _AsText:
    """Lets pydantic read and write a class as its text."""

    @classmethod
    def parse(cls, text: str) -> Any:
        raise NotImplementedError  # abstract

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        from pydantic_core import core_schema

        def read(value: Any) -> Any:
            return value if isinstance(value, cls) else cls.parse(value)

        return core_schema.no_info_plain_validator_function(
            read, serialization=core_schema.plain_serializer_function_ser_schema(str)
        )


class Fact(NamedTuple):
    """A predicate with its arguments, such as ``count("stick")``."""

    predicate: str
    args: tuple[Term, ...] = ()

    def __str__(self) -> str:
        return f"{self.predicate}({', '.join(_quote(a) for a in self.args)})"

    @classmethod
    def parse(cls, text: str) -> Fact:
        """Read ``count("stick")``; raises `GoalSyntaxError`."""
        return _read_fact(text) if isinstance(text, str) else _fact(_expression(text), text)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        from pydantic_core import core_schema

        def read(value: Any) -> Fact:
            return value if isinstance(value, Fact) else Fact.parse(value)

        return core_schema.no_info_plain_validator_function(
            read, serialization=core_schema.plain_serializer_function_ser_schema(str)
        )


Facts = Mapping[Fact, Value]


@dataclass(frozen=True, slots=True, order=True)
class Atom(_AsText):
    """A fact compared with a value. ``near("furnace")`` stands for ``near("furnace") == True``."""

    fact: Fact
    op: str = "=="
    value: Value = True

    def __post_init__(self) -> None:
        if self.op not in _OPS:
            raise GoalSyntaxError(f"unknown comparison {self.op!r}; use one of {', '.join(_OPS)}")

    def __str__(self) -> str:
        if self.op == "==" and self.value is True:
            return str(self.fact)
        if self.op == "==" and self.value is False:
            return f"not {self.fact}"
        return f"{self.fact} {self.op} {self.value!r}"

    @property
    def is_numeric(self) -> bool:
        return not isinstance(self.value, bool)

    def holds_for(self, value: Value | None) -> bool:
        """Whether a fact with this value satisfies the atom; a fact that was not observed counts as 0 or false."""
        if value is None:
            value = 0 if self.is_numeric else False
        return bool(_OPS[self.op](value, self.value))

    @classmethod
    def parse(cls, text: str) -> Atom:
        """Read one atom; raises `GoalSyntaxError`."""
        goal = Goal.parse(text)
        if len(goal.atoms) != 1 or goal.judged is not None:
            raise GoalSyntaxError(f"expected one atom, got {text!r}")
        return goal.atoms[0]


@dataclass(frozen=True, slots=True)
class Goal(_AsText):
    """A conjunction of atoms, or (``judged``) a text that only a model can judge. The empty one is written ``True``."""

    atoms: tuple[Atom, ...] = ()
    judged: str | None = None

    def __str__(self) -> str:
        if self.judged is not None:
            return f"Judged({_quote(self.judged)})"
        return " and ".join(str(a) for a in self.atoms) or "True"

    def unmet(self, snapshot: Snapshot) -> tuple[Atom, ...]:
        """The atoms that do not hold in this snapshot."""
        return tuple(a for a in self.atoms if not snapshot.holds(a))

    def implies(self, other: Goal, tags: Mapping[str, frozenset[str]] | None = None) -> bool:
        """Whether whatever satisfies this goal satisfies the other.

        A member of a tag counts for the tag where more of it can only help. A judged text implies itself alone.
        """
        if self.judged is not None or other.judged is not None:
            return self == other
        return all(any(_implied(a, found) for found in self._about(a, tags or {})) for a in other.atoms)

    def _about(self, atom: Atom, tags: Mapping[str, frozenset[str]]) -> list[list[Atom]]:
        """The atoms about the same fact as this one, or about one that counts for it."""
        found: dict[Fact, list[Atom]] = {}
        for mine in self.atoms:
            if mine.fact == atom.fact or (_rises(atom) and _counts_for(mine.fact, atom.fact, tags)):
                found.setdefault(mine.fact, []).append(mine)
        return list(found.values())

    @classmethod
    def of(cls, *atoms: Atom | str) -> Goal:
        return cls(tuple(a if isinstance(a, Atom) else Atom.parse(a) for a in atoms))

    @classmethod
    def parse(cls, text: str) -> Goal:
        """Read ``count("stick") >= 4 and near("furnace")`` or ``Judged("…")``.

        Raises `GoalSyntaxError`, which shows the form that is understood.
        """
        body = _expression(text)
        if isinstance(body, ast.Call) and isinstance(body.func, ast.Name) and body.func.id == "Judged":
            only = body.args[0] if len(body.args) == 1 and not body.keywords else None
            if isinstance(only, ast.Constant) and isinstance(only.value, str):
                return cls(judged=only.value)
            raise _bad(text)
        if isinstance(body, ast.Constant) and body.value is True:
            return cls()
        parts = body.values if isinstance(body, ast.BoolOp) and isinstance(body.op, ast.And) else [body]
        return cls(tuple(_atom(p, text) for p in parts))


def judged(text: str) -> Goal:
    """A goal that only a model can judge."""
    return Goal(judged=text)


@dataclass(frozen=True)
class Snapshot:
    """What was observed at one moment: the value of each fact, and the tags that group arguments.

    Facts that are not listed are 0 or false. ``text`` describes the same in words, ``images`` shows it.
    """

    facts: Facts = field(default_factory=dict)
    tags: Mapping[str, frozenset[str]] = field(default_factory=dict)
    text: str = ""
    images: tuple[Image, ...] = ()

    def value(self, fact: Fact) -> Value | None:
        """The value of a fact, summed (numbers) or any-ed (truth values) over the members of a tag."""
        tagged = next((i for i, a in enumerate(fact.args) if isinstance(a, str) and a.startswith("#")), None)
        if tagged is None:
            return self.facts.get(fact)
        total: Value | None = None
        args = fact.args
        for member in sorted(self.tags.get(str(args[tagged]), ())):
            value = self.value(Fact(fact.predicate, (*args[:tagged], member, *args[tagged + 1 :])))
            if value is None:
                continue
            if isinstance(value, bool):
                total = bool(total) or value
            else:
                total = value if total is None else total + value
        return total

    def holds(self, atom: Atom) -> bool:
        return atom.holds_for(self.value(atom.fact))


def _implied(atom: Atom, by: list[Atom]) -> bool:
    """Whether a fact that satisfies all of these atoms satisfies this one: tried wherever one of them can change."""
    ends = sorted({Fraction(a.value) for a in (atom, *by)})
    between = [(a + b) / 2 for a, b in itertools.pairwise(ends)]
    tried: list[Any] = [ends[0] - 1, *ends, *between, ends[-1] + 1]
    if not all(a.is_numeric for a in (atom, *by)):
        tried = [False, True]
    return all(atom.holds_for(v) for v in tried if all(a.holds_for(v) for a in by))


def _rises(atom: Atom) -> bool:
    """Whether more of the fact can only help."""
    return atom.op in (">=", ">") if atom.is_numeric else (atom.op, atom.value) in (("==", True), ("!=", False))


def _counts_for(fact: Fact, tagged: Fact, tags: Mapping[str, frozenset[str]]) -> bool:
    if fact.predicate != tagged.predicate or len(fact.args) != len(tagged.args):
        return False
    pairs = zip(fact.args, tagged.args, strict=True)
    return all(a == b or (isinstance(b, str) and b.startswith("#") and a in tags.get(b, ())) for a, b in pairs)


def _quote(term: Term) -> str:
    if not isinstance(term, str):
        try:
            return repr(term)
        except ValueError:  # Python writes no longer ones
            raise InputError("a number in a fact or an action has too many digits; give it as a text") from None
    text = term.replace("\\", "\\\\").replace('"', '\\"')
    if not text.isprintable():  # written out, so that it can be shown anywhere, and read back
        text = "".join(c if c.isprintable() else _escape(c) for c in text)
    return f'"{text}"'


def _escape(character: str) -> str:
    known = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(character)
    return known or character.encode("unicode_escape").decode()


def _bad(text: str) -> GoalSyntaxError:
    return GoalSyntaxError(
        f"cannot read the goal {text[:200]!r}; write atoms joined by 'and', "
        'such as: count("stick") >= 4 and near("furnace") and not lit("lamp")'
    )


def _expression(text: str) -> ast.expr:
    if not isinstance(text, str) or len(text) > _MAX_TEXT:
        raise GoalSyntaxError(f"a goal is a text of at most {_MAX_TEXT} characters")
    try:
        return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise _bad(text) from None


def _constant(node: ast.expr, text: str) -> Any:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        value = _constant(node.operand, text)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return -value
    if isinstance(node, ast.Constant) and isinstance(node.value, (str, int, float, bool)) and node.value != math.inf:
        return node.value
    raise _bad(text)


@functools.lru_cache(maxsize=65_536)
def _read_fact(text: str) -> Fact:
    """The same few thousand stand in a journal over and over."""
    return _fact(_expression(text), text)


def _fact(node: ast.expr, text: str) -> Fact:
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords):
        raise _bad(text)
    if node.func.id == "Judged":  # it stands alone: no world could tell whether it holds
        raise _bad(text)
    args = tuple(_constant(a, text) for a in node.args)
    if not all(isinstance(a, (str, int)) and not isinstance(a, bool) for a in args):
        raise _bad(text)
    return Fact(node.func.id, args)


def _atom(node: ast.expr, text: str) -> Atom:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return Atom(_fact(node.operand, text), "==", False)
    if isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in _AST_OPS:
        value = _constant(node.comparators[0], text)
        if isinstance(value, str):
            raise _bad(text)
        return Atom(_fact(node.left, text), _AST_OPS[type(node.ops[0])], value)
    return Atom(_fact(node, text))
