"""What the README shows is run as it is written."""

from __future__ import annotations

import re
import shlex
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


def look_around() -> list[list[str]]:
    """The commands after "Look around"."""
    text = (ROOT / "README.md").read_text().partition("\nLook around")[2]
    lines = re.findall(r"```console\n(.*?)```", text, flags=re.DOTALL)[0].splitlines()
    return [shlex.split(line.removeprefix("$ habilis ")) for line in lines]


def test_what_it_says_to_look_at_is_there_after_a_few_tasks(tmp_path: Path) -> None:
    def habilis(*args: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "habilis", *args, "--home", str(tmp_path)]
        return subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)

    assert habilis("run", "-n", "16", "--distil-every", "0").returncode == 0
    for args in look_around():
        done = habilis(*args)
        assert done.returncode == 0, (args, done.stdout, done.stderr)
        if args[:2] == ["skills", "search"]:
            assert "have_dirt" in done.stdout


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
