"""Finding the program in a chat model's reply."""

from __future__ import annotations

import ast
import keyword
import re
import textwrap
import warnings
from collections.abc import Iterable
from dataclasses import dataclass

from habilis.core import Goal, GoalSyntaxError, Json, Parameter, Program

MAX_SOURCE = 20_000  # characters; a skill is a page, not a book
_TYPES = {"str": "str", "int": "int", "float": "float", "bool": "bool"}
_RESERVED = {"world", "skills", "tools", "ActionFailed", "ToolFailed"}
_DEFINITION = ast.FunctionDef


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a reply is no program, in words for the model that wrote it."""

    text: str


def read_program(reply: str, *, writer: str, skills: Iterable[str] = ()) -> tuple[Program, str] | Problem:
    """The program in a reply and the goal template of its ``# goal:`` comment ("" without one), or the problem.

    The last function at the top is the program; what else stands there (helpers, constants, imports) moves inside, so
    that the source always defines one function. Calls of it and ``if __name__`` are dropped. Never raises.
    """
    found = _code(reply)
    if isinstance(found, Problem):
        return found
    source, tree = found
    functions = [n for n in tree.body if isinstance(n, _DEFINITION)]
    if any(isinstance(n, ast.AsyncFunctionDef) for n in tree.body):
        return Problem("Write a plain function, not an async one.")
    main = functions[-1]
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,59}", main.name) or main.name in _RESERVED:
        return Problem(
            f"{main.name[:80]!r} is no good name for the function; use a short one in ASCII, such as make_it."
        )
    parameters = _parameters(main)
    if isinstance(parameters, Problem):
        return parameters
    others = [n for n in tree.body if n is not main and not _is_idle(n)]
    template = re.search(r"^[ \t]*#[ \t]*goal[ \t]*:[ \t]*(.+)$", source, re.M | re.I)
    if others:
        source = _gathered(main, others)
        if not source:
            return Problem("The code is nested too deeply; write it flatter.")
    else:
        source = _only(source, main)
    known = set(skills)
    used = {
        n.attr
        for n in ast.walk(tree)
        if isinstance(n, ast.Attribute) and isinstance(n.value, ast.Name) and n.value.id == "skills"
    }
    calls = tuple(sorted(used & known - {main.name}))
    return Program(main.name, source, parameters, calls, writer), template[1].strip() if template else ""


def goal_template(said: str, program: Program, goal: Goal) -> str:
    """What the model said the program achieves, if its defaults make that the task's goal; else the goal itself."""
    text = said
    for parameter in program.parameters:
        text = text.replace("{" + parameter.name + "}", str(parameter.default))
    try:
        if goal.judged is None and set(Goal.parse(text).atoms) == set(goal.atoms):
            return said
    except GoalSyntaxError:
        pass
    return str(goal)


def _code(reply: str) -> tuple[str, ast.Module] | Problem:
    blocks = [m[2] for m in re.finditer(r"^[ \t]*(```+|~~~+)[^\n]*\n(.*?)(?:^[ \t]*\1|\Z)", reply, re.M | re.S)]
    if not blocks:
        blocks = [_unfenced(reply)]
    candidates: list[tuple[str, ast.Module]] = []
    problem = Problem(
        "The reply holds no Python function. Answer with one Python code block that defines one function."
    )
    for block in blocks:
        source = textwrap.dedent(block.replace("\r\n", "\n")).strip()
        if len(source) > MAX_SOURCE:
            problem = Problem(
                f"The program has {len(source)} characters, the limit is {MAX_SOURCE}; write a shorter one."
            )
            continue
        tree = _parse(source)
        if isinstance(tree, Problem):
            problem = tree if "def " in source else problem
        elif any(isinstance(n, _DEFINITION) for n in tree.body):
            candidates.append((source + "\n", tree))
        elif any(isinstance(n, ast.AsyncFunctionDef) for n in tree.body):
            problem = Problem("Write a plain function, not an async one.")
    if len({source for source, _ in candidates}) > 1:
        return Problem(
            f"The reply holds {len(candidates)} code blocks with functions, and it is not clear which to run. "
            "Answer with one Python code block that defines one function."
        )
    return candidates[0] if candidates else problem


