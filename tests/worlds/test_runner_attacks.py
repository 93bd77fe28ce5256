"""Attacks on the confinement, each shown to be one: without confinement, the same program does its harm (or would).

Every attack gets its modules by walking past the import guard, for the guard is a convenience, not the wall.
"""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from habilis.core import IsolationError, Program, RunLimits, Trajectory
from habilis.worlds.runner import ConfinedRunner, confined
from habilis.worlds.runner._confine import seccomp_filter

PRELUDE = """
import json
_load = json.codecs.builtins.__import__
os, sys, ctypes, socket, signal, struct = map(_load, ("os", "sys", "ctypes", "socket", "signal", "struct"))
libc = ctypes.CDLL(None, use_errno=True)
def main(**given):
    globals().update(given)
"""
x86_only = pytest.mark.skipif(platform.machine() != "x86_64", reason="uses x86-64 system call numbers")


def attack(runner: ConfinedRunner, world: Any, body: str, limits: RunLimits | None = None, **given: Any) -> Trajectory:
    source = PRELUDE + "".join(f"    {line}\n" for line in body.strip("\n").split("\n"))
    return runner.run(Program("main", source), world, args=given, limits=limits or RunLimits(seconds=5))


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret.txt"
    path.write_text("canary-file")
    return path


@pytest.fixture
def victim() -> Iterator[int]:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    yield process.pid
    process.kill()
    process.wait()


@pytest.fixture
def listeners() -> Iterator[dict[str, Any]]:
    """Servers on loopback, a path and an abstract name, and a UDP port."""
    with contextlib.ExitStack() as stack:
        tcp = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        udp = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        udp.bind(("127.0.0.1", 0))
        folder = tempfile.mkdtemp()
        stack.callback(shutil.rmtree, folder)
        named, abstract = (stack.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(2))
        names = (f"{folder}/s", f"\0habilis-test-{os.getpid()}")
        for sock, name in zip((named, abstract), names, strict=True):
            sock.bind(name)
            sock.listen(4)
        yield {"tcp": tcp.getsockname()[1], "udp": udp.getsockname()[1], "path": names[0], "abstract": names[1]}


# What returns the text "harm" has done it; anything else, an exception included, has not.
HARM: dict[str, str] = {
    "read a file": "assert 'canary' in open(secret).read(); return 'harm'",
    "read a file through libc": (
        "fd = libc.open(secret.encode(), 0)\nassert fd >= 0 and b'canary' in os.read(fd, 99)\nreturn 'harm'"
    ),
    "see whether a file is there": "os.stat(secret); return 'harm'",
    "list a folder": "assert os.listdir('/'); return 'harm'",
    "write a file": "open(secret + '.new', 'w').write('x'); return 'harm'",
    "link a file": "os.symlink(secret, secret + '.link'); return 'harm'",
    "delete a file": "os.unlink(secret); return 'harm'",
    "change the mode of a file": "os.chmod(secret, 0o777); return 'harm'",
    "change directory": "os.chdir('/tmp'); return 'harm'",
    "read another process's environment": "assert open(f'/proc/{host}/environ', 'rb').read(); return 'harm'",
    "read its own proc": "assert open('/proc/self/maps').read(); return 'harm'",
    "fork": "pid = os.fork()\nif pid == 0: os._exit(0)\nos.waitpid(pid, 0)\nreturn 'harm'",
    "start a thread": "_load('_thread').start_new_thread(int, ()); return 'harm'",
    "run a command": "assert os.system('true') == 0; return 'harm'",
    "run a command found by walking classes": (
        "wrap = [c for c in ().__class__.__base__.__subclasses__() if c.__name__ == '_wrap_close'][0]\n"
        "assert wrap.__init__.__globals__['system']('true') == 0\nreturn 'harm'"
    ),
    "become another program": "os.execv(sys.executable, ['python', '-c', 'import time; time.sleep(9)'])",
    "connect over TCP": "socket.create_connection(('127.0.0.1', tcp), 1); return 'harm'",
    "send over UDP": "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', udp)); return 'harm'",
    "connect to a path": "socket.socket(socket.AF_UNIX).connect(path); return 'harm'",
    "connect to an abstract name": "socket.socket(socket.AF_UNIX).connect(abstract); return 'harm'",
    "listen": "socket.create_server(('127.0.0.1', 0)); return 'harm'",
    "signal another process": "os.kill(victim, 0); return 'harm'",
    "signal the worker": "os.kill(os.getppid(), 0); return 'harm'",
    "signal itself": "os.kill(os.getpid(), 0); return 'harm'",
    "map executable memory": (
        "libc.mmap.restype = ctypes.c_void_p\n"
        "p = libc.mmap(None, ctypes.c_size_t(4096), 7, 0x22, -1, ctypes.c_long(0))\n"
        "assert p not in (None, 2**64 - 1)\nreturn 'harm'"
    ),
    "make memory executable": (
        "libc.mmap.restype = ctypes.c_void_p\n"
        "p = libc.mmap(None, ctypes.c_size_t(4096), 3, 0x22, -1, ctypes.c_long(0))\n"
        "assert libc.mprotect(ctypes.c_void_p(p), ctypes.c_size_t(4096), 5) == 0\nreturn 'harm'"
    ),
    "drop its tie to the worker": "assert libc.prctl(1, 0, 0, 0, 0) == 0; return 'harm'",
    "raise its limits": "_load('resource').setrlimit(7, (4096, 4096)); return 'harm'",
    "copy descriptors": "assert [os.dup(1) for _ in range(50)]; return 'harm'",
    "get randomness from the kernel": "assert os.urandom(4); return 'harm'",
    "make a pipe": "os.pipe(); return 'harm'",
}


