"""Which skills of one world may serve in another: those that use nothing that is not there too, and alike."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping

from habilis.core import (
    Atom,
    Fact,
    Goal,
    GoalSyntaxError,
    InputError,
    Json,
    Skill,
    fitted,
)
from habilis.memory.interfaces import Interface
from habilis.memory.library._programs import tree_of

__all__ = ["lacking", "meets", "used"]

_HOLE = re.compile(r"\{\w+\}")
_LOOKS = frozenset({"observe", "tags"})  # what every world has
_BY_TEXT = frozenset({"facts", "steps"})  # what is told by its text what it is about


def used(skill: Skill) -> frozenset[str] | None:
    """The actions, predicates and tags that a skill's program, goal and contract name; None where a program does more
    with its world than name them, so that nobody can tell."""
    found = _named(skill.program.source)
    if found is None:
        return None
    texts = [skill.goal_template, *(c.fact for c in skill.contract)]
    for need in (skill.needs, *(case.needs for case in skill.cases)):
        texts += need
    for text in texts:
        try:
            goal = Goal.parse(_HOLE.sub("1", text))
        except GoalSyntaxError:
            return None
        for atom in goal.atoms:
            found |= {atom.fact.predicate, *(a for a in atom.fact.args if isinstance(a, str) and a.startswith("#"))}
    return frozenset(found)


def lacking(skill: Skill, there: Interface, here: Interface) -> tuple[str, ...] | None:
    """What a skill of the world ``there`` uses and the world ``here`` has not, or with another signature; none: it is
    *general* for this world. None where that cannot be told."""
    names = used(skill)
    return None if names is None else tuple(sorted(n for n in names if n not in there or here.get(n) != there[n]))


def meets(skill: Skill, atom: Atom) -> int:
    """How a skill may bring an atom about: 2, it is its goal; 1, its runs were seen to; 0, in no way that is known."""
    wanted = Goal((atom,))
    args = fitted(skill.goal_template, wanted, skill.program.parameters)
    if args is not None and _proven_for(skill, args):
        return 2
    rises = _rises(atom)
    seen = 0
    for case in skill.settings:
        values = {"n": 1, **{p.name: p.default for p in skill.program.parameters if not p.required}, **case.args}
        try:
            goal = skill.goal_for(values)
        except (GoalSyntaxError, InputError):
            continue
        if any(a.fact == atom.fact and _rises(a) == rises for a in goal.atoms):
            return 2
        if rises is not None and _told(skill, values, atom.fact, rises):
            seen = 1
    return seen


def _proven_for(skill: Skill, args: Mapping[str, Json]) -> bool:
    """Whether its choices may be these."""
    chosen = {p.name: args[p.name] for p in skill.program.parameters if p.choices and p.name in args}
    if skill.cases:
        return any(chosen.items() <= dict(case.args).items() for case in skill.cases)
    return all(args[p.name] in p.choices for p in skill.program.parameters if p.name in chosen)


def _told(skill: Skill, values: Mapping[str, Json], fact: Fact, rises: bool) -> bool:
    """Whether its contract says that this fact rises or becomes true (falls, becomes false)."""
    for clause in skill.contract:
        if clause.kind not in (("adds",) if rises else ("consumes", "deletes")):
            continue
        told = _HOLE.sub(lambda hole: str(values.get(hole[0][1:-1], hole[0])), clause.fact)
        if told == str(fact):
            return True
    return False


def _rises(atom: Atom) -> bool | None:
    """Whether more of the fact satisfies the atom, or that it is true; None where neither way is enough."""
    if isinstance(atom.value, bool):
        return atom.value if atom.op == "==" else (not atom.value if atom.op == "!=" else None)
    return {">=": True, ">": True, "<=": False, "<": False}.get(atom.op)


def _named(source: str) -> set[str] | None:
    """The names that a program takes of ``world``, and the tags in its texts."""
    try:
        tree = tree_of(source)
    except InputError:
        return None
    found: set[str] = set()
    plain: set[int] = set()  # uses of ``world`` that tell what is used
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("#"):
            found.add(node.value)
        elif isinstance(node, ast.Call) and _of_world(node.func) in _BY_TEXT:
            names = _asked(node)
            if names is None:
                return None
            found |= names
            plain.add(id(node.func.value))  # type: ignore[attr-defined]
        elif isinstance(node, ast.Attribute) and (name := _of_world(node)) is not None and name not in _BY_TEXT:
            found |= {name} - _LOOKS
            plain.add(id(node.value))
    anyhow = any(isinstance(n, ast.Name) and n.id == "world" and id(n) not in plain for n in ast.walk(tree))
    return None if anyhow else found


def _of_world(node: ast.expr) -> str | None:
    """The name that is taken of ``world``."""
    own = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "world"
    return node.attr if own and isinstance(node, ast.Attribute) else None


def _asked(call: ast.Call) -> set[str] | None:
    """The predicate of ``world.facts("…")``, the actions of ``world.steps([("…", …), …])``, where they stand there."""
    first = call.args[0] if len(call.args) == 1 and not call.keywords else None
    if first is None:
        return None
    asked: list[ast.expr | None] = [first]
    if _of_world(call.func) == "steps":
        asked = [*first.elts] if isinstance(first, (ast.List, ast.Tuple)) else [None]
    names = set()
    for node in asked:
        head = node.elts[0] if isinstance(node, (ast.Tuple, ast.List)) and node.elts else node
        if not isinstance(head, ast.Constant) or not isinstance(head.value, str):
            return None
        names.add(head.value)
    return names
