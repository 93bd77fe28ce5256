"""The warm worker: a fresh process that forks once per run. Started by path, standard library only.

There are always two forks: the *run* and the *spare*, whose descriptors the host has already. One loop: wait until the
host has no more use for the run, reap it, say how it ended; the spare is the next run, and a new spare is forked. A
fork waits for its order on its own socket, confines itself, and only then is sent the program. That the loop is the
same each time is also what makes runs repeat: every fork finds the memory as the one before it did, so that objects get
the same addresses.

It ends when the host does: the control socket closes, or the host's pidfd says so. A run ends when this process does
(PDEATHSIG; this process has one thread, so the kernel's rule "when the creating *thread* ends" is the right one).
"""

from __future__ import annotations

import array
import contextlib
import faulthandler
import fcntl
import gc
import json
import mmap
import os
import select
import signal
import socket
import sys
import types
from typing import Any

RPC, DUMP = 3, 4


def _adopt_own_package() -> None:
    """Make our sibling files importable by their full name without running the packages above them."""
    here = os.path.dirname(os.path.abspath(__file__))
    above = os.path.dirname(here)
    for name, path in (
        ("habilis", here),
        ("habilis.worlds", here),
        ("habilis.worlds.runner", above),
        ("habilis.worlds.runner.worker", here),
    ):
        package = types.ModuleType(name)
        package.__path__ = [path]
        sys.modules[name] = package


def _fix_addresses() -> None:
    """Run this process again with addresses that are the same each time, so that ids and orders by id repeat.

    Randomised addresses protect a process against bugs in its own code; here the program already reads and writes all
    of its own memory. Where it is forbidden (some containers), ids differ from worker to worker.
    """
    import ctypes

    fixed = 0x0040000  # ADDR_NO_RANDOMIZE
    libc = ctypes.CDLL(None)
    now = libc.personality(ctypes.c_ulong(0xFFFFFFFF))
    if now >= 0 and not now & fixed and libc.personality(ctypes.c_ulong(now | fixed)) >= 0:
        os.execv(sys.executable, sys.orig_argv)


def _receive(control: socket.socket) -> bytes:
    """A message of the host's, as ``wire`` takes it apart; that cannot be imported yet."""
    parts = [b"+"]
    while parts[-1][:1] == b"+":
        parts.append(control.recv(1 << 17))
    if not parts[-1]:  # the host has gone
        os._exit(0)
    return b"".join(part[1:] for part in parts)


if __name__ == "__main__":
    _fix_addresses()
    _control = socket.socket(fileno=int(sys.argv[1]))
    signal.pthread_sigmask(signal.SIG_SETMASK, ())  # not what the host's thread blocked
    _config = json.loads(_receive(_control))
    sys.path[:0] = _config["path"]
    if _config["portable"] is None:
        _adopt_own_package()

from habilis.worlds.runner.worker import confine, language, seccomp, simulate, wire  # noqa: E402
from habilis.worlds.runner.worker.frames import ENDED, NEXT, SETUP_FAILED  # noqa: E402


def _attacked(feature: str) -> str | None:
    """Whether a feature holds, tried in a process that is then thrown away."""
    r, w = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.write(w, (confine.attack(feature) or "ok").encode())
        finally:
            os._exit(0)
    os.close(w)
    said = os.read(r, 1000).decode()
    os.close(r)
    os.waitpid(pid, 0)
    return None if said == "ok" else said or f"{feature}: the process that tried it died"