@pytest.mark.parametrize("name", sorted(HARM))
def test_confinement_holds_what_would_do_harm(
    name: str,
    runner: ConfinedRunner,
    unsafe_runner: ConfinedRunner,
    world: Any,
    secret: Path,
    victim: int,
    listeners: dict[str, Any],
) -> None:
    given = {"secret": str(secret), "victim": victim, "host": os.getpid(), **listeners}
    held = attack(runner, world, HARM[name], **given)
    assert held.returned != "harm"
    assert held.error is not None
    assert held.tier == runner.tier > 0
    assert secret.read_text() == "canary-file"
    assert sorted(p.name for p in secret.parent.iterdir()) == ["secret.txt"]

    free = attack(unsafe_runner, world, HARM[name], RunLimits(seconds=1, memory_mb=None), **given)
    if name == "become another program":
        assert free.error is not None
        assert free.error.kind in ("died", "time")
    else:
        assert free.returned == "harm", free.error
    assert free.tier == 0


@x86_only
@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("clone", "56, 17, 0, 0, 0, 0"),
        ("vfork", "58"),
        ("clone3", "435, ctypes.create_string_buffer(88), 88"),
        ("ptrace", "101, 16, victim, 0, 0"),
        ("process_vm_readv", "310, victim, 0, 0, 0, 0, 0"),
        ("pidfd_open", "434, victim, 0"),
        ("memfd_create", "319, b'x', 0"),
        ("io_uring_setup", "425, 1, ctypes.create_string_buffer(120)"),
        ("bpf", "321, 0, 0, 0"),
        ("unshare", "272, 0x10000000"),
        ("keyctl", "250, 0, -3, 1"),
        ("perf_event_open", "298, 0, 0, 0, 0, 0"),
        ("userfaultfd", "323, 1"),
        ("mount", "165, 0, b'/tmp', 0, 0, 0"),
        ("chroot", "161, b'/tmp'"),
        ("open_by_handle_at", "304, -1, 0, 0"),
        ("seccomp", "317, 1, 0, 0"),
        ("setuid", "105, 0"),
        ("shmget", "29, 0, 4096, 0o1600"),
        ("timer_create", "222, 0, 0, 0"),
        ("sendto elsewhere", "44, 3, b'x', 1, 0, 0, 0"),
        ("an unknown number", "9999"),
    ],
)
def test_other_system_calls_are_refused(runner: ConfinedRunner, world: Any, victim: int, name: str, call: str) -> None:
    t = attack(runner, world, f"r = libc.syscall({call})\nreturn [r, ctypes.get_errno()]", victim=victim)
    assert t.returned == [-1, 1], t.error  # EPERM


