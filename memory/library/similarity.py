"""When two programs are the same up to names, and how near two others are."""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

from habilis.core.errors import InputError

__all__ = ["normalise", "normalised_source", "shingle_jaccard", "shingles"]

_SMALL = 100_000  # characters of a source up to which its form is kept in memory
_SKIP = frozenset((tokenize.NEWLINE, tokenize.NL, tokenize.COMMENT, tokenize.ENDMARKER, tokenize.ENCODING))


def normalised_source(source: str) -> str:
    """The program without comments, docstrings and formatting, its own name, parameters and variables numbered in the
    order in which they appear. Two programs are alpha-equivalent if these texts are equal. Raises `InputError`."""
    return normalise(source)[0]


def normalise(source: str) -> tuple[str, Mapping[str, str]]:
    """The same, with the new name of each name."""
    return _remembered(source) if len(source) <= _SMALL else _normalised(source)


def _normalised(source: str) -> tuple[str, Mapping[str, str]]:
    try:
        tree = ast.parse(source)
        binder = _Binder()
        binder.visit(tree)
        renaming = {name: f"_v{i}" for i, name in enumerate(binder.bound)}
        renamed = _Renamer(renaming).visit(tree)
        return ast.unparse(ast.fix_missing_locations(renamed)), MappingProxyType(renaming)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:  # nested too deep, or too large a number
        raise InputError(f"this is not a Python program: {error}") from error


_remembered = lru_cache(maxsize=256)(_normalised)


def shingle_jaccard(a: str, b: str, k: int = 5) -> float:
    """How alike two programs are, 0 to 1: the share of runs of ``k`` tokens, names normalised, that both have
    (Broder 1997, "On the resemblance and containment of documents")."""
    left, right = shingles(a, k), shingles(b, k)
    union = left | right
    return len(left & right) / len(union) if union else 1.0


def shingles(source: str, k: int = 5) -> set[tuple[str, ...]]:
    """The runs of ``k`` tokens of a program, names normalised."""
    text = normalised_source(source)
    tokens = [
        t.string or tokenize.tok_name[t.type]
        for t in tokenize.generate_tokens(io.StringIO(text).readline)
        if t.type not in _SKIP
    ]
    return {tuple(tokens[i : i + k]) for i in range(max(1, len(tokens) - k + 1))}


class _Binder(ast.NodeVisitor):
    """Lists the names that the program binds itself, in the order in which they first appear in a binding."""

    def __init__(self) -> None:
        self.bound: dict[str, None] = {}

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self.bound.setdefault(node.name)
        self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> None:
        self.bound.setdefault(node.arg)
        self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> None:
        if not isinstance(node.ctx, ast.Load):
            self.bound.setdefault(node.id)

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        if node.name:
            self.bound.setdefault(node.name)
        self.generic_visit(node)


class _Renamer(ast.NodeTransformer):
    def __init__(self, names: Mapping[str, str]) -> None:
        self.names = names
        self.functions: set[str] = set()

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        self.functions.add(node.name)
        node.name = self.names[node.name]
        first = node.body[0]
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
            node.body = node.body[1:] or [ast.Pass()]
        self.generic_visit(node)
        node.returns = None
        return node

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.arg, node.annotation = self.names[node.arg], None
        return node

    def visit_Name(self, node: ast.Name) -> ast.Name:
        node.id = self.names.get(node.id, node.id)
        return node

    def visit_Global(self, node: ast.Global) -> ast.Global:
        node.names = [self.names.get(n, n) for n in node.names]
        return node

    def visit_Nonlocal(self, node: ast.Nonlocal) -> ast.Nonlocal:
        node.names = [self.names.get(n, n) for n in node.names]
        return node

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> ast.ExceptHandler:
        if node.name:
            node.name = self.names[node.name]
        self.generic_visit(node)
        return node

    def visit_Call(self, node: ast.Call) -> ast.Call:
        # Keywords belong to the function that is called; only the program's own parameters were renamed.
        if isinstance(node.func, ast.Name) and node.func.id in self.functions:
            for keyword in node.keywords:
                if keyword.arg is not None:
                    keyword.arg = self.names.get(keyword.arg, keyword.arg)
        self.generic_visit(node)
        return node
