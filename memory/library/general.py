"""Which skills of one world may serve in another: those that use nothing that is not there too, and alike.

What a world offers to programs is its *interface*: every action and predicate by name, with its typed signature, and
every tag. A home keeps the interface of each world that was lived in, so that a skill can be held against it where its
own world is not at hand. What is alike by signature may still do something else: nothing is concluded from it but that
it is worth a proof.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping

from habilis.core import (
    Atom,
    Fact,
    Goal,
    GoalSyntaxError,
    InputError,
    JournalError,
    Json,
    Parameter,
    Skill,
    WorldSpec,
    fitted,
)
from habilis.memory.journal import Journal
from habilis.memory.library._programs import tree_of

__all__ = ["Interface", "interface_of", "interfaces", "lacking", "meets", "remember_interface", "used"]

Interface = Mapping[str, str]  # a name, and its signature as text

_KIND = "interface"  # of the journal's documents, by the world's fingerprint
_VERSION = 1
_HOLE = re.compile(r"\{\w+\}")
_LOOKS = frozenset({"observe", "tags"})  # what every world has
_BY_TEXT = frozenset({"facts", "steps"})  # what is told by its text what it is about


def interface_of(spec: WorldSpec) -> dict[str, str]:
    """The names that programs may use in this world, each with its signature."""
    told = {p.name: f"{_types(p.parameters)}{'*' * p.variadic} does{_seeks(p.seeks)}" for p in spec.primitives}
    told |= {p.name: f"{_types(p.parameters)} is {'number' if p.numeric else 'truth'}" for p in spec.predicates}
    return dict(sorted((told | dict.fromkeys(spec.tags, "tag")).items()))


def remember_interface(journal: Journal, spec: WorldSpec) -> None:
    """Keep what this world offers, for other worlds of the home. One that learns its predicates as it goes is told
    again."""
    told = {"schema_version": _VERSION, "world": spec.name, "names": interface_of(spec)}
    try:
        known = journal.document(_KIND, spec.fingerprint)
    except JournalError:  # damaged, and written anew
        known = None
    if known != told:
        journal.put_document(_KIND, spec.fingerprint, told)


def interfaces(journal: Journal) -> dict[str, Interface]:
    """The interfaces of all worlds that were lived in, by fingerprint."""
    return {fingerprint: told.get("names", {}) for fingerprint, told in journal.documents(_KIND).items()}


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
    if fitted(skill.goal_template, wanted, skill.program.parameters) is not None:
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


def _types(parameters: Iterable[Parameter]) -> str:
    return f"({', '.join(p.type if p.required else f'{p.type}?' for p in parameters)})"


def _seeks(predicate: str | None) -> str:
    return f", seeks {predicate}" if predicate else ""


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
