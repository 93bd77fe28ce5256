"""What the README shows is run as it is written."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)


def test_the_example_runs_and_makes_the_program_that_is_shown(tmp_path: Path) -> None:
    example, shown = blocks("python")
    (tmp_path / "tea.py").write_text(example)
    done = subprocess.run(
        [sys.executable, "tea.py"], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == shown.strip()


def test_every_file_that_is_linked_exists() -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", (ROOT / "README.md").read_text()):
        assert (ROOT / target).exists(), target


def test_every_command_that_is_shown_exists() -> None:
    from typer.main import get_command

    from habilis.cli._app import app

    group = get_command(app)
    for line in "\n".join(blocks("console")).splitlines():
        words = line.removeprefix("$ ").split("#")[0].split()
        if words[:1] != ["habilis"]:
            continue
        command = group
        for word in words[1:]:
            found = getattr(command, "commands", {}).get(word)
            if found is None:
                break
            command = found
        assert command is not group, line
        known = {o for p in command.params for o in p.opts}
        assert {w for w in words if w.startswith("--")} <= known, line
