"""The long suites in a form that takes seconds: they run, and say so. What they are for needs their full length."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("suite", ["programs --runs 20", "kills --kills 2 --tasks 2", "library --kills 4"])
def test_the_suite_runs(suite: str) -> None:
    name, *options = suite.split()
    done = subprocess.run(
        [sys.executable, "-m", f"tests.soak.{name}", *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].startswith("ok: ")
