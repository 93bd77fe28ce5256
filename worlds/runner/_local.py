"""A worker beside the host, inside bubblewrap's namespaces where they work: starting it, taking runs from it."""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import uuid
import weakref
from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from habilis.core.errors import IsolationError, WorldError
from habilis.worlds.runner import _bubblewrap
from habilis.worlds.runner._worker import (
    ENVIRONMENT,
    ODD_FORKS,
    PYTHON,
    SIGKILL,
    Ended,
    Line,
    NotBegun,
    Order,
    Owner,
    Setup,
)
from habilis.worlds.runner.worker import wire
from habilis.worlds.runner.worker.frames import ENDED, NEXT

SERVER = Path(__file__).resolve().parent / "worker" / "server.py"
_START_SECONDS = 30.0
_MOMENT = 0.2  # seconds in which a process that has closed its socket ends, if it is about to
_TICK = 0.02  # seconds that a receive waits before it says that the program is silent
# Looks at the socket before sleeping, about 20 us: waking a sleeping processor takes longer than most steps do.
# With one processor there is nobody to wait for.
SEVERAL = len(os.sched_getaffinity(0)) > 1 if hasattr(os, "sched_getaffinity") else True
_LOOKS = range(20 if SEVERAL else 0)


class LocalWorker:
    """One warm worker process. ``bubblewrap``: inside namespaces of its own. Raises `IsolationError` if it cannot be
    started, `WorldError` if the world to simulate cannot be made there."""

    def __init__(self, setup: Setup, *, bubblewrap: bool) -> None:
        if not hasattr(socket, "SOCK_SEQPACKET") or not sys.platform.startswith("linux"):
            raise IsolationError(
                f"programs run on Linux, and this is {sys.platform}; run them in a container: --isolation docker:IMAGE"
            )
        if not sys.executable:
            raise IsolationError("sys.executable is empty, so no worker can be started; run under a python executable")
        self._owner = Owner()
        self._spares: deque[list[int]] = deque()  # the ends of forks that wait for a run
        self._odd = ODD_FORKS
        self._ending: Ended | None = None  # how the last run did, of which `_due` are still to be told
        self._due = 0
        try:
            with contextlib.ExitStack() as passed:
                self._control, self.process = _start(setup, bubblewrap, passed)
                self._finalizer = weakref.finalize(self, _stop, self.process, self._control, self._spares, self._owner)
                self.problems = self._greet(setup.portable[0] if setup.portable is not None else "")
        except OSError as error:
            raise IsolationError(f"the worker process could not be started: {error}") from error

    def _greet(self, maker: str) -> Mapping[str, str | None]:
        """What each kernel feature answered when attacked: None, or what went wrong."""
        assert self.process.stderr is not None  # asked for above
        self._control.settimeout(_START_SECONDS)
        try:
            hello = self._control.recv(8192)
        except TimeoutError:
            hello, why = b"", f"it said nothing for {_START_SECONDS:g} s"
        except OSError:  # it ended
            hello, why = b"", ""
        else:
            why = ""
        if not hello:
            self._control.close()  # what is left of it ends, and lets go of its words
            self.process.kill()
            said = ""
            with contextlib.suppress(subprocess.TimeoutExpired):
                said = self.process.communicate(timeout=5)[1][-1500:].decode(errors="replace").strip()
            self.close()
            raise IsolationError(f"the worker process did not start: {why or said or 'it ended without a word'}")
        self.process.stderr.close()
        problems: dict[str, str | None] = json.loads(hello)
        wrong = problems.get("world")
        if wrong is not None:
            self.close()
            raise WorldError(
                f"the world that {maker!r} makes cannot be made beside a program: {wrong}; mend what maker() names, or "
                'leave "portable" out of its capabilities'
            )
        return problems

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def alive(self) -> bool:
        return self._owner.here and self.process.poll() is None

    def start(self, order: Order) -> Line:
        try:
            while self._odd:
                self._next().close()
                self._odd -= 1
            line = self._next()
        except OSError as error:
            raise NotBegun(f"the worker has ended ({error})") from error
        told = {"tier": order.tier, "memory_mb": order.memory_mb, "cpu_seconds": order.cpu_seconds}
        try:
            line.send(b"." + json.dumps({**told, "spin": SEVERAL}).encode())
        except OSError as error:
            line.close()
            raise NotBegun(f"the run's process has ended ({error})") from error
        return line

    def _next(self) -> _LocalLine:
        while not self._spares:
            self._hear()
        return _LocalLine(self, *self._spares.popleft())

    def _hear(self) -> None:
        """Take one message: the ends of a new fork, or how the last run ended."""
        data, fds, _, _ = socket.recv_fds(self._control, 64, 8)
        if len(fds) >= 4:
            self._spares.append(fds)
        elif len(data) == ENDED.size:
            status, cpu, _ = ENDED.unpack(data)
            self._ending = Ended.of(status, cpu)
            self._due -= 1
        else:
            for fd in fds:
                os.close(fd)
            raise ConnectionResetError("its socket is closed")

    @property
    def here(self) -> bool:
        """Whether this is the process that started it, and no fork of that."""
        return self._owner.here

    def done(self) -> None:
        """Tell the worker that the run it was given last is of no more use."""
        self._due += 1  # of a worker that has ended, too: what it told before is of an earlier run
        with contextlib.suppress(OSError):  # it has ended
            self._control.send(NEXT)

    def ending(self) -> Ended | None:
        """How the last run ended, of which the worker was told that it is of no more use."""
        try:
            while self._due:
                self._hear()
        except OSError:
            return None
        return self._ending

    def signal(self, number: int) -> None:
        """Signal the run, where the kernel has no pidfd: only its parent, which has not reaped it, can do so safely."""
        try:
            self._control.send(bytes([number]))
        except OSError:  # it has ended
            pass

    def close(self) -> None:
        self._finalizer()


