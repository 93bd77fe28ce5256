"""Skills with parameters: which fits a goal, and with which arguments.

A skill's goal is a template, ``lines_with("{src}", "{word}", "{dst}")``. What stands in a goal where the template has a
parameter is that parameter's argument; everything else has to be the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from habilis.core import Goal, GoalSyntaxError, InputError, Json, Skill, fitted

__all__ = ["Fit", "fits"]

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
