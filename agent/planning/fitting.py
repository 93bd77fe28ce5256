"""Skills with parameters: which fits a goal, and with which arguments; and a program of those that fit its parts.

A skill's goal is a template, ``lines_with("{src}", "{word}", "{dst}")``. What stands in a goal where the template has a
parameter is that parameter's argument; everything else has to be the same.
"""

from __future__ import annotations

import keyword
from collections.abc import Iterable, Mapping, Sequence

from habilis.core import (
    Draft,
    Fact,
    Goal,
    GoalSyntaxError,
    InputError,
    Json,
    Parameter,
    Program,
    Skill,
    WorldSpec,
    fitted,
)

__all__ = ["Fit", "composed", "fits", "parameters_of", "template_of"]

Fit = tuple[Skill, Mapping[str, Json]]


def fits(skills: Iterable[Skill], goal: Goal) -> list[Fit]:
    """The skills whose goal is this one for some arguments, the likeliest to work first; of equal ones the cheapest."""
    found: list[Fit] = []
    for skill in skills:
        texts = {p.name for p in skill.program.parameters if p.type == "str" and not p.choices}
        if not texts or skill.cases:
            continue  # it is planned with, case by case
        args = fitted(skill.goal_template, goal, skill.program.parameters)
        if not args or not texts & args.keys():
            continue
        try:
            same = skill.goal_for(args) == goal
        except (GoalSyntaxError, InputError):
            continue
        if same:
            found.append((skill, args))
    return sorted(found, key=lambda fit: (-fit[0].posterior, fit[0].cost, fit[0].name))


def composed(skills: Iterable[Skill], goal: Goal, spec: WorldSpec, writer: str = "search") -> Draft | None:
    """A program for a goal of several atoms, each of which some skill fits: it calls them one after the other, in the
    order of the goal. None where one has no skill. What the atoms name are its parameters."""
    known = list(skills)
    if len(goal.atoms) < 2:
        return None
    parameters: list[Parameter] = []
    lines: list[str] = []
    template: list[str] = []
    called: dict[str, None] = {}
    for number, atom in enumerate(goal.atoms, 1):
        found = fits(known, Goal((atom,)))
        if not found or atom.is_numeric or atom.value is not True:
            return None
        skill, args = found[0]
        own = parameters_of(spec, atom.fact, str(number))
        values = {p.default: p.name for p in reversed(own)}  # a skill takes what the goal names
        given = [f"{name}={values.get(value, repr(value))}" for name, value in args.items()]
        lines.append(f"    if not world.{atom.fact.predicate}({', '.join(p.name for p in own)}):")
        lines.append(f"        skills.{skill.name}({', '.join(given)})")
        template.append(template_of(atom.fact.predicate, own))
        parameters += own
        called[skill.name] = None
    heads = ", ".join(f"{p.name}: {p.type} = {_literal(p.default)}" for p in parameters)
    turns = [str(atom.fact.args[-1]) for atom in goal.atoms if atom.fact.args and isinstance(atom.fact.args[-1], int)]
    name = "_and_".join(atom.fact.predicate for atom in goal.atoms) + "".join(f"_{turn}" for turn in turns)
    program = Program(
        name, f"def {name}({heads}):\n" + "\n".join(lines) + "\n", tuple(parameters), tuple(called), writer
    )
    return Draft(program, {p.name: p.default for p in parameters}, " and ".join(template))


def parameters_of(spec: WorldSpec, fact: Fact, mark: str = "") -> tuple[Parameter, ...]:
    """A parameter for each thing that a fact names, which is its default. ``mark``: ends their names."""
    predicate = spec.predicate(fact.predicate)
    declared = predicate.parameters if predicate is not None else ()
    found: list[Parameter] = []
    for i, arg in enumerate(fact.args):
        name = declared[i].name if i < len(declared) else f"arg{i}"
        usable = (
            name.isidentifier() and not keyword.iskeyword(name) and name not in ("path", "world", "skills", "tools")
        )
        name = (name if usable else f"{name if name.isidentifier() else 'arg'}_{i}") + mark
        found.append(Parameter(name, "int" if isinstance(arg, int) else "str", arg, required=False))
    return tuple(found)


def template_of(predicate: str, parameters: Sequence[Parameter]) -> str:
    """A goal of one atom with its arguments left open."""
    holes = [f'"{{{p.name}}}"' if p.type == "str" else f"{{{p.name}}}" for p in parameters]
    return f"{predicate}({', '.join(holes)})"


def _literal(value: Json) -> str:
    return repr(value)