class _LocalLine:
    """A run's socket, pipes, bell and pidfd."""

    def __init__(self, worker: LocalWorker, rpc: int, out: int, dump: int, memory: int, pidfd: int = -1) -> None:
        self._worker, self._out, self._dump, self._pidfd = worker, out, dump, pidfd
        self._channel = socket.socket(fileno=rpc)
        # A receive that gives up after a tick costs one system call; Python's own timeouts cost two.
        self._channel.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("@ll", 0, int(_TICK * 1e6)))
        os.set_blocking(out, False)
        os.set_blocking(dump, False)
        self._bell = mmap.mmap(memory, mmap.PAGESIZE)
        os.close(memory)
        self._rung = self._misses = self._rest = 0
        self._open = True

    def receive(self, size: int) -> bytes:
        receive, look = self._channel.recv, socket.MSG_DONTWAIT
        if self._rest:
            self._rest -= 1
            return receive(size)
        for _ in _LOOKS:
            try:
                packet = receive(size, look)
            except BlockingIOError:
                continue
            self._misses = 0
            return packet
        self._misses = min(self._misses + 1, 6)  # looking would only take time from others
        self._rest = 1 << self._misses
        return receive(size)

    def send(self, packet: bytes) -> None:
        self._channel.send(packet, socket.MSG_DONTWAIT)
        self._rung = self._rung + 1 & 255
        self._bell[0] = self._rung

    def wait_to_send(self, seconds: float) -> None:
        poll = select.poll()
        poll.register(self._channel, select.POLLOUT)
        poll.poll(seconds * 1e3)

    def output(self) -> bytes:
        return os.read(self._out, 65_536) if self._open else b""

    def dump(self, seconds: float) -> bytes:
        if not self._open:
            return b""
        poll = select.poll()
        poll.register(self._dump, select.POLLIN)
        try:
            return os.read(self._dump, 65_536) if not seconds or poll.poll(seconds * 1e3) else b""
        except BlockingIOError:
            return b""

    def signal(self, number: int) -> None:
        if not self._open:
            return
        if self._pidfd < 0:
            self._worker.signal(number)
            return
        try:
            signal.pidfd_send_signal(self._pidfd, number)
        except OSError:  # it has ended
            pass

    def ended(self) -> Ended | None:
        ours = self._open and not self._gone(_MOMENT)
        self.close()
        found = self._worker.ending()
        return None if found is None else replace(found, ours=ours)

    def _gone(self, seconds: float) -> bool:
        """Whether its process ends within so long. Without a pidfd nobody can tell, and it is taken for so."""
        if self._pidfd < 0:
            return True
        poll = select.poll()
        poll.register(self._pidfd, select.POLLIN)
        return bool(poll.poll(seconds * 1e3))

    def close(self) -> None:
        if not self._open:
            return
        if self._worker.here:  # a fork of the host must not end the host's run
            self.signal(SIGKILL)
        self._open = False
        self._channel.close()
        self._bell.close()
        for fd in (self._out, self._dump, self._pidfd):
            if fd >= 0:
                os.close(fd)
        if self._worker.here:
            self._worker.done()

    def __del__(self) -> None:
        if getattr(self, "_open", False):  # given up in the middle of something; its worker is not used again
            self._open = False
            for fd in (self._out, self._dump, self._pidfd):
                if fd >= 0:
                    os.close(fd)


