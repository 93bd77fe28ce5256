"""What is shipped: the source distribution, the wheel built from it, the pins and the Makefile."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
FOLDERS = ("core", "worlds", "memory", "tools", "agent", "trainer")
SHIPPED = (*FOLDERS, "src", "docs", "examples", "benchmarks", "scripts", "tests")
# Leave-behinds of earlier runs, and the metadata that a build must be able to make by itself.
IGNORED = shutil.ignore_patterns("__pycache__", "*.egg-info", "build", "dist", ".*_cache", ".hypothesis")


def _build(source: Path, kind: str, target: Path) -> tuple[Path, str]:
    """Call the build backend as pip does, without its isolation (which needs a network)."""
    code = f"import sys; from setuptools import build_meta; print('BUILT', build_meta.build_{kind}(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", code, str(target)], cwd=source, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    name = done.stdout.rsplit("BUILT", 1)[1].strip()
    return target / name, done.stdout + done.stderr


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, str]:
    """The source distribution, the wheel built from *it*, and all that the builds printed."""
    base = tmp_path_factory.mktemp("build")
    tree = base / "tree"
    tree.mkdir()
    for name in SHIPPED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, tree / name, symlinks=True, ignore=IGNORED)
    for path in ROOT.iterdir():
        if path.is_file():
            shutil.copy2(path, tree / path.name)
    sdist, log = _build(tree, "sdist", base)
    with tarfile.open(sdist) as archive:
        safely: Any = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}  # since Python 3.11.4
        archive.extractall(base / "unpacked", **safely)
    (unpacked,) = (base / "unpacked").iterdir()
    wheel, more = _build(unpacked, "wheel", base)
    return sdist, wheel, log + more


def test_the_wheel_holds_every_module_and_data_file(built: tuple[Path, Path, str]) -> None:
    names = set(zipfile.ZipFile(built[1]).namelist())
    assert {"habilis/py.typed", "habilis/_report_template.html"} <= names
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            assert f"habilis/{path.relative_to(ROOT).as_posix()}" in names
    data = [p for f in FOLDERS for p in sorted((ROOT / f).rglob("data/*")) if p.is_file() and p.suffix != ".pyc"]
    assert ROOT / "worlds" / "craft" / "data" in {p.parent for p in data}
    for path in data:
        assert f"habilis/{path.relative_to(ROOT).as_posix()}" in names


def test_the_wheel_claims_no_name_but_ours(built: tuple[Path, Path, str]) -> None:
    tops = {n.split("/")[0] for n in zipfile.ZipFile(built[1]).namelist()}
    assert tops == {"habilis", f"habilis-{PROJECT['project']['version']}.dist-info"}


def test_the_wheel_carries_the_licence(built: tuple[Path, Path, str]) -> None:
    archive = zipfile.ZipFile(built[1])
    info = f"habilis-{PROJECT['project']['version']}.dist-info"
    assert {f"{info}/licenses/LICENSE", f"{info}/licenses/NOTICE"} <= set(archive.namelist())
    assert "License-Expression: Apache-2.0" in archive.read(f"{info}/METADATA").decode()


def test_the_source_distribution_can_be_tested(built: tuple[Path, Path, str]) -> None:
    with tarfile.open(built[0]) as archive:
        names = {n.split("/", 1)[1] for n in archive.getnames() if "/" in n}
    assert {"constraints.txt", "Makefile", "docs/design.md", "tests/test_packaging.py"} <= names
    assert not [n for n in names if "__pycache__" in n]


def test_the_builds_print_no_deprecation(built: tuple[Path, Path, str]) -> None:
    complaints = [line for line in built[2].splitlines() if "deprecat" in line.lower() or "cannot be found" in line]
    assert not complaints


def test_what_is_installed_from_the_wheel_can_be_imported(built: tuple[Path, Path, str], tmp_path: Path) -> None:
    with zipfile.ZipFile(built[1]) as archive:
        archive.extractall(tmp_path)
    points = ConfigParser()
    points.read(next(tmp_path.glob("*.dist-info")) / "entry_points.txt")
    named = sorted({value for section in points.sections() for _, value in points.items(section)})
    code = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
import habilis
assert habilis.__file__.startswith({str(tmp_path)!r}), habilis.__file__
from importlib import import_module
for value in {named!r}:
    module, _, name = value.partition(":")
    assert hasattr(import_module(module), name), value
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_links_are_relative_and_lead_to_the_folders(folder: str) -> None:
    link = ROOT / "src" / "habilis" / folder
    if not link.is_symlink():
        pytest.skip("an unpacked source distribution has files in place of links")
    assert os.readlink(link) == f"../../{folder}"


def _requirements() -> list[Requirement]:
    project = PROJECT["project"]
    texts = [*project["dependencies"], *(t for ts in project["optional-dependencies"].values() for t in ts)]
    return [Requirement(t) for t in texts]


def test_every_dependency_is_pinned_within_its_range() -> None:
    lines = [line for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines() if line and line[0] != "#"]
    pins = dict(line.split("==") for line in lines)
    assert all(name == canonicalize_name(name) for name in pins)
    assert list(pins) == sorted(pins)
    for requirement in _requirements():
        assert requirement.specifier.contains(pins[canonicalize_name(requirement.name)]), str(requirement)


def test_the_pins_fit_together() -> None:
    """What each installed package asks of another is met by the pin of the other."""
    lines = [line for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines() if line and line[0] != "#"]
    pins = dict(line.split("==") for line in lines)
    checked = 0
    for name in pins:
        try:
            asked = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue
        for requirement in map(Requirement, asked):
            other = canonicalize_name(requirement.name)
            if other in pins and (requirement.marker is None or requirement.marker.evaluate({"extra": ""})):
                assert requirement.specifier.contains(pins[other]), f"{name} asks for {requirement}"
                checked += 1
    assert checked > 50


def _make(*args: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    if shutil.which("make") is None:
        pytest.skip("make is not on this system")
    env = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS", "PYTHON"))}
    return subprocess.run(["make", *args], cwd=cwd, env=env, capture_output=True, text=True, timeout=60, check=False)


def test_make_help_lists_every_target() -> None:
    done = _make("help", cwd=ROOT)
    assert done.returncode == 0
    for target in ("install", "run", "test", "bench", "soak", "fuzz", "models", "clean", "help"):
        assert f"make {target}" in done.stdout


def test_an_old_python_is_refused_with_the_next_step(tmp_path: Path) -> None:
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path / name)
    old = tmp_path / "python-of-old"
    old.write_text('#!/bin/sh\n[ "$1" = "--version" ] && echo "Python 3.9.1" && exit 0\nexit 1\n')
    old.chmod(0o755)
    done = _make("install", f"PYTHON={old}", cwd=tmp_path)
    assert done.returncode != 0
    assert "needs Python 3.11 or newer" in done.stderr
    assert "Python 3.9.1" in done.stderr
    assert "make install PYTHON=" in done.stderr
    assert not (tmp_path / ".venv").exists()


def test_the_gate_is_make_test_and_fails_when_it_does(tmp_path: Path) -> None:
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "run", tmp_path / ".ci" / "run")
    for code in (0, 5):
        (tmp_path / "Makefile").write_text(f"test:\n\t@echo tested; exit {code}\n")
        done = subprocess.run(
            [tmp_path / ".ci" / "run"], cwd="/", capture_output=True, text=True, timeout=60, check=False
        )
        assert "tested" in done.stdout
        assert (done.returncode == 0) is (code == 0)
