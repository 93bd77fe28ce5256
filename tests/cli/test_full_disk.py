"""A disk that fills while a run writes: one clear error, nothing lost, and the run goes on when there is room. One that
takes no writes at all can be read."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


def _may_mount() -> bool:
    if os.getuid() != 0 or not shutil.which("unshare"):
        return False
    return subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode == 0


@pytest.mark.skipif(not _may_mount(), reason="needs root and mount namespaces")
@pytest.mark.parametrize("size", ["200k", "600k", "1m"])
def test_a_full_disk_is_an_error_and_the_run_goes_on(tmp_path: Path, size: str) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    habilis = f"{sys.executable} -c 'from habilis.cli import main; main()'"
    run = f"{habilis} run -n 24 --distil-every 0 --home {disk}/home"
    script = f"""
        mount -t tmpfs -o size={size} tmpfs {disk}
        {run} >{tmp_path}/first 2>&1; echo $? >{tmp_path}/code
        mount -o remount,size=64m {disk}
        {run} --json >{tmp_path}/second 2>{tmp_path}/errors
        {habilis} runs --json --home {disk}/home >{tmp_path}/runs
    """
    subprocess.run(["unshare", "--mount", "sh", "-c", script], check=True, timeout=240)
    first = (tmp_path / "first").read_text()
    assert (tmp_path / "code").read_text().strip() not in ("0", ""), first
    assert "Traceback" not in first
    assert "full" in first or "space" in first, first
    second = json.loads((tmp_path / "second").read_text())
    assert (second["status"], second["tried"]) == ("finished", 24), (tmp_path / "errors").read_text()
    assert [r["status"] for r in json.loads((tmp_path / "runs").read_text())][-1] == "finished"


@pytest.mark.skipif(not _may_mount(), reason="needs root and mount namespaces")
def test_a_home_on_a_file_system_that_takes_no_writes_can_be_looked_at(home: Path, tmp_path: Path) -> None:
    habilis = f"{sys.executable} -c 'from habilis.cli import main; main()'"
    script = f"""
        mount --bind {home} {home}
        mount -o remount,bind,ro {home}
        {habilis} skills list --json --home {home} >{tmp_path}/skills
        {habilis} report --home {home} --out {tmp_path}/report.html
        {habilis} run -n 20 --home {home} 2>{tmp_path}/errors || echo $? >{tmp_path}/code
    """
    subprocess.run(["unshare", "--mount", "sh", "-e", "-c", script], check=True, timeout=120)
    assert json.loads((tmp_path / "skills").read_text())
    assert (tmp_path / "report.html").stat().st_size > 1000
    told = (tmp_path / "errors").read_text()
    assert (tmp_path / "code").read_text().strip() == "1"
    assert "Traceback" not in told
    assert "read-only" in told.lower(), told
