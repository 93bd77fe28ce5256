"""Targets for the attacks, and a runner for each tier that this system has."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from habilis.core import IsolationError
from habilis.worlds.runner import ConfinedRunner, probe

NAMES = {1: "seccomp", 2: "landlock", 3: "bubblewrap"}


def _has(tier: int) -> bool:
    try:
        return probe(NAMES[tier]).tier == tier
    except IsolationError:
        return False


HERE = [tier for tier in NAMES if _has(tier)]


@pytest.fixture(scope="session", params=HERE, ids=lambda tier: f"tier {tier}")
def confined(request: pytest.FixtureRequest) -> Iterator[ConfinedRunner]:
    with ConfinedRunner(isolation=NAMES[request.param]) as runner:
        assert runner.tier == request.param
        yield runner


@pytest.fixture(scope="session")
def unconfined() -> Iterator[ConfinedRunner]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with ConfinedRunner(unsafe_no_isolation=True) as runner:
            assert runner.tier == 0
            yield runner


@pytest.fixture(scope="session")
def targets() -> Iterator[dict[str, Any]]:
    """A secret file, a process to harm, and servers on loopback, a path, an abstract name and a UDP port."""
    with contextlib.ExitStack() as stack:
        folder = tempfile.mkdtemp()
        stack.callback(shutil.rmtree, folder)
        secret = Path(folder) / "secret.txt"
        secret.write_text("canary-file")
        victim = stack.enter_context(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]))
        stack.callback(victim.kill)
        tcp = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        udp = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        udp.bind(("127.0.0.1", 0))
        names = (f"{folder}/socket", f"\0habilis-test-{os.getpid()}")
        for name in names:
            unix = stack.enter_context(socket.socket(socket.AF_UNIX))
            unix.bind(name)
            unix.listen(64)
        yield {
            "secret": str(secret),
            "victim": victim.pid,
            "host": os.getpid(),
            "tcp": tcp.getsockname()[1],
            "udp": udp.getsockname()[1],
            "path": names[0],
            "abstract": names[1],
        }
