"""Real servers on loopback: of MCP, run as programs; of HTTP, in a thread."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

SERVER = Path(__file__).parent / "mcp_test_server.py"


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    """What starts the MCP server of the tests, with a folder of its own."""
    pytest.importorskip("mcp", reason="the extra mcp is not installed: pip install 'habilis[mcp]'")
    return [sys.executable, str(SERVER), str(tmp_path)]


@pytest.fixture
def serve(command: list[str]) -> Iterator[Callable[..., tuple[str, subprocess.Popen[str]]]]:
    """Starts the server over HTTP; its address, and its process."""
    running: list[subprocess.Popen[str]] = []

    def start(*, port: int = 0, **env: str) -> tuple[str, subprocess.Popen[str]]:
        process = subprocess.Popen(
            [*command, "--http"],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **env, "TEST_SERVER_PORT": str(port)},
        )
        running.append(process)
        assert process.stdout is not None
        return f"http://127.0.0.1:{int(process.stdout.readline())}/mcp", process

    yield start
    for process in running:
        process.kill()
        process.communicate()


@contextlib.contextmanager
def _http_service(app: Any) -> Iterator[str]:
    import socket

    import uvicorn

    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off"))
        thread = threading.Thread(target=lambda: server.run(sockets=[listening]), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = server.force_exit = True
            thread.join(10)


@pytest.fixture(scope="session")
def http_service() -> Callable[[Any], AbstractContextManager[str]]:
    """Serves an ASGI application in a thread; its address."""
    pytest.importorskip("uvicorn", reason="the extra mcp, which brings uvicorn, is not installed")
    return _http_service
