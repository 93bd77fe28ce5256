"""The host's handle on the warm worker: starting it, ordering runs and signals, hearing how runs ended."""

from __future__ import annotations

import array
import json
import os
import socket
import subprocess
import sys
import time
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from habilis.core.errors import IsolationError

_SERVER = Path(__file__).resolve().parent / "_server.py"
_START_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run's process ended: its wait status, and the processor seconds it used."""

    status: int
    cpu: float


class Server:
    """One warm worker process. Raises `IsolationError` if it cannot be started."""

    def __init__(self) -> None:
        if not hasattr(socket, "SOCK_SEQPACKET") or not sys.platform.startswith("linux"):
            raise IsolationError(
                f"programs run on Linux only for now, and this is {sys.platform}; use a Linux container"
            )
        if not sys.executable:
            raise IsolationError("sys.executable is empty, so no worker can be started; run under a python executable")
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            # A clean environment by exec: /proc/PID/environ would keep what the host's own had. A session of its own:
            # Ctrl-C in the host's terminal is the host's to handle.
            environment = {"PYTHONHASHSEED": "0", "OPENBLAS_NUM_THREADS": "1", "LANG": "C.UTF-8", "PYTHONUTF8": "1"}
            if "LD_LIBRARY_PATH" in os.environ:  # a Python built with a shared library may not start without
                environment["LD_LIBRARY_PATH"] = os.environ["LD_LIBRARY_PATH"]
            self.process = subprocess.Popen(
                [sys.executable, "-s", "-P", "-S", str(_SERVER), str(theirs.fileno()), str(os.getpid())],
                env=environment,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                cwd="/",
                start_new_session=True,
            )
        self.control = ours
        self.owner = os.getpid()
        self._ended: dict[int, Ended] = {}
        self._last = 0
        self._finalizer = weakref.finalize(self, _stop, self.process, ours, self.owner)
        self.problems = self._greet()

    def _greet(self) -> dict[str, str | None]:
        """What each kernel feature answered when tried: None, or what went wrong."""
        assert self.process.stderr is not None  # asked for above
        self.control.settimeout(_START_SECONDS)
        try:
            hello = self.control.recv(4096)
        except OSError as error:
            hello = b""
            why = f"it said nothing for {_START_SECONDS:g} s ({error})"
        else:
            why = ""
        if not hello:
            self.process.kill()
            said = self.process.stderr.read()[-1500:].decode(errors="replace").strip()
            self.close()
            raise IsolationError(f"the worker process did not start: {why or said or 'it ended without a word'}")
        self.process.stderr.close()
        self.control.settimeout(None)
        self.control.setblocking(False)
        problems: dict[str, str | None] = json.loads(hello)
        return problems

    @property
    def alive(self) -> bool:
        return self.owner == os.getpid() and self.process.poll() is None

    def start(self, tier: int, memory_mb: int | None, cpu_seconds: int | None, fds: Sequence[int]) -> int:
        """Fork a run with these descriptors (socket, output, dump); returns its number. Raises `OSError`."""
        while self._hear():  # how earlier runs ended, so that the socket never fills
            pass
        self._last += 1
        order = {"run": self._last, "tier": tier, "memory_mb": memory_mb, "cpu_seconds": cpu_seconds}
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))]
        self.control.sendmsg([json.dumps(order).encode()], rights)
        return self._last

    def signal(self, run: int, number: int) -> None:
        """Signal a run; one that has ended is left alone, for only its parent, which has not reaped it, signals it."""
        self.control.settimeout(_START_SECONDS)  # a signal must not be lost because the worker is slow to listen
        try:
            self.control.send(json.dumps({"run": run, "signal": number}).encode())
        except OSError:  # the worker has ended, and with it all runs
            pass
        finally:
            self.control.setblocking(False)

    def ended(self, run: int, wait: float) -> Ended | None:
        """How the run ended, waiting at most this many seconds; None if it has not, or the worker is gone."""
        until = time.monotonic() + wait
        while run not in self._ended:
            self.control.settimeout(max(0.0, until - time.monotonic()))
            try:
                heard = self._hear()
            finally:
                self.control.setblocking(False)
            if not heard:
                return None
        return self._ended.pop(run)

    def _hear(self) -> bool:
        try:
            raw = self.control.recv(4096)
        except OSError:
            return False
        if not raw:
            return False
        told = json.loads(raw)
        self._ended[told["run"]] = Ended(told["status"], told["cpu"])
        for old in [number for number in self._ended if number < told["run"] - 64]:
            del self._ended[old]  # of runs that nobody waits for any more
        return True

    def close(self) -> None:
        self._finalizer()


def _stop(process: subprocess.Popen[bytes], control: socket.socket, owner: int) -> None:
    control.close()
    if os.getpid() != owner:  # a fork of the host must not stop the host's worker
        return
    try:
        process.wait(2)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stderr is not None:
        process.stderr.close()
