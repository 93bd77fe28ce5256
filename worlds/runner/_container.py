"""A worker in a container, reached over the pipes of ``docker run``: also for systems that cannot confine themselves.

Inside, the same worker confines each run with seccomp and Landlock as well, where the engine's kernel has them; the
container adds namespaces, an empty network and a read-only file system. gVisor adds a kernel of its own: the same
command with its runtime. Nothing here needs Linux on the host's side.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import socket
import subprocess
import sys
import threading
import time
import uuid
import weakref
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from habilis.core.errors import IsolationError
from habilis.core.world import Json
from habilis.worlds.runner._worker import ENVIRONMENT, ODD_FORKS, PYTHON, SIGKILL, Ended, NotBegun, Order, Owner
from habilis.worlds.runner.worker import wire
from habilis.worlds.runner.worker.frames import ENDED, HEADER

_FOLDER = Path(__file__).resolve().parent / "worker"
_INSIDE = "/habilis"
_START_SECONDS = 120.0  # an image that has to be fetched first takes longer: fetch it beforehand
_TICK = 0.02
_MOMENT = 0.2  # seconds in which a process that has closed its socket ends, if it is about to
_MEMORY_MB = 2048  # of the whole container; each run has its own limit beneath it
_PROCESSES = 32
_QUEUED = 64  # frames read ahead; more wait in the pipe


class ContainerWorker:
    """A warm worker process in a container of ``image``, which needs a ``python3`` of 3.11 or newer and nothing else.

    ``kind``: "docker", or "gvisor" for the runtime runsc. Raises `IsolationError` if it cannot be started.
    """

    def __init__(self, kind: str, image: str) -> None:
        name = f"habilis-{uuid.uuid4().hex[:12]}"
        canary = _Canary()
        config: dict[str, Json] = {"modules": [], "portable": None, "path": [], "canary": [*canary.told, kind]}
        command = [
            *_run_options(kind, name),
            image,
            "python3",
            *PYTHON,
            f"{_INSIDE}/bridge.py",
            json.dumps(["python3", *PYTHON]),
            json.dumps(config),
        ]
        try:
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=str(_FOLDER)
            )
        except OSError as error:
            canary.close()
            raise IsolationError(
                f"docker cannot be started ({error}); install Docker, or use another --isolation"
            ) from error
        assert process.stdin is not None  # asked for above
        assert process.stdout is not None
        assert process.stderr is not None
        self.process, self._to = process, process.stdin
        self._owner = Owner()
        self._frames: queue.Queue[tuple[bytes, bytes]] = queue.Queue(_QUEUED)
        self._words: deque[str] = deque(maxlen=20)
        self._finalizer = weakref.finalize(self, _stop, process, name, self._owner)
        threading.Thread(target=_read, args=(process.stdout, self._frames), daemon=True).start()
        threading.Thread(target=_collect, args=(process.stderr, self._words), daemon=True).start()
        self._ready = False  # whether a fork waits for a run
        self._odd = ODD_FORKS
        self._due = 0
        self._ending: Ended | None = None
        try:
            self.problems = self._greet(kind, image)
        finally:
            canary.close()
        _LIVE.add(self)

    def _greet(self, kind: str, image: str) -> Mapping[str, str | None]:
        try:
            what, body = self._frames.get(timeout=_START_SECONDS)
        except queue.Empty:
            what, body = b"", f"it said nothing for {_START_SECONDS:g} s".encode()
        if what != b"H":
            time.sleep(_TICK)  # its last words may still be on their way
            why = " ".join(self._words).strip() or body.decode(errors="replace") or "it ended without a word"
            self.close()
            raise IsolationError(
                f"the worker in {kind}:{image} did not start: {why[-1500:]}; see that `docker run --rm {image} python3 "
                "--version` works and says 3.11 or newer"
            )
        problems: dict[str, str | None] = json.loads(body)
        return problems

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def alive(self) -> bool:
        return self._owner.here and self.process.poll() is None

    def start(self, order: Order) -> ContainerLine:
        told = {"tier": order.tier, "memory_mb": order.memory_mb, "cpu_seconds": order.cpu_seconds, "spin": False}
        try:
            self._await_fork()
            while self._odd:
                self.done()
                self._odd -= 1
                self._await_fork()
            line = ContainerLine(self)
            line.send(wire.packets(json.dumps(told).encode())[0])
        except ConnectionError as error:
            raise NotBegun(str(error)) from error
        return line

    def _await_fork(self) -> None:
        until = time.monotonic() + _START_SECONDS
        while not self._ready:
            self._hear(max(0.0, until - time.monotonic()))
        self._ready = False

    def say(self, kind: bytes, body: bytes = b"") -> None:
        """Raises `ConnectionError` if the container has ended."""
        try:
            self._to.write(HEADER.pack(kind, len(body)) + body)
            self._to.flush()
        except (OSError, ValueError) as error:
            raise ConnectionResetError(f"the container has ended ({error})") from error

    def hear(self, seconds: float) -> tuple[bytes, bytes] | None:
        """The next frame of the run; None after so long without one. Raises `ConnectionError`."""
        try:
            kind, body = self._frames.get(timeout=seconds) if seconds else self._frames.get_nowait()
        except queue.Empty:
            return None
        if not kind:
            self._frames.put((kind, body))  # for whoever asks next
            raise ConnectionResetError("the container has ended")
        if kind == b"R":
            self._ready = True
        elif kind == b"E" and len(body) == ENDED.size:
            status, cpu, _ = ENDED.unpack(body)
            self._ending = Ended.of(status, cpu)
            self._due -= 1
        return kind, body

    def _hear(self, seconds: float) -> None:
        """A frame that no run waits for: what an earlier one still had to say is passed over."""
        if self.hear(seconds) is None:
            raise ConnectionResetError("the container does not answer")

    def done(self) -> None:
        self._ready = False
        self._due += 1  # of a container that has ended, too: what it told before is of an earlier run
        with contextlib.suppress(ConnectionError):
            self.say(b"N")

    def ending(self) -> Ended | None:
        until = time.monotonic() + _START_SECONDS
        try:
            while self._due:
                self._hear(max(0.0, until - time.monotonic()))
        except ConnectionError:
            return None
        return self._ending

    def close(self) -> None:
        self._finalizer()


class ContainerLine:
    """One run in the container. What comes is sorted by kind, for all of it comes over one pipe."""

    def __init__(self, worker: ContainerWorker) -> None:
        self._worker = worker
        self._packets: deque[bytes] = deque()
        self._output, self._dump = bytearray(), bytearray()
        self._open = True

    def _hear(self, seconds: float) -> bool:
        heard = self._worker.hear(seconds)
        if heard is None:
            return False
        kind, body = heard
        if kind == b"P":
            self._packets.append(body)
        elif kind == b"O":
            self._output += body
        elif kind == b"D":
            self._dump += body[: wire.MESSAGE - len(self._dump)]
        return True

    def receive(self, size: int) -> bytes:
        until = time.monotonic() + _TICK
        while not self._packets:
            left = until - time.monotonic()
            # What else has come is to be looked at, however much more of it there is.
            if left <= 0 or self._output or self._dump or not self._hear(left):
                raise BlockingIOError
        return self._packets.popleft()[:size]

    def send(self, packet: bytes) -> None:
        self._worker.say(b"P", packet)

    def wait_to_send(self, seconds: float) -> None:
        """Sending never waits: the bridge holds what the program does not read."""

    def output(self) -> bytes:
        if not self._open:
            return b""
        while not (self._output or self._packets or self._dump):
            if not self._hear(0):
                break
        if not self._output:
            raise BlockingIOError
        said, self._output = bytes(self._output), bytearray()
        return said

    def dump(self, seconds: float) -> bytes:
        until = time.monotonic() + seconds
        while self._open and not self._dump:
            try:
                if not self._hear(max(0.0, until - time.monotonic())):
                    break
            except ConnectionError:
                break
        said, self._dump = bytes(self._dump), bytearray()
        return said

    def signal(self, number: int) -> None:
        if self._open:
            try:
                self._worker.say(b"S", bytes([number]))
            except ConnectionError:  # it has ended
                pass

    def ended(self) -> Ended | None:
        time.sleep(_MOMENT)
        self.close()
        return self._worker.ending()

    def close(self) -> None:
        if self._open:
            self.signal(SIGKILL)
            self._open = False
            self._worker.done()


class _Canary:
    """A file and, on Linux, a socket that the host can reach and a container should not, for the worker to try."""

    def __init__(self) -> None:
        name = ""
        self._line: socket.socket | None = None
        if sys.platform.startswith("linux"):
            name = f"habilis-canary-{uuid.uuid4().hex}"
            self._line = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            self._line.bind("\0" + name)
            self._line.listen(1)
        self.told = (str(Path(__file__).resolve()), name)

    def close(self) -> None:
        if self._line is not None:
            self._line.close()


_LIVE: weakref.WeakSet[ContainerWorker] = weakref.WeakSet()


def _let_go() -> None:
    """A fork of the host closes its copy of the pipes, so that a container ends when the host does."""
    for worker in list(_LIVE):
        with contextlib.suppress(OSError, ValueError):
            os.close(worker.process.stdin.fileno())  # type: ignore[union-attr]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go)


def _run_options(kind: str, name: str) -> list[str]:
    """``docker run`` with nothing that the worker does not need."""
    options = ["docker", "run", "--rm", "--interactive", "--name", name]
    if kind == "gvisor":
        options += ["--runtime", "runsc"]
    options += ["--network", "none", "--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"]
    options += ["--user", "65534:65534", "--pids-limit", str(_PROCESSES), "--memory", f"{_MEMORY_MB}m"]
    options += ["--mount", f"type=bind,source={_FOLDER},target={_INSIDE},readonly", "--workdir", "/"]
    for key, value in sorted(ENVIRONMENT.items()):
        options += ["--env", f"{key}={value}"]
    return options


def _read(pipe: IO[bytes], frames: queue.Queue[tuple[bytes, bytes]]) -> None:
    """Frames from the container, in a thread of its own; an empty one at the end."""
    while True:
        head = pipe.read(HEADER.size)
        if len(head) < HEADER.size:
            break
        kind, size = HEADER.unpack(head)
        if size > 1 << 20:  # no honest bridge sends this
            break
        body = pipe.read(size)
        if len(body) < size:
            break
        frames.put((kind, body))
    frames.put((b"", b""))


def _collect(pipe: IO[bytes], words: deque[str]) -> None:
    for line in pipe:
        words.append(line[:500].decode(errors="replace").strip())


def _stop(process: subprocess.Popen[bytes], name: str, owner: Owner) -> None:
    if not owner.here:  # a fork of the host must not stop the host's worker
        return
    if process.stdin is not None:
        try:
            process.stdin.close()  # the bridge ends, and --rm removes the container
        except OSError:
            pass
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        subprocess.run(["docker", "rm", "--force", name], capture_output=True, check=False)
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()
