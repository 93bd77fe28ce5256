"""bash in a sandbox: bubblewrap's namespaces around one copy of a folder, and nothing else that can be written to.

One bash stays up and runs one command after the other, each in a subshell that starts in the folder; what a command
leaves running is killed before its answer is believed, and then nothing but that bash is alive in there. A command that
takes too long, forks without end, fills memory or disk or prints without end costs the sandbox, which is made anew for
the next one. The folder is all that lasts: no variable, directory or temporary file does.
"""

from __future__ import annotations

import atexit
import os
import selectors
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from habilis.core import IsolationError, MissingExtraError
from habilis.worlds.shell._processes import family, first_inside, resident, signalled, state, threads
from habilis.worlds.shell._tree import MOST_BYTES, MOST_ENTRIES, over

__all__ = ["Limits", "Result", "Sandbox"]

INSIDE = "/work"  # where the folder is seen, if nowhere else
_TICK = 0.02  # seconds between two looks at what a command uses up
_FIRST = 0.05  # seconds before the first: most commands are done by then
_START = 20.0  # seconds in which the sandbox has to come up
_GONE = 2.0  # seconds in which what was killed has to be gone
_PATH = "/usr/local/bin:/usr/bin:/bin"  # what commands see
_TEMPORARY = 16 << 20  # bytes of /tmp

