"""The "may import" column of docs/design.md, the public names, and what must not be loaded at start-up."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import habilis.core
import habilis.core.errors

ROOT = Path(__file__).parent.parent
FOLDERS = ("core", "worlds", "memory", "tools", "agent", "trainer")
HEAVY = (
    "torch",
    "chromadb",
    "faiss",
    "transformers",
    "openai",
    "langchain",
    "langchain_core",
    "onnxruntime",
    "numpy",
)
ROOF = "the roof"
MAY_IMPORT = {
    "core": set(),
    "worlds": {"core"},
    "memory": {"core"},
    "tools": {"core", "memory"},
    "agent": {"core", "worlds", "memory", "tools"},
    "trainer": {"core", "worlds", "memory"},
}


def _sources(folder: str) -> list[Path]:
    return sorted(p for p in (ROOT / folder).rglob("*.py") if "__pycache__" not in p.parts)


def _roof_sources() -> list[Path]:
    linked = {ROOT / "src" / "habilis" / name for name in FOLDERS}
    found = (ROOT / "src" / "habilis").rglob("*.py")
    return sorted(p for p in found if not linked & set(p.parents) and "__pycache__" not in p.parts)


def _imports(source: str) -> Iterator[tuple[int, str]]:
    """Every module that a source imports, at the top, in functions, under TYPE_CHECKING or by `import_module`."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                yield node.lineno, "." * node.level + (node.module or "")
            else:
                # `from habilis import memory` imports habilis.memory as much as `import habilis.memory` does.
                for alias in node.names:
                    yield node.lineno, f"{node.module}.{alias.name}"
        elif (
            isinstance(node, ast.Call)
            and getattr(node.func, "attr", getattr(node.func, "id", "")) in ("import_module", "__import__")
            and node.args
            and isinstance(node.args[0], ast.Constant)
        ):
            yield node.lineno, str(node.args[0].value)


def _folder_of(module: str) -> str | None:
    """Which of our folders a module belongs to; None for everyone else's."""
    parts = module.split(".")
    if parts[0] != "habilis":
        return None
    return parts[1] if len(parts) > 1 and parts[1] in FOLDERS else ROOF


def _violations(source: str, own: str) -> list[str]:
    found = []
    for line, module in _imports(source):
        target = _folder_of(module)
        if module.startswith("."):
            found.append(f"line {line}: relative import {module}")
        elif module.split(".")[0] in FOLDERS:
            found.append(f"line {line}: {module} is not ours to take; import habilis.{module}")
        elif target is not None and own != ROOF and target != own and target not in MAY_IMPORT[own]:
            found.append(f"line {line}: {own} may not import {module}")
    return found


def test_the_table_here_is_the_one_in_the_design() -> None:
    text = (ROOT / "docs" / "design.md").read_text("utf-8")
    rows = re.findall(r"^\| `(\w+)/` \| .* \| (.*) \|$", text, flags=re.MULTILINE)
    stated = {
        name: set(re.findall(r"\b(?:core|worlds|memory|tools|agent|trainer)\b", column.split(".")[0]))
        for name, column in rows
        if name in FOLDERS
    }
    assert stated == MAY_IMPORT


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_arrow_runs_back_up(folder: str) -> None:
    found = {str(p.relative_to(ROOT)): v for p in _sources(folder) if (v := _violations(p.read_text("utf-8"), folder))}
    assert not found


def test_the_roof_imports_our_folders_by_their_full_name() -> None:
    found = {str(p.relative_to(ROOT)): v for p in _roof_sources() if (v := _violations(p.read_text("utf-8"), ROOF))}
    assert not found


def test_the_runner_imports_no_world() -> None:
    allowed = ("habilis.worlds.runner",)
    found = [
        f"{path.relative_to(ROOT)}:{line} imports {module}"
        for path in _sources("worlds/runner")
        for line, module in _imports(path.read_text("utf-8"))
        if _folder_of(module) == "worlds" and not module.startswith(allowed)
    ]
    assert not found


