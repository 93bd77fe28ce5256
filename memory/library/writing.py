"""A skill from a program that someone wrote."""

from __future__ import annotations

import ast
import json

from habilis.core import Evidence, EvidenceLevel, Goal, InputError, Json, Parameter, Program, Skill, WorldSpec, fill
from habilis.memory.library._source import inspect

__all__ = ["skill_of"]

_TYPES = {"int": "int", "float": "float", "bool": "bool", "str": "str"}


def skill_of(source: str, goal: str, spec: WorldSpec, *, doc: str = "", writer: str = "hand") -> Skill:
    """A candidate for `SkillLibrary.admit`, without evidence yet.

    ``source`` defines one function, whose name is the skill's and whose parameters have hints and plain defaults;
    ``goal``: what it brings about, with ``{parameter}`` for its parameters; ``spec``: of the world that it acts in.
    Raises `InputError` naming what is wrong, `GoalSyntaxError` for a goal that is none.
    """
    if not isinstance(source, str) or not isinstance(goal, str):
        raise InputError(f"a skill is made of two texts, its program and its goal, not of {source!r:.80}, {goal!r:.80}")
    if not isinstance(spec, WorldSpec):
        raise InputError(f"spec= is of type {type(spec).__name__}; give that of the world it acts in: world.spec")
    try:
        functions = [node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)]
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise InputError(f"the program is not Python: {error}") from error
    if len(functions) != 1:
        raise InputError(f"the program defines {len(functions)} functions; a skill is one, with others inside it")
    (function,) = functions
    parameters = _parameters(function)
    found = inspect(Program(function.name, source, parameters))
    if found.problems:
        raise InputError(f"the program {function.name} cannot work: {'; '.join(found.problems)}")
    for parameter in parameters:
        if parameter.required and f"{{{parameter.name}}}" in goal:
            raise InputError(
                f"{parameter.name!r} has no default, and the goal {goal!r} cannot be read without one; write it as "
                f"{parameter.name}: int = 1"
            )
    Goal.parse(fill(goal, {p.name: p.default for p in parameters}))
    return Skill(
        name=function.name,
        version=0,
        program=Program(function.name, source, parameters, tuple(sorted(found.calls)), writer),
        doc=doc or ast.get_docstring(function) or function.name.replace("_", " "),
        goal_template=goal,
        world=spec.name,
        fingerprint=spec.fingerprint,
        evidence=Evidence(EvidenceLevel.VERIFIED),
        tools=tuple(sorted(found.tools)),
        origin=writer,
    )


def _parameters(function: ast.FunctionDef) -> tuple[Parameter, ...]:
    arguments = function.args
    if arguments.vararg or arguments.kwarg or arguments.posonlyargs or arguments.kwonlyargs:
        raise InputError(f"the function {function.name} takes more than plain parameters; name each")
    free = len(arguments.args) - len(arguments.defaults)
    written: list[ast.expr | None] = [*[None] * free, *arguments.defaults]
    found = []
    for argument, default in zip(arguments.args, written, strict=True):
        value: Json = None
        if default is not None:
            try:
                value = ast.literal_eval(default)
                json.dumps(value, allow_nan=False, ensure_ascii=False).encode()  # it is kept as JSON
            except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
                raise InputError(
                    f"the default of {argument.arg!r} is not a plain value; write a number, a text, True or False"
                ) from None
        hint = ast.unparse(argument.annotation) if argument.annotation is not None else type(value).__name__
        found.append(Parameter(argument.arg, _TYPES.get(hint, "json"), value, default is None))
    return tuple(found)