def _run(rpc: int, out: int, dump: int, bell: mmap.mmap, server: int, world: Any) -> None:
    """What a fork does: wait for the order, give up all rights, take the program, run it."""
    confine.prctl(confine.PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != server:
        os._exit(0)
    os.setsid()
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    confine.prctl(confine.PR_SET_DUMPABLE, 0)
    _take(rpc, out, dump)
    sys.stdout = sys.stderr = open(  # noqa: SIM115
        1, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False
    )
    for number in (signal.SIGUSR1, signal.SIGXCPU):
        faulthandler.register(number, file=DUMP, all_threads=False)
    language.rehearse()
    gc.collect()  # and so the count to the next collection starts at the same number in every fork
    gc.enable()
    try:
        order = json.loads(wire.receive(RPC))
        confine.confine(order["tier"], order["memory_mb"], order["cpu_seconds"])
        language.serve(RPC, bell if order["spin"] else None, world)
    except EOFError:  # the host has gone
        pass
    except BaseException as error:  # what a program raises does not come here: this is about us, or its limits
        os.write(DUMP, f"{type(error).__name__}: {error}".encode(errors="replace")[:1000])
        os._exit(SETUP_FAILED)
    os._exit(0)


def _take(rpc: int, out: int, dump: int) -> None:
    """Keep the run's descriptors, where the rest expects them, and close all others."""
    rpc, out, dump = (fcntl.fcntl(fd, fcntl.F_DUPFD, DUMP + 1) for fd in (rpc, out, dump))
    for source, target in ((out, 1), (out, 2), (rpc, RPC), (dump, DUMP)):
        os.dup2(source, target)
    os.closerange(DUMP + 1, 4096)


def _spare(control: socket.socket, server: int, world: Any) -> int:
    """Fork, and hand the host its ends: socket, output, dump, bell, and the pidfd where there is one."""
    ours, rpc = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    told, out = os.pipe()
    seen, dump = os.pipe()
    memory = os.memfd_create("bell", os.MFD_ALLOW_SEALING | os.MFD_CLOEXEC)
    os.ftruncate(memory, mmap.PAGESIZE)
    fcntl.fcntl(memory, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
    bell = mmap.mmap(memory, mmap.PAGESIZE, prot=mmap.PROT_READ)
    pid = os.fork()
    if pid == 0:
        try:
            _run(rpc.fileno(), out, dump, bell, server, world)
        finally:
            os._exit(SETUP_FAILED)
    handed = [ours.fileno(), told, seen, memory]
    try:
        handed.append(os.pidfd_open(pid))
    except (OSError, AttributeError):  # gVisor, older kernels: the host then asks here for signals
        pass
    socket.send_fds(control, [b"run"], handed)
    bell.close()
    ours.close()
    rpc.close()
    for fd in (told, out, seen, dump, *handed[3:]):
        os.close(fd)
    return pid


def _serve(control: socket.socket, host: int, world: Any) -> None:
    poll = select.poll()
    poll.register(control, select.POLLIN)
    if host >= 0:
        poll.register(host, select.POLLIN)
    this = os.getpid()
    pids = array.array("i", [0, 0])  # not a list: what a fork finds in memory must not depend on which one it is
    pids[0] = _spare(control, this, world)
    while True:
        pids[1] = _spare(control, this, world)
        _wait(control, poll, pids[0])
        _reap(control, pids[0])
        pids[0] = pids[1]


def _reap(control: socket.socket, pid: int) -> None:
    # It is ours and not reaped, so the number is still its own.
    os.kill(pid, signal.SIGKILL)
    with contextlib.suppress(OSError):  # without confinement, a program may have children
        os.killpg(pid, signal.SIGKILL)
    _, status, used = os.wait4(pid, 0)
    control.send(ENDED.pack(status, used.ru_utime + used.ru_stime, used.ru_maxrss))


def _wait(control: socket.socket, poll: select.poll, pid: int) -> None:
    """Return when the host is done with the run; end this process, and so the run, when the host has gone."""
    while True:
        ready = poll.poll()
        if (control.fileno(), select.POLLIN) not in ready:
            os._exit(0)  # the host's end is closed, or the host has ended though something holds its end open
        order = control.recv(16)
        if order == NEXT:
            return
        if not order:
            os._exit(0)
        os.kill(pid, order[0])


def _watch(control: socket.socket, host: int) -> None:
    """End with the host also while modules are loaded, which may take for ever; until the loop looks by itself."""
    poll = select.poll()
    for fd in (control.fileno(), *([host] if host >= 0 else [])):
        poll.register(fd, select.POLLIN)

    def look(*_: object) -> None:
        if poll.poll(0):  # the host says nothing before it is greeted, so this is its end
            os._exit(0)

    signal.signal(signal.SIGALRM, look)
    signal.setitimer(signal.ITIMER_REAL, 0.5, 0.5)


def _made(control: socket.socket, maker: str, options: dict[str, Any]) -> Any:
    """The world to simulate in. If it cannot be made, tell the host why, and end."""
    try:
        return simulate.make(maker, options)
    except BaseException as error:
        control.send(json.dumps({"world": f"{type(error).__name__}: {error}"[:1000]}).encode())
        os._exit(1)


def main(control: socket.socket) -> None:
    host = int(sys.argv[2])
    for fd in (control.fileno(), *([host] if host >= 0 else [])):
        os.set_inheritable(fd, False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # who starts us may ignore it, and then nothing could be waited for
    confine.prctl(confine.PR_SET_DUMPABLE, 0)
    _watch(control, host)
    language.allow(_config["modules"])
    world = _made(control, *_config["portable"]) if _config["portable"] is not None else None
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    hello = {"seccomp": _attacked("seccomp"), "landlock": _attacked("landlock")}
    if _config["canary"] is not None:
        hello["namespaces"] = confine.outside(*_config["canary"])
    control.send(json.dumps(hello).encode())
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 2)
    os.close(null)
    if seccomp.MACHINE in seccomp.MACHINES:
        seccomp.build(seccomp.MACHINE)  # once, for every fork
    gc.disable()  # one that came by after so many forks would change what the next finds in memory
    gc.collect()
    gc.freeze()
    try:
        _serve(control, host, world)
    except OSError:  # the host went away while being told something
        os._exit(0)


if __name__ == "__main__":
    main(_control)
