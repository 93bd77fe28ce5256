"""The warm worker: a fresh process that forks once per run. Started by path, standard library only.

It is told over the control socket (fd in argv) to start a run or to signal one, and tells how each run ended. It ends
when the host does: the control socket closes, or the host is no longer its parent. A run ends when this process does
(PDEATHSIG; this process has one thread, so the kernel's rule "when the creating *thread* ends" is the right one).
"""

from __future__ import annotations

import array
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
from typing import Any

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


def _become_run(fds: list[int], order: dict[str, Any], server: int) -> None:
    """In the fork: drop everything inherited, confine, then run what arrives. Does not return."""
    _confine.prctl(_confine.PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != server:
        os._exit(0)
    os.setsid()
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)
    rpc, out, dump = (fcntl.fcntl(fd, fcntl.F_DUPFD, 64) for fd in fds)
    for source, target in ((out, 1), (out, 2), (rpc, RPC), (dump, DUMP)):
        os.dup2(source, target)
    os.closerange(DUMP + 1, 4096)
    sys.stdout = sys.stderr = open(1, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
    for number in (signal.SIGUSR1, signal.SIGXCPU):
        faulthandler.register(number, file=DUMP, all_threads=False)
    try:
        _confine.prctl(_confine.PR_SET_DUMPABLE, 0)
        _confine.limit(order["memory_mb"], order["cpu_seconds"])
        if order["tier"]:
            _confine.limit_the_rest()
            _confine.no_new_privileges()
            if order["tier"] == 2:
                _confine.landlock()
            _confine.seccomp()
    except (OSError, ValueError) as error:
        os.write(DUMP, str(error).encode()[:1000])
        os._exit(SETUP_FAILED)
    _language.serve(RPC)
    os._exit(0)


def _serve(control: socket.socket, host: int) -> None:
    gc.collect()
    gc.freeze()
    woken, wake = os.pipe()
    os.set_blocking(woken, False)
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    me = os.getpid()
    runs: dict[int, int] = {}
    poll = select.poll()
    poll.register(control, select.POLLIN)
    poll.register(woken, select.POLLIN)
    while True:
        ready = dict(poll.poll(2000))
        if os.getppid() != host:
            os._exit(0)
        if woken in ready:
            os.read(woken, 4096)
            _report_ended(control, runs)
        if control.fileno() not in ready:
            continue
        raw, ancillary, _, _ = control.recvmsg(4096, socket.CMSG_SPACE(3 * array.array("i").itemsize))
        if not raw:
            os._exit(0)
        order = json.loads(raw)
        if "signal" in order:
            pid = next((p for p, i in runs.items() if i == order["run"]), None)
            if pid is not None:
                os.kill(pid, order["signal"])
            continue
        fds = array.array("i")
        for _, _, data in ancillary:
            fds.frombytes(data)
        pid = os.fork()
        if pid == 0:
            try:
                _become_run(list(fds), order, me)
            finally:
                os._exit(SETUP_FAILED)
        runs[pid] = order["run"]
        for fd in fds:
            os.close(fd)


def _report_ended(control: socket.socket, runs: dict[int, int]) -> None:
    while runs:
        pid, status, used = os.wait4(-1, os.WNOHANG)
        if pid == 0:
            return
        try:
            os.killpg(pid, signal.SIGKILL)  # without confinement, a program may have left children
        except OSError:
            pass
        ended = {"run": runs.pop(pid, 0), "status": status, "cpu": used.ru_utime + used.ru_stime}
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
