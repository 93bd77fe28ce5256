"""Every index back end, opened again and again at one place; a real Chroma server on loopback."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from habilis.core import HomeError, VectorIndex
from habilis.memory.index import ChromaIndex, ChromaServerIndex, FaissIndex, MemoryIndex


def chroma_program() -> str | None:
    """The program ``chroma``, which lies beside this interpreter or on the path."""
    return shutil.which("chroma", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))


@dataclass
class ChromaServer:
    """A ``chroma run`` of our own."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        binary = chroma_program()
        assert binary is not None
        self.process = subprocess.Popen(
            [binary, "run", "--path", str(self.folder), "--host", "127.0.0.1", "--port", str(self.port)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self.folder,
        )
        for _ in range(600):
            with contextlib.suppress(HomeError):
                ChromaServerIndex(self.url, "knock", "x", 2).close()
                return
            assert self.process.poll() is None, "chroma run ended at once"
            time.sleep(0.05)
        raise AssertionError("chroma run did not answer within 30 s")

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()


@pytest.fixture(scope="session")
def new_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], ChromaServer]]:
    """Starts servers, and ends them."""
    if chroma_program() is None:
        pytest.skip("the program chroma, which comes with chromadb, is not there")
    started: list[ChromaServer] = []

    def new() -> ChromaServer:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        server = ChromaServer(tmp_path_factory.mktemp("chroma"), port)
        started.append(server)
        server.start()
        return server

    yield new
    for server in started:
        server.stop()


@pytest.fixture(scope="session")
def server(new_server: Callable[[], ChromaServer]) -> ChromaServer:
    """One for all who do not stop it."""
    return new_server()


@dataclass(frozen=True)
class BackEnd:
    """``open(place, fingerprint, dim)``: the index at a place, the same one each time, where ``keeps`` is true."""

    name: str
    open: Callable[..., VectorIndex]
    place: Callable[[], Path]
    keeps: bool = True

    def new(self, dim: int = 8) -> VectorIndex:
        return self.open(self.place(), "x", dim)


NAMES = ("exact", "chroma", "server", "faiss", "faiss lists")


def _back_end(name: str, request: pytest.FixtureRequest, folder: Path) -> BackEnd:
    numbers = itertools.count()

    def place() -> Path:
        return folder / f"{name.replace(' ', '-')}-{next(numbers)}"

    if name == "exact":
        return BackEnd(name, lambda path, fingerprint, dim: MemoryIndex(dim), place, keeps=False)
    if name == "chroma":
        return BackEnd(name, ChromaIndex, place)
    if name == "server":
        url = request.getfixturevalue("server").url
        return BackEnd(name, lambda path, *told, **more: ChromaServerIndex(url, str(path), *told, **more), place)
    pytest.importorskip("faiss", reason="faiss is not installed (pip install habilis[faiss])")
    if name == "faiss":
        return BackEnd(name, FaissIndex, place)
    # So few that the lists are trained, written and trained again within a test.
    return BackEnd(name, lambda *told, **more: FaissIndex(*told, train_from=16, spill=4, **more), place)


@pytest.fixture(params=NAMES)
def back_end(request: pytest.FixtureRequest, tmp_path: Path) -> BackEnd:
    return _back_end(request.param, request, tmp_path)


@pytest.fixture(params=[n for n in NAMES if n != "exact"])
def keeping(request: pytest.FixtureRequest, tmp_path: Path) -> BackEnd:
    """Only those that keep what they hold."""
    return _back_end(request.param, request, tmp_path)
