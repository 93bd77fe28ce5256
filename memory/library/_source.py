"""What a program's source says of itself, read without running it."""

from __future__ import annotations

import ast
from dataclasses import dataclass

from habilis.core.errors import InputError
from habilis.core.program import Program

__all__ = ["SOURCE", "Inspected", "inspect"]

SOURCE = 1_000_000  # bytes; the runner takes no more


@dataclass(frozen=True)
class Inspected:
    """``calls``, ``tools``: what it names as ``skills.x`` and ``tools.x``, in order of appearance; ``problems``: why it
    cannot work as it is declared."""

    calls: tuple[str, ...]
    tools: tuple[str, ...]
    problems: tuple[str, ...]


def inspect(program: Program) -> Inspected:
    """Raises `InputError` for a name or source with which nothing could ever run."""
    name, source = program.name, program.source
    if not name.isidentifier() or not name.isascii() or name.startswith("_"):
        raise InputError(
            f"a program cannot be called {name[:80]!r}; its name, and its function's, is made of the letters a to z, "
            "digits and _, and begins with a letter"
        )
    if len(source) > SOURCE or len(source.encode("utf-8", "replace")) > SOURCE:
        raise InputError(f"the program {name} has more than {SOURCE} bytes, which is the limit; make it shorter")
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        raise InputError(f"the program {name} is not Python: line {error.lineno}: {error.msg}") from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise InputError(f"the program {name} cannot be read as Python: {error or type(error).__name__}") from None
    functions = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == name]
    none = (f"its program defines no function {name}",)
    problems = _misfits(functions[-1].args, program) if functions else none
    return Inspected(_named(tree, "skills"), _named(tree, "tools"), problems)


def _misfits(takes: ast.arguments, program: Program) -> tuple[str, ...]:
    names = [p.name for p in program.parameters]
    by_name = [a.arg for a in (*takes.args, *takes.kwonlyargs)]
    needed = [a.arg for a in takes.args[: len(takes.args) - len(takes.defaults)]]
    needed += [a.arg for a, default in zip(takes.kwonlyargs, takes.kw_defaults, strict=True) if default is None]
    if takes.posonlyargs:
        return (f"its function takes {takes.posonlyargs[0].arg!r} by position only",)
    strange = [n for n in names if n not in by_name] if takes.kwarg is None else []
    missing = [n for n in needed if n not in names]
    if len(set(names)) < len(names):
        return ("two of its parameters have one name",)
    if strange:
        return (f"its function takes no {strange[0][:80]!r}, which is declared as a parameter",)
    return (f"its function needs {missing[0]!r}, which is not declared as a parameter",) if missing else ()


def _named(tree: ast.AST, holder: str) -> tuple[str, ...]:
    found = (
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == holder
    )
    ordered = sorted(found, key=lambda node: (node.lineno, node.col_offset))
    return tuple(dict.fromkeys(node.attr for node in ordered if not node.attr.startswith("__")))
