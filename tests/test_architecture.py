"""The "may import" column of docs/design.md, the public names, and what must not be loaded at start-up."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Set
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

import pytest

import habilis.core
import habilis.core.errors
from habilis.core.events import EVENTS
from habilis.memory.journal import RUN_STATUSES, SKILL_STATUSES

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
    "httpx",
    "jsonschema",
    "mcp",
    "opentelemetry",
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


def test_the_design_tells_every_status() -> None:
    text = (ROOT / "docs" / "design.md").read_text("utf-8")
    for word, statuses in (("skill", SKILL_STATUSES), ("run", RUN_STATUSES)):
        row = re.search(rf"^\| \*\*{word}\*\* \| (.*) \|$", text, flags=re.MULTILINE)
        assert row is not None
        assert [s for s in statuses if f"*{s}*" not in row[1]] == []


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


# What a room of the agent may import of the agent, beside itself.
ROOMS = {
    "chat": (),
    "planning": (),
    "local": ("planning", "words"),
    "practice": ("planning", "loop", "words"),
    "writers": ("chat", "planning", "drafting", "parts", "threads"),
}


def test_the_rooms_of_the_agent_are_those_of_the_table() -> None:
    assert {p.parent.name for p in (ROOT / "agent").glob("*/__init__.py")} == set(ROOMS)


@pytest.mark.parametrize("room", ROOMS)
def test_no_arrow_runs_back_between_the_rooms_of_the_agent(room: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line} imports {module}"
        for path in _sources(f"agent/{room}")
        for line, module in _imports(path.read_text("utf-8"))
        if module.startswith("habilis.agent.") and module.split(".")[2] not in (room, *ROOMS[room])
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


# What is imported for its type alone, under TYPE_CHECKING, and would close a circle. A part of the craft world that has
# a file of its own is handed the whole, and a world may declare contracts, which are about its actions.
FOR_ITS_TYPE = {
    ("habilis.core.world", "habilis.core.contract"),
    ("habilis.worlds.craft.checkpoint", "habilis.worlds.craft.world"),
    ("habilis.worlds.craft.simulator", "habilis.worlds.craft.world"),
    ("habilis.worlds.craft.tools", "habilis.worlds.craft.world"),
    ("habilis.worlds.household._asking", "habilis.worlds.household.world"),
    ("habilis.worlds.household._search", "habilis.worlds.household.world"),
    ("habilis.worlds.household.checkpoint", "habilis.worlds.household.world"),
    ("habilis.worlds.household.simulator", "habilis.worlds.household.world"),
}


class _AtRuntime(ast.NodeTransformer):
    """Leaves out what stands under TYPE_CHECKING."""

    def visit_If(self, node: ast.If) -> Any:
        if "TYPE_CHECKING" in ast.unparse(node.test):
            return [self.visit(n) for n in node.orelse]
        return self.generic_visit(node)


def _modules() -> dict[str, str]:
    """The source of each of our modules."""
    found = {}
    for folder in FOLDERS:
        found.update({f"habilis.{'.'.join(p.relative_to(ROOT).parts)}": p for p in _sources(folder)})
    found.update({".".join(p.relative_to(ROOT / "src").parts): p for p in _roof_sources()})
    return {n.removesuffix(".py").removesuffix(".__init__"): p.read_text("utf-8") for n, p in found.items()}


def _graph(modules: Mapping[str, str]) -> dict[str, set[str]]:
    """Which module imports which, at the top or in a function."""
    graph: dict[str, set[str]] = {}
    for own, source in modules.items():
        graph[own] = set()
        for _, name in _imports(source):
            while name and name not in modules:
                name = name.rpartition(".")[0]
            graph[own] |= {name} - {own, ""}
    return graph


def _circle(graph: Mapping[str, Set[str]]) -> list[str]:
    """A circle of imports, or nothing."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_no_imports_run_in_a_circle() -> None:
    modules = _modules()
    assert {"habilis.run", "habilis.cli", "habilis.core.goal", "habilis.trainer.regularisers"} <= modules.keys()
    told = _graph(modules)
    runtime = _graph({n: ast.unparse(_AtRuntime().visit(ast.parse(s))) for n, s in modules.items()})
    assert _circle(runtime) == []
    excepted = {own: {other for other in others if (own, other) not in FOR_ITS_TYPE} for own, others in told.items()}
    assert _circle(excepted) == []
    for own, other in FOR_ITS_TYPE:  # none is excepted that need not be
        assert other in told[own] - runtime[own]
        assert _circle({**excepted, own: excepted[own] | {other}})


def test_a_circle_of_imports_is_found() -> None:
    one = "if TYPE_CHECKING:\n    from habilis.b import B\nelse:\n    import habilis.c"
    modules = {"habilis.a": one, "habilis.b": "def f():\n    from habilis import a", "habilis.c": "import habilis"}
    assert sorted(set(_circle(_graph(modules)))) == ["habilis.a", "habilis.b"]
    modules["habilis.a"] = ast.unparse(_AtRuntime().visit(ast.parse(one)))
    assert _graph(modules)["habilis.a"] == {"habilis.c"}
    assert _circle(_graph(modules)) == []


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


def test_every_event_that_is_emitted_is_listed() -> None:
    emitted = {
        node.args[0].value
        for source in _modules().values()
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call)
        and getattr(node.func, "attr", "") == "emit"
        and node.args
        and isinstance(node.args[0], ast.Constant)
    }
    assert {"run_started", "world_began_anew", "task_ended"} <= emitted
    assert emitted <= EVENTS.keys()


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