def _start(
    setup: Setup, bubblewrap: bool, passed: contextlib.ExitStack
) -> tuple[socket.socket, subprocess.Popen[bytes]]:
    """Start the server; the host's end of its control socket, and the process. Raises `OSError`, `IsolationError`.

    ``passed`` keeps what the host need not hold once the server has said that it is there.
    """
    canary = passed.enter_context(_Canary())
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    passed.callback(theirs.close)
    try:
        host = _pidfd()
        if host is not None:
            passed.callback(os.close, host)
        python = os.path.realpath(sys.executable) if bubblewrap else sys.executable
        # Padded: with memory the same each time, ids are the same whatever else the host has open.
        numbers = (theirs.fileno(), -1 if host is None else host)
        command = [python, *PYTHON, str(SERVER), *(f"{number:06d}" for number in numbers)]
        if bubblewrap:
            command = [*_bubblewrap.prefix(python, SERVER.parent, setup), *command]
        # A clean environment by exec: /proc/PID/environ would keep what the host's own had. A session of its own:
        # Ctrl-C in the host's terminal is the host's to handle.
        process = subprocess.Popen(
            command,
            env=_environment(),
            pass_fds=[number for number in numbers if number >= 0],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            cwd="/",
            start_new_session=True,
        )
        theirs.close()
        config = {
            "modules": setup.modules,
            "portable": setup.portable,
            "path": setup.path,
            "canary": [*canary.told, "bubblewrap"] if bubblewrap else None,
        }
        with contextlib.suppress(OSError):  # if it is gone already, greeting it tells why
            for packet in wire.packets(json.dumps(config).encode()):
                ours.send(packet)
    except BaseException:
        ours.close()
        raise
    return ours, process


class _Canary:
    """A file and a socket that the host can reach and the worker should not, for the worker to try."""

    def __enter__(self) -> _Canary:
        name = f"habilis-canary-{uuid.uuid4().hex}"
        self._line = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._line.bind("\0" + name)
        self._line.listen(1)
        # A file that is there already: one made for this would stay behind when the host is killed just now.
        file = next(
            (path for path in ("/etc/passwd", "/etc/hostname", "/proc/self/status") if os.path.exists(path)), "/"
        )
        self.told = (file, name)
        return self

    def __exit__(self, *_: object) -> None:
        self._line.close()


def _pidfd() -> int | None:
    """A descriptor that tells of this process's end; None where the kernel has none (before Linux 5.3)."""
    try:
        return os.pidfd_open(os.getpid())
    except (OSError, AttributeError):
        return None


def _environment() -> dict[str, str]:
    environment = dict(ENVIRONMENT)
    if "LD_LIBRARY_PATH" in os.environ:  # a Python built with a shared library may not start without
        environment["LD_LIBRARY_PATH"] = os.environ["LD_LIBRARY_PATH"]
    return environment


def _stop(process: subprocess.Popen[bytes], control: socket.socket, spares: deque[list[int]], owner: Owner) -> None:
    control.close()
    while spares:
        for fd in spares.popleft():
            os.close(fd)
    if not owner.here:  # a fork of the host must not stop the host's worker
        return
    try:
        process.wait(2)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stderr is not None:
        process.stderr.close()