@pytest.mark.parametrize(
    ("source", "own"),
    [
        ("import habilis.worlds", "core"),
        ("from habilis import agent", "trainer"),
        ("def f():\n    from habilis.agent.loop import Agent", "trainer"),
        ("import importlib\nimportlib.import_module('habilis.agent')", "memory"),
        ("import tools", "agent"),
        ("from core.goal import Goal", "worlds"),
        ("from . import goal", "core"),
        ("from habilis import run", "agent"),
    ],
)
def test_a_forbidden_import_is_found(source: str, own: str) -> None:
    assert len(_violations(source, own)) == 1


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_folder_says_what_it_owns_and_exports(folder: str) -> None:
    module = importlib.import_module(f"habilis.{folder}")
    assert module.__doc__, f"{folder}/__init__.py needs a docstring: what it owns, what it may import"
    names = list(module.__all__)
    assert len(names) == len(set(names))
    missing = [n for n in names if not hasattr(module, n)]
    assert not missing, f"habilis.{folder}.__all__ names {missing}, which it does not have"


def test_core_exports_every_public_class_of_its_modules() -> None:
    # Constants and TypeVars are nobody's business.
    for path in _sources("core"):
        module = importlib.import_module(f"habilis.core.{path.stem}" if path.stem != "__init__" else "habilis.core")
        own = {
            n
            for n, v in vars(module).items()
            if not n.startswith("_")
            and (inspect.isclass(v) or inspect.isfunction(v))
            and v.__module__ == module.__name__
        }
        assert own <= set(habilis.core.__all__), f"{path.name}: {sorted(own - set(habilis.core.__all__))}"


def _errors() -> list[type[habilis.core.HabilisError]]:
    found: list[type[habilis.core.HabilisError]] = []
    todo: list[type[habilis.core.HabilisError]] = [habilis.core.HabilisError]
    while todo:
        error = todo.pop()
        found.append(error)
        todo.extend(error.__subclasses__())
    return sorted((e for e in found if e.__module__ == "habilis.core.errors"), key=lambda e: e.__name__)


def test_every_error_is_exported_and_drawn_in_the_tree() -> None:
    tree = set(re.findall(r"[├└]── (\w+)", habilis.core.errors.__doc__ or "")) | {"HabilisError"}
    defined = {e.__name__ for e in _errors()}
    assert defined == tree
    assert defined <= set(habilis.core.__all__)


def test_every_error_has_a_code_of_its_own_and_the_stdlib_type_that_the_tree_states() -> None:
    errors = _errors()
    codes = [e.code for e in errors]
    assert len(codes) == len(set(codes))
    stated = dict(re.findall(r"[├└]── (\w+) \((\w+)\)", habilis.core.errors.__doc__ or ""))
    for error in errors:
        if error.__name__ in stated:
            assert stated[error.__name__] in {base.__name__ for base in error.__mro__}, error


def _loaded_by(code: str) -> set[str]:
    """The heavy modules that a fresh interpreter has loaded after running this code."""
    probe = f"{code}\nimport sys; print('LOADED', *[m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.rsplit("LOADED", 1)[1].split())


@pytest.mark.parametrize("module", ["habilis", *(f"habilis.{f}" for f in FOLDERS), "habilis.live", "habilis.report"])
def test_importing_loads_nothing_heavy(module: str) -> None:
    assert _loaded_by(f"import {module}") == set()


def test_the_probe_sees_what_is_loaded() -> None:
    assert "numpy" in _loaded_by("import numpy")


def test_help_loads_nothing_heavy() -> None:
    code = """
import sys
sys.argv = ["habilis", "--help"]
from habilis.cli import main
try:
    main()
except SystemExit as end:
    assert not end.code
"""
    assert _loaded_by(code) == set()