@x86_only
def test_foreign_system_call_tables_kill(runner: ConfinedRunner, world: Any) -> None:
    t = attack(runner, world, "libc.syscall(0x40000000 + 39); return 'survived'")
    assert t.error is not None
    assert (t.error.kind, t.returned) == ("died", None)
    assert "SIGSYS" in t.error.message


# ---- time and memory

HANGS: dict[str, str] = {
    "loop": "while True: pass",
    "loop that catches all": "while True:\n    try:\n        while True: pass\n    except BaseException: pass",
    "loop with every signal ignored": (
        "for n in range(1, 65):\n    try: signal.signal(n, signal.SIG_IGN)\n    except Exception: pass\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\nwhile True: pass"
    ),
    "loop in C": "return 9**9**8 % 7",
    "regular expression": "import re\nre.match('(a+)+$', 'a' * 40 + 'b')",
    "sleep": "_load('time').sleep(60)",
    "hostile message": "class E(Exception):\n    def __str__(self):\n        while True: pass\nraise E()",
    "read from the host": "os.read(3, 10)",
    "swallowed memory errors": (
        "x = []\nwhile True:\n    try: x.append(bytearray(1 << 22))\n    except MemoryError: pass"
    ),
}


@pytest.mark.parametrize("name", sorted(HANGS))
def test_what_hangs_is_ended_in_time(runner: ConfinedRunner, world: Any, name: str) -> None:
    began = time.monotonic()
    t = attack(runner, world, HANGS[name], RunLimits(seconds=0.3, memory_mb=200))
    assert t.error is not None
    assert t.error.kind == "time"
    assert time.monotonic() - began < 3
    assert attack(runner, world, "return 'next'").returned == "next"


@pytest.mark.parametrize(
    ("body", "kinds"),
    [
        ("x = []\nwhile True: x.append(bytearray(1 << 26))", {"memory"}),
        ("return len('x' * (1 << 33))", {"memory"}),
        ("sys.setrecursionlimit(10**9)\ndef f(): f()\nf()", {"died", "memory", "time", "RecursionError"}),
        ("ctypes.string_at(0)", {"died"}),
        ("os.abort()", {"died"}),
        ("os._exit(0)", {"died"}),
        ("os._exit(97)", {"died"}),
        ("sys.exit(0)", {"SystemExit"}),
        ("raise KeyboardInterrupt", {"KeyboardInterrupt"}),
        ("os.close(3)", {"died", "OSError", "time"}),
        ("raise type('\\x1b[2J' * 99, (Exception,), {})('\\ud800\\x1b' + 'z' * 10**6)", {"?[2J" * 25}),
    ],
)
def test_what_breaks_is_a_failed_run(runner: ConfinedRunner, world: Any, body: str, kinds: set[str]) -> None:
    t = attack(runner, world, body, RunLimits(seconds=3, memory_mb=256))
    assert t.error is not None
    assert t.error.kind in kinds
    assert len(t.error.message) < 2_100
    assert t.error.message.isprintable()
    assert attack(runner, world, "return 'next'").returned == "next"


@pytest.mark.parametrize("fd", [1, 2])
def test_output_floods_end(runner: ConfinedRunner, world: Any, fd: int) -> None:
    t = attack(runner, world, f"while True: os.write({fd}, b'\\xff' * 60000)")
    assert t.error is not None
    assert (t.error.kind, t.error.line) == ("output", 8)
    assert len(t.printed) <= 64_000


# ---- the protocol

