"""The command line as users have it: in this process where nothing is at stake, in one of its own for signals."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from habilis.cli import main

LEARNED = 16  # iterations of the shared home


@dataclass(frozen=True)
class Result:
    """What a command did. ``out`` and ``err`` are what it printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Cli:
    """Runs commands with an empty model cache, so that nothing is fetched and the embedder is the hash one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        kept = {k: v for k, v in os.environ.items() if not k.endswith("_API_KEY") and not k.startswith("HABILIS")}
        self.env = kept | {
            "HABILIS_CACHE": str(folder / "cache"),
            "HABILIS_HOME": str(folder / "default-home"),
            "COLUMNS": "200",
            "PYTHONUNBUFFERED": "1",
        }
        self.env.pop("FORCE_COLOR", None)

    def __call__(self, *args: str | Path) -> Result:
        """Run one command in this process, exactly as the console script would."""
        out, err, code = io.StringIO(), io.StringIO(), 0
        with (
            mock.patch.dict(os.environ, self.env, clear=True),
            mock.patch.object(sys, "argv", ["habilis", *map(str, args)]),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            try:
                main()
            except SystemExit as error:
                code = error.code if isinstance(error.code, int) else 0 if error.code is None else 1
        return Result(code, out.getvalue(), err.getvalue())

    def start(self, *args: str | Path, **env: str) -> subprocess.Popen[str]:
        """Start one command in a process of its own; nobody sits at its input."""
        return subprocess.Popen(
            [sys.executable, "-c", "from habilis.cli import main; main()", *map(str, args)],
            env=self.env | env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
        )

    def apart(self, *args: str | Path, **env: str) -> Result:
        """Run one command in a process of its own, to its end."""
        process = self.start(*args, **env)
        try:
            out, err = process.communicate(timeout=120)
        finally:
            process.kill()
        return Result(process.returncode, out, err)


@pytest.fixture(scope="session")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Cli:
    return Cli(tmp_path_factory.mktemp("cli"))


@pytest.fixture(scope="session")
def learned(cli: Cli) -> Path:
    """A home that has learned for a while. Only to be read: take `home` for anything else."""
    home = cli.folder / "learned"
    result = cli("run", "-n", str(LEARNED), "--distil-every", "0", "--home", home)
    assert result.code == 0, result.err
    return home


@pytest.fixture
def home(learned: Path, tmp_path: Path) -> Path:
    """A copy of it, to be changed."""
    return Path(shutil.copytree(learned, tmp_path / "home"))


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Path]:
    """A folder to stand in, for what commands look for in the current one."""
    with contextlib.chdir(tmp_path):
        yield tmp_path


@pytest.fixture
def write(here: Path) -> Callable[[str, str], Path]:
    def one(name: str, text: str) -> Path:
        (here / name).write_text(text, encoding="utf-8")
        return here / name

    return one