# `kill -1` reaches all but bash itself and the namespace's first process, which cannot be killed from inside.
_SERVE = r"""
printf 'ready\n' >&5
while IFS= read -r -d '' turn && IFS= read -r -d '' count; do
  given=()
  while (( count-- > 0 )); do
    IFS= read -r -d '' one || exit
    given+=("$one")
  done
  (
    exec 5>&-
    ulimit -c 0 -f %(file)d -v %(memory)d -t %(cpu)d -n 256 -l 0
    shown="${given[0]}"
    set -- "${given[@]:1}"
    unset given one count turn
    eval "$shown"
  ) </dev/null
  code=$?
  kill -KILL -1 2>/dev/null
  for one in /tmp/* /tmp/.[!.]* /tmp/..?*; do
    if [[ -e $one || -L $one ]]; then
      rm -rf -- /tmp/* /tmp/.[!.]* /tmp/..?* 2>/dev/null || exit
      break
    fi
  done
  printf '%%s %%d\n' "$turn" "$code" >&5
done
"""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one command may use. ``seconds`` of the clock, ``cpu`` seconds of each process, ``memory_mb`` of address
    space of each process and of memory of all, ``file_mb`` of a single file, ``processes`` at once, ``output`` bytes
    printed (of which ``shown`` come back)."""

    seconds: float = 5.0
    cpu: int = 10
    memory_mb: int = 512
    file_mb: int = 16
    processes: int = 64
    output: int = 1 << 20
    shown: int = 16_000


@dataclass(frozen=True, slots=True)
class Result:
    """What a command answered. ``code``: its exit status, None where it was ended, and ``why`` says by what."""

    out: bytes
    err: bytes
    code: int | None
    why: str = ""
    cut: bool = False  # more was printed than comes back
    ruined: bool = False  # the folder itself has become too large to be kept


def program() -> str:
    """The path of bubblewrap. Raises `MissingExtraError` with the command that installs it."""
    found = shutil.which("bwrap")
    if found is None:
        raise MissingExtraError(
            "the world shell needs the program bubblewrap (bwrap), which is not installed here; "
            "install it: apt install bubblewrap (Fedora: dnf install bubblewrap, Arch: pacman -S bubblewrap)"
        )
    if shutil.which("bash") is None:
        raise MissingExtraError("the world shell needs bash, which is not installed here; install it: apt install bash")
    return os.path.abspath(found)


class Sandbox:
    """A sandbox around one folder. Started with its first command; ``close`` ends all that runs in it."""

    def __init__(self, folder: Path, limits: Limits | None = None, at: str = INSIDE) -> None:
        self._folder, self._at, self.limits = folder, at, limits or Limits()
        self._process: subprocess.Popen[bytes] | None = None
        self._turn = 0
        self._ends: tuple[int, ...] = ()

    def run(self, command: str, args: tuple[str, ...] = ()) -> Result:
        """Run a command of bash in the folder; ``args`` are its "$1", "$2", … Raises `IsolationError` where the
        sandbox cannot be made."""
        if self._process is None or self._process.poll() is not None:
            self.close()
            self._start()
        self._turn += 1
        words = [str(self._turn), str(1 + len(args)), command, *args]
        try:
            self._send(b"".join(word.encode("utf-8", "surrogateescape") + b"\0" for word in words))
            result = self._answer()
        except (BrokenPipeError, ConnectionError):
            result = Result(b"", b"", None, "the shell has ended")
        if result.code is None:
            self.close()
        return result

    def close(self) -> None:
        """End everything that runs in the sandbox."""
        process, self._process = self._process, None
        if process is not None:
            inside = first_inside(process.pid)
            if inside is not None:
                signalled(
                    inside, signal.SIGKILL
                )  # the first process of the namespace: the kernel ends the rest with it
                until = time.monotonic() + _GONE
                while state(inside) not in (b"Z", b"X") and time.monotonic() < until:
                    time.sleep(0.0002)
            signalled(process.pid, signal.SIGKILL)
            process.wait()
        for end in self._ends:
            os.close(end)
        self._ends = ()

    @contextmanager
    def still(self) -> Iterator[None]:
        """While the host changes or copies the folder, nothing in the sandbox moves: a command may have got hold of our
        bash, and would lead the host out of the folder by a link at the right moment. What does not stand still as it
        should is ended."""
        process = self._process
        if process is None or process.poll() is not None:
            yield
            return
        # Only what this sandbox's own process has for a child is signalled: a number may come to mean somebody else.
        ours = family(self._first, 16) if first_inside(process.pid) == self._first else []
        for pid in ours:
            signalled(pid, signal.SIGSTOP)
        if not self._stands(ours):
            self.close()
        try:
            yield
        finally:
            for pid in ours if self._process is not None else ():
                signalled(pid, signal.SIGCONT)

    # ------------------------------------------------------------------ inside

    def _stands(self, ours: list[int]) -> bool:
        """Whether the namespace's first process and bash, of one thread each, are all there is, and are stopped."""
        until = time.monotonic() + _GONE
        while time.monotonic() < until:
            if family(self._first, 16) != ours or len(ours) != 2 or any(threads(p) != 1 for p in ours):
                return False
            if all(state(p) == b"T" for p in ours):
                return True
            time.sleep(0.0002)
        return False

    def _start(self) -> None:
        limits = self.limits
        script = _SERVE % {"file": limits.file_mb * 1024, "memory": limits.memory_mb * 1024, "cpu": limits.cpu}
        pipes = [os.pipe() for _ in range(4)]
        theirs = [pipes[0][0], pipes[1][1], pipes[2][1], pipes[3][1]]
        self._ends = (pipes[0][1], pipes[1][0], pipes[2][0], pipes[3][0])
        command = [*_namespaces(self._folder, self._at), "bash", "--norc", "--noprofile", "-c", script]
        try:
            self._process = _starter().submit(_spawn, command, theirs).result()
        finally:
            for end in theirs:
                os.close(end)
        for end in self._ends:
            os.set_blocking(end, False)
        told = self._read_status(time.monotonic() + _START)
        if told != b"ready\n":
            said = _drained(self._ends[2])[:500].decode("utf-8", "replace").strip()
            self.close()
            raise IsolationError(
                f"bubblewrap could not make a sandbox for the world shell: {said or 'it ended without a word'}; "
                "namespaces of users have to be allowed here (sysctl kernel.unprivileged_userns_clone, AppArmor, or "
                "docker's --security-opt seccomp=unconfined); `habilis doctor` says more"
            )
        process = self._process
        first = first_inside(process.pid)
        if first is None:
            self.close()
            raise IsolationError(
                "the kernel does not tell which processes run in a sandbox (CONFIG_PROC_CHILDREN is off, or /proc is "
                "hidden), so they could not be counted and ended; run the shell world on a kernel that does"
            )
        self._first = first

    def _read_status(self, until: float) -> bytes:
        status, told = self._ends[3], b""
        with selectors.DefaultSelector() as waiting:
            waiting.register(status, selectors.EVENT_READ)
            while not told.endswith(b"\n") and time.monotonic() < until:
                if waiting.select(until - time.monotonic()):
                    piece = os.read(status, 256)
                    if not piece:
                        break
                    told += piece
        return told

    def _send(self, data: bytes) -> None:
        """Hand over a command, which bash reads to its end before it runs it."""
        until = time.monotonic() + self.limits.seconds
        while data:
            try:
                data = data[os.write(self._ends[0], data) :]
            except BlockingIOError:
                if time.monotonic() > until:
                    raise BrokenPipeError from None
                time.sleep(0.001)

    def _answer(self) -> Result:
        """Wait for the end of the command, and look at what it uses up meanwhile."""
        _, out, err, status = self._ends
        kept: dict[int, bytearray] = {out: bytearray(), err: bytearray()}
        printed, told, why = 0, b"", ""
        began = time.monotonic()
        look = began + _FIRST
        with selectors.DefaultSelector() as waiting:
            for end in (out, err, status):
                waiting.register(end, selectors.EVENT_READ)
            while not told.endswith(b"\n") and not why:
                ready = waiting.select(max(0.0, look - time.monotonic()))
                for key, _ in ready:
                    piece = os.read(key.fd, 65_536)
                    if not piece:
                        if key.fd == status:
                            why = "the shell was ended by its own command"
                        waiting.unregister(key.fd)
                    elif key.fd == status:
                        told = (told + piece)[-64:]
                    else:
                        printed += len(piece)
                        kept[key.fd] += piece[: max(0, self.limits.shown - len(kept[key.fd]))]
                if printed > self.limits.output:
                    why = f"it printed more than {self.limits.output} bytes; print less, or into a file"
                elif time.monotonic() >= look:
                    looked = time.monotonic()
                    why = why or self._used_up(began)
                    look = time.monotonic() + max(_TICK, 3 * (time.monotonic() - looked))
        code = None
        if not why:
            code = self._code(told)
            why = "" if code is not None else "the shell was tampered with by its own command"
        if code is not None and not self._alone():
            code, why = None, "it left processes behind that would not end"
        for end, have in kept.items():
            rest = _drained(end)
            printed += len(rest)
            have += rest[: max(0, self.limits.shown - len(have))]
        if code is None:
            self.close()  # before anybody looks at the folder
        cut = printed > len(kept[out]) + len(kept[err])
        return Result(bytes(kept[out]), bytes(kept[err]), code, why, cut, over(self._folder) if code is None else False)

    def _code(self, told: bytes) -> int | None:
        turn, _, code = told.strip().partition(b" ")
        return int(code) if turn == str(self._turn).encode() and code.isdigit() else None

    def _used_up(self, began: float) -> str:
        """Which limit is passed, or ""."""
        limits = self.limits
        if time.monotonic() - began > limits.seconds:
            return f"it ran longer than {limits.seconds:g} s"
        running = family(self._first, limits.processes + 4)
        if len(running) > limits.processes + 2:  # the namespace's first process and bash are ours
            return f"it had more than {limits.processes} processes at once"
        memory = sum(map(resident, running)) >> 20
        if memory > limits.memory_mb:
            return f"it took {memory} MB of memory; the limit is {limits.memory_mb}"
        if over(self._folder):
            return f"the folder came to more than {MOST_BYTES >> 20} MB or {MOST_ENTRIES} entries"
        return ""

    def _alone(self) -> bool:
        """Whether nothing but our bash is alive in there. What was killed may take a moment to be gone."""
        until = time.monotonic() + _GONE
        while len([p for p in family(self._first, 16) if state(p) not in (b"Z", b"X")]) > 2:
            if time.monotonic() > until:
                return False
            time.sleep(0.0005)
        return True


