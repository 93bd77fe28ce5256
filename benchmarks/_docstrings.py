"""The running Python's standard library: functions found by what their docstrings say, and modules by what these do.

Public functions at the top of public modules, in the order of the hash of their names: what is asked is the first
paragraph of the docstring, what is to be found is the source without it. Which functions there are depends on the
Python version, and on nothing else.
"""

from __future__ import annotations

import ast
import hashlib
import re
import sysconfig
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

COUNT = 1_000
_LEFT_OUT = frozenset(("test", "tests", "idlelib", "lib2to3", "site-packages", "turtledemo", "ensurepip", "__phello__"))
_MIN_WORDS, _MIN_LINES, _MIN_TASKS = 4, 3, 6


class Documented(NamedTuple):
    """A function: ``module.name``, the first paragraph of its docstring, its source without docstring and comments."""

    name: str
    says: str
    source: str

    @property
    def calibration(self) -> bool:
        """Whether it belongs to the half that is tuned on."""
        return hashlib.sha256(self.name.encode()).digest()[1] < 128


def documented(count: int = COUNT, folder: Path | None = None) -> list[Documented]:
    """This many functions (fewer where there are no more), drawn by the hash of their names. Both are
    unique. ``folder``: by default the standard library of the running Python."""
    return list(_drawn(folder or Path(sysconfig.get_path("stdlib")))[:count])


@cache
def _drawn(folder: Path) -> tuple[Documented, ...]:
    """All of a folder, read once, in the order of the hash of their names."""
    found: dict[str, Documented] = {}
    seen: set[str] = set()
    for one in _all(folder):
        if one.says not in seen and one.source not in seen:
            found.setdefault(one.name, one)
            seen |= {one.says, one.source}
    return tuple(sorted(found.values(), key=lambda d: hashlib.sha256(d.name.encode()).digest()))


def modules(folder: Path | None = None) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """Modules with the first paragraph of their docstrings, and what their functions and methods do (the first
    paragraph of each docstring, with the module's name), where a module has six or more of these. What several modules
    say is left out."""
    told: dict[str, str] = {}
    tasks: dict[str, set[str]] = {}
    for module, tree in _trees(folder or Path(sysconfig.get_path("stdlib"))):
        functions = (n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))
        docs = {_first(ast.get_docstring(n)) for n in functions if not n.name.startswith("_")}
        says = {text for text in docs if len(re.findall(r"[A-Za-z]{2,}", text)) >= _MIN_WORDS}
        about = _first(ast.get_docstring(tree))
        if about and len(says) >= _MIN_TASKS:
            told[module], tasks[module] = f"{module}: {about}", says
    often = Counter(text for says in tasks.values() for text in says)
    return told, [(text, name) for name in sorted(tasks) for text in sorted(tasks[name]) if often[text] == 1]


def _first(doc: str | None) -> str:
    return " ".join((doc or "").split("\n\n")[0].split())


def _trees(folder: Path) -> Iterator[tuple[str, ast.Module]]:
    """Each public module's name and source, in the order of their paths."""
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(folder).with_suffix("").parts
        if any(p in _LEFT_OUT or (p.startswith("_") and p != "__init__") for p in parts):
            continue
        module = ".".join(p for p in parts if p != "__init__")
        try:
            tree = ast.parse(path.read_text("utf-8"))
        except (SyntaxError, UnicodeDecodeError):
            continue
        yield module, tree


def _all(folder: Path) -> Iterator[Documented]:
    for module, tree in _trees(folder):
        for node in tree.body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_"):
                one = _function(module, node)
                if one is not None:
                    yield one


def _function(module: str, node: ast.FunctionDef | ast.AsyncFunctionDef) -> Documented | None:
    doc = ast.get_docstring(node)
    if not doc:
        return None
    says = _first(doc)
    node.body = node.body[1:]
    if len(node.body) == 0 or len(re.findall(r"[A-Za-z]{2,}", says)) < _MIN_WORDS:
        return None
    node.decorator_list = []
    source = ast.unparse(node)
    if source.count("\n") < _MIN_LINES:
        return None
    return Documented(f"{module}.{node.name}", says, source)
