"""The same attacks as another user, and in a layout like a container's, in namespaces that the test makes itself."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
NOBODY = "65534"


def _may_mount() -> bool:
    if os.getuid() != 0 or not shutil.which("unshare") or not shutil.which("setpriv"):
        return False
    return subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode == 0


pytestmark = pytest.mark.skipif(not _may_mount(), reason="needs root with unshare and setpriv")


def _in_namespaces(tmp_path: Path, options: list[str], setup: str, become: list[str], run: list[str]) -> Any:
    """Run Python, of which another user may not see the original, in new namespaces; its last line as JSON."""
    python, code = tmp_path / "python", tmp_path / "code"
    python.mkdir()
    code.mkdir()
    for folder in (tmp_path, *tmp_path.parents):  # pytest makes its folders private
        if folder.is_relative_to("/tmp") and folder != Path("/tmp"):
            folder.chmod(0o755)
    script = f"""
        set -e
        mount --make-rprivate /
        mount --bind {sys.base_prefix} {python}
        mount --bind {ROOT} {code}
        cd {code}
        {setup}
        exec "$@"
    """
    command = [*become, f"{python}/bin/{Path(os.path.realpath(sys.executable)).name}", "-s", *run]
    done = subprocess.run(
        ["unshare", "--mount", *options, "sh", "-c", script, "sh", *command],
        capture_output=True,
        text=True,
        timeout=300,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": f"{code}/src:{code}", "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.strip().splitlines()[-1])


def test_another_user_is_held_as_well(tmp_path: Path) -> None:
    become = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--inh-caps=-all"]
    found = _in_namespaces(tmp_path, [], "true", become, ["-m", "tests.worlds.attacks.targets"])
    assert found["user"] == int(NOBODY)
    assert found["tiers"]
    assert found["through"] == []
    # Some calls are refused to an ordinary user anyway, and prove nothing for this one.
    assert found["attacks"] >= 130, found


def test_root_without_capabilities_on_a_read_only_system_is_held_as_well(tmp_path: Path) -> None:
    setup = "mount -t tmpfs tmpfs /dev/shm && mount -o remount,bind,ro /"
    become = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"]
    options = ["--pid", "--fork", "--net", "--ipc", "--uts", "--mount-proc", "--kill-child"]
    source = (
        "import os, runpy\nos.environ['TMPDIR'] = '/dev/shm'\n"
        "runpy.run_module('tests.worlds.attacks.targets', run_name='__main__')"
    )
    found = _in_namespaces(tmp_path, options, f"ip link set lo up || true; {setup}", become, ["-c", source])
    assert found["user"] == 0
    assert found["tiers"]
    assert found["through"] == []
    assert found["attacks"] >= 120, found


def test_with_nowhere_to_write_programs_run_all_the_same(tmp_path: Path) -> None:
    source = (
        "import json, os, tempfile\n"
        "from habilis.core import Program\nfrom habilis.worlds.runner import ConfinedRunner, probe\n"
        "from tests.worlds.counter import CounterWorld\n"
        "try: tempfile.gettempdir(); wrote = True\n"
        "except OSError: wrote = False\n"
        "program = Program('main', 'def main(): return world.add(\"a\").value')\n"
        "with ConfinedRunner() as r: t = r.run(program, CounterWorld())\n"
        "print(json.dumps([wrote, t.returned, t.tier, probe().missing]))"
    )
    become = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]
    every = "for place in / /dev/shm .; do mount -o remount,bind,ro $place; done"
    wrote, returned, tier, missing = _in_namespaces(tmp_path, [], every, become, ["-c", source])
    assert (wrote, returned) == (False, 1)
    assert tier > 0, missing
