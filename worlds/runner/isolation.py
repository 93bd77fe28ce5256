"""What confines programs on this system: the tiers, what is missing for a higher one, and what would mend it."""

from __future__ import annotations

import time
from dataclasses import dataclass

from habilis.core.errors import InputError, IsolationError, WorldError
from habilis.worlds.runner._container import ContainerWorker
from habilis.worlds.runner._local import LocalWorker
from habilis.worlds.runner._worker import Setup, Worker

KINDS = ("auto", "bubblewrap", "landlock", "seccomp")
CONTAINERS = ("docker", "gvisor")
TIERS = {
    3: "seccomp, Landlock and namespaces",
    2: "seccomp and Landlock",
    1: "seccomp",
    0: "nothing: programs are refused",
}
_FIXES = {
    "seccomp": "allow seccomp filters for this process (Docker's default profile does), or run programs in a "
    "container: --isolation docker:IMAGE",
    "landlock": 'use Linux 5.13 or newer with Landlock on (boot with "lsm=landlock,…"), in a container whose profile '
    "allows it",
    "bubblewrap": "install bubblewrap (Debian, Ubuntu, Fedora: the package bubblewrap) and allow user namespaces "
    "(sysctl kernel.apparmor_restrict_unprivileged_userns=0 on Ubuntu; in Docker they stay forbidden)",
}


class UnconfinedWarning(RuntimeWarning):
    """Programs run unconfined, as was asked for."""


class WeakerWarning(RuntimeWarning):
    """Programs are confined by less than before: a new worker found less to hold."""


@dataclass(frozen=True, slots=True)
class Isolation:
    """What was found to hold, by attacking it.

    ``tier``: 3 seccomp, Landlock and namespaces (bubblewrap's or a container's), 2 seccomp and Landlock, 1 seccomp,
    0 nothing that confines. ``backend``: "bubblewrap", "docker", "gvisor", or "" for none. ``missing``: what did not
    hold, and why.
    """

    tier: int
    backend: str = ""
    missing: tuple[str, ...] = ()

    @property
    def fix(self) -> str | None:
        """What would give a higher tier; None at the highest."""
        named = {problem.partition(":")[0] for problem in self.missing}
        found = [_FIXES[name] for name in sorted(named) if name in _FIXES]
        if not found and not self.tier:
            found = ["run programs in a container: --isolation docker:IMAGE"]
        return "; ".join(found) or None


def probe(isolation: str = "auto") -> Isolation:
    """Start a worker, attack each feature from throw-away processes, and say what holds.

    Raises `IsolationError` if no worker can start, `InputError` for an isolation that does not exist.
    """
    worker, found = open_worker(isolation, Setup())
    worker.close()
    return found


def check(isolation: str) -> str:
    """The option as given. Raises `InputError` with what there is."""
    kind, sep, image = isolation.partition(":")
    if (isolation in KINDS) or (kind in CONTAINERS and sep and image and not image.startswith("-")):
        return isolation
    raise InputError(
        f"there is no isolation {isolation!r}; use one of {', '.join(KINDS)}, docker:IMAGE or gvisor:IMAGE"
    )


def open_worker(isolation: str, setup: Setup) -> tuple[Worker, Isolation]:
    """A worker, and what confines it: the highest tier that holds ("auto"), or just what was named.

    What was named and does not hold raises `IsolationError`; "auto" may answer with tier 0. Raises `WorldError` where
    a portable world cannot be made.
    """
    kind, _, image = check(isolation).partition(":")
    if kind in CONTAINERS:
        worker: Worker = ContainerWorker(kind, image)
        return _named(worker, _found(worker, kind), isolation, 1)
    if kind == "auto":
        return _highest(setup)
    worker = LocalWorker(setup, bubblewrap=kind == "bubblewrap")
    found = _found(worker, "bubblewrap" if kind == "bubblewrap" else "")
    if kind == "seccomp" and found.tier:
        found = Isolation(1, "", found.missing)
    return _named(worker, found, isolation, {"bubblewrap": 3, "landlock": 2, "seccomp": 1}[kind])


def _highest(setup: Setup) -> tuple[Worker, Isolation]:
    found_at, why = _NO_BUBBLEWRAP.get("why", (0.0, None))
    if why is None or time.monotonic() - found_at > _REMEMBERED:
        try:
            worker = LocalWorker(setup, bubblewrap=True)
        except (IsolationError, WorldError) as error:
            why = f"bubblewrap: {error}"
        else:
            why = worker.problems["namespaces"]
            if why is None:
                return worker, _found(worker, "bubblewrap")
            worker.close()
        found_at = 0.0
    worker = LocalWorker(setup, bubblewrap=False)
    # If that fails too, or it may be what this setup has to show that does not work, it says nothing of bubblewrap.
    if not found_at and setup == Setup():
        _NO_BUBBLEWRAP["why"] = time.monotonic(), why
    found = _found(worker, "")
    return worker, Isolation(found.tier, "", (*found.missing, why))


# When and why bubblewrap could not be used: a failure costs as much as a start, and may pass.
_NO_BUBBLEWRAP: dict[str, tuple[float, str]] = {}
_REMEMBERED = 60.0  # seconds


def _found(worker: Worker, backend: str) -> Isolation:
    problems = worker.problems
    missing = tuple(problem for _, problem in sorted(problems.items()) if problem)
    if problems["seccomp"]:
        return Isolation(0, backend, missing)
    if problems["landlock"]:
        return Isolation(1, backend, missing)
    return Isolation(3 if backend and not problems.get("namespaces") else 2, backend, missing)


def _named(worker: Worker, found: Isolation, isolation: str, least: int) -> tuple[Worker, Isolation]:
    if found.tier >= least:
        return worker, found
    worker.close()
    raise IsolationError(
        f"--isolation {isolation} does not hold here ({'; '.join(found.missing)}); "
        f"{found.fix or 'use --isolation auto'}"
    )