FORGED: dict[str, str] = {
    "an unknown request": "os.write(3, b'[\"set_state\",[1]]')",
    "an unknown action": 'os.write(3, b\'["act","win",[]]\')',
    "a dunder action": 'os.write(3, b\'["act","__class__",[]]\')',
    "a list as argument": 'os.write(3, b\'["act","add",[["oak"]]]\')',
    "a float as argument": 'os.write(3, b\'["act","add",["oak",1.5]]\')',
    "a truth value as argument": 'os.write(3, b\'["act","add",["oak",true]]\')',
    "a huge number": 'os.write(3, b\'["act","add",["oak",%d]]\' % 10**30)',
    "a long text": 'os.write(3, b\'["act","add",["%s"]]\' % (b"a" * 2000))',
    "too many arguments": 'os.write(3, b\'["act","pick",[%s]]\' % b",".join([b"1"] * 65))',
    "half a surrogate pair": 'os.write(3, b\'["act","add",["\\\\ud800"]]\')',
    "not a number": 'os.write(3, b\'["act","add",[NaN]]\')',
    "a message too long": "os.write(3, b'[\"act\",\"' + b'a' * 100000 + b'\"]')",
    "deep nesting": "os.write(3, b'[' * 30000 + b']' * 30000)",
    "an object": 'os.write(3, b\'{"op":"act"}\')',
    "no JSON": "os.write(3, b'\\x80\\x04pickle')",
    "an unknown tool": 'os.write(3, b\'["tool","shell",["id"],{}]\')',
    "a second ready": "os.write(3, b'[\"ready\"]')",
    "an ending out of form": 'os.write(3, b\'["error","x"]\')',
    "an empty list": "os.write(3, b'[]')",
}


@pytest.mark.parametrize("name", sorted(FORGED))
def test_a_forged_message_is_a_failed_run(runner: ConfinedRunner, world: Any, name: str) -> None:
    t = attack(runner, world, FORGED[name] + "\nos.read(3, 65536)\nreturn 'accepted'")
    assert t.error is not None
    assert (t.error.kind, t.returned, t.steps, world.acts) == ("protocol", None, (), 0)


def test_a_forged_ending_changes_nothing_but_the_claim(runner: ConfinedRunner, world: Any) -> None:
    before = dict(world.counts)
    body = 'os.write(3, b\'["done",{"success":true,"reward":999}]\')\nwhile True: world.add("oak")'
    t = attack(runner, world, body)
    assert t.returned == {"success": True, "reward": 999}
    assert t.after.facts == t.before.facts
    assert (t.steps, world.counts) == ((), before)
    assert attack(runner, world, "return world.count('oak')").returned == 0


def test_a_forged_error_names_only_real_lines(runner: ConfinedRunner, world: Any) -> None:
    frames = '[["main",99999,"f"],["../../etc",1,"f"],["main",-5,"\\\\u001b[2J"],["main","x",1],7]'
    t = attack(runner, world, f'os.write(3, b\'["error","K","m",{frames}]\')\nos._exit(0)')
    assert t.error is not None
    assert (t.error.kind, t.error.source_line) == ("K", "")
    assert t.error.where.isprintable()


def test_forged_steps_count(runner: ConfinedRunner, world: Any) -> None:
    flood = 'while True:\n    os.write(3, b\'["act","add",["oak"]]\')\n    os.read(3, 65536)'
    t = attack(runner, world, flood, RunLimits(seconds=5, world_steps=20))
    assert t.error is not None
    assert (t.error.kind, t.world_steps, world.counts["oak"]) == ("steps", 20, 20)


def test_requests_without_reading_replies_end(runner: ConfinedRunner, world: Any) -> None:
    t = attack(runner, world, "while True: os.write(3, b'[\"observe\"]')", RunLimits(seconds=1, calls=50_000))
    assert t.error is not None
    assert t.error.kind in ("time", "calls")


def test_replaying_a_reply_to_itself_fools_only_itself(runner: ConfinedRunner, world: Any) -> None:
    body = "vars(world)['_tables']['count'][('oak',)] = 99\nreturn world.count('oak')"
    t = attack(runner, world, body)
    assert t.returned == 99
    assert t.after.facts == t.before.facts


# ---- peeking


def test_the_hidden_state_is_not_in_the_programs_process(runner: ConfinedRunner, world: Any) -> None:
    body = (
        "gc = _load('gc')\nfound = [o for o in gc.get_objects() if isinstance(o, dict)]\n"
        "texts = [v for d in found for v in list(d.values()) if isinstance(v, str)]\n"
        "return ['hidden-' + 'state' in ' '.join(texts), any('counter-' + '1' in t for t in texts)]"
    )
    assert attack(runner, world, body).returned == [False, False]


