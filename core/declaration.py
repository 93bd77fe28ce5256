"""Contracts as people declare them: goal text over the parameters of a function, for an action or a tool."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from habilis.core.contract import Condition, Contract, Effect
from habilis.core.errors import DefinitionError, GoalSyntaxError
from habilis.core.goal import Atom, Fact, Goal
from habilis.core.world import Action

# a quoted text, $0, or {name}
_TOKEN = re.compile(r"\"[^\"]*\"|'[^']*'|\$\d+|\{\w+\}")
_INSIDE = re.compile(r"\$\d+|\{\w+\}")


@dataclass(frozen=True)
class Declaration:
    """What a function needs and does, as goal text with ``{parameter}`` or ``$0`` in place of values.

    ``requires`` must hold; ``consumes`` must hold and is used up; ``adds`` becomes true, or more; ``deletes`` becomes
    false, or less. ``count('leaf') >= 2`` uses up, or gives, two.
    """

    requires: str = ""
    consumes: str = ""
    adds: str = ""
    deletes: str = ""

    @property
    def texts(self) -> tuple[str, str, str, str]:
        return self.requires, self.consumes, self.adds, self.deletes

    @property
    def tells(self) -> bool:
        return any(self.texts)

    def contract_of(
        self, who: str, names: Sequence[str], action: Action, fingerprint: str, values: Sequence[Any]
    ) -> Contract:
        """The contract for these values of the parameters. Raises `DefinitionError` naming ``who``."""
        conditions = [Condition(a, known=True) for a in declared_atoms(self.requires, who, names, values)]
        for atom in declared_atoms(self.consumes, who, names, values):
            conditions.append(Condition(atom, consumed=float(atom.value) if atom.is_numeric else 0.0, known=True))
        effects = [_effect(a, 1) for a in declared_atoms(self.adds, who, names, values)]
        effects += [_effect(a, -1) for a in declared_atoms(self.deletes, who, names, values)]
        return Contract(action, fingerprint, tuple(conditions), tuple(effects), source="declared")


def declared_atoms(template: str, who: str, names: Sequence[str], values: Sequence[Any]) -> tuple[Atom, ...]:
    """The atoms of a declared text, with the ``values`` of the parameters ``names`` filled in.

    Raises `DefinitionError` naming ``who`` declared it, and what is wrong.
    """
    if not template:
        return ()

    def value_of(mark: str) -> Any:
        index = int(mark[1:]) if mark[0] == "$" else names.index(mark[1:-1]) if mark[1:-1] in names else -1
        if not 0 <= index < len(values):
            known = ", ".join(f"{{{n}}}" for n in names) or "none"
            raise DefinitionError(f"{who}: {template!r} names {mark}, but the parameters are {known}")
        return values[index]

    def put(match: re.Match[str]) -> str:
        token = match[0]
        if token[0] in "\"'":
            return _quoted(_INSIDE.sub(lambda m: str(value_of(m[0])), token[1:-1]))
        value = value_of(token)
        return repr(value) if isinstance(value, (int, float)) else _quoted(str(value))

    try:
        return Goal.parse(_TOKEN.sub(put, template)).atoms
    except GoalSyntaxError as error:
        raise DefinitionError(f"{who}: the declared {template!r} is no goal text: {error}") from error


def _quoted(text: str) -> str:
    return str(Fact("x", (text,)))[2:-1]


def _effect(atom: Atom, sign: int) -> Effect:
    if atom.is_numeric:
        return Effect(atom.fact, amount=sign * float(atom.value))
    return Effect(atom.fact, value=(sign > 0) == bool(atom.value))
