"""Programs as text: what in them is a constant or a call; and editing in place, so that layout and comments stay."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator, Sequence

from habilis.core import InputError, Json, Parameter

Edit = tuple[int, int, str]  # from, to (characters), what stands there instead


def one_function(source: str) -> ast.FunctionDef | None:
    """The only function that a program consists of; None where it is anything else."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    node = tree.body[0] if len(tree.body) == 1 else None
    if not isinstance(node, ast.FunctionDef) or node.decorator_list or node.body[0].lineno == node.lineno:
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
    """Every call of a skill, with the skill's name."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and _is_of(node.func, "skills"):
            yield node, node.func.attr  # type: ignore[attr-defined]


def call_renamed(source: str, old: str, new: str) -> str:
    """The program with its own function, and where it calls itself, under another name."""
    function = parsed(source)
    start = source.index(old, span(source, function)[0])
    edits = [(start, start + len(old), new)]
    edits += [(*span(source, n), new) for n in ast.walk(function) if isinstance(n, ast.Name) and n.id == old]
    return edited(source, edits)


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
    lines = source.splitlines(keepends=True)
    return sum(map(len, lines[: line - 1])) + len(lines[line - 1].encode()[:column].decode())


def edited(source: str, edits: Sequence[Edit]) -> str:
    """The text with all edits made. They may touch, but not overlap."""
    for start, end, text in sorted(edits, key=lambda e: (e[0], e[1]), reverse=True):
        source = source[:start] + text + source[end:]
    return source


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
        indent = source[source.rfind("\n", 0, at) + 1 : at]
        edits.append((at, at, "\n".join(first).replace("\n", f"\n{indent}") + f"\n{indent}"))
    return edits


def _header_end(source: str, function: ast.FunctionDef) -> int:
    """Where ``def name(…)`` ends, before ``-> hint:`` or the colon."""
    start = span(source, function)[0]
    nodes: list[ast.arg | ast.expr] = [*function.args.args, *function.args.defaults]
    after = max((span(source, node)[1] for node in nodes), default=start)
    return source.index(")", after) + 1


def literal(value: Json) -> str:
    """A value as it is written in a program."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) and value.isprintable() else repr(value)


def parsed(source: str) -> ast.FunctionDef:
    """As `one_function`. Raises `InputError` where the program is anything else."""
    function = one_function(source)
    if function is None:
        raise InputError(f"this program is not one plain function: {source[:200]!r}")
    return function