def test_what_an_earlier_run_was_told_is_gone(runner: ConfinedRunner, world: Any) -> None:
    attack(runner, world, "keep = sys.modules['keep'] = given\njson.keep = 'canary-of-run-one'", word="canary-argument")
    t = attack(runner, world, "return [hasattr(json, 'keep'), 'keep' in sys.modules]")
    assert t.returned == [False, False]


def test_the_worker_holds_no_descriptor_of_the_host(unsafe_runner: ConfinedRunner, world: Any, secret: Path) -> None:
    fd = os.open(secret, os.O_RDONLY)
    os.set_inheritable(fd, True)
    try:
        with ConfinedRunner(unsafe_no_isolation=True) as fresh:
            t = attack(fresh, world, "return sorted(int(f) for f in os.listdir('/proc/self/fd'))")
    finally:
        os.close(fd)
    assert t.returned is not None
    assert t.returned[:5] == [0, 1, 2, 3, 4]
    assert len(t.returned) == 6  # and the folder being listed


# ---- ends


def test_without_confinement_children_end_with_the_run(unsafe_runner: ConfinedRunner, world: Any) -> None:
    body = "pid = os.fork()\nif pid == 0:\n    _load('time').sleep(60)\n    os._exit(0)\nreturn pid"
    pid = attack(unsafe_runner, world, body).returned
    until = time.monotonic() + 5
    while time.monotonic() < until:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                break
        except (FileNotFoundError, ProcessLookupError):
            break
        time.sleep(0.01)
    else:
        pytest.fail("a child of the program outlived its run")


def test_where_nothing_confines_programs_do_not_run(monkeypatch: pytest.MonkeyPatch, world: Any) -> None:
    nothing = confined.Isolation(0, ("seccomp: Operation not permitted",))
    monkeypatch.setattr(confined, "_isolation", lambda server: nothing)
    program = Program("main", "def main(): return 1")
    with ConfinedRunner() as runner, pytest.raises(IsolationError, match=r"seccomp.*--unsafe-no-isolation"):
        runner.run(program, world)
    with ConfinedRunner(unsafe_no_isolation=True) as free:
        t = free.run(program, world)
    assert (t.returned, t.tier) == (1, 0)


def test_seccomp_alone_holds_too(monkeypatch: pytest.MonkeyPatch, world: Any, secret: Path) -> None:
    monkeypatch.setattr(confined, "_isolation", lambda server: confined.Isolation(1, ("landlock: absent",)))
    with ConfinedRunner() as runner:
        for name in ("read a file", "fork", "run a command", "connect over TCP"):
            t = attack(runner, world, HARM[name], secret=str(secret), tcp=1)
            assert (t.tier, t.returned) == (1, None)
            assert t.error is not None


def test_filters_exist_for_two_machines_and_no_other() -> None:
    assert len(seccomp_filter("x86_64")) % 8 == len(seccomp_filter("aarch64")) % 8 == 0
    with pytest.raises(OSError, match="riscv64"):
        seccomp_filter("riscv64")


@pytest.mark.skipif(os.getuid() != 0 or not shutil.which("setpriv"), reason="only root can become another user")
def test_an_ordinary_user_is_confined_as_well() -> None:
    source = (
        "from habilis.worlds.runner import ConfinedRunner; from habilis.core import *\n"
        "class W:\n    spec = WorldSpec('w', '', (), (), '1')\n    def observe(self): return Snapshot()\n"
        "with ConfinedRunner() as r: t = r.run(Program('main', 'def main(): open(\"/etc/passwd\")'), W())\n"
        "print(t.tier, t.error.kind)"
    )
    user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", sys.executable, "-c", source]
    done = subprocess.run(user, capture_output=True, text=True, timeout=30)
    if "Permission denied" in done.stderr or "No module" in done.stderr:
        pytest.skip("another user cannot read this checkout or this Python")
    assert done.stdout.split()[1:] == ["PermissionError"], done.stderr
    assert int(done.stdout.split()[0]) > 0