def _unfenced(reply: str) -> str:
    """The longest stretch from the first line that looks like code to where Python ends."""
    lines = reply.splitlines()
    start = next((i for i, s in enumerate(lines) if re.match(r"(def |@|import |from \w+ import|# ?goal)", s)), None)
    if start is None:
        return ""
    if not isinstance(_parse("\n".join(lines[start:])), Problem):
        return "\n".join(lines[start:])
    # Prose after the code begins at the margin with something else than Python.
    ends = [i for i in range(len(lines) - 1, start, -1) if lines[i] and not lines[i][0].isspace()][:40]
    for end in ends:
        text = "\n".join(lines[start:end])
        if "def " in text and not isinstance(_parse(text), Problem):
            return text
    return "\n".join(lines[start:])


def _parse(source: str) -> ast.Module | Problem:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(source)
    except SyntaxError as error:
        line = (error.text or "").strip()[:120]
        return Problem(
            f"The code does not parse: {error.msg}, line {error.lineno}: {line}\nAnswer with all of it, corrected."
        )
    except (ValueError, RecursionError, MemoryError) as error:
        return Problem(f"The code does not parse: {str(error)[:200]}. Answer with all of it, corrected.")


def _parameters(main: ast.FunctionDef) -> tuple[Parameter, ...] | Problem:
    spec = main.args
    if spec.vararg or spec.kwarg:
        return Problem("Write named parameters with types and defaults, no *args or **kwargs.")
    if spec.posonlyargs:
        return Problem("Parameters are given by name; write them without '/'.")
    positional: list[tuple[ast.arg, ast.expr | None]] = [(a, None) for a in spec.args]
    for i, default in enumerate(reversed(spec.defaults)):
        positional[-1 - i] = (positional[-1 - i][0], default)
    found: list[Parameter] = []
    for argument, written in [*positional, *zip(spec.kwonlyargs, spec.kw_defaults, strict=True)]:
        if written is None:
            return Problem(f"The parameter {argument.arg!r} has no default; give it the value that this task needs.")
        if argument.arg in _RESERVED or keyword.issoftkeyword(argument.arg):
            return Problem(f"{argument.arg!r} is no good name for a parameter, for it means something else; rename it.")
        try:
            value: Json = ast.literal_eval(written)
        except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
            return Problem(
                f"The default of {argument.arg!r} is not a plain value; write a number, text, True or False."
            )
        if not _is_json(value):
            return Problem(f"The default of {argument.arg!r} is a {type(value).__name__}; write a number or a text.")
        hint = argument.annotation
        named = hint.id if isinstance(hint, ast.Name) else hint.value if isinstance(hint, ast.Constant) else None
        kind = _TYPES.get(str(named)) if named is not None else None
        kind = kind or (_TYPES.get(type(value).__name__, "json") if hint is None else "json")
        found.append(Parameter(argument.arg, kind, value, required=False))
    return tuple(found)


def _is_json(value: object) -> bool:
    if isinstance(value, list):
        return all(_is_json(v) for v in value)
    if isinstance(value, dict):
        return all(isinstance(k, str) and _is_json(v) for k, v in value.items())
    if isinstance(value, float):
        return value == value and abs(value) != float("inf")
    return value is None or isinstance(value, (str, int, bool))


def _is_idle(node: ast.stmt) -> bool:
    """Whether the statement would only try the program out, or says nothing."""
    if isinstance(node, ast.Expr):
        return True
    return isinstance(node, ast.If) and any(isinstance(n, ast.Name) and n.id == "__name__" for n in ast.walk(node.test))


def _only(source: str, main: ast.FunctionDef) -> str:
    """The function as it was written, with its comments."""
    first = min([main.lineno, *(d.lineno for d in main.decorator_list)])
    return "\n".join(source.split("\n")[first - 1 : main.end_lineno]) + "\n"


def _gathered(main: ast.FunctionDef, others: list[ast.stmt]) -> str:
    """The function with its helpers inside; "" where the code is too deep to write out."""
    documented = ast.get_docstring(main, clean=False) is not None
    first = main.body[:1] if documented else []
    body = [*first, *others, *main.body[len(first) :]]
    whole = ast.FunctionDef(**{**dict(ast.iter_fields(main)), "body": body})
    try:
        return ast.unparse(ast.fix_missing_locations(ast.Module([whole], []))) + "\n"
    except RecursionError:
        return ""
