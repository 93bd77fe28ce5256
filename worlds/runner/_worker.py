"""What the host asks of a worker, wherever it runs: `LocalWorker` beside the host, `ContainerWorker` in a container."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from habilis.core.world import Json

SIGUSR1, SIGXCPU, SIGKILL = 10, 24, 9  # Linux's, whatever the host runs on: programs run on Linux
SIGNALS = {
    4: "SIGILL (an illegal instruction)",
    6: "SIGABRT (it gave up on itself)",
    7: "SIGBUS (memory that is not there)",
    8: "SIGFPE (impossible arithmetic)",
    9: "SIGKILL (killed from outside, or memory ran out)",
    11: "SIGSEGV (it broke its own memory)",
    13: "SIGPIPE (it wrote where nobody reads)",
    24: "SIGXCPU (processor time)",
    25: "SIGXFSZ (it wrote to a file)",
    31: "SIGSYS (a system call of a foreign table)",
}

# -s, -P, -S: nothing of the user's or the site's; not -I, which ignores PYTHONHASHSEED.
PYTHON = ("-s", "-P", "-S")
ENVIRONMENT = {
    "PYTHONHASHSEED": "0",
    "PYTHONUTF8": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "LANG": "C.UTF-8",
    "TZ": "UTC",
}


# The first forks find memory as no later ones do (the interpreter tunes code that it has seen a few times), so nothing
# runs in them: ids repeat from the next one on.
ODD_FORKS = 10


class NotBegun(Exception):
    """The worker, or the run's process, ended before anything came of the run: it can be done again."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What a worker is started with. ``modules``: imported before anything is confined, for programs to import;
    ``portable``: ("module:name", options) of the world that the fast path simulates; ``path``: where both are found."""

    modules: tuple[str, ...] = ()
    portable: tuple[str, Mapping[str, Json]] | None = None
    path: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Order:
    """How a run is confined and limited."""

    tier: int
    memory_mb: int | None
    cpu_seconds: int | None


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run's process ended: a signal or an exit code, and the processor seconds it used. ``ours``: it had not, and
    was killed by us."""

    signal: int | None
    code: int
    cpu: float
    ours: bool = False

    @classmethod
    def of(cls, status: int, cpu: float) -> Ended:
        """From a wait status, as Linux writes it."""
        number = status & 0x7F
        return cls(number or None, status >> 8 & 0xFF, cpu)


class Line(Protocol):
    """The host's ends of one run. After `close` everything is silent, and what is sent is lost."""

    def receive(self, size: int) -> bytes:
        """The next packet; b"" when the run's process has ended; `BlockingIOError` after a moment of silence."""
        ...

    def send(self, packet: bytes) -> None:
        """Without waiting: `BlockingIOError` when the program does not read, `ConnectionError` when it has ended."""
        ...

    def wait_to_send(self, seconds: float) -> None:
        """Until a packet may be sent, at most this long."""
        ...

    def output(self) -> bytes:
        """What was printed since; `BlockingIOError` when that is nothing, b"" when nothing can come any more."""
        ...

    def dump(self, seconds: float) -> bytes:
        """What the interpreter itself has said, after waiting for it at most this long."""
        ...

    def signal(self, number: int) -> None:
        """By its Linux number."""
        ...

    def ended(self) -> Ended | None:
        """Give it a moment to end by itself, close, and say how it ended; None if the worker has gone."""
        ...

    def close(self) -> None:
        """End the process, if it has not, and let go of it."""
        ...


class Worker(Protocol):
    """A warm worker process. ``problems``: what each kernel feature answered when attacked: None where it holds."""

    @property
    def problems(self) -> Mapping[str, str | None]: ...
    @property
    def pid(self) -> int: ...
    @property
    def alive(self) -> bool: ...
    def start(self, order: Order) -> Line:
        """A fork that waits for nothing but its confinement. Raises `NotBegun` if the worker has ended."""
        ...

    def close(self) -> None: ...


@dataclass
class Owner:
    """Which process started a worker: after a fork of the host, the worker is still the parent's."""

    pid: int = field(default_factory=os.getpid)

    @property
    def here(self) -> bool:
        return self.pid == os.getpid()
