"""Programs as text: what in them is a constant or a call; and editing in place, so that layout and comments stay."""

from __future__ import annotations

import ast
import bisect
import io
import itertools
import json
import re
import tokenize
from collections.abc import Iterator, Sequence
from functools import lru_cache

from habilis.core import InputError, Json, Parameter

Edit = tuple[int, int, str]  # from, to (characters), what stands there instead

_LINE_END = re.compile(r"\r\n|\r|\n")  # what Python takes for one, which is less than `str.splitlines` does
_NAMED = re.compile(r"def[\s\\]+([^\s(\[\\]+)")


def one_function(source: str) -> ast.FunctionDef | None:
    """The only function that a program consists of; None where it is anything else."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    node = tree.body[0] if len(tree.body) == 1 else None
    if not isinstance(node, ast.FunctionDef) or node.decorator_list or node.body[0].lineno == node.lineno:
        return None
    if getattr(node, "type_params", None):
        return None
    args = node.args
    return None if args.posonlyargs or args.kwonlyargs or args.vararg or args.kwarg else node


def statements(function: ast.FunctionDef) -> list[ast.stmt]:
    """What it does: its body without the docstring."""
    first = function.body[0]
    told = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
    return function.body[1:] if told else function.body


def holes(function: ast.FunctionDef) -> list[ast.Constant]:
    """The texts and whole numbers in it that a name may take the place of, in the order of the text."""
    found: list[ast.Constant] = []
    todo: list[ast.AST] = list(statements(function))
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Constant):
            if isinstance(node.value, (str, int)) and not isinstance(node.value, bool):
                found.append(node)
        elif isinstance(node, ast.FunctionDef):
            todo += statements(node)
        elif isinstance(node, ast.Lambda):
            todo.append(node.body)
        elif isinstance(node, ast.AnnAssign):
            todo += [node.target, *([node.value] if node.value is not None else [])]
        elif not isinstance(node, (ast.JoinedStr, ast.Match)):
            todo += ast.iter_child_nodes(node)
    return sorted(found, key=lambda n: (n.lineno, n.col_offset))


def skill_calls(source: str) -> Iterator[tuple[ast.Call, str]]:
    """Every call of a skill, with the skill's name. Raises `InputError`."""
    for node in ast.walk(tree_of(source)):
        if isinstance(node, ast.Call) and _is_of(node.func, "skills"):
            yield node, node.func.attr  # type: ignore[attr-defined]


def call_renamed(source: str, old: str, new: str) -> str:
    """The program with its own function, and where it calls itself, under another name. Raises `InputError` where it
    defines no function of that name."""
    tree = tree_of(source)
    own = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == old]
    if not own:
        raise InputError(f"this program defines no function {old}: {source[:200]!r}")
    edits = [(*named(source, node), new) for node in own]
    edits += [(*span(source, n), new) for n in ast.walk(tree) if isinstance(n, ast.Name) and n.id == old]
    return edited(source, edits)


def named(source: str, function: ast.FunctionDef) -> tuple[int, int]:
    """Where the name of a function stands in its ``def``."""
    match = _NAMED.match(source, span(source, function)[0])
    assert match is not None
    return match.span(1)


def last_action(function: ast.FunctionDef) -> str:
    """What it does last in the world, or ""."""
    done = [
        (node.lineno, node.value.func.attr)
        for node in ast.walk(function)
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Call)
        and isinstance(node.value.func, ast.Attribute)
        and _is_of(node.value.func, "world")
    ]
    return max(done)[1] if done else ""


def _is_of(node: ast.expr, owner: str) -> bool:
    return isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == owner


def span(source: str, node: ast.expr | ast.stmt | ast.arg) -> tuple[int, int]:
    """Where a node stands in the text, in characters."""
    assert node.end_lineno is not None  # parsed, not made
    assert node.end_col_offset is not None
    return _at(source, node.lineno, node.col_offset), _at(source, node.end_lineno, node.end_col_offset)


def _at(source: str, line: int, column: int) -> int:
    start = _lines(source)[line - 1]
    return start + (column if source.isascii() else bisect.bisect_left(_columns(source, line), column))


@lru_cache(maxsize=8)
def _lines(source: str) -> list[int]:
    """Where each line begins."""
    return [0, *(match.end() for match in _LINE_END.finditer(source))]


@lru_cache(maxsize=64)
def _columns(source: str, line: int) -> list[int]:
    """Where each character of a line begins, in bytes of UTF-8: what the parser counts in."""
    starts = _lines(source)
    text = source[starts[line - 1] : starts[line] if line < len(starts) else None]
    return list(itertools.accumulate((len(character.encode()) for character in text), initial=0))


def edited(source: str, edits: Sequence[Edit]) -> str:
    """The text with all edits made. They may touch, but not overlap."""
    told, at = [], 0
    for start, end, text in sorted(edits, key=lambda e: (e[0], e[1])):
        told += [source[at:start], text]
        at = end
    return "".join([*told, source[at:]])


def headed(
    source: str, function: ast.FunctionDef, name: str, parameters: Sequence[Parameter], first: Sequence[str] = ()
) -> list[Edit]:
    """The function under another name, with these parameters; ``first``: lines of a statement before all others."""
    start = span(source, function)[0]
    hints = {a.arg: ast.unparse(a.annotation) for a in function.args.args if a.annotation is not None}
    told = []
    for parameter in parameters:
        kind = hints.get(parameter.name, "" if parameter.type == "json" else parameter.type)
        text = f"{parameter.name}: {kind}" if kind else parameter.name
        equals = " = " if kind else "="
        told.append(text if parameter.required else f"{text}{equals}{literal(parameter.default)}")
    edits = [(start, _header_end(source, function), f"def {name}({', '.join(told)})")]
    if first:
        before = statements(function)
        node = before[0] if before else function.body[-1]
        at = span(source, node)[0]
        indent = source[_at(source, node.lineno, 0) : at]
        edits.append((at, at, "\n".join(first).replace("\n", f"\n{indent}") + f"\n{indent}"))
    return edits


def _header_end(source: str, function: ast.FunctionDef) -> int:
    """Where ``def name(…)`` ends, before ``-> hint:`` or the colon."""
    start = span(source, function)[0]
    text, begun, depth = io.StringIO(source[start:]), [0], 0

    def line() -> str:
        read = text.readline()
        begun.append(begun[-1] + len(read))
        return read

    for token in tokenize.generate_tokens(line):  # of a comment, or a text, brackets mean nothing
        if token.type == tokenize.OP:
            depth += (token.string in "([{") - (token.string in ")]}")
            if token.string == ")" and not depth:
                return start + begun[token.end[0] - 1] + token.end[1]
    raise InputError(f"this program has no end of its head: {source[:200]!r}")


def literal(value: Json) -> str:
    """A value as it is written in a program."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) and value.isprintable() else repr(value)


def tree_of(source: str) -> ast.Module:
    """Raises `InputError` for what is no Python."""
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise InputError(f"this is not a Python program: {error}") from error


def parsed(source: str) -> ast.FunctionDef:
    """As `one_function`. Raises `InputError` where the program is anything else."""
    function = one_function(source)
    if function is None:
        raise InputError(f"this program is not one plain function: {source[:200]!r}")
    return function