def _namespaces(folder: Path, at: str) -> list[str]:
    command = [program(), "--unshare-all", "--unshare-user", "--disable-userns", "--uid", "1000", "--gid", "1000"]
    command += ["--cap-drop", "ALL", "--die-with-parent", "--new-session", "--hostname", "shell"]
    for path in ("/usr", "/bin", "/sbin", "/lib", "/lib64", "/lib32", "/etc/alternatives", "/etc/ld.so.cache"):
        if os.path.islink(path) and path.count("/") == 1:
            command += ["--symlink", os.readlink(path), path]
        elif os.path.exists(path):
            command += ["--ro-bind", path, path]
    for path in ("/nix/store", "/gnu/store"):
        if os.path.exists(path):
            command += ["--ro-bind", path, path]
    command += ["--proc", "/proc", "--dev", "/dev", "--remount-ro", "/dev"]
    command += ["--size", str(_TEMPORARY), "--tmpfs", "/tmp", "--bind", str(folder), at, "--remount-ro", "/"]
    command += ["--chdir", at, "--clearenv"]
    given = {"PATH": _PATH, "HOME": "/tmp", "LC_ALL": "C.UTF-8", "TZ": "UTC", "TERM": "dumb"}
    for name, value in given.items():
        command += ["--setenv", name, value]
    return command


# ------------------------------------------------------------------ processes

_lock = threading.Lock()
_pool: ThreadPoolExecutor | None = None


def _starter() -> ThreadPoolExecutor:
    """The one thread that starts sandboxes: the kernel ends them with the thread that made them, so it has to last."""
    global _pool
    with _lock:
        if _pool is None:
            _pool = ThreadPoolExecutor(1, thread_name_prefix="habilis-shell")
            atexit.register(_pool.shutdown, wait=False)
        return _pool


def _spawn(command: list[str], ends: list[int]) -> subprocess.Popen[bytes]:
    """``ends``: its standard input, output and error, and where it tells how commands ended, which is its fifth."""
    # bwrap hands on what is open: the number 5 is given by a shell that does nothing else.
    told = f'exec 5>&{ends[3]} {ends[3]}>&-; exec "$@"' if ends[3] != 5 else 'exec "$@"'
    return subprocess.Popen(
        [shutil.which("bash") or "/bin/bash", "--norc", "--noprofile", "-c", told, "bash", *command],
        stdin=ends[0],
        stdout=ends[1],
        stderr=ends[2],
        pass_fds=[ends[3]],
        start_new_session=True,
        # The sandbox's first process is bwrap, whose environment can be read within: nothing of the host's is in it.
        env={"PATH": _PATH},
    )


def _drained(end: int) -> bytes:
    found = b""
    while True:
        try:
            piece = os.read(end, 65_536)
        except (BlockingIOError, OSError):
            return found
        if not piece or len(found) > 1 << 20:
            return found
        found += piece
