"""What the attacks are aimed at, and running all of them where a test library is not to be had.

python -m tests.worlds.attacks.targets      # prints, as JSON, what was tried here and what got through
"""

from __future__ import annotations

import contextlib
import json
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

from tests.worlds.attacks.payloads import PAYLOADS
from tests.worlds.counter import CounterWorld

from habilis.core import IsolationError
from habilis.worlds.runner import ConfinedRunner, probe

NAMES = {1: "seccomp", 2: "landlock", 3: "bubblewrap"}


def tiers() -> list[int]:
    """The tiers that this system has."""
    found = []
    for tier, name in NAMES.items():
        with contextlib.suppress(IsolationError):
            if probe(name).tier == tier:
                found.append(tier)
    return found


@contextlib.contextmanager
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


def main() -> None:
    """Run every payload at every tier, and the controls, and print what came of it."""
    warnings.simplefilter("ignore")
    found = tiers()
    through: list[str] = []
    attacks: set[str] = set()
    with contextlib.ExitStack() as stack:
        given = stack.enter_context(targets())
        free = stack.enter_context(ConfinedRunner(unsafe_no_isolation=True))
        runners = {tier: stack.enter_context(ConfinedRunner(isolation=NAMES[tier])) for tier in found}
        for payload in PAYLOADS:
            if payload.family == "time":  # slow, and the same for every user
                continue
            name = f"{payload.family}: {payload.name}"
            by = runners[found[-1]] if payload.confined_control else free
            if payload.succeeded(
                by.run(payload.program(payload.control), CounterWorld(), args=given, limits=payload.free)
            ):
                attacks.add(name)
            for tier, runner in runners.items():
                t = runner.run(payload.program(), CounterWorld(), args=given, limits=payload.limits)
                if payload.succeeded(t) or t.tier != tier:
                    through.append(f"tier {tier}, {name}")
    print(json.dumps({"user": os.getuid(), "tiers": found, "attacks": len(attacks), "through": through}))


if __name__ == "__main__":
    main()
