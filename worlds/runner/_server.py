"""The warm worker: a fresh process that forks once per run. Started by path, standard library only.

It is told over the control socket (fd in argv) to start a run or to signal one, and tells how each run ended. It ends
when the host does: the control socket closes, or the host is no longer its parent. A run ends when this process does
(PDEATHSIG; this process has one thread, so the kernel's rule "when the creating *thread* ends" is the right one).
"""

from __future__ import annotations

import faulthandler
import fcntl
import gc
import json
import os
import select
import signal
import socket
import sys
import types

RPC, DUMP = 3, 4
SETUP_FAILED = 97


def _adopt_own_package() -> None:
    """Make our sibling files importable by their full name without running the packages above them."""
    here = os.path.dirname(os.path.abspath(__file__))
    for name in ("habilis", "habilis.worlds", "habilis.worlds.runner"):
        package = types.ModuleType(name)
        package.__path__ = [here]
        sys.modules[name] = package


if __name__ == "__main__":
    _adopt_own_package()

from habilis.worlds.runner import _confine, _language  # noqa: E402


def _try(feature: str) -> str | None:
    """Whether a feature works, tried in a process that is then thrown away."""
    r, w = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(w, (_confine.attempt(feature) or "ok").encode())
        os._exit(0)
    os.close(w)
    said = os.read(r, 1000).decode()
    os.close(r)
    os.waitpid(pid, 0)
    return None if said == "ok" else said or f"{feature}: the process that tried it died"


class _Spare:
    """A fork that waits to become the next run: the cost of forking is paid while nobody waits for it."""

    def __init__(self, tier: int) -> None:
        self.tier = tier
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        server = os.getpid()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                _wait_for_order(theirs.fileno(), tier, server)
            finally:
                os._exit(SETUP_FAILED)
        theirs.close()

    def become(self, order: bytes, fds: list[int]) -> bool:
        """Hand the order over; False if the fork is not there any more."""
        try:
            socket.send_fds(self._socket, [order], fds)
        except OSError:
            return False
        finally:
            self._socket.close()
        return True


def _wait_for_order(fd: int, tier: int, server: int) -> None:
    """In the fork: drop what was inherited, await the order, confine, run what arrives. Does not return."""
    _confine.prctl(_confine.PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != server:
        os._exit(0)
    os.setsid()
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)
    _confine.prctl(_confine.PR_SET_DUMPABLE, 0)
    high = fcntl.fcntl(fd, fcntl.F_DUPFD, 64)
    os.closerange(3, high)
    os.closerange(high + 1, 4096)
    sys.stdout = sys.stderr = open(  # noqa: SIM115
        1, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False
    )
    _language.rehearse()
    try:
        if tier:
            _confine.no_new_privileges()
        if tier == 2:
            _confine.landlock()
        orders = socket.socket(fileno=high)
        raw, fds, _, _ = socket.recv_fds(orders, 4096, 3)
        if not raw:
            os._exit(0)
        _take(fds)
        orders.detach()
        os.closerange(DUMP + 1, 4096)
        order = json.loads(raw)
        _confine.limit(order["memory_mb"], order["cpu_seconds"])
        if tier:
            _confine.limit_the_rest()
            _confine.seccomp()
    except (OSError, ValueError) as error:
        os.write(DUMP, str(error).encode()[:1000])
        os._exit(SETUP_FAILED)
    _language.serve(RPC)
    os._exit(0)


def _take(fds: list[int]) -> None:
    """Put the run's descriptors where the rest expects them."""
    rpc, out, dump = (fcntl.fcntl(fd, fcntl.F_DUPFD, 64) for fd in fds)
    for source, target in ((out, 1), (out, 2), (rpc, RPC), (dump, DUMP)):
        os.dup2(source, target)
    for number in (signal.SIGUSR1, signal.SIGXCPU):
        faulthandler.register(number, file=DUMP, all_threads=False)


def _serve(control: socket.socket, host: int) -> None:
    if _confine.MACHINE in _confine.MACHINES:
        _confine.seccomp_filter(_confine.MACHINE)  # built once, for every fork
    gc.collect()
    gc.freeze()
    woken, wake = os.pipe()
    os.set_blocking(woken, False)
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    poll = select.poll()
    poll.register(control, select.POLLIN)
    poll.register(woken, select.POLLIN)
    runs: dict[int, int] = {}
    spare: _Spare | None = None
    while True:
        ready = dict(poll.poll(2000))
        if os.getppid() != host:
            os._exit(0)
        if woken in ready:
            os.read(woken, 4096)
            _report_ended(control, runs)
        if control.fileno() not in ready:
            continue
        raw, fds, _, _ = socket.recv_fds(control, 4096, 3)
        if not raw:
            os._exit(0)
        order = json.loads(raw)
        if "signal" in order:
            pid = next((p for p, i in runs.items() if i == order["run"]), None)
            if pid is not None:
                os.kill(pid, order["signal"])
            continue
        tier = order["tier"]
        if spare is None or spare.tier != tier or not spare.become(raw, fds):
            spare = _Spare(tier)
            spare.become(raw, fds)
        runs[spare.pid] = order["run"]
        for fd in fds:
            os.close(fd)
        spare = _Spare(tier)


def _report_ended(control: socket.socket, runs: dict[int, int]) -> None:
    while runs:
        pid, status, used = os.wait4(-1, os.WNOHANG)
        if pid == 0:
            return
        try:
            os.killpg(pid, signal.SIGKILL)  # without confinement, a program may have left children
        except OSError:
            pass
        if pid not in runs:  # a spare that was not used
            continue
        ended = {"run": runs.pop(pid), "status": status, "cpu": used.ru_utime + used.ru_stime}
        control.send(json.dumps(ended).encode())


def main() -> None:
    control = socket.socket(fileno=int(sys.argv[1]))
    os.set_inheritable(control.fileno(), False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _confine.prctl(_confine.PR_SET_DUMPABLE, 0)
    control.send(json.dumps({"seccomp": _try("seccomp"), "landlock": _try("landlock")}).encode())
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 2)
    os.close(null)
    try:
        _serve(control, int(sys.argv[2]))
    except OSError:  # the host went away while being told something
        os._exit(0)


if __name__ == "__main__":
    main()
